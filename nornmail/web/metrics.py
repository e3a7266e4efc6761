"""Metrics of a poller and a mailer, as text that Prometheus reads."""

from __future__ import annotations

import inspect
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from nornmail import Message, Outbox, Poller, StateStore
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
    "messages_total": ("counter", "attempts to handle incoming messages, by outcome"),
    "sent_messages_total": ("counter", "attempts to send messages, by outcome"),
    "connections_total": ("counter", "connections to the IMAP server"),
    "throttles_total": ("counter", "pauses that the IMAP server asked for"),
    "failed_polls_total": ("counter", "polls that failed, by cause"),
    "handler_seconds": ("histogram", "duration of the calls of the handler"),
    "messages_waiting": ("gauge", "incoming messages that wait for another attempt"),
    "messages_dead": ("gauge", "incoming messages that were given up"),
    "last_poll_age_seconds": ("gauge", "seconds since the last successful poll"),
    "poller_stalled": ("gauge", "1 if no poll has succeeded for many intervals"),
    "outbox_messages": ("gauge", "outgoing messages, by state"),
}
"""The type and the description of each metric, in the order of the text."""


class AccountMetrics:
    """Counts what happens to one account. A poller and a mailer take it as ``on_event``."""

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

        return self._timed()(handler)

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

    def samples(self, account: str) -> Iterator[tuple[str, str, object]]:
        """All samples: the metric's name, the sample's name with its labels, and the value."""
        with self._lock:
            counts, calls, seconds = Counter(self._counts), list(self._calls), self._seconds
        for metric, outcome in _COUNTED.values():
            labels = _labels(account=account, outcome=outcome)
            yield f"{metric}_total", f"{metric}_total{labels}", counts[metric, outcome]
        name, total = "handler_seconds", 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), calls, strict=True):
            total += count
            yield name, f"{name}_bucket{_labels(account=account, le=bound)}", total
        yield name, f"{name}_sum{_labels(account=account)}", f"{seconds:.6f}"
        yield name, f"{name}_count{_labels(account=account)}", total


class Metrics(AccountMetrics):
    """Counts what happens from now on, of one account or of several."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[str, AccountMetrics] = {}

    def of(self, account: str) -> AccountMetrics:
        """The metrics of one account of several, which are shown with its name."""
        return self._accounts.setdefault(account, AccountMetrics())

    def text(
        self, pollers: Sequence[Poller], outboxes: StateStore | None, *, by_account: bool
    ) -> str:
        """All metrics as text."""
        by_name = dict(self._accounts) or {"": self}
        samples = [sample for name, metrics in by_name.items() for sample in metrics.samples(name)]
        for poller in pollers:
            key = poller.mailbox
            labels = _labels(account=key.account, mailbox=key.mailbox) if by_account else ""
            samples += _gauges(poller, labels)
        if outboxes is not None:
            counts = Outbox(outboxes).counts()
            for state in STATES:
                sample = f"outbox_messages{_labels(state=state)}"
                samples.append(("outbox_messages", sample, counts[state]))
        lines: list[str] = []
        for name, (kind, help_text) in _HELP.items():
            values = [f"nornmail_{sample} {value}" for of, sample, value in samples if of == name]
            if values:
                lines += [f"# HELP nornmail_{name} {help_text}", f"# TYPE nornmail_{name} {kind}"]
                lines += values
        return "\n".join([*lines, ""])


def _gauges(poller: Poller, labels: str) -> Iterator[tuple[str, str, object]]:
    status = poller.status()
    age = "NaN"
    if status.last_poll_at is not None:
        age = f"{max((datetime.now(UTC) - status.last_poll_at).total_seconds(), 0.0):.3f}"
    for name, value in (
        ("messages_waiting", status.waiting),
        ("messages_dead", status.dead),
        ("last_poll_age_seconds", age),
        ("poller_stalled", int(status.stalled)),
    ):
        yield name, f"{name}{labels}", value


def _labels(**labels: str) -> str:
    """Labels as the text format has them; those without a value are left out."""
    shown = [f'{name}="{_escaped(value)}"' for name, value in labels.items() if value]
    return f"{{{','.join(shown)}}}" if shown else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
