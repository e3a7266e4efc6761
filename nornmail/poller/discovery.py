"""Finding unseen messages: new mail, gaps, UIDs that a listing hid.

The truth is the set of UIDs that were looked at. The fast path asks only for what lies above it;
the whole listing is compared with it at the start, once an hour, and whenever EXISTS disagrees.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nornmail.clock import utc_datetime
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.poller.decisions import DISAGREEMENT_INTERVAL, RECONCILE_INTERVAL, SEARCH_INTERVAL
from nornmail.poller.ledger import Ledger
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Body

log = logging.getLogger("nornmail.poller")

HEADERS_AT_ONCE = 500
"""Header blocks asked for in one round trip: about 2 MB of ordinary mail."""
HEADER_OCTETS = 4 * 1024
"""The expected octets of a header block, for the deadline of a command."""


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

        One that cannot be fetched is left out, and the log says so.

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
                log.warning("the headers of UID %s cannot be fetched: %s", uids, error)
                self._unreadable.update(uids)
            if isinstance(error, ConnectionLost):
                raise
            return None
        self._at_once = min(self._at_once * 2, HEADERS_AT_ONCE)
        return found


class Discovery:
    """Finds the UIDs that are to be fetched, on one connection.

    Make a new one after each SELECT: what the server counts begins anew there.

    Args:
        connection: with the mailbox selected.
        ledger: what was looked at.
    """

    def __init__(self, connection: Connection, ledger: Ledger) -> None:
        self._connection = connection
        self._ledger = ledger
        self._unseen = UidSet()
        self._counted = 0
        self._expunges = 0
        self._listed_at: float | None = None
        self._disagreements = 0
        self._next_search = 0.0
        self._selected_at = ledger.clock.monotonic()
        self._in_doubt = False

    def stale(self) -> bool:
        """Whether the mailbox is to be selected anew, on a new connection.

        When a mailbox was deleted and made again, Dovecot's open sessions go on with the old one,
        and nothing but an untagged NO to each NOOP tells. For servers that do not even say that,
        once an hour.
        """
        selected_long_ago = self._ledger.clock.monotonic() >= self._selected_at + RECONCILE_INTERVAL
        return self._in_doubt or selected_long_ago

    def unseen(self) -> UidSet:
        """The UIDs that are in the mailbox and were not looked at.

        One round trip of about a hundred octets when nothing is new, whatever the mailbox's size.
        """
        now = self._ledger.clock.monotonic()
        if self._listed_at is None:
            self._list(now)
        else:
            # NOOP first: Dovecot only lists messages that it has announced.
            errors = self._connection.untagged_errors
            self._connection.noop()
            self._in_doubt = self._connection.untagged_errors > errors
            if now >= self._listed_at + RECONCILE_INTERVAL:
                self._list(now)
            elif self._disagrees() or now >= self._next_search:
                self._search(now)
        self._unseen = self._unseen - self._ledger.seen - self._ledger.absent
        return self._unseen

    def _disagrees(self) -> bool:
        """Whether EXISTS is not what was counted, less what was expunged since."""
        expunged = self._connection.expunges - self._expunges
        return self._connection.exists != self._counted - expunged

    def _search(self, now: float) -> None:
        """The fast path: what lies above everything that was looked at.

        Also from time to time without a word from the server, for those that announce nothing.
        """
        above = self._connection.uids_from(self._ledger.seen.highest + 1)
        self._counted += len(above - self._unseen)
        self._unseen.update(above)
        self._next_search = now + SEARCH_INTERVAL
        if self._disagrees() and now >= (self._listed_at or 0.0) + self._patience():
            self._list(now)

    def _patience(self) -> float:
        """Seconds between two whole listings while EXISTS goes on disagreeing; it doubles."""
        if not self._disagreements:
            return 0.0
        doubled = DISAGREEMENT_INTERVAL * 2.0 ** min(self._disagreements - 1, 20)
        return float(min(doubled, RECONCILE_INTERVAL))

    def _list(self, now: float) -> None:
        """The truth: all UIDs there are, compared with all that were looked at."""
        listed = self._connection.list_uids()
        self._ledger.absent = UidSet()
        unseen = listed - self._ledger.seen
        if self._ledger.listed is not None:
            self._report_missed(unseen - self._ledger.listed)
        self._ledger.listed = listed
        self._unseen = unseen
        self._counted = len(listed)
        self._expunges = self._connection.expunges
        self._listed_at = now
        self._next_search = now + SEARCH_INTERVAL
        self._disagreements = self._disagreements + 1 if self._disagrees() else 0

    def _report_missed(self, unseen: UidSet) -> None:
        highest = self._ledger.seen.highest
        missed = UidSet((low, min(high, highest)) for low, high in unseen.pairs() if low < highest)
        if missed:
            log.warning(
                "%s messages appeared below the highest seen UID: UID %s", len(missed), missed
            )
            now = utc_datetime(self._ledger.clock.wall())
            from nornmail.events import LateListed

            self._ledger.context.emit(LateListed(at=now, uids=str(missed), count=len(missed)))
