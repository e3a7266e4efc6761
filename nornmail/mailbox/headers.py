"""Header blocks in bounded parts, whatever the server does to some of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.imap.results import Body
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.mailbox")

HEADERS_AT_ONCE = 500
"""Header blocks asked for in one round trip: about 2 MB of ordinary mail."""
HEADER_OCTETS = 4 * 1024
"""What a header block is expected to measure, for the deadline of a command."""


class HeaderReader:
    """Reads many header blocks; a part that fails is cut smaller, down to the one to blame."""

    def __init__(self) -> None:
        self._at_once = HEADERS_AT_ONCE
        self._unreadable: set[int] = set()

    def forget(self) -> None:
        """Ask for all of them again: the UIDs mean something else now."""
        self._unreadable.clear()

    def read(self, connection: Connection, uids: UidSet) -> Iterator[tuple[int, Body]]:
        """The header blocks, ascending, each with its UID.

        One that cannot be had is left out, and the log says so.

        Raises:
            ConnectionLost: the next time a smaller part is asked for.
        """
        todo = [uid for uid in uids if uid not in self._unreadable]
        while todo:
            part = todo[: self._at_once]
            headers = self._part(connection, UidSet.of(part))
            if headers is None:
                todo = [uid for uid in todo if uid not in self._unreadable]
                continue
            todo = todo[len(part) :]
            for uid in sorted(headers):
                if headers[uid].raw is not None:
                    yield uid, headers[uid]

    def _part(self, connection: Connection, uids: UidSet) -> dict[int, Body] | None:
        """Header blocks; ``None`` when they are to be asked for in smaller parts.

        A part that fails is halved, here and after a lost connection, down to the one message that
        is to blame.
        """
        try:
            found = connection.headers(uids, expected_octets=HEADER_OCTETS * len(uids))
        except (ConnectionLost, CommandRefused) as error:
            self._at_once = max(1, len(uids) // 2)
            if len(uids) == 1:
                log.warning("the headers of UID %s cannot be had: %s", uids, error)
                self._unreadable.update(uids)
            if isinstance(error, ConnectionLost):
                raise
            return None
        self._at_once = min(self._at_once * 2, HEADERS_AT_ONCE)
        return found
