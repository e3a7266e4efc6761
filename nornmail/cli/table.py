"""Tables and fields of what a store has, printed safely: most of the text is a stranger's."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from nornmail import MessageRef

NAME_WIDTH = 12
"""Characters of a field's name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        width: its characters; the last column is not padded.
        is_key: a longer value is cut without a mark, since its beginning is enough to name it.
    """

    title: str
    width: int
    is_key: bool = False


def table(columns: Sequence[Column], rows: Iterable[Iterable[str]]) -> Iterable[str]:
    """The lines of a table, its headings first."""
    yield _line(columns, [column.title for column in columns])
    for row in rows:
        yield _line(columns, row)


def _line(columns: Sequence[Column], row: Iterable[str]) -> str:
    cells = zip(columns, row, strict=True)
    return "  ".join(f"{_cut(text, column):{column.width}}" for column, text in cells).rstrip()


def _cut(text: str, column: Column) -> str:
    text = printable(text)
    if len(text) <= column.width:
        return text
    return text[: column.width] if column.is_key else text[: column.width - 1] + "…"


def print_fields(fields: dict[str, Any]) -> None:
    """Print names and values, one per line; the further lines of a value are indented."""
    for name, value in fields.items():
        first, *rest = (printable(line) for line in str(value).split("\n"))
        print(f"{name:{NAME_WIDTH}}  {first}".rstrip())
        for line in rest:
            print(f"{'':{NAME_WIDTH}}  {line}")


def json_fields(record: Any) -> dict[str, Any]:
    """The fields of a record, a dataclass, as values for JSON."""
    values = asdict(record)
    for name in values:
        value = getattr(record, name)
        if isinstance(value, datetime):
            values[name] = value.isoformat()
        elif isinstance(value, MessageRef):
            values[name] = str(value)
    return values


def format_time(time: datetime) -> str:
    """A time in the zone of this machine, to the minute."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """Text of a stranger without what a terminal would obey or could not encode."""
    safe = "".join(char if char.isprintable() else " " for char in text)
    encoding = sys.stdout.encoding or "ascii"
    return safe.encode(encoding, "replace").decode(encoding)
