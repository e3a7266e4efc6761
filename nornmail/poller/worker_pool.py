"""Side by side: which messages may be in their handlers at the same time, and the threads for it.

:class:`Schedule` decides and does nothing else. :class:`WorkerPool` calls handlers and does nothing
else: the polling thread alone claims, settles and talks to the server, so that the delivery
contract needs no locks.
"""

from __future__ import annotations

import heapq
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from nornmail.errors import ConfigurationError
from nornmail.model import State
from nornmail.poller.handler import Handler, HandlerRunner, Outcome, account_of
from nornmail.poller.inboxes import Job

if TYPE_CHECKING:
    from nornmail.message.message import Message

log = logging.getLogger("nornmail.poller")

OrderBy = Literal["conversation", "sender", "none"] | Callable[["Message"], object]
"""The order of a conversation, while several messages are handled at a time."""

T = TypeVar("T", bound=Hashable)


class Schedule(Generic[T]):
    """Items that wait for a worker: at most so many at a time, and one at a time of each key.

    Items of one key begin in the order in which they were added; all others as soon as they can.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = count()
        self._ready: list[tuple[int, T]] = []
        """A heap of the items whose key is free."""
        self._behind: dict[Hashable, deque[tuple[int, T]]] = {}
        """For each key that is taken, by an item that runs or is ready: those that follow it."""
        self._keys: dict[T, Hashable | None] = {}
        self._running: set[T] = set()

    @property
    def running(self) -> int:
        """The number of items that run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """The number of items that were added and do not run yet."""
        return len(self._keys) - len(self._running)

    def __iter__(self) -> Iterator[T]:
        """All items, running or waiting."""
        return iter(list(self._keys))

    def add(self, item: T, key: Hashable | None) -> None:
        """Let an item wait; one without a key waits for no other."""
        self._keys[item] = key
        entry = (next(self._number), item)
        if key is None:
            heapq.heappush(self._ready, entry)
        elif key in self._behind:
            self._behind[key].append(entry)
        else:
            self._behind[key] = deque()
            heapq.heappush(self._ready, entry)

    def start(self) -> T | None:
        """Start the next item that may run, ``None`` when there is none."""
        if not self._ready or len(self._running) >= self._size:
            return None
        _, item = self._ready[0]
        self._running.add(item)
        heapq.heappop(self._ready)
        return item

    def end(self, item: T) -> None:
        """Note that an item has ended; the next one of its key may run."""
        self._release(self._keys.get(item))
        self._running.discard(item)
        self._keys.pop(item, None)

    def keep(self, running: Collection[T]) -> None:
        """Drop all items but these where an interruption left others, or one that nothing starts.

        Each change above is made in an order in which half of it can be seen here.

        Args:
            running: the items that run, as whoever runs them knows.
        """
        waiting = len(self._ready) + sum(map(len, self._behind.values()))
        if self._running == set(running) and self.waiting == waiting:
            return
        keys = {item: self._keys.get(item) for item in running}
        behind: dict[Hashable, deque[tuple[int, T]]] = {
            key: deque() for key in keys.values() if key is not None
        }
        self._keys, self._ready, self._behind, self._running = keys, [], behind, set(running)

    def clear(self) -> None:
        """Drop all items that wait."""
        for item in set(self._keys) - self._running:
            del self._keys[item]
        self._ready.clear()
        taken = {self._keys[item] for item in self._running}
        self._behind = {key: deque() for key in taken if key is not None}

    def _release(self, key: Hashable | None) -> None:
        if key is None or key not in self._behind:
            return
        if self._behind[key]:
            heapq.heappush(self._ready, self._behind[key].popleft())
        else:
            del self._behind[key]


def check_order(order_by: object) -> None:
    """Refuse an ``order_by`` that cannot be used."""
    if not callable(order_by) and order_by not in _KEYS:
        accepted = 'must be "conversation", "sender", "none" or a function of a message'
        raise ConfigurationError("order_by", order_by, accepted)


