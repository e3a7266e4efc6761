"""One connection for several mailboxes of an account, which take turns with it.

STATUS says which of them have news, and those alone are selected. What is selected is looked at
as by a poller with a connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nornmail.clock import Clock
from nornmail.errors import AuthenticationFailed, ConnectionLost, Throttled

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Counts
    from nornmail.net.tls import Abort

FRESH = 5.0
"""Seconds for which counts hold that came with those of another mailbox: mailboxes that are due at
about the same time cost one command where the server has LIST-STATUS."""
REFUSED = 60.0
"""Seconds for which a refused login holds for the other mailboxes: each try is a failed login."""


class SharedConnection:
    """A connection for several mailboxes, one at a time.

    Attributes:
        mailboxes: those that share it; a lone one is looked at by NOOP alone.
        busy: a poller has its turn.
        besides: pollers that use a connection of their own meanwhile.
    """

    def __init__(self, open: Callable[[], Connection], clock: Clock, abort: Abort) -> None:
        self._open = open
        self._clock = clock
        self._let_go: Callable[[Connection], object] | None = None
        self._counts: dict[str, tuple[Counts, float]] = {}
        self._refused: tuple[AuthenticationFailed | Throttled, float] | None = None
        self.abort = abort
        self.mailboxes: set[str] = set()
        self.busy = False
        self.besides = 0
        self.connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self.connection is not None and not self.connection.closed

    def take(self, let_go: Callable[[Connection], object]) -> Connection:
        """The connection, to select a mailbox on it."""
        self._take_back()
        self._let_go = let_go
        return self._connected()

    def counts(self, mailbox: str, *, fresh: bool) -> Counts | None:
        """The answer of STATUS for a mailbox.

        Args:
            fresh: counts that came with those of another mailbox will not do.

        Returns:
            ``None`` where nothing is known, and the mailbox is to be selected to see.
        """
        if len(self.mailboxes) == 1:
            return None
        known, at = self._counts.pop(mailbox, (None, 0.0))
        if known is not None and not fresh and self._clock.monotonic() < at + FRESH:
            return known
        try:
            return self._ask(mailbox)
        except ConnectionLost:  # it may have ended long ago
            return self._ask(mailbox)

    def _ask(self, mailbox: str) -> Counts | None:
        connection = self._connected()
        selected = connection.selected.mailbox if connection.selected is not None else None
        if selected == mailbox:
            return None
        asked = {mailbox}
        if connection.counts_many:
            asked = self.mailboxes - {selected}
        now = self._clock.monotonic()
        for name, counts in connection.counts(sorted(asked)).items():
            self._counts[name] = (counts, now)
        return self._counts.pop(mailbox, (None, 0.0))[0]

    def _connected(self) -> Connection:
        if self.connection is None or self.connection.closed:
            self.connection = None
            now = self._clock.monotonic()
            if self._refused is not None and now < self._refused[1] + REFUSED:
                raise self._refused[0].with_traceback(None)
            try:
                self.connection = self._open()
            except (AuthenticationFailed, Throttled) as error:
                self._refused = (error, now)
                raise
        return self.connection

    def _take_back(self) -> None:
        if self._let_go is not None and self.connection is not None:
            self._let_go(self.connection)
        self._let_go = None

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._take_back()
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
