"""Values to rows of the sqlite store and back, and the statements that name their columns."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from nornmail.model import Digest, Entry, EntryKey, Epoch, MailboxRecord, State, Watermark
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState
from nornmail.stores.json_codec import read_recipient, write_recipient
from nornmail.stores.sqlite_schema import CLOSED, CLOSED_STATES, THROUGH, THROUGH_STATES

# ruff: noqa: S608 - the statements are put together from constants; every value is bound


Row = tuple[Any, ...]

COLUMNS = (
    "epoch, uid, inbox, uid_validity, state, delivery_id, attempts, due_at, reason, header_digest, "
    "body_digest, message_id, size, received_at, truncated, changed_at"
)
_NAMES = COLUMNS.split(", ")
_KEY = "mailbox = ? AND epoch = ? AND uid = ? AND inbox = ?"
KEY_COLUMNS = 4
"""The columns that a row begins with, and that name it."""
# A string that UTF-8 cannot hold is a BLOB, and would come after all others.
_ORDER = "due_at, epoch, uid, CAST(inbox AS BLOB)"

SELECT_ENTRY = f"SELECT {COLUMNS} FROM entry WHERE {_KEY}"
SELECT_SIBLINGS = (
    f"SELECT {COLUMNS} FROM entry WHERE mailbox = ? AND epoch = ? AND uid = ? "
    "ORDER BY CAST(inbox AS BLOB)"
)
SELECT_STATE = f"SELECT state FROM entry WHERE {_KEY}"
INSERT_ENTRY = (
    f"INSERT INTO entry (mailbox, {COLUMNS}) VALUES ({', '.join('?' * (1 + len(_NAMES)))})"
)
_SET = ", ".join(f"{name} = ?" for name in _NAMES[KEY_COLUMNS - 1 :])
UPDATE_ENTRY = f"UPDATE entry SET {_SET} WHERE {_KEY}"
"""Arguments: the columns behind the key, then the key."""
SELECT_ACQUAINTANCES = (
    f"SELECT {COLUMNS} FROM entry INDEXED BY entry_digest "
    "WHERE mailbox = ? AND header_digest = ? AND epoch < ? "
    "ORDER BY epoch, uid, CAST(inbox AS BLOB)"
)
SELECT_UIDS = "SELECT uid FROM entry WHERE mailbox = ? AND epoch = ? AND state <> 'gone'"
SELECT_RAW = f"SELECT bytes FROM raw WHERE {_KEY}"
DELETE_RAW = f"DELETE FROM raw WHERE {_KEY}"
REPLACE_RAW = (
    "INSERT OR REPLACE INTO raw (mailbox, epoch, uid, inbox, bytes) VALUES (?, ?, ?, ?, ?)"
)
DELETE_ENTRY = f"DELETE FROM entry WHERE {_KEY}"
REKEY_ENTRY = f"UPDATE entry SET uid_validity = ?, epoch = ?, uid = ?, inbox = ? WHERE {_KEY}"
REKEY_RAW = f"UPDATE raw SET epoch = ?, uid = ?, inbox = ? WHERE {_KEY}"
INSERT_ASKED = "INSERT OR IGNORE INTO asked (mailbox, epoch, uid, inbox) VALUES (?, ?, ?, ?)"
DELETE_ASKED = f"DELETE FROM asked WHERE {_KEY}"
REKEY_ASKED = f"UPDATE asked SET epoch = ?, uid = ?, inbox = ? WHERE {_KEY}"
SELECT_ASKED = (
    "SELECT epoch, uid, inbox FROM asked WHERE mailbox = ? ORDER BY epoch, uid, CAST(inbox AS BLOB)"
)
# Ranges are kept apart by at least one UID, so all that a new one joins lie side by side.
SELECT_RANGE_BELOW = (
    "SELECT low, high FROM passed_over WHERE mailbox = ? AND epoch = ? AND low <= ? "
    "ORDER BY low DESC LIMIT 1"
)
SELECT_RANGES_WITHIN = (
    "SELECT max(high) FROM passed_over WHERE mailbox = ? AND epoch = ? AND low BETWEEN ? AND ?"
)
DELETE_RANGES = "DELETE FROM passed_over WHERE mailbox = ? AND epoch = ? AND low BETWEEN ? AND ?"
INSERT_RANGE = "INSERT INTO passed_over (mailbox, epoch, low, high) VALUES (?, ?, ?, ?)"
SELECT_RANGES = "SELECT low, high FROM passed_over WHERE mailbox = ? AND epoch = ?"
_RECORD = (
    "epoch, uid_validity, boundary, matched, begun_at, watermark_uid_validity, watermark_uid, "
    "cut, polled_at"
)
SELECT_RECORD = f"SELECT {_RECORD} FROM mailbox WHERE id = ?"
UPDATE_RECORD = (
    f"UPDATE mailbox SET {', '.join(f'{name} = ?' for name in _RECORD.split(', '))} WHERE id = ?"
)
SELECT_MAILBOXES = "SELECT account, mailbox FROM mailbox"
SELECT_MAILBOX = "SELECT id FROM mailbox WHERE account = ? AND mailbox = ?"
INSERT_MAILBOX = "INSERT INTO mailbox (account, mailbox, token) VALUES (?, ?, 0)"
SELECT_FENCE = "SELECT token FROM mailbox WHERE id = ?"
UPDATE_FENCE = "UPDATE mailbox SET token = ? WHERE id = ?"


def in_state(state: State, what: str = COLUMNS) -> str:
    """The query for the entries of one state, whose arguments are the mailbox and the state.

    The partial index serves a query that says in so many words that the state is one of its own.
    """
    still_open = "" if state in CLOSED_STATES else f"AND state NOT IN {CLOSED} "
    return f"SELECT {what} FROM entry WHERE mailbox = ? AND state = ? {still_open}"


def entries_in_state(state: State) -> str:
    """Arguments: mailbox, state, limit (-1 for none)."""
    return f"{in_state(state)} ORDER BY {_ORDER} LIMIT ?"


def entries_without_raw(state: State) -> str:
    """Arguments: mailbox, state."""
    return (
        f"{in_state(state)} AND NOT EXISTS (SELECT 1 FROM raw WHERE raw.mailbox = entry.mailbox "
        "AND raw.epoch = entry.epoch AND raw.uid = entry.uid AND raw.inbox = entry.inbox) "
        f"ORDER BY {_ORDER}"
    )


def write_text(text: str) -> str | bytes:
    """A string as TEXT, or as a BLOB where it has surrogates, which UTF-8 cannot hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def read_text(value: str | bytes) -> str:
    """The string that :func:`write_text` wrote."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def write_key(mailbox: int, key: EntryKey) -> Row:
    """The first columns of ``entry`` and ``raw``."""
    return mailbox, key.epoch, key.uid, write_text(key.inbox)


def read_key(row: Row) -> EntryKey:
    """The key, from the columns behind the mailbox."""
    epoch, uid, inbox = row
    return EntryKey(epoch, uid, read_text(inbox))


def write_entry(mailbox: int, entry: Entry) -> Row:
    """All columns of ``entry``, in the table's order."""
    digest = entry.digest
    body = None if digest is None else digest.body
    return (
        *write_key(mailbox, entry.key),
        entry.uid_validity,
        entry.state.value,
        write_text(entry.delivery_id),
        entry.attempts,
        entry.due_at,
        write_text(entry.reason),
        None if digest is None else write_text(digest.header),
        None if body is None else write_text(body),
        write_text(entry.message_id),
        entry.size,
        entry.received_at,
        entry.truncated,
        entry.changed_at,
    )


