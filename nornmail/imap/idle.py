"""IDLE (RFC 2177): the server tells what happens in the selected mailbox while it happens.

It is ours on every Python: imaplib has one from 3.14 on, whose end waits without a deadline of its
own. Nothing here waits in a read. What is there is taken in, whole lines are read, and only when
nothing is left, neither in our buffer nor inside TLS, is there a wait for the socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nornmail.clock import Readable
from nornmail.errors import ConnectionLost
from nornmail.imap.limits import Budget
from nornmail.imap.responses import Exists, Expunge, Fetch, Tagged, Unknown, Untagged
from nornmail.imap.translate import translated
from nornmail.imap.wire import Wire
from nornmail.waker import Waker

DONE_TIMEOUT = 10.0
"""Seconds for the answer to DONE, at most: the server has nothing to do for it. A connection that
died during the IDLE is noticed here, since its silence was no sign, and whoever stops the poller
waits for it."""
IDLE_LINE = 64 * 1024
"""Octets of one line during IDLE. EXISTS has some twenty, a FETCH with all flags some hundred; what
drips in is looked through at each octet, so the bound is small."""

TICK = 0.001
"""Seconds that are not waited for any more: less is what rounding leaves."""

_NUMBERED = re.compile(rb"\*[ \t]+[0-9]+[ \t]")


@dataclass(frozen=True, slots=True)
class Idled:
    """How an IDLE went.

    Attributes:
        end: its tagged answer; NO or BAD when the server does not idle.
        untagged: what the server told.
        news: a look is worth while: something happened to a message, or the server ended the IDLE
            by itself, so that it would not have told.
    """

    end: Tagged
    untagged: list[Untagged]
    news: bool


def is_news(response: Untagged) -> bool:
    """Whether something happened to a message; ``* OK Still here`` is no news."""
    if isinstance(response, Unknown):  # RECENT, and what came with a number and is damaged
        return _NUMBERED.match(response.raw) is not None
    return isinstance(response, Exists | Expunge | Fetch)


def idle(wire: Wire, seconds: float, budget: Budget, wake: Waker | None) -> Idled:
    """Idle until there is news, ``wake`` rings, or ``seconds`` have passed.

    What the server said before the IDLE, and nobody read yet, counts.

    Args:
        wire: with a mailbox selected.
        seconds: for listening; the beginning and the end have a deadline each besides.
        budget: of the beginning; its timeout bounds the end as well.
        wake: ends the listening early.

    Raises:
        ConnectionLost: the connection is gone, or one of the deadlines passed.
        ProtocolError: what was said cannot be read safely.
    """
    with translated("IDLE"):
        tag = wire.begin("IDLE", budget)
        try:
            while not wire.advance() and wire.so_far[1] is None:
                pass
            if wire.so_far[1] is None:
                _listen(wire, seconds, budget.timeout, wake)
            untagged, early = wire.so_far
            if early is not None:
                return Idled(early, untagged, news=True)
            wire.extend(min(budget.timeout, DONE_TIMEOUT))
            wire.send(b"DONE\r\n")
            while wire.so_far[1] is None:
                wire.advance()
        finally:
            wire.strike(tag)
    untagged, end = wire.so_far
    if end is None:
        raise ConnectionLost("IDLE: the server gave no answer")
    return Idled(end, untagged, any(map(is_news, untagged)))


def _listen(wire: Wire, seconds: float, timeout: float, wake: Waker | None) -> None:
    """Read what comes, until it is news, the end, a ring or too late.

    A response is begun when its first line is whole. The rest of one that has literals is waited
    for, by a deadline that all of them share.
    """
    begin = wire.clock.monotonic()
    wire.extend(seconds + timeout)
    told = 0
    while True:
        untagged, end = wire.so_far
        if end is not None or any(map(is_news, untagged[told:])):
            return
        told = len(untagged)
        if wire.has_line:
            wire.advance()
            continue
        left = seconds - (wire.clock.monotonic() - begin)
        if left < TICK or (wake is not None and wake.awake):
            return
        if not wire.take_in(IDLE_LINE):
            readers: list[Readable] = [wire.sock] if wake is None else [wire.sock, wake]
            wire.clock.select(readers, left)
