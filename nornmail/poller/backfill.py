"""Older mail for an inbox that was added later.

The headers of all seen messages are read again. Messages addressed to the inbox get a new entry for
it, all in one commit. From there they are fetched and delivered like those that a killed process
left between two inboxes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nornmail.model import Entry, Inbox, PutEntry
from nornmail.poller.decisions import cut_off
from nornmail.poller.discovery import HeaderReader
from nornmail.poller.inboxes import Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import digest_of
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Body

log = logging.getLogger("nornmail.poller")


class Backfill:
    """Finds the older mail of inboxes that were added with ``backfill=True``.

    Args:
        ledger: of the mailbox.
        inboxes: which inboxes these are.
    """

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
        """Write the entries of these inboxes; does nothing if none waits for its older mail.

        Raises:
            ConnectionLost: the next call continues where this one ended.
        """
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

    def _look(self, uid: int, header: Body, inboxes: Sequence[Inbox]) -> None:
        """Make an entry for each of ``inboxes`` that the message is addressed to."""
        record = self._ledger.record
        if not header.raw or record is None:
            return
        if uid < record.epoch.boundary and cut_off(header.received_at, record.cut):
            return  # older than start_from, which holds for every inbox
        from nornmail.message.message import parse_message

        message = parse_message(header.raw)
        for inbox in self._inboxes.inboxes_of(message):
            if inbox in inboxes:
                self._found.append(
                    replace(
                        self._ledger.new_entry(uid, inbox.key),
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
        """Whether the inbox has no entry of the message, and the message was routed already."""
        siblings = self._ledger.siblings(entry.key.uid)
        unread = any(other.key.inbox == "" and other.digest is None for other in siblings)
        return not unread and all(other.key != entry.key for other in siblings)
