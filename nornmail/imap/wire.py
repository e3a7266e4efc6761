"""The wire: octets in, parsed responses out, bounded, and with one deadline per command.

imaplib keeps the tags, the states and the exchange of continuations. Everything that touches the
socket is overridden by its documented methods, and reading a response (``_get_response``, the one
private method that is replaced) fills imaplib's tables with no more than it needs to go on. So the
same code runs on every Python from 3.11, whatever imaplib's own buffering is there.
"""

from __future__ import annotations

import imaplib
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from nornmail.clock import Clock
from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.imap.errors import farewell
from nornmail.imap.framing import ReadBuffer, ResponseReader
from nornmail.imap.limits import Budget, Limits
from nornmail.imap.responses import (
    Capability,
    Continuation,
    Response,
    Status,
    Tagged,
    Unknown,
    Untagged,
    parse,
)
from nornmail.imap.translate import MASK, Redactor, translated
from nornmail.imap.transport import connect, wrap
from nornmail.net.deadline import Deadline

log = logging.getLogger("nornmail.imap")

Observer = Callable[[str, bytes], None]
"""Called with ``"before"`` a command is sent and ``"after"`` it was, before its answer is read; and
with the command, without its tag and without secrets."""

_CRLF = b"\r\n"
_READ = b"*"
"""What ``_get_response`` returns for "not a continuation": imaplib looks at its truth only."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came in answer to one command: its end, and the untagged responses before it."""

    end: Tagged
    untagged: list[Untagged]


