"""The lines above a quote that say whose it is: an attribution in many languages, or header fields.

An attribution, "On ... wrote:", is found from its end, a colon: programs wrap it over two or three
lines, and only its last one is sure; some put an empty line into it. A line counts as *strong* when
it can be nothing else, whatever stands below it; as *weak* when only ``>`` below makes it one.

Outlook and others put a block of header fields there, and a line such as "Original Message" above
that.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from nornmail.message.quotes.lines import ADDRESS, MAX_MARK_CHARS, is_quote, is_rule, normalized
from nornmail.message.quotes.phrases import (
    CC,
    FORWARDED,
    FROM,
    MESSAGES_OF,
    OPENERS,
    ORIGINAL,
    ORIGINAL_STARTS,
    PRONOUNS,
    REPLY_ABOVE,
    SENT,
    SUBJECT,
    TO,
    VERBS,
)

MAX_WRAPPED: Final = 4
"""Lines over which one attribution is looked for."""
_MAX_WORDS: Final = 15
"""Words of a weak one; the longest names in use have six."""
_MAX_WORDS_AFTER_VERB: Final = 8
"""Words of a name where the verb stands before it, as in German and Dutch."""

_HEAD_CHARS: Final = 120
_NAME_WORDS: Final = 5


class Attribution(NamedTuple):
    """Lines ``start`` to where it was looked for; ``strong`` without looking at what follows."""

    start: int
    strong: bool


def _words(phrases: Iterable[str]) -> str:
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


def _is_cjk(text: str) -> bool:
    return any(char >= "\u3000" for char in text)


_LAST_ONLY: Final = (
    "wrote", "writes", "a écrit", "a ecrit", "écrit", "ha escrito", "ha scritto", "kirjoitti",
    "geschrieben", "folgendes geschrieben",
)  # fmt: skip
"""Verbs behind which no name stands."""
_BEHIND_JE: Final = {"napisao", "napisala", "napisao/la"}
"""Croatian, in which "je", the French "I", is "has"."""
_CJK = [verb for verb in VERBS if _is_cjk(verb)]
_VERB = re.compile(
    rf"(?<![^\W\d_])(?:{_words(set(VERBS) - set(_CJK))})(?![^\W\d_])|(?:{_words(_CJK)})"
)
_SENTENCE = re.compile(
    rf"(?<!\w)(?:{_words(PRONOUNS)}) (?:\w+ )?(?:{_words(set(VERBS) - _BEHIND_JE)})(?!\w)"
)
_DATE = re.compile(
    r"(?:19|20)[0-9]{2}(?![0-9])|[0-9]{1,2}[./-] ?[0-9]{1,2}[./-] ?[0-9]{2,4}|[0-9] ?[\u6708\uc6d4]"
)
_TIME = re.compile(
    r"(?<![0-9])[0-9]{1,2} ?"
    r"(?:[:.\uff1a][0-9]{2}(?![0-9])|h ?[0-9]{2}(?![0-9])|[ap]\.?m\b|[\u65f6\u6642\u70b9\uc2dc])"
)
_ENDS_IN_ADDRESS = re.compile(r"@[\w.-]{1,255}[>)\]\"' ]{0,4}(?:<?mailto:[^>\s]{1,255}>{1,2} ?)?:$")
_NAME_FIRST = re.compile(
    rf"(?:\S+ ){{1,{_NAME_WORDS}}}(?:{_words(VERBS)}) "
    r"(?:(?:am|op|le|el|em|dia|no dia|il|den|on) [^:]*[0-9]|[0-9(])"
)
_ENDS_AS_ADDRESS = re.compile(r"<[^<>@\s]{1,64}@[^<>@\s]{1,255}>$")
_ENDS_IN_VERB = re.compile(
    rf"(?:[>)\]\w] (?:{_words(set(VERBS) - set(_CJK))})|(?:{_words(_CJK)}))$"
)
_AFTER_ADDRESS = re.compile(r"<[^<>@\s]{1,64}@[^<>@\s]{1,255}>,? (?P<when>[^@]{1,60})$")
_HAS_ADDRESS_WITHIN = re.compile(rf"(?:{_words(MESSAGES_OF)}) [^:@]{{0,80}}@")
_BEGINS = re.compile(r"[0-9\"'<*(\[\u4e00-\u9fff\u3040-\u30ff\uac00-\ud7af-]")
_DIGITS: Final = {zero + digit: str(digit) for zero in (0x660, 0x6F0, 0x966) for digit in range(10)}
"""Arabic, Persian and Devanagari digits."""
_NO_NAME = re.compile(r"[!?;]|\.\s+[^\W\d]{4}")


def find_attribution(lines: Sequence[str], end: int) -> Attribution | None:
    """The attribution that ends with line ``end``; ``None`` when that line ends none."""
    last = normalized(lines[end][-MAX_MARK_CHARS:])
    if len(lines[end]) > MAX_MARK_CHARS:
        return None
    if last.endswith((":", "\uff1a", "--")):
        return _ending_at(lines, end, "")
    if _ENDS_IN_VERB.search(last):
        mark = _ending_at(lines, end, ":")
        if mark and mark.strong:
            is_apart = end + 1 < len(lines) and not lines[end + 1].strip()
            text = normalized(" ".join(lines[mark.start : end + 1]))
            is_sure = bool(is_apart and ADDRESS.search(text) and _TIME.search(text))
            return Attribution(mark.start, is_sure)
    is_open = "@" in last and (_is_bare(last) or is_strong(f"{last}:"))
    return Attribution(end, False) if is_open else None


def _ending_at(lines: Sequence[str], end: int, colon: str) -> Attribution | None:
    """The attribution that ends with line ``end``, behind which ``colon`` is missing."""
    weak = None
    text = colon
    is_parted = False
    for start in range(end, max(end - MAX_WRAPPED, -1), -1):
        line = lines[start]
        if start < end and not line.strip():
            if is_parted or not _goes_on_above(text, lines[start - 1] if start else ""):
                break
            is_parted = True
            continue
        if not line.strip() or len(line) > MAX_MARK_CHARS or (start < end and is_quote(line)):
            break
        text = f"{normalized(line)} {text}".strip()
        if start < end and normalized(line).endswith((":", "\uff1a")):
            break
        if is_strong(text):
            return Attribution(_whole(lines, start, text), True)
        if not is_parted and _is_weak(text) and (weak is None or _opens(text)):
            weak = Attribution(start, False)
    return weak


def _is_bare(text: str) -> bool:
    """Whether this is a date, a name and an address without a verb or a colon."""
    if len(text.split()) > _MAX_WORDS or _SENTENCE.search(text):
        return False
    behind = _AFTER_ADDRESS.search(text)
    if behind:
        return bool(_DATE.search(behind["when"]) and _TIME.search(behind["when"]))
    return bool(_ENDS_AS_ADDRESS.search(text)) and _early_date(text)


def _goes_on_above(text: str, above: str) -> bool:
    """Whether an empty line parts ``text``, the end of an attribution, from its start ``above``."""
    head = normalized(above[:MAX_MARK_CHARS])
    is_address = text.startswith("<") and bool(_ENDS_IN_ADDRESS.search(text))
    is_end = not _DATE.search(text) and (is_address or _verb_in_place(_inner(text)))
    is_begin = 0 < len(head) <= _HEAD_CHARS and not head.endswith((".", "!", "?", ":", ","))
    return is_end and is_begin and _early_date(head)


def is_strong(text: str) -> bool:
    """Whether ``text``, one line in lower case, is an attribution and can be nothing else."""
    if len(text) > MAX_MARK_CHARS or not (text := _inner(text)):
        return False
    if not _DATE.search(text) or _SENTENCE.search(text):
        return False
    has_verb = _verb_in_place(text) or bool(_HAS_ADDRESS_WITHIN.match(text))
    if ADDRESS.search(text):
        if has_verb:
            return True
        return bool(_ENDS_IN_ADDRESS.search(text)) and _early_date(text)
    if not has_verb or not _TIME.search(text):
        return False
    return _opens(text) or bool(_NAME_FIRST.match(text))


def _inner(text: str) -> str:
    """Without the rules that some programs put around it; ``""`` where no colon ends it."""
    if text.endswith("--"):
        inner = text.strip("- ")
        return f"{inner}:" if text.startswith("--") and _DATE.search(inner) else ""
    text = text.replace("\uff1a", ":").replace(" :", ":").translate(_DIGITS)
    return text if text.endswith(":") else ""


def _verb_in_place(text: str) -> bool:
    """Whether a verb ends it, or has no more than a name and an address behind it."""
    verbs = list(_VERB.finditer(text))
    if not verbs:
        return False
    verb = verbs[-1]
    rest = text[verb.end() : -1].strip(" *")
    if not rest:
        return True
    if rest.startswith("(") and rest.endswith(")") and _TIME.search(rest):
        return bool(_DATE.search(rest))  # Hungarian
    if not text[: verb.start()].strip() and ADDRESS.search(rest) and _TIME.search(rest):
        return bool(_DATE.search(rest))  # Estonian begins with it
    if verb[0] in _LAST_ONLY or _is_cjk(verb[0]):
        # Finnish, and English of some programs: "Ann wrote on 5 January 2024 10:00:".
        is_sure = bool(_TIME.search(rest) or _ENDS_AS_ADDRESS.search(text[: verb.start()].rstrip()))
        return is_sure and bool(_DATE.search(rest)) and rest.count(" ") < 8
    return rest.count(" ") < _MAX_WORDS_AFTER_VERB and not _NO_NAME.search(rest)


def _early_date(text: str) -> bool:
    """Whether the text opens as an attribution does, or has the date among its first words."""
    date = _DATE.search(text)
    return date is not None and (_opens(text) or date.start() < 30) and len(text.split()) < 30


def _opens(text: str) -> bool:
    first = text.partition(" ")[0].rstrip(",")
    return first in OPENERS or bool(_BEGINS.match(text)) or first.endswith(".") or _is_cjk(first)


def _whole(lines: Sequence[str], start: int, text: str) -> int:
    """The real start: "On Monday," or a name may stand on the line above."""
    above = start - 1
    if above < 0 or is_quote(lines[above]):
        return start
    head = normalized(lines[above][:MAX_MARK_CHARS])
    if not head or len(head) > _HEAD_CHARS or head.endswith((".", "!", "?", ":")):
        return start
    if text.startswith("<"):
        alone = above == 0 or not lines[above - 1].strip()
        return above if alone and head.count(" ") < _NAME_WORDS else start
    if not ADDRESS.search(text) and _ENDS_AS_ADDRESS.search(head):
        return _whole(lines, above, head)
    opens = head.partition(" ")[0].rstrip(",") in OPENERS
    return above if opens and not _opens(text) else start


def _is_weak(text: str) -> bool:
    if len(text.split()) > _MAX_WORDS or not (text := _inner(text)):
        return False
    if _verb_in_place(text):
        return True
    return bool(_ENDS_IN_ADDRESS.search(text)) or (
        bool(_DATE.search(text) or _TIME.search(text)) and _opens(text)
    )


_MAX_BLANKS: Final = 2
"""Blank lines between two fields of one block."""
_MAX_BLOCK_LINES: Final = 18
"""Lines of one header block: five fields, some of them wrapped."""
_MAX_WRAPPED: Final = 3
"""Lines without a field's name in a row within a block: a long list of recipients."""
_MAX_LABEL_CHARS: Final = 32

