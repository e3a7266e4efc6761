"""The pure decisions, as tables."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nornmail.errors import ConfigurationError
from nornmail.model import Digest, Entry, EntryKey, Epoch, MailboxRecord, State, Watermark
from nornmail.poller.decisions import (
    Candidate,
    action_delay,
    batches,
    boundary_of,
    counts_as_known,
    cut_off,
    dates_decide,
    may_touch,
    needs_body,
    new_epoch_reason,
    of_one_message,
    one_for_each,
    recognise,
)
from nornmail.retry import REASON_LENGTH, RetryPolicy, after_failure, backoff, is_due, until_due
from tests.support.table import table

EPOCH = Epoch(number=1, uid_validity=7, boundary=1, matched=True, begun_at=0.0)


def entry(uid: int = 1, **facts: Any) -> Entry:
    made = Entry(key=EntryKey(1, uid), state=State.WAITING, delivery_id="d")
    return made._replace(**facts)


@table(
    ("failures", "state", "wait"),
    [
        pytest.param(1, State.WAITING, 60, id="the first failure waits a minute"),
        pytest.param(2, State.WAITING, 300, id="the second five minutes"),
        pytest.param(3, State.WAITING, 1_800, id="the third half an hour"),
        pytest.param(4, State.WAITING, 7_200, id="the fourth two hours"),
        pytest.param(5, State.WAITING, 28_800, id="the fifth eight hours"),
        pytest.param(6, State.DEAD, None, id="the sixth is the end"),
    ],
)
def test_a_failed_message_waits_longer_and_longer(
    failures: int, state: State, wait: float | None
) -> None:
    after = after_failure(entry(attempts=failures - 1), "why", RetryPolicy(), now=1_000.0)
    assert after.state is state
    assert after.attempts == failures
    assert after.due_at == (0.0 if wait is None else 1_000.0 + wait)
    assert after.reason == "why"


def test_the_account_of_a_failure_is_bounded() -> None:
    long = "the cause" + "x" * 5_000
    after = after_failure(entry(), long, RetryPolicy(), now=0.0)
    assert len(after.reason) == REASON_LENGTH
    assert after.reason.startswith("the cause")


@pytest.mark.parametrize("delay", [0, -1, float("nan")])
def test_a_delay_that_is_none_is_refused(delay: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0"):
        RetryPolicy(delays=(delay,))


@table(
    ("due_at", "due"),
    [
        pytest.param(999.0, True, id="its time has passed"),
        pytest.param(1_000.0, True, id="its time is now"),
        pytest.param(1_000.5, False, id="its time is to come"),
        pytest.param(1_600.0, False, id="the longest delay ahead is believed"),
        pytest.param(1_600.1, True, id="further ahead than the longest delay is a clock that ran"),
    ],
)
def test_due_times_survive_a_clock_that_jumps(due_at: float, due: bool) -> None:
    waiting = entry(due_at=due_at)
    assert is_due(waiting.due_at, 1_000.0, longest=600.0) is due
    assert (until_due(waiting.due_at, 1_000.0, longest=600.0) == 0.0) is due


def test_backoff_doubles_with_jitter_up_to_five_minutes() -> None:
    rng = random.Random(1)
    for failures in range(1, 200):
        wait = backoff(failures, rng)
        whole = min(2.0 ** (failures - 1), 300.0)
        assert whole / 2 <= wait <= whole


@table(
    ("sizes", "messages", "octets", "expected"),
    [
        pytest.param({}, 10, 100, [], id="nothing gives no batch"),
        pytest.param({3: 1, 1: 1, 2: 1}, 2, 100, [[1, 2], [3]], id="ascending and cut by count"),
        pytest.param({1: 60, 2: 60, 3: 30}, 9, 100, [[1], [2, 3]], id="cut by octets"),
        pytest.param({1: 10, 2: 900, 3: 10}, 9, 100, [[1], [2], [3]], id="one always fits"),
        pytest.param({1: 0, 2: 0}, 1, 0, [[1], [2]], id="sizes of nought"),
    ],
)
def test_batches_are_bounded(
    sizes: dict[int, int], messages: int, octets: int, expected: list[list[int]]
) -> None:
    made = batches(sizes, most_messages=messages, most_octets=octets)
    assert list(made) == expected


@table(
    ("validity", "uid_next", "highest", "word"),
    [
        pytest.param(7, 10, 9, "", id="all as it was"),
        pytest.param(7, None, 9, "", id="no UIDNEXT says nothing"),
        pytest.param(7, 900, 9, "", id="an inflated UIDNEXT says nothing"),
        pytest.param(8, 10, 9, "changed from 7 to 8", id="another UIDVALIDITY"),
        pytest.param(6, 10, 9, "changed from 7 to 6", id="a lower UIDVALIDITY"),
        pytest.param(None, 10, 9, "names no UIDVALIDITY", id="no UIDVALIDITY is not unchanged"),
        pytest.param(0, 10, 9, "names no UIDVALIDITY", id="a UIDVALIDITY of nought"),
        pytest.param(7, 9, 9, "UIDNEXT went back to 9", id="UIDNEXT is a UID that was seen"),
        pytest.param(7, 1, 0, "", id="an empty mailbox"),
    ],
)
def test_what_begins_a_new_epoch(
    validity: int | None, uid_next: int | None, highest: int, word: str
) -> None:
    reason = new_epoch_reason(EPOCH, highest, validity, uid_next)
    assert word in reason
    assert bool(reason) == bool(word)


@table(
    ("uid_next", "highest", "boundary"),
    [
        pytest.param(10, 9, 10, id="UIDNEXT"),
        pytest.param(10, 4, 10, id="UIDs that the listing hid lie below it"),
        pytest.param(None, 9, 10, id="without UIDNEXT the listing"),
        pytest.param(3, 9, 10, id="a UIDNEXT that lies below the listing"),
        pytest.param(None, 0, 1, id="an empty mailbox without UIDNEXT"),
    ],
)
def test_the_boundary_lies_above_all_that_stood_there(
    uid_next: int | None, highest: int, boundary: int
) -> None:
    assert boundary_of(uid_next, highest) == boundary


@table(
    ("received", "cut", "off"),
    [
        pytest.param(10.0, None, False, id="without a cut nothing is old"),
        pytest.param(None, 1_000.0, False, id="without a date it is delivered"),
        pytest.param(699.0, 1_000.0, True, id="before the cut"),
        pytest.param(701.0, 1_000.0, False, id="within the skew of two clocks"),
        pytest.param(1_000.0, 1_000.0, False, id="after the cut"),
    ],
)
def test_the_cut_of_the_first_run(received: float | None, cut: float | None, off: bool) -> None:
    assert cut_off(received, cut) is off


NEWCOMER = Candidate(uid=5, size=100, received_at=None, header_digest="h", has_message_id=True)
KNOWN = entry(size=100, digest=Digest("h", "b"))


@table(
    ("candidate", "known", "same", "needs"),
    [
        pytest.param(NEWCOMER, [KNOWN], 1, False, id="headers, Message-ID and size agree"),
        pytest.param(
            NEWCOMER._replace(has_message_id=False),
            [KNOWN],
            1,
            True,
            id="without a Message-ID headers may repeat",
        ),
        pytest.param(NEWCOMER, [KNOWN], 2, True, id="more such messages than were known"),
        pytest.param(NEWCOMER._replace(size=99), [KNOWN], 1, True, id="another size"),
        pytest.param(NEWCOMER, [KNOWN, KNOWN], 2, False, id="two known and two there"),
        pytest.param(NEWCOMER, [], 1, False, id="nothing is known that is like it"),
        pytest.param(
            NEWCOMER,
            [KNOWN._replace(state=State.FINISHED)],
            1,
            True,
            id="it would be passed over",
        ),
        pytest.param(
            NEWCOMER,
            [KNOWN._replace(state=State.FINISHED, digest=Digest("h"))],
            1,
            False,
            id="its body was never whole",
        ),
    ],
)
def test_when_headers_do_not_tell(
    candidate: Candidate, known: list[Entry], same: int, needs: bool
) -> None:
    assert needs_body(candidate, known, same) is needs


@table(
    ("known", "digest", "size", "found"),
    [
        pytest.param([], Digest("h", "b"), 1, False, id="nothing is known"),
        pytest.param([KNOWN], None, 100, True, id="by headers, the size agrees"),
        pytest.param([KNOWN], None, 99, False, id="by headers, the size differs"),
        pytest.param([KNOWN], Digest("h", "b"), 99, True, id="by body, the size does not matter"),
        pytest.param([KNOWN], Digest("h", "other"), 100, False, id="another body"),
        pytest.param(
            [KNOWN._replace(digest=Digest("h"))],
            Digest("h", "b"),
            100,
            True,
            id="it was truncated when it was known",
        ),
        pytest.param([KNOWN], Digest("h"), 100, True, id="it is truncated now"),
        pytest.param([KNOWN], Digest("h"), 101, False, id="it is truncated now, in another size"),
    ],
)
def test_recognising(known: list[Entry], digest: Digest | None, size: int, found: bool) -> None:
    assert (recognise(known, digest, size) is not None) is found


@table(
    ("known", "first"),
    [
        pytest.param([(State.FINISHED, 2), (State.WAITING, 4)], 1, id="one that waits"),
        pytest.param([(State.FINISHED, 2), (State.HANDLED, 4)], 1, id="one that has to be moved"),
        pytest.param([(State.HANDLED, 2), (State.DEAD, 4)], 1, id="one that is dead"),
        pytest.param([(State.HANDLED, 4), (State.HANDLED, 2)], 1, id="one of the same size"),
        pytest.param([(State.FINISHED, 4), (State.PASSED_OVER, 4)], 0, id="the first of the rest"),
    ],
)
def test_of_equal_messages_the_one_with_most_left_to_do_is_recognised(
    known: list[tuple[State, int]], first: int
) -> None:
    entries = [KNOWN._replace(state=state, size=size) for state, size in known]
    assert recognise(entries, KNOWN.digest, 2) is entries[first]


@table(
    ("number", "cut", "horizon", "on_change", "decide"),
    [
        pytest.param(1, 5.0, None, "dedupe", False, id="a first run delivers what has no date"),
        pytest.param(2, 5.0, None, "replay", True, id="the cut holds in a later epoch"),
        pytest.param(2, None, 5.0, "dedupe", True, id="entries of earlier epochs were removed"),
        pytest.param(2, None, 5.0, "replay", False, id="what was settled is delivered anyway"),
        pytest.param(2, None, None, "dedupe", False, id="nothing is cut off or removed"),
    ],
)
def test_where_a_missing_date_is_asked_for_again(
    number: int, cut: float | None, horizon: float | None, on_change: str, decide: bool
) -> None:
    epoch = EPOCH._replace(number=number)
    record = MailboxRecord(epoch=epoch, watermark=Watermark(7, 0), cut=cut, horizon=horizon)
    assert dates_decide(record, on_change) is decide


def test_replay_recognises_only_what_is_still_to_be_handled() -> None:
    for state in State:
        assert counts_as_known(state, "dedupe") is (state is not State.GONE)
        still_open = state in {State.NEW, State.CLAIMED, State.WAITING, State.DEAD}
        assert counts_as_known(state, "replay") is still_open


def test_the_entries_of_all_inboxes_move_together() -> None:
    one, two = entry(key=EntryKey(1, 4, "a")), entry(key=EntryKey(1, 4, "b"))
    other = entry(key=EntryKey(2, 4, "a"))
    assert of_one_message([one, other, two], two) == [one, two]


def test_one_entry_stands_for_a_message_in_all_its_inboxes() -> None:
    headers, whole = Digest("h"), Digest("h", "b")
    a = entry(key=EntryKey(1, 4, "a"), state=State.NEW, digest=headers)
    b = entry(key=EntryKey(1, 4, "b"), state=State.FINISHED, digest=whole)
    c = entry(key=EntryKey(1, 4, "c"), state=State.WAITING, digest=whole)
    other = entry(key=EntryKey(1, 5, "a"), state=State.FINISHED, digest=whole)
    assert one_for_each([a, b, other, c]) == [c, other]
    assert one_for_each([]) == []


@table(
    ("siblings", "expected"),
    [
        pytest.param({"": State.HANDLED}, True, id="one callback that handled it"),
        pytest.param({"": State.DEAD}, False, id="one callback that gave it up"),
        pytest.param({"a": State.HANDLED, "b": State.HANDLED}, True, id="two that handled it"),
        pytest.param({"a": State.HANDLED, "b": State.FINISHED}, True, id="one of them before"),
        pytest.param({"a": State.HANDLED, "b": State.NEW}, None, id="one that was not asked yet"),
        pytest.param({"a": State.HANDLED, "b": State.CLAIMED}, None, id="one that is at it"),
        pytest.param({"a": State.HANDLED, "b": State.WAITING}, None, id="one that waits"),
        pytest.param({"a": State.DEAD, "b": State.WAITING}, None, id="one dead and one waiting"),
        pytest.param({"a": State.HANDLED, "b": State.DEAD}, False, id="one that gave it up"),
        pytest.param({"a": State.HANDLED, "b": State.PASSED_OVER}, True, id="one did not want it"),
        pytest.param({"a": State.PASSED_OVER, "b": State.PASSED_OVER}, False, id="nobody did"),
        pytest.param({"a": State.HANDLED, "": State.GONE}, True, id="what stood for it is gone"),
        pytest.param({"*": State.HANDLED}, False, id="nobody's"),
        pytest.param({"*": State.HANDLED, "a": State.HANDLED}, True, id="nobody's until now"),
    ],
)
def test_the_mailbox_is_touched_for_a_message_that_every_inbox_is_through_with(
    siblings: dict[str, State], expected: bool | None
) -> None:
    entries = [entry(key=EntryKey(1, 4, name), state=state) for name, state in siblings.items()]
    assert may_touch(entries) is expected


def test_actions_that_are_refused_are_asked_for_once_an_hour_at_least() -> None:
    assert [action_delay(n) for n in (1, 2, 7, 99)] == [60, 120, 3_600, 3_600]
