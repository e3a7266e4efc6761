"""All mail of a user, taken out and put back by IMAP, for servers that have no files to edit."""

from __future__ import annotations

import imaplib
import re
from dataclasses import dataclass

from tests.support.octets import add_literal, lines

_NAME = re.compile(rb'\([^)]*\) (?:"[^"]*"|NIL) (.*)')


@dataclass(frozen=True)
class Kept:
    """A message, or a mailbox where ``raw`` is None."""

    mailbox: str
    flags: str
    date: str
    raw: bytes | None


def keep(client: imaplib.IMAP4) -> list[Kept]:
    """Every mailbox and message, in order."""
    _, listed = client.list()
    names = [match[1].decode() for line in lines(listed) if (match := _NAME.match(line))]
    kept = []
    for name in names:
        kept.append(Kept(name, "", "", None))
        _, count = client.select(name, readonly=True)
        for number in range(1, int(count[0] or 0) + 1):
            kept.append(_message(client, name, number))
    return kept


def _message(client: imaplib.IMAP4, name: str, number: int) -> Kept:
    _, parts = client.fetch(str(number), "(FLAGS INTERNALDATE BODY.PEEK[])")
    text = b" ".join(part[0] if isinstance(part, tuple) else part for part in parts if part)
    flags = re.search(rb"FLAGS \(([^)]*)\)", text)
    date = re.search(rb'INTERNALDATE ("[^"]*")', text)
    (raw,) = [part[1] for part in parts if isinstance(part, tuple)]
    assert flags, text
    assert date, text
    shown = " ".join(flag for flag in flags[1].decode().split() if flag != "\\Recent")
    return Kept(name, f"({shown})", date[1].decode(), raw)


def put_back(client: imaplib.IMAP4, kept: list[Kept]) -> None:
    """Make the mailboxes that are not there, and append the messages, in order."""
    for one in kept:
        if one.raw is None:
            client.create(one.mailbox)  # NO where it is there already; APPEND tells the rest
            continue
        add_literal(client, one.raw)
        status, answer = client.xatom("APPEND", one.mailbox, one.flags, one.date)
        assert status == "OK", answer
