"""What one session knows of its selected mailbox: sequence numbers, and news not yet told.

Everything here is called with the account's lock held.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage

from nornmail.testing.parsed import parsed

MAX_UID = 2**32 - 1
"""The largest UID and UIDVALIDITY (RFC 3501, nz-number)."""


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


def render_flags(flags: frozenset[str]) -> bytes:
    """Flags as a parenthesised list, in a stable order."""
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


class Epoch:
    """The messages under one UIDVALIDITY, and the views that watch them."""

    def __init__(self, uid_validity: int) -> None:
        self.uid_validity = uid_validity
        self.uid_next = 1
        self.messages: dict[int, StoredMessage] = {}
        self.uids: list[int] = []
        self.views: set[View] = set()
        self.gone = False

    def add(self, message: StoredMessage) -> None:
        """Put a message in, at whatever UID it has."""
        uid = message.uid
        if uid in self.messages or not 1 <= uid <= MAX_UID:
            raise ValueError(f"UID {uid} is taken or out of range")
        insort(self.uids, uid)
        self.messages[uid] = message
        self.uid_next = max(self.uid_next, uid + 1)
        for view in self.views:
            view.arrived.append(uid)
            view.tell()

    def remove(self, uid: int) -> StoredMessage | None:
        """Take a message out; None when it is not there."""
        message = self.messages.pop(uid, None)
        if message is None:
            return None
        del self.uids[bisect_left(self.uids, uid)]
        for view in self.views:
            view.expunged.append(uid)
            view.tell()
        return message

    def set_flags(self, uid: int, flags: frozenset[str], by: View | None = None) -> None:
        """Replace a message's flags; every view but ``by`` is to be told."""
        old = self.messages[uid]
        if old.flags == flags:
            return
        self.messages[uid] = StoredMessage(uid, flags, old.raw, old.internal_date)
        for view in self.views:
            if view is not by:
                view.changed[uid] = None
                view.tell()

    def end(self) -> None:
        """The mailbox has another UIDVALIDITY: nothing can be done with this one any more."""
        self.gone = True
        for view in self.views:
            view.tell()


@dataclass(eq=False, slots=True)
class View:
    """One session's view of an epoch. ``uids[n - 1]`` is the message with sequence number n.

    ``ring`` is called when there is news, while the session idles.
    """

    epoch: Epoch
    read_only: bool
    uids: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    expunged: list[int] = field(default_factory=list)
    changed: dict[int, None] = field(default_factory=dict)
    ring: Callable[[], None] | None = None

    @classmethod
    def open(cls, epoch: Epoch, *, read_only: bool) -> View:
        """A view of everything that is there now."""
        view = cls(epoch, read_only, list(epoch.uids))
        epoch.views.add(view)
        return view

    def tell(self) -> None:
        """Call the session's attention to news, if it idles."""
        if self.ring is not None:
            self.ring()

    def close(self) -> None:
        """Be told nothing more."""
        self.epoch.views.discard(self)

    def sequence_number(self, uid: int) -> int | None:
        """The number the client knows the message by, None when it knows it not."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else None

    def pick(self, ranges: Sequence[tuple[int, int]], *, by_uid: bool) -> list[tuple[int, int]]:
        """The (sequence number, UID) pairs in these sorted, disjoint ranges, ascending."""
        picked: list[tuple[int, int]] = []
        for low, high in ranges:
            if by_uid:
                start, stop = bisect_left(self.uids, low), bisect_left(self.uids, high + 1)
            else:
                start, stop = low - 1, min(high, len(self.uids))
            picked += zip(range(start + 1, stop + 1), self.uids[start:stop], strict=True)
        return picked

    def news(self, *, expunges: bool) -> bytes:
        """The untagged lines that are due, and take them into the view.

        Args:
            expunges: whether EXPUNGE may be told now (RFC 3501, 7.4.1).
        """
        lines = self.expunges() if expunges else []
        lines += self.arrivals()
        for uid in self.changed:
            message = self.epoch.messages.get(uid)
            number = self.sequence_number(uid)
            if message is not None and number is not None:
                lines.append(b"* %d FETCH (FLAGS %s)\r\n" % (number, render_flags(message.flags)))
        self.changed.clear()
        return b"".join(lines)

    def expunges(self) -> list[bytes]:
        """The EXPUNGE lines that are due; their messages leave the view."""
        lines: list[bytes] = []
        for uid in self.expunged:
            number = self.sequence_number(uid)
            if number is not None:
                del self.uids[number - 1]
                lines.append(b"* %d EXPUNGE\r\n" % number)
        self.expunged.clear()
        return lines

    def arrivals(self) -> list[bytes]:
        """The EXISTS line that is due, if any; new messages enter the view."""
        fresh = [uid for uid in self.arrived if uid in self.epoch.messages]
        self.arrived.clear()
        for uid in fresh:
            insort(self.uids, uid)
        return [b"* %d EXISTS\r\n" % len(self.uids)] if fresh else []
