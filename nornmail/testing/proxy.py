"""A TCP proxy that stands before a real server and breaks what passes through it."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Literal, Self

from nornmail.testing.service import Listener

Direction = Literal["server", "client"]
"""The sender of octets: ``server`` is the direction to the client."""

Rule = Callable[[bytes], bytes | None]
"""Gets a whole line with its line end; returns what is passed on, None for nothing."""

CHUNK = 65536
"""Octets read at once."""


class Proxy:
    """Passes connections on to ``target_host:target_port``. A context manager.

    Args:
        tls_server: certificate and key file; the client then speaks TLS to the proxy.
        tls_client: the proxy then speaks TLS to the server, checked against ``target_host``.

    Attributes:
        refuse: while True, new connections are closed at once.
        connections: how many were passed on.
        bytes_up, bytes_down: plain octets sent to the server and to the client.
    """

    def __init__(
        self,
        target_host: str,
        target_port: int,
        *,
        tls_server: tuple[str, str] | None = None,
        tls_client: ssl.SSLContext | None = None,
    ) -> None:
        self._target = (target_host, target_port)
        self._tls_server: ssl.SSLContext | None = None
        if tls_server is not None:
            self._tls_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls_server.load_cert_chain(*tls_server)
        self._tls_client = tls_client
        self.refuse = False
        self.connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._lock = threading.Lock()
        self._cuts: list[tuple[Direction, int]] = []
        self._rules: dict[Direction, Rule] = {}
        self._live: dict[_Link, threading.Thread] = {}
        self._listener: Listener | None = None

    def __enter__(self) -> Self:
        self._listener = Listener("127.0.0.1", self._take)
        return self

    def __exit__(self, *error: object) -> None:
        if self._listener is not None:
            self._listener.stop()
        self.kick()
        with self._lock:
            threads = list(self._live.values())
        for thread in threads:
            thread.join()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that a client connects to."""
        if self._listener is None:
            raise RuntimeError("the proxy has not been started")
        return self._listener.port

    def cut_after(self, direction: Direction = "server", nbytes: int = 0) -> None:
        """Break the next connection once ``nbytes`` plain octets of this speaker were passed on.

        Several calls are for several connections, in their order.
        """
        with self._lock:
            self._cuts.append((direction, nbytes))

    def rewrite(self, rule: Rule | None, direction: Direction = "server") -> None:
        """Send every line of this speaker through ``rule``; None ends that.

        A line is passed on only when it is whole, literals' lines as well.
        """
        with self._lock:
            if rule is None:
                self._rules.pop(direction, None)
            else:
                self._rules[direction] = rule

    def kick(self) -> None:
        """Break every live connection."""
        with self._lock:
            for link in self._live:
                link.hang_up()

    def _take(self, sock: socket.socket) -> None:
        if self.refuse:
            sock.close()
            return
        with self._lock:
            self.connections += 1
            cut = self._cuts.pop(0) if self._cuts else None
            link = _Link(sock, self._apply, self._count, cut)
            thread = threading.Thread(target=self._serve, args=(link,), daemon=True)
            self._live[link] = thread
        thread.start()

    def _serve(self, link: _Link) -> None:
        """A connection's thread. An error on either side ends both, as a broken line would."""
        try:
            link.open("server", socket.create_connection(self._target))
            if self._tls_client is not None:
                link.secure("server", self._tls_client, self._target[0])
            if self._tls_server is not None:
                link.secure("client", self._tls_server, None)
            link.pump()
        except OSError:
            link.hang_up()  # a side is gone: the other is to notice
        finally:
            link.close()
            with self._lock:
                del self._live[link]

    def _apply(self, speaker: Direction, line: bytes) -> bytes:
        rule = self._rules.get(speaker)
        return line if rule is None else rule(line) or b""

    def _count(self, speaker: Direction, octets: int) -> bool:
        """Count what is passed on; return whether to gather lines of this speaker."""
        with self._lock:
            if speaker == "server":
                self.bytes_down += octets
            else:
                self.bytes_up += octets
        return speaker in self._rules


