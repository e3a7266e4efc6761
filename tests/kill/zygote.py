"""A process that has imported everything and forks one child for each order: in milliseconds.

It has one thread and no open store, so a fork is clean. Not multiprocessing's forkserver: that one
imports the main module in every child, which is pytest, and before Python 3.14 a module that it
cannot find for preloading is left out without a word.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from types import TracebackType
from typing import Any, NoReturn, Self

from tests.kill import child, outbox_child
from tests.stores.support import start

Order = child.Order | outbox_child.Order
KINDS = {"poller": child, "outbox": outbox_child}
"""What a child can be told to be."""
LIFETIME = 60
"""Seconds after which a child is ended with SIGALRM: a hundred times what it takes."""
FAILED = 70


class Zygote:
    """The one who orders children. A context manager; at its end the zygote is gone."""

    def __enter__(self) -> Self:
        self._process = start("from tests.kill.zygote import serve; serve()")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _, said = self._process.communicate(timeout=LIFETIME)
        if error is None:
            assert (self._process.returncode, said) == (0, "")

    def run(self, order: Order) -> int:
        """Have a child carry the order out, and wait for its end.

        Returns:
            0, or what ended it: a signal's number below zero.
        """
        orders, codes = self._process.stdin, self._process.stdout
        assert orders is not None
        assert codes is not None
        kind = next(name for name, one in KINDS.items() if isinstance(order, one.Order))
        orders.write(json.dumps([kind, asdict(order)]) + "\n")
        orders.flush()
        return int(codes.readline())


def serve() -> None:
    """The zygote itself: an order a line, an exit code a line, until there are no more."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            kind, values = json.loads(line)
            _be_child(KINDS[kind], values)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


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
