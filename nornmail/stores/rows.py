"""Values to rows of the SQL tables and back, and the statements that name their columns.

The statements are the part of SQL that sqlite and PostgreSQL have in common, written with sqlite's
parameters (``?``). sqlite stores a string that UTF-8 cannot hold as octets, and sorts it as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from nornmail.model import (
    DELIVERY_ID_DIGITS,
    KEEPS_RAW,
    TRANSITIONS,
    Digest,
    Entry,
    EntryKey,
    Epoch,
    InboxRecord,
    MailboxRecord,
    State,
    Watermark,
)
from nornmail.outgoing import (
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    RecipientStatus,
)
from nornmail.stores.schema import CLOSED, CLOSED_STATES, THROUGH, THROUGH_STATES

# ruff: noqa: S608 - the statements are put together from constants; every value is bound

Row = tuple[Any, ...]

FOR_UPDATE = " /* FOR UPDATE */"
"""The end of a query whose rows others may write at the same time: PostgreSQL gets the words, and
sqlite, which has one writer at a time, a comment."""

NO_LIMIT = 2**62
"""For a LIMIT that is none: more rows than a table can have."""


def _insert(table: str, columns: str, on_conflict: str = "") -> str:
    marks = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({marks}) {on_conflict}".rstrip()


def _replace(table: str, key: str, columns: str) -> str:
    """The statement that makes a row, or replaces the one with its key."""
    names = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))
    return _insert(table, f"{key}, {columns}", f"ON CONFLICT ({key}) DO UPDATE SET {names}")


def _set(columns: str) -> str:
    return ", ".join(f"{name} = ?" for name in columns.split(", "))


def write_text(value: Any) -> Any:
    """A value for a column of sqlite: octets in place of a string that UTF-8 cannot hold."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    return value


