"""One start tag: its name and its attributes, read by :mod:`html.parser`.

It is given one whole tag at a time. What a whole tag is, and all that is no tag, is for
``scan.py``: on a document ``html.parser`` takes quadratic time on tags and comments that do not
end, raises on ``<![``, and ends comments and scripts at different places in different releases of
the Pythons that are supported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final

from nornmail.message.html.references import resolve_in_attribute

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}
_KEPT: Final = 2_000
"""Tags that are remembered: those of a newsletter repeat."""


class TagReader:
    """Reads start tags, and remembers those that it has read."""

    def __init__(self) -> None:
        self._parser = _OneTag()
        self._known: dict[str, tuple[str, Mapping[str, str]]] = {}

    def read(self, source: str, name: str) -> tuple[str, Mapping[str, str]]:
        """The name in lower case and the attributes, of which the first of a name counts.

        Args:
            source: from ``<`` to ``>``.
            name: what stands behind the ``<``.
        """
        if len(source) == len(name) + 2:
            return name.lower(), NO_ATTRIBUTES
        known = self._known.get(source)
        if known is None:
            known = name.lower(), self._parser.attributes(source)
            if len(self._known) < _KEPT:
                self._known[source] = known
        return known


class _OneTag(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._found: list[tuple[str, str | None]] = []

    def attributes(self, source: str) -> Mapping[str, str]:
        self._found = []
        self.reset()
        # Each release resolves references in its own way: they are kept from it, and resolved here.
        self.feed(source.replace("&", "&amp;"))
        first: dict[str, str] = {}
        for name, value in self._found:
            first.setdefault(name, resolve_in_attribute(value or ""))
        return first

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._found = attrs
