"""Limits on what is read of a page: characters, elements, rules, steps; each with its reason."""

from typing import Final

MAX_HTML_CHARS: Final = 2 * 1024 * 1024
"""Characters of HTML that are turned into text. Newsletters have about 0.1 million."""

MAX_HTML_ELEMENTS: Final = 75_000
"""Elements of one HTML part and their attributes together; each costs about 200 octets. Mail of a
megabyte has about 30,000."""

MAX_HTML_ATTRIBUTES: Final = 200
"""Attributes of one tag. What stands behind them is not read; honest tags have ten."""

MAX_HTML_NESTING: Final = 512
"""Levels of elements; what is deeper lies side by side, as it does in browsers (Blink: 512)."""

MAX_HTML_STEPS: Final = 2_000_000
"""Steps spent on finding what an end tag ends; ordinary mail needs 30 for each tag."""

MAX_CSS_RULES: Final = 10_000
"""Rules of all style blocks of one HTML part: newsletters have 20 to 500, frameworks 3,000. With
more of them nobody can tell what is seen, and no text is taken from the part."""

MAX_CSS_STEPS: Final = 300_000
"""Tests of a selector on an element. Newsletters need 5,000 to 50,000; each costs a microsecond.
Where they are used up the text ends."""

MAX_CSS_NESTING: Final = 3
"""Blocks within blocks of a style sheet that are entered; what is deeper does not count."""

MAX_CSS_VALUE_CHARS: Final = 2_000
"""Characters of one value of a property, addresses in it aside. A longer one does not count."""

MAX_CSS_SELECTOR_CHARS: Final = 2_000
"""Characters of one selector. A longer one counts as more rules than the limit."""

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
