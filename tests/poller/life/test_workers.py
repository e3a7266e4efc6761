"""Several workers: handlers side by side, and the delivery contract as it is with one."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest

from nornmail import ConfigurationError, ImapSettings, Inbox, MemoryStateStore, Message, Poller
from nornmail.context import current
from nornmail.events import HandlerFailing, Idle
from nornmail.model import Change, PutEntry, State
from nornmail.poller.decisions import BATCH_MESSAGES
from nornmail.retry import OUTAGE_AFTER
from tests.poller.life.harness import INTERVAL, SECONDS, USER, Gate, Life, names_of

WORKERS = 4


class CountingStore(MemoryStateStore):
    """A store that counts the claims without an outcome, as they are durable.

    Attributes:
        most: how many there were at most.
        writes: the commits.
    """

    def __init__(self) -> None:
        super().__init__()
        self._claimed: set[Any] = set()
        self.most = 0
        self.writes = 0

    def commit(self, lease: Any, changes: Sequence[Change]) -> None:
        super().commit(lease, changes)
        self.writes += 1
        for change in changes:
            if isinstance(change, PutEntry):
                is_claimed = change.entry.state is State.CLAIMED
                (self._claimed.add if is_claimed else self._claimed.discard)(change.entry.key)
        self.most = max(self.most, len(self._claimed))


class Together:
    """A handler whose calls end only when so many are in it at the same time.

    Attributes:
        rounds: how often that was so.
        seen: the subjects by conversation, as their calls began.
    """

    def __init__(self, parties: int) -> None:
        self._barrier = threading.Barrier(parties, action=self._end_round)
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self.rounds = 0
        self.seen: dict[str, list[int]] = defaultdict(list)

    def _end_round(self) -> None:
        self.rounds += 1

    def __call__(self, message: Message) -> None:
        conversation, _, number = message.subject.partition(" ")
        with self._lock:
            assert self._inside[conversation] == 0, "two calls of one conversation"
            self._inside[conversation] += 1
            self.seen[conversation].append(int(number))
        self._barrier.wait(SECONDS)
        with self._lock:
            self._inside[conversation] -= 1


def deliver_conversations(life: Life, messages: int, conversations: int) -> None:
    for number in range(messages):
        root = number % conversations
        life.server.deliver(
            f"From: kim@example.org\r\nTo: {USER}\r\nSubject: c{root} {number}\r\n"
            f"Message-ID: <{number}@example.org>\r\nReferences: <{root}@root>\r\n\r\nx\r\n".encode()
        )


@pytest.mark.parametrize("run", ["poll_once", "start"])
def test_ten_workers_handle_200_messages_of_20_conversations_in_20_rounds(
    life: Life, run: str
) -> None:
    deliver_conversations(life, 200, 20)
    life.store = store = CountingStore()
    handler = Together(10)
    poller = life.poller(handler, workers=10)
    if run == "poll_once":
        assert poller.poll_once().handled == 200
    else:
        poller.start()
        while handler.rounds < 20:
            life.events.until(Idle)
        poller.stop()
    assert handler.rounds == 20
    assert all(numbers == sorted(numbers) for numbers in handler.seen.values())
    assert sum(map(len, handler.seen.values())) == 200
    assert store.most == 10
    assert {entry.state for entry in life.entries()} == {State.FINISHED}
    assert all("\\Seen" in message.flags for message in life.server.mailbox().messages)


def test_while_a_call_goes_on_mail_is_fetched_handled_and_flagged(life: Life) -> None:
    gate = Gate("slow")
    life.deliver("slow", "two", "three")
    poller = life.poller(gate, workers=WORKERS, imap={"poll_interval": 600})
    poller.start()
    assert gate.reached.wait(SECONDS)
    poller.sync()
    until_flagged(life, "two", "three")
    life.deliver("four")
    life.clock.until_somebody_waits(at_least=60)
    life.clock.advance(600)  # the call has lasted for ten minutes
    until_flagged(life, "two", "three", "four")
    gate.go.set()
    poller.stop()
    until_flagged(life, "slow", "two", "three", "four")
    assert sum(b" LOGIN " in command for command in life.server.commands) == 1
    assert {entry.state for entry in life.entries()} == {State.FINISHED}


def until_flagged(life: Life, *subjects: str) -> None:
    """Wait until exactly the messages of these subjects are flagged."""
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        flagged = {
            line[9:].decode()
            for message in life.server.mailbox().messages
            for line in message.raw.splitlines()
            if line.startswith(b"Subject: ") and "\\Seen" in message.flags
        }
        if flagged == set(subjects):
            return
        pause.wait(0.01)
    raise AssertionError(f"{flagged} are flagged")


def test_stop_lets_the_calls_in_hand_finish_and_begins_no_other(life: Life) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    seen: list[str] = []

    def handler(message: Message) -> None:
        begun.release()
        assert go.wait(SECONDS)
        seen.append(message.subject)

    life.deliver(*map(str, range(1, 11)))
    poller = life.poller(handler, workers=WORKERS).start()
    for _ in range(WORKERS):
        assert begun.acquire(timeout=SECONDS)
    assert poller.stop(timeout=0) is False
    go.set()
    assert poller.stop() is True
    assert sorted(seen) == ["1", "2", "3", "4"]
    assert Counter(entry.state for entry in life.entries()) == {State.FINISHED: WORKERS}
    assert names_of(threading.enumerate()) == []
    assert life.poller(life.note, workers=WORKERS).poll_once().new == 6


def test_ctrl_c_lets_the_calls_in_hand_finish(life: Life) -> None:
    seen: list[str] = []
    together, interrupted = threading.Barrier(WORKERS), threading.Event()

    def handler(message: Message) -> None:
        if together.wait(SECONDS) == 0:
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.wait(SECONDS)
        seen.append(message.subject)

    def interrupt(_number: int, _frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    life.deliver(*map(str, range(1, WORKERS + 1)))
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            life.poller(handler, workers=WORKERS).run_forever()
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == WORKERS
    assert [entry.state for entry in life.entries(State.CLAIMED, State.WAITING)] == []
    assert names_of(threading.enumerate()) == []


def test_an_outage_is_found_whoever_runs_the_calls(life: Life) -> None:
    calls = []
    down = True

    def handler(message: Message) -> None:
        calls.append(message.subject)
        if down:
            raise OSError("down")

    life.deliver(*map(str, range(1, 31)))
    poller = life.poller(handler, workers=WORKERS)
    poller.poll_once()
    assert OUTAGE_AFTER <= len(calls) < OUTAGE_AFTER + WORKERS
    assert len(life.events.of(HandlerFailing)) == 1
    before = len(calls)
    life.clock.advance(5)
    poller.poll_once()
    assert len(calls) == before + 1, "one probe"
    assert {entry.attempts for entry in life.entries(State.WAITING)} == {1}, "it does not count"
    down = False
    life.clock.advance(300)
    poller.poll_once()
    life.clock.advance(300)
    poller.poll_once()
    assert Counter(entry.state for entry in life.entries()) == {State.FINISHED: 30}


def test_every_retry_that_is_due_has_its_turn(life: Life) -> None:
    failed: Counter[str] = Counter()

    def handler(message: Message) -> None:
        failed[message.subject] += 1
        if failed[message.subject] == 1 and int(message.subject) % 3:
            raise ValueError("once")

    life.deliver(*map(str, range(1, 31)))
    poller = life.poller(handler, workers=WORKERS)
    assert poller.poll_once().waiting == 20
    life.clock.advance(60)
    assert poller.poll_once().handled == 20
    assert Counter(entry.state for entry in life.entries()) == {State.FINISHED: 30}


@pytest.mark.parametrize("messages", [250, pytest.param(10_000, marks=pytest.mark.long)])
def test_memory_and_threads_are_bounded(life: Life, messages: int) -> None:
    most = threads = 0

    def handler(_message: Message) -> None:
        nonlocal most, threads
        most = max(most, sum(1 for _ in poller._cycle.delivery.schedule))
        threads = max(threads, len(names_of(threading.enumerate())))

    life.deliver(*map(str, range(1, messages + 1)))
    poller = life.poller(handler, workers=WORKERS, start_from="all")
    assert poller.poll_once().handled == messages
    assert most <= WORKERS + BATCH_MESSAGES
    assert threads <= WORKERS
    assert names_of(threading.enumerate()) == []


def test_each_inbox_gets_a_message_once_and_flags_wait_for_the_last(life: Life) -> None:
    calls: Counter[tuple[str, str]] = Counter()
    gate = Gate("5")

    def first(message: Message) -> None:
        calls[message.subject, message.inbox] += 1

    def second(message: Message) -> None:
        gate(message)
        first(message)

    for number in range(1, 11):
        life.deliver(str(number), to="a@example.com, b@example.com")
    inboxes = [Inbox("a@example.com", first), Inbox("b@example.com", second)]
    poller = life.poller(inboxes=inboxes, workers=WORKERS).start()
    assert gate.reached.wait(SECONDS)
    until_flagged(life, *(str(number) for number in range(1, 11) if number != 5))
    gate.go.set()
    poller.stop()
    until_flagged(life, *map(str, range(1, 11)))
    assert set(calls.values()) == {1}
    assert len(calls) == 20


def test_a_new_uidvalidity_during_a_call_does_not_repeat_it(life: Life) -> None:
    gate = Gate("one")
    life.deliver("one", "two")
    poller = life.poller(gate, workers=WORKERS).start()
    assert gate.reached.wait(SECONDS)
    life.server.mailbox().reset_uid_validity()
    life.clock.until_somebody_waits(at_least=30)
    life.clock.advance(3_600)  # the mailbox is selected anew
    until_epoch(life, 2)
    gate.go.set()
    poller.stop()
    assert sorted(message.subject for message in gate.seen) == ["one", "two"]
    assert {(entry.state, entry.key.epoch) for entry in life.entries()} == {(State.FINISHED, 2)}
    assert all("\\Seen" in message.flags for message in life.server.mailbox().messages)


def until_epoch(life: Life, number: int) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        if {entry.key.epoch for entry in life.entries()} == {number}:
            return
        pause.wait(0.01)
    raise AssertionError(life.entries())


def test_coroutines_run_on_the_event_loop_as_many_at_a_time(life: Life) -> None:
    threads: set[int] = set()
    rounds = 0

    async def main() -> None:
        barrier = asyncio.Barrier(WORKERS)

        async def handler(_message: Message) -> None:
            nonlocal rounds
            threads.add(threading.get_ident())
            async with barrier:
                rounds += 1

        life.deliver(*map(str, range(1, 4 * WORKERS + 1)))
        poller = life.poller(handler, workers=WORKERS)
        running = asyncio.create_task(poller.run())
        await asyncio.wait_for(asyncio.to_thread(until_states, life, State.FINISHED, 16), SECONDS)
        poller.stop()
        await running

    asyncio.run(main())
    assert rounds == 4 * WORKERS
    assert threads == {threading.get_ident()}
    assert names_of(threading.enumerate()) == []


def until_states(life: Life, state: State, count: int) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        if len(life.entries(state)) >= count:
            return
        pause.wait(0.01)
    raise AssertionError(life.entries())


@pytest.mark.parametrize("steps", range(4))
def test_a_cancelled_program_cancels_all_calls_and_none_counts(life: Life, steps: int) -> None:
    begun = threading.Semaphore(0)

    async def handler(_message: Message) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        begun.release()
        await asyncio.sleep(3_600)

    async def main() -> None:
        life.deliver(*map(str, range(1, 11)))
        running = asyncio.create_task(life.poller(handler, workers=WORKERS).run())
        for _ in range(WORKERS):
            assert await asyncio.to_thread(begun.acquire, timeout=SECONDS)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    entries = life.entries()
    assert [(entry.state, entry.attempts) for entry in entries] == [(State.WAITING, 0)] * WORKERS
    assert life.poller(workers=WORKERS).poll_once().handled == 10
    assert sorted(life.subjects, key=int) == list(map(str, range(1, 11)))


@pytest.mark.parametrize(
    "at", [pytest.param(at, marks=[pytest.mark.long] * (at % 6 != 1)) for at in range(1, 31)]
)
def test_cancellation_in_any_await_loses_and_repeats_nothing(life: Life, at: int) -> None:
    done: list[str] = []
    awaits = 0

    async def main() -> None:
        async def handler(message: Message) -> None:
            nonlocal awaits
            for _ in range(3):
                awaits += 1
                if awaits == at:
                    running.cancel()
                await asyncio.sleep(0)
            done.append(message.subject)

        life.deliver(*map(str, range(1, 11)))
        running = asyncio.create_task(life.poller(handler, workers=WORKERS).run())
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert {entry.attempts for entry in life.entries()} <= {0}
    assert names_of(threading.enumerate()) == []
    life.poller(workers=WORKERS).poll_once()
    assert sorted([*done, *life.subjects], key=int) == list(map(str, range(1, 11)))


def test_news_reaches_a_free_worker_in_four_round_trips_while_seven_are_busy(life: Life) -> None:
    busy, go, came = threading.Semaphore(0), threading.Event(), threading.Event()
    commands: list[str] = []

    def handler(message: Message) -> None:
        if message.subject == "quick":
            commands.extend(map(str, life.server.commands[before:]))
            came.set()
            return
        busy.release()
        assert go.wait(SECONDS)

    life.deliver(*map(str, range(1, 8)))
    poller = life.poller(handler, workers=8, idle=True).start()
    for _ in range(7):
        assert busy.acquire(timeout=SECONDS)
    life.server.wait_for_idle()
    before = len(life.server.commands)
    life.deliver("quick")
    came.wait(SECONDS)
    go.set()
    poller.stop()
    # The end of IDLE, NOOP, the search, the sizes and the message itself.
    assert 0 < len(commands) <= 5, commands


def test_a_call_that_hangs_costs_a_worker_until_its_timeout(life: Life) -> None:
    gate = Gate("1")
    life.deliver("1", "2", "3")
    poller = life.poller(gate, workers=2, handler_timeout=30).start()
    assert gate.reached.wait(SECONDS)
    until_states(life, State.FINISHED, 2)
    life.clock.advance(30)
    until_states(life, State.WAITING, 1)
    assert poller.status().overdue == 1
    gate.go.set()
    until_states(life, State.FINISHED, 3)
    poller.stop()
    assert Counter(message.subject for message in gate.seen) == {"1": 1, "2": 1, "3": 1}


def test_one_worker_calls_in_the_thread_that_polls(life: Life) -> None:
    threads: set[str] = set()
    life.deliver("1", "2")
    poller = life.poller(lambda _: threads.add(threading.current_thread().name))
    assert poller.poll_once().handled == 2
    assert threads == {threading.current_thread().name}


def test_the_number_of_workers_comes_from_the_environment_too(life: Life) -> None:
    values = {"IMAP_HOST": "h", "NORNMAIL_WORKERS": "3"}
    assert ImapSettings.from_env(values).workers == 3
    with pytest.raises(ConfigurationError, match="NORNMAIL_WORKERS"):
        ImapSettings.from_env({**values, "NORNMAIL_WORKERS": "many"})
    handler = Together(3)
    deliver_conversations(life, 6, 3)
    assert life.poller(handler, imap={"workers": 3}).poll_once().handled == 6
    assert handler.rounds == 2


@pytest.mark.parametrize("more", [{"workers": 0}, {"order_by": "thread"}], ids=["workers", "order"])
def test_wrong_arguments_are_refused(life: Life, more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"NORNMAIL_WORKERS|order_by"):
        life.poller(**more)


def test_what_is_fetched_waits_for_no_conversation_that_is_stuck(life: Life) -> None:
    stuck, go = threading.Event(), threading.Event()
    seen: list[str] = []

    def handler(message: Message) -> None:
        if message.subject == "c0 0":
            stuck.set()
            assert go.wait(SECONDS)
        seen.append(message.subject)

    poller = life.poller(handler, workers=2).start()
    deliver_conversations(life, 1, 1)
    life.clock.until_somebody_waits()
    life.clock.advance(INTERVAL)
    assert stuck.wait(SECONDS)
    for number in (1, 2):
        head = f"Subject: c0 {number}\r\nMessage-ID: <{number}@x>\r\nReferences: <0@root>\r\n"
        life.server.deliver(f"{head}\r\ntext\r\n".encode())
    life.deliver("other")
    life.clock.advance(INTERVAL)
    pause = threading.Event()
    while "other" not in seen:
        life.clock.advance(INTERVAL)
        pause.wait(0.01)
    assert seen == ["other"]
    go.set()
    until_states(life, State.FINISHED, 4)
    poller.stop()
    assert seen == ["other", "c0 0", "c0 1", "c0 2"]


class CtrlC:
    """Raises KeyboardInterrupt before a line of a file, in the thread that polls.

    Args:
        file: its name.
        line: the number among the lines of the file that the thread comes to.
    """

    def __init__(self, file: str, line: int) -> None:
        self._file = file
        self.left = line

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if os.path.basename(frame.f_code.co_filename) != self._file:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def poll(self, poller: Poller) -> None:
        """Poll once, and survive the interruption."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            poller.poll_once()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)


