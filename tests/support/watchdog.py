"""A time limit for every test: one that hangs fails with the stacks of all threads, and no other.

A pytest plugin of the standard library alone. A signal interrupts the main thread, which runs the
test, in whatever it waits for. What no signal interrupts, as a loop in C, ends the whole run
later, with the stacks as well.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Generator
from types import FrameType

import pytest

SECONDS = 120.0
"""Seconds for each of a test's setup, call and teardown. The slowest test takes a tenth of this."""

PATIENT_SECONDS = 1800.0
"""The same where a real server, or a root for one, may have to be made first."""

ENVIRONMENT = "NORNMAIL_TEST_SECONDS"
"""Overrides `SECONDS`, for a machine under a debugger and for the test of this plugin."""

GRACE = 30.0
"""Seconds after the limit until the whole run may end, where a test cannot be interrupted."""

AGAIN = 5.0
"""Seconds after which a phase is interrupted again: of several things that end with a test the next
one may hang, too."""

RENEWED = 0.5
"""The part of the time until that end after which it is put off again: to do so means a thread that
ends and another that starts, which is too dear for every phase of every test."""

_hung: list[str] = []
_limits: list[tuple[str, str, float]] = []
"""The test that runs, its phase, and the limit in seconds."""
_ends: list[tuple[float, float]] = []
"""When the end of the run was put off last, and by how much: in seconds."""
_SECONDS = pytest.StashKey[float | None]()
"""The limit of an item, which three phases ask for."""
_STDERR = pytest.StashKey[int]()
"""A copy of the standard error that pytest does not capture, for stacks at a hard end."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the standard error while nothing is captured yet."""
    config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process although a thread of a test that hung is still there."""
    _never_end()
    if _hung:
        faulthandler.dump_traceback_later(GRACE, exit=True, file=config.stash[_STDERR])
    else:
        os.close(config.stash[_STDERR])


def seconds_for(item: pytest.Item) -> float | None:
    """The limit of a test; None for the whole enumerations, which take as long as they take."""
    if item.get_closest_marker("long"):
        return None
    if any(map(item.get_closest_marker, ("interop", "tls", "browser"))):
        return PATIENT_SECONDS
    return float(os.environ.get(ENVIRONMENT, SECONDS))


def stacks() -> str:
    """The stack of every thread, as text."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )


def _limited(item: pytest.Item, phase: str) -> Generator[None, object, object]:
    if _SECONDS not in item.stash:
        item.stash[_SECONDS] = seconds_for(item)
    seconds = item.stash[_SECONDS]
    if seconds is None or not hasattr(signal, "SIGALRM"):  # Windows has none
        _never_end()
        return (yield)

    _limits[:] = [(item.nodeid, phase, seconds)]
    if signal.getsignal(signal.SIGALRM) is not _fail:
        signal.signal(signal.SIGALRM, _fail)
    signal.setitimer(signal.ITIMER_REAL, seconds, min(seconds, AGAIN))
    _put_off_the_end((seconds + GRACE) / RENEWED, item.config)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _fail(_number: int, _frame: FrameType | None) -> None:
    ((nodeid, phase, seconds),) = _limits
    _hung.append(nodeid)
    pytest.fail(f"{phase} took longer than {seconds:g} s; every thread:\n{stacks()}")


@pytest.hookimpl(trylast=True)
def pytest_exception_interact() -> None:
    """Note that pytest has cancelled the end of the run, as it does for each test that fails."""
    _ends.clear()


def _never_end() -> None:
    if _ends:
        faulthandler.cancel_dump_traceback_later()
        _ends.clear()


def _put_off_the_end(seconds: float, config: pytest.Config) -> None:
    now = time.monotonic()
    if _ends:
        before, length = _ends[-1]
        if length == seconds and now < before + length * RENEWED:
            return
    _ends[:] = [(now, seconds)]
    faulthandler.dump_traceback_later(seconds, exit=True, file=config.stash[_STDERR])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the fixtures of a test."""
    return (yield from _limited(item, "the setup"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the test itself."""
    return (yield from _limited(item, "the test"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the end of a test's fixtures."""
    return (yield from _limited(item, "the teardown"))
