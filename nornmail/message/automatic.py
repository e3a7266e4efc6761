"""Did a machine send this? (RFC 3834, and the fields that came before it.) Total."""

from __future__ import annotations

import re
from typing import Final

from nornmail.message.headers import Headers, decode_text

_MACHINE = re.compile(
    r"(?:no|not|donot|do[._-]not)[._-]?reply|mailer[._-]?daemon|postmaster|auto[._-]?repl(?:y|ies)",
    re.IGNORECASE,
)
_PRECEDENCE: Final = frozenset({"bulk", "list", "junk", "auto_reply"})
_PRESENT: Final = ("List-Id", "List-Unsubscribe", "X-Autoreply", "X-Autorespond")
_WORD = re.compile(r"[A-Za-z_-]+")
_MAX_REASON: Final = 100


def automatic_reason(headers: Headers, content_type: str, sender: str) -> str:
    """Why this is taken for automatic mail, ``""`` when nothing says so.

    Answering such mail makes loops (RFC 3834 section 2).

    Args:
        headers: of the message.
        content_type: of the whole message, in lower case.
        sender: the address in From.
    """
    submitted = _first_word(headers, "auto-submitted")
    if submitted not in ("", "no"):
        return f"Auto-Submitted: {submitted}"[:_MAX_REASON]
    paths = headers.raw_all("return-path")
    if paths and "".join(paths[0].split()) == "<>":
        return "Return-Path: <>"
    if content_type == "multipart/report":
        return "a report (multipart/report)"
    precedence = _first_word(headers, "precedence").replace("-", "_")
    if precedence in _PRECEDENCE:
        return f"Precedence: {precedence}"
    for name in _PRESENT:
        if name in headers:
            return f"{name} is present"
    suppress = decode_text(headers.raw("x-auto-response-suppress"))
    if suppress and suppress.lower() != "none":
        return f"X-Auto-Response-Suppress: {suppress}"[:_MAX_REASON]
    local = sender.rpartition("@")[0]
    if _MACHINE.search(local):
        return f"the sender is {sender}"[:_MAX_REASON]
    return ""


def _first_word(headers: Headers, name: str) -> str:
    found = _WORD.search(headers.raw(name))
    return found[0].lower() if found else ""