_OTHER: dict[Direction, Direction] = {"server": "client", "client": "server"}


class _Link:
    """A client, a server, and what passes between them. One thread pumps; any may hang up."""

    def __init__(
        self,
        client: socket.socket,
        apply: Callable[[Direction, bytes], bytes],
        count: Callable[[Direction, int], bool],
        cut: tuple[Direction, int] | None,
    ) -> None:
        self._apply = apply
        self._count = count
        self._lock = threading.Lock()
        self._sockets: dict[Direction, socket.socket] = {"client": client}
        self._hung_up = False
        self._cut = cut
        self._broken = False
        self._passed: dict[Direction, int] = {"server": 0, "client": 0}
        self._partial: dict[Direction, bytes] = {"server": b"", "client": b""}

    def open(self, side: Direction, sock: socket.socket) -> None:
        """Take over a connected socket."""
        with self._lock:
            self._sockets[side] = sock
            if self._hung_up:
                raise ConnectionAbortedError("hung up")

    def secure(self, side: Direction, context: ssl.SSLContext, name: str | None) -> None:
        """Do the TLS handshake with one side; ``name`` is the server's where it is one."""
        with self._lock:
            if self._hung_up:
                raise ConnectionAbortedError("hung up")
            secured = context.wrap_socket(
                self._sockets[side],
                server_side=name is None,
                server_hostname=name,
                do_handshake_on_connect=False,
            )
            self._sockets[side] = secured
        secured.do_handshake()

    def hang_up(self) -> None:
        """End both sides; the pumping thread sees the end."""
        with self._lock:
            self._hung_up = True
            for sock in self._sockets.values():
                _shut_down(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both sockets."""
        with self._lock:
            for sock in self._sockets.values():
                sock.close()

    def pump(self) -> None:
        """Pass octets on until both sides have ended.

        One thread does both directions: a TLS object must not be read and written at once.
        """
        self._break_if_due()
        with selectors.DefaultSelector() as selector:
            for speaker, sock in self._sockets.items():
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_READ, speaker)
            while selector.get_map():
                for key, _ in selector.select():
                    if self._drain(key.data):
                        selector.unregister(key.fileobj)

    def _drain(self, speaker: Direction) -> bool:
        """Pass on what a side has sent by now; return whether it has ended."""
        while True:
            try:
                data = self._sockets[speaker].recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            if not data:
                self._pass_on(speaker, self._partial[speaker])
                _shut_down(self._sockets[_OTHER[speaker]], socket.SHUT_WR)
                return True
            self._pass_on(speaker, self._ruled(speaker, data))

    def _ruled(self, speaker: Direction, data: bytes) -> bytes:
        data = self._partial[speaker] + data
        self._partial[speaker] = b""
        if not self._count(speaker, 0):
            return data
        whole, newline, self._partial[speaker] = data.rpartition(b"\n")
        lines = (whole + newline).split(b"\n")[:-1]
        return b"".join(self._apply(speaker, line + b"\n") for line in lines)

    def _pass_on(self, speaker: Direction, data: bytes) -> None:
        if self._broken:
            return  # the line is cut: later octets are lost
        if self._cut is not None and self._cut[0] == speaker:
            data = data[: self._cut[1] - self._passed[speaker]]
        self._passed[speaker] += len(data)
        self._count(speaker, len(data))
        sink = self._sockets[_OTHER[speaker]]
        sink.setblocking(True)
        sink.sendall(data)
        sink.setblocking(False)
        self._break_if_due()

    def _break_if_due(self) -> None:
        """End both directions, but read on: unread input would reset and lose what was sent."""
        if self._cut is not None and self._passed[self._cut[0]] >= self._cut[1]:
            self._broken = True
            for sock in self._sockets.values():
                _shut_down(sock, socket.SHUT_WR)


def _shut_down(sock: socket.socket, how: int) -> None:
    """Shut a socket down below its TLS; nothing to do when it is not connected any more."""
    try:
        socket.socket.shutdown(sock, how)
    except OSError:
        return
