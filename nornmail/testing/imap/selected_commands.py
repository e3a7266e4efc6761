"""The commands of the selected state: they deal with the messages of one mailbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from nornmail.testing.faults import FetchFault
from nornmail.testing.imap.auth_commands import noop
from nornmail.testing.imap.command import Command, Handler, No, When
from nornmail.testing.imap.fetch import (
    FLAGS,
    UID,
    FetchItem,
    parse_items,
    render_fetch,
    render_spoiled,
)
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_set
from nornmail.testing.imap.search import BadCharset, SearchParser, render_search
from nornmail.testing.imap.view import View, render_flags
from nornmail.testing.mailbox import Mailbox, normal_flags

if TYPE_CHECKING:
    from nornmail.testing.imap.session import Session

_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.I)

_EXPUNGED = "OK [EXPUNGEISSUED] Some messages were already expunged"


def fetch(session: Session, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """FETCH and UID FETCH. The lock is held for one message at a time, and never while sending."""
    box, view = session.selected()
    cursor.space()
    with box.lock:
        pairs = _pick(cursor, view, by_uid=by_uid)
    cursor.space()
    items = parse_items(cursor)
    cursor.end()
    if by_uid and UID not in items:
        items = [UID, *items]
    run = _FetchRun(session, box, view, items, by_uid)
    complete = True
    for number, uid in pairs:
        line = run.line(number, uid)
        if line is None:
            complete = False
        else:
            session.conn.write(line)
            session.conn.flush_if_large()
    # A UID that is gone is passed over in silence (RFC 3501, 6.4.8).
    return "OK FETCH completed" if complete or by_uid else _EXPUNGED


class _FetchRun:
    """One FETCH under way."""

    def __init__(
        self, session: Session, box: Mailbox, view: View, items: list[FetchItem], by_uid: bool
    ) -> None:
        self._faults = session.state.faults
        self._box = box
        self._view = view
        self._items = items
        self._name = "UID FETCH" if by_uid else "FETCH"
        self._sees = not view.read_only and any(item.sees for item in items)
        text = any(item.section is not None for item in items)
        self._spoiled = text and self._faults.holds(FetchFault)

    def line(self, number: int, uid: int) -> bytes | None:
        """One message's line, None when the message is gone."""
        items = self._items
        epoch = self._view.epoch
        with self._box.lock:
            message = epoch.messages.get(uid)
            if message is None:
                return None
            if self._sees and "\\Seen" not in message.flags:
                epoch.set_flags(uid, message.flags | {"\\Seen"}, by=self._view)
                message = epoch.messages[uid]
                items = items if FLAGS in items else [FLAGS, *items]
        fault = self._fault(uid) if self._spoiled else None
        if fault is not None:
            return render_spoiled(number, message, items, fault)
        return render_fetch(number, message, items)

    def _fault(self, uid: int) -> FetchFault | None:
        name = self._name
        taken = self._faults.take(
            FetchFault,
            lambda fault: fault.uid == uid and (fault.command or name).upper() == name,
        )
        return taken[0] if taken else None


