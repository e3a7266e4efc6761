"""Classes and ids with which mail programs mark quotes and signatures in HTML.

That is a strong hint, independent of the language. It is followed while the HTML is turned into
text: signatures and quotes in containers of known names are left out, and from an element of which
it is known that only history follows, everything is. A quote with an answer in it stays, marked
with ``>``, and so does a message that is passed on.
"""

from __future__ import annotations

import re
from typing import Final

from nornmail.html.document import visible_text
from nornmail.html.tree import Element
from nornmail.message.quotes.attribution import begins_forward, block_end, is_forward, is_strong
from nornmail.message.quotes.lines import MAX_MARK_CHARS, normalized

_CONTAINERS: Final = frozenset(
    {
        "gmail_quote", "yahoo_quoted", "protonmail_quote", "zmail_extra", "tutanota_quote",
        "history_container", "front-blockquote", "missive_quote", "olk_src_body_section",
        "mail-editor-reference-message-container", "isreplycontent", "ntes-mailmaster-quote",
        "messagereplysection", "__pbconvbody", "fastmail-quoted", "appleoriginalcontents",
        "sh-quoted-content", "nylas-quote", "gmail_quote_container", "freebirdformviewerquote",
        "ox-quote", "hey-quote", "quotedmessage", "moz-quote", "twc-quote", "mailmasterquote",
    }
)  # fmt: skip
"""Classes, ids and names, in lower case, of elements with nothing but a quote in them."""

_FROM_HERE: Final = frozenset(
    {
        "divrplyfwdmsg", "appendonsend", "ms-outlook-mobile-body-separator-line", "zwchr",
        "stopspelling", "__divider__", "__headers__", "x_divrplyfwdmsg", "replysplit", "__pbconvhr",
        "divtaglinemicrosoftquote", "hmmessage-quote",
    }
)  # fmt: skip
"""Classes, ids and names of elements behind which only history stands."""

_SIGNATURES: Final = frozenset(
    {
        "gmail_signature", "gmail_signature_prefix", "moz-signature", "signature",
        "ms-outlook-mobile-signature", "messagesignaturesection", "protonmail_signature_block",
        "protonmail_signature_block-user", "protonmail_signature_block-proton",
        "composer_signature", "front-signature",
        "airmail_sign", "-x-evo-signature", "-x-evo-signature-wrapper", "zm-_id_-sgn", "_rc_sig",
        "k9mail-signature", "sh-signature", "__sig_pre__", "__sig_post__", "applemailsignature",
        "mobilesignature", "bloop_sign", "tutanota_signature", "x_signature", "yahoo-signature",
        "mail-editor-signature", "signature-in-message", "pm-signature", "spark-signature",
        "ntes-signature",
    }
)  # fmt: skip
"""Classes, ids and names of signatures."""

_ATTRIBUTIONS: Final = frozenset(
    {"gmail_attr", "moz-cite-prefix", "reply-intro", "airmail_on", "bloop_reply", "protonmail_attr"}
)
"""Classes, ids and names of the line above a quote."""

_FORWARDS: Final = frozenset({"moz-forward-container", "gmail_forward", "forwardbody1"})
"""Classes, ids and names of what is passed on."""

_YAHOO = re.compile(r"(?:^|_|ydp[0-9a-z]*)(?:yahoo_quoted|yqt)(?:_?[0-9]|$)")
_RULED = re.compile(
    r"border(?:-top)?: *(?:solid|1px|1\.0pt|none; *border-top: *solid)"
    r"|border-top(?:-style|-color|-width)?:"
)
_RULE_COLOURS: Final = (
    "#e1e1e1", "#b5c4df", "#e5e5e5", "rgb(229, 229, 229)", "rgb(225, 225, 225)", "windowtext",
    "rgb(181, 196, 223)", "#b5c4de", "#ccc", "blue",
)  # fmt: skip
_KNOWN: Final = (
    *(_CONTAINERS | _FROM_HERE | _SIGNATURES | _ATTRIBUTIONS),
    "yahoo_quoted", "yqt", "data-signatureblock", "border-top", "type=cite", 'type="cite',
    "type='cite",
)  # fmt: skip
_MAX_NODES: Final = 40
"""Elements and texts in which the beginning of an element is looked for."""
_MAX_LOOK: Final = 2_000
"""Elements of one quote in which an answer is looked for."""


def has_structure(html: str) -> bool:
    """Whether ``html`` has a name that a mail program gives: reading its structure may pay."""
    lower = html.lower()
    return any(name in lower for name in _KNOWN)


def without_history(html: str, *, keeps_headers: bool = False) -> tuple[str, bool] | None:
    """The visible text of ``html`` without the quotes and signatures that its markup names.

    Args:
        keeps_headers: the message is one that is passed on; only signatures are left out.

    Returns:
        The text, and whether the markup named a quote: what still begins with ``>`` at its end is
        history then. ``None`` where the markup named neither a quote nor a signature.
    """
    history = _History(keeps_headers=keeps_headers)
    text = visible_text(html, without=history, shortens_links=True).text
    return (text, history.has_quote) if history.has_quote or history.has_cut else None