def read_entry(row: Row) -> Entry:
    """The entry, from :data:`COLUMNS`."""
    epoch, uid, inbox, uid_validity, state, delivery_id, attempts, due_at, reason, *rest = row
    header, body, message_id, size, received_at, truncated, changed_at = rest
    digest = None
    if header is not None:
        digest = Digest(read_text(header), None if body is None else read_text(body))
    return Entry(
        key=EntryKey(epoch, uid, read_text(inbox)),
        uid_validity=uid_validity,
        state=State(state),
        delivery_id=read_text(delivery_id),
        attempts=attempts,
        due_at=due_at,
        reason=read_text(reason),
        digest=digest,
        message_id=read_text(message_id),
        size=size,
        received_at=received_at,
        truncated=bool(truncated),
        changed_at=changed_at,
    )


def write_record(record: MailboxRecord) -> Row:
    """The columns of ``mailbox`` that hold the record."""
    epoch, mark = record.epoch, record.watermark
    return (
        epoch.number,
        epoch.uid_validity,
        epoch.boundary,
        epoch.matched,
        epoch.begun_at,
        mark.uid_validity,
        mark.uid,
        record.cut,
        record.polled_at,
    )


def read_record(row: Row) -> MailboxRecord | None:
    """The record, ``None`` where the mailbox has a lease only."""
    number, uid_validity, boundary, matched, begun_at, mark_validity, mark_uid, cut, polled_at = row
    if number is None:
        return None
    return MailboxRecord(
        epoch=Epoch(number, uid_validity, boundary, bool(matched), begun_at),
        watermark=Watermark(mark_validity, mark_uid),
        cut=cut,
        polled_at=polled_at,
    )


# ---- Letters to rows of the sqlite store and back, and the statements that name their columns.

# ruff: noqa: S608 - the statements are put together from constants; every value is bound


_FIELDS = tuple(one.name for one in fields(QueuedMessage) if one.name != "outbox")
_COLUMNS = ", ".join(_FIELDS)
_LETTER_KEY = "outbox = ? AND key = ?"
# A string that UTF-8 cannot hold is a BLOB, and would come after all others.
_LETTER_ORDER = "due_at, queued_at, CAST(key AS BLOB)"

