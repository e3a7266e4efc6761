"""The commands that make, change, open and list mailboxes, and subscriptions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from nornmail.testing.accounts import Account
from nornmail.testing.imap.client import Client, Command, No, View
from nornmail.testing.imap.grammar import (
    MAX_NUMBER,
    BadSyntax,
    Cursor,
    render_quoted,
    render_string,
)
from nornmail.testing.mailbox import Mailbox

SYSTEM_FLAGS = ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")
"""The system flags; any keyword may be stored as well."""

MAX_NAME = 1000
"""Octets of a mailbox's name: it bounds what LIST's wildcards have to go through."""

_STATUS_ITEM = re.compile(rb"MESSAGES|RECENT|UIDNEXT|UIDVALIDITY|UNSEEN|HIGHESTMODSEQ", re.I)


def create(client: Client, _: bytes, cursor: Cursor) -> str:
    """CREATE."""
    name = _only_mailbox(cursor)
    account = client.user()
    canonical = account.canonical(name)
    if canonical != b"INBOX" and not canonical.startswith(account.prefix):
        raise No(f"[CANNOT] Names begin with {account.prefix.decode('ascii')}")
    try:
        account.create(name)
    except ValueError as error:
        raise No("[ALREADYEXISTS] Mailbox already exists") from error
    return "OK CREATE completed"


def delete(client: Client, _: bytes, cursor: Cursor) -> str:
    """DELETE."""
    name = client.user().canonical(_only_mailbox(cursor))
    if name == b"INBOX":
        raise No("[CANNOT] INBOX cannot be deleted")
    if client.box is not None and name == client.box.raw_name:
        client.leave()
    if not client.user().delete(name):
        raise No("[NONEXISTENT] No such mailbox")
    return "OK DELETE completed"


def rename(client: Client, _: bytes, cursor: Cursor) -> str:
    """RENAME."""
    cursor.space()
    old = cursor.astring()
    cursor.space()
    new = _mailbox(cursor)
    cursor.end()
    try:
        client.user().rename(old, new)
    except KeyError as error:
        raise No("[NONEXISTENT] No such mailbox") from error
    except ValueError as error:
        raise No("[ALREADYEXISTS] Mailbox already exists") from error
    return "OK RENAME completed"


def status(client: Client, _: bytes, cursor: Cursor) -> str:
    """STATUS."""
    cursor.space()
    name = cursor.astring()
    cursor.space()
    items = status_items(client, cursor)
    cursor.end()
    write_status(client, _existing(client, name), items)
    return "OK STATUS completed"


def status_items(client: Client, cursor: Cursor) -> list[bytes]:
    """The items of STATUS, in parentheses."""
    cursor.expect(b"(")
    items: list[bytes] = []
    while not items or cursor.accept(b" "):
        match = cursor.match(_STATUS_ITEM)
        name_of = match[0].upper() if match else b""
        if not name_of or (name_of == b"HIGHESTMODSEQ" and not client.has("CONDSTORE")):
            raise BadSyntax("unknown status item")
        items.append(name_of)
    cursor.expect(b")")
    return items


def write_status(client: Client, box: Mailbox, items: list[bytes]) -> None:
    """Answer STATUS for one mailbox."""
    if b"HIGHESTMODSEQ" in items:
        client.enable_condstore()
    with box.lock:
        window = client.state.profile.window
        values = [(item, _status_value(box, item, window)) for item in items]
    shown = b" ".join(b"%s %d" % (item, value) for item, value in values if value is not None)
    client.conn.write(b"* STATUS %s (%s)\r\n" % (render_string(box.raw_name), shown))


def _status_value(box: Mailbox, item: bytes, window: int | None) -> int | None:
    if item == b"UIDNEXT":
        return box.shown_uid_next()
    if item == b"UIDVALIDITY":
        return box.shown_uid_validity()
    if item == b"HIGHESTMODSEQ":
        return box.epoch.highest_modseq
    if item == b"MESSAGES":
        return min(len(box.epoch.uids), window or MAX_NUMBER)
    if item == b"UNSEEN":
        return sum("\\Seen" not in message.flags for message in box.epoch.messages.values())
    return 0  # RECENT: nothing is ever \Recent here


def select(client: Client, _: bytes, cursor: Cursor, *, examine: bool) -> str:
    """SELECT and EXAMINE."""
    cursor.space()
    name = _mailbox(cursor)
    if client.has("CONDSTORE") and cursor.accept(b" (CONDSTORE)"):
        client.enable_condstore()
    cursor.end()
    client.leave()
    needs_id = client.state.profile.needs_id
    if needs_id and not client.identified:
        raise No(needs_id)
    box = _existing(client, name)
    with box.lock:
        read_only = examine or box.name in client.state.read_only_mailboxes
        view = View.open(box.epoch, read_only=read_only, window=client.state.profile.window)
        lines = _selected_lines(box, view)
        if client.has("CONDSTORE"):
            lines.append(b"* OK [HIGHESTMODSEQ %d] Highest" % box.epoch.highest_modseq)
    client.open(box, view)
    client.conn.write(b"".join(line + b"\r\n" for line in lines))
    access = "READ-ONLY" if read_only else "READ-WRITE"
    return f"OK [{access}] {'EXAMINE' if examine else 'SELECT'} completed"


def _selected_lines(box: Mailbox, view: View) -> list[bytes]:
    messages = view.epoch.messages
    keywords = {flag for message in messages.values() for flag in message.flags if flag[:1] != "\\"}
    flags = " ".join([*SYSTEM_FLAGS, *sorted(keywords)]).encode("ascii")
    permanent = b"" if view.read_only else flags + b" \\*"
    lines = [
        b"* FLAGS (%s)" % flags,
        b"* OK [PERMANENTFLAGS (%s)] Flags permitted" % permanent,
        b"* %d EXISTS" % len(view.uids),
        b"* 0 RECENT",
    ]
    unseen = (n for n, uid in enumerate(view.uids, 1) if "\\Seen" not in messages[uid].flags)
    first_unseen = next(unseen, None)
    if first_unseen is not None:
        lines.append(b"* OK [UNSEEN %d] First unseen" % first_unseen)
    uid_validity, uid_next = box.shown_uid_validity(), box.shown_uid_next()
    if uid_validity is not None:
        lines.append(b"* OK [UIDVALIDITY %d] UIDs valid" % uid_validity)
    if uid_next is not None:
        lines.append(b"* OK [UIDNEXT %d] Predicted next UID" % uid_next)
    return lines


def enable(client: Client, _: bytes, cursor: Cursor) -> str:
    """ENABLE (RFC 5161); CONDSTORE is all there is to enable."""
    names: set[bytes] = set()
    while not cursor.done():
        cursor.space()
        names.add(cursor.atom().upper())
    if not names:
        raise BadSyntax("nothing to enable")
    enabled = b""
    if b"CONDSTORE" in names and client.has("CONDSTORE"):
        client.enable_condstore()
        enabled = b" CONDSTORE"
    client.conn.write(b"* ENABLED" + enabled + b"\r\n")
    return "OK ENABLE completed"


def append(client: Client, _: bytes, cursor: Cursor) -> str:
    """APPEND of one message."""
    cursor.space()
    name = cursor.astring()
    cursor.space()
    flags: list[str] = []
    if cursor.accept(b"("):
        flags = cursor.flags_after_parenthesis()
        cursor.space()
    date = cursor.date_time()
    if date is not None:
        cursor.space()
    raw = cursor.literal()
    cursor.end()
    box = client.user().find(name)
    if box is None:
        raise No("[TRYCREATE] No such mailbox")
    with box.lock:
        uid = box.add(raw, flags, date)
        uid_validity = box.shown_uid_validity()
    if uid_validity is None or not client.has("UIDPLUS"):
        return "OK APPEND completed"
    return f"OK [APPENDUID {uid_validity} {uid}] APPEND completed"


def _only_mailbox(cursor: Cursor) -> bytes:
    cursor.space()
    name = _mailbox(cursor)
    cursor.end()
    return name


def _mailbox(cursor: Cursor) -> bytes:
    name = cursor.astring()
    if not name:
        raise BadSyntax("empty mailbox name")
    if len(name) > MAX_NAME:
        raise No("[CANNOT] Mailbox name too long")
    return name


def _existing(client: Client, name: bytes) -> Mailbox:
    box = client.user().find(name)
    if box is None:
        raise No("[NONEXISTENT] No such mailbox")
    return box


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
    every = [
        name for pattern in patterns for name in _matching(account, names, reference + pattern)
    ]
    for listed in {box.name: box for box in every}.values():
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
        own = listed.box.attributes
        if not client.has("SPECIAL-USE"):
            own = own - SPECIAL_USES
        attributes += sorted(own)
    if client.has("CHILDREN"):
        account = client.user()
        below = listed.name + account.delimiter
        parent = any(box.raw_name.startswith(below) for box in account.all())
        attributes.append("\\HasChildren" if parent else "\\HasNoChildren")
    return attributes


def _send(client: Client, word: bytes, attributes: list[str], name: bytes) -> None:
    flags = " ".join(attributes).encode("ascii")
    delimiter = render_quoted(client.user().delimiter)
    quoted = render_string(name) if name else b'""'
    client.conn.write(b"* %s (%s) %s %s\r\n" % (word, flags, delimiter, quoted))


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
    "ENABLE": Command(enable, "authenticated", capability="ENABLE"),
    "CREATE": Command(create, "authenticated"),
    "DELETE": Command(delete, "authenticated"),
    "RENAME": Command(rename, "authenticated"),
    "STATUS": Command(status, "authenticated"),
    "SELECT": Command(partial(select, examine=False), "authenticated"),
    "EXAMINE": Command(partial(select, examine=True), "authenticated"),
    "APPEND": Command(append, "authenticated"),
    "LIST": Command(list_mailboxes, "authenticated"),
    "LSUB": Command(lsub, "authenticated"),
    "SUBSCRIBE": Command(subscribe, "authenticated"),
    "UNSUBSCRIBE": Command(unsubscribe, "authenticated"),
    "NAMESPACE": Command(namespace, "authenticated", capability="NAMESPACE"),
}
"""The commands of this file."""
