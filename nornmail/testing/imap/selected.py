"""The commands on a mailbox: they read, flag, copy and remove messages, and IDLE (RFC 2177)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from nornmail.testing.imap.client import Client, Command, Handler, No, View, When
from nornmail.testing.imap.fault_injection import arrange, render_spoiled
from nornmail.testing.imap.faults import IDLING, FetchFault, HideUid
from nornmail.testing.imap.fetch import FLAGS, MODSEQ, UID, FetchItem, Rendering, parse_items
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_set
from nornmail.testing.imap.login import noop
from nornmail.testing.imap.search import BadCharset, SearchParser, render_search
from nornmail.testing.mailbox import Mailbox, StoredMessage, normal_flags
from nornmail.testing.state import Idler

GHOST_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""The INTERNALDATE of a message that a server invents."""

EXPUNGED = "OK [EXPUNGEISSUED] Some messages were already expunged"
"""The answer to a command on a message that another session has removed."""


def fetch(client: Client, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """FETCH and UID FETCH. The lock is held for one message at a time, and never while sending."""
    box, view = client.selected()
    cursor.space()
    with box.lock:
        pairs = pick(cursor, view, by_uid=by_uid)
    cursor.space()
    items = parse_items(cursor)
    since = _changed_since(client, cursor)
    cursor.end()
    if since is not None or MODSEQ in items:
        if not client.has("CONDSTORE"):
            raise BadSyntax("unknown data item")
        client.enable_condstore()
    if since is not None:
        items = items if MODSEQ in items else [*items, MODSEQ]
        with box.lock:
            pairs = [pair for pair in pairs if view.epoch.modseqs.get(pair[1], 0) > since]
    if by_uid and UID not in items:
        items = [UID, *items]
    items = [item for item in items if item.label not in client.state.profile.leaves_out]
    run = _FetchRun(client, box, view, items, by_uid)
    complete = True
    for number, uid in pairs:
        line = run.line(number, uid)
        if line is None:
            complete = False
        else:
            client.conn.write(line)
            client.conn.flush_if_large()
    # A UID that is gone is passed over in silence (RFC 3501, 6.4.8).
    return "OK FETCH completed" if complete or by_uid else EXPUNGED


def _changed_since(client: Client, cursor: Cursor) -> int | None:
    """The modifier of a FETCH (RFC 7162, section 3.1.4)."""
    if not client.has("CONDSTORE") or not cursor.accept(b" (CHANGEDSINCE "):
        return None
    since = cursor.modseq()
    cursor.expect(b")")
    return since


class _FetchRun:
    """One FETCH under way."""

    def __init__(
        self, client: Client, box: Mailbox, view: View, items: list[FetchItem], by_uid: bool
    ) -> None:
        self._state = client.state
        self._box = box
        self._view = view
        self._items = items
        self._name = "UID FETCH" if by_uid else "FETCH"
        self._sees = not view.read_only and any(item.sees for item in items)
        text = any(item.section is not None for item in items)
        self._spoiled = text and self._state.holds(FetchFault)
        self._hidden = not text and self._state.holds(HideUid)

    def line(self, number: int, uid: int) -> bytes | None:
        """One message's line, nothing where a fault hides it, None when the message is gone."""
        items = self._items
        epoch = self._view.epoch
        with self._box.lock:
            message = epoch.messages.get(uid)
            if message is None:
                return self._ghost(number, uid)
            if self._sees and "\\Seen" not in message.flags:
                epoch.set_flags(uid, message.flags | {"\\Seen"}, by=self._view)
                message = epoch.messages[uid]
                items = items if FLAGS in items else [FLAGS, *items]
            rendering = Rendering(number, message, epoch.modseqs[uid])
        if self._hidden and self._state.hides(uid, self._name):
            return b""
        fault = self._fault(uid) if self._spoiled else None
        return render_spoiled(rendering, items, fault) if fault else rendering.line(items)

    def _ghost(self, number: int, uid: int) -> bytes | None:
        ghost = self._state.profile.ghost
        if not ghost:
            return None
        message = StoredMessage(uid, frozenset(), ghost, GHOST_DATE)
        return Rendering(number, message, 1).line(self._items)

    def _fault(self, uid: int) -> FetchFault | None:
        taken = self._state.take(FetchFault, lambda fault: fault.spoils(uid, self._name))
        return taken[0] if taken else None


def search(client: Client, tag: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """SEARCH and UID SEARCH."""
    box, view = client.selected()
    with box.lock:
        try:
            key = SearchParser(cursor, view, client.capabilities).parse()
        except BadCharset as error:
            raise No("[BADCHARSET (US-ASCII UTF-8)] Unknown charset") from error
        candidates = key.candidates(view)
    pairs = key.among(candidates)
    with box.lock:
        pairs = box.without_hidden(pairs)
    if client.state.holds(HideUid):
        name = "UID SEARCH" if by_uid else "SEARCH"
        pairs = [pair for pair in pairs if not client.state.hides(pair[1], name)]
    highest = None
    if key.by_modseq:
        client.enable_condstore()
        with box.lock:
            highest = max((view.epoch.modseqs.get(uid, 0) for _, uid in pairs), default=None)
    numbers = [uid if by_uid else number for number, uid in pairs]
    client.conn.write(render_search(key, numbers, highest, tag=tag, by_uid=by_uid))
    return "OK SEARCH completed"


def copy(client: Client, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """COPY and UID COPY."""
    box, view = client.selected()
    with box.lock:
        pairs, target = _transfer(client, cursor, view, by_uid=by_uid)
        code = _copy(client, view, pairs, target)
    return f"OK {code}COPY completed"


def move(client: Client, _: bytes, cursor: Cursor, *, by_uid: bool) -> str:
    """MOVE and UID MOVE (RFC 6851); the EXPUNGE lines follow with the news."""
    box, view = client.selected()
    with box.lock:
        pairs, target = _transfer(client, cursor, view, by_uid=by_uid)
        writable(view)
        code = _copy(client, view, pairs, target)
        for _number, uid in pairs:
            view.epoch.remove(uid)
    if code:
        client.conn.write(f"* OK {code}Moved UIDs.\r\n".encode("ascii"))
    return "OK MOVE completed"


def _transfer(
    client: Client, cursor: Cursor, view: View, *, by_uid: bool
) -> tuple[list[tuple[int, int]], Mailbox]:
    cursor.space()
    pairs = pick(cursor, view, by_uid=by_uid)
    cursor.space()
    name = cursor.astring()
    cursor.end()
    target = client.user().find(name)
    if target is None:
        raise No("[TRYCREATE] No such mailbox")
    return pairs, target


def _copy(client: Client, view: View, pairs: list[tuple[int, int]], target: Mailbox) -> str:
    """Copy what is still there; the COPYUID code with a space behind it, or nothing."""
    sources: list[int] = []
    copies: list[int] = []
    for _number, uid in pairs:
        message = view.epoch.messages.get(uid)
        if message is not None:
            sources.append(uid)
            copies.append(target.add(message.raw, message.flags, message.internal_date))
    uid_validity = target.shown_uid_validity()
    if not sources or uid_validity is None or not client.has("UIDPLUS"):
        return ""
    old, new = render_set(sources).decode("ascii"), render_set(copies).decode("ascii")
    return f"[COPYUID {uid_validity} {old} {new}] "


def expunge(client: Client, _: bytes, cursor: Cursor) -> str:
    """EXPUNGE."""
    box, view = client.selected()
    cursor.end()
    with box.lock:
        writable(view)
        _expunge_deleted(view, view.uids)
    return "OK EXPUNGE completed"


def uid_expunge(client: Client, _: bytes, cursor: Cursor) -> str:
    """UID EXPUNGE (RFC 4315)."""
    box, view = client.selected()
    cursor.space()
    with box.lock:
        pairs = pick(cursor, view, by_uid=True)
        cursor.end()
        writable(view)
        _expunge_deleted(view, [uid for _number, uid in pairs])
    return "OK EXPUNGE completed"


def _expunge_deleted(view: View, uids: Iterable[int]) -> None:
    for uid in uids:
        message = view.epoch.messages.get(uid)
        if message is not None and "\\Deleted" in message.flags:
            view.epoch.remove(uid)


def close(client: Client, _: bytes, cursor: Cursor) -> str:
    """CLOSE: deleted messages go without EXPUNGE lines."""
    box, view = client.selected()
    cursor.end()
    with box.lock:
        if not view.read_only:
            _expunge_deleted(view, view.uids)
    client.leave()
    return "OK CLOSE completed"


def unselect(client: Client, _: bytes, cursor: Cursor) -> str:
    """UNSELECT (RFC 3691)."""
    cursor.end()
    client.leave()
    return "OK UNSELECT completed"


def pick(cursor: Cursor, view: View, *, by_uid: bool) -> list[tuple[int, int]]:
    """The (sequence number, UID) pairs a command names.

    A sequence number beyond the end is BAD, a UID is not.
    """
    if by_uid:
        ranges = cursor.sequence_set(view.uids[-1] if view.uids else 0)
    else:
        ranges = cursor.sequence_set(len(view.uids))
        if not ranges or ranges[-1][1] > len(view.uids):
            raise BadSyntax("invalid message set")
    return view.pick(ranges, by_uid=by_uid)


def writable(view: View) -> None:
    """A command that changes messages is answered NO in a mailbox that is open read-only."""
    if view.read_only:
        raise No("[READ-ONLY] Mailbox is read-only")


_SELECTED: When = "selected"


def pair(
    name: str, handler: Callable[..., str], capability: str | None = None, *, expunges: bool
) -> dict[str, Command]:
    """A command and its UID form, after which EXPUNGE may always be sent (RFC 3501, 7.4.1)."""
    by_number: Handler = partial(handler, by_uid=False)
    by_uid: Handler = partial(handler, by_uid=True)
    return {
        name: Command(by_number, _SELECTED, capability, expunges=expunges, arrivals=True),
        f"UID {name}": Command(by_uid, _SELECTED, capability, arrivals=True),
    }


_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?= )", re.I)


@dataclass(frozen=True)
class _Store:
    """A parsed STORE.

    Args:
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
        change = _parse(client, cursor, view, by_uid=by_uid)
        writable(view)
        if change.unchanged_since is not None:
            client.enable_condstore()
        lines, gone, modified = _carry_out(view, change, by_uid=by_uid)
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


def _carry_out(view: View, change: _Store, *, by_uid: bool) -> tuple[list[bytes], bool, list[int]]:
    """The lines to send, whether a message was gone, and which had changed since."""
    lines: list[bytes] = []
    modified: list[int] = []
    gone = False
    for number, uid in change.pairs:
        message = view.epoch.messages.get(uid)
        if message is None:
            gone = True
            continue
        since = change.unchanged_since
        if since is not None and view.epoch.modseqs[uid] > since:
            modified.append(uid if by_uid else number)
            continue
        view.epoch.set_flags(uid, change.change(message.flags), by=view)
        view.changed.pop(uid, None)
        if not change.silent or view.modseqs:
            lines.append(view.flags_line(number, uid, named=by_uid, silent=change.silent))
    return lines, gone, modified


MAX_DONE = 1024
"""Octets of the line that ends it; more than DONE is a mistake anyway."""


def idle(client: Client, tag: bytes, cursor: Cursor) -> str:
    """IDLE. Faults of the command DONE are carried out when the client ends it."""
    cursor.end()
    client.conn.write(IDLING)
    with _listening(client) as idler:
        _send_news_until_input(client, idler)
    line = client.conn.read_line(MAX_DONE)
    if line.upper() != b"DONE":
        raise BadSyntax("expected DONE")
    replaced = arrange(client, tag, "DONE")
    if replaced is None:
        return "OK IDLE terminated"
    client.conn.write(replaced)
    return ""


@contextmanager
def _listening(client: Client) -> Iterator[Idler]:
    """Register an idler for the mailbox, once the client knows that it idles."""
    state, idler = client.state, Idler()
    try:
        _ring(client, idler.ring)
        client.conn.flush_part()
        with state.idling:
            state.idlers.add(idler)
            state.idling.notify_all()
        yield idler
    finally:
        with state.idling:
            state.idlers.discard(idler)
        _ring(client, None)
        idler.close()


def _ring(client: Client, ring: Callable[[], None] | None) -> None:
    """Ring the idler when there is news; without a mailbox there is none (RFC 2177)."""
    if client.box is not None and client.view is not None:
        with client.box.lock:
            client.view.ring = ring


def _send_news_until_input(client: Client, idler: Idler) -> None:
    while True:
        with client.state.idling:
            words = idler.hear()
        gone, news = _news(client)
        client.conn.write(words + news)
        client.conn.flush_part()
        if gone:
            client.hang_up(b"IMAP session state is inconsistent, please relogin.")
        if client.conn.wait_for_client(idler.bell):
            return


def _news(client: Client) -> tuple[bool, bytes]:
    if client.box is None or client.view is None:
        return False, b""
    with client.box.lock:
        return client.view.epoch.gone, client.view.news(expunges=True)


COMMANDS = {
    **pair("FETCH", fetch, expunges=False),
    **pair("SEARCH", search, expunges=False),
    **pair("STORE", store, expunges=False),
    **pair("COPY", copy, expunges=True),
    **pair("MOVE", move, "MOVE", expunges=True),
    "CHECK": Command(noop, _SELECTED),
    "EXPUNGE": Command(expunge, _SELECTED, arrivals=True),
    "UID EXPUNGE": Command(uid_expunge, _SELECTED, "UIDPLUS", arrivals=True),
    "CLOSE": Command(close, _SELECTED),
    "UNSELECT": Command(unselect, _SELECTED, "UNSELECT"),
    "IDLE": Command(idle, "authenticated", capability="IDLE"),
}
"""The commands of this file."""
