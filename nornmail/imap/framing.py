"""The read buffer: octets as the socket gives them in, lines and counted octets out.

It is ours because imaplib's differs between Python versions, and because the buffered files of
older ones lose octets, for good, once a read has timed out. Here nothing is lost: what a failed
read had taken is still there for the next one.
"""

from __future__ import annotations

from collections.abc import Callable

from nornmail.errors import ProtocolError
from nornmail.imap.limits import Budget, Limits
from nornmail.imap.responses import ends_in_text, is_fetch
from nornmail.imap.tokens import MAX_DIGITS, Literal, Piece, announced_literal

# ---- One response's octets, taken apart into text and literals, and bounded.
# What a literal is can only be told with the words before it, so this stands between the octets of
# ``buffer`` and the values of ``responses``.

_CRLF = b"\r\n"


class ResponseReader:
    """Reads responses, and counts what the answer to one command costs.

    Args:
        readline: gives one line with its line end.
        read: gives as many octets as it is asked for.
        limits: how many lines an answer may have.
        budget: of what comes before the first command.
    """

    def __init__(
        self,
        readline: Callable[[], bytes],
        read: Callable[[int], bytes],
        limits: Limits,
        budget: Budget,
    ) -> None:
        self._readline = readline
        self._read = read
        self._limits = limits
        self.begin(budget)

    def begin(self, budget: Budget) -> None:
        """Count anew: what comes from here on is the answer to another command."""
        self._budget = budget
        self._spent = 0
        self._lines = 0

    def pieces(self) -> list[Piece]:
        """One response: its text without line ends, and its literals.

        Raises:
            ProtocolError: it is over the budget, or the answer is.
            EOFError: the stream ended.
            OSError: as the functions raised it.
        """
        line = self._line()
        while not line:  # Some servers send an empty line after a literal that ends a response.
            line = self._line()
        if ends_in_text(line):
            return [line]
        inside = is_fetch(line)
        pieces: list[Piece] = []
        while (announced := announced_literal(line)) is not None:
            text, digits = announced
            pieces += [text, Literal(self._literal(digits))]
            line = self._line()
            while inside and not line:  # A FETCH is never over right after a literal.
                line = self._line()
        pieces.append(line)
        return pieces

    def _line(self) -> bytes:
        """One line; also empty ones and continuations count, since nothing else bounds them."""
        line = self._readline()
        self._spend(len(line))
        self._lines += 1
        if self._lines > self._limits.responses:
            raise ProtocolError(f"more than {self._limits.responses} responses to one command")
        return line[:-2] if line.endswith(_CRLF) else line[:-1]

    def _literal(self, digits: bytes) -> bytes:
        size = int(digits) if len(digits) <= MAX_DIGITS else self._budget.literal + 1
        if size > self._budget.literal:
            raise ProtocolError(f"a literal of more than {self._budget.literal} octets")
        self._spend(size)
        return self._read(size)

    def _spend(self, octets: int) -> None:
        self._spent += octets
        if self._spent > self._budget.total:
            raise ProtocolError(f"an answer of more than {self._budget.total} octets")


CHUNK = 256 * 1024
"""Octets asked of the socket at once: large enough that many small messages come with one call."""


class ReadBuffer:
    """Lines and counted octets over a function that receives.

    Args:
        receive: gives at least one octet and at most as many as asked for, ``b""`` at the end of
            the stream, or raises.
    """

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._data = b""
        self._at = 0

    @property
    def pending(self) -> int:
        """How many octets were received and not read yet."""
        return len(self._data) - self._at

    @property
    def has_line(self) -> bool:
        """Whether a whole line was received that was not read yet."""
        return self._data.find(b"\n", self._at) >= 0

    def take_in(self, limit: int) -> None:
        """Receive once, whatever that gives, and keep it.

        Raises:
            ProtocolError: more than ``limit`` octets came with no line end among them.
            EOFError: the stream ended.
            OSError: as ``receive`` raised it.
        """
        self._data, self._at = self._data[self._at :] + self._more(), 0
        if self.pending > limit and not self.has_line:
            raise ProtocolError(f"a line of more than {limit} octets")

    def readline(self, limit: int) -> bytes:
        """One line with its line end, which is CRLF or a bare LF.

        Raises:
            ProtocolError: no line end within ``limit`` octets.
            EOFError: the stream ended first.
            OSError: as ``receive`` raised it; what had come in is kept.
        """
        end = self._data.find(b"\n", self._at)
        if end < 0:
            self._gather(limit)
            end = self._data.find(b"\n", self._at)
        if end + 1 - self._at > limit:
            raise ProtocolError(f"a line of more than {limit} octets")
        line = self._data[self._at : end + 1]
        self._at = end + 1
        return line

    def read(self, size: int) -> bytes:
        """Exactly ``size`` octets. Memory is taken as they arrive, never ahead.

        Raises:
            EOFError: the stream ended first.
            OSError: as ``receive`` raised it; what had come in is kept.
        """
        parts = [self._data[self._at : self._at + size]]
        self._at += len(parts[0])
        missing = size - len(parts[0])
        try:
            while missing > 0:
                chunk = self._more()
                parts.append(chunk)
                missing -= len(chunk)
        except BaseException:
            self._data, self._at = b"".join(parts), 0
            raise
        if missing < 0:
            self._data, self._at = parts[-1], len(parts[-1]) + missing
            parts[-1] = parts[-1][:missing]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _gather(self, limit: int) -> None:
        """Receive until there is a line end.

        Chunks are joined once: a line that comes octet by octet costs what a whole one costs.
        """
        parts = [self._data[self._at :]]
        size = len(parts[0])
        try:
            while b"\n" not in parts[-1]:
                if size > limit:
                    raise ProtocolError(f"a line of more than {limit} octets")
                parts.append(self._more())
                size += len(parts[-1])
        finally:
            self._data, self._at = b"".join(parts), 0

    def _more(self) -> bytes:
        chunk = self._receive(CHUNK)
        if not chunk:
            raise EOFError("the server closed the connection")
        return chunk
