"""Messages that the server listed and did not give: gone, tried again, or dead in the end.

What is still listed is never "gone": it waits, like a message whose handler failed, and is fetched
again when it is due. What is no longer listed, confirmed by a second listing, is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from nornmail.delivery.arrival import Arrival
from nornmail.delivery.tally import Tally
from nornmail.digest import digest_of
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.imap.results import Summary
from nornmail.model import Entry, KeepRaw, PutEntry, State
from nornmail.poller.inboxes import Recipients
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import acquaintance
from nornmail.retry import RetryPolicy, after_failure, is_due
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.mailbox")

NOT_GIVEN = "the server lists the message and does not give it"
CUT_OFF = "the connection was lost each time the message was fetched"
EXPUNGED = "it was expunged before it was fetched"
VANISHED = "it is no longer in the mailbox, and its bytes were not kept"
KNOWN = "it is known from an earlier epoch"
ROUTED = "its bytes came, and it waits for those whom it is for"
REBUILT = "the mailbox was rebuilt without it, and its bytes were not kept"

Fetch = Callable[[Connection, Mapping[int, Summary]], dict[int, Arrival]]


class Shortfall:
    """Settles messages that could not be had.

    Args:
        ledger: of the mailbox.
        retry: when such a message is asked for again.
        recipients: whom a message is for.
        on_change: what a new UIDVALIDITY does.
    """

    def __init__(
        self,
        ledger: Ledger,
        retry: RetryPolicy,
        recipients: Recipients,
        on_change: str = "dedupe",
    ) -> None:
        self._ledger = ledger
        self._recipients = recipients
        self._retry = retry
        self._on_change = on_change

    def missing(
        self, connection: Connection, uids: UidSet, tally: Tally, *, reason: str = NOT_GIVEN
    ) -> None:
        """Settle UIDs that were listed and not given, by a second listing."""
        if not uids:
            return
        listed = connection.still_listed(uids)
        for uid in uids:
            if uid in listed:
                log.warning("UID %d: %s", uid, reason)
                tally.failed += 1
            for entry in self._unfetched(uid):
                self._ledger.later(PutEntry(self._not_given(entry, reason, listed, tally)))
        self._ledger.flush()

    def _not_given(self, entry: Entry, reason: str, listed: UidSet, tally: Tally) -> Entry:
        if entry.key.uid in listed:
            return self._failed(entry, reason)
        if entry.digest is not None:  # another inbox has had it
            return self._dead(entry, VANISHED)
        tally.gone += 1
        return replace(entry, state=State.GONE, reason=EXPUNGED)

    def _unfetched(self, uid: int) -> list[Entry]:
        """The entries of a message that was to be fetched: new ones, or one for nobody so far."""
        if uid not in self._ledger.seen:
            return [self._ledger.new_entry(uid)]
        return [entry for entry in self._ledger.siblings(uid) if entry.state is State.NEW]

    def not_had(self, uid: int, summary: Summary) -> None:
        """Settle a message at which the connection is lost each time."""
        log.warning("UID %d: %s", uid, CUT_OFF)
        for entry in self._unfetched(uid):
            had = replace(entry, size=summary.size, received_at=summary.received_at)
            self._ledger.later(PutEntry(self._failed(had, CUT_OFF)))
        self._ledger.flush()

    def rescue(self, connection: Connection, fetch: Fetch, tally: Tally) -> None:
        """Fetch the bytes of waiting messages beside which none are kept yet.

        These are messages that could not be had so far, when they are due; and at once those whose
        process ended in the handler, since their bytes may be on the server for the last time.
        """
        epoch = self._ledger.epoch.number
        now = self._ledger.clock.wall()
        for entry in self._ledger.without_raw():
            if entry.key.epoch != epoch:
                if entry.digest is None:  # nobody could tell it: it is looked at anew
                    self._vanished(entry, REBUILT, tally)
            elif entry.digest is not None or is_due(entry, now, self._retry.longest):
                self._fetch_again(connection, fetch, entry, tally)

    def all_had(self) -> bool:
        """Whether no message is left that is listed and could not be had."""
        return all(entry.digest is not None for entry in self._ledger.without_raw())

    def forget_stranded(self, tally: Tally) -> None:
        """Settle messages of earlier epochs that were not found again and whose bytes are lost.

        Call it when everything that is listed was looked at, and was had: until then each may
        still be found.
        """
        epoch = self._ledger.epoch.number
        for entry in self._ledger.without_raw():
            if entry.key.epoch != epoch:
                self._vanished(entry, REBUILT, tally)

    def _fetch_again(
        self, connection: Connection, fetch: Fetch, entry: Entry, tally: Tally
    ) -> None:
        uids = UidSet.of([entry.key.uid])
        try:
            summaries = connection.summaries(uids)
            arrival = fetch(connection, summaries).get(entry.key.uid) if summaries else None
        except (ConnectionLost, CommandRefused) as error:
            self._not_rescued(entry, str(error))
            if isinstance(error, ConnectionLost):
                raise
            return
        if arrival is not None:
            self._keep(entry, arrival, tally)
        elif uids - connection.still_listed(uids):
            self._vanished(entry, VANISHED, tally)
        else:
            self._not_rescued(entry, NOT_GIVEN)

    def _not_rescued(self, entry: Entry, reason: str) -> None:
        """The fetch failed again: an attempt, once it was due; before, nothing changed."""
        if is_due(entry, self._ledger.clock.wall(), self._retry.longest):
            self._ledger.commit(PutEntry(self._failed(entry, reason)))

    def _keep(self, entry: Entry, arrival: Arrival, tally: Tally) -> None:
        """Put the bytes beside the entry; from there the next attempt is fed.

        Bytes that came for the first time may show that the message is known.
        """
        now = self._ledger.clock.wall()
        had = replace(
            entry,
            digest=digest_of(arrival.raw, truncated=arrival.truncated),
            size=arrival.size,
            received_at=arrival.received_at,
            truncated=arrival.truncated,
            due_at=entry.due_at if entry.digest is not None else now,
            changed_at=now,
        )
        known = (
            acquaintance(self._ledger, had, arrival.raw, self._on_change)
            if entry.digest is None
            else []
        )
        if known:
            # What waits under this UID gives way to what is known.
            gone = replace(had, state=State.GONE, due_at=0.0, reason=KNOWN)
            self._ledger.commit(PutEntry(gone), *known)
            tally.passed_over += 1
        elif entry.digest is None and self._recipients.several:
            self._route(entry, had, arrival.raw, tally)
        else:
            self._ledger.commit(PutEntry(had), KeepRaw(entry.key, arrival.raw))

    def _route(self, entry: Entry, had: Entry, raw: bytes, tally: Tally) -> None:
        """Let a message that came at last wait for those whom it is for.

        Until now it was nobody's: the entry that stood for it gives way to theirs.
        """
        gone = replace(entry, state=State.GONE, due_at=0.0, reason=ROUTED)
        changes = [PutEntry(gone)]
        for one in self._recipients.entries_of(had, raw, self._ledger.new_entry):
            if one.state is State.PASSED_OVER:
                changes.append(PutEntry(one))
                tally.passed_over += 1
            else:
                waiting = replace(one, state=State.WAITING, due_at=had.changed_at, reason=ROUTED)
                changes.append(PutEntry(waiting, raw=raw))
        self._ledger.commit(*changes)

    def _vanished(self, entry: Entry, reason: str, tally: Tally) -> None:
        """A message went away before its bytes could be kept.

        If it was never handed over it is gone, like any other that was expunged in time; if its
        handler may have seen half of it, a person should know.
        """
        if entry.digest is not None:
            self._ledger.commit(PutEntry(self._dead(entry, reason)))
            return
        tally.gone += 1
        now = self._ledger.clock.wall()
        gone = replace(entry, state=State.GONE, reason=reason, due_at=0.0, changed_at=now)
        self._ledger.commit(PutEntry(gone))

    def _dead(self, entry: Entry, reason: str) -> Entry:
        before = f"; before that: {entry.reason}" if entry.reason else ""
        return replace(
            entry,
            state=State.DEAD,
            reason=f"{reason}{before}",
            due_at=0.0,
            changed_at=self._ledger.clock.wall(),
        )

    def _failed(self, entry: Entry, reason: str) -> Entry:
        return after_failure(entry, reason, self._retry, self._ledger.clock.wall())