_FIELDS: Final[dict[str, str]] = {
    name: kind
    for kind, names in (
        ("cc", CC), ("to", TO), ("subject", SUBJECT), ("sent", SENT), ("from", FROM)
    )
    for name in names
}  # fmt: skip
"""The meaning of a field's name. Where languages share one, the more specific meaning is kept."""
_LABEL = re.compile(r"[*_ ]{0,4}([^:\uff1a]{1,32}?)[*_ ]{0,4}[:\uff1a](?!//)")
_RAW = re.compile(
    r"(?:Message-ID|MIME-Version|Content-[A-Z-]{4,25}|Received|Return-Path|DKIM-Signature|X-[A-Z-]+):",
    re.I,
)
"""A field that no program shows to people: somebody shows a message as it is."""
_SURE = re.compile(
    r"[^\s@]@[^\s@]|[0-9][:.h][0-9]{2}(?![0-9.])"
    r"|[0-9] ?(?:[ap]\.?m\b|[\u65f6\u6642\u70b9\u9ede\uc2dc])"
)
"""An address or a time of day."""
_CLOCK = re.compile(r"[0-9]{1,2}(?:[:.h][0-9]{0,2})? ?(?:[ap]\.?m\.?|uhr)?")
_BARE = re.compile(r"[-_=*~\u2014\u2013<>|\s.:\uff1a]+")
_HEADING = re.compile(r"\s*-{3,} ?[^-\n]{3,60}(?:-[^-\n]{1,30})? ?-{3,}\s*")
_DASHES: Final = ("--", "__", "==", "**", "~~", "\u2014\u2014", "- -")
_MAX_RULES: Final = 6
"""Rules and blank lines above a header block that go with it."""
_MAX_PHRASE_CHARS: Final = 160
_MAX_PHRASE_WORDS: Final = 6
"""Words of the line above a message that is passed on, where no dashes are around them."""


