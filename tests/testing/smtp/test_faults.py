"""Every fault of SMTP, seen by a client that reads octets."""

from __future__ import annotations

import ssl
import threading

import pytest

from nornmail.testing import MailServer
from nornmail.testing import smtp_faults as faults
from nornmail.testing.fault_plan import Fault
from nornmail.testing.state import CertificateKind
from tests.support.table import table
from tests.testing.smtp.raw import MESSAGE, PASSWORD, PLAIN, USER, RawClient

COMMANDS = {
    "EHLO": b"EHLO me",
    "HELO": b"HELO me",
    "STARTTLS": b"STARTTLS",
    "AUTH": b"AUTH PLAIN " + PLAIN,
    "MAIL": b"MAIL FROM:<a@b>",
    "RCPT": b"RCPT TO:<c@d>",
    "DATA": b"DATA",
    "DOT": MESSAGE + b".",
    "RSET": b"RSET",
    "NOOP": b"NOOP",
    "VRFY": b"VRFY x",
    "HELP": b"HELP",
    "QUIT": b"QUIT",
}
BEFORE = {
    "RCPT": ["MAIL"],
    "DATA": ["MAIL", "RCPT"],
    "DOT": ["MAIL", "RCPT", "DATA"],
}
"""What a client says before a stage; EHLO before all of them."""

stages = pytest.mark.parametrize("stage", ["CONNECT", *COMMANDS])


@pytest.fixture
def server() -> MailServer:
    """Offers STARTTLS, and AUTH before it. Started by `at`, so that CONNECT can be spoilt too."""
    server = MailServer(starttls=True)
    server.smtp.auth_without_tls = True
    server.add_user(USER, PASSWORD)
    return server


class At:
    """A client that has come to a stage; ``line`` is what it says there."""

    def __init__(self, server: MailServer, stage: str) -> None:
        self.client = RawClient(server)
        self.line = COMMANDS.get(stage)
        if stage == "CONNECT":
            return
        self.client.reply()
        if stage not in ("EHLO", "HELO"):
            self.client.command(b"EHLO me")
        for before in BEFORE.get(stage, []):
            self.client.command(COMMANDS[before])

    def say(self) -> None:
        if self.line is not None:
            self.client.send(self.line + b"\r\n")


@stages
def test_a_reply_of_any_code_comes_at_any_stage(server: MailServer, stage: str) -> None:
    server.faults.add(faults.Answer(stage.lower(), 471, "4.7.9 first\n4.7.9 second"))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            assert client.reply() == b"471-4.7.9 first\r\n471 4.7.9 second\r\n"
            assert client.codes(b"NOOP") == [250]
    assert server.faults.pending == []
    assert server.outbox == []


@stages
def test_421_closes_the_connection_at_any_stage(server: MailServer, stage: str) -> None:
    server.faults.add(faults.Answer(stage, 421, "4.3.2 going down"))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            assert client.all() == b"421 4.3.2 going down\r\n"


@stages
def test_a_drop_at_any_stage(server: MailServer, stage: str) -> None:
    server.faults.add(faults.Cut(stage, before=True))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            assert client.all() == b""
    assert server.outbox == []


@stages
def test_garbage_at_any_stage(server: MailServer, stage: str) -> None:
    server.faults.add(faults.Garbage(stage, b"\xff\0 what\r\n"))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            assert client.reply() == b"\xff\0 what\r\n"
            assert client.codes(b"NOOP") == [250]


@stages
def test_silence_at_any_stage_ends_with_the_client(server: MailServer, stage: str) -> None:
    server.faults.add(faults.Silent(stage))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            server.wait_for(lambda server: not server.faults.pending)
            client.send(b"NOOP\r\n")
            with RawClient.to(server) as other:  # which is answered meanwhile
                assert other.codes(b"NOOP") == [250]
            client.sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.sock.recv(1)
        server.wait_for(lambda server: server.smtp.live_connections == 0)
    assert server.outbox == []


def test_silence_ends_with_the_server(server: MailServer) -> None:
    server.faults.add(faults.Silent("NOOP"))
    with server:
        client = RawClient.to(server)
        client.send(b"NOOP\r\n")
        server.wait_for(lambda server: not server.faults.pending)
    assert client.all() == b""
    client.sock.close()


