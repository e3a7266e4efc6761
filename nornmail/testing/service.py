"""A port, and a thread for each connection that comes in; stopped, nothing of it is left."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable

from nornmail.testing.connection import Connection, Dropped, reset_at_close
from nornmail.testing.state import ServerState

BACKLOG = 128
"""Connections the system keeps waiting: more than any test opens at once."""


class Listener:
    """Accepts connections until it is stopped.

    Args:
        on_connection: called in the accepting thread with each new socket, which it then owns.
    """

    def __init__(
        self, host: str, on_connection: Callable[[socket.socket], None], port: int = 0
    ) -> None:
        self._on_connection = on_connection
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=BACKLOG)
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


class Service:
    """A listening port that serves each connection in a thread of its own.

    Args:
        name: of the protocol, for the threads.
        port: the port; 0 is a free one, which it keeps when it is started again.
        state: the transcript, the errors and the stop of the whole server.
        serve: talks to one client, until Dropped or an OSError says that the connection is over.
        label: what the transcript calls a connection, of its number.
        counted: called with the number of open connections when it changes, under the lock.

    Attributes:
        refuse_connections: while True, new connections are reset at once.
        refused, connections: how many were reset, and how many were taken.
    """

    def __init__(
        self,
        name: str,
        host: str,
        port: int,
        state: ServerState,
        serve: Callable[[Connection], None],
        *,
        label: Callable[[int], int | str],
        counted: Callable[[int], object] = lambda _: None,
    ) -> None:
        self.refuse_connections = False
        self.refused = 0
        self.connections = 0
        self._name = name
        self._host = host
        self._port = port
        self._state = state
        self._serve_client = serve
        self._label = label
        self._counted = counted
        self._listener: Listener | None = None
        self._live: dict[Connection, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The TCP port. RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the server has not been started")
        return self._port

    @property
    def live_connections(self) -> int:
        """The number of open connections."""
        with self._state.lock:
            return len(self._live)

    def start(self) -> None:
        """Open the port."""
        if self._listener is None:
            self._listener = Listener(self._host, self._take, self._port)
            self._port = self._listener.port

    def stop(self) -> None:
        """Close the port and every connection, and join the threads. A second call does nothing."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        self.disconnect()

    def disconnect(self) -> None:
        """Close every connection, and join the threads."""
        self.kick()
        with self._state.lock:
            threads = list(self._live.values())
        for thread in threads:
            thread.join()

    def kick(self) -> None:
        """Close every live connection, without a word."""
        with self._state.lock:
            live = list(self._live)
        for connection in live:
            connection.hang_up()

    def _take(self, sock: socket.socket) -> None:
        if self.refuse_connections:
            self.refused += 1
            reset_at_close(sock)
            sock.close()
            self._state.changes.announce()
            return
        state = self._state
        self.connections += 1
        number = self.connections
        conn = Connection(sock, self._label(number), state.transcript, state.stopping)
        thread = threading.Thread(
            target=self._serve, args=(conn,), name=f"{self._name}-{number}", daemon=True
        )
        with state.lock:
            self._live[conn] = thread
            conn.place = len(self._live)
            self._counted(conn.place)
        thread.start()
        self._state.changes.announce()

    def _serve(self, conn: Connection) -> None:
        """A connection's thread. What is not the client's leaving is kept for `raise_errors`."""
        reset = False
        why = "the client is gone"
        try:
            self._serve_client(conn)
        except Dropped as dropped:
            reset, why = dropped.reset, str(dropped)
        except OSError as gone:  # SSLError is one: a client that breaks off the handshake
            why = f"{why}: {gone}"
        except Exception as error:
            why = f"failed: {error!r}"
            self._state.errors.append(error)
        self._state.transcript.add(conn.number, "-", why.encode("utf-8", "replace") + b"\n")
        conn.close(reset=reset)
        with self._state.lock:
            del self._live[conn]
            self._counted(len(self._live))
        self._state.changes.announce()
