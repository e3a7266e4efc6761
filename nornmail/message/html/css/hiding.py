"""What hides an element, and what hides a text: pure decisions, each with its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from nornmail.message.html.css.colours import alike
from nornmail.message.html.css.properties import Value
from nornmail.message.html.css.shapes import SLIT, Transform
from nornmail.message.html.css.values import CONTAINER, ZERO, Length

if TYPE_CHECKING:
    from nornmail.message.html.css.style import Style

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


def what_hides(style: Style, sets: Mapping[str, Value]) -> str:
    """What hides the element and all within it, whatever that says; ``""`` if nothing does."""
    display = sets.get("display", "")
    if display == "none" or display in ("table-column", "table-column-group"):
        return "display"
    if sets.get("mso-hide") == "all":
        return "mso-hide"
    if sets.get("content-visibility") == "hidden":
        return "visibility"
    style.opacity *= sets.get("opacity", 1.0) * sets.get("filter", 1.0)
    if style.opacity < FAINTEST or sets.get("mask-image") is True:
        return "opacity"
    if _is_shrunk(style, sets) or _is_closed(style, sets):
        return "size"
    is_out = sets.get("position") in ("absolute", "fixed")
    if (is_out and sets.get("clip") is True) or sets.get("clip-path") is True:
        return "clipping"
    return "position" if _is_moved_away(style, sets) else ""


def _is_shrunk(style: Style, sets: Mapping[str, Value]) -> bool:
    turned: Transform = sets.get("transform", Transform())
    width = min(turned.scale, sets.get("rotate", 1.0), sets.get("scale", 1.0))
    style.scale *= turned.scale * sets.get("scale", 1.0) * (sets.get("zoom", 1.0) or 1.0)
    return bool(width < _EDGE_ON)


def _is_closed(style: Style, sets: Mapping[str, Value]) -> bool:
    """A box without room for a text, which cuts off what has no room."""
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
    moved = sets.get("translate", (ZERO, ZERO))
    turned: Transform = sets.get("transform", Transform())
    right = [moved[0], turned.right, sets.get("margin-left"), sets.get("padding-left")]
    down = [moved[1], turned.down, sets.get("margin-top"), sets.get("padding-top")]
    if sets.get("position", "static") != "static":
        right.append(_first(sets.get("left"), sets.get("right")))
        down.append(_first(sets.get("top"), sets.get("bottom")))
    across = sum(one.pixels(style.size) for one in right if isinstance(one, Length))
    along = sum(one.pixels(style.size) for one in down if isinstance(one, Length))
    # Steps to the right and down add up in honest layouts as well: nested quotes are indented.
    style.right += min(across, 0.0)
    style.down += min(along, 0.0)
    return not (style.right > FAR_LEFT and across < FAR_RIGHT) or not (
        style.down > FAR_UP and along < FAR_DOWN
    )


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
    return "colour" if _is_in_backdrop(style) else ""


def _is_in_backdrop(style: Style) -> bool:
    colour = style.fill or style.colour
    if colour.alpha * style.opacity < FAINTEST:
        return True
    if style.backdrop is None:
        return False
    return alike(colour.over(style.backdrop, style.opacity), style.backdrop)
