"""Webhooks: signed, within bounds, to no address that was not meant, and never lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    Defer,
    ImapSettings,
    MemoryStateStore,
    NornmailError,
    Poller,
    Reject,
    SqliteStateStore,
    Webhook,
    parse_message,
)
from nornmail.cli import main
from nornmail.net.http_client import HttpResponse, exchange
from nornmail.testing import MailServer
from nornmail.webhook import check_answer, is_public, retry_seconds, signed_headers
from tests.support.clock import FakeClock
from tests.support.table import table

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
OLD = "whsec_" + base64.b64encode(b"an old secret of 24 byte").decode()
MESSAGE = parse_message(
    b"From: Ann <ann@example.org>\r\nSubject: hi\r\n\r\n" + b"word " * 100,
    delivery_id="d1",
)
NOW = 1_800_000_000.0


class Receiver(HTTPServer):
    """A program that gets webhooks.

    Attributes:
        posts: id, headers and body of each.
        answers: status and headers of the next answers; 204 afterwards.
        body: of each answer.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Post)
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.body = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?x=1"


class Post(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.posts.append(({**headers, ":path": self.path}, body))
        status, more = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        if self.server.body:
            self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None: ...


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def webhook(url: str, **options: Any) -> Webhook:
    options.setdefault("private_hosts", ["127.0.0.1"])
    return Webhook(url, options.pop("secret", SECRET), **options)


def verify(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """The verification of Standard Webhooks, by the words of its text."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(
        hmac.compare_digest(signature, f"v1,{expected}")
        for signature in headers["webhook-signature"].split(" ")
    )


# What is posted


def test_a_message_is_posted_signed_under_its_delivery_id(receiver: Receiver) -> None:
    webhook(receiver.url, max_text=20)(MESSAGE)
    ((headers, body),) = receiver.posts
    assert (headers["webhook-id"], headers[":path"]) == ("d1", "/hook?x=1")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["content-type"] == "application/json"
    assert verify(headers, body, SECRET)
    assert not verify(headers, body + b" ", SECRET)
    assert not verify(headers, body, OLD)
    value = json.loads(body)
    assert value["type"] == "message.received"
    assert (value["data"]["subject"], len(value["data"]["text"])) == ("hi", 19)


def test_with_two_secrets_either_verifies(receiver: Receiver) -> None:
    webhook(receiver.url, secret=[SECRET, OLD])(MESSAGE)
    ((headers, body),) = receiver.posts
    assert verify(headers, body, SECRET)
    assert verify(headers, body, OLD)


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification's reference implementations."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    headers = signed_headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.interop
def test_the_reference_verifier_accepts_it() -> None:
    reference = pytest.importorskip("standardwebhooks")
    headers = signed_headers([base64.b64decode(SECRET[6:])], "d1", int(time.time()), b'{"a": 1}')
    assert reference.Webhook(SECRET).verify('{"a": 1}', headers) == {"a": 1}


def test_a_message_that_came_from_no_mailbox_has_an_id_of_its_bytes(receiver: Receiver) -> None:
    for _ in range(2):
        webhook(receiver.url)(parse_message(b"Subject: \xff\xed\xa0\x80\r\n\r\n\xff"))
    first, second = (headers["webhook-id"] for headers, _ in receiver.posts)
    assert first == second != ""


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_success_is_handled(status: int) -> None:
    check_answer(HttpResponse(status, "5", b""), NOW)


@table(
    ("status", "retry_after", "error", "seconds"),
    [
        pytest.param(410, "", Reject, None, id="gone"),
        pytest.param(429, "120", Defer, 120.0, id="too many, for two minutes"),
        pytest.param(503, "0", Defer, 1.0, id="unavailable, for no time"),
        pytest.param(503, "Fri, 15 Jan 2027 08:01:00 GMT", Defer, 60.0, id="until a date"),
        pytest.param(503, "Fri, 15 Jan 2020 08:01:00 GMT", Defer, 1.0, id="until a date of old"),
        pytest.param(429, "", NornmailError, None, id="too many, without a time"),
        pytest.param(503, "soon", NornmailError, None, id="unavailable, with a word"),
        pytest.param(503, "-5", NornmailError, None, id="a negative time"),
        pytest.param(503, "٣", NornmailError, None, id="another digit"),
        pytest.param(301, "", NornmailError, None, id="a redirection"),
        pytest.param(307, "", NornmailError, None, id="another redirection"),
        pytest.param(304, "", NornmailError, None, id="not modified"),
        pytest.param(400, "5", NornmailError, None, id="a bad request"),
        pytest.param(404, "", NornmailError, None, id="not there"),
        pytest.param(500, "5", NornmailError, None, id="trouble"),
        pytest.param(199, "", NornmailError, None, id="below success"),
    ],
)
def test_every_other_answer_is_its_outcome(
    status: int, retry_after: str, error: type[NornmailError], seconds: float | None
) -> None:
    with pytest.raises(NornmailError, match=f"answered {status}: no") as raised:
        check_answer(HttpResponse(status, retry_after, b"no\r\n\x1b"), NOW)
    assert type(raised.value) is error
    assert getattr(raised.value, "seconds", None) == seconds


@pytest.mark.parametrize("value", ["9" * 400, " 7 ", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_retry_after_is_a_number_of_seconds(value: str) -> None:
    assert (retry_seconds(value, NOW) or 0) >= 1


def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [(307, {"Location": receiver.url})]
    with pytest.raises(NornmailError, match="answered 307"):
        webhook(receiver.url)(MESSAGE)
    assert len(receiver.posts) == 1


def test_64_kib_of_an_answer_are_read(receiver: Receiver) -> None:
    receiver.answers, receiver.body = [(200, {})], b"x" * (1 << 22)
    answer = webhook(receiver.url).post("d1", {})
    assert len(answer.octets) == 65_536


# One deadline


@contextmanager
def listening(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server of one connection; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.close()
        thread.join(5)


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def drip(begin: bytes) -> Callable[[socket.socket], None]:
    """A server that goes on with its answer, octet by octet, until the client has enough of it."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(begin)
        while True:
            time.sleep(0.05)
            connection.sendall(b"1")

    return serve


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(silent, id="nothing"),
        pytest.param(drip(b"HTTP/1.1 "), id="a slow status"),
        pytest.param(drip(b"HTTP/1.1 204 No\r\nX: "), id="a slow header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n\r\n"), id="a slow body"),
    ],
)
def test_one_deadline_bounds_the_whole_exchange(serve: Callable[[socket.socket], object]) -> None:
    with listening(serve) as url, pytest.raises(NornmailError):
        webhook(url, timeout=0.3)(MESSAGE)


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(silent, id="nothing"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n\r\n"), id="drips"),
    ],
)
def test_a_program_that_stops_brings_the_message_back_without_an_attempt(
    serve: Callable[[socket.socket], object],
) -> None:
    with listening(serve) as url:
        hook = webhook(url, timeout=60.0)
        hook.stop(0.02)
        for _ in range(2):
            with pytest.raises(Defer, match="stopped before the webhook answered"):
                hook(MESSAGE)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait())
    try:
        with pytest.raises(NornmailError, match="cannot be reached"):
            Webhook("https://example.com/", SECRET, timeout=0.1)(MESSAGE)
    finally:
        released.set()


