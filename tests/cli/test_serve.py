"""``nornmail serve``: the poller, the mailer and the control interface as one process."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import stat
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from nornmail import Mailer, MemoryStateStore, PollerGroup, SqliteStateStore
from nornmail.cli import main
from nornmail.cli.accounts import AccountDirectory
from nornmail.cli.serve import load_handler
from nornmail.errors import ConfigurationError
from nornmail.model import State
from nornmail.testing import MailServer
from nornmail.web import MAX_BODY
from tests.cli.support import PASSWORD, SECONDS, Running, User, mail
from tests.test_webhook import SECRET, drip, listening, receiving, verify

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
STARTING = "IMAP poller starting: {}:{}/INBOX (interval=0.2s)"
HANDLER = """
import json, pathlib
def handle(message):
    with open("seen", "a") as seen:
        seen.write(json.dumps([message.inbox, message.subject]) + "\\n")
async def handle_later(message):
    handle(message)
number = 5
"""


NONSENSE = (b"", b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"x" * 100_000, b"GET / HTTP/9.9\r\n")


class Service:
    """A service that runs, and HTTP to it."""

    def __init__(self, running: Running, url: str) -> None:
        self.running = running
        self.url = url

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        octets: bytes | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        data = octets if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        for name, value in headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def create(self, username: str = "test") -> dict[str, Any]:
        status, body = self.ask("POST", "/v1/inboxes", {"name": "Test", "email_username": username})
        assert status == 201
        found: dict[str, Any] = body
        return found


Here = Callable[..., tuple[int, str]]


@pytest.fixture
def here(user: User, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Runs ``serve`` in this process; its status, and the last line on standard error."""

    def run(*arguments: str, **more: str) -> tuple[int, str]:
        monkeypatch.chdir(user.directory)
        monkeypatch.setattr(sys, "path", list(sys.path))
        for name, value in {**user.environment, **more}.items():
            monkeypatch.setenv(name, value)
        try:
            status = main(["serve", *arguments])
        except SystemExit as ended:  # argparse's way
            status = int(str(ended.code))
        return status, capfd.readouterr().err.splitlines()[-1]

    return run


@contextmanager
def service(user: User, *arguments: str, host: str = "127.0.0.1", **more: Any) -> Iterator[Service]:
    with user.start("serve", "--bind", f"{host}:0", *arguments, **more) as running:
        line = running.complaint("listening on")
        found = re.search(r"http://\S+", line)
        assert found
        yield Service(running, found[0].replace("0.0.0.0", "127.0.0.1"))  # noqa: S104


@posix
def test_mail_to_an_inbox_is_a_line(server: MailServer, user: User) -> None:
    with service(user) as running:
        running.running.complaint(STARTING.format(server.host, server.imap_port))
        assert running.create()["email_address"] == "test@example.com"
        server.deliver(mail("for nobody"))
        server.deliver(mail("one").replace(b"agent@", b"test@"))
        line = running.running.line()
        assert (line["subject"], line["inbox"]) == ("one", "test@example.com")
        assert running.ask("GET", "/healthz")[0] == 200
        running.running.tell(signal.SIGTERM)
        ended = running.running.end()
    assert (ended.status, ended.out) == (0, "")


