"""Running the tests against mutants: a copy of the checkout, and the tests that fit a mutant."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mutants.changes import Lines, Mutant, mutated
from tests.mutants.plugin import ORDERS

ROOT = Path(__file__).resolve().parents[2]
IGNORED = shutil.ignore_patterns(
    *(".git", ".nox", ".venv", ".mypy_cache", ".ruff_cache", ".mutants", "__pycache__", "build"),
    ".bytecode",
    *("venv", "*.egg-info", "dist"),
)
TEST_SECONDS = 30
"""Seconds after which a test on a mutant hangs. The slowest test of these rooms takes five."""
PATIENCE = 4.0
"""How many times as long as without a mutant the tests may take; then they count as hanging."""
LEAST_PATIENCE = 60.0
"""Seconds that even the shortest tests may take, on a machine that is busy."""
MAP_SECONDS = 1800.0
"""Seconds for all tests once, with every line noted."""
END_SECONDS = 5.0
"""Seconds in which a process that is ended ends its own forks."""
FIRST_OF_A_FILE = 2
"""How many tests of each file run before the rest: the quickest."""


@dataclass(frozen=True)
class Result:
    """A mutant's end.

    Attributes:
        by: the test that noticed it; "" where none did.
        seconds: how long that took.
    """

    key: str
    name: str
    line: int
    by: str
    seconds: float


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

    def runs(self, path: str, lines: Lines) -> bool:
        """Whether it runs any of these lines."""
        return any(lines[0] <= line <= lines[1] for line in self.lines.get(path, ()))

    @property
    def file(self) -> str:
        return self.name.partition("::")[0]


def fitting_tests(tests: Sequence[KnownTest], mutant: Mutant) -> list[KnownTest]:
    """The tests that run the mutant's lines, the quickest of each file first.

    Tests whose code runs in processes of their own come last, of the files that have to do with
    that file of the package, or run nothing themselves. Where no test runs the lines
    themselves, as with those of an import, the function's, class's or file's tests fit.
    """
    hits: list[KnownTest] = []
    for lines in (mutant.lines, mutant.around, (1, sys.maxsize)):
        hits = hits or [test for test in tests if test.runs(mutant.path, lines)]
    files: dict[str, list[KnownTest]] = defaultdict(list)
    for test in hits:
        files[test.file].append(test)
    first = [
        test
        for group in files.values()
        for test in sorted(group, key=lambda test: test.seconds)[:FIRST_OF_A_FILE]
    ]
    first.sort(key=lambda test: test.seconds)
    by_speed = sorted(files.values(), key=lambda group: sum(test.seconds for test in group))
    rest = [test for group in by_speed for test in group]
    near = {test.file for test in tests if mutant.path in test.lines}
    near |= {test.file for test in tests} - {test.file for test in tests if test.lines}
    elsewhere = [test for test in tests if test.processes and test.file in near]
    return list(dict.fromkeys([*first, *(test for test in rest if not test.processes), *elsewhere]))


class Checkout:
    """A copy of the checkout, in which one process at a time runs one mutant at a time."""

    def __init__(self, folder: Path, tests: Sequence[str], paths: Sequence[str]) -> None:
        self._root = folder / "checkout"
        shutil.copytree(ROOT, self._root, ignore=IGNORED)
        self._serial = 0
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self._root),
            "PYTHONHASHSEED": "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "NORNMAIL_TEST_SECONDS": str(TEST_SECONDS),
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

    def map(self) -> tuple[list[KnownTest], list[str]]:
        """Run every test: what each of them runs, and the names of those that fail as it is."""
        found = self._ask(do="map", seconds=MAP_SECONDS)["tests"]
        if not found:
            raise SystemExit("the tests did not end without a mutant: run them by themselves")
        package = f"{self._root}/nornmail/"
        processes = {test["test"].partition("::")[0] for test in found if test["processes"]}
        tests = [
            KnownTest(
                test["test"],
                test["seconds"],
                test["test"].partition("::")[0] in processes,
                {
                    name.removeprefix(package): frozenset(lines)
                    for name, lines in test["lines"].items()
                },
            )
            for test in found
            if test["passes"]
        ]
        return tests, [test["test"] for test in found if not test["passes"]]

    def run(self, mutant: Mutant, tests: Sequence[KnownTest]) -> Result:
        """Run the fitting tests until one of them notices the mutant."""
        file = self._root / "nornmail" / mutant.path
        original, times = file.read_text("utf-8"), file.stat()
        started = time.monotonic()
        fitting = fitting_tests(tests, mutant)
        names = [test.name for test in fitting]
        seconds = max(LEAST_PATIENCE, PATIENCE * sum(test.seconds for test in fitting))
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
                tests=names,
                seconds=seconds,
            )
            if by is None:
                by = self._run_afresh(names, seconds)
        finally:
            file.write_text(original, "utf-8")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        return Result(mutant.key, mutant.name, mutant.lines[0], by, time.monotonic() - started)

    def _ask(self, **order: Any) -> Any:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        answer = self._answers.readline()
        if not answer:
            raise SystemExit("the process that runs the tests has ended: do they collect?")
        return json.loads(answer)

    def _run_afresh(self, names: Sequence[str], seconds: float) -> str:
        if not names:
            return ""
        chosen = self._root / "chosen-tests"
        chosen.write_text("\n".join(names), "utf-8")
        process = self._start("-x", f"@{chosen}", stdout=subprocess.PIPE)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return "a time limit, or a crash"
        finally:
            _end(process)
        failed = [line.split()[1] for line in said.splitlines() if line.startswith("FAILED ")]
        return "" if process.returncode == 0 else (failed or ["an error of the import"])[0]

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


def digest_of_the_tree() -> str:
    """A digest of the package and its tests; what was noted of the tests holds for one digest."""
    digest = hashlib.sha256()
    for folder in ("nornmail", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()
