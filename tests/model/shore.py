r"""The server as the oracle knows it: every copy of a letter, and who did what to it.

Whatever another client does goes through here, so that what the poller did is the rest: a copy that
vanished, a flag that was set, a copy in the archive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nornmail.testing import MailServer
from tests.model.letters import Letter, Post
from tests.model.plan import Action

SEEN = "\\Seen"
DELETED = "\\Deleted"
ARCHIVE = "Archive"

Fail = Callable[[str], None]


@dataclass(eq=False)
class Copy:
    """A letter in the mailbox.

    Attributes:
        date: INTERNALDATE, seconds since 1970 UTC.
        others: the flags that other clients have on it.
        unset: the flags that another client took away.
        hidden: a listing left it out at some time.
        unreadable: it was given up without ever having been had.
        vanished: the poller took it out of the mailbox.
        passable: it may be passed over: it was there at a first run with "new", or a baseline.
    """

    letter: Letter
    date: float
    others: set[str] = field(default_factory=set)
    unset: set[str] = field(default_factory=set)
    hidden: bool = False
    unreadable: bool = False
    vanished: bool = False
    passable: bool = False


class Shore:
    """The mailbox's copies, under every UIDVALIDITY that it had."""

    def __init__(self, server: MailServer, post: Post, action: Action, fail: Fail) -> None:
        self.server = server
        self.box = server.mailbox()
        self.post = post
        self.action = action
        self.fail = fail
        self.copies: list[Copy] = []
        self.epochs: list[dict[int, Copy]] = [{}]
        """Every UID that ever was, for each time that the UIDs were given anew."""
        self.present: dict[int, Copy] = {}
        self.spoiled: set[int] = set()
        """UIDs whose FETCH was spoiled at some time, whatever they meant then."""
        self.bound: dict[int, int] = {}
        """Which of them each epoch of the store is."""

    # What other clients and senders do.

    def deliver(self, letter: Letter, date: float) -> Copy:
        self.sync()
        uid = self.server.deliver(letter.raw, date=datetime.fromtimestamp(int(date), UTC))
        copy = Copy(letter, float(int(date)))
        self.copies.append(copy)
        self.present[uid] = self.epochs[-1][uid] = copy
        return copy

    def expunge(self, uid: int) -> None:
        self.sync()
        if uid in self.present:
            self.box.expunge(uid)
            del self.present[uid]

    def toggle(self, uid: int, flag: str) -> None:
        self.sync()
        if uid not in self.present:
            return
        copy = self.present[uid]
        (held,) = (one.flags for one in self.box.messages if one.uid == uid)
        if flag in held:
            copy.others.discard(flag)
            copy.unset.add(flag)
            self.box.set_flags(uid, held - {flag})
        else:
            copy.others.add(flag)
            copy.unset.discard(flag)
            self.box.set_flags(uid, held | {flag})

    def hide(self, uid: int, listings: int) -> None:
        if uid in self.present:
            self.present[uid].hidden = True
            self.box.hide(uid, listings)

    def new_validity(self, *, same: bool = False, renumber: bool = True) -> None:
        """The mailbox is rebuilt; ``same``: under its old UIDVALIDITY, from a careless backup."""
        self.sync()
        self.box.reset_uid_validity(self.box.uid_validity if same else None, renumber=renumber)
        order = [self.present[uid] for uid in sorted(self.present)]
        uids = [message.uid for message in self.box.messages]
        self.present = dict(zip(uids, order, strict=True))
        self.epochs.append(dict(self.present))

    # What the poller may be asked about.

    def copy_at(self, epoch: int, uid: int) -> Copy | None:
        """The copy that the store's epoch and UID mean."""
        return self.epochs[self.bound[epoch]].get(uid) if epoch in self.bound else None

    def is_there(self, epoch: int, uid: int) -> bool:
        return self.bound.get(epoch) == len(self.epochs) - 1 and uid in self.present

    def bind(self, epoch: int) -> None:
        """The store begins an epoch: a session never outlives the UIDs that it has selected."""
        self.bound[epoch] = len(self.epochs) - 1

    def archived(self) -> Counter[Letter]:
        """How many copies of each letter are in the destination of moves."""
        try:
            messages = self.server.mailbox(ARCHIVE).messages
        except KeyError:
            return Counter()
        found = [self.post.find(message.raw, truncated=False) for message in messages]
        return Counter(letter for letter in found if letter is not None)

    # What the poller did.

    def sync(self) -> None:
        """Take note of what the poller removed."""
        there = {message.uid for message in self.box.messages}
        for uid in [uid for uid in self.present if uid not in there]:
            self.present.pop(uid).vanished = True

    def check(self, handled: Counter[Letter]) -> None:
        """Compare the server with what the poller was allowed to do.

        Args:
            handled: how many deliveries of each letter the handler has returned from.
        """
        self.sync()
        vanished = Counter(copy.letter for copy in self.copies if copy.vanished)
        for letter, count in vanished.items():
            if self.action not in ("delete", "move"):
                self.fail(f"{letter} vanished from the mailbox, and the action is {self.action}")
            if letter.large:
                self.fail(f"{letter} was handed over truncated and vanished from the mailbox")
            # Across epochs, copies of one letter are interchangeable.
            if count > handled[letter] and (count == 1 or len(self.bound) == 1):
                self.fail(f"{letter} vanished {count} times, handled {handled[letter]} times")
        for message in self.box.messages:
            self._check_flags(self.present[message.uid], message.flags, handled)
        self._check_archive(vanished, handled)

    def _check_flags(self, copy: Copy, flags: frozenset[str], handled: Counter[Letter]) -> None:
        allowed: set[str] = set()
        if handled[copy.letter]:
            allowed = {"seen": {SEEN}, "delete": {SEEN, DELETED}, "move": {SEEN, DELETED}}.get(
                self.action, set()
            )
            if copy.letter.large:
                allowed -= {DELETED}
        if not copy.others <= flags:
            self.fail(f"{copy.letter} lost the flags {sorted(copy.others - flags)} of others")
        if flags - copy.others - allowed:
            self.fail(f"{copy.letter} was given {sorted(flags - copy.others - allowed)}")

    def _check_archive(self, vanished: Counter[Letter], handled: Counter[Letter]) -> None:
        archived = self.archived()
        for letter, count in archived.items():
            if self.action != "move" or count > handled[letter]:
                self.fail(f"{letter} is in {ARCHIVE} {count} times, handled {handled[letter]}")
        for letter in vanished if self.action == "move" else ():
            if not archived[letter]:
                self.fail(f"{letter} vanished and is not in {ARCHIVE}")
