"""A process that has imported everything and forks one child for each order: in milliseconds.

It has one thread and no open store, so a fork is clean. Not multiprocessing's forkserver: that one
imports the main module in every child, which is pytest, and before Python 3.14 a module that it
cannot find for preloading is left out without a word.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from tests.kill import child, outbox_child
from tests.support import postgresql
from tests.support.zygote import zygote

Order = child.Order | outbox_child.Order
KINDS = {"poller": child, "outbox": outbox_child}
"""What a child can be told to be."""
LIFETIME = 60
"""Seconds after which a child is ended with SIGALRM: a hundred times what it takes."""
FAILED = 70


class Zygote:
    """The one who orders children. A context manager; at its end the zygote is gone."""

    def __enter__(self) -> Self:
        orders, self._orders = os.pipe()
        self._codes, codes = os.pipe()
        command = ("-c", "from tests.kill.zygote import serve; serve()")
        self._process = zygote().start(command, Path.cwd(), dict(os.environ), codes, stdin=orders)
        os.close(orders)
        os.close(codes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._orders)
        _, said = self._process.communicate(timeout=LIFETIME)
        os.close(self._codes)
        self._process.close()
        if error is None:
            assert (self._process.returncode, said) == (0, b"")

    def run(self, *orders: Order) -> list[int]:
        """Have a child for each order carry it out, at once, and wait for their ends.

        A child whose order is to stand behind somebody stands behind the first.

        Returns:
            For each 0, or what ended it: a signal's number below zero.
        """
        line = json.dumps([[_kind_of(order), asdict(order)] for order in orders]) + "\n"
        os.write(self._orders, line.encode())
        with open(self._codes, encoding="utf-8", closefd=False) as codes:
            return [int(code) for code in codes.readline().split()]


def _kind_of(order: Order) -> str:
    return next(name for name, one in KINDS.items() if isinstance(order, one.Order))


def serve() -> None:
    """The zygote itself: a line of orders, a line of exit codes, until there are no more."""
    if postgresql.is_here():
        importlib.import_module("psycopg")  # a third of a second in each child
    gc.collect()
    gc.freeze()  # no collection in a child looks at, and so copies, what the zygote has
    for line in sys.stdin:
        pids: list[int] = []
        for kind, order in json.loads(line):
            pid = os.fork()
            if pid == 0:
                if order.get("behind"):
                    order["behind_pid"] = pids[0]
                _be_child(KINDS[kind], order)
            pids.append(pid)
        # In their order: one who stands behind the first sees that it is gone once it is reaped.
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        print(*ends, flush=True)


def _be_child(kind: Any, values: dict[str, Any]) -> NoReturn:
    """Carry the order out. What is said on stderr lies in the file ``errors`` afterwards."""
    code = FAILED
    try:
        signal.alarm(LIFETIME)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        errors = os.open(f"{values['directory']}/errors", flags, 0o600)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        os.close(errors)
        kind.run(kind.Order(**values))
        gc.collect()  # what was not closed says so now
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Not sys.exit(): what is to be done at the zygote's end is not the child's to do.
        os._exit(code)
