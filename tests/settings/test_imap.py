"""Every setting: its default, its environment name, what is wrong and what the error says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from nornmail.errors import ConfigurationError
from nornmail.settings.imap import ImapSettings, same_mailbox, start_instant
from tests.support.table import table

HOST = {"IMAP_HOST": "imap.example.com"}


def test_the_defaults_are_those_of_the_setup_guide() -> None:
    settings = ImapSettings.from_env(HOST)
    assert settings == ImapSettings(
        host="imap.example.com",
        port=993,
        username=None,
        password=None,
        use_ssl=True,
        poll_interval=60,
        mailbox="INBOX",
        mark_as_read=True,
        delete_after_fetch=False,
        move_to=None,
        starttls=False,
        ca_file=None,
        start_from=None,
        on_uidvalidity_change="dedupe",
    )


@table(
    ("variable", "text", "field", "value"),
    [
        pytest.param("IMAP_PORT", "1993", "port", 1993, id="a port"),
        pytest.param("IMAP_USERNAME", "a@b.example", "username", "a@b.example", id="a user name"),
        pytest.param(
            "IMAP_PASSWORD",
            " with blanks ",
            "password",
            " with blanks ",
            id="a password keeps its blanks",
        ),
        pytest.param("IMAP_USE_SSL", "FALSE", "use_ssl", False, id="false in capitals"),
        pytest.param("IMAP_MARK_AS_READ", "no", "mark_as_read", False, id="no is false"),
        pytest.param("IMAP_DELETE_AFTER_FETCH", "1", "delete_after_fetch", True, id="1 is true"),
        pytest.param("IMAP_POLL_INTERVAL", "2.5", "poll_interval", 2.5, id="half seconds"),
        pytest.param("IMAP_MAILBOX", "Büro", "mailbox", "Büro", id="a mailbox outside ASCII"),
        pytest.param("IMAP_MOVE_TO", "Done", "move_to", "Done", id="a mailbox to move to"),
        pytest.param("IMAP_CA_FILE", "/ca.pem", "ca_file", "/ca.pem", id="a private CA"),
        pytest.param("IMAP_START_FROM", "new", "start_from", "new", id="start from new mail"),
        pytest.param("IMAP_START_FROM", "ALL", "start_from", "all", id="start from all mail"),
        pytest.param(
            "IMAP_START_FROM", "2026-01-31", "start_from", date(2026, 1, 31), id="start from a date"
        ),
        pytest.param(
            "IMAP_START_FROM",
            "2026-01-31T08:00:00+00:00",
            "start_from",
            datetime(2026, 1, 31, 8, tzinfo=UTC),
            id="start from an instant",
        ),
        pytest.param(
            "IMAP_ON_UIDVALIDITY_CHANGE",
            "replay",
            "on_uidvalidity_change",
            "replay",
            id="what a new UIDVALIDITY does",
        ),
        pytest.param("IMAP_TIMEOUT", "5", "timeout", 5.0, id="a timeout"),
        pytest.param(
            "IMAP_AUTHSERV_ID",
            "mx.example.net",
            "authserv_id",
            "mx.example.net",
            id="whom to trust",
        ),
        pytest.param("IMAP_MAILBOX", "", "mailbox", "INBOX", id="set to nothing is not set"),
        pytest.param("EMAIL_PROVIDER", "imap-smtp", "port", 993, id="the provider that there is"),
        pytest.param(
            "IMAP_PORT", "0" * 5000 + "143", "port", 143, id="a port behind 5,000 noughts"
        ),
        pytest.param("NORNMAIL_WORKERS", "0" * 5000 + "2", "workers", 2, id="workers behind them"),
    ],
)
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(ImapSettings.from_env({**HOST, variable: text}), field) == value


@table(
    ("variables", "words"),
    [
        pytest.param({"IMAP_HOST": ""}, ["IMAP_HOST", "missing"], id="no host"),
        pytest.param({"IMAP_HOST": "imap://x"}, ["IMAP_HOST", "imap://x"], id="a URL as the host"),
        pytest.param({"IMAP_PORT": "imap"}, ["IMAP_PORT", "'imap'", "65535"], id="a word as port"),
        pytest.param({"IMAP_PORT": "0"}, ["IMAP_PORT", "'0'"], id="port nought"),
        pytest.param({"IMAP_PORT": "65536"}, ["IMAP_PORT", "65536"], id="a port too high"),
        pytest.param({"IMAP_PORT": "9" * 5000}, ["IMAP_PORT"], id="a port of 5,000 digits"),
        pytest.param({"IMAP_OAUTH_FILE": "a\0b"}, ["IMAP_OAUTH_FILE", "path"], id="NUL in a path"),
        pytest.param(
            {"IMAP_USE_SSL": "maybe"},
            ["IMAP_USE_SSL", "maybe", "true or false"],
            id="neither true nor false",
        ),
        pytest.param(
            {"IMAP_POLL_INTERVAL": "soon"},
            ["IMAP_POLL_INTERVAL", "soon", "seconds"],
            id="a word as interval",
        ),
        pytest.param(
            {"IMAP_POLL_INTERVAL": "0"}, ["IMAP_POLL_INTERVAL", "above 0"], id="no interval at all"
        ),
        pytest.param({"IMAP_POLL_INTERVAL": "nan"}, ["IMAP_POLL_INTERVAL"], id="not a number"),
        pytest.param(
            {"IMAP_POLL_INTERVAL": "1e9"},
            ["IMAP_POLL_INTERVAL", "86400"],
            id="an interval of years",
        ),
        pytest.param(
            {"IMAP_START_FROM": "yesterday"},
            ["IMAP_START_FROM", "yesterday", "all, new, or a date"],
            id="no such start",
        ),
        pytest.param(
            {"IMAP_ON_UIDVALIDITY_CHANGE": "panic"},
            ["IMAP_ON_UIDVALIDITY_CHANGE", "panic", "dedupe, replay, baseline"],
            id="no such policy",
        ),
        pytest.param(
            {"EMAIL_PROVIDER": "mailgun"},
            ["EMAIL_PROVIDER", "mailgun", "imap-smtp"],
            id="another provider",
        ),
        pytest.param(
            {"IMAP_DELETE_AFTER_FETCH": "true", "IMAP_MARK_AS_READ": "false"},
            ["IMAP_DELETE_AFTER_FETCH", "IMAP_MARK_AS_READ"],
            id="delete without mark as read names both",
        ),
        pytest.param(
            {"IMAP_STARTTLS": "1"},
            ["IMAP_STARTTLS is '1'", "IMAP_USE_SSL"],
            id="STARTTLS inside TLS names both",
        ),
        pytest.param(
            {"IMAP_MOVE_TO": "Done", "IMAP_DELETE_AFTER_FETCH": "true"},
            ["IMAP_MOVE_TO", "IMAP_DELETE_AFTER_FETCH"],
            id="move and delete names both",
        ),
        pytest.param(
            {"IMAP_MOVE_TO": "inbox"},
            ["IMAP_MOVE_TO", "IMAP_MAILBOX"],
            id="a move to the same mailbox, in other case",
        ),
        pytest.param(
            {"IMAP_MAILBOX": "a\r\nX1 DELETE INBOX"},
            ["IMAP_MAILBOX", "line ends"],
            id="a command hidden in a mailbox name",
        ),
        pytest.param({"IMAP_USERNAME": "a\0b"}, ["IMAP_USERNAME", "NUL"], id="a NUL in the user"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    variables: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ImapSettings.from_env({**HOST, **variables})
    for word in words:
        assert word in str(caught.value)


@table(
    ("fields", "variable"),
    [
        pytest.param({"port": "993"}, "IMAP_PORT", id="a port as text"),
        pytest.param({"port": True}, "IMAP_PORT", id="a port as a truth value"),
        pytest.param({"use_ssl": "false"}, "IMAP_USE_SSL", id="a switch as text"),
        pytest.param({"mark_as_read": 0}, "IMAP_MARK_AS_READ", id="a switch as a number"),
        pytest.param({"poll_interval": "60"}, "IMAP_POLL_INTERVAL", id="seconds as text"),
        pytest.param({"timeout": 0}, "IMAP_TIMEOUT", id="no time at all"),
        pytest.param({"username": 5}, "IMAP_USERNAME", id="a user that is a number"),
        pytest.param({"mailbox": b"INBOX"}, "IMAP_MAILBOX", id="a mailbox as bytes"),
        pytest.param({"mailbox": ""}, "IMAP_MAILBOX", id="no mailbox"),
        pytest.param({"move_to": ""}, "IMAP_MOVE_TO", id="a move to nowhere"),
        pytest.param({"start_from": "old"}, "IMAP_START_FROM", id="no such start"),
        pytest.param({"port": -1}, "IMAP_PORT", id="a port below nought"),
        pytest.param({"authserv_id": ""}, "IMAP_AUTHSERV_ID", id="a server with no name"),
        pytest.param({"authserv_id": "mx 1"}, "IMAP_AUTHSERV_ID", id="a server's name and version"),
        pytest.param({"authserv_id": "a;b"}, "IMAP_AUTHSERV_ID", id="two servers"),
        pytest.param({"authserv_id": True}, "IMAP_AUTHSERV_ID", id="a truth value for a server"),
    ],
)
def test_by_hand_the_same_checks_hold(fields: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ImapSettings(**{"host": "imap.example.com", **fields})
    assert caught.value.variable == variable


def test_no_secret_is_shown() -> None:
    settings = ImapSettings(host="h", username="u", password="s3cr3t")
    assert "s3cr3t" not in repr(settings)
    with pytest.raises(ConfigurationError) as caught:
        ImapSettings(host="h", password="s3cr3t\r\n")
    assert "s3cr3t" not in str(caught.value)
    assert "s3cr3t" not in repr(caught.value)


def test_the_port_follows_tls_where_it_is_left_out() -> None:
    assert ImapSettings(host="h").port == 993
    assert ImapSettings(host="h", use_ssl=False).port == 143


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_HOST", "from.the.environment")
    assert ImapSettings.from_env().host == "from.the.environment"


def test_the_account_is_the_user_at_the_host() -> None:
    assert ImapSettings(host="h.example", username="u").account == "u@h.example"
    assert ImapSettings(host="h.example").account == "@h.example"


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        pytest.param(date(1970, 1, 2), 86_400.0, id="a date begins at midnight UTC"),
        pytest.param(datetime(1970, 1, 1, 1), 3_600.0, id="without a zone it is UTC"),
        pytest.param(datetime.fromisoformat("1970-01-01T01:00:00+01:00"), 0.0, id="with a zone"),
    ],
)
def test_a_date_means_an_instant(start: date, seconds: float) -> None:
    assert start_instant(start) == seconds


def test_only_inbox_has_no_case() -> None:
    assert same_mailbox("INBOX", "inbox")
    assert not same_mailbox("Done", "done")
