"""The commands of the authenticated state: they deal with mailboxes as a whole."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from nornmail.testing.accounts import DELIMITER, canonical
from nornmail.testing.imap.command import Command, No
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_string
from nornmail.testing.imap.view import View
from nornmail.testing.mailbox import Mailbox

if TYPE_CHECKING:
    from nornmail.testing.imap.session import Session

FLAGS = b"(\\Answered \\Deleted \\Draft \\Flagged \\Seen)"
"""The system flags; any keyword may be stored beside them."""

_STATUS_ITEM = re.compile(rb"MESSAGES|RECENT|UIDNEXT|UIDVALIDITY|UNSEEN", re.I)


def list_mailboxes(session: Session, _: bytes, cursor: Cursor) -> str:
    """LIST."""
    cursor.space()
    reference = cursor.astring()
    cursor.space()
    pattern = cursor.list_mailbox()
    cursor.end()
    if not pattern:
        session.conn.write(b'* LIST (\\Noselect) "/" ""\r\n')
        return "OK LIST completed"
    for name in session.user().names():
        flags = re.IGNORECASE if name == b"INBOX" else 0
        if re.fullmatch(_pattern(reference + pattern), name, flags | re.DOTALL):
            session.conn.write(b'* LIST () "/" ' + render_string(name) + b"\r\n")
    return "OK LIST completed"


def _pattern(text: bytes) -> bytes:
    wild = {b"*": b".*", b"%": b"[^/]*"}
    return b"".join(wild.get(part, re.escape(part)) for part in re.split(rb"([*%])", text))


def create(session: Session, _: bytes, cursor: Cursor) -> str:
    """CREATE."""
    name = _only_mailbox(cursor)
    try:
        session.user().create(name)
    except ValueError as error:
        raise No("[ALREADYEXISTS] Mailbox already exists") from error
    return "OK CREATE completed"


def delete(session: Session, _: bytes, cursor: Cursor) -> str:
    """DELETE."""
    name = _only_mailbox(cursor)
    if canonical(name) == b"INBOX":
        raise No("[CANNOT] INBOX cannot be deleted")
    if session.box is not None and canonical(name) == session.box.raw_name:
        session.leave()
    if not session.user().delete(name):
        raise No("[NONEXISTENT] No such mailbox")
    return "OK DELETE completed"


def rename(session: Session, _: bytes, cursor: Cursor) -> str:
    """RENAME."""
    cursor.space()
    old = cursor.astring()
    cursor.space()
    new = cursor.astring()
    cursor.end()
    try:
        session.user().rename(old, new)
    except KeyError as error:
        raise No("[NONEXISTENT] No such mailbox") from error
    except ValueError as error:
        raise No("[ALREADYEXISTS] Mailbox already exists") from error
    return "OK RENAME completed"


def subscribe(session: Session, _: bytes, cursor: Cursor) -> str:
    """SUBSCRIBE."""
    name = _only_mailbox(cursor)
    account = session.user()
    with account.lock:
        account.subscriptions.add(canonical(name))
    return "OK SUBSCRIBE completed"


def namespace(session: Session, _: bytes, cursor: Cursor) -> str:
    """NAMESPACE (RFC 2342)."""
    cursor.end()
    session.conn.write(b'* NAMESPACE (("" "%s")) NIL NIL\r\n' % DELIMITER)
    return "OK NAMESPACE completed"


def status(session: Session, _: bytes, cursor: Cursor) -> str:
    """STATUS."""
    cursor.space()
    name = cursor.astring()
    cursor.space()
    cursor.expect(b"(")
    items: list[bytes] = []
    while not items or cursor.accept(b" "):
        found = cursor.match(_STATUS_ITEM)
        if found is None:
            raise BadSyntax("unknown status item")
        items.append(found[0].upper())
    cursor.expect(b")")
    cursor.end()
    box = _existing(session, name)
    with box.lock:
        values = [(item, _status_value(box, item)) for item in items]
    shown = b" ".join(b"%s %d" % (item, value) for item, value in values if value is not None)
    session.conn.write(b"* STATUS %s (%s)\r\n" % (render_string(canonical(name)), shown))
    return "OK STATUS completed"


def _status_value(box: Mailbox, item: bytes) -> int | None:
    if item == b"UIDNEXT":
        return box.shown_uid_next()
    if item == b"UIDVALIDITY":
        return box.shown_uid_validity()
    if item == b"MESSAGES":
        return len(box.epoch.uids)
    if item == b"UNSEEN":
        return sum("\\Seen" not in message.flags for message in box.epoch.messages.values())
    return 0  # RECENT: nothing is ever \Recent here


def select(session: Session, _: bytes, cursor: Cursor, *, examine: bool) -> str:
    """SELECT and EXAMINE."""
    name = _only_mailbox(cursor)
    session.leave()
    box = _existing(session, name)
    with box.lock:
        read_only = examine or box.name in session.state.read_only_mailboxes
        view = View.open(box.epoch, read_only=read_only)
        lines = _selected_lines(box, view)
    session.box, session.view = box, view
    session.conn.write(b"".join(line + b"\r\n" for line in lines))
    access = "READ-ONLY" if read_only else "READ-WRITE"
    return f"OK [{access}] {'EXAMINE' if examine else 'SELECT'} completed"


def _selected_lines(box: Mailbox, view: View) -> list[bytes]:
    permanent = b"()" if view.read_only else FLAGS[:-1] + b" \\*)"
    lines = [
        b"* FLAGS " + FLAGS,
        b"* OK [PERMANENTFLAGS %s] Flags permitted" % permanent,
        b"* %d EXISTS" % len(view.uids),
        b"* 0 RECENT",
    ]
    messages = view.epoch.messages
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


def append(session: Session, _: bytes, cursor: Cursor) -> str:
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
    box = session.user().find(name)
    if box is None:
        raise No("[TRYCREATE] No such mailbox")
    with box.lock:
        uid = box.add(raw, flags, date)
        uid_validity = box.shown_uid_validity()
    if uid_validity is None or "UIDPLUS" not in session.capabilities:
        return "OK APPEND completed"
    return f"OK [APPENDUID {uid_validity} {uid}] APPEND completed"


def _only_mailbox(cursor: Cursor) -> bytes:
    cursor.space()
    name = cursor.astring()
    cursor.end()
    if not canonical(name):
        raise BadSyntax("empty mailbox name")
    return name


def _existing(session: Session, name: bytes) -> Mailbox:
    box = session.user().find(name)
    if box is None:
        raise No("[NONEXISTENT] No such mailbox")
    return box


COMMANDS = {
    "LIST": Command(list_mailboxes, "authenticated"),
    "CREATE": Command(create, "authenticated"),
    "DELETE": Command(delete, "authenticated"),
    "RENAME": Command(rename, "authenticated"),
    "SUBSCRIBE": Command(subscribe, "authenticated"),
    "NAMESPACE": Command(namespace, "authenticated", capability="NAMESPACE"),
    "STATUS": Command(status, "authenticated"),
    "SELECT": Command(partial(select, examine=False), "authenticated"),
    "EXAMINE": Command(partial(select, examine=True), "authenticated"),
    "APPEND": Command(append, "authenticated"),
}
"""The commands of this file."""
