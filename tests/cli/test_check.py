"""``nornmail check``: each step, what fails in it, and what is to be done about it."""

from __future__ import annotations

import io
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nornmail import Check, InboxRecord, JsonStateStore, SqliteStateStore
from nornmail.cli import main
from nornmail.cli.check import WAITING, add, format_check, next_check, on_terminal
from nornmail.cli.options import Parser, Settings
from nornmail.model import MailboxKey
from nornmail.net.tls import Unreachable
from nornmail.testing import MailServer
from tests.cli.support import PASSWORD, SECONDS, USER, User, let_die, mail, mail_server, settings_of
from tests.support.smtp import PASSWORD as SMTP_PASSWORD
from tests.support.smtp import USER as SMTP_USER
from tests.support.smtp import smtp_server


class Desk:
    """Somebody who calls ``check`` in this process, and reads what it prints."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.set = monkeypatch.setenv
        self._capsys = capsys

    def settle(self, **environment: str) -> None:
        for name, value in environment.items():
            self.set(name, value)

    def check(self, *arguments: str) -> tuple[int, dict[str, str], str]:
        """The status, the steps that went well, and the line that did not."""
        status = main(["check", *arguments])
        lines = self._capsys.readouterr().out.splitlines()
        assert all(line.isprintable() for line in lines)
        assert not [line for line in lines if PASSWORD in line or SMTP_PASSWORD in line]
        failed = [line for line in lines if line.startswith("FAILED")]
        assert (status == 1) == bool(failed)
        assert len(failed) <= 1
        told = {line[8:25].strip(): line[27:] for line in lines if line.startswith("ok")}
        assert told.pop("settings").startswith("from the environment alone")
        told.pop("SMTP sender", None)
        return status, told, failed[0] if failed else ""


@pytest.fixture
def desk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("IMAP_", "SMTP_", "EMAIL_", "NORNMAIL_STATE")):
            monkeypatch.delenv(name)
    log = logging.getLogger("nornmail")
    level, handlers = log.level, list(log.handlers)
    yield Desk(monkeypatch, capsys)
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.fixture
def here(server: MailServer, desk: Desk) -> Desk:
    """Somebody whose environment leads to the server."""
    desk.settle(**settings_of(server))
    return desk


BEGIN = ["IMAP name", "IMAP TCP"]
END = ["IMAP login", "IMAP mailbox", "IMAP capabilities", "state store", "first run"]


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        pytest.param({}, [*BEGIN, "IMAP greeting", *END], id="plain"),
        pytest.param({"tls": True}, [*BEGIN, "IMAP TLS", "IMAP greeting", *END], id="TLS"),
        pytest.param(
            {"starttls": True}, [*BEGIN, "IMAP greeting", "IMAP STARTTLS", *END], id="STARTTLS"
        ),
    ],
)
def test_every_step_that_goes_well_is_a_line(
    desk: Desk, kind: dict[str, bool], steps: list[str]
) -> None:
    with mail_server(**kind) as server:
        server.deliver(mail("one"))
        desk.settle(**settings_of(server, **kind))
        status, told, _ = desk.check()
        assert server.mailbox().messages[0].flags == frozenset()
    assert (status, list(told)) == (0, steps)
    assert told["IMAP login"] == f"as {USER}"
    assert told["IMAP mailbox"] == "INBOX has 1 message"
    assert told["first run"].startswith("1 existing message will be delivered and marked as read;")
    assert "answers" not in told["first run"]


def test_nothing_is_made(here: Desk, user: User) -> None:
    here.check()
    assert list(user.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "changes", "failed", "advice"),
    [
        pytest.param({}, {"IMAP_HOST": "imap.nowhere.invalid"}, "IMAP name", "IMAP_HOST",
                     id="the name is not known"),
        pytest.param({}, {"IMAP_PASSWORD": "wrong-horse"}, "IMAP login", "-> check IMAP_USERNAME",
                     id="a wrong password"),
        pytest.param({}, {"IMAP_USERNAME": ""}, "IMAP login", "IMAP_USERNAME",
                     id="no user name"),
        pytest.param({}, {"IMAP_MAILBOX": "Inbax"}, "IMAP mailbox", "INBOX, Sent",
                     id="a wrong mailbox"),
        pytest.param({}, {"IMAP_USE_SSL": "true"}, "IMAP TLS", "IMAP_USE_SSL=false",
                     id="TLS on a plain port"),
        pytest.param({}, {"IMAP_STARTTLS": "true"}, "IMAP STARTTLS", "STARTTLS",
                     id="no STARTTLS"),
        pytest.param({"tls": True}, {"IMAP_USE_SSL": "false", "IMAP_TIMEOUT": "0.5"},
                     "IMAP greeting", "IMAP_USE_SSL=true", id="plain text on a port for TLS"),
        pytest.param({"tls": True}, {"IMAP_CA_FILE": ""}, "IMAP TLS", "IMAP_CA_FILE",
                     id="an authority nobody knows"),
        pytest.param({"tls": True}, {"IMAP_CA_FILE": "/nowhere"}, "IMAP TLS", "IMAP_CA_FILE",
                     id="a CA file that is not there"),
        pytest.param({"starttls": True}, {"IMAP_CA_FILE": ""}, "IMAP STARTTLS", "IMAP_CA_FILE",
                     id="an authority nobody knows, by STARTTLS"),
    ],
)  # fmt: skip
def test_the_step_that_fails_says_what_to_do(
    desk: Desk, kind: dict[str, bool], changes: dict[str, str], failed: str, advice: str
) -> None:
    with mail_server(**kind) as server:
        server.create_mailbox("Sent")
        desk.settle(**{**settings_of(server, **kind), **changes})
        status, told, line = desk.check()
    assert status == 1
    assert line.startswith(f"FAILED  {failed} ")
    assert advice in line
    assert "state store" in told


def test_a_name_that_the_certificate_has_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *args, **named: real("127.0.0.1", *args, **named)
    )
    with mail_server(tls=True) as server:
        desk.settle(**settings_of(server, tls=True) | {"IMAP_HOST": "imap.example.com"})
        _, _, line = desk.check()
    assert line.startswith("FAILED  IMAP TLS")
    assert "set IMAP_HOST to a name that the certificate has" in line


def test_nobody_listens(desk: Desk) -> None:
    with mail_server() as server:
        desk.settle(**settings_of(server))
    _, told, line = desk.check()
    assert line.startswith("FAILED  IMAP TCP")
    assert "refuses" in line
    assert list(told) == ["IMAP name", "state store"]


def test_a_port_that_does_not_answer(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_args: object) -> tuple[socket.socket, list[object]]:
        raise Unreachable([("192.0.2.1", TimeoutError("no answer in time"))])

    monkeypatch.setattr("nornmail.net.diagnose.dial", silent)
    _, _, line = here.check()
    assert line.startswith("FAILED  IMAP TCP")
    assert "firewall" in line


def test_a_greeting_that_is_no_imap_servers(desk: Desk) -> None:
    with smtp_server() as server:
        desk.settle(
            IMAP_HOST=server.host, IMAP_PORT=str(server.port), IMAP_USE_SSL="false",
            IMAP_USERNAME=USER, IMAP_PASSWORD=PASSWORD, IMAP_TIMEOUT="2",
        )  # fmt: skip
        _, _, line = desk.check()
    assert line.startswith("FAILED  IMAP greeting")
    assert line.count("IMAP_PORT") == 1, "the advice is given once"


class Screen(io.StringIO):
    """A standard output that notices what it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if WAITING in self.getvalue():
            self.noticed.set()
        return written


