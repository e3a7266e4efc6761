"""Tables and fields of what a store has, printed safely: most of the text is a stranger's."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from nornmail import Message, MessageRef

GAP = "  "
LEAST_WIDTH = 8
"""Characters to which a column may shrink on a narrow terminal."""
TIME_WIDTH, SENDER_WIDTH = 16, 28
"""Columns of a message's line before its subject."""
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
        min(column.width, max(sum(map(columns_of, row[number])) for row in cells))
        for number, column in enumerate(columns)
    ]
    room = terminal_width() if is_terminal() else sum(widths) + 1000
    while sum(widths) + len(GAP) * (len(widths) - 1) > room:
        widest = max(range(len(widths)), key=lambda number: widths[number])
        if widths[widest] <= LEAST_WIDTH:
            break  # the terminal is too narrow for any table
        widths[widest] -= 1
    return [_line(columns, widths, row) for row in cells]


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    parts = zip(columns, widths, row, strict=True)
    line = GAP.join(
        f"{text[:width]:{width}}" if column.is_key else fit(text, width)
        for column, width, text in parts
    )
    return _encodable(line.rstrip())


def message_line(message: Message) -> str:
    """A message on one line: when it was received, its sender, its subject and its files."""
    received = message.received_at or message.date
    when = format_time(received) if received is not None else ""
    subject = printable(message.subject) or "(no subject)"
    files = len(message.attachments)
    marks = f"  [{files} file{'s' * (files > 1)}]" if files else ""
    sender = fit(printable(message.from_.address), SENDER_WIDTH)
    line = f"{when:{TIME_WIDTH}}{GAP}{sender}{GAP}{subject}{marks}"
    return line if not is_terminal() else fit(line, terminal_width() - 1).rstrip()


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def fit(text: str, width: int) -> str:
    """A text in so many columns of a terminal: filled with blanks, or cut with an ellipsis."""
    columns, kept = 0, ""
    for char in text:
        wide = columns_of(char)
        if columns + wide > width:
            while columns + 1 > width:
                columns -= columns_of(kept[-1])
                kept = kept[:-1]
            return kept + "…" + " " * (width - columns - 1)
        columns, kept = columns + wide, kept + char
    return kept + " " * (width - columns)


def columns_of(char: str) -> int:
    """Columns that a character takes: CJK and emoji take two, combining marks none."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def print_fields(fields: dict[str, Any]) -> None:
    """Print names and values, one per line; the further lines of a value are indented.

    What is empty or does not apply is left out.
    """
    for name, value in fields.items():
        if value is None or value is False or value == "":
            continue
        first, *rest = (printable(line) for line in str(value).split("\n"))
        print(f"{name:{NAME_WIDTH}}  {first}".rstrip())
        for line in rest:
            print(f"{'':{NAME_WIDTH}}  {line}")


def print_bytes(octets: bytes) -> None:
    """Print bytes as they are; nothing where the standard output is closed, as ``print`` does."""
    if sys.stdout is not None:
        sys.stdout.buffer.write(octets)


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
    return _encodable("".join(char if char.isprintable() else " " for char in text))


def _encodable(text: str) -> str:
    """A text with question marks for what standard output cannot encode."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"  # None where it is closed
    return text.encode(encoding, "replace").decode(encoding)
