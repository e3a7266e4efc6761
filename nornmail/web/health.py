"""Whether all is well, for whoever watches: pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from nornmail import Status
from nornmail.web.http import Answer

WELL = frozenset({"starting", "connecting", "polling", "idle", "standing_by"})
"""The states of a poller in which nothing is wrong."""


def health(status: Status, *, details: bool) -> Answer:
    """The answer to ``GET /healthz``: 200 and healthy, or 503 and why not.

    Args:
        status: the poller's.
        details: whether the one who asks may see the reason, which can name hosts and accounts.
    """
    well = status.state in WELL and not status.stalled
    body: dict[str, Any] = {"status": "healthy" if well else "unhealthy"}
    if details:
        why = "" if well else status.reason
        if status.stalled:
            why = why or "no look at the mailbox has succeeded for many intervals"
        body |= {
            "state": str(status.state),
            "since": status.since.isoformat(),
            "reason": why,
            "last_poll_at": status.last_poll_at and status.last_poll_at.isoformat(),
            "waiting": status.waiting,
            "dead": status.dead,
        }
    return Answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, body)
