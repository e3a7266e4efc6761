"""STORE and UID STORE: the flags of messages (RFC 3501, 6.4.6; RFC 7162, section 3.1.3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nornmail.testing.imap.client import Client
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_set
from nornmail.testing.imap.mailbox_view import View
from nornmail.testing.imap.selected import EXPUNGED, pair, pick, writable
from nornmail.testing.mailbox import normal_flags

_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.I)


@dataclass(frozen=True)
class _Store:
    """A parsed STORE.

    Args:
        pairs: sequence numbers and UIDs.
        change: makes the new flags of the old ones.
        silent: whether the new flags are left out of the answer.
        unchanged_since: messages with a higher mod-sequence are left as they are; None is none.
    """

    pairs: list[tuple[int, int]]
    change: Callable[[frozenset[str]], frozenset[str]]
    silent: bool
    unchanged_since: int | None


def store(client: Client, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """STORE and UID STORE."""
    box, view = client.selected()
    with box.lock:
        wanted = _parse(client, cursor, view, by_uid=by_uid)
        writable(view)
        if wanted.unchanged_since is not None:
            client.enable_condstore()
        lines, gone, modified = _carry_out(view, wanted, by_uid=by_uid)
    client.conn.write(b"".join(lines))
    if modified:
        return f"OK [MODIFIED {render_set(modified).decode('ascii')}] Conditional STORE failed"
    return EXPUNGED if gone and not by_uid else "OK STORE completed"


def _parse(client: Client, cursor: Cursor, view: View, *, by_uid: bool) -> _Store:
    cursor.space()
    pairs = pick(cursor, view, by_uid=by_uid)
    cursor.space()
    since: int | None = None
    if client.has("CONDSTORE") and cursor.accept(b"(UNCHANGEDSINCE "):
        since = cursor.modseq()
        cursor.expect(b") ")
    item = cursor.match(_STORE_ITEM)
    if item is None:
        raise BadSyntax("unknown STORE item")
    cursor.space()
    change = _flag_change(item[1], normal_flags(cursor.bare_flags()))
    cursor.end()
    return _Store(pairs, change, item[2] is not None, since)


def _flag_change(sign: bytes, flags: frozenset[str]) -> Callable[[frozenset[str]], frozenset[str]]:
    if sign == b"+":
        return lambda held: held | flags
    if sign == b"-":
        return lambda held: held - flags
    return lambda _: flags


def _carry_out(view: View, wanted: _Store, *, by_uid: bool) -> tuple[list[bytes], bool, list[int]]:
    """The lines to send, whether a message was gone, and which had changed since."""
    lines: list[bytes] = []
    modified: list[int] = []
    gone = False
    for number, uid in wanted.pairs:
        message = view.epoch.messages.get(uid)
        if message is None:
            gone = True
            continue
        since = wanted.unchanged_since
        if since is not None and view.epoch.modseqs[uid] > since:
            modified.append(uid if by_uid else number)
            continue
        view.epoch.set_flags(uid, wanted.change(message.flags), by=view)
        view.changed.pop(uid, None)
        if not wanted.silent or view.modseqs:
            lines.append(view.flags_line(number, uid, named=by_uid, silent=wanted.silent))
    return lines, gone, modified


COMMANDS = pair("STORE", store, expunges=False)
"""The commands of this file."""
