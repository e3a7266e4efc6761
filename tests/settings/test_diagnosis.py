"""What ``check`` says of the settings before anything is connected."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail import ConfigurationError, ImapSettings, SmtpSettings, diagnose_settings
from nornmail.cli.check import format_check
from tests.support.table import table


def lines(imap: dict[str, Any], smtp: dict[str, Any] | None = None, *names: str) -> list[str]:
    """What is wrong or could be better."""
    settings = ImapSettings(**{"host": "imap.example.com", **imap})
    mailer = None if smtp is None else SmtpSettings(**{"host": "smtp.example.com", **smtp})
    checks = diagnose_settings(settings, mailer, names)
    return [format_check(check) for check in checks if check.advice or not check.ok]


@table(
    ("name", "meant", "verdict"),
    [
        pytest.param("IMAP_STARTTSL", "IMAP_STARTTLS", "FAILED", id="two letters swapped"),
        pytest.param("IMAP_USE_SLL", "IMAP_USE_SSL", "FAILED", id="another letter"),
        pytest.param("IMAP_PASSWRD", "IMAP_PASSWORD", "FAILED", id="a letter too few"),
        pytest.param("SMTP_USER_NAME", "SMTP_USERNAME", "FAILED", id="one character too many"),
        pytest.param("NORNMAIL_API_TOKENS", "NORNMAIL_API_TOKEN", "FAILED", id="a plural"),
        pytest.param("EMAIL_PRESETS", "EMAIL_PRESET", "FAILED", id="another plural"),
        pytest.param("imap_use_ssl", "IMAP_USE_SSL", "FAILED", id="small letters"),
        pytest.param("SMPT_HOST", "SMTP_HOST", "warn", id="in its first word"),
        pytest.param("IMPA_START_FROM", "IMAP_START_FROM", "warn", id="in that of IMAP"),
        pytest.param("NORMAIL_STATE", "NORNMAIL_STATE", "warn", id="in ours"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_right_one(
    name: str, meant: str, verdict: str
) -> None:
    (line,) = lines({}, None, name)
    assert line.startswith(verdict)
    assert f"{name} is not a setting" in line
    assert f"did you mean {meant}?" in line


@table("name", ["IMAP_HOST", "SMTP_USE_SSL", "EMAIL_DOMAIN", "NORNMAIL_BIND",
                                  "IMAP_CONNECTION_POOL", "PATH", "XIMAP_HOTS"])  # fmt: skip
def test_a_variable_of_ours_or_of_others_is_none_of_its_business(name: str) -> None:
    assert lines({}, None, name) == []


CLEAR = {"use_ssl": False, "username": "a", "password": "hush"}


@table(
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


@table(
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


@table(
    ("imap", "smtp", "words"),
    [
        pytest.param(
            {"port": 143}, None, ["port 143", "plain text", "IMAP_STARTTLS=true"], id="143 with TLS"
        ),
        pytest.param(
            {"port": 993, "use_ssl": False}, None, ["993", "IMAP_USE_SSL=true"], id="993 without"
        ),
        pytest.param({"port": 587}, None, ["the port of SMTP", "IMAP_PORT to 993"], id="SMTP's"),
        pytest.param({"port": 995}, None, ["the port of POP3"], id="POP3's"),
        pytest.param({}, {"port": 993}, ["the port of IMAP", "SMTP_PORT to 587"], id="IMAP's"),
        pytest.param({}, {"port": 25}, ["between servers", "587"], id="25"),
        pytest.param({}, {"port": 587, "use_ssl": True}, ["SMTP_PORT=465"], id="587 with TLS"),
        pytest.param({}, {"port": 465, "use_ssl": False}, ["SMTP_PORT=587"], id="465 without"),
    ],
)
def test_a_port_that_does_not_fit_is_said_before_anything_is_connected(
    imap: dict[str, Any], smtp: dict[str, Any] | None, words: list[str]
) -> None:
    if smtp is not None:
        smtp = {"sender": "a@b.example", **smtp}
    (line,) = lines(imap, smtp)
    assert line.startswith("warn")
    assert all(word in line for word in words), line


def test_a_token_in_clear_is_said_as_a_password_is() -> None:
    (line,) = lines({"use_ssl": False, "username": "a", "token": str})
    assert "the IMAP token crosses the network unencrypted" in line


@pytest.mark.parametrize("settings", [ImapSettings, SmtpSettings])
def test_a_path_is_no_environment(settings: Any) -> None:
    with pytest.raises(ConfigurationError, match="read_environment"):
        settings.from_env(".env")
