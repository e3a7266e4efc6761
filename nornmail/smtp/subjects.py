"""The subject of an answer: ``Re:`` once, in whatever language and however often it was there."""

from __future__ import annotations

import re
from typing import Final

from nornmail.compose.addresses import NOT_IN_A_LINE

MAX_REPLY_SUBJECT_CHARS: Final = 500
"""Characters of a subject that go over into an answer. Mail programs show about a hundred."""

_ANSWER_MARKS: Final = (
    "re", "r", "rif", "res", "ref",  # Latin's; Italian; Portuguese
    "aw", "antw", "antwort",  # German, Dutch
    "sv", "vs", "svar",  # Swedish, Norwegian, Danish; Finnish
    "rv",  # Spanish
    "odp", "odpověď",  # Polish, Czech, Slovak
    "ynt", "yan", "cevap",  # Turkish
    "vá", "atb", "ats", "bls", "tl", "ad", "rp",  # Hungarian, Latvian, Lithuanian, Indonesian, ...
    "απ", "σχετ",  # Greek
    "ответ", "на", "відп", "отг",  # Russian, Bulgarian, Ukrainian
    "השב", "תשובה", "رد",  # Hebrew, Arabic
    "回复", "回覆", "答复", "答覆", "回信",  # Chinese
    "返信", "回答",  # Japanese
    "답장", "회신", "답변",  # Korean
    "ตอบ", "ตอบกลับ",  # Thai
)  # fmt: skip
"""What mail programs write before the subject of an answer."""

_MARK = re.compile(
    rf"[\s\u200e\u200f]*(?:{'|'.join(sorted(_ANSWER_MARKS, key=len, reverse=True))})"
    r"(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4}|\*\d{1,4})?[\s\u00a0]{0,3}[:\uff1a]\s*",
    re.IGNORECASE,
)
_LIST_TAG = re.compile(r"\s*(\[[^\[\]]{1,60}\])\s*")


def reply_subject(subject: str) -> str:
    """``Re:`` and the subject without the marks of earlier answers; a ``[list]`` tag stays.

    Marks of forwarded mail stay as well: ``Re: Fwd: plans``.

    Args:
        subject: decoded; control characters become blanks.
    """
    rest = _without_marks(NOT_IN_A_LINE.sub(" ", subject[: 2 * MAX_REPLY_SUBJECT_CHARS]))
    tag = _LIST_TAG.match(rest)
    if tag and _MARK.match(rest, tag.end()):
        rest = f"{tag[1]} {_without_marks(rest[tag.end() :])}"
    # What was encoded twice must not be decoded twice by whoever folds our header anew.
    return f"Re: {rest[:MAX_REPLY_SUBJECT_CHARS].replace('=?', '= ?')}".strip()


def _without_marks(subject: str) -> str:
    at = 0
    while (mark := _MARK.match(subject, at)) is not None:
        at = mark.end()
    return subject[at:].strip()
