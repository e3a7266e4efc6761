"""A message as plain values for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nornmail.message.attachment import Attachment
    from nornmail.message.bounce import Bounce
    from nornmail.message.message import Message

_AS_THEY_ARE: Final = (
    "subject", "message_id", "in_reply_to", "thread_id", "text", "plain_text", "html", "new_text",
    "inbox", "delivery_id", "attempt", "truncated", "automatic_reason",
)  # fmt: skip


def message_dict(message: Message) -> dict[str, Any]:
    """See :meth:`nornmail.message.Message.to_dict`."""
    found = message.authentication
    return {
        "from": asdict(message.from_),
        "sender": asdict(message.sender),
        "to": [asdict(one) for one in message.to],
        "cc": [asdict(one) for one in message.cc],
        "bcc": [asdict(one) for one in message.bcc],
        "reply_to": [asdict(one) for one in message.reply_to],
        **{name: getattr(message, name) for name in _AS_THEY_ARE},
        "date": message.date.isoformat() if message.date else None,
        "received_at": message.received_at.isoformat() if message.received_at else None,
        "references": list(message.references),
        "recipients": list(message.recipients),
        "headers": [list(item) for item in message.headers.items()],
        "flags": sorted(message.flags),
        "ref": asdict(message.ref) if message.ref else None,
        "is_automatic": bool(message.is_automatic),
        "automatic_kind": message.is_automatic.kind,
        "attachments": [_attachment_dict(one) for one in message.attachments],
        "authentication": asdict(found) | {"dkim_domains": list(found.dkim_domains)},
        "bounce": _bounce_dict(message.bounce),
        "defects": list(message.defects),
    }


def _bounce_dict(bounce: Bounce | None) -> dict[str, Any] | None:
    if bounce is None:
        return None
    return {
        "original_message_id": bounce.original_message_id,
        "is_permanent": bounce.is_permanent,
        "recipients": [asdict(one) for one in bounce.recipients],
    }


def _attachment_dict(attachment: Attachment) -> dict[str, str | int | bool]:
    return {
        "filename": attachment.filename,
        "original_filename": attachment.original_filename,
        "content_type": attachment.content_type,
        "disposition": attachment.disposition,
        "size": attachment.size,
        "content_id": attachment.content_id,
        "is_inline": attachment.is_inline,
    }
