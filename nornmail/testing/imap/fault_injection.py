"""Carries out the faults that a test has ordered for a command."""

from __future__ import annotations

import re
from dataclasses import replace

from nornmail.testing.connection import AnswerShape, Dropped
from nornmail.testing.imap.client import Client
from nornmail.testing.imap.faults import (
    Answer,
    Bye,
    Call,
    CommandFault,
    Cut,
    ExpireToken,
    Expunge,
    Extra,
    FetchFault,
    Garbage,
    NewUidValidity,
    Silent,
    WrongUidNext,
)
from nornmail.testing.imap.fetch import FetchItem, Rendering

PLACEHOLDER = b"Subject: message unavailable\r\n\r\nThis message is no longer available.\r\n"
"""The text of the ``placeholder`` fault, as some servers send it."""


def render_spoiled(rendering: Rendering, items: list[FetchItem], fault: FetchFault) -> bytes:
    """A message's line, spoilt; no line at all when the message is missing."""
    message = rendering.message
    plain = [item for item in items if item.section is None]
    match fault.kind:
        case "missing":
            return b""
        case "no_body":
            return rendering.line(plain)
        case "nil":
            bodies = [item.label + b" NIL" for item in items if item.section is not None]
            return rendering.joined([*(rendering.item(item) for item in plain), *bodies])
        case "wrong_uid":
            other = message.uid + 1 if fault.other_uid is None else fault.other_uid
            return Rendering(rendering.number, replace(message, uid=other), rendering.modseq).line(
                items
            )
        case "no_uid":
            return rendering.line([item for item in items if item.label != b"UID"])
        case "wrong_size":
            size, true = b"RFC822.SIZE %d", len(message.raw)
            return rendering.line(items).replace(size % true, size % (true + 1), 1)
        case "twice":
            return rendering.line(items) * 2
        case "empty" | "short" | "placeholder":
            return _with_another_text(rendering, items, fault.kind)


def _with_another_text(rendering: Rendering, items: list[FetchItem], kind: str) -> bytes:
    """The line with a wrong text in a well-formed literal; RFC822.SIZE stays the true one."""
    values: list[bytes] = []
    for item in items:
        if item.section is None:
            values.append(rendering.item(item))
            continue
        text = rendering.text(item.section)
        wrong = {"empty": b"", "short": text[: len(text) // 2], "placeholder": PLACEHOLDER}[kind]
        values.append(b"%s {%d}\r\n%s" % (item.label, len(wrong), wrong))
    return rendering.joined(values)


_UID_NEXT = re.compile(rb"(?<=UIDNEXT )[0-9]+")


def arrange(client: Client, tag: bytes, name: str) -> bytes | None:
    """Carry out the faults that fire at the command of this (upper-case) name."""
    replaced: bytes | None = None
    for fault in client.state.take(CommandFault, lambda fault: fault.matches(name)):
        if not _ends(client, fault) and not _happens(client, fault):
            _shape(client.conn.shape, fault)
        match fault:
            case Answer():
                replaced = tag + b" " + fault.words() + b"\r\n"
            case Garbage():
                replaced = fault.data
            case Extra():
                client.conn.write(fault.data)
    return replaced


def _ends(client: Client, fault: CommandFault) -> bool:
    """End the connection where the fault says so; False where it is none of this kind."""
    match fault:
        case Silent(after_bytes=None):
            client.conn.flush()
            client.conn.swallow()
        case Bye():
            client.hang_up(fault.text)
        case ExpireToken():
            if client.account is not None:
                client.account.tokens.clear()
            client.hang_up(fault.text)
        case Cut(before=True):
            raise Dropped("cut before acting", reset=fault.reset)
        case _:
            return False
    return True


def _happens(client: Client, fault: CommandFault) -> bool:
    """Change the world before the command acts; False where the fault is none of this kind."""
    match fault:
        case Call():
            fault.function()
        case Expunge():
            if client.box is not None:
                with client.box.lock:
                    uids = client.box.epoch.uids
                    client.box.epoch.remove(fault.uid or next(iter(uids), 0))
        case NewUidValidity():
            box = client.account.named(fault.mailbox) if client.account else None
            if box is not None:
                box.reset_uid_validity(fault.value, renumber=fault.renumber, quiet=True)
        case _:
            return False
    return True


def _shape(shape: AnswerShape, fault: CommandFault) -> None:
    """Give the answer the shape that the fault wants."""
    match fault:
        case Silent():
            shape.cut_after, shape.stall = fault.after_bytes, True
        case Cut():
            shape.cut_after, shape.reset = fault.after_bytes, fault.reset
        case WrongUidNext():
            shape.rewrite.append(lambda answer: _wrong_uid_next(answer, fault.by))
        case _:
            shape.apply(fault)


def _wrong_uid_next(answer: bytes, by: int) -> bytes:
    return _UID_NEXT.sub(lambda match: b"%d" % max(1, int(match[0]) + by), answer)
