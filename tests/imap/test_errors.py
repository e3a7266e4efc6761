"""What a server's NO, BAD or BYE is about, in the words of the servers themselves."""

from __future__ import annotations

import pytest

from nornmail.errors import CommandRefused, ConnectionLost, NornmailError, Throttled
from nornmail.imap.errors import THROTTLES, ErrorKind, bye_error, classify, refusal, retry_after
from tests.imap.fake import FakeSocket, connection
from tests.support.table import table

HINTED = "Request is throttled. Suggested Backoff Time: 299609 milliseconds"
NOT_CONNECTED = "User is authenticated but not connected."


@table(
    ("status", "code", "text", "kind"),
    [
        pytest.param("NO", "AUTHENTICATIONFAILED", "Invalid credentials (Failure)",
                     ErrorKind.CREDENTIALS, id="Gmail, a wrong password"),
        pytest.param("NO", "ALERT", "Application-specific password required: https://x (Failure)",
                     ErrorKind.CREDENTIALS, id="Gmail, an app password is needed"),
        pytest.param("NO", "ALERT", "Please log in via your web browser: https://x (Failure)",
                     ErrorKind.CREDENTIALS, id="Gmail, a blocked login"),
        pytest.param("NO", "ALERT", "Too many simultaneous connections. (Failure)",
                     ErrorKind.CONNECTIONS, id="Gmail, too many connections"),
        pytest.param("NO", "OVERQUOTA", "Account exceeded command or bandwidth limits. (Failure)",
                     ErrorKind.QUOTA, id="Gmail, a day's transfer is used up"),
        pytest.param("BAD", "", "Invalid SASL argument. qk7if1705226pac.117", ErrorKind.CREDENTIALS,
                     id="Gmail, a token that is none"),
        pytest.param("NO", "", "LOGIN failed.", ErrorKind.CREDENTIALS, id="Outlook, any password"),
        pytest.param("NO", "", "Basic authentication is disabled.", ErrorKind.CREDENTIALS,
                     id="Outlook, said at last"),
        pytest.param("NO", "", "LOGIN failed. Account is blocked. Login to your account via a web",
                     ErrorKind.CREDENTIALS, id="Outlook, a blocked account"),
        pytest.param("NO", "", "Server Unavailable. 15",
                     ErrorKind.UNAVAILABLE, id="Exchange, down"),
        pytest.param("NO", "", HINTED, ErrorKind.RATE, id="Exchange, throttled"),
        pytest.param("BAD", "", "Command Argument Error. 12", ErrorKind.REFUSED,
                     id="Exchange, a LOGIN it cannot read"),
        pytest.param("NO", "AUTHENTICATIONFAILED", "LOGIN Invalid credentials",
                     ErrorKind.CREDENTIALS,
                     id="Yahoo, a wrong password"),
        pytest.param("NO", "AUTHENTICATIONFAILED",
                     "(#AUTH901) The provided OAuth2 access token is invalid",
                     ErrorKind.CREDENTIALS,
                     id="Yahoo, a bad token"),
        pytest.param("NO", "LIMIT", "LOGIN Rate limit hit", ErrorKind.RATE, id="Yahoo, too often"),
        pytest.param("NO", "UNAVAILABLE",
                     "Maximum number of connections from user+IP exceeded "
                     "(mail_max_userip_connections=16)", ErrorKind.CONNECTIONS,
                     id="Dovecot, too many connections"),
        pytest.param("NO", "UNAVAILABLE", "Temporary authentication failure.",
                     ErrorKind.UNAVAILABLE,
                     id="Dovecot, its own database is down"),
        pytest.param("NO", "", "LOGIN Login error or password error", ErrorKind.CREDENTIALS,
                     id="NetEase, a wrong password"),
        pytest.param("NO", "INUSE", "x", ErrorKind.UNAVAILABLE, id="INUSE"),
        pytest.param("NO", "SERVERBUG", "x", ErrorKind.UNAVAILABLE, id="SERVERBUG"),
        pytest.param("NO", "LIMIT", "x", ErrorKind.CONNECTIONS, id="LIMIT without words"),
        pytest.param("NO", "OVERQUOTA", "x", ErrorKind.QUOTA, id="OVERQUOTA without words"),
        pytest.param("NO", "AUTHENTICATIONFAILED", "Temporarily, try again later",
                     ErrorKind.CREDENTIALS, id="a code weighs more than words"),
        pytest.param("NO", "", "", ErrorKind.CREDENTIALS, id="no word at all"),
    ],
)  # fmt: skip
def test_an_answer_to_a_login(status: str, code: str, text: str, kind: ErrorKind) -> None:
    for command in ("LOGIN", "AUTHENTICATE"):
        assert classify(status, code, text, command).kind is kind


