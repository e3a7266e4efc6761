"""What is sent along with a message: files, and images that its HTML shows."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, TypeGuard, cast

from nornmail.compose.addresses import NOT_IN_A_LINE
from nornmail.compose.headers import parameterised, structured
from nornmail.compose.mime import Entity, base64_lines
from nornmail.errors import ComposeError
from nornmail.message.attachment import Attachment
from nornmail.message.parameters import parse_content_type
from nornmail.outgoing import check_line_endings

# ---- Which media type a file has, by its name; the same on every machine and every Python.
# ``mimetypes`` reads the system's files, and what it knows by itself grows with each release.

UNKNOWN: Final = "application/octet-stream"
"""What is only octets (RFC 2046, 4.5.1)."""

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OPEN = "application/vnd.oasis.opendocument."
_BY_EXTENSION: Final = {
    "7z": "application/x-7z-compressed",
    "aac": "audio/aac",
    "avif": "image/avif",
    "avi": "video/x-msvideo",
    "bmp": "image/bmp",
    "bz2": "application/x-bzip2",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": _OFFICE + "wordprocessingml.document",
    "eml": "message/rfc822",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "heic": "image/heic",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "log": "text/plain",
    "m4a": "audio/mp4",
    "md": "text/markdown",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "odp": _OPEN + "presentation",
    "ods": _OPEN + "spreadsheet",
    "odt": _OPEN + "text",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "patch": "text/x-diff",
    "diff": "text/x-diff",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": _OFFICE + "presentationml.presentation",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "wav": "audio/x-wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xls": "application/vnd.ms-excel",
    "xlsx": _OFFICE + "spreadsheetml.sheet",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
}


def guessed_type(filename: str) -> str:
    """The media type that the extension stands for, :data:`UNKNOWN` where it is not known."""
    return _BY_EXTENSION.get(filename.rpartition(".")[2].lower(), UNKNOWN)


MAX_FILENAME_OCTETS: Final = 255
"""Octets of a file name: what common file systems take."""
MAX_FILE_OCTETS: Final = 150 * 1024 * 1024
"""Octets of a file that is read: what the most generous provider takes for a whole message."""
MAX_CONTENT_ID_CHARS: Final = 200
"""Characters of a Content-ID; it stands on one line."""

_LINE_END = re.compile(rb"\r\n|\r|\n")
_CONTENT_ID = re.compile(rf"[A-Za-z0-9!#$&'*+/=^_`{{|}}~.@-]{{1,{MAX_CONTENT_ID_CHARS}}}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}"
    r"(?:; *[A-Za-z0-9!#$&^_.+-]{1,50}=(?:[A-Za-z0-9!#$&^_.+:/-]+|\"[ !#-\[\]-~]*\"))*"
)


@dataclass(frozen=True, slots=True)
class OutgoingAttachment:
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


_Octets: TypeAlias = bytes | bytearray | memoryview
AttachmentSource: TypeAlias = (
    OutgoingAttachment | Attachment | tuple[str, _Octets] | str | os.PathLike[str]
)
"""An Enclosure, an Attachment of a message that came in, (name, octets), or a path."""


def read_attachments(
    sources: Iterable[AttachmentSource] | AttachmentSource,
) -> tuple[OutgoingAttachment, ...]:
    """What is to be sent along, with the files read. The one place of ``smtp/`` that reads files.

    Args:
        sources: one or several, see :data:`AttachmentSource`; a text is a path.

    Raises:
        ComposeError: a file cannot be read, is none or too large; or it is nothing of these.
    """
    if isinstance(sources, OutgoingAttachment | Attachment | str | os.PathLike) or _is_named(
        sources
    ):
        return (_read(sources),)
    return tuple(map(_read, cast("Iterable[AttachmentSource]", sources)))


def _is_named(value: object) -> TypeGuard[tuple[str, _Octets]]:
    """Whether this is (name, octets)."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], bytes | bytearray | memoryview)
    )


