"""Values to JSON and back. Only built-in values come out, and only what JSON can hold.

A field that has its default is left out, so that a line of the journal stays short.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
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


_DEFAULTS = {field.name: field.default for field in fields(QueuedMessage)}


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


def write_message(message: QueuedMessage) -> dict[str, Any]:
    """A queued message as an object of its fields that are not at their defaults."""
    value: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        field = getattr(message, name)
        if name == "recipients":
            value[name] = list(map(write_recipient, field))
        elif default is MISSING or field != default:
            value[name] = write_text(field) if isinstance(field, str) else field
    return value


def read_message(value: Any) -> QueuedMessage:
    """The message that :func:`write_message` wrote."""
    values: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        if name == "recipients":
            values[name] = tuple(map(read_recipient, value[name]))
        elif name not in value and default is not MISSING:
            continue
        elif name == "state":
            values[name] = QueueState(value[name])
        elif default is MISSING or isinstance(default, str):
            values[name] = read_text(value[name])
        else:
            values[name] = value[name]
    return QueuedMessage(**values)


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


def write_entry(entry: Entry) -> Any:
    """An entry as an object of its fields that are not at their defaults."""
    value: dict[str, Any] = {
        "key": write_key(entry.key),
        "state": entry.state.value,
        "delivery_id": write_text(entry.delivery_id),
        "changed_at": entry.changed_at,
    }
    if entry.digest is not None:
        body = entry.digest.body
        value["digest"] = [
            write_text(entry.digest.header),
            None if body is None else write_text(body),
        ]
    for name in ("reason", "message_id", "verified_sender"):
        text = getattr(entry, name)
        if text:
            value[name] = write_text(text)
    for name in ("uid_validity", "attempts", "due_at", "size", "truncated"):
        number = getattr(entry, name)
        if number:
            value[name] = number
    if entry.received_at is not None:
        value["received_at"] = entry.received_at
    return value


def read_entry(value: Any) -> Entry:
    """The entry that :func:`write_entry` wrote."""
    digest = value.get("digest")
    return Entry(
        key=read_key(value["key"]),
        uid_validity=value.get("uid_validity", 0),
        state=State(value["state"]),
        delivery_id=read_text(value["delivery_id"]),
        attempts=value.get("attempts", 0),
        due_at=value.get("due_at", 0.0),
        reason=read_text(value.get("reason", "")),
        digest=digest and _read_digest(*digest),
        message_id=read_text(value.get("message_id", "")),
        size=value.get("size", 0),
        received_at=value.get("received_at"),
        truncated=value.get("truncated", False),
        verified_sender=read_text(value.get("verified_sender", "")),
        changed_at=value["changed_at"],
    )


def _read_digest(header: Any, body: Any) -> Digest:
    return Digest(read_text(header), None if body is None else read_text(body))


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
