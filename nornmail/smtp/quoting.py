"""The message that is answered, quoted below the answer."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Final

from nornmail.compose.addresses import NOT_IN_A_LINE
from nornmail.message.message import Message

MAX_QUOTED_CHARS: Final = 64 * 1024
"""Characters of a message that are quoted; who wants the rest has it."""
MAX_NAME_SHOWN: Final = 100
"""Characters of the sender in the line above the quote."""
LEFT_OUT: Final = "[...]"
"""Stands for what is not quoted."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def quoted_text(message: Message) -> str:
    """An attribution, and the message's text with ``> `` before each line (RFC 3676, 4.5)."""
    lines = (f"> {line}".rstrip(" ") for line in _shown_text(message).split("\n"))
    return "\n".join((attribution(message), *lines)) + "\n"


def quoted_html(message: Message) -> str:
    """The same as HTML, from the text: a stranger's markup is not passed on."""
    shown = "<br>\n".join(escape(line) for line in _shown_text(message).split("\n"))
    return (
        f"<div>{escape(attribution(message))}</div>\n"
        f'<blockquote type="cite">\n{shown}\n</blockquote>\n'
    )


def attribution(message: Message) -> str:
    """``On Tue, 24 Nov 2026 at 13:31 +0000, Ann wrote:``, on one line."""
    who = NOT_IN_A_LINE.sub(" ", message.from_.name or message.from_.address)
    who = " ".join(who.split())[:MAX_NAME_SHOWN] or "somebody"
    when = message.date or message.received_at
    return f"{_dated(when)}{who} wrote:"


def _dated(when: datetime | None) -> str:
    if when is None:
        return ""
    day = f"{_DAYS[when.weekday()]}, {when.day} {_MONTHS[when.month - 1]} {when.year:04d}"
    return f"On {day} at {when:%H:%M %z}, "


def _shown_text(message: Message) -> str:
    text = message.text.strip("\n")
    if len(text) > MAX_QUOTED_CHARS:
        text = text[:MAX_QUOTED_CHARS] + "\n" + LEFT_OUT
    return text
