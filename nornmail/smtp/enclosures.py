"""What is sent along with a message: files, and images that its HTML shows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from nornmail.errors import ComposeError
from nornmail.message import Attachment


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file to send along.

    Attributes:
        filename: its name for the receiver, without a path.
        content: its octets.
        content_type: as ``"application/pdf"``; ``""`` is guessed from the name.
        content_id: set for an image that the HTML shows by ``<img src="cid:...">`` (RFC 2392);
            without angle brackets.
    """

    filename: str
    content: bytes = field(repr=False)
    content_type: str = ""
    content_id: str = ""


Enclosable: TypeAlias = Enclosure | Attachment | tuple[str, bytes] | str | os.PathLike[str]
"""An Enclosure, an Attachment of a message that came in, (name, octets), or a path."""


def read_enclosures(sources: Iterable[Enclosable]) -> tuple[Enclosure, ...]:
    """What is to be sent along, with the files read. The one place of ``smtp/`` that reads files.

    Args:
        sources: see :data:`Enclosable`; a text is a path.

    Raises:
        ComposeError: a file cannot be read, or it is none of these.
    """
    return tuple(_read(source) for source in sources)


def _read(source: Enclosable) -> Enclosure:
    if isinstance(source, Enclosure):
        return source
    if isinstance(source, Attachment):
        return Enclosure(source.filename, source.content, source.content_type)
    if isinstance(source, tuple):
        return Enclosure(*source)
    path = Path(source)
    try:
        return Enclosure(path.name, path.read_bytes())
    except (OSError, ValueError) as error:
        raise ComposeError("attachments", f"{str(path)!a} cannot be read: {error}") from error