def test_on_a_terminal_lines_fit_and_a_long_check_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()

    def slow() -> Iterator[Check]:
        assert screen.noticed.wait(SECONDS)
        yield Check("provider", True, "it takes an app password; " * 9)

    monkeypatch.setattr("nornmail.cli.check.is_terminal", lambda: True)
    monkeypatch.setattr("nornmail.cli.check.terminal_width", lambda: 60)
    monkeypatch.setattr("nornmail.cli.check.PATIENCE", 0.01)
    monkeypatch.setattr("sys.stdout", screen)
    check = next_check(slow())
    assert check is not None
    assert screen.getvalue().rpartition("\r")[2] == "", "the line is gone"
    lines = on_terminal(format_check(check))
    assert lines[0].startswith("-       provider           it takes")
    assert len(lines) > 5
    assert max(map(len, lines)) < 60


def test_what_a_server_says_cannot_command_the_terminal(
    monkeypatch: pytest.MonkeyPatch, here: Desk
) -> None:
    check = Check("IMAP greeting", True, "ready \x1b[2J to serve")
    monkeypatch.setattr("nornmail.cli.check.diagnose", lambda *_: [check])
    _, told, _ = here.check()
    assert told["IMAP greeting"] == "ready  [2J to serve"


def test_what_the_server_lacks_is_said_with_what_it_means(here: Desk, server: MailServer) -> None:
    server.capabilities -= {"IDLE", "UIDPLUS", "MOVE"}
    status, told, _ = here.check()
    assert status == 0
    for name in ("no IDLE: ", "no UIDPLUS: ", "no MOVE: "):
        assert name in told["IMAP capabilities"]


