"""What a run may leave behind: no thread, no descriptor, no memory, no secret in a log."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = Path("/proc/self/fd")
STATM = Path("/proc/self/statm")
MIB = 1024 * 1024
LINES = 2_000
"""Lines of the log that are kept."""
JOIN_SECONDS = 10.0
LOG_FILE = "NORNMAIL_SOAK_LOG"
"""The variable that names a file for the log of a run that a person wants to understand."""


def open_files() -> int:
    """Descriptors of this process; 0 where that cannot be told."""
    return len(os.listdir(FILES)) if FILES.is_dir() else 0


def resident() -> float:
    """MiB of this process in memory; 0.0 where that cannot be told."""
    if not STATM.is_file():
        return 0.0
    return int(STATM.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def blocks() -> int:
    """How many blocks of memory Python has given out, garbage left out.

    Not with ``tracemalloc``, which would tell whose they are: what it notes of each block lies
    between them, so that the process grows by that alone.
    """
    gc.collect()
    return sys.getallocatedblocks()


@contextmanager
def as_if_alone() -> Iterator[None]:
    """The collector does not count what the process had before, thousands of tests among it.

    It looks through the oldest objects only when a quarter as many have come to them: beside the
    tests that pytest has collected, that is a quarter of a million objects of garbage.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # from what is left now it takes the quarter
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def nothing_left_over() -> Iterator[None]:
    """Threads and descriptors are at the end what they were at the begin."""
    threads = set(threading.enumerate())
    files = open_files()
    yield
    left = set(threading.enumerate()) - threads
    for thread in left:
        thread.join(JOIN_SECONDS)
    assert [thread for thread in left if thread.is_alive()] == []
    assert open_files() == files


class Log(logging.Handler):
    """Reads every line, and keeps the last ones.

    Args:
        secret: what must be in none of them.
    """

    def __init__(self, secret: str) -> None:
        super().__init__(logging.DEBUG)
        self.count = 0
        self.leaks: deque[str] = deque(maxlen=LINES)
        self.last: deque[str] = deque(maxlen=LINES)
        self._secret = secret
        self.setFormatter(logging.Formatter("%(relativeCreated)d %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        self.count += 1
        self.last.append(line)
        if self._secret in line:
            self.leaks.append(line)


@contextmanager
def logged(secret: str) -> Iterator[Log]:
    """Everything that the package logs. Nobody else gets it: pytest would keep all of it."""
    log = Log(secret)
    logger = logging.getLogger("nornmail")
    level, propagate = logger.level, logger.propagate
    logger.addHandler(log)
    file = _file()
    logger.addHandler(file)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.removeHandler(file)
        file.close()
        logger.setLevel(level)
        logger.propagate = propagate


def _file() -> logging.Handler:
    """Where a person wants the whole log, which may be gigabytes: see :data:`LOG_FILE`."""
    path = os.environ.get(LOG_FILE, "")
    handler: logging.Handler = logging.FileHandler(path) if path else logging.NullHandler()
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s %(name)s %(message)s"))
    return handler
