"""The wire over a socket in memory: limits, deadlines, and what belongs to which command."""

from __future__ import annotations

import imaplib
import logging

import pytest

from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.imap.limits import CommandBudget, Limits
from nornmail.imap.responses import Exists, Fetch, StatusResponse, Unknown
from nornmail.imap.wire import Wire
from tests.imap.fake import BUDGET, GREETING, PASSWORD, FakeClock, FakeSocket, wire
from tests.support.table import table


def _run(one: Wire, budget: CommandBudget = BUDGET) -> list[object]:
    reply = one.run("NOOP", budget=budget)
    assert reply.end.status == "OK"
    return list(reply.untagged)


@table("chunk", [1, 2, 5, 64, None], ids=lambda size: f"in pieces of {size}")
def test_a_session_reads_the_same_in_any_pieces(chunk: int | None) -> None:
    body = b"Subject: x\r\n\r\nA1 OK no\r\n* BYE no {3}\r\n"
    answer = b"* 1 FETCH (UID 5 BODY[] {%d}\r\n%s FLAGS ())\r\n* 4 EXISTS\r\n" % (len(body), body)
    one = wire(FakeSocket({"NOOP": answer + b"%T OK done\r\n"}, chunk=chunk))
    assert _run(one) == [
        Fetch(1, {"UID": b"5", "BODY[]": body, "FLAGS": ()}),
        Exists(4),
    ]


@table(
    ("answer", "expected"),
    [
        pytest.param(b"%T OK\r\n", [], id="a tagged OK without text"),
        pytest.param(b"* 4 EXISTS\n%T OK x\n", [Exists(4)], id="bare LF"),
        pytest.param(b"\r\n\r\n* 4 EXISTS\r\n%T OK\r\n", [Exists(4)], id="empty lines"),
        pytest.param(b"%T ok x\r\n", [], id="lower case"),
        pytest.param(
            b"[COPYUID 1 2 3]\r\n%T OK x\r\n", [Unknown(b"[COPYUID 1 2 3]")], id="a bare code"
        ),
        pytest.param(
            b"* OK quota is {40}\r\n%T OK x\r\n",
            [StatusResponse("OK", "", "", "quota is {40}")],
            id="a false literal in an untagged OK",
        ),
        pytest.param(b"%T OK see {40}\r\n", [], id="a false literal in the tagged OK"),
        pytest.param(
            b"* 1 FETCH (BODY[] {1}\r\nx\r\n UID 5)\r\n%T OK x\r\n",
            [Fetch(1, {"BODY[]": b"x", "UID": b"5"})],
            id="an empty line after a literal",
        ),
        pytest.param(
            b"* 1 FETCH (FLAGS (\\Seen)\r\n UID 5)\r\n%T OK x\r\n",
            [Unknown(b"* 1 FETCH (FLAGS (\\Seen)"), Unknown(b" UID 5)")],
            id="a line that was split",
        ),
        pytest.param(b"+ go on\r\n%T OK x\r\n", [], id="a continuation nobody waits for"),
        pytest.param(
            b"lit NO x\r\n%T OK x\r\n",
            [Unknown(b"a tagged response to no command of ours")],
            id="a tag of no command",
        ),
    ],
)
def test_harmless_faults_are_taken_as_they_are_meant(answer: bytes, expected: list[object]) -> None:
    assert _run(wire(FakeSocket({"NOOP": answer}))) == expected


@table(
    "answer",
    [
        pytest.param(
            b"* 1 FETCH (BODY[] {99999999999}\r\n", id="a literal of 99,999,999,999 octets"
        ),
        pytest.param(b"* 1 FETCH (BODY[] {1001}\r\n", id="a literal over the cap by one"),
        pytest.param(b"* 1 FETCH (BODY[] {" + b"9" * 5000 + b"}\r\n", id="a size of 5,000 digits"),
        pytest.param(b"* " + b"9" * 5000 + b" EXISTS\r\n", id="a number of 5,000 digits"),
        pytest.param(b"* 1 FETCH " + b"(" * 5000 + b"\r\n", id="a nesting bomb"),
        pytest.param(b"* OK " + b"x" * 2000 + b"\r\n", id="a line over the limit"),
        pytest.param(b"* OK x\r\n" * 20_000, id="more octets than the whole answer may have"),
        pytest.param(b"* 1 EXISTS\r\n" * 100, id="more responses than the limit"),
    ],
)
def test_what_is_too_much_is_a_protocol_error_and_closes(answer: bytes) -> None:
    sock = FakeSocket({"NOOP": answer + b"%T OK x\r\n"})
    one = wire(sock, limits=Limits(line=1500, responses=50))
    with pytest.raises(ProtocolError):
        one.run("NOOP", budget=BUDGET)
    assert sock.closed


def test_a_literal_may_be_as_large_as_the_cap() -> None:
    answer = b"* 1 FETCH (BODY[] {1000}\r\n" + b"x" * 1000 + b")\r\n%T OK\r\n"
    assert _run(wire(FakeSocket({"NOOP": answer}))) == [Fetch(1, {"BODY[]": b"x" * 1000})]


@table(
    ("answer", "words"),
    [
        pytest.param(b"* BYE\r\n", "closed the connection", id="a BYE without text"),
        pytest.param(
            b"* BYE Autologout; idle for too long\r\n* BYE again\r\n", "Autologout", id="many BYEs"
        ),
        pytest.param(
            b"* 1 FETCH (BODY[] {10}\r\nabc", "closed the connection", id="half a literal"
        ),
        pytest.param(b"* 1 EXI", "closed the connection", id="half a line"),
        pytest.param(b"", "closed the connection", id="nothing"),
    ],
)
def test_the_end_of_the_connection_says_how_it_came(answer: bytes, words: str) -> None:
    sock = FakeSocket({"NOOP": answer}, ends=True)
    one = wire(sock)
    with pytest.raises(ConnectionLost, match=words):
        one.run("NOOP", budget=BUDGET)
    assert sock.closed
    with pytest.raises(ConnectionLost):
        one.run("NOOP", budget=BUDGET)


