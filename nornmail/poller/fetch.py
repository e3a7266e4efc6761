"""Fetching messages: sizes first, then bodies in bounded batches.

A message was fetched when its UID, the full literal and the tagged OK arrived, or it was not
fetched. A batch that fails is halved until the message at fault is alone. A message that the server
lists but does not return waits, like one whose handler failed, and is fetched again when it is due;
one that a second listing no longer has is gone. Nothing is skipped.

:class:`MessageMaker` makes of what was fetched the message that a handler gets.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from nornmail.clock import utc_datetime
from nornmail.context import current
from nornmail.errors import (
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    HandlerError,
    MessageGone,
)
from nornmail.model import UNROUTED, After, Entry, KeepRaw, MessageRef, PutEntry, State
from nornmail.poller.decisions import BATCH_MESSAGES, batches, dates_decide
from nornmail.poller.inboxes import Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import changes_if_known, digest_of, header_digest_of
from nornmail.poller.status import PollStats
from nornmail.retry import RetryPolicy, after_failure, is_due
from nornmail.settings.imap import same_mailbox
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Summary
    from nornmail.message.message import Message

log = logging.getLogger("nornmail.poller")


class FetchedMessage(NamedTuple):
    """A message that came from the server whole, or with its headers alone (``truncated``)."""

    uid: int
    raw: bytes
    flags: frozenset[str] = frozenset()
    received_at: float | None = None
    size: int = 0
    truncated: bool = False

    def describe(self, entry: Entry) -> Entry:
        """The entry of this message, with what its bytes and the server say of it."""
        return entry._replace(
            digest=digest_of(self.raw, truncated=self.truncated),
            size=self.size,
            received_at=self.received_at,
            truncated=self.truncated,
        )


NOT_RETURNED = "the server lists the message but does not return it"
CUT_OFF = "the connection was lost each time the message was fetched"
EXPUNGED = "expunged before it was fetched"
VANISHED = "no longer in the mailbox, and its bytes were not kept"
KNOWN = "known from before the UIDVALIDITY changed"
ROUTED = "fetched at last; waiting for its inboxes"
UNDATED = "the server left out when it received the message, so whether it is known is not clear"
UNDATED_WAIT = 60.0
"""Seconds after which a message is delivered whose date the server withholds: it may be new."""
REBUILT = "not found after the mailbox was rebuilt, and its bytes were not kept"

FetchBodies = Callable[["Connection", Mapping[int, "Summary"]], dict[int, FetchedMessage]]


class MissingMessages:
    """Settles messages that could not be fetched."""

    def __init__(
        self,
        ledger: Ledger,
        retry: RetryPolicy,
        inboxes: Inboxes,
    ) -> None:
        self.clock = ledger.clock
        self._ledger = ledger
        self._inboxes = inboxes
        self._retry = retry

    def summaries(self, connection: Connection, uids: UidSet) -> dict[int, Summary]:
        """Sizes, dates and flags; a date that was left out and decides is asked for again."""
        summaries = connection.summaries(uids)
        if undated := self._undated(summaries):
            summaries.update(connection.summaries(undated))
        return summaries

    def put_off_undated(self, summaries: dict[int, Summary]) -> None:
        """Let messages wait whose date decides and is still missing; take them from ``summaries``.

        Once, for :data:`UNDATED_WAIT`, and without counting an attempt. Then they are taken as the
        server describes them: without a date a message is delivered, since it may be new.
        """
        undated = self._undated(summaries) - self._ledger.seen
        now = self._ledger.clock.wall()
        for uid in undated:
            del summaries[uid]
            log.warning("UID %d: %s; it is requested again in %.0f s", uid, UNDATED, UNDATED_WAIT)
            waiting = self._ledger.new_entry(uid)._replace(
                state=State.WAITING, due_at=now + UNDATED_WAIT, reason=UNDATED
            )
            self._ledger.later(PutEntry(waiting))
        if undated:
            self._ledger.flush()

    def _undated(self, summaries: Mapping[int, Summary]) -> UidSet:
        record = self._ledger.record
        if record is None or not dates_decide(record, self._ledger.on_change):
            return UidSet()
        boundary = record.epoch.boundary
        return UidSet.of(
            [u for u, summary in summaries.items() if summary.received_at is None and u < boundary]
        )

    def settle(
        self, connection: Connection, uids: UidSet, stats: PollStats, *, reason: str = NOT_RETURNED
    ) -> None:
        """Settle UIDs that were listed but not returned, by a second listing."""
        if not uids:
            return
        listed = connection.still_listed(uids)
        for uid in uids:
            if uid in listed:
                log.warning("UID %d: %s", uid, reason)
                stats.failed += 1
            for entry in self._entries_of(uid):
                self._ledger.later(PutEntry(self._not_returned(entry, reason, listed, stats)))
        self._ledger.flush()

    def _not_returned(self, entry: Entry, reason: str, listed: UidSet, stats: PollStats) -> Entry:
        if entry.key.uid in listed:
            return self._failed(entry, reason)
        if entry.digest is not None:  # another inbox has had it
            return self._dead(entry, VANISHED)
        stats.gone += 1
        return entry._replace(state=State.GONE, reason=EXPUNGED)

    def _entries_of(self, uid: int) -> list[Entry]:
        """The new entries of a message to be fetched; one without an inbox before it was routed."""
        if uid not in self._ledger.seen:
            return [self._ledger.new_entry(uid)]
        return [entry for entry in self._ledger.siblings(uid) if entry.state is State.NEW]

    def settle_cut_off(self, uid: int, summary: Summary) -> None:
        """Settle a message at which the connection is lost each time."""
        log.warning("UID %d: %s", uid, CUT_OFF)
        for entry in self._entries_of(uid):
            fetched = entry._replace(size=summary.size, received_at=summary.received_at)
            self._ledger.later(PutEntry(self._failed(fetched, CUT_OFF)))
        self._ledger.flush()

    def fetch_due(self, connection: Connection, fetch: FetchBodies, stats: PollStats) -> bool:
        """Fetch the bytes of waiting messages for which none are kept yet.

        These are messages that could not be fetched so far, when they are due; and at once those
        whose process ended in the handler, since the server may soon have them no more.

        Returns:
            Whether there were any.
        """
        epoch = self._ledger.epoch.number
        now = self._ledger.clock.wall()
        entries = self._ledger.entries_without_bytes()
        for entry in entries:
            if entry.key.epoch != epoch:
                if entry.digest is None:  # nothing recognises it: it is looked at anew
                    self._vanished(entry, REBUILT, stats)
            elif entry.digest is not None or is_due(entry.due_at, now, self._retry.longest):
                self._fetch_again(connection, fetch, entry, stats)
        return bool(entries)

    def none_left(self) -> bool:
        """Whether no message is left that is listed and could not be fetched."""
        entries = self._ledger.entries_without_bytes()
        return not entries or all(entry.digest is not None for entry in entries)

    def forget_stranded(self, stats: PollStats) -> None:
        """Settle messages of earlier epochs that were not found again and whose bytes are lost.

        Call it when every listed message was fetched: until then each may still be found.
        """
        epoch = self._ledger.epoch.number
        for entry in self._ledger.entries_without_bytes():
            if entry.key.epoch != epoch:
                self._vanished(entry, REBUILT, stats)

    def _fetch_again(
        self, connection: Connection, fetch: FetchBodies, entry: Entry, stats: PollStats
    ) -> None:
        uids = UidSet.of([entry.key.uid])
        try:
            summaries = self.summaries(connection, uids)
            message = fetch(connection, summaries).get(entry.key.uid) if summaries else None
        except (ConnectionLost, CommandRefused) as error:
            self._failed_again(entry, str(error))
            if isinstance(error, ConnectionLost):
                raise
            return
        if message is not None:
            self._keep(entry, message, stats)
        elif uids - connection.still_listed(uids):
            self._vanished(entry, VANISHED, stats)
        else:
            self._failed_again(entry, NOT_RETURNED)

    def _failed_again(self, entry: Entry, reason: str) -> None:
        """Count a fetch that failed again as an attempt, if the entry was due."""
        if is_due(entry.due_at, self._ledger.clock.wall(), self._retry.longest):
            self._ledger.commit(PutEntry(self._failed(entry, reason)))

    def _keep(self, entry: Entry, message: FetchedMessage, stats: PollStats) -> None:
        """Keep the bytes with the entry, for its next attempt.

        Bytes that arrive for the first time may show that the message is known.
        """
        now = self._ledger.clock.wall()
        due_at = entry.due_at if entry.digest is not None else now
        fetched = message.describe(entry)._replace(due_at=due_at, changed_at=now)
        known = changes_if_known(self._ledger, fetched, message.raw) if entry.digest is None else []
        if known:
            # What waits under this UID gives way to what is known.
            gone = fetched._replace(state=State.GONE, due_at=0.0, reason=KNOWN)
            self._ledger.commit(PutEntry(gone), *known)
            stats.passed_over += 1
        elif entry.digest is None and self._inboxes.several:
            self._route(entry, fetched, message.raw, stats)
        else:
            self._ledger.commit(PutEntry(fetched), KeepRaw(entry.key, message.raw))

    def _route(self, entry: Entry, fetched: Entry, raw: bytes, stats: PollStats) -> None:
        """Route a message whose bytes arrived late: an entry for each inbox replaces its own."""
        gone = entry._replace(state=State.GONE, due_at=0.0, reason=ROUTED)
        changes = [PutEntry(gone)]
        for routed in self._inboxes.entries_of(fetched, raw, self._ledger.new_entry):
            if routed.state is State.PASSED_OVER:
                changes.append(PutEntry(routed))
                stats.passed_over += 1
            else:
                waiting = routed._replace(
                    state=State.WAITING, due_at=fetched.changed_at, reason=ROUTED
                )
                changes.append(PutEntry(waiting, raw=raw))
        self._ledger.commit(*changes)

    def _vanished(self, entry: Entry, reason: str, stats: PollStats) -> None:
        """Settle a message that was expunged before its bytes were kept.

        One that was never delivered is gone. One whose handler may have started is dead, so that a
        person sees it.
        """
        if entry.digest is not None:
            self._ledger.commit(PutEntry(self._dead(entry, reason)))
            return
        stats.gone += 1
        gone = entry.moved(State.GONE, reason, self._ledger.clock.wall())
        self._ledger.commit(PutEntry(gone))

    def _dead(self, entry: Entry, reason: str) -> Entry:
        before = f"; before that: {entry.reason}" if entry.reason else ""
        return entry.moved(State.DEAD, f"{reason}{before}", self._ledger.clock.wall())

    def _failed(self, entry: Entry, reason: str) -> Entry:
        return after_failure(entry, reason, self._retry, self._ledger.clock.wall())


SUMMARIES_AT_ONCE = 1_000
"""Sizes asked for in one round trip: about 100 KB, and ten batches of bodies."""
HEADER_OCTETS = 64 * 1024
"""The expected octets of the header block of a too large message, for the deadline."""
QUICK = 2.0
"""Seconds in which a batch is handled for the next one to be asked for before: a server that finds
its answer unread hangs up, Dovecot after five minutes."""
SUSPECT_AFTER = 2
"""Connections lost while one message alone was fetched, before the message is at fault."""
REFUSALS_IN_A_ROW = 3
"""Different messages refused one after the other, before the account is at fault and not they."""


class Fetcher:
    """Fetches messages in batches."""

    def __init__(self, missing: MissingMessages, most_octets: int) -> None:
        self.missing = missing
        self._most_octets = most_octets
        self._at_once = BATCH_MESSAGES
        self._suspects: Counter[int] = Counter()
        self._refused_in_a_row = 0

    def batches(
        self, connection: Connection, uids: UidSet, stats: PollStats, *, ahead: bool = False
    ) -> Iterator[list[FetchedMessage]]:
        """Fetch ``uids`` in ascending batches.

        Args:
            ahead: all batches are wanted one after the other: each one is asked for before the one
                before it is handled, as long as that is quick.

        Raises:
            ConnectionLost: what was not yielded is still unseen, and the next batch is smaller.
            CommandRefused: the server refuses one message after the other.
        """
        try:
            yield from self._batches(connection, uids, stats, ahead=ahead)
        finally:
            connection.forget_ahead()

    def _batches(
        self, connection: Connection, uids: UidSet, stats: PollStats, *, ahead: bool
    ) -> Iterator[list[FetchedMessage]]:
        monotonic = self.missing.clock.monotonic
        remaining = iter(uids)
        quick = False
        while window := list(islice(remaining, SUMMARIES_AT_ONCE)):
            listed = UidSet.of(window)
            summaries = self.missing.summaries(connection, listed)
            self.missing.settle(connection, listed - UidSet.of(summaries), stats)
            self.missing.put_off_undated(summaries)
            costs = {uid: self._cost(summary) for uid, summary in summaries.items()}
            todo = list(batches(costs, most_messages=self._at_once))
            while todo:
                batch = todo.pop(0)
                if len(batch) > self._at_once:
                    smaller = {uid: costs[uid] for uid in batch}
                    todo[:0] = batches(smaller, most_messages=self._at_once)
                    continue
                fetched = self._batch(connection, {uid: summaries[uid] for uid in batch}, stats)
                if fetched is None:
                    todo.insert(0, batch)
                elif fetched:
                    if ahead and quick and todo and len(todo[0]) <= self._at_once:
                        sizes = [summaries[uid].size for uid in todo[0]]
                        self._ask_ahead(connection, sizes, UidSet.of(todo[0]))
                    begun_at = monotonic()
                    yield fetched
                    quick = monotonic() - begun_at < QUICK

    def fetch(
        self, connection: Connection, summaries: Mapping[int, Summary]
    ) -> dict[int, FetchedMessage]:
        """Fetch messages: whole, or the headers of those over the limit.

        Incomplete and expunged messages are left out of the result.
        """
        large = UidSet.of([u for u, found in summaries.items() if found.size > self._most_octets])
        whole = UidSet.of(summaries) - large
        messages: dict[int, FetchedMessage] = {}
        if whole:
            expected = sum([summaries[uid].size for uid in whole])
            for uid, body in connection.bodies(whole, expected_octets=expected).items():
                summary = summaries[uid]
                if body.raw is not None and _is_whole(uid, body.raw, summary.size):
                    messages[uid] = _fetched_message(uid, body.raw, summary)
        if large:
            expected = HEADER_OCTETS * len(large)
            for uid, header in connection.headers(large, expected_octets=expected).items():
                if header.raw:
                    messages[uid] = _fetched_message(
                        uid, header.raw, summaries[uid], truncated=True
                    )
        messages = _without_expunged(connection, messages)
        for uid in _mixed_up(messages, summaries):
            log.warning("UID %d came with the size of another message: it is requested alone", uid)
            del messages[uid]
            messages.update(self.fetch(connection, {uid: summaries[uid]}))
        return messages

    def _ask_ahead(self, connection: Connection, sizes: Sequence[int], uids: UidSet) -> None:
        if max(sizes) <= self._most_octets:
            with suppress(ConnectionLost):  # what was fetched is delivered before that matters
                connection.ask_ahead(uids, expected_octets=sum(sizes))

    def _cost(self, summary: Summary) -> int:
        return HEADER_OCTETS if summary.size > self._most_octets else summary.size

    def _batch(
        self, connection: Connection, summaries: Mapping[int, Summary], stats: PollStats
    ) -> list[FetchedMessage] | None:
        """Fetch one batch; ``None`` when it is to be cut smaller and fetched again."""
        try:
            messages = self.fetch(connection, summaries)
        except ConnectionLost:
            self._cut_off(summaries)
            raise
        except CommandRefused as refused:
            return self._refused(connection, summaries, refused, stats)
        self._suspects.clear()
        self._refused_in_a_row = 0
        self._at_once = min(self._at_once * 2, BATCH_MESSAGES)
        self.missing.settle(connection, UidSet.of(summaries) - UidSet.of(messages), stats)
        return [messages[uid] for uid in sorted(messages)]

    def _cut_off(self, summaries: Mapping[int, Summary]) -> None:
        """Halve the batch size after a lost connection, down to the message at fault."""
        self._at_once = max(1, len(summaries) // 2)
        if len(summaries) > 1:
            return
        for uid, summary in summaries.items():
            self._suspects[uid] += 1
            if self._suspects[uid] >= SUSPECT_AFTER:
                del self._suspects[uid]
                self.missing.settle_cut_off(uid, summary)

    def _refused(
        self,
        connection: Connection,
        summaries: Mapping[int, Summary],
        refused: CommandRefused,
        stats: PollStats,
    ) -> list[FetchedMessage] | None:
        """Fetch each message alone after a refused FETCH, and settle the one at fault."""
        self._at_once = max(1, len(summaries) // 2)
        if len(summaries) > 1:
            return None
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= REFUSALS_IN_A_ROW:
            self._refused_in_a_row = 0
            raise refused
        self.missing.settle(connection, UidSet.of(summaries), stats, reason=str(refused))
        return []


def _fetched_message(
    uid: int, raw: bytes, summary: Summary, *, truncated: bool = False
) -> FetchedMessage:
    return FetchedMessage(
        uid=uid,
        raw=raw,
        flags=summary.flags,
        received_at=summary.received_at,
        size=summary.size,
        truncated=truncated,
    )


def _is_whole(uid: int, raw: bytes, size: int) -> bool:
    """Whether ``raw`` is the message, rather than nothing or a placeholder."""
    if not raw:
        return size == 0
    from nornmail.imap.quirks import placeholder_reason

    reason = placeholder_reason(raw)
    if reason is not None:
        log.warning("UID %d: %s", uid, reason)
    return reason is None


def _without_expunged(
    connection: Connection, messages: dict[int, FetchedMessage]
) -> dict[int, FetchedMessage]:
    """Leave out messages of unexpected size that are no longer listed.

    Some servers return a text of their own instead of an expunged message.
    """
    odd = UidSet.of(
        [
            message.uid
            for message in messages.values()
            if not message.truncated and len(message.raw) != message.size
        ]
    )
    if not odd:
        return messages
    vanished = odd - connection.still_listed(odd)
    return {uid: message for uid, message in messages.items() if uid not in vanished}


def _mixed_up(
    messages: Mapping[int, FetchedMessage], summaries: Mapping[int, Summary]
) -> list[int]:
    """The messages with the octets of another one that was asked for, by their sizes.

    Many servers only estimate a size, so one that is wrong says nothing by itself.
    """
    sizes = {summary.size for summary in summaries.values()}
    return [
        message.uid
        for message in messages.values()
        if len(message.raw) != message.size and not message.truncated and len(message.raw) in sizes
    ]


def fetch_rest(connect: Callable[[], Connection], ref: MessageRef) -> Iterator[bytes]:
    """The whole of a message of which only the headers were delivered, in pieces.

    On a connection of its own: the handler may be in any thread, and the poller's own connection is
    in the middle of its work.

    Raises:
        MessageGone: the server has it no more.
    """
    is_there = False
    with closing(connect()) as connection:
        if connection.examine(ref.mailbox).uid_validity == ref.uid_validity:
            summary = connection.summaries(UidSet.of([ref.uid])).get(ref.uid)
            if summary is not None:
                for piece in connection.pieces(ref.uid, summary.size):
                    is_there = True
                    yield piece
    if not is_there:
        raise MessageGone(f"{ref} is no longer on the server")


_FLAG = r"\\?[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~\[]+"
"""A flag or a keyword (RFC 3501, section 9)."""
_NOT_TO_BE_SET = frozenset({"\\recent", "\\deleted"})


@dataclass(frozen=True, slots=True)
class MessageMaker:
    """Makes the messages that handlers are called with.

    Args:
        fetch_rest: gets a truncated message from the server; see :func:`fetch_rest`.
        authserv_id: the server whose Authentication-Results count, ``None`` for none.
    """

    mailbox: str
    fetch_rest: Callable[[MessageRef], Iterator[bytes]]
    authserv_id: str | None = None

    def make(self, entry: Entry, raw: bytes, flags: frozenset[str]) -> Message:
        """The message of an entry, with its bytes and its flags on the server."""
        from nornmail.message.message import parse_message

        ref = MessageRef(self.mailbox, entry.uid_validity, entry.key.uid)
        received = entry.received_at
        return parse_message(
            raw,
            ref=ref,
            inbox="" if entry.key.inbox == UNROUTED else entry.key.inbox,
            delivery_id=entry.delivery_id,
            attempt=entry.attempts + 1,
            flags=flags,
            received_at=None if received is None else utc_datetime(received),
            truncated=entry.truncated,
            fetch_rest=(lambda: self._rest(ref, raw)) if entry.truncated else None,
            on_after=self._note_after,
            authserv_id=self.authserv_id,
        )

    def verified_sender(self, message: Message) -> str:
        """The address in From; ``""`` where it is not verified."""
        from nornmail.message.authentication import verified_sender

        return verified_sender(message.authentication)

    def _rest(self, ref: MessageRef, header: bytes) -> Iterator[bytes]:
        """The whole of a truncated message, in pieces.

        The UID alone does not say that it is the same one: a server may have no UIDVALIDITY, or
        have given its UIDs anew under the old one.
        """
        pieces = self.fetch_rest(ref)
        begin = b""
        while len(begin) < len(header) and (piece := next(pieces, b"")):
            begin += piece
        if header_digest_of(begin) != header_digest_of(header):
            raise MessageGone(f"{ref} is a different message now")
        yield begin
        yield from pieces

    def _note_after(self, move_to: str | None, flags: tuple[str, ...]) -> None:
        """Note what a handler asks for to be done with its message."""
        handling = current()
        if handling is None:
            raise HandlerError("after() is for the handler that has the message, while it has it")
        if move_to is not None and (
            not move_to
            or not {"\0", "\r", "\n"}.isdisjoint(move_to)
            or same_mailbox(move_to, self.mailbox)
        ):
            allowed = "must be the name of another mailbox, without line ends and NUL"
            raise ConfigurationError("move_to", move_to, allowed)
        for flag in flags:
            if not re.fullmatch(_FLAG, flag) or flag.lower() in _NOT_TO_BE_SET:
                accepted = r"must be a flag such as \Flagged, or a keyword such as Later"
                raise ConfigurationError("flags", flag, accepted)
        handling.after = After(move_to, flags).to_reason()
