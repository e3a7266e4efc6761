"""What can be asked and said of letters that a mailer was given before."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial

from nornmail.clock import Clock
from nornmail.errors import ConfigurationError, LeaseHeld, NornmailError
from nornmail.events import Announcer, LetterBounced
from nornmail.message.message import Message
from nornmail.outbox.bounces import note_bounce
from nornmail.outbox.enqueue import Writer
from nornmail.outbox.results import SendResult, result_of
from nornmail.outbox.status import STUCK, Board, MailerStatus
from nornmail.outbox.worker import Worker
from nornmail.outgoing import LetterState, Wish
from nornmail.stores.protocol import StateStore

WAIT_STEP = 0.05
"""Seconds between two looks of :meth:`Mailer.wait`: another process may be the one that sends."""


class Tracking(ABC):
    """The part of a mailer that is about what it has already."""

    outbox: str
    _store: StateStore
    _clock: Clock
    _board: Board
    _announce: Announcer
    _worker: Worker
    _writer: Writer

    @abstractmethod
    def _drains(self) -> bool:
        """Whether letters of the store may go out by this mailer."""

    def result(self, key: str) -> SendResult | None:
        """What became of the message with this key, ``None`` if there is none."""
        letter = self._store.letter(self.outbox, key)
        return None if letter is None else result_of(letter)

    def wait(self, key: str, timeout: float) -> SendResult:
        """Wait until it is known what becomes of a message, or nothing goes out for now.

        Args:
            key: of a message that was given to :meth:`send`.
            timeout: seconds to wait at most.

        Returns:
            What became of it so far: still ``queued`` where the time is up, it was put off, or the
            server leaves this mailer waiting (rejected credentials, throttling).

        Raises:
            ConfigurationError: there is no such message.
        """
        until = self._clock.monotonic() + timeout
        while True:
            result = self.result(key)
            if result is None:
                raise ConfigurationError("key", key, "there is no such letter")
            open_still = result.state in (LetterState.QUEUED, LetterState.SENDING)
            left = until - self._clock.monotonic()
            if not open_still or left <= 0 or self._board.state in STUCK:
                return result
            self._clock.wait(threading.Event(), min(left, WAIT_STEP))

    def resolve(self, key: str, *, sent: bool) -> None:
        """Say of a letter that is unknown whether it was sent; if not, it is tried again.

        Durable on return. It is done at once if no other process sends from this outbox, else at
        that one's next look.

        Raises:
            ConfigurationError: there is no such letter, or it is not unknown.
        """
        self._writer.refuse_after_fork()
        letter = self._store.letter(self.outbox, key)
        if letter is None or letter.state is not LetterState.UNKNOWN:
            found = "there is no such letter" if letter is None else f"it is {letter.state}"
            raise ConfigurationError("key", key, f"only what is unknown can be resolved: {found}")
        self._store.wish(self.outbox, key, Wish.SENT if sent else Wish.RETRY)
        self._worker.wake()
        if self._drains() and not (self._worker.running or self._worker.inside):
            with suppress(LeaseHeld):
                self._worker.do_wishes()

    def note_bounce(self, message: Message) -> list[LetterBounced]:
        """Note what a delivery report says of what was sent; a poller of the store does it itself.

        Returns:
            One event for each recipient of which it is news; ``on_event`` is called with them.
        """
        told = note_bounce(self._store, message, now=self._clock.wall())
        for event in told:
            self._announce(event)
        return told

    @property
    def trouble(self) -> NornmailError | None:
        """What last kept the server from being asked: it is away, or refused the login."""
        return self._worker.trouble

    def status(self) -> MailerStatus:
        """What the mailer is doing, since when and why, and what waits; from any thread.

        Raises:
            StoreError: the store cannot be read.
        """
        count = partial(self._store.count_letters, self.outbox)
        failed = self._store.letters(self.outbox, {LetterState.FAILED})
        return self._board.read(
            queued=count({LetterState.QUEUED, LetterState.SENDING}),
            unknown=count({LetterState.UNKNOWN}),
            failed=sum(not letter.dropped for letter in failed),
        )
