"""One line per message, written before the message counts as handled."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from nornmail import Defer, Message, NornmailError
from nornmail.cli.exit_codes import FAILED, OK

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


def _whole_message(message: Message) -> str:
    return json_line(message.to_dict())


def standard_output(line_of: Callable[[Message], str] = _whole_message) -> Output:
    """Lines on standard output.

    Args:
        line_of: the line for a message.

    Raises:
        NornmailError: it is closed.
    """
    if sys.stdout is None:
        raise NornmailError("standard output is closed, so messages cannot be written to it")
    return Output(sys.stdout.fileno(), line_of=line_of)


@contextmanager
def output_file(path: str, line_of: Callable[[Message], str] = _whole_message) -> Iterator[Output]:
    """Lines at the end of a file; a new file is readable by its owner only.

    Args:
        path: the file.
        line_of: the line for a message.

    Raises:
        NornmailError: it cannot be opened.
    """
    try:
        binary = getattr(os, "O_BINARY", 0)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | binary, 0o600)
    except OSError as error:
        raise NornmailError(f"{path} cannot be written: {error.strerror}") from error
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _complete_last_line(fd, path)
        yield Output(fd, path, line_of)
    finally:
        os.close(fd)


def _complete_last_line(fd: int, path: str) -> None:
    """End the last line of a file, or cut it if a full disk or a kill left only its beginning.

    Its message did not count as handled, and is written again.
    """
    size = start = os.fstat(fd).st_size
    tail = b""
    while start > 0 and b"\n" not in tail:
        length = min(BLOCK, start)
        start -= length
        os.lseek(fd, start, os.SEEK_SET)  # writing appends, wherever this is
        tail = os.read(fd, length) + tail
    line = tail.rpartition(b"\n")[2]
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
        fd: the descriptor.
        name: its name in error texts.
        line_of: the line for a message.

    Attributes:
        around: a context in which each line is written, for what else is on the terminal.
        on_error: called once, at the first error.
        error: that error.
    """

    def __init__(
        self,
        fd: int,
        name: str = "standard output",
        line_of: Callable[[Message], str] = _whole_message,
    ) -> None:
        self._fd = fd
        self._name = name
        self._line_of = line_of
        self.around: Callable[[], AbstractContextManager[object]] = nullcontext
        self._lock = threading.Lock()
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self.on_error: Callable[[], object] = lambda: None
        self.error: OSError | None = None

    def write(self, line: str) -> None:
        """Write a line.

        Raises:
            OSError: it could not be written, or not whole.
        """
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

    def message(self, message: Message) -> None:
        """Write a message; the handler of ``watch``, ``poll`` and ``serve``.

        Raises:
            Defer: it could not be written. The message waits, and the attempt does not count.
        """
        self.deliver(self._line_of(message))

    def deliver(self, line: str) -> None:
        """Write the line of a message; raises as :meth:`message` does."""
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
