"""How an element looks, as far as it decides whether a person sees the text in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from nornmail.html.css.color import BLACK, BLUE, WHITE, Color
from nornmail.html.css.values import FONT_SIZE, Length
from nornmail.html.elements import BLOCKS, HEADINGS

# ---- Whether an element stands on lines of its own, as its name and its ``display`` say.

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


_VARIABLE: Final = re.compile(r"\b(?:var|env)\(\s*([-\w]+)\s*(?:,((?:[^()]|\([^()]*\))*))?\)")
_ROUNDS: Final = 8
_NO_VARIABLES: Final[Mapping[str, str]] = {}
_INLINE: Final = Layout()


class Style:
    """The style of an element, computed from that of its parent. Not to be changed.

    Attributes:
        lost: what hides the element and all within it, ``""`` if nothing does.
        is_painted: between this element and what it is stacked in there is a background.
        flow: pixels by which the element moves what follows, ``None`` when it stands outside.
        unseen: what keeps its own text from being seen; what is within may be seen.
        layout: how it stands among the others; set where the element's name is known.
    """

    __slots__ = (
        "backdrop", "color", "display", "down", "fill", "flow", "has_visibility", "indent",
        "is_painted", "is_set", "layout", "line_height", "link", "lost", "opacity", "right",
        "scale", "size", "spacing", "unseen", "variables", "white_space",
    )  # fmt: skip

    def __init__(self) -> None:
        self.lost = ""
        self.unseen = ""
        self.display = ""
        self.has_visibility = True
        self.size = FONT_SIZE
        self.is_set = False
        self.is_painted = False
        self.scale = 1.0
        self.line_height: Length | None = None
        self.spacing = 0.0
        self.indent = Length()
        self.color = BLACK
        self.fill: Color | None = None
        self.link = BLUE
        self.backdrop: Color | None = WHITE
        self.opacity = 1.0
        self.right = 0.0
        self.down = 0.0
        self.flow: float | None = 0.0
        self.white_space = "normal"
        self.variables = _NO_VARIABLES
        self.layout = _INLINE

    def child(self) -> Style:
        """A style that has inherited everything and sets nothing."""
        new = Style.__new__(Style)
        new.lost, new.unseen, new.display = self.lost, "", ""
        new.has_visibility, new.size, new.scale = self.has_visibility, self.size, self.scale
        new.is_set, new.is_painted = self.is_set, self.is_painted
        new.line_height, new.spacing, new.indent = self.line_height, self.spacing, self.indent
        new.color, new.fill, new.link = self.color, self.fill, self.link
        new.backdrop, new.opacity = self.backdrop, self.opacity
        new.right, new.down, new.flow = self.right, self.down, 0.0
        new.white_space, new.variables = self.white_space, self.variables
        new.layout = _INLINE
        return new
