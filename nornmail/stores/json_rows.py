"""The rows of the SQL tables as JSON: what a commit of the JSON store says, and how it is read.

A field that has its default is left out, so that a line of the journal stays short.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from nornmail.model import Entry, EntryKey, MailboxKey, State
from nornmail.outgoing import QueuedMessage, QueueState
from nornmail.stores import rows
from nornmail.stores.rows import Row, read_json, write_json
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    import sqlite3

# ruff: noqa: S608 - the statements are put together from constants; every value is bound

_BOOLS = frozenset({"matched", "truncated", "backfill", "asked", *rows.BOOLS})
_WRITTEN = frozenset({"recipients", "bytes"})
"""Columns that are JSON already. ``bytes`` names a file."""
_STATES = frozenset({*State, *QueueState})


def _write(name: str, value: Any) -> Any:
    """The value of a column as JSON."""
    if name in _BOOLS:
        return bool(value)
    return json.loads(value) if name in _WRITTEN and value is not None else write_json(value)


def _read(values: Sequence[Any]) -> Row:
    """The columns that :func:`_write` wrote. Nearly always they are as they were written."""
    if _COMPOSED.isdisjoint(map(type, values)):
        return tuple(values)
    return tuple(
        json.dumps(one, separators=(",", ":")) if isinstance(one, list) else read_json(one)
        for one in values
    )


_COMPOSED = frozenset({dict, list})


def _write_key(key: Row) -> Any:
    """The key of a row: an array, where it has several columns."""
    return write_json(key[0]) if len(key) == 1 else list(map(write_json, key))


def _read_key(value: Any) -> Row:
    return _read(value if isinstance(value, list) else [value])


class Columns:
    """How the columns of a row stand in JSON: one as it is, and several in an array."""

    def __init__(self, columns: str) -> None:
        self._names = columns.split(", ")

    def write(self, row: Row) -> Any:
        """A row as JSON."""
        values = list(map(_write, self._names, row))
        return values if len(values) > 1 else values[0]

    def read(self, value: Any) -> Row:
        """The row that :meth:`write` wrote."""
        return _read(value if len(self._names) > 1 else [value])


class Members:
    """How the columns of a row stand in an object.

    Args:
        columns: their names.
        arrays: the names of members that have several columns, and these.
        blank: a row of nothing but defaults, which are left out.
        needed: members that have no default.
    """

    def __init__(
        self, columns: str, arrays: dict[str, str], blank: Row, needed: Collection[str]
    ) -> None:
        for name, part in arrays.items():
            columns = columns.replace(part, name, 1)
        self._members: dict[str, tuple[int, Columns]] = {}
        self._defaults: dict[str, Row] = {}
        self._width = len(blank)
        values = iter(blank)
        for name in columns.split(", "):
            part = arrays.get(name, name)
            width = part.count(",") + 1
            self._members[name] = width, Columns(part)
            default = tuple(islice(values, width))
            if name not in needed:
                self._defaults[name] = default

    def write(self, row: Row) -> dict[str, Any]:
        """A row as an object."""
        written: dict[str, Any] = {}
        at = 0
        for name, (width, columns) in self._members.items():
            values, at = row[at : at + width], at + width
            if values != self._defaults.get(name):
                written[name] = columns.write(values)
        return written

    def read(self, value: Mapping[str, Any]) -> Row:
        """The row that :meth:`write` wrote.

        Raises:
            KeyError: a member is missing that has no default.
            ValueError: it has another member, or a state that there is not.
        """
        row: list[Any] = []
        for name, (width, _) in self._members.items():
            if name not in value:
                row += self._defaults[name]
            elif width > 1:
                row += value[name]
            else:
                row.append(value[name])
        known = value.keys() <= self._members.keys() and len(row) == self._width
        if not known or value.get("state", State.NEW) not in _STATES:
            raise ValueError(f"it has other members, or a state that there is not: {value!r}")
        return _read(row)


class Kind(NamedTuple):
    """The rows of a mailbox of one kind, and how a commit says which of them it made or removed.

    Attributes:
        source: their table.
        mailbox: its column that says whose they are.
        key: the columns that tell them apart; ``""`` where there is one row.
        columns: what is kept of each.
        form: how that stands in JSON.
        fill: the statement that makes a row, from the mailbox, the key where ``form`` does not have
            it, and what ``form`` read.
        events: after which a row was touched.
        gone: the member of a commit that has the keys of removed rows; where there is none, a
            commit has ``[key, value]`` of each row, with ``null`` for a removed one.
    """

    source: str
    mailbox: str
    key: str
    columns: str
    form: Columns | Members
    fill: str
    events: tuple[str, ...]
    gone: str = ""

    def pairs(self, member: Any) -> Iterable[tuple[Row, Any]]:
        """The keys and values in a member of a commit."""
        if not self.key:
            return [((), member)]
        if self.gone:
            return ((_read_key(value["key"]), value) for value in member)
        return ((_read_key(key), value) for key, value in member)

    def row(self, key: Row, value: Any) -> Row:
        """The arguments of ``fill`` behind the mailbox."""
        row = self.form.read(value)
        return row if len(row) > 1 else (*key, *row)


def _marks(columns: str, first: int = 2) -> str:
    return ", ".join(f"?{at}" for at in range(first, first + columns.count(",") + 1))


_ENTRY = Members(
    rows.COLUMNS,
    {"key": "epoch, uid, inbox", "digest": "header_digest, body_digest"},
    rows.write_entry(0, Entry(key=EntryKey(0, 0), state=State.NEW, delivery_id=""))[1:],
    needed=("key", "state", "delivery_id"),
)
_MESSAGE = Members(
    f"outbox, {rows.MESSAGE}",
    {},
    (
        None,
        *rows.write_message(
            QueuedMessage(outbox="", key="", message_id="", sender="", recipients=())
        ),
    ),
    needed=("outbox", "key", "message_id", "sender", "recipients"),
)
_RECORD = Members(
    rows.RECORD,
    {
        "epoch": "epoch, uid_validity, boundary, matched, begun_at",
        "watermark": "watermark_uid_validity, watermark_uid",
    },
    (None,) * (rows.RECORD.count(",") + 1),
    needed=("epoch", "watermark", "cut", "polled_at"),
)
_MAILBOX = Columns("account, mailbox")
_INBOX = "id, name, address, created_at, backfill"
_OUTBOX = "(SELECT account FROM mailbox AS its WHERE its.id = outbox)"
_KEY = "epoch, uid, inbox"
_ANY = ("INSERT", "UPDATE", "DELETE")
_KEYED = (*_ANY, "UPDATE OF uid")
_FILL_FENCE = "UPDATE mailbox SET token = ?2 WHERE id = ?1"
_FILL_RECORD = f"UPDATE mailbox SET ({rows.RECORD}) = ({_marks(rows.RECORD)}) WHERE id = ?1"
_FILL_ASKED = f"INSERT INTO asked SELECT ?1, {_marks(_KEY)} WHERE ?5"
_FILL_LETTERS = (
    f"INSERT INTO letter (outbox, {rows.MESSAGE}) VALUES (?1, {_marks(rows.MESSAGE, first=3)})"
)
_FILL_BYTES = "INSERT INTO letter_raw SELECT id, ?3 FROM letter WHERE outbox = ?1 AND key = ?2"
_FILL_WISH = "UPDATE letter SET wish = ?3 WHERE outbox = ?1 AND key = ?2"

KINDS = {
    "token": Kind(
        *("mailbox", "id", "", "token", Columns("token"), _FILL_FENCE),
        events=("INSERT", "UPDATE OF token"),
    ),
    "record": Kind(
        *("mailbox", "id", "", rows.RECORD, _RECORD, _FILL_RECORD),
        events=("UPDATE OF epoch",),
    ),
    "entries": Kind(
        *("entry", "mailbox", _KEY, rows.COLUMNS, _ENTRY, rows.REPLACE_ENTRY, _KEYED),
        gone="removed",
    ),
    "raw": Kind("raw", "mailbox", _KEY, "bytes", Columns("bytes"), rows.REPLACE_RAW, _KEYED),
    "asked": Kind("asked", "mailbox", _KEY, "1", Columns("asked"), _FILL_ASKED, _KEYED),
    "inboxes": Kind("inbox", "mailbox", "id", _INBOX, Columns(_INBOX), rows.REPLACE_INBOX, _ANY),
    "letters": Kind(
        *("letter", "outbox", "key", f"{_OUTBOX}, {rows.MESSAGE}", _MESSAGE, _FILL_LETTERS),
        events=("INSERT", "UPDATE OF state", "DELETE"),
        gone="forgotten",
    ),
    "letter_raw": Kind(
        *("letter_raw JOIN letter ON id = letter", "outbox", "key", "bytes", Columns("bytes")),
        fill=_FILL_BYTES,
        events=_ANY,
    ),
    "wishes": Kind(
        *("letter", "outbox", "key", "wish", Columns("wish"), _FILL_WISH),
        events=("UPDATE OF wish",),
    ),
    "passed": Kind(
        *("passed_over", "mailbox", "epoch, low, high", "1", Columns("asked"), rows.INSERT_RANGE),
        events=("INSERT",),
    ),
}
"""By the name of the member that a commit has for them. ``passed`` is of another form: each of its
items, ``[epoch, ranges]``, is added to what was passed over before."""
_GONE = {"removed": ("entries",), "forgotten": ("letters", "letter_raw", "wishes")}
"""By the member with their keys: the kinds of rows that went together."""


def triggers() -> Iterator[str]:
    """What notes in the table ``touched`` which rows a statement touches, by their kinds."""
    number = 0
    for name, kind in KINDS.items():
        table = kind.source.split()[0]
        for event in kind.events:
            row = "old" if event in ("DELETE", "UPDATE OF uid") else "new"
            columns = [kind.mailbox, *kind.key.split(", ")] if kind.key else [kind.mailbox]
            source = f"FROM letter WHERE id = {row}.letter" if name == "letter_raw" else ""
            place = [column if source else f"{row}.{column}" for column in columns]
            place += ["NULL"] * (4 - len(columns))
            held = "old.bytes" if kind.columns == "bytes" and event != "INSERT" else "NULL"
            number += 1
            yield (
                f"CREATE TRIGGER touched_{number} AFTER {event} ON {table} BEGIN INSERT INTO "
                f"touched SELECT '{name}', {', '.join(place)}, {held} {source}; END"
            )


@cache
def select(name: str, *, one: bool = False) -> str:
    """The query for the rows of a kind that a mailbox has: the key, then the columns.

    Arguments: the mailbox, and the key of the one row that is asked for.
    """
    kind = KINDS[name]
    what = f"{kind.key}, {kind.columns}" if kind.key else kind.columns
    names = kind.key.split(", ") if kind.key and one else []
    conditions = " AND ".join(f"{name} = ?" for name in [kind.mailbox, *names])
    order = "ORDER BY id" if name == "letters" else ""  # the oldest are forgotten first
    return f"SELECT {what} FROM {kind.source} WHERE {conditions} {order}"


def read_rows(name: str, selected: Iterable[Row]) -> Iterator[tuple[Row, Any]]:
    """The keys and the values of the rows of :func:`select`; the value may be ``None``."""
    kind = KINDS[name]
    width = kind.key.count(",") + 1 if kind.key else 0
    for row in selected:
        unset = name == "record" and row[0] is None  # there was a lease only
        yield row[:width], None if unset else kind.form.write(row[width:])


def write_commit(mailbox: Row, changes: Mapping[str, Mapping[Row, Any]]) -> dict[str, Any]:
    """A commit.

    Args:
        mailbox: its name, as a row.
        changes: by kind and key, what there is now; ``None`` for nothing.
    """
    commit: dict[str, Any] = {"mailbox": _MAILBOX.write(mailbox)}
    for name, changed in changes.items():
        kind = KINDS[name]
        if not kind.key:
            commit.update((name, value) for value in changed.values() if value is not None)
        elif name == "passed":
            ranges: dict[int, UidSet] = {}
            for epoch, low, high in changed:
                ranges.setdefault(epoch, UidSet()).update(UidSet([(low, high)]))
            commit[name] = [[epoch, str(uids)] for epoch, uids in ranges.items()]
        elif kind.gone:
            for key, value in changed.items():
                of, written = (kind.gone, _write_key(key)) if value is None else (name, value)
                commit.setdefault(of, []).append(written)
        else:
            commit[name] = [[_write_key(key), value] for key, value in changed.items()]
    return commit


def merged(commits: Iterable[dict[str, Any]]) -> dict[MailboxKey, dict[str, dict[Any, Any]]]:
    """The mailboxes as the last of the commits have them: by kind and key, what was written.

    A row that was written a hundred times is read once that way.
    """
    mailboxes: dict[MailboxKey, dict[str, dict[Any, Any]]] = {}
    for commit in commits:
        if "mailbox" not in commit:
            continue
        mailbox = rows.read_mailbox(_MAILBOX.read(commit["mailbox"]))
        whole = mailboxes.setdefault(mailbox, {name: {} for name in KINDS})
        for member, names in _GONE.items():
            for gone in commit.get(member, ()):
                for name in names:
                    whole[name].pop(_read_key(gone), None)
        for name in commit.keys() & KINDS.keys() - {"passed"}:
            whole[name].update(KINDS[name].pairs(commit[name]))
        for epoch, uids in commit.get("passed", ()):
            whole["passed"].setdefault(epoch, UidSet()).update(UidSet.parse(uids))
    return mailboxes


def fill(
    connection: sqlite3.Connection, mailbox: int, whole: Mapping[str, Mapping[Any, Any]]
) -> None:
    """Make the rows of a mailbox, of which there is none yet, from what :func:`merged` returned."""
    for name, kind in KINDS.items():
        there = whole[name].items()
        made = (kind.row(key, one) for key, one in there if one not in (None, False))
        if name == "passed":
            made = ((epoch, *pair) for epoch, uids in there for pair in uids.pairs())
        connection.executemany(kind.fill, ((mailbox, *row) for row in made))
    letters = connection.execute(
        "SELECT id, queued_at, recipients FROM letter WHERE outbox = ?", (mailbox,)
    )
    for number, queued_at, recipients in letters.fetchall():
        for address in rows.read_addresses(recipients):
            connection.execute(rows.INSERT_RECIPIENT, (mailbox, address, queued_at, number))
