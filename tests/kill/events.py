"""What a process of the kill test writes down while it lives, for the one who judges it."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass, fields
from pathlib import Path

from nornmail.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a trace.

    Attributes:
        kind: what it is about: ``commit``, ``lease``, ``file``, ``statement``, ``command`` and
            ``handler`` are instants; ``call`` and ``outcome`` are the handler's own account, and
            ``query`` is a statement that PostgreSQL was sent, or was to be.
        when: ``before``, ``within`` or ``after``; of an outcome, which one.
        text: what was done, for a person.
        number: of the instant, from 1; 0 for what is none.
        wall: the process's clock.
        states: of a commit, the UIDs and the states it gives them.
            Of several inboxes' mail a UID is :func:`tests.kill.scenario.name_of` it.
        uid, attempt, delivery_id, raw: of a call, the message's; ``raw`` is a hash.
    """

    kind: str
    when: str = ""
    text: str = ""
    number: int = 0
    wall: float = 0.0
    states: tuple[tuple[int, str], ...] = ()
    uid: int = 0
    attempt: int = 0
    delivery_id: str = ""
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.when} {self.text}"


NAMES = [field.name for field in fields(Event)]


class Trace:
    """A file of events. What was noted outlives a SIGKILL: the kernel has it."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._clock = clock
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def note(self, event: Event) -> None:
        values = {name: getattr(event, name) for name in NAMES} | {"wall": self._clock.wall()}
        line = json.dumps(values)
        os.write(self._fd, line.encode("ascii") + b"\n")

    def close(self) -> None:
        os.close(self._fd)


def read_trace(path: Path) -> list[Event]:
    events = []
    for line in path.read_text("ascii").splitlines():
        value = json.loads(line)
        value["states"] = tuple((uid, state) for uid, state in value["states"])
        events.append(Event(**value))
    return events


class Instants:
    """Counts the instants that the process comes by, and kills it at one of them.

    Args:
        trace: where they are noted, the last one too.
        kill_at: the number of the instant; 0 for none.
    """

    def __init__(self, trace: Trace, kill_at: int) -> None:
        self.trace = trace
        self._kill_at = kill_at
        self._count = 0
        self._lock = threading.Lock()

    def reach(
        self, kind: str, when: str, text: str, states: tuple[tuple[int, str], ...] = ()
    ) -> None:
        with self._lock:  # no other thread comes by an instant after the last one
            self._count += 1
            number = self._count
            self.trace.note(Event(kind=kind, when=when, text=text, number=number, states=states))
            if number == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
