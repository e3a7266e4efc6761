"""The surroundings of a poller's parts, for tests of one part alone."""

from __future__ import annotations

import random

from nornmail.clock import Clock, StatusTracker
from nornmail.events import EventEmitter, OnEvent
from nornmail.poller.status import Context, PollerState


def context(clock: Clock, on_event: OnEvent | None = None) -> Context:
    """A context with a fixed seed."""
    status = StatusTracker(clock, PollerState.STOPPED)
    return Context(clock, random.Random(1), EventEmitter(on_event), status)
