"""The wire: commands out, parsed responses in, bounded, and with one deadline per command.

imaplib makes the connection: its constructor reads the greeting and the capabilities through the
methods that it documents as overridable, and through ``_get_response``, which is replaced with
``_log`` and nothing else that is private. Sending and reading are ours, so that the same code runs
on every Python from 3.11, whatever imaplib's own buffering is there.
"""

from __future__ import annotations

import imaplib
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nornmail.clock import Clock, Deadline
from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.imap.errors import bye_error
from nornmail.imap.framing import ResponseReader
from nornmail.imap.limits import CommandBudget, Limits
from nornmail.imap.responses import (
    Capability,
    Continuation,
    Fetch,
    Response,
    StatusResponse,
    Tagged,
    Unknown,
    Untagged,
    parse,
)
from nornmail.imap.tokens import Literal
from nornmail.net.redact import MASK, Redactor, map_exceptions
from nornmail.net.tls import Abort, Endpoint, connect, wrap
from nornmail.settings.imap import ImapSettings

log = logging.getLogger("nornmail.imap")

Observer = Callable[[str, bytes], None]
"""Called with ``"before"`` a command is sent and ``"after"`` it was, before its answer is read; and
with the command, without its tag and without secrets."""

CHUNK = 256 * 1024
"""Octets asked of the socket at once: large enough that many small messages come with one call."""
NO_GREETING = "no greeting in time"
NOT_IMAP = "the server does not greet like an IMAP server"
GREETING_ADVICE = {
    NO_GREETING: "check IMAP_PORT, and IMAP_USE_SSL: a port that expects TLS does not greet first",
    NOT_IMAP: "check which program listens on IMAP_PORT",
}
"""The faults of a greeting, and what to do; together they are the text of the error."""
_CRLF = b"\r\n"
_LOST = (imaplib.IMAP4.abort,)
_INVALID = (imaplib.IMAP4.error,)


