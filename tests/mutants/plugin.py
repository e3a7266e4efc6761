"""A plugin of pytest that collects the tests once, and runs some in a fork for every mutant.

The mutant's functions get the code of the changed file, so that a mutant costs no start and no
import. What a file does while it is imported cannot be changed afterwards: such a mutant is given
back, for a run of its own. The orders and the answers are lines of JSON on two descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tests.mutants.changes import mutated

ORDERS = "NORNMAIL_MUTANT_ORDERS"
"""The two descriptors, and after them the files that may be mutated, with colons between."""
MEMORY_BYTES = 4 << 30
"""What the fork of a mutant may take: several times what the tests need."""
STARTS_PROCESSES = ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec")
"""Audit events of tests whose code runs in another process, where no line of it is seen."""
PAUSE = 0.005
"""Seconds between two looks at a fork."""
TEST_FACTOR = 10.0
"""How many times as long as without a mutant a test may take; then it counts as hanging."""
TEST_SECONDS = 20.0
"""Seconds that even the shortest test may take, on a machine that is busy."""
RUN_FACTOR = 5.0
"""The same for many tests in a row, of which hardly any is slower than before."""
RUN_SECONDS = 60.0
"""Seconds that even few tests may take."""

Seen = dict[str, set[int]]
"""Lines that ran, by file."""


class Lines:
    """Notes which lines of some files run, in every thread, and whether processes were started."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = frozenset(files)
        self._on = False
        self.seen: Seen = defaultdict(set)
        self.processes = False
        sys.addaudithook(self._audit)

    def start(self) -> None:
        self.seen, self.processes, self._on = defaultdict(set), False, True
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def stop(self) -> None:
        self._on = False
        sys.settrace(None)
        threading.settrace(None)

    def _audit(self, event: str, _arguments: tuple[object, ...]) -> None:
        if self._on and event in STARTS_PROCESSES:
            self.processes = True

    def _trace(self, frame: FrameType, _event: str, _argument: object) -> Any:
        name = frame.f_code.co_filename
        if name not in self._files:
            return None
        lines = self.seen[name]
        lines.add(frame.f_lineno)

        def note(inner: FrameType, _event: str, _argument: object) -> Any:
            lines.add(inner.f_lineno)
            return note

        return note


def pytest_configure(config: pytest.Config) -> None:
    """Take orders; in a process that has none, do nothing."""
    if _runner is not None:
        config.pluginmanager.register(_runner, "mutants")


