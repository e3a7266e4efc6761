"""Getting in: which way the credentials go, and what a refusal means."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConnectionLost,
    NornmailError,
    Throttled,
)
from tests.imap.fake import GREETING, PASSWORD, Answer, FakeSocket, connection
from tests.support.table import table

PLAINEST = b"* OK [CAPABILITY IMAP4rev1] hi\r\n"
WITH_PLAIN = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi\r\n"
DISABLED = b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] hi\r\n"


def test_login_is_quoted() -> None:
    sock = FakeSocket()
    connection(sock, select=False, username="a b", password='x"y\\z')
    assert sock.sent[0].partition(b" ")[2] == b'LOGIN "a b" "x\\"y\\\\z"'


@pytest.mark.parametrize(
    ("greeting", "username", "password"),
    [
        pytest.param(WITH_PLAIN, "jörg", "pässword", id="what is not ASCII"),
        pytest.param(DISABLED, "agent", "secret", id="where LOGIN is disabled"),
    ],
)
def test_sasl_plain_is_used(greeting: bytes, username: str, password: str) -> None:
    sock = FakeSocket({"AUTHENTICATE": [b"+ go ahead!\r\n", b"%T OK\r\n"]}, greeting=greeting)
    connection(sock, select=False, username=username, password=password)
    assert sock.sent[0].endswith(b" AUTHENTICATE PLAIN")
    assert base64.b64decode(sock.sent[1]).decode() == f"\0{username}\0{password}"


LITERALS: list[bytes] = [b"+ go on\r\n", b"+ go on\r\n", b"%T OK [CAPABILITY IMAP4rev1] hi\r\n"]
POUND = "This1sA\u00a3Test"


@table(
    ("offered", "username", "password", "expected"),
    [
        pytest.param(b"", "agent", POUND,
                     [b"LOGIN {5}", b"agent {13}", POUND.encode()], id="LOGIN with literals"),
        pytest.param(b" AUTH=XOAUTH2", "j\u00f6rg", "secret",
                     [b"LOGIN {5}", "j\u00f6rg {6}".encode(), b"secret"], id="a user beyond ASCII"),
        pytest.param(b" AUTH=LOGIN", "agent", POUND,
                     [b"AUTHENTICATE LOGIN", b"YWdlbnQ=", b"VGhpczFzQcKjVGVzdA=="],
                     id="AUTHENTICATE LOGIN where it is offered"),
        pytest.param(b" LOGINDISABLED AUTH=LOGIN", "agent", "secret",
                     [b"AUTHENTICATE LOGIN", b"YWdlbnQ=", b"c2VjcmV0"],
                     id="AUTHENTICATE LOGIN where LOGIN is disabled"),
        pytest.param(b"", "agent", "abcd\u00a0efgh", [b'LOGIN "agent" "abcdefgh"'],
                     id="an app password without its no-break spaces"),
    ],
)  # fmt: skip
def test_a_password_goes_the_way_that_the_server_has(
    offered: bytes, username: str, password: str, expected: list[bytes]
) -> None:
    greeting = b"* OK [CAPABILITY IMAP4rev1" + offered + b"] hi\r\n"
    answers: dict[str, Answer] = {"AUTHENTICATE": list(LITERALS)}
    if len(expected) > 1:
        answers["LOGIN"] = list(LITERALS)
    sock = FakeSocket(answers, greeting=greeting)
    connection(sock, select=False, username=username, password=password)
    assert [sock.sent[0].partition(b" ")[2], *sock.sent[1:]] == expected


def test_a_refused_password_beyond_ascii_is_said_to_be_utf_8() -> None:
    sock = FakeSocket({"LOGIN": [*LITERALS[:2], b"%T NO no\r\n"]}, greeting=PLAINEST)
    with pytest.raises(AuthenticationFailed, match="UTF-8"):
        connection(sock, select=False, password=POUND)


def test_a_second_challenge_does_not_get_the_password_again() -> None:
    answers: list[bytes] = [b"+ \r\n", b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n", b"%T NO no\r\n"]
    sock = FakeSocket({"AUTHENTICATE": answers}, greeting=DISABLED)
    with pytest.raises(AuthenticationFailed):
        connection(sock, select=False)
    assert sock.sent[2] == b"*"  # RFC 3501, 6.2.2: the exchange is cancelled
    assert sock.closed


@pytest.mark.parametrize(
    "capabilities",
    [
        pytest.param(b"LOGINDISABLED", id="no mechanism at all"),
        pytest.param(b"LOGINDISABLED AUTH=XOAUTH2", id="OAuth alone"),
    ],
)
def test_where_no_password_is_taken_none_is_sent(capabilities: bytes) -> None:
    sock = FakeSocket(greeting=b"* OK [CAPABILITY IMAP4rev1 " + capabilities + b"] hi\r\n")
    with pytest.raises(AuthenticationFailed, match="no password"):
        connection(sock, select=False)
    assert sock.sent == []
    assert sock.closed


def test_without_a_username_the_error_names_it() -> None:
    sock = FakeSocket()
    with pytest.raises(AuthenticationFailed, match="IMAP_USERNAME"):
        connection(sock, select=False, username=None, password=None)
    assert sock.closed


@table(
    ("answer", "error"),
    [
        pytest.param(b"NO [AUTHENTICATIONFAILED] no", AuthenticationFailed, id="a wrong password"),
        pytest.param(b"NO LOGIN failed.", AuthenticationFailed, id="no code"),
        pytest.param(
            b"NO [ALERT] Application-specific password required: https://x (Failure)",
            AuthenticationFailed,
            id="an ALERT",
        ),
        pytest.param(b"NO [UNAVAILABLE] later", Throttled, id="UNAVAILABLE"),
        pytest.param(b"NO [INUSE] later", Throttled, id="INUSE"),
        pytest.param(b"NO [LIMIT] later", Throttled, id="LIMIT"),
        pytest.param(b"NO [overquota] later", Throttled, id="OVERQUOTA"),
        pytest.param(b"NO [SERVERBUG] later", Throttled, id="SERVERBUG"),
        pytest.param(
            b"NO [ALERT] Too many simultaneous connections. (Failure)",
            Throttled,
            id="too many connections",
        ),
        pytest.param(
            b"NO Request is throttled. Suggested Backoff Time: 299609 milliseconds",
            Throttled,
            id="throttled",
        ),
        pytest.param(
            b"NO [AUTHENTICATIONFAILED] Temporarily, try again later",
            AuthenticationFailed,
            id="a code weighs more than words",
        ),
        pytest.param(b"BAD Command Argument Error. 12", CommandRefused, id="BAD"),
    ],
)
def test_a_refusal_is_final_or_passes(answer: bytes, error: type[NornmailError]) -> None:
    sock = FakeSocket({"LOGIN": b"%T " + answer + b"\r\n"})
    with pytest.raises(error):
        connection(sock, select=False)
    assert sock.closed
    assert sock.names == ["LOGIN"]


@table(
    ("login", "expected", "asked"),
    [
        pytest.param(b"%T OK [CAPABILITY IMAP4rev1 A] x\r\n", "A", False, id="in the code"),
        pytest.param(b"* CAPABILITY IMAP4rev1 B\r\n%T OK x\r\n", "B", False, id="untagged"),
        pytest.param(
            b"* OK [CAPABILITY IMAP4rev1 C] x\r\n%T OK x\r\n", "C", False, id="in an untagged code"
        ),
        pytest.param(
            b"* CAPABILITY OLD\r\n%T OK [CAPABILITY IMAP4rev1 D] x\r\n", "D", False, id="in both"
        ),
        pytest.param(b"%T OK x\r\n", "ASKED", True, id="nowhere, so it is asked"),
    ],
)
def test_capabilities_after_login(login: bytes, expected: str, asked: bool) -> None:
    sock = FakeSocket({"LOGIN": login, "CAPABILITY": b"* CAPABILITY IMAP4rev1 ASKED\r\n%T OK\r\n"})
    assert connection(sock, select=False).capabilities == {"IMAP4REV1", expected}
    assert ("CAPABILITY" in sock.names) is asked


@table(
    ("capabilities", "host", "sent"),
    [
        pytest.param(b"IMAP4rev1 ID", "mail.example", True, id="where it is advertised"),
        pytest.param(b"IMAP4rev1", "mail.example", False, id="not where it is not"),
        pytest.param(b"IMAP4rev1 ID X-CM-EXT-1", "mail.example", True, id="to Coremail"),
        pytest.param(b"IMAP4rev1 X-CM-EXT-1", "mail.example", True, id="to Coremail, unadvertised"),
        pytest.param(b"IMAP4rev1", "imap.163.com", True, id="to NetEase, unadvertised"),
    ],
)
def test_id_is_sent_after_the_login(capabilities: bytes, host: str, sent: bool) -> None:
    sock = FakeSocket({"LOGIN": b"%T OK [CAPABILITY " + capabilities + b"] x\r\n"})
    connection(sock, host=host)
    assert sock.names == (["LOGIN", "ID", "SELECT"] if sent else ["LOGIN", "SELECT"])


@pytest.mark.parametrize("answer", [b"%T NO no\r\n", b"%T BAD what?\r\n"])
def test_a_refused_id_is_no_trouble(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    login = b"%T OK [CAPABILITY IMAP4rev1 ID] x\r\n"
    sock = FakeSocket({"LOGIN": login, "ID": answer})
    connection(sock)
    assert sock.names == ["LOGIN", "ID", "SELECT"]
    assert caplog.text == ""


PREAUTH = b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n"


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="a username is set"),
        pytest.param(
            {"username": None, "password": None, "starttls": True}, id="STARTTLS is wanted"
        ),
        pytest.param({"starttls": True}, id="both"),
    ],
)
def test_preauth_is_refused(more: dict[str, Any]) -> None:
    sock = FakeSocket(greeting=PREAUTH)
    with pytest.raises(ConnectionLost, match="PREAUTH"):
        connection(sock, select=False, **more)
    assert sock.sent == []
    assert sock.closed


def test_preauth_is_taken_where_nobody_is_to_log_in() -> None:
    sock = FakeSocket({"CAPABILITY": b"* CAPABILITY IMAP4rev1 MOVE\r\n%T OK\r\n"}, greeting=PREAUTH)
    opened = connection(sock, username=None, password=None)
    assert sock.names == ["CAPABILITY", "SELECT"]
    assert "MOVE" in opened.capabilities


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        pytest.param(GREETING, b"%T OK\r\n", id="it is not offered"),
        pytest.param(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n", b"%T NO no\r\n", id="it is refused"
        ),
        pytest.param(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",
            b"%T OK\r\n* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\n",
            id="plain text follows the OK",
        ),
    ],
)
def test_without_starttls_nothing_secret_is_sent(greeting: bytes, answer: bytes) -> None:
    sock = FakeSocket({"STARTTLS": answer}, greeting=greeting)
    with pytest.raises(ConnectionLost):
        connection(sock, select=False, starttls=True)
    assert sock.names in ([], ["STARTTLS"])
    assert sock.closed


def test_a_password_in_the_clear_is_a_logged_warning(caplog: pytest.LogCaptureFixture) -> None:
    sock = FakeSocket()
    sock.peer = "192.0.2.7"
    connection(sock, select=False)
    assert "unencrypted to mail.example:143" in caplog.text
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_to_this_machine_it_is_not(peer: str, caplog: pytest.LogCaptureFixture) -> None:
    sock = FakeSocket()
    sock.peer = peer
    connection(sock, select=False)
    assert caplog.text == ""


ECHOES = [
    pytest.param({"LOGIN": b"%T NO bad LOGIN agent %P\r\n"}, {}, id="NO to LOGIN"),
    pytest.param({"LOGIN": b'%T BAD LOGIN "%P"\r\n'}, {}, id="BAD to LOGIN"),
    pytest.param({"LOGIN": b"%T NO [%P] x\r\n"}, {}, id="in a code"),
    pytest.param({"LOGIN": b"* BYE you said %P\r\n"}, {}, id="BYE to LOGIN"),
    pytest.param(
        {"AUTHENTICATE": [b"+\r\n", b"%T NO you said %B\r\n"]}, {"greeting": DISABLED}, id="PLAIN"
    ),
    pytest.param({"SELECT": b"%T NO %P\r\n"}, {}, id="later"),
    pytest.param({"SELECT": b"* NO [ALERT] %P\r\n* %P\r\n%T BAD %P\r\n"}, {}, id="in an ALERT"),
]


@pytest.mark.parametrize("password", ["hunter2-hunter2", 'q"uo\\te hunter2'])
@pytest.mark.parametrize(("answers", "more"), ECHOES)
def test_an_echoed_password_reaches_neither_error_nor_log(
    answers: dict[str, bytes | list[bytes]],
    more: dict[str, bytes],
    password: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    packed = base64.b64encode(b"\0agent\0" + password.encode())

    def filled(answer: bytes) -> bytes:
        return answer.replace(b"%P", password.encode()).replace(b"%B", packed)

    table: dict[str, bytes | list[bytes]] = {
        name: filled(answer) if isinstance(answer, bytes) else [filled(one) for one in answer]
        for name, answer in answers.items()
    }
    sock = FakeSocket(table, greeting=more.get("greeting", GREETING))
    with caplog.at_level(logging.DEBUG), pytest.raises(NornmailError) as caught:
        connection(sock, password=password)
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    shown = caplog.text + "".join(f"{link} {link!r} {vars(link)}" for link in chain)
    for form in (password, packed.decode(), "hunter2"):
        assert form not in shown


def test_text_of_a_server_is_cut_and_has_no_controls() -> None:
    sock = FakeSocket({"SELECT": b"%T NO \x1b[31m" + b"x" * 5000 + b"\xe2\x80\xae\r\n"})
    with pytest.raises(CommandRefused) as caught:
        connection(sock)
    assert caught.value.text.isprintable()
    assert len(caught.value.text) <= 300
