"""One response's octets, taken apart into text and literals, and bounded.

What a literal is can only be told with the words before it, so this stands between the octets of
``buffer`` and the values of ``responses``.
"""

from __future__ import annotations

from collections.abc import Callable

from nornmail.errors import ProtocolError
from nornmail.imap.limits import Budget, Limits
from nornmail.imap.responses import ends_in_text, is_fetch
from nornmail.imap.tokens import MAX_DIGITS, Literal, Piece, announced_literal

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
