"""Two agents that answer whatever comes write to each other: it ends by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nornmail import Mailer, MemoryStateStore, Message, Poller, ReplyRefused, parse_message
from nornmail.compose.policy import AnswerLimits
from tests.outbox.post import PostOffice, post_office

LIMIT = 2
"""Answers that a correspondent gets within an hour; each costs a login here."""
ROUNDS = 3 * LIMIT
"""Rounds in which the two look for mail: far more than they may answer."""


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as found:
        yield found


class Agent:
    """Answers every message, and notes what it was not allowed to answer."""

    def __init__(self, office: PostOffice, address: str, **reply: Any) -> None:
        self.refused: list[str] = []
        self.answered = 0
        self._reply = reply
        self.mailer = Mailer(
            office.settings(),
            store := MemoryStateStore(),
            sender=address,
            answer_limits=AnswerLimits(per_hour=LIMIT),
        )
        self.poller = Poller(
            office.add(address), store=store, on_message=self._handle, start_from="all"
        )

    def _handle(self, message: Message) -> None:
        try:
            self.mailer.reply(message, "I see. Tell me more?", **self._reply)
            self.answered += 1
        except ReplyRefused as error:
            self.refused += [refusal.kind for refusal in error.refusals]

    def close(self) -> None:
        self.poller.close()
        self.mailer.close()


def play(office: PostOffice, **reply: Any) -> tuple[Agent, Agent]:
    """Two agents; the first is written to by the second, whose program began it."""
    ann, bob = (Agent(office, f"{name}@example.com", **reply) for name in ("ann", "bob"))
    bob.mailer.send("ann@example.com", "hello", "What do you think?")
    bob.mailer.flush()
    for _ in range(ROUNDS):
        ann.poller.poll_once()
        bob.poller.poll_once()
    ann.close()
    bob.close()
    return ann, bob


def test_an_answer_of_an_agent_is_not_answered(office: PostOffice) -> None:
    ann, bob = play(office)
    assert (ann.answered, bob.answered) == (1, 0)
    assert "auto-reply" in bob.refused
    assert len(office.envelopes) == 2
    answer = parse_message(office.envelopes[1][2])
    assert answer.headers.get("Auto-Submitted") == "auto-replied"


def test_agents_whose_answers_are_not_marked_stop_at_the_limit(office: PostOffice) -> None:
    ann, bob = play(office, approved=True)
    assert ann.answered == LIMIT
    assert bob.answered <= LIMIT
    assert ann.refused == ["rate"]
    assert len(office.envelopes) == 1 + ann.answered + bob.answered


def test_an_agent_does_not_answer_its_own_message_that_comes_back(office: PostOffice) -> None:
    ann = Agent(office, "ann@example.com")
    ann.mailer.send("list@example.com", "hello", "hello")
    ann.mailer.flush()
    (_, _, raw) = office.envelopes[0]
    # A relay that writes another sender over ours, and nothing that says that it is a list.
    copy = raw.replace(b"From: ann@example.com", b"From: relay@example.org")
    assert copy != raw
    office.imap.deliver(copy, user="ann@example.com")
    ann.poller.poll_once()
    assert (ann.answered, ann.refused) == (0, ["own-message"])
    ann.close()


@pytest.mark.parametrize(
    "breach",
    [lambda mailer: setattr(mailer._enqueuer, "refuse_loops", lambda *_, **__: None)],
    ids=["no check at all"],
)
def test_without_the_check_they_would_not_stop(
    office: PostOffice, breach: Callable[[Mailer], None]
) -> None:
    ann, bob = (Agent(office, f"{name}@example.com") for name in ("ann", "bob"))
    for agent in (ann, bob):
        breach(agent.mailer)
    bob.mailer.send("ann@example.com", "hello", "What do you think?")
    bob.mailer.flush()
    for _ in range(2):
        ann.poller.poll_once()
        bob.poller.poll_once()
    assert (ann.answered, bob.answered) == (2, 2)
    ann.close()
    bob.close()
