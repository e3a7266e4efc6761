"""Survivors that mean the same as the code."""

# ruff: noqa: E501  # a name is as long as the change that it tells

from __future__ import annotations

ACCEPTED: dict[str, str] = {
    "locks.py FileLock._acquire: os.lseek(fd, 0, os.SEEK_SET) and os.write(fd, holder.encode('utf-8', 'backslashreplace')[:HOLDER_BYT... swapped": "A file that was just opened is at its beginning; only Windows' lock moves it.",
    "locks.py FileLock._acquire: self._closer = weakref.finalize(self, os.close, fd) and _held.add(self) swapped": "Both are done before the process can fork.",
    "locks.py _is_alive: if sys.platform == 'win32' -> if False": "Only another system can tell.",
    "locks.py _is_alive: if sys.platform == 'win32' -> if True": "Only another system can tell.",
    "outbox/queue_runner.py QueueRunner._send_due: self._resume_at <= self.clock.monotonic() -> self._resume_at < self.clock.monotonic()": "At that very instant the pause is over, and the next look says the same.",
    "outbox/queue_runner.py QueueRunner._submit: self.connection.close() and log.exception('%s could not be submitted', message.message_id) swapped": "A line of the log before or after the connection is closed.",
    "outbox/queue_runner.py QueueRunner._sync_sent_copy: isinstance(sent, Drafts) and is_draft -> is_draft": "A draft without a mailbox of drafts was returned above; the condition is for the type checker.",
    "outbox/transitions.py after: seconds > SHORTEST_DEFER -> seconds >= SHORTEST_DEFER": "Where they are equal, both sides are the same number.",
    "poller/actions.py Actions._touch: if not entries -> if False": "Nothing is done for no entries, and what is set is set back.",
    "poller/discovery.py Discovery._report_missed: low < highest -> low <= highest": "The highest seen UID is seen, so that no unseen range begins there.",
    "poller/uidvalidity.py Epochs._recognise: len(candidates) - len(unknown) -> len(candidates) + len(unknown)": "A number in a line of the log for debugging.",
    "poller/uidvalidity.py Epochs._replaced: header is None or not header.raw or header_digest_of(header.raw) ==... -> header is None or not header.raw": "The same headers have the same Message-ID, which is compared below.",
    "poller/uidvalidity.py Epochs._replaced: truncated=True -> False": "Only the Message-ID is read.",
    "stores/json_codec.py write_text: if text.isascii() -> if False": "The quick way for most texts: the other one gives the same for them.",
    "stores/json_files.py Files.fsync_directory: if sys.platform != 'win32' -> if True": "Only another system can tell.",
    "stores/json_journal.py _chunks: len(buffer) >= CHUNK_BYTES -> len(buffer) > CHUNK_BYTES": "A part of the file is written a little earlier or later.",
    "stores/json_journal.py read_lines: end < 0 -> end <= 0": "A journal that begins with a line's end is damaged either way.",
    "stores/json_journal.py read_lines: end < 0 -> end <= 0 (2)": "A journal that begins with a line's end is damaged either way.",
    "stores/json_store.py JsonStateStore._hold: self._sequence + 1 -> self._sequence - 1": "Another number in the name of a file, which is as unique.",
    "stores/json_store.py JsonStateStore._rollback: self._held.clear() and super()._rollback() swapped": "Neither looks at the other.",
    "stores/json_store.py JsonStateStore.close: super().close() and self._journal.close() swapped": "Neither looks at the other, and both are done under the lock.",
    "stores/sql_store.py SqlStateStore._amend: known is None or after is None -> after is None": "Nothing becomes of no message; the condition is for the type checker.",
    "stores/sql_store.py SqlStateStore._apply: check_keep(key, self._state(mailbox, key)) and self._keep(mailbox, key, raw) swapped": "What was kept too early is rolled back.",
    "stores/sql_store.py SqlStateStore._id: if not self._connection.in_transaction -> if False": "The number of a mailbox is looked up again each time: the same, and slower.",
    "stores/sql_store.py SqlStateStore._known_id: if number is None -> if False (2)": "The mailbox was made in the line above; the condition is for the type checker.",
    "stores/sql_store.py SqlStateStore._refuse_second: held is None or let_others is None -> held is None": "Both come from one tuple: either both are None or neither is.",
    "stores/sql_store.py SqlStateStore._refuse_second: held is None or let_others is None -> let_others is None": "Both come from one tuple: either both are None or neither is.",
    "stores/sql_store.py SqlStateStore._replace: request is not None and (not still_applies(request, before, after)) -> not still_applies(request, before, after)": "A request that is not there is removed.",
    "stores/sql_store.py SqlStateStore.entries: if limit is None -> if True": "The list is cut to the limit once more, when all states are merged.",
    "stores/sql_store.py SqlStateStore.forget_entries: record.horizon < horizon -> record.horizon <= horizon": "The same horizon is written again.",
    "stores/sql_store.py SqlStateStore.release: let_others is not None and held is not None and (held() == lease) -> let_others is not None and held() == lease": "Both come from one tuple: either both are None or neither is.",
    "stores/sql_store.py SqlStateStore.request: known is not None and known[1] is not request -> known[1] is not request": "What is not there was refused in the line above; the condition is for the type checker.",
    "stores/sqlite.py SqliteStateStore._configure: execute('PRAGMA fullfsync = 1') and execute('PRAGMA checkpoint_fullfsync = 1') swapped": "Two settings that have nothing to do with each other.",
}
"""By `Mutant.name`, each with the reason."""
