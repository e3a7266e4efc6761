"""Characters that are not seen: zero widths, controls of direction, tags, runs of selectors."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from nornmail.defects import Note

INVISIBLE: Final = "invisible characters"

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
    removed = len(text) - len(bare)
    text = bare

    kept = bytearray()  # a list of pieces would take thirty times the memory of the text
    at = 0
    for match in characters.finditer(text):
        joiners = _kept(text, match)
        removed += len(match[0]) - len(joiners)
        kept += (text[at : match.start()] + joiners).encode("utf-8", "surrogatepass")
        at = match.end()
    kept += text[at:].encode("utf-8", "surrogatepass")
    return kept.decode("utf-8", "surrogatepass"), removed


def _kept(text: str, found: re.Match[str]) -> str:
    run = found[0]
    if len(run) > 2 or not _JOINERS.issuperset(run):
        return ""
    before = text[found.start() - 1] if found.start() else ""
    behind = text[found.end()] if found.end() < len(text) else ""
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
