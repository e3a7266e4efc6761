"""The mail of a run: every letter's bytes are unique, and bring the letter back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

LIMIT = 2_000
"""Octets above which the pollers of the model hand a message over with its headers alone."""
TWIN_PADDING = 40
"""Octets by which a twin that has a Message-ID is longer: nobody could tell it by its headers."""


@dataclass(frozen=True, eq=False)
class Letter:
    """What was sent. Each delivery of it is a copy, and copies are interchangeable."""

    name: str
    raw: bytes

    @property
    def large(self) -> bool:
        return len(self.raw) > LIMIT

    @property
    def header(self) -> bytes:
        return self.raw[: self.raw.index(b"\r\n\r\n") + 4] if self.raw else b""

    def __repr__(self) -> str:
        return self.name


class Post:
    """Makes letters and recognises them."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self._by_raw: dict[bytes, Letter] = {}
        self._twins = Counter[bytes]()
        self._by_header: dict[bytes, Letter] = {}

    def plain(self) -> Letter:
        return self._make("plain", self._header(message_id=True), self._body())

    def anonymous(self) -> Letter:
        return self._make("anonymous", self._header(message_id=False), self._body())

    def large(self, *, message_id: bool) -> Letter:
        body = self._body() + b"long\r\n" * (LIMIT // 4)
        return self._make("large", self._header(message_id=message_id), body)

    def empty(self) -> Letter:
        return self._by_raw.get(b"") or self._make("empty", b"", b"")

    def twin(self, of: Letter) -> Letter:
        """Other words under the same header block: of the same size, if there is no Message-ID."""
        if not of.raw or of.large:
            return self.plain()
        self._twins[of.header] += 1
        longer = b"." * TWIN_PADDING * self._twins[of.header] + b"\r\n"
        has_id = b"Message-ID" in of.header
        return self._make(f"twin-of-{of}", of.header, self._body() + longer * has_id)

    def find(self, raw: bytes, *, truncated: bool) -> Letter | None:
        return self._by_header.get(raw) if truncated else self._by_raw.get(raw)

    def _header(self, *, message_id: bool) -> bytes:
        number = len(self.letters)
        lines = [
            b"From: Ann <ann@example.com>",
            b"To: agent@example.com",
            b"Subject: letter %06d" % number,
            b"Date: Mon, 01 Jan 2024 00:00:00 +0000",
        ]
        if message_id:
            lines.append(b"Message-ID: <%06d@example.com>" % number)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _body(self) -> bytes:
        return b"marker %06d\r\n" % len(self.letters)

    def _make(self, kind: str, header: bytes, body: bytes) -> Letter:
        letter = Letter(f"{kind}-{len(self.letters)}", header + body)
        self.letters.append(letter)
        self._by_raw[letter.raw] = letter
        if letter.large:
            self._by_header[header] = letter
        return letter
