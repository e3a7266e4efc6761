"""What many mailboxes in one process cost, and what bad ones among them do to the others.

The server is a process of its own, so that the figures are those of the client alone.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nornmail import ImapSettings, Message, PollerGroup, SqliteStateStore
from nornmail.events import Idle
from tests.poller.life.harness import PASSWORD, names_of

resource = pytest.importorskip("resource", reason="the memory of a process, as POSIX has it")

pytestmark = pytest.mark.long

SERVER = """
import resource, sys, time
from nornmail.testing import MailServer

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
with MailServer() as server:
    for number in range(int(sys.argv[1])):
        server.add_user(f"agent{number}@example.com", sys.argv[2])
    print(server.imap_port, flush=True)
    for line in sys.stdin:
        for number in line.split():
            subject = f"{time.monotonic()}"  # one clock for all processes of the machine
            raw = f"From: kim@example.org\\r\\nSubject: {subject}\\r\\n\\r\\nhello\\r\\n"
            server.deliver(raw.encode(), user=f"agent{number}@example.com")
        print("delivered", flush=True)
"""
MESSAGES = 10
MOST_THREADS = 64
MOST_MEGABYTES = 250.0
MOST_OF_A_CORE = 0.02
INTERVAL = 60.0
START_SECONDS = 60.0
BUSY = 1.5
"""How much longer a busy machine may take to start."""


class Post:
    """A server in a process of its own, and what became of its mail.

    Attributes:
        seconds: how long each message took from its delivery to its callback.
    """

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server
        self.port = int(self._line())
        self.seconds: list[float] = []
        self._more = threading.Condition()

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def deliver(self, numbers: list[int]) -> None:
        """Put a message into the mailbox of each of these accounts."""
        assert self._server.stdin is not None
        self._server.stdin.write(" ".join(map(str, numbers)) + "\n")
        self._server.stdin.flush()
        assert self._line() == "delivered\n"

    def settings(self, name: str, interval: float, **changes: object) -> ImapSettings:
        values = {
            "host": "127.0.0.1",
            "port": self.port,
            "use_ssl": False,
            "username": name,
            "password": PASSWORD,
            "poll_interval": interval,
            "start_from": "all",
            "timeout": 3_600.0,
        }
        return ImapSettings(**{**values, **changes})  # type: ignore[arg-type]

    def handle(self, message: Message) -> None:
        took = time.monotonic() - float(message.subject)
        with self._more:
            self.seconds.append(took)
            self._more.notify_all()

    def until(self, count: int, seconds: float) -> None:
        """Wait until so many messages were handled."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.seconds) >= count, seconds)


@contextmanager
def post(accounts: int) -> Iterator[Post]:
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    command = [sys.executable, "-c", SERVER, str(accounts), PASSWORD]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server:
        try:
            yield Post(server)
        finally:
            server.kill()
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def looked_at(many: PollerGroup) -> int:
    return sum(one.last_poll_at is not None for one in many.status().values())


@pytest.mark.parametrize("mailboxes", [1, 100, 1_000])
def test_what_many_mailboxes_cost(tmp_path: Path, mailboxes: int) -> None:
    looks: Counter[str] = Counter()
    pause = threading.Event()
    with post(mailboxes) as mail, closing(SqliteStateStore(tmp_path / "state.db")) as store:
        many = PollerGroup(
            store,
            on_message=mail.handle,
            on_event=lambda _, event: looks.update([type(event).__name__]),
            connects_per_host=20,
            threads=48,
        )
        for number in range(mailboxes):
            many.add(mail.settings(f"agent{number}@example.com", INTERVAL))
        mail.deliver([*range(mailboxes)] * MESSAGES)
        begin = time.monotonic()
        with many:
            while looked_at(many) < mailboxes:
                assert time.monotonic() < begin + BUSY * START_SECONDS
                pause.wait(0.2)
            started = time.monotonic() - begin
            mail.until(mailboxes * MESSAGES, 120)
            threads = len(names_of(threading.enumerate()))
            pause.wait(5)
            before, cpu = Counter(looks), time.process_time()
            pause.wait(INTERVAL)
            rest = (time.process_time() - cpu) / INTERVAL
            looked = (looks - before)[Idle.__name__]
        megabytes = memory()
    print(
        f"\n{mailboxes} mailboxes: looked at after {started:.0f} s, {threads} threads, "
        f"{megabytes:.0f} MB, at rest {rest:.2%} of a core, "
        f"{rest * INTERVAL / max(looked, 1) * 1000:.2f} ms for each of {looked} looks"
    )
    assert len(mail.seconds) == mailboxes * MESSAGES, "each was handled once"
    assert threads <= MOST_THREADS
    assert megabytes <= MOST_MEGABYTES
    assert rest <= MOST_OF_A_CORE


@contextmanager
def unkind_server(*words: bytes) -> Iterator[int]:
    """A server that says this to whoever connects, and nothing more; its port."""
    open_sockets: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            for word in words:
                client.sendall(word)
            open_sockets.append(client)  # it hangs

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for client in open_sockets:
        client.close()


QUICK = 2.0
"""Seconds between two looks, most of which is the latency of a message."""
ROUNDS = 60
TOGETHER = 20
"""Messages that are delivered in each round of half a second."""
MOVE = 0.1


def test_bad_accounts_do_not_slow_the_others(tmp_path: Path) -> None:
    """One has a wrong password, one hangs at the greeting, and one throttles."""
    accounts = 100
    with (
        post(accounts) as mail,
        unkind_server() as silent,
        unkind_server(b"* BYE [UNAVAILABLE] too many connections, try again later\r\n") as full,
        closing(SqliteStateStore(tmp_path / "state.db")) as store,
    ):
        many = PollerGroup(store, on_message=mail.handle)
        for number in range(accounts):
            many.add(mail.settings(f"agent{number}@example.com", QUICK))
        rng, pause = random.Random(1), threading.Event()

        def slowest() -> float:
            """The 99th percentile of the latency, in seconds."""
            mail.seconds.clear()
            for _ in range(ROUNDS):
                mail.deliver(rng.sample(range(accounts), TOGETHER))
                pause.wait(0.5 * rng.random() + 0.25)
            mail.until(ROUNDS * TOGETHER, 60)
            return sorted(mail.seconds)[int(0.99 * len(mail.seconds))]

        with many:
            while looked_at(many) < accounts:
                pause.wait(0.2)
            slowest()  # the first one warms everything
            without = slowest()
            for name, changes in (
                ("wrong@example.com", {"password": "wrong"}),
                ("hangs@example.com", {"port": silent}),
                ("throttled@example.com", {"port": full}),
            ):
                many.add(mail.settings(name, QUICK, **changes))
            beside = slowest()
    print(f"\n99th percentile: {without:.2f} s, and {beside:.2f} s with the bad accounts")
    assert beside <= without * (1 + MOVE)


def memory() -> float:
    """Megabytes that this process holds."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
