"""What does not depend on the machine: calls, round trips, octets and memory for a message."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nornmail import (
    ImapSettings,
    Mailer,
    Message,
    Poller,
    SmtpSettings,
    SqliteStateStore,
    parse_message,
)
from nornmail.imap.connection import Connection
from nornmail.smtp.wire import Wire
from nornmail.testing import MailServer, Proxy
from tests.bench.plot import plot
from tests.bench.waiting import PASSWORD, USER
from tests.poller.delivery.test_statements import statements
from tests.stores.support import Started
from tests.support.package import package_directory

MESSAGES = 100
CALLS = 163
"""Python functions that are called for a small message, with an empty handler."""
IDLE_CALLS = 190
"""Python functions that are called for a poll that finds nothing, with its command."""
ROUND_TRIPS = 10
"""Commands for a poll with 100 new messages, once connected."""
OCTETS = 135
"""Octets on the wire for a message, beyond its own."""
REPLIES = 20
REPLY_STATEMENTS = 11
"""Statements for a reply to a new sender until it is durable, BEGIN and COMMIT among them."""
SEND_STATEMENTS = 17
"""Statements from there until the server's 250 is durable."""
PATH_FILES = 40
"""Files of the package that one poll with a message enters, and a reply to it until it is sent."""
POLL_CALLS = 800
"""Python functions of the package that such a poll calls, once connected."""
REPLY_CALLS = 1_200
"""The same for a reply, with a connection of its own."""
LARGE = 12
"""Messages of 1 MB in the mailbox."""
PEAK = 12
"""Peak of traced memory, in such messages: eight make a batch, and the rest is room."""


def small(number: int) -> bytes:
    return (
        b"Received: from a.example.org by b.example.com; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.com>\r\nSubject: Hello %d\r\n"
        b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\n\r\n"
        b"Hello.\r\n" % (number, number)
    )


class Handled:
    """An empty handler, and how often it was called."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, message: Message) -> None:
        self.count += 1


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        yield server


@contextmanager
def polling(
    port: int, directory: Path, handler: Callable[[Message], None], **options: Any
) -> Iterator[Poller]:
    settings = ImapSettings(
        host="127.0.0.1",
        port=port,
        username=USER,
        password=PASSWORD,
        use_ssl=False,
    )
    with closing(SqliteStateStore(directory / "state.db")) as store:
        poller = Poller(settings, store=store, on_message=handler, start_from="all", **options)
        yield poller
        poller.close()


def calls_of(function: Callable[[], object]) -> Counter[str]:
    """The Python functions that a function calls, by their files."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def of_package(calls: Counter[str]) -> Counter[str]:
    """The calls in each file of the package, without those of the test server."""
    files: Counter[str] = Counter()
    package = package_directory()
    for name, count in calls.items():
        path = Path(name.rpartition(":")[0])
        if path.is_relative_to(package) and not path.is_relative_to(package / "testing"):
            files[path.relative_to(package).as_posix()] += count
    return files


def test_a_small_message_and_an_idle_poll_cost_few_calls(
    server: MailServer, tmp_path: Path
) -> None:
    handler = Handled()
    with polling(server.imap_port, tmp_path, handler) as poller:
        for number in range(MESSAGES):  # what is imported and compiled once is not counted
            server.deliver(small(number))
        poller.poll_once()
        for number in range(MESSAGES):
            server.deliver(small(number + MESSAGES))
        calls = calls_of(poller.poll_once)
        idle = calls_of(poller.poll_once)
    assert handler.count == 2 * MESSAGES
    assert idle.total() <= IDLE_CALLS, idle.most_common(20)
    each = calls.total() / MESSAGES
    assert each <= CALLS, calls.most_common(20)


