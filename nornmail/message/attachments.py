"""An attached part of a message, decoded when it is asked for."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from nornmail.defects import Note, ignore
from nornmail.message.limits import MAX_FILENAME_BYTES, MAX_FILENAME_CHARS_READ
from nornmail.message.parser import Part, content_id

_REFUSED = re.compile(
    # Controls; what Windows refuses; marks that turn the direction of writing ("exe.fdp" reads
    # as "pdf.exe"), are invisible, or end a line; lone surrogates.
    '[\x00-\x1f\x7f-\x9f<>:"|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+'
)
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|\Z)", re.IGNORECASE)
_MAX_EXTENSION_BYTES: Final = 20

_EXTENSIONS: Final = {
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "application/json": ".json",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/plain": ".txt",
}
"""For parts without a name. A table of our own, since ``mimetypes`` differs by machine."""


def safe_filename(name: str, content_type: str) -> str:
    """A base name: never empty, no path, no leading or trailing dot or space, no control character.

    Args:
        name: the decoded name as the sender wrote it, with whatever path.
        content_type: gives the extension where there is no name.

    Returns:
        At most :data:`~nornmail.message.limits.MAX_FILENAME_BYTES` octets of UTF-8, with the
        extension kept; ``attachment`` with an extension where the name has nothing usable. Two
        attachments may share a name.
    """
    name = name[-MAX_FILENAME_CHARS_READ:].replace("\\", "/").rpartition("/")[2]
    name = _REFUSED.sub("_", name).strip(" .\t\u00a0\u3000")
    if not name.strip("_"):
        return "attachment" + _EXTENSIONS.get(content_type, "")
    if _DEVICES.match(name):
        name = "_" + name
    if len(name.encode()) <= MAX_FILENAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > _MAX_EXTENSION_BYTES:
        stem, dot, extension = name, "", ""
    room = MAX_FILENAME_BYTES - len((dot + extension).encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + dot + extension


def write_new(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that does not exist yet; what fails half-way leaves none.

    Raises:
        FileExistsError: there is a file, or a link, whatever it leads to.
        OSError: it cannot be written.
    """
    file = path.open("xb")
    try:
        with file:
            for piece in pieces:
                file.write(piece)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


_MAX_SAME_NAME: Final = 1_000
"""Files of one name in a directory, before saving another is given up."""
_VALUES: Final = (
    "filename", "original_filename", "content_type", "disposition", "content_id", "is_inline",
)  # fmt: skip


class Attachment:
    """A file, an image, or a message that is attached. Inert and immutable.

    Attributes:
        filename: a safe base name, never empty: no path, no control characters, no leading dot, at
            most 200 octets (RFC 2183 section 2.3). Two attachments may have the same. Where the
            sender gave no name, it is ``attachment`` and an ending that fits the type.
        original_filename: the name as the sender wrote it, decoded (RFC 2047, 2231) and **not**
            made safe; ``""`` when there is none. Not to be joined to a directory.
        content_type: the media type in lower case, as the sender claims it (RFC 2045).
        content_id: without its brackets, as a ``cid:`` link names it (RFC 2392); ``""`` if none.
        disposition: the word of Content-Disposition in lower case: ``"attachment"``, ``"inline"``,
            another, or ``""`` when there is none (RFC 2183 section 2).
        is_inline: meant to be shown within the text, such as an image of the HTML.
    """

    __slots__ = (
        "_content", "_note", "_part", "content_id", "content_type", "disposition", "filename",
        "is_inline", "original_filename",
    )  # fmt: skip

    filename: str
    original_filename: str
    disposition: str
    content_type: str
    content_id: str
    is_inline: bool
    _content: bytes | None
    _note: Note
    _part: Part

    def __init__(self, part: Part, is_inline: bool, note: Note = ignore) -> None:
        values = {
            "filename": safe_filename(part.filename, part.content_type),
            "original_filename": part.filename,
            "content_type": part.content_type,
            "disposition": part.disposition,
            "content_id": content_id(part),
            "is_inline": is_inline,
            "_part": part,
            "_note": note,
            "_content": None,
        }
        self.__setstate__(values)

    @property
    def content(self) -> bytes:
        """The octets, decoded on first use and kept."""
        content = self._content
        if content is None:
            content = self._part.content(self._note)
            object.__setattr__(self, "_content", content)
        return content

    @property
    def size(self) -> int:
        """The number of octets in ``content``."""
        return len(self.content)

    def open(self) -> BinaryIO:
        """The octets as a file open for reading, as :func:`csv.reader` and others take it."""
        return io.BytesIO(self.content)

    def save(self, directory: str | os.PathLike[str]) -> Path:
        """Write the octets to a new file in ``directory``, and return its path.

        The file is called ``filename``; where that is taken, by a file or a link, ``name (2).pdf``
        and so on. Nothing outside of ``directory`` is written, and nothing in it written over.

        Raises:
            OSError: ``directory`` is not there, or the file cannot be written; none is left then.
        """
        first = Path(directory) / self.filename
        for number in range(1, _MAX_SAME_NAME + 1):
            path = first if number == 1 else first.with_stem(f"{first.stem} ({number})")
            with suppress(FileExistsError):
                write_new(path, [self.content])
                return path
        raise FileExistsError(f"{directory} has {_MAX_SAME_NAME} files called {self.filename}")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an attachment cannot be changed: {name}")

    def __getstate__(self) -> dict[str, Any]:
        """The values alone: a copy carries its content and not the message around it."""
        return {name: getattr(self, name) for name in _VALUES} | {"_content": self.content}

    def __setstate__(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<Attachment {self.filename!r} {self.content_type}>"