def field_of(line: str) -> str:
    """``"from"``, ``"sent"``, ``"to"``, ``"cc"`` or ``"subject"`` where it is such a field."""
    head = line[: 2 * _MAX_LABEL_CHARS]
    if (":" not in head and "\uff1a" not in head) or len(line) > 4 * MAX_MARK_CHARS:
        return ""
    label = _LABEL.match(normalized(head))
    return _FIELDS.get(label[1].strip(), "") if label else ""


def block_end(lines: Sequence[str], at: int, *, below_rule: bool) -> int:
    """The index behind the header block that begins at ``at``; 0 when none does.

    It has a sender and a date, recipients or a subject, three of these; two below a rule or a line
    such as "Original Message". A date has a digit in it, and a sender is not nothing.
    """
    first = field_of(lines[at])
    if not first or first == "cc":
        return 0
    if _is_raw_above(lines, at):
        return 0
    kinds: dict[str, str] = {}
    end = at
    wrapped = 0
    for index in range(at, min(at + _MAX_BLOCK_LINES, len(lines))):
        line = lines[index]
        kind = field_of(line)
        if kind == first and index > at:
            break
        if _RAW.match(line.lstrip()):
            return 0
        if kind:
            kinds.setdefault(kind, _value(lines, index))
            end = index + 1
            wrapped = 0
        elif not line.strip():
            # Some programs put an empty line between two fields; any field ends that.
            if not _is_other_field_below(lines, index, kinds):
                break
        elif is_quote(line) or wrapped == _MAX_WRAPPED:
            break
        else:
            wrapped += 1
    needed = 2 if below_rule else 3
    telling = kinds.keys() - {"cc"}
    if len(telling) < needed or not kinds.get("from") or not telling & {"sent", "subject"}:
        return 0
    if below_rule or _is_of_mail(kinds):
        return _past_wrapped(lines, end)
    return 0