def test_a_drip_feed_does_not_extend_the_deadline() -> None:
    clock = FakeClock()
    sock = FakeSocket({"NOOP": b"* OK " + b"x" * 1000 + b"\r\n%T OK\r\n"}, chunk=1)
    one = wire(sock, clock=clock)

    def pass_a_second() -> None:
        clock.now += 1

    sock._each = pass_a_second
    sock.timeouts.clear()
    with pytest.raises(ConnectionLost, match="in time"):
        one.run("NOOP", budget=BUDGET)
    assert sock.timeouts == [60.0, *(60.0 - second for second in range(60))]
    assert sock.closed


def test_the_socket_waits_no_longer_than_what_is_left() -> None:
    sock = FakeSocket()
    one = wire(sock)
    sock.timeouts.clear()
    one.run("NOOP", budget=CommandBudget(7.5, 1000, 1000))
    assert set(sock.timeouts) == {7.5}


def test_silence_ends_with_the_deadline() -> None:
    sock = FakeSocket({"NOOP": b"* OK working\r\n"})
    one = wire(sock)
    with pytest.raises(ConnectionLost, match=r"NOOP.*in time"):
        one.run("NOOP", budget=BUDGET)
    assert sock.closed


def test_stale_data_does_not_reach_the_next_command() -> None:
    stale = b"* 1 FETCH (UID 5 BODY[] {3}\r\nold)\r\n%T NO gone\r\n"
    one = wire(FakeSocket({"NOOP": [stale, b"%T OK\r\n"]}))
    assert one.run("NOOP", budget=BUDGET).end.status == "NO"
    assert _run(one) == []


def test_a_refusal_is_an_answer_and_not_an_error() -> None:
    one = wire(FakeSocket({"NOOP": [b"%T BAD [CLIENTBUG] no\r\n", b"%T OK\r\n"]}))
    end = one.run("NOOP", budget=BUDGET).end
    assert (end.status, end.code, end.text) == ("BAD", "CLIENTBUG", "no")
    assert _run(one) == []


def test_log_out_needs_no_tagged_answer() -> None:
    sock = FakeSocket({"LOGOUT": b"* BYE see you\r\n"})
    wire(sock).log_out(BUDGET)
    assert sock.closed


def test_log_out_closes_when_it_fails() -> None:
    sock = FakeSocket({"LOGOUT": b"* OK " + b"x" * 100}, ends=True)
    with pytest.raises(ConnectionLost):
        wire(sock).log_out(BUDGET)
    assert sock.closed


@table(
    ("greeting", "error", "words"),
    [
        pytest.param(b"* BYE [ALERT] too busy\r\n", ConnectionLost, "too busy", id="BYE"),
        pytest.param(b"220 mail ESMTP\r\n", ProtocolError, "IMAP_PORT", id="an SMTP server"),
        pytest.param(b"+ hello\r\n", ProtocolError, "IMAP_PORT", id="a continuation"),
        pytest.param(b"* NO\r\n", ProtocolError, "IMAP_PORT", id="NO"),
        pytest.param(b"* 5 EXISTS\r\n", ProtocolError, "IMAP_PORT", id="data"),
        pytest.param(b"", ConnectionLost, "in time", id="silence"),
        pytest.param(b"* OK [CAPABILITY POP3] x\r\n", ProtocolError, "IMAP4", id="no IMAP4rev1"),
    ],
)
def test_who_does_not_greet_as_an_imap_server_is_left(
    greeting: bytes, error: type[Exception], words: str
) -> None:
    sock = FakeSocket(greeting=greeting)
    with pytest.raises(error, match=words):
        wire(sock)
    assert sock.closed


def test_capabilities_are_asked_for_only_where_the_greeting_has_none() -> None:
    told, silent = (
        FakeSocket(),
        FakeSocket(
            {"CAPABILITY": b"* CAPABILITY IMAP4rev1 IDLE\r\n%T OK\r\n"}, greeting=b"* OK hi\r\n"
        ),
    )
    wire(told)
    assert told.sent == []
    assert "IDLE" in wire(silent).capabilities
    assert silent.names == ["CAPABILITY"]


def test_no_log_of_commands_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imaplib, "Debug", 5)
        one = wire(FakeSocket())
        one.run("LOGIN", b'"agent"', b'"' + PASSWORD.encode() + b'"', budget=BUDGET, hidden=True)
    assert PASSWORD not in repr(vars(one))
    assert PASSWORD not in "".join(capsys.readouterr())
    assert vars(one).get("_cmd_log") in ({}, None)


def test_a_command_that_imaplib_does_not_know_leaves_its_table_alone() -> None:
    sock = FakeSocket()
    one = wire(sock)
    before = dict(imaplib.Commands)
    assert one.run("ID", b"NIL", budget=BUDGET).end.status == "OK"
    assert sock.sent[-1].endswith(b" ID NIL")
    assert imaplib.Commands == before


def test_what_is_not_understood_is_logged_without_controls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = wire(FakeSocket({"NOOP": b"* STRANGE \x1b[31m thing\r\n%T OK\r\n"}))
    with caplog.at_level(logging.DEBUG, "nornmail.imap"):
        _run(one)
    assert "STRANGE" in caplog.text
    assert "\x1b" not in caplog.text


def test_the_greeting_is_kept() -> None:
    one = wire(FakeSocket(greeting=GREETING))
    assert one.greeting is not None
    assert one.greeting.text == "ready"