LINES = [("worker_pool.py", line) for line in range(1, 250)]
LINES += [("delivery.py", line) for line in range(1, 1_100, 3)]
"""The lines that a poll of six messages comes to."""
FEWEST_LINES = {"worker_pool.py": 150, "delivery.py": 700}
"""So many it comes to however the threads run: before them each interruption happens."""
SINGLE = [("threads.py", line) for line in range(1, 25)]
SINGLE += [("handler.py", line) for line in range(1, 100)]
SINGLE += [("poller.py", line) for line in range(1, 40)]
"""The lines that a poll comes to with one worker, in whose thread the handler is called."""


@pytest.mark.parametrize(
    ("file", "line"),
    [
        *random.Random(20).sample(SINGLE, 8),
        *(pytest.param(*line, marks=pytest.mark.long) for line in SINGLE),
    ],
)
def test_ctrl_c_at_any_line_around_a_call_lets_the_same_thread_go_on(
    life: Life, file: str, line: int
) -> None:
    seen: Counter[str] = Counter()
    life.deliver("1", "2")

    def handler(message: Message) -> None:
        seen[message.subject] += 1

    poller = life.poller(handler)
    CtrlC(file, line).poll(poller)
    assert current() is None
    while poller.poll_once().waiting:
        life.clock.advance(60)
    poller.close()
    assert seen.keys() == {"1", "2"}
    assert seen.total() <= 2 + 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        *random.Random(18).sample(LINES[:249], 10),
        *random.Random(19).sample(LINES[249:], 4),
        *(pytest.param(*line, marks=pytest.mark.long) for line in LINES),
    ],
)
@pytest.mark.parametrize("same", [False, True], ids=["another poller", "the same poller"])
def test_ctrl_c_at_any_line_leaves_nothing_stuck(
    life: Life, file: str, line: int, same: bool
) -> None:
    seen: Counter[str] = Counter()
    life.deliver(*map(str, range(1, 7)))

    def handler(message: Message) -> None:
        seen[message.subject] += 1

    def order(message: Message) -> int:
        return int(message.subject) % 2

    poller = life.poller(handler, workers=3, order_by=order)
    interruption = CtrlC(file, line)
    interruption.poll(poller)
    assert interruption.left <= 0 or line > FEWEST_LINES[file]
    if not same:
        poller.close()
        poller = life.poller(handler, workers=3, order_by=order)
    while poller.poll_once().waiting:
        life.clock.advance(60)
    poller.close()
    assert seen.keys() == set(map(str, range(1, 7)))
    assert seen.total() <= 6 + 3
    assert {entry.state for entry in life.entries()} == {State.FINISHED}