@table(
    "octets", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 x\r\n\r\n", b"HTTP/1.1 200", b"\xff" * 99]
)
def test_what_is_no_answer_is_a_failure(octets: bytes) -> None:
    with (
        listening(lambda connection: connection.sendall(octets)) as url,
        pytest.raises(NornmailError),
    ):
        webhook(url)(MESSAGE)


@table("status", [100, 102, 103, 150])
def test_an_interim_answer_is_not_the_answer(status: int) -> None:
    octets = b"HTTP/1.1 %d Soon\r\nLink: </a>\r\n\r\n" % status * 2 + b"HTTP/1.1 204 No\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        while not connection.recv(65_536).endswith(b"}"):
            pass
        connection.sendall(octets)

    with listening(answer) as url:
        webhook(url)(MESSAGE)


# Where it goes


@table(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",  # noqa: S104
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1",
        "fe80::1%eth0",
        "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "198.18.0.1",
        "192.0.2.1", "240.0.0.1",
    ],
)  # fmt: skip
def test_a_private_address_is_none_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_a_name_that_leads_to_this_machine_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by DNS rebinding: what is checked is the address that is connected to."""
    port = receiver.server_port
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: [info])
    with pytest.raises(NornmailError, match=r"address 127\.0\.0\.1 is not allowed"):
        webhook(f"https://hooks.example.com:{port}/")(MESSAGE)
    with pytest.raises(NornmailError, match="cannot be reached"):  # it speaks no TLS
        webhook(f"https://hooks.example.com:{port}/", private_hosts="hooks.example.com")(MESSAGE)
    assert receiver.posts == []


@table(
    "url",
    [
        "http://example.com/", "http://127.0.0.1.example.com/", "ftp://example.com/", "example.com",
        "https:///x", "https://user:pw@example.com/", "https://example.com/ x",
        "https://example.com/\r\nX: y", "https://example.com:99999/", "https://[::1/", "", "//x/",
        "https://ex\u0430mple.com/", "https://user@127.0.0.1/",
    ],
)  # fmt: skip
def test_a_url_that_is_not_meant_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="webhook"):
        webhook(url)


@table("secret", ["", "whsec_", "whsec_!!!", "c2hvcnQ=", [], [SECRET, "x"], 5])
def test_a_secret_that_is_none_is_refused_and_not_shown(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="NORNMAIL_WEBHOOK_SECRET") as raised:
        Webhook("https://example.com/", secret)
    assert SECRET not in str(raised.value)


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    with (
        MailServer(tls=True) as server,
        pytest.raises(NornmailError, match=r"cannot be reached.*certificate"),
    ):
        webhook(f"https://127.0.0.1:{server.imap_port}/")(MESSAGE)


# With a poller


def test_a_poller_posts_each_message_until_it_is_taken(receiver: Receiver) -> None:
    with MailServer() as server:
        imap = mailbox_with(server, 3)
        receiver.answers = [(500, {}), (410, {}), (204, {})]
        store = MemoryStateStore()
        poller = Poller(imap, store=store, on_message=webhook(receiver.url), idle=False)
        result = poller.poll_once()
        poller.close()
        assert (result.handled, result.waiting, result.dead) == (1, 1, 1)


# Killed

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
STAGES = (-2, -1, *range(0, len(ANSWER), 3))
"""Where the receiver's first process for a message ends: before it reads, before it answers, and
after so many octets of its answer."""


class Mortal:
    """A receiver whose process ends at a stage, once for each message."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.posts: dict[str, list[str]] = {}

    def serve(self) -> None:
        with suppress(OSError):
            for stage in (*STAGES, *[len(ANSWER)] * 100):
                connection, _ = self._server.accept()
                with connection:
                    self._answer(connection, stage)

    def _answer(self, connection: socket.socket, stage: int) -> None:
        if stage == -2:
            return
        with connection.makefile("rb") as stream:
            lines = iter(stream.readline, b"\r\n")
            fields = dict(line.decode().strip().split(": ", 1) for line in lines if b": " in line)
            body = stream.read(int(fields["Content-Length"]))
        subject = json.loads(body)["data"]["subject"]
        self.posts.setdefault(subject, []).append(fields["webhook-id"])
        connection.sendall(ANSWER[: max(stage, 0)])


