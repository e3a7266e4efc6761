"""Mutation testing: one small change of the code at a time, and the tests that must notice it.

``nox -s mutants`` takes the rooms that keep the delivery contract. Every mutant is run against the
test folders of its room in a copy of the checkout, the fastest folder first; a mutant that all of
them pass is a survivor. Results are kept in ``.mutants/results.jsonl``, so that a run that was
interrupted continues, and a changed file is looked at anew.

    nox -s mutants                                     # every mutant of every room: hours
    nox -s mutants -- --sample 20                      # a sample, by a seed that is printed
    nox -s mutants -- --sample 20 --seed 7             # the same sample again
    nox -s mutants -- --room poller/ledger.py          # one room
    nox -s mutants -- --again                          # the survivors again, after a new test
    nox -s mutants -- --report                         # the table, without running anything
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from queue import Empty, Queue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".mutants" / "results.jsonl"
AIM = 92
"""Per cent of the mutants that the tests must kill."""

ROOMS: dict[str, tuple[str, ...]] = {
    "poller/ledger.py": ("tests/poller/delivery", "tests/model", "tests/kill", "tests/poller"),
    "poller/delivery.py": ("tests/poller/delivery", "tests/model", "tests/poller", "tests/kill"),
    "poller/discovery.py": ("tests/poller/delivery", "tests/model", "tests/poller"),
    "poller/uidvalidity.py": ("tests/poller/delivery", "tests/model", "tests/poller"),
    "poller/recognition.py": ("tests/poller/test_recognition.py", "tests/poller", "tests/model"),
    "poller/actions.py": ("tests/poller/delivery", "tests/model", "tests/kill", "tests/poller"),
    "stores/*.py": ("tests/stores", "tests/poller/delivery", "tests/kill", "tests/outbox"),
    "outbox/queue_runner.py": ("tests/outbox", "tests/kill", "tests/poller"),
    "outbox/transitions.py": ("tests/outbox", "tests/kill", "tests/poller"),
}
"""The rooms, as patterns of files in the package, and the tests of each, the best first."""

ACCEPTED: dict[str, str] = {}
"""Survivors that mean the same as the code, by `Mutant.name`, each with the reason."""

PATIENCE = 3.0
"""How many times as long as without a mutant the tests may take; then they count as hanging."""
LEAST_PATIENCE = 30.0
"""Seconds that even the shortest tests may take, on a machine that is busy."""

RUNNING: set[subprocess.Popen[bytes]] = set()
"""The tests that run now, to be ended with this process."""

IGNORED = shutil.ignore_patterns(
    *(".git", ".nox", ".venv", ".mypy_cache", ".ruff_cache", ".mutants", "__pycache__", "build"),
    *("venv", "*.egg-info", "dist"),
)


# ---- Mutations: the places of a syntax tree that can be changed, and how.


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: the file, relative to the package.
        line: where the change is.
        name: the file, the function or class, and the change in words. It stays the same when
            other lines of the file change.
        key: the key in the results: another one once the file changes.
        number: which change of the file it is.
    """

    path: str
    line: int
    name: str
    key: str
    number: int


class Change(NamedTuple):
    """A change in words, its line, and the function that makes it in the tree."""

    words: str
    line: int
    act: Callable[[], object]


OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
}
NEIGHBOURS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


