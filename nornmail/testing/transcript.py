"""The transcript of every connection, in order, with the passwords taken out."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from itertools import groupby

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

    Args:
        on_change: called after each addition.
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
