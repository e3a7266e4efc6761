"""Framing: octets are fed in, whole responses come out as text and literals, within limits.

What a literal is can only be decided with the words before it, so this stands between the socket
and the values of ``responses``. It does no input or output, and nothing is lost when a read fails:
what came before is still here.
"""

from __future__ import annotations

from nornmail.errors import ProtocolError
from nornmail.imap.limits import Budget, Limits
from nornmail.imap.responses import ends_in_text, is_fetch
from nornmail.imap.tokens import MAX_DIGITS, Literal, Piece, announced_literal


class ResponseReader:
    """Takes octets in, gives responses out, and counts what the answer to one command costs.

    Args:
        limits: the octets of a line and the lines of an answer.
        budget: of what comes before the first command.
    """

    def __init__(self, limits: Limits, budget: Budget) -> None:
        self._limits = limits
        self._data = b""
        self._at = 0
        self._later: list[bytes] = []  # came after _data, and does not end what is waited for
        self._pending = 0
        self._waits = False
        self._pieces: list[Piece] = []
        self._in_fetch = False
        self._literal: int | None = None
        self.begin(budget)

    def begin(self, budget: Budget, line: int | None = None) -> None:
        """Count anew: what comes from here on is the answer to another command.

        Args:
            line: the octets of a line, if fewer than usual.
        """
        self._budget = budget
        self._line_limit = min(line or self._limits.line, self._limits.line)
        self._octets = 0
        self._lines = 0

    @property
    def pending(self) -> int:
        """Octets that belong to no response yet."""
        return self._pending

    def feed(self, octets: bytes) -> None:
        """Take octets in."""
        self._later.append(octets)
        self._pending += len(octets)
        if self._literal is not None:
            self._waits = self._pending < self._literal
        elif self._waits:
            # Only the new octets are searched: a line that drips in costs what a whole one costs.
            self._waits = b"\n" not in octets

    def next(self) -> list[Piece] | None:
        """The next whole response, or ``None`` until more octets came.

        Returns:
            Text, literal, text and so on; without line ends and the ``{n}`` of the literals.

        Raises:
            ProtocolError: it is over the budget, or the answer is.
        """
        while True:
            if self._literal is not None:
                if self._waits:
                    return None
                self._pieces.append(Literal(self._take(self._literal)))
                self._literal = None
            line = self._line()
            if line is None:
                return None
            # Some servers send an empty line after a literal that ends a response, and some as a
            # sign of life; a FETCH is never over right after a literal.
            if not line and (self._in_fetch if self._pieces else True):
                continue
            if not self._pieces:
                if ends_in_text(line):
                    return [line]
                self._in_fetch = is_fetch(line)
            announced = announced_literal(line)
            if announced is None:
                pieces, self._pieces = [*self._pieces, line], []
                return pieces
            self._pieces.append(announced[0])
            self._literal = self._literal_size(announced[1])
            self._waits = self._pending < self._literal

    def _line(self) -> bytes | None:
        """One line without its end, which is CRLF or a bare LF.

        Empty lines and continuations count as well, since nothing else bounds them.
        """
        if self._waits or (end := self._find_line_end()) < 0:
            self._waits = True
            if self._pending > self._line_limit:
                raise ProtocolError(f"a line of more than {self._line_limit} octets")
            return None
        size = end + 1 - self._at
        if size > self._line_limit:
            raise ProtocolError(f"a line of more than {self._line_limit} octets")
        self._spend(size)
        self._lines += 1
        if self._lines > self._limits.responses:
            raise ProtocolError(f"more than {self._limits.responses} responses to one command")
        line = self._take(size)
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def _find_line_end(self) -> int:
        end = self._data.find(b"\n", self._at)
        if end < 0 and self._later:
            self._join()
            end = self._data.find(b"\n", self._at)
        return end

    def _join(self) -> None:
        self._data, self._at = b"".join((self._data[self._at :], *self._later)), 0
        self._later.clear()

    def _take(self, size: int) -> bytes:
        """The next ``size`` octets, which are there."""
        missing = size - (len(self._data) - self._at)
        if missing > 0 and self._pending - size < len(self._later[-1]):
            # The last chunk has the end: the octets of a large literal are joined once.
            parts = [self._data[self._at :], *self._later]
            self._data, self._at = parts[-1], len(parts[-1]) - (self._pending - size)
            parts[-1] = parts[-1][: self._at]
            self._later.clear()
            octets = b"".join(parts)
        else:
            if missing > 0:
                self._join()
            octets = self._data[self._at : self._at + size]
            self._at += size
        self._pending -= size
        return octets

    def _literal_size(self, digits: bytes) -> int:
        size = int(digits) if len(digits) <= MAX_DIGITS else self._budget.literal + 1
        if size > self._budget.literal:
            raise ProtocolError(f"a literal of more than {self._budget.literal} octets")
        self._spend(size)
        return size

    def _spend(self, octets: int) -> None:
        self._octets += octets
        if self._octets > self._budget.total:
            raise ProtocolError(f"an answer of more than {self._budget.total} octets")
