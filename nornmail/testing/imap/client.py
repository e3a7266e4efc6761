"""A connected client as the commands see it, and a command: its handler and the state it needs.

A client with a mailbox has a view of it: sequence numbers, and news not yet sent. A view is used
with the account's lock held.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from nornmail.testing.accounts import Account
from nornmail.testing.connection import Connection, Dropped
from nornmail.testing.imap.faults import NoCapability
from nornmail.testing.imap.grammar import Cursor
from nornmail.testing.mailbox import Epoch, Mailbox
from nornmail.testing.state import ServerState


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
        """Take what has changed into the view; return its untagged lines."""
        lines = self.expunges() if expunges else []
        lines += self.arrivals()
        for uid in self.changed:
            number = self.sequence_number(uid)
            if uid in self.epoch.messages and number is not None:
                lines.append(self.flags_line(number, uid, named=self.modseqs))
        self.changed.clear()
        return b"".join(lines)

    def flags_line(self, number: int, uid: int, *, named: bool, silent: bool = False) -> bytes:
        """The FETCH line with a message's flags, and with its mod-sequence where wanted."""
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


class Client:
    """The client of one connection and its state. One thread touches it.

    Attributes:
        capabilities: what the server has, as it was when the client connected.
        identified: whether it has sent ID since it logged in.
        condstore: whether every change of flags comes with its MODSEQ (RFC 7162, section 3.1).
        box: the selected mailbox, and ``view`` what the client knows of it.
        after_answer: done once, behind the tagged answer: the TLS handshake, the hanging up.
    """

    def __init__(self, state: ServerState, conn: Connection) -> None:
        self.state = state
        self.conn = conn
        lacking = state.take(NoCapability, lambda _: True)
        names = {name for fault in lacking for name in fault.names.split()}
        self.capabilities = frozenset(state.capabilities - names)
        self.account: Account | None = None
        self.identified = False
        self.condstore = False
        self.box: Mailbox | None = None
        self.view: View | None = None
        self.after_answer: Callable[[], None] | None = None

    def has(self, capability: str | None) -> bool:
        """Whether the client may use what this capability stands for; None is the base protocol."""
        return capability is None or capability in self.capabilities

    def user(self) -> Account:
        """The account that is logged in, for commands of the authenticated state."""
        if self.account is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.account

    def selected(self) -> tuple[Mailbox, View]:
        """The selected mailbox, for commands of the selected state."""
        if self.box is None or self.view is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.box, self.view

    def open(self, box: Mailbox, view: View) -> None:
        """Select a mailbox, after closing the one before."""
        self.leave()
        view.modseqs = self.condstore
        self.box, self.view = box, view

    def leave(self) -> None:
        """Close the selected mailbox, if there is one."""
        if self.box is not None and self.view is not None:
            with self.box.lock:
                self.view.close()
        self.box = self.view = None

    def enable_condstore(self) -> None:
        """Send MODSEQ from now on."""
        self.condstore = True
        if self.view is not None:
            self.view.modseqs = True

    def capability_list(self) -> bytes:
        """The capabilities at this point of the session."""
        return self.state.shown_capabilities(self.capabilities, logged_in=self.account is not None)

    def hang_up(self, text: bytes) -> None:
        """Say BYE and end the connection."""
        self.conn.write(b"* BYE " + text + b"\r\n")
        self.conn.finish_answer()
        raise Dropped("said BYE")


When = Literal["any", "not authenticated", "authenticated", "selected"]
"""The states of RFC 3501, section 3. Authenticated includes selected."""


class No(Exception):
    """The command failed; it is answered NO with this text, response code included."""


Handler = Callable[[Client, bytes, Cursor], str]
"""Carries a command out. Gets the client, the tag and the arguments; writes untagged lines into
the client's connection; returns the tagged answer's text, or "" when it has written the whole
answer; raises BadSyntax or No."""


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        handler: carries it out.
        when: the state it is allowed in.
        capability: the capability it needs, None for those of the base protocol.
        expunges: whether EXPUNGE may be sent at its end (RFC 3501, 7.4.1).
        arrivals: whether new messages are taken in before it, so that it sees them.
    """

    handler: Handler
    when: When
    capability: str | None = None
    expunges: bool = True
    arrivals: bool = False

    def allowed(self, client: Client) -> bool:
        """Whether the client has come as far as the command needs."""
        return {
            "any": True,
            "not authenticated": client.account is None,
            "authenticated": client.account is not None,
            "selected": client.view is not None,
        }[self.when]
