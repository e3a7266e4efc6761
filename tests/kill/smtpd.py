"""An SMTP server for the kill test: one connection after the other, and it forgets nothing."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass, field
from io import BufferedReader
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds that anything here may take; it takes milliseconds."""
_MESSAGE_ID = re.compile(rb"^Message-ID: (<[^>]*>)", re.M)
_SUBJECT = re.compile(rb"^Subject: (.*?)\r?$", re.M)
_PATH = re.compile(rb"<([^>]*)>")


@dataclass
class Server:
    """A context manager.

    Inboxes that begin with ``full`` are refused with 552, and those that begin with ``grey``
    are put off with 450 the first time. A message whose subject begins with ``later`` is put off
    with 451 at its end, the first time.

    Attributes:
        taken: Message-ID and recipient of all that was accepted.
        connections: how many there were.
    """

    taken: list[tuple[str, str]] = field(default_factory=list)
    connections: int = 0
    _seen: set[bytes] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="kill-smtpd")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ask(b"STOP")
        self._thread.join(PATIENCE)
        self._listener.close()

    def settle(self) -> None:
        """Return when all that clients sent so far, who may be dead by now, is done."""
        self._ask(b"QUIT")

    def _ask(self, command: bytes) -> None:
        """One connection more: it is served when all before it are through."""
        with socket.create_connection((HOST, self.port), timeout=PATIENCE) as sock:
            sock.sendall(command + b"\r\n")
            while sock.recv(4_096):
                pass
        self.connections -= 1

    def _serve(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            self.connections += 1
            with sock, sock.makefile("rb") as lines:
                try:
                    if not self._converse(sock, lines):
                        return
                except OSError:  # the client was killed
                    continue

    def _converse(self, sock: socket.socket, lines: BufferedReader) -> bool:
        """Serve one client; ``False`` when it was the last one."""
        sock.sendall(b"220 smtp.example.com ESMTP\r\n")
        recipients: list[bytes] = []
        while line := lines.readline():
            if not line.endswith(b"\n"):
                break  # the client died in the middle of it
            verb = line[:4].upper()
            if verb in (b"QUIT", b"STOP"):
                sock.sendall(b"221 bye\r\n")
                return verb == b"QUIT"
            if verb == b"RCPT":
                sock.sendall(self._rcpt(line, recipients))
            elif verb == b"DATA":
                sock.sendall(b"354 go on\r\n")
                content = []
                while (part := lines.readline()) not in (b".\r\n", b""):
                    content.append(part)
                if not part:
                    break  # it fell before the final dot: nothing was taken
                sock.sendall(self._take(b"".join(content), recipients))
            else:
                if verb in (b"MAIL", b"RSET"):
                    recipients = []
                sock.sendall(b"250 OK\r\n")
        return True

    def _rcpt(self, line: bytes, recipients: list[bytes]) -> bytes:
        found = _PATH.search(line)
        assert found is not None, line
        address = found[1]
        if address.startswith(b"full"):
            return b"552 5.2.2 mailbox full\r\n"
        if address.startswith(b"grey") and self._first(address):
            return b"450 greylisted\r\n"
        recipients.append(address)
        return b"250 OK\r\n"

    def _take(self, content: bytes, recipients: list[bytes]) -> bytes:
        subject, message_id = _SUBJECT.search(content), _MESSAGE_ID.search(content)
        assert subject is not None
        assert message_id is not None
        if subject[1].startswith(b"later") and self._first(message_id[1]):
            return b"451 later\r\n"
        self.taken += [(message_id[1].decode(), one.decode()) for one in recipients]
        return b"250 OK taken\r\n"

    def _first(self, what: bytes) -> bool:
        first = what not in self._seen
        self._seen.add(what)
        return first
