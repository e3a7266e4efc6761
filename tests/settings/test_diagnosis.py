"""What ``check`` says of the settings before anything is connected."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail import ImapSettings, SmtpSettings, diagnose_settings
from nornmail.cli.check import format_check


def lines(imap: dict[str, Any], smtp: dict[str, Any] | None = None, *names: str) -> list[str]:
    """What is wrong or could be better."""
    settings = ImapSettings(**{"host": "imap.example.com", **imap})
    mailer = None if smtp is None else SmtpSettings(**{"host": "smtp.example.com", **smtp})
    checks = diagnose_settings(settings, mailer, names)
    return [format_check(check) for check in checks if check.advice or not check.ok]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("IMAP_STARTTSL", "IMAP_STARTTLS", id="two letters the wrong way round"),
        pytest.param("IMAP_USE_SLL", "IMAP_USE_SSL", id="another letter"),
        pytest.param("IMAP_PASSWRD", "IMAP_PASSWORD", id="a letter too few"),
        pytest.param("SMTP_USER_NAME", "SMTP_USERNAME", id="one character too many"),
        pytest.param("NORNMAIL_API_TOKENS", "NORNMAIL_API_TOKEN", id="a plural"),
        pytest.param("EMAIL_PRESETS", "EMAIL_PRESET", id="another plural"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_right_one(name: str, meant: str) -> None:
    (line,) = lines({}, None, name)
    assert line.startswith("FAILED")
    assert f"{name} is not a setting" in line
    assert f"did you mean {meant}?" in line


@pytest.mark.parametrize("name", ["IMAP_HOST", "SMTP_USE_SSL", "EMAIL_DOMAIN", "NORNMAIL_BIND",
                                  "IMAP_CONNECTION_POOL", "PATH", "XIMAP_HOTS"])  # fmt: skip
def test_a_variable_of_ours_or_of_others_is_none_of_its_business(name: str) -> None:
    assert lines({}, None, name) == []


CLEAR = {"use_ssl": False, "username": "a", "password": "hush"}


@pytest.mark.parametrize(
    ("imap", "smtp", "words"),
    [
        pytest.param({"username": "a"}, None, ["FAILED", "IMAP_PASSWORD is missing"], id="none"),
        pytest.param(
            {}, {"username": "a@b.example"}, ["FAILED", "SMTP_PASSWORD is missing"], id="SMTP's"
        ),
        pytest.param(CLEAR, None, ["warn", "unencrypted to imap.example.com"], id="in clear"),
        pytest.param(
            {}, {"use_tls": False, "username": "a@b.example", "password": "hush"},
            ["warn", "unencrypted to smtp.example.com", "SMTP_USE_TLS=true"], id="SMTP in clear",
        ),
        pytest.param(
            {}, {"username": "agent", "password": "hush"}, ["FAILED", "SMTP_FROM"], id="no sender"
        ),
    ],
)  # fmt: skip
def test_what_a_start_would_find_is_said(
    imap: dict[str, Any], smtp: dict[str, Any] | None, words: list[str]
) -> None:
    (line,) = lines(imap, smtp)
    assert all(word in line for word in words)
    assert "hush" not in line


@pytest.mark.parametrize(
    "imap",
    [
        pytest.param({"username": "a", "password": "hush"}, id="inside TLS"),
        pytest.param({**CLEAR, "starttls": True}, id="with STARTTLS"),
        pytest.param({**CLEAR, "host": "localhost"}, id="on this machine"),
        pytest.param({**CLEAR, "host": "127.0.0.2"}, id="on this machine, by its address"),
        pytest.param({"username": "a", "token": str}, id="a token"),
        pytest.param({}, id="no login"),
    ],
)
def test_what_is_well_is_not_worth_a_line(imap: dict[str, Any]) -> None:
    assert lines(imap) == []
