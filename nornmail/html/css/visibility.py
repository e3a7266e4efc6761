"""What hides an element, and what hides a text: pure decisions, each with its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from nornmail.html.css.color import alike
from nornmail.html.css.properties import CURRENT, Value
from nornmail.html.css.transforms import SLIT, Transform
from nornmail.html.css.values import CONTAINER, ZERO, Length

if TYPE_CHECKING:
    from nornmail.html.css.style import Style

SMALLEST_TEXT: Final = 4.0
"""Pixels of text below which nobody reads it. Preheaders have 0 or 1, small print 8 and more."""
FAINTEST: Final = 0.1
"""The opacity below which nothing is seen, whatever is behind it."""
FAR_LEFT: Final = -450.0
FAR_UP: Final = -450.0
"""Pixels by which a text is moved when it has left the page: real layouts stay under 300."""
FAR_RIGHT: Final = 1_000.0
FAR_DOWN: Final = 5_000.0
"""To the right and below there is room on a page, and one can scroll down."""
_EDGE_ON: Final = 0.05
_SHRINKING: Final = frozenset({"rotate", "scale", "transform", "zoom"})
_CLOSING: Final = frozenset({"max-height", "overflow"})
_MOVING: Final = frozenset(
    {"margin-bottom", "margin-left", "margin-top", "position", "transform", "translate"}
)


def what_hides(style: Style, sets: Mapping[str, Value]) -> str:
    """What hides the element and all within it, whatever that says; ``""`` if nothing does."""
    display = sets.get("display", "")
    if display == "none" or display in ("table-column", "table-column-group"):
        return "display"
    if sets.get("mso-hide") == "all":
        return "mso-hide"
    if display == "contents":  # it has no box of its own
        return ""
    if sets.get("content-visibility") == "hidden" or sets.get("text-security", "none") != "none":
        return "visibility"
    style.opacity *= sets.get("opacity", 1.0) * sets.get("filter", 1.0)
    if style.opacity < FAINTEST or sets.get("mask-image") is True:
        return "opacity"
    if _is_shrunk(style, sets) or _is_closed(style, sets):
        return "size"
    is_out = sets.get("position") in ("absolute", "fixed")
    if (is_out and sets.get("clip") is True) or sets.get("clip-path") is True:
        return "clipping"
    if _is_behind(style, sets):
        return "position"
    return "position" if _is_moved_away(style, sets) else ""


def _is_behind(style: Style, sets: Mapping[str, Value]) -> bool:
    """``z-index`` below 0 puts it behind the backgrounds of what is around it."""
    is_placed = sets.get("position", "static") != "static"
    return style.is_painted and is_placed and sets.get("z-index", 0) < 0


def covers_what_is_behind(style: Style, sets: Mapping[str, Value]) -> bool:
    """Whether what goes behind this element, or behind one around it, is covered."""
    is_placed = sets.get("position", "static") != "static"
    if (is_placed and "z-index" in sets) or "transform" in sets or "opacity" in sets:
        return False  # it is a stack of its own: nothing in it goes behind it
    color = sets.get("background-color")
    paints = color is not None and (color == CURRENT or color.alpha > 0.5)
    return paints or style.is_painted


def _is_shrunk(style: Style, sets: Mapping[str, Value]) -> bool:
    if _SHRINKING.isdisjoint(sets):
        return False
    turned: Transform = sets.get("transform", Transform())
    width = min(turned.scale, sets.get("rotate", 1.0), sets.get("scale", 1.0))
    style.scale *= turned.scale * sets.get("scale", 1.0) * (sets.get("zoom", 1.0) or 1.0)
    return bool(width < _EDGE_ON)


def _is_closed(style: Style, sets: Mapping[str, Value]) -> bool:
    """A box without room for a text, which cuts off what has no room."""
    if _CLOSING.isdisjoint(sets):
        return False
    cuts = sets.get("overflow", "visible") != "visible"
    high = _extent(style, sets, "height", "top", "bottom")
    if high < SLIT and (cuts or _is_zero(style, sets.get("max-height"))):
        return True
    if not cuts:
        return False
    indent = style.indent.pixels(style.size)
    if abs(indent) >= CONTAINER:
        return True
    return _extent(style, sets, "width", "left", "right") < SLIT


def _extent(style: Style, sets: Mapping[str, Value], name: str, before: str, behind: str) -> float:
    """The smaller of size and greatest size, with the padding."""
    sizes = [sets[one] for one in (name, f"max-{name}") if isinstance(sets.get(one), Length)]
    if not sizes:
        return CONTAINER
    size = min(one.pixels(style.size) for one in sizes)
    paddings = (sets.get(f"padding-{side}", ZERO) for side in (before, behind))
    return float(size + sum(one.pixels(style.size) for one in paddings))


def _is_zero(style: Style, size: Value) -> bool:
    return isinstance(size, Length) and size.pixels(style.size) <= 1.0


def _is_moved_away(style: Style, sets: Mapping[str, Value]) -> bool:
    if _is_contained(sets):
        style.flow = None
    if _MOVING.isdisjoint(sets):
        return not is_on_page(style.down) or not FAR_LEFT < style.right < FAR_RIGHT
    moved = sets.get("translate", (ZERO, ZERO))
    turned: Transform = sets.get("transform", Transform())
    position = sets.get("position", "static")
    right, down = [moved[0], turned.right], [moved[1], turned.down]
    if position != "static":
        right.append(_first(sets.get("left"), sets.get("right")))
        down.append(_first(sets.get("top"), sets.get("bottom")))
    # Margins to the right and down are no way off the page: nested quotes are indented by them.
    across = _sum(style, right) + min(0.0, _margins(style, sets, "left"))
    along = _sum(style, down) + min(0.0, _margins(style, sets, "top"))
    style.right += across
    style.down += along
    if style.flow is not None and any(name.startswith("margin-") for name in sets):
        pushed = _margins(style, sets, "top") + _margins(style, sets, "bottom")
        style.flow = pushed if abs(pushed) >= _LEAP else 0.0
    far = max(across, _margins(style, sets, "left"))
    return not (
        FAR_LEFT < style.right < FAR_RIGHT and far < FAR_RIGHT and FAR_UP < style.down < FAR_DOWN
    )


_LEAP: Final = 200.0
"""Pixels of a margin that count for what follows: no honest one is as large."""


def _is_contained(sets: Mapping[str, Value]) -> bool:
    """What is within cannot move what is behind the element."""
    if (
        "float" in sets
        or sets.get("position") in ("absolute", "fixed")
        or sets.get("overflow", "visible") != "visible"
    ):
        return True
    return isinstance(sets.get("height"), Length) or sets.get("display", "block") != "block"


def _margins(style: Style, sets: Mapping[str, Value], side: str) -> float:
    return _sum(style, [sets.get(f"margin-{side}"), sets.get(f"padding-{side}")])


def _sum(style: Style, lengths: Sequence[Value]) -> float:
    return float(sum(one.pixels(style.size) for one in lengths if isinstance(one, Length)))


def is_on_page(down: float) -> bool:
    """Whether a text that was moved down by so many pixels is still there."""
    return FAR_UP < down < FAR_DOWN


def _first(start: Value, end: Value) -> Length:
    if isinstance(start, Length):
        return start
    return end.scaled(-1) if isinstance(end, Length) else ZERO


def what_hides_text(style: Style) -> str:
    """What hides a text of this style, which another style within may undo."""
    if not style.has_visibility:
        return "visibility"
    size = style.size * style.scale
    if size < SMALLEST_TEXT:
        return "size"
    if style.spacing <= -0.7 * style.size:
        return "size"
    if style.line_height is not None and style.line_height.pixels(style.size, style.size) < 1.0:
        return "size"
    right = style.right + style.indent.pixels(style.size)
    if not FAR_LEFT < right < FAR_RIGHT:
        return "position"
    return "color" if _is_in_backdrop(style) else ""


def _is_in_backdrop(style: Style) -> bool:
    color = style.fill or style.color
    if color.alpha * style.opacity < FAINTEST:
        return True
    if style.backdrop is None:
        return False
    return alike(color.over(style.backdrop, style.opacity), style.backdrop)
