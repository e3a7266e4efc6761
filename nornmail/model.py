"""The values of incoming mail: the identity of a message, its state, and the right to work on it.

Nothing here acts. A store writes these values down; ``poller`` decides over them and makes new
ones. The one rule that is enforced here is the table of states: see :data:`TRANSITIONS`.
"""

from __future__ import annotations

import hashlib
import os
import socket
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from nornmail.errors import ConfigurationError, IllegalTransition
from nornmail.uidset import UidSet


class State(StrEnum):
    """The state of an entry; a store writes the value."""

    NEW = "new"
    """Known to be for this inbox, not delivered yet. An entry that is not there counts as new.

    It is written down when a message is for several inboxes, in the commit that claims it for the
    first of them, and for older mail that is meant for an inbox that was added."""
    CLAIMED = "claimed"
    """About to be delivered to ``on_message``, or in it."""
    HANDLED = "handled"
    """``on_message`` returned; the mailbox has yet to be touched as the settings say."""
    FINISHED = "finished"
    """Handled, and nothing is left to do on the server."""
    WAITING = "waiting"
    """An attempt failed or was deferred; the next one is due at ``due_at``."""
    DEAD = "dead"
    """Given up; kept with its bytes until a person decides."""
    PASSED_OVER = "passed over"
    """Looked at and deliberately not delivered; ``reason`` says why."""
    GONE = "gone"
    """Listed once, and twice not there any more when it was to be fetched."""


TRANSITIONS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.NEW: frozenset(
            {State.CLAIMED, State.WAITING, State.DEAD, State.PASSED_OVER, State.GONE}
        ),
        # `accept` is asked under the claim, so that a message that kills its process there is
        # counted; what it does not want is passed over.
        State.CLAIMED: frozenset({State.HANDLED, State.WAITING, State.DEAD, State.PASSED_OVER}),
        State.WAITING: frozenset({State.CLAIMED, State.WAITING, State.DEAD, State.GONE}),
        State.HANDLED: frozenset({State.FINISHED}),
        State.DEAD: frozenset({State.CLAIMED}),
        # A server that hides a UID in two listings running may show it again: it is new then.
        State.GONE: frozenset(
            {State.CLAIMED, State.WAITING, State.DEAD, State.PASSED_OVER, State.GONE}
        ),
        State.FINISHED: frozenset(),
        State.PASSED_OVER: frozenset(),
    }
)
"""From each state, the states an entry may go to. Stores refuse every other change."""

KEEPS_RAW = frozenset({State.CLAIMED, State.WAITING, State.DEAD})
"""The states in which kept bytes stay: in all others a store drops them with the transition."""


def check_transition(before: State, after: State) -> None:
    """Refuse what the table does not allow.

    Raises:
        IllegalTransition: ``before`` may not become ``after``.
    """
    if after not in TRANSITIONS[before]:
        raise IllegalTransition(f"an entry that is {before} cannot become {after}")


OUTBOX = "\0outbox"
"""In the place of a mailbox's name: the outbox. No mailbox has NUL in its name (RFC 3501, 9)."""


class MailboxKey(NamedTuple):
    """The key under which a store keeps everything of one poller."""

    account: str
    mailbox: str

    @classmethod
    def of_outbox(cls, outbox: str) -> MailboxKey:
        """The key of an outbox, on which a sender takes a lease."""
        return cls(outbox, OUTBOX)

    @property
    def is_outbox(self) -> bool:
        """Whether it is an outbox and no mailbox."""
        return self.mailbox == OUTBOX

    def __str__(self) -> str:
        if self.is_outbox:
            return f"the outbox of {self.account}"
        return f"{self.account}/{self.mailbox}"


@dataclass(frozen=True, slots=True, order=True)
class MessageRef:
    """A message on the server: the three that only mean something together (RFC 3501, 2.3.1.1)."""

    mailbox: str
    uid_validity: int
    uid: int

    def __str__(self) -> str:
        return f"{self.mailbox};UIDVALIDITY={self.uid_validity};UID={self.uid}"


class EntryKey(NamedTuple):
    """One entry of a mailbox: a message for an inbox.

    ``epoch`` and not UIDVALIDITY, since a server may start over under the same UIDVALIDITY or name
    none at all. ``inbox`` is the inbox's address in lower case (:attr:`Inbox.key`), ``""`` for a
    poller with one callback and for what was decided before it was known whom a message is for,
    :data:`UNROUTED` for mail that no inbox was found for.
    """

    epoch: int
    uid: int
    inbox: str = ""


