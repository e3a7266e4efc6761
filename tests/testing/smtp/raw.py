"""A client that sees every octet: the tests' own reader of SMTP answers."""

from __future__ import annotations

import base64
import socket
import ssl
from types import TracebackType
from typing import Self

from nornmail.testing import MailServer

USER, PASSWORD, TOKEN = "agent@example.com", "secret word", "a-token"
TIMEOUT = 20.0
"""Seconds until a test that hangs fails."""
MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def encoded(text: str) -> bytes:
    return base64.b64encode(text.encode())


PLAIN = encoded(f"\0{USER}\0{PASSWORD}")
XOAUTH2 = encoded(f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01")
OAUTHBEARER = encoded(f"n,a={USER},\x01host=x\x01port=25\x01auth=Bearer {TOKEN}\x01\x01")


class RawClient:
    """Sends octets, reads octets. It may be made before the greeting is read."""

    def __init__(self, server: MailServer) -> None:
        self.sock: socket.socket = socket.create_connection(
            (server.host, server.smtp_port), timeout=TIMEOUT
        )
        self.rest = b""

    @classmethod
    def to(cls, server: MailServer, *, hello: bytes = b"EHLO me") -> Self:
        """Connected and greeted; no EHLO is said for b""."""
        client = cls(server)
        assert client.reply().startswith(b"220 ")
        if hello:
            assert client.command(hello).startswith(b"250")
        return client

    @classmethod
    def hear(cls, server: MailServer, data: bytes = b"") -> bytes:
        """Say something at once and give all that the server says."""
        with cls(server) as client:
            if data:
                client.send(data)
            return client.all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def start_tls(self, server: MailServer) -> None:
        context = ssl.create_default_context(cafile=server.ca_file)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def command(self, line: bytes) -> bytes:
        """Send a line; the whole reply to it."""
        self.send(line + b"\r\n")
        return self.reply()

    def codes(self, *lines: bytes) -> list[int]:
        """The codes of the replies to these lines, one after the other."""
        return [int(self.command(line)[:3]) for line in lines]

    def begin(self, *recipients: bytes) -> None:
        """Everything up to the message."""
        lines = [b"MAIL FROM:<a@example.org>"]
        lines += [b"RCPT TO:<%b>" % one for one in recipients or (b"b@example.org",)]
        assert self.codes(*lines, b"DATA") == [250] * len(lines) + [354]

    def reply(self) -> bytes:
        """The lines of the next reply; b"" at the end of the stream."""
        lines = b""
        while True:
            line = self.line()
            lines += line
            if line[3:4] != b"-":
                return lines

    def line(self) -> bytes:
        while b"\n" not in self.rest and self._fill():
            continue
        line, newline, self.rest = self.rest.partition(b"\n")
        return line + newline

    def all(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._fill():
            continue
        data, self.rest = self.rest, b""
        return data

    def _fill(self) -> bool:
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)
