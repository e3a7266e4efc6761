"""Output of the commands: tables, fields, and one line per message.

Most of the text is a stranger's, and is printed safely. The line of a message is written before the
message counts as handled.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from nornmail import Defer, Message, MessageRef, NornmailError
from nornmail.cli.options import FAILED, OK

T = TypeVar("T")

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


def print_list(
    records: Sequence[T],
    columns: Sequence[Column],
    row: Callable[[T], Iterable[str]],
    *,
    as_json: bool,
    nothing: str,
) -> None:
    """Print a table of records, or one JSON object per line; ``nothing`` where there is none."""
    if as_json:
        for record in records:
            print(json.dumps(json_fields(record)))
    elif not records:
        print(nothing, file=sys.stderr)
    else:
        for line in table(columns, map(row, records)):
            print(line)


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


log = logging.getLogger("nornmail.cli")

BLOCK = 64 * 1024
"""Octets that are read at once from the end of a file."""
NOT_WRITTEN = "its line could not be written"
"""Reason recorded when the output line could not be written."""


def json_line(value: dict[str, Any]) -> str:
    """A value as a line of JSON.

    ASCII: a message may hold lone surrogates, and the reader's encoding is unknown.
    """
    return json.dumps(value, ensure_ascii=True)


def json_message(message: Message, max_text: int | None = None, account: str = "") -> str:
    """A message as a line of JSON, which begins with its account where there are several."""
    named = {"account": account} if account else {}
    return json_line({**named, **message.to_dict(max_text)})


def standard_output() -> Output:
    """Lines on standard output."""
    if sys.stdout is None:
        raise NornmailError("standard output is closed, so messages cannot be written to it")
    return Output(sys.stdout.fileno())


@contextmanager
def output_file(path: str) -> Iterator[Output]:
    """Lines at the end of a file; a new file is readable by its owner only."""
    try:
        fd = _open(path)
    except OSError as error:
        raise NornmailError(f"{path} cannot be written: {error.strerror}") from error
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _complete_last_line(fd, path)
        yield Output(fd, path)
    finally:
        os.close(fd)


def _open(path: str) -> int:
    binary = getattr(os, "O_BINARY", 0)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | binary, 0o600)
    if hasattr(os, "mkfifo") and stat.S_ISFIFO(os.fstat(fd).st_mode):
        # Open for reading as well, a pipe takes lines that no reader gets. Without a reader this
        # fails at once.
        os.close(fd)
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(fd, True)
    return fd


def _complete_last_line(fd: int, path: str) -> None:
    """End the last line of a file, or cut it if a full disk or a kill left only its beginning.

    Its message did not count as handled, and is written again.
    """
    size = start = os.fstat(fd).st_size
    pieces: list[bytes] = []
    newline = b""
    while start > 0 and not newline:
        length = min(BLOCK, start)
        start -= length
        os.lseek(fd, start, os.SEEK_SET)  # writing appends, wherever this is
        _, newline, piece = os.read(fd, length).rpartition(b"\n")
        pieces.append(piece)
    line = b"".join(reversed(pieces))
    if not line:
        return
    try:
        json.loads(line)
        os.write(fd, b"\n")
    except ValueError:
        os.ftruncate(fd, size - len(line))
        log.warning("%s: removed an incomplete last line of %d octets", path, len(line))
    os.fsync(fd)


class Output:
    """Writes lines to a descriptor, past Python's own buffers.

    When :meth:`write` returns, the line is with the reader, in the pipe or on the disk (a file is
    synced). So a message that counts as handled has been written; one whose line could not be
    written waits. Any thread may write.

    Args:
        name: its name in error texts.

    Attributes:
        around: a context in which each line is written, for what else is on the terminal.
        on_error: called once, at the first error.
    """

    def __init__(self, fd: int, name: str = "standard output") -> None:
        self._fd = fd
        self._name = name
        self.around: Callable[[], AbstractContextManager[object]] = nullcontext
        self._lock = threading.Lock()
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self.on_error: Callable[[], object] = lambda: None
        self.error: OSError | None = None

    def write(self, line: str) -> None:
        """Write a line."""
        encoding = sys.stdout.encoding if sys.stdout is not None else "ascii"
        with self._lock, self.around():
            self._write(memoryview(f"{line}\n".encode(encoding, "replace")))

    def _write(self, rest: memoryview) -> None:
        if not self._is_file:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            return
        written, size = 0, os.fstat(self._fd).st_size
        try:
            while rest:
                count = os.write(self._fd, rest)
                written, rest = written + count, rest[count:]
            os.fsync(self._fd)
        except OSError:
            self._take_back(written, size)
            raise

    def _take_back(self, written: int, size: int) -> None:
        """Cut off the beginning of a line, so that the next one does not continue it."""
        with suppress(OSError):  # the next start cuts it
            if written and os.fstat(self._fd).st_size == size + written:
                os.ftruncate(self._fd, size)
                os.lseek(self._fd, size, os.SEEK_SET)

    def deliver(self, line: str) -> None:
        """Write the line of a message, for the handlers of ``watch``, ``poll`` and ``serve``.

        Raises:
            Defer: it could not be written. The message waits, and the attempt does not count.
        """
        if self.error is None:
            try:
                self.write(line)
                return
            except OSError as error:
                self.error = error
                self.on_error()
        raise Defer(0, NOT_WRITTEN)

    def exit_status(self) -> int:
        """The exit status; an error is reported unless the reader has simply left."""
        if self.error is None:
            return OK
        if not isinstance(self.error, BrokenPipeError):
            reason = self.error.strerror or str(self.error)
            print(
                f"nornmail: cannot write to {self._name}: {reason}; the message waits in the store",
                file=sys.stderr,
            )
        return FAILED
