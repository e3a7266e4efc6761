"""What recognises a message when its UID means nothing any more.

A digest has two parts: of the header block, and of the body where it was whole. It is made so that
the same message gives the same digest after a mailbox was rebuilt: line ends are normalised, and
the headers that mailbox formats add for themselves are left out. It carries a version, so that a
better recipe never compares unequal things.
"""

from __future__ import annotations

import hashlib
import re

from nornmail.model import Digest

VERSION = "1"
"""Raise it with any change of the recipe: digests of different versions never match."""

ADDED_BY_MAILBOXES = (
    b"status",
    b"x-status",
    b"x-uid",
    b"x-uidl",
    b"x-keywords",
    b"x-imap",
    b"x-imapbase",
    b"content-length",
    b"lines",
    b"x-mozilla-status",
    b"x-mozilla-status2",
    b"x-mozilla-keys",
    b"x-evolution-source",
    b"x-gmail-labels",
    b"x-gm-thrid",
)
"""Headers that mbox files, migration tools and clients write into a stored message."""

_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")
_ADDED = re.compile(
    rb"^(?:"
    + b"|".join(map(re.escape, ADDED_BY_MAILBOXES))
    + rb")[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.IGNORECASE | re.MULTILINE,
)


def header_block(raw: bytes) -> bytes:
    """The header of a message, up to and without the empty line (RFC 5322, section 2.1)."""
    if raw.startswith((b"\r\n", b"\n")):
        return b""
    end = _END_OF_HEADER.search(raw)
    return raw if end is None else raw[: end.start()]


def digest_of(raw: bytes, *, truncated: bool = False) -> Digest:
    """The digest of a message as it came from the server.

    Args:
        raw: the message, or its header block when ``truncated``.
        truncated: the body is not in ``raw``; the digest has no body part then.
    """
    header = header_block(raw)
    if truncated:
        return Digest(_header_digest(header))
    body = _unix(raw[len(header) :]).strip(b"\n")
    return Digest(_header_digest(header), _hash(b"body", body))


def header_digest_of(raw: bytes) -> str:
    """The header part alone, from a header block or a whole message."""
    return _header_digest(header_block(raw))


def _header_digest(header: bytes) -> str:
    block = _ADDED.sub(b"", _unix(header).strip(b"\n") + b"\n")
    return _hash(b"header", block)


def _unix(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in raw else raw


def _hash(kind: bytes, data: bytes) -> str:
    made = hashlib.sha256(kind + b"\0")
    made.update(data)
    return f"{VERSION}:{made.hexdigest()[:40]}"
