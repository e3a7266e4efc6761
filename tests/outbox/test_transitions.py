"""The pure decisions of sending, case by case."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nornmail.outbox import transitions
from nornmail.outbox.transitions import SendLimits, apply_request, retry_delay, until_slot
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient, RecipientStatus
from nornmail.smtp.transaction import Outcome, Submission

NOW = 1_000_000.0
P, A, R, U, B = (
    RecipientStatus.PENDING, RecipientStatus.ACCEPTED, RecipientStatus.REFUSED,
    RecipientStatus.UNKNOWN, RecipientStatus.BOUNCED,
)  # fmt: skip


def letter(state: QueueState, *standings: RecipientStatus) -> QueuedMessage:
    recipients = tuple(Recipient(f"r{number}@x.org", one) for number, one in enumerate(standings))
    return QueuedMessage(
        outbox="o", key="k", message_id="<k>", sender="s@x.org", recipients=recipients, state=state
    )


@pytest.mark.parametrize(
    ("sent", "limits", "wait"),
    [
        pytest.param([], SendLimits(1, 1), 0, id="nothing was sent"),
        pytest.param([10], SendLimits(1, None), 50, id="one a minute, and one ten seconds ago"),
        pytest.param([60], SendLimits(1, None), 0, id="one a minute, and one a minute ago"),
        pytest.param([1, 59.5], SendLimits(2, None), 0.5, id="the second slot is free soonest"),
        pytest.param([1, 2, 3], SendLimits(None, 3), 3_597, id="three an hour"),
        pytest.param([1, 2, 3], SendLimits(5, 3), 3_597, id="the stricter limit counts"),
        pytest.param([-5, -9], SendLimits(1, None), 0, id="what a clock that ran ahead wrote"),
        pytest.param([-5, 10], SendLimits(1, None), 50, id="that, and one ten seconds ago"),
        pytest.param(list(range(500)), SendLimits(None, None), 0, id="no limit"),
    ],
)
def test_when_the_next_one_may_go(sent: list[float], limits: SendLimits, wait: float) -> None:
    assert until_slot([NOW - ago for ago in sent], limits, NOW) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("limits", "most"),
    [(SendLimits(5, None), 5), (SendLimits(None, 7), 7), (SendLimits(5, 100), 100)],
)
def test_how_many_submission_times_decide(limits: SendLimits, most: int) -> None:
    assert limits.most == most


@pytest.mark.parametrize(("due", "wait"), [(NOW + 30.0, 30.0), (NOW, 0.0), (NOW - 5.0, 0.0)])
def test_when_a_message_is_due(due: float, wait: float) -> None:
    message = replace(letter(QueueState.QUEUED, P), due_at=due)
    assert transitions.until_due(message, NOW) == wait


def test_waits_double_up_to_an_hour_with_some_chance_in_them() -> None:
    dice = random.Random(1)
    for attempts in range(1, 2_000):
        wait = retry_delay(attempts, dice)
        middle = min(60.0 * 2.0 ** min(attempts - 1, 30), 3_600.0)
        assert 0.75 * middle <= wait <= 1.25 * middle


@pytest.mark.parametrize(
    ("before", "wish", "state", "standings"),
    [
        ((QueueState.QUEUED, P), OperatorRequest.RETRY, "queued", [P]),
        ((QueueState.FAILED, R, R), OperatorRequest.RETRY, "queued", [P, P]),
        ((QueueState.UNKNOWN, U, R, B), OperatorRequest.RETRY, "queued", [P, P, B]),
        ((QueueState.UNKNOWN, U, P), OperatorRequest.RETRY, "queued", [P, P]),
        ((QueueState.UNKNOWN, U, R), OperatorRequest.SENT, "sent", [A, R]),
        ((QueueState.UNKNOWN, U, P), OperatorRequest.SENT, "queued", [A, P]),
        ((QueueState.UNKNOWN, P), OperatorRequest.SENT, "sent", [A]),
        ((QueueState.UNKNOWN, U), OperatorRequest.DROP, "failed", [U]),
        ((QueueState.QUEUED, P), OperatorRequest.DROP, "failed", [R]),
        ((QueueState.QUEUED, A, P), OperatorRequest.DROP, "sent", [A, R]),
        ((QueueState.FAILED, R), OperatorRequest.DROP, "failed", [R]),
        ((QueueState.SENDING, U), OperatorRequest.DROP, None, None),
        ((QueueState.SENDING, U), OperatorRequest.RETRY, None, None),
        ((QueueState.SENT, A), OperatorRequest.RETRY, None, None),
        ((QueueState.QUEUED, P), OperatorRequest.SENT, None, None),
    ],
)
def test_what_a_wish_makes_of_a_letter(
    before: tuple[QueueState, *tuple[RecipientStatus, ...]],
    wish: OperatorRequest,
    state: str | None,
    standings: list[RecipientStatus] | None,
) -> None:
    after = apply_request(letter(*before), wish, NOW)
    if state is None:
        assert after is None
        return
    assert after is not None
    assert (str(after.state), [one.status for one in after.recipients]) == (state, standings)
    assert after.dropped is (wish is OperatorRequest.DROP)
    if wish is OperatorRequest.RETRY:
        assert (after.attempts, after.tried_at, after.due_at) == (0, 0.0, NOW)


@pytest.mark.parametrize("wish", OperatorRequest)
@pytest.mark.parametrize("state", QueueState)
def test_what_was_dropped_is_nobodys_any_more(state: QueueState, wish: OperatorRequest) -> None:
    assert apply_request(replace(letter(state, P), dropped=True), wish, NOW) is None


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        pytest.param([P, P], [U, U], id="nobody was told of anybody"),
        pytest.param([U, P, R], [U, P, R], id="the server put one off"),
        pytest.param([A, P], [A, U], id="one got it at an earlier try"),
    ],
)
def test_who_is_in_doubt_when_the_connection_falls(
    standings: list[RecipientStatus], expected: list[RecipientStatus]
) -> None:
    after = transitions.after(
        letter(QueueState.SENDING, *standings), transitions.Interrupted(), NOW, random.Random(1)
    )
    assert after.state is QueueState.UNKNOWN
    assert [one.status for one in after.recipients] == expected


@pytest.mark.parametrize(
    ("outcome", "code", "text", "kind"),
    [
        (Outcome.DEFERRED, 421, "bye", "rate"),
        (Outcome.DEFERRED, 421, "too many connections", "connections"),
        (Outcome.DEFERRED, 451, "4.7.1 too many messages, slow down", "rate"),
        (Outcome.DEFERRED, 450, "4.2.1 rate limit exceeded", "rate"),
        (Outcome.DEFERRED, 452, "4.5.3 too many recipients", ""),
        (Outcome.DEFERRED, 450, "greylisted", ""),
        (Outcome.DEFERRED, 0, "the connection fell", ""),
        (Outcome.REFUSED, 550, "too many bad words", ""),
        (Outcome.REFUSED, 450, "rate limit exceeded", ""),
        (Outcome.DEFERRED, 354, "rate limit exceeded", ""),
        (Outcome.ACCEPTED, 250, "OK, and not too many", ""),
    ],
)
def test_which_words_are_about_all_letters(
    outcome: Outcome, code: int, text: str, kind: str
) -> None:
    said = Submission(outcome, (), code, text, True)
    assert transitions.throttles(said) == kind


def test_a_reason_is_kept_within_bounds() -> None:
    long = transitions.after(
        letter(QueueState.QUEUED, P), transitions.Deferred("x" * 10_000), NOW, random.Random(1)
    )
    assert len(long.reason) == 2_000
