"""Letters to rows of the sqlite store and back, and the statements that name their columns."""

# ruff: noqa: S608 - the statements are put together from constants; every value is bound

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from nornmail.outgoing import Letter, LetterState, Wish
from nornmail.stores.letter_codec import read_recipient, write_recipient
from nornmail.stores.sqlite_rows import Row, read_text, write_text
from nornmail.stores.sqlite_schema import THROUGH, THROUGH_STATES

_FIELDS = tuple(one.name for one in fields(Letter) if one.name != "outbox")
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


def letters_in(state: LetterState, what: str = _COLUMNS) -> str:
    """The query for the letters of one state, whose arguments are the outbox and the state.

    The partial index serves a query that says in so many words that the state is one of its own.
    """
    still_open = "" if state in THROUGH_STATES else f"AND state NOT IN {THROUGH} "
    return f"SELECT {what} FROM letter WHERE outbox = ? AND state = ? {still_open}"


def letters_in_order(state: LetterState) -> str:
    """Arguments: outbox, state, limit (-1 for none)."""
    return f"{letters_in(state)} ORDER BY {_LETTER_ORDER} LIMIT ?"


def write_letter(letter: Letter) -> Row:
    """The columns behind the outbox, in the order of the fields."""
    return tuple(_write(name, getattr(letter, name)) for name in _FIELDS)


def _write(name: str, value: Any) -> Any:
    if name == "recipients":
        return json.dumps(list(map(write_recipient, value)), separators=(",", ":"))
    if isinstance(value, LetterState):
        return value.value
    return write_text(value) if isinstance(value, str) else value


def read_letter(outbox: str, row: Row) -> Letter:
    """The letter, from the columns behind the outbox."""
    found = {name: _read(name, value) for name, value in zip(_FIELDS, row, strict=True)}
    return Letter(outbox=outbox, **found)


_BOOLS = frozenset({"smtputf8", "is_answer", "copied", "dropped"})


def _read(name: str, value: Any) -> Any:
    if name == "recipients":
        return tuple(map(read_recipient, json.loads(value)))
    if name == "state":
        return LetterState(value)
    if name in _BOOLS:
        return bool(value)
    return read_text(value) if isinstance(value, str | bytes) else value


def read_wish(value: str | None) -> Wish | None:
    """The wish of a letter."""
    return None if value is None else Wish(value)
