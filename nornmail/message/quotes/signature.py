"""The start of the signature: a delimiter, a mail program's own line, a closing, or a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from nornmail.message.quotes.lines import (
    ADDRESS,
    MAX_MARK_CHARS,
    has_contact,
    is_prose,
    is_quote,
    is_rule,
    normalized,
)
from nornmail.message.quotes.phrases import (
    CLOSINGS,
    DEVICES,
    EXCUSES,
    LEAD_IN_ENDS,
    LEAD_INS,
    SENT_FROM,
    THANKS,
)

SIGNATURE_LINES: Final = 40
"""Lines from the end in which a signature may begin; longer ones are not signatures."""
_MOST_LINES: Final = 14
"""Lines with something in them below a delimiter other than that of RFC 3676."""
_FOOTER_CHARS: Final = 600
"""Characters of what a list or a tracker adds; a newsletter's own words are longer."""
_CLOSING_LINES: Final = 10
"""Lines with something in them below "Best regards"."""
_MOBILE_CHARS: Final = 90
_NAME_WORDS: Final = 5

_PLATFORMS: Final = ("ios", "android", "mac", "mobile")
_OUTLOOK_WORDS: Final = 8
"""Words of "Get Outlook for Android", whatever the language."""
_SENT_FROM_CJK: Final = tuple(phrase for phrase in SENT_FROM if phrase[0] >= "\u3000")
_LONGEST_FIRST = [re.escape(phrase) for phrase in sorted(DEVICES, key=len, reverse=True)]
_DEVICE = re.compile(
    # One lookbehind for all: each costs the compiler a look at 50,000 characters.
    "(?<![^\\W\\u3000-\\uffdc])(?:{})|{}".format(
        "|".join(phrase for phrase in _LONGEST_FIRST if phrase < "\u3000"),
        "|".join(phrase for phrase in _LONGEST_FIRST if phrase >= "\u3000"),
    )
)
_LEAD_IN_ENDS: Final = tuple(f" {word}" for word in LEAD_IN_ENDS)
_CLOSING_SET: Final = frozenset(CLOSINGS)
_THANKS_SET: Final = frozenset(THANKS)
_BEFORE_NAME: Final = ("lg", "vg", "mfg", "mvh", "br", "kr", "rgds", "gruß", "gruss", "grüße")
_CLOSING_AND_NAME = re.compile(
    "(?:{})(?: (?:aus|from|vom|von) \\S+(?: \\S+)?| (\\S+(?: \\S+)?))".format(
        "|".join(
            re.escape(phrase)
            for phrase in sorted(CLOSINGS, key=len, reverse=True)
            if " " in phrase or phrase in _BEFORE_NAME
        )
    )
)
"""Closings that may have the name behind them with no comma between."""
_SENT_FROM_LAST: Final = ("gönderildi", "küldve", "lähetetty")
"""Turkish, Hungarian and Finnish, whose verb may stand at the end."""
_MARKDOWN_LINK = re.compile(r"\[([^\[\]]{0,200})\]\([^()]{0,400}\)")
_LINK = re.compile(r"<[^<>]{0,400}>|\([^()]{0,400}\)|\[[^\[\]]{0,400}\]")
_DELIMITERS: Final = frozenset({"--", "\u2014", "\u2013", "\u2014\u2014", "- --"})
_FOOTERS: Final = (
    "mailing list",
    "unsubscribe",
    "view it on",
    "reply to this email",
    "mailman/listinfo",
    "you received this",
)
_DASHED_NAME = re.compile(r"\s*[-\u2013\u2014~]{1,2} ?(?=\w)")
_NOT_A_NAME = re.compile(r"[*\u2022#0-9\[{|>]|- ")
_ENDS_SENTENCE = (".", "!", "?", ":", ";", "\u3002", ",")
_FOOTNOTE = re.compile(r"\s*(?:\[[0-9*]{1,3}\]|[0-9]{1,2}[.)]) ")
_POSTSCRIPT = re.compile(r"p\.? ?s\.?\b", re.I)


