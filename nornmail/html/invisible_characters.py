"""Characters that are not seen: zero widths, controls of direction, tags, runs of selectors."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import Final

from nornmail.defects import Note

INVISIBLE: Final = "invisible characters"

MAX_JOINERS: Final = 80_000
"""Places with invisible characters that are looked at one by one; behind them all are left out. A
Persian book has 50,000."""

_CHUNK: Final = 10_000
_UNSEEN: Final = (
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_CONTROLS: Final = "\xad\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
"""The soft hyphen, and controls: in HTML they show nothing, in plain text they may."""
_CHARACTERS: Final = re.compile(f"[{_UNSEEN}{_CONTROLS}]+")
_CHARACTERS_OF_PLAIN: Final = re.compile(f"[{_UNSEEN}]+")
_ZWNJ: Final = "\u200c"
_ZWJ: Final = "\u200d"
_BEHIND_LETTER: Final = re.compile(f"[{_UNSEEN}](?<=[A-Za-z\\s].)[{_UNSEEN}]*+", re.DOTALL)
"""Invisible characters behind an ASCII letter or a blank, of which none is kept."""
_SELECTORS: Final = frozenset("\ufe0e\ufe0f")
_JOINERS: Final = frozenset({_ZWNJ, _ZWJ, *_SELECTORS})


def left_out(kind: str, amount: int) -> str:
    """The defect for text that was left out because a person does not see it."""
    what = "characters" if kind == INVISIBLE else "words"
    return f"hidden text left out: {amount:,} {what} ({kind})"


def plain_without_invisible(text: str, note: Note) -> str:
    """Plain text without the characters that show nothing; ``note`` receives how many they were."""
    seen, removed = without_invisible(text, _CHARACTERS_OF_PLAIN)
    if removed:
        note(left_out(INVISIBLE, removed))
    return seen


def without_invisible(text: str, characters: re.Pattern[str] = _CHARACTERS) -> tuple[str, int]:
    """``text`` without the characters that show nothing, and their number.

    Single ones that change what is seen are kept: the joiners in Arabic and Indic words and in
    emoji, and the variation selector behind a symbol.
    """
    if text.isascii() and (text.isprintable() or characters is _CHARACTERS_OF_PLAIN):
        return text, 0
    bare = _BEHIND_LETTER.sub("", text)
    if not characters.search(bare):
        return bare, len(text) - len(bare)
    pieces: list[str] = []
    at = 0
    for run in islice(characters.finditer(bare), MAX_JOINERS):
        pieces += (bare[at : run.start()], _kept(bare, run))
        at = run.end()
    for start in range(at, len(bare), _CHUNK):  # a substitution holds every piece of its text
        pieces.append(characters.sub("", bare[start : start + _CHUNK]))
    seen = "".join(pieces)
    return seen, len(text) - len(seen)


def _kept(text: str, match: re.Match[str]) -> str:
    run = match[0]
    if len(run) > 2 or not _JOINERS.issuperset(run):
        return ""
    before = text[match.start() - 1] if match.start() else ""
    behind = text[match.end()] if match.end() < len(text) else ""
    if not before:
        return ""
    if run[0] in _SELECTORS:
        if not _takes_selector(before) or (len(run) == 2 and run[1] != _ZWJ):
            return ""
        return run if len(run) == 1 or _is_symbol(behind) else run[0]
    if len(run) > 1 or not behind:
        return ""
    if run == _ZWJ and _is_symbol(before) and _is_symbol(behind):
        return run
    return run if _is_joined(before) and (_is_joined(behind) or behind.isspace()) else ""


def _takes_selector(character: str) -> bool:
    return _is_symbol(character) or character in "0123456789#*"


def _is_symbol(character: str) -> bool:
    return bool(character) and unicodedata.category(character) in ("So", "Sk", "Sm", "Po")


def _is_joined(character: str) -> bool:
    """A letter of a script in which joiners are part of the spelling."""
    return "\u0600" <= character <= "\u0dff" or "\u0e80" <= character <= "\u18af"
