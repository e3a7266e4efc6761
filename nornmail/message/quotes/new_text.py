"""The new part of a reply: without the quoted history and the signature. When unsure, it is kept.

Plain text is read line by line, from the top to where the history begins, with the help of
``attribution`` and ``signature``. Each line is one of four kinds. What follows a sure mark that is
not marked as a quote is history to its end. Else the quotes and marks at the end are cut off, again
and again with the signature above them, and those between lines of text stay: they are what was
answered. ``markup`` reads what mail programs name in HTML; ``phrases`` is what they say in their
languages. Everything is total, bounded and linear. See ``docs/explanation/new-text.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from nornmail.message.limits import MAX_QUOTE_HTML_CHARS, MAX_QUOTE_LINES, MAX_QUOTE_SCAN_CHARS
from nornmail.message.quotes.attribution import (
    begins_forward,
    block_end,
    field_of,
    find_attribution,
    is_forward,
    is_head,
    is_original,
    rule_above,
)
from nornmail.message.quotes.lines import LineKind, closes_bracket, is_bar, is_quote, is_rule
from nornmail.message.quotes.markup import has_structure, without_history
from nornmail.message.quotes.phrases import FORWARD_SUBJECTS
from nornmail.message.quotes.signature import signature_start

__all__ = ["new_text"]

_FORWARD: Final = re.compile(
    rf"\W*(?:{'|'.join(map(re.escape, FORWARD_SUBJECTS))})(?:\[[0-9]+\])? ?[:\uff1a]", re.I
)

_URL = re.compile(
    r"(https?://[^\s<>()\[\]/]{1,255}(?:/[^\s<>()\[\]?#]{0,24})?)([^\s<>()\[\]]*+)", re.IGNORECASE
)
"""An address, and what of it is left out where it is shown shortened."""


def new_text(
    text: str, html: str = "", *, sender: str = "", subject: str = "", is_from_html: bool = False
) -> str:
    """The text that the sender wrote this time.

    Where ``html`` names its quotes as a known mail program does, that decides: its names are exact,
    and in the plain text the same quote may have no mark at all. The words are taken from
    ``text`` all the same where the two agree, since that is what else is shown of the message.
    Where nothing is named the plain text decides: there ``>`` marks each line, while unknown
    HTML shows a quote and an indented paragraph in the same way.

    Args:
        html: the HTML of the same message, ``""`` where there is none.
        subject: of the message; with "Fwd:" and similar prefixes, header blocks are content.
        is_from_html: the message has no plain text, and ``text`` is that of its HTML.

    Returns:
        The new text without blank lines around it. ``text`` itself, stripped, where nothing would
        be left: a bare forward is all that there is to read.
    """
    is_forward = bool(_FORWARD.match(subject[:100]))
    read = partial(new_plain_text, sender=sender, is_forward=is_forward, is_from_html=is_from_html)
    from_text = read(text)
    if not html or len(html) > MAX_QUOTE_HTML_CHARS or not has_structure(html):
        return from_text
    structured = without_history(html, keeps_headers=is_forward)
    if structured is None or not structured[0].strip():
        return from_text
    rest, is_attributed = structured
    from_html = read(rest, is_attributed=is_attributed)
    return _in_words_of(text, from_html) or from_html


def _in_words_of(text: str, new: str) -> str:
    """The whole lines of ``text`` that have the letters of ``new``, ``""`` where none do.

    They are looked for at the beginning, and then from the end, below a quote.
    """
    if len(text) > MAX_QUOTE_SCAN_CHARS or len(new) > MAX_QUOTE_SCAN_CHARS:
        return ""
    bare = _URL.sub(lambda url: url[1] + " " * len(url[2]), text)
    places = [at for at, char in enumerate(bare) if char.isalnum()]
    letters = "".join([text[at] for at in places])
    new_letters = "".join(filter(str.isalnum, _URL.sub(r"\1 ", new)))
    if not new_letters:
        return ""
    for begin in (0 if letters.startswith(new_letters) else -1, letters.rfind(new_letters)):
        if begin < 0:
            continue
        first, last = places[begin], places[begin + len(new_letters) - 1]
        start = text.rfind("\n", 0, first) + 1
        stop = text.find("\n", last)
        stop = len(text) if stop < 0 else stop
        if sum(map(str.isalnum, bare[start:stop])) == len(new_letters):
            return text[start:stop].strip()
    return ""


_ROUNDS: Final = 5
"""Times that quotes and a signature are cut off in turn; real mail needs two."""
_LOOK_BELOW: Final = 5
"""Blank lines between a mark and what it is about, at most."""
_HEAD_LINES: Final = 20
"""Lines of a quote in which the header of a message that is passed on is looked for."""
_WRAP_WIDTH: Final = 65
"""Characters from which a quoted line may have lost its end to the next line."""


@dataclass(slots=True)
class LineLayout:
    """The kind of each line.

    Attributes:
        kinds: of the lines up to ``stop``.
        stop: where sure history begins, or a forward: nothing from there on is looked at.
        is_forward: what begins at ``stop`` is passed on and belongs to the message.
        is_attributed: some quote has an attribution, so that it is history.
        has_bars: a quote has ``|`` before its lines.
        is_from_html: what is quoted may be any ``<blockquote>``, and not an earlier message.
    """

    lines: list[str]
    kinds: list[LineKind] = field(default_factory=list)
    stop: int = 0
    is_forward: bool = False
    is_attributed: bool = False
    has_bars: bool = False
    is_from_html: bool = False


def new_plain_text(
    text: str,
    *,
    sender: str = "",
    is_forward: bool = False,
    is_attributed: bool = False,
    is_from_html: bool = False,
) -> str:
    """The text that the sender wrote this time.

    Args:
        sender: the name in From, which shows where a signature begins.
        is_forward: the subject says that a message is passed on: header blocks are content.
        is_attributed: it is known from elsewhere that quoted lines are history.
        is_from_html: the message has no plain text; its HTML gives this one.

    Returns:
        The new text without blank lines around it; the whole text, stripped, where nothing would
        be left.
    """
    scanned, end = _scanned(text)
    layout = read_layout(scanned, keeps_headers=is_forward)
    layout.is_attributed |= is_attributed
    layout.is_from_html = is_from_html
    lines = layout.lines
    if end < len(text) and layout.stop == len(lines):
        return text.strip()
    rest_at, end = end, layout.stop
    for _ in range(_ROUNDS):
        end = _without_quotes(layout, end)
        if not end:
            break
        shorter = signature_start(lines, end, sender)
        if shorter == end:
            break
        end = shorter
    start = _past_leading_quote(layout, end)
    new = "\n".join(lines[start:end]).strip()
    if layout.is_forward:
        new = f"{new}\n\n" + "\n".join(lines[layout.stop :]) + text[rest_at:]
    return new.strip() or text.strip()


def _scanned(text: str) -> tuple[list[str], int]:
    """The lines that are examined, and the start of those beyond the limits."""
    lines = text[:MAX_QUOTE_SCAN_CHARS].split("\n", MAX_QUOTE_LINES)
    end = min(len(text), MAX_QUOTE_SCAN_CHARS)
    if len(lines) > MAX_QUOTE_LINES:
        end -= len(lines.pop())
    return lines, end


def read_layout(lines: list[str], *, keeps_headers: bool = False) -> LineLayout:
    """Sort the lines of a text; ``keeps_headers`` for one that is passed on."""
    layout = LineLayout(lines)
    kinds = layout.kinds
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line or line.isspace():
            kinds.append(LineKind.BLANK)
        elif line.startswith(">>> ") and _is_of_groupwise(lines, at):
            layout.stop = at
            return layout
        elif _is_quoted(lines, at) or (layout.has_bars and is_bar(line)):
            if _begins_forward(layout, at, keeps_headers=keeps_headers):
                layout.is_forward = True
                break
            kinds.append(LineKind.QUOTE)
        elif is_rule(line):
            kinds.append(LineKind.TEXT)
        elif is_forward(lines, at):
            layout.is_forward = True
            break
        else:
            begin, behind = _mark(lines, at, keeps_headers=keeps_headers)
            if behind < 0:
                layout.stop = begin
                del kinds[begin:]
                return layout
            del kinds[begin:]
            kinds += [LineKind.MARK if behind > at else LineKind.TEXT] * (
                max(behind, at + 1) - begin
            )
            layout.is_attributed |= behind > at
            layout.has_bars |= behind > at and is_bar(_next_line(lines, behind))
            at = max(behind, at + 1)
            continue
        at += 1
    layout.stop = at
    return layout


def _is_of_groupwise(lines: list[str], at: int) -> bool:
    """Whether it is an attribution behind three arrows, on two lines or with arrows at its end."""
    first = lines[at][4:].strip()
    if first.endswith(">>>"):
        return find_attribution([first[:-3].rstrip()], 0) is not None
    mark = find_attribution([first, *lines[at + 1 : at + 2]], 1) if at + 1 < len(lines) else None
    return mark is not None and mark.strong and mark.start == 0


def _begins_forward(layout: LineLayout, at: int, *, keeps_headers: bool) -> bool:
    """Whether a quote without an attribution begins with the mark of a forward."""
    above = next(
        (kind for kind in reversed(layout.kinds) if kind is not LineKind.BLANK), LineKind.TEXT
    )
    if above is not LineKind.TEXT:
        return False
    return begins_forward(layout.lines[at : at + _HEAD_LINES], has_headers=keeps_headers)


def _mark(lines: list[str], at: int, *, keeps_headers: bool) -> tuple[int, int]:
    """The start of a mark at line ``at``, and the end of it.

    The second is -1 for history to the end, the index behind a mark with a quote below it, and
    ``at`` for ordinary text.
    """
    mark = find_attribution(lines, at)
    if mark is not None:
        quoted = _next_line(lines, at + 1)
        if is_quote(quoted) or (is_bar(quoted) and "@" in "".join(lines[mark.start : at + 1])):
            return _above_fields(lines, mark.start), at + 1
        return (_above_fields(lines, mark.start), -1) if mark.strong else (at, at)
    if keeps_headers:
        return at, at
    begin, behind = at, 0
    if not field_of(lines[at]):
        if not is_original(lines, at):
            return at, at
        behind = at + 1
        below = next((i for i in range(at + 1, min(at + 4, len(lines))) if lines[i].strip()), 0)
        if below:
            behind = block_end(lines, below, below_rule=True) or behind
    else:
        begin = rule_above(lines, at)
        is_shown = begin == at and _is_introduced(lines, at)
        behind = 0 if is_shown else block_end(lines, at, below_rule=begin < at)
    if not behind:
        return at, at
    return begin, behind if is_quote(_next_line(lines, behind)) else -1


def _above_fields(lines: list[str], at: int) -> int:
    """The start of the fields and the rule right above an attribution, as Yandex writes them."""
    start = at
    while start and field_of(lines[start - 1]) in ("to", "cc", "subject"):
        start -= 1
    return rule_above(lines, start) if start < at else at


def _is_introduced(lines: list[str], at: int) -> bool:
    """Whether the line above ends with a colon and shows something: headers in a bug report."""
    above = next((line for line in reversed(lines[max(at - 2, 0) : at]) if line.strip()), "")
    return above.rstrip().endswith((":", "\uff1a", "```")) and not field_of(above)


def _next_line(lines: list[str], at: int) -> str:
    """The first line from ``at`` on that is not blank; ``""`` when there is none near."""
    return next((line for line in lines[at : at + _LOOK_BELOW] if line.strip()), "")


def _is_quoted(lines: list[str], at: int) -> bool:
    line = lines[at]
    if is_quote(line):
        return at == 0 or not closes_bracket(line, lines[at - 1])
    return at > 0 and _is_wrapped_quote(lines, at)


def _is_wrapped_quote(lines: list[str], at: int) -> bool:
    """Whether it is the end of a long quoted line that a program has wrapped."""
    above = lines[at - 1]
    if not is_quote(above) or len(above) < _WRAP_WIDTH or at + 1 >= len(lines):
        return False
    ended = above.rstrip().endswith((".", "!", "?", ":", "\u3002", "\uff1f"))
    return not ended and is_quote(lines[at + 1]) and len(lines[at]) <= len(above)


def _without_quotes(layout: LineLayout, end: int) -> int:
    """The index behind the last line of text, where the quotes below it are history."""
    kinds, lines = layout.kinds, layout.lines
    last = end
    while last and kinds[last - 1] is not LineKind.TEXT:
        last -= 1
    block = [at for at in range(last, end) if kinds[at] is LineKind.QUOTE]
    while block and last and kinds[last - 1] in (LineKind.TEXT, LineKind.BLANK):
        if kinds[last - 1] is LineKind.TEXT and not is_rule(lines[last - 1]):
            break
        last -= 1  # a rule above the quote
    if not block or layout.is_attributed or _is_history(layout, last, block[0]):
        return last
    return block[-1] + 1


def _is_history(layout: LineLayout, text_end: int, first: int) -> bool:
    """Whether quoted lines without an attribution are history: not if the text above shows them."""
    lines = layout.lines
    if is_head(lines, first):
        return True
    if layout.is_from_html or lines[first].startswith(">>> "):
        return False
    above = lines[text_end - 1].strip() if text_end else ""
    return bool(above) and not above.endswith((":", "\uff1a", "```")) and not above.startswith("<")


def _past_leading_quote(layout: LineLayout, end: int) -> int:
    """The start of the answer below a quote that begins the message: that quote is history.

    Where text stands above it or another quote below, 0: the quotes are what was answered.
    """
    kinds = layout.kinds[:end]
    answer = next((at for at, kind in enumerate(kinds) if kind is LineKind.TEXT), 0)
    if LineKind.QUOTE in kinds[answer:] or LineKind.MARK in kinds[answer:]:
        return 0
    is_history = LineKind.MARK in kinds[:answer] or layout.is_attributed
    return answer if is_history else 0
