"""The oracle bites: a poller that breaks one rule of the contract is found out."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nornmail.model import PutEntry, State
from nornmail.poller.actions import Actions
from nornmail.poller.delivery import Delivery
from nornmail.poller.fetch import Fetcher, MissingMessages
from nornmail.poller.ledger import Ledger
from tests.model.plan import Plan, plan_of
from tests.model.run import Violation, run

STEPS = 80
MOST_RUNS = 40
"""Seeds that a mutant may survive."""

Patch = pytest.MonkeyPatch


def no_durable_claim(patch: Patch) -> None:
    commit = Ledger.commit

    def later(ledger: Ledger, *changes: Any) -> None:
        if any(isinstance(one, PutEntry) and one.entry.state is State.CLAIMED for one in changes):
            ledger.later(*changes)
        else:
            commit(ledger, *changes)

    patch.setattr(Ledger, "commit", later)


def handled_is_not_written_down(patch: Patch) -> None:
    commit = Ledger.commit

    def forget(ledger: Ledger, *changes: Any) -> None:
        # A write that went no further than the page cache when the process was killed.
        ledger._pending = {k: c for k, c in ledger._pending.items() if not _is(c, State.HANDLED)}
        commit(ledger, *changes)

    patch.setattr(Ledger, "commit", forget)


def passes_over_what_is_not_given(patch: Patch) -> None:
    def missing(self: Any, connection: Any, uids: Any, stats: Any, *, reason: str = "") -> None:
        for uid in uids:
            entry = self._ledger.new_entry(uid)._replace(state=State.GONE, reason=reason)
            self._ledger.commit(PutEntry(entry))

    patch.setattr(MissingMessages, "settle", missing)


def plain_expunge(patch: Patch) -> None:
    patch.setattr(Actions, "_expunge", lambda self, connection, uids: connection._run("EXPUNGE"))


def touches_before_it_is_durable(patch: Patch) -> None:
    first = Delivery.deliver_new

    def flagged(self: Any, arrivals: Any, stats: Any) -> None:
        for arrival in arrivals:
            self.connection.add_flags(type(self.ledger.seen).of([arrival.uid]), ["\\Seen"])
        first(self, arrivals, stats)

    apply = Actions.apply

    def remember(self: Any, connection: Any) -> None:
        patch.setattr(Delivery, "connection", connection)
        apply(self, connection)

    patch.setattr(Delivery, "deliver_new", flagged)
    patch.setattr(Delivery, "connection", None, raising=False)
    patch.setattr(Actions, "apply", remember)


def recognises_nothing(patch: Patch) -> None:
    patch.setattr(Ledger, "find_by_digest", lambda self, header_digest: [])


def newest_first(patch: Patch) -> None:
    arrivals = Fetcher.batches

    def backwards(self: Any, *args: Any, **options: Any) -> Iterator[Any]:
        for batch in arrivals(self, *args, **options):
            yield batch[::-1]

    patch.setattr(Fetcher, "batches", backwards)


def moves_again_without_looking(patch: Patch) -> None:
    move = Actions._move
    patch.setattr(
        Actions,
        "_move",
        lambda self, connection, entries, target, *, again: move(
            self, connection, entries, target, again=False
        ),
    )


def deletes_what_is_truncated(patch: Patch) -> None:
    touch = Actions._touch
    patch.setattr(
        Actions,
        "_touch",
        lambda self, connection, entries, after: touch(
            self, connection, [entry._replace(truncated=False) for entry in entries], after
        ),
    )


def gives_up_early(patch: Patch) -> None:
    failed = Delivery._failed
    patch.setattr(
        Delivery,
        "_failed",
        lambda self, entry, reason: failed(self, entry, reason)._replace(
            state=State.DEAD, due_at=0.0
        ),
    )


def keeps_no_bytes(patch: Patch) -> None:
    later = Ledger.later
    patch.setattr(
        Ledger,
        "later",
        lambda self, *changes: later(self, *(PutEntry(change.entry) for change in changes)),
    )


def begins_no_new_epoch(patch: Patch) -> None:
    patch.setattr("nornmail.poller.uidvalidity.new_epoch_reason", lambda *_: "")


def _is(change: Any, state: State) -> bool:
    return isinstance(change, PutEntry) and change.entry.state is state


MUTANTS: list[tuple[Callable[[Patch], None], str, int]] = [
    (no_durable_claim, "its claim is not durable", 0),
    (handled_is_not_written_down, "before an earlier return is durable", 0),
    (passes_over_what_is_not_given, "is on the server and was settled as gone", 1),
    (plain_expunge, "vanished", 5),
    (touches_before_it_is_durable, "touches UID", 0),
    (recognises_nothing, "under 2 delivery ids", 2),
    (newest_first, "overtakes", 0),
    (moves_again_without_looking, "is in Archive 2 times", 21),
    (deletes_what_is_truncated, "truncated", 0),
    (gives_up_early, "is dead after 1 failures", 0),
    (keeps_no_bytes, "its bytes were not kept", 0),
    (begins_no_new_epoch, "was never on the server|was lost|taken for", 0),
]
"""A broken poller, what is found, and the seed that is tried first: one that found it before."""


@pytest.mark.parametrize(
    ("mutate", "found", "first"),
    MUTANTS,
    ids=[mutate.__name__.replace("_", " ") for mutate, *_ in MUTANTS],
)
def test_a_poller_that_breaks_a_rule_is_found_out(
    mutate: Callable[[Patch], None], found: str, first: int, monkeypatch: Patch
) -> None:
    monkeypatch.setattr(logging.getLogger("nornmail"), "disabled", True)
    mutate(monkeypatch)
    for seed in [first, *range(MOST_RUNS)]:
        violations = violations_of(plan_of(seed, STEPS))
        if any(re.search(found, one) for one in violations):
            return
    pytest.fail(f"{MOST_RUNS} runs found nothing")


def violations_of(plan: Plan) -> list[str]:
    try:
        run(plan)
    except Violation as violation:
        return violation.violations
    return []
