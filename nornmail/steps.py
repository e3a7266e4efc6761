"""One step on the way to a working mailbox, as ``nornmail check`` shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one step.

    Attributes:
        name: which, as ``"IMAP login"``.
        ok: whether it went well.
        said: what was found, on one line.
        advice: what to do about it; ``""`` where there is nothing, or ``said`` has it.
    """

    name: str
    ok: bool
    said: str
    advice: str = ""
