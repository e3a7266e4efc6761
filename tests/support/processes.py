"""The tests in several processes at once: forks of the one that has collected them.

Each takes the next file of tests until none is left, and the first process tells what came out, in
the order in which the files end. So collection is paid once, and tests that wait do not hold up
others. ``NORNMAIL_TEST_PROCESSES=1`` runs all of them in one process, as ``-s``, ``--pdb`` and a
few tests do anyway. A pytest plugin.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from itertools import groupby
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

from tests.support.zygote import zygote

ENVIRONMENT = "NORNMAIL_TEST_PROCESSES"
"""How many; otherwise two for each processor, since a test also waits."""
FEWEST_TESTS = 1_000
"""From so many on, unless the environment asks for it: fewer are not worth it."""
SHARED = ("interop", "tls", "browser", "long")
"""Marks of tests that use what the machine has once, or that take their time in an order."""
TOGETHER = {"kill"}
"""Folders whose files one process takes, since what they share is dear to make."""
INDEX_BYTES = 4
PAUSE = 0.05
"""Seconds between two looks at the results."""


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in forks, where that is worth it and possible."""
    number = _number(session)
    if number < 2:
        return None
    groups = [[*group] for _, group in groupby(session.items, _place)]
    waiting, todo = os.pipe()
    os.write(todo, b"".join(at.to_bytes(INDEX_BYTES, "big") for at in range(len(groups))))
    os.close(todo)
    # One for all: what is started or made first in a fork would be made in each.
    if len(session.items) >= FEWEST_TESTS:
        zygote()
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    forks = [Fork(session, groups, waiting) for _ in range(min(number, len(groups)))]
    os.close(waiting)
    try:
        while forks:
            time.sleep(PAUSE)
            forks = [fork for fork in forks if fork.report()]
    finally:
        for fork in forks:
            fork.kill()
    return True


def _number(session: pytest.Session) -> int:
    option, plugins = session.config.option, session.config.pluginmanager
    if sys.platform != "linux" or option.collectonly or option.usepdb or option.capture == "no":
        return 1
    if session.testsfailed or plugins.has_plugin("part") or plugins.has_plugin("mutants"):
        return 1
    if any(item.get_closest_marker(mark) for item in session.items for mark in SHARED):
        return 1
    asked = os.environ.get(ENVIRONMENT)
    if asked is None and len(session.items) < FEWEST_TESTS:
        return 1
    return int(asked) if asked else 2 * len(os.sched_getaffinity(0))


def _place(item: pytest.Item) -> Path:
    return item.path.parent if item.path.parent.name in TOGETHER else item.path


class Fork:
    """A process that runs tests, and what it has told of them so far.

    It tells by a file: a pipe would hold it up while nobody reads.
    """

    def __init__(
        self, session: pytest.Session, groups: list[list[pytest.Item]], waiting: int
    ) -> None:
        self._session = session
        self._results: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._read = 0
        self._test = ""
        self.pid = os.fork()
        if self.pid == 0:
            _run(session, groups, waiting, self._results.fileno())

    def report(self) -> bool:
        """Report what has come out since; whether there may be more.

        Raises:
            Failed: the session is to end after a failure.
        """
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        for kind, given in self._lines():
            if kind == "test":
                self._test = given
                continue
            if isinstance(given["longrepr"], list):
                given["longrepr"] = tuple(given["longrepr"])  # as a skip has it; JSON has none
            hook = self._session.config.hook
            result = hook.pytest_report_from_serializable(config=self._session.config, data=given)
            hook.pytest_runtest_logreport(report=result)
            if self._session.shouldfail:
                raise self._session.Failed(self._session.shouldfail)
        if not ended:
            return True
        self._results.close()
        if status:
            code = os.waitstatus_to_exitcode(status)
            pytest.exit(f"a process of tests ended with {code} in {self._test}", 1)
        return False

    def kill(self) -> None:
        """End the process, if it has not ended."""
        if os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)

    def _lines(self) -> list[Any]:
        size = os.fstat(self._results.fileno()).st_size
        octets = os.pread(self._results.fileno(), size - self._read, self._read)
        whole = octets[: octets.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Teller:
    """Keeps the reports of a fork until its file of tests has ended."""

    def __init__(self, config: pytest.Config, results: int) -> None:
        self._config = config
        self._results = results
        self._kept: list[bytes] = []

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Tell which test runs, for the case that it ends the process."""
        os.write(self._results, _line("test", nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report, but for a setup or teardown that passed and that no list needs."""
        option = self._config.option
        silent = report.when != "call" and report.passed and not report.sections
        if silent and option.durations is None and option.xmlpath is None:
            return
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._kept.append(_line("report", data))

    def tell(self) -> None:
        """Tell what was kept."""
        rest = memoryview(b"".join(self._kept))
        while rest:
            rest = rest[os.write(self._results, rest) :]
        self._kept.clear()


def _line(kind: str, given: object) -> bytes:
    return json.dumps([kind, given]).encode() + b"\n"


def _run(
    session: pytest.Session, groups: list[list[pytest.Item]], waiting: int, results: int
) -> NoReturn:
    """Be a fork: run groups until none waits."""
    status = 1
    plugins = session.config.pluginmanager
    capture: Any = plugins.getplugin("capturemanager")
    try:
        capture.stop_global_capturing()
        capture.start_global_capturing()  # into files of its own
        plugins.unregister(name="terminalreporter")
        teller = Teller(session.config, results)
        plugins.register(teller)
        while index := os.read(waiting, INDEX_BYTES):
            _run_group(session, groups[int.from_bytes(index, "big")])
            teller.tell()
            if session.shouldfail or session.shouldstop:
                break
        session._setupstate.teardown_exact(None)
        status = 0
    except BaseException:
        capture.suspend_global_capture()
        traceback.print_exc()
    finally:
        os._exit(status)


def _run_group(session: pytest.Session, items: list[pytest.Item]) -> None:
    # Behind the last one only what belongs to the whole session stays: who is next is not known.
    for item, following in zip(items, [*items[1:], session], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail or session.shouldstop:
            return
