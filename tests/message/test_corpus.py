"""What other projects' tests expect of real mail. What differs is written down with its reason."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from nornmail.message.addresses import Address
from nornmail.message.message import Message, parse_message
from tests.message import corpus

_CHARSET = re.compile(r"charset=\"?[\w-]+", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")

RFC822: Final = "the text of an attached message is not this one's"
UNDECLARED: Final = "octets outside their charset are shown, and not dropped"
WITHOUT_NAME: Final = "parts without a name are attachments, too: nothing that was sent is lost"
AS_SENT: Final = "an attached message is the bytes that were sent, not a new rendering of them"
SKIPPED: Final = "one bad line does not end the header"

GARBLED: Final = "a name that its sender garbled is no character more right in one way than another"

DIFFERENT: Final[dict[str, dict[str, str]]] = {
    "attachment_2_base64": {"text": RFC822},
    "attachment_7bit": {"text": RFC822, "html": RFC822, "attachments": AS_SENT},
    "attachment_8bit": {"text": RFC822, "html": RFC822},
    "attachment_emails/attachment_message_rfc822": {"text": RFC822, "attachments": RFC822},
    "attachment_emails/attachment_with_encoded_name": {"attachments": GARBLED},
    "error_emails/content_transfer_encoding_7-bit": {
        "text": "ISO 8859-1 is read as windows-1252, as everywhere",
        "html": "ISO 8859-1 is read as windows-1252, as everywhere",
    },
    "error_emails/content_transfer_encoding_empty": {"html": "octets that are no Big5 at all"},
    "error_emails/content_transfer_encoding_plain": {"text": UNDECLARED},
    "error_emails/invalid_subject_characters": {"subject": UNDECLARED},
    "error_emails/missing_body": {"to": "an empty group is nobody, within brackets as well"},
    "error_emails/missing_content_disposition": {"attachments": WITHOUT_NAME},
    "forwarded_message": {"text": RFC822, "html": RFC822},
    "mime_emails/raw_email11": {"to": "what stands in brackets is the address"},
    "mime_emails/raw_email_with_mimepart_without_content_type": {
        "text": RFC822, "attachments": WITHOUT_NAME,
    },
    "multipart_report_emails/multi_address_bounce1": {
        "text": RFC822, "attachments": WITHOUT_NAME,
    },
    "multipart_report_emails/multi_address_bounce2": {
        "text": RFC822, "attachments": WITHOUT_NAME,
    },
    "multipart_report_emails/multipart_report_multiple_status": {
        "text": RFC822, "html": RFC822, "attachments": WITHOUT_NAME,
    },
    "multipart_report_emails/report_422": {"attachments": WITHOUT_NAME},
    "multipart_report_emails/report_530": {"attachments": WITHOUT_NAME},
    "plain_emails/mix_caps_content_type": {"from": "a name and an address without brackets"},
    "plain_emails/raw_email6": {"text": UNDECLARED},
    "plain_emails/raw_email8": {"attachments": GARBLED},
    "plain_emails/raw_email_incorrect_header": dict.fromkeys(
        ("subject", "from", "to", "date", "text", "headers"), SKIPPED
    ),
    "plain_emails/raw_email_with_at_display_name": {
        "to": "an address in front of brackets is a name, whoever it names",
    },
    "rfc2822/example10": {
        "from": "comments within the address are no part of the name",
        "to": "comments within the address are no part of the name",
    },
    "rfc2822/example13": dict.fromkeys(
        ("subject", "from", "to", "date", "text", "headers"), SKIPPED
    ),
    "rfc2822/example14": {"subject": "a blank between words is shown once, not left out"},
    "text_with_content_id": {"attachments": "the text of the message is not attached to it"},
}  # fmt: skip
"""By message and field."""


def without_blanks(text: str) -> str:
    """Blanks and line ends differ by platform and by how a header was folded."""
    return _BLANKS.sub(" ", text).strip()


def same_page(html: str) -> str:
    """The project that the results are from rewrites the charset that a page names."""
    return without_blanks(_CHARSET.sub("charset", html))


def addresses(values: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(one["name"], one["email"]) for one in values]


def found_addresses(found: tuple[Address, ...]) -> list[tuple[str, str]]:
    return [(one.name, one.address) for one in found]


def expected_date(text: str) -> datetime | None:
    """A date without a zone is in UTC; 1900 stands for none."""
    found = datetime.fromisoformat(text)
    if found.year == 1900:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def expected_fields(wanted: dict[str, Any]) -> dict[str, object]:
    return {
        "subject": without_blanks(wanted["subject"]),
        "from": addresses([wanted["from_values"]]) if wanted["from_values"] else [("", "")],
        **{name: addresses(wanted[f"{name}_values"]) for name in ("to", "cc", "bcc", "reply_to")},
        "date": expected_date(wanted["date"]),
        "text": without_blanks(wanted["text"]),
        "html": same_page(wanted["html"]),
        "headers": sorted(wanted["headers"]),
        "attachments": [
            (
                one["filename"],
                one["content_type"],
                one["content_id"],
                one["content_disposition"],
                one["payload"]["bytes_len"],
                one["payload"]["sha256"],
            )
            for one in wanted["attachments"]
        ],
    }


def found_fields(message: Message) -> dict[str, object]:
    return {
        "subject": without_blanks(message.subject),
        "from": found_addresses((message.from_,)),
        "to": found_addresses(message.to),
        "cc": found_addresses(message.cc),
        "bcc": found_addresses(message.bcc),
        "reply_to": found_addresses(message.reply_to),
        "date": message.date,
        "text": without_blanks(message.plain_text),
        "html": same_page(message.html),
        "headers": sorted({name.lower() for name in message.headers}),
        "attachments": [
            (
                one.original_filename,
                one.content_type,
                one.content_id,
                one.disposition,
                one.size,
                hashlib.sha256(one.content).hexdigest(),
            )
            for one in message.attachments
        ],
    }


@corpus.needs_corpus
def test_the_expected_results_hold() -> None:
    folder = corpus.ROOT / "imap_tools"
    results = sorted((folder / "expected").rglob("*.json"))
    assert len(results) > 100
    different: dict[str, dict[str, tuple[object, object]]] = {}
    for result in results:
        name = Path(result).relative_to(folder / "expected").with_suffix("").as_posix()
        found = found_fields(parse_message((folder / f"{name}.eml").read_bytes()))
        wanted = expected_fields(corpus.read_json(result))
        fields = {field: (found[field], wanted[field]) for field in wanted}
        not_same = {field: pair for field, pair in fields.items() if pair[0] != pair[1]}
        if not_same:
            different[name] = not_same
    told = {(name, field) for name, fields in DIFFERENT.items() for field in fields}
    seen = {
        (name, field): pair for name, pairs in different.items() for field, pair in pairs.items()
    }
    assert seen.keys() - told == set(), {key: seen[key] for key in seen.keys() - told}
    assert told - seen.keys() == set()
