"""IMAP answers as values: what a server said, without how it was spelt."""

from __future__ import annotations

import re
from typing import TypeAlias

Value: TypeAlias = "bytes | list[Value] | None"
"""An atom or string, NIL, or a list."""

_SPACE = re.compile(rb"[ \r\n]*")
_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_SECTION = re.compile(rb"[A-Za-z0-9.]+\[[^\]]*\](?:<[0-9]+>)?")
_ATOM = re.compile(rb"[^ ()\r\n]+")
_FETCH = re.compile(rb"\* ([0-9]+) FETCH ")


def values(text: bytes, at: int = 0) -> tuple[Value, int]:
    """One value, and where the text goes on behind it."""
    found = _SPACE.match(text, at)
    at = found.end() if found else at
    if text[at : at + 1] == b"(":
        items: list[Value] = []
        at += 1
        while text[at : at + 1] != b")":
            item, at = values(text, at)
            items.append(item)
            blank = _SPACE.match(text, at)
            at = blank.end() if blank else at
        return items, at + 1
    if literal := _LITERAL.match(text, at):
        end = literal.end() + int(literal[1])
        return text[literal.end() : end], end
    if quoted := _QUOTED.match(text, at):
        return re.sub(rb"\\(.)", rb"\1", quoted[1]), quoted.end()
    atom = _SECTION.match(text, at) or _ATOM.match(text, at)
    if atom is None:
        raise AssertionError(f"no value at {at} of {text!r}")
    return (None if atom[0] == b"NIL" else atom[0]), atom.end()


def fetched(answer: bytes) -> dict[int, dict[bytes, Value]]:
    """The data items of every FETCH line, by sequence number; items of one message are joined."""
    found: dict[int, dict[bytes, Value]] = {}
    at = 0
    while at < len(answer):
        line = _FETCH.match(answer, at)
        if line is None:
            at = answer.index(b"\n", at) + 1
            continue
        items, at = values(answer, line.end())
        assert isinstance(items, list)
        told = found.setdefault(int(line[1]), {})
        for name, value in zip(items[::2], items[1::2], strict=True):
            assert isinstance(name, bytes)
            told[name] = value
        at = answer.index(b"\n", at) + 1
    return found
