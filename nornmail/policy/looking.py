"""What to ask of a mailbox, how much at once, and how often to ask for all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

BATCH_MESSAGES = 100
"""Bodies asked for in one round trip: the gain per message is spent at about fifty."""
BATCH_OCTETS = 8 * 1024 * 1024
"""Octets asked for in one round trip: what is held in memory, and lost work when it is cut."""
RECONCILE_INTERVAL = 3_600.0
"""Seconds between two comparisons of the whole listing with the ledger."""
SEARCH_INTERVAL = 300.0
"""Seconds after which a poll searches although NOOP told of nothing new: for servers that do not
announce new mail."""
DISAGREEMENT_INTERVAL = 60.0
"""Seconds between two whole listings while EXISTS goes on disagreeing with what is listed."""


def batches(
    sizes: Mapping[int, int], *, most_messages: int, most_octets: int = BATCH_OCTETS
) -> Iterator[list[int]]:
    """Cut UIDs into batches, ascending, bounded by count and octets; one message always fits.

    Args:
        sizes: the octets of each UID.
        most_messages: 1 or more.
    """
    batch: list[int] = []
    octets = 0
    for uid in sorted(sizes):
        if batch and (len(batch) >= most_messages or octets + sizes[uid] > most_octets):
            yield batch
            batch, octets = [], 0
        batch.append(uid)
        octets += sizes[uid]
    if batch:
        yield batch