def changes(node: ast.AST) -> Iterator[Change]:
    """The changes that can be made to one node of a tree."""
    for name, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield from _of_block(value)
        if name == "test":
            yield from _of_condition(node, value)
    match node:
        case ast.Compare(ops=[operator]):
            for table in (OPPOSITES, NEIGHBOURS):
                other = table.get(type(operator))
                if other is not None:
                    turned = ast.Compare(node.left, [other()], node.comparators)
                    words = f"{_text(node)} -> {_text(turned)}"
                    yield Change(words, node.lineno, _set(node, "ops", [other()]))
        case ast.BoolOp(values=values):
            for index in range(len(values)):
                # A BoolOp of one operand is that operand when it is written out.
                rest = [*values[:index], *values[index + 1 :]]
                kept = ast.BoolOp(node.op, rest)
                words = f"{_text(node)} -> {_text(kept)}"
                yield Change(words, node.lineno, _set(node, "values", rest))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            words = f"{_text(node)} -> {_text(operand)}"
            yield Change(words, node.lineno, _set(node, "operand", ast.UnaryOp(ast.Not(), operand)))
        case ast.Return(value=ast.Constant(value=bool() as value)):
            flag = _set(node, "value", ast.Constant(not value))
            yield Change(f"return {value} -> {not value}", node.lineno, flag)
        case ast.keyword(arg=str(), value=ast.Constant(value=bool() as value)):
            flag = _set(node, "value", ast.Constant(not value))
            yield Change(f"{node.arg}={value} -> {not value}", node.lineno, flag)
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            positional = positional[len(positional) - len(node.defaults) :]
            yield from _of_defaults(node.defaults, [arg.arg for arg in positional])
            yield from _of_defaults(node.kw_defaults, [arg.arg for arg in node.kwonlyargs])
        case ast.BinOp(op=ast.Add() | ast.Sub()) if not _is_text(node):
            other_sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            turned_sum = ast.BinOp(node.left, other_sign, node.right)
            words = f"{_text(node)} -> {_text(turned_sum)}"
            yield Change(words, node.lineno, _set(node, "op", other_sign))


def _of_block(block: list[ast.stmt]) -> Iterator[Change]:
    for index, statement in enumerate(block):
        line = statement.lineno
        if _can_be_dropped(statement):
            gone = _replace(block, index, [ast.Pass()])
            yield Change(f"{_text(statement)} dropped", line, gone)
        if index and _acts(statement) and _acts(block[index - 1]):
            words = f"{_text(block[index - 1])} and {_text(statement)} swapped"
            swapped = _replace(block, index - 1, [statement, block[index - 1]])
            yield Change(words, line, swapped)


def _can_be_dropped(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Attribute(attr=attribute)], value=ast.Name(id=argument)):
            # An argument that is only kept: without it nothing runs at all.
            return attribute.lstrip("_") != argument
        case ast.Assign(targets=[ast.Attribute()]) | ast.AugAssign() | ast.Raise():
            return True
        case ast.Expr(value=ast.Call()):
            return True
    return False


def _acts(statement: ast.stmt) -> bool:
    """Whether the statement calls something for its effect, or sets an attribute."""
    match statement:
        case ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Attribute()]):
            return True
    return False


def _of_condition(node: ast.AST, test: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Assert) or _text(test) == "TYPE_CHECKING":
        return
    for value in (True, False):
        if isinstance(node, ast.While) and value:
            continue  # it would only hang
        if isinstance(test, ast.Constant):
            continue
        constant = _set(node, "test", ast.Constant(value))
        yield Change(f"if {_text(test)} -> if {value}", test.lineno, constant)


def _of_defaults(defaults: Sequence[ast.expr | None], names: list[str]) -> Iterator[Change]:
    for name, default in zip(names, defaults, strict=True):
        if not isinstance(default, ast.Constant):
            continue
        value = default.value
        if isinstance(value, bool):
            other: bool | int | float = not value
        elif isinstance(value, int | float):
            other = value + 1
        else:
            continue
        words = f"default {name}={value!r} -> {other!r}"
        yield Change(words, default.lineno, _set(default, "value", other))


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in (node.left, node.right)
    )


def _set(node: ast.AST, field: str, value: object) -> Callable[[], object]:
    return lambda: setattr(node, field, value)


