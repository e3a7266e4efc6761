"""Letters to hand in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from nornmail.compose.compose import Composed, Draft, compose
from nornmail.message.message import parse_message
from nornmail.smtp.transaction import Submission

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
ANN, BOB, CAT = "ann@example.org", "bob@example.org", "cat@example.org"


def letter(*recipients: str, text: str = "Hello.\n", **values: Any) -> Composed:
    """A letter to these, from the agent."""
    draft = Draft(
        sender="Agent <agent@example.com>",
        to=list(recipients) or [ANN],
        subject="Hello",
        text=text,
        **values,
    )
    return compose(draft, now=NOW, unique="letter-1")


def standings(found: Submission) -> str:
    """Everyone's standing by its first letter: a(ccepted), p(ending), r(efused), u(nknown)."""
    return "".join(one.status[0] for one in found.recipients)


def write(**values: Any) -> Composed:
    given = {"sender": "Agent <agent@example.com>", "to": ANN, "subject": "Hello", "text": "Hi.\n"}
    return compose(Draft(**(given | values)), now=NOW, unique="letter-1")


def field(made: Composed, name: str) -> str:
    """A field as it stands, unfolded; ``""`` where there is none."""
    return parse_message(made.raw).headers.raw(name)


def types(made: Composed) -> list[str]:
    """The media types of all parts, from the outside in."""
    return [part.get_content_type() for part in parse_message(made.raw).as_email().walk()]
