"""What a message says and carries, as one MIME tree (RFC 2046, 2387)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nornmail.compose.attachments import Enclosure, checked_content_id, enclosure_entity
from nornmail.compose.mime import text_entity
from nornmail.errors import ComposeError
from nornmail.html.document import html_to_text
from nornmail.smtp.entities import Boundaries, Entity, multipart

MAX_ENCLOSURES: Final = 500
"""Files sent along with one message; readers look at some 1,000 parts."""


def content_entity(
    text: str | None, html: str | None, enclosures: Sequence[Enclosure], unique: str
) -> Entity:
    """The whole body of a message.

    Text and HTML are alternatives; images with a Content-ID stand beside the HTML that shows them;
    everything else is attached.

    Args:
        text: plain; where there is none, or it is blank, it is made from the HTML.
        html: or none.
        enclosures: files and images.
        unique: makes the boundaries.

    Raises:
        ComposeError: there is nothing to say, or something of it cannot be written.
    """
    if text is None and html is None and not enclosures:
        raise ComposeError("text", "nothing to say: no text, no HTML, no attachment")
    for name, value in (("text", text), ("html", html)):
        if value is not None and not isinstance(value, str):
            raise ComposeError(name, f"{type(value).__name__} is no text")
    if len(enclosures) > MAX_ENCLOSURES:
        raise ComposeError("attachments", f"more than {MAX_ENCLOSURES}")
    boundaries = Boundaries(unique)
    inline = [one for one in enclosures if one.content_id] if html else []
    _check_content_ids(inline)
    shown = _shown(text or "", html or "", inline, boundaries)
    attached = [one for one in enclosures if one not in inline]
    if not attached:
        return shown
    return multipart("mixed", [shown, *map(enclosure_entity, attached)], boundaries)


def _shown(text: str, html: str, inline: Sequence[Enclosure], boundaries: Boundaries) -> Entity:
    """What a person reads."""
    if not html:
        return text_entity(text, "plain")
    rich = text_entity(html, "html")
    if inline:
        images = [enclosure_entity(one, inline=True) for one in inline]
        rich = multipart("related", [rich, *images], boundaries, type="text/html")
    if not text.strip():
        text = html_to_text(html)
    if not text.strip():  # images alone: an empty alternative would be shown instead of them
        return rich
    return multipart("alternative", [text_entity(text, "plain"), rich], boundaries)


def _check_content_ids(inline: Sequence[Enclosure]) -> None:
    ids = [checked_content_id(one) for one in inline]
    if len(set(ids)) < len(ids):
        raise ComposeError("attachments", "two images with one Content-ID")
