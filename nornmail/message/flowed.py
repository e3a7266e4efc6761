"""Text that its sender broke into lines for transport only (RFC 3676, format=flowed). Total."""

from __future__ import annotations

import re
from typing import Final

from nornmail.defects import Note, ignore
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
    out = _Pieces()
    depth = at = 0
    flows = False  # the line before goes on here
    for _ in range(MAX_FLOWED_LINES):
        line = _LINE.match(text, at) if at < len(text) else None
        if line is None:
            break
        at = line.end()
        # The blank in front is stuffing, so that "From " and ">" at the start survive.
        marks, content = len(line[1]), line[3]
        is_signature = content == _SIGNATURE
        if flows and (marks != depth or is_signature):
            out.add("\n")
            flows = False
        if marks and not flows:
            out.add(line[1] + " " if content else line[1])
        depth = marks
        flows = content.endswith(" ") and not is_signature
        out.add(content[:-1] if flows and delete_space else content)
        if not flows:
            out.add(line[4])
    if at < len(text):
        note("more flowing lines than the limit")
        out.add(text[at:])
    elif flows and text.endswith("\n"):
        out.add("\n")
    return out.joined()


class _Pieces:
    """Text that grows, without a string object for each of its many short pieces."""

    def __init__(self) -> None:
        self.chunks: list[str] = []
        self.pieces: list[str] = []

    def add(self, piece: str) -> None:
        self.pieces.append(piece)
        if len(self.pieces) > _AT_A_TIME:
            self.chunks.append("".join(self.pieces))
            self.pieces.clear()

    def joined(self) -> str:
        return "".join((*self.chunks, *self.pieces))
