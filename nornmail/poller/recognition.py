"""Recognising a message across epochs, by its digest (rule 8 of the delivery contract).

A digest has two parts: of the header block, and of the body where it was whole. The same message
gives the same digest after a mailbox was rebuilt: line ends are normalised, and the headers that
mailbox formats add are left out. It carries a version, so that digests of two recipes never match.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence

from nornmail.model import (
    Change,
    Digest,
    Entry,
    EntryKey,
    Epoch,
    KeepRaw,
    MailboxRecord,
    PutEntry,
    Rekey,
    State,
)
from nornmail.poller.decisions import (
    counts_as_known,
    cut_off,
    forgotten,
    of_one_message,
    one_for_each,
    recognise,
)
from nornmail.poller.ledger import Ledger

log = logging.getLogger("nornmail.poller")

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_PART = 64 * 1024
"""Octets of a body that are brought to one form of line end at a time."""
VERSION = "1"
"""Raise it with any change of the recipe: digests of different versions never match."""
DIGITS = 40
"""Hexadecimal digits of a digest that are kept: 160 bits, which no two messages share by chance."""

ADDED_BY_MAILBOXES = (
    b"status",
    b"x-status",
    b"x-uid",
    b"x-uidl",
    b"x-keywords",
    b"x-imap",
    b"x-imapbase",
    b"content-length",
    b"lines",
    b"x-mozilla-status",
    b"x-mozilla-status2",
    b"x-mozilla-keys",
    b"x-evolution-source",
    b"x-gmail-labels",
    b"x-gm-thrid",
)
"""Headers that mbox files, migration tools and clients write into a stored message."""

# It begins with the one octet that is looked for, since the search of any other is slow.
_ADDED = re.compile(
    rb"\n(?=[clsx])(?:"
    + b"|".join(map(re.escape, ADDED_BY_MAILBOXES))
    + rb")[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*",
    re.IGNORECASE,
)


def header_block(raw: bytes) -> bytes:
    """The header of a message, up to and without the empty line (RFC 5322, section 2.1)."""
    if raw.startswith((b"\r\n", b"\n")):
        return b""
    end = raw.find(b"\r\n\r\n")
    if end >= 0 and raw.count(b"\n", 0, end) == raw.count(b"\r\n", 0, end):  # nearly always
        return raw[:end]
    empty_line = _EMPTY_LINE.search(raw)
    if empty_line is None:
        return raw
    end = empty_line.start()
    return raw[: end - 1 if raw[end - 1 : end] == b"\r" else end]


def digest_of(raw: bytes, *, truncated: bool = False) -> Digest:
    """The digest of a message as it came from the server."""
    header = header_block(raw)
    return Digest(_header_digest(header), None if truncated else _body_digest(raw, len(header)))


def header_digest_of(raw: bytes) -> str:
    """The header part alone, from a header block or a whole message."""
    return _header_digest(header_block(raw))


def _header_digest(header: bytes) -> str:
    lines = _ADDED.sub(b"", b"\n" + _with_line_feeds(header).strip(b"\n"))
    hashed = hashlib.sha256(b"header\0" + (lines[1:] + b"\n" if lines else b""))
    return f"{VERSION}:{hashed.hexdigest()[:DIGITS]}"


def _body_digest(raw: bytes, start: int) -> str:
    """The digest of what stands behind the header, without the line ends around it.

    A part at a time, since a copy of a large message with other line ends would be a second one in
    memory.
    """
    end = len(raw)
    text = b""
    while start < end and not text:
        tail = raw[max(start, end - _PART) : end]
        text = tail.rstrip(b"\r\n")
        end -= len(tail) - len(text)
    hashed = hashlib.sha256(b"body\0")
    is_inside = False
    while start < end:
        after = raw.find(b"\n", start + _PART, end) + 1 or end
        lines = _with_line_feeds(raw[start:after])
        if not is_inside:
            lines = lines.lstrip(b"\n")
            is_inside = bool(lines)
        hashed.update(lines)
        start = after
    return f"{VERSION}:{hashed.hexdigest()[:DIGITS]}"


def _with_line_feeds(octets: bytes) -> bytes:
    """``octets`` with LF for every line end: CRLF, CR or LF.

    Where all are CRLF, as nearly everywhere, that shows when the result is turned back: single
    octets are replaced five times as fast as CRLF is found.
    """
    lines = octets.replace(b"\r", b"")
    if lines.replace(b"\n", b"\r\n") == octets:
        return lines
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


BEFORE_START = "older than start_from"
"""The reason of a message that was there before the first run's cut, and is passed over."""