@posix
def test_mail_goes_to_a_file(server: MailServer, user: User) -> None:
    with service(user, "--output", "mail.jsonl", "--max-text", "200") as running:
        inbox = running.create()
        server.deliver(mail("one").replace(b"agent@", b"test@"))
        running.ask("POST", f"/v1/inboxes/{inbox['id']}/sync")
        running.running.tell(signal.SIGTERM)
        assert running.running.end().status == 0
    path = user.directory / "mail.jsonl"
    line = json.loads(path.read_text())
    assert (line["subject"], line["left_out"]) == ("one", {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_mail_goes_to_a_webhook(server: MailServer, user: User) -> None:
    options = ("--webhook-allow", "127.0.0.1", "--max-text", "200")
    with (
        receiving() as receiver,
        service(
            user, "--webhook", receiver.url, *options, NORNMAIL_WEBHOOK_SECRET=SECRET
        ) as running,
    ):
        inbox = running.create()
        server.deliver(mail("one").replace(b"agent@", b"test@"))
        running.ask("POST", f"/v1/inboxes/{inbox['id']}/sync")
        ((headers, body),) = receiver.posts
        assert verify(headers, body, SECRET)
        assert json.loads(body)["data"]["left_out"] == {}


@posix
def test_a_webhook_that_does_not_answer_holds_up_no_signal(server: MailServer, user: User) -> None:
    begun = threading.Event()

    def serve(connection: socket.socket) -> None:
        begun.set()
        drip(b"HTTP/1.1 200 OK\r\n\r\n")(connection)

    options = {"NORNMAIL_WEBHOOK_SECRET": SECRET, "NORNMAIL_STATE": "hook.db"}
    with (
        listening(serve) as url,
        service(user, "--webhook", url, "--webhook-allow", "127.0.0.1", **options) as running,
    ):
        running.create()
        server.deliver(mail("one").replace(b"agent@", b"test@"))
        assert begun.wait(SECONDS)
        began_at = time.monotonic()
        running.running.tell(signal.SIGTERM)
        assert running.running.end().status == 0
        assert time.monotonic() - began_at < 5.0
    with closing(SqliteStateStore(user.directory / "hook.db")) as store:
        (mailbox,) = store.mailboxes()
        (entry,) = store.entries(mailbox, {State.WAITING})
        assert (entry.attempts, entry.reason) == (
            0,
            "the program stopped before the webhook answered",
        )


@posix
@pytest.mark.parametrize("name", ["handle", "handle_later"])
def test_mail_goes_to_a_function(server: MailServer, user: User, name: str) -> None:
    package = user.directory / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mail.py").write_text(HANDLER)
    with service(user, "--handler", f"shop.mail:{name}") as running:
        inbox = running.create()
        server.deliver(mail("one").replace(b"agent@", b"test@"))
        running.ask("POST", f"/v1/inboxes/{inbox['id']}/sync")
        running.running.tell(signal.SIGTERM)
        assert running.running.end().status == 0
    seen = (user.directory / "seen").read_text().splitlines()
    assert [json.loads(line) for line in seen] == [["test@example.com", "one"]]


@posix
def test_inboxes_survive_a_restart(server: MailServer, user: User) -> None:
    with service(user) as running:
        made = running.create()
        running.running.tell(signal.SIGTERM)
        running.running.end()
    server.deliver(mail("meanwhile").replace(b"agent@", b"test@"))
    with service(user) as running:
        assert running.ask("GET", "/v1/inboxes")[1]["items"] == [made]
        assert running.running.line()["subject"] == "meanwhile"


def write_account(user: User, server: MailServer, name: str, password: str = PASSWORD) -> None:
    """A file of the directory ``accounts``, with its user on the server."""
    if f"{name}@example.com" not in server.users:
        server.add_user(f"{name}@example.com", PASSWORD)
    directory = user.directory / "accounts"
    directory.mkdir(exist_ok=True)
    lines = {
        "IMAP_USERNAME": f"{name}@example.com",
        "IMAP_PASSWORD": password,
        "SMTP_HOST": server.host,
        "SMTP_PORT": str(server.smtp_port),
        "SMTP_USE_TLS": "false",
        "SMTP_USERNAME": f"{name}@example.com",
        "SMTP_PASSWORD": PASSWORD,
        "IMAP_START_FROM": "all",
    }
    (directory / f"{name}.env").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))


SENDS = "SMTP_HOST=smtp.example.com\nSMTP_FROM={0}@example.com\n"
CANNOT_SEND = "SMTP_HOST=smtp.example.com\n"


