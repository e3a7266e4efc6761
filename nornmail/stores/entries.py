"""The rows of a mailbox's messages: entries, kept bytes, requests, and UIDs without an entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from nornmail.model import (
    KEEPS_RAW,
    Change,
    EntryKey,
    KeepRaw,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
    check_keep,
    check_put,
    check_rekey,
)
from nornmail.stores import rows
from nornmail.uidset import UidSet

Execute = Callable[..., Any]
"""Executes a statement with its arguments, and returns a cursor."""


class Entries:
    """Writes these rows, within a transaction of the store, whose ``execute`` each method takes.

    ``hold`` returns the value of a column that stands for bytes.
    """

    def __init__(self, hold: Callable[[bytes], Any]) -> None:
        self._hold = hold

    def apply(self, execute: Execute, mailbox: int, change: Change) -> None:
        """Make a change of a commit.

        Raises:
            IllegalTransition: the table of states does not allow it.
        """
        match change:
            case PutEntry(entry, raw):  # nearly all are, and then in one statement
                statement, pick = rows.put_entry(entry.state)
                row = rows.write_entry(mailbox, entry)
                if not execute(statement, pick(row)).rowcount:
                    key = (mailbox, *entry.key)
                    check_put(self.state(execute, mailbox, entry.key), entry.state)
                    execute(rows.UPDATE_ENTRY, (*row[len(key) :], *key))
                    if entry.state not in KEEPS_RAW:
                        execute(rows.DELETE_RAW, key)
                    execute(rows.DELETE_ASKED, key)  # a dead entry that is put is dead no more
                if raw is not None and entry.state in KEEPS_RAW:
                    execute(rows.REPLACE_RAW, (mailbox, *entry.key, self._hold(raw)))
            case SaveMailbox(record):
                execute(rows.UPDATE_RECORD, (*rows.write_record(record), mailbox))
            case KeepRaw(key, raw):
                check_keep(key, self.state(execute, mailbox, key))
                execute(rows.REPLACE_RAW, (mailbox, *key, self._hold(raw)))
            case Rekey(before, after, uid_validity):
                self._rekey(execute, mailbox, before, after, uid_validity)
            case PassOver(epoch, uids):
                ranges = uids.pairs()
                while part := list(islice(ranges, rows.RANGES_AT_ONCE)):
                    self._pass_over(execute, mailbox, epoch, part)

    def forget(self, execute: Execute, mailbox: int, before: float, limit: int) -> int:
        """Remove entries as :meth:`~nornmail.stores.protocol.MailboxStore.forget_entries` says."""
        arguments = (mailbox, before, before, before, limit)
        forgotten = execute(rows.SELECT_FORGOTTEN_ENTRIES, arguments).fetchall()
        record = rows.read_record(execute(rows.SELECT_RECORD, (mailbox,)).fetchone())
        if record is None or not forgotten:
            return 0
        uids: dict[int, list[int]] = {}
        for epoch, uid, inbox, _ in forgotten:
            execute(rows.DELETE_ENTRY, (mailbox, epoch, uid, inbox))
            uids.setdefault(epoch, []).append(uid)
        for epoch, known in uids.items():
            self.apply(execute, mailbox, PassOver(epoch, UidSet.of(known)))
        # A message without a date was received before its entry was last changed.
        horizon = max(received for *_, received in forgotten)
        if record.horizon is None or record.horizon < horizon:
            self.apply(execute, mailbox, SaveMailbox(record._replace(horizon=horizon)))
        return len(forgotten)

    def state(self, execute: Execute, mailbox: int, key: EntryKey) -> State | None:
        """The state of an entry, ``None`` where there is none."""
        selected = execute(rows.SELECT_STATE, (mailbox, *key)).fetchone()
        return selected and State(selected[0])

    def _rekey(
        self, execute: Execute, mailbox: int, before: EntryKey, after: EntryKey, uid_validity: int
    ) -> None:
        state, taken = self.state(execute, mailbox, before), self.state(execute, mailbox, after)
        check_rekey(before, state, after, taken)
        if taken is not None:  # it is GONE
            execute(rows.DELETE_ENTRY, (mailbox, *after))
        keys = (*after, mailbox, *before)
        execute(rows.REKEY_ENTRY, (uid_validity, *keys))
        execute(rows.REKEY_RAW, keys)
        execute(rows.REKEY_ASKED, keys)

    def _pass_over(
        self, execute: Execute, mailbox: int, epoch: int, ranges: Sequence[tuple[int, int]]
    ) -> None:
        """Put ascending ranges in: in one statement where none lies among them yet, as a rule."""
        low, high = ranges[0][0], ranges[-1][1]
        below = execute(rows.SELECT_RANGE_BELOW, (mailbox, epoch, high + 1)).fetchone()
        if len(ranges) == rows.RANGES_AT_ONCE and (below is None or below[1] < low - 1):
            values = [number for pair in ranges for number in (mailbox, epoch, *pair)]
            execute(rows.INSERT_RANGES, values)
            return
        for low, high in ranges:
            self._join_range(execute, mailbox, epoch, low, high)

    def _join_range(self, execute: Execute, mailbox: int, epoch: int, low: int, high: int) -> None:
        """Put a range in, joined with those that it overlaps or touches."""
        below = execute(rows.SELECT_RANGE_BELOW, (mailbox, epoch, low)).fetchone()
        if below is not None and below[1] >= low - 1:
            low, high = below[0], max(below[1], high)
        place = (mailbox, epoch, low, high + 1)
        (highest,) = execute(rows.SELECT_RANGES_WITHIN, place).fetchone()
        if highest is not None:
            execute(rows.DELETE_RANGES, place)
        execute(rows.INSERT_RANGE, (mailbox, epoch, low, max(high, highest or 0)))
