"""Every sign that a machine sent a message, each with the name of its refusal (RFC 3834, 2).

``Message.is_automatic`` tells one sign, which is enough to stay silent. Here all are needed: who
allows answers to lists does not allow them to a list's automatic answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from nornmail.errors import Refusal
from nornmail.message import Message

MAX_SIGN_CHARS: Final = 100
"""Characters of a foreign field in a refusal."""

_WORD = re.compile(r"[A-Za-z_-]+")
_NO_READER = re.compile(
    r"(?<![a-z])(?:no|not|donot|do[._-]not)[._-]?reply(?![a-z])|mailer[._-]?daemon|postmaster"
    r"|\Abounces?(?:[+=_-]|\Z)",
    re.IGNORECASE,
)
_AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply")
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-post", "list-help", "mailing-list")


def machine_signs(message: Message) -> Iterator[Refusal]:
    """Every sign that a program sent this; none where a person seems to have written it."""
    found = False
    for kind, sign in _SIGNS:
        shown = sign(message)
        if shown:
            found = True
            yield Refusal(kind, " ".join(shown.split())[:MAX_SIGN_CHARS])
    if not found and message.is_automatic:
        yield Refusal("automatic", message.automatic_reason[:MAX_SIGN_CHARS])


def _word(message: Message, name: str) -> str:
    """The first word of a field, in lower case."""
    found = _WORD.search(message.headers.raw(name))
    return found[0].lower() if found else ""


def _auto_submitted(message: Message) -> str:
    value = _word(message, "auto-submitted")
    return f"Auto-Submitted: {value}" if value not in ("", "no") else ""


def _answers_unwanted(message: Message) -> str:
    value = message.headers.get("x-auto-response-suppress", "") or ""
    wanted = value.lower() in ("", "none")
    return "" if wanted else f"X-Auto-Response-Suppress: {value}"


def _auto_reply_field(message: Message) -> str:
    present = next((name for name in _AUTO_REPLY_FIELDS if name in message.headers), "")
    if present:
        return f"{present.title()} is present"
    return "Precedence: auto_reply" if _precedence(message) == "auto_reply" else ""


def _null_path(message: Message) -> str:
    paths = message.headers.raw_all("return-path")
    return "Return-Path: <>" if paths and "".join(paths[0].split()) == "<>" else ""


def _report(message: Message) -> str:
    kind = message.headers.raw("content-type").partition(";")[0].strip().lower()
    if kind == "multipart/report":
        return "a report (multipart/report)"
    return "a delivery report" if message.bounce is not None else ""


def _list_field(message: Message) -> str:
    present = next((name for name in _LIST_FIELDS if name in message.headers), "")
    if present:
        return f"{present.title()} is present"
    return "Precedence: list" if _precedence(message) == "list" else ""


def _bulk(message: Message) -> str:
    value = _precedence(message)
    return f"Precedence: {value}" if value in ("bulk", "junk") else ""


def _no_reader(message: Message) -> str:
    sender = message.from_.address
    return f"the sender is {sender}" if _NO_READER.search(sender.rpartition("@")[0]) else ""


def _precedence(message: Message) -> str:
    return _word(message, "precedence").replace("-", "_")


_SIGNS: Final[tuple[tuple[str, Callable[[Message], str]], ...]] = (
    ("auto-reply", _auto_submitted),
    ("auto-reply", _answers_unwanted),
    ("auto-reply", _auto_reply_field),
    ("report", _null_path),
    ("report", _report),
    ("list", _list_field),
    ("bulk", _bulk),
    ("noreply", _no_reader),
)
"""Each kind with what looks for it; it gives what it found in words."""
