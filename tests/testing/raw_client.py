"""A client that sees every octet: the tests' own reader of IMAP answers."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Self

from nornmail.testing import MailServer

USER, PASSWORD = "agent@example.com", "secret word"
TIMEOUT = 20.0
"""Seconds until a test that hangs fails."""
PAUSE = 0.001
"""Between two looks at a server that says nothing."""


def until_connected(server: MailServer, count: int) -> None:
    """Return when the server has taken so many connections, of which it may greet none."""
    deadline = time.monotonic() + TIMEOUT
    pause = threading.Event()
    while server.live_connections < count:
        assert time.monotonic() < deadline
        pause.wait(PAUSE)


class RawClient:
    """Sends octets, reads octets."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock = socket.create_connection((host, port), timeout=TIMEOUT)
        self.rest = b""
        self.tags = 0
        if context is not None:
            self.start_tls(context)

    @classmethod
    def hear(cls, server: MailServer) -> bytes:
        """Connect and give all that the server says. A reset may show as early as connecting."""
        with cls(server.host, server.imap_port) as client:
            return client.all()

    @classmethod
    def to(cls, server: MailServer, *, login: bool = True, mailbox: str | None = "INBOX") -> Self:
        """Connected, and unless told otherwise logged in and in INBOX."""
        client = cls(server.host, server.imap_port)
        client.line()
        if login:
            assert b" OK" in client.command(f'LOGIN {USER} "{PASSWORD}"'.encode())
        if login and mailbox is not None:
            assert b" OK" in client.command(f"SELECT {mailbox}".encode())
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line with its CRLF and the literals in it; b"" at the end of the stream."""
        line = self._plain_line()
        while (marker := re.search(rb"\{([0-9]+)\}\r\n\Z", line)) is not None:
            line += self.exactly(int(marker[1])) + self._plain_line()
        return line

    def exactly(self, size: int) -> bytes:
        while len(self.rest) < size and self._fill():
            continue
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def all(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._fill():
            continue
        data, self.rest = self.rest, b""
        return data

    def command(self, text: bytes) -> bytes:
        """Send a command with a fresh tag; its whole answer, with the tag replaced by ``tag``."""
        return self.answer(self.start(text))

    def start(self, text: bytes) -> bytes:
        """Send a command with a fresh tag, and give the tag."""
        self.tags += 1
        tag = b"t%d" % self.tags
        self.send(tag + b" " + text + b"\r\n")
        return tag

    def answer(self, tag: bytes) -> bytes:
        """The lines up to the tagged one."""
        lines: list[bytes] = []
        while True:
            line = self.line()
            if line.startswith(tag + b" "):
                return b"".join(lines) + b"tag" + line.removeprefix(tag)
            lines.append(line)
            if not line:
                return b"".join(lines)

    def _plain_line(self) -> bytes:
        while b"\n" not in self.rest and self._fill():
            continue
        line, newline, self.rest = self.rest.partition(b"\n")
        return line + newline

    def _fill(self) -> bool:
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)