def test_a_read_only_mailbox_whose_mail_is_to_be_marked(here: Desk, server: MailServer) -> None:
    server.read_only_mailboxes |= {"INBOX"}
    _, _, line = here.check()
    assert line.startswith("FAILED  IMAP mailbox")
    assert "IMAP_MARK_AS_READ" in line
    here.set("IMAP_MARK_AS_READ", "false")
    assert here.check()[0] == 0


def test_a_mailbox_to_move_to_that_will_be_made(here: Desk, server: MailServer) -> None:
    here.set("IMAP_MOVE_TO", "Done")
    assert "Done, which will be made" in here.check()[1]["IMAP mailbox"]
    server.create_mailbox("Done")
    assert here.check()[1]["IMAP mailbox"].endswith("moved to Done")


def test_too_many_messages_for_a_first_run(
    here: Desk, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nornmail.diagnostics.FIRST_RUN_LIMIT", 2)
    for name in ("one", "two", "three"):
        server.deliver(mail(name))
    _, _, line = here.check()
    assert line.startswith("FAILED  first run")
    assert "3 messages" in line
    assert "IMAP_START_FROM" in line
    for choice in ("all", "new", "2026-01-31"):
        assert here.check("--start-from", choice)[0] == 0


def test_a_program_that_sends_must_decide_about_a_first_run(here: Desk, server: MailServer) -> None:
    server.deliver(mail("one"))
    here.settle(SMTP_HOST=server.host, SMTP_PORT=str(server.smtp_port), SMTP_USE_TLS="false")
    here.set("SMTP_FROM", USER)
    assert "does not start without a choice" in here.check()[1]["first run"]
    assert (
        here.check("--start-from", "new")[1]["first run"]
        == "1 existing message will be passed over"
    )


def test_after_the_first_run_the_number_does_not_matter(
    here: Desk, server: MailServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_die(server, user.directory / "nornmail.db", mail("one"))
    monkeypatch.setattr("nornmail.diagnostics.FIRST_RUN_LIMIT", 0)
    status, told, _ = here.check()
    assert (status, told["first run"][:12]) == (0, "already done")


def test_a_store_that_cannot_be_made(here: Desk) -> None:
    _, _, line = here.check("--state", "nowhere/state.db")
    assert line.startswith("FAILED  state store")
    assert "NORNMAIL_STATE" in line


def test_a_store_that_is_something_else(here: Desk, user: User) -> None:
    (user.directory / "nornmail.db").write_text("something else")
    _, _, line = here.check()
    assert line.startswith("FAILED  state store")


def test_a_json_store_that_a_poller_has_open(here: Desk, user: User) -> None:
    store = JsonStateStore(user.directory / "state.json")
    status, told, _ = here.check("--state", "state.json")
    store.close()
    assert status == 0
    assert "does not have" in told["state store"]
    assert "first run" in told


def make_inboxes(user: User, server: MailServer, *addresses: str) -> None:
    """Have the inboxes that a service made, in the store that ``check`` looks into."""
    with closing(SqliteStateStore(user.directory / "nornmail.db")) as store:
        for address in addresses:
            record = InboxRecord(id=address, name=address, address=address, created_at=1.0)
            store.save_inbox(MailboxKey(f"{USER}@{server.host}", "INBOX"), record)


def test_mail_that_is_for_no_inbox(here: Desk, user: User, server: MailServer) -> None:
    make_inboxes(user, server, "test@example.com", "sales@example.com")
    server.deliver(mail("one"))
    server.deliver(mail("two").replace(USER.encode(), b"Tests <tset@example.com>"))
    _, _, line = here.check()
    assert line.startswith("FAILED  inboxes")
    assert "the newest 2 messages is for sales@example.com, test@example.com" in line
    assert f"they are to {USER}, tset@example.com" in line
    assert "create one for these" in line


def test_mail_that_is_for_an_inbox(here: Desk, user: User, server: MailServer) -> None:
    make_inboxes(user, server, "test@example.com")
    assert here.check()[1]["inboxes"] == "test@example.com; the mailbox is still empty"
    server.deliver(mail("one").replace(USER.encode(), b"Test+tag@Example.com"))
    server.deliver(mail("two"))
    assert here.check()[1]["inboxes"] == "1 of the newest 2 messages are for test@example.com"
    assert [one.flags for one in server.mailbox().messages] == [set(), set()]


def test_smtp_comes_after_imap_where_it_is_set(here: Desk) -> None:
    with smtp_server() as smtp:
        here.settle(
            SMTP_HOST="127.0.0.1", SMTP_PORT=str(smtp.port), SMTP_CA_FILE=smtp.ca_file,
            SMTP_USERNAME=SMTP_USER, SMTP_PASSWORD=SMTP_PASSWORD,
        )  # fmt: skip
        status, told, _ = here.check()
        assert (status, list(told)[-1]) == (0, "SMTP NOOP")
        here.set("SMTP_PASSWORD", "wrong")
        status, told, line = here.check()
    assert (status, list(told)[-1]) == (1, "SMTP STARTTLS")
    assert line.startswith("FAILED  SMTP login")


def test_an_imap_that_fails_does_not_keep_smtp_from_being_checked(desk: Desk) -> None:
    with smtp_server() as smtp:
        desk.settle(
            IMAP_HOST="imap.nowhere.invalid", SMTP_HOST="127.0.0.1", SMTP_PORT=str(smtp.port),
            SMTP_CA_FILE=smtp.ca_file, SMTP_FROM=SMTP_USER,
        )  # fmt: skip
        status, told, line = desk.check()
    assert (status, list(told)[-1]) == (1, "SMTP NOOP")
    assert line.startswith("FAILED  IMAP name")


@pytest.mark.parametrize(
    ("environ", "host", "username"),
    [
        pytest.param({}, "imap.gmx.net", "you@gmx.de", id="the address alone"),
        pytest.param({"IMAP_USERNAME": "me"}, "imap.gmx.net", "me", id="a login name of its own"),
        pytest.param({"EMAIL_PRESET": "fastmail"}, "imap.fastmail.com", "you@gmx.de", id="preset"),
        pytest.param({"IMAP_HOST": "mail.test"}, "mail.test", "you@gmx.de", id="a host"),
    ],
)
def test_an_address_stands_in_for_what_is_not_set(
    environ: dict[str, str],
    host: str,
    username: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "settings"
    file.write_text("".join(f"{name}={value}\n" for name, value in environ.items()))
    for name in ("IMAP_USERNAME", "EMAIL_PRESET", "IMAP_HOST"):
        monkeypatch.delenv(name, raising=False)
    parser = Parser()
    add(parser)
    imap = Settings(parser.parse_args(["you@gmx.de", "--env-file", str(file)])).imap()
    assert (imap.host, imap.username) == (host, username)


def test_an_address_of_an_unknown_domain_says_what_to_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "you@example.com", "--env-file", ""]) == 2
    assert "no provider of example.com is known" in capsys.readouterr().err
