"""The pure decisions of sending, case by case."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nornmail.errors import ConfigurationError
from nornmail.outbox import transitions
from nornmail.outbox.transitions import SendLimits, apply_request, retry_delay, until_slot
from nornmail.outgoing import (
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Quota,
    Recipient,
    RecipientStatus,
)
from nornmail.smtp.transaction import Submission, SubmissionOutcome
from tests.support.table import table

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


@table(
    ("sent", "limits", "wait"),
    [
        pytest.param([], SendLimits(1, 1), 0, id="nothing was sent"),
        pytest.param([10], SendLimits(1, None), 50, id="one a minute, and one ten seconds ago"),
        pytest.param([60], SendLimits(1, None), 0, id="one a minute, and one a minute ago"),
        pytest.param([0], SendLimits(1, None), 60, id="one a minute, and one now"),
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


def test_the_limits_as_quotas_reach_to_a_clock_that_is_a_little_ahead() -> None:
    minute, hour = SendLimits(5, 7).quotas(NOW)
    assert minute == Quota(5, NOW - 60.0, NOW + transitions.CLOCK_SLACK)
    assert hour == Quota(7, NOW - 3_600.0, NOW + transitions.CLOCK_SLACK)
    assert SendLimits(None, 7).quotas(NOW) == [hour]
    assert SendLimits(None, None).quotas(NOW) == []


@table(
    ("limits", "most"),
    [(SendLimits(5, None), 5), (SendLimits(None, 7), 7), (SendLimits(5, 100), 100)],
)
def test_how_many_submission_times_decide(limits: SendLimits, most: int) -> None:
    assert limits.most == most


@table(("due", "wait"), [(NOW + 30.0, 30.0), (NOW, 0.0), (NOW - 5.0, 0.0)])
def test_when_a_message_is_due(due: float, wait: float) -> None:
    message = letter(QueueState.QUEUED, P)._replace(due_at=due)
    assert transitions.until_due(message, NOW) == wait


def test_waits_double_up_to_an_hour_with_some_chance_in_them() -> None:
    dice = random.Random(1)
    for attempts in range(1, 2_000):
        wait = retry_delay(attempts, dice)
        middle = min(60.0 * 2.0 ** min(attempts - 1, 30), 3_600.0)
        assert 0.75 * middle <= wait <= 1.25 * middle


@table(
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


@table("wish", OperatorRequest)
@table("state", QueueState)
def test_what_was_dropped_is_nobodys_any_more(state: QueueState, wish: OperatorRequest) -> None:
    assert apply_request(letter(state, P)._replace(dropped=True), wish, NOW) is None


@table(
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


@table(
    ("outcome", "code", "text", "kind"),
    [
        (SubmissionOutcome.DEFERRED, 421, "bye", "rate"),
        (SubmissionOutcome.DEFERRED, 421, "too many connections", "connections"),
        (SubmissionOutcome.DEFERRED, 451, "4.7.1 too many messages, slow down", "rate"),
        (SubmissionOutcome.DEFERRED, 450, "4.2.1 rate limit exceeded", "rate"),
        (SubmissionOutcome.DEFERRED, 452, "4.5.3 too many recipients", ""),
        (SubmissionOutcome.DEFERRED, 450, "greylisted", ""),
        (SubmissionOutcome.DEFERRED, 0, "the connection fell", ""),
        (SubmissionOutcome.REFUSED, 550, "too many bad words", ""),
        (SubmissionOutcome.REFUSED, 450, "rate limit exceeded", ""),
        (SubmissionOutcome.DEFERRED, 354, "rate limit exceeded", ""),
        (SubmissionOutcome.ACCEPTED, 250, "OK, and not too many", ""),
    ],
)
def test_which_words_are_about_all_letters(
    outcome: SubmissionOutcome, code: int, text: str, kind: str
) -> None:
    said = Submission(outcome, (), code, text, True)
    assert transitions.throttles(said) == kind


def test_a_reason_is_kept_within_bounds() -> None:
    long = transitions.after(
        letter(QueueState.QUEUED, P), transitions.Deferred("x" * 10_000), NOW, random.Random(1)
    )
    assert len(long.reason) == 2_000


def at(status: RecipientStatus, code: int = 0, text: str = "", name: str = "r0") -> Recipient:
    return Recipient(f"{name}@x.org", status, code, text)


QUEUED, SENDING, SENT = QueueState.QUEUED, QueueState.SENDING, QueueState.SENT
UNKNOWN, FAILED, DRAFT, HELD = (
    QueueState.UNKNOWN, QueueState.FAILED, QueueState.DRAFT, QueueState.HELD,
)  # fmt: skip
FIRST, GIVEN_UP = NOW - 100.0, NOW - transitions.GIVE_UP_AFTER
BOTH = (at(P, name="r0"), at(P, name="r1"))


def reply(outcome: SubmissionOutcome, code: int, text: str, *recipients: Recipient) -> Submission:
    return Submission(outcome, recipients, code, text, True)


@table(
    ("before", "outcome", "changes"),
    [
        pytest.param(
            {"recipients": (at(P),)},
            transitions.Deferred("no route", 30.0),
            {"attempts": 1, "tried_at": NOW, "due_at": NOW + 30.0, "reason": "no route"},
            id="a first attempt is deferred",
        ),
        pytest.param(
            {"recipients": (at(P),), "attempts": 1, "tried_at": FIRST},
            transitions.Deferred("busy"),
            {"attempts": 2, "due_at": NOW + retry_delay(2, random.Random(1)), "reason": "busy"},
            id="the second one doubles the wait",
        ),
        pytest.param(
            {"recipients": (at(P),), "tried_at": GIVEN_UP + 1.0},
            transitions.Deferred("busy", 5.0),
            {"attempts": 1, "due_at": NOW + 5.0, "reason": "busy"},
            id="just before three days it goes on",
        ),
        pytest.param(
            {"recipients": (at(P),), "tried_at": GIVEN_UP, "attempts": 1},
            transitions.Deferred("no route", 5.0),
            {"attempts": 2, "due_at": NOW + 5.0, "reason": "no route"},
            id="after days in which nothing was tried it goes on",
        ),
        pytest.param(
            {
                "recipients": (at(A), at(P, name="r1"), at(P, 450, "busy", "r2")),
                "tried_at": GIVEN_UP,
                "attempts": transitions.LEAST_ATTEMPTS - 1,
            },
            transitions.Deferred("busy", 5.0),
            {
                "recipients": (
                    at(A),
                    at(R, 0, "given up after 3 days: busy", "r1"),
                    at(R, 450, "busy", "r2"),
                ),
                "attempts": transitions.LEAST_ATTEMPTS,
                "state": SENT,
                "reason": "refused for 2 of 3 recipients",
            },
            id="after three days it is given up for those who wait",
        ),
        *(
            pytest.param(
                {"recipients": (at(P),), "attempts": 3},
                transitions.Postponed("later", seconds),
                {"due_at": NOW + wait, "reason": "later"},
                id=f"before_send postpones it by {seconds}",
            )
            for seconds, wait in (
                (0.0, 1.0),
                (5.0, 5.0),
                (float("nan"), 1.0),
                (1e9, transitions.LONGEST_DEFER),
            )
        ),
        pytest.param(
            {"recipients": (at(P),)},
            transitions.Rejected(""),
            {
                "recipients": (at(R, 0, transitions.REJECTED),),
                "state": FAILED,
                "reason": transitions.REJECTED,
            },
            id="before_send rejects it without a word",
        ),
        pytest.param(
            {"recipients": (at(A), at(B, name="r1"), at(P, name="r2"))},
            transitions.Rejected("no"),
            {
                "recipients": (at(A), at(B, name="r1"), at(R, 0, "no", "r2")),
                "state": SENT,
                "reason": "refused for 1 of 3 recipients",
            },
            id="before_send rejects what some have got",
        ),
        pytest.param(
            {"state": SENDING, "recipients": BOTH},
            reply(SubmissionOutcome.ACCEPTED, 250, "OK", at(A, 250, "OK"), at(A, 250, "OK", "r1")),
            {
                "recipients": (at(A, 250, "OK"), at(A, 250, "OK", "r1")),
                "state": SENT,
                "reason": "",
            },
            id="the server accepts it",
        ),
        pytest.param(
            {"state": SENDING, "recipients": BOTH},
            reply(
                SubmissionOutcome.ACCEPTED, 250, "OK", at(A, 250, "OK"), at(P, 450, "full", "r1")
            ),
            {
                "recipients": (at(A, 250, "OK"), at(P, 450, "full", "r1")),
                "state": QUEUED,
                "attempts": 1,
                "tried_at": NOW,
                "due_at": NOW + retry_delay(1, random.Random(1)),
                "reason": "450 full",
            },
            id="the server accepts it for one and defers the other",
        ),
        pytest.param(
            {"recipients": (at(P),)},
            reply(SubmissionOutcome.DEFERRED, 0, "the connection was lost", at(P, 451, "later")),
            {
                "recipients": (at(P, 451, "later"),),
                "attempts": 1,
                "tried_at": NOW,
                "due_at": NOW + retry_delay(1, random.Random(1)),
                "reason": "the connection was lost",
            },
            id="the reason is that of the submission",
        ),
        pytest.param(
            {"recipients": (at(P),)},
            reply(SubmissionOutcome.REFUSED, 550, "no", at(R, 550, "no")),
            {"recipients": (at(R, 550, "no"),), "state": FAILED, "reason": "550 no"},
            id="the server refuses it",
        ),
        *(
            pytest.param(
                {"state": SENDING, "recipients": (at(P),), "due_at": 5.0},
                reply(SubmissionOutcome.UNKNOWN, 0, text, at(U)),
                {"recipients": (at(U),), "state": UNKNOWN, "due_at": 0.0, "reason": reason},
                id=f"the server's reply is missing: {text!r}",
            )
            for text, reason in (("", transitions.NO_ANSWER), ("reset", "reset"))
        ),
    ],
)
def test_what_an_attempt_makes_of_a_message(
    before: dict[str, object], outcome: transitions.SendOutcome, changes: dict[str, object]
) -> None:
    message = letter(QUEUED)._replace(**before)  # type: ignore[arg-type]
    after = transitions.after(message, outcome, NOW, random.Random(1))
    assert after == message._replace(changed_at=NOW, **changes)  # type: ignore[arg-type]


@table(("tried_at", "first"), [(0.0, NOW), (FIRST, FIRST)])
def test_a_message_whose_content_is_about_to_go_out(tried_at: float, first: float) -> None:
    message = letter(QUEUED, A, P)._replace(tried_at=tried_at, due_at=5.0, reason="busy")
    assert transitions.envelope_of(message).recipients == ("r1@x.org",)
    assert transitions.sending(message, [at(U, name="r1")], NOW) == message._replace(
        recipients=(at(A), at(U, name="r1")),
        state=SENDING,
        tried_at=first,
        submitted_at=NOW,
        due_at=0.0,
        changed_at=NOW,
        reason="",
    )


@table(
    ("due_at", "changed_at", "wait"),
    [
        pytest.param(NOW + 5.0, NOW - 30.0, 5.0, id="it waits"),
        pytest.param(NOW, NOW, 0.0, id="it is due now"),
        pytest.param(NOW + 5.0, NOW + transitions.CLOCK_SLACK, 5.0, id="a clock was corrected"),
        pytest.param(
            NOW + 5.0, NOW + transitions.CLOCK_SLACK + 1.0, 0.0, id="a clock was set back"
        ),
        pytest.param(
            NOW + transitions.LONGEST_DEFER, NOW, transitions.LONGEST_DEFER, id="the longest wait"
        ),
        pytest.param(NOW + transitions.LONGEST_DEFER + 1.0, NOW, 0.0, id="a wait that cannot be"),
    ],
)
def test_when_a_clock_can_be_trusted(due_at: float, changed_at: float, wait: float) -> None:
    message = letter(QUEUED, P)._replace(due_at=due_at, changed_at=changed_at)
    assert transitions.until_due(message, NOW) == wait
    assert transitions.is_due(message, NOW) is (wait == 0.0)


DRAWN = letter(DRAFT, P)._replace(queued_at=FIRST, copied=True, changed_at=5.0, reason="x")
REMOVED = {"state": FAILED, "copied": False, "copy_due_at": 0.0, "changed_at": NOW}


@table(
    ("before", "act", "changes"),
    [
        pytest.param(
            {"copy_due_at": 5.0},
            transitions.copied,
            {"copied": True, "copy_due_at": 0.0, "changed_at": NOW},
            id="the copy was saved",
        ),
        pytest.param(
            {"copy_due_at": 5.0},
            transitions.copy_done,
            {"copy_due_at": 0.0, "changed_at": NOW},
            id="there is nothing more to do for it",
        ),
        pytest.param(
            {"copy_tries": 3},
            transitions.with_copy_due,
            {"copy_tries": 0, "copy_due_at": NOW},
            id="it is due",
        ),
        *(
            pytest.param(
                {"copy_tries": tries - 1},
                transitions.copy_deferred,
                {"copy_tries": tries, "copy_due_at": due_at, "changed_at": NOW},
                id=f"it failed for the {tries}. time",
            )
            for tries, due_at in (
                (1, NOW + 60.0),
                (6, NOW + 1_920.0),
                (11, NOW + 21_600.0),
                (12, 0.0),
            )
        ),
        *(
            pytest.param(
                {"queued_at": NOW - age, "copied": copied, "copy_tries": 1, "attempts": 2},
                transitions.draft_seen,
                {
                    **{"copied": True, "copy_tries": 0, "attempts": 0, "reason": ""},
                    "copy_due_at": NOW + wait,
                    "changed_at": 5.0 if copied else NOW,
                },
                id=f"a draft of {age:g} s is there, {'as before' if copied else 'again'}",
            )
            for age, wait, copied in ((0.0, 5.0, False), (100.0, 25.0, True), (1e5, 900.0, True))
        ),
        pytest.param(
            {},
            transitions.draft_missing,
            {"copy_tries": 1, "copy_due_at": NOW + 30.0, "changed_at": NOW},
            id="a draft is missing",
        ),
        pytest.param(
            {"copy_tries": 1},
            transitions.draft_missing,
            {**REMOVED, "reason": "draft removed", "recipients": (at(R, 0, "draft removed"),)},
            id="a draft stays missing",
        ),
        *(
            pytest.param(
                {"attempts": attempts},
                lambda message, now: transitions.draft_deferred(message, "y" * 3_000, now),
                {
                    "attempts": attempts + 1,
                    "copy_due_at": NOW + wait,
                    "changed_at": NOW,
                    "reason": "y" * 2_000,
                },
                id=f"the mailbox of drafts failed {attempts} times before",
            )
            for attempts, wait in ((0, 60.0), (9, 60.0), (10, 900.0))
        ),
    ],
)
def test_what_becomes_of_the_copy_in_a_mailbox(
    before: dict[str, object],
    act: Callable[[QueuedMessage, float], QueuedMessage],
    changes: dict[str, object],
) -> None:
    message = DRAWN._replace(**before)  # type: ignore[arg-type]
    assert act(message, NOW) == message._replace(**changes)  # type: ignore[arg-type]


@table(
    ("due_at", "wait"),
    [
        ([], None),
        ([NOW - 5.0], 0.0),
        ([NOW + 20.0, NOW + 10.0], 10.0),
        ([NOW + transitions.LONGEST_COPY_WAIT], transitions.LONGEST_COPY_WAIT),
        ([NOW + transitions.LONGEST_COPY_WAIT + 1.0], 0.0),
    ],
)
def test_when_the_mailbox_of_sent_mail_is_asked_next(
    due_at: list[float], wait: float | None
) -> None:
    messages = [letter(SENT, A)._replace(copy_due_at=due) for due in due_at]
    assert transitions.until_copy(messages, NOW) == wait


@table(
    ("before", "request_", "changes"),
    [
        pytest.param(
            {"state": FAILED, "approval": "draft", "copied": True, "copy_tries": 3},
            OperatorRequest.RETRY,
            {"state": DRAFT, "copied": False, "copy_due_at": NOW, "copy_tries": 0},
            id="a draft is saved again",
        ),
        pytest.param(
            {"state": FAILED, "approval": "queue", "decision": "rejected by Ann"},
            OperatorRequest.RETRY,
            {"state": HELD, "decision": ""},
            id="what was rejected is held again",
        ),
        pytest.param(
            {"state": FAILED, "approval": "queue", "decision": "approved by Ann"},
            OperatorRequest.RETRY,
            {"state": QUEUED, "due_at": NOW},
            id="what was approved stays so",
        ),
        pytest.param(
            {"state": FAILED, "copy_due_at": 5.0},
            OperatorRequest.RETRY,
            {"state": QUEUED, "due_at": NOW, "copy_due_at": 0.0},
            id="any other is queued",
        ),
        pytest.param(
            {"state": UNKNOWN, "copy_due_at": 5.0},
            OperatorRequest.DROP,
            {
                **{"state": FAILED, "dropped": True, "copy_due_at": 0.0},
                "reason": "dropped by an operator; it may have been sent",
            },
            id="what is dropped may have been sent",
        ),
        pytest.param(
            {"state": QUEUED, "recipients": (at(P),)},
            OperatorRequest.DROP,
            {
                **{"state": FAILED, "dropped": True, "reason": "dropped by an operator"},
                "recipients": (at(R, 0, "dropped by an operator"),),
            },
            id="what is dropped before it was sent has failed",
        ),
    ],
)
def test_what_a_request_makes_of_a_message(
    before: dict[str, object], request_: OperatorRequest, changes: dict[str, object]
) -> None:
    message = letter(FAILED)._replace(**before)  # type: ignore[arg-type]
    by_hand = {"reason": transitions.BY_HAND} if request_ is OperatorRequest.RETRY else {}
    after = apply_request(message, request_, NOW)
    assert after == message._replace(**{"changed_at": NOW, **by_hand, **changes})  # type: ignore[arg-type]


@table("limit", [0, -1, True, "3", 2.5])
@table("name", ["per_minute", "per_hour"])
def test_a_limit_is_a_number_of_messages(name: str, limit: object) -> None:
    with pytest.raises(ConfigurationError, match=f"SendLimits.{name}"):
        SendLimits(**{name: limit})  # type: ignore[arg-type]


def test_the_smallest_limit_is_one() -> None:
    assert SendLimits(1, 1).most == 1
