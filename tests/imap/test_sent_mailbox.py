"""The mailbox of sent mail: on the embedded server, and on a real one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from nornmail import CommandRefused, ImapSettings, SentMailbox
from nornmail.imap.connection import Connection
from nornmail.imap.results import ListedMailbox, internal_date, write_internal_date
from nornmail.imap.sent_mailbox import SENT, find_mailboxes
from nornmail.outbox.mailboxes import SentMail
from nornmail.settings.providers import PROVIDERS, Provider
from nornmail.testing import MailServer
from tests.outbox.fake import lose, world
from tests.support.table import table

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


@table(
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


@table("provider", PROVIDERS, ids=lambda provider: provider.title)
def test_every_provider_that_keeps_sent_mail_is_known(provider: Provider) -> None:
    """One table: by the name of its preset as by its host."""
    host, port = provider.imap if provider.name else (f"imap.{provider.hosts[0]}", 993)
    assert SentMailbox(ImapSettings(host=host, port=port)).server_saves_sent is provider.keeps_sent


@pytest.mark.parametrize("seconds", [0, 951_782_400, 1_798_761_599, 4_102_444_800])
def test_a_date_is_read_as_it_was_written(seconds: int) -> None:
    assert internal_date(write_internal_date(seconds)) == seconds


def listed(*names: str, delimiter: str = ".", sent: str = "") -> list[ListedMailbox]:
    marked = frozenset({"\\sent"})
    return [ListedMailbox(n, marked if n == sent else frozenset(), delimiter) for n in names]


@table(
    ("mailboxes", "prefix", "name"),
    [
        pytest.param(listed("INBOX", "Sent"), "", "Sent", id="the usual name"),
        pytest.param(listed("INBOX", "SENT ITEMS"), "", "SENT ITEMS", id="in capitals"),
        pytest.param(listed("INBOX", "INBOX.Sent"), "INBOX.", "INBOX.Sent", id="below a prefix"),
        pytest.param(listed("INBOX", "INBOX/Sent", delimiter="/"), "", "INBOX/Sent",
                     id="below INBOX, from a server that names no prefix"),
        pytest.param(listed("INBOX", "inbox.Gesendet"), "INBOX.", "inbox.Gesendet",
                     id="the prefix in another case"),
        pytest.param(listed("INBOX", "Gesendete Objekte"), "", "Gesendete Objekte", id="German"),
        pytest.param(listed("INBOX", "Éléments envoyés"), "", "Éléments envoyés", id="French"),
        pytest.param(listed("INBOX", "Отправленные"), "", "Отправленные", id="Russian"),
        pytest.param(listed("INBOX", "送信済みメール"), "", "送信済みメール", id="Japanese"),
        pytest.param(listed("Sent", "Raus", sent="Raus"), "", "Raus", id="the server says which"),
        pytest.param(listed("Sent Items", "Sent"), "", "Sent", id="the first of the table"),
        pytest.param(listed("INBOX", "Customers.Sent"), "", "", id="somewhere below another one"),
        pytest.param(listed("INBOX", "Sentences"), "", "", id="a longer word"),
        pytest.param(listed("INBOX", delimiter=""), "", "", id="no levels, and none"),
        pytest.param([], "", "", id="nothing is listed"),
    ],
)  # fmt: skip
def test_the_mailbox_for_sent_mail_is_found(
    mailboxes: list[ListedMailbox], prefix: str, name: str
) -> None:
    assert find_mailboxes(SENT, mailboxes, prefix)[:1] == ([name] if name else [])


@dataclass
class FakeConnection:
    """A server that has mailboxes, and habits of its own about missing ones.

    Attributes:
        boxes: their names.
        prefix: of every name but INBOX; others are refused.
        code: of the refusal of APPEND to a mailbox that is missing.
        hidden: names that LIST leaves out.
        broken: a name that LIST shows and nothing opens.
        says_prefix: it has NAMESPACE, which tells the prefix.
        holds_off: nothing is taken while a mailbox is examined, as by Courier.
    """

    boxes: list[str]
    prefix: str = ""
    code: str = ""
    hidden: frozenset[str] = frozenset()
    broken: str = ""
    says_prefix: bool = True
    holds_off: bool = False
    opened: bool = False
    kept: list[str] = field(default_factory=list)
    exists: int = 0

    def listed_mailboxes(self) -> list[ListedMailbox]:
        return listed(*(box for box in self.boxes if box not in self.hidden))

    def personal_prefix(self) -> str:
        return self.prefix if self.says_prefix else ""

    def examine(self, name: str) -> None:
        self._find("EXAMINE", name)
        self.opened = True

    def leave(self) -> None:
        self.opened = False

    def create(self, name: str) -> None:
        if not name.startswith(self.prefix):
            raise CommandRefused("CREATE", "NO", "", "wrong prefix")
        if name in self.boxes:
            raise CommandRefused("CREATE", "NO", "ALREADYEXISTS", "it exists")
        self.boxes.append(name)

    def append(self, name: str, raw: bytes, **_: Any) -> None:
        self._find("APPEND", name)
        if self.holds_off and self.opened:
            raise CommandRefused("APPEND", "NO", "", "Current box is selected READ-ONLY.")
        self.kept.append(name)

    def _find(self, command: str, name: str) -> None:
        if name not in self.boxes or name == self.broken:
            raise CommandRefused(command, "NO", self.code, f"no mailbox {name}")

    def close(self) -> None: ...


@table("code", ["", "TRYCREATE", "NONEXISTENT"])
@table(
    ("connection", "mailbox", "kept"),
    [
        pytest.param(FakeConnection(["INBOX"]), None, "Sent", id="none is there"),
        pytest.param(FakeConnection(["INBOX"], prefix="INBOX."), None, "INBOX.Sent",
                     id="none is there, and names have a prefix"),
        pytest.param(FakeConnection(["INBOX", "INBOX.Sent"], prefix="INBOX."), None, "INBOX.Sent",
                     id="it is below a prefix"),
        pytest.param(FakeConnection(["INBOX", "INBOX.Trash"], prefix="INBOX.", says_prefix=False),
                     None, "INBOX.Sent", id="the other names have a prefix"),
        pytest.param(FakeConnection(["INBOX", "Gesendete Objekte"]), None, "Gesendete Objekte",
                     id="a usual name in another language"),
        pytest.param(FakeConnection(["INBOX", "Sent Items"], broken="Sent Items"), None, "Sent",
                     id="a usual name that cannot be opened"),
        pytest.param(FakeConnection(["INBOX"]), "Copies", "Copies", id="a given name is missing"),
        pytest.param(FakeConnection(["INBOX", "Copies"]), "Copies", "Copies", id="a given name"),
        pytest.param(FakeConnection(["INBOX", "Sent"], hidden=frozenset({"Sent"})), None, "Sent",
                     id="LIST leaves it out"),
        pytest.param(FakeConnection(["INBOX", "Sent"], holds_off=True), None, "Sent",
                     id="nothing is taken while a mailbox is examined"),
    ],
)  # fmt: skip
def test_a_copy_finds_its_mailbox_or_makes_it(
    connection: FakeConnection, mailbox: str | None, kept: str, code: str
) -> None:
    server = replace(connection, boxes=list(connection.boxes), kept=[], code=code)
    host = ImapSettings(host="imap.example.com")
    sent = SentMailbox(host, mailbox, connect=lambda _: cast("Connection", server))
    assert sent.has("<one@example.com>") is False
    sent.append(MAIL, WHEN)
    sent.append(MAIL, WHEN)
    assert server.kept == [kept, kept]


def test_a_given_mailbox_that_is_there_and_cannot_be_opened_is_the_error() -> None:
    """A second copy might be saved else."""
    server = FakeConnection(["INBOX", "Copies"], broken="Copies")
    host = ImapSettings(host="imap.example.com")
    sent = SentMailbox(host, "Copies", connect=lambda _: cast("Connection", server))
    with pytest.raises(CommandRefused, match="no mailbox Copies"):
        sent.has("<one@example.com>")


def test_a_mailbox_that_cannot_be_made_is_the_error() -> None:
    server = FakeConnection(["INBOX"], prefix="Private/")
    host = ImapSettings(host="imap.example.com")
    sent = SentMailbox(host, "Copies", connect=lambda _: cast("Connection", server))
    with pytest.raises(CommandRefused, match="no mailbox Copies"):
        sent.append(MAIL, WHEN)


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
    assert "was not saved" in one.mailer.status().copy_error
    assert one.mailer.status().copy_error.endswith("given up")
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
