"""smtplib, with reading and writing of our own: bounded, with a deadline, one reply per command.

smtplib's timeout holds for each read, so a server that drips one octet a second holds it up for
ever; it keeps what came before TLS began; and it reads whatever lies there as the next answer. So
its two public methods that touch the socket, ``send`` and ``getreply``, are replaced, as ``imap/``
does with imaplib. From smtplib come the commands and the reading of EHLO.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from typing import Final

from nornmail.clock import Clock
from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.net.tls import error_text
from nornmail.smtp.reply_codes import CLOSING, Response, ResponseReader

CHUNK: Final = 64 * 1024
"""Octets that are read or written at once."""
MIN_RATE: Final = 8 * 1024
"""Octets a second below which sending is taken to hang, beyond the timeout: a bad mobile link."""


class Wire(smtplib.SMTP):
    """One connection.

    Args:
        sock: connected, and inside TLS where it comes first.
        host: the server's name, which its certificate must have.
        helo: how we call ourselves.
        seconds: that a command may take.
        clock: for deadlines.
    """

    sock: socket.socket | None

    def __init__(
        self, sock: socket.socket, host: str, helo: str, seconds: float, clock: Clock
    ) -> None:
        super().__init__(local_hostname=helo)
        self.sock = sock
        self.host = host
        self.seconds = seconds
        self._clock = clock
        self._until = 0.0
        self._reader = ResponseReader()
        self.expect()

    # Time

    def expect(self, seconds: float | None = None) -> None:
        """From now on the server has this long to answer; ``None`` is what a command has."""
        self._until = self._clock.monotonic() + (self.seconds if seconds is None else seconds)

    def remaining(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            TimeoutError: none are.
        """
        left = self._until - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    # Commands

    def command(self, line: str, seconds: float | None = None) -> Response:
        """Say something and read the answer.

        Args:
            line: without its CRLF.
            seconds: that the answer may take, at most what every command may.

        Raises:
            ConnectionLost: the connection fell, or the server did not answer in time.
            ProtocolError: it spoke out of turn, or what it said is no reply.
        """
        self.expect(None if seconds is None else min(seconds, self.seconds))
        early = self.early()
        if early is not None:
            if early.code == CLOSING:  # idle for too long: it said so before we said anything
                return early
            raise ProtocolError("the server answered what nobody asked")
        self.send(f"{line}\r\n")
        return self.response()

    def send(self, s: bytes | str) -> None:  # type: ignore[override]  # nothing else is sent
        """Send octets; text is UTF-8, for addresses that need it.

        Raises:
            ConnectionLost: not everything went out in time.
        """
        octets = memoryview(s.encode() if isinstance(s, str) else s)
        sock = self._open_socket()
        try:
            while octets:
                sock.settimeout(self.remaining())
                octets = octets[sock.send(octets[:CHUNK]) :]
        except TimeoutError as error:
            raise ConnectionLost("the server takes nothing more in time") from error
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"the connection fell: {error_text(error)}") from error

    def send_content(self, octets: bytes) -> None:
        """Send octets that need time by their number.

        Raises:
            ConnectionLost: not everything went out in time.
        """
        self.expect(self.seconds + len(octets) / MIN_RATE)
        self.send(octets)

    # Replies

    def response(self) -> Response:
        """The next reply.

        Raises:
            ConnectionLost: the connection fell, or it did not come in time.
            ProtocolError: it is no reply.
        """
        sock = self._open_socket()
        while (found := self._reader.take()) is None:
            try:
                sock.settimeout(self.remaining())
                octets = sock.recv(CHUNK)
            except TimeoutError as error:
                raise ConnectionLost("the server did not answer in time") from error
            except (OSError, ValueError) as error:
                raise ConnectionLost(f"the connection fell: {error_text(error)}") from error
            if not octets:
                raise ConnectionLost("the server closed the connection")
            self._reader.feed(octets)
        return found

    def early(self) -> Response | None:
        """A reply that came before anything was asked; it waits for the rest of one that began.

        Raises:
            ConnectionLost: the connection fell.
            ProtocolError: it is no reply.
        """
        sock = self._open_socket()
        try:
            sock.settimeout(0.0)
            octets = sock.recv(CHUNK)
            if not octets:
                raise ConnectionLost("the server closed the connection")
            self._reader.feed(octets)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # nothing is there: the usual case
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"the connection fell: {error_text(error)}") from error
        return None if self._reader.is_empty else self.response()

    def getreply(self) -> tuple[int, bytes]:
        """A reply as smtplib's own methods want it."""
        found = self.response()
        return found.code, b"\n".join(found.lines)

    # TLS

    def begin_tls(self, wrapped: ssl.SSLSocket) -> None:
        """Go on inside TLS: nothing that was said before counts any more (RFC 3207, 4.2)."""
        self.sock = wrapped
        self._reader = ResponseReader()
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was read that belongs to no reply that was taken."""
        return self._reader.is_empty

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise ConnectionLost("the connection is closed")
        return self.sock