class Wire(imaplib.IMAP4):
    """One connection. The constructor returns when greeting and capabilities were read.

    When a method raises :class:`ConnectionLost`, the socket is closed and stays so.

    Args:
        host: whom to connect to.
        port: where.
        context: TLS from the first octet; ``None`` for plain text.
        clock: for deadlines.
        limits: what is taken from the server.
        budget: for connecting, TLS, the greeting and the capabilities together.
        scrub: makes the server's words fit to be shown.
        observer: see :data:`Observer`.

    Attributes:
        clock: as it was given.

    Raises:
        ConnectionLost: no connection, or the server refused it.
        ProtocolError: what answers is no IMAP server.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        context: ssl.SSLContext | None,
        clock: Clock,
        limits: Limits,
        budget: Budget,
        scrub: Redactor,
        observer: Observer | None = None,
    ) -> None:
        self._context = context
        self.clock = clock
        self._limits = limits
        self._scrub = scrub
        self._observer = observer
        self._buffer = ReadBuffer(self._receive)
        self._socket: socket.socket | None = None
        self._deadline = Deadline(clock, budget.timeout)
        self._reader = ResponseReader(self.readline, self.read, limits, budget)
        self._untagged: list[Untagged] = []
        self._end: Tagged | None = None
        self._greeted = False
        self._leaving = False
        self._patient = True
        self._shown: bytes | None = None
        self.greeting: Status | None = None
        try:
            with translated(f"connecting to {host}:{port}"):
                super().__init__(host, port, budget.timeout)
        except BaseException:
            self.shutdown()
            raise

    # What imaplib documents as overridable.

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect; called by imaplib's constructor."""
        self.debug = 0  # imaplib.Debug of another part of the program would print passwords.
        self.host = host
        self.port = port
        sock = connect(host, port, self._deadline.remaining)
        if self._context is not None:
            sock = wrap(sock, self._context, host, self._deadline.remaining)
        self.sock = self._socket = sock

    def read(self, size: int) -> bytes:
        """Exactly ``size`` octets."""
        return self._buffer.read(size)

    def readline(self) -> bytes:
        """One line with its line end."""
        return self._buffer.readline(self._limits.line)

    def send(self, data: Any) -> None:
        """Send all octets. A command's first line is shown to the observer."""
        shown, self._shown = self._shown, None
        if shown is not None and self._observer is not None:
            self._observer("before", shown)
        rest = memoryview(data)
        sock = self._alive()
        while rest:
            sock.settimeout(self._deadline.remaining())
            rest = rest[sock.send(rest) :]
        if shown is not None and self._observer is not None:
            self._observer("after", shown)

    def shutdown(self) -> None:
        """Close the socket. Once it is closed, nothing happens."""
        sock, self._socket = self._socket, None
        if sock is not None:
            with suppress(OSError):  # The other side may have gone first; closing is what counts.
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def forget(self) -> None:
        """Close our descriptor alone; the connection belongs to the process that we come from."""
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def capability(self) -> tuple[str, list[Any]]:
        """What the server can do: what it said with its greeting, or what it answers.

        imaplib of 3.14 saves the question when the greeting told; so does this on all versions.
        """
        known = self.untagged_responses.pop("CAPABILITY", None)
        return ("OK", known) if known else super().capability()

    # What the rest of the room uses.

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._socket is None

    @property
    def unread(self) -> int:
        """Octets that were received and belong to no response yet."""
        return self._buffer.pending

    def run(
        self, command: str, *args: bytes, budget: Budget, hidden: bool = False, literal: Any = None
    ) -> Reply:
        """Send one command and read until its end.

        Args:
            command: its name, as ``UID``.
            args: in octets, as they are to be sent.
            budget: what it may cost.
            hidden: the arguments are secret.
            literal: octets that are sent as a literal after the arguments, or a method that
                answers each continuation.

        Returns:
            The answer, be it OK, NO or BAD, with the untagged responses of this command alone.

        Raises:
            ConnectionLost: the connection is gone, or the deadline passed.
            ProtocolError: the answer cannot be read safely.
            Throttled: the server hung up and wants to be left alone.
        """
        name = " ".join([command, *(arg.decode("ascii") for arg in args[:1] if command == "UID")])
        try:
            with translated(name):
                self._begin(command, args, budget, hidden)
                self.literal = literal
                self._exchange(command, args)
                if self._end is None:
                    raise ConnectionLost(f"{name}: the server gave no answer")
                return Reply(self._end, self._untagged)
        except BaseException:
            self.shutdown()
            raise
        finally:
            self.literal = None

    # What IDLE needs besides: a command whose answer is read as it comes.

    def begin(self, command: str, budget: Budget) -> bytes:
        """Send a command and do not wait for its answer; returns the tag, for :meth:`strike`."""
        self._begin(command, (), budget, hidden=False)
        tag: bytes = self._new_tag()
        self.send(b" ".join((tag, command.encode("ascii"))) + _CRLF)
        return tag

    def extend(self, timeout: float) -> None:
        """Give what is under way a new deadline, in seconds from now."""
        self._deadline = Deadline(self.clock, timeout)

    def advance(self) -> bool:
        """Read one response, by the deadline; whether it was a continuation."""
        return self._get_response() is None

    @property
    def so_far(self) -> tuple[list[Untagged], Tagged | None]:
        """What the command under way was told, and its end if it has come."""
        return self._untagged, self._end

    @property
    def has_line(self) -> bool:
        """Whether a whole line was received and not read yet: :meth:`advance` can begin."""
        return self._buffer.has_line

    def take_in(self, limit: int) -> bool:
        """Receive what is there, without waiting; whether there was anything.

        Args:
            limit: octets of a line that has not ended yet.
        """
        self._patient = False
        try:
            self._buffer.take_in(limit)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._patient = True
        return True

    def strike(self, tag: bytes) -> None:
        """The command of this tag is over: take it out of imaplib's table."""
        self.tagged_commands.pop(tag, None)

    def log_out(self, budget: Budget) -> None:
        """LOGOUT, and close the socket whatever happens."""
        self._leaving = True
        try:
            with translated("LOGOUT"):
                self._begin("LOGOUT", (), budget, hidden=False)
                self._exchange("LOGOUT", ())
        finally:
            self.shutdown()

    def start_tls(self, context: ssl.SSLContext, budget: Budget) -> None:
        """STARTTLS (RFC 3501, 6.2.1): all that the server said before is forgotten.

        Raises:
            ConnectionLost: the server refused, or the handshake failed.
            ProtocolError: octets followed the OK. They were sent in plain text by whoever could,
                and would be taken for the server's words inside TLS.
        """
        reply = self.run("STARTTLS", budget=budget)
        try:
            if reply.end.status != "OK":
                text = self._scrub(reply.end.text)
                raise ConnectionLost(f"the server refused STARTTLS, which is required: {text}")
            if self.unread:
                raise ProtocolError("plain text followed the answer to STARTTLS")
            plain, self._socket = self._alive(), None
            self.sock = self._socket = wrap(plain, context, self.host, self._deadline.remaining)
        except BaseException:
            self.shutdown()
            raise
        self._untagged = []
        self.untagged_responses.clear()
        self.capabilities = ()

    # How it works.

    def _begin(self, command: str, args: tuple[bytes, ...], budget: Budget, hidden: bool) -> None:
        """A clean table: nothing that came before this command can be taken for its answer."""
        self._reader.begin(budget)
        self._deadline = Deadline(self.clock, budget.timeout)
        self._untagged = []
        self._end = None
        self.untagged_responses.clear()
        shown = (MASK.encode("ascii"),) if hidden else args
        self._shown = b" ".join((command.encode("ascii"), *shown))

    def _exchange(self, command: str, args: tuple[bytes, ...]) -> None:
        if command in imaplib.Commands:
            octets: Any = args  # imaplib takes octets as well as text; its stubs do not know.
            self.xatom(command, *octets)
            return
        # xatom() would enter an unknown command (ID) in a table that the whole process shares.
        tag = self._new_tag()
        self.send(b" ".join((tag, command.encode("ascii"), *args)) + _CRLF)
        self._command_complete(command, tag)

    def _alive(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionLost("the connection is closed")
        return self._socket

    def _receive(self, size: int) -> bytes:
        sock = self._alive()
        sock.settimeout(self._deadline.remaining() if self._patient else 0.0)
        return sock.recv(size)

    def _log(self, line: object) -> None:
        """Keep no log: imaplib's holds the last commands, passwords among them."""

    def _get_response(self, *args: object, **kwargs: object) -> bytes | None:
        """Read one response into imaplib's tables and ours; ``None`` for a continuation."""
        if not self._greeted:
            self._greet()
            return _READ
        response = parse(self._reader.pieces())
        if isinstance(response, Continuation):
            cast(Any, self).continuation_response = response.text
            return None
        elif isinstance(response, Tagged) and response.tag in self.tagged_commands:
            # For BAD imaplib would raise with the server's words; what came is in our value.
            self._end = response
            done = "OK" if response.status == "OK" else "NO"
            cast(Any, self.tagged_commands)[response.tag] = (done, [b""])
        elif isinstance(response, Status) and response.status == "BYE":
            if not self._leaving:
                raise farewell(self._scrub(response.code), self._scrub(response.text))
            self.untagged_responses["BYE"] = [b""]
        else:
            self._collect(response)
        return _READ

    def _greet(self) -> None:
        try:
            greeting = parse(self._reader.pieces())
        except TimeoutError as error:
            hint = "Check IMAP_PORT, and IMAP_USE_SSL: a port that expects TLS waits for us"
            raise ConnectionLost(f"no greeting in time. {hint}") from error
        self._greeted = True
        status = greeting.status if isinstance(greeting, Status) else ""
        if not isinstance(greeting, Status) or status not in ("OK", "PREAUTH", "BYE"):
            raise ProtocolError("what answers does not greet like an IMAP server: check IMAP_PORT")
        if status == "BYE":
            raise farewell(self._scrub(greeting.code), self._scrub(greeting.text))
        self.greeting = greeting
        self.untagged_responses[status] = [b""]
        if greeting.code == "CAPABILITY":
            self.untagged_responses["CAPABILITY"] = [greeting.code_args.encode("ascii", "replace")]

    def _collect(self, response: Response) -> None:
        if isinstance(response, Tagged | Continuation):
            response = Unknown(b"a tagged response to no command of ours")
        if isinstance(response, Unknown):
            log.debug("passed over: %s", self._scrub(response.raw.decode("utf-8", "replace")))
        if isinstance(response, Capability):
            names = " ".join(sorted(response.names))
            self.untagged_responses["CAPABILITY"] = [names.encode("ascii", "replace")]
        self._untagged.append(response)
