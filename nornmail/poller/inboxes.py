"""The inboxes of a poller, the routing of messages to them, and a message on its way there.

Inboxes may be added and removed from any thread. The polling thread applies the change between
two messages, so that one message is never routed to two sets of inboxes.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nornmail.errors import ConfigurationError
from nornmail.model import UNROUTED, Entry, EntryKey, Inbox, PutEntry, State
from nornmail.poller.handler import Handler, Outcome, Unwanted
from nornmail.poller.status import PollStats
from nornmail.settings.fields import DomainRules, check_functions

if TYPE_CHECKING:
    from nornmail.message.message import Message

REMOVED = "inbox removed"
"""The reason of dead mail of an inbox that was removed before it had it."""
SET_ASIDE = "delivery stopped before this inbox was reached"
"""The reason of a message that another inbox has had, and this one has not."""
UNROUTED_REASON = "unrouted"
"""The reason of mail for no inbox, where there is no ``on_unrouted``."""

Accept = Callable[["Message"], object]


class Inboxes:
    """The inboxes a message is for, and the callbacks that are called with it.

    Args:
        on_message: called with all mail; where there are inboxes, with the mail of those that have
            no callback of their own.
        inboxes: the inboxes, of which there may be none yet; an address alone is one. ``None``
            where all mail is for ``on_message``.
        on_unrouted: called with mail that is for no inbox; without it that is passed over.
        accept: asked about every message, before an inbox's own is.
        domains: rules for the senders' domains, which come first.

    Attributes:
        several: there are inboxes, and not one callback for all mail.
    """

    def __init__(
        self,
        on_message: Handler | None = None,
        inboxes: Sequence[Inbox | str] | None = None,
        on_unrouted: Handler | None = None,
        accept: Accept | None = None,
        domains: DomainRules | None = None,
    ) -> None:
        hooks = {"on_message": on_message, "on_unrouted": on_unrouted, "accept": accept}
        check_functions(" of a message", **hooks)
        _check_plain(accept)
        if on_message is None and not inboxes:
            problem = "on_message or inboxes must be given"
            raise ConfigurationError("on_message", on_message, problem)
        if inboxes is None and on_unrouted is not None:
            problem = "is for a poller with inboxes: on_message gets all mail"
            raise ConfigurationError("on_unrouted", on_unrouted, problem)
        self.several = inboxes is not None
        self._on_message = on_message
        self._on_unrouted = on_unrouted
        self._accept = accept
        self._admit = _admission(domains) if domains else None
        self._lock = threading.Lock()
        self._configured: tuple[Inbox, ...] = ()
        self._current: tuple[Inbox, ...] = ()
        self._backfills: dict[str, Inbox] = {}
        for inbox in inboxes or ():
            self.add(Inbox(inbox) if isinstance(inbox, str) else inbox)
        self.apply_changes()

    # From any thread.

    @property
    def configured(self) -> tuple[Inbox, ...]:
        """All inboxes, in the order in which they were added."""
        with self._lock:
            return self._configured

    def add(self, inbox: Inbox, *, backfill: bool = False) -> None:
        """Add an inbox, from the next message on.

        Args:
            backfill: it is to get the older mail that is addressed to it as well.
        """
        self._check_several()
        _check_plain(inbox.accept)
        if inbox.on_message is None and self._on_message is None:
            problem = "the poller has no on_message for inboxes that have none"
            raise ConfigurationError("Inbox.on_message", None, problem)
        with self._lock:
            if self._at(inbox.address) is not None:
                raise ConfigurationError(
                    "inboxes", inbox.address, "each address may appear only once"
                )
            self._configured = (*self._configured, inbox)
            if backfill:
                self._backfills[inbox.key] = inbox

    def remove(self, address: str) -> None:
        """Remove an inbox, from the next message on."""
        self._check_several()
        with self._lock:
            removed = self._known(address)
            self._configured = tuple(inbox for inbox in self._configured if inbox is not removed)
            self._backfills.pop(removed.key, None)

    def key_of(self, address: str) -> str:
        """The name in the store of the inbox with this address."""
        self._check_several()
        with self._lock:
            return self._known(address).key

    def _known(self, address: str) -> Inbox:
        """The inbox with this address; with the lock held."""
        inbox = self._at(address)
        if inbox is None:
            raise ConfigurationError("inboxes", address, "must be the address of an inbox")
        return inbox

    def _at(self, address: str) -> Inbox | None:
        """The inbox with this address, in whatever spelling, if there is one."""
        name = _canonical(address)
        return next((i for i in self._configured if _canonical(i.address) == name), None)

    def _check_several(self) -> None:
        if not self.several:
            problem = "are for a poller that was made with inboxes: this one has on_message"
            raise ConfigurationError("inboxes", None, problem)

    # In the polling thread.

    def apply_changes(self) -> bool:
        """Apply what was added and removed; return whether there was anything."""
        if self._current is self._configured:  # nearly always
            return False
        with self._lock:
            before, self._current = self._current, self._configured
        return before is not self._current

    def backfills(self) -> list[Inbox]:
        """The added inboxes that are to get their older mail."""
        with self._lock:
            return [inbox for inbox in self._backfills.values() if inbox in self._current]

    def backfilled(self, inboxes: Sequence[Inbox]) -> None:
        """Note that the older mail of these inboxes was found."""
        with self._lock:
            for inbox in inboxes:
                if self._backfills.get(inbox.key) is inbox:
                    del self._backfills[inbox.key]

    def handler(self, key: str) -> Handler | None:
        """The callback of an inbox, by its name in the store; ``None`` once it was removed."""
        if not self.several:
            return _guarded(self._on_message, self._admit, self._accept) if key == "" else None
        if key == UNROUTED:
            return _guarded(self._on_unrouted, self._admit, self._accept)
        for inbox in self._current:
            if inbox.key == key:
                handler = self._on_message if inbox.on_message is None else inbox.on_message
                return _guarded(handler, self._admit, self._accept, inbox.accept)
        return None

    def is_removed(self, entry: Entry) -> bool:
        """Whether an entry is of an inbox that was removed.

        Mail that was not read yet has no inbox so far.
        """
        unread = entry.key.inbox == "" and entry.digest is None
        return not unread and self.handler(entry.key.inbox) is None

    def inboxes_of(self, message: Message) -> list[Inbox]:
        """The inboxes that a message is addressed to."""
        return route(message, self._current)

    def entries_of(
        self, entry: Entry, raw: bytes, new_entry: Callable[[int, str], Entry]
    ) -> list[Entry]:
        """The routing decision: a message's entries, one for each inbox, new or passed over."""
        if not self.several:
            return [entry]
        from nornmail.message.message import parse_message

        message = parse_message(raw)
        keys = [inbox.key for inbox in self.inboxes_of(message)]
        entries = [
            entry._replace(
                key=EntryKey(entry.key.epoch, entry.key.uid, key),
                delivery_id=new_entry(entry.key.uid, key).delivery_id,
                state=State.NEW,
                attempts=0,
                due_at=0.0,
                reason="",
                message_id=message.message_id,
            )
            for key in keys or [UNROUTED]
        ]
        if keys or self._on_unrouted is not None:
            return entries
        return [entries[0]._replace(state=State.PASSED_OVER, reason=UNROUTED_REASON)]


