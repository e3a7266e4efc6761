"""Letters to hand in."""

from __future__ import annotations

from datetime import UTC, datetime

from nornmail.letters import Envelope
from nornmail.smtp.compose import Composed, Draft, compose

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
ANN, BOB, CAT = "ann@example.org", "bob@example.org", "cat@example.org"


def letter(*recipients: str, text: str = "Hello.\n", **values: object) -> Composed:
    """A letter to these, from the agent."""
    draft = Draft(
        sender="Agent <agent@example.com>",
        to=list(recipients) or [ANN],
        subject="Hello",
        text=text,
        **values,  # type: ignore[arg-type]
    )
    return compose(draft, now=NOW, unique="letter-1")


def envelope(*recipients: str) -> Envelope:
    return letter(*recipients).envelope