BEFORE_HORIZON = "older than the retention of what was handled"
"""The reason for which a message is passed over whose entry may have been removed (rule 15)."""


def known_by_digest(ledger: Ledger, header_digest: str) -> list[Entry]:
    """The messages of earlier epochs that have these headers, an entry of each."""
    known = ledger.find_by_digest(header_digest)
    return one_for_each(entry for entry in known if counts_as_known(entry.state, ledger.on_change))


def carried_over(ledger: Ledger, known: Entry, uid: int) -> list[Change]:
    """The changes that move all entries of a recognised message to its new UID.

    Under "replay" those that were settled begin anew, as do those that were not. One that was gone,
    perhaps since others took its place, stays so.

    Args:
        known: an entry of the message, of an earlier epoch and with a digest.
    """
    epoch = ledger.epoch
    changes: list[Change] = []
    for earlier in _entries(ledger, known):
        after = EntryKey(epoch.number, uid, earlier.key.inbox)
        passed_over = earlier.state is State.PASSED_OVER
        if passed_over or counts_as_known(earlier.state, ledger.on_change):
            changes.append(Rekey(earlier.key, after, epoch.uid_validity))
        elif earlier.state is not State.GONE:
            new = ledger.new_entry(uid, after.inbox)._replace(digest=earlier.digest)
            changes.append(PutEntry(_described(new, earlier)))
    return changes


def _entries(ledger: Ledger, known: Entry) -> Sequence[Entry]:
    if known.digest is None:
        return [known]
    return of_one_message(ledger.find_by_digest(known.digest.header), known)


def _described(entry: Entry, like: Entry) -> Entry:
    return entry._replace(
        message_id=like.message_id,
        size=like.size,
        received_at=like.received_at,
        truncated=like.truncated,
    )


def _came_back(entry: Entry, epoch: Epoch) -> bool:
    """Whether a message that came after the epoch began may be one of an earlier epoch.

    A restore may continue after the new UIDVALIDITY was seen. Its mail was compared by its headers,
    except where the server gave none at that moment.
    """
    received_at = entry.received_at
    return epoch.number > 1 and received_at is not None and received_at < epoch.begun_at


def _is_forgotten(ledger: Ledger, record: MailboxRecord, entry: Entry) -> bool:
    """Whether an unknown message is from before what retention removed of earlier epochs.

    What it removes of this epoch raises the horizon as well, and the UIDs of that are known: a
    message that was received earlier and is fetched later is new.
    """
    epoch = record.epoch
    if epoch.number == 1 or ledger.clock.wall() - ledger.retention > epoch.begun_at:
        return False
    return forgotten(entry.received_at, record.horizon, ledger.on_change)


def changes_if_known(ledger: Ledger, entry: Entry, raw: bytes) -> list[Change]:
    """The changes for a message from before the epoch that is known or passed over; none if new.

    Args:
        raw: the bytes. They are kept where they are missing: a process ended in the handler, and
            then the message was not to be found for a while.
    """
    record = ledger.record
    if record is None or entry.digest is None:
        return []
    is_late = entry.key.uid >= record.epoch.boundary
    if is_late and not _came_back(entry, record.epoch):
        return []
    if record.epoch.number == 1 and record.cut is None:
        return []  # nothing was before
    known = known_by_digest(ledger, entry.digest.header)
    match = recognise(known, entry.digest, entry.size)
    if match is None:
        if is_late:
            return []  # somebody moved it into the mailbox
        # Only now: what is known from before the cut may wait, or have an open action.
        if cut_off(entry.received_at, record.cut):
            reason = BEFORE_START
        elif _is_forgotten(ledger, record, entry):
            reason = BEFORE_HORIZON
        else:
            return []
        return [PutEntry(entry._replace(state=State.PASSED_OVER, due_at=0.0, reason=reason))]
    log.info("%s is known from an earlier epoch as %s", entry.key, match.key)
    changes = carried_over(ledger, match, entry.key.uid)
    keeping: list[Change] = []
    for earlier in _entries(ledger, match):
        if earlier.state in (State.WAITING, State.DEAD) and ledger.raw(earlier.key) is None:
            after = entry.key._replace(inbox=earlier.key.inbox)
            keeping.append(KeepRaw(after, raw))
    return [*changes, *keeping]
