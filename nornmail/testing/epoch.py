"""The messages of a mailbox under one UIDVALIDITY, and waits for a change of them.

Everything here is called with the account's lock held.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Protocol, TypeVar

T = TypeVar("T")


class Changes:
    """Counts changes of the server, and wakes the tests that wait for one. Thread-safe.

    `announce` takes no other lock than its own, so it may be called while others are held; a
    predicate is evaluated with none.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    def announce(self) -> None:
        """Count a change and wake all waits."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for(self, predicate: Callable[[], T], seconds: float) -> T:
        """The first true value of ``predicate``, or its last false one after ``seconds``.

        It is asked now, and again after each change.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._condition:
                seen = self._count
            value = predicate()
            if value:
                return value
            with self._condition:
                left = deadline - time.monotonic()
                if not self._condition.wait_for(lambda seen=seen: self._count != seen, left):  # type: ignore[misc]
                    return value


def parsed(raw: bytes) -> EmailMessage:
    """A message as the standard library's object, under the policy with decoded headers."""
    return BytesParser(EmailMessage, policy=default).parsebytes(raw)


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
