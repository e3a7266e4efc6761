"""A poller's life on a real server: an outage, in a thread and under asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from nornmail import ImapSettings, MemoryStateStore, Message, Poller, PollerGroup
from nornmail.events import Backoff, Connected, Handled, Idle
from nornmail.imap.connection import Connection
from tests.poller.life.harness import SECONDS, Events, mail
from tests.support.dovecot import Dovecot

pytestmark = pytest.mark.interop

SHORT = 0.2
"""Seconds between two polls: these tests live by the machine's clock."""


class Account:
    """A user of Dovecot's, and what the poller of its mailbox needs."""

    def __init__(self, server: Dovecot) -> None:
        self.server = server
        self.user = server.user()
        self.store = MemoryStateStore()
        self.events = Events()
        self.settings = ImapSettings(
            host=server.host,
            port=server.port,
            use_ssl=False,
            username=self.user,
            password=server.password,
            poll_interval=SHORT,
        )

    def deliver(self, subject: str) -> None:
        self.server.deliver(self.user, mail(subject))


@pytest.fixture
def account(dovecot: Dovecot) -> Iterator[Account]:
    account = Account(dovecot)
    yield account
    account.store.close()


def outage(account: Account) -> None:
    """Stop the server until the poller has noticed."""
    account.server.stop()
    try:
        account.events.until(Backoff)
    finally:
        account.server.start()


@pytest.mark.parametrize("idle", [True, False], ids=["with IDLE", "without IDLE"])
def test_a_thread_lives_through_an_outage(account: Account, idle: bool) -> None:
    seen: list[str] = []
    account.deliver("one")
    poller = Poller(
        account.settings,
        store=account.store,
        on_message=lambda message: seen.append(message.subject),
        on_event=account.events,
        idle=idle,
    )
    with poller:
        account.events.until(Handled)
        outage(account)
        account.deliver("two")
        account.events.until(Handled, 2)
        account.deliver("three")
        assert poller.sync() in (0, 1)
        assert seen == ["one", "two", "three"]
    assert len(account.events.of(Connected)) >= 2


def test_an_async_handler_lives_through_an_outage(account: Account) -> None:
    seen: list[str] = []

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        seen.append(message.subject)

    async def main() -> None:
        account.deliver("one")
        poller = Poller(
            account.settings, store=account.store, on_message=handle, on_event=account.events
        )
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(account.events.until, Handled)
        await asyncio.to_thread(outage, account)
        await asyncio.to_thread(account.deliver, "two")
        await asyncio.to_thread(account.events.until, Handled, 2)
        poller.stop()
        await running

    asyncio.run(main())
    assert seen == ["one", "two"]


def test_a_cancelled_run_leaves_the_message_unread_and_the_next_one_handles_it(
    account: Account,
) -> None:
    begun = asyncio.Event()
    seen: list[tuple[str, int]] = []

    async def hang(message: Message) -> None:
        begun.set()
        await asyncio.sleep(SECONDS)

    async def main() -> None:
        account.deliver("one")
        poller = Poller(account.settings, store=account.store, on_message=hang)
        running = asyncio.create_task(poller.run())
        await begun.wait()
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    poller = Poller(
        account.settings,
        store=account.store,
        on_message=lambda message: seen.append((message.subject, message.attempt)),
        on_event=account.events,
    )
    with poller:
        account.events.until(Idle)
    assert seen == [("one", 1)]


def test_mailboxes_of_one_account_share_a_connection(account: Account) -> None:
    seen: list[tuple[str, str]] = []
    more = threading.Semaphore(0)

    def handle(message: Message) -> None:
        assert message.ref is not None
        seen.append((message.ref.mailbox, message.subject))
        more.release()

    boxes = ("INBOX", "Orders", "Grüße")
    with closing(Connection.open(account.settings)) as other:
        for box in boxes[1:]:
            other.create(box)
        group = PollerGroup(
            account.store, on_message=handle, on_event=lambda _, e: account.events(e)
        )
        for box in boxes:
            group.add(replace(account.settings, mailbox=box))
        with group:
            for subject in ("one", "two", "three"):
                for box in boxes:
                    other.append(box, mail(subject), flags=(), at=1_700_000_000)
                for _ in boxes:
                    assert more.acquire(timeout=SECONDS)
    assert sorted(seen) == sorted((b, s) for b in boxes for s in ("one", "two", "three"))
    assert account.events.names().count("Connected") == 1