@dataclass(slots=True, eq=False)
class Job:
    """A message on its way through its inboxes, one call of a handler after the other.

    Attributes:
        entries: of the inboxes that have yet to get it; the first one is next, or is claimed.
        flags: on the server.
        new: it was not delivered before; else it is a retry.
        counts: whether a failure counts as an attempt; a probe's does not.
        others: changes that are written with its first claim.
        claimed: the entry whose handler is being called.
        message_id, verified_sender: of the message, once it was read.
        outcome: of that call, once it has ended.
        delivered: an inbox has had it.
        let_in: it was claimed to find out whether a handler that is down works again.
    """

    entries: list[Entry]
    raw: bytes
    stats: PollStats
    flags: frozenset[str] = frozenset()
    new: bool = True
    counts: bool = True
    others: list[PutEntry] = field(default_factory=list)
    claimed: Entry | None = None
    message_id: str = ""
    verified_sender: str = ""
    outcome: Outcome | None = None
    delivered: bool = False
    let_in: bool = False

    @property
    def entry(self) -> Entry:
        """The one that is claimed, or is the next to be."""
        return self.claimed or self.entries[0]

    @property
    def key(self) -> EntryKey:
        """Of its entry."""
        return self.entry.key

    def claim(self, now: float) -> list[PutEntry]:
        """The changes that claim the message for its next inbox."""
        self.claimed = self.entries.pop(0)._replace(state=State.CLAIMED, changed_at=now)
        others, self.others = self.others, []
        return [PutEntry(self.claimed), *others]

    def set_aside(self, now: float) -> list[PutEntry]:
        """The changes that let it wait, due now, for the inboxes that have not had it."""
        waiting = (entry.moved(State.WAITING, SET_ASIDE, now, due_at=now) for entry in self.entries)
        return [PutEntry(entry, raw=self.raw) for entry in waiting]


