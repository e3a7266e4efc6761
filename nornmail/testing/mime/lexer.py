"""The lexical tokens of RFC 5322 and RFC 2045, read leniently from a header's octets."""

from __future__ import annotations

import re

MAX_COMMENT_DEPTH = 100
"""Comments inside each other; what is deeper is read as one comment that does not end."""

_LWSP = re.compile(rb"[ \t\r\n]+")
_ATOM = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\".\[\]]+')
_ATOM_OR_DOT = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\"\[\]]+')
_TOKEN = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]+')
_BARE_WORD = re.compile(rb"=\?[^; \t\r\n]*")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPE = re.compile(rb"\\(.)", re.S)
_LITERAL = re.compile(rb"\[(?:[^\[\]\\]|\\.)*\]", re.S)
_COMMENT_PART = re.compile(rb"\\.|[()]|[^()\\]+", re.S)


class Lexer:
    """A place in a header's value.

    Attributes:
        at: the offset of the next octet.
        broken: whether a comment or a quoted string did not end: nothing can be read behind it.
        comment: the text of the last comment that was passed over, None where there was none.
        words: how many the last phrase had.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        self.broken = False
        self.comment: bytes | None = None
        self.words = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.broken or self.at >= len(self.text)

    def peek(self) -> bytes:
        """The next octet, or nothing at the end."""
        return b"" if self.broken else self.text[self.at : self.at + 1]

    def accept(self, octet: bytes) -> bool:
        """Go past this octet and the white space behind it, if it comes next."""
        if self.peek() != octet:
            return False
        self.at += 1
        self.skip()
        return True

    def skip(self) -> None:
        """Go past white space and comments."""
        while not self.done:
            if found := _LWSP.match(self.text, self.at):
                self.at = found.end()
            elif self.peek() == b"(":
                self._skip_comment()
            else:
                return

    def atom(self) -> bytes | None:
        """An atom and the white space behind it."""
        return self._run(_ATOM)

    def atom_or_dot(self) -> bytes | None:
        """The same, in which dots may stand."""
        return self._run(_ATOM_OR_DOT)

    def token(self) -> bytes:
        """A token of RFC 2045 and the white space behind it; it may be empty."""
        return self._run(_TOKEN) or b""

    def encoded_word(self) -> bytes | None:
        """An encoded word left bare where RFC 2047 allows none, and the white space behind it."""
        return self._run(_BARE_WORD)

    def quoted(self) -> bytes | None:
        """A quoted string without its quotes, unfolded, and the white space behind it.

        A string that does not end is None, and nothing can be read behind it.
        """
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            self.broken = True
            return None
        self.at = found.end()
        self.skip()
        return _ESCAPE.sub(rb"\1", found[1])

    def domain(self) -> bytes | None:
        """A dotted domain or an address in brackets."""
        if self.peek() == b"[":
            return self._run(_LITERAL)
        parts: list[bytes] = []
        while (part := self.atom()) is not None:
            parts.append(part)
            if not self.accept(b"."):
                return b".".join(parts)
        return None  # it begins or ends with a dot

    def phrase(self) -> bytes | None:
        """Words, with one space between them; empty where none stands here.

        None: a quoted string in it did not end, or it begins with a dot.
        """
        if self.peek() == b".":
            return None
        pieces: list[bytes] = []
        self.words = 0
        while not self.done:
            word = self.quoted() if self.peek() == b'"' else self.atom_or_dot()
            if word is None:
                break
            if self.words and not word.startswith(b"."):
                pieces.append(b" ")
            pieces.append(word)
            self.words += 1
        return None if self.broken else b"".join(pieces)

    def _run(self, pattern: re.Pattern[bytes]) -> bytes | None:
        found = None if self.broken else pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self.skip()
        return None if self.broken else found[0]

    def _skip_comment(self) -> None:
        depth, start = 0, self.at + 1
        for part in _COMMENT_PART.finditer(self.text, self.at):
            if part[0] == b"(":
                depth += 1
            elif part[0] == b")":
                depth -= 1
            if depth == 0:
                self.comment = _ESCAPE.sub(rb"\1", self.text[start : part.end() - 1])
                self.at = part.end()
                return
            if depth > MAX_COMMENT_DEPTH:
                break
        self.broken = True
