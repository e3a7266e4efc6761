"""Regular expressions that mean the same on every Python there is.

Before Python 3.11.5 a possessive quantifier over a group, as in ``(?:ab|c)*+``, could fail where it
should match: an encoded word stayed as it was, on a system whose own Python is 3.11.2. An atomic
group around the plain repetition says the same and is right everywhere.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.package import package_directory
from tests.support.table import table

_BREAK = r"(?:[\"']\s*[a-z]*[\"'])?"
_POSSESSIVE = re.compile(rf"\){_BREAK}(?:[*+?]|\{{[0-9,]+\}}){_BREAK}\+")
"""One of a group, in the text of a module: in one literal or in several."""
_POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+")


def possessive_groups(source: str) -> list[str]:
    """The strings of a module that have a possessive quantifier over a group."""
    if not _POSSESSIVE.search(source):
        return []  # nothing to parse for
    return [
        str(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        for text in [node.value if isinstance(node.value, str) else node.value.decode("latin-1")]
        if _POSSESSIVE_GROUP.search(text)
    ]


@table(
    ("source", "found"),
    [
        pytest.param("P = r'(?:ab|c)*+'", 1, id="a repeated group"),
        pytest.param("P = rb'(?:ab|c)?+'", 1, id="an optional group of bytes"),
        pytest.param("P = r'(ab){2,3}+'", 1, id="a counted group"),
        pytest.param("P = r'(?>(?:ab|c)*)'", 0, id="an atomic group"),
        pytest.param(r"P = r'[a)]*+\)++'", 0, id="a set and a literal bracket"),
    ],
)
def test_the_search_finds_groups_alone(source: str, found: int) -> None:
    assert len(possessive_groups(source)) == found


def test_no_pattern_has_a_possessive_quantifier_over_a_group() -> None:
    def name(path: Path) -> str:
        return path.relative_to(package_directory()).as_posix()

    found = {
        name(path): texts
        for path in package_directory().rglob("*.py")
        if (texts := possessive_groups(path.read_text("utf-8")))
    }
    assert found == {}
