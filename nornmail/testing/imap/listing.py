"""The commands that list mailboxes: LIST, LSUB, NAMESPACE and subscriptions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nornmail.testing.accounts import Account
from nornmail.testing.imap.client import Client, Command
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_quoted, render_string
from nornmail.testing.imap.mailboxes import status_items, write_status
from nornmail.testing.mailbox import Mailbox

SPECIAL_USES = frozenset(
    {"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Important", "\\Junk", "\\Sent", "\\Trash"}
)
"""The attributes that RFC 6154 and RFC 8457 name."""

MAX_WILDCARDS = 50
"""Wildcards of one pattern; no client needs more than a few."""

_OPTIONS = {"SPECIAL-USE", "SUBSCRIBED", "CHILDREN"}


@dataclass(frozen=True)
class _Listed:
    """A name, and its mailbox where it has one: a level above others may have none."""

    name: bytes
    box: Mailbox | None


def list_mailboxes(client: Client, _: bytes, cursor: Cursor) -> str:
    """LIST, with options (RFC 6154), several patterns (RFC 5258) and STATUS (RFC 5819)."""
    cursor.space()
    extended = client.has("SPECIAL-USE") or client.has("LIST-EXTENDED")
    chosen: frozenset[str] = frozenset()
    if extended and cursor.accept(b"("):
        chosen = _options(cursor)
        cursor.space()
    reference = cursor.astring()
    cursor.space()
    patterns = _patterns(client, cursor)
    returned: frozenset[str] = frozenset()
    counted: list[bytes] = []
    if client.has("LIST-STATUS") and cursor.accept(b" RETURN (STATUS "):
        counted = status_items(client, cursor)
        cursor.expect(b")")
    elif extended and cursor.accept(b" RETURN ("):
        returned = _options(cursor)
    cursor.end()
    account = client.user()
    if patterns == [b""]:
        _send(client, b"LIST", ["\\Noselect"], b"")
        return "OK LIST completed"
    subscribed = chosen | returned
    names = [box.raw_name for box in account.all()]
    every = [one for pattern in patterns for one in _matching(account, names, reference + pattern)]
    for listed in {one.name: one for one in every}.values():
        attributes = _attributes(client, listed)
        uses = SPECIAL_USES.intersection(attributes)
        if "SUBSCRIBED" in subscribed and listed.name in account.subscriptions:
            attributes.append("\\Subscribed")
        if ("SPECIAL-USE" in chosen and not uses) or (
            "SUBSCRIBED" in chosen and "\\Subscribed" not in attributes
        ):
            continue
        _send(client, b"LIST", attributes, listed.name)
        if counted and listed.box is not None:
            write_status(client, listed.box, counted)
    return "OK LIST completed"


def _patterns(client: Client, cursor: Cursor) -> list[bytes]:
    """One pattern, or several in parentheses."""
    if not (client.has("LIST-EXTENDED") and cursor.accept(b"(")):
        return [cursor.list_mailbox()]
    patterns = [cursor.list_mailbox()]
    while cursor.accept(b" "):
        patterns.append(cursor.list_mailbox())
    cursor.expect(b")")
    return patterns


def lsub(client: Client, _: bytes, cursor: Cursor) -> str:
    """LSUB."""
    cursor.space()
    reference = cursor.astring()
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    account = client.user()
    with account.lock:
        names = sorted(account.subscriptions, key=lambda name: (name != b"INBOX", name))
    for listed in _matching(account, names, reference + pattern):
        _send(client, b"LSUB", [] if listed.name in names else ["\\Noselect"], listed.name)
    return "OK LSUB completed"


def _options(cursor: Cursor) -> frozenset[str]:
    """Options up to the closing parenthesis."""
    options: set[str] = set()
    while not cursor.accept(b")"):
        options.add(cursor.atom().decode("ascii").upper())
        cursor.accept(b" ")
    if not options <= _OPTIONS:
        raise BadSyntax("unknown LIST option")
    return frozenset(options)


def _matching(account: Account, names: list[bytes], pattern: bytes) -> list[_Listed]:
    """The names that the pattern matches, with the levels above them that have no mailbox."""
    boxes = {box.raw_name: box for box in account.all()}
    delimiter = account.delimiter
    every = dict.fromkeys(names)
    for name in names:
        parts = name.split(delimiter)
        for depth in range(1, len(parts)):
            every.setdefault(delimiter.join(parts[:depth]))
    parts = _parts(pattern)
    return [_Listed(name, boxes.get(name)) for name in every if _matches(name, parts, delimiter)]


def _parts(pattern: bytes) -> list[bytes]:
    parts = [part for part in re.split(rb"([*%])", pattern) if part]
    if sum(part in (b"*", b"%") for part in parts) > MAX_WILDCARDS:
        raise BadSyntax("too many wildcards")
    return parts


def _matches(name: bytes, parts: list[bytes], delimiter: bytes) -> bool:
    """Whether the whole name matches, found without trying one way after the other.

    A regular expression would take time to the power of the number of wildcards.
    """
    ends = {0}
    for part in parts:
        if part == b"*":
            ends = set(range(min(ends), len(name) + 1))
        elif part == b"%":
            ends = _within_levels(name, ends, delimiter)
        else:
            any_case = name == b"INBOX"
            ends = {
                start + len(part)
                for start in ends
                if _same(name[start : start + len(part)], part, any_case=any_case)
            }
        if not ends:
            return False
    return len(name) in ends


def _within_levels(name: bytes, starts: set[int], delimiter: bytes) -> set[int]:
    """Every place from one of the starts on, up to the next delimiter."""
    ends: set[int] = set()
    for start in sorted(starts):
        if start not in ends:
            stop = name.find(delimiter, start)
            ends.update(range(start, (len(name) if stop < 0 else stop) + 1))
    return ends


def _same(name: bytes, other: bytes, *, any_case: bool) -> bool:
    return name.upper() == other.upper() if any_case else name == other


def _attributes(client: Client, listed: _Listed) -> list[str]:
    attributes: list[str] = []
    if listed.box is None:
        attributes.append("\\Noselect")
    else:
        shown = listed.box.attributes
        if not client.has("SPECIAL-USE"):
            shown = shown - SPECIAL_USES
        attributes += sorted(shown)
    if client.has("CHILDREN"):
        account = client.user()
        below = listed.name + account.delimiter
        parent = any(box.raw_name.startswith(below) for box in account.all())
        attributes.append("\\HasChildren" if parent else "\\HasNoChildren")
    return attributes


def _send(client: Client, word: bytes, attributes: list[str], name: bytes) -> None:
    shown = " ".join(attributes).encode("ascii")
    delimiter = render_quoted(client.user().delimiter)
    named = render_string(name) if name else b'""'
    client.conn.write(b"* %s (%s) %s %s\r\n" % (word, shown, delimiter, named))


def subscribe(client: Client, _: bytes, cursor: Cursor) -> str:
    """SUBSCRIBE."""
    account, name = client.user(), _name(client, cursor)
    with account.lock:
        account.subscriptions.add(name)
    return "OK SUBSCRIBE completed"


def unsubscribe(client: Client, _: bytes, cursor: Cursor) -> str:
    """UNSUBSCRIBE."""
    account, name = client.user(), _name(client, cursor)
    with account.lock:
        account.subscriptions.discard(name)
    return "OK UNSUBSCRIBE completed"


def _name(client: Client, cursor: Cursor) -> bytes:
    cursor.space()
    name = client.user().canonical(cursor.astring())
    cursor.end()
    if not name:
        raise BadSyntax("empty mailbox name")
    return name


def namespace(client: Client, _: bytes, cursor: Cursor) -> str:
    """NAMESPACE (RFC 2342)."""
    cursor.end()
    account = client.user()
    personal = render_quoted(account.prefix) + b" " + render_quoted(account.delimiter)
    client.conn.write(b"* NAMESPACE ((%s)) NIL NIL\r\n" % personal)
    return "OK NAMESPACE completed"


COMMANDS = {
    "LIST": Command(list_mailboxes, "authenticated"),
    "LSUB": Command(lsub, "authenticated"),
    "SUBSCRIBE": Command(subscribe, "authenticated"),
    "UNSUBSCRIBE": Command(unsubscribe, "authenticated"),
    "NAMESPACE": Command(namespace, "authenticated", capability="NAMESPACE"),
}
"""The commands of this file."""
