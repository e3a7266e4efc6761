"""The mutation script: the changes that it makes to code, and its results."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutants.__main__ import ROOMS, TESTS, earlier_results, files_of
from tests.mutants.accepted import ACCEPTED
from tests.mutants.changes import Mutant, mutants, mutated
from tests.mutants.plugin import can_be_patched, functions_of, patch
from tests.mutants.runs import ROOT, KnownTest, Result, fitting_tests, limited


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("f(1)\n", ["pass"], id="a call is dropped"),
        pytest.param(
            "f(1)\ng(2)\n", ["pass\ng(2)", "f(1)\npass", "g(2)\nf(1)"], id="two are swapped"
        ),
        pytest.param("x = a < b\n", ["x = a >= b", "x = a <= b"], id="a comparison is turned"),
        pytest.param("x = a is None\n", ["x = a is not None"], id="an identity is turned"),
        pytest.param(
            "x = a and b\n", ["x = True and b", "x = True and a"], id="a condition is left out"
        ),
        pytest.param("x = not a\n", ["x = not not a"], id="a negation is left out"),
        pytest.param("while a:\n    b = 1\n", ["while False:\n    b = 1"], id="no endless loop"),
        pytest.param(
            "if a:\n    b = 1\n",
            ["if True:\n    b = 1", "if False:\n    b = 1"],
            id="a condition is made constant",
        ),
        pytest.param(
            "try:\n    a = b\nexcept E:\n    return None\n",
            ["try:\n    a = b\nexcept E:\n    raise"],
            id="an exception is not handled",
        ),
        pytest.param(
            'f = "UPDATE t SET a = 1 WHERE b <= 2 AND c"\n',
            [
                "f = 'UPDATE t SET a = 1 WHERE b < 2 AND c'",
                "f = 'UPDATE t SET a = 1 WHERE b <= 2 OR c'",
            ],
            id="a condition in SQL is changed",
        ),
        pytest.param('f = "BEGIN IMMEDIATE"\n', ["f = 'BEGIN'"], id="a lock in SQL is left out"),
        pytest.param('f = "more AND more"\n', [], id="other texts stay"),
        pytest.param("raise A\n", ["pass"], id="an exception is swallowed"),
        pytest.param("self.a = b()\n", ["pass"], id="an attribute is not set"),
        pytest.param("self._a = a\n", [], id="a kept argument stays"),
        pytest.param(
            "def f(a, b=1, *, c=True):\n    return c\n",
            ["def f(a, b=2, *, c=True):\n    return c", "def f(a, b=1, *, c=False):\n    return c"],
            id="a default is changed",
        ),
        pytest.param("f(a=True)\n", ["pass", "f(a=False)"], id="a flag is turned"),
        pytest.param("a: int = field(init=False)\n", [], id="an option of a field stays"),
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
    texts = [ast.unparse(mutated(code, mutant.number)) for mutant in made]
    assert sorted(texts) == sorted(expected)


def test_equal_changes_have_names_of_their_own() -> None:
    code = "def f():\n    g(1)\n    g(1)\n"
    made = mutants("poller/ledger.py", code)
    assert len({mutant.name for mutant in made}) == len(made)
    assert [mutant.lines[0] for mutant in made] == [2, 3, 2]


def test_every_change_of_a_room_can_be_made() -> None:
    (source,) = files_of(["poller/uidvalidity.py"]).values()
    for mutant in mutants("poller/uidvalidity.py", source)[::30]:
        compile(mutated(source, mutant.number), mutant.path, "exec")


def test_a_changed_file_has_other_keys() -> None:
    (before,) = mutants("poller/ledger.py", "f(1)\n")
    (after,) = mutants("poller/ledger.py", "f(1)  # again\n")
    assert before.name == after.name
    assert before.key != after.key


def test_the_rooms_and_their_tests_are_there() -> None:
    for pattern in ROOMS:
        assert list((ROOT / "nornmail").glob(pattern)), pattern
    for path in TESTS:
        assert (ROOT / path).exists(), path
    assert {"stores/sqlite.py", "poller/ledger.py"} < set(files_of([]))


CODE = """
class A:
    @staticmethod
    def f(x):
        return [y for y in x if y > 1]