def _read(source: AttachmentSource) -> OutgoingAttachment:
    if isinstance(source, OutgoingAttachment):
        return source
    if isinstance(source, Attachment):
        is_file = not source.content_type.startswith("multipart/")  # one that could not be opened
        return OutgoingAttachment(
            source.filename, source.content, source.content_type if is_file else ""
        )
    if _is_named(source):
        return OutgoingAttachment(source[0], bytes(source[1]))
    if not isinstance(source, str | os.PathLike):
        raise ComposeError("attachments", f"{type(source).__name__} is no file")
    try:
        return _read_file(Path(source))
    except (OSError, ValueError, TypeError) as error:
        raise ComposeError("attachments", f"{str(source)!a} cannot be read: {error}") from error


def _read_file(path: Path) -> OutgoingAttachment:
    """A regular file: a device or a pipe may never end.

    Raises:
        OSError, ValueError: it cannot be read, is none, or is too large.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no file")
    if found.st_size > MAX_FILE_OCTETS:
        raise ValueError(f"it has more than {MAX_FILE_OCTETS} octets")
    with path.open("rb") as file:
        return OutgoingAttachment(path.name, file.read(MAX_FILE_OCTETS))


def enclosure_entity(one: OutgoingAttachment, *, inline: bool = False) -> Entity:
    """A file as a MIME part, its octets unchanged but for the line ends of an attached message.

    Args:
        one: what is sent along.
        inline: shown within the HTML.

    Raises:
        ComposeError: its name, its type or its Content-ID cannot be written.
    """
    filename = _checked_filename(one.filename)
    kind, parameters = _type_of(one)
    content = bytes(one.content)
    encoding, body = "base64", base64_lines(content)
    if kind == "message/rfc822":
        # RFC 2046 (5.2.1) forbids to encode it. One that cannot go as it stands goes as a file.
        lines = _LINE_END.sub(b"\r\n", content)
        plain = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
        if plain.isascii() and not check_line_endings(plain):
            encoding, body = "7bit", plain
        else:
            kind = UNKNOWN
    fields = [
        parameterised("Content-Type", kind, parameters),
        structured("Content-Transfer-Encoding", encoding),
        parameterised(
            "Content-Disposition", "inline" if inline else "attachment", {"filename": filename}
        ),
    ]
    if one.content_id:
        fields.append(structured("Content-ID", f"<{checked_content_id(one)}>"))
    return Entity(tuple(fields), body)


def checked_content_id(one: OutgoingAttachment) -> str:
    """The Content-ID, without its brackets.

    Raises:
        ComposeError: it cannot be named by a ``cid:`` link.
    """
    content_id = one.content_id.removeprefix("<").removesuffix(">")
    if not _CONTENT_ID.fullmatch(content_id):
        why = f"the Content-ID {content_id[:MAX_CONTENT_ID_CHARS]!a} must be of letters, digits, "
        raise ComposeError("attachments", why + "and signs such as . - _ @")
    return content_id


def _checked_filename(filename: object) -> str:
    if not isinstance(filename, str) or not filename.strip():
        raise ComposeError("attachments", "a file without a name")
    if NOT_IN_A_LINE.search(filename):
        raise ComposeError("attachments", f"control characters in the name {filename[:80]!a}")
    if len(filename.encode()) > MAX_FILENAME_OCTETS:
        raise ComposeError("attachments", f"a name of more than {MAX_FILENAME_OCTETS} octets")
    return filename


def _type_of(one: OutgoingAttachment) -> tuple[str, dict[str, str]]:
    """The media type and its parameters, given or guessed."""
    if not isinstance(one.content, bytes | bytearray | memoryview):
        raise ComposeError("attachments", f"{one.filename[:80]!a} holds no octets")
    given = one.content_type or guessed_type(one.filename)
    if not _MEDIA_TYPE.fullmatch(given):
        raise ComposeError("attachments", f"{given[:80]!a} is no media type")
    kind, parameters = parse_content_type(given)
    if kind.startswith("multipart/"):
        raise ComposeError("attachments", f"{kind} is the type of no file")
    if kind.startswith("text/"):
        parameters.setdefault("charset", _charset_of(bytes(one.content)))
    return kind, {name: value for name, value in parameters.items() if value}


def _charset_of(octets: bytes) -> str:
    """What a text is written in, as far as its octets show it."""
    if octets.isascii():
        return "us-ascii"
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "utf-8"
