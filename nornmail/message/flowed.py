"""Text that its sender broke into lines for transport only (RFC 3676, format=flowed). Total."""

from __future__ import annotations

import re

_QUOTE = re.compile(r">*")
_SIGNATURE = "-- "


def unflow(text: str, delete_space: bool) -> str:
    """The paragraphs as they were written, each on one line.

    Args:
        text: the body, lines ended by LF.
        delete_space: the parameter DelSp is ``yes``: the blank at the end of a line that flows is
            no part of the text, as in languages that put none between words.

    Returns:
        Quoted lines come as ``> text``, one ``>`` for each level; a line never flows into one of
        another level. The signature's ``-- `` stays a line of its own.
    """
    out: list[str] = []
    paragraph: list[str] = []
    depth = 0
    for line in text.split("\n"):
        marks = len(_QUOTE.match(line)[0])  # type: ignore[index]  # it matches anywhere
        content = line[marks:] if marks else line
        if content.startswith(" "):  # stuffed, so that "From " and ">" at the start survive
            content = content[1:]
        is_signature = content == _SIGNATURE
        if paragraph and (marks != depth or is_signature):
            out.append(_joined(paragraph, depth))
            paragraph = []
        depth = marks
        flows = content.endswith(" ") and not is_signature
        paragraph.append(content[:-1] if flows and delete_space else content)
        if not flows:
            out.append(_joined(paragraph, depth))
            paragraph = []
    if paragraph:
        out.append(_joined(paragraph, depth))
    return "\n".join(out)


def _joined(paragraph: list[str], depth: int) -> str:
    content = "".join(paragraph)
    if not depth:
        return content
    return ">" * depth + " " + content if content else ">" * depth
