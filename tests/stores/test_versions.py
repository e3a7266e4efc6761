"""Stores of the version before the outbox: they are brought up to date with all that they have."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from binascii import crc32
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from itertools import chain
from pathlib import Path

import pytest

from nornmail.errors import StoreError
from nornmail.model import (
    Entry,
    Epoch,
    InboxRecord,
    MailboxKey,
    MailboxRecord,
    PutEntry,
    State,
    Watermark,
)
from nornmail.outgoing import QueuedMessage, QueueState, Recipient
from nornmail.stores import json_files, json_store, schema, sqlite
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore
from tests.stores.effects import Numbered, Stopped
from tests.stores.letters import OUTBOX, RAW, letter
from tests.stores.support import INBOX, ME, key, record

BEFORE = 2
"""The number of steps of the database's schema before the outbox."""


@pytest.fixture(params=["json", *range(BEFORE, len(schema.MIGRATIONS))], ids=str)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StateStore]:
    """Opens a store that a version before left, with mail and a request in it."""
    if request.param != "json":
        path = tmp_path / "state.db"
        write_database(path, request.param)
        return lambda: SqliteStateStore(path)
    path = tmp_path / "state.json"
    write_files(path)
    return lambda: JsonStateStore(path)


def write_files(path: Path) -> None:
    """The files that the first version left."""
    times = {"cut": None, "polled_at": 0.0}
    saved = {"epoch": [1, 7, 1, True, 1.5], "watermark": [7, 7], **times}
    mailbox = {"mailbox": list(INBOX), "token": 1, "record": saved}
    entries = [{"key": [1, uid, ""], "state": "dead", "delivery_id": "id"} for uid in range(1, 6)]
    document = b'{"format": "nornmail state", "version": 1, "sequence": 1, "mailboxes": [\n'
    document += json.dumps({**mailbox, "entries": entries[:4]}).encode() + b"],\n"
    path.write_bytes(document + b'"checksum": "%08x"}\n' % crc32(document))
    lines = [
        {"n": 2, "mailbox": list(INBOX), "entries": entries[4:]},
        {"n": 3, "mailbox": list(INBOX), "asked": [[[1, 3, ""], True]]},
    ]
    Path(f"{path}.journal").write_bytes(b"".join(map(json_files.write_line, lines)))


def write_database(path: Path, version: int) -> None:
    """The database that the program of a version left: it named no columns that came later."""
    with closing(sqlite3.connect(path)) as database:
        for statement in chain.from_iterable(schema.MIGRATIONS[:version]):
            database.execute(statement)
        add = "INSERT INTO mailbox (account, mailbox, token) VALUES (?, ?, 1)"
        database.execute(add, (INBOX.account, INBOX.mailbox))
        database.executemany(
            """INSERT INTO entry (mailbox, epoch, uid, inbox, uid_validity, state, delivery_id,
                attempts, due_at, reason, message_id, size, truncated, changed_at)
            VALUES (1, 1, ?, '', 7, 'dead', 'id', 0, 0.0, '', '', 0, 0, 0.0)""",
            [(uid,) for uid in range(1, 6)],
        )
        database.execute("INSERT INTO asked (mailbox, epoch, uid, inbox) VALUES (1, 1, 3, '')")
        database.execute(f"PRAGMA application_id = {sqlite.APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {version}")
        database.commit()


def go_back(patch: pytest.MonkeyPatch, kind: str) -> None:
    """Be the program before the outbox, as far as its files go."""
    if kind == "sqlite":
        patch.setattr(sqlite, "MIGRATIONS", schema.MIGRATIONS[:BEFORE])
        return
    patch.setattr(json_files, "VERSION", 1)
    patch.setattr(json_store, "VERSION", 1)


def test_everything_is_there_and_the_outbox_can_be_used(old: Callable[[], StateStore]) -> None:
    with closing(old()) as store:
        assert store.load(INBOX) in (record(uid=7), None)
        assert store.count(INBOX, {State.DEAD}) == 5
        assert store.retry_requests(INBOX) == [key(3)]
        assert store.outboxes() == []
        store.enqueue(letter(), RAW)
    with closing(old()) as store:
        assert store.queued_message(OUTBOX, "k") == letter()
        assert store.message_bytes(OUTBOX, "k") == RAW
        assert store.count_messages(OUTBOX, [QueueState.QUEUED]) == 1
        assert store.count(INBOX, {State.DEAD}) == 5
        store.release(store.acquire(MailboxKey.of_outbox(OUTBOX), ME))
        (dead, *_) = store.entries(INBOX, {State.DEAD})
        assert dead.verified_sender == ""
        assert not store.has_verified_sender("kim@example.org")
        claimed = dead._replace(state=State.CLAIMED, verified_sender="kim@example.org")
        store.commit(store.acquire(INBOX, ME), [PutEntry(claimed)])
    with closing(old()) as store:
        assert store.has_verified_sender("kim@example.org")


