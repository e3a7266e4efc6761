"""Limits on what is read of a page, each with its reason, and the budget that bounds the time."""

from __future__ import annotations

from typing import Final

MAX_HTML_CHARS: Final = 2 * 1024 * 1024
"""Characters of HTML that are turned into text. Newsletters have about 0.1 million."""

HTML_STEPS: Final = 100_000
"""Steps that every page may take, each one to two microseconds. Newsletters take up to 50,000."""

HTML_STEPS_PER_CHAR: Final = 0.7
"""Steps for each character beyond that, so that the time is linear in the size of the page."""

HTML_ELEMENT_STEPS: Final = 20
"""Steps of one element: what it takes to read it, to style it as its like, and to write it down. An
element takes memory as well, and so this bounds the memory."""

MAX_HTML_ATTRIBUTES: Final = 5_000
"""Attributes of one tag. Honest tags have ten; an element with more is not shown."""

MAX_HTML_NESTING: Final = 512
"""Levels of the tree; deeper elements lie side by side, as they do in browsers (Blink: 512)."""

MAX_CSS_NESTING: Final = 32
"""Blocks within blocks of a style sheet. Of a page with a deeper one no text is shown."""

MAX_CSS_SUBSTITUTED_CHARS: Final = 20_000
"""Characters of one value after ``var()`` was substituted. A longer one hides its element."""

MAX_HTML_DEPTH: Final = 5
"""Levels of lists and quotes that are shown by indentation. Each puts two characters before every
line, and a page can be nothing but lines of one character."""

MAX_URL_CHARS: Final = 8_000
"""Characters of one address that are read; web servers refuse longer ones."""

MAX_SHOWN_URL_CHARS: Final = 100
"""Characters of an address that is shown whole behind the text of its link. Those of trackers have
150 to 600, and would be most of a newsletter's text."""

MAX_LINKS: Final = 2_000
"""Different addresses that are listed for one HTML part. Newsletters have about 100."""


class BudgetSpentError(Exception):
    """A page has cost all the steps that it may take."""


class Budget:
    """The steps that one page may take: tokenizer, tree, sheets, selectors and rendering together.

    Attributes:
        left: the steps that are left.
    """

    __slots__ = ("left", "total")

    def __init__(self, chars: int) -> None:
        self.total = self.left = HTML_STEPS + int(HTML_STEPS_PER_CHAR * chars)

    @property
    def spent(self) -> int:
        """The steps taken so far."""
        return self.total - self.left

    def spend(self, steps: int) -> None:
        """Take ``steps``; raises :class:`BudgetSpentError` where there are none left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetSpentError
