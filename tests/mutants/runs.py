"""Running the tests against mutants: a copy of the checkout, and the tests that fit a mutant."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.mutants.changes import Lines, Mutant, mutated
from tests.mutants.plugin import ORDERS, RUN_FACTOR

ROOT = Path(__file__).resolve().parents[2]
IGNORED = shutil.ignore_patterns(
    *(".git", ".nox", ".venv", ".mypy_cache", ".ruff_cache", ".mutants", "__pycache__", "build"),
    ".bytecode",
    *("venv", "*.egg-info", "dist"),
)
START_SECONDS = 120.0
"""Seconds for the start of a process of its own, with all that its tests import."""
MAP_SECONDS = 900.0
"""Seconds for the tests of one file, with every line noted."""
FIRST_AFRESH = 30
"""How many tests a process of its own runs, before another one runs the rest."""
A_TIME_LIMIT = "a time limit"
AN_IMPORT = "an error of the import"
"""What notices a mutant, where it is no test."""
END_SECONDS = 5.0
"""Seconds in which a process that is ended ends its own forks."""


@dataclass(frozen=True)
class Result:
    """A mutant's end.

    Attributes:
        by: the test that noticed it; "" where none did.
        seconds: how long that took.
        whole: whether all fitting tests could run; no, where they are limited in time.
    """

    key: str
    name: str
    line: int
    by: str
    seconds: float
    whole: bool = True


@dataclass(frozen=True, eq=False)
class KnownTest:
    """What is known of a test that passes without a mutant.

    Attributes:
        name: as pytest has it.
        processes: whether its file starts processes, of which no line is seen.
        lines: those that it runs, by file of the package.
    """

    name: str
    seconds: float
    processes: bool
    lines: dict[str, frozenset[int]]

    def way(self, path: str, lines: Lines) -> frozenset[int]:
        """Which of these lines it runs."""
        return frozenset(at for at in self.lines.get(path, ()) if lines[0] <= at <= lines[1])

    @property
    def file(self) -> str:
        return self.name.partition("::")[0]


EVERYWHERE: Lines = (1, sys.maxsize)


def fitting_tests(tests: Sequence[KnownTest], mutant: Mutant) -> list[KnownTest]:
    """The tests that run the mutant's lines, those first that differ most, the quickest of alike.

    First one for each way through the function, then one of each file, one for each way through the
    file of the package, and the rest. Tests whose code runs in processes of their own come last, of
    the files that have to do with that file of the package, or run nothing themselves. Where no
    test runs the lines themselves, as with those of an import, the function's, class's or file's
    tests fit.
    """
    hits: list[KnownTest] = []
    for lines in (mutant.lines, mutant.around, EVERYWHERE):
        hits = hits or [test for test in tests if test.way(mutant.path, lines)]
    hits.sort(key=lambda test: test.seconds)
    kinds: tuple[Callable[[KnownTest], object], ...] = (
        lambda test: test.way(mutant.path, mutant.around),
        lambda test: test.file,
        lambda test: test.way(mutant.path, EVERYWHERE),
        lambda test: test,
    )
    order: list[KnownTest] = []
    for kind in kinds:
        first: dict[object, KnownTest] = {}
        for test in hits:
            first.setdefault(kind(test), test)
        order += first.values()
    near = {test.file for test in tests if mutant.path in test.lines}
    near |= {test.file for test in tests} - {test.file for test in tests if test.lines}
    elsewhere = [test for test in tests if test.processes and test.file in near]
    return list(dict.fromkeys([*(test for test in order if not test.processes), *elsewhere]))


def limited(tests: Sequence[KnownTest], seconds: float | None) -> list[KnownTest]:
    """As many of these tests as take so many seconds without a mutant, and at least one."""
    if seconds is None:
        return list(tests)
    chosen: list[KnownTest] = []
    for test in tests:
        seconds -= test.seconds
        if seconds < 0 and chosen:
            break
        chosen.append(test)
    return chosen


class Checkout:
    """A copy of the checkout, in which one process at a time runs one mutant at a time."""

    def __init__(self, folder: Path, tests: Sequence[str], paths: Sequence[str]) -> None:
        self._root = folder / "checkout"
        shutil.copytree(ROOT, self._root, ignore=IGNORED)
        self._serial = 0
        self._steady: dict[str, bool] = {}
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self._root),
            "PYTHONHASHSEED": "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        theirs, ours = os.pipe()
        answers, their_answers = os.pipe()
        files = [str(self._root / "nornmail" / path) for path in paths]
        self._process = self._start(
            *tests,
            environment={ORDERS: ":".join([str(theirs), str(their_answers), *files])},
            pass_fds=(theirs, their_answers),
            stdout=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(their_answers)
        self._orders = open(ours, "w", encoding="utf-8")  # noqa: SIM115
        self._answers = open(answers, encoding="utf-8")  # noqa: SIM115

    def close(self) -> None:
        """End the process, and everything that it started."""
        _end(self._process)
        self._answers.close()
        with suppress(BrokenPipeError):
            self._orders.close()

    def files(self) -> list[str]:
        """The files of the tests."""
        return list(self._ask(do="files"))

    def map(self, file: str) -> list[KnownTest]:
        """Run every test of a file: what each of them runs, without those that fail as it is."""
        ran = self._ask(do="map", file=file, seconds=MAP_SECONDS)
        package = f"{self._root}/nornmail/"
        processes = any(test["processes"] for test in ran)
        return [
            KnownTest(
                test["test"],
                test["seconds"],
                processes,
                {
                    name.removeprefix(package): frozenset(lines)
                    for name, lines in test["lines"].items()
                },
            )
            for test in ran
            if test["passes"]
        ]

    def run(
        self, mutant: Mutant, tests: Sequence[KnownTest], seconds: float | None = None
    ) -> Result:
        """Run the fitting tests until one of them notices the mutant.

        Args:
            mutant: what is changed.
            tests: all that are known.
            seconds: how long the tests may take without the mutant, or ``None`` for all of them.
        """
        started = time.monotonic()
        fitting = fitting_tests(tests, mutant)
        chosen = limited(fitting, seconds)
        whole = len(chosen) == len(fitting)
        by = self._first_to_notice(mutant, chosen)
        while by and not self._is_steady(by):
            chosen = [test for test in chosen if test.name != by]
            by = self._first_to_notice(mutant, chosen)
        return Result(
            mutant.key, mutant.name, mutant.lines[0], by, time.monotonic() - started, whole
        )

    def _first_to_notice(self, mutant: Mutant, tests: Sequence[KnownTest]) -> str:
        file = self._root / "nornmail" / mutant.path
        original, times = file.read_text("utf-8"), file.stat()
        try:
            # For processes that the tests start. Python's cache goes by seconds and sizes, and a
            # mutant may have both of the file before it: each has a time of its own.
            file.write_text(ast.unparse(mutated(original, mutant.number)), "utf-8")
            self._serial += 1
            os.utime(file, (self._serial, self._serial))
            by = self._ask(
                do="run",
                file=str(file),
                source=original,
                number=mutant.number,
                tests=[(test.name, test.seconds) for test in tests],
            )
            return self._first_afresh(tests) if by is None else str(by)
        finally:
            file.write_text(original, "utf-8")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _is_steady(self, name: str) -> bool:
        """Whether a test that noticed something passes without a mutant, today and here."""
        if name in (A_TIME_LIMIT, AN_IMPORT):
            return True
        if name not in self._steady:
            order = {"do": "run", "file": "", "source": "", "number": None, "tests": [(name, 1.0)]}
            self._steady[name] = not self._ask(**order)
        return self._steady[name]

    def _ask(self, **order: Any) -> Any:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        answer = self._answers.readline()
        if not answer:
            raise SystemExit("the process that runs the tests has ended: do they collect?")
        return json.loads(answer)

    def _first_afresh(self, tests: Sequence[KnownTest]) -> str:
        """Run tests in a process of its own, which imports the mutant, until one fails."""
        for part in (tests[:FIRST_AFRESH], tests[FIRST_AFRESH:]):
            if part and (by := self._fails_afresh(part)):
                again = [test for test in part if test.name == by] or part
                if self._fails_afresh(again):
                    return by
        return ""

    def _fails_afresh(self, tests: Sequence[KnownTest]) -> str:
        chosen = self._root / "chosen-tests"
        chosen.write_text("\n".join(test.name for test in tests), "utf-8")
        process = self._start("-x", f"@{chosen}", stdout=subprocess.PIPE)
        try:
            said, _ = process.communicate(
                timeout=START_SECONDS + RUN_FACTOR * sum(test.seconds for test in tests)
            )
        except subprocess.TimeoutExpired:
            return A_TIME_LIMIT
        finally:
            _end(process)
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", said, re.MULTILINE)
        return "" if process.returncode == 0 else (failed or [AN_IMPORT])[0]

    def _start(
        self, *arguments: str, environment: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider"]
        return subprocess.Popen(
            [*command, "-p", "tests.mutants.plugin", "-p", "nornmail.pytest_plugin", *arguments],
            cwd=self._root,
            env={**self._environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            **options,
        )


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def digest_of_the_tree(file: str) -> str:
    """A digest of the package, of what several tests share, and of a file of tests.

    Args:
        file: relative to the checkout.
    """
    digest = hashlib.sha256()
    for path in [*_sources(), ROOT / file]:
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def _sources() -> list[Path]:
    package = sorted((ROOT / "nornmail").rglob("*.py"))
    support = [
        path
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if not path.name.startswith("test_") and path.parent != Path(__file__).parent
    ]
    return package + support
