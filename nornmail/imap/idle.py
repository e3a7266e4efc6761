"""IDLE (RFC 2177): the server reports what happens in the selected mailbox while it happens.

It is ours on every Python: imaplib has one from 3.14 on, whose end waits without a deadline of its
own. Nothing waits in a read while it listens: what has arrived is taken in, whole responses are
read, and an unfinished one stays for later. The only wait is for the socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nornmail.clock import Readable, Waker
from nornmail.imap.limits import CommandBudget
from nornmail.imap.responses import Exists, Expunge, Fetch, Tagged, Unknown, Untagged
from nornmail.imap.wire import Wire

DONE_TIMEOUT = 10.0
"""Seconds for the answer to DONE, at most: the server has nothing to do for it. A connection that
died during the IDLE is noticed here, since its silence was no sign, and the caller of ``stop()``
waits for it."""
IDLE_LINE = 64 * 1024
"""Octets of one line during IDLE. EXISTS has some twenty, a FETCH with all flags some hundred."""
TICK = 0.001
"""Seconds that are not waited for any more: less is what rounding leaves."""

_NUMBERED = re.compile(rb"\*[ \t]+[0-9]+[ \t]")


@dataclass(frozen=True, slots=True)
class Idled:
    """The result of an IDLE.

    Attributes:
        end: its tagged answer; NO or BAD when the server does not idle.
        untagged: what the server reported.
        news: a look is worth while: something happened to a message, or the server ended the IDLE
            by itself, so that it would not have reported it.
    """

    end: Tagged
    untagged: list[Untagged]
    news: bool


def is_news(response: Untagged) -> bool:
    """Whether something happened to a message; ``* OK Still here`` is not news."""
    if isinstance(response, Unknown):  # RECENT, and what came with a number and is damaged
        return _NUMBERED.match(response.raw) is not None
    return isinstance(response, Exists | Expunge | Fetch)


def idle(wire: Wire, seconds: float, budget: CommandBudget, wake: Waker | None) -> Idled:
    """Idle until there is news, ``wake`` rings, or ``seconds`` have passed.

    Responses from before the IDLE that were not read yet count.

    Args:
        seconds: for listening; the beginning and the end have a deadline of their own each.
        budget: of the beginning; its timeout bounds the end as well.
    """
    with wire.closing_on_error("IDLE"):
        wire.begin("IDLE", budget=budget, line=IDLE_LINE)
        while not wire.advance() and wire.pending[1] is None:
            pass
        if wire.pending[1] is None:
            _listen(wire, seconds, wake)
        untagged, end = wire.pending
        if end is not None:
            return Idled(end, untagged, news=True)
        wire.set_deadline(min(budget.timeout, DONE_TIMEOUT))
        wire.send(b"DONE\r\n")
        while (end := wire.pending[1]) is None:
            wire.advance()
        return Idled(end, untagged, any(map(is_news, untagged)))


def _listen(wire: Wire, seconds: float, wake: Waker | None) -> None:
    """Read what comes, until it is news, the end, a ring or too late."""
    begin = wire.clock.monotonic()
    read = 0
    while True:
        untagged, end = wire.pending
        if end is not None or any(map(is_news, untagged[read:])):
            return
        read = len(untagged)
        if wire.take_available():
            continue
        left = seconds - (wire.clock.monotonic() - begin)
        if left < TICK or (wake is not None and wake.awake):
            return
        if not wire.receive_available():
            readers: list[Readable] = [wire.sock] if wake is None else [wire.sock, wake]
            wire.clock.select(readers, left)
