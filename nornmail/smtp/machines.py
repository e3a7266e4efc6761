"""Every sign that a machine sent a message, each with the name of its refusal (RFC 3834, 2).

``Message.is_automatic`` tells one sign, which is enough to stay silent. Here all are needed: who
allows answers to lists does not allow them to a list's automatic answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from nornmail.compose.reply import correspondents
from nornmail.errors import Refusal
from nornmail.message.message import Message

MAX_SIGN_CHARS: Final = 100
"""Characters of a foreign field in a refusal."""

_WORD = re.compile(r"[A-Za-z_-]+")
_NO_READER = re.compile(r"(?<![a-z])(?:no|not|donot|do[._-]not)[._-]?reply(?![a-z])", re.IGNORECASE)
_DAEMON = re.compile(r"mailer[._-]?daemon|\Apostmaster\Z|\Abounces?(?:[+=_-]|\Z)", re.IGNORECASE)
_AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply")
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-post", "list-help", "mailing-list")
_SUPPRESSED: Final = frozenset({"all", "oof", "autoreply"})
"""What asks for no automatic answers; the others ask for no reports and receipts."""


def machine_signs(message: Message) -> Iterator[Refusal]:
    """Every sign that a program sent this; none where a person seems to have written it."""
    kinds = set()
    for kind, sign in _SIGNS:
        shown = sign(message)
        if shown:
            kinds.add(kind)
            yield Refusal(kind, " ".join(shown.split())[:MAX_SIGN_CHARS])
    if message.is_automatic:
        kind = getattr(message.is_automatic, "kind", "automatic")
        if kind not in kinds and (kind != "automatic" or not kinds):
            yield Refusal(kind, message.automatic_reason[:MAX_SIGN_CHARS])


def _word(message: Message, name: str) -> str:
    """The first word of a field, in lower case."""
    found = _WORD.search(message.headers.raw(name))
    return found[0].lower() if found else ""


def _auto_replied(message: Message) -> str:
    value = _word(message, "auto-submitted")
    if value == "auto-replied":
        return f"Auto-Submitted: {value}"
    present = next((name for name in _AUTO_REPLY_FIELDS if name in message.headers), "")
    if present:
        return f"{present.title()} is present"
    return "Precedence: auto_reply" if _precedence(message) == "auto_reply" else ""


def _auto_generated(message: Message) -> str:
    value = _word(message, "auto-submitted")
    return f"Auto-Submitted: {value}" if value not in ("", "no", "auto-replied") else ""


def _suppress(message: Message) -> str:
    value = message.headers.get("x-auto-response-suppress", "") or ""
    asked = _SUPPRESSED & {one.strip().lower() for one in value.split(",")}
    return f"X-Auto-Response-Suppress: {value}" if asked else ""


def _null_path(message: Message) -> str:
    paths = message.headers.raw_all("return-path")
    return "Return-Path: <>" if paths and "".join(paths[0].split()) == "<>" else ""


def _report(message: Message) -> str:
    kind = message.headers.raw("content-type").partition(";")[0].strip().lower()
    if kind == "multipart/report":
        return "a report (multipart/report)"
    sender = message.from_.address
    if _DAEMON.search(sender.rpartition("@")[0]):
        return f"the sender is {sender}"
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
    """Not the sender: forms on web pages write as noreply@, with a person in Reply-To."""
    for one in correspondents(message):
        if _NO_READER.search(one.address.rpartition("@")[0]):
            return f"an answer goes to {one.address}"
    return ""


def _precedence(message: Message) -> str:
    return _word(message, "precedence").replace("-", "_")


_SIGNS: Final[tuple[tuple[str, Callable[[Message], str]], ...]] = (
    ("report", _null_path),
    ("report", _report),
    ("auto-reply", _auto_replied),
    ("list", _list_field),
    ("auto-generated", _auto_generated),
    ("bulk", _bulk),
    ("suppress", _suppress),
    ("noreply", _no_reader),
)
"""Each kind with what looks for it; it gives what it found in words."""