def _is_other_field_below(lines: Sequence[str], at: int, known: Container[str]) -> bool:
    """Whether a field that the block does not have yet follows the blank lines at ``at``."""
    below = next((line for line in lines[at : at + _MAX_BLANKS + 1] if line.strip()), "")
    kind = field_of(below)
    return bool(kind) and kind not in known


def _is_raw_above(lines: Sequence[str], at: int) -> bool:
    """Whether a field that no program shows stands above, in the same paragraph."""
    for index in range(at - 1, max(at - _MAX_BLOCK_LINES, 0) - 1, -1):
        if not lines[index].strip():
            return False
        if _RAW.match(lines[index].lstrip()):
            return True
    return False


def _is_of_mail(kinds: dict[str, str]) -> bool:
    """Whether fields are of mail: those of a journey or a memorandum lack a time or an address."""
    if "sent" in kinds and not any(char.isdigit() for char in kinds["sent"]):
        return False
    if _CLOCK.fullmatch(kinds["from"]):
        return False  # a shift from nine to five
    return bool(_SURE.search(" ".join(kinds.values())))


def _value(lines: Sequence[str], index: int) -> str:
    """The value of a field, of its next line where its own has none."""
    value = normalized(lines[index][:MAX_MARK_CHARS].replace("\uff1a", ":")).partition(":")[2]
    if value.strip(" *_") or index + 1 >= len(lines):
        return value.strip(" *_")
    return "" if field_of(lines[index + 1]) else lines[index + 1].strip()


