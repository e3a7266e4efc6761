"""Metrics of a poller and a mailer, as text that Prometheus reads."""

from __future__ import annotations

import inspect
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from nornmail import Mailer, Message, Outbox, Poller
from nornmail.events import Event

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
BUCKETS: Final = (0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of handlers, in seconds: a model takes some, a database few."""
STATES: Final = ("queued", "held", "draft", "sending", "failed", "unknown")
"""States of outgoing messages that are not history."""
_COUNTED: Final = {
    "Handled": ("messages", "handled"),
    "Waiting": ("messages", "failed"),
    "Dead": ("messages", "dead"),
    "PassedOver": ("messages", "passed over"),
    "Gone": ("messages", "gone"),
    "OutboxSent": ("sent_messages", "sent"),
    "OutboxWaiting": ("sent_messages", "deferred"),
    "OutboxFailed": ("sent_messages", "failed"),
    "OutboxUnknown": ("sent_messages", "unknown"),
    "OutboxBounced": ("sent_messages", "bounced"),
    "Connected": ("connections", ""),
    "Throttling": ("throttles", ""),
    "Backoff": ("failed_polls", "connection"),
    "AuthFailed": ("failed_polls", "login"),
}
"""The counter that each event adds to, and the outcome that it stands for."""
_HELP: Final = {
    "messages": "attempts to handle incoming messages, by outcome",
    "sent_messages": "attempts to send messages, by outcome",
    "connections": "connections to the IMAP server",
    "throttles": "requests of the IMAP server to be left alone",
    "failed_polls": "polls that failed, by cause",
}


class Metrics:
    """Counts what happens from now on. A poller and a mailer take it as ``on_event``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._calls = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def __call__(self, event: Event) -> None:
        """Count an event."""
        counted = _COUNTED.get(type(event).__name__)
        if counted is not None:
            with self._lock:
                self._counts[counted] += 1

    def timing(self, handler: Callable[[Message], Any]) -> Callable[[Message], Any]:
        """The handler, with the duration of each of its calls measured."""
        if inspect.iscoroutinefunction(handler):

            async def timed_later(message: Message) -> Any:
                with self._timed():
                    return await handler(message)

            return timed_later

        def timed(message: Message) -> Any:
            with self._timed():
                return handler(message)

        return timed

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began_at = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - began_at
            with self._lock:
                self._calls[bisect_left(BUCKETS, seconds)] += 1
                self._seconds += seconds

    def text(self, poller: Poller, mailer: Mailer | None) -> str:
        """All metrics, with those that are read from the poller and its store."""
        with self._lock:
            counts, calls, seconds = Counter(self._counts), list(self._calls), self._seconds
        lines: list[str] = []
        for name, help_text in _HELP.items():
            lines += _head(f"{name}_total", "counter", help_text)
            outcomes = [outcome for metric, outcome in _COUNTED.values() if metric == name]
            lines += [
                f"nornmail_{name}_total{_label('outcome', outcome)} {counts[name, outcome]}"
                for outcome in outcomes
            ]
        return "\n".join([*lines, *_histogram(calls, seconds), *_gauges(poller, mailer), ""])


def _histogram(calls: list[int], seconds: float) -> Iterator[str]:
    name = "nornmail_handler_seconds"
    yield from _head("handler_seconds", "histogram", "duration of the calls of the handler")
    total = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), calls, strict=True):
        total += count
        yield f"{name}_bucket{_label('le', bound)} {total}"
    yield f"{name}_sum {seconds:.6f}"
    yield f"{name}_count {total}"


def _gauges(poller: Poller, mailer: Mailer | None) -> Iterator[str]:
    status = poller.status()
    age = "NaN"
    if status.last_poll_at is not None:
        age = f"{max((datetime.now(UTC) - status.last_poll_at).total_seconds(), 0.0):.3f}"
    for name, help_text, value in (
        ("messages_waiting", "incoming messages that wait for another attempt", status.waiting),
        ("messages_dead", "incoming messages that were given up", status.dead),
        ("last_poll_age_seconds", "seconds since the last successful poll", age),
        ("poller_stalled", "1 if no poll has succeeded for many intervals", int(status.stalled)),
    ):
        yield from _head(name, "gauge", help_text)
        yield f"nornmail_{name} {value}"
    if mailer is None:
        return
    yield from _head("outbox_messages", "gauge", "outgoing messages, by state")
    counts = Outbox(poller.store).counts()
    for state in STATES:
        yield f"nornmail_outbox_messages{_label('state', state)} {counts[state]}"


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP nornmail_{name} {help_text}", f"# TYPE nornmail_{name} {kind}"]


def _label(name: str, value: str) -> str:
    return f'{{{name}="{value}"}}' if value else ""
