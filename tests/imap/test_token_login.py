"""Logging in with a token: what is sent, when another one is asked for, and what is never shown."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nornmail.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    Throttled,
)
from nornmail.imap.connection import Connection
from nornmail.net.sasl import refusal_status
from nornmail.settings.imap import ImapSettings
from nornmail.testing import MailServer, faults
from tests.imap.fake import Answer, FakeSocket, connection
from tests.support.table import table

TOKEN = "ya29.s3cr3t-t0ken"
OTHER = "ya29.an0ther-t0ken"
OAUTHBEARER = b"n,a=agent,\1host=mail.example\1port=143\1auth=Bearer ya29.s3cr3t-t0ken\1\1"
XOAUTH2 = b"user=agent\1auth=Bearer ya29.s3cr3t-t0ken\1\1"
CHALLENGE = b"+ " + base64.b64encode(b'{"status":"401","schemes":"bearer"}') + b"\r\n"
REFUSED = b"%T NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n"
WELCOME = b"%T OK [CAPABILITY IMAP4rev1] welcome\r\n"


def offering(capabilities: bytes) -> bytes:
    return b"* OK [CAPABILITY IMAP4rev1 " + capabilities + b"] hi\r\n"


IR = offering(b"SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER")


def tokens(*given: str) -> Callable[[], str]:
    """A callback that gives these, the last one again and again."""
    left = list(given)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def with_token(sock: FakeSocket, token: Callable[[], str], **more: Any) -> Connection:
    return connection(sock, select=False, password=None, token=token, **more)


@table(
    ("offered", "mechanism", "message"),
    [
        pytest.param(b"AUTH=XOAUTH2 AUTH=OAUTHBEARER", b"OAUTHBEARER", OAUTHBEARER, id="both"),
        pytest.param(
            b"AUTH=OAUTHBEARER AUTH=PLAIN", b"OAUTHBEARER", OAUTHBEARER, id="the standard"
        ),
        pytest.param(b"AUTH=XOAUTH2 AUTH=PLAIN", b"XOAUTH2", XOAUTH2, id="XOAUTH2 alone"),
        pytest.param(b"LOGINDISABLED AUTH=XOAUTH2", b"XOAUTH2", XOAUTH2, id="LOGINDISABLED"),
    ],
)
@table("initial", [True, False], ids=["SASL-IR", "a continuation"])
def test_the_token_goes_as_the_server_takes_it(
    offered: bytes, mechanism: bytes, message: bytes, initial: bool
) -> None:
    answers: list[bytes] = [WELCOME] if initial else [b"+ \r\n", WELCOME]
    greeting = offering(offered + (b" SASL-IR" if initial else b""))
    sock = FakeSocket({"AUTHENTICATE": answers}, greeting=greeting)
    with_token(sock, tokens(TOKEN))
    packed = base64.b64encode(message)
    if initial:
        assert [line.partition(b" ")[2] for line in sock.sent] == [
            b"AUTHENTICATE %s %s" % (mechanism, packed)
        ]
    else:
        assert sock.sent[0].endswith(b" AUTHENTICATE " + mechanism)
        assert sock.sent[1] == packed


def test_a_token_too_long_for_a_line_goes_after_the_command() -> None:
    sock = FakeSocket({"AUTHENTICATE": [b"+ \r\n", WELCOME]}, greeting=IR)
    with_token(sock, tokens("t" * 9_000))
    assert len(sock.sent[0]) < 100
    assert base64.b64decode(sock.sent[1]).endswith(b"t\1\1")


def test_names_are_escaped_in_the_standard_one() -> None:
    sock = FakeSocket({"AUTHENTICATE": WELCOME}, greeting=IR)
    with_token(sock, tokens(TOKEN), username="a=b,c")
    assert base64.b64decode(sock.sent[0].split()[-1]).startswith(b"n,a=a=3Db=2Cc,\1")


@pytest.mark.parametrize(
    ("mechanism", "farewell"),
    [
        pytest.param(b"XOAUTH2", b"", id="with nothing"),
        pytest.param(b"OAUTHBEARER", b"AQ==", id="with the octet 1 of RFC 7628"),
    ],
)
def test_the_challenge_of_a_refusal_is_answered_and_its_status_told(
    mechanism: bytes, farewell: bytes
) -> None:
    sock = FakeSocket(
        {"AUTHENTICATE": [CHALLENGE, REFUSED]}, greeting=offering(b"SASL-IR AUTH=" + mechanism)
    )
    with pytest.raises(AuthenticationFailed, match=r"status 401.*Invalid credentials"):
        with_token(sock, tokens(TOKEN))
    assert sock.sent[1] == farewell
    assert len(sock.sent) == 2, "the same token is not sent twice"
    assert sock.closed


def test_a_refused_token_is_asked_for_anew_once_and_sent_on_the_same_connection() -> None:
    sock = FakeSocket({"AUTHENTICATE": [CHALLENGE, REFUSED, WELCOME]}, greeting=IR)
    with_token(sock, tokens(TOKEN, OTHER))
    assert [line.split()[1] for line in sock.sent if line.count(b" ")] == [b"AUTHENTICATE"] * 2
    assert OTHER.encode() in base64.b64decode(sock.sent[-1].split()[-1])


def test_two_refused_tokens_are_bad_credentials() -> None:
    asked: list[str] = []

    def token() -> str:
        asked.append(f"token{len(asked)}")
        return asked[-1]

    sock = FakeSocket({"AUTHENTICATE": REFUSED}, greeting=IR)
    with pytest.raises(AuthenticationFailed):
        with_token(sock, token)
    assert asked == ["token0", "token1"]


def test_a_server_that_hangs_up_on_the_second_token_is_not_hammered() -> None:
    sock = FakeSocket({"AUTHENTICATE": [REFUSED, b"* BYE enough\r\n"]}, greeting=IR)
    with pytest.raises(AuthenticationFailed) as caught:
        with_token(sock, tokens(TOKEN, OTHER))
    assert isinstance(caught.value.__cause__, ConnectionLost)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"%T NO [UNAVAILABLE] later\r\n", id="UNAVAILABLE"),
        pytest.param(b"%T NO [ALERT] Too many simultaneous connections. (Failure)\r\n", id="many"),
    ],
)
def test_a_refusal_for_now_is_no_reason_for_another_token(answer: bytes) -> None:
    sock = FakeSocket({"AUTHENTICATE": answer}, greeting=IR)
    with pytest.raises(Throttled):
        with_token(sock, tokens(TOKEN, OTHER))
    assert len(sock.sent) == 1


def test_a_server_that_takes_no_token_gets_none() -> None:
    sock = FakeSocket(greeting=offering(b"AUTH=PLAIN"))
    with pytest.raises(AuthenticationFailed, match=r"no token.*AUTH=PLAIN"):
        with_token(sock, tokens(TOKEN))
    assert sock.sent == []


def failing(error: Exception) -> Callable[[], str]:
    def token() -> str:
        raise error

    return token


def test_an_error_of_the_callback_is_trouble_that_passes() -> None:
    sock = FakeSocket(greeting=IR)
    why = ValueError("the refresh token r3fresh is at fault")
    with pytest.raises(ConnectionLost, match="ValueError") as caught:
        with_token(sock, failing(why))
    assert caught.value.__cause__ is why
    assert "r3fresh" not in str(caught.value)
    assert sock.sent == []


def test_an_error_of_the_callback_after_a_refusal_is_trouble_that_passes() -> None:
    answers: Iterator[str | Exception] = iter([TOKEN, OSError("no network")])

    def token() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    sock = FakeSocket({"AUTHENTICATE": REFUSED}, greeting=IR)
    with pytest.raises(ConnectionLost):
        with_token(sock, token)
    assert sock.closed


@table(
    "given",
    [
        pytest.param(None, id="None"),
        pytest.param("", id="nothing"),
        pytest.param(b"token", id="octets"),
        pytest.param("a\1auth=Bearer b", id="a separator in it"),
        pytest.param("tökén", id="what is not ASCII"),
    ],
)
def test_what_is_no_token_is_trouble_that_passes(given: Any) -> None:
    sock = FakeSocket(greeting=IR)
    with pytest.raises(ConnectionLost, match="token callback"):
        with_token(sock, lambda: given)
    assert sock.sent == []


def test_a_token_from_a_file_may_end_in_a_line_end() -> None:
    sock = FakeSocket({"AUTHENTICATE": WELCOME}, greeting=IR)
    with_token(sock, tokens(TOKEN + "\n"))
    assert base64.b64decode(sock.sent[0].split()[-1]) == OAUTHBEARER


async def coroutine() -> str:
    return TOKEN


@pytest.mark.parametrize("token", [coroutine, "a token"], ids=["a coroutine function", "text"])
def test_what_is_no_plain_function_is_refused_at_construction(token: Any) -> None:
    with pytest.raises(ConfigurationError, match="plain function") as caught:
        ImapSettings(host="h", username="u", token=token)
    assert "a token" not in str(caught.value)


def test_a_callback_that_returns_an_awaitable_is_a_mistake_in_the_program() -> None:
    made: Any = coroutine
    with pytest.raises(ConfigurationError, match="plain function"):
        with_token(FakeSocket(greeting=IR), lambda: made())


def test_a_password_and_a_token_are_refused_together() -> None:
    with pytest.raises(ConfigurationError, match="IMAP_PASSWORD") as caught:
        ImapSettings(host="h", username="u", password="pässwort", token=lambda: TOKEN)
    assert "pässwort" not in str(caught.value)


def test_the_callback_is_no_variable_and_is_not_shown() -> None:
    settings = ImapSettings.from_env({"IMAP_HOST": "h", "": "x", "token": "x"})
    assert settings.token is None
    assert "token" not in repr(ImapSettings(host="h", username="u", token=lambda: TOKEN))


ECHOES: list[tuple[str, dict[str, Answer]]] = [
    ("NO", {"AUTHENTICATE": b"%T NO you said %P and %B\r\n"}),
    ("BAD", {"AUTHENTICATE": b"%T BAD %B\r\n"}),
    ("a code", {"AUTHENTICATE": b"%T NO [%P] x\r\n"}),
    ("BYE", {"AUTHENTICATE": b"* BYE %P %B\r\n"}),
    ("a status", {"AUTHENTICATE": [b"+ %J\r\n", b"%T NO no\r\n"]}),
    ("later", {"AUTHENTICATE": WELCOME, "SELECT": b"* NO [ALERT] %P %B\r\n%T NO %P %B\r\n"}),
]


@pytest.mark.parametrize(("_", "answers"), ECHOES, ids=[one for one, _ in ECHOES])
def test_an_echoed_token_reaches_neither_error_nor_log(
    _: str, answers: dict[str, Answer], caplog: pytest.LogCaptureFixture
) -> None:
    packed = base64.b64encode(OAUTHBEARER)
    status = base64.b64encode(json.dumps({"status": TOKEN}).encode())

    def filled(answer: bytes) -> bytes:
        told = answer.replace(b"%P", TOKEN.encode()).replace(b"%B", packed)
        return told.replace(b"%J", status)

    table: dict[str, Answer] = {
        name: filled(answer) if isinstance(answer, bytes) else [filled(one) for one in answer]
        for name, answer in answers.items()
    }
    sock = FakeSocket(table, greeting=IR)
    with caplog.at_level(logging.DEBUG), pytest.raises(NornmailError) as caught:
        connection(sock, password=None, token=tokens(TOKEN))
    shown = caplog.text + "".join(traceback.format_exception(caught.value))
    shown += f"{caught.value!r} {vars(caught.value)}"
    for form in (TOKEN, "s3cr3t", packed.decode()):
        assert form not in shown


def test_an_observer_does_not_see_the_token() -> None:
    seen: list[bytes] = []
    sock = FakeSocket({"AUTHENTICATE": WELCOME}, greeting=IR)
    with_token(sock, tokens(TOKEN), on_command=lambda when, command: seen.append(command))
    assert seen == [b"AUTHENTICATE ****"] * 2


@table(
    ("challenge", "status"),
    [
        pytest.param(b"eyJzdGF0dXMiOiI0MDAiLCJzY2hlbWVzIjoiQmVhcmVyIiwic2NvcGUiOiJodHRwczovL21h"
                     b"aWwuZ29vZ2xlLmNvbS8ifQ==",
                     "400; it requires the scope https://mail.google.com/", id="Google's"),
        pytest.param(base64.b64encode(b'{"status":"400","scope":[1]}'), "400", id="an odd scope"),
        pytest.param(base64.b64encode(b'{"status":"invalid_token"}'), "invalid_token",
                     id="that of RFC 7628"),
        pytest.param(base64.b64encode(b'{"status":401}'), "401", id="a number"),
        pytest.param(base64.b64encode(b'{"status":{}}'), "", id="an object"),
        pytest.param(base64.b64encode(b"[]"), "", id="a list"),
        pytest.param(base64.b64encode(b"{"), "", id="what is no JSON"),
        pytest.param(base64.b64encode(b"[" * 3_000), "", id="3,000 lists in each other"),
        pytest.param(b"!", "", id="what is no base64"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(base64.b64encode(b'{"status":"' + b"x" * 2_000 + b'"}'), "x" * 40, id="long"),
    ],
)  # fmt: skip
def test_the_status_of_a_refusal(challenge: bytes, status: str) -> None:
    assert refusal_status(challenge.decode()) == status


# On the embedded server.


def account(server: MailServer, token: Callable[[], str]) -> ImapSettings:
    return ImapSettings(
        host=server.host, port=server.imap_port, username="agent", token=token, use_ssl=False
    )


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as started:
        started.add_user("agent", "unused")
        started.tokens().add(TOKEN)
        yield started


@pytest.mark.parametrize("initial", [True, False], ids=["SASL-IR", "a continuation"])
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_login_refusal_and_a_second_token_on_a_server(
    server: MailServer, mechanism: str, initial: bool
) -> None:
    server.capabilities.add(f"AUTH={mechanism}")
    if not initial:
        server.capabilities.discard("SASL-IR")
    for given in (tokens(TOKEN), tokens(OTHER, TOKEN)):
        opened = Connection.open(account(server, given))
        opened.select("INBOX")
        opened.close()
    with pytest.raises(AuthenticationFailed, match="status 401"):
        Connection.open(account(server, tokens(OTHER)))
    assert server.logins == 2
    assert server.connections == 3
    assert "t0ken" not in "\n".join(server.transcript)


def test_each_connect_asks_for_a_token(server: MailServer) -> None:
    server.capabilities.add("AUTH=XOAUTH2")
    asked: list[str] = []

    def token() -> str:
        asked.append(TOKEN)
        return TOKEN

    for _ in range(3):
        Connection.open(account(server, token)).close()
    assert len(asked) == 3


def test_a_login_that_is_refused_by_order_is_refused(server: MailServer) -> None:
    server.capabilities.add("AUTH=XOAUTH2")
    server.faults.add(faults.RejectLogin())
    Connection.open(account(server, tokens("not yet", TOKEN))).close()
    assert server.logins == 1
