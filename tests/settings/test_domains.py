"""The rules for domains, and the limits of sending: as the settings have them, and as they work."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    ImapSettings,
    Mailer,
    MemoryStateStore,
    Message,
    Poller,
    RecipientNotAllowed,
    SmtpSettings,
    events,
)
from nornmail.outbox.transitions import SendLimits
from nornmail.settings.fields import read_domain_rules
from nornmail.testing import MailServer
from tests.support.table import table

USER = "agent@example.com"


@table(
    ("allow", "block", "domain", "refused"),
    [
        pytest.param(None, None, "a.example", "", id="no rules"),
        pytest.param(" , ", "", "a.example", "", id="nothing but commas and blanks"),
        pytest.param(r"a\.example", None, "a.example", "", id="on the allowlist"),
        pytest.param(r"a\.example", None, "A.Example", "", id="in capitals"),
        pytest.param(r"a\.example", None, "b.example", "allowlist", id="not on the allowlist"),
        pytest.param(r"a\.example", None, "x.a.example", "allowlist", id="below it"),
        pytest.param(r"a\.example", None, "a.example.evil", "allowlist", id="more behind it"),
        pytest.param(r"(.+\.)?a\.example", None, "x.a.example", "", id="a pattern for subdomains"),
        pytest.param(r"x\.example, a\.example", None, "a.example", "", id="the second of two"),
        pytest.param(r"a\.example", None, "", "allowlist", id="no domain at all"),
        pytest.param(None, r".*\.evil", "a.evil", "blocklist", id="on the blocklist"),
        pytest.param(None, r"evil", "a.evil", "", id="a part of the domain is not the domain"),
        pytest.param(r".*", r"a\.example", "a.example", "blocklist", id="the blocklist wins"),
    ],
)
def test_a_pattern_matches_the_whole_domain_and_the_blocklist_wins(
    allow: str | None, block: str | None, domain: str, refused: str
) -> None:
    reason = read_domain_rules("INBOUND", allow, block).refusal(domain)
    assert refused in reason
    assert bool(refused) == bool(reason)


@table(
    ("settings", "variable", "value"),
    [
        pytest.param(ImapSettings, "INBOUND_DOMAIN_ALLOWLIST", "(", id="an inbound allowlist"),
        pytest.param(ImapSettings, "INBOUND_DOMAIN_BLOCKLIST", "a,*", id="an inbound blocklist"),
        pytest.param(SmtpSettings, "OUTBOUND_DOMAIN_ALLOWLIST", "[", id="an outbound allowlist"),
        pytest.param(SmtpSettings, "OUTBOUND_DOMAIN_BLOCKLIST", "?", id="an outbound blocklist"),
        pytest.param(SmtpSettings, "GLOBAL_SEND_RATE_LIMIT_PER_MINUTE", "-1", id="below 0"),
        pytest.param(SmtpSettings, "GLOBAL_SEND_RATE_LIMIT_PER_HOUR", "many", id="no number"),
    ],
)
def test_a_wrong_value_is_named(settings: Any, variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings.from_env({"IMAP_HOST": "mail.test", "SMTP_HOST": "mail.test", variable: value})
    assert raised.value.variable == variable


def test_refused_mail_is_passed_over_with_its_reason_and_left_as_it_is() -> None:
    seen: list[str] = []
    told: list[events.Event] = []

    def handle(message: Message) -> None:
        seen.append(message.subject)

    with MailServer() as server:
        server.add_user(USER, "secret")
        for who in ("ann@good.example", "bob@bad.good.example", "eve@evil.example", ""):
            server.deliver(f"From: {who}\r\nSubject: from {who}\r\n\r\nhi\r\n".encode())
        environ = {
            "IMAP_HOST": server.host,
            "IMAP_PORT": str(server.imap_port),
            "IMAP_USE_SSL": "false",
            "IMAP_USERNAME": USER,
            "IMAP_PASSWORD": "secret",
            "INBOUND_DOMAIN_ALLOWLIST": r"(.+\.)?good\.example",
            "INBOUND_DOMAIN_BLOCKLIST": r"bad\..*",
        }
        with Poller(
            ImapSettings.from_env(environ),
            store=MemoryStateStore(),
            on_message=handle,
            on_event=told.append,
        ) as poller:
            poller.stop()
            poller.poll_once()
        flags = [message.flags for message in server.mailbox().messages]
    assert seen == ["from ann@good.example"]
    assert flags == [{"\\Seen"}, set(), set(), set()]
    assert [event.reason for event in told if isinstance(event, events.PassedOver)] == [
        "the domain bad.good.example is on the blocklist",
        "the domain evil.example is not on the allowlist",
        "the domain (none) is not on the allowlist",
    ]


@table(
    ("to", "allowed"),
    [
        pytest.param("ann@good.example", True, id="an allowed domain"),
        pytest.param("ann@GOOD.example", True, id="in capitals"),
        pytest.param("eve@evil.example", False, id="another domain"),
        pytest.param("ann@good.example, eve@evil.example", False, id="one of two"),
        pytest.param("bob@bad.good.example", False, id="a blocked domain"),
        pytest.param("eve%evil.example@good.example", False, id="a relay by way of the domain"),
    ],
)
def test_mail_goes_to_allowed_domains_alone(to: str, allowed: bool) -> None:
    environ = {
        "SMTP_HOST": "mail.test",
        "SMTP_FROM": USER,
        "OUTBOUND_DOMAIN_ALLOWLIST": r"(.+\.)?good\.example",
        "OUTBOUND_DOMAIN_BLOCKLIST": r"bad\..*",
    }
    with Mailer(SmtpSettings.from_env(environ), MemoryStateStore(), dry_run=True) as mailer:
        if allowed:
            mailer.send(to.split(", "), "s", "t")
        else:
            with pytest.raises(RecipientNotAllowed):
                mailer.send(to.split(", "), "s", "t")


@pytest.mark.parametrize(
    ("environ", "limits"),
    [
        pytest.param({}, (30, 300), id="the defaults"),
        pytest.param({"GLOBAL_SEND_RATE_LIMIT_PER_MINUTE": "0"}, (None, 300), id="0 is no limit"),
        pytest.param({"GLOBAL_SEND_RATE_LIMIT_PER_HOUR": "7"}, (30, 7), id="a limit"),
    ],
)
def test_the_limits_of_sending_are_those_of_the_settings(
    environ: dict[str, str], limits: tuple[int | None, int | None]
) -> None:
    settings = SmtpSettings.from_env({"SMTP_HOST": "mail.test", "SMTP_FROM": USER, **environ})
    sending = SendLimits.of(settings)
    assert (sending.per_minute, sending.per_hour) == limits
