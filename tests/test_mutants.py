"""The mutation script: the changes that it makes to code, and its results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import ROOMS, ROOT, Result, earlier_results, fitting_tests, mutants, mutated


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("f(1)\n", ["pass"], id="a call is dropped"),
        pytest.param(
            "f(1)\ng(2)\n", ["pass\ng(2)", "f(1)\npass", "g(2)\nf(1)"], id="two are swapped"
        ),
        pytest.param("x = a < b\n", ["x = a >= b", "x = a <= b"], id="a comparison is turned"),
        pytest.param("x = a is None\n", ["x = a is not None"], id="an identity is turned"),
        pytest.param("x = a and b\n", ["x = b", "x = a"], id="a condition is left out"),
        pytest.param("x = not a\n", ["x = not not a"], id="a negation is left out"),
        pytest.param("while a:\n    b = 1\n", ["while False:\n    b = 1"], id="no endless loop"),
        pytest.param(
            "if a:\n    b = 1\n",
            ["if True:\n    b = 1", "if False:\n    b = 1"],
            id="a condition is made constant",
        ),
        pytest.param("raise A\n", ["pass"], id="an exception is swallowed"),
        pytest.param("self.a = b()\n", ["pass"], id="an attribute is not set"),
        pytest.param("self._a = a\n", [], id="a kept argument stays"),
        pytest.param(
            "def f(a, b=1, *, c=True):\n    return c\n",
            ["def f(a, b=2, *, c=True):\n    return c", "def f(a, b=1, *, c=False):\n    return c"],
            id="a default is changed",
        ),
        pytest.param("f(a=True)\n", ["pass", "f(a=False)"], id="a flag is turned"),
        pytest.param(
            "def f():\n    return True\n",
            ["def f():\n    return False"],
            id="a returned flag is turned",
        ),
        pytest.param("x = a + 1\n", ["x = a - 1"], id="a sum is turned"),
        pytest.param("x = a + 'b'\n", [], id="texts are not subtracted"),
        pytest.param("if TYPE_CHECKING:\n    import a\n", [], id="what only the types need stays"),
        pytest.param("def f(a: b < c) -> d < e:\n    return a\n", [], id="annotations do not run"),
    ],
)
def test_the_changes(code: str, expected: list[str]) -> None:
    made = mutants("poller/ledger.py", code)
    assert sorted(mutated(code, mutant.number) for mutant in made) == sorted(expected)


def test_equal_changes_have_names_of_their_own() -> None:
    code = "def f():\n    g(1)\n    g(1)\n"
    made = mutants("poller/ledger.py", code)
    assert len({mutant.name for mutant in made}) == len(made)
    assert [mutant.line for mutant in made] == [2, 3, 3]


def test_every_change_of_a_room_can_be_made() -> None:
    source = (ROOT / "nornmail" / "poller" / "uidvalidity.py").read_text("utf-8")
    for mutant in mutants("poller/uidvalidity.py", source)[::10]:
        compile(mutated(source, mutant.number), mutant.path, "exec")


def test_a_changed_file_has_other_keys() -> None:
    (before,) = mutants("poller/ledger.py", "f(1)\n")
    (after,) = mutants("poller/ledger.py", "f(1)  # again\n")
    assert before.name == after.name
    assert before.key != after.key


def test_the_rooms_and_their_tests_are_there() -> None:
    for pattern, tests in ROOMS.items():
        assert list((ROOT / "nornmail").glob(pattern)), pattern
        for path in tests:
            assert (ROOT / path).exists(), path
    assert fitting_tests("stores/sqlite.py") == ROOMS["stores/*.py"]


def test_the_last_result_of_a_mutant_counts(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert earlier_results(file) == {}
    file.write_text(
        '{"key": "a", "name": "n", "line": 1, "by": "", "seconds": 2.0}\n'
        '{"key": "a", "name": "n", "line": 1, "by": "tests/kill", "seconds": 3.0}\n'
    )
    assert earlier_results(file) == {"a": Result("a", "n", 1, "tests/kill", 3.0)}
