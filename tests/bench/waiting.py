"""How long a program waits: for its own start, for the disk, and in IDLE for new mail."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing

from nornmail import ImapSettings, MemoryStateStore, Message, Poller
from nornmail.testing import MailServer

USER, PASSWORD = "bench", "secret"
STARTS = 30
ARRIVALS = 30
SYNCS = 200
PATIENCE = 30.0
"""Seconds after which a message that does not arrive ends the benchmark."""
IMPORTS = {
    "import nornmail": "import nornmail",
    "from nornmail import Poller, SqliteStateStore, ImapSettings": (
        "from nornmail import Poller, SqliteStateStore, ImapSettings"
    ),
    "import asyncio, ssl, sqlite3, email, imaplib, smtplib": (
        "import asyncio, ssl, sqlite3, email, imaplib, smtplib"
    ),
}


def compiling() -> dict[str, str]:
    """The environment in which compiled modules are kept, as they are for everybody."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ.setdefault("PYTHONPYCACHEPREFIX", tempfile.gettempdir() + "/nornmail-bench")
    return environ


def start_up() -> dict[str, dict[str, float]]:
    """The CPU of a program that only imports, beyond that of Python itself."""
    costs: dict[str, list[float]] = {"pass": [], **{code: [] for code in IMPORTS.values()}}
    for _ in range(STARTS):  # interleaved; the first ones compile
        for code, known in costs.items():
            known.append(_cpu_of(code))
    bare = min(costs["pass"])
    return {name: {"CPU ms": (min(costs[code]) - bare) * 1e3} for name, code in IMPORTS.items()}


def _cpu_of(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, env=compiling())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def disk() -> dict[str, float]:
    """Writing and syncing 4 KB, as each commit does."""
    costs = []
    with tempfile.NamedTemporaryFile() as file:
        for _ in range(SYNCS):
            at = time.perf_counter()
            file.write(bytes(4_096))
            file.flush()
            os.fsync(file.fileno())
            costs.append(time.perf_counter() - at)
    return {"median us": statistics.median(costs) * 1e6, "worst us": max(costs) * 1e6}


class Arrivals:
    """A handler that keeps some calls busy, and notes when the others began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.arrived = threading.Condition()
        self.go_on = threading.Event()

    def __call__(self, message: Message) -> None:
        with self.arrived:
            self.began[message.subject] = time.perf_counter()
            self.arrived.notify_all()
        if message.subject.startswith("busy"):
            self.go_on.wait(PATIENCE)

    def wait(self, subject: str) -> float:
        """The moment at which the call with this message began."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: subject in self.began, PATIENCE):
                raise SystemExit(f"{subject!r} did not arrive in {PATIENCE:g} s")
        return self.began[subject]


def arrivals(workers: int) -> dict[str, float]:
    """From the delivery on the test server, which tells it in IDLE, to the call of the handler.

    Args:
        workers: all but one of them are busy the whole time.
    """
    handler = Arrivals()
    costs: list[float] = []
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        settings = ImapSettings(
            host="127.0.0.1",
            port=server.imap_port,
            username=USER,
            password=PASSWORD,
            use_ssl=False,
        )
        poller = Poller(
            settings,
            store=MemoryStateStore(),
            on_message=handler,
            workers=workers,
            order_by="none",
        )
        with closing(poller):
            poller.start()
            names = [f"busy {number}" for number in range(workers - 1)]
            names += [f"mail {number}" for number in range(ARRIVALS)]
            for name in names:
                at = time.perf_counter()
                server.deliver(
                    b"From: a@example.org\r\nSubject: %s\r\n\r\nHello.\r\n" % name.encode()
                )
                took = handler.wait(name) - at
                if name.startswith("mail"):
                    costs.append(took * 1e3)
                while poller.status().state != "idle":
                    time.sleep(0.001)
            handler.go_on.set()
    return {"median ms": statistics.median(costs), "worst ms": max(costs)}