def search(session: Session, tag: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """SEARCH and UID SEARCH."""
    box, view = session.selected()
    with box.lock:
        try:
            parser = SearchParser(cursor, view, extended="ESEARCH" in session.capabilities)
            wanted = parser.parse()
        except BadCharset as error:
            raise No("[BADCHARSET (US-ASCII UTF-8)] Unknown charset") from error
        found = box.without_hidden(wanted.run(view))
    numbers = [uid if by_uid else number for number, uid in found]
    session.conn.write(render_search(wanted, numbers, tag=tag, by_uid=by_uid))
    return "OK SEARCH completed"


def store(session: Session, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """STORE and UID STORE."""
    box, view = session.selected()
    cursor.space()
    with box.lock:
        pairs = _pick(cursor, view, by_uid=by_uid)
        cursor.space()
        item = cursor.match(_STORE_ITEM)
        if item is None:
            raise BadSyntax("unknown STORE item")
        cursor.space()
        change = _flag_change(item[1], normal_flags(cursor.bare_flags()))
        cursor.end()
        _writable(view)
        lines, complete = _store_flags(view, pairs, change, by_uid=by_uid)
    if item[2] is None:
        session.conn.write(b"".join(lines))
    return "OK STORE completed" if complete or by_uid else _EXPUNGED


def _flag_change(sign: bytes, flags: frozenset[str]) -> Callable[[frozenset[str]], frozenset[str]]:
    if sign == b"+":
        return lambda held: held | flags
    if sign == b"-":
        return lambda held: held - flags
    return lambda _: flags


def _store_flags(
    view: View,
    pairs: list[tuple[int, int]],
    change: Callable[[frozenset[str]], frozenset[str]],
    *,
    by_uid: bool,
) -> tuple[list[bytes], bool]:
    lines: list[bytes] = []
    complete = True
    for number, uid in pairs:
        message = view.epoch.messages.get(uid)
        if message is None:
            complete = False
            continue
        flags = change(message.flags)
        view.epoch.set_flags(uid, flags, by=view)
        view.changed.pop(uid, None)
        named = b"UID %d " % uid if by_uid else b""
        lines.append(b"* %d FETCH (%sFLAGS %s)\r\n" % (number, named, render_flags(flags)))
    return lines, complete


def copy(session: Session, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """COPY and UID COPY."""
    box, view = session.selected()
    with box.lock:
        pairs, target = _transfer(session, cursor, view, by_uid=by_uid)
        code = _copy(session, view, pairs, target)
    return f"OK {code}COPY completed"


def move(session: Session, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """MOVE and UID MOVE (RFC 6851); the EXPUNGE lines follow with the news."""
    box, view = session.selected()
    with box.lock:
        pairs, target = _transfer(session, cursor, view, by_uid=by_uid)
        _writable(view)
        code = _copy(session, view, pairs, target)
        for _number, uid in pairs:
            view.epoch.remove(uid)
    if code:
        session.conn.write(f"* OK {code}Moved UIDs.\r\n".encode("ascii"))
    return "OK MOVE completed"


def _transfer(
    session: Session, cursor: Cursor, view: View, *, by_uid: bool
) -> tuple[list[tuple[int, int]], Mailbox]:
    cursor.space()
    pairs = _pick(cursor, view, by_uid=by_uid)
    cursor.space()
    name = cursor.astring()
    cursor.end()
    target = session.user().find(name)
    if target is None:
        raise No("[TRYCREATE] No such mailbox")
    return pairs, target


def _copy(session: Session, view: View, pairs: list[tuple[int, int]], target: Mailbox) -> str:
    """Copy what is still there; the COPYUID code with a space behind it, or nothing."""
    sources: list[int] = []
    copies: list[int] = []
    for _number, uid in pairs:
        message = view.epoch.messages.get(uid)
        if message is not None:
            sources.append(uid)
            copies.append(target.add(message.raw, message.flags, message.internal_date))
    uid_validity = target.shown_uid_validity()
    if not sources or uid_validity is None or "UIDPLUS" not in session.capabilities:
        return ""
    old, new = render_set(sources).decode("ascii"), render_set(copies).decode("ascii")
    return f"[COPYUID {uid_validity} {old} {new}] "


def expunge(session: Session, _: bytes, cursor: Cursor) -> str:
    """EXPUNGE."""
    box, view = session.selected()
    cursor.end()
    with box.lock:
        _writable(view)
        _expunge_deleted(view, view.uids)
    return "OK EXPUNGE completed"


def uid_expunge(session: Session, _: bytes, cursor: Cursor) -> str:
    """UID EXPUNGE (RFC 4315)."""
    box, view = session.selected()
    cursor.space()
    with box.lock:
        pairs = _pick(cursor, view, by_uid=True)
        cursor.end()
        _writable(view)
        _expunge_deleted(view, [uid for _number, uid in pairs])
    return "OK EXPUNGE completed"


def _expunge_deleted(view: View, uids: Iterable[int]) -> None:
    for uid in uids:
        message = view.epoch.messages.get(uid)
        if message is not None and "\\Deleted" in message.flags:
            view.epoch.remove(uid)


def close(session: Session, _: bytes, cursor: Cursor) -> str:
    """CLOSE: what is deleted goes, and nothing is told."""
    box, view = session.selected()
    cursor.end()
    with box.lock:
        if not view.read_only:
            _expunge_deleted(view, view.uids)
    session.leave()
    return "OK CLOSE completed"


def unselect(session: Session, _: bytes, cursor: Cursor) -> str:
    """UNSELECT (RFC 3691)."""
    cursor.end()
    session.leave()
    return "OK UNSELECT completed"


def _pick(cursor: Cursor, view: View, *, by_uid: bool) -> list[tuple[int, int]]:
    """The messages a command names. A sequence number beyond the end is BAD, a UID is not."""
    if by_uid:
        ranges = cursor.sequence_set(view.uids[-1] if view.uids else 0)
    else:
        ranges = cursor.sequence_set(len(view.uids))
        if not ranges or ranges[-1][1] > len(view.uids):
            raise BadSyntax("invalid message set")
    return view.pick(ranges, by_uid=by_uid)


def _writable(view: View) -> None:
    if view.read_only:
        raise No("[READ-ONLY] Mailbox is read-only")


_SELECTED: When = "selected"


def _pair(
    name: str, handler: Callable[..., str], capability: str | None = None, *, expunges: bool
) -> dict[str, Command]:
    """A command and its UID form, which may always tell EXPUNGE (RFC 3501, 7.4.1)."""
    by_number: Handler = partial(handler, by_uid=False)
    by_uid: Handler = partial(handler, by_uid=True)
    return {
        name: Command(by_number, _SELECTED, capability, expunges=expunges, arrivals=True),
        f"UID {name}": Command(by_uid, _SELECTED, capability, arrivals=True),
    }


COMMANDS = {
    **_pair("FETCH", fetch, expunges=False),
    **_pair("SEARCH", search, expunges=False),
    **_pair("STORE", store, expunges=False),
    **_pair("COPY", copy, expunges=True),
    **_pair("MOVE", move, "MOVE", expunges=True),
    "CHECK": Command(noop, _SELECTED),
    "EXPUNGE": Command(expunge, _SELECTED, arrivals=True),
    "UID EXPUNGE": Command(uid_expunge, _SELECTED, "UIDPLUS", arrivals=True),
    "CLOSE": Command(close, _SELECTED),
    "UNSELECT": Command(unselect, _SELECTED, "UNSELECT"),
}
"""The commands of this file."""
