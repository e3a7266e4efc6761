"""Values to JSON and back. Only built-in values come out, and only what JSON can hold.

A field that has its default is left out, so that a line of the journal stays short.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from nornmail.model import (
    Digest,
    Entry,
    EntryKey,
    Epoch,
    InboxRecord,
    MailboxKey,
    MailboxRecord,
    State,
    Watermark,
)
from nornmail.outgoing import QueuedMessage, QueueState, Recipient, RecipientStatus

_SURROGATES = "code points"
"""The name under which a string stands that UTF-8 cannot hold."""


def write_text(text: str) -> Any:
    """A string as it is, or as its code points where it has surrogates.

    JSON can escape a lone surrogate, but two that are escaped side by side are read as the one
    character that they encode.
    """
    if text.isascii():
        return str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return {_SURROGATES: [ord(character) for character in text]}
    return text


def read_text(value: Any) -> str:
    """The string that :func:`write_text` wrote."""
    if isinstance(value, str):
        return value
    return "".join(map(chr, value[_SURROGATES]))


def write_recipient(recipient: Recipient) -> Any:
    """A recipient as ``[address, status, code, text]``."""
    return [
        write_text(recipient.address),
        recipient.status.value,
        recipient.code,
        write_text(recipient.text),
    ]


def read_recipient(value: Any) -> Recipient:
    """The recipient that :func:`write_recipient` wrote."""
    address, status, code, text = value
    return Recipient(read_text(address), RecipientStatus(status), code, read_text(text))


def write_mailbox(key: MailboxKey) -> Any:
    """A mailbox as ``[account, mailbox]``."""
    return [write_text(key.account), write_text(key.mailbox)]


def read_mailbox(value: Any) -> MailboxKey:
    """The mailbox that :func:`write_mailbox` wrote."""
    account, mailbox = value
    return MailboxKey(read_text(account), read_text(mailbox))


def write_key(key: EntryKey) -> Any:
    """A key as ``[epoch, uid, inbox]``."""
    return [key.epoch, key.uid, write_text(key.inbox)]


def read_key(value: Any) -> EntryKey:
    """The key that :func:`write_key` wrote."""
    epoch, uid, inbox = value
    return EntryKey(epoch, uid, read_text(inbox))


def _write_digest(digest: Digest) -> Any:
    return [write_text(digest.header), None if digest.body is None else write_text(digest.body)]


def _read_digest(value: Any) -> Digest:
    header, body = value
    return Digest(read_text(header), None if body is None else read_text(body))


_DEFAULTS = {
    kind: {field.name: field.default for field in fields(kind)} for kind in (Entry, QueuedMessage)
}
_WRITERS: dict[type, Callable[[Any], Any]] = {
    str: write_text,
    State: str,
    QueueState: str,
    EntryKey: write_key,
    Digest: _write_digest,
    tuple: lambda recipients: list(map(write_recipient, recipients)),
}
_READERS: dict[type, dict[str, Callable[[Any], Any]]] = {
    Entry: {"key": read_key, "state": State, "digest": _read_digest},
    QueuedMessage: {
        "state": QueueState,
        "recipients": lambda recipients: tuple(map(read_recipient, recipients)),
    },
}


def write_fields(value: Entry | QueuedMessage) -> dict[str, Any]:
    """An entry or a message as an object of its fields that are not at their defaults."""
    written: dict[str, Any] = {}
    for name, default in _DEFAULTS[type(value)].items():
        field = getattr(value, name)
        if field != default:
            write = _WRITERS.get(type(field))
            written[name] = field if write is None else write(field)
    return written


def read_entry(value: dict[str, Any]) -> Entry:
    """The entry that :func:`write_fields` wrote."""
    return Entry(**_read_fields(Entry, value))


def read_message(value: dict[str, Any]) -> QueuedMessage:
    """The message that :func:`write_fields` wrote."""
    return QueuedMessage(**_read_fields(QueuedMessage, value))


def _read_fields(kind: type, value: dict[str, Any]) -> dict[str, Any]:
    readers = _READERS[kind]
    return {name: readers.get(name, _read)(field) for name, field in value.items()}


def _read(field: Any) -> Any:
    return read_text(field) if isinstance(field, str | dict) else field


def write_record(record: MailboxRecord) -> Any:
    """A mailbox's record as an object."""
    epoch, mark = record.epoch, record.watermark
    return {
        "epoch": [epoch.number, epoch.uid_validity, epoch.boundary, epoch.matched, epoch.begun_at],
        "watermark": [mark.uid_validity, mark.uid],
        "cut": record.cut,
        "polled_at": record.polled_at,
        "horizon": record.horizon,
    }


def read_record(value: Any) -> MailboxRecord:
    """The record that :func:`write_record` wrote."""
    return MailboxRecord(
        epoch=Epoch(*value["epoch"]),
        watermark=Watermark(*value["watermark"]),
        cut=value["cut"],
        polled_at=value["polled_at"],
        horizon=value.get("horizon"),
    )


def write_inbox(record: InboxRecord) -> Any:
    """An inbox as ``[id, name, address, created_at, backfill]``."""
    texts = [write_text(text) for text in (record.id, record.name, record.address)]
    return [*texts, record.created_at, record.backfill]


def read_inbox(value: Any) -> InboxRecord:
    """The inbox that :func:`write_inbox` wrote."""
    inbox_id, name, address, created_at, backfill = value
    return InboxRecord(
        id=read_text(inbox_id),
        name=read_text(name),
        address=read_text(address),
        created_at=created_at,
        backfill=bool(backfill),
    )