class Runner:
    """The process that forks."""

    def __init__(self, orders: int, answers: int, files: list[str]) -> None:
        self._orders = open(orders, encoding="utf-8")  # noqa: SIM115
        self._answers = open(answers, "w", encoding="utf-8")  # noqa: SIM115
        self._lines = Lines(files)
        self._lines.start()
        self._imported: Seen = {}
        self._files = files
        self._functions: dict[str, list[FunctionType]] = {}
        self._items: dict[str, pytest.Item] = {}
        self._failed: list[str] = []
        self._said = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what fails."""
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Carry orders out until there are no more."""
        self._lines.stop()
        self._imported = self._lines.seen
        self._items = {item.nodeid: item for item in session.items}
        # Looked for once: there are a million objects.
        gc.unfreeze()
        self._functions = functions_of(self._files)
        gc.freeze()
        # Its end is an exception, so that no fork outlives it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        for line in self._orders:
            order = json.loads(line)
            work: Callable[[dict[str, Any]], object] = {
                "files": self._files_of_tests,
                "map": self._map,
                "run": self._run,
            }[order["do"]]
            self._answers.write(json.dumps(work(order)) + "\n")
            self._answers.flush()
        return True

    def _files_of_tests(self, _order: dict[str, Any]) -> object:
        return list(dict.fromkeys(name.partition("::")[0] for name in self._items))

    def _map(self, order: dict[str, Any]) -> object:
        """Run every test of a file as it is, and note for each which lines it runs."""
        own = f"{order['file']}::"
        items = [item for name, item in self._items.items() if name.startswith(own)]

        def look(results: Path) -> None:
            with results.open("w", encoding="utf-8") as file:
                for item, following in zip(items, [*items[1:], None], strict=True):
                    started = time.monotonic()
                    self._failed.clear()
                    self._lines.start()
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    self._lines.stop()
                    found = {
                        "test": item.nodeid,
                        "seconds": time.monotonic() - started,
                        "passes": not self._failed,
                        "processes": self._lines.processes,
                        "lines": {name: sorted(lines) for name, lines in self._lines.seen.items()},
                    }
                    file.write(json.dumps(found) + "\n")

        well = self._fork(look, order["seconds"])
        return [json.loads(line) for line in self._said.splitlines()] if well else []

    def _run(self, order: dict[str, Any]) -> object:
        """Run tests on a mutant, or on the code as it is, until one fails twice.

        A test that fails once and passes alone has seen how busy the machine is, not the mutant.

        Returns:
            The name of the test that failed, "" if none does, None if the mutant needs a run of its
            own.
        """
        file, number = order["file"], order["number"]
        fresh = None
        if number is not None:
            fresh = compile(mutated(order["source"], number), file, "exec", dont_inherit=True)
            before = compile(order["source"], file, "exec", dont_inherit=True)
            if not can_be_patched(before, fresh, self._imported.get(file, set())):
                return None

        def first_failure(tests: Sequence[tuple[str, float]]) -> int | None:
            return self._first_failure(file, fresh, tests)

        tests = order["tests"]
        while (at := first_failure(tests)) is not None:
            if first_failure(tests[at : at + 1]) is not None:
                return tests[at][0]
            tests = tests[at + 1 :]
        return ""

    def _first_failure(
        self, file: str, fresh: CodeType | None, tests: Sequence[tuple[str, float]]
    ) -> int | None:
        """The place of the first test that fails, hangs or ends its process."""
        if not tests:
            return None

        def look(results: Path) -> None:
            if fresh is not None:
                patch(self._functions[file], fresh)
            items = [self._items[test] for test, _ in tests]
            for at, item in enumerate(items):
                results.write_text(str(at), "ascii")
                limit = max(TEST_SECONDS, TEST_FACTOR * tests[at][1])
                os.environ["NORNMAIL_TEST_SECONDS"] = str(limit)
                following = items[at + 1] if at + 1 < len(items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._failed:
                    return
            results.write_text("", "ascii")

        seconds = max(RUN_SECONDS, RUN_FACTOR * sum(seconds for _, seconds in tests))
        well = self._fork(look, max(seconds, TEST_FACTOR * max(seconds for _, seconds in tests)))
        return None if well and not self._said else int(self._said or 0)

    def _fork(self, work: Callable[[Path], None], seconds: float) -> bool:
        """Whether a fork ended well in this time; what it wrote is kept.

        Nothing that it started outlives it.
        """
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        folder.chmod(0o755)  # a test may become another user
        results = folder / "results"
        child = os.fork()
        if child == 0:
            _be_child(work, results, folder)
        deadline = time.monotonic() + seconds
        try:
            while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
                time.sleep(PAUSE)
            self._said = results.read_text("utf-8") if results.exists() else ""
            return ended[0] == child and ended[1] == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            if not ended[0]:
                os.waitpid(child, 0)
            shutil.rmtree(folder, ignore_errors=True)


def _be_child(work: Callable[[Path], None], results: Path, folder: Path) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.environ["PYTEST_DEBUG_TEMPROOT"] = os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None
        work(results)
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        os._exit(status)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_function(code: CodeType) -> bool:
    return bool(code.co_flags & 0x2)  # CO_NEWLOCALS: the bodies of modules and classes lack it


def _own(code: CodeType) -> tuple[object, ...]:
    """What a code does, without the functions in it."""
    constants = [repr(one) for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars


def _by_place(code: CodeType) -> dict[tuple[str, int], CodeType]:
    return {(one.co_qualname, one.co_firstlineno): one for one in _codes(code)}


def can_be_patched(before: CodeType, after: CodeType, imported: set[int]) -> bool:
    """Whether only functions differ, of which none ran while the package was imported."""
    changed = _by_place(after)
    for place, code in _by_place(before).items():
        other = changed.get(place)
        if other is not None and _own(code) == _own(other):
            continue
        if not _is_function(code) or (other is not None and code.co_freevars != other.co_freevars):
            return False
        lines = {line for *_, line in code.co_lines() if line is not None}
        if (lines - {code.co_firstlineno}) & imported:
            return False
    return True


def functions_of(files: Sequence[str]) -> dict[str, list[FunctionType]]:
    """Every function there is of these files."""
    functions: dict[str, list[FunctionType]] = {file: [] for file in files}
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__code__.co_filename in functions:
            functions[function.__code__.co_filename].append(function)
    return functions


def patch(functions: Sequence[FunctionType], code: CodeType) -> None:
    """Give the functions of a file the code of the same name and line."""
    codes = _by_place(code)
    for function in functions:
        own = function.__code__
        function.__code__ = codes.get((own.co_qualname, own.co_firstlineno), own)


def _runner_of(order: str | None) -> Runner | None:
    """What carries orders out, and watches from now on which lines an import runs."""
    if order is None:
        return None
    orders, answers, *files = order.split(":")
    return Runner(int(orders), int(answers), files)


_runner = _runner_of(os.environ.pop(ORDERS, None))