UNROUTED = "*"
"""The inbox of mail that is for none: no address is like it."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """An address of a shared account, and the handler of its mail.

    Mail is for an inbox when it is addressed to it: see :func:`nornmail.poller.inboxes.route`.

    Args:
        address: such as ``support@example.com``. Case does not matter, and mail to
            ``support+anything@example.com`` is for it too. An address that itself has a ``+tag``
            gets the mail to exactly that address.
        on_message: called with each message, as the poller's own ``on_message`` is; ``None``
            means that one.
        accept: a function of the message; what it returns false for is passed over.

    Raises:
        ConfigurationError: ``address`` is not an address, or a callback cannot be called.
    """

    address: str
    on_message: Callable[[Any], object] | None = None
    accept: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        local, at, domain = str(self.address).rpartition("@")
        odd = any(not char.isprintable() or char in " ,;<>" for char in str(self.address))
        if not (local and at and domain) or odd:
            raise ConfigurationError("Inbox.address", self.address, "must be like a@example.com")
        for name, value in (("on_message", self.on_message), ("accept", self.accept)):
            if value is not None and not callable(value):
                raise ConfigurationError(f"Inbox.{name}", value, "must be a function of a message")

    @property
    def key(self) -> str:
        """Its name in the store: the address in lower case (and in Unicode's composed form)."""
        return unicodedata.normalize("NFC", self.address).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRecord:
    """An inbox as a store keeps it: one that was made while a program ran.

    Attributes:
        id: its name for other programs; it never changes.
        name: for people.
        address: as :class:`Inbox` has it.
        created_at: in seconds since 1970 UTC.
        backfill: it is to get the older mail that is addressed to it.
    """

    id: str
    name: str
    address: str
    created_at: float
    backfill: bool = False


class After(NamedTuple):
    """An action that a handler requested for its message, beyond the settings.

    Attributes:
        move_to: the mailbox that it is moved to, ``None`` where the settings decide.
        flags: that it gets as well.
    """

    move_to: str | None = None
    flags: tuple[str, ...] = ()

    def to_reason(self) -> str:
        """The text that is kept as the reason of the handled entry; ``""`` for nothing."""
        if self == After():  # nearly always
            return ""
        import json

        return _AFTER + json.dumps([self.move_to, *self.flags])

    @classmethod
    def from_reason(cls, reason: str) -> After:
        """Read what :meth:`to_reason` has written."""
        if not reason.startswith(_AFTER):
            return cls()
        import json

        move_to, *flags = json.loads(reason.removeprefix(_AFTER))
        return cls(move_to, tuple(flags))

    def and_then(self, other: After) -> After:
        """Combine the actions that two inboxes of a message requested; the last mailbox counts."""
        return After(other.move_to or self.move_to, tuple(dict.fromkeys(self.flags + other.flags)))


_AFTER = "after: "


class Digest(NamedTuple):
    """Recognises a message across epochs: :func:`nornmail.poller.recognition.digest_of`.

    ``body`` is ``None`` where the body was not whole.
    """

    header: str
    body: str | None = None


class Entry(NamedTuple):
    """The record of one message for one inbox. A new value replaces it whole.

    Attributes:
        key: which message, for whom.
        state: how far it has come.
        delivery_id: the same at every attempt, over restarts and a new UIDVALIDITY.
        uid_validity: of the message's epoch, 0 where the server named none.
        attempts: how many attempts failed so far.
        due_at: when the next attempt is due, in seconds since 1970 UTC; 0.0 unless waiting.
        reason: why it waits, is dead or was passed over; for a person.
        digest: ``None`` as long as the message was never read.
        message_id: the Message-ID header with its angle brackets, ``""`` where there is none.
        size: octets, as the server counted them (RFC822.SIZE).
        received_at: INTERNALDATE in seconds since 1970 UTC, ``None`` where the server gave none.
        truncated: only the headers were delivered.
        verified_sender: the address in From
            (:func:`nornmail.message.authentication.verified_sender`); ``""`` until the message was
            read, and where the sender is not verified.
        changed_at: when this value was made, in seconds since 1970 UTC.
    """

    key: EntryKey
    state: State
    delivery_id: str
    uid_validity: int = 0
    attempts: int = 0
    due_at: float = 0.0
    reason: str = ""
    digest: Digest | None = None
    message_id: str = ""
    size: int = 0
    received_at: float | None = None
    truncated: bool = False
    verified_sender: str = ""
    changed_at: float = 0.0

    def moved(self, state: State, reason: str, now: float, *, due_at: float = 0.0) -> Entry:
        """The entry in another state, from ``now`` on."""
        return self._replace(state=state, reason=reason, due_at=due_at, changed_at=now)


DELIVERY_ID_DIGITS = 32
"""Hexadecimal digits of a delivery id."""


def delivery_id_of(mailbox: MailboxKey, epoch: Epoch, key: EntryKey) -> str:
    """The delivery id of a message that is seen for the first time.

    It is made of nothing but its identity, so a process that dies before it could write the id
    down makes the same one again.
    """
    parts = (
        mailbox.account,
        mailbox.mailbox,
        str(epoch.number),
        str(epoch.uid_validity),
        str(key.uid),
        key.inbox,
    )
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:DELIVERY_ID_DIGITS]


