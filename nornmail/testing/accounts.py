"""A user and the mailboxes of that user."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from nornmail.testing.mailbox import Mailbox

FIRST_UID_VALIDITY = 1000
"""The UIDVALIDITY of an account's first mailbox; later ones count up, so that every run repeats."""

DELIMITER = b"/"
"""The hierarchy delimiter."""


class Account:
    """A user. ``lock`` guards everything in it and in its mailboxes."""

    def __init__(self, user: str, password: str, changed: Callable[[], object] = bool) -> None:
        self.user = user
        self.password = password
        self.lock = threading.RLock()
        self.tokens: set[str] = set()
        self.subscriptions: set[bytes] = set()
        self._changed = changed
        self._validities = itertools.count(FIRST_UID_VALIDITY)
        self._mailboxes: dict[bytes, Mailbox] = {}
        self.create(b"INBOX")

    def find(self, name: bytes) -> Mailbox | None:
        """The mailbox of this name, if there is one."""
        with self.lock:
            return self._mailboxes.get(canonical(name))

    def names(self) -> list[bytes]:
        """Every mailbox's name, INBOX first."""
        with self.lock:
            return sorted(self._mailboxes, key=lambda name: (name != b"INBOX", name))

    def create(self, name: bytes) -> Mailbox:
        """Make a mailbox and those above it (RFC 3501, 6.3.3). ValueError when it is there."""
        with self.lock:
            wanted = canonical(name)
            if wanted in self._mailboxes or not wanted:
                raise ValueError(f"mailbox {name!r} exists already")
            parts = wanted.split(DELIMITER)
            for depth in range(1, len(parts) + 1):
                path = canonical(DELIMITER.join(parts[:depth]))
                if path and path not in self._mailboxes:
                    self._mailboxes[path] = self._new(path)
            return self._mailboxes[wanted]

    def delete(self, name: bytes) -> bool:
        """Remove a mailbox; sessions that have it open are told BYE. Whether it was there."""
        with self.lock:
            box = self._mailboxes.pop(canonical(name), None)
            if box is not None:
                box.epoch.gone = True
            return box is not None

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename a mailbox and those below it; INBOX is emptied into the new one and stays.

        Raises:
            KeyError: ``old`` is not there.
            ValueError: ``new`` is there already.
        """
        with self.lock:
            source, target = canonical(old), canonical(new)
            box = self._mailboxes[source]
            if source == b"INBOX":
                moved = self.create(target)
                for message in box.messages:
                    moved.add(message.raw, message.flags, message.internal_date)
                    box.expunge(message.uid)
                return
            if target in self._mailboxes:
                raise ValueError(f"mailbox {new!r} exists already")
            below = source + DELIMITER
            for path in [name for name in self._mailboxes if name.startswith(below)]:
                self._move(path, target + DELIMITER + path.removeprefix(below))
            self._move(source, target)

    def _move(self, source: bytes, target: bytes) -> None:
        box = self._mailboxes.pop(source)
        box.raw_name = target
        self._mailboxes[target] = box

    def _new(self, name: bytes) -> Mailbox:
        return Mailbox(name, self.lock, lambda: next(self._validities), self._changed)


def canonical(name: bytes) -> bytes:
    """A mailbox's name as it is looked up: INBOX in any case, no delimiter at the end."""
    bare = name.removesuffix(DELIMITER)
    return b"INBOX" if bare.upper() == b"INBOX" else bare
