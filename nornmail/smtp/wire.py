"""smtplib, with reading and writing of our own: bounded, with a deadline, one reply per command.

smtplib's timeout holds for each read, so a server that drips one octet a second holds it up for
ever; it keeps what came before TLS began; and it reads whatever has arrived as the next reply. So
its two public methods that touch the socket, ``send`` and ``getreply``, are replaced, as ``imap/``
does with imaplib. From smtplib come the commands and the reading of EHLO.
"""

from __future__ import annotations

import math
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from nornmail.clock import Clock, Deadline
from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.net.redact import map_exceptions
from nornmail.net.tls import Abort, Endpoint, wrap
from nornmail.smtp.reply_codes import CLOSING, Reply, ReplyReader

CHUNK: Final = 64 * 1024
"""Octets that are read or written at once."""
MIN_RATE: Final = 8 * 1024
"""Octets a second below which sending is taken to hang, beyond the timeout: a bad mobile link."""


class Wire(smtplib.SMTP):
    """One connection.

    A method that sends or reads raises :class:`~nornmail.errors.ConnectionLost` when the connection
    is lost or a deadline passes, and :class:`~nornmail.errors.ProtocolError` when what comes is not
    a reply, or comes out of turn.

    Args:
        host: the server's name, which its certificate must have.
        seconds: that a command may take.
        deadline: of the greeting.
        abort: ends every wait for the server, from another thread.
    """

    sock: socket.socket | None

    def __init__(
        self,
        sock: socket.socket,
        host: str,
        helo: str,
        seconds: float,
        clock: Clock,
        deadline: Deadline,
        abort: Abort | None = None,
    ) -> None:
        super().__init__(local_hostname=helo)
        self.sock = sock
        self.host = host
        self.seconds = seconds
        self.deadline = deadline
        self._clock = clock
        self._abort = abort or Abort()
        self._reader = ReplyReader()

    def close(self) -> None:
        """Close the socket."""
        self._abort.detach()
        super().close()

    @contextmanager
    def not_aborted(self) -> Iterator[None]:
        """A block that is not aborted: content that is cut off may have been accepted."""
        self._abort.detach()
        try:
            yield
        finally:
            if self.sock is not None:
                self._abort.attach(self.sock)

    def set_deadline(self, seconds: float | None = None) -> None:
        """Begin a new deadline in so many seconds; ``None`` for the time of a command."""
        self.deadline = Deadline(self._clock, self.seconds if seconds is None else seconds)

    # Commands

    def command(self, line: str, seconds: float | None = None) -> Reply:
        """Send a command and read the reply.

        Args:
            seconds: that the reply may take, at most the time of every command.

        Raises:
            ConnectionLost: the connection is lost, or the server did not answer in time.
            ProtocolError: it spoke out of turn, or did not send a reply.
        """
        return self.send_commands([line], seconds) or self.read_reply()

    def send_commands(self, lines: Sequence[str], seconds: float | None = None) -> Reply | None:
        """Send commands whose replies are read afterwards, one by one (RFC 2920).

        Args:
            lines: each without its CRLF; one, unless the server offers PIPELINING.
            seconds: that the first reply may take, at most the time of every command.

        Returns:
            A reply with which the server closed the connection before: nothing was sent.

        Raises:
            ConnectionLost: the connection is lost.
            ProtocolError: the server spoke out of turn.
        """
        self.set_deadline(None if seconds is None else min(seconds, self.seconds))
        early = self.early_reply()
        if early is not None:
            if early.code == CLOSING:  # idle for too long: it said so before our command
                return early
            raise ProtocolError("unexpected reply: no command was pending")
        self.send("\r\n".join(lines) + "\r\n")
        return None

    def send(self, s: bytes | str) -> None:  # type: ignore[override]  # nothing else is sent
        """Send octets; text is UTF-8, for addresses that need it.

        Raises:
            ConnectionLost: not everything went out in time.
        """
        self._send(s.encode() if isinstance(s, str) else s, math.inf)

    def send_content(self, octets: bytes) -> None:
        """Send octets that need time by their number.

        A server that takes none of them for the time of a command hangs (RFC 5321, 4.5.3.2.5).

        Raises:
            ConnectionLost: not everything went out in time.
        """
        self.set_deadline(self.seconds + len(octets) / MIN_RATE)
        self._send(octets, self.seconds)

    def _send(self, octets: bytes, patience: float) -> None:
        """Send octets, and wait so many seconds at most until the server takes some of them."""
        rest = memoryview(octets)
        sock = self._open_socket()
        with map_exceptions("sending"):
            while rest:
                sock.settimeout(min(self.deadline.remaining(), patience))
                rest = rest[sock.send(rest[:CHUNK]) :]

    # Replies

    def read_reply(self) -> Reply:
        """The next reply."""
        sock = self._open_socket()
        while (reply := self._reader.next()) is None:
            with map_exceptions("waiting for the reply"):
                sock.settimeout(self.deadline.remaining())
                octets = sock.recv(CHUNK)
                if not octets:
                    raise EOFError("the server closed the connection")
            self._reader.feed(octets)
        return reply

    def early_reply(self) -> Reply | None:
        """A reply that came before the command; waits for the rest of one that began."""
        sock = self._open_socket()
        with map_exceptions("before the command"):
            sock.settimeout(0.0)
            try:
                octets = sock.recv(CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass  # nothing has arrived: the usual case
            else:
                if not octets:
                    raise EOFError("the server closed the connection")
                self._reader.feed(octets)
        return None if self._reader.is_empty else self.read_reply()

    def getreply(self) -> tuple[int, bytes]:
        """A reply in the form that smtplib's own methods take."""
        reply = self.read_reply()
        return reply.code, b"\n".join(reply.lines)

    # TLS

    def begin_tls(self, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        """Continue inside TLS: nothing from before counts any more (RFC 3207, 4.2)."""
        plain = self._open_socket()
        self.sock = wrap(plain, endpoint, context, self.deadline.remaining, self._abort)
        self._reader = ReplyReader()
        self.helo_resp = self.ehlo_resp = None
        self.esmtp_features = {}
        self.does_esmtp = False

    @property
    def is_quiet(self) -> bool:
        """Whether no octet was read beyond the replies that were taken."""
        return self._reader.is_empty

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise ConnectionLost("the connection is closed")
        return self.sock
