"""UIDs in, whole messages out: sizes first, then bodies in bounded batches.

A message was fetched when its UID, the full literal and the tagged OK have come, or it was not
fetched. A batch that fails is cut smaller until the message that is to blame stands alone; what
becomes of that one is ``shortfall.py``'s business. Nothing is ever skipped.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

from nornmail.delivery.arrival import Arrival
from nornmail.delivery.tally import Tally
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.imap.results import Summary
from nornmail.imap.substitutes import substitute
from nornmail.policy.looking import BATCH_MESSAGES, batches
from nornmail.poller.fetch import Shortfall
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.mailbox")

SUMMARIES_AT_ONCE = 1_000
"""Sizes asked for in one round trip: about 100 KB, and ten batches of bodies."""
HEADER_OCTETS = 64 * 1024
"""What a too large message's header block is expected to measure, for the deadline."""
SUSPECT_AFTER = 2
"""Connections lost while one message alone was fetched, before the message is blamed."""
REFUSALS_IN_A_ROW = 3
"""Different messages refused one after the other, before the account and not they is blamed."""


class Intake:
    """Fetches messages in batches.

    Args:
        shortfall: settles what could not be had.
        most_octets: a larger message comes with its headers alone.
    """

    def __init__(self, shortfall: Shortfall, most_octets: int) -> None:
        self._shortfall = shortfall
        self._most_octets = most_octets
        self._at_once = BATCH_MESSAGES
        self._suspects: Counter[int] = Counter()
        self._refused_in_a_row = 0

    def arrivals(
        self, connection: Connection, uids: UidSet, tally: Tally
    ) -> Iterator[list[Arrival]]:
        """Fetch ``uids`` in ascending batches.

        Raises:
            ConnectionLost: what was not yielded is still unseen, and the next batch is smaller.
            CommandRefused: the server refuses one message after the other.
        """
        remaining = iter(uids)
        while window := list(islice(remaining, SUMMARIES_AT_ONCE)):
            wanted = UidSet.of(window)
            summaries = connection.summaries(wanted)
            self._shortfall.missing(connection, wanted - UidSet.of(summaries), tally)
            yield from self._batches(connection, summaries, tally)

    def fetch(self, connection: Connection, summaries: Mapping[int, Summary]) -> dict[int, Arrival]:
        """What of these messages came whole, or with its headers if it is too large.

        What did not is left out, as is what was expunged in between.
        """
        large = UidSet.of(uid for uid, one in summaries.items() if one.size > self._most_octets)
        whole = UidSet.of(summaries) - large
        found: dict[int, Arrival] = {}
        if whole:
            expected = sum(summaries[uid].size for uid in whole)
            for uid, body in connection.bodies(whole, expected_octets=expected).items():
                summary = summaries[uid]
                if body.raw is not None and _is_whole(uid, body.raw, summary.size):
                    found[uid] = _arrival(uid, body.raw, summary)
        if large:
            expected = HEADER_OCTETS * len(large)
            for uid, header in connection.headers(large, expected_octets=expected).items():
                if header.raw:
                    found[uid] = _arrival(uid, header.raw, summaries[uid], truncated=True)
        return _without_expunged(connection, found)

    def _batches(
        self, connection: Connection, summaries: Mapping[int, Summary], tally: Tally
    ) -> Iterator[list[Arrival]]:
        costs = {uid: self._cost(summary) for uid, summary in summaries.items()}
        todo = list(batches(costs, most_messages=self._at_once))
        while todo:
            batch = todo.pop(0)
            if len(batch) > self._at_once:
                smaller = {uid: costs[uid] for uid in batch}
                todo[:0] = batches(smaller, most_messages=self._at_once)
                continue
            found = self._batch(connection, {uid: summaries[uid] for uid in batch}, tally)
            if found is None:
                todo.insert(0, batch)
            elif found:
                yield found

    def _cost(self, summary: Summary) -> int:
        return HEADER_OCTETS if summary.size > self._most_octets else summary.size

    def _batch(
        self, connection: Connection, summaries: Mapping[int, Summary], tally: Tally
    ) -> list[Arrival] | None:
        """Fetch one batch; ``None`` when it is to be cut smaller and fetched again."""
        try:
            found = self.fetch(connection, summaries)
        except ConnectionLost:
            self._cut_off(summaries)
            raise
        except CommandRefused as refused:
            return self._refused(connection, summaries, refused, tally)
        self._suspects.clear()
        self._refused_in_a_row = 0
        self._at_once = min(self._at_once * 2, BATCH_MESSAGES)
        self._shortfall.missing(connection, UidSet.of(summaries) - UidSet.of(found), tally)
        return [found[uid] for uid in sorted(found)]

    def _cut_off(self, summaries: Mapping[int, Summary]) -> None:
        """The connection was lost in a batch: fetch fewer, down to the message that did it."""
        self._at_once = max(1, len(summaries) // 2)
        if len(summaries) > 1:
            return
        for uid, summary in summaries.items():
            self._suspects[uid] += 1
            if self._suspects[uid] >= SUSPECT_AFTER:
                del self._suspects[uid]
                self._shortfall.not_had(uid, summary)

    def _refused(
        self,
        connection: Connection,
        summaries: Mapping[int, Summary],
        refused: CommandRefused,
        tally: Tally,
    ) -> list[Arrival] | None:
        """A FETCH was refused: ask for each message alone, and settle the one that is to blame."""
        self._at_once = max(1, len(summaries) // 2)
        if len(summaries) > 1:
            return None
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= REFUSALS_IN_A_ROW:
            self._refused_in_a_row = 0
            raise refused
        self._shortfall.missing(connection, UidSet.of(summaries), tally, reason=str(refused))
        return []


def _arrival(uid: int, raw: bytes, summary: Summary, *, truncated: bool = False) -> Arrival:
    return Arrival(
        uid=uid,
        raw=raw,
        flags=summary.flags,
        received_at=summary.received_at,
        size=summary.size,
        truncated=truncated,
    )


def _is_whole(uid: int, raw: bytes, size: int) -> bool:
    """Whether what came is the message, and neither nothing nor something in its place."""
    if not raw:
        return size == 0
    reason = substitute(raw)
    if reason is not None:
        log.warning("UID %d: %s", uid, reason)
    return reason is None


def _without_expunged(connection: Connection, found: dict[int, Arrival]) -> dict[int, Arrival]:
    """Leave out what came in another size and is no longer listed.

    Some servers give a text of their own in the place of an expunged message.
    """
    odd = UidSet.of(
        arrival.uid
        for arrival in found.values()
        if not arrival.truncated and len(arrival.raw) != arrival.size
    )
    if not odd:
        return found
    vanished = odd - connection.still_listed(odd)
    return {uid: arrival for uid, arrival in found.items() if uid not in vanished}
