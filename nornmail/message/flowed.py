"""Text that its sender broke into lines for transport only (RFC 3676, format=flowed). Total."""

from __future__ import annotations

import re
from typing import Final

from nornmail.message.defects import Note, ignore
from nornmail.message.limits import MAX_FLOWED_LINES

_LINE = re.compile(r"(>*+)( ?+)([^\n]*+)(\n|\Z)")
_SIGNATURE: Final = "-- "
_AT_A_TIME: Final = 4_096
"""Pieces that are held at a time: a piece of three characters takes fifty octets."""


def unflow(text: str, delete_space: bool, note: Note = ignore) -> str:
    """The paragraphs as they were written, each on one line.

    Args:
        text: the body, lines ended by LF.
        delete_space: the parameter DelSp is ``yes``: the blank at the end of a line that flows is
            no part of the text, as in languages that put none between words.
        note: told when there are more lines than the limit; the rest stays as it is.

    Returns:
        Quoted lines come as ``> text``, one ``>`` for each level; a line never flows into one of
        another level. The signature's ``-- `` stays a line of its own.
    """
    out: list[str] = []
    chunks: list[str] = []
    depth = 0
    flows = False  # the line before goes on here
    at = lines = 0
    while at < len(text):
        if lines == MAX_FLOWED_LINES:
            note("more flowing lines than the limit")
            out.append(text[at:])
            flows = False
            break
        lines += 1
        line = _LINE.match(text, at)
        if line is None:  # the pattern takes any line
            break
        at = line.end()
        # The blank in front is stuffing, so that "From " and ">" at the start survive.
        marks, content = len(line[1]), line[3]
        is_signature = content == _SIGNATURE
        if flows and (marks != depth or is_signature):
            out.append("\n")
            flows = False
        if marks and not flows:
            out.append(line[1] + " " if content else line[1])
        depth = marks
        flows = content.endswith(" ") and not is_signature
        out.append(content[:-1] if flows and delete_space else content)
        if not flows:
            out.append(line[4])
        if len(out) > _AT_A_TIME:
            chunks.append("".join(out))
            out.clear()
    if flows and text.endswith("\n"):
        out.append("\n")
    return "".join(chunks) + "".join(out)
