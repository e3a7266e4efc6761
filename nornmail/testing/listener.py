"""A listening socket on a free port and the thread that accepts from it."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable

BACKLOG = 128
"""Connections the system keeps waiting: more than any test opens at once."""


class Listener:
    """Accepts connections until it is stopped.

    Args:
        host: the address to bind to, as ``127.0.0.1``.
        on_connection: called in the accepting thread with each new socket, which it then owns.
    """

    def __init__(self, host: str, on_connection: Callable[[socket.socket], None]) -> None:
        self._on_connection = on_connection
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=BACKLOG)
        # A closed socket wakes no accept() on Linux, and shutdown() of a listening one fails
        # elsewhere: a pair of sockets wakes the thread everywhere.
        self._wake, self._woken = socket.socketpair()
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name=f"listener-{self.port}")
        self._thread.daemon = True
        self._thread.start()

    def stop(self) -> None:
        """Close the port and join the thread. A second call does nothing."""
        if self._wake.fileno() == -1:
            return
        self._wake.send(b"x")
        self._thread.join()
        for sock in (self._socket, self._wake, self._woken):
            sock.close()

    def _accept(self) -> None:
        self._socket.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._woken in ready:
                    return
                try:
                    sock, _ = self._socket.accept()
                except (BlockingIOError, ConnectionError):
                    continue  # the client gave up between select() and accept()
                sock.setblocking(True)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._on_connection(sock)
