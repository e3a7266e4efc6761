"""A person in the loop: messages that wait for approval, and drafts that a person sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    ImapSettings,
    Mailer,
    MemoryStateStore,
    Message,
    NornmailError,
    Outbox,
    OutgoingMessage,
    SentMailbox,
    parse_message,
)
from nornmail.events import OutboxHeld
from nornmail.outbox.transitions import DRAFT_GRACE
from nornmail.testing import MailServer
from tests.outbox.fake import World, world

pytestmark = pytest.mark.usefixtures("each_store")

QUESTION = (
    b"From: Ann <ann@example.org>\r\nTo: agent@example.com\r\nSubject: When?\r\n"
    b"Message-ID: <q3@example.org>\r\nReferences: <q1@example.org> <q2@example.org>\r\n\r\nhi\r\n"
)
DAY = 86_400.0


def question() -> Message:
    return parse_message(QUESTION, delivery_id="d1")


# Approval


@pytest.fixture
def held() -> World:
    """A mailer with one message that waits for approval."""
    one = world(approval="queue")
    result = one.mailer.reply(question(), "At noon.", key="k")
    assert result.state == "held"
    one.mailer.reply(question(), "At noon.", key="k")
    (event,) = one.events
    assert isinstance(event, OutboxHeld)
    assert (event.key, event.message_id, event.recipients) == ("k", result.message_id, 1)
    return one


def test_a_held_message_waits_until_it_is_approved_and_is_sent_once(held: World) -> None:
    held.until(30 * DAY, DAY)
    assert (held.state("k"), held.server.log) == ("held", [])
    outbox = Outbox(held.store)
    (message,) = outbox.list()
    assert (message.state, message.approval, message.decision, message.due_at) == (
        "held", "queue", "", None,
    )  # fmt: skip
    assert outbox.approve(message, "Bob", "reads well")
    assert not outbox.approve(message, "Cat")
    held.mailer.flush()
    assert not outbox.approve("k", "Bob")
    held.mailer.flush()
    assert held.server.addresses() == ["ann@example.org"]
    assert outbox.find("k").decision == "approved by Bob: reads well"
    sent = parse_message(held.server.taken[0][1])
    assert "Auto-Submitted" not in sent.headers, "a person approved it"


def test_a_rejected_message_has_failed_and_is_held_again_after_a_retry(held: World) -> None:
    outbox = Outbox(held.store)
    assert outbox.reject("k", "Bob", "too\r\nshort\u2028")
    with pytest.raises(NornmailError, match=r"cannot be approved: it was rejected by Bob"):
        outbox.approve("k", "Cat")
    held.mailer.flush()
    result = held.mailer.result("k")
    assert result is not None
    assert (result.state, result.reason) == ("failed", "rejected by Bob: too short")
    outbox.retry(outbox.find("k"))
    held.mailer.flush()
    assert (held.state("k"), outbox.find("k").decision) == ("held", "")
    names = [type(event).__name__ for event in held.events]
    assert names == ["OutboxHeld", "OutboxHeld"]
    outbox.approve("k", "Cat")
    held.mailer.flush()
    assert (held.state("k"), len(held.server.taken)) == ("sent", 1)


def test_a_held_message_can_be_dropped(held: World) -> None:
    outbox = Outbox(held.store)
    outbox.drop(outbox.find("k"))
    held.mailer.flush()
    assert (held.state("k"), held.store.message_bytes(held.mailer.outbox, "k")) == ("failed", None)
    with pytest.raises(NornmailError, match="not held"):
        outbox.approve("k", "Bob")


def test_what_an_approved_message_meets_later_does_not_ask_again(held: World) -> None:
    from tests.outbox.fake import refuse

    held.server.answers.append(refuse())
    outbox = Outbox(held.store)
    outbox.approve("k", "Bob")
    held.mailer.flush()
    assert held.state("k") == "failed"
    outbox.retry(outbox.find("k"))
    held.mailer.flush()
    assert (held.state("k"), outbox.find("k").decision) == ("sent", "approved by Bob")


def test_a_function_says_which_messages_wait() -> None:
    seen: list[OutgoingMessage] = []

    def approval(outgoing: OutgoingMessage) -> Any:
        seen.append(outgoing)
        return "queue" if "refund" in outgoing.message.text else None

    one = world(approval=approval)
    for text in ("Hello.", "Your refund is on its way."):
        one.mailer.send("ann@example.org", "s", text, key=text[:5])
    one.mailer.flush()
    assert (one.state("Hello"), one.state("Your ")) == ("sent", "held")
    assert [(m.recipients, m.is_answer) for m in seen] == [(("ann@example.org",), False)] * 2


@pytest.mark.parametrize(
    ("approval", "kept", "fault"),
    [
        pytest.param("person", True, "must be None, 'queue' or 'draft'", id="an unknown word"),
        pytest.param("queue", False, "needs a store", id="no store"),
        pytest.param("draft", True, "needs sent_mailbox", id="no mailbox of drafts"),
    ],
)
def test_an_approval_that_cannot_be_given_is_refused(approval: Any, kept: bool, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        world(approval=approval, kept=kept)


def test_a_function_that_fails_or_says_nothing_known_keeps_nothing() -> None:
    for answer in (True, "yes", "draft"):
        one = world(approval=lambda outgoing, answer=answer: answer)
        with pytest.raises(ConfigurationError, match="approval"):
            one.mailer.send("ann@example.org", "s", "t", key="k")
        assert one.mailer.result("k") is None


@pytest.mark.parametrize("who", ["", " \r\n"])
def test_a_decision_needs_a_name(held: World, who: str) -> None:
    with pytest.raises(ConfigurationError, match="name the person"):
        Outbox(held.store).approve("k", who)
    assert held.state("k") == "held"


# Drafts


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        running.add_user("agent", "secret")
        yield running


def mailbox(server: MailServer) -> SentMailbox:
    return SentMailbox(
        ImapSettings(
            host=server.host,
            port=server.imap_port,
            username="agent",
            password="secret",
            use_ssl=False,
        )
    )


def drafting(server: MailServer, **options: Any) -> World:
    """A mailer whose draft ``k`` lies in the mailbox of drafts."""
    one = world(sent_mailbox=mailbox(server), **options)
    result = one.mailer.draft(question(), "At noon.", key="k")
    assert result.state == "draft"
    one.mailer.flush()
    return one


def test_a_draft_is_saved_once_in_its_thread(server: MailServer) -> None:
    one = drafting(server)
    assert one.mailer.draft(question(), "Again.", key="k").state == "draft"
    one.until(3_600, 600)
    (saved,) = server.mailbox("Drafts").messages
    draft = parse_message(saved.raw)
    assert saved.flags == {"\\Draft", "\\Seen"}
    assert (draft.in_reply_to, draft.subject, draft.text.strip()) == (
        "<q3@example.org>", "Re: When?", "At noon.",
    )  # fmt: skip
    assert draft.references == ("<q1@example.org>", "<q2@example.org>", "<q3@example.org>")
    assert "Auto-Submitted" not in draft.headers
    assert (one.server.log, one.state("k")) == ([], "draft")


def test_approval_by_draft_saves_every_message_with_its_bcc(server: MailServer) -> None:
    one = world(sent_mailbox=mailbox(server), approval="draft")
    one.mailer.send("ann@example.org", "s", "t", bcc="Bob <bob@example.org>", key="k")
    one.mailer.flush()
    (saved,) = server.mailbox("Drafts").messages
    assert [who.address for who in parse_message(saved.raw).bcc] == ["bob@example.org"]


def as_it_was(raw: bytes) -> bytes:
    return raw


def edited(raw: bytes) -> bytes:
    """As a mail program sends it that gives every version a Message-ID of its own."""
    return re.sub(rb"(?m)^Message-ID: .*\r\n", b"Message-ID: <new@mua.example>\r\n", raw)


@pytest.mark.parametrize("change", [as_it_was, edited])
def test_a_draft_that_a_person_sent_counts_as_sent(
    server: MailServer, change: Callable[[bytes], bytes]
) -> None:
    one = drafting(server)
    (saved,) = server.mailbox("Drafts").messages
    at = datetime.fromtimestamp(one.clock.wall(), UTC)
    server.create_mailbox("Sent").add(change(saved.raw), date=at)
    server.mailbox("Drafts").expunge(saved.uid)
    one.until(600, 10)
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.reason) == ("sent", "found in the mailbox of sent mail")
    assert [type(event).__name__ for event in one.events] == ["OutboxSent"]
    assert one.store.message_bytes(one.mailer.outbox, "k") is None
    assert one.server.log == []


def test_a_draft_that_is_edited_is_a_draft(server: MailServer) -> None:
    one = drafting(server)
    (saved,) = server.mailbox("Drafts").messages
    at = datetime.fromtimestamp(one.clock.wall(), UTC)
    server.mailbox("Drafts").add(edited(saved.raw), date=at)
    server.mailbox("Drafts").expunge(saved.uid)
    one.until(3_600, 600)
    assert one.state("k") == "draft"


def test_a_deleted_draft_has_failed_and_is_saved_again_after_a_retry(server: MailServer) -> None:
    one = drafting(server)
    # An answer that was sent before the draft was made is not the draft.
    earlier = datetime.fromtimestamp(one.clock.wall() - 3_600, UTC)
    server.create_mailbox("Sent").add(
        edited(server.mailbox("Drafts").messages[0].raw), date=earlier
    )
    server.mailbox("Drafts").expunge(server.mailbox("Drafts").messages[0].uid)
    one.until(10, 5)
    assert one.state("k") == "draft", "mail programs remove it before they save what was sent"
    one.until(2 * DRAFT_GRACE, 10)
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.reason) == ("failed", "draft removed")
    outbox = Outbox(one.store)
    outbox.retry(outbox.find("k"))
    one.mailer.flush()
    assert (one.state("k"), len(server.mailbox("Drafts").messages)) == ("draft", 1)


def test_two_drafts_for_one_message_are_not_taken_for_each_other(server: MailServer) -> None:
    one = drafting(server)
    one.mailer.draft(question(), "At one.", key="other")
    one.mailer.flush()
    first = server.mailbox("Drafts").messages[0]
    server.mailbox("Drafts").expunge(first.uid)
    one.until(600, 10)
    assert (one.state("k"), one.state("other")) == ("failed", "draft")


def test_a_mailbox_that_cannot_be_reached_costs_no_draft(server: MailServer) -> None:
    one = drafting(server)
    server.refuse_connections = True
    one.until(DAY, 3_600)
    assert one.state("k") == "draft"
    server.refuse_connections = False
    one.until(7_200, 3_600)
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.reason) == ("draft", "")


class Account:
    """The mailboxes of drafts and of sent mail, whose calls can be cut off."""

    server_saves_sent = True

    def __init__(self) -> None:
        self.drafts: list[bytes] = []
        self.calls = 0
        self.cut_at = 0

    def has(self, message_id: str) -> bool:
        return False

    def append(self, raw: bytes, at: datetime) -> None: ...

    def append_draft(self, raw: bytes, at: datetime) -> None:
        self._instant()
        self.drafts.append(raw)
        self._instant()

    def find_draft(self, message_id: str, *rest: Any) -> Any:
        self._instant()
        return "draft" if any(message_id.encode() in raw for raw in self.drafts) else ""

    def _instant(self) -> None:
        self.calls += 1
        if self.calls == self.cut_at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("cut_at", range(1, 4))
def test_a_draft_whose_saving_is_cut_off_is_saved_once(cut_at: int) -> None:
    account, store = Account(), MemoryStateStore()
    account.cut_at = cut_at
    one = world(store, sent_mailbox=account)
    with suppress(KeyboardInterrupt):
        one.mailer.draft(question(), "At noon.", key="k")
        one.mailer.flush()
    one.mailer.close()
    again = world(store, sent_mailbox=account, clock=one.clock)
    again.mailer.draft(question(), "At noon.", key="k")
    again.until(60, 10)
    assert (len(account.drafts), again.state("k")) == (1, "draft")


# Types


async def _misspelt(mailer: Mailer, message: Message) -> None:
    """For the strict type checker, to which an ignored line without an error is an error."""
    await mailer.asend("ann@example.org", "s", text="t", key="k")
    await mailer.areply(message, "t", reply_all=True)
    await mailer.adraft(message, "t", quote=True)
    await mailer.aforward(message, "ann@example.org", "t", approved=True)
    await mailer.asend("ann@example.org", "s", txt="t")  # type: ignore[call-arg]
    await mailer.areply(message, "t", repl_all=True)  # type: ignore[call-arg]
    await mailer.adraft(message, "t", qoute=True)  # type: ignore[call-arg]
    await mailer.aforward(message, "ann@example.org", "t", approvd=True)  # type: ignore[call-arg]
