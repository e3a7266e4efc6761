"""Whether an element stands on lines of its own, as its name and its ``display`` say."""

from __future__ import annotations

from typing import Final, NamedTuple

from nornmail.html.elements import BLOCKS, HEADINGS

_PARAGRAPHS: Final = HEADINGS | {"blockquote", "hr", "ol", "p", "pre", "ul", "xmp"}
_BLOCK_DISPLAYS: Final = frozenset(
    {"block", "flex", "flow-root", "grid", "list-item", "table", "table-caption", "table-row",
     "-webkit-box", "-webkit-flex"}
)  # fmt: skip
_FLEX: Final = frozenset(
    {"flex", "grid", "inline-flex", "inline-grid", "-webkit-box", "-webkit-flex"}
)
_SPACED: Final = frozenset({"inline-table", "table-cell", "td", "th"})


class Layout(NamedTuple):
    """How an element stands among the others.

    Attributes:
        is_block: it begins and ends a line.
        gap: the line ends around it, one more than there are empty lines.
        is_spaced: it is not joined to the words beside it.
        keeps_blanks: white space in it is text.
    """

    is_block: bool = False
    gap: int = 1
    is_spaced: bool = False
    keeps_blanks: bool = False


def layout_of(name: str, display: str, around: str, white_space: str) -> Layout:
    """The layout of an element.

    Args:
        name: of the element.
        display: its ``display``, ``""`` when the name alone decides.
        around: the ``display`` of the element around it.
        white_space: its ``white-space``.
    """
    if around in _FLEX:
        is_block = True
    elif display:
        is_block = display in _BLOCK_DISPLAYS
    else:
        is_block = name in BLOCKS
    return Layout(
        is_block,
        2 if name in _PARAGRAPHS else 1,
        not is_block and (name in _SPACED or display in _SPACED),
        white_space.startswith(("pre", "break")),
    )
