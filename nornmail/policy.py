"""Pure decisions: what to fetch next, when to retry, when to wait, what a new UIDVALIDITY means.

Nothing here reads a clock, a socket or a store; each function takes what is known and returns what
to do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    Throttled,
)
from nornmail.model import UNROUTED, Digest, Entry, Epoch, State

BATCH_MESSAGES = 100
"""Bodies asked for in one round trip: the gain per message is spent at about fifty."""
BATCH_OCTETS = 8 * 1024 * 1024
"""Octets asked for in one round trip: what is held in memory, and lost work when it is cut."""
FIRST_BACKOFF = 1.0
"""Seconds after the first failed connection."""
LONGEST_BACKOFF = 300.0
"""Seconds: the setup guide's five minutes."""
REJECTED_BACKOFF = 300.0
"""Seconds after rejected credentials, from the first time on: providers block those who hammer."""
REJECTED_AT_FIRST = 3
"""Rejections that are followed by that wait before it doubles: a quarter of an hour for whoever is
just switching IMAP on, or for a provider's own trouble, which some call a wrong password."""
LONGEST_REJECTED = 3_600.0
"""Seconds after rejected credentials at most: 24 tries a day lock no account, and what a person
mended on the server is noticed within the hour."""
LONGEST_HINT = 3_600.0
"""Seconds that a server may ask for and get. Exchange asks for five minutes at most; a slip in a
text must not silence a poller for days."""
LONGEST_SLOWED = 900.0
"""Seconds between two looks at most while the server does what it is asked and marks it as slowed
down: mail is then a quarter of an hour late, and comes."""
THROTTLE_WAITS: Mapping[str, tuple[float, float]] = {
    # Our own dead connections count until the server notices that they are, in minutes.
    "connections": (60.0, 900.0),
    # Budgets of commands fill up within minutes.
    "rate": (60.0, 1_800.0),
    # Budgets of octets are those of a day; Gmail's lock lasts an hour and more.
    "quota": (900.0, 3_600.0),
    # A server in trouble: as after a connection that failed, and never at once.
    "unavailable": (10.0, 300.0),
    # No licence, no scope, no mailbox: a person has to do something.
    "account": (300.0, 3_600.0),
}
"""Seconds after the first :class:`~nornmail.errors.Throttled` of each kind, and at most."""
STALLED_INTERVALS = 10.0
"""Poll intervals without a pass that succeeded before a poller counts as stalled: a restart of the
server takes less."""
FIRST_ACTION_DELAY = 60.0
"""Seconds after the first refusal of a flag, a deletion or a move."""
LONGEST_ACTION_DELAY = 3_600.0
"""Seconds: a mailbox that is read-only for good is asked once an hour."""
FIRST_RUN_LIMIT = 1_000
"""Messages that a first run delivers unasked: an agent may pay for each."""
STRANGERS_LIMIT = 100
"""Unknown messages older than the last good poll that a new epoch delivers unasked."""
REASON_LENGTH = 2_000
"""Characters of a failure's account that are kept: what it says and its frames, not a dump."""
RECONCILE_INTERVAL = 3_600.0
"""Seconds between two comparisons of the whole listing with the ledger."""
SEARCH_INTERVAL = 300.0
"""Seconds after which a poll searches although NOOP told of nothing new: for servers that do not
announce new mail."""
DISAGREEMENT_INTERVAL = 60.0
"""Seconds between two whole listings while EXISTS goes on disagreeing with what is listed."""
CLOCK_SKEW = 300.0
"""Seconds by which the server's clock may lag behind ours when the first run's cut is applied
again: mail of those minutes is rather delivered than passed over."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a message whose attempt failed is tried again.

    Attributes:
        delays: seconds after the first failed attempt, the second, and so on. When they are used
            up the next failure makes the message dead.

    Raises:
        ConfigurationError: a delay is not above zero.
    """

    delays: tuple[float, ...] = (60.0, 300.0, 1_800.0, 7_200.0, 28_800.0)

    def __post_init__(self) -> None:
        for delay in self.delays:
            if not delay > 0:
                raise ConfigurationError("retry", delay, "each delay must be above 0 seconds")

    @property
    def longest(self) -> float:
        """The longest delay in seconds; 0.0 when nothing is tried again."""
        return max(self.delays, default=0.0)

    def after(self, failures: int) -> float | None:
        """Seconds to wait after this many failed attempts, ``None`` when it is time to give up."""
        return self.delays[failures - 1] if failures <= len(self.delays) else None


def after_failure(entry: Entry, reason: str, retry: RetryPolicy, now: float) -> Entry:
    """The entry after an attempt that failed and counts: it waits for the next one, or is dead."""
    failures = entry.attempts + 1
    delay = retry.after(failures)
    return replace(
        entry,
        state=State.DEAD if delay is None else State.WAITING,
        attempts=failures,
        due_at=0.0 if delay is None else now + delay,
        reason=reason[:REASON_LENGTH],
        changed_at=now,
    )


