"""One start tag: its name and its attributes (HTML standard, 13.2.5.32 to 40).

Not ``html.parser``. On odd tags such as ``<p a== b="x>y" style=...>`` it finds other attributes
than a browser does, and in other releases of Python other ones: a style that a browser follows and
that reader misses is a text that no person sees and a model reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from nornmail.html.limits import MAX_HTML_ATTRIBUTES
from nornmail.message.html.references import resolve_in_attribute

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}
BLANK: Final = r"[\t\n\f\r ]"
NAME: Final = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
VALUE: Final = r"""(?:"[^"]*+"|'[^']*+'|(?=>)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)"""
_ATTRIBUTE: Final = re.compile(
    rf"({NAME})(?>(?:{BLANK}*+={BLANK}*+({VALUE}))?)[\t\n\f\r /]*+",
)
_KEPT: Final = 2_000
"""Tags that are remembered: those of a newsletter repeat."""


class TagReader:
    """Reads start tags, and remembers those that it has read."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._names: dict[str, str] = {}

    def name(self, written: str) -> str:
        """A name in lower case, the same object for the same name."""
        known = self._names.get(written)
        if known is None:
            known = written.lower()
            if len(self._names) < _KEPT:
                known = self._names.setdefault(known, known)
                self._names[written] = known
        return known

    def read(self, source: str, name: str) -> tuple[str, Mapping[str, str]]:
        """The name in lower case and the attributes, of which the first of a name counts.

        Args:
            source: from ``<`` to ``>``, whole.
            name: what stands behind the ``<``.
        """
        known = self._known.get(source)
        if known is None:
            has_none = len(source) == len(name) + 2
            known = (
                self.name(name),
                NO_ATTRIBUTES if has_none else _attributes(source, len(name) + 1),
            )
            if len(self._known) < _KEPT:
                self._known[source] = known
        return known


def _attributes(source: str, start: int) -> Mapping[str, str]:
    """Those of the tag from ``start`` on, up to the limit."""
    while source[start] in "\t\n\f\r /":
        start += 1
    pairs: Iterable[tuple[str, str]]
    if len(source) < _SHORT:  # all at once is quicker, and takes no more than this
        pairs = _ATTRIBUTE.findall(source, start)[:MAX_HTML_ATTRIBUTES]
    else:
        every = _ATTRIBUTE.finditer(source, start)
        pairs = ((one[1], one[2] or "") for one in islice(every, MAX_HTML_ATTRIBUTES))
    first: dict[str, str] = {}
    for name, value in pairs:
        if value and value[0] in "\"'":
            value = value[1:-1]
        first.setdefault(name.lower(), resolve_in_attribute(value) if "&" in value else value)
    return first


_SHORT: Final = 4_000
"""Characters of an ordinary tag."""