def _replace(block: list[ast.stmt], index: int, new: list[ast.stmt]) -> Callable[[], object]:
    def act() -> None:
        block[index : index + len(new)] = new

    return act


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def mutants(path: str, source: str) -> list[Mutant]:
    """Every mutant of one file, in the order of its text."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    names: Counter[str] = Counter()
    found = []
    for number, (place, change) in enumerate(_all_changes(ast.parse(source))):
        name = f"{path} {place}: {change.words}"
        names[name] += 1
        if names[name] > 1:
            name += f" ({names[name]})"
        found.append(Mutant(path, change.line, name, f"{digest} {name}", number))
    return found


def mutated(source: str, number: int) -> str:
    """The text of a file after change ``number``, without its comments."""
    tree = ast.parse(source)
    for at, (_, change) in enumerate(_all_changes(tree)):
        if at == number:
            change.act()
            return ast.unparse(ast.fix_missing_locations(tree))
    raise IndexError(number)


def _all_changes(tree: ast.AST) -> Iterator[tuple[str, Change]]:
    for place, node in _nodes(tree):
        for change in changes(node):
            yield place, change


def _nodes(tree: ast.AST, place: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node that runs, with the function or class that it is in; annotations do not run."""
    yield place or "module", tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _nodes(child, f"{place}.{child.name}".lstrip("."))
            elif isinstance(child, ast.AST):
                yield from _nodes(child, place)


# ---- Running the tests against a mutant.


@dataclass(frozen=True)
class Result:
    """A mutant's end.

    Attributes:
        by: the tests that noticed it; "" where none did.
        seconds: how long that took.
    """

    key: str
    name: str
    line: int
    by: str
    seconds: float


class Checkout:
    """A copy of the checkout, in which one process at a time runs one mutant at a time."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "checkout"
        shutil.copytree(ROOT, self._root, ignore=IGNORED)
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(self._root),
            "PYTHONHASHSEED": "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def passes(self, tests: str, seconds: float | None = None) -> bool:
        """Whether the tests pass within ``seconds``. The whole group of processes ends with it."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests]
        process = subprocess.Popen(
            [*command, "-p", "nornmail.pytest_plugin"],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        RUNNING.add(process)
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError):  # it has ended, and everything that it started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            RUNNING.discard(process)

    def run(self, mutant: Mutant, limits: dict[str, float]) -> Result:
        """Run the tests of the mutant's room until one of them notices it."""
        file = self._root / "nornmail" / mutant.path
        original = file.read_text("utf-8")
        started = time.monotonic()
        by = ""
        try:
            self._write(file, mutated(original, mutant.number))
            for tests in fitting_tests(mutant.path):
                if not self.passes(tests, limits[tests]):
                    by = tests
                    break
        finally:
            self._write(file, original)
        return Result(mutant.key, mutant.name, mutant.line, by, time.monotonic() - started)

    @staticmethod
    def _write(file: Path, source: str) -> None:
        file.write_text(source, "utf-8")
        # The cache goes by seconds and sizes, and a mutant may have both of the file before it.
        for cached in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            cached.unlink()


def fitting_tests(path: str) -> tuple[str, ...]:
    """The tests of the room that this file of the package is in."""
    return next(tests for pattern, tests in ROOMS.items() if fnmatch(path, pattern))


def limits(checkout: Checkout, paths: set[str]) -> dict[str, float]:
    """How long each folder of tests may take; they must pass where nothing is mutated."""
    found: dict[str, float] = {}
    for tests in sorted({tests for path in paths for tests in fitting_tests(path)}):
        started = time.monotonic()
        if not checkout.passes(tests):
            raise SystemExit(f"{tests} fails without a mutant: run it by itself first")
        seconds = time.monotonic() - started
        found[tests] = max(PATIENCE * seconds, LEAST_PATIENCE)
        print(f"{tests}: {seconds:.0f} s", flush=True)
    return found


def work(waiting: Queue[Mutant], done: Queue[Result | BaseException]) -> None:
    """One worker: a checkout of its own, and mutants until none wait."""
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            checkout = Checkout(Path(folder))
            allowed = limits(checkout, {mutant.path for mutant in list(waiting.queue)})
            while True:
                try:
                    mutant = waiting.get_nowait()
                except Empty:
                    return
                done.put(checkout.run(mutant, allowed))
    except BaseException as error:
        done.put(error)


