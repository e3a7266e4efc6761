"""Delivery reports: who did not get a message, and why (RFC 3464, 3462, 6533). Total."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nornmail.message.defects import Note, ignore
from nornmail.message.headers import Headers, decode_text, message_ids, read_headers
from nornmail.message.limits import MAX_REPORT_CHARS, MAX_REPORT_RECIPIENTS
from nornmail.message.parser import Part, with_line_feeds

_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINAL_TYPES: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
_BLANK_LINES = re.compile(rb"[ \t\r\n]*+")
_GROUP_END = re.compile(rb"\n[ \t]*+\r?\n")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ACTIONS: Final = {"failed": "failed", "failure": "failed", "delayed": "delayed"}
"""Those that are a failure, and how some servers misspell them."""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient of a delivery report.

    Attributes:
        address: where the message was sent to (Original-Recipient, else Final-Recipient).
        action: ``"failed"``, or ``"delayed"``: the server still tries.
        status: the enhanced code (RFC 3463) such as ``"5.1.1"``, ``""`` when there is none.
        diagnostic: the remote server's words on one line, cut to 1,000 characters.
    """

    address: str
    action: str
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report that a message did not get through, or not yet.

    It is as forgeable as any mail: act on it only where ``original_message_id`` is your own.

    Attributes:
        recipients: whom it is about.
        original_message_id: the reported message's Message-ID with its brackets, ``""`` if the
            report does not carry it.
    """

    recipients: tuple[FailedRecipient, ...]
    original_message_id: str = ""

    @property
    def is_permanent(self) -> bool:
        """At least one recipient failed for good."""
        return any(recipient.action == "failed" for recipient in self.recipients)


def read_bounce(root: Part, note: Note = ignore) -> Bounce | None:
    """The report within ``root``, ``None`` when there is none or it reports no failure.

    The multipart may have any name: forwarders and list servers rename or wrap the report.
    """
    if not root.is_multipart:
        return None
    recipients: list[FailedRecipient] = []
    original = ""
    for part in root.walk():
        if part.content_type in _STATUS_TYPES:
            recipients += _recipients(part.content(note), note)
        elif part.content_type in _ORIGINAL_TYPES and not original:
            content = with_line_feeds(part.content(note))
            headers, _ = read_headers(content, 0, len(content))
            original = next(iter(message_ids(headers.raw("message-id"))), "")
    if not recipients:
        return None
    return Bounce(tuple(recipients[:MAX_REPORT_RECIPIENTS]), original)


def _recipients(content: bytes, note: Note) -> list[FailedRecipient]:
    """One group of fields about the message, then one for each recipient (RFC 3464 section 2.1)."""
    content = with_line_feeds(content)
    found: list[FailedRecipient] = []
    at = 0
    for _group in range(MAX_REPORT_RECIPIENTS + 1):
        at = _past(_BLANK_LINES, content, at, at)
        if at == len(content):
            return found
        group_end = _past(_GROUP_END, content, at, len(content))
        headers, _ = read_headers(content, at, group_end)
        recipient = _recipient(headers)
        if recipient is not None:
            found.append(recipient)
        at = group_end
    note("more reported recipients than the limit")
    return found


def _past(what: re.Pattern[bytes], content: bytes, at: int, otherwise: int) -> int:
    found = what.search(content, at)
    return found.end() if found else otherwise


def _recipient(headers: Headers) -> FailedRecipient | None:
    action = _ACTIONS.get(headers.raw("action").partition(" ")[0].lower())
    address = _typed(headers, "original-recipient")
    if "@" not in address:
        address = _typed(headers, "final-recipient") or address
    if action is None or not address:
        return None
    status = _STATUS.search(headers.raw("status"))
    return FailedRecipient(
        address.strip("<>"),
        action,
        status[0] if status else "",
        _typed(headers, "diagnostic-code"),
    )


def _typed(headers: Headers, name: str) -> str:
    """The value behind the type: ``rfc822; a@b.example``."""
    kind, semicolon, value = headers.raw(name).partition(";")
    return decode_text(value if semicolon else kind)[:MAX_REPORT_CHARS]
