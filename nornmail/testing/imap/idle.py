"""IDLE (RFC 2177): what happens in the selected mailbox is told while it happens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nornmail.testing.faults import IDLING
from nornmail.testing.imap.command import Command
from nornmail.testing.imap.grammar import BadSyntax, Cursor

if TYPE_CHECKING:
    from nornmail.testing.imap.session import Session

MAX_DONE = 1024
"""Octets of the line that ends it; more than DONE is a mistake anyway."""


class Idler:
    """A session in IDLE, as the other threads see it: they ring, and may leave words for it."""

    def __init__(self) -> None:
        # A pair of sockets, since the session waits for its client's socket at the same time.
        self.bell, self._rope = socket.socketpair()
        self.bell.setblocking(False)
        self._rope.setblocking(False)
        self._words: list[bytes] = []

    def ring(self) -> None:
        """There is news."""
        try:
            self._rope.send(b"!")
        except BlockingIOError:
            return  # it rings already, and loudly

    def say(self, words: bytes) -> None:
        """Leave octets that are sent as they are."""
        self._words.append(words)
        self.ring()

    def hear(self) -> bytes:
        """Silence the bell and take the words."""
        try:
            while self.bell.recv(4096):
                continue
        except BlockingIOError:
            words, self._words[:] = b"".join(self._words), []
            return words
        raise RuntimeError("the rope was cut while the session idles")

    def close(self) -> None:
        self.bell.close()
        self._rope.close()


def idle(session: Session, tag: bytes, cursor: Cursor) -> str:
    """IDLE. Faults of the command DONE are carried out when the client ends it."""
    cursor.end()
    session.conn.write(IDLING)
    with _listening(session) as idler:
        _tell_until_spoken_to(session, idler)
    line = session.conn.read_line(MAX_DONE)
    if line.upper() != b"DONE":
        raise BadSyntax("expected DONE")
    replaced = session.arrange(tag, "DONE")
    if replaced is None:
        return "OK IDLE terminated"
    session.conn.write(replaced)
    return ""


@contextmanager
def _listening(session: Session) -> Iterator[Idler]:
    """Have an idler that hears of the mailbox; the client knows that it idles by then."""
    box, view = session.selected()
    state, idler = session.state, Idler()
    try:
        with box.lock:
            view.ring = idler.ring
        session.conn.flush()
        with state.idling:
            state.idlers.add(idler)
            state.idling.notify_all()
        yield idler
    finally:
        with state.idling:
            state.idlers.discard(idler)
        with box.lock:
            view.ring = None
        idler.close()


def _tell_until_spoken_to(session: Session, idler: Idler) -> None:
    box, view = session.selected()
    while True:
        with session.state.idling:
            words = idler.hear()
        with box.lock:
            gone, news = view.epoch.gone, view.news(expunges=True)
        session.conn.write(words + news)
        session.conn.flush()
        if gone:
            session.hang_up(b"IMAP session state is inconsistent, please relogin.")
        if session.conn.wait_for_client(idler.bell):
            return


COMMANDS = {"IDLE": Command(idle, "selected", capability="IDLE")}
"""The commands of this file."""
