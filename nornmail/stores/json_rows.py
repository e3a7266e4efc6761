"""The rows of the SQL tables as JSON: what a commit of the JSON store says, and how it is read.

A commit has a member for each table that it touched, with the rows as they are at its end, and
``gone``, with the keys of the rows that it removed. A row is an object, in which a column of
nothing is left out: 0, ``""`` or null. One of few columns is an array.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nornmail.model import State
from nornmail.outgoing import QueueState
from nornmail.stores import rows
from nornmail.stores.rows import Row, read_json, write_json, write_text
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    import sqlite3

# ruff: noqa: S608 - the statements are put together from constants; every value is bound

FEW = 4
"""The most columns of a row that is an array: a mailbox may have a million ranges of UIDs."""
_NOTHING = {"INTEGER": 0, "REAL": 0.0, "TEXT": "", "BLOB": ""}
"""By the type of a column that must have a value."""
_WRITTEN = frozenset({"recipients", "bytes"})
"""Columns that are JSON already. ``bytes`` names a file."""
_STATES = {"entry": frozenset(State), "letter": frozenset(QueueState)}
_COMPOSED = frozenset({dict, list})
_PLACES = ("a", "b", "c", "d")
"""Columns for a key; none has more."""
TOUCHED = f"CREATE TABLE touched (name TEXT, {', '.join(_PLACES)}, held)"
"""The rows that a transaction touched, by their tables and keys, with what named their bytes.
Triggers note them, so that no statement can be forgotten."""


def _write(name: str, value: Any) -> Any:
    """The value of a column as JSON."""
    return json.loads(value) if name in _WRITTEN else write_json(value)


def _read(values: Iterable[Any]) -> Row:
    """The values that :func:`_write` wrote. Nearly always they are as they were written."""
    row = tuple(values)
    if _COMPOSED.isdisjoint(map(type, row)):
        return row
    return tuple(
        json.dumps(value, separators=(",", ":")) if isinstance(value, list) else read_json(value)
        for value in row
    )


class Table:
    """A table, and how its rows stand in JSON.

    Its columns are as ``PRAGMA table_info`` describes them. The key comes first.
    """

    def __init__(self, name: str, columns: list[Row]) -> None:
        self.name = name
        self.columns = [column for _, column, *_ in columns]
        # The one that names no key has it in all columns but its last.
        width = sum(place > 0 for *_, place in columns) or len(columns) - 1
        self.key = self.columns[:width]
        self._blank = [_NOTHING[kind] if needed else None for _, _, kind, needed, *_ in columns]
        self._known = frozenset(self.columns)
        self._states = _STATES.get(name)
        listed = ", ".join(self.columns)
        self.insert = f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})"
        self.select_all = f"SELECT {listed} FROM {name}"
        conditions = " AND ".join(f"{column} = ?" for column in self.key)
        self.select = f"{self.select_all} WHERE {conditions}"

    def triggers(self) -> Iterator[str]:
        """The statements that make what notes in :data:`TOUCHED` which rows are touched."""
        rekeyed = f"UPDATE OF {', '.join(self.key)}"
        events = (("INSERT", "new"), ("UPDATE", "new"), (rekeyed, "old"), ("DELETE", "old"))
        for number, (event, row) in enumerate(events):
            key = [f"{row}.{column}" for column in self.key]
            key += ["NULL"] * (len(_PLACES) - len(self.key))
            has_bytes = "bytes" in self._known and event != "INSERT"
            values = ", ".join([f"'{self.name}'", *key, "old.bytes" if has_bytes else "NULL"])
            yield (
                f"CREATE TRIGGER {self.name}_{number} AFTER {event} ON {self.name} "
                f"BEGIN INSERT INTO touched VALUES ({values}); END"
            )

    def write(self, row: Row) -> Any:
        """A row as JSON."""
        if len(row) <= FEW:
            return list(map(_write, self.columns, row))
        values = zip(self.columns, row, self._blank, strict=True)
        return {name: _write(name, value) for name, value, blank in values if value != blank}

    def read(self, value: Any) -> Row:
        """The row that :meth:`write` wrote.

        Raises:
            ValueError: it has other columns, or an unknown state.
        """
        if isinstance(value, list) and len(value) == len(self.columns):
            return _read(value)
        is_state = self._states is None or value.get("state") in self._states
        if not is_state or value.keys() - self._known:
            raise ValueError(f"it has unknown members, or an unknown state: {value!r}")
        return _read(map(value.get, self.columns, self._blank))


def tables(connection: sqlite3.Connection) -> dict[str, Table]:
    """The tables of a database, by their names."""
    execute = connection.execute
    names = execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return {
        name: Table(name, execute(f"PRAGMA table_info({name})").fetchall()) for (name,) in names
    }


def fill(connection: sqlite3.Connection, commits: Iterable[Mapping[str, Any]]) -> None:
    """Fill the empty tables of a database with what commits say.

    A row that was written a hundred times is made once that way.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: they make no sense.
    """
    there = tables(connection)
    made: dict[str, dict[Row, Row]] = {name: {} for name in there}
    for commit in commits:
        for name, keys in commit.get("gone", {}).items():
            for key in keys:
                made[name].pop(_read(key), None)
        for name in commit.keys() & there.keys():
            table = there[name]
            width = len(table.key)
            for value in commit[name]:
                row = table.read(value)
                made[name][row[:width]] = row
    for name, table in there.items():
        connection.executemany(table.insert, made[name].values())


# The versions up to 4 named a row by its mailbox, or its outbox, and by the key within that.

_PARTS = {
    "epoch": ("epoch", "uid_validity", "boundary", "matched", "begun_at"),
    "watermark": ("watermark_uid_validity", "watermark_uid"),
    "key": ("epoch", "uid", "inbox"),
    "digest": ("header_digest", "body_digest"),
}
"""Members that were arrays, and their columns."""
_GONE = {"removed": ("entries",), "forgotten": ("letters", "letter_raw", "wishes")}
"""By the member with their keys: the kinds of rows that went together."""
_LETTER = {"state": QueueState.QUEUED.value}
"""The members that a new message left out."""
_PAIRED = ("raw", "asked", "inboxes", "letter_raw", "wishes")
"""Members that had the key and the value of each row, with null for a removed one."""


def _flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a member for each column."""
    row: dict[str, Any] = {}
    for name, part in value.items():
        columns = _PARTS.get(name) if isinstance(part, list) else None
        row.update(zip(columns, part, strict=True) if columns else {name: part})
    return row


