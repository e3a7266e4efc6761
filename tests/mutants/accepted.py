"""Survivors that mean the same as the code."""

# ruff: noqa: E501  # a name is as long as the change that it tells

from __future__ import annotations

ACCEPTED: dict[str, str] = {
    "locks.py _is_alive: if sys.platform == 'win32' -> if True": "Only another system can tell.",
    "outbox/transitions.py after: seconds > SHORTEST_DEFER -> seconds >= SHORTEST_DEFER": "Where they are equal, both sides are the same number.",
    "poller/actions.py Actions._touch: if not entries -> if False": "Nothing is done for no entries, and what is set is set back.",
    "poller/uidvalidity.py Epochs._recognise: len(candidates) - len(unknown) -> len(candidates) + len(unknown)": "A number in a line of the log for debugging.",
    "stores/json_codec.py write_text: if text.isascii() -> if False": "The quick way for most texts: the other one gives the same for them.",
    "stores/sql_store.py SqlStateStore._id: if not self._connection.in_transaction -> if False": "The number of a mailbox is looked up again each time: the same, and slower.",
    "stores/sql_store.py SqlStateStore._known_id: if number is None -> if False (2)": "The mailbox was made in the line above; the condition is for the type checker.",
    "stores/sql_store.py SqlStateStore._refuse_second: held is None or let_others is None -> held is None": "Both come from one tuple: either both are None or neither is.",
    "stores/sql_store.py SqlStateStore._refuse_second: held is None or let_others is None -> let_others is None": "Both come from one tuple: either both are None or neither is.",
    "stores/sql_store.py SqlStateStore.forget_entries: record.horizon < horizon -> record.horizon <= horizon": "The same horizon is written again.",
    "stores/sql_store.py SqlStateStore.request: known is not None and known[1] is not request -> known[1] is not request": "What is not there was refused in the line above; the condition is for the type checker.",
    "stores/sqlite.py SqliteStateStore._configure: execute('PRAGMA fullfsync = 1') and execute('PRAGMA checkpoint_fullfsync = 1') swapped": "Two settings that have nothing to do with each other.",
}
"""By `Mutant.name`, each with the reason."""
