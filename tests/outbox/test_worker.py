"""The thread that sends: what it survives, who may work, and how it ends."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    HandlerError,
    ImapSettings,
    Mailer,
    MemoryStateStore,
    NornmailError,
    SendLimits,
    SentMailbox,
    SmtpSettings,
    StoreError,
    events,
)
from nornmail.clock import SystemClock
from nornmail.model import MailboxKey
from nornmail.outbox import worker
from nornmail.outgoing import QueueState, Recipient, RecipientStatus
from nornmail.testing import MailServer, faults
from tests.outbox.fake import OUTBOX, UNREACHABLE, FakeServer, World, world
from tests.smtp.scripted import SILENCE, scripted
from tests.stores.support import DURABLE, POSTGRES
from tests.support.clock import FakeClock

SECONDS = 10.0
"""How long a test waits for what takes milliseconds."""
TO = "ann@example.org"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread looks again after some milliseconds."""
    for name in ("LOOK_INTERVAL", "TAKEOVER_INTERVAL", "STORE_INTERVAL"):
        monkeypatch.setattr(worker, name, 0.005)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert "nornmail-mailer" not in [thread.name for thread in threading.enumerate()]


def running(store: Any = None, **options: Any) -> World:
    return world(store, clock=SystemClock(), **options)


def until(what: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.002)):
        if what():
            return
        pause.wait(0.002)
    raise AssertionError("it did not come to that")


shared = pytest.mark.parametrize("kind", ["sqlite", POSTGRES])


@shared
def test_it_sends_what_comes_and_what_another_process_queues(tmp_path: Path, kind: str) -> None:
    open_store = DURABLE[kind]
    with closing(open_store(tmp_path)) as mine, closing(open_store(tmp_path)) as other:
        one, two = running(mine), running(other)
        with one.mailer:
            one.mailer.send(TO, "one", "one", key="one")
            two.mailer.send(TO, "two", "two", key="two")
            assert two.mailer.wait("two", SECONDS).state == "sent"
            assert two.mailer.wait("one", SECONDS).state == "sent"
        assert (len(one.server.taken), len(two.server.taken)) == (2, 0)


@shared
def test_the_limits_hold_over_all_processes(tmp_path: Path, kind: str) -> None:
    open_store, clock, server = DURABLE[kind], FakeClock(), FakeServer()
    limits = SendLimits(per_minute=3, per_hour=100)
    with closing(open_store(tmp_path)) as mine, closing(open_store(tmp_path)) as other:
        both = [
            world(store, clock=clock, server=server, send_limits=limits).mailer
            for store in (mine, other)
        ]
        for number in range(10):
            both[number % 2].send(TO, "hello", "hello", key=f"k{number}")
        sent = []
        for _ in range(4):
            for mailer in both:
                mailer.flush()
            sent.append(len(server.taken))
            clock.advance(61.0)
        assert sent == [3, 6, 9, 10]
        assert len(other.queued_messages(OUTBOX, {QueueState.SENT})) == 10


@pytest.mark.parametrize(
    ("kind", "state"),
    [("sqlite", "standing_by"), pytest.param("postgres", "idle", marks=POSTGRES.marks)],
)
def test_a_second_one_stands_by_or_works_too_and_goes_on_alone(
    tmp_path: Path, kind: str, state: str
) -> None:
    open_store = DURABLE[kind]
    with closing(open_store(tmp_path)) as mine, closing(open_store(tmp_path)) as other:
        one, two = running(mine), running(other)
        with closing(one.mailer), closing(two.mailer):
            one.mailer.start()
            until(lambda: one.mailer.status().state == "idle")
            two.mailer.start()
            until(lambda: two.mailer.status().state == state)
            one.mailer.close()
            two.mailer.send(TO, "two", "two", key="two")
            assert two.mailer.wait("two", SECONDS).state == "sent"
            assert len(two.server.taken) == 1


class Troubled(MemoryStateStore):
    """Cannot be read while ``broken``."""

    broken = False

    def queued_messages(self, *args: Any, **kwargs: Any) -> Any:
        if self.broken:
            raise StoreError("the disk is gone")
        return super().queued_messages(*args, **kwargs)


