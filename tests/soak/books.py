"""What was delivered, what is to become of it, and what did: the oracle of the soak.

A message is written off when its end was seen to be right, so that the books do not grow with the
time. What is handed over after that is in no book, and a breach.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from nornmail import Inbox, Message, Reject
from nornmail.events import Dead, Event

Role = Literal["handled", "retried", "rejected", "doomed"]
"""What a handler does with a message: return, raise a few times first, reject, always raise."""

INBOXES = ("support@example.com", "sales@example.com")
STRANGER = "nobody@example.com"
MOST_FAILING = 4
"""Messages that fail at one time: with one more the handler itself is taken to be down."""
MOST_DOOMED = 1
"""Of those, messages that never succeed: while the handler is taken to be down no try counts, and
somebody must be able to show that it is up."""
MOST_FAILURES = 2
"""Times that a retried message fails."""

_SERIAL = re.compile(rb"^Message-ID: <(\d+)@soak\.example>", re.MULTILINE)


class Trouble(Exception):
    """What a handler raises."""


@dataclass
class Part:
    """A message for one inbox."""

    role: Role
    failures: int = 0
    delivery_id: str = ""
    end: Literal["", "handled", "dead"] = ""


@dataclass
class Letter:
    """A message that was delivered.

    Attributes:
        parts: by inbox; none for mail that is for no inbox.
    """

    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return all(part.end for part in self.parts.values())

    @property
    def to_be_seen(self) -> bool:
        ends = {part.end for part in self.parts.values()}
        return ends == {"handled"}


class Books:
    """Thread-safe. ``figures`` are for the report, ``breaches`` are to be empty."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.figures: Counter[str] = Counter()
        self.events: Counter[str] = Counter()
        self.breaches: list[str] = []
        self.down_until = 0.0
        self._letters: dict[int, Letter] = {}
        self._by_id: dict[str, Part] = {}
        self._serial = 0

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        return tuple(Inbox(address, self._handler(address)) for address in INBOXES)

    def outstanding(self) -> int:
        """How many messages have yet to come to an end."""
        with self.changed:
            return sum(not letter.settled for letter in self._letters.values())

    def compose(self, recipients: tuple[str, ...], wanted: Role, failures: int, size: int) -> bytes:
        """Enter another message, and write it.

        Args:
            recipients: addresses; :data:`STRANGER` is nobody's.
            wanted: its role at the first of its inboxes; the others handle it.
            failures: of a retried one.
            size: characters of its text.
        """
        with self.changed:
            self._serial += 1
            letter = Letter()
            for at, inbox in enumerate(recipients):
                if inbox in INBOXES:
                    role = self._possible(wanted) if at == 0 else "handled"
                    letter.parts[inbox] = Part(role, failures if role == "retried" else 0)
                    self.figures[f"planned {role}"] += 1
            self._letters[self._serial] = letter
            self.figures["delivered"] += 1
            self.figures["unrouted"] += not letter.parts
            text = f"the text of {self._serial}\r\n" + "x" * 70 + "\r\n"
            return (
                f"From: kim@example.org\r\nTo: {', '.join(recipients)}\r\n"
                f"Subject: {self._serial}\r\nMessage-ID: <{self._serial}@soak.example>\r\n\r\n"
                + text
                * (1 + size // len(text))
            ).encode()

    def note(self, event: Event) -> None:
        """The poller's ``on_event``."""
        with self.changed:
            self.events[type(event).__name__] += 1
            if isinstance(event, Dead):
                self._died(event)
            self.changed.notify_all()

    def audit(self, flags: dict[int, bool]) -> list[int]:
        r"""Compare what is on the server with what is to be there.

        Args:
            flags: by serial, whether it is ``\Seen``; read before this is called.

        Returns:
            Serials that came to their end and to their flag.
        """
        done = []
        with self.changed:
            for serial, seen in flags.items():
                letter = self._letters[serial]
                if seen and not letter.to_be_seen:
                    self.breach(f"{serial} is \\Seen: {letter}")
                if letter.parts and letter.settled and seen == letter.to_be_seen:
                    done.append(serial)
        return done

    def unfinished(self, flags: dict[int, bool]) -> list[str]:
        """What has yet to come to its end, its flag included."""
        done = set(self.audit(flags))
        with self.changed:
            return [
                f"{serial}: {letter}"
                for serial, letter in self._letters.items()
                if letter.parts and serial not in done
            ]

    def unfinished_serials(self, flags: dict[int, bool]) -> set[str]:
        """The Message-IDs of what has yet to come to its end."""
        done = set(self.audit(flags))
        with self.changed:
            return {
                f"<{serial}@soak.example>"
                for serial, letter in self._letters.items()
                if letter.parts and serial not in done
            }

    def write_off(self, serials: list[int]) -> None:
        """Forget messages that came to their end."""
        with self.changed:
            for serial in serials:
                for part in self._letters.pop(serial).parts.values():
                    self._by_id.pop(part.delivery_id, None)

    def breach(self, what: str) -> None:
        with self.changed:
            self.breaches.append(what)

    def _possible(self, wanted: Role) -> Role:
        failing = [part for letter in self._letters.values() for part in letter.parts.values()]
        failing = [part for part in failing if not part.end and part.role in ("retried", "doomed")]
        doomed = sum(part.role == "doomed" for part in failing)
        if wanted == "doomed" and doomed >= MOST_DOOMED:
            wanted = "retried"
        return "handled" if wanted == "retried" and len(failing) >= MOST_FAILING else wanted

    def _handler(self, inbox: str) -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            with self.changed:
                self.figures["calls"] += 1
                self.figures["retries"] += message.attempt > 1
                self._handle(inbox, message)
                self.changed.notify_all()

        return handle

    def _handle(self, inbox: str, message: Message) -> None:
        letter = self._letters.get(serial_of(message.raw))
        part = letter.parts.get(inbox) if letter else None
        name = f"{message.message_id} for {inbox}"
        if part is None:
            self.breach(f"{name} is not its mail, or came to its end long ago")
            return
        if part.end:
            self.breach(f"{name} was handed over after its end: {part}")
        if part.delivery_id not in ("", message.delivery_id):
            self.breach(f"{name} has another delivery id: {message.delivery_id}, {part}")
        part.delivery_id = message.delivery_id
        self._by_id[message.delivery_id] = part
        if part.role == "rejected":
            raise Reject("as planned")
        if part.role == "doomed" or time.monotonic() < self.down_until:
            raise Trouble("as planned")
        if part.failures:
            part.failures -= 1
            raise Trouble("this time")
        part.end = "handled"
        self.figures["handled"] += 1

    def _died(self, event: Dead) -> None:
        part = self._by_id.get(event.delivery_id)
        if part is None or part.end or part.role not in ("rejected", "doomed"):
            self.breach(f"dead, and not as planned: {event}, {part}")
            return
        part.end = "dead"
        self.figures["dead"] += 1


def serial_of(raw: bytes) -> int:
    """Which message it is."""
    found = _SERIAL.search(raw)
    if found is None:
        raise AssertionError(f"no message of ours: {raw[:200]!r}")
    return int(found[1])
