"""Mutation testing: one small change of the code at a time, and the tests that must notice it.

``nox -s mutants`` takes the rooms that keep the delivery contract. First every test runs once, and
the lines that it runs are noted. Then a mutant runs against the tests that run its line, those that
differ most and the quickest first; one that all of them pass is a survivor, and one that fails a
test twice, which passes without it, is killed. Results are kept in
``.mutants/results.jsonl``, so that a run that was interrupted continues, and a changed file is
looked at anew.

    nox -s mutants                                     # every mutant of every room: hours
    nox -s mutants -- --sample 20                      # a sample, by a seed that is printed
    nox -s mutants -- --sample 20 --seed 7             # the same sample again
    nox -s mutants -- --room poller/ledger.py          # one room
    nox -s mutants -- --seconds 20                     # a first look: so many seconds of tests
    nox -s mutants -- --again                          # the survivors again, after a new test
    nox -s mutants -- --again --tests tests/stores     # the same, with these tests alone
    nox -s mutants -- --report                         # the table, without running anything
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path
from queue import Empty, Queue

from tests.mutants.accepted import ACCEPTED
from tests.mutants.changes import Mutant, mutants
from tests.mutants.runs import ROOT, Checkout, KnownTest, Result, digest_of_the_tree

RESULTS = ROOT / ".mutants" / "results.jsonl"
LINES = ROOT / ".mutants" / "lines.jsonl"
"""What the tests of each file run, as long as neither it nor the package changes."""
AIM = 92
"""Per cent of the mutants that the tests must kill."""

ROOMS = (
    "poller/ledger.py",
    "poller/delivery.py",
    "poller/discovery.py",
    "poller/uidvalidity.py",
    "poller/recognition.py",
    "poller/actions.py",
    "locks.py",
    "files.py",
    "stores/[!p]*.py",  # not PostgreSQL's, whose tests need a server
    "stores/protocol.py",
    "outbox/queue_runner.py",
    "outbox/transitions.py",
)
"""The rooms that keep the contract, as patterns of files in the package."""
TESTS = (
    "tests/poller",
    "tests/stores",
    "tests/outbox",
    "tests/settings/test_domains.py",
    "tests/model",
    "tests/kill",
    "tests/test_locks.py",
    "tests/imap/test_sent_mailbox.py",
)
"""The tests of these rooms."""


def files_of(patterns: list[str]) -> dict[str, str]:
    """The texts of the files that these patterns name, of those in the rooms; or of all rooms."""
    package = ROOT / "nornmail"
    names = {
        file.relative_to(package).as_posix()
        for pattern in patterns or ROOMS
        for file in package.glob(pattern)
    }
    names = {name for name in names if any(fnmatch(name, room) for room in ROOMS)}
    if not names:
        raise SystemExit(f"no file of a room: the rooms are {', '.join(ROOMS)}")
    return {name: (package / name).read_text("utf-8") for name in sorted(names)}


def earlier_results(file: Path) -> dict[str, Result]:
    """The results of earlier runs, by the keys of their mutants; the last of a key counts."""
    if not file.exists():
        return {}
    lines = file.read_text("utf-8").splitlines()
    results = [Result(**json.loads(line)) for line in lines]
    return {result.key: result for result in results}


def lines_of_tests(checkout: Checkout) -> list[KnownTest]:
    """What every test runs: as noted before, or noted now, file by file."""
    noted = {}
    if LINES.exists():
        for line in LINES.read_text("utf-8").splitlines():
            row = json.loads(line)
            noted[row["digest"]] = row["tests"]
    LINES.parent.mkdir(parents=True, exist_ok=True)
    tests: list[KnownTest] = []
    files = checkout.files()
    for number, file in enumerate(files, 1):
        digest = digest_of_the_tree(file)
        if digest not in noted:
            started = time.monotonic()
            ran = checkout.map(file)
            noted[digest] = [
                {**asdict(test), "lines": {path: sorted(at) for path, at in test.lines.items()}}
                for test in ran
            ]
            if ran:
                with LINES.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps({"digest": digest, "tests": noted[digest]}) + "\n")
            seconds = time.monotonic() - started
            print(f"{number}/{len(files)} {seconds:5.1f} s {len(ran)} pass: {file}", flush=True)
        tests += [
            KnownTest(
                **{**row, "lines": {name: frozenset(at) for name, at in row["lines"].items()}}
            )
            for row in noted[digest]
        ]
    return tests


class Work:
    """The mutants that wait, and the results that come."""

    def __init__(self, waiting: list[Mutant], tests: Sequence[str], seconds: float | None) -> None:
        self._tests = tests
        self._seconds = seconds
        self.count = len(waiting)
        self._waiting: Queue[Mutant] = Queue()
        for mutant in waiting:
            self._waiting.put(mutant)
        self.done: Queue[Result | BaseException] = Queue()
        self._first = threading.Lock()
        self._checkouts: list[Checkout] = []
        self._paths = sorted(files_of([]))

    def run(self) -> None:
        """One worker: a checkout of its own, and mutants until none wait."""
        try:
            with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
                checkout = Checkout(Path(folder), self._tests, self._paths)
                self._checkouts.append(checkout)
                with self._first:  # the others take what the first has noted
                    tests = lines_of_tests(checkout)
                with suppress(Empty):
                    while True:
                        mutant = self._waiting.get_nowait()
                        self.done.put(checkout.run(mutant, tests, self._seconds))
        except BaseException as error:
            self.done.put(error)

    def close(self) -> None:
        """End every process, although its mutant may still run."""
        for checkout in self._checkouts:
            checkout.close()


def run_all(work: Work, processes: int, file: Path, results: dict[str, Result]) -> None:
    """Run the mutants that wait, and write every result down as it comes."""
    count = work.count
    for _ in range(min(processes, count)):
        threading.Thread(target=work.run, daemon=True).start()
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(work), file.open("a", encoding="utf-8") as lines:
        for number in range(1, count + 1):
            result = work.done.get()
            if isinstance(result, BaseException):
                raise result
            results[result.key] = result
            lines.write(json.dumps(asdict(result)) + "\n")
            lines.flush()
            survived = "SURVIVED" if result.whole else "survived so far"
            verdict = f"killed by {result.by}" if result.by else survived
            print(f"{number}/{count} {result.seconds:5.1f} s {verdict}: {result.name}", flush=True)


def report(chosen: list[Mutant], results: dict[str, Result]) -> float:
    """Print the table and the survivors; the share of the mutants that were killed, in per cent."""
    ran: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    survivors: list[Mutant] = []
    for mutant in chosen:
        result = results.get(mutant.key)
        if result is None:
            continue
        ran[mutant.path] += 1
        if result.by:
            killed[mutant.path] += 1
        elif mutant.name in ACCEPTED:
            accepted[mutant.path] += 1
        else:
            survivors.append(mutant)
    print(f"\n{'file':32} {'mutants':>8} {'killed':>7} {'accepted':>9} {'share':>6}")
    for path in [*sorted(ran), ""]:
        total = ran[path] if path else sum(ran.values())
        dead = killed[path] if path else sum(killed.values())
        same = accepted[path] if path else sum(accepted.values())
        share = 100 * dead / max(1, total - same)
        print(f"{path or 'all':32} {total:8} {dead:7} {same:9} {share:5.1f}%")
    for mutant in survivors:
        print(f"survivor, line {mutant.lines[0]}: {mutant.name}")
    return share


def main() -> int:
    """Run what the command line asks for; 1 where fewer were killed than `AIM` wants."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--room", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants, by the seed")
    parser.add_argument("--seed", type=int, default=None, help="of the order and the sample")
    parser.add_argument("--tests", action="append", metavar="PATH", help="of all: only these")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="of tests for a mutant; it survives so far"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="the survivors of earlier runs")
    parser.add_argument("--report", action="store_true", help="print the table, run nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    options = parser.parse_args()
    files = files_of(options.room)
    chosen = [mutant for path, source in files.items() for mutant in mutants(path, source)]
    results = earlier_results(options.results)
    if options.report:
        report(chosen, results)
        return 0
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"{len(chosen)} mutants; seed {seed}", flush=True)
    random.Random(seed).shuffle(chosen)
    if options.sample is not None:
        chosen = chosen[: options.sample]
    waiting = []
    for mutant in chosen:
        result = results.get(mutant.key)
        survived = result is not None and not result.by and mutant.name not in ACCEPTED
        if survived if options.again else result is None:
            waiting.append(mutant)
    # Its end is an exception like that of Ctrl-C, so that no process of a mutant outlives it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if waiting:
        work = Work(waiting, options.tests or TESTS, options.seconds)
        run_all(work, options.processes, options.results, results)
    share = report(chosen, results)
    return 0 if options.sample is not None or share >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
