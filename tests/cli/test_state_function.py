"""``--state module:function``: a store that a function of the program opens."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nornmail.cli import main
from nornmail.errors import StoreError
from nornmail.model import MailboxKey, State
from nornmail.stores import open_store, store_exists
from tests.stores.support import ME, bring
from tests.support.postgresql import ADDRESS, schema_of, server
from tests.support.table import table

SQLITE = """
from nornmail import SqliteStateStore
def store():
    return SqliteStateStore({path!r})
nothing = 7
"""
POSTGRES = """
import psycopg
from nornmail import PostgresStateStore
def connect():
    options = "-c search_path={schema}"
    return psycopg.connect(host={host!r}, user="postgres", dbname="postgres", options=options)
def store():
    return PostgresStateStore(connect)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a module that can be imported as ``their_worker``."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "their_worker.py"
    sys.modules.pop("their_worker", None)


def test_a_function_opens_the_store(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module.write_text(SQLITE.format(path=str(module.parent / "state.db")), encoding="utf-8")
    assert main(["status", "--json", "--env-file", "", "--state", "their_worker:store"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"path": "their_worker:store", "mailboxes": [], "outboxes": []}
    assert (module.parent / "state.db").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("their_worker:missing", "cannot be used: module 'their_worker' has no attribute"),
        ("no_such_module:store", "cannot be used: No module named 'no_such_module'"),
        ("their_worker:nothing", "must be a function that returns a state store, not 7"),
    ],
)
def test_what_opens_no_store_is_refused(module: Path, name: str, reason: str) -> None:
    module.write_text(SQLITE.format(path=""), encoding="utf-8")
    with pytest.raises(StoreError, match=re.escape(reason)):
        open_store(name)


@table("path", ["C:state", "state.db", "a/b:c", "dir:sub/x.db", ":memory:"])
def test_a_path_is_no_function(path: str) -> None:
    assert not store_exists(path)


@pytest.mark.interop
def test_the_commands_work_with_postgresql(
    module: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = schema_of(tmp_path)
    host = str(server().directory)
    assert ADDRESS
    module.write_text(POSTGRES.format(schema=schema, host=host), encoding="utf-8")
    named = ["--env-file", "", "--state", "their_worker:store"]
    store = open_store("their_worker:store")
    lease = store.acquire(MailboxKey("ann@example.com", "INBOX"), ME)
    bring(store, lease, State.DEAD)
    assert main(["status", "--json", *named]) == 0
    (mailbox,) = json.loads(capsys.readouterr().out)["mailboxes"]
    assert (mailbox["dead"], mailbox["held_by"]) == (1, ME)
    store.release(lease)
    assert main(["status", *named]) == 0
    assert ME not in capsys.readouterr().out
    assert main(["dead", "list", *named]) == 0
    store.close()