class Epoch(NamedTuple):
    """The time under one UIDVALIDITY.

    Attributes:
        number: 1 for the first, then rising; the store's own name for it.
        uid_validity: what the server named; 0 where it named none.
        boundary: UIDs below it stood in the mailbox when the epoch began; what has a UID of
            ``boundary`` or more arrived since and was not recognised.
        matched: what stood there was compared with what earlier epochs knew, to the end.
        begun_at: seconds since 1970 UTC.
    """

    number: int
    uid_validity: int
    boundary: int
    matched: bool
    begun_at: float


class Watermark(NamedTuple):
    """Every UID up to ``uid`` that was ever listed was looked at and is held in the store.

    It is the fast path of the ledger and a figure for people; the set of UIDs is the truth.
    """

    uid_validity: int
    uid: int


class MailboxRecord(NamedTuple):
    """The record of a mailbox in a store.

    Attributes:
        epoch: the epoch that UIDs are counted in now.
        watermark: as of the end of the last batch.
        cut: mail that the server received before this instant and that stood there when an epoch
            began is passed over (``start_from``); ``None`` passes nothing over.
        polled_at: the last time everything was looked at, in seconds since 1970 UTC; 0.0 if never.
        horizon: mail that the server received at this instant or before counts as known under a
            new UIDVALIDITY, since entries of that time were removed (``retention``); ``None``
            while none were.
    """

    epoch: Epoch
    watermark: Watermark
    cut: float | None = None
    polled_at: float = 0.0
    horizon: float | None = None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Lease:
    """The right to work on a mailbox.

    Attributes:
        mailbox: which one.
        owner: who holds it, ``host:pid``.
        token: the fencing token. It rises with every lease of this mailbox, and every write
            carries it, so that a holder who was thought dead cannot write any more.
    """

    mailbox: MailboxKey
    owner: str
    token: int


def owner_name() -> str:
    """The name under which this process holds a lease: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


# What a commit is made of. A store applies the changes of one commit in their order, all or none.


class SaveMailbox(NamedTuple):
    """Replace the mailbox's record (the first one makes it known to the store)."""

    record: MailboxRecord


class PutEntry(NamedTuple):
    """Replace an entry, or make it (from NEW), along :data:`TRANSITIONS`.

    ``raw`` is stored with it where given; ``None`` leaves kept bytes as they are.
    """

    entry: Entry
    raw: bytes | None = None


class KeepRaw(NamedTuple):
    """Store a message's bytes with an existing entry (states in :data:`KEEPS_RAW`)."""

    key: EntryKey
    raw: bytes


class Rekey(NamedTuple):
    """A message of an older epoch was found again: its entry continues under a new key.

    State, attempts, delivery id and kept bytes go with it. ``after`` must be free.
    """

    before: EntryKey
    after: EntryKey
    uid_validity: int = 0


class PassOver(NamedTuple):
    """Look past many UIDs of an epoch at once, without an entry for each."""

    epoch: int
    uids: UidSet


Change = SaveMailbox | PutEntry | KeepRaw | Rekey | PassOver


# The changes of an entry that every store refuses.


def check_put(before: State | None, after: State) -> None:
    """Refuse to replace an entry in ``before`` (``None``: there is none) by one in ``after``.

    Raises:
        IllegalTransition: the table of states does not allow it.
    """
    if before is None and after is State.NEW:
        return  # a missing entry counts as new and is written down as new
    check_transition(before or State.NEW, after)


def check_keep(key: EntryKey, state: State | None) -> None:
    """Refuse to keep bytes with the entry ``key`` in ``state`` (``None``: there is none).

    Raises:
        IllegalTransition: the entry is missing or may keep none.
    """
    if state not in KEEPS_RAW:
        reason = "there is no such entry" if state is None else f"it is {state}"
        raise IllegalTransition(f"no bytes can be kept with {key}: {reason}")


def check_retry(key: EntryKey, state: State | None) -> None:
    """Refuse another try of the entry ``key`` in ``state`` (``None``: there is none).

    Raises:
        IllegalTransition: it is not dead.
    """
    if state is not State.DEAD:
        reason = "there is no such entry" if state is None else f"it is {state}"
        raise IllegalTransition(f"{key} cannot be tried again, as it is not dead: {reason}")


def check_rekey(
    before: EntryKey, known: object | None, after: EntryKey, taken: State | None
) -> None:
    """Refuse to move the entry ``before`` to the key ``after``.

    An entry that is GONE counts as missing: it gives way to the one that is moved.

    Args:
        known: what is stored under ``before``; ``None``: nothing.
        taken: the state of what is stored under ``after``; ``None``: nothing.

    Raises:
        IllegalTransition: there is nothing to move, or no place for it.
    """
    if known is None:
        raise IllegalTransition(f"{before} cannot become {after}: there is no such entry")
    if taken not in (None, State.GONE) or before == after:
        raise IllegalTransition(f"{before} cannot become {after}: there is one already")