def endpoint_of(settings: ImapSettings) -> Endpoint:
    """The endpoint that the settings lead to."""
    return Endpoint(
        protocol="IMAP",
        host=settings.host,
        port=settings.port,
        ca_file=settings.ca_file,
        plain_advice="set IMAP_USE_SSL=false and IMAP_STARTTLS=true for a plain port that is "
        "upgraded, or IMAP_PORT to the port for TLS, usually 993",
        tls_advice="set IMAP_USE_SSL=true: the port speaks TLS from the first octet",
    )


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer to one command: its end, and the untagged responses before it."""

    end: Tagged
    untagged: list[Untagged]


class Wire(imaplib.IMAP4):
    """One connection. The constructor returns when greeting and capabilities were read.

    When a method raises :class:`ConnectionLost`, the socket is closed and stays so.

    Args:
        context: TLS from the first octet; ``None`` for plain text.
        budget: for connecting, TLS, the greeting and the capabilities together.
        observer: see :data:`Observer`.
        abort: ends every wait for the server, from another thread.

    Attributes:
        close_reason: why the socket is closed.

    Raises:
        ConnectionLost: no connection, or the server refused it.
        ProtocolError: what answers is not an IMAP server.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        context: ssl.SSLContext | None,
        clock: Clock,
        limits: Limits,
        budget: CommandBudget,
        redact: Redactor,
        observer: Observer | None = None,
        abort: Abort | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self.clock = clock
        self._redact = redact
        self._observer = observer
        self._abort = abort or Abort()
        self._socket: socket.socket | None = None
        self._deadline = Deadline(clock, budget.timeout)
        self._budget = budget
        self._reader = ResponseReader(limits, budget)
        self._tag = b""
        self._count = 0
        self._untagged: list[Untagged] = []
        self._dated_runs = False
        self._end: Tagged | None = None
        self._leaving = False
        self.greeting: StatusResponse | None = None
        self.close_reason = "it was closed"
        try:
            with map_exceptions(f"connecting to {endpoint.host}:{endpoint.port}", _LOST, _INVALID):
                super().__init__(endpoint.host, endpoint.port, budget.timeout)
        except BaseException:
            self.shutdown()
            raise

    # Overridden for imaplib's constructor.

    def _connect(self) -> None:
        """Read the greeting and the capabilities.

        imaplib's own compiles a pattern for the tags of each connection, too, which only what it
        reads itself needs: a millisecond for each login.
        """
        self._get_response()
        self._get_capabilities()
        if not {"IMAP4REV1", "IMAP4"} & set(self.capabilities):
            raise self.error("server not IMAP4 compliant")

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect."""
        self.debug = 0  # imaplib.Debug of another part of the program would print passwords.
        remaining = self._deadline.remaining
        sock = connect(self._endpoint, remaining, self._abort)
        if self._context is not None:
            sock = wrap(sock, self._endpoint, self._context, remaining, self._abort)
        self.sock = self._socket = sock

    def shutdown(self) -> None:
        """Close the socket. Once it is closed, nothing happens."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._abort.detach()
            with suppress(OSError):  # The other side may have gone first; closing is what counts.
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def capability(self) -> tuple[str, list[Any]]:
        """The server's capabilities: those of its greeting, or else its answer to the command."""
        known = self.untagged_responses.pop("CAPABILITY", None)
        if known:
            return "OK", known
        result = self.run("CAPABILITY", budget=self._budget)
        names = [name for item in result.untagged if isinstance(item, Capability)
                 for name in sorted(item.names)]  # fmt: skip
        return result.end.status, [" ".join(names).encode("ascii", "replace")]

    def _log(self, line: object) -> None:
        """Keep no log: imaplib's holds the last commands, passwords among them."""

    def _get_response(self, *args: object, **kwargs: object) -> bytes:
        """Read the greeting into imaplib's tables and ours."""
        try:
            greeting = self._read()
        except TimeoutError as error:
            raise ConnectionLost(f"{NO_GREETING}: {GREETING_ADVICE[NO_GREETING]}") from error
        status = greeting.status if isinstance(greeting, StatusResponse) else ""
        if not isinstance(greeting, StatusResponse) or status not in ("OK", "PREAUTH", "BYE"):
            raise ProtocolError(f"{NOT_IMAP}: {GREETING_ADVICE[NOT_IMAP]}")
        if status == "BYE":
            raise bye_error(self._redact(greeting.code), self._redact(greeting.text))
        self.greeting = greeting
        self.untagged_responses[status] = [b""]
        if greeting.code == "CAPABILITY":
            self.untagged_responses["CAPABILITY"] = [greeting.code_args.encode("ascii", "replace")]
        return b"*"

    # What the rest of the room uses.

    @property
    def closed(self) -> bool:
        """Whether the socket is closed."""
        return self._socket is None

    def detach(self) -> None:
        """Close our descriptor alone; the connection belongs to the process that we come from."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._abort.detach()
            sock.close()
            self.close_reason = "it belongs to another process"

    def run(
        self,
        command: str,
        *args: bytes | Literal,
        budget: CommandBudget,
        hidden: bool = False,
        respond: Callable[[str], str] | None = None,
        dated_runs: bool = False,
    ) -> CommandResult:
        """Send one command and read until its end.

        Args:
            command: its name, as ``UID FETCH``.
            hidden: the arguments are secret.
            respond: answers each continuation beyond those of the literals.
            dated_runs: of FETCH responses without bodies those in a row are returned as one.

        Returns:
            The answer, be it OK, NO or BAD, with the untagged responses of this command alone.

        Raises:
            ConnectionLost: the connection is gone, or the deadline passed.
            ProtocolError: the answer cannot be read safely.
            Throttled: the server hung up, and limits this account for now.
        """
        with self.closing_on_error(command):
            lines = self.begin(command, *args, budget=budget, hidden=hidden)
            self._dated_runs = dated_runs
            return self._read_to_end(lines, respond)

    def start(self, command: str, *args: bytes, budget: CommandBudget) -> None:
        """Send one command, whose answer :meth:`finish` reads before another one is sent."""
        with self.closing_on_error(command):
            self.begin(command, *args, budget=budget)

    def finish(self, command: str, budget: CommandBudget) -> CommandResult:
        """The answer to a command that was started, within the time that it has from now on.

        Args, raises: as for :meth:`run`.
        """
        with self.closing_on_error(command):
            self.set_deadline(budget.timeout)
            return self._read_to_end([], None)

    def _read_to_end(
        self, lines: list[tuple[bytes, ...]], respond: Callable[[str], str] | None
    ) -> CommandResult:
        while self._end is None:
            response = self._read()
            if isinstance(response, Fetch):  # nearly all there are
                self._untagged.append(response)
            elif not isinstance(response, Continuation):
                self._take(response)
            elif lines:
                for part in lines.pop(0):
                    self.send(part)
            elif respond is not None:
                answer = respond(response.text.decode("latin-1"))
                self.send(answer.encode("ascii") + _CRLF)
        return CommandResult(self._end, self._untagged)

    def closing_on_error(self, action: str) -> ClosingOnError:
        """Map foreign exceptions, and close the socket on every one that leaves this block."""
        if self._socket is None:
            raise ConnectionLost(f"the connection is closed: {self.close_reason}")
        return ClosingOnError(self, action)

    # For IDLE, whose answer is read as it comes.

    def begin(
        self,
        command: str,
        *args: bytes | Literal,
        budget: CommandBudget,
        hidden: bool = False,
        line: int | None = None,
    ) -> list[tuple[bytes, ...]]:
        """Send a command up to its first literal, and do not wait for its answer.

        Nothing that came before can be taken for its answer.

        Args:
            line: octets of a line of the answer, if fewer than usual.

        Returns:
            What follows each continuation, in parts.
        """
        self._reader.begin(budget, line)
        self._deadline = Deadline(self.clock, budget.timeout)
        self._untagged = []
        self._dated_runs = False
        self._end = None
        self._count += 1
        self._tag = b"N%d" % self._count
        name = command.encode("ascii")
        texts = [self._tag + b" " + name]
        parts: list[tuple[bytes, ...]] = []
        for arg in args:
            if isinstance(arg, Literal):
                parts.append((*texts, b" {%d}\r\n" % len(arg.data)))
                texts = [arg.data]
            else:
                texts += [b" ", arg]
        first, *rest = (*parts, (*texts, _CRLF))
        if self._observer is None:
            self.send(b"".join(first))
            return rest
        secret = [MASK.encode("ascii")] if hidden else args
        shown = b" ".join((name, *(arg for arg in secret if isinstance(arg, bytes))))
        self._observer("before", shown)
        self.send(b"".join(first))
        self._observer("after", shown)
        return rest

    def send(self, data: Any) -> None:
        """Send all octets, by the deadline."""
        rest = memoryview(data)
        sock = self._open_socket()
        while rest:
            sock.settimeout(self._deadline.remaining())
            rest = rest[sock.send(rest) :]

    def set_deadline(self, seconds: float) -> None:
        """Give the command under way a new deadline, in seconds from now."""
        self._deadline = Deadline(self.clock, seconds)

    @property
    def pending(self) -> tuple[list[Untagged], Tagged | None]:
        """The responses to the command under way, and its end if it has come."""
        return self._untagged, self._end

    def advance(self) -> bool:
        """Read one response, by the deadline; return whether it was a continuation."""
        response = self._read()
        if isinstance(response, Continuation):
            return True
        self._take(response)
        return False

    def receive_available(self) -> bool:
        """Receive what has arrived, without waiting; return whether there was anything.

        A response that is not whole yet stays for later.
        """
        sock = self._open_socket()
        sock.settimeout(0.0)
        try:
            octets = sock.recv(CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        if not octets:
            raise EOFError("the server closed the connection")
        self._reader.feed(octets)
        return True

    def take_available(self) -> bool:
        """File the next response that was received whole; return whether there was one."""
        pieces = self._reader.next()
        if pieces is not None:
            response = parse(pieces)
            if not isinstance(response, Continuation):
                self._take(response)
        return pieces is not None

    def log_out(self, budget: CommandBudget) -> None:
        """LOGOUT, and close the socket whatever happens."""
        self._leaving = True
        try:
            self.run("LOGOUT", budget=budget)
        finally:
            self.shutdown()

    def start_tls(self, budget: CommandBudget) -> None:
        """STARTTLS (RFC 3501, 6.2.1): all that the server said before is forgotten.

        Raises:
            ConnectionLost: the server refused, or the handshake failed.
            ProtocolError: octets followed the OK. They were sent in plain text by anyone in
                between, and would be taken for the server's words inside TLS.
        """
        result = self.run("STARTTLS", budget=budget)
        try:
            if result.end.status != "OK":
                text = self._redact(result.end.text)
                raise ConnectionLost(f"the server refused STARTTLS, which is required: {text}")
            if self._reader.pending:
                raise ProtocolError("plain text followed the answer to STARTTLS")
            context = self._endpoint.context()
            plain, self._socket = self._open_socket(), None
            remaining = self._deadline.remaining
            self.sock = self._socket = wrap(plain, self._endpoint, context, remaining, self._abort)
        except BaseException:
            self.shutdown()
            raise
        self._untagged = []
        self.untagged_responses.clear()
        self.capabilities = ()

    # How it works.

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionLost("the connection is closed")
        return self._socket

    def _read(self) -> Response:
        """The next response, by the deadline."""
        while True:
            run = self._reader.dated_run() if self._dated_runs else None
            if run is not None:
                return run
            pieces = self._reader.next()
            if pieces is not None:
                return parse(pieces)
            sock = self._open_socket()
            sock.settimeout(self._deadline.remaining())
            octets = sock.recv(CHUNK)
            if not octets:
                raise EOFError("the server closed the connection")
            self._reader.feed(octets)

    def _take(self, response: Untagged | Tagged) -> None:
        """File a response with the command under way."""
        if isinstance(response, Tagged):
            if response.tag == self._tag:
                self._end = response
                return
            response = Unknown(b"a tagged response to no command of ours")
        if isinstance(response, StatusResponse) and response.status == "BYE":
            if not self._leaving:
                raise bye_error(self._redact(response.code), self._redact(response.text))
            self._end = Tagged(self._tag, "OK", "", "", "")  # enough of an answer to LOGOUT
        elif isinstance(response, Unknown) and log.isEnabledFor(logging.DEBUG):
            log.debug("ignored: %s", self._redact(response.raw.decode("utf-8", "replace")))
        self._untagged.append(response)


class Ahead:
    """A command whose answer is read when it is needed, or before another one is sent.

    Args:
        note: called with the answer, once it was read.
    """

    def __init__(self, wire: Wire, note: Callable[[CommandResult], object]) -> None:
        self._wire = wire
        self._note = note
        self._command = ""
        self._arguments: tuple[bytes, ...] = ()
        self._unread: CommandBudget | None = None
        self._result: CommandResult | None = None

    @property
    def is_unread(self) -> bool:
        """Whether an answer is under way."""
        return self._unread is not None

    def ask(self, command: str, *arguments: bytes, budget: CommandBudget) -> None:
        """Send the command, unless one was sent that is still needed."""
        if self._unread is None and self._result is None:
            self._wire.start(command, *arguments, budget=budget)
            self._command, self._arguments, self._unread = command, arguments, budget

    def take(self, arguments: tuple[bytes | Literal, ...]) -> CommandResult | None:
        """The answer, if this was asked for."""
        self.read()
        if self._result is None or self._arguments != arguments:
            return None
        result, self._result = self._result, None
        return result

    def read(self) -> None:
        """Read the answer that is under way, before another command is sent."""
        if self._unread is not None:
            budget, self._unread = self._unread, None
            result = self._wire.finish(self._command, budget)
            self._note(result)
            self._result = result if self._arguments else None

    def forget(self) -> None:
        """Let the answer be discarded; it is still read where it is under way."""
        self._arguments, self._result = (), None


class ClosingOnError(map_exceptions):
    """Closes a wire on every error, and raises foreign ones as ours."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire, action: str) -> None:
        super().__init__(action, _LOST, _INVALID)
        self._wire = wire

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is None:
            return
        try:
            super().__exit__(kind, error, traceback)
        except ConnectionLost as ours:
            error = ours
            raise
        finally:
            if not self._wire.closed:
                self._wire.close_reason = str(error) or type(error).__name__
                self._wire.shutdown()
