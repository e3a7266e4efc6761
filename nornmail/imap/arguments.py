"""The octets of a command's arguments: strings, mailbox names and sets of UIDs (RFC 3501)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from nornmail.errors import ConfigurationError
from nornmail.uidset import UidSet

COMMAND_LINE = 8_000
"""Octets of a command line. RFC 2683, 3.2.1.5 lets servers stop there; measured, they answer BAD or
hang up at 16 KB (Courier) or 64 KB (Dovecot)."""
TAG_ROOM = 24
"""Octets of the line that imaplib adds: the tag, blanks and CRLF."""
SET_ROOM = 64
"""Octets of a line that a set gets at least, however long the rest is: three full ranges."""

_UNSENDABLE = frozenset("\0\r\n")
_ENCODED_RUN = re.compile(r"[^\x20-\x7e]+")
_DECODED_RUN = re.compile(rb"&([A-Za-z0-9+,]*)-")


def quote(text: str, *, name: str, secret: bool = False) -> bytes:
    """``text`` as a quoted string (RFC 3501, section 9)."""
    shown = "****" if secret else text
    if not _UNSENDABLE.isdisjoint(text):
        raise ConfigurationError(name, shown, "must not contain NUL, CR or LF")
    if not text.isascii():
        raise ConfigurationError(name, shown, "must be ASCII where a quoted string is sent")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return b'"' + escaped.encode("ascii") + b'"'


def mailbox_argument(mailbox: str) -> bytes:
    """A mailbox's name as the argument of a command."""
    if not mailbox or not _UNSENDABLE.isdisjoint(mailbox):
        raise ConfigurationError("mailbox", mailbox, "a name without NUL, CR and LF")
    return quote(encode_mailbox(mailbox), name="mailbox")


def encode_mailbox(name: str) -> str:
    """A mailbox's name in modified UTF-7 (RFC 3501, section 5.1.3)."""
    return _ENCODED_RUN.sub(_encode_run, name.replace("&", "&-"))


def _encode_run(match: re.Match[str]) -> str:
    packed = base64.b64encode(match[0].encode("utf-16-be", "surrogatepass"))
    return "&" + packed.decode("ascii").rstrip("=").replace("/", ",") + "-"


def decode_mailbox(raw: bytes) -> str:
    """The name that a server sent in modified UTF-7, or in UTF-8 as some do.

    Octets that are neither stay visible (as lone surrogates): the name is not lost.
    """
    try:
        decoded = _DECODED_RUN.sub(_decode_run, raw)
    except (binascii.Error, UnicodeError):
        decoded = raw
    return decoded.decode("utf-8", "surrogateescape")


def _decode_run(match: re.Match[bytes]) -> bytes:
    if not match[1]:
        return b"&"
    packed = match[1].replace(b",", b"/")
    octets = base64.b64decode(packed + b"=" * (-len(packed) % 4))
    return octets.decode("utf-16-be").encode("utf-8")


def flag_list(flags: frozenset[str]) -> bytes:
    """Flags in parentheses, in a fixed order."""
    for flag in flags:
        if not re.fullmatch(r"\\?[!#$&'+,./0-9:;<=>?@A-Z^_`a-z|}~\[-]+", flag):
            raise ConfigurationError("flag", flag, "an IMAP atom")
    return b"(" + " ".join(sorted(flags)).encode("ascii") + b")"


def uid_set(uids: UidSet) -> bytes:
    """UIDs as an IMAP set."""
    return str(uids).encode("ascii")


def uid_chunks(uids: UidSet, *, rest: int, count: int) -> Iterator[UidSet]:
    """``uids`` in ascending parts, each small enough for one command.

    Args:
        rest: octets of the command without the set and the tag.
        count: how many UIDs a part has at most.
    """
    room = max(COMMAND_LINE - TAG_ROOM - rest, SET_ROOM)
    part: list[tuple[int, int]] = []
    octets = held = 0
    for low, high in uids.pairs():
        while low <= high:
            top = min(high, low + count - held - 1)
            cost = len(str(low)) + (len(str(top)) + 1 if top > low else 0) + 1
            if part and (octets + cost > room or held == count):
                yield UidSet(part)
                part, octets, held = [], 0, 0
                continue
            part.append((low, top))
            octets += cost
            held += top - low + 1
            low = top + 1
    if part:
        yield UidSet(part)
