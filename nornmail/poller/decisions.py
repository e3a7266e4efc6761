"""Pure decisions of a poll: batches, actions, the first run, a new UIDVALIDITY, recognition."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nornmail.model import UNROUTED, Digest, Entry, Epoch, MailboxRecord, State
from nornmail.retry import doubled

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
"""Seconds between two whole listings while EXISTS keeps disagreeing with what is listed."""


def batches(
    sizes: Mapping[int, int], *, most_messages: int, most_octets: int = BATCH_OCTETS
) -> Iterator[list[int]]:
    """Cut UIDs into batches, ascending, bounded by count and octets; one message always fits."""
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


FIRST_ACTION_DELAY = 60.0
"""Seconds after the first refusal of a flag, a deletion or a move."""
LONGEST_ACTION_DELAY = 3_600.0
"""Seconds: a mailbox that is read-only for good is asked once an hour."""
UNSETTLED = frozenset({State.NEW, State.CLAIMED, State.WAITING})
"""States of an inbox's entry that the mailbox waits for."""


def action_delay(refusals: int) -> float:
    """Seconds before flags, deletions and moves that the server refused are tried again."""
    return doubled(FIRST_ACTION_DELAY, refusals - 1, LONGEST_ACTION_DELAY)


_HANDLED = frozenset({State.HANDLED, State.FINISHED})


def may_touch(siblings: Collection[Entry]) -> bool | None:
    """Whether the mailbox is touched for a message that an inbox handled (rules 5 and 12).

    Returns:
        ``None`` while one of them is not settled yet; ``False`` if one is dead, or no inbox
        handled it but ``on_unrouted``: it is left as it is.
    """
    if len(siblings) == 1:  # nearly always
        (entry,) = siblings
        if entry.state in UNSETTLED:
            return None
        return entry.state in _HANDLED and entry.key.inbox != UNROUTED
    states = {entry.state for entry in siblings}
    if states & UNSETTLED:
        return None
    handled = any(entry.state in _HANDLED and entry.key.inbox != UNROUTED for entry in siblings)
    return handled and State.DEAD not in states


FIRST_RUN_LIMIT = 1_000
"""Messages that a first run delivers unasked: an agent may pay for each."""
UNKNOWN_LIMIT = 100
"""Unknown messages older than the last good poll that a new epoch delivers unasked."""
CLOCK_SKEW = 300.0
"""Seconds by which the server's clock may lag behind ours when the first run's cut is applied
again: mail of those minutes is delivered rather than passed over."""
OPEN = frozenset({State.NEW, State.CLAIMED, State.WAITING, State.DEAD})
"""States in which the handler's work on a message is not done."""


def new_epoch_reason(
    epoch: Epoch, highest_known: int, uid_validity: int | None, uid_next: int | None
) -> str:
    """The reason why a new epoch begins; ``""`` when the known one continues."""
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


def forgotten(received_at: float | None, horizon: float | None, on_change: str) -> bool:
    """Whether mail that stood there when an epoch began is so old that its entry was removed.

    Under "replay" nothing counts as known that was settled.
    """
    if on_change == "replay" or horizon is None or received_at is None:
        return False
    return received_at <= horizon


def dates_decide(record: MailboxRecord, on_change: str) -> bool:
    """Whether the dates of messages that stood there when the epoch began say which are new.

    They do in a later epoch where the first run had a cut (rule 9), and where retention removed
    what earlier epochs knew (rule 15).
    """
    if record.epoch.number == 1:
        return False
    return record.cut is not None or (record.horizon is not None and on_change != "replay")


def counts_as_known(state: State, on_change: str) -> bool:
    """Whether a message of an earlier epoch in this state is recognised in a new one.

    Under "replay" what was handled is delivered again, so only what has yet to be handled is
    recognised, with its attempts and its delivery id. What was gone and is there again is new.
    """
    return state in OPEN or (on_change != "replay" and state is not State.GONE)


def of_one_message(known: Sequence[Entry], found: Entry) -> list[Entry]:
    """The entries among ``known`` that are the same message as ``found``, one for each inbox."""
    message = (found.key.epoch, found.key.uid)
    return [entry for entry in known if (entry.key.epoch, entry.key.uid) == message]


def one_for_each(known: Iterable[Entry]) -> list[Entry]:
    """One entry of each message: the best to recognise it by.

    That is one whose digest has the body, and that is not handled yet.
    """
    best: dict[tuple[int, int], Entry] = {}
    for entry in known:
        name = (entry.key.epoch, entry.key.uid)
        if name not in best or _worth(entry) > _worth(best[name]):
            best[name] = entry
    return list(best.values())


def _worth(entry: Entry) -> tuple[bool, int]:
    has_body = entry.digest is not None and entry.digest.body is not None
    return has_body, _unfinished(entry)


def _unfinished(entry: Entry) -> int:
    """How much is left to do for a message: 2 its handling, 1 its action on the server, 0 none."""
    return 2 if entry.state in OPEN else int(entry.state is State.HANDLED)


class Candidate(NamedTuple):
    """A message of a new epoch, of which only the headers were read."""

    uid: int
    size: int
    received_at: float | None
    header_digest: str
    has_message_id: bool
    has_date: bool = False

    @property
    def is_unique(self) -> bool:
        """Whether its header block is expected to be like no other message's."""
        return self.has_message_id and self.has_date


def needs_body(candidate: Candidate, known: Sequence[Entry], same_header: int) -> bool:
    """Whether the headers alone cannot tell that this message is one of ``known``.

    They can when a Message-ID makes the header block unique in the world, the size agrees, there
    are no more such messages in the mailbox than were known, and the message is not passed over for
    it: some devices repeat their headers, and then only the body shows that a message is new.

    Args:
        known: entries of earlier epochs with its header digest that are not matched yet.
        same_header: how many messages of the new epoch have this header digest.
    """
    if not known:
        return False
    if not candidate.has_message_id or same_header > len(known):
        return True
    match = recognise(known, None, candidate.size)
    if match is None or match.state in OPEN:
        return match is None
    return match.digest is not None and match.digest.body is not None


def recognise(known: Sequence[Entry], digest: Digest | None, size: int) -> Entry | None:
    """The first of ``known`` that is this message, ``None`` when it is none of them.

    One that has yet to be handled comes before one that was, and one that has yet to be moved
    before one for which nothing is left to do: where several equal messages were known and fewer
    are there, what is missing is rather one that no entry waits for. Among those the one of the
    same size comes first, since digests do not count line ends.

    Args:
        digest: of the whole message; ``None`` when its headers suffice (see :func:`needs_body`).
        size: its octets. Where a body was never whole, on either side, the size stands for it.
    """
    for entry in sorted(known, key=lambda entry: (-_unfinished(entry), entry.size != size)):
        by_size = digest is None or digest.body is None or not (entry.digest and entry.digest.body)
        if entry.size == size if by_size else entry.digest == digest:
            return entry
    return None
