"""Tests in several processes tell what they would tell in one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.suite import run_pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

SUITE = """
import os
import pytest

@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    yield "made once"
    (tmp_path_factory.getbasetemp().parent / f"ended-{os.getpid()}").touch()

@pytest.fixture(scope="module")
def module(whole):
    return whole

def test_good(whole, module, tmp_path):
    assert (whole, list(tmp_path.iterdir())) == ("made once", [])

@pytest.mark.parametrize("number", [1, 2])
def test_bad(number, module):
    print("printed by", number)
    os.write(1, b"written by %d" % number)
    assert number == 1

@pytest.mark.skip(reason="of this reason")
def test_skipped():
    pass
"""
PLUGIN = ("-p", "tests.support.processes", "-p", "tests.support.watchdog")


def run(directory: Path, *arguments: str, processes: int = 3) -> str:
    base = directory / "base" / "of it"
    base.parent.mkdir()
    arguments = (*PLUGIN, f"--basetemp={base}", *arguments)
    return run_pytest(directory, *arguments, NORNMAIL_TEST_PROCESSES=str(processes))


def test_every_report_comes_with_what_was_printed(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"test_{number}.py").write_text(SUITE)
    said = run(tmp_path, "-rs")
    assert "8 failed, 16 passed, 8 skipped" in said
    assert said.count("SKIPPED [1]") == 8
    assert said.count("printed by 2\n") == said.count("written by 2") == 8
    assert "printed by 1\n" not in said
    ended = list((tmp_path / "base").glob("ended-*"))
    assert 1 <= len(ended) <= 3


def test_it_ends_at_the_first_failure_where_that_is_asked_for(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"test_{number}.py").write_text(SUITE)
    said = run(tmp_path, "-x")
    assert re.search(r"1 failed, \d+ passed", said)
    assert "stopping after 1 failures" in said


def test_a_process_that_ends_ends_the_run_with_the_name_of_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_0.py").write_text("import os\ndef test_deadly(): os._exit(7)\n")
    (tmp_path / "test_1.py").write_text("def test_good(): pass\n")
    assert "a process of tests ended with 7 in test_0.py::test_deadly" in run(tmp_path)


def test_one_process_is_what_pytest_does_itself(tmp_path: Path) -> None:
    (tmp_path / "test_0.py").write_text("import os\ndef test_it(): print(os.getppid())\n")
    assert "1 passed" in run(tmp_path, processes=1)
