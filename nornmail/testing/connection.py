"""One client's socket: lines and literals in, buffered answers out, cut where a fault says.

The transcript keeps all of it, in order, with the passwords taken out.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from nornmail.testing.fault_plan import Drip, Fault, Rewrite, Trailing

TRANSCRIPT_LIMIT = 16 * 1024 * 1024
"""Octets kept. The oldest go first, so that a large transfer does not fill the memory."""

HIDDEN = b"****"
"""The replacement for a password."""

_LOGIN = re.compile(rb'(\S+ LOGIN (?:"(?:[^"\\]|\\.)*"|\S+)) .+', re.IGNORECASE | re.DOTALL)
_LITERAL_NEXT = re.compile(
    rb'\S+ LOGIN (?:(?:"(?:[^"\\]|\\.)*"|\S+) )?\{[0-9]+\+?\}', re.IGNORECASE
)
"""``LOGIN {4}`` or ``LOGIN user {6}``: the password is not in this line."""

_SECRET = re.compile(rb"\S+ (LOGIN|AUTHENTICATE)\b", re.IGNORECASE)
_MECHANISM = re.compile(rb"\S+ AUTHENTICATE \S+", re.IGNORECASE)


def carries_secret(line: bytes) -> bool:
    """Whether a command that begins with this line carries a password."""
    return _SECRET.match(line) is not None


def without_secret(line: bytes) -> bytes:
    """The first line of a command, with the password in it replaced."""
    if not carries_secret(line):
        return line
    if mechanism := _MECHANISM.match(line):
        return line if mechanism.end() == len(line) else mechanism[0] + b" " + HIDDEN
    if _LITERAL_NEXT.fullmatch(line):
        return line
    login = _LOGIN.fullmatch(line)
    return login[1] + b" " + HIDDEN if login else b" ".join(line.split()[:2]) + b" " + HIDDEN


class Transcript:
    """Lines such as ``[1] C: a1 NOOP`` and ``[smtp 1] S: 250 2.0.0 OK``. Thread-safe.

    Octets are kept as they came, and cut into lines only on demand.
    """

    def __init__(self, on_change: Callable[[], object] = bool) -> None:
        self._lock = threading.Lock()
        self._on_change = on_change
        self._chunks: deque[tuple[int | str, str, bytes]] = deque()
        self._size = 0
        self._dropped = 0

    def add(self, connection: int | str, who: str, data: bytes) -> None:
        """Note octets of ``who``: ``C`` the client, ``S`` the server, ``-`` how it ended."""
        with self._lock:
            self._chunks.append((connection, who, data))
            self._size += len(data)
            while self._size > TRANSCRIPT_LIMIT and len(self._chunks) > 1:
                dropped = len(self._chunks.popleft()[2])
                self._size -= dropped
                self._dropped += dropped
        self._on_change()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._chunks.clear()
            self._size = self._dropped = 0

    def lines(self) -> list[str]:
        """Every line so far. Octets are shown as Latin-1."""
        with self._lock:
            chunks, dropped = list(self._chunks), self._dropped
        shown = [f"... {dropped} octets before this were dropped"] if dropped else []
        for (connection, who), group in groupby(chunks, key=lambda chunk: chunk[:2]):
            text = b"".join(chunk[2] for chunk in group).decode("latin-1")
            shown += [
                f"[{connection}] {who}: {line.rstrip(chr(13))}"
                for line in text.removesuffix("\n").split("\n")
            ]
        return shown


RECV_SIZE = 65536
"""Octets asked of the socket at once."""

FLUSH_SIZE = 256 * 1024
"""Octets of an answer gathered before they are sent: few system calls, little memory."""


class Dropped(Exception):
    """Raised where the connection ends: the client is gone, or a fault or BYE ends it."""

    def __init__(self, why: str, *, reset: bool = False) -> None:
        super().__init__(why)
        self.reset = reset


class LineTooLong(Exception):
    """A line over its limit was read and thrown away. ``head`` is its beginning."""

    def __init__(self, head: bytes) -> None:
        super().__init__("command line too long")
        self.head = head


def reset_at_close(sock: socket.socket) -> None:
    """Make close() send a TCP reset: it lingers for 0 seconds. Windows has a shorter struct."""
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@dataclass
class AnswerShape:
    """The form in which the current answer leaves: whole, cut, stalled, dripping or rewritten."""

    cut_after: int | None = None
    stall: bool = False
    reset: bool = False
    drip: Drip | None = None
    rewrite: list[Callable[[bytes], bytes]] = field(default_factory=list)
    trailing: bytes = b""

    def apply(self, fault: Fault) -> None:
        """Shape the answer as this fault wants; one that shapes no answer changes nothing."""
        match fault:
            case Trailing():
                self.trailing += fault.data
            case Rewrite():
                self.rewrite.append(fault.function)
            case Drip():
                self.drip = fault


class Connection:
    """A connected client. One thread reads and writes it; any thread may call `hang_up`.

    Args:
        number: what the transcript calls it: the connection's number on the server, from 1.
        stopping: set when the server stops.

    Attributes:
        place: how many connections of its kind were open when it was taken, itself among them.
            Those that leave before it is served make no room for it.
    """

    def __init__(
        self,
        sock: socket.socket,
        number: int | str,
        transcript: Transcript,
        stopping: threading.Event,
    ) -> None:
        self.number = number
        self.place = 0
        self.shape = AnswerShape()
        self.total_left: int | None = None
        self.total_reset = False
        self.secure = False
        self._socket = sock
        self._socket_lock = threading.Lock()
        self._hung_up = False
        self._transcript = transcript
        self._stopping = stopping
        self._input = bytearray()
        self._output: list[bytes] = []
        self._output_size = 0

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Do the TLS handshake. Plain text that came before it is thrown away (RFC 3501, 6.2.1)."""
        self._input.clear()
        with self._socket_lock:
            self._socket = context.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            if self._hung_up:
                raise Dropped("hung up before TLS")
            secured = self._socket
        secured.do_handshake()
        self.secure = True

    def read_line(self, limit: int, shown: Callable[[bytes], bytes] = bytes) -> bytes:
        """The next line without its line end.

        Args:
            limit: octets the line may have.
            shown: what the transcript keeps of it.

        Raises:
            LineTooLong: the line was over the limit; it is consumed.
            Dropped: the client hung up.
        """
        searched = 0
        while (end := self._input.find(b"\n", searched)) < 0:
            if len(self._input) > limit:
                self._skip_line(bytes(self._input[:limit]))
            searched = len(self._input)
            self._fill()
        line = bytes(self._input[:end]).removesuffix(b"\r")
        del self._input[: end + 1]
        if len(line) > limit:
            raise LineTooLong(line[:limit])
        self._transcript.add(self.number, "C", shown(line) + b"\n")
        return line

    def read_exactly(self, size: int, *, secret: bool = False) -> bytes:
        """The next ``size`` octets: a literal. ``secret`` keeps them out of the transcript."""
        while len(self._input) < size:
            self._fill()
        data = bytes(self._input[:size])
        del self._input[:size]
        self._transcript.add(self.number, "C", HIDDEN if secret else data)
        return data

    def read_some(self) -> bytes:
        """Whatever has come, at least an octet. It is in the transcript only if it is noted."""
        if not self._input:
            self._fill()
        data = bytes(self._input)
        self._input.clear()
        return data

    def unread(self, data: bytes) -> None:
        """Give back the end of what `read_some` gave."""
        self._input[:0] = data

    def note(self, data: bytes) -> None:
        """Put what was read by `read_some` into the transcript."""
        self._transcript.add(self.number, "C", data)

    def wait_for_client(self, bell: socket.socket) -> bool:
        """Wait until the client sends or ``bell`` can be read; return whether it is the client."""
        if self._input:
            return True
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            return any(key.fileobj is self._socket for key, _ in selector.select())

    def swallow(self) -> None:
        """Read and forget until the client hangs up; then raise Dropped."""
        while True:
            self._input.clear()
            self._fill()

    def write(self, data: bytes) -> None:
        """Add to the answer; sent at the next flush."""
        self._output.append(data)
        self._output_size += len(data)

    def flush_if_large(self) -> None:
        """Send what has gathered when it is much. Called between the parts of a long answer."""
        if self._output_size >= FLUSH_SIZE:
            self.flush()

    def flush(self) -> None:
        """Send what has gathered, except where the whole answer is to be rewritten."""
        if self.shape.rewrite:
            return
        data = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        if data or self.total_left == 0:
            self._send(data)

    def flush_part(self) -> None:
        """Send what has gathered, each part rewritten alone: in IDLE the client waits for it."""
        self._rewrite()
        functions, self.shape.rewrite = self.shape.rewrite, []
        self.flush()
        self.shape.rewrite = functions

    def _rewrite(self) -> None:
        if self._output and self.shape.rewrite:
            answer = b"".join(self._output)
            for function in self.shape.rewrite:
                answer = function(answer)
            self._output = [answer]

    def finish_answer(self) -> None:
        """Send the rest of the answer and forget the faults that shaped it."""
        shape = self.shape
        self._rewrite()
        shape.rewrite = []
        if shape.trailing:
            self.write(shape.trailing)
        self.flush()
        if shape.cut_after is not None:
            self._end(reset=shape.reset)
        self.shape = AnswerShape()

    def hang_up(self) -> None:
        """End both directions now, from any thread; the reading thread sees the end."""
        with self._socket_lock:
            self._hung_up = True
            try:
                # SSLSocket.shutdown would take the TLS object from under the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return  # not connected any more

    def end_tls(self) -> None:
        """Send close_notify, so that the client sees an orderly end; do not wait for its answer.

        A connection that a fault cuts ends without it.
        """
        sock = self._socket
        if isinstance(sock, ssl.SSLSocket):
            sock.setblocking(False)
            try:
                sock.unwrap()
            except OSError:  # SSLWantReadError: it is sent, and not answered yet
                return
            finally:
                sock.setblocking(True)

    def close(self, *, reset: bool = False) -> None:
        """Close the socket, with a TCP reset or in an orderly way.

        The orderly way waits for the client's end: closing a socket with unread input resets it,
        and the client could lose the last lines it was sent.
        """
        sock = self._socket
        try:
            if reset:
                reset_at_close(sock)
            else:
                socket.socket.shutdown(sock, socket.SHUT_WR)
                while socket.socket.recv(sock, RECV_SIZE):
                    continue
        except OSError:
            self._hung_up = True  # the client was faster: nothing is left to end
        finally:
            with self._socket_lock:
                sock.close()

    def _send(self, data: bytes) -> None:
        shape = self.shape
        sent, drop = data, False
        if shape.cut_after is not None:
            sent = sent[: shape.cut_after]
            drop = len(data) >= shape.cut_after
            shape.cut_after -= len(sent)
        reset = shape.reset
        if self.total_left is not None:
            if len(sent) >= self.total_left:
                sent, drop, reset = sent[: self.total_left], True, self.total_reset
            self.total_left -= len(sent)
        self._transcript.add(self.number, "S", sent)
        if shape.drip is None:
            self._socket.sendall(sent)
        else:
            self._drip(sent, shape.drip)
        if drop:
            self._end(reset=reset)

    def _end(self, *, reset: bool) -> None:
        if self.shape.stall:
            self.swallow()
        raise Dropped("cut by a fault", reset=reset)

    def _drip(self, data: bytes, drip: Drip) -> None:
        for start in range(0, len(data), drip.chunk):
            self._socket.sendall(data[start : start + drip.chunk])
            if drip.hook is not None:
                drip.hook()
            if drip.delay:
                self._stopping.wait(drip.delay)

    def _fill(self) -> None:
        data = self._socket.recv(RECV_SIZE)
        if not data:
            raise Dropped("the client hung up")
        self._input += data

    def _skip_line(self, head: bytes) -> None:
        """Throw the rest of an endless line away, so that it costs no memory."""
        while (end := self._input.find(b"\n")) < 0:
            self._input.clear()
            self._fill()
        del self._input[: end + 1]
        raise LineTooLong(head)