def order_key(message: Message, order_by: OrderBy) -> Hashable | None:
    """The key of a message: messages with one key are handled one after the other, in their order.

    Returns:
        ``None`` for a message that waits for no other. Where a function of the program fails, or
        returns what cannot be a key, all such messages share one.
    """
    if not callable(order_by):
        return _KEYS[order_by](message)
    try:
        key = order_by(message)
        hash(key)
    except Exception as error:
        log.warning("order_by failed for %s: %s", message.ref, account_of(error))
        return _FAILED
    return None if key is None else ("function", key)


def _conversation(message: Message) -> Hashable:
    root = next(iter(message.references), "") or message.in_reply_to or message.message_id
    return ("thread", root) if root else (*_sender(message), message.inbox)


def _sender(message: Message) -> tuple[str, str]:
    return ("sender", message.from_.address.lower())


_KEYS: dict[str, Callable[[Message], Hashable | None]] = {
    "conversation": _conversation,
    "sender": _sender,
    "none": lambda _: None,
}
_FAILED = ("failed", "")


NOT_BEGUN = "the poller stopped before the handler was called"
"""The reason of a message that was claimed for a worker and waits again."""


class WorkerPool:
    """Threads that call handlers; what comes of a call is put on its job."""

    def __init__(self, size: int, runner: HandlerRunner, wake: Callable[[], object]) -> None:
        self.size = size
        self._runner = runner
        self._wake = wake
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._calls: dict[Job, tuple[Handler, Message]] = {}
        """The calls that no thread has begun. Whoever removes a call decides about its job, so that
        an interruption of the poller's thread leaves no job that is waited for in vain."""
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.jobs: dict[Job, None] = {}
        """Those whose handlers were called and whose outcomes were not settled, in that order."""

    def submit(self, job: Job, handler: Handler, message: Message) -> None:
        """Call a handler in a worker's thread, as soon as one is free."""
        job.outcome = None
        try:
            self._calls[job] = (handler, message)
            self.jobs[job] = None
            if len(self._threads) < min(self.size, len(self.jobs)):
                self._start_thread(job)
            self._queue.put(job)
        except BaseException:  # it may not be in the queue
            self._give_up(job)
            raise

    def ended(self) -> list[Job]:
        """The jobs whose calls have ended; they stay in :attr:`jobs` until they are forgotten."""
        self._ended.clear()
        return [job for job in self.jobs if job.outcome is not None]

    def forget(self, job: Job) -> None:
        """Let go of a job that is settled."""
        self.jobs.pop(job, None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a call has ended; return whether one has."""
        return any(job.outcome is not None for job in self.jobs) or self._ended.wait(seconds)

    def give_up_calls(self) -> None:
        """Let the calls that no thread has begun end at once, without an attempt."""
        for job in self.jobs:
            self._give_up(job)

    def _give_up(self, job: Job) -> None:
        if self._calls.pop(job, None) is not None:
            job.outcome = Outcome(State.WAITING, NOT_BEGUN, counts=False, works=None)
            self._ended.set()

    def close(self) -> None:
        """End the threads, each after its present call. The pool can be used again.

        Where this is interrupted, the next call does the rest.
        """
        threads, queue = self._threads, self._queue
        for _ in threads:
            queue.put(None)
        self._threads = []
        self._queue = SimpleQueue()  # for other threads
        if not self.jobs:
            for thread in threads:
                if thread.is_alive():
                    thread.join()

    def _start_thread(self, job: Job) -> None:
        thread = threading.Thread(
            target=self._work, args=(self._queue,), name="nornmail-worker", daemon=True
        )
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: fewer have to do
            self._threads.remove(thread)
            if not self._threads and self._calls.pop(job, None) is not None:
                reason = account_of(error)
                job.outcome = Outcome(State.WAITING, reason, counts=False, works=None, stop=error)
                self._ended.set()

    def _work(self, queue: SimpleQueue[Job | None]) -> None:
        process = os.getpid()
        while (job := queue.get()) is not None:
            call = self._calls.pop(job, None)
            if call is not None:
                handler, message = call
                outcome = self._runner.call(handler, message)
                if os.getpid() != process:
                    return  # the handler forked, and this only thread of the child ends it
                del handler, message  # the next one may be long in coming
                job.outcome = outcome
                self._ended.set()
                self._wake()
                del outcome
            del job, call
