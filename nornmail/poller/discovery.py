"""Finding unseen messages: new mail, gaps, UIDs that a listing hid, older mail for a new inbox.

The truth is the set of UIDs that were looked at. The fast path asks only for what lies above it;
the whole listing is compared with it at the start, once an hour, and whenever EXISTS disagrees.

For an inbox that was added later, the headers of all seen messages are read again. Messages
addressed to it get a new entry for it, all in one commit. From there they are fetched and delivered
like those that a killed process left between two inboxes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nornmail.clock import utc_datetime
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.model import Entry, Inbox, PutEntry
from nornmail.poller.decisions import (
    DISAGREEMENT_INTERVAL,
    RECONCILE_INTERVAL,
    SEARCH_INTERVAL,
    cut_off,
    forgotten,
)
from nornmail.poller.inboxes import Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import digest_of
from nornmail.retry import doubled
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import FetchedBody

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

    def read(self, connection: Connection, uids: UidSet) -> Iterator[tuple[int, FetchedBody]]:
        """The header blocks, ascending, each with its UID.

        One that cannot be fetched is left out, and the log says so.
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

    def _part(self, connection: Connection, uids: UidSet) -> dict[int, FetchedBody] | None:
        """Header blocks; ``None`` when they are to be asked for in smaller parts.

        A part that fails is halved, here and after a lost connection, down to the one message that
        is to blame.
        """
        try:
            headers = connection.headers(uids, expected_octets=HEADER_OCTETS * len(uids))
        except (ConnectionLost, CommandRefused) as error:
            self._at_once = max(1, len(uids) // 2)
            if len(uids) == 1:
                log.warning("the headers of UID %s cannot be fetched: %s", uids, error)
                self._unreadable.update(uids)
            if isinstance(error, ConnectionLost):
                raise
            return None
        self._at_once = min(self._at_once * 2, HEADERS_AT_ONCE)
        return headers


class Discovery:
    """Finds the UIDs that are to be fetched, on one connection.

    Make a new one after each SELECT: what the server counts begins anew there.
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

        When a mailbox was deleted and made again, Dovecot's open sessions keep the old one;
        only an untagged NO to each NOOP shows it. For servers without that sign, once an hour.
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
        """Seconds between two whole listings while EXISTS keeps disagreeing; it doubles."""
        if not self._disagreements:
            return 0.0
        return doubled(DISAGREEMENT_INTERVAL, self._disagreements - 1, RECONCILE_INTERVAL)

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


class Backfill:
    """Finds the older mail of inboxes that were added with ``backfill=True``."""

    def __init__(self, ledger: Ledger, inboxes: Inboxes) -> None:
        self._ledger = ledger
        self._inboxes = inboxes
        self._reader = HeaderReader()
        self._scan: tuple[int, list[Inbox]] = (0, [])
        self._looked = UidSet()
        self._found: list[Entry] = []

    @property
    def is_wanted(self) -> bool:
        """Whether an inbox waits for its older mail."""
        return bool(self._inboxes.backfills())

    def run(self, connection: Connection) -> None:
        """Write the entries of these inboxes; does nothing if none waits for its older mail."""
        inboxes = self._inboxes.backfills()
        if not inboxes:
            return
        scan = (self._ledger.epoch.number, inboxes)
        if scan != self._scan:
            self._begin(scan)
        listed = connection.list_uids()
        # Unprocessed mail is routed to them like any other.
        known = listed - (listed - self._ledger.seen)
        for uid, header in self._reader.read(connection, known - self._looked):
            self._look(uid, header, inboxes)
            self._looked.add(uid)
        self._write()
        self._inboxes.backfilled(inboxes)
        self._begin((0, []))

    def _begin(self, scan: tuple[int, list[Inbox]]) -> None:
        self._scan = scan
        self._looked = UidSet()
        self._found = []
        self._reader.forget()

    def _look(self, uid: int, header: FetchedBody, inboxes: Sequence[Inbox]) -> None:
        """Make an entry for each of ``inboxes`` that the message is addressed to."""
        record = self._ledger.record
        if not header.raw or record is None:
            return
        is_older = uid < record.epoch.boundary or record.epoch.number > 1
        if is_older and cut_off(header.received_at, record.cut):
            return  # older than start_from, which holds for every inbox
        from nornmail.message.message import parse_message

        message = parse_message(header.raw)
        for inbox in self._inboxes.inboxes_of(message):
            if inbox in inboxes:
                self._found.append(
                    self._ledger.new_entry(uid, inbox.key)._replace(
                        digest=digest_of(header.raw, truncated=True),
                        message_id=message.message_id,
                        size=header.size,
                        received_at=header.received_at,
                    )
                )

    def _write(self) -> None:
        """Write the entries down that are not there yet, all at once."""
        new = [entry for entry in self._found if self._is_new(entry)]
        self._ledger.commit(*map(PutEntry, new))
        log.info("%d older messages are for inboxes that were added", len(new))

    def _is_new(self, entry: Entry) -> bool:
        """Whether the inbox has no entry of the message, and the message was routed already.

        One of which no inbox has an entry may have been removed (rule 15), the inbox's own among
        them: it counts as known, since a program asks for the older mail at each of its starts.
        So does one whose date the server left out, once entries are removed.
        """
        record, siblings = self._ledger.record, self._ledger.siblings(entry.key.uid)
        horizon = record.horizon if record else None
        if not siblings and horizon is not None:
            if entry.received_at is None:
                log.warning(
                    "UID %d: the server gave no INTERNALDATE, so whether the message was handled"
                    " before its entry was removed is unknown; it is not delivered as older mail",
                    entry.key.uid,
                )
                return False
            if forgotten(entry.received_at, horizon, "dedupe"):
                return False
        unread = any(other.key.inbox == "" and other.digest is None for other in siblings)
        return not unread and all(other.key != entry.key for other in siblings)