def _guarded(handler: Handler | None, *questions: Accept | None) -> Handler | None:
    """A handler that calls ``accept`` functions before it.

    They are called within the call, under the claim: a message that kills its process there, or
    makes it hang, is counted as one that does so in the handler.
    """
    asked = [question for question in questions if question is not None]
    if handler is None or not asked:
        return handler
    wrapped = handler

    def guarded(message: Message) -> object:
        for question in asked:
            accepted = question(message)
            if inspect.isawaitable(accepted):
                if inspect.iscoroutine(accepted):
                    accepted.close()
                raise TypeError("accept returned an awaitable: make it a plain function")
            if not accepted:
                raise Unwanted
        return wrapped(message)

    return guarded


def _admission(domains: DomainRules) -> Accept:
    """An ``accept`` function that names the reason of the rules for domains."""

    def admit(message: Message) -> bool:
        reason = domains.refusal(message.from_.address.rpartition("@")[2].lower())
        if reason:
            raise Unwanted(reason)
        return True

    return admit


def _check_plain(accept: Accept | None) -> None:
    if accept is not None and inspect.iscoroutinefunction(accept):
        raise ConfigurationError(
            "accept", accept, "must be a plain function, not a coroutine function"
        )


def route(message: Message, inboxes: Sequence[Inbox]) -> list[Inbox]:
    """The inboxes that a message is for, each once, in the order of ``inboxes``.

    To, Cc and Resent-To decide. Only when they name no inbox (a list's copy, a blind copy) it is
    Delivered-To, X-Original-To, Envelope-To and X-Envelope-To: on a shared account these often name
    the account itself, whoever the mail is for.

    An address with a ``+tag`` reaches the inbox that has this tag, and where there is none the one
    without a tag, as mail servers deliver it (RFC 5233).
    """
    from nornmail.message.message import DELIVERY_FIELDS, RECIPIENT_FIELDS

    owners = {_canonical(inbox.address): inbox for inbox in inboxes}
    for names in (RECIPIENT_FIELDS, DELIVERY_FIELDS):
        addressed = {
            id(owner)
            for address in _addresses(message, names)
            if (owner := _owner(address, owners)) is not None
        }
        if addressed:
            return [inbox for inbox in inboxes if id(inbox) in addressed]
    return []


def addressed_to(message: Message) -> list[str]:
    """Every address that :func:`route` looks at, in its order."""
    from nornmail.message.message import DELIVERY_FIELDS, RECIPIENT_FIELDS

    return list(_addresses(message, (*RECIPIENT_FIELDS, *DELIVERY_FIELDS)))


def _addresses(message: Message, names: Iterable[str]) -> Iterable[str]:
    from nornmail.message.addresses import parse_addresses

    for name in names:
        for value in message.headers.raw_all(name):
            for mailbox in parse_addresses(value):
                if "@" in mailbox.address:
                    yield mailbox.address


def _canonical(address: str) -> str:
    from nornmail.message.addresses import canonical

    return canonical(address)


def _owner(address: str, owners: dict[str, Inbox]) -> Inbox | None:
    key = _canonical(address)
    if key in owners:
        return owners[key]
    local, _, domain = key.rpartition("@")
    return owners.get(f"{local.partition('+')[0]}@{domain}") if "+" in local else None
