"""Framing: octets are fed in, whole responses come out as text and literals, within limits.

What a literal is can only be decided with the words before it, so this stands between the socket
and the values of ``responses``. It does no input or output, and nothing is lost when a read fails:
what came before is still here.
"""

from __future__ import annotations

import re
from collections import deque

from nornmail.errors import ProtocolError
from nornmail.imap.limits import CommandBudget, Limits
from nornmail.imap.responses import DatedRun, ends_in_text, is_fetch
from nornmail.imap.tokens import MAX_DIGITS, Literal, Piece, announced_literal

_PLAIN_FETCH = re.compile(
    rb'(\* [0-9]{1,9} FETCH \([^\r\n{"]{0,200}BODY\[\] )\{([0-9]{1,10})\}\r\n'
)
_END_OF_FETCH = b")\r\n"
_DATED_RUN = re.compile(
    rb"(?>(?:\* [0-9]{1,9} FETCH \((?:(?:UID [0-9]{1,10}"
    rb'|INTERNALDATE "[ 0-9][0-9]-[A-Za-z]{3}-[0-9]{4}[ 0-9:+-]{0,40}"'
    rb"|FLAGS \([ !#-'*-Z\\^-z]*+\)|RFC822\.SIZE [0-9]{1,18}) ?){1,8}\)\r\n)*)"
)


class ResponseReader:
    """Takes octets in, gives responses out, and counts what the answer to one command costs."""

    def __init__(self, limits: Limits, budget: CommandBudget) -> None:
        self._limits = limits
        self._data = b""
        self._at = 0
        self._later: deque[bytes] = deque()  # came after _data, and does not end what is waited for
        self._pending = 0
        self._waits = False
        self._pieces: list[Piece] = []
        self._in_fetch = False
        self._literal: int | None = None
        self.begin(budget)

    def begin(self, budget: CommandBudget, line: int | None = None) -> None:
        """Count anew: what comes from here on is the answer to another command."""
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
        if self._later or self._at < len(self._data):
            self._later.append(octets)
        else:
            self._data, self._at = octets, 0
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
        if self._literal is None and not self._pieces and not self._waits:
            match = _PLAIN_FETCH.match(self._data, self._at)
            plain = None if match is None else self._plain_fetch(match)
            if plain is not None:
                return plain
        while True:
            if self._literal is not None:
                if self._waits:
                    return None
                self._pieces.append(Literal(self._take(self._literal)))
                self._literal = None
            line = self._line()
            if line is None:
                return None
            pieces = self._pieces
            # Some servers send an empty line after a literal that ends a response, and some as a
            # sign of life; a FETCH is never over right after a literal.
            if not line and (self._in_fetch or not pieces):
                continue
            announced = None
            if line.endswith(b"}"):
                if not pieces:
                    self._in_fetch = is_fetch(line)
                if pieces or self._in_fetch or not ends_in_text(line):
                    announced = announced_literal(line)
            if announced is None:
                pieces.append(line)
                self._pieces = []
                self._in_fetch = False
                return pieces
            pieces.append(announced[0])
            self._literal = self._literal_size(announced[1])
            self._waits = self._pending < self._literal

    def dated_run(self) -> DatedRun | None:
        """A run of FETCH responses with dates, in a tenth of the time that :meth:`next` takes.

        ``None`` where the next response is another one, or would be over a limit.
        """
        if self._literal is not None or self._pieces or self._waits:
            return None
        data, start = self._data, self._at
        run = _DATED_RUN.match(data, start)
        end = run.end() if run is not None else start
        count = data.count(b"\n", start, end)
        octets, lines = self._octets + end - start, self._lines + count
        if not count or octets > self._budget.total or lines > self._limits.responses:
            return None
        self._octets, self._lines = octets, lines
        self._pending -= end - start
        self._at = end
        return DatedRun(data[start:end], count)

    def _plain_fetch(self, match: re.Match[bytes]) -> list[Piece] | None:
        """A FETCH of one body that has come whole and is within all limits; ``None`` for others.

        It is what :meth:`next` would return, for a third of the time.
        """
        data, start, body = self._data, self._at, match.end()
        size = int(match[2])
        end = body + size + len(_END_OF_FETCH)
        octets = self._octets + end - start
        if (
            data[body + size : end] != _END_OF_FETCH
            or size > self._budget.literal
            or octets > self._budget.total
            or body - start > self._line_limit
            or self._lines + 2 > self._limits.responses
        ):
            return None
        self._octets = octets
        self._lines += 2
        self._pending -= end - start
        self._at = end
        return [match[1], Literal(data[body : body + size]), b")"]

    def _line(self) -> bytes | None:
        """One line without its end, which is CRLF or a bare LF.

        Empty lines and continuations count as well, since nothing else bounds them.
        """
        start = self._at
        end = -1 if self._waits else self._data.find(b"\n", start)
        size = end + 1 - start if end >= 0 else self._line_size()
        if not size or size > self._line_limit:
            if max(size, self._pending) > self._line_limit:
                raise ProtocolError(f"a line of more than {self._line_limit} octets")
            self._waits = True
            return None
        self._octets += size
        self._lines += 1
        if self._lines > self._limits.responses:
            raise ProtocolError(f"more than {self._limits.responses} responses to one command")
        if self._octets > self._budget.total:
            raise self._too_much()
        if end < 0:
            line = self._take(size)
            return line[:-2] if line.endswith(b"\r\n") else line[:-1]
        self._at = end + 1
        self._pending -= size
        return self._data[start : end - 1 if self._data[end - 1 : end] == b"\r" else end]

    def _line_size(self) -> int:
        """Octets of a line that ends beyond the current chunk; 0 if it has not ended yet."""
        size = len(self._data) - self._at
        for chunk in () if self._waits else self._later:
            end = chunk.find(b"\n")
            if end >= 0:
                return size + end + 1
            size += len(chunk)
        return 0

    def _take(self, size: int) -> bytes:
        """The next ``size`` octets, which are there.

        Only they are joined, once: the rest of the chunk that they end in stays as it is.
        """
        end = self._at + size
        self._pending -= size
        if end <= len(self._data):
            octets = self._data[self._at : end]
            self._at = end
            return octets
        parts = [self._data[self._at :]]
        size -= len(parts[0])
        while size > len(self._later[0]):
            parts.append(self._later.popleft())
            size -= len(parts[-1])
        self._data, self._at = self._later.popleft(), size
        parts.append(self._data[:size])
        return b"".join(parts)

    def _literal_size(self, digits: bytes) -> int:
        size = int(digits) if len(digits) <= MAX_DIGITS else self._budget.literal + 1
        if size > self._budget.literal:
            raise ProtocolError(f"a literal of more than {self._budget.literal} octets")
        self._octets += size
        if self._octets > self._budget.total:
            raise self._too_much()
        return size

    def _too_much(self) -> ProtocolError:
        return ProtocolError(f"an answer of more than {self._budget.total} octets")
