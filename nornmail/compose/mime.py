"""MIME entities: text with charset and transfer encoding, and multiparts (RFC 2045, 2046, 2387)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from nornmail.compose.headers import parameterised, structured

_BOUNDARY_DIGITS: Final = 24
"""Hexadecimal digits of a boundary: 96 bits cannot be guessed."""


_LINE_OCTETS: Final = 57
"""Octets of a file on one line of base64: 76 characters (RFC 2045, 6.8)."""
_ENCODED_AT_ONCE: Final = _LINE_OCTETS * 1_024
"""Octets of a file that are encoded at a time: whole lines of base64."""


@dataclass(frozen=True, slots=True)
class Base64:
    """Octets that become base64 when the message is written: a large file is in memory once."""

    octets: bytes

    def __iter__(self) -> Iterator[bytes]:
        """Lines of 76 octets, ended by CRLF (RFC 2045, 6.8), many at a time."""
        for start in range(0, len(self.octets), _ENCODED_AT_ONCE):
            yield base64_lines(self.octets[start : start + _ENCODED_AT_ONCE])

    def __len__(self) -> int:
        """The octets of these lines."""
        lines, rest = divmod(len(self.octets), _LINE_OCTETS)
        return lines * 78 + (-(-rest // 3) * 4 + 2 if rest else 0)


@dataclass(frozen=True, slots=True)
class Entity:
    """A part with its own fields.

    Attributes:
        fields: each whole, with its CRLF.
        body: encoded for transfer, in pieces that end with a line.
    """

    fields: tuple[bytes, ...]
    body: tuple[bytes | Base64, ...]

    @property
    def size(self) -> int:
        """The octets of the body."""
        return sum(map(len, self.body))

    def write(self, file: BinaryIO) -> None:
        """Write the body."""
        for piece in self.body:
            file.writelines([piece] if isinstance(piece, bytes) else piece)


class Boundaries:
    """Gives boundaries, the same ones for the same message."""

    def __init__(self, unique: str) -> None:
        self._unique = unique
        self._count = 0

    def unlike(self, parts: Sequence[Entity]) -> str:
        """A boundary that stands nowhere in these parts."""
        while True:
            self._count += 1
            seed = f"{self._unique}/{self._count}".encode()
            # No quoted-printable and no base64 has "=_" (RFC 2045, 6.7).
            boundary = f"=_{hashlib.sha256(seed).hexdigest()[:_BOUNDARY_DIGITS]}"
            if not any(boundary.encode() in piece for part in parts for piece in _texts(part)):
                return boundary


def _texts(part: Entity) -> Iterator[bytes]:
    """The pieces of a body in which a boundary may stand: base64 has no ``_``."""
    return (piece for piece in part.body if isinstance(piece, bytes))


def multipart(
    kind: str, parts: Sequence[Entity], boundaries: Boundaries, **parameters: str
) -> Entity:
    """Several parts as one (RFC 2046, 5.1)."""
    boundary = boundaries.unlike(parts)
    values: Mapping[str, str] = {**parameters, "boundary": boundary}
    return Entity(
        (parameterised("Content-Type", f"multipart/{kind}", values),),
        tuple(_delimited(parts, boundary.encode())),
    )


def _delimited(parts: Sequence[Entity], boundary: bytes) -> Iterator[bytes | Base64]:
    for part in parts:
        yield b"".join((b"--" + boundary + b"\r\n", *part.fields, b"\r\n"))
        yield from part.body
        yield b"\r\n"
    yield b"--" + boundary + b"--\r\n"


MAX_PLAIN_LINE: Final = 78
"""Octets of a line that goes out as it stands (RFC 5322, 2.1.1). A paragraph on one longer line is
encoded, which keeps it one line for the reader."""
MAX_QUOTED_RATIO: Final = 1.5
"""Factor by which quoted-printable may be longer than base64: people can read it, and filters
suspect text in base64. Scripts other than Latin are beyond."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_NOT_PLAIN = re.compile(
    rb"[^\t\n\x20-\x7e]"  # not ASCII, or a control character
    rb"|^From "  # mbox files turn it into ">From "
    rb"|[ \t]$(?<!^-- )"  # blanks at the end get lost on the way; "-- " is the signature's mark
    rb"|=_"  # every boundary has it
    rb"|^[^\n]{%d}" % (MAX_PLAIN_LINE + 1),
    re.MULTILINE,
)


def text_entity(text: str, subtype: str) -> Entity:
    """A text part, ``text/plain`` or ``text/html``.

    Args:
        text: with whatever line ends. Lone surrogates, which no charset has, become ``?``.
        subtype: ``"plain"`` or ``"html"``.

    Returns:
        us-ascii where that is enough, else utf-8; as it stands where every system leaves it as it
        is, else in quoted-printable or base64, whichever is shorter.
    """
    lines = _LINE_END.sub("\n", text)
    octets = (lines if lines.endswith("\n") else lines + "\n").encode("utf-8", "replace")
    charset = "us-ascii" if octets.isascii() else "utf-8"
    encoding, body = _encoded(octets)
    return Entity(
        (
            parameterised("Content-Type", f"text/{subtype}", {"charset": charset}),
            structured("Content-Transfer-Encoding", encoding),
        ),
        (body,),
    )


def _encoded(octets: bytes) -> tuple[str, bytes]:
    """The transfer encoding, and the text in it, lines ended by CRLF."""
    if not _NOT_PLAIN.search(octets):
        return "7bit", octets.replace(b"\n", b"\r\n")
    quoted = _quoted_printable(octets)
    encoded = base64_lines(octets.replace(b"\n", b"\r\n"))
    is_short = len(quoted) <= MAX_QUOTED_RATIO * len(encoded)
    return ("quoted-printable", quoted) if is_short else ("base64", encoded)


def _quoted_printable(octets: bytes) -> bytes:
    quoted = binascii.b2a_qp(octets, quotetabs=False, istext=True)
    return re.sub(rb"^From ", b"=46rom ", quoted, flags=re.MULTILINE).replace(b"\n", b"\r\n")


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76 octets, ended by CRLF (RFC 2045, 6.8)."""
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")