@pytest.mark.parametrize(
    ("first", "then", "polled", "sending"),
    [
        pytest.param(
            {"a": "ann", "b": "ann"}, {"a": None}, "ann", "ann", id="two files, one removed"
        ),
        pytest.param(
            {"a": "ann", "b": "bob"}, {"a": "bob", "b": "eve"}, "bob eve", "bob eve", id="moved on"
        ),
        pytest.param({"a": "ann"}, {"a": "ann "}, "ann", "ann", id="a change that cannot send"),
        pytest.param({"a": "ann"}, {"a": "bob "}, "ann", "ann", id="another that cannot send"),
        pytest.param({"a": "ann"}, {"a": None, "b": "pipe"}, "", "", id="a pipe"),
    ],
)
def test_a_change_of_the_directory_leaves_no_account_out(
    first: dict[str, str],
    then: dict[str, str | None],
    polled: str,
    sending: str,
    tmp_path: Path,
) -> None:
    store = MemoryStateStore()
    group = PollerGroup(store)
    accounts = AccountDirectory(
        str(tmp_path),
        {"IMAP_HOST": "imap.example.com"},
        group,
        lambda account: print,
        lambda smtp, account: Mailer(smtp, store, account=account),
    )
    for files in (first, then):
        for name, user_name in files.items():
            path = tmp_path / f"{name}.env"
            path.unlink(missing_ok=True)
            if user_name == "pipe" and hasattr(os, "mkfifo"):
                os.mkfifo(path)
            elif user_name is not None:
                can_send = SENDS.format(user_name.strip())
                rest = can_send if user_name == user_name.strip() else CANNOT_SEND
                path.write_text(f"IMAP_USERNAME={user_name.strip()}\n{rest}")
        accounts.look()
    assert sorted(key.account for key in group.status()) == [
        f"{name}@imap.example.com" for name in polled.split()
    ]
    assert sorted(accounts.mailers) == [f"{name}@imap.example.com" for name in sending.split()]
    accounts.close()
    store.close()


