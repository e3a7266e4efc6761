"""Presets: where the servers of known providers are, and what goes before them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nornmail import ConfigurationError, ImapSettings, SmtpSettings, diagnose
from nornmail.settings.providers import PRESETS, UNKNOWN, describe, provider_of
from tests.support.table import table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md"


@pytest.mark.parametrize(
    ("name", "imap", "smtp"),
    [
        pytest.param("gmail", ("imap.gmail.com", 993), ("smtp.gmail.com", 587), id="Gmail"),
        pytest.param(
            "office365",
            ("outlook.office365.com", 993),
            ("smtp.office365.com", 587),
            id="Office 365",
        ),
    ],
)
def test_the_presets_of_the_guide(name: str, imap: tuple[str, int], smtp: tuple[str, int]) -> None:
    reading = ImapSettings.for_provider(name, username="a@example.com", password="x")
    sending = SmtpSettings.for_provider(name, username="a@example.com", password="x")
    assert ((reading.host, reading.port), (sending.host, sending.port)) == (imap, smtp)
    assert reading.use_ssl
    assert sending.use_tls


@table("name", PRESETS)
def test_every_preset_makes_settings_by_hand_and_from_the_environment(name: str) -> None:
    environ = {"EMAIL_PRESET": name, "IMAP_USERNAME": "a@example.com", "IMAP_PASSWORD": "x"}
    by_hand = ImapSettings.for_provider(name, username="a@example.com", password="x")
    assert ImapSettings.from_env(environ) == by_hand
    assert by_hand.use_ssl or by_hand.starttls
    assert SmtpSettings.named_in(environ)
    assert SmtpSettings.from_env(environ) == SmtpSettings.for_provider(
        name, username="a@example.com", password="x"
    )


def test_the_bridge_is_upgraded_to_tls() -> None:
    bridge = ImapSettings.for_provider("proton", username="a@example.com", password="x")
    assert (bridge.host, bridge.port, bridge.use_ssl, bridge.starttls) == (
        *("127.0.0.1", 1143),
        *(False, True),
    )


def test_what_is_set_goes_before_the_preset() -> None:
    settings = ImapSettings.for_provider("gmail", host="imap.googlemail.com", mailbox="Work")
    assert (settings.host, settings.port, settings.mailbox) == ("imap.googlemail.com", 993, "Work")


@pytest.mark.parametrize(
    ("own", "host", "port", "use_ssl"),
    [
        pytest.param({}, "127.0.0.1", 1143, False, id="nothing is set"),
        pytest.param({"IMAP_HOST": " "}, "127.0.0.1", 1143, False, id="a host that is blank"),
        pytest.param({"IMAP_PORT": "2143"}, "127.0.0.1", 2143, False, id="another port"),
        pytest.param({"IMAP_HOST": "mail.test"}, "mail.test", 993, True, id="a host of one's own"),
    ],
)
def test_variables_go_before_the_preset(
    own: dict[str, str], host: str, port: int, use_ssl: bool
) -> None:
    settings = ImapSettings.from_env({"EMAIL_PRESET": "Proton", **own})
    assert (settings.host, settings.port, settings.use_ssl) == (host, port, use_ssl)


def test_a_password_of_imap_goes_to_no_host_that_the_preset_does_not_name() -> None:
    environ = {
        "EMAIL_PRESET": "gmail",
        "IMAP_USERNAME": "a@example.com",
        "IMAP_PASSWORD": "secret",
        "SMTP_HOST": "mail.test",
    }
    settings = SmtpSettings.from_env(environ)
    assert (settings.host, settings.username, settings.password) == ("mail.test", None, None)


def test_an_account_for_smtp_of_its_own() -> None:
    environ = {
        "EMAIL_PRESET": "gmail",
        "IMAP_USERNAME": "a@example.com",
        "IMAP_PASSWORD": "one",
        "SMTP_USERNAME": "b@example.com",
        "SMTP_PASSWORD": "two",
    }
    settings = SmtpSettings.from_env(environ)
    assert (settings.username, settings.password) == ("b@example.com", "two")


@pytest.mark.parametrize("word", ["self-hosted", "Self-Hosted "])
def test_a_server_of_ones_own_is_filled_in_by_nothing(word: str) -> None:
    environ = {"EMAIL_PRESET": word, "IMAP_HOST": "mail.test"}
    assert ImapSettings.from_env(environ) == ImapSettings(host="mail.test")
    assert not SmtpSettings.named_in(environ)
    with pytest.raises(ConfigurationError, match="IMAP_HOST is missing"):
        ImapSettings.for_provider(word)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ImapSettings.from_env({"EMAIL_PRESET": "hotmial"}), id="environment"),
        pytest.param(lambda: SmtpSettings.from_env({"EMAIL_PRESET": "hotmial"}), id="for SMTP"),
        pytest.param(lambda: ImapSettings.for_provider("hotmial"), id="by hand"),
    ],
)
def test_a_preset_that_there_is_not_names_those_there_are(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError) as raised:
        make()
    assert raised.value.variable == "EMAIL_PRESET"
    for name in (*PRESETS, "self-hosted"):
        assert name in raised.value.allowed


@pytest.mark.parametrize(
    ("host", "port", "title"),
    [
        pytest.param("imap.gmail.com", 993, "Gmail", id="by the end of its name"),
        pytest.param("127.0.0.1", 1143, "Proton Mail Bridge", id="the bridge by its port"),
        pytest.param("127.0.0.1", 143, UNKNOWN.title, id="another server on this machine"),
        pytest.param("notgmail.com", 993, UNKNOWN.title, id="a name that only looks alike"),
    ],
)
def test_a_server_is_known_by_its_address(host: str, port: int, title: str) -> None:
    assert provider_of(host, port).title == title


@table(
    ("name", "words"),
    [
        pytest.param("gmail", ["app password", "15 connections", "[Gmail]/Trash"], id="Gmail"),
        pytest.param("office365", ["OAuth2", "December 2026"], id="Office 365"),
        pytest.param("yahoo", ["no IDLE", "10,000"], id="Yahoo"),
        pytest.param("icloud", ["5 connections", "app-specific"], id="iCloud"),
        pytest.param("163", ["no IDLE", "ID", "authorisation code"], id="163"),
        pytest.param("proton", ["must run on this machine", "IMAP_CA_FILE"], id="Proton"),
    ],
)
def test_what_a_user_should_know(name: str, words: list[str]) -> None:
    assert all(word in describe(PRESETS[name]) for word in words)


def test_check_says_it_first() -> None:
    nowhere = ImapSettings.for_provider("proton", username="a@example.com", password="x")
    first = next(iter(diagnose(nowhere, None, "nornmail.db")))
    assert (first.name, first.ok) == ("provider", True)
    assert first.detail == f"Proton Mail Bridge: {describe(PRESETS['proton'])}"


def test_the_table_on_the_page_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| ([^|`]+) \| `([^`]+)`([^|]*) \| `([^`]+)` \| (yes|no) "
        r"\| `([^`]+)` \| `([^`]+)` \|$",
        PAGE.read_text("utf-8"),
        re.M,
    )
    assert rows == [
        (
            *(name, one.title, f"{one.imap[0]}:{one.imap[1]}"),
            *(" (STARTTLS)" if one.starttls else "", f"{one.smtp[0]}:{one.smtp[1]}"),
            *("yes" if one.idle else "no", one.sent, one.trash),
        )
        for name, one in PRESETS.items()
    ]


def test_what_each_provider_takes_is_on_the_page_with_its_source() -> None:
    cell = r" ([^|]+) \|"
    rows = re.findall(
        r"^\| `([\w.-]+)` \|" + 4 * cell + r" \[source\]\((https://[^)]+)\) \|$",
        PAGE.read_text("utf-8"),
        re.M,
    )
    minds = {
        name: [*one.limits, *([f"{one.connections} connections"] if one.connections else [])]
        for name, one in PRESETS.items()
    }
    assert rows == [
        (
            *(name, one.login, one.takes, ", ".join(one.domains or one.hosts)),
            *("; ".join(minds[name]) or "–", one.source),
        )
        for name, one in PRESETS.items()
    ]


@pytest.mark.parametrize(
    ("address", "imap", "smtp"),
    [
        pytest.param("you@gmx.de", "imap.gmx.net", "mail.gmx.net", id="GMX"),
        pytest.param("You@Hotmail.com", "outlook.office365.com", "smtp-mail.outlook.com", id="MSN"),
        pytest.param("a.b@agentmail.to", "imap.agentmail.to", "smtp.agentmail.to", id="AgentMail"),
        pytest.param("a@bk.ru", "imap.mail.ru", "smtp.mail.ru", id="another domain of Mail.ru"),
    ],
)
def test_an_address_finds_its_provider(address: str, imap: str, smtp: str) -> None:
    reading = ImapSettings.for_address(address, password="x")
    sending = SmtpSettings.for_address(address, password="x")
    assert (reading.host, reading.username) == (imap, address)
    assert (sending.host, sending.username) == (smtp, address)
    environ = {"EMAIL_PRESET": address, "IMAP_USERNAME": address, "IMAP_PASSWORD": "x"}
    assert ImapSettings.from_env(environ) == reading


def test_no_two_providers_have_one_domain() -> None:
    domains = [name for one in PRESETS.values() for name in one.domains or one.hosts]
    assert len(domains) == len(set(domains))


def test_an_address_of_another_domain_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"example\.com is known.*SRV.*IMAP_HOST"):
        ImapSettings.for_address("you@example.com", password="x")
