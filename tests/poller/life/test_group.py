"""Many mailboxes in one process: a group of pollers over a shared pool of threads."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    ImapSettings,
    MemoryStateStore,
    Message,
    NornmailError,
    Poller,
    PollerGroup,
)
from nornmail.events import Event, Handled
from nornmail.model import MailboxKey
from nornmail.poller.shared import SharedConnection
from nornmail.poller.status import PollerState
from nornmail.testing import MailServer, faults
from tests.poller.life.harness import SECONDS, mail, names_of

PASSWORD = "secret"


class Post:
    """Accounts on one server, and what their mail became.

    Attributes:
        seen: the subjects by account, as they were handled.
    """

    def __init__(self, server: MailServer, accounts: int) -> None:
        self.server = server
        self.names = [f"agent{number}@example.com" for number in range(accounts)]
        self.seen: dict[str, list[str]] = defaultdict(list)
        self._more = threading.Condition()
        for name in self.names:
            server.add_user(name, PASSWORD)

    def settings(self, name: str, **changes: Any) -> ImapSettings:
        values: dict[str, Any] = {
            "host": self.server.host,
            "port": self.server.imap_port,
            "use_ssl": False,
            "username": name,
            "password": PASSWORD,
            "poll_interval": 0.2,
        }
        return ImapSettings(**{**values, **changes})

    def handle(self, message: Message) -> None:
        account = message.to[0].address
        with self._more:
            self.seen[account].append(message.subject)
            self._more.notify_all()

    def deliver(self, name: str, subject: str) -> None:
        self.server.deliver(mail(subject, name), user=name)

    def until(self, count: int, seconds: float = SECONDS) -> None:
        """Wait until so many messages were handled."""

        def enough() -> bool:
            return sum(map(len, self.seen.values())) >= count

        with self._more:
            assert self._more.wait_for(enough, seconds), {k: len(v) for k, v in self.seen.items()}


@pytest.fixture
def post() -> Iterator[Post]:
    with MailServer() as server:
        yield Post(server, 12)
    assert names_of(threading.enumerate()) == []


def group(post: Post, **more: Any) -> PollerGroup:
    arguments = {"connects_per_second": 1_000, "connects_per_host": 1_000, "threads": 4, **more}
    return PollerGroup(MemoryStateStore(), on_message=post.handle, **arguments)


def test_every_message_of_every_mailbox_is_handled_once(post: Post) -> None:
    events: list[tuple[MailboxKey, Event]] = []
    many = group(post, on_event=lambda key, event: events.append((key, event)))
    for name in post.names:
        many.add(post.settings(name))
        post.deliver(name, "before")
    with many:
        post.until(12)
        assert len([name for name in names_of(threading.enumerate()) if "group" in name]) == 4
        for name in post.names:
            post.deliver(name, "after")
        post.until(24)
        states = {status.state for status in many.status().values()}
        assert states <= {PollerState.IDLE, PollerState.POLLING, PollerState.CONNECTING}
    assert post.seen == {name: ["before", "after"] for name in post.names}
    handled = Counter(key for key, event in events if isinstance(event, Handled))
    assert handled == dict.fromkeys(many, 2)
    assert {status.state for status in many.status().values()} == {PollerState.STOPPED}
    with many:  # it can be started again
        post.deliver(post.names[0], "again")
        post.until(25)


@pytest.mark.parametrize("fails", ["on_add", "its start", "its start, and it waits in IDLE"])
def test_after_a_replacement_that_failed_the_mailbox_is_polled_as_it_was(
    post: Post, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = post.names[0]

    def fail(*_: object) -> None:
        monkeypatch.undo()
        raise LookupError("not now")

    with group(post) as many:
        former = many.add(post.settings(name), idle="IDLE" in fails)
        if fails == "on_add":
            many.on_add = fail
        else:  # in the thread of the test; the former poller has begun
            monkeypatch.setattr(SharedConnection, "__init__", fail)
            monkeypatch.setattr(Poller, "start", fail)
        with pytest.raises(LookupError, match="not now"):
            many.replace(post.settings(name), workers=2)
        assert many.pollers() == [former]
        post.deliver(name, "one")
        post.until(1)
        many.on_add = lambda _: None
        assert many.replace(post.settings(name)) is not former
        post.deliver(name, "two")
        post.until(2)
    assert post.seen == {name: ["one", "two"]}


def test_a_mailbox_is_added_replaced_and_removed_while_it_runs(post: Post) -> None:
    first, second = post.names[:2]
    with group(post) as many:
        many.add(post.settings(first, password="wrong"))
        account = post.settings(first).account
        until(lambda: many.poller(account).status().state == PollerState.AUTH_FAILED)
        post.deliver(first, "one")
        many.replace(post.settings(first))
        post.until(1)
        with pytest.raises(ConfigurationError, match="whole number"):
            many.replace(post.settings(first), workers=0)
        poller = many.add(post.settings(second))
        post.deliver(second, "two")
        post.until(2)
        many.remove(post.settings(second).account)
        post.deliver(second, "three")
        post.deliver(first, "four")
        post.until(3)
        assert [key.account for key in many] == [account]
        with pytest.raises(ConfigurationError, match=r"Poller.*must be ImapSettings"):
            many.add(poller)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="not in the group"):
            many.remove(post.settings(second).account)
        with pytest.raises(ConfigurationError, match="in the group already"):
            many.add(post.settings(first))
    assert post.seen == {first: ["one", "four"], second: ["two"]}


def until(condition: Any) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never was so")


def test_sync_asks_one_mailbox_at_once(post: Post) -> None:
    with group(post) as many:
        poller = many.add(post.settings(post.names[0], poll_interval=3_600))
        assert poller.sync() == 0
        post.deliver(post.names[0], "one")
        assert poller.sync() == 1


def test_a_mailbox_in_idle_hears_at_once_and_the_others_are_polled(post: Post) -> None:
    names = post.names[:3]
    with group(post, max_idle=1) as many:
        for name in names:
            interval = 3_600 if name == names[0] else 0.2
            many.add(post.settings(name, poll_interval=interval), idle=True)
        until(lambda: {one.state for one in many.status().values()} == {PollerState.IDLE})
        for name in names:
            post.deliver(name, "one")
        post.until(3)
        threads = names_of(threading.enumerate())
        assert threads.count("nornmail-poller") == 1


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that takes connections and never says a word; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


def test_bad_accounts_slow_nobody_and_stop_waits_for_no_server(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    post.server.faults.add(faults.Silent("LOGOUT", times=None))
    with silent_server() as port:
        many = group(post)
        many.add(post.settings("hangs@example.com", port=port, timeout=3_600))
        for number in range(5):
            many.add(post.settings(f"nobody{number}@example.com"))
        for name in post.names:
            many.add(post.settings(name))
            post.deliver(name, "one")
        with many:
            post.until(len(post.names))
            failed = PollerState.AUTH_FAILED
            until(lambda: [one.state for one in many.status().values()].count(failed) == 5)
            begin = time.monotonic()
        assert time.monotonic() - begin < 10
    rejected = [record for record in caplog.records if "tried again in" in record.getMessage()]
    assert len(rejected) == 1, "one line for equal errors"


def test_what_ends_one_mailbox_ends_no_other(post: Post) -> None:
    def broken(_message: Message) -> Any:
        async def later() -> None: ...

        return later()

    first, second = post.names[:2]
    with group(post) as many:
        many.add(post.settings(first), on_message=broken)
        many.add(post.settings(second))
        post.deliver(first, "one")
        post.deliver(second, "two")
        post.until(1)
        poller = many.poller(post.settings(first).account)
        until(lambda: poller.status().state == PollerState.FAILED)
        assert "awaitable" in poller.status().reason
        many.replace(post.settings(first), on_message=post.handle)
        post.until(2)
    assert post.seen == {first: ["one"], second: ["two"]}


def test_coroutines_run_on_the_event_loop(post: Post) -> None:
    threads = set()

    async def handler(message: Message) -> None:
        threads.add(threading.get_ident())
        await asyncio.sleep(0)
        post.handle(message)

    async def main() -> None:
        many = group(post)
        for name in post.names:
            many.add(post.settings(name), on_message=handler)
            post.deliver(name, "one")
        running = asyncio.create_task(many.run())
        await asyncio.to_thread(post.until, 12)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert threads == {threading.get_ident()}


def test_stop_ends_run_and_is_refused_on_its_event_loop(post: Post) -> None:
    async def main() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def handler(message: Message) -> None:
            begun.set()
            await go_on.wait()
            post.handle(message)

        many = group(post)
        imap = post.settings(post.names[0])
        many.add(imap, on_message=handler)
        post.deliver(post.names[0], "one")
        running = asyncio.create_task(many.run())
        await begun.wait()
        with pytest.raises(NornmailError, match="to_thread"):  # it would wait for the handler
            many.stop()
        with pytest.raises(NornmailError, match="to_thread"):
            many.remove(imap.account, imap.mailbox)
        stopping = asyncio.create_task(asyncio.to_thread(many.stop))
        go_on.set()
        await stopping
        await running

    asyncio.run(main())
    assert post.seen[post.names[0]] == ["one"]


def test_connections_are_begun_one_after_the_other(post: Post) -> None:
    begun: list[float] = []
    many = group(post, connects_per_host=20)
    for name in post.names[:6]:
        many.add(post.settings(name, poll_interval=60))
    began_at = time.monotonic()
    with many:
        while len(begun) < 6:
            connected = sum(one.last_poll_at is not None for one in many.status().values())
            begun += [time.monotonic()] * (connected - len(begun))
    assert begun[-1] - began_at >= 5 / 20


def test_at_rest_one_thread_wakes_for_a_look_and_the_others_sleep(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: Counter[str] = Counter()
    wait = threading.Condition.wait

    def counting(condition: threading.Condition, timeout: float | None = None) -> bool:
        if "group" in threading.current_thread().name:
            waits["in all"] += 1
        return wait(condition, timeout)

    monkeypatch.setattr(threading.Condition, "wait", counting)
    looks: list[MailboxKey] = []
    many = group(post, threads=8, on_event=lambda key, _event: looks.append(key))
    for name in post.names:
        many.add(post.settings(name))
    with many:
        until(lambda: all(one.last_poll_at for one in many.status().values()))
        waits.clear()
        before = len(looks)
        until(lambda: len(looks) >= before + 48)  # an event each, for a look that finds nothing
        assert waits["in all"] <= 3 * 48 + 24


@pytest.mark.parametrize("name", ["threads", "connects_per_second", "connects_per_host"])
def test_wrong_arguments_are_refused(name: str) -> None:
    arguments: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigurationError, match=name):
        PollerGroup(MemoryStateStore(), **arguments)
