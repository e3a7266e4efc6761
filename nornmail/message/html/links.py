"""What of a link's address is worth reading."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from nornmail.html.invisible_characters import without_invisible
from nornmail.html.limits import MAX_URL_CHARS

_SHOWN: Final = ("http://", "https://", "ftp://", "tel:", "sms:")
_DROPPED: Final = re.compile(r"[\x00-\x20\x7f]+")


def shown_address(href: str) -> str:
    """The address as a person would be told it; ``""`` for scripts, data and places on the page.

    Of ``mailto:`` the mailbox is left.
    """
    # A browser drops line ends and tabs anywhere in an address, and blanks around it.
    url = _DROPPED.sub(_dropped, without_invisible(href.strip())[0])[:MAX_URL_CHARS]
    lower = url[:10].lower()
    if lower.startswith("mailto:"):
        return unquote(url[7:].partition("?")[0]).strip()
    return url if lower.startswith(_SHOWN) else ""


def _dropped(found: re.Match[str]) -> str:
    return "%20" if " " in found[0] else ""


def says(text: str, address: str) -> bool:
    """Whether a link's text is its address already."""
    return _bare(text) == _bare(address)


def _bare(text: str) -> str:
    text = "".join(text.split()).lower()
    for scheme in ("http://", "https://", "mailto:", "tel:", "ftp://"):
        text = text.removeprefix(scheme)
    return text.removeprefix("www.").rstrip("/")
