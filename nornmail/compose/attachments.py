"""Attachments of outgoing mail: files, and images that its HTML shows."""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, TypeGuard, cast

from nornmail.compose.addresses import NOT_IN_A_LINE
from nornmail.compose.headers import parameterised, structured
from nornmail.compose.mime import Base64, Entity
from nornmail.errors import ComposeError
from nornmail.message.attachments import Attachment
from nornmail.message.parser import parse_content_type
from nornmail.outgoing import check_line_endings

UNKNOWN: Final = "application/octet-stream"
"""The media type of octets without a known one (RFC 2046, 4.5.1)."""

# A table of our own: ``mimetypes`` reads the system's files, and grows with each Python.

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
    """The media type of the file name's extension, :data:`UNKNOWN` where it is not known."""
    return _BY_EXTENSION.get(filename.rpartition(".")[2].lower(), UNKNOWN)


MAX_FILENAME_OCTETS: Final = 255
"""Octets of a file name: what common file systems take."""
MAX_FILE_OCTETS: Final = 150 * 1024 * 1024
"""Octets of a file that is read: the most generous provider takes as much for a whole message."""
MAX_CONTENT_ID_CHARS: Final = 200
"""Characters of a Content-ID; it stands on one line."""

_DECODED_AT_ONCE: Final = 64 * 1024
_LINE_END = re.compile(rb"\r\n|\r|\n")
_CONTENT_ID = re.compile(rf"[A-Za-z0-9!#$&'*+/=^_`{{|}}~.@-]{{1,{MAX_CONTENT_ID_CHARS}}}")
_MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}"
    r"(?:; *[A-Za-z0-9!#$&^_.+-]{1,50}=(?:[A-Za-z0-9!#$&^_.+:/-]+|\"[ !#-\[\]-~]*\"))*"
)


@dataclass(frozen=True, slots=True)
class OutgoingAttachment:
    """A file to send.

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
"""An OutgoingAttachment, an Attachment of an incoming message, (name, octets), or a path."""


def read_attachments(
    sources: Iterable[AttachmentSource] | AttachmentSource,
) -> tuple[OutgoingAttachment, ...]:
    """The attachments, with their files read. Nothing else in ``compose/`` reads files."""
    if isinstance(sources, OutgoingAttachment | Attachment | str | os.PathLike) or _is_named(
        sources
    ):
        return (_read(sources),)
    return tuple(map(_read, cast("Iterable[AttachmentSource]", sources)))


def _is_named(value: object) -> TypeGuard[tuple[str, _Octets]]:
    """Whether this is a pair of name and octets."""
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
        is_file = not source.content_type.startswith("multipart/")  # broken ones stay unopened
        return OutgoingAttachment(
            source.filename, source.content, source.content_type if is_file else ""
        )
    if _is_named(source):
        return OutgoingAttachment(source[0], bytes(source[1]))
    if not isinstance(source, str | os.PathLike):
        raise ComposeError(
            "attachments", f"{type(source).__name__} is not a file, a path or (name, octets)"
        )
    try:
        return _read_file(Path(source))
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ComposeError("attachments", f"{str(source)!a} cannot be read: {reason}") from error


def _read_file(path: Path) -> OutgoingAttachment:
    """The attachment of a regular file: a device or a pipe may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("not a regular file")
    if status.st_size > MAX_FILE_OCTETS:
        raise ValueError(f"it has more than {MAX_FILE_OCTETS} octets")
    with path.open("rb") as file:
        return OutgoingAttachment(path.name, file.read(MAX_FILE_OCTETS))


def attachment_entity(attachment: OutgoingAttachment, *, inline: bool = False) -> Entity:
    """The MIME part of a file, its octets unchanged but for an attached message's line ends."""
    filename = _checked_filename(attachment.filename)
    kind, parameters = _type_of(attachment)
    content = bytes(attachment.content)
    encoding: str = "base64"
    body: bytes | Base64 = Base64(content)
    if kind == "message/rfc822":
        # RFC 2046 (5.2.1) forbids encoding it. One that would need it goes as a file.
        lines = _LINE_END.sub(b"\r\n", content)
        plain = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
        if not plain.isascii():
            plain = _in_seven_bits(plain)
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
    if attachment.content_id:
        fields.append(structured("Content-ID", f"<{checked_content_id(attachment)}>"))
    return Entity(tuple(fields), (body,))


def _in_seven_bits(raw: bytes) -> bytes:
    """A message with its 8-bit parts encoded; as it was where the standard library cannot do it."""
    from email import message_from_bytes, policy
    from email.generator import BytesGenerator

    rules = policy.compat32.clone(cte_type="7bit", linesep="\r\n", max_line_length=None)
    file = io.BytesIO()
    try:
        parsed = message_from_bytes(raw, policy=rules)
        BytesGenerator(file, mangle_from_=False, policy=rules).flatten(parsed)
    except Exception:  # mail that it cannot parse is sent as a file
        return raw
    return file.getvalue()


def checked_content_id(attachment: OutgoingAttachment) -> str:
    """The Content-ID, without its brackets."""
    content_id = attachment.content_id.removeprefix("<").removesuffix(">")
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


def _type_of(attachment: OutgoingAttachment) -> tuple[str, dict[str, str]]:
    """The media type and its parameters, as declared or guessed from the name."""
    if not isinstance(attachment.content, bytes | bytearray | memoryview):
        raise ComposeError(
            "attachments", f"{attachment.filename[:80]!a} must have bytes as its content"
        )
    media_type = attachment.content_type or guessed_type(attachment.filename)
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise ComposeError("attachments", f"{media_type[:80]!a} is not a media type")
    kind, parameters = parse_content_type(media_type)
    if kind.startswith("multipart/"):
        raise ComposeError("attachments", f"{kind} cannot be the type of a file")
    if kind.startswith("text/"):
        parameters.setdefault("charset", _charset_of(bytes(attachment.content)))
    return kind, {name: value for name, value in parameters.items() if value}


def _charset_of(octets: bytes) -> str:
    """The charset that the octets of a text show; ``""`` where they show none."""
    if octets.isascii():
        return "us-ascii"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(octets), _DECODED_AT_ONCE):
            decoder.decode(octets[start : start + _DECODED_AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return ""
    return "utf-8"
