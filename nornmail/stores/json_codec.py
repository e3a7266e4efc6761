"""Values to JSON and back. Only built-in values come out, and only what JSON can hold.

A field that has its default is left out, so that a line of the journal stays short.
"""

from __future__ import annotations

from collections.abc import Callable
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
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient, RecipientStatus
from nornmail.stores.in_memory_tables import Effects, H, LetterEffects
from nornmail.uidset import UidSet

# ---- Strings to JSON and back, also those that UTF-8 cannot hold.

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


# ---- Letters to JSON and back: as ``codec.py`` does it, what is at its default is left out.

_DEFAULTS = {one.name: one.default for one in fields(QueuedMessage)}


def write_recipient(one: Recipient) -> Any:
    """A recipient as ``[address, status, code, text]``."""
    return [write_text(one.address), one.status.value, one.code, write_text(one.text)]


def read_recipient(value: Any) -> Recipient:
    """The recipient that :func:`write_recipient` wrote."""
    address, status, code, text = value
    return Recipient(read_text(address), RecipientStatus(status), code, read_text(text))


def write_letter(letter: QueuedMessage) -> dict[str, Any]:
    """A letter as an object of its fields that are not at their defaults."""
    value: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        field = getattr(letter, name)
        if name == "recipients":
            value[name] = list(map(write_recipient, field))
        elif default is MISSING or field != default:
            value[name] = write_text(field) if isinstance(field, str) else field
    return value


def read_letter(value: Any) -> QueuedMessage:
    """The letter that :func:`write_letter` wrote."""
    found: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        if name == "recipients":
            found[name] = tuple(map(read_recipient, value[name]))
        elif name not in value and default is not MISSING:
            continue
        elif name == "state":
            found[name] = QueueState(value[name])
        elif default is MISSING or isinstance(default, str):
            found[name] = read_text(value[name])
        else:
            found[name] = value[name]
    return QueuedMessage(**found)


def write_letter_effects(
    effects: LetterEffects[H], write_held: Callable[[H], Any]
) -> dict[str, Any]:
    """The effects by name, what is empty left out."""
    value: dict[str, Any] = {}
    if effects.letters:
        value["letters"] = list(map(write_letter, effects.letters.values()))
    if effects.raw:
        value["letter_raw"] = [
            [write_text(key), None if held is None else write_held(held)]
            for key, held in effects.raw.items()
        ]
    if effects.pending_requests:
        value["wishes"] = [
            [write_text(key), None if wish is None else wish.value]
            for key, wish in effects.pending_requests.items()
        ]
    return value


def read_letter_effects(value: Any, read_held: Callable[[Any], H]) -> LetterEffects[H]:
    """The effects that :func:`write_letter_effects` wrote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    effects: LetterEffects[H] = LetterEffects()
    for letter in map(read_letter, value.get("letters", ())):
        effects.letters[letter.key] = letter
    for key, held in value.get("letter_raw", ()):
        effects.raw[read_text(key)] = None if held is None else read_held(held)
    for key, wish in value.get("wishes", ()):
        effects.pending_requests[read_text(key)] = None if wish is None else OperatorRequest(wish)
    return effects


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
    for name in ("reason", "message_id"):
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
    }


def read_record(value: Any) -> MailboxRecord:
    """The record that :func:`write_record` wrote."""
    return MailboxRecord(
        epoch=Epoch(*value["epoch"]),
        watermark=Watermark(*value["watermark"]),
        cut=value["cut"],
        polled_at=value["polled_at"],
    )


def _write_inbox(record: InboxRecord) -> Any:
    texts = [write_text(text) for text in (record.id, record.name, record.address)]
    return [*texts, record.created_at, record.backfill]


def _read_inbox(value: Any) -> InboxRecord:
    name, shown, address, created_at, backfill = value
    return InboxRecord(
        id=read_text(name),
        name=read_text(shown),
        address=read_text(address),
        created_at=created_at,
        backfill=bool(backfill),
    )


def write_effects(effects: Effects[H], write_held: Callable[[H], Any]) -> dict[str, Any]:
    """The effects by name, what is empty left out."""
    value: dict[str, Any] = {}
    if effects.record is not None:
        value["record"] = write_record(effects.record)
    removed = [write_key(key) for key, entry in effects.entries.items() if entry is None]
    if removed:
        value["removed"] = removed
    entries = [write_entry(entry) for entry in effects.entries.values() if entry is not None]
    if entries:
        value["entries"] = entries
    raw = [
        [write_key(key), None if held is None else write_held(held)]
        for key, held in effects.raw.items()
    ]
    if raw:
        value["raw"] = raw
    if effects.passed:
        value["passed"] = [[epoch, str(uids)] for epoch, uids in effects.passed]
    if effects.asked:
        value["asked"] = [[write_key(key), asked] for key, asked in effects.asked.items()]
    if effects.inboxes:
        value["inboxes"] = [
            [write_text(name), None if record is None else _write_inbox(record)]
            for name, record in effects.inboxes.items()
        ]
    return value | write_letter_effects(effects.outbox, write_held)


def read_effects(value: Any, read_held: Callable[[Any], H]) -> Effects[H]:
    """The effects that :func:`write_effects` wrote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    effects: Effects[H] = Effects()
    if "record" in value:
        effects.record = read_record(value["record"])
    for key in value.get("removed", ()):
        effects.entries[read_key(key)] = None
    for entry in map(read_entry, value.get("entries", ())):
        effects.entries[entry.key] = entry
    for key, held in value.get("raw", ()):
        effects.raw[read_key(key)] = None if held is None else read_held(held)
    effects.passed = [(epoch, UidSet.parse(uids)) for epoch, uids in value.get("passed", ())]
    effects.asked = {read_key(key): bool(asked) for key, asked in value.get("asked", ())}
    effects.inboxes = {
        read_text(name): None if record is None else _read_inbox(record)
        for name, record in value.get("inboxes", ())
    }
    effects.outbox = read_letter_effects(value, read_held)
    return effects
