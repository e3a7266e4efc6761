"""Compositing: the color of a text and of what lies behind it, as both reach the eye.

Opacity, filters and blend modes work on groups: an element is drawn apart with all within it,
changed as a whole, and put in front of what lies behind it.

A box that is painted where a text stands covers it, or lies behind it in place of its own box.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from nornmail.html.css.clipping import FAR
from nornmail.html.css.color import TRANSPARENT, WHITE, Color, alike
from nornmail.html.css.filters import Filter, blended
from nornmail.html.limits import Budget

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

    def in_front_of(self, back: Group) -> Group:
        """The group where ``back`` lies behind it in place of the one around it."""
        if self.parent is None or self.depth == back.depth:
            return back
        return self._replace(parent=self.parent.in_front_of(back))


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


class Ground(NamedTuple):
    """A background that ends, though the text in its box may continue.

    Attributes:
        bottom: where it ends.
        group: what lies behind the text that stands above that.
        below: what lies behind the text that stands below.
    """

    bottom: float = FAR
    group: Group | None = None
    below: Group = PAGE


ENDLESS: Final = Ground()


Rank = tuple[int, ...]
"""What is painted later is greater (CSS 2.2, E): pairs of a layer and a number, from the page
inwards. In a layer 0 are backgrounds, in 1 floats, in 2 what stands on lines, and from 3 on what is
positioned."""


class Seen(NamedTuple):
    """A text, from the top of its letters to the line that they stand on.

    Attributes:
        number: of the text on its page.
        left, right, top, bottom: its place; the top is that of its first line.
        is_beside: how far to the right it stands is not known but for the box that it is in.
        under: the rank of the background behind it.
        rank: when it is painted.
        hidden: ``"color"`` where it is not seen on that.
        group: what lies behind it.
        ink: its color; ``None`` where a shadow or a stroke adds to that.
        scope: the innermost box that cuts it off, if there is one.
    """

    number: int
    left: float
    right: float
    top: float
    bottom: float
    is_beside: bool
    under: Rank
    rank: Rank
    hidden: str
    group: Group
    ink: Color | None
    scope: object


class Painted(NamedTuple):
    """A box with a background that nothing shines through."""

    left: float
    right: float
    top: float
    bottom: float
    rank: Rank
    group: Group

    def stands_at(self, text: Seen) -> bool:
        """Whether it lies over a text, or behind it in front of all else."""
        if not (self.left <= text.left + 1 and text.right <= self.right + 1):
            return False
        if not (self.top <= text.top + 1 and text.bottom <= self.bottom + 1):
            return False
        if self.group.parent is not None and self.group.parent is not text.group.parent:
            return False  # it is drawn apart, and something may shine through
        return self.rank > text.under

    def makes_of(self, text: Seen) -> str | None:
        """Return ``"covered"`` if it hides a text that it stands at, ``""`` if it shows that.

        ``None`` means that it changes nothing.
        """
        if self.rank > text.rank:
            return "covered"
        if text.ink is None or text.group.depth < self.group.depth:
            return None
        return "" if is_seen(text.ink, text.group.in_front_of(self.group)) else "covered"

    def shows_rest(self, text: Seen, behind: Group) -> bool:
        """Whether a text in front of the box is seen where it sticks out of that."""
        if text.ink is None or text.under != self.rank or text.group.depth < behind.depth:
            return False
        sticks_out = text.bottom >= self.bottom + _REST or (
            text.right >= self.right + 2 * _REST and not text.is_beside
        )
        return sticks_out and is_seen(text.ink, text.group.in_front_of(behind))


_REST: Final = 4.0
"""Pixels of a text, at least, outside of a box that does not show it. Places are estimates."""


class Canvas:
    """What a page paints: the last texts and boxes, and which texts are hidden by what came later.

    Attributes:
        hidden: by the numbers of texts, the reasons that came later; ``""`` if a text is seen.
        lowest_text: the bottom of the text that ends lowest.
        last_hidden: the number of the last text that has the color of its background.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.hidden: dict[int, str] = {}
        self._texts: deque[Seen] = deque(maxlen=_MOST_TEXTS)
        self._painted: deque[Painted] = deque(maxlen=_MOST_PAINTED)
        self.lowest_text = self._lowest_painted = -FAR
        self.last_hidden = 0

    def pays(self, steps: int) -> bool:
        """Take steps of the budget, and return whether there were as many."""
        self._budget.left -= steps
        if self._budget.left < 0:  # the page ends, and it is not known what is hidden on it
            self.hidden[_NO_TEXT] = ""
            return False
        return True

    def hide(self, first: int, end: int, reason: str) -> None:
        """Hide the texts with the numbers from ``first`` on."""
        if self.pays(max(0, end - first)):
            self.hidden.update(dict.fromkeys(range(first, end), reason))

    def put(self, seen: Seen) -> str:
        """Put a text in front of the boxes; return why it is not seen, ``""`` if it is."""
        behind: Painted | None = None
        if seen.top < self._lowest_painted and self.pays(1 + (len(self._painted) >> 3)):
            for painted in self._painted:
                if painted.stands_at(seen):
                    behind, seen = painted, seen._replace(under=painted.rank)
        known = behind.makes_of(seen) if behind is not None else None
        if known == "covered":
            return known
        if seen.hidden:
            self.last_hidden = seen.number
        self._texts.append(seen)
        if seen.bottom > self.lowest_text:
            self.lowest_text = seen.bottom
        return seen.hidden if known is None else known

    def paint(self, painted: Painted, last: int) -> None:
        """Paint a box, which may cover the texts up to the one with the number ``last``."""
        self._painted.append(painted)
        if painted.bottom > self._lowest_painted:
            self._lowest_painted = painted.bottom
        if not last or not self.pays(3 * len(self._texts)):
            return
        for at, text in enumerate(self._texts):
            if text.number <= last and painted.stands_at(text):
                self._texts[at] = text._replace(under=painted.rank)
                reason = painted.makes_of(text)
                stays = not text.hidden or self.hidden.get(text.number) in _AWAY
                if reason or (reason is not None and not stays):
                    self.hidden[text.number] = reason

    def sticking_out(self, painted: Painted, first: int, behind: Group) -> list[int]:
        """The hidden texts of a box, behind the number ``first``, that are seen outside of it."""
        if not self.pays(2 * len(self._texts)):
            return []
        return [
            text.number for text in self._texts
            if text.number > first and text.hidden and painted.shows_rest(text, behind)
        ]  # fmt: skip

    def show(self, numbers: list[int]) -> None:
        """Show texts that are not moved away."""
        for number in numbers:
            if self.hidden.get(number) not in _AWAY:
                self.hidden[number] = ""

    def fill(self, rank: Rank, first: int, end: int) -> None:
        """Cover the texts of a box, from the number ``first`` on, with a box that fills it."""
        kept = self._texts[0].number if self._texts else end
        self.hide(first, max(kept, first), "covered")
        if self.pays(len(self._texts)):
            for text in self._texts:
                if text.number >= first and text.rank < rank:
                    self.hidden[text.number] = "covered"

    def cut(self, rank: Rank, scope: object, bottom: float, edge: float, last: int) -> None:
        """Cut off the texts of a box, behind the number ``last``, that stand below its edge.

        Args:
            rank: of the box, which that of the texts continues when they are in its flow.
            scope: the box.
            bottom: where the box ends; ``edge`` where it is moved to.
        """
        if self.lowest_text <= bottom or not self.pays(2 * len(self._texts)):
            return
        for text in self._texts:
            if text.number <= last or text.top < edge:
                continue
            if text.scope is scope or text.rank[:-2] == rank:
                self.hidden[text.number] = "position"


_MOST_TEXTS: Final = 256
_MOST_PAINTED: Final = 64
"""How many texts and painted boxes back it is looked for what covers what."""
_NO_TEXT: Final = 0
"""Texts are numbered from 1."""
_AWAY: Final = frozenset({"position", "size"})
"""The reasons of texts that no background brings back."""