SELECT_LETTER = f"SELECT id, wish, {_COLUMNS} FROM letter WHERE {_LETTER_KEY}"
INSERT_LETTER = (
    f"INSERT INTO letter (outbox, {_COLUMNS}) VALUES ({', '.join('?' * (1 + len(_FIELDS)))})"
)
UPDATE_LETTER = f"UPDATE letter SET {', '.join(f'{name} = ?' for name in _FIELDS)} WHERE id = ?"
INSERT_RECIPIENT = (
    "INSERT OR IGNORE INTO letter_to (outbox, address, queued_at, letter) VALUES (?, ?, ?, ?)"
)
INSERT_BYTES = "INSERT INTO letter_raw (letter, bytes) VALUES (?, ?)"
DELETE_BYTES = "DELETE FROM letter_raw WHERE letter = ?"
SELECT_BYTES = (
    "SELECT bytes FROM letter_raw WHERE letter = (SELECT id FROM letter "
    "WHERE outbox = ? AND key = ?)"
)
UPDATE_WISH = "UPDATE letter SET wish = ? WHERE id = ?"
SELECT_WISHES = (
    "SELECT key, wish FROM letter WHERE outbox = ? AND wish IS NOT NULL ORDER BY CAST(key AS BLOB)"
)
SELECT_COPIES = (
    f"SELECT {_COLUMNS} FROM letter WHERE outbox = ? AND copy_due_at > 0 "
    "ORDER BY copy_due_at, CAST(key AS BLOB)"
)
SELECT_BY_MESSAGE_ID = (
    "SELECT mailbox.account, " + ", ".join(f"letter.{name}" for name in _FIELDS) + " FROM letter "
    "JOIN mailbox ON mailbox.id = letter.outbox WHERE letter.message_id = ? "
    "ORDER BY CAST(mailbox.account AS BLOB), CAST(letter.key AS BLOB)"
)
SELECT_TO = (
    "SELECT " + ", ".join(f"letter.{name}" for name in _FIELDS) + " FROM letter_to "
    "JOIN letter ON letter.id = letter_to.letter WHERE letter_to.outbox = ? "
    "AND letter_to.address = ? AND letter_to.queued_at >= ? "
    "ORDER BY letter_to.queued_at DESC, CAST(letter.key AS BLOB) DESC LIMIT ?"
)
COUNT_ANSWERS_TO = (
    "SELECT count(*) FROM letter_to JOIN letter ON letter.id = letter_to.letter "
    "WHERE letter_to.outbox = ? AND letter_to.address = ? AND letter_to.queued_at >= ? "
    "AND letter.is_answer"
)
COUNT_ANSWERS_IN = (
    "SELECT count(*) FROM letter "
    "WHERE outbox = ? AND thread_id = ? AND queued_at >= ? AND is_answer"
)
SELECT_SUBMISSIONS = (
    "SELECT submitted_at FROM letter WHERE outbox = ? AND submitted_at >= ? AND submitted_at > 0 "
    "ORDER BY submitted_at DESC LIMIT ?"
)
SELECT_OUTBOXES = "SELECT account FROM mailbox WHERE mailbox = ?"


def letters_in(state: QueueState, what: str = _COLUMNS) -> str:
    """The query for the letters of one state, whose arguments are the outbox and the state.

    The partial index serves a query that says in so many words that the state is one of its own.
    """
    still_open = "" if state in THROUGH_STATES else f"AND state NOT IN {THROUGH} "
    return f"SELECT {what} FROM letter WHERE outbox = ? AND state = ? {still_open}"


def letters_in_order(state: QueueState) -> str:
    """Arguments: outbox, state, limit (-1 for none)."""
    return f"{letters_in(state)} ORDER BY {_LETTER_ORDER} LIMIT ?"


def write_letter(letter: QueuedMessage) -> Row:
    """The columns behind the outbox, in the order of the fields."""
    return tuple(_write(name, getattr(letter, name)) for name in _FIELDS)


def _write(name: str, value: Any) -> Any:
    if name == "recipients":
        return json.dumps(list(map(write_recipient, value)), separators=(",", ":"))
    if isinstance(value, QueueState):
        return value.value
    return write_text(value) if isinstance(value, str) else value


def read_letter(outbox: str, row: Row) -> QueuedMessage:
    """The letter, from the columns behind the outbox."""
    found = {name: _read(name, value) for name, value in zip(_FIELDS, row, strict=True)}
    return QueuedMessage(outbox=outbox, **found)


_BOOLS = frozenset({"smtputf8", "is_answer", "copied", "dropped"})


def _read(name: str, value: Any) -> Any:
    if name == "recipients":
        return tuple(map(read_recipient, json.loads(value)))
    if name == "state":
        return QueueState(value)
    if name in _BOOLS:
        return bool(value)
    return read_text(value) if isinstance(value, str | bytes) else value


def read_wish(value: str | None) -> OperatorRequest | None:
    """The wish of a letter."""
    return None if value is None else OperatorRequest(value)
