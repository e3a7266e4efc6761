"""What the exit status says; ``docs/reference/command-line.md`` has the same list."""

from __future__ import annotations

OK = 0
"""All went well; also when ``watch`` was told to stop, and did."""
FAILED = 1
"""A step, the server, or the reader of the output failed."""
BAD_SETTINGS = 2
"""A mistake in the arguments or settings, or a decision that they have to make. argparse uses it
too. Trying again without a change is of no use."""
BAD_STORE = 3
"""The state store cannot be used."""
QUEUED = 4
"""``send``: the message is kept, and was not sent yet."""
INTERRUPTED = 130
"""Ended by a signal before it was done: 128 + SIGINT, as shells have it."""
