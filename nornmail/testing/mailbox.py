"""A mailbox as a test sees it, and its messages under one UIDVALIDITY."""

from __future__ import annotations

import binascii
import re
import threading
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Protocol

from nornmail.testing.fault_plan import MAX_UID, suggestion


class FixedAttributes:
    """Base class of what tests configure: a misspelt attribute is an error, not a new one."""

    _is_set_up = False

    def __setattr__(self, name: str, value: object) -> None:
        ours = type(self).__module__.startswith("nornmail.testing.")
        if ours and self._is_set_up and not hasattr(self, name):
            known = [other for other in dir(self) if not other.startswith("_")]
            kind = type(self).__name__
            raise AttributeError(f"{kind} has no attribute {name!r}{suggestion(name, known)}")
        super().__setattr__(name, value)


def parsed(raw: bytes) -> EmailMessage:
    """A message as the standard library's object, under the policy with decoded headers."""
    return BytesParser(EmailMessage, policy=default).parsebytes(raw)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as it lies in a mailbox; a change of its flags makes a new value."""

    uid: int
    flags: frozenset[str]
    raw: bytes
    internal_date: datetime

    def as_email(self) -> EmailMessage:
        """The message as the standard library parses it. It is made anew at each call."""
        return parsed(self.raw)


class Watcher(Protocol):
    """A subscriber of an epoch, which collects the UIDs that came, went and changed."""

    arrived: list[int]
    expunged: list[int]
    changed: dict[int, None]

    def notify(self) -> None:
        """Something has changed."""


class Epoch:
    """The messages under one UIDVALIDITY, and the views that watch them.

    ``modseqs`` has the mod-sequence of every message (RFC 7162), ``highest_modseq`` the mailbox's.
    """

    def __init__(self, uid_validity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.messages: dict[int, StoredMessage] = {}
        self.uids: list[int] = []
        self.modseqs: dict[int, int] = {}
        self.highest_modseq = 1
        self.views: set[Watcher] = set()
        self.gone = False

    def add(self, message: StoredMessage) -> None:
        """Put a message in, at whatever UID it has."""
        uid = message.uid
        if uid in self.messages or not 1 <= uid <= MAX_UID:
            raise ValueError(f"UID {uid} is taken or out of range")
        insort(self.uids, uid)
        self.messages[uid] = message
        self._changed(uid)
        self.uid_next = max(self.uid_next, uid + 1)
        for view in self.views:
            view.arrived.append(uid)
            view.notify()

    def remove(self, uid: int) -> StoredMessage | None:
        """Take a message out; None when it is not there."""
        message = self.messages.pop(uid, None)
        if message is None:
            return None
        del self.uids[bisect_left(self.uids, uid)]
        del self.modseqs[uid]
        self.highest_modseq += 1
        for view in self.views:
            view.expunged.append(uid)
            view.notify()
        return message

    def set_flags(self, uid: int, flags: frozenset[str], by: Watcher | None = None) -> None:
        """Replace a message's flags; every view but ``by`` is notified."""
        old = self.messages[uid]
        if old.flags == flags:
            return
        self.messages[uid] = StoredMessage(uid, flags, old.raw, old.internal_date)
        self._changed(uid)
        for view in self.views:
            if view is not by:
                view.changed[uid] = None
                view.notify()

    def _changed(self, uid: int) -> None:
        """Count the change (RFC 7162, section 3.1)."""
        self.highest_modseq += 1
        self.modseqs[uid] = self.highest_modseq

    def end(self) -> None:
        """The mailbox has another UIDVALIDITY: nothing can be done with this one any more."""
        self.gone = True
        for view in self.views:
            view.notify()


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""For the overrides: the server does not mention the value at all."""

_SYSTEM_FLAGS = {
    flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
}


def normal_flags(flags: Iterable[str]) -> frozenset[str]:
    r"""Flags with the system flags in their usual spelling; they are case-insensitive.

    ``\Recent`` is left out: a client cannot set it.
    """
    return frozenset(
        _SYSTEM_FLAGS.get(flag.lower(), flag) for flag in flags if flag.lower() != "\\recent"
    )


class Mailbox(FixedAttributes):
    r"""One mailbox. Every method may be called from any thread, while clients are connected.

    Args:
        name: the name as it is on the wire.
        lock: the account's lock.
        next_validity: gives a UIDVALIDITY that was never used in this account.
        changed: called after each change that a method of this class makes.

    Attributes:
        uid_next_override: the UIDNEXT that SELECT and STATUS show; None is the true one, MISSING
            shows none.
        uid_validity_override: the same for UIDVALIDITY, in COPYUID and APPENDUID too.
        attributes: what LIST says of it, as ``\Sent`` (RFC 6154): a set to be edited. One with
            ``\Noselect`` is listed and cannot be opened.
    """

    def __init__(
        self,
        name: bytes,
        lock: threading.RLock,
        next_validity: Callable[[], int],
        changed: Callable[[], object] = bool,
    ) -> None:
        self.raw_name = name
        self.lock = lock
        self.epoch = Epoch(next_validity())
        self.uid_next_override: int | Missing | None = None
        self.uid_validity_override: int | Missing | None = None
        self.attributes: set[str] = set()
        self._next_validity = next_validity
        self._changed = changed
        self._hidden: dict[int, int] = {}
        self._is_set_up = True

    @property
    def name(self) -> str:
        """The name as people write it; ``raw_name`` is its form on the wire."""
        return re.sub(rb"&([A-Za-z0-9+,]*)-", _decoded_run, self.raw_name).decode(
            "utf-8", "replace"
        )

    @property
    def messages(self) -> list[StoredMessage]:
        """The messages by ascending UID: a copy."""
        with self.lock:
            return [self.epoch.messages[uid] for uid in self.epoch.uids]

    @property
    def uid_validity(self) -> int:
        """The true UIDVALIDITY."""
        return self.epoch.uid_validity

    @property
    def uid_next(self) -> int:
        """The true UIDNEXT."""
        return self.epoch.uid_next

    def add(
        self,
        raw: bytes,
        flags: Iterable[str] = (),
        date: datetime | None = None,
        uid: int | None = None,
    ) -> int:
        """Put a message in and return its UID.

        Args:
            raw: its octets, kept as they are.
            flags: its flags.
            date: INTERNALDATE; a naive one is taken as UTC, None is now.
            uid: None is UIDNEXT. A lower free one slides in among the others, as at Yahoo;
                sessions that have the mailbox open see their sequence numbers move.

        Raises:
            ValueError: the UID is taken or out of range.
        """
        when = date if date is not None else datetime.now(UTC)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        with self.lock:
            chosen = self.epoch.uid_next if uid is None else uid
            self.epoch.add(StoredMessage(chosen, normal_flags(flags), raw, when))
        self._changed()
        return chosen

    def expunge(self, uid: int) -> None:
        """Remove a message, as another client would. KeyError when it is not there."""
        with self.lock:
            if self.epoch.remove(uid) is None:
                raise KeyError(uid)
        self._changed()

    def set_flags(self, uid: int, flags: Iterable[str]) -> None:
        """Replace a message's flags, as another client would. KeyError when it is not there."""
        with self.lock:
            self.epoch.set_flags(uid, normal_flags(flags))
        self._changed()

    def hide(self, uid: int, listings: int = 1) -> None:
        """Leave the UID out of the next ``listings`` SEARCH answers that it belongs in.

        The fault `HideUid` does so in listings by FETCH as well.
        """
        with self.lock:
            self._hidden[uid] = listings
        self._changed()

    def reset_uid_validity(
        self, new_value: int | None = None, *, renumber: bool = True, quiet: bool = False
    ) -> None:
        """Give the mailbox another UIDVALIDITY, as after a restore from a backup.

        Args:
            new_value: None is one never used before.
            renumber: whether the messages get the UIDs from 1 on, in their old order.
            quiet: sessions that have it open continue with the mailbox as it was, and only the next
                SELECT sees the new one. Otherwise their next command is answered BYE, as Dovecot
                does.
        """
        with self.lock:
            fresh = Epoch(self._next_validity() if new_value is None else new_value)
            if not 0 < fresh.uid_validity <= MAX_UID:
                raise ValueError(f"UIDVALIDITY {fresh.uid_validity} is out of range")
            for number, old in enumerate(self.messages, 1):
                uid = number if renumber else old.uid
                fresh.add(StoredMessage(uid, old.flags, old.raw, old.internal_date))
            if not renumber:
                fresh.uid_next = self.epoch.uid_next
            if not quiet:
                self.epoch.end()
            self.epoch = fresh
            self._hidden.clear()
        self._changed()

    def number_newest_first(self) -> None:
        """Give the UIDs anew, 1 to the newest message, under the same UIDVALIDITY.

        So does a bridge that fetches a mailbox backwards. No client may have the mailbox open.
        """
        with self.lock:
            fresh = Epoch(self.epoch.uid_validity)
            for uid, old in enumerate(reversed(self.messages), 1):
                fresh.add(StoredMessage(uid, old.flags, old.raw, old.internal_date))
            self.epoch = fresh

    def shown_uid_validity(self) -> int | None:
        """The UIDVALIDITY that clients get, None for none."""
        return _shown(self.uid_validity_override, self.epoch.uid_validity)

    def shown_uid_next(self) -> int | None:
        """The UIDNEXT that clients get, None for none."""
        return _shown(self.uid_next_override, self.epoch.uid_next)

    def without_hidden(self, hits: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """A SEARCH answer without the hidden UIDs, whose hiding it uses up by one."""
        if not self._hidden:
            return hits
        kept: list[tuple[int, int]] = []
        for number, uid in hits:
            left = self._hidden.get(uid, 0)
            if left <= 0:
                kept.append((number, uid))
            elif left == 1:
                del self._hidden[uid]
            else:
                self._hidden[uid] = left - 1
        return kept


def _decoded_run(run: re.Match[bytes]) -> bytes:
    """A part of a name in modified UTF-7 (RFC 3501, 5.1.3) as UTF-8; itself if it is malformed."""
    if not run[1]:
        return b"&"
    try:
        padded = run[1].replace(b",", b"/") + b"=" * (-len(run[1]) % 4)
        return binascii.a2b_base64(padded).decode("utf-16-be").encode()
    except ValueError:
        return run[0]


def _shown(override: int | Missing | None, true: int) -> int | None:
    if isinstance(override, Missing):
        return None
    return true if override is None else override