def read_text(value: str | bytes) -> str:
    """The string that :func:`write_text` wrote."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def texts(row: Row) -> Row:
    """A row with its texts as strings; nearly always it is the same."""
    if bytes not in map(type, row):
        return row
    return tuple([read_text(value) if isinstance(value, bytes) else value for value in row])


# Mailboxes

RECORD = (
    "epoch, uid_validity, boundary, matched, begun_at, watermark_uid_validity, watermark_uid, "
    "cut, polled_at, horizon"
)
SELECT_RECORD = f"SELECT {RECORD} FROM mailbox WHERE id = ?"
UPDATE_RECORD = f"UPDATE mailbox SET {_set(RECORD)} WHERE id = ?"
SELECT_MAILBOXES = "SELECT account, mailbox FROM mailbox"
SELECT_INBOX_KEYS = "SELECT DISTINCT inbox FROM entry WHERE mailbox = ?"
SELECT_OUTBOXES = "SELECT account FROM mailbox WHERE mailbox = ?"
SELECT_MAILBOX = "SELECT id FROM mailbox WHERE account = ? AND mailbox = ?"
INSERT_MAILBOX = _insert(
    "mailbox", "account, mailbox, token", "ON CONFLICT (account, mailbox) DO NOTHING"
)
SELECT_FENCE = "SELECT token FROM mailbox WHERE id = ?"
RAISE_FENCE = "UPDATE mailbox SET token = token + 1 WHERE id = ?"


def write_record(record: MailboxRecord) -> Row:
    """The columns of ``mailbox`` that hold the record."""
    number, uid_validity, boundary, matched, begun_at = record.epoch
    rest = (record.cut, record.polled_at, record.horizon)
    return (number, uid_validity, boundary, int(matched), begun_at, *record.watermark, *rest)


def read_record(row: Row) -> MailboxRecord | None:
    """The record, ``None`` where the mailbox has a lease only."""
    number, uid_validity, boundary, matched, begun_at, *rest = row
    if number is None:
        return None
    epoch = Epoch(number, uid_validity, boundary, bool(matched), begun_at)
    return MailboxRecord(epoch, Watermark(*rest[:2]), *rest[2:])


# Entries

KEY = "mailbox, epoch, uid, inbox"
_IS_KEY = "mailbox = ? AND epoch = ? AND uid = ? AND inbox = ?"
_VALUES = (
    "state, delivery_id, uid_validity, attempts, due_at, reason, header_digest, body_digest, "
    "message_id, size, received_at, truncated, verified_sender, changed_at"
)
COLUMNS = f"epoch, uid, inbox, {_VALUES}"
_PROGRESS = "state, attempts, due_at, reason, message_id, changed_at, verified_sender"
_FACTS = [name for name in _VALUES.split(", ") if name not in _PROGRESS.split(", ")]
_NULLABLE = frozenset({"header_digest", "body_digest", "received_at"})
_ALL = f"{KEY}, {_VALUES}".split(", ")
_pick_all = itemgetter(*range(len(_ALL)))
_pick_progress = itemgetter(*map(_ALL.index, [*_PROGRESS.split(", "), *KEY.split(", "), *_FACTS]))
# A string that UTF-8 cannot hold is a BLOB, and would come after all others.
_BY_KEY = "epoch, uid, CAST(inbox AS BLOB)"
_HAS_RAW = (
    "EXISTS (SELECT 1 FROM raw WHERE raw.mailbox = entry.mailbox AND raw.epoch = entry.epoch "
    "AND raw.uid = entry.uid AND raw.inbox = entry.inbox)"
)

SELECT_ENTRY = f"SELECT {COLUMNS} FROM entry WHERE {_IS_KEY}"
SELECT_SIBLINGS = (
    f"SELECT {COLUMNS} FROM entry WHERE mailbox = ? AND epoch = ? AND uid = ? "
    "ORDER BY CAST(inbox AS BLOB)"
)
# sqlite would read all earlier epochs by the primary key.
SELECT_BY_DIGEST = (
    f"SELECT {COLUMNS} FROM entry INDEXED BY entry_digest "
    f"WHERE mailbox = ? AND header_digest = ? AND epoch < ? ORDER BY {_BY_KEY}"
)
SELECT_VERIFIED_SENDER = "SELECT 1 FROM entry WHERE verified_sender = ? LIMIT 1"
SELECT_UIDS = "SELECT uid FROM entry WHERE mailbox = ? AND epoch = ? AND state <> 'gone'"
SELECT_STATE = f"SELECT state FROM entry WHERE {_IS_KEY}{FOR_UPDATE}"
UPDATE_ENTRY = f"UPDATE entry SET {_set(_VALUES)} WHERE {_IS_KEY}"
"""Arguments: the columns behind the key, then the key."""
REPLACE_ENTRY = _replace("entry", KEY, _VALUES)
DELETE_ENTRY = f"DELETE FROM entry WHERE {_IS_KEY}"
REKEY_ENTRY = f"UPDATE entry SET uid_validity = ?, epoch = ?, uid = ?, inbox = ? WHERE {_IS_KEY}"

SELECT_RAW = f"SELECT bytes FROM raw WHERE {_IS_KEY}"
REPLACE_RAW = _replace("raw", KEY, "bytes")
DELETE_RAW = f"DELETE FROM raw WHERE {_IS_KEY}"
REKEY_RAW = f"UPDATE raw SET epoch = ?, uid = ?, inbox = ? WHERE {_IS_KEY}"

# A message goes when all its inboxes are done with it: whether the mailbox may be touched is
# decided over all of them.
SELECT_FORGOTTEN_ENTRIES = (
    "SELECT epoch, uid, inbox, COALESCE(received_at, changed_at) FROM entry "
    f"WHERE mailbox = ? AND state IN {CLOSED} AND changed_at < ? AND NOT EXISTS ("
    "SELECT 1 FROM entry AS other WHERE other.mailbox = entry.mailbox "
    "AND other.epoch = entry.epoch AND other.uid = entry.uid "
    f"AND (other.state NOT IN {CLOSED} OR other.changed_at >= ? OR other.received_at >= ?)) "
    f"ORDER BY {_BY_KEY} LIMIT ?"
)
"""Arguments: mailbox, the instant three times, limit."""

INSERT_ASKED = _insert("asked", KEY, "ON CONFLICT DO NOTHING")
SELECT_ASKED = f"SELECT epoch, uid, inbox FROM asked WHERE mailbox = ? ORDER BY {_BY_KEY}"
DELETE_ASKED = f"DELETE FROM asked WHERE {_IS_KEY}"
REKEY_ASKED = f"UPDATE asked SET epoch = ?, uid = ?, inbox = ? WHERE {_IS_KEY}"


@cache
def put_entry(after: State) -> tuple[str, Callable[[Row], Row]]:
    """The statement that puts an entry in the state ``after`` where nothing else is to be done.

    It changes no row where the table of states does not allow it, and none where kept bytes or a
    request would have to be removed too. One that makes no entries changes none whose facts are
    others, so that the index of digests is not touched.

    Returns:
        The statement, and what picks its arguments from the row of :func:`write_entry`: all where
        it makes missing entries, else what changes with the state, the key, and the facts.
    """
    before = [s for s in State if after in TRANSITIONS[s] and s is not State.DEAD]
    condition = f"state IN ({', '.join(repr(s.value) for s in before)})"
    if after not in KEEPS_RAW and KEEPS_RAW.intersection(before):
        condition += f" AND NOT {_HAS_RAW}"
    if after is State.NEW:
        insert = _insert("entry", f"{KEY}, {_VALUES}", f"ON CONFLICT ({KEY}) DO NOTHING")
        return insert, _pick_all
    if State.NEW in before:
        return f"{REPLACE_ENTRY} WHERE entry.{condition}", _pick_all
    facts = " AND ".join(f"{name} IS ?" if name in _NULLABLE else f"{name} = ?" for name in _FACTS)
    update = f"UPDATE entry SET {_set(_PROGRESS)} WHERE {_IS_KEY} AND {facts} AND {condition}"
    return update, _pick_progress


_IN_STATE = "WHERE mailbox = ? AND state = ? {}"
ENTRIES = f"SELECT {COLUMNS} FROM entry {_IN_STATE} ORDER BY due_at, {_BY_KEY} LIMIT ?"
ENTRIES_WITHOUT_RAW = ENTRIES.replace("{}", f"{{}} AND NOT {_HAS_RAW}")
COUNT_ENTRIES = f"SELECT count(*) FROM entry {_IN_STATE} LIMIT ?"
"""Queries for :func:`in_state`."""


@cache
def in_state(query: str, state: State | QueueState) -> str:
    """A query for the rows of one state. Arguments: mailbox or outbox, the state, limit.

    The partial index serves a query that says in so many words that the state is one of its own.
    """
    if state in CLOSED_STATES or state in THROUGH_STATES:
        return query.format("")
    return query.format(f"AND state NOT IN {CLOSED if isinstance(state, State) else THROUGH}")


def write_entry(mailbox: int, entry: Entry) -> Row:
    """All columns of ``entry``, in the order of :data:`KEY` and its fields."""
    key, state, delivery_id, *tried, reason, digest, message_id, size = entry[:10]
    received_at, truncated, sender, changed_at = entry[10:]
    facts = (*(digest or (None, None)), message_id, size, received_at, 1 if truncated else 0)
    place = (mailbox, *key, state._value_, delivery_id)
    return (*place, *tried, reason, *facts, sender or None, changed_at)


def read_entry(row: Row) -> Entry:
    """The entry, from :data:`COLUMNS`."""
    row = texts(row)
    epoch, uid, inbox, state, *tried, header, body, message_id, size, received_at = row[:14]
    truncated, sender, changed_at = row[14:]
    digest = None if header is None else Digest(header, body)
    facts = (digest, message_id, size, received_at, bool(truncated), sender or "", changed_at)
    return Entry._make((EntryKey(epoch, uid, inbox), State(state), *tried, *facts))


# UIDs without an entry. Ranges are kept apart by at least one UID, so all that a new one joins lie
# side by side.

SELECT_RANGES = "SELECT low, high FROM passed_over WHERE mailbox = ? AND epoch = ?"
SELECT_RANGE_BELOW = f"{SELECT_RANGES} AND low <= ? ORDER BY low DESC LIMIT 1"
_WITHIN = "FROM passed_over WHERE mailbox = ? AND epoch = ? AND low BETWEEN ? AND ?"
SELECT_RANGES_WITHIN = f"SELECT max(high) {_WITHIN}"
DELETE_RANGES = f"DELETE {_WITHIN}"
INSERT_RANGE = _insert("passed_over", "mailbox, epoch, low, high")
RANGES_AT_ONCE = 200
"""Ranges in one statement, whose 800 values every database takes; a mailbox may have a million."""
INSERT_RANGES = INSERT_RANGE + ", (?, ?, ?, ?)" * (RANGES_AT_ONCE - 1)

# Inboxes

_INBOX = "name, address, created_at, backfill"
REPLACE_INBOX = _replace("inbox", "mailbox, id", _INBOX)
DELETE_INBOX = "DELETE FROM inbox WHERE mailbox = ? AND id = ?"
SELECT_INBOXES = f"SELECT id, {_INBOX} FROM inbox WHERE mailbox = ? ORDER BY created_at, id"


def write_inbox(mailbox: int, record: InboxRecord) -> Row:
    """All columns of ``inbox``, in the table's order."""
    texts = (record.id, record.name, record.address)
    return (mailbox, *texts, record.created_at, int(record.backfill))


