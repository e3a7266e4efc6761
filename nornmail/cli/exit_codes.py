"""Exit statuses of the commands; ``docs/reference/command-line.md`` has the same list."""

from __future__ import annotations

OK = 0
"""Success; also when ``watch`` or ``serve`` was stopped by a signal."""
FAILED = 1
"""A check, the server, or the reader of the output failed."""
BAD_SETTINGS = 2
"""A mistake in the arguments or settings, or a decision that the settings must make. argparse uses
it too. Running the same command again gives the same result."""
BAD_STORE = 3
"""The state store cannot be used."""
QUEUED = 4
"""``send``: the message is in the outbox and was not sent yet."""
INTERRUPTED = 130
"""Ended by a signal before it was done: 128 + SIGINT, as in shells."""