class _History:
    """Decides for each element, in the order of the document, whether it is left out."""

    def __init__(self, *, keeps_headers: bool) -> None:
        self.has_quote = False
        self.has_cut = False
        self._is_passed_on = False
        self._keeps_headers = keeps_headers

    def __call__(self, element: Element) -> bool:
        if self._is_passed_on or not element.attributes:
            return False
        left_out = self._is_left_out(element, _names(element))
        self.has_cut |= left_out
        return left_out

    def _is_left_out(self, element: Element, names: frozenset[str]) -> bool:
        if names & _FORWARDS:
            self._is_passed_on = True
            return False
        if names & _SIGNATURES or "data-signatureblock" in element.attributes:
            return not _in_quote(element)
        if self._keeps_headers:
            return False
        if names & _FROM_HERE or (element.name == "div" and _is_ruled_header(element)):
            self.has_quote = True
            _end_before(element)
            return True
        return self._is_quote(element, names)

    def _is_quote(self, element: Element, names: frozenset[str]) -> bool:
        if names & _ATTRIBUTIONS:
            text = " ".join(_beginning(element).split())
            if _is_passed_on(_beginning(element).strip()):
                self._is_passed_on = True
                return False
            self.has_quote = True
            # One that can be read as text stays: it may be above an answer.
            return not is_strong(normalized(text))
        if element.name == "blockquote":
            if (
                not self.has_quote
                and not _in_quote(element)
                and begins_forward(_first_lines(element))
            ):
                self._is_passed_on = True
                return False
            self.has_quote |= bool(names & _CONTAINERS) or element.get("type").lower() == "cite"
            return False
        if names & _CONTAINERS or any(_YAHOO.search(name) for name in names):
            if _is_passed_on(_beginning(element).strip()):
                self._is_passed_on = True
                return False
            self.has_quote = True
            return not _is_answered(element)
        return False


def _names(element: Element) -> frozenset[str]:
    names = (element.get("id"), element.get("name"), element.get("data-marker"), *element.classes)
    return frozenset(name.lower() for name in names if name)


def _first_lines(element: Element) -> list[str]:
    return _beginning(element).split("\n")


def _is_passed_on(text: str) -> bool:
    first = text.partition("\n")[0].strip()
    dashed = re.match(r"-{2,} ?[^-]{3,60} ?-{2,}", first)
    return is_forward([dashed[0] if dashed else first, *text.split("\n")[1:4]], 0)


def _in_quote(element: Element) -> bool:
    parent = element.parent
    for _ in range(_MAX_LOOK):
        if parent is None:
            return False
        if parent.name == "blockquote":
            return True
        parent = parent.parent
    return False


def _is_ruled_header(element: Element) -> bool:
    """The box with a line above it that Outlook and Windows Mail put around the header block."""
    style = element.get("style").lower()
    if "border" not in style or not _RULED.search(style):
        return False
    if not any(colour in style for colour in _RULE_COLOURS):
        return False
    lines = [line for line in _first_lines(element) if line.strip()]
    return bool(lines) and block_end(lines, 0, below_rule=True) > 0


def _beginning(element: Element) -> str:
    """The first characters within, enough for a header or an attribution, and little more."""
    pieces: list[str] = []
    ahead: list[Element | str] = list(reversed(element.children))
    length = 0
    for _ in range(_MAX_NODES):
        if not ahead or length > MAX_MARK_CHARS:
            break
        node = ahead.pop()
        if isinstance(node, str):
            pieces.append(node)
            length += len(node)
        else:
            pieces.append("\n" if node.name in ("br", "div", "p", "tr") else "")
            ahead.extend(reversed(node.children))
    return "".join(pieces)[: 2 * MAX_MARK_CHARS]


def _is_answered(element: Element) -> bool:
    """Whether text stands in this container, outside of its quotes and below the first."""
    ahead: list[Element | str] = list(reversed(element.children))
    is_below = False
    for _ in range(_MAX_LOOK):
        if not ahead:
            return False
        node = ahead.pop()
        if isinstance(node, str):
            if is_below and node.strip():
                return True
        elif node.name == "blockquote":
            is_below = True
        elif not _names(node) & _SIGNATURES and node.name not in ("style", "script"):
            ahead.extend(reversed(node.children))
    return False


def _end_before(element: Element) -> None:
    """Take out of the tree what follows ``element``: it was made for this one reading."""
    node = element
    while node.parent is not None:
        siblings = node.parent.children
        if isinstance(siblings, list):
            del siblings[node.parent.position(node) + 1 :]
        node = node.parent
