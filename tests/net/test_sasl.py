"""Mechanisms: what is offered, what is sent, and passwords as a provider's page shows them."""

from __future__ import annotations

import pytest

from nornmail.net.sasl import (
    Mechanism,
    Responder,
    login,
    oauthbearer,
    password_mechanisms,
    plain,
    refusal_advice,
    sendable_password,
    token_mechanisms,
    xoauth2,
)
from tests.support.table import table


@table(
    ("password", "sent"),
    [
        pytest.param("abcd\u00a0efgh\u00a0ijkl\u00a0mnop", "abcdefghijklmnop", id="Gmail's page"),
        pytest.param("abcd\u202fefgh", "abcdefgh", id="narrow no-break spaces"),
        pytest.param("\u00a0abcd efgh\u00a0ijkl\u00a0", "abcdefghijkl", id="mixed, and around it"),
        pytest.param("abcd efgh ijkl mnop", "abcd efgh ijkl mnop", id="ordinary blanks stay"),
        pytest.param("p\u00e4ss\u00a0word", "p\u00e4ss\u00a0word", id="beyond ASCII is a password"),
        pytest.param("a!b\u00a0c", "a!b\u00a0c", id="signs are of a password"),
        pytest.param("secret", "secret", id="no blanks"),
        pytest.param("", "", id="none"),
    ],
)
def test_an_app_password_is_sent_without_its_no_break_spaces(password: str, sent: str) -> None:
    assert sendable_password(password) == sent


def test_the_preferred_mechanism_comes_first() -> None:
    offered = ["LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5"]
    assert [m.name for m in password_mechanisms(offered, "u", "p")] == ["PLAIN", "LOGIN"]
    bearers = token_mechanisms(offered, "u", "t", "h", 1)
    assert [m.name for m in bearers] == ["OAUTHBEARER", "XOAUTH2"]
    assert password_mechanisms(["NTLM"], "u", "p") == []


@table(
    ("mechanism", "limit", "initial", "answers"),
    [
        pytest.param(plain("u", "p"), 100, "AHUAcA==", ["*"], id="PLAIN is cancelled"),
        pytest.param(plain("u", "p"), 4, None, ["AHUAcA==", "*"], id="PLAIN, too long for a line"),
        pytest.param(login("u", "p"), 100, None, ["dQ==", "cA==", "*"], id="LOGIN"),
        pytest.param(xoauth2("u", "t"), 100, "dXNlcj11AWF1dGg9QmVhcmVyIHQBAQ==", [""],
                     id="XOAUTH2 ends with nothing"),
        pytest.param(oauthbearer("u", "t", "h", 1), 4, None,
                     ["bixhPXUsAWhvc3Q9aAFwb3J0PTEBYXV0aD1CZWFyZXIgdAEB", "AQ=="],
                     id="OAUTHBEARER ends with an octet 1"),
    ],
)  # fmt: skip
def test_challenges_get_each_message_once(
    mechanism: Mechanism, limit: int, initial: str | None, answers: list[str]
) -> None:
    responder = Responder(mechanism)
    assert responder.initial_response(limit) == initial
    assert [responder.respond(f"challenge {n}") for n in range(len(answers))] == answers
    assert responder.refusal == f"challenge {len(answers) - 1}"


def test_no_repr_shows_a_secret() -> None:
    assert "hush" not in repr(plain("agent", "hush-hush"))


@table(
    ("text", "advice"),
    [
        pytest.param(
            "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.",
            "Set-CASMailbox",
            id="SMTP AUTH is off at Office 365",
        ),
        pytest.param(
            "Your account is not enabled for IMAP use. Please visit your Gmail settings page",
            "IMAP is switched off",
            id="IMAP is off at Gmail",
        ),
        pytest.param(
            "LOGIN Invalid credentials or IMAP is disabled sc=ebI8JB0ug4Y1",
            "IMAP is switched off",
            id="IMAP is off at Yandex",
        ),
        pytest.param("Basic authentication is disabled.", "nornmail login", id="Outlook.com 2026"),
        pytest.param("AUTHENTICATE failed.", "", id="words that say nothing"),
    ],
)
def test_the_advice_goes_by_the_servers_words(text: str, advice: str) -> None:
    assert advice in refusal_advice(text)
    assert bool(advice) == bool(refusal_advice(text))
