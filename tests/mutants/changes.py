"""The small changes of code that tests must notice: places of a syntax tree, and what changes."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LEAVES = (ast.Name, ast.expr_context, ast.operator, ast.cmpop, ast.boolop, ast.unaryop)
"""Nodes without a change, and without other nodes: most of a tree."""

Lines = tuple[int, int]
"""The first line and the last, both of them included."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        path: the file, relative to the package.
        lines: where the change is.
        around: the lines of the function or class that it is in; those of the file at its top.
        name: the file, the function or class, and the change in words. It stays the same when
            other lines of the file change.
        key: the key in the results: another one once the file changes.
        number: which change of the file it is.
    """

    path: str
    lines: Lines
    around: Lines
    name: str
    key: str
    number: int


class Change(NamedTuple):
    """A change in words, its lines, and the function that makes it in the tree."""

    words: str
    lines: Lines
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
GENERATED = ("init", "repr", "compare")
"""Options of a dataclass's field: they are about methods that nothing here calls otherwise."""
SQL = re.compile(r"\b(BEGIN|SELECT|INSERT|UPDATE|DELETE|WHERE|SET|ORDER BY|PRAGMA)\b")
"""What tells a statement, or a part of one, from other texts."""
IN_SQL = {
    "BEGIN IMMEDIATE": "BEGIN",
    "synchronous=FULL": "synchronous=OFF",
    "synchronous = FULL": "synchronous = OFF",
    " AND ": " OR ",
    " OR ": " AND ",
    " <= ": " < ",
    " >= ": " > ",
    " IS NULL": " IS NOT NULL",
    " IS NOT NULL": " IS NULL",
    " DESC": "",
    "INSERT OR IGNORE": "INSERT OR REPLACE",
    "DO NOTHING": "DO UPDATE SET rowid = rowid",
    " FOR UPDATE": "",
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
                    yield Change(words, _lines(node), _set(node, "ops", [other()]))
        case ast.BoolOp(values=values):
            for index in range(len(values)):
                rest = [*values[:index], *values[index + 1 :]]
                # One operand alone is written out as such, but needs another to be compiled.
                words = f"{_text(node)} -> {_text(ast.BoolOp(node.op, rest))}"
                neutral = ast.Constant(isinstance(node.op, ast.And))
                yield Change(words, _lines(node), _set(node, "values", [neutral, *rest]))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            words = f"{_text(node)} -> {_text(operand)}"
            yield Change(
                words, _lines(node), _set(node, "operand", ast.UnaryOp(ast.Not(), operand))
            )
        case ast.Return(value=ast.Constant(value=bool() as value)):
            flag = _set(node, "value", ast.Constant(not value))
            yield Change(f"return {value} -> {not value}", _lines(node), flag)
        case ast.keyword(arg=str(name), value=ast.Constant(value=bool() as value)) if (
            name not in GENERATED
        ):
            flag = _set(node, "value", ast.Constant(not value))
            yield Change(f"{node.arg}={value} -> {not value}", _lines(node), flag)
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            positional = positional[len(positional) - len(node.defaults) :]
            yield from _of_defaults(node.defaults, [arg.arg for arg in positional])
            yield from _of_defaults(node.kw_defaults, [arg.arg for arg in node.kwonlyargs])
        case ast.ExceptHandler(body=[first, *rest]) if rest or not isinstance(first, ast.Raise):
            words = f"except {_text(node.type) if node.type else ''}: raise"
            yield Change(words, _lines(first), _set(node, "body", [ast.Raise()]))
        case ast.Constant(value=str(text)) if SQL.search(text):
            for before, after in IN_SQL.items():
                if before in text:
                    turned_text = _set(node, "value", text.replace(before, after, 1))
                    yield Change(f"{before} -> {after} in {_text(node)}", _lines(node), turned_text)
        case ast.BinOp(op=ast.Add() | ast.Sub()) if not _is_text(node):
            other_sign = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            turned_sum = ast.BinOp(node.left, other_sign, node.right)
            words = f"{_text(node)} -> {_text(turned_sum)}"
            yield Change(words, _lines(node), _set(node, "op", other_sign))


def _of_block(block: list[ast.stmt]) -> Iterator[Change]:
    for index, statement in enumerate(block):
        if _can_be_dropped(statement):
            gone = _replace(block, index, [ast.Pass()])
            yield Change(f"{_text(statement)} dropped", _lines(statement), gone)
        # Two assignments of attributes nearly always mean the same in either order.
        calls = any(isinstance(one, ast.Expr) for one in block[max(0, index - 1) : index + 1])
        if index and calls and _acts(statement) and _acts(block[index - 1]):
            words = f"{_text(block[index - 1])} and {_text(statement)} swapped"
            swapped = _replace(block, index - 1, [statement, block[index - 1]])
            yield Change(words, (block[index - 1].lineno, _lines(statement)[1]), swapped)


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
        yield Change(f"if {_text(test)} -> if {value}", _lines(test), constant)


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
        yield Change(words, _lines(default), _set(default, "value", other))


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
        name = f"{path} {place.name}: {change.words}"
        names[name] += 1
        if names[name] > 1:
            name += f" ({names[name]})"
        key = f"{digest} {name}"
        found.append(Mutant(path, change.lines, place.lines, name, key, number))
    return found


def mutated(source: str, number: int) -> ast.Module:
    """The tree of a file after change ``number``; its nodes keep their lines."""
    tree = ast.parse(source)
    for at, (_, change) in enumerate(_all_changes(tree)):
        if at == number:
            change.act()
            return ast.fix_missing_locations(tree)
    raise IndexError(number)


class Place(NamedTuple):
    """A function or class, as its name and lines have it; or the whole file."""

    name: str
    lines: Lines


def _all_changes(tree: ast.Module) -> Iterator[tuple[Place, Change]]:
    for place, node in _nodes(tree, Place("module", (1, sys.maxsize))):
        for change in changes(node):
            yield place, change


def _nodes(tree: ast.AST, place: Place) -> Iterator[tuple[Place, ast.AST]]:
    """Every node that runs, with the function or class that it is in; annotations do not run."""
    yield place, tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                outer = "" if place.name == "module" else f"{place.name}."
                yield from _nodes(child, Place(f"{outer}{child.name}", _lines(child)))
            elif isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # a docstring
            elif isinstance(child, ast.AST) and not isinstance(child, LEAVES):
                yield from _nodes(child, place)


def _lines(node: ast.expr | ast.stmt | ast.keyword) -> Lines:
    return node.lineno, node.end_lineno or node.lineno
