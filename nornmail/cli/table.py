"""Tables and fields of what a store has, printed safely: most of the text is a stranger's."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from nornmail import MessageRef

GAP = "  "
LEAST_WIDTH = 8
"""Characters to which a column may shrink on a narrow terminal."""
NAME_WIDTH = 12
"""Characters of a field's name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        width: the most characters that it may have.
        is_key: a longer value is cut without a mark, since its beginning is enough to name it.
    """

    title: str
    width: int
    is_key: bool = False


def table(columns: Sequence[Column], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table, its headings first; on a terminal they fit its width."""
    cells = [[column.title for column in columns]]
    cells += [list(map(printable, row)) for row in rows]
    widths = [
        min(column.width, max(len(row[number]) for row in cells))
        for number, column in enumerate(columns)
    ]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + 1000
    while sum(widths) + len(GAP) * (len(widths) - 1) > room:
        widest = max(range(len(widths)), key=lambda number: widths[number])
        if widths[widest] <= LEAST_WIDTH:
            break  # the terminal is too narrow for any table
        widths[widest] -= 1
    return [_line(columns, widths, row) for row in cells]


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = zip(columns, widths, row, strict=True)
    return GAP.join(
        f"{_cut(text, width, column):{width}}" for column, width, text in parts
    ).rstrip()


def _cut(text: str, width: int, column: Column) -> str:
    if len(text) <= width:
        return text
    return text[:width] if column.is_key else text[: width - 1] + "…"


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