def _past_wrapped(lines: Sequence[str], end: int) -> int:
    """The index behind the rest of a wrapped last field: lines up to the blank one."""
    for index in range(end, min(end + _MAX_WRAPPED, len(lines))):
        if not lines[index].strip() or is_quote(lines[index]):
            return index
    return end


def _bare(phrase: str) -> str:
    return _BARE.sub(" ", phrase).strip()


_ORIGINAL_SET: Final = frozenset(map(_bare, ORIGINAL))
_ORIGINAL_PREFIX = re.compile(
    "|".join(re.escape(_bare(phrase)) for phrase in ORIGINAL if len(phrase) > 8)
)
"""A phrase that is telling enough to have a name behind it: "Original message from Ann"."""
_FORWARDED = re.compile("|".join(map(re.escape, FORWARDED)))


def _is_ruled(line: str) -> bool:
    """Whether dashes stand before or behind the words of a line."""
    text = line.strip()
    parts = (text, text.strip("*_ "))
    return any(part.startswith(_DASHES) or part.endswith(_DASHES) for part in parts)


def is_head(lines: Sequence[str], at: int) -> bool:
    """Whether a header field, or an attribution of up to three lines, begins near ``at``."""
    inner = [line.lstrip("> ") for line in lines[at : at + 7] if line.strip("> ")][:3]
    if not inner:
        return False
    return bool(field_of(inner[0])) or any(
        is_strong(normalized(" ".join(inner[:count]))) for count in range(1, len(inner) + 1)
    )


def is_original(lines: Sequence[str], at: int) -> bool:
    """Whether the line stands above the message that is answered: "-----Original Message-----"."""
    line = lines[at]
    text = normalized(line[:_MAX_PHRASE_CHARS])
    if text.startswith(ORIGINAL_STARTS) or any(phrase in text for phrase in REPLY_ABOVE):
        return True
    if len(line) > _MAX_PHRASE_CHARS or not (inner := _bare(text)):
        return False
    if _is_ruled(line):
        return inner in _ORIGINAL_SET or bool(_ORIGINAL_PREFIX.match(inner))
    return inner in _ORIGINAL_SET and is_head(lines, at + 1)


def is_forward(lines: Sequence[str], at: int) -> bool:
    """Whether the line stands above a message that is passed on: "Begin forwarded message:"."""
    line = lines[at]
    if len(line) > _MAX_PHRASE_CHARS or not _FORWARDED.search(text := normalized(line)):
        return False
    if _is_ruled(line):
        return True
    return len(text.split()) <= _MAX_PHRASE_WORDS and is_head(lines, at + 1)


def begins_forward(quoted: Sequence[str], *, has_headers: bool = False) -> bool:
    """Whether a quote begins with the line above a message that is passed on (Apple Mail).

    Args:
        has_headers: a header block is enough, since the subject says that a message is passed on.
    """
    inner = [line.lstrip("> ") for line in quoted if line.strip("> \u00a0")]
    if not inner or len(inner[0]) > _MAX_PHRASE_CHARS:
        return False
    if is_forward(inner, 0):
        return True
    return has_headers and block_end(inner, 0, below_rule=False) > 0


def rule_above(lines: Sequence[str], at: int) -> int:
    """The start of the rules and blank lines right above line ``at``; ``at`` for none."""
    start = at
    while start > max(at - _MAX_RULES, 0) and (
        not lines[start - 1].strip() or _is_heading(lines[start - 1])
    ):
        start -= 1
    return start if any(_is_heading(line) for line in lines[start:at]) else at


def _is_heading(line: str) -> bool:
    """Whether it is a rule, or one with a few words in it, whatever they say."""
    return is_rule(line) or (len(line) < _MAX_PHRASE_CHARS and bool(_HEADING.fullmatch(line)))
