"""One session's view of its selected mailbox: sequence numbers, and news not yet sent.

Everything here is called with the account's lock held.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nornmail.testing.mailbox import Epoch


def render_flags(flags: frozenset[str]) -> bytes:
    """Flags as a parenthesised list, in a stable order."""
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


@dataclass(eq=False, slots=True)
class View:
    """One session's view of an epoch. ``uids[n - 1]`` is the message with sequence number n.

    ``ring`` is called when there is news, while the session idles. ``modseqs`` says whether the
    client gets mod-sequences.
    """

    epoch: Epoch
    read_only: bool
    uids: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    expunged: list[int] = field(default_factory=list)
    changed: dict[int, None] = field(default_factory=dict)
    ring: Callable[[], None] | None = None
    modseqs: bool = False

    @classmethod
    def open(cls, epoch: Epoch, *, read_only: bool, window: int | None = None) -> View:
        """A view of what is there now, or of so many of the newest messages."""
        view = cls(epoch, read_only, epoch.uids[-window:] if window else list(epoch.uids))
        epoch.views.add(view)
        return view

    def notify(self) -> None:
        """Wake the session for news, if it idles."""
        if self.ring is not None:
            self.ring()

    def close(self) -> None:
        """Stop watching the epoch."""
        self.epoch.views.discard(self)

    def sequence_number(self, uid: int) -> int | None:
        """The message's number for this client, None where the client does not know it."""
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
        """Take what has changed into the view; return its untagged lines.

        Args:
            expunges: whether EXPUNGE may be sent now (RFC 3501, 7.4.1).
        """
        lines = self.expunges() if expunges else []
        lines += self.arrivals()
        for uid in self.changed:
            number = self.sequence_number(uid)
            if uid in self.epoch.messages and number is not None:
                lines.append(self.flags_line(number, uid, named=self.modseqs))
        self.changed.clear()
        return b"".join(lines)

    def flags_line(self, number: int, uid: int, *, named: bool, silent: bool = False) -> bytes:
        """The FETCH line with a message's flags, and with its mod-sequence where wanted.

        Args:
            named: whether the UID stands in it.
            silent: leave the flags out.
        """
        values = [b"UID %d" % uid] * named
        if self.modseqs:
            values.append(b"MODSEQ (%d)" % self.epoch.modseqs[uid])
        if not silent:
            values.append(b"FLAGS " + render_flags(self.epoch.messages[uid].flags))
        return b"* %d FETCH (%s)\r\n" % (number, b" ".join(values))

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