@table(
    ("status", "code", "text", "kind"),
    [
        pytest.param("NO", "", "System Error (Failure)", ErrorKind.REFUSED,
                     id="Gmail, a message that cannot be fetched"),
        pytest.param("NO", "UNAVAILABLE", "UID FETCH Server error while fetching messages",
                     ErrorKind.REFUSED, id="Yahoo, a message that cannot be fetched"),
        pytest.param("NO", "SERVERBUG", "UID FETCH Server error - Please try again later",
                     ErrorKind.REFUSED, id="Yahoo, a bug that a message wakes"),
        pytest.param("NO", "INUSE", "x", ErrorKind.REFUSED, id="INUSE"),
        pytest.param("NO", "LIMIT", "x", ErrorKind.REFUSED, id="LIMIT"),
        pytest.param("NO", "OVERQUOTA", "x", ErrorKind.REFUSED, id="OVERQUOTA"),
        pytest.param("BAD", "", "Command Argument Error. 11", ErrorKind.REFUSED, id="BAD"),
        pytest.param("NO", "OVERQUOTA", "Account exceeded command or bandwidth limits.",
                     ErrorKind.QUOTA, id="Gmail, a day's transfer is used up"),
        pytest.param("NO", "LIMIT", "FETCH Rate limit hit", ErrorKind.RATE, id="Yahoo, too often"),
        pytest.param("NO", "", HINTED, ErrorKind.RATE, id="Exchange, throttled, as NO"),
        pytest.param("BAD", "", HINTED, ErrorKind.RATE, id="Exchange, throttled, as BAD"),
        pytest.param("BAD", "", NOT_CONNECTED,
                     ErrorKind.ACCOUNT, id="Exchange, no mailbox behind it"),
        pytest.param("OK", "", "Success [THROTTLED]", ErrorKind.SLOWED, id="Gmail, slowed down"),
        pytest.param("OK", "", "IDLE terminated (Success) [THROTTLED]", ErrorKind.SLOWED,
                     id="Gmail, slowed down in IDLE"),
        pytest.param("OK", "", "Success", ErrorKind.FINE, id="all well"),
        pytest.param("OK", "", "Request is throttled", ErrorKind.FINE, id="an OK is an OK"),
    ],
)  # fmt: skip
def test_an_answer_to_a_fetch(status: str, code: str, text: str, kind: ErrorKind) -> None:
    assert classify(status, code, text, "UID FETCH").kind is kind


@table(
    ("code", "text", "kind"),
    [
        pytest.param("", "Session invalidated - AccessTokenExpired", None, id="a token ran out"),
        pytest.param("", "Session expired, please login again.", None, id="Gmail, a session"),
        pytest.param("", "Autologout; idle for too long", None, id="idle for too long"),
        pytest.param("", "Connection closed. 14", None, id="Exchange, a number"),
        pytest.param("UNAVAILABLE", "Internal server error", None, id="a server in trouble"),
        pytest.param("", "Selected mailbox was deleted, have to disconnect.", None,
                     id="Dovecot, a mailbox that is gone"),
        pytest.param("", "", None, id="without a word"),
        pytest.param("", HINTED, "rate", id="throttled"),
        pytest.param("ALERT", "Maximum connection limit reached for 192.0.2.1", "connections",
                     id="Courier, too many connections"),
        pytest.param("", "too many connections", "connections", id="too many connections"),
        pytest.param("", "Too many invalid login attempts", "rate", id="too many attempts"),
    ],
)  # fmt: skip
def test_a_bye_is_a_lost_connection_or_a_demand_to_stay_away(
    code: str, text: str, kind: str | None
) -> None:
    error = bye_error(code, text)
    assert text in str(error)
    if kind is None:
        assert type(error) is ConnectionLost
    else:
        assert isinstance(error, Throttled)
        assert error.kind == kind