# ---- The results, and the table of survivors.


def earlier_results(file: Path) -> dict[str, Result]:
    """The results of earlier runs, by the keys of their mutants; the last of a key counts."""
    if not file.exists():
        return {}
    lines = file.read_text("utf-8").splitlines()
    results = [Result(**json.loads(line)) for line in lines]
    return {result.key: result for result in results}


def chosen_mutants(patterns: list[str]) -> list[Mutant]:
    """The mutants of the rooms that these patterns name, or of all."""
    package = ROOT / "nornmail"
    files = {
        file
        for pattern in patterns or ROOMS
        for file in package.glob(pattern)
        if any(fnmatch(file.relative_to(package).as_posix(), room) for room in ROOMS)
    }
    if not files:
        raise SystemExit(f"no file of a room: the rooms are {', '.join(ROOMS)}")
    return [
        mutant
        for file in sorted(files)
        for mutant in mutants(file.relative_to(package).as_posix(), file.read_text("utf-8"))
    ]


def report(chosen: list[Mutant], results: dict[str, Result]) -> float:
    """Print the table and the survivors; the share of the mutants that were killed, in per cent."""
    ran: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    survivors: list[Mutant] = []
    for mutant in chosen:
        result = results.get(mutant.key)
        if result is None:
            continue
        ran[mutant.path] += 1
        if result.by or mutant.name in ACCEPTED:
            killed[mutant.path] += 1
        else:
            survivors.append(mutant)
    print(f"\n{'file':32} {'mutants':>8} {'killed':>7} {'share':>6}")
    for path in sorted(ran):
        share = 100 * killed[path] / ran[path]
        print(f"{path:32} {ran[path]:8} {killed[path]:7} {share:5.1f}%")
    total = sum(ran.values())
    share = 100 * sum(killed.values()) / total if total else 100.0
    print(f"{'all':32} {total:8} {sum(killed.values()):7} {share:5.1f}%")
    for mutant in survivors:
        print(f"survivor, line {mutant.line}: {mutant.name}")
    return share


def main() -> int:
    """Run what the command line asks for; 1 where fewer were killed than `AIM` wants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--room", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants, by the seed")
    parser.add_argument("--seed", type=int, default=None, help="of the order and the sample")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="the survivors of earlier runs")
    parser.add_argument("--report", action="store_true", help="print the table, run nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    options = parser.parse_args()
    chosen = chosen_mutants(options.room)
    results = earlier_results(options.results)
    if options.report:
        report(chosen, results)
        return 0
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"{len(chosen)} mutants; seed {seed}", flush=True)
    random.Random(seed).shuffle(chosen)
    if options.sample is not None:
        chosen = chosen[: options.sample]
    waiting: Queue[Mutant] = Queue()
    for mutant in chosen:
        result = results.get(mutant.key)
        if result is None or (options.again and not result.by and mutant.name not in ACCEPTED):
            waiting.put(mutant)
    # Its end is an exception like that of Ctrl-C, so that no process of a mutant outlives it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run_all(waiting, options.processes, options.results, results)
    finally:
        for process in list(RUNNING):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    share = report(chosen, results)
    return 0 if options.sample is not None or share >= AIM else 1


def run_all(waiting: Queue[Mutant], processes: int, file: Path, results: dict[str, Result]) -> None:
    """Run the mutants that wait, and write every result down as it comes."""
    count = waiting.qsize()
    if not count:
        return
    done: Queue[Result | BaseException] = Queue()
    for _ in range(min(processes, count)):
        threading.Thread(target=work, args=(waiting, done), daemon=True).start()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        for number in range(1, count + 1):
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            results[result.key] = result
            lines.write(json.dumps(asdict(result)) + "\n")
            lines.flush()
            verdict = f"killed by {result.by}" if result.by else "SURVIVED"
            print(f"{number}/{count} {result.seconds:5.1f} s {verdict}: {result.name}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