def test_the_program_before_refuses_what_it_would_not_understand(
    old: Callable[[], StateStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    old().close()
    for kind in ("json", "sqlite"):
        go_back(monkeypatch, kind)
    with pytest.raises(StoreError, match="update nornmail"):
        old()


SAVED = {"watermark": [7, 7], "cut": None, "polled_at": 0.0}


@pytest.mark.parametrize(
    "nonsense",
    [
        {"record": {**SAVED, "epoch": [1, 7, 1, True]}},
        {"record": {**SAVED, "epoch": [1, 7, 1, True, 1.5], "watermark": [7]}},
        {"entries": [{"key": [1, 9], "state": "dead", "delivery_id": "id"}]},
        {"raw": [[[1, 9], ["0-0.eml", 1, 1]]]},
        {"inboxes": [["i", ["i", "name", "address", 1.0]]]},
    ],
    ids=lambda nonsense: next(iter(nonsense)),
)
def test_a_line_of_a_version_before_that_makes_no_sense_is_refused(
    nonsense: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "state.json"
    write_files(path)
    with Path(f"{path}.journal").open("ab") as journal:
        journal.write(json_files.write_line({"n": 4, "mailbox": list(INBOX), **nonsense}))
    with pytest.raises(StoreError, match="cannot be understood"):
        JsonStateStore(path)


def test_a_field_that_is_added_to_the_files_raises_their_version() -> None:
    """A program of the version before would call the file damaged, and not newer than itself."""
    names = sorted(
        f"{kind.__name__}.{name}"
        for kind in (Entry, Epoch, InboxRecord, MailboxRecord, QueuedMessage, Recipient, Watermark)
        for name in kind.__annotations__
    )
    digest = sha256(" ".join(names).encode()).hexdigest()[:8]
    assert (json_files.VERSION, digest) == (5, "69af6940"), "raise VERSION with a field"


@pytest.mark.parametrize("linked", ["state.db", "state.json.journal"])
def test_a_file_with_two_names_is_refused_by_both(tmp_path: Path, linked: str) -> None:
    """The locks lie next to the name, so two processes would have one mailbox."""
    opened = SqliteStateStore if linked == "state.db" else JsonStateStore
    name = tmp_path / linked.removesuffix(".journal")
    with closing(opened(name)) as store:
        store.acquire(INBOX, ME)
        (tmp_path / "other").mkdir()
        os.link(tmp_path / linked, tmp_path / "other" / linked)
        if linked != name.name:
            shutil.copy(name, tmp_path / "other")
        for path in (name, tmp_path / "other" / name.name):
            with pytest.raises(
                StoreError, match=r"2 names \(hard links\).*remove the others|is open already"
            ):
                opened(path)
    (tmp_path / "other" / linked).unlink()
    opened(name).close()


def test_the_database_is_of_the_newest_version(
    old: Callable[[], StateStore], tmp_path: Path
) -> None:
    old().close()
    if (tmp_path / "state.db").exists():
        with closing(sqlite3.connect(tmp_path / "state.db")) as database:
            assert database.execute("PRAGMA user_version").fetchone()[0] > BEFORE
    else:
        opening = (tmp_path / "state.json").read_bytes()[:80]
        found = re.search(rb'"version": (\d+)', opening)
        assert found is not None, opening
        assert found[1] == b"5"


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_crash_at_any_effect_of_bringing_the_files_up_to_date_loses_nothing(
    tmp_path: Path, after: bool
) -> None:
    path = tmp_path / "state.json"
    at = 0
    while True:
        at += 1
        for file in tmp_path.glob("state*"):
            if file.is_file():
                file.unlink()
        write_files(path)
        files = Numbered(at, Stopped(), after=after)
        try:
            JsonStateStore(path, files=files).close()
        except Stopped:
            pass
        else:
            break
        with closing(JsonStateStore(path)) as store:
            assert store.count(INBOX, {State.DEAD}) == 5
    assert at > 5, "the files were rewritten"