def read_inbox(row: Row) -> InboxRecord:
    """The inbox, from the columns behind the mailbox."""
    number, name, address, when, backfill = texts(row)
    place = {"id": number, "name": name, "address": address}
    return InboxRecord(**place, created_at=when, backfill=bool(backfill))


# The outbox: messages on their way out

_FIELDS = tuple(name for name in QueuedMessage._fields if name != "outbox")
MESSAGE = ", ".join(_FIELDS)
BOOLS = frozenset({"smtputf8", "is_answer", "copied", "dropped"})
_OF_MESSAGE = ", ".join(f"letter.{name}" for name in _FIELDS)

SELECT_LETTER = f"SELECT id, wish, {MESSAGE} FROM letter WHERE outbox = ? AND key = ?"
_NAMED = (
    f"SELECT mailbox.account, {_OF_MESSAGE} FROM letter JOIN mailbox ON mailbox.id = letter.outbox"
)
INSERT_MESSAGE = _insert("letter", f"outbox, {MESSAGE}", "ON CONFLICT (outbox, key) DO NOTHING")
UPDATE_MESSAGE = f"UPDATE letter SET {_set(MESSAGE)} WHERE id = ?"
SELECT_MESSAGE_ID = "SELECT id FROM letter WHERE outbox = ? AND key = ?"
INSERT_RECIPIENT = _insert(
    "letter_to", "outbox, address, queued_at, letter", "ON CONFLICT DO NOTHING"
)
REPLACE_BYTES = _replace("letter_raw", "letter", "bytes")
DELETE_BYTES = "DELETE FROM letter_raw WHERE letter = ?"
SELECT_BYTES = (
    "SELECT bytes FROM letter_raw JOIN letter ON letter.id = letter_raw.letter "
    "WHERE letter.outbox = ? AND letter.key = ?"
)
MESSAGES = (
    f"SELECT {MESSAGE} FROM letter WHERE outbox = ? AND state = ? {{}} "
    "ORDER BY due_at, queued_at, CAST(key AS BLOB) LIMIT ?"
)
COUNT_MESSAGES = "SELECT count(*) FROM letter WHERE outbox = ? AND state = ? {} LIMIT ?"
"""Queries for :func:`in_state`."""
UPDATE_REQUEST = "UPDATE letter SET wish = ? WHERE id = ?"
SELECT_REQUESTS = (
    "SELECT key, wish FROM letter WHERE outbox = ? AND wish IS NOT NULL ORDER BY CAST(key AS BLOB)"
)
SELECT_COPIES = (
    f"SELECT {MESSAGE} FROM letter WHERE outbox = ? AND copy_due_at > 0 "
    "ORDER BY copy_due_at, CAST(key AS BLOB)"
)
SELECT_BY_MESSAGE_ID = (
    f"{_NAMED} WHERE letter.message_id = ? "
    "ORDER BY CAST(mailbox.account AS BLOB), CAST(letter.key AS BLOB)"
)
SELECT_TO = (
    f"SELECT {_OF_MESSAGE} FROM letter_to JOIN letter ON letter.id = letter_to.letter "
    "WHERE letter_to.outbox = ? AND letter_to.address = ? AND letter_to.queued_at >= ? "
    "ORDER BY letter_to.queued_at DESC, CAST(letter.key AS BLOB) DESC LIMIT ?"
)
COUNT_ANSWERS_TO = (
    "SELECT count(*) FROM letter_to JOIN letter ON letter.id = letter_to.letter "
    "WHERE letter_to.outbox = ? AND letter_to.address = ? AND letter_to.queued_at >= ? "
    "AND letter.is_answer = 1"
)
COUNT_ANSWERS_IN = (
    "SELECT count(*) FROM letter "
    "WHERE outbox = ? AND thread_id = ? AND queued_at >= ? AND is_answer = 1"
)
SELECT_SUBMISSIONS = (
    "SELECT submitted_at FROM letter WHERE outbox = ? AND submitted_at >= ? AND submitted_at > 0 "
    "ORDER BY submitted_at DESC LIMIT ?"
)

