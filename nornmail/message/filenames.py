"""A file name that a stranger sent, made safe to join to a directory. Total."""

from __future__ import annotations

import re
from typing import Final

from nornmail.message.limits import MAX_FILENAME_BYTES, MAX_FILENAME_CHARS_READ

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
