"""FETCH lines as a FetchFault wants them."""

from __future__ import annotations

from dataclasses import replace

from nornmail.testing.faults.messages import FetchFault
from nornmail.testing.imap.fetch import FetchItem, Rendering

PLACEHOLDER = b"Subject: message unavailable\r\n\r\nThis message is no longer available.\r\n"
"""What the ``placeholder`` fault gives instead of a message, as some servers do."""


def render_spoiled(one: Rendering, items: list[FetchItem], fault: FetchFault) -> bytes:
    """A message's line, spoilt; no line at all when the message is missing."""
    message = one.message
    plain = [item for item in items if item.section is None]
    match fault.kind:
        case "missing":
            return b""
        case "no_body":
            return one.line(plain)
        case "nil":
            bodies = [item.label + b" NIL" for item in items if item.section is not None]
            return one.joined([*(one.item(item) for item in plain), *bodies])
        case "wrong_uid":
            other = message.uid + 1 if fault.other_uid is None else fault.other_uid
            return Rendering(one.number, replace(message, uid=other), one.modseq).line(items)
        case "no_uid":
            return one.line([item for item in items if item.label != b"UID"])
        case "wrong_size":
            size, true = b"RFC822.SIZE %d", len(message.raw)
            return one.line(items).replace(size % true, size % (true + 1), 1)
        case "twice":
            return one.line(items) * 2
        case "empty" | "short" | "placeholder":
            return _with_another_text(one, items, fault.kind)


def _with_another_text(one: Rendering, items: list[FetchItem], kind: str) -> bytes:
    """The line with a wrong text in a well-formed literal; RFC822.SIZE stays the true one."""
    values: list[bytes] = []
    for item in items:
        if item.section is None:
            values.append(one.item(item))
            continue
        text = one.text(item.section)
        wrong = {"empty": b"", "short": text[: len(text) // 2], "placeholder": PLACEHOLDER}[kind]
        values.append(b"%s {%d}\r\n%s" % (item.label, len(wrong), wrong))
    return one.joined(values)