BY_HAND = "it was dead, and a person asked for another try"
"""Why a message waits that was dead."""
LOST = "a person asked for another try, and neither its bytes nor its UID mean anything any more"
"""Why a message stays dead that was asked for."""


def revived(entry: Entry, now: float, *, had: bool) -> tuple[Entry, Entry]:
    """The steps of a dead entry that was asked for: claimed, then waiting, due now.

    Its attempts are counted anew. One that could not be had any more is dead again, with the reason
    in front of the old one.

    Args:
        entry: the dead one.
        now: seconds since 1970 UTC.
        had: whether its bytes are kept, or can be asked of the server.
    """
    claimed = replace(entry, state=State.CLAIMED, changed_at=now)
    if not had:
        reason = f"{LOST}; before that: {entry.reason.removeprefix(f'{LOST}; before that: ')}"
        return claimed, replace(claimed, state=State.DEAD, reason=reason[:REASON_LENGTH])
    return claimed, replace(claimed, state=State.WAITING, attempts=0, due_at=now, reason=BY_HAND)


def is_due(entry: Entry, now: float, longest: float) -> bool:
    """Whether a waiting entry may be tried at ``now`` (seconds since 1970 UTC).

    A due time further ahead than the longest delay was written by a clock that ran ahead: it is
    due.
    """
    return entry.due_at <= now or entry.due_at > now + longest


def until_due(entry: Entry, now: float, longest: float) -> float:
    """Seconds until a waiting entry is due, 0.0 if it is."""
    return 0.0 if is_due(entry, now, longest) else entry.due_at - now


def backoff(failures: int, chance: random.Random) -> float:
    """Seconds to wait after this many failed connections in a row: doubling, with jitter.

    The jitter takes up to half away, so that many pollers do not come back at the same instant,
    and the result is never above :data:`LONGEST_BACKOFF`.
    """
    doubled = FIRST_BACKOFF * 2.0 ** min(failures - 1, 30)
    return min(doubled, LONGEST_BACKOFF) * (0.5 + 0.5 * chance.random())


def rejected_wait(times: int) -> float:
    """Seconds to wait after credentials were rejected this many times in a row."""
    doublings = min(max(times - REJECTED_AT_FIRST, 0), 30)
    return min(REJECTED_BACKOFF * 2.0**doublings, LONGEST_REJECTED)


def throttled_wait(kind: str, times: int, hint: float, chance: random.Random) -> float:
    """Seconds to leave a server alone that throttled us this many times in a row.

    Args:
        kind: of :class:`~nornmail.errors.Throttled`.
        times: 1 or more.
        hint: seconds that the server asks for, 0.0 for none. They are waited for, up to
            :data:`LONGEST_HINT`; a hint that does not help is followed by longer waits.
        chance: adds up to a tenth, so that many pollers do not come back at the same instant.
    """
    if hint > 0:
        wait = max(min(hint, LONGEST_HINT), backoff(times, chance))
    else:
        first, longest = THROTTLE_WAITS.get(kind, THROTTLE_WAITS["rate"])
        wait = min(first * 2.0 ** min(times - 1, 30), longest)
    return wait * (1.0 + 0.1 * chance.random())


def slowed_interval(interval: float, passes: int) -> float:
    """Seconds between two looks after this many passes in a row that the server slowed down."""
    return max(interval, min(interval * 2.0 ** min(passes, 30), LONGEST_SLOWED))