@stages
def test_a_drip_at_any_stage(server: MailServer, stage: str) -> None:
    pieces: list[int] = []
    server.faults.add(faults.Drip(stage, chunk=3, delay=0.0001, hook=lambda: pieces.append(1)))
    with server:
        at = At(server, stage)
        with at.client as client:
            at.say()
            reply = client.reply()
            assert reply[:1] in (b"2", b"3")
    assert len(pieces) == -(-len(reply) // 3)


@pytest.mark.parametrize(
    ("fault", "accepted", "heard"),
    [
        pytest.param(faults.Cut("DOT", before=True), 0, b"", id="dropped before it was accepted"),
        pytest.param(faults.Cut("DOT"), 1, b"", id="dropped after"),
        pytest.param(faults.Cut("DOT", after_bytes=3), 1, b"250", id="in the answer"),
        pytest.param(
            faults.Answer("DOT", 451, "4.3.0 oops", act=True, close=True),
            1,
            b"451 4.3.0 oops\r\n",
            id="accepted and denied",
        ),
        pytest.param(
            faults.Answer("DOT", 250, "fine", close=True), 0, b"250 fine\r\n", id="lost and praised"
        ),
        pytest.param(faults.CutInMessage(), 0, b"", id="dropped when it begins"),
        pytest.param(faults.CutInMessage(after_bytes=10), 0, b"", id="dropped within"),
        pytest.param(faults.CutInMessage(after_bytes=10**6), 0, b"", id="dropped at the dot"),
    ],
)
def test_what_becomes_of_the_message(
    server: MailServer, fault: Fault, accepted: int, heard: bytes
) -> None:
    server.faults.add(fault)
    with server:
        at = At(server, "DOT")
        with at.client as client:
            at.say()
            assert client.all() == heard
        assert len(server.outbox) == accepted


def test_a_connection_can_end_at_every_octet(server: MailServer) -> None:
    said = b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRSET\r\nQUIT\r\n"
    with server:
        whole = RawClient.hear(server, said)
        assert whole.endswith(b"221 2.0.0 Bye\r\n")
        for size in range(0, len(whole), 7):
            server.faults.add(faults.CutTotal(after_bytes=size))
            assert RawClient.hear(server, said) == whole[:size]
        server.faults.add(faults.CutTotal(reset=True))
        with pytest.raises(ConnectionResetError):
            RawClient.hear(server)


def test_a_message_accepted_in_silence(server: MailServer) -> None:
    server.faults.add(faults.Silent("DOT", after_bytes=4))
    with server:
        at = At(server, "DOT")
        with at.client as client:
            at.say()
            server.wait_for_sent()
            assert client.sock.recv(100) == b"250 "


@pytest.mark.parametrize(
    "fault",
    [faults.Cut("NOOP", reset=True, before=True), faults.CutInMessage(reset=True)],
    ids=repr,
)
def test_a_reset_is_a_connection_error(server: MailServer, fault: Fault) -> None:
    server.faults.add(fault)
    with server:
        at = At(server, "NOOP" if isinstance(fault, faults.Cut) else "DOT")
        with at.client as client:
            at.say()
            with pytest.raises(ConnectionResetError):
                client.all()


def test_one_recipient_is_refused(server: MailServer) -> None:
    server.faults.add(
        faults.Answer("RCPT", 550, "5.1.1 no such user", recipient="x@EXAMPLE.org", times=None),
        faults.Answer("RCPT", 452, "4.2.2 full", recipient="y@example.org"),
    )
    lines = [b"RCPT TO:<%b@example.org>" % name for name in (b"x", b"y", b"z", b"x", b"y", b"X")]
    with server, RawClient.to(server) as client:
        client.command(b"MAIL FROM:<a@b>")
        assert client.codes(*lines) == [550, 452, 250, 550, 250, 250]
        client.codes(b"DATA", MESSAGE + b".")
    assert server.outbox[0].rcpt_tos == ("z@example.org", "y@example.org", "X@example.org")


def test_a_fault_fires_so_many_times_from_the_nth_on(server: MailServer) -> None:
    server.faults.add(faults.Answer("NOOP", 450, times=2, on_nth=3))
    with server, RawClient.to(server) as client:
        assert client.codes(*[b"NOOP"] * 6) == [250, 250, 450, 450, 250, 250]


def test_a_fault_of_no_stage_is_for_all(server: MailServer) -> None:
    server.faults.add(faults.Answer(code=499, times=3))
    with server, RawClient(server) as client:
        assert client.reply().startswith(b"499 ")
        assert client.codes(b"EHLO me", b"NOOP", b"NOOP") == [499, 499, 250]


def test_a_server_that_greets_with_554_takes_nothing_but_quit(server: MailServer) -> None:
    server.faults.add(faults.Answer("CONNECT", 554, "no"))
    with server, RawClient(server) as client:
        assert client.reply() == b"554 no\r\n"
        server.faults.add(faults.Answer("QUIT", 421))
        assert client.codes(b"EHLO me", b"NOOP", b"QUIT") == [503, 503, 421]


def test_octets_before_and_behind_the_answer_and_another_answer(server: MailServer) -> None:
    server.faults.add(
        faults.Extra("NOOP", b"250 first\r\n"),
        faults.Trailing("NOOP", b"250 last\r\n"),
        faults.Rewrite("RSET", bytes.upper),
    )
    with server, RawClient.to(server) as client:
        client.send(b"NOOP\r\n")
        assert [client.line() for _ in range(3)] == [
            b"250 first\r\n",
            b"250 2.0.0 OK\r\n",
            b"250 last\r\n",
        ]
        assert client.command(b"RSET") == b"250 2.0.0 OK\r\n"


def test_a_call_changes_the_world_before_the_act(server: MailServer) -> None:
    server.faults.add(faults.Call("MAIL", lambda: server.smtp.local_domains.add("d")))
    with server, RawClient.to(server) as client:
        assert client.codes(b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>") == [250, 550]


def test_what_a_call_raises_comes_out_of_the_server(server: MailServer) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    server.faults.add(faults.Call("NOOP", fail))
    with pytest.raises(ExceptionGroup, match="the test server failed"), server:
        RawClient.hear(server, b"NOOP\r\n")


def test_starttls_is_stripped_from_the_answer(server: MailServer) -> None:
    server.faults.add(faults.Strip(), faults.Strip("auth"))
    with server, RawClient.to(server, hello=b"") as client:
        first = client.command(b"EHLO me")
        assert b"STARTTLS" not in first
        assert b"AUTH" not in first
        assert b"STARTTLS" in client.command(b"EHLO me")


def test_octets_are_injected_before_tls_begins(server: MailServer) -> None:
    server.faults.add(faults.Trailing("STARTTLS", b"250-evil\r\n250 AUTH PLAIN\r\n"))
    with server, RawClient.to(server) as client:
        client.send(b"STARTTLS\r\n")
        assert [client.line()[:4], client.line(), client.line()] == [
            b"220 ",
            b"250-evil\r\n",
            b"250 AUTH PLAIN\r\n",
        ]
        client.start_tls(server)
        assert client.codes(b"NOOP") == [250]


@table(
    ("kind", "complaint"),
    [
        ("expired", "expired"),
        ("other_name", "localhost"),
        ("self_signed", "self.signed"),
    ],
)
@table("security", ["starttls", "tls"])
def test_a_bad_certificate_is_refused(security: str, kind: CertificateKind, complaint: str) -> None:
    with MailServer(tls=security == "tls", starttls=security == "starttls") as server:
        server.faults.add(faults.BadCertificate(kind=kind))
        for expected in (complaint, None):
            client = RawClient(server)
            if security == "starttls":
                client.reply()
                client.codes(b"EHLO me", b"STARTTLS")
            if expected is None:
                client.start_tls(server)
            else:
                with pytest.raises(ssl.SSLCertVerificationError, match=expected):
                    client.start_tls(server)
            client.sock.close()


@pytest.mark.parametrize(
    "fault", [faults.Cut("HANDSHAKE", before=True), faults.Garbage("HANDSHAKE")], ids=repr
)
def test_a_handshake_that_fails(fault: Fault) -> None:
    with MailServer(tls=True) as server:
        server.faults.add(fault)
        client = RawClient(server)
        with pytest.raises(OSError, match=r"SSL|EOF|reset"):
            client.start_tls(server)
        client.sock.close()


@table(
    ("make", "complaint"),
    [
        pytest.param(lambda: faults.Answer("RCTP"), "did you mean 'RCPT'", id="a misspelt stage"),
        pytest.param(lambda: faults.Answer("RCPT", 5), "three digits", id="a code of one digit"),
        pytest.param(
            lambda: faults.Cut("DATA", recipient="a@b", before=True),
            "for the stage RCPT",
            id="a recipient",
        ),
        pytest.param(lambda: faults.Strip(times=0), "must be 1 or more", id="times"),
        pytest.param(lambda: faults.Strip("STARTLS"), "mean 'STARTTLS'", id="an extension"),
    ],
)
def test_a_fault_that_could_never_fire_is_a_mistake(make: object, complaint: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=complaint):
        make()


def test_a_slow_answer_holds_up_nobody_else(server: MailServer) -> None:
    gate = threading.Event()
    server.faults.add(faults.Call("NOOP", gate.wait))
    with server, RawClient.to(server) as slow, RawClient.to(server) as other:
        slow.send(b"NOOP\r\n")
        server.wait_for(lambda server: not server.faults.pending)
        assert other.codes(b"NOOP") == [250]
        gate.set()
        assert slow.reply() == b"250 2.0.0 OK\r\n"
