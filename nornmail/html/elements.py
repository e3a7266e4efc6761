"""Categories of elements in the HTML standard, as sets of names.

Names of SVG and MathML have their namespace in front: ``"svg text"``, ``"math mi"``. No name of
HTML has a blank in it.
"""

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
    "base basefont bgsound link meta noframes script style template title noscript"
)
"""Elements that may stand in the head. Any other begins the body."""

HEADINGS: Final = _names("h1 h2 h3 h4 h5 h6")

BLOCKS: Final = HEADINGS | _names(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form frameset header hgroup hr html legend li listing main menu nav"
    " ol optgroup option p plaintext pre search section summary table tbody textarea tfoot thead tr"
    " ul xmp"
)
"""Elements that begin on a line of their own."""

CLOSES_P: Final = _names(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure"
    " footer header hgroup main menu nav ol p search section summary ul"
)
"""Start tags that close an open paragraph and do nothing else (13.2.6.4.7)."""

BLOCK_ENDS: Final = (CLOSES_P - {"p"}) | _names("button listing pre select")
"""End tags that close everything opened within their element."""

FORMATTING: Final = _names("a b big code em font i nobr s small strike strong tt u")
"""Elements that are reconstructed after the end of a block in which they were left open."""

MARKERS: Final = _names("applet caption marquee object td template th")
"""Elements that put a marker into the list of active formatting elements."""

TEXT_INTEGRATION: Final = frozenset({"math mi", "math mo", "math mn", "math ms", "math mtext"})
HTML_INTEGRATION: Final = frozenset({"svg foreignobject", "svg desc", "svg title"})

SCOPE: Final = (
    _names("applet caption html marquee object select table td template th")
    | TEXT_INTEGRATION
    | HTML_INTEGRATION
    | {"math annotation-xml"}
)
"""Elements that bound "has an element in scope" (13.2.4.2)."""

IMPLIED_END: Final = _names("dd dt li optgroup option p rb rp rt rtc")
"""Elements of which the end tag is implied."""

TABLE_CONTEXT: Final = _names("table tbody tfoot thead tr")
"""Elements that hold nothing but parts of a table: other content is foster parented."""

SPECIAL: Final = (
    VOID - {"basefont", "bgsound", "keygen"}
    | _names("basefont bgsound keygen applet body button caption colgroup dd dt form frameset head")
    | _names("html iframe li listing marquee noembed noframes noscript object plaintext pre script")
    | _names("select style table tbody td template textarea tfoot th thead title tr xmp p")
    | HEADINGS
    | (CLOSES_P - {"dialog"})
    | TEXT_INTEGRATION
    | HTML_INTEGRATION
    | {"math annotation-xml"}
)
"""Elements that no end tag of another name closes (13.2.4.2)."""

BREAK_OUT: Final = HEADINGS | _names(
    "b big blockquote body br center code dd div dl dt em embed head hr i img li listing menu meta"
    " nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)
"""Start tags that end a drawing or a formula (13.2.6.5)."""

RAW_TEXT: Final = _names("style xmp iframe noembed noframes script")
"""Elements that hold characters and no markup."""
RCDATA: Final = _names("title textarea")
"""Elements that hold characters and character references."""

NEVER_SHOWN: Final = _names(
    "area audio base basefont canvas col colgroup datalist embed frameset head iframe link meta"
    " meter noembed noframes param progress rp script source style template title track video"
) | {"math annotation", "math annotation-xml", "math mphantom"}
"""Elements that show nothing by themselves, or show something else than their text."""

DRAWN: Final = frozenset({"embed", "iframe", "img", "svg svg", "video"})
"""Elements that show something else than text, and cover what they are put over."""

NEVER_DRAWN: Final = _names("audio embed iframe meter noembed progress template video")
"""Those of which no style sheet shows the text."""
