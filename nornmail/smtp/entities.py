"""MIME entities as values, and how they are put together (RFC 2045, 2046, 2387)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nornmail.compose.headers import parameterised

BOUNDARY_DIGITS: Final = 24
"""Hexadecimal digits of a boundary: nobody guesses 96 bits."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A part with its own fields.

    Attributes:
        fields: each whole, with its CRLF.
        body: encoded for transfer.
    """

    fields: tuple[bytes, ...]
    body: bytes


class Boundaries:
    """Gives boundaries, the same ones for the same message.

    Args:
        unique: what makes this message another one than all others.
    """

    def __init__(self, unique: str) -> None:
        self._unique = unique
        self._count = 0

    def unlike(self, parts: Sequence[Entity]) -> str:
        """A boundary that stands nowhere in these parts."""
        while True:
            self._count += 1
            seed = f"{self._unique}/{self._count}".encode()
            # No quoted-printable and no base64 has "=_" (RFC 2045, 6.7).
            boundary = f"=_{hashlib.sha256(seed).hexdigest()[:BOUNDARY_DIGITS]}"
            if not any(boundary.encode() in part.body for part in parts):
                return boundary


def multipart(
    kind: str, parts: Sequence[Entity], boundaries: Boundaries, **parameters: str
) -> Entity:
    """Several parts as one (RFC 2046, 5.1).

    Args:
        kind: ``"mixed"``, ``"alternative"`` or ``"related"``.
        parts: at least one.
        boundaries: of this message.
        parameters: further ones of the Content-Type.
    """
    boundary = boundaries.unlike(parts)
    values: Mapping[str, str] = {**parameters, "boundary": boundary}
    return Entity(
        (parameterised("Content-Type", f"multipart/{kind}", values),),
        b"".join(_delimited(parts, boundary.encode())),
    )


def _delimited(parts: Sequence[Entity], boundary: bytes) -> Iterator[bytes]:
    for part in parts:
        yield b"--" + boundary + b"\r\n"
        yield from part.fields
        yield b"\r\n"
        yield part.body
        yield b"\r\n"
    yield b"--" + boundary + b"--\r\n"
