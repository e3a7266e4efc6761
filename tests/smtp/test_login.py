"""Passwords and tokens: how they are sent, what a refusal means, and where they never appear."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from nornmail.errors import (
    AuthenticationFailed,
    ConnectionLost,
    NornmailError,
    ProtocolError,
    Throttled,
)
from nornmail.smtp.session import Session
from tests.outbox.messages import letter
from tests.smtp.openings import BEARER, LOGIN, OFFERING, encoded, refusal, words
from tests.smtp.scripted import HANG_UP, scripted
from tests.support.smtp import PASSWORD, USER

# Passwords.


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        pytest.param(
            b"LOGIN PLAIN",
            ["AUTH PLAIN " + encoded(f"\0{USER}\0{PASSWORD}")],
            id="PLAIN goes first",
        ),
        pytest.param(b"LOGIN", ["AUTH LOGIN", encoded(USER), encoded(PASSWORD)], id="LOGIN"),
    ],
)
def test_a_password_is_sent_the_way_the_server_takes_it(
    offered: bytes, expected: list[str]
) -> None:
    asked = [b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 welcome\r\n"]
    script: dict[str, bytes | list[bytes]] = {"EHLO": b"250-ready\r\n250 AUTH " + offered + b"\r\n"}
    if b"PLAIN" not in offered:
        script["AUTH"] = asked
    with scripted(script) as server:
        Session.open(server.settings(**LOGIN)).close()
    assert server.commands[1:-1] == expected


def test_the_form_of_old_servers_is_understood() -> None:
    with scripted({"EHLO": b"250-ready\r\n250 AUTH=PLAIN LOGIN\r\n"}) as server:
        Session.open(server.settings(**LOGIN)).close()
    assert len(server.said("AUTH PLAIN")) == 1


def test_nobody_logs_in_without_a_user_name() -> None:
    with scripted(OFFERING) as server:
        Session.open(server.settings()).close()
    assert server.said("AUTH") == []


@pytest.mark.parametrize(
    ("said", "error", "kind"),
    [
        pytest.param(b"535 5.7.8 bad credentials\r\n", AuthenticationFailed, "", id="535"),
        pytest.param(b"534 5.7.9 app password needed\r\n", AuthenticationFailed, "", id="534"),
        pytest.param(b"538 5.7.11 encryption needed\r\n", AuthenticationFailed, "", id="538"),
        pytest.param(b"530 5.7.0 STARTTLS first\r\n", AuthenticationFailed, "", id="530"),
        pytest.param(b"504 5.5.4 what?\r\n", AuthenticationFailed, "", id="504"),
        pytest.param(b"432 4.7.12 transition\r\n", AuthenticationFailed, "", id="432"),
        pytest.param(b"454 4.7.0 later\r\n", Throttled, "unavailable", id="454"),
        pytest.param(b"454 4.7.0 Too many login attempts\r\n", Throttled, "rate",
                     id="454 of Gmail"),
        pytest.param(b"535 5.7.0 Too many bad auth attempts\r\n", Throttled, "rate",
                     id="535 of a lockout"),
        pytest.param(b"421 4.7.0 closing\r\n", Throttled, "unavailable", id="421"),
        pytest.param(b"354 go on\r\n", ProtocolError, "", id="354"),
        pytest.param(b"334 \r\n", ProtocolError, "", id="questions without end"),
        pytest.param(HANG_UP, ConnectionLost, "", id="it hangs up"),
    ],
)  # fmt: skip
def test_a_refused_login(said: bytes, error: type[NornmailError], kind: str) -> None:
    with scripted(OFFERING | {"AUTH": said}) as server:
        found = refusal(server, **LOGIN)
    assert type(found) is error
    assert getattr(found, "kind", "") == kind
    assert len(server.said("AUTH")) == (2 if said.startswith(b"504") else 1)
    assert PASSWORD not in words(found)


@pytest.mark.parametrize(
    ("features", "changes", "words"),
    [
        pytest.param(b"250 ready\r\n", LOGIN, "offers: nothing", id="no login at all"),
        pytest.param(b"250-ready\r\n250 AUTH GSSAPI\r\n", LOGIN, "offers: GSSAPI",
                     id="no password"),
        pytest.param(b"250-ready\r\n250 AUTH PLAIN\r\n", {"username": USER, "token": lambda: "t0k"},
                     "no token", id="no token"),
        pytest.param(OFFERING["EHLO"], {"username": USER}, "SMTP_PASSWORD", id="nothing to show"),
    ],
)  # fmt: skip
def test_credentials_that_the_server_takes_not_are_not_sent(
    features: bytes, changes: dict[str, Any], words: str
) -> None:
    with scripted({"EHLO": features}) as server:
        found = refusal(server, **changes)
    assert isinstance(found, AuthenticationFailed)
    assert words in str(found)
    assert server.said("AUTH") == []


def test_a_server_that_repeats_secrets_does_not_get_them_into_an_error() -> None:
    plain = encoded(f"\0{USER}\0{PASSWORD}")
    for secret in (PASSWORD, plain, encoded(PASSWORD)):
        for stage in ("AUTH", "end"):
            answers: dict[str, bytes | list[bytes]] = {**OFFERING}
            answers[stage] = f"554 what is {secret}?\r\n".encode()
            if secret == encoded(PASSWORD):
                answers["EHLO"] = b"250-ready\r\n250 AUTH LOGIN\r\n"
                if stage == "end":
                    answers["AUTH"] = [b"334 \r\n", b"334 \r\n", b"235 ok\r\n"]
            with scripted(answers) as server:
                try:
                    session = Session.open(server.settings(**LOGIN))
                except AuthenticationFailed as error:
                    told = words(error)
                else:
                    one = letter()
                    found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
                    told = repr(found)
                    session.close()
            assert secret not in told, (stage, secret)


# Tokens.


def bearer_command(token: str) -> str:
    return "AUTH XOAUTH2 " + encoded(f"user={USER}\1auth=Bearer {token}\1\1")


def tokens(*given: str) -> tuple[Any, list[str]]:
    """A callback that gives these, and what it gave."""
    left, asked = list(given), []

    def ask() -> str:
        asked.append(left.pop(0))
        return asked[-1]

    return ask, asked


def test_a_token_is_asked_for_at_each_connect() -> None:
    ask, asked = tokens("one", "two")
    with scripted(BEARER) as server:
        for _ in range(2):
            Session.open(server.settings(username=USER, token=ask)).close()
    assert asked == ["one", "two"]
    assert server.said("AUTH") == [bearer_command("one"), bearer_command("two")]


def test_a_refused_token_is_replaced_once() -> None:
    ask, _ = tokens("old", "new")
    why = encoded(json.dumps({"status": "400"})).encode()
    script = BEARER | {"AUTH": [b"334 " + why + b"\r\n", b"535 5.7.8 no\r\n", b"235 ok\r\n"]}
    with scripted(script) as server:
        Session.open(server.settings(username=USER), token=ask).close()
    assert server.commands[1:-1] == [bearer_command("old"), "", bearer_command("new")]


@pytest.mark.parametrize(
    ("given", "tries"),
    [
        pytest.param(("old", "old"), 1, id="the same one again"),
        pytest.param(("old", "new"), 2, id="another one that is no better"),
    ],
)
def test_a_token_that_stays_refused_ends_it(given: tuple[str, ...], tries: int) -> None:
    ask, _ = tokens(*given)
    why = encoded(json.dumps({"status": "invalid_token"})).encode()
    refused = [b"334 " + why + b"\r\n", b"535 5.7.8 no\r\n"]
    with scripted(BEARER | {"AUTH": refused * 2}) as server:
        found = refusal(server, username=USER, token=ask)
    assert isinstance(found, AuthenticationFailed)
    assert "invalid_token" in str(found)
    assert len(server.said("AUTH")) == tries


def test_a_server_that_hangs_up_on_the_second_token_is_not_hammered() -> None:
    ask, _ = tokens("old", "new")
    with scripted(BEARER | {"AUTH": [b"535 5.7.8 no\r\n", HANG_UP]}) as server:
        assert isinstance(refusal(server, username=USER, token=ask), AuthenticationFailed)


def test_a_long_token_goes_after_the_command() -> None:
    long = "t" * 2_000
    with scripted(BEARER | {"AUTH": [b"334 \r\n", b"235 ok\r\n"]}) as server:
        Session.open(server.settings(username=USER, token=lambda: long)).close()
    command, message = server.commands[1:-1]
    assert command == "AUTH XOAUTH2"
    assert long in base64.b64decode(message).decode()


def test_the_standard_goes_first_and_its_refusal_is_answered_as_it_says() -> None:
    features = b"250-ready\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n"
    answers = [b"334 e30=\r\n", b"535 5.7.8 no\r\n"]
    with scripted({"EHLO": features, "AUTH": answers}) as server:
        refusal(server, username=USER, token=lambda: "t0k")
    assert server.commands[1].startswith("AUTH OAUTHBEARER ")
    assert server.commands[2] == "AQ=="


@pytest.mark.parametrize(
    ("token", "error"),
    [
        pytest.param(lambda: 1 / 0, ConnectionLost, id="it raises"),
        pytest.param(lambda: None, ConnectionLost, id="it returns nothing"),
        pytest.param(lambda: "", ConnectionLost, id="it returns an empty text"),
        pytest.param(lambda: "a\r\nb", ConnectionLost, id="it returns two lines"),
    ],
)
def test_a_callback_that_has_no_token(token: Any, error: type[NornmailError]) -> None:
    with scripted(BEARER) as server:
        assert type(refusal(server, username=USER, token=token)) is error
    assert server.said("AUTH") == []


ONE_UNKNOWN = b"504 5.7.4 Unrecognized authentication type\r\n"
WELCOME = b"235 welcome\r\n"
ASKED = [b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"]


@pytest.mark.parametrize(
    ("offered", "answers", "verbs"),
    [
        pytest.param(b"PLAIN LOGIN", [ONE_UNKNOWN, *ASKED, WELCOME], ["PLAIN", "LOGIN"],
                     id="LOGIN after PLAIN"),
        pytest.param(b"LOGIN PLAIN NTLM", [b"504 no\r\n", *ASKED, WELCOME], ["PLAIN", "LOGIN"],
                     id="whatever the order"),
        pytest.param(b"PLAIN LOGIN", [b"502 5.5.1 Not implemented\r\n", *ASKED, WELCOME],
                     ["PLAIN", "LOGIN"], id="502, by another server"),
        pytest.param(b"PLAIN LOGIN", [WELCOME], ["PLAIN"], id="none is needed"),
    ],
)  # fmt: skip
def test_a_mechanism_that_is_unknown_after_all_is_followed_by_the_next(
    offered: bytes, answers: list[bytes], verbs: list[str]
) -> None:
    script: dict[str, bytes | list[bytes]] = {
        "EHLO": b"250-ready\r\n250 AUTH " + offered + b"\r\n",
        "AUTH": answers,
    }
    with scripted(script) as server:
        Session.open(server.settings(**LOGIN)).close()
    assert [line.split()[1] for line in server.said("AUTH")] == verbs


@pytest.mark.parametrize("offered", [b"PLAIN", b"PLAIN LOGIN"])
def test_where_no_mechanism_is_known_the_password_is_not_blamed(offered: bytes) -> None:
    script = {"EHLO": b"250-ready\r\n250 AUTH " + offered + b"\r\n", "AUTH": ONE_UNKNOWN}
    with scripted(script) as server:
        error = refusal(server, **LOGIN)
    assert type(error) is AuthenticationFailed
    assert "SMTP_PASSWORD" not in str(error)
    assert offered.decode() in str(error)


@pytest.mark.parametrize(("password", "is_said"), [("pässwörd", True), ("abcd\u00a0efgh", False)])
def test_a_refusal_says_that_a_password_beyond_ASCII_went_out_in_UTF_8(
    password: str, is_said: bool
) -> None:
    script = {"EHLO": b"250-ready\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": b"535 no\r\n"}
    with scripted(script) as server:
        error = refusal(server, **LOGIN | {"password": password})
    assert ("UTF-8" in str(error)) is is_said


def test_after_a_refusal_no_other_mechanism_is_tried() -> None:
    """Servers count each refused password."""
    script = {"EHLO": b"250-ready\r\n250 AUTH PLAIN LOGIN\r\n", "AUTH": b"535 no\r\n"}
    with scripted(script) as server:
        assert "SMTP_PASSWORD" in str(refusal(server, **LOGIN))
    assert len(server.said("AUTH")) == 1
