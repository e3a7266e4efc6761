"""The new part of a reply: without the quoted history and the signature. When unsure, it is kept.

``plain`` reads lines of text with the help of ``attribution``, ``headings`` and ``signature``;
``markup`` reads what mail programs name in HTML; ``phrases`` is what they say in their languages.
Everything is total, bounded and linear. See ``docs/explanation/new-text.md``.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from nornmail.message.limits import MAX_QUOTE_HTML_CHARS, MAX_QUOTE_SCAN_CHARS
from nornmail.message.quotes.markup import has_structure, without_history
from nornmail.message.quotes.phrases import FORWARD_SUBJECTS
from nornmail.message.quotes.plain import new_plain_text

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
        text: what is shown of the message: its plain text, or the text of its HTML.
        html: the HTML of the same message, ``""`` where there is none.
        sender: the name in From, which helps to see a signature.
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