# A message whose handler may run again keeps what it sent: the key begins with its delivery id.
SELECT_FORGOTTEN_MESSAGES = (
    "SELECT id, queued_at, recipients FROM letter WHERE outbox = ? AND changed_at < ? "
    "AND ((state = 'sent' AND copy_due_at <= 0) OR (state <> 'sent' AND dropped = 1)) "
    f"AND substr(key, 1, {DELIVERY_ID_DIGITS}) NOT IN "
    f"(SELECT delivery_id FROM entry INDEXED BY entry_open WHERE state NOT IN {CLOSED}) "
    "ORDER BY id LIMIT ?"
)
DELETE_MESSAGE = "DELETE FROM letter WHERE id = ?"
DELETE_RECIPIENT = (
    "DELETE FROM letter_to WHERE outbox = ? AND address = ? AND queued_at = ? AND letter = ?"
)


def write_message(message: QueuedMessage) -> Row:
    """The columns behind the outbox, in the order of the fields."""
    columns = {name: getattr(message, name) for name in _FIELDS}
    columns["recipients"] = _write_recipients(message.recipients)
    columns["state"] = message.state.value
    columns.update({name: int(columns[name]) for name in BOOLS})
    return tuple(columns.values())


def read_message(outbox: str, row: Row) -> QueuedMessage:
    """The message, from the columns behind the outbox."""
    columns = dict(zip(_FIELDS, texts(row), strict=True))
    columns["recipients"] = _read_recipients(columns["recipients"])
    columns["state"] = QueueState(columns["state"])
    columns.update({name: bool(columns[name]) for name in BOOLS})
    return QueuedMessage(outbox=outbox, **columns)