def test_a_hundred_messages_cost_few_round_trips_and_octets(
    server: MailServer, tmp_path: Path
) -> None:
    handler = Handled()
    commands: list[bytes] = []

    def observe(when: str, command: bytes) -> None:
        if when == "before":
            commands.append(command)

    connect = partial(Connection.open, on_command=observe)
    with (
        Proxy(server.host, server.imap_port) as proxy,
        polling(proxy.port, tmp_path, handler, connect=connect) as poller,
    ):
        poller.poll_once()
        commands.clear()
        before = proxy.bytes_up + proxy.bytes_down
        for number in range(MESSAGES):
            server.deliver(small(number))
        poller.poll_once()
        octets = proxy.bytes_up + proxy.bytes_down - before
    assert handler.count == MESSAGES
    assert len(commands) <= ROUND_TRIPS, commands
    own = sum(len(small(number)) for number in range(MESSAGES))
    assert octets - own <= OCTETS * MESSAGES, octets


def test_memory_is_bounded_by_a_few_messages(tmp_path: Path) -> None:
    handler = Handled()
    with (
        Started(f"from tests.bench.run import serve; serve('large', {LARGE})") as server,
        polling(int(server.stdout.readline()), tmp_path, handler) as poller,
    ):
        tracemalloc.start()
        try:
            poller.poll_once()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert handler.count == LARGE
    assert peak <= PEAK * 1_000_000, peak


def test_a_reply_costs_few_statements_and_round_trips(
    server: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    send = Wire._send

    def count(wire: Wire, octets: bytes, patience: float) -> None:
        writes.append(len(octets))
        send(wire, octets, patience)

    monkeypatch.setattr(Wire, "_send", count)
    today = formatdate().encode()
    originals = [
        parse_message(
            small(number)
            .replace(b"Mon, 1 Jan 2024 00:00:00 +0000", today)
            .replace(b"ann@", b"ann%d@" % number)
        )
        for number in range(REPLIES + 1)
    ]
    settings = SmtpSettings(
        host="127.0.0.1", port=server.smtp_port, sender="bob@example.com", use_tls=False
    )
    with closing(SqliteStateStore(tmp_path / "state.db")) as store:
        mailer = Mailer(settings, store=store)
        mailer.reply(originals.pop(), text="An answer.", key="first")
        mailer.flush()
        writes.clear()
        trace = statements(store)
        for original in originals:
            mailer.reply(original, text="An answer.", key=original.message_id)
        queued, commits = len(trace) / REPLIES, trace.count("COMMIT")
        trace.clear()
        mailer.flush()
        mailer.close()
    assert queued <= REPLY_STATEMENTS
    assert commits == REPLIES
    assert trace.count("COMMIT") == 2 * REPLIES + 1  # and the lease
    assert len(trace) <= SEND_STATEMENTS * REPLIES
    # MAIL with RCPT, DATA, the content, the final dot; EHLO and QUIT once.
    assert len(writes) <= 4 * REPLIES + 2
    assert len(server.outbox) == REPLIES + 1


def test_a_poll_and_a_reply_enter_few_files(server: MailServer, tmp_path: Path) -> None:
    messages: list[Message] = []
    settings = SmtpSettings(
        host="127.0.0.1", port=server.smtp_port, sender="bob@example.com", use_tls=False
    )
    with polling(server.imap_port, tmp_path, messages.append) as poller:
        for number in range(2):  # what is imported and compiled once is not counted
            now = formatdate().encode()
            server.deliver(small(number).replace(b"Mon, 1 Jan 2024 00:00:00 +0000", now))
            polled = of_package(calls_of(poller.poll_once))
        # Made now: a poll sends what waits in a mailer of its store.
        with closing(Mailer(settings, poller.store)) as mailer:
            for message in messages:
                reply = partial(mailer.reply, message, text="An answer.")
                sent = of_package(calls_of(reply) + calls_of(mailer.flush))
    assert len(server.outbox) == len(messages) == 2
    assert max(len(polled), len(sent)) <= PATH_FILES, (polled, sent)
    assert polled.total() <= POLL_CALLS, polled.most_common()
    assert sent.total() <= REPLY_CALLS, sent.most_common()


def test_the_plot_has_a_line_for_each_peer() -> None:
    figures = {"messages/s": 10.0, "memory MB": 5.0}
    drawn = plot({size: {"a & b": figures, "c": figures} for size in ("100", "1000")})
    assert drawn.count("<polyline") == 4
    assert "a &amp; b" in drawn
