"""Every setting of SMTP: its default, its environment name, what is wrong and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail.errors import ConfigurationError
from nornmail.settings.smtp import SmtpSettings
from tests.support.table import table

HOST = {"SMTP_HOST": "smtp.example.com"}


async def coroutine() -> str:
    return "hush"


def test_the_defaults_are_those_of_the_setup_guide() -> None:
    assert SmtpSettings.from_env(HOST) == SmtpSettings(
        host="smtp.example.com",
        port=587,
        username=None,
        password=None,
        use_tls=True,
        ca_file=None,
        timeout=60.0,
    )


@table(
    ("variables", "field", "value"),
    [
        pytest.param({"SMTP_PORT": "2525"}, "port", 2525, id="a port"),
        pytest.param({"SMTP_USERNAME": "agent"}, "username", "agent", id="a user name"),
        pytest.param({"SMTP_USERNAME": "a", "SMTP_PASSWORD": " b "}, "password", " b ",
                     id="a password keeps its blanks"),
        pytest.param({"SMTP_USE_TLS": "Off"}, "use_tls", False, id="no TLS"),
        pytest.param({"SMTP_CA_FILE": "/ca.pem"}, "ca_file", "/ca.pem", id="a private CA"),
        pytest.param({"SMTP_TIMEOUT": "5"}, "timeout", 5.0, id="a timeout"),
        pytest.param({"SMTP_FROM": "A <a@x.example>"}, "sender", "A <a@x.example>", id="a sender"),
        pytest.param({"": "x"}, "token", None, id="no variable is a token"),
        pytest.param({"SMTP_PORT": " "}, "port", 587, id="set to nothing is not set"),
        pytest.param({"SMTP_PORT": "465"}, "implicit_tls", True, id="TLS first on 465"),
        pytest.param({"SMTP_PORT": "587"}, "implicit_tls", False, id="STARTTLS on 587"),
        pytest.param({"SMTP_PORT": "3465", "SMTP_USE_SSL": "true"}, "implicit_tls", True,
                     id="TLS first on another port"),
        pytest.param({"SMTP_PORT": "465", "SMTP_USE_SSL": "false"}, "implicit_tls", False,
                     id="STARTTLS on 465"),
    ],
)  # fmt: skip
def test_a_variable_sets_a_field(variables: dict[str, str], field: str, value: object) -> None:
    assert getattr(SmtpSettings.from_env(HOST | variables), field) == value


@table(
    ("variables", "named"),
    [
        pytest.param({"SMTP_HOST": ""}, ["SMTP_HOST", "missing"], id="no host"),
        pytest.param({"SMTP_HOST": "smtps://x"}, ["SMTP_HOST"], id="a URL"),
        pytest.param({"SMTP_PORT": "0"}, ["SMTP_PORT", "0"], id="port 0"),
        pytest.param({"SMTP_PORT": "smtp"}, ["SMTP_PORT", "smtp"], id="a port's name"),
        pytest.param({"SMTP_USE_TLS": "maybe"}, ["SMTP_USE_TLS", "maybe"], id="neither on nor off"),
        pytest.param({"SMTP_TIMEOUT": "nan"}, ["SMTP_TIMEOUT"], id="a timeout that is no number"),
        pytest.param({"SMTP_TIMEOUT": "soon"}, ["SMTP_TIMEOUT", "soon"], id="a timeout in words"),
        pytest.param({"SMTP_PORT": "465", "SMTP_USE_TLS": "false"}, ["SMTP_USE_TLS", "465"],
                     id="465 without TLS"),
        pytest.param({"SMTP_USE_SSL": "true", "SMTP_USE_TLS": "false"},
                     ["SMTP_USE_TLS", "SMTP_USE_SSL"], id="TLS and no TLS"),
        pytest.param({"SMTP_HOST": "smtp.example.com:587"}, ["SMTP_HOST", "set SMTP_PORT=587"],
                     id="a port in the host"),
        pytest.param({"SMTP_PASSWORD": "hush"}, ["SMTP_USERNAME", "SMTP_PASSWORD"],
                     id="a password of nobody"),
        pytest.param({"SMTP_FROM": "agent"}, ["SMTP_FROM", "agent"],
                     id="a sender without a domain"),
        pytest.param({"EMAIL_PROVIDER": "mailgun"}, ["EMAIL_PROVIDER", "mailgun"],
                     id="another provider"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(variables: dict[str, str], named: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SmtpSettings.from_env(HOST | variables)
    assert all(word in str(refused.value) for word in named)
    assert "hush" not in str(refused.value)


@table(
    ("fields", "variable"),
    [
        pytest.param({"host": 5}, "SMTP_HOST", id="a host"),
        pytest.param({"port": "587"}, "SMTP_PORT", id="a port as text"),
        pytest.param({"port": 65_536}, "SMTP_PORT", id="a port too high"),
        pytest.param({"port": True}, "SMTP_PORT", id="a port as a switch"),
        pytest.param({"use_tls": "yes"}, "SMTP_USE_TLS", id="a switch as text"),
        pytest.param({"timeout": "5"}, "SMTP_TIMEOUT", id="a number as text"),
        pytest.param({"timeout": 0}, "SMTP_TIMEOUT", id="no time at all"),
        pytest.param({"username": 5}, "SMTP_USERNAME", id="a user name"),
        pytest.param({"username": "a", "password": b"hush"}, "SMTP_PASSWORD", id="octets"),
        pytest.param({"username": "a", "password": "hush\r\n"}, "SMTP_PASSWORD", id="a line end"),
        pytest.param({"username": "a\0"}, "SMTP_USERNAME", id="a NUL"),
        pytest.param({"username": "a", "token": "hush"}, "token", id="a token as text"),
        pytest.param({"username": "a", "token": coroutine}, "token", id="a coroutine for tokens"),
        pytest.param({"token": lambda: "hush"}, "SMTP_USERNAME", id="a token of nobody"),
        pytest.param({"username": "a", "password": "hush", "token": lambda: "hush"}, "token",
                     id="a token and a password"),
        pytest.param({"sender": 5}, "SMTP_FROM", id="a sender that is no text"),
        pytest.param({"sender": "a@b.example\r\n"}, "SMTP_FROM", id="a line end in the sender"),
    ],
)  # fmt: skip
def test_a_wrong_value_by_hand_is_named(fields: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SmtpSettings(**{"host": "smtp.example.com", **fields})
    assert refused.value.variable == variable
    assert "hush" not in str(refused.value)


def test_the_password_is_not_shown() -> None:
    settings = SmtpSettings(host="smtp.example.com", username="agent", password="hush")
    assert "hush" not in repr(settings)


def test_the_token_is_not_shown() -> None:
    settings = SmtpSettings(host="smtp.example.com", username="agent", token=lambda: "hush")
    assert "lambda" not in repr(settings)