@posix
@pytest.mark.parametrize("handler", ["", "later:handle_later"], ids=["lines", "a coroutine"])
def test_accounts_of_a_directory_are_served(server: MailServer, user: User, handler: str) -> None:
    (user.directory / "later.py").write_text(HANDLER)
    write_account(user, server, "ann", "wrong")
    write_account(user, server, "bob")
    options = ("--handler", handler) if handler else ()
    ids = {name: f"{name}@example.com@{server.host}" for name in ("ann", "bob", "eve")}
    with service(user, "--accounts", "accounts", *options) as running:

        def listed() -> dict[str, str]:
            items = running.ask("GET", "/v1/accounts")[1]["items"]
            return {item["id"]: item["state"] for item in items}

        until(lambda: listed().get(ids["ann"]) == "auth_failed")
        body = {"name": "Help", "email_username": "help", "account": ids["bob"]}
        status, inbox = running.ask("POST", "/v1/inboxes", body)
        assert (status, inbox["account"]) == (201, ids["bob"])
        server.deliver(mail("one").replace(b"agent@", b"help@"), user="bob@example.com")
        running.ask("POST", f"/v1/accounts/{ids['bob']}/sync")
        if handler:
            assert json.loads((user.directory / "seen").read_text()) == ["help@example.com", "one"]
        else:
            line = running.running.line()
            assert (line["account"], line["subject"]) == (ids["bob"], "one")
        message = {"inbox_id": inbox["id"], "to": "kim@example.org", "body": "hello"}
        assert running.ask("POST", "/v1/messages", message)[0] == 202
        until(lambda: len(server.outbox) == 1)
        # Files are changed, added and removed while it runs.
        write_account(user, server, "ann")
        write_account(user, server, "eve")
        (user.directory / "accounts" / "bob.env").unlink()
        until(lambda: listed() == {ids["ann"]: "idle", ids["eve"]: "idle"})
        assert running.ask("GET", f"/v1/inboxes/{inbox['id']}")[0] == 404
        running.running.tell(signal.SIGTERM)
        assert running.running.end().status == 0


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it never was so")


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="reads Linux's figures")
def test_large_requests_of_any_shape_cost_at_most_twice_their_size(
    server: MailServer, user: User
) -> None:
    smtp = {"SMTP_HOST": server.host, "SMTP_PORT": str(server.smtp_port), "SMTP_USE_TLS": "false"}
    smtp |= {"SMTP_FROM": "agent@example.com", "GLOBAL_SEND_RATE_LIMIT_PER_HOUR": "1"}
    with service(user, **smtp) as running:
        inbox = running.create()["id"]
        running.ask(
            "POST", "/v1/messages", {"inbox_id": inbox, "to": "kim@example.org", "body": ""}
        )
        server.wait_for_sent(1)  # and none of the others, whose memory is another matter
        process = f"/proc/{running.running.process.pid}"

        def kibibytes(name: str) -> int:
            with open(f"{process}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith(name))

        before = kibibytes("VmRSS")
        for size in (64, 20_000, 4, 256, 1_000, 64, 100, 1):  # KiB of each attachment
            content = base64.b64encode(bytes(size << 10)).decode()
            count = max((24 << 20) // len(content), 1)
            files = [{"filename": f"{n}.bin", "content": content} for n in range(count)]
            body = {"inbox_id": inbox, "to": "kim@example.org", "body": "t", "attachments": files}
            with open(f"{process}/clear_refs", "w") as peak:
                peak.write("5")  # the peak begins anew
            status, _ = running.ask("POST", "/v1/messages", body)
            assert status == (202 if count <= 500 else 422)
            assert (kibibytes("VmHWM") - before) << 10 <= 2 * len(json.dumps(body)), size


@posix
def test_a_token_is_asked_for_where_it_is_set(server: MailServer, user: User) -> None:
    with service(user, host="0.0.0.0", NORNMAIL_API_TOKEN="a token") as running:  # noqa: S104
        assert running.ask("GET", "/v1/inboxes")[0] == 401
        assert running.ask("GET", "/v1/inboxes", Authorization="Bearer a token")[0] == 200


@posix
def test_a_body_that_is_refused_is_answered(server: MailServer, user: User) -> None:
    with service(user) as running:
        status, body = running.ask("POST", "/v1/inboxes", octets=bytes(8 * MAX_BODY))
        assert (status, body["error"]) == (413, "content too large")
        assert running.ask("GET", "/v1/inboxes")[0] == 200


@posix
def test_who_talks_nonsense_disturbs_nobody(server: MailServer, user: User) -> None:
    with service(user) as running:
        host, port = running.url.removeprefix("http://").split(":")
        silent = socket.create_connection((host, int(port)))
        for said in NONSENSE:
            with socket.create_connection((host, int(port)), timeout=SECONDS) as client:
                client.sendall(said)
                with suppress(OSError):  # it may have answered and left already
                    client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        assert running.ask("GET", "/v1/inboxes")[0] == 200
        silent.close()


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        pytest.param(
            ["--bind", "0.0.0.0:0"], {}, ["NORNMAIL_API_TOKEN", "other machines"], id="no token"
        ),
        pytest.param(
            ["--bind", "example.com:0"], {}, ["NORNMAIL_API_TOKEN"], id="a name needs a token too"
        ),
        pytest.param([], {"NORNMAIL_BIND": "[::]:0"}, ["NORNMAIL_API_TOKEN"], id="by the variable"),
        pytest.param(["--bind", "8000"], {}, ["--bind", "127.0.0.1:8000"], id="a port alone"),
        pytest.param(["--bind", "localhost:99999"], {}, ["--bind"], id="no port"),
        pytest.param(["--handler", "json"], {}, ["package.module:function"], id="no function"),
        pytest.param(["--handler", "no.such:f"], {}, ["cannot be imported"], id="no module"),
        pytest.param(["--handler", "json:no"], {}, ["there is no no in json"], id="no such name"),
        pytest.param(["--handler", "json:__name__"], {}, ["function"], id="no function at all"),
        pytest.param(
            ["--handler", "json:dumps", "--output", "x"], {}, ["not allowed with"], id="both"
        ),
        pytest.param([], {"IMAP_USERNAME": "agent"}, ["EMAIL_DOMAIN"], id="no domain"),
        pytest.param(
            [],
            {"IMAP_DELETE_AFTER_FETCH": "true", "IMAP_MARK_AS_READ": "false"},
            ["IMAP_DELETE_AFTER_FETCH", "IMAP_MARK_AS_READ"],
            id="deleting what may not be marked",
        ),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    here: Here, arguments: list[str], more: dict[str, str], words: list[str]
) -> None:
    status, said = here(*arguments, **more)
    assert status == 2
    assert all(word in said for word in words), said


def test_a_port_that_is_taken_is_one_line(here: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, said = here("--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert status == 2
    assert "cannot listen there" in said


def test_a_file_that_cannot_be_written_is_one_line(here: Here) -> None:
    status, said = here("--output", "no/such/directory/mail.jsonl")
    assert status == 1
    assert "cannot be written" in said


def test_a_handler_is_found_by_its_dotted_name() -> None:
    found: object = load_handler("json:JSONEncoder.encode")
    assert found is json.JSONEncoder.encode
    with pytest.raises(ConfigurationError):
        load_handler("json:")