def mailbox_with(server: MailServer, count: int) -> ImapSettings:
    server.add_user("agent", "secret")
    for number in range(count):
        server.deliver(f"Subject: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nhi\r\n".encode())
    return ImapSettings(
        host=server.host, port=server.imap_port, username="agent", password="secret", use_ssl=False
    )


def test_a_receiver_that_is_killed_at_any_instant_gets_each_message_under_one_id() -> None:
    clock, handled = FakeClock(), 0
    with (
        MailServer() as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
        closing(MemoryStateStore()) as store,
    ):
        mortal = Mortal(listener)
        threading.Thread(target=mortal.serve, daemon=True).start()
        hook = webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=5)
        imap = mailbox_with(server, len(STAGES))
        poller = Poller(imap, store=store, on_message=hook, idle=False, clock=clock)
        with closing(poller):
            for _ in range(20):
                handled += poller.poll_once().handled
                clock.advance(3_600)
    assert handled == len(STAGES)
    assert sorted(mortal.posts, key=int) == [str(number) for number in range(len(STAGES))]
    assert all(len(set(ids)) == 1 for ids in mortal.posts.values())
    assert len({ids[0] for ids in mortal.posts.values()}) == len(STAGES)


class Killed(BaseException):
    """Ends a sender as a kill does: nothing that handles errors sees it."""


@pytest.mark.parametrize("after", [False, True], ids=["before the post", "behind its answer"])
def test_a_sender_that_is_killed_posts_each_message_under_one_id(
    receiver: Receiver, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def mortal(*args: Any, **more: Any) -> HttpResponse:
        nonlocal calls
        calls += 1
        is_killed = calls % 2 == 1
        if is_killed and not after:
            raise Killed
        answer = exchange(*args, **more)
        if is_killed:
            raise Killed
        return answer

    monkeypatch.setattr("nornmail.webhook.exchange", mortal)
    clock = FakeClock()
    with MailServer() as server:
        imap = mailbox_with(server, 4)
        for _ in range(10):
            store = SqliteStateStore(tmp_path / "store.db")
            hook = webhook(receiver.url)
            poller = Poller(imap, store=store, on_message=hook, idle=False, clock=clock)
            with closing(store), closing(poller), suppress(Killed):
                poller.poll_once()
            clock.advance(3_600)
    posts: dict[str, set[str]] = {}
    for headers, body in receiver.posts:
        posts.setdefault(json.loads(body)["data"]["subject"], set()).add(headers["webhook-id"])
    assert sorted(posts) == ["0", "1", "2", "3"]
    assert all(len(ids) == 1 for ids in posts.values())


# The command


def test_the_command_posts_a_sample_and_says_what_came_back(
    receiver: Receiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORNMAIL_WEBHOOK_SECRET", f"{SECRET} {OLD}")
    command = ["webhook", "test", receiver.url, "--webhook-allow", "127.0.0.1"]
    receiver.answers, receiver.body = [(200, {}), (410, {})], b"thanks\x1b[2J\n"
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "status 200" in told
    assert "thanks" in told
    assert "\x1b" not in told
    headers, body = receiver.posts[0]
    assert verify(headers, body, OLD)
    assert main(command) == 1
    assert "dead at once" in capsys.readouterr().out
    assert main(command[:3]) == 2, "this machine only by name"


def test_the_command_needs_a_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NORNMAIL_WEBHOOK_SECRET", raising=False)
    assert main(["webhook", "test", "https://example.com/"]) == 2
    assert "NORNMAIL_WEBHOOK_SECRET" in capsys.readouterr().err