def from_before(commits: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The one commit that says what commits of the versions up to 4 say together.

    Messages on their way out get their numbers here, the oldest the lowest. Commits that make no
    sense raise what :func:`fill` raises.
    """
    mailboxes: dict[str, dict[str, Any]] = {}
    there: dict[str, dict[tuple[int, str], Any]]
    there = {kind: {} for kind in ("entries", "letters", *_PAIRED)}
    passed: dict[tuple[int, int], UidSet] = {}
    for commit in commits:
        if "mailbox" not in commit:
            continue
        account, name = commit["mailbox"]
        blank = {"id": len(mailboxes) + 1, "account": account, "mailbox": name}
        mailbox = mailboxes.setdefault(json.dumps(commit["mailbox"]), blank)
        number = mailbox["id"]
        mailbox["token"] = commit.get("token", mailbox.get("token", 0))
        mailbox.update(_flat(commit.get("record", {})))
        for member, gone_kinds in _GONE.items():
            for key in commit.get(member, ()):
                for kind in gone_kinds:
                    there[kind].pop((number, json.dumps(key)), None)
        for kind in commit.keys() & there.keys():
            for item in commit[kind]:
                key, value = item if kind in _PAIRED else (item["key"], _flat(item))
                there[kind][number, json.dumps(key)] = value
        for epoch, uids in commit.get("passed", ()):
            passed.setdefault((number, epoch), UidSet()).update(UidSet.parse(uids))
    letters = [(number, *item) for number, item in enumerate(there["letters"].items(), start=1)]
    files, wishes = there["letter_raw"], there["wishes"]
    return {
        "mailbox": list(mailboxes.values()),
        "entry": [{"mailbox": n, **entry} for (n, _), entry in there["entries"].items()],
        "raw": [[n, *json.loads(key), file] for (n, key), file in there["raw"].items() if file],
        "asked": [[n, *json.loads(key)] for (n, key), on in there["asked"].items() if on],
        "inbox": [[n, *values] for (n, _), values in there["inboxes"].items() if values],
        "passed_over": [[*place, *pair] for place, uids in passed.items() for pair in uids.pairs()],
        "letter": [
            {**_LETTER, **letter, "id": number, "outbox": place[0], "wish": wishes.get(place)}
            for number, place, letter in letters
        ],
        "letter_to": [
            [place[0], write_json(write_text(address)), letter.get("queued_at", 0.0), number]
            for number, place, letter in letters
            for address in rows.read_addresses(json.dumps(letter["recipients"]))
        ],
        "letter_raw": [[n, files[place]] for n, place, _ in letters if files.get(place)],
    }