@table(
    ("text", "seconds"),
    [
        pytest.param(HINTED, 299.609, id="milliseconds"),
        pytest.param("Suggested Backoff Time: 30 seconds", 30.0, id="seconds"),
        pytest.param("suggested backoff time 5 milliseconds", 0.005, id="in other case"),
        pytest.param("Request is throttled.", 0.0, id="none"),
        pytest.param("Suggested Backoff Time: soon", 0.0, id="a word"),
        pytest.param("Suggested Backoff Time: " + "9" * 5_000 + " milliseconds", 0.0,
                     id="5,000 digits"),
    ],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for(text: str, seconds: float) -> None:
    assert retry_after(text) == seconds


def test_a_refusal_keeps_its_facts() -> None:
    refused = refusal("UID FETCH", "NO", "UNAVAILABLE", "no")
    assert isinstance(refused, CommandRefused)
    assert (refused.command, refused.code) == ("UID FETCH", "UNAVAILABLE")
    throttled = refusal("NOOP", "BAD", "", HINTED)
    assert isinstance(throttled, Throttled)
    assert (throttled.kind, throttled.wait) == ("rate", 299.609)
    assert "NOOP" in str(throttled)


def test_what_throttles_is_no_refusal() -> None:
    """Who catches CommandRefused blames a message or a flag, and that would be wrong here."""
    assert not issubclass(Throttled, CommandRefused | ConnectionLost)
    assert ErrorKind.REFUSED not in THROTTLES


@table(
    ("answers", "error"),
    [
        pytest.param({"NOOP": b"%T BAD " + HINTED.encode() + b"\r\n* BYE closed. 14\r\n"},
                     Throttled, id="BAD, with BYE behind it"),
        pytest.param({"NOOP": b"* BYE " + HINTED.encode() + b"\r\n"}, Throttled, id="BYE"),
        pytest.param({"NOOP": b"%T BAD " + NOT_CONNECTED.encode() + b"\r\n"}, Throttled,
                     id="not connected"),
        pytest.param({"NOOP": b"* BYE Session invalidated - AccessTokenExpired\r\n"},
                     ConnectionLost, id="a token that ran out"),
        pytest.param({"NOOP": b"%T NO no\r\n"}, CommandRefused, id="NO"),
    ],
)  # fmt: skip
def test_on_a_connection(answers: dict[str, bytes], error: type[NornmailError]) -> None:
    opened = connection(FakeSocket(dict(answers)))
    with pytest.raises(error) as caught:
        opened.noop()
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        pytest.param(b"* BYE [ALERT] Too many connections from 192.0.2.1\r\n", Throttled,
                     id="too many connections"),
        pytest.param(b"* BYE [UNAVAILABLE] going down\r\n", ConnectionLost, id="a shutdown"),
    ],
)  # fmt: skip
def test_instead_of_a_greeting(greeting: bytes, error: type[NornmailError]) -> None:
    sock = FakeSocket(greeting=greeting)
    with pytest.raises(error):
        connection(sock)
    assert sock.closed


def test_a_server_that_slows_down_is_noticed_once() -> None:
    opened = connection(FakeSocket({"NOOP": [b"%T OK Success [THROTTLED]\r\n", b"%T OK\r\n"]}))
    assert not opened.was_throttled()
    opened.noop()
    opened.noop()
    assert opened.was_throttled()
    assert not opened.was_throttled()