def g():
    def inner():
        return 1 + 1
    return inner

B = g()()
"""


def changed(words: str) -> Mutant:
    (mutant,) = [mutant for mutant in mutants("a.py", CODE) if words in mutant.name]
    return mutant


@pytest.mark.parametrize(
    ("words", "call", "before", "after"),
    [("y > 1 -> y >= 1", "A.f([1, 2])", [2], [1, 2]), ("1 + 1 -> 1 - 1", "g()()", 2, 0)],
)
def test_a_function_that_was_imported_gets_the_code_of_the_mutant(
    words: str, call: str, before: object, after: object
) -> None:
    module = ModuleType("a")
    old = compile(CODE, "/nowhere/a.py", "exec")
    exec(old, module.__dict__)  # noqa: S102
    assert eval(call, module.__dict__) == before  # noqa: S307
    new = compile(mutated(CODE, changed(words).number), "/nowhere/a.py", "exec")
    assert can_be_patched(old, new, set())
    patch(functions_of(["/nowhere/a.py"])["/nowhere/a.py"], new)
    assert eval(call, module.__dict__) == after  # noqa: S307


def test_what_an_import_does_cannot_be_patched() -> None:
    old = compile(CODE, "a.py", "exec")
    in_inner = compile(mutated(CODE, changed("1 + 1").number), "a.py", "exec")
    assert not can_be_patched(old, in_inner, imported={9})  # B was made by it
    assert not can_be_patched(old, compile(CODE.replace("B = ", "B = 1 + "), "a.py", "exec"), set())


def test_the_tests_that_differ_come_first_and_processes_last() -> None:
    def of(name: str, seconds: float, *lines: int, processes: bool = False) -> KnownTest:
        return KnownTest(name, seconds, processes, {"a.py": frozenset(lines)})

    tests = [
        of("a::slow", 3.0, 9),
        of("a::quick", 1.0, 9),
        of("a::quick, elsewhere too", 1.5, 9, 20),
        of("a::another way", 2.0, 9, 10),
        of("b::of another file", 1.2, 9),
        of("b::another function", 0.1, 12),
        of("c::process", 0.1, processes=True),
    ]
    mutant = Mutant("a.py", (9, 9), (8, 11), "", "", 0)
    names = [test.name.partition("::")[2] for test in fitting_tests(tests, mutant)]
    assert names == [
        *("quick", "another way", "of another file"),
        *("quick, elsewhere too", "slow", "process"),
    ]
    nowhere = Mutant("a.py", (7, 7), (7, 12), "", "", 0)
    assert "b::another function" in [test.name for test in fitting_tests(tests, nowhere)]


def test_a_first_look_takes_some_of_the_tests() -> None:
    tests = [KnownTest(str(at), 1.0, False, {}) for at in range(5)]
    assert [len(limited(tests, seconds)) for seconds in (None, 3.5, 0.1)] == [5, 3, 1]


def test_the_last_result_of_a_mutant_counts(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    assert earlier_results(file) == {}
    file.write_text(
        '{"key": "a", "name": "n", "line": 1, "by": "", "seconds": 2.0}\n'
        '{"key": "a", "name": "n", "line": 1, "by": "tests/kill", "seconds": 3.0}\n'
    )
    assert earlier_results(file) == {"a": Result("a", "n", 1, "tests/kill", 3.0)}


def test_every_survivor_that_is_accepted_is_a_mutant_of_today() -> None:
    files = files_of(sorted({name.partition(" ")[0] for name in ACCEPTED}))
    names = {mutant.name for path, source in files.items() for mutant in mutants(path, source)}
    assert ACCEPTED.keys() <= names
    assert all(ACCEPTED.values())