class Letter(NamedTuple):
    """A message, the number of its row, and an operator's request that was not carried out yet."""

    number: int
    request: OperatorRequest | None
    message: QueuedMessage


def read_letter(outbox: str, row: Row) -> Letter:
    """The message, with the columns before it."""
    number, wish, *message = row
    request = None if wish is None else OperatorRequest(wish)
    return Letter(number, request, read_message(outbox, tuple(message)))


def read_addresses(recipients: str) -> list[str]:
    """The addresses in ``letter_to``, from the column ``recipients``."""
    return [recipient.address.lower() for recipient in _read_recipients(recipients)]


_SURROGATES = "code points"
"""The name under which JSON has a string that UTF-8 cannot hold. It can escape a lone surrogate,
but two that are escaped side by side are read as the one character that they encode."""


def write_json(value: Any) -> Any:
    """A value of a column as JSON has it."""
    if isinstance(value, bytes):
        return {_SURROGATES: [ord(character) for character in read_text(value)]}
    return value


def read_json(value: Any) -> Any:
    """The value that :func:`write_json` wrote."""
    if isinstance(value, dict):
        value = "".join(map(chr, value[_SURROGATES]))
    return write_text(value)


def _write_recipients(recipients: Iterable[Recipient]) -> str:
    from json import dumps

    values = [
        (write_json(write_text(r.address)), r.status.value, r.code, write_json(write_text(r.text)))
        for r in recipients
    ]
    return dumps(values, separators=(",", ":"))


def _read_recipients(recipients: str) -> tuple[Recipient, ...]:
    from json import loads

    def plain(value: Any) -> str:
        return value if isinstance(value, str) else read_text(read_json(value))

    return tuple(
        Recipient(plain(address), RecipientStatus(status), code, plain(text))
        for address, status, code, text in loads(recipients)
    )
