"""What the HTML standard says of the elements, as sets of names."""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOID: Final = _names(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source"
    " track wbr"
)
"""Elements without content and without an end tag."""

HEAD: Final = _names(
    "base basefont bgsound link meta noframes noscript script style template title"
)
"""What may stand in the head. Anything else begins the body."""

HEADINGS: Final = _names("h1 h2 h3 h4 h5 h6")

BLOCKS: Final = HEADINGS | _names(
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form header hgroup hr html legend li listing main menu nav ol"
    " optgroup option p plaintext pre search section summary table tbody tfoot thead tr ul xmp"
    " caption textarea"
)
"""Elements that begin on a line of their own."""

CLOSE_P: Final = (
    BLOCKS - _names("body html tbody tfoot thead tr caption legend textarea")
) - _names("optgroup option")
"""Start tags that end an open paragraph."""

CLOSED_BY_NAME: Final = (CLOSE_P - HEADINGS - _names("hr li dd dt p plaintext table xmp")) | _names(
    "button"
)
"""End tags that end everything that was opened within their element."""

FORMATTING: Final = _names("a b big code em font i nobr s small strike strong tt u")
"""Elements that go on behind the end of a block in which they were left open (13.2.4.3)."""

MARKERS: Final = _names("applet caption marquee object td template th")
"""Elements at the edge of which that ends."""

SCOPE: Final = _names(
    "applet caption html marquee object table td template th foreignobject svg math"
)
"""Elements out of which no end tag reaches."""

IMPLIED: Final = _names("dd dt li optgroup option p rb rp rt rtc")
"""Elements that the end of what is around them ends."""

TABLE_ROWS: Final = _names("table tbody tfoot thead tr")
"""Elements that take nothing but parts of a table."""
TABLE_PARTS: Final = _names("caption col colgroup tbody td tfoot th thead tr")

SPECIAL: Final = (
    VOID
    | CLOSE_P
    | TABLE_ROWS
    | TABLE_PARTS
    | SCOPE
    | HEAD
    | _names("body button frameset head html iframe noembed select textarea caption")
    - _names("dialog optgroup option foreignobject svg math")
)
"""Elements that no end tag of another name ends, unless it is named above."""

FOREIGN: Final = _names("svg math")
BREAK_OUT: Final = FORMATTING - _names("a font s") | _names(
    "blockquote body center dd div dl dt h1 h2 h3 h4 h5 h6 head hr img li menu meta ol p pre ruby"
    " span sub sup table ul var"
)
"""Start tags that end a drawing or a formula (13.2.6.5)."""

NEVER_SHOWN: Final = _names(
    "area base basefont col colgroup datalist embed head iframe link meta noembed noframes param rp"
    " script source style template title track annotation annotation-xml audio"
    " canvas meter mphantom progress video"
)
"""Elements that show nothing by themselves, or show something else than their text."""
