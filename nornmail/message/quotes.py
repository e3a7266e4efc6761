"""The new part of a reply: without the quoted history and the signature. When unsure, it is kept.

Total and bounded: the markers are looked for in the first part of a long text, and what stands
beyond it goes with the history or stays as it is.
"""

from __future__ import annotations

import re

from nornmail.message.limits import MAX_QUOTE_LINES, MAX_QUOTE_SCAN_CHARS

_HISTORY = re.compile(
    r"""^[ \t]*+(?:
        (?:On|Am|Le|El|Il|Em|Op|Den)[ ](?=[^\n]*[0-9])
            [^\n]{3,300}(?:\n(?!>)[^\n]{1,300})?
            \b(?:wrote|schrieb|[ée]crit|escribi[óo]|scritto|escreveu|schreef|skrev)
            [^\n:]{0,100}[ ]?:[ \t]*
      | -{2,}[ ]?(?:Original[ ]Message|Forwarded[ ]message|Urspr[üu]ngliche[ ]Nachricht
            |Message[ ]d'origine|Mensaje[ ]original|Messaggio[ ]originale)[ ]?-{2,}[ \t]*
      | _{20,}[ \t]*\n(?:[ \t]*\n)?(?=\*{0,2}(?:From|Von|De|Da|Van):)[^\n]*
    )$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)


def new_text(text: str) -> str:
    """What the sender wrote this time.

    Cut off are, from the first that is found: everything below an attribution (``On ... wrote:``)
    or a line such as ``-----Original Message-----``; lines at the end that begin with ``>``; the
    signature below ``-- ``. An answer that stands below or between the quotes is kept with them.

    Args:
        text: the whole text, lines ended by LF.

    Returns:
        The new text without blank lines around it. ``text`` itself, stripped, where nothing would
        be left: a bare forward is all that there is to read.
    """
    head = text[:MAX_QUOTE_SCAN_CHARS]
    kept = text
    history = _HISTORY.search(head)
    if history and not _answered_below(text[history.end() :]):
        kept = text[: history.start()]
    kept = _without_quotes_at_end(kept)
    kept = _without_signature(kept)
    return kept.strip() or text.strip()


def _answered_below(rest: str) -> bool:
    """Below the attribution stands ``>`` text with something else under it: an answer inline."""
    lines = rest[:MAX_QUOTE_SCAN_CHARS].split("\n", MAX_QUOTE_LINES)
    first = next((line for line in lines if line.strip()), "")
    if not first.startswith(">"):
        return False
    return any(line.strip() and not line.startswith(">") for line in lines)


def _without_quotes_at_end(text: str) -> str:
    end = len(text.rstrip())
    for _ in range(MAX_QUOTE_LINES):
        start = text.rfind("\n", 0, end) + 1
        if not text.startswith(">", start):
            break
        end = start
        while end and text[end - 1].isspace():
            end -= 1
    return text[:end]


def _without_signature(text: str) -> str:
    for found in _SIGNATURE.finditer(text, 0, min(len(text), MAX_QUOTE_SCAN_CHARS)):
        if "\n>" not in text[found.end() :]:
            return text[: found.start()]
    return text
