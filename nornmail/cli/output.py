"""One JSON line per message on standard output, which is out before the message is handled."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nornmail import Defer, Message, NornmailError
from nornmail.cli.exit_codes import FAILED, OK

NOT_TAKEN = "its line could not be written"
"""Why a message waits whose line did not get out."""


def standard_output() -> Output:
    """Lines on standard output.

    Raises:
        NornmailError: it is closed.
    """
    if sys.stdout is None:
        raise NornmailError("standard output is closed, so there is nowhere to write messages to")
    return Output(sys.stdout.fileno())


@contextmanager
def output_file(path: str) -> Iterator[Output]:
    """Lines at the end of a file, which is made where it is missing, readable by its owner only.

    Raises:
        NornmailError: it cannot be written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise NornmailError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield Output(fd, path)
    finally:
        os.close(fd)


class Output:
    """Writes lines to a descriptor, past Python's own buffers.

    A line is with the reader, in the pipe or on the disk (a file is synced) when :meth:`write`
    returns. So a message that counts as handled has been written, and one whose line did not get
    out waits.

    Args:
        fd: the descriptor.
        name: what it is called when something goes wrong with it.

    Attributes:
        on_error: called once, when something goes wrong.
        error: what it was.
    """

    def __init__(self, fd: int, name: str = "standard output") -> None:
        self._fd = fd
        self._name = name
        self._is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        self.on_error: Callable[[], object] = lambda: None
        self.error: OSError | None = None

    def write(self, value: dict[str, Any]) -> None:
        """Write a value as a line.

        Raises:
            OSError: it did not get out, or not whole.
        """
        # ASCII: what a message holds may be no UTF-8, and the reader's encoding is not known.
        rest = memoryview(json.dumps(value, ensure_ascii=True).encode("ascii") + b"\n")
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        if self._is_file:
            os.fsync(self._fd)

    def message(self, message: Message) -> None:
        """Write a message; the handler of ``watch`` and ``poll``.

        Raises:
            Defer: it did not get out. The message waits, and the attempt does not count.
        """
        if self.error is None:
            try:
                self.write(message.to_dict())
                return
            except OSError as error:
                self.error = error
                self.on_error()
        raise Defer(0, NOT_TAKEN)

    def account(self) -> int:
        """The exit status, by whether all got out; that a reader left is no reason to complain."""
        if self.error is None:
            return OK
        if not isinstance(self.error, BrokenPipeError):
            said = self.error.strerror or str(self.error)
            print(f"nornmail: {self._name}: {said}; the message waits", file=sys.stderr)
        return FAILED
