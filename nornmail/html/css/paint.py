"""Compositing: the color of a text and of what lies behind it, as both reach the eye.

Opacity, filters and blend modes work on groups: an element is drawn apart with all within it,
changed as a whole, and put in front of what lies behind it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nornmail.html.css.color import TRANSPARENT, WHITE, Color, alike
from nornmail.html.css.filters import Filter, blended

FAINTEST: Final = 0.1
"""The opacity below which nothing is seen, whatever is behind it."""


class Group(NamedTuple):
    """The drawing of a group so far.

    Attributes:
        background: what lies behind the text, in this group; ``None`` when it is not known.
        parent: the group in front of which this one is put; ``None`` for the page.
        filter, opacity, blend: what is done to this group as a whole.
        depth: how many groups this one is within.
    """

    background: Color | None = WHITE
    parent: Group | None = None
    filter: Filter | None = None
    opacity: float = 1.0
    blend: str = "normal"
    depth: int = 0

    def painted(self, color: Color | None) -> Group:
        """The group with one more background; ``None`` is one of which nothing is known."""
        if color is None:
            return self._replace(background=None)
        if self.background is None:
            solid = color.alpha > _SOLID
            return self._replace(background=color._replace(alpha=1.0)) if solid else self
        return self._replace(background=over(color, self.background))


MAX_GROUPS: Final = 24
"""Groups within groups; what is deeper is not shown."""
PAGE: Final = Group()
_SOLID: Final = 0.9
"""A color as opaque as this covers an image of which nothing is known."""


def inner_group(parent: Group, applied: Filter | None, opacity: float, blend: str) -> Group:
    """A new group in front of ``parent``."""
    return Group(TRANSPARENT, parent, applied, opacity, blend, parent.depth + 1)


def over(front: Color, back: Color) -> Color:
    """``front`` in front of ``back``, both perhaps transparent."""
    if front.alpha >= 1:
        return front
    alpha = front.alpha + back.alpha * (1 - front.alpha)
    if alpha <= 0:
        return TRANSPARENT
    share = front.alpha / alpha
    red, green, blue = (
        a * share + b * (1 - share) for a, b in zip(front[:3], back[:3], strict=True)
    )
    return Color(red, green, blue, alpha)


def is_seen(ink: Color, group: Group | None) -> bool:
    """Whether text of the color ``ink`` can be distinguished from what lies behind it."""
    glyph, behind = ink, TRANSPARENT
    is_known = True
    while group is not None:
        if group.background is None:
            is_known = False
        elif is_known:
            glyph, behind = over(glyph, group.background), over(behind, group.background)
        if group.filter is not None:
            glyph, behind = group.filter(glyph), group.filter(behind)
        if group.opacity < 1:
            glyph = glyph._replace(alpha=glyph.alpha * group.opacity)
            behind = behind._replace(alpha=behind.alpha * group.opacity)
        if group.blend != "normal" and group.parent is not None:
            back = group.parent.background
            # The white of an empty page is not drawn, so that nothing is blended with it.
            if back is not None and back is not WHITE and back.alpha > _SOLID:
                glyph = blended(group.blend, glyph, back)
                behind = blended(group.blend, behind, back)
        group = group.parent
    if not is_known:  # in front of an image everything is seen that is not transparent
        return glyph.alpha >= FAINTEST
    return not alike(glyph, behind)
