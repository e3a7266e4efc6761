"""Summaries and views of a store: everything is seen, nothing is changed."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from nornmail import (
    ImapSettings,
    Inbox,
    Mailer,
    Message,
    Poller,
    SmtpSettings,
    StateStore,
    StoreError,
    open_store,
    summarize,
)
from nornmail.locks import FileLock, holder_of
from nornmail.model import OUTBOX, MailboxKey, SaveMailbox, State
from nornmail.stores import open_view
from nornmail.stores.schema import MIGRATIONS
from nornmail.stores.sqlite import APPLICATION_ID, MemoryStateStore
from nornmail.testing import MailServer
from tests.stores.support import record

USER = "agent@example.com"
stores = pytest.mark.parametrize("name", ["state.db", "state.json"])


def fail(message: Message) -> None:
    raise RuntimeError("down")


def fill(store: StateStore) -> None:
    """Have a message wait, one be dead, and one be queued."""
    with MailServer() as server:
        server.add_user(USER, "secret")
        server.deliver(b"From: kim@example.org\r\nTo: agent@example.com\r\n\r\nHello\r\n")
        server.deliver(b"From: kim@example.org\r\nTo: sales@example.com\r\n\r\nHello\r\n")
        settings = ImapSettings(
            host=server.host, port=server.imap_port, use_ssl=False, username=USER, password="secret"
        )
        smtp = SmtpSettings(host="smtp.example.com", sender=USER)
        Mailer(smtp, store).send("kim@example.org", "Hello", "Hello", key="one")
        inboxes = [Inbox(USER), Inbox("sales@example.com")]
        with closing(Poller(settings, store=store, on_message=fail, inboxes=inboxes)) as poller:
            poller.poll_once()
            poller.remove_inbox("sales@example.com")
            poller.poll_once()


def files(directory: Path) -> dict[str, bytes]:
    """The files that hold something; sqlite's shared memory is nobody's content."""
    return {
        path.name: path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


@stores
def test_a_store_that_is_open_is_summarized_and_not_changed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(open_store(path)) as store:
        fill(store)
        before = files(tmp_path)
        summary = summarize(path)
        assert files(tmp_path) == before
    (mailbox,) = summary.mailboxes
    assert mailbox.account.startswith(USER)
    assert mailbox.inboxes == (USER, "sales@example.com")
    assert (mailbox.new, mailbox.claimed, mailbox.waiting, mailbox.dead) == (0, 0, 1, 1)
    assert mailbox.last_poll_at is not None
    (outbox,) = summary.outboxes
    assert (outbox.queued, outbox.sending, outbox.unknown, outbox.failed) == (1, 0, 0, 0)
    assert outbox.next_due_at is not None


@stores
def test_a_store_that_is_closed_is_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(open_store(path)) as store:
        fill(store)
        opened = summarize(path)
    before = files(tmp_path)
    closed = summarize(path)
    assert [(one.waiting, one.dead) for one in closed.mailboxes] == [(1, 1)]
    assert closed.outboxes[0].next_due_at == opened.outboxes[0].next_due_at
    assert [one.held_by for one in closed.mailboxes] == [""]
    assert files(tmp_path) == before


@stores
def test_a_view_refuses_to_be_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with closing(open_store(path)) as store:
        fill(store)
    with closing(open_view(path)) as view:
        (mailbox,) = view.mailboxes()
        (entry,) = view.entries(mailbox, {State.DEAD})
        with pytest.raises(StoreError):
            view.request_retry(mailbox, entry.key)
        with pytest.raises(StoreError):
            view.acquire(mailbox, "here:1")


@stores
def test_a_store_that_does_not_exist_is_not_made(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no state store"):
        summarize(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["other.db", "other.json"])
def test_a_file_of_another_program_is_left_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"mine, and no store\n" * 100)
    before = files(tmp_path)
    with pytest.raises(StoreError):
        summarize(path)
    assert files(tmp_path) == before


def test_an_older_database_is_upgraded_in_a_copy_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        for statements in MIGRATIONS[:-1]:
            for statement in statements:
                connection.execute(statement)
        add = "INSERT INTO mailbox (account, mailbox, token) VALUES ('a', ?, 1)"
        connection.executemany(add, [("INBOX",), (OUTBOX,)])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) - 1}")
        connection.commit()
    before = files(tmp_path)
    summary = summarize(path)
    ((mailbox,), (outbox,)) = summary.mailboxes, summary.outboxes
    assert (mailbox.account, mailbox.mailbox, mailbox.last_poll_at) == ("a", "INBOX", None)
    assert (outbox.account, outbox.queued, outbox.next_due_at) == ("a", 0, None)
    assert files(tmp_path) == before


def test_a_mailbox_that_was_never_polled_has_no_last_poll(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state.db")) as store:
        lease = store.acquire(MailboxKey("a", "INBOX"), "host:1")
        store.commit(lease, [SaveMailbox(record())])
    (mailbox,) = summarize(tmp_path / "state.db").mailboxes
    assert mailbox.last_poll_at is None


def test_a_view_of_a_store_that_a_function_opens_is_that_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Strange(StateStore):
        closed = False

        def close(self) -> None:
            self.closed = True

    program = ModuleType("a_program")
    ours, strange = MemoryStateStore(), Strange()  # type: ignore[abstract]  # it answers nothing
    program.__dict__.update(make=lambda: ours, ours=ours, strange=strange, text="text")
    monkeypatch.setitem(sys.modules, "a_program", program)
    assert open_view("a_program:make") is ours
    assert open_store("a_program:ours") is ours
    with pytest.raises(StoreError, match="a_program:strange is not a state store of nornmail"):
        open_view("a_program:strange")
    assert strange.closed
    for name, why in (("text", "must be a function"), ("other", "no attribute 'other'")):
        with pytest.raises(StoreError, match=why):
            open_store(f"a_program:{name}")
    ours.close()


def test_the_holder_of_a_lock_is_seen_for_as_long_as_it_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    here = f"{socket.gethostname()}:{os.getpid()}"
    assert holder_of(path) == ""
    lock = FileLock(path)
    lock.acquire(here)
    assert holder_of(path) == here
    lock.release()
    assert holder_of(path) == ""
    lock.acquire("elsewhere:1")
    assert holder_of(path) == "elsewhere:1"
    lock.release()
    assert holder_of(path) == ""


def test_a_process_that_has_ended_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(f"{socket.gethostname()}:{os.getpid()}")  # it lives, and has no lock
    assert holder_of(str(path)) == ""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    path.write_text(f"{socket.gethostname()}:{ended.stdout.strip()}")
    assert holder_of(str(path)) == ""