class Patience:
    """How long a server is left alone: longer while one kind of trouble goes on, then anew.

    Args:
        chance: for jitter.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._times: Counter[str] = Counter()
        self._slowed_passes = 0

    def after(self, trouble: NornmailError) -> float:
        """Seconds to wait after a pass that ended with ``trouble``; each kind has its own count."""
        kind = trouble.kind if isinstance(trouble, Throttled) else type(trouble).__name__
        if isinstance(trouble, ConnectionLost | CommandRefused):
            kind = "backoff"  # a server that goes down refuses, hangs up and is not there, in turn
        self._times[kind] += 1
        times = self._times[kind]
        if isinstance(trouble, AuthenticationFailed):
            return rejected_wait(times)
        if isinstance(trouble, Throttled):
            return throttled_wait(kind, times, trouble.wait, self._chance)
        return backoff(times, self._chance)

    def recovered(self, interval: float, *, slowed: bool = False) -> float:
        """Seconds to wait after a pass that succeeded: ``interval``, or more if it was slowed."""
        self._times.clear()
        self._slowed_passes = self._slowed_passes + 1 if slowed else 0
        return slowed_interval(interval, self._slowed_passes)


def action_delay(refusals: int) -> float:
    """Seconds before flags, deletions and moves that the server refused are tried again."""
    return min(FIRST_ACTION_DELAY * 2.0 ** min(refusals - 1, 30), LONGEST_ACTION_DELAY)


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


def new_epoch_reason(
    epoch: Epoch, highest_known: int, uid_validity: int | None, uid_next: int | None
) -> str:
    """Why what the server says now begins a new epoch; ``""`` when the epoch goes on.

    Args:
        epoch: the epoch that the store is in.
        highest_known: the highest UID that was ever looked at in it.
        uid_validity: as SELECT gave it, ``None`` where it gave none.
        uid_next: the same.
    """
    if not uid_validity:
        return "the server names no UIDVALIDITY"
    if uid_validity != epoch.uid_validity:
        return f"UIDVALIDITY changed from {epoch.uid_validity} to {uid_validity}"
    if uid_next is not None and uid_next <= highest_known:
        return f"UIDNEXT went back to {uid_next}, and UID {highest_known} was seen before"
    return ""


def boundary_of(uid_next: int | None, highest_listed: int) -> int:
    """The UID from which on mail is newer than the epoch's begin.

    UIDNEXT, also where it is inflated: a UID that the first listing hid lies below it.
    """
    return max(uid_next or 0, highest_listed + 1)


def cut_off(received_at: float | None, cut: float | None, *, skew: float = CLOCK_SKEW) -> bool:
    """Whether mail that stood there when an epoch began lies before the first run's cut.

    What has no date is not passed over.
    """
    return cut is not None and received_at is not None and received_at < cut - skew


def counts_as_known(state: State, on_change: str) -> bool:
    """Whether a message of an earlier epoch in this state is recognised in a new one.

    Under "replay" what was handled is handed over again, so only what has yet to be handled is
    recognised, with its attempts and its delivery id.
    """
    return on_change != "replay" or state in OPEN


OPEN = frozenset({State.NEW, State.CLAIMED, State.WAITING, State.DEAD})
"""States in which the handler's work on a message is not done."""


def of_one_message(known: Sequence[Entry], found: Entry) -> list[Entry]:
    """The entries among ``known`` that are the same message as ``found``, one for each inbox."""
    wanted = (found.key.epoch, found.key.uid)
    return [entry for entry in known if (entry.key.epoch, entry.key.uid) == wanted]


def one_for_each(known: Iterable[Entry]) -> list[Entry]:
    """One entry of each message: of several inboxes', the one by which it is recognised best.

    That is one whose digest has the body, and which has yet to be handled.
    """
    found: dict[tuple[int, int], Entry] = {}
    for entry in known:
        name = (entry.key.epoch, entry.key.uid)
        if name not in found or _worth(entry) > _worth(found[name]):
            found[name] = entry
    return list(found.values())


def _worth(entry: Entry) -> tuple[bool, bool]:
    has_body = entry.digest is not None and entry.digest.body is not None
    return has_body, entry.state in OPEN


UNSETTLED = frozenset({State.NEW, State.CLAIMED, State.WAITING})
"""States of an inbox's entry that the mailbox waits for."""


def may_touch(siblings: Collection[Entry]) -> bool | None:
    """Whether the mailbox is touched for a message that an inbox handled (rules 5 and 12).

    Args:
        siblings: its entries, one for each inbox.

    Returns:
        ``None`` while one of them is not settled yet; ``False`` where one is dead, or where nobody
        handled it but ``on_unrouted``: it is left as it is.
    """
    states = {entry.state for entry in siblings}
    if states & UNSETTLED:
        return None
    handled = any(
        entry.state in (State.HANDLED, State.FINISHED) and entry.key.inbox != UNROUTED
        for entry in siblings
    )
    return handled and State.DEAD not in states


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A message of a new epoch, of which only the headers were read."""

    uid: int
    size: int
    received_at: float | None
    header_digest: str
    has_message_id: bool


def needs_body(newcomer: Newcomer, known: Sequence[Entry], same_header: int) -> bool:
    """Whether the headers alone cannot tell that this message is one of ``known``.

    They can when a Message-ID makes the header block unique in the world, the size agrees, and
    there are no more such messages in the mailbox than were known.

    Args:
        newcomer: the message.
        known: entries of earlier epochs with its header digest that nobody has taken yet.
        same_header: how many messages of the new epoch have this header digest.
    """
    if not newcomer.has_message_id or same_header > len(known):
        return True
    return all(entry.size != newcomer.size for entry in known)


def recognise(known: Sequence[Entry], digest: Digest | None, size: int) -> Entry | None:
    """The first of ``known`` that is this message, ``None`` when it is none of them.

    One that has yet to be handled comes before one that was: where several equal messages were
    known and fewer are there, what is missing is rather one that nobody waits for.

    Args:
        known: entries of earlier epochs with the message's header digest.
        digest: of the whole message; ``None`` when its headers suffice (see :func:`needs_body`).
        size: its octets. Where a body was never whole, on either side, the size stands for it.
    """
    for entry in sorted(known, key=lambda entry: entry.state not in OPEN):
        by_size = digest is None or digest.body is None or not (entry.digest and entry.digest.body)
        if entry.size == size if by_size else entry.digest == digest:
            return entry
    return None
