"""Who may log in at a private Postfix: the server's end of Dovecot's authentication protocol.

Postfix checks no passwords itself. It asks Cyrus SASL, which needs a package for each mechanism, or
a Dovecot; the protocol of the latter is a few lines of text, so nothing besides Postfix has to be
installed. Written after doc/auth-protocol.txt of Dovecot, version 1.2.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import os
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Generator

from tests.support.foreign import HOST

MECHANISMS = ("PLAIN", "LOGIN", "XOAUTH2")
TOKEN_REFUSED = b'{"status":"401","schemes":"bearer","scope":"mail"}'
_XOAUTH2 = re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([!-~]+)\x01\x01")

Exchange = Generator[bytes, bytes, tuple[str, str]]
"""Yields challenges, is sent responses, and returns user and password (or token)."""


def _plain(first: bytes | None) -> Exchange:
    said = (yield b"") if first is None else first
    parts = said.split(b"\0")
    return (parts[1].decode(), parts[2].decode()) if len(parts) == 3 else ("", "")


def _login(first: bytes | None) -> Exchange:
    user = (yield b"Username:") if first is None else first
    return user.decode(), (yield b"Password:").decode()


def _xoauth2(first: bytes | None) -> Exchange:
    said = _XOAUTH2.fullmatch((yield b"") if first is None else first)
    return (said[1].decode(), said[2].decode()) if said else ("", "")


_EXCHANGES: dict[str, Callable[[bytes | None], Exchange]] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "XOAUTH2": _xoauth2,
}


class _Handler(socketserver.StreamRequestHandler):
    """One smtpd process of Postfix, which asks about many clients, one after the other."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, AuthServer)
        lines = ["VERSION\t1\t2"]
        lines += [f"MECH\t{name}\tplaintext" for name in MECHANISMS]
        lines += [f"SPID\t{os.getpid()}", f"CUID\t{next(server.numbers)}", "COOKIE\t0", "DONE"]
        self._say(*lines)
        exchanges: dict[str, tuple[str, Exchange]] = {}
        for line in self.rfile:
            word, *fields = line.decode().rstrip("\n").split("\t")
            if word == "AUTH":
                number, mechanism, *parameters = fields
                given = [one[5:] for one in parameters if one.startswith("resp=")]
                first = _decoded(given[0]) if given else None
                exchanges[number] = mechanism, _EXCHANGES[mechanism](first)
                self._go_on(server, number, exchanges, None)
            elif word == "CONT":
                self._go_on(server, fields[0], exchanges, _decoded(fields[1]))

    def _go_on(
        self,
        server: AuthServer,
        number: str,
        exchanges: dict[str, tuple[str, Exchange]],
        response: bytes | None,
    ) -> None:
        mechanism, exchange = exchanges[number]
        try:
            challenge = next(exchange) if response is None else exchange.send(response)
        except StopIteration as done:
            del exchanges[number]
            user, secret = done.value
            if server.accepts(mechanism, user, secret):
                self._say(f"OK\t{number}\tuser={user}")
            elif mechanism == "XOAUTH2":  # a token's refusal is told in a challenge first
                exchanges[number] = "", _refused()
                self._go_on(server, number, exchanges, None)
            else:
                self._say(f"FAIL\t{number}\tuser={user}")
        else:
            self._say(f"CONT\t{number}\t{base64.b64encode(challenge).decode()}")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\n" for line in lines).encode())


def _refused() -> Exchange:
    yield TOKEN_REFUSED
    return "", ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


class AuthServer(socketserver.ThreadingTCPServer):
    """Answers Postfix on a port of the loopback, while it is a context manager.

    Attributes:
        password, token: what every user name may log in with.
        logins: every attempt, as ``(mechanism, user, succeeded)``.
    """

    daemon_threads = False
    block_on_close = True

    def __init__(self, password: str, token: str) -> None:
        self.password = password
        self.token = token
        self.logins: list[tuple[str, str, bool]] = []
        self.numbers = itertools.count(1)
        self._sockets: list[socket.socket] = []
        super().__init__((HOST, 0), _Handler)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="postfix-auth"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def accepts(self, mechanism: str, user: str, secret: str) -> bool:
        """Whether user and secret are right; the attempt is counted."""
        if not mechanism:
            return False
        right = self.token if mechanism == "XOAUTH2" else self.password
        good = bool(user) and secret == right
        self.logins.append((mechanism, user, good))
        return good

    def get_request(self) -> tuple[socket.socket, object]:
        """Keep the socket, so that it can be ended."""
        sock, address = super().get_request()
        self._sockets.append(sock)
        return sock, address

    def close(self) -> None:
        """End every connection and its thread."""
        self.shutdown()
        self._thread.join()
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # Postfix was faster
                sock.shutdown(socket.SHUT_RDWR)
        self.server_close()
