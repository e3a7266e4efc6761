"""A session with an IMAP server: one command after the other, and what is known between them.

What the server tells besides its answers is counted here, and here the socket is closed on
everything that leaves its state in doubt. The commands themselves are ``connection.py``'s.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from nornmail.errors import ConnectionLost
from nornmail.imap.errors import Kind, classify
from nornmail.imap.limits import SHOWN_LIMIT, Budget, Limits, plain_budget
from nornmail.imap.login import refused
from nornmail.imap.responses import Exists, Expunge, Status, Tagged, Untagged
from nornmail.imap.results import Selected
from nornmail.imap.translate import Redactor
from nornmail.imap.wire import Reply, Wire
from nornmail.settings.imap import ImapSettings

log = logging.getLogger("nornmail.imap")


class Session:
    """A connection without its commands: running one, counting what is told, and ending.

    Args:
        wire: what carries it.
        settings: where, and as whom.
        limits: what is taken from the server.
        scrub: makes the server's words fit to be shown.

    Attributes:
        capabilities, selected, exists, expunges, complaints: see
            :class:`~nornmail.imap.connection.Connection`.
    """

    def __init__(
        self, wire: Wire, settings: ImapSettings, *, limits: Limits, scrub: Redactor
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._limits = limits
        self._scrub = scrub
        self._lost = ""
        self.capabilities: frozenset[str] = frozenset()
        self.selected: Selected | None = None
        self.exists = 0
        self.expunges = 0
        self.complaints = 0
        self._slowed = False

    def close(self) -> None:
        """Say LOGOUT and close the socket. Never raises; a second call does nothing."""
        if self._wire.closed:
            return
        try:
            timeout = min(self._limits.logout_timeout, self._settings.timeout)
            self._wire.log_out(plain_budget(self._limits, timeout))
        except ConnectionLost as error:
            log.debug("no good-bye: %s", error)
        self._lost = "it was closed"

    def abandon(self) -> None:
        """Close the socket without a word."""
        self._wire.shutdown()
        self._lost = self._lost or "it was abandoned"

    def forget(self) -> None:
        """Let go of a connection that is another process's, after a fork: nothing is sent."""
        self._wire.forget()
        self._lost = self._lost or "it belongs to another process"

    def was_slowed(self) -> bool:
        """Whether the server did something and marked it as slowed down, since the last call."""
        slowed, self._slowed = self._slowed, False
        return slowed

    # How it works.

    def _run(
        self,
        command: str,
        *args: bytes,
        budget: Budget | None = None,
        literal: bytes | None = None,
    ) -> list[Untagged]:
        return self._reply(command, *args, budget=budget, literal=literal).untagged

    def _reply(
        self,
        command: str,
        *args: bytes,
        budget: Budget | None = None,
        literal: bytes | None = None,
    ) -> Reply:
        self._check_open()
        budget = budget or plain_budget(self._limits, self._settings.timeout)
        with self._closing():
            reply = self._wire.run(command, *args, budget=budget, literal=literal)
        self._note(reply.untagged)
        self._note_end(reply.end)
        if reply.end.status != "OK":
            name = f"UID {args[0].decode('ascii')}" if command == "UID" else command
            raise refused(name, reply.end, self._scrub)
        return reply

    def _check_open(self) -> None:
        if self._wire.closed:
            raise ConnectionLost(f"the connection is closed: {self._lost}")

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """Close the socket on everything that leaves its state in doubt."""
        try:
            yield
        except BaseException as error:
            self._wire.shutdown()
            self._lost = self._lost or str(error) or type(error).__name__
            raise

    def _note(self, told: Iterable[Untagged]) -> None:
        """Keep count, and show what the server wants a person to see (RFC 3501, 7.1: ALERT)."""
        shown = 0
        for response in told:
            if isinstance(response, Exists):
                self.exists = response.count
            elif isinstance(response, Expunge):
                self.exists = max(self.exists - 1, 0)
                self.expunges += 1
            elif isinstance(response, Status) and _is_for_a_person(response):
                alert = response.code == "ALERT"
                self.complaints += not alert
                shown += 1
                if shown <= SHOWN_LIMIT:
                    says = "says" if alert else "complains"
                    log.warning("the server %s: %s", says, self._scrub(response.text))
        if shown > SHOWN_LIMIT:
            log.warning("and so on, %d times in all", shown)

    def _note_end(self, end: Tagged) -> None:
        if classify(end.status, end.code, end.text, "").kind is Kind.SLOWED:
            self._slowed = True


def _is_for_a_person(response: Status) -> bool:
    return response.code == "ALERT" or response.status in ("NO", "BAD")