def signature_start(lines: Sequence[str], end: int, sender: str = "") -> int:
    """The index of the line at which the signature of ``lines[:end]`` begins; ``end`` for none."""
    low = next((index for index in range(end) if lines[index].strip()), end)
    window = max(low + 1, end - SIGNATURE_LINES)
    for find in (_delimiter, _mobile, _closing, _name):
        start = find(lines, window, end, sender)
        if start < end:
            return start
    return end


def _delimiter(lines: Sequence[str], low: int, end: int, sender: str) -> int:
    for at in range(low, end):
        line = lines[at]
        text = line.strip()
        tail = [line for line in lines[at + 1 : end] if line.strip()]
        if text.startswith("\u2014 ") and _is_footer([text, *tail]):
            return at
        if text not in _DELIMITERS and not is_rule(line):
            continue
        if any(is_quote(line) for line in tail):
            continue
        if line != "-- " and _is_led_in(lines, at, delimited=True):
            continue
        if line == "-- " or (not tail and text in _DELIMITERS):
            return at
        if tail and _is_signature(tail, sender, delimited=text in _DELIMITERS):
            return at
    return end


def _is_signature(tail: Sequence[str], sender: str, *, delimited: bool) -> bool:
    """Whether these are short lines that are not sentences, with an address below a mere rule."""
    if len(tail) > _MOST_LINES or any(is_rule(line) or _FOOTNOTE.match(line) for line in tail):
        return False
    lower = [normalized(line[:MAX_MARK_CHARS]) for line in tail]
    if _is_footer(tail):
        return True
    if sum(is_prose(line) for line in tail) > 1:
        return False
    is_known = bool(sender) and any(sender.lower() in line for line in lower[:2])
    is_card = _is_name(tail[0].rstrip(" ,")) or (delimited and has_contact(tail[0]))
    if not is_known and not is_card:
        return False
    if delimited or is_known:
        return True
    return any(has_contact(line) for line in tail)


def _is_footer(lines: Sequence[str]) -> bool:
    """Whether it is the footer that a list or a tracker puts below every message."""
    if sum(map(len, lines)) > _FOOTER_CHARS:
        return False
    text = normalized(" ".join(lines))
    return any(footer in text for footer in _FOOTERS)


def _mobile(lines: Sequence[str], low: int, end: int, _sender: str) -> int:
    last = end - 1
    if last > low and lines[last].strip().startswith(("<http", "http")):
        last = next((at for at in range(last - 1, low - 1, -1) if lines[at].strip()), last)
    return last if last >= low and is_mobile(lines[last]) else end


def is_mobile(line: str) -> bool:
    """Whether a mail program added the line: "Sent from my iPhone", in many languages."""
    if len(line) > 10 * MAX_MARK_CHARS:
        return False
    text = _MARKDOWN_LINK.sub(r"\1", line.strip())
    if text[:1] in "([" and text[-1:] in ")]":
        text = text[1:-1]
    text = normalized(_LINK.sub("", text)).strip("-\u2014\u2013_*. \u3002~|()")
    text, dot, excuse = text.partition(". ")
    if dot and not any(word in excuse for word in EXCUSES):
        return False
    if not text or len(text) > _MOBILE_CHARS or "?" in text or len(excuse) > _MOBILE_CHARS:
        return False
    text = text.partition(",")[0]  # "..., please excuse the typos"
    if "outlook" in text and any(platform in text for platform in _PLATFORMS):
        return text.count(" ") < _OUTLOOK_WORDS
    has_start = text.startswith(SENT_FROM) or any(phrase in text for phrase in _SENT_FROM_CJK)
    has_start |= text.endswith(_SENT_FROM_LAST)
    return has_start and bool(_DEVICE.search(text))


