"""A client in IDLE, as the other threads see it."""

from __future__ import annotations

import socket


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
        """Give the pair of sockets back."""
        self.bell.close()
        self._rope.close()
