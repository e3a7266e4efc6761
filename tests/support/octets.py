"""What imaplib does with octets, where its types say less or more than it does."""

from __future__ import annotations

import imaplib
from collections.abc import Iterable


def add_literal(client: imaplib.IMAP4, octets: bytes) -> None:
    """Have the next command end in a literal. ``append()`` would turn every bare LF into CRLF."""
    # typeshed has it that a literal is text; imaplib sends it as it is, and text cannot be sent.
    client.literal = octets  # type: ignore[assignment]


def lines(data: Iterable[bytes | tuple[bytes, bytes] | None]) -> list[bytes]:
    """The lines of an answer without literals; imaplib says None where there are none."""
    found = []
    for line in data:
        assert not isinstance(line, tuple), f"a literal: {line}"
        if line is not None:
            found.append(line)
    return found