def _closing(lines: Sequence[str], low: int, end: int, _sender: str) -> int:
    tail: list[str] = []
    for at in range(end - 1, low - 1, -1):
        line = lines[at]
        if not line.strip():
            continue
        if len(tail) > _CLOSING_LINES or is_quote(line):
            break
        if _closes(line, tail[::-1]):
            return at
        if is_prose(line) or _POSTSCRIPT.match(line.strip()) or _FOOTNOTE.match(line):
            break
        tail.append(line)
    return end


def _closes(line: str, tail: Sequence[str]) -> bool:
    if len(line) > 100:
        return False
    text = normalized(line)
    bare = text.rstrip(" ,.!:;\u060c\u3002\uff0c\uff01-")
    parts = [part.strip() for part in bare.split("/")]
    if all(part in _CLOSING_SET for part in parts):
        return not tail or _is_name(tail[0])
    if bare in _THANKS_SET:
        return bool(tail) and _is_name(tail[0]) and any(has_contact(below) for below in tail)
    head, comma, rest = text.partition(",")
    if comma and head.strip() in _CLOSING_SET and _is_name(rest):
        return True
    both = _CLOSING_AND_NAME.fullmatch(bare)
    if both is None or both[1] is None:  # "Best regards from Cologne"
        return both is not None and bool(tail) and _is_name(tail[0])
    return _is_name(both[1]) and line.strip()[both.start(1)].isupper()


def _name(lines: Sequence[str], low: int, end: int, sender: str) -> int:
    """The start of the last paragraph, if it is a card with the sender's name; else ``end``."""
    words = sender.lower().split()
    if not words or ADDRESS.fullmatch(sender):
        return end
    start = end
    while start > low and lines[start - 1].strip():
        start -= 1
    if (start == low and lines[start - 1].strip()) or _is_led_in(lines, start, delimited=False):
        return end
    paragraph = lines[start:end]
    dashed = _DASHED_NAME.match(paragraph[0])
    first = normalized(paragraph[0][dashed.end() if dashed else 0 :][:MAX_MARK_CHARS]).strip("*_ ")
    if len(paragraph) == 1:
        return start if dashed and first in (sender.lower(), words[0]) else end
    if len(paragraph) > _CLOSING_LINES or any(is_prose(line) for line in paragraph):
        return end
    return start if first.startswith(sender.lower()) and len(first) < len(sender) + 40 else end


def _is_led_in(lines: Sequence[str], at: int, *, delimited: bool) -> bool:
    """Whether the text above line ``at`` leads to it: "Please send the invoice to:"."""
    above_at = next((n for n in range(at - 1, max(at - 4, -1), -1) if lines[n].strip()), 0)
    above = lines[above_at]
    text = normalized(above[-MAX_MARK_CHARS:]).strip("*_ ")
    if text.endswith((":", "\uff1a")):
        return True
    is_apart = not above_at or not lines[above_at - 1].strip()
    goes_on = text.rstrip(".!?\u3002").endswith(_LEAD_IN_ENDS)
    if not delimited and (goes_on or (is_apart and _is_label(text))):
        return True
    whole = text.rstrip(".!\u3002")
    sentence = re.split(r"[.!?;,\u3002\uff0c] ?", whole)[-1]
    if whole != text:  # a sentence with a full stop leads to something by its last word alone
        sentence = sentence.rpartition(" ")[2]
    return any(word in sentence for word in LEAD_INS)


def _is_label(text: str) -> bool:
    """Whether it is a word or two without a full stop, such as "Attendees"; not "Thanks"."""
    if text.count(" ") > 1 or text.endswith(_ENDS_SENTENCE):
        return False
    return not {text, *text.split()} & (_CLOSING_SET | _THANKS_SET)


def _is_name(line: str) -> bool:
    """Whether these are a few words that may be a name; not a sentence, item or quote."""
    text = line.strip().strip("*_ ")
    if not text or len(text) > 60 or text.endswith(_ENDS_SENTENCE) or _NOT_A_NAME.match(text):
        return False
    return text.count(" ") < _NAME_WORDS