def test_it_survives_a_store_that_cannot_be_used() -> None:
    store = Troubled()
    one = running(store)
    store.broken = True
    with one.mailer:
        one.mailer.send(TO, "s", "t", key="k")
        until(lambda: one.mailer._status.state == "store_trouble")
        store.broken = False
        assert one.mailer.wait("k", SECONDS).state in ("queued", "sent")
        until(lambda: one.state("k") == "sent")


def test_it_survives_whatever_the_server_and_the_hooks_do() -> None:
    asked = []

    def hook(_: object) -> bool:
        asked.append(1)
        raise RuntimeError("broken hook")

    one = running(before_send=hook, on_event=lambda _: 1 / 0)
    one.server.trouble = [UNREACHABLE]
    with one.mailer as mailer:
        mailer.send(TO, "s", "t", key="k")
        until(lambda: bool(asked))
        until(lambda: (found := mailer.result("k")) is not None and found.attempts == 1)
        assert mailer._worker.running


@pytest.mark.parametrize("leaving", [SystemExit, KeyboardInterrupt])
def test_a_hook_that_would_end_the_thread_is_a_failed_attempt(
    leaving: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def hook(outgoing: Any) -> bool:
        if outgoing.key == "bad":
            raise leaving("from the hook")
        return True

    one = running(before_send=hook)
    with one.mailer as mailer:
        mailer.send(TO, "s", "t", key="bad")
        until(lambda: (found := mailer.result("bad")) is not None and found.attempts == 1)
        mailer.send(TO, "s", "t", key="good")
        assert mailer.wait("good", SECONDS).state == QueueState.SENT
        assert "from the hook" in mailer.wait("bad", 0).reason
    assert "before_send failed for bad" in caplog.text


def test_an_event_function_that_would_end_the_thread_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left = [SystemExit("from the function")]

    def on_event(_: events.OutboxEvent) -> None:
        if left:
            raise left.pop()

    one = running(on_event=on_event)
    with one.mailer as mailer:
        for key in ("first", "second"):
            mailer.send(TO, "s", "t", key=key)
            assert mailer.wait(key, SECONDS).state == QueueState.SENT
        assert mailer._worker.running
    assert "the mailer failed" in caplog.text


def test_a_hook_that_leaves_ends_the_flush_of_the_main_thread() -> None:
    one = running(before_send=lambda _: sys.exit("from the hook"))
    with closing(one.mailer) as mailer:
        mailer.send(TO, "s", "t", key="k")
        with pytest.raises(SystemExit, match="from the hook"):
            mailer.flush()


@pytest.mark.parametrize("late", [False, True], ids=["before the content", "after it"])
def test_a_mistake_at_one_letter_holds_up_no_other(
    late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def odd(envelope: Any, before_content: Any) -> Any:
        if late:
            before_content(envelope_standing(envelope))
        raise ValueError("a bug")

    one = running(answers=[odd])
    for key in "ab":
        one.mailer.send(TO, "s", "t", key=key)
    with one.mailer:
        until(lambda: one.state("b") == "sent")
    assert one.state("a") == ("unknown" if late else "queued")
    assert "could not be submitted" in caplog.text
    result = one.mailer.result("a")
    assert result is not None
    assert "ValueError: a bug" in result.reason


def envelope_standing(envelope: Any) -> Any:
    return tuple(Recipient(one, RecipientStatus.UNKNOWN, 250, "OK") for one in envelope.recipients)


def test_stop_ends_it_after_the_letter_at_hand_and_says_when_it_has_not_yet() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(envelope: Any, before_content: Any) -> Any:
        from tests.outbox.fake import accept

        begun.set()
        assert go_on.wait(SECONDS)
        return accept(envelope, before_content)

    one = running(answers=[slow])
    for key in "ab":
        one.mailer.send(TO, "s", "t", key=key)
    one.mailer.start()
    assert begun.wait(SECONDS)
    assert one.mailer.stop(timeout=0.01) is False
    go_on.set()
    assert one.mailer.stop() is True
    states = sorted([one.state("a"), one.state("b")])
    assert states == ["queued", "sent"]
    one.mailer.start()  # it can be started again
    until(lambda: one.state("a") == one.state("b") == "sent")
    one.mailer.close()


def test_it_can_be_started_twice_and_is_stopped_once() -> None:
    one = running()
    one.mailer.start()
    one.mailer.start()
    assert [t.name for t in threading.enumerate()].count("nornmail-mailer") == 1
    assert one.mailer.stop()
    assert one.mailer.stop()
    assert one.mailer.status().state == "stopped"


def test_flush_beside_the_thread_sends_too() -> None:
    one = running()
    with one.mailer as mailer:
        mailer.send(TO, "s", "t", key="k")
        assert mailer.flush()
        assert one.state("k") == "sent"
    assert one.server.addresses() == [TO]


def test_the_right_to_send_is_given_back() -> None:
    one = running()
    with one.mailer as mailer:
        until(lambda: mailer.status().state == "idle")
    one.store.release(one.store.acquire(MailboxKey.of_outbox(OUTBOX), "somebody"))


def test_the_limits_are_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    one = running(send_limits=SendLimits(per_minute=1))
    with one.mailer as mailer:
        for key in "ab":
            mailer.send(TO, "s", "t", key=key)
        until(lambda: mailer.status().state == "limited")
        status = mailer.status()
        assert (status.queued, status.unknown, status.failed) == (1, 0, 0)
        assert "per_minute=1" in status.reason


def test_on_event_must_not_wait_for_the_mailer() -> None:
    raised: list[NornmailError] = []

    def tell(event: events.Event) -> None:
        try:
            one.mailer.flush()
        except HandlerError as error:
            raised.append(error)

    one = running(on_event=tell)
    with one.mailer as mailer:
        mailer.send(TO, "s", "t", key="k")
        until(lambda: bool(raised))


def test_a_program_that_ends_lets_the_letter_at_hand_come_to_its_end() -> None:
    begun = threading.Event()

    def slow(envelope: Any, before_content: Any) -> Any:
        from tests.outbox.fake import accept

        begun.set()
        threading.Event().wait(0.05)
        return accept(envelope, before_content)

    one = running(answers=[slow])
    for key in "ab":
        one.mailer.send(TO, "s", "t", key=key)
    one.mailer.start()
    assert begun.wait(SECONDS)
    worker._end_all()
    assert sorted([one.state("a"), one.state("b")]) == ["queued", "sent"]
    assert not one.mailer._worker.running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
def test_after_a_fork_it_is_the_parents() -> None:
    one = world()
    pid = os.getpid()
    one.mailer._enqueuer._process = pid + 1  # what a forked child sees
    one.mailer._process = pid + 1
    with pytest.raises(NornmailError, match="fork"):
        one.mailer.send(TO, "s", "t")
    with pytest.raises(NornmailError, match="fork"):
        one.mailer.start()
    with pytest.raises(NornmailError, match="fork"):
        one.mailer.flush()
    one.mailer.close()


def test_what_waits_is_known_within_the_time_that_is_given() -> None:
    one = world()
    one.mailer.send(TO, "s", "t", key="k")
    assert one.mailer.wait("k", 5.0).state == "queued"
    assert 5.0 <= one.clock.monotonic() - 1_000.0 < 5.2
    with pytest.raises(NornmailError, match="no message has this key"):
        one.mailer.wait("nobody's", 1.0)


def test_stop_waits_for_no_server_that_hangs() -> None:
    with scripted({"MAIL": SILENCE}) as server:
        settings = server.settings(sender="agent@example.com", timeout=60.0)
        mailer = Mailer(settings, MemoryStateStore())
        mailer.send(TO, "s", "t", key="k")
        mailer.start()
        until(lambda: bool(server.said("MAIL")))
        assert mailer.stop(timeout=SECONDS)
        mailer.close()
        result = mailer.result("k")
        assert result is not None
        assert result.state == "queued"


def test_stop_waits_for_no_server_of_copies_that_hangs() -> None:
    with MailServer() as server:
        server.add_user("agent@example.com", "secret")
        server.faults.add(faults.Silent("APPEND", times=None))
        account: dict[str, Any] = {"username": "agent@example.com", "password": "secret"}
        copies = SentMailbox(
            ImapSettings(host=server.host, port=server.imap_port, use_ssl=False, **account)
        )
        smtp = SmtpSettings(host=server.host, port=server.smtp_port, use_tls=False, **account)
        mailer = Mailer(smtp, MemoryStateStore(), sent_mailbox=copies)
        mailer.send(TO, "s", "t", key="k")
        mailer.start()
        until(lambda: any(b"APPEND" in command for command in server.commands))
        assert mailer.stop(timeout=SECONDS)
        mailer.close()
        result = mailer.result("k")
    assert result is not None
    assert result.state == "sent"
