"""The first run and every new UIDVALIDITY: what becomes of mail that stands there already.

An epoch is the time under one UIDVALIDITY. When a new one begins no UID of the old one means
anything: everything is looked at again, headers first, and what was known continues under its new
UID with its state, its attempts and its delivery id.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from nornmail.errors import CommandRefused, DecisionRequired
from nornmail.model import Change, Digest, EntryKey, Epoch, State
from nornmail.poller.decisions import (
    BATCH_MESSAGES,
    FIRST_RUN_LIMIT,
    UNKNOWN_LIMIT,
    Candidate,
    batches,
    boundary_of,
    cut_off,
    dates_decide,
    forgotten,
    needs_body,
    new_epoch_reason,
    recognise,
)
from nornmail.poller.discovery import HeaderReader
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import carried_over, digest_of, header_digest_of, known_by_digest
from nornmail.settings.imap import StartFrom, start_instant
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Selected

log = logging.getLogger("nornmail.poller")

YOUNG_EPOCH = 7 * 86_400.0
"""Seconds after the begin of an epoch, or after the last such mail, in which mail that was received
before the epoch is compared too: a restore or a migration may take days."""

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.IGNORECASE | re.MULTILINE)
_DATE = re.compile(rb"^date[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Epochs:
    """Keeps the ledger in the epoch that the server is in.

    Args:
        start_from: what a first run does with mail that is there already (rule 9).
        may_answer: whether that mail could be answered, so that a person must decide about it.
    """

    def __init__(
        self,
        ledger: Ledger,
        start_from: StartFrom,
        may_answer: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._start_from = start_from
        self._may_answer = may_answer
        self._reader = HeaderReader()
        self._unknown_before: dict[int, UidSet] = {}
        self._restored_at: float | None = None

    def enter(self, connection: Connection, selected: Selected) -> None:
        """Find out, after a SELECT, which epoch this is; begin the first or a new one.

        Afterwards the ledger has an epoch in which everything that was known is known again.

        Raises:
            DecisionRequired: nothing is delivered before the user has chosen.
        """
        record = self._ledger.record
        if record is None:
            self._first_run(connection, selected)
            return
        reason = new_epoch_reason(
            record.epoch, self._ledger.seen.highest, selected.uid_validity, selected.uid_next
        )
        if not reason and record.epoch.matched:
            reason = self._replaced(connection)
        if reason:
            self._begin(connection, selected, reason)
        if not self._ledger.epoch.matched:
            self._reconcile(connection)

    def _replaced(self, connection: Connection) -> str:
        """The reason for a new epoch: the highest known UID is a different message than before.

        A mailbox that was put back from a backup gives UIDs a second time.
        """
        uid = self._ledger.seen.highest
        entries = self._ledger.siblings(uid) if uid else []
        known = next((entry for entry in entries if entry.digest and entry.message_id), None)
        if known is None or known.digest is None:
            return ""
        try:
            header = connection.headers(UidSet.of([uid])).get(uid)
        except CommandRefused as refused:
            log.info("UID %d was not compared: %s", uid, refused)
            return ""
        if header is None or not header.raw or header_digest_of(header.raw) == known.digest.header:
            return ""
        from nornmail.message.message import parse_message

        message_id = parse_message(header.raw, truncated=True).message_id
        if message_id in ("", known.message_id):
            return ""  # a server that changes header fields of its own
        return f"UID {uid} was {known.message_id} and is {message_id}"

    def reconcile_restored(self, connection: Connection, uids: UidSet) -> None:
        """Compare mail that arrives in a young epoch with what earlier epochs knew.

        A restore puts messages back after the new UIDVALIDITY was seen, and a replica that lagged
        behind shows again what it hid. A server may give restored mail a new arrival date: it is
        recognised by its digest, and mail that is not recognised is new.

        Raises:
            DecisionRequired: too much of it is unknown.
        """
        epoch, clock = self._ledger.epoch, self._ledger.clock
        if epoch.number == 1 or not uids or uids.highest < epoch.boundary:
            return
        last = epoch.begun_at if self._restored_at is None else self._restored_at
        if clock.wall() > last + YOUNG_EPOCH:
            return
        late = UidSet.of(uid for uid in uids if uid >= epoch.boundary)
        old = connection.received_before(late, epoch.begun_at)
        if old:
            self._restored_at = clock.wall()
            self._compare(connection, old)
        late_ones = list(self._candidates(connection, late - old))
        undated = UidSet.of(
            message.uid
            for message in late_ones
            if message.received_at is not None and message.received_at < epoch.begun_at
        )
        if undated:  # the first answer left out their dates
            self._restored_at = clock.wall()
            self._compare(connection, undated)
        # Mail of today without a date or an id of its own may well be like other mail.
        redated = [c for c in late_ones if c.is_unique and c.uid not in undated]
        if redated and len(self._recognise(connection, redated)) < len(redated):
            self._restored_at = clock.wall()

    def _first_run(self, connection: Connection, selected: Selected) -> None:
        start = self._start_from
        may_answer = self._may_answer() and selected.exists > 0
        if start is None and (may_answer or selected.exists > FIRST_RUN_LIMIT):
            reason = "and could be answered" if may_answer else f"more than {FIRST_RUN_LIMIT:,}"
            raise DecisionRequired(
                f"{selected.exists} messages are in {selected.mailbox} at the first run {reason}; "
                'none was delivered. Set start_from (IMAP_START_FROM) to "new" to leave them '
                'alone and begin with new mail, to "all" to have them all, or to a date to begin '
                "there.",
                count=selected.exists,
                setting="start_from",
                choices=("all", "new", "a date"),
            )
        listed = connection.list_uids()
        epoch = self._epoch(1, selected, listed, matched=True)
        passed = UidSet()
        cut: float | None = None
        if start == "new":
            passed, cut = listed, epoch.begun_at
        elif isinstance(start, date):
            cut = start_instant(start)
            passed = connection.received_before(listed, cut)
        self._ledger.begin_epoch(epoch, passed, cut=cut)
        if passed:
            log.info("%d messages from before start_from are passed over", len(passed))

    def _begin(self, connection: Connection, selected: Selected, reason: str) -> None:
        """Begin a new epoch: from here on its UIDs count."""
        record = self._ledger.record
        number = self._ledger.epoch.number + 1
        cut = record.cut if record else None
        listed = connection.list_uids()
        log.warning(
            "%s in %s: its %d messages are processed again (%s)",
            reason,
            selected.mailbox,
            len(listed),
            self._ledger.on_change,
        )
        epoch = self._epoch(number, selected, listed, matched=False)
        self._reader.forget()
        self._ledger.begin_epoch(epoch, UidSet(), cut=cut)

    def _epoch(self, number: int, selected: Selected, listed: UidSet, *, matched: bool) -> Epoch:
        return Epoch(
            number=number,
            uid_validity=selected.uid_validity or 0,
            boundary=boundary_of(selected.uid_next, listed.highest),
            matched=matched,
            begun_at=self._ledger.clock.wall(),
        )

    def _reconcile(self, connection: Connection) -> None:
        """Compare what stood there when the epoch began with what earlier epochs knew.

        It may be cut off anywhere: what was recognised has its new key, and the rest is compared
        the next time.
        """
        boundary = self._ledger.epoch.boundary
        listed = UidSet.of(uid for uid in connection.list_uids() if uid < boundary)
        self._compare(connection, listed - self._ledger.seen)

    def _compare(self, connection: Connection, uids: UidSet) -> None:
        """Recognise what earlier epochs knew of ``uids``; pass over or refuse the others."""
        unknown = self._recognise(connection, list(self._candidates(connection, uids)))
        if self._ledger.on_change == "baseline":
            # Also as the answer to what an epoch brought that began under another choice.
            passed = UidSet.of(message.uid for message in unknown)
            log.info("%d unknown messages are passed over (baseline)", len(passed))
            self._ledger.finish_reconciliation(passed, cut=self._ledger.epoch.begun_at)
            return
        unknown = self._dated(connection, unknown)
        old = self._forgotten(unknown)
        if self._ledger.epoch.matched:  # what came after the epoch began; else it is fetched first
            old.update(self._before_start(unknown))
        self._refuse_too_many([message for message in unknown if message.uid not in old])
        if old or not self._ledger.epoch.matched:
            self._ledger.finish_reconciliation(old)

    def _dated(self, connection: Connection, unknown: list[Candidate]) -> list[Candidate]:
        """The messages; those that came without a date with the answer to asking for it again."""
        record = self._ledger.record
        undated = UidSet.of(message.uid for message in unknown if message.received_at is None)
        if not undated or record is None or not dates_decide(record, self._ledger.on_change):
            return unknown
        try:
            summaries = connection.summaries(undated)
        except CommandRefused as refused:
            log.info("the dates of UID %s were not requested again: %s", undated, refused)
            return unknown
        return [
            message._replace(received_at=summaries[message.uid].received_at)
            if message.uid in undated and message.uid in summaries
            else message
            for message in unknown
        ]

    def _candidates(self, connection: Connection, uids: UidSet) -> Iterator[Candidate]:
        """The messages, ascending, with what their headers tell; the headers are let go.

        A message whose headers cannot be had is left to be fetched like any other.
        """
        for uid, header in self._reader.read(connection, uids):
            if header.raw or (header.raw is not None and not header.size):
                yield Candidate(
                    uid=uid,
                    size=header.size,
                    received_at=header.received_at,
                    header_digest=header_digest_of(header.raw),
                    has_message_id=_MESSAGE_ID.search(header.raw) is not None,
                    has_date=_DATE.search(header.raw) is not None,
                )

    def _recognise(
        self, connection: Connection, candidates: Sequence[Candidate]
    ) -> list[Candidate]:
        """Give every known message its new key; return the others."""
        same = Counter(candidate.header_digest for candidate in candidates)
        by_uid = {candidate.uid: candidate for candidate in candidates}
        taken: set[EntryKey] = set()
        unknown = []
        changes: list[Change] = []
        try:
            for batch in batches({c.uid: c.size for c in candidates}, most_messages=BATCH_MESSAGES):
                group = [by_uid[uid] for uid in batch]
                known = {c.uid: known_by_digest(self._ledger, c.header_digest) for c in group}
                compared = UidSet.of(
                    c.uid for c in group if needs_body(c, known[c.uid], same[c.header_digest])
                )
                digests = self._digests(connection, compared, by_uid)
                for candidate in group:
                    uid = candidate.uid
                    free = [entry for entry in known[uid] if entry.key not in taken]
                    match = None
                    if uid not in compared or uid in digests:
                        match = recognise(free, digests.get(uid), candidate.size)
                    if match is None:
                        unknown.append(candidate)
                        continue
                    taken.add(match.key)
                    changes += carried_over(self._ledger, match, uid)
        finally:
            # Not put down for later: when the connection or the disk fails here all of it is
            # compared again, and a new key cannot be given twice.
            self._ledger.commit(*changes)
        log.info("%d of %d messages were known", len(candidates) - len(unknown), len(candidates))
        return unknown

    def _digests(
        self, connection: Connection, uids: UidSet, candidates: Mapping[int, Candidate]
    ) -> dict[int, Digest]:
        """The digests of whole messages; without those that the server does not return."""
        if not uids:
            return {}
        bodies = connection.bodies(uids, expected_octets=sum(candidates[uid].size for uid in uids))
        return {uid: digest_of(body.raw) for uid, body in bodies.items() if body.raw}

    def _forgotten(self, unknown: Sequence[Candidate]) -> UidSet:
        """Those whose entries may have been removed since they are old: they count as known."""
        ledger = self._ledger
        horizon = ledger.record.horizon if ledger.record else None
        old = UidSet.of(
            message.uid
            for message in unknown
            if forgotten(message.received_at, horizon, ledger.on_change)
        )
        if old:
            log.info(
                "%d messages are older than what the store keeps (retention): they count as known "
                "and are passed over",
                len(old),
            )
        return old

    def _before_start(self, unknown: Sequence[Candidate]) -> UidSet:
        """Those that lie before the first run's cut, which holds in later epochs too (rule 9)."""
        record = self._ledger.record
        cut = record.cut if record else None
        old = UidSet.of(message.uid for message in unknown if cut_off(message.received_at, cut))
        if old:
            log.info("%d messages from before start_from are passed over", len(old))
        return old

    def _refuse_too_many(self, unknown: Sequence[Candidate]) -> None:
        """Deliver nothing when too much old mail is unknown: it may be a whole mailbox again."""
        record = self._ledger.record
        if record is None or self._ledger.on_change != "dedupe":
            return
        old = [
            message
            for message in unknown
            if message.received_at is not None
            and message.received_at < record.polled_at
            and not cut_off(message.received_at, record.cut)
        ]
        counted = self._unknown_so_far(record.epoch)
        counted.update(UidSet.of(message.uid for message in old))
        if record.horizon is not None:
            # What the server does not date may be old and removed, as long as it does not.
            undated = [message.uid for message in unknown if message.received_at is None]
            counted = UidSet.of([*counted, *undated])
        if len(counted) <= UNKNOWN_LIMIT:
            return
        raise DecisionRequired(
            f"a new UIDVALIDITY brought {len(counted)} messages that are unknown and older than "
            f"the last good poll, more than {UNKNOWN_LIMIT}, and the mailbox waits for your "
            'decision. Set on_uidvalidity_change (IMAP_ON_UIDVALIDITY_CHANGE) to "replay" to '
            'have them delivered, or to "baseline" to pass them over.',
            count=len(counted),
            setting="on_uidvalidity_change",
            choices=("replay", "baseline"),
        )

    def _unknown_so_far(self, epoch: Epoch) -> UidSet:
        """The unknown old messages of this epoch: a restore may come in many small parts.

        After a restart those that were delivered are found in the store, by their delivery ids: one
        that was recognised keeps the id of an earlier epoch.
        """
        if epoch.number not in self._unknown_before:
            self._unknown_before[epoch.number] = UidSet.of(
                entry.key.uid
                for entry in self._ledger.entries(*(set(State) - {State.PASSED_OVER, State.GONE}))
                if entry.key.epoch == epoch.number
                and entry.key.uid >= epoch.boundary
                and entry.received_at is not None
                and entry.received_at < epoch.begun_at
                and not self._ledger.was_carried_over(entry)
            )
        return self._unknown_before[epoch.number]
