"""Free text in the header, and the further fields that a user may add."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from nornmail.compose.addresses import NOT_IN_A_LINE
from nornmail.compose.headers import MAX_RAW_TOKEN_OCTETS, unstructured
from nornmail.errors import ComposeError

MAX_TEXT_CHARS: Final = 2_000
"""Characters of a subject or of another field; more than about 1,000 octets some servers refuse."""
MAX_NAME_OCTETS: Final = 76
"""Octets of a field's name."""
MAX_EXTRA_FIELDS: Final = 100
"""Fields that a user adds to one message."""

OURS: Final = frozenset(
    {
        *("from", "to", "cc", "bcc", "reply-to", "sender", "subject", "date", "message-id"),
        *("in-reply-to", "references", "auto-submitted", "x-auto-response-suppress"),
        # What only those may write who carry a message, or deliver it.
        *("return-path", "received", "delivered-to", "x-original-to", "envelope-to"),
        *("x-envelope-to", "apparently-to", "authentication-results", "dkim-signature"),
    }
)
"""Fields that are made here, or by servers."""
OURS_BEGIN: Final = ("content-", "mime-", "resent-", "arc-", "received-")
"""What the names of others of them begin with. Resent-To is a recipient to some programs."""

_NAME = re.compile(rf"[!-9;-~]{{1,{MAX_NAME_OCTETS}}}")


def checked_text(value: object, field: str) -> str:
    """A text for one line of the header, without the blanks around it.

    Raises:
        ComposeError: it holds a line end or another control character, or is too long.
    """
    if not isinstance(value, str):
        raise ComposeError(field, f"{type(value).__name__} is no text")
    value = value.strip()
    bad = NOT_IN_A_LINE.search(value)
    if bad:
        raise ComposeError(field, f"it holds {bad[0]!a}, and must be one line without controls")
    if len(value) > MAX_TEXT_CHARS:
        raise ComposeError(field, f"more than {MAX_TEXT_CHARS} characters")
    return value


def extra_fields(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """The user's further fields, in their order.

    What is ASCII goes out as it stands, broken at blanks; anything else is encoded.

    Raises:
        ComposeError: a name is none, or one of ours; a value cannot stand on a line.
    """
    pairs: list[tuple[object, object]]
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if len(pairs) > MAX_EXTRA_FIELDS:
        raise ComposeError("headers", f"more than {MAX_EXTRA_FIELDS}")
    for name, value in pairs:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ComposeError("headers", f"{str(name)[:80]!a} is no name of a field")
        if name.lower() in OURS or name.lower().startswith(OURS_BEGIN):
            raise ComposeError("headers", f"{name} is written by nornmail, or by servers")
        checked = checked_text(value, f"headers[{name!r}]")
        if not checked:
            raise ComposeError("headers", f"{name} is empty")
        yield unstructured(name, checked, MAX_RAW_TOKEN_OCTETS)
