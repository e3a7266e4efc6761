"""The mailbox of sent mail: on the embedded server, and on a real one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from nornmail import CommandRefused, ImapSettings, SentMailbox
from nornmail.imap.results import internal_date, write_internal_date
from nornmail.outbox.sent_copies import SentMail
from nornmail.settings.providers import PROVIDERS, Provider
from nornmail.testing import MailServer
from tests.outbox.fake import lose, world
from tests.support.dovecot import Dovecot

WHEN = datetime(2027, 1, 5, 8, 9, 10, tzinfo=UTC)
MAIL = b"From: a@example.com\r\nMessage-ID: <one@example.com>\r\nSubject: one\r\n\r\nbody\r\n"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        running.add_user("agent", "secret")
        yield running


def settings(server: MailServer) -> ImapSettings:
    return ImapSettings(
        host=server.host, port=server.imap_port, username="agent", password="secret", use_ssl=False
    )


def test_it_keeps_the_protocol_of_the_sender(server: MailServer) -> None:
    sent: SentMail = SentMailbox(settings(server))
    assert not sent.server_saves_sent


def test_a_copy_is_put_there_seen_and_with_its_date_and_found_again(server: MailServer) -> None:
    sent = SentMailbox(settings(server))
    assert not sent.has("<one@example.com>"), "the mailbox is not there yet"
    sent.append(MAIL, WHEN)
    (message,) = server.mailbox("Sent").messages
    assert (message.raw, message.flags) == (MAIL, frozenset({"\\Seen"}))
    assert message.internal_date == WHEN
    assert sent.has("<one@example.com>")
    assert not sent.has("<two@example.com>")
    assert not sent.has("<one@example.co>"), "a part of it is another one"


def test_a_name_that_is_given_is_taken(server: MailServer) -> None:
    SentMailbox(settings(server), "Gesendet ü").append(MAIL, WHEN)
    sent = SentMailbox(settings(server), "Gesendet ü")
    assert sent.has("<one@example.com>")


@pytest.mark.parametrize(
    ("host", "port", "saves"),
    [
        ("imap.gmail.com", 993, True),
        ("IMAP.GoogleMail.com", 993, True),
        ("outlook.office365.com", 993, True),
        ("imap-mail.outlook.com", 993, True),
        ("127.0.0.1", 1143, True),
        ("127.0.0.1", 143, False),
        ("imap.fastmail.com", 993, False),
        ("imap.example.com", 993, False),
        ("notgmail.com", 993, False),
    ],
)
def test_it_knows_who_saves_what_is_sent(host: str, port: int, saves: bool) -> None:
    settings = ImapSettings(host=host, port=port, use_ssl=False)
    assert SentMailbox(settings).server_saves_sent is saves
    assert SentMailbox(settings, saved_by_server=not saves).server_saves_sent is not saves


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.title)
def test_every_provider_that_keeps_sent_mail_is_known(provider: Provider) -> None:
    """One table: by the name of its preset as by its host."""
    host, port = provider.imap if provider.name else (f"imap.{provider.hosts[0]}", 993)
    assert SentMailbox(ImapSettings(host=host, port=port)).server_saves_sent is provider.keeps_sent


@pytest.mark.parametrize("seconds", [0, 951_782_400, 1_798_761_599, 4_102_444_800])
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    assert internal_date(write_internal_date(seconds)) == seconds


# With a mailer


def test_what_is_sent_is_copied_once(server: MailServer) -> None:
    one = world(sent_mailbox=SentMailbox(settings(server)))
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    one.mailer.flush()
    (copy,) = server.mailbox("Sent").messages
    assert copy.raw == one.server.taken[0][1]
    letter = one.store.queued_message(one.mailer.outbox, "k")
    assert letter is not None
    assert (letter.copied, letter.copy_due_at) == (True, 0.0)
    assert one.store.message_bytes(one.mailer.outbox, "k") is None
    assert len(one.events) == 1
    one.until(86_400, 3_600)
    assert len(server.mailbox("Sent").messages) == 1


def test_a_copy_that_fails_is_tried_again_and_the_letter_is_sent_once() -> None:
    class Broken:
        server_saves_sent = False
        tries = 0

        def has(self, message_id: str) -> bool:
            self.tries += 1
            if self.tries < 4:
                raise CommandRefused("EXAMINE", "NO", "", "over quota")
            return False

        def append(self, raw: bytes, at: datetime) -> None:
            self.raw = raw

    sent = Broken()
    one = world(sent_mailbox=sent)
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    one.mailer.flush()
    assert one.state("k") == "sent"
    one.until(3_600, 60)
    assert (sent.tries, len(one.server.taken)) == (4, 1)
    assert sent.raw == one.server.taken[0][1]


def test_a_copy_that_never_succeeds_is_given_up_and_its_bytes_are_forgotten() -> None:
    class Never:
        server_saves_sent = False

        def has(self, message_id: str) -> bool:
            raise CommandRefused("EXAMINE", "NO", "", "no")

        def append(self, raw: bytes, at: datetime) -> None: ...

    one = world(sent_mailbox=Never())
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    one.mailer.flush()
    one.until(3 * 86_400, 3_600)
    letter = one.store.queued_message(one.mailer.outbox, "k")
    assert letter is not None
    assert (str(letter.state), letter.copied, letter.copy_due_at) == ("sent", False, 0.0)
    assert one.store.message_bytes(one.mailer.outbox, "k") is None


def test_what_the_server_saves_is_not_put_there_twice(server: MailServer) -> None:
    sent = SentMailbox(settings(server))
    one = world(sent_mailbox=sent)
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    raw = one.store.message_bytes(one.mailer.outbox, "k")
    assert raw is not None
    sent.append(raw, WHEN)  # as a server does that keeps what it sends
    one.mailer.flush()
    assert len(server.mailbox("Sent").messages) == 1
    letter = one.store.queued_message(one.mailer.outbox, "k")
    assert letter is not None
    assert letter.copied


@pytest.mark.parametrize("saves", [True, False], ids=["Gmail and its like", "any other"])
def test_what_is_unknown_is_sent_when_it_is_found_there(server: MailServer, saves: bool) -> None:
    sent = SentMailbox(settings(server), saved_by_server=saves)
    one = world(sent_mailbox=sent, answers=[lose(content=True)])
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    one.mailer.flush()
    assert one.state("k") == "unknown"
    raw = one.store.message_bytes(one.mailer.outbox, "k")
    assert raw is not None
    sent.append(raw, WHEN)
    one.until(120)
    assert one.state("k") == "sent"
    result = one.mailer.result("k")
    assert result is not None
    assert result.reason == "found in the mailbox of sent mail"
    assert len(one.server.log) == 1
    assert len(server.mailbox("Sent").messages) == 1


def test_what_is_unknown_and_not_found_stays_so(server: MailServer) -> None:
    one = world(sent_mailbox=SentMailbox(settings(server)), answers=[lose(content=True)])
    one.mailer.send("ann@example.org", "hello", "hello", key="k")
    one.mailer.flush()
    one.until(3 * 86_400, 6 * 3_600)
    assert one.state("k") == "unknown"
    assert server.mailbox("INBOX").messages == []


# A real server


@pytest.mark.interop
def test_on_dovecot_a_copy_goes_to_the_mailbox_for_sent_mail(dovecot: Dovecot) -> None:
    user = dovecot.user()
    imap = ImapSettings(
        host=dovecot.host,
        port=dovecot.port,
        username=user,
        password=dovecot.password,
        use_ssl=False,
    )
    sent = SentMailbox(imap)
    assert not sent.has("<one@example.com>")
    sent.append(MAIL, WHEN)
    assert sent.has("<one@example.com>")
    assert not sent.has("<two@example.com>")
