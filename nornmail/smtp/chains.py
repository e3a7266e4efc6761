"""Message-IDs, and the chain of them that makes a thread (RFC 5322, 3.6.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from nornmail.errors import ComposeError

MAX_REFERENCES_OCTETS: Final = 984
"""Octets of References on one line: with the name of the field it stays under 998 unfolded."""
MAX_UNIQUE_CHARS: Final = 128
"""Characters of what makes a Message-ID unique."""

_ID = re.compile(r"<[!-;=?-~]+>")
_UNIQUE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def is_message_id(value: object) -> bool:
    """Whether this can stand in a field: ASCII in angle brackets, no blank, not over a line.

    One with an encoded word in it is left out: a program on the way that folds the header anew
    decodes it (the standard library does), and an encoded line end becomes one.
    """
    return (
        isinstance(value, str)
        and len(value) <= MAX_REFERENCES_OCTETS
        and "=?" not in value
        and _ID.fullmatch(value) is not None
    )


def checked_ids(ids: Iterable[str], field: str) -> tuple[str, ...]:
    """The ids, each once.

    Raises:
        ComposeError: one of them is none.
    """
    found = tuple(dict.fromkeys(ids))
    for one in found:
        if not is_message_id(one):
            raise ComposeError(field, f"{str(one)[:80]!a} is no Message-ID in angle brackets")
    return found


def own_message_id(unique: str, domain: str) -> str:
    """The Message-ID of a new message.

    Raises:
        ComposeError: ``unique`` cannot stand in one.
    """
    if not _UNIQUE.fullmatch(unique) or len(unique) > MAX_UNIQUE_CHARS:
        raise ComposeError("unique", f"{unique[:80]!a} must be of letters, digits, . _ and -")
    return f"<{unique}@{domain}>"


def shortened(chain: Sequence[str]) -> tuple[str, ...]:
    """The chain within :data:`MAX_REFERENCES_OCTETS`: its root, and as many of the last as fit.

    The root is what threads are told by, the last one what is answered.
    """
    root, *rest = chain
    room = MAX_REFERENCES_OCTETS - len(root)
    kept: list[str] = []
    for one in reversed(rest):
        room -= len(one) + 1
        if room < 0:
            break
        kept.append(one)
    return (root, *reversed(kept))
