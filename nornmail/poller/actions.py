r"""The actions on the server for handled mail: ``\\Seen``, delete, move.

The store knows it first: a handled message is an open action until the server has confirmed it,
and what did not get through is repeated. Only UIDs of handled messages are ever touched (UID
EXPUNGE of RFC 4315, MOVE of RFC 6851); a plain EXPUNGE, which takes others' mail with it, is never
sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from nornmail.errors import CommandRefused, Throttled
from nornmail.model import After, Entry, PutEntry, State
from nornmail.poller.decisions import action_delay, may_touch
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import digest_of, header_digest_of
from nornmail.settings.imap import ImapSettings, same_mailbox
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection

log = logging.getLogger("nornmail.poller")

SEEN = "\\Seen"
DELETED = "\\Deleted"
AT_ONCE = 1_000
"""Entries that are acted on and finished in one transaction."""
HEADER_OCTETS = 64 * 1024
"""The expected octets of a header block, for the deadline of a command."""
NO_ROOM = "connections"
"""The kind of throttling that is about the other connection alone: this one is there."""
RECENT_COPIES = 1_000
"""Messages at the end of the destination that are compared with one that may be among them."""
REMOVED_IN_VAIN = After(flags=(DELETED,))
"""Stands for a removal without effect among the requests; a handler cannot ask for it."""
LOOKED_FOR = 3_600.0
"""Seconds for which a message is looked for whose move was not seen done and which no listing shows
any more: a replica may hide it for a while, and one that is given up stays in the mailbox for
ever."""


class Actions:
    """Flags, deletes and moves handled messages as the settings say.

    Args:
        open_other: opens another connection to the same account, to look into the destination of
            a move without leaving the mailbox.
    """

    def __init__(
        self, ledger: Ledger, settings: ImapSettings, open_other: Callable[[], Connection]
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._open_other = open_other
        self._refusals: dict[After, int] = {}
        self._not_before: dict[After, float] = {}
        self._kept_back: dict[tuple[int, After], UidSet] = {}
        """By epoch and request: messages that wait with a refused request, and let others pass."""
        # Open actions that an earlier process or connection left may have been begun there.
        self._begun_before = True
        self._still_there = UidSet()
        """The UIDs that the last request was to remove, and the server did not."""
        self._absent: dict[int, UidSet] = {}
        """By epoch: open actions of messages that were not listed when they were to be moved."""

    def apply(self, connection: Connection) -> None:
        """Carry out the open actions and finish their entries.

        A refusal is logged; a refused action stays open and is tried again after a growing wait.

        Raises:
            ConnectionLost: unconfirmed actions stay open.
            Throttled: the same; that there is no room for another connection is only a refusal.
        """
        if not self._ledger.open.keys(State.HANDLED):
            self._begun_before = False
            return
        if self._waits(After()):
            return
        while messages := self._ledger.open_actions(AT_ONCE, self._left_out()):
            for after, alike in _by_request(messages).items():
                if self._waits(after):
                    self._keep_back(after, alike)
                    continue
                try:
                    absent = self._touch(
                        connection, [_as_one(m) for m in alike if may_touch(m)], after
                    )
                except (CommandRefused, Throttled) as refused:
                    if isinstance(refused, Throttled) and refused.kind != NO_ROOM:
                        raise
                    self._note_refusal(after, refused)
                    self._keep_back(after, alike)
                    continue
                self._keep_looking_for(absent)
                if absent:
                    alike = [entries for entries in alike if entries[0].key.uid not in absent]
                if self._still_there:
                    alike = self._without_removed_in_vain(alike)
                self._finish([entry for entries in alike for entry in entries])
                self._refusals.pop(after, None)
                if (self._ledger.epoch.number, REMOVED_IN_VAIN) not in self._kept_back:
                    self._refusals.pop(REMOVED_IN_VAIN, None)
        if not self._kept_back:
            self._begun_before = False

    def _without_removed_in_vain(self, messages: list[list[Entry]]) -> list[list[Entry]]:
        """The messages without those that the server said to have removed, and that are there.

        They are removed again, after a wait that grows, and hold up no other message meanwhile.
        """
        left = [entries for entries in messages if entries[0].key.uid in self._still_there]
        uids = UidSet.of(entries[0].key.uid for entries in left)
        answer = CommandRefused("UID EXPUNGE", "OK", "", f"and UID {uids} is still there")
        self._note_refusal(REMOVED_IN_VAIN, answer)
        self._keep_back(REMOVED_IN_VAIN, left)
        self._begun_before = True  # a copy of it may be in the destination
        return [entries for entries in messages if entries not in left]

    def _waits(self, after: After) -> bool:
        not_before = self._not_before.get(after)
        return not_before is not None and self._ledger.clock.monotonic() < not_before

    def _keep_back(self, after: After, messages: Sequence[Sequence[Entry]]) -> None:
        key = (self._ledger.epoch.number, after)
        uids = [entries[0].key.uid for entries in messages]
        self._kept_back[key] = UidSet.of([*self._kept_back.get(key, ()), *uids])

    def _left_out(self) -> Iterable[int]:
        """The UIDs that are not acted on now: not listed, or waiting with a refused request."""
        if not self._kept_back:  # nearly always
            return self._not_listed()
        number = self._ledger.epoch.number
        self._kept_back = {
            (epoch, after): uids
            for (epoch, after), uids in self._kept_back.items()
            if epoch == number and self._waits(after)
        }
        return [*self._not_listed(), *(uid for uids in self._kept_back.values() for uid in uids)]

    def _note_refusal(self, after: After, refused: Exception) -> None:
        self._refusals[after] = refusals = self._refusals.get(after, 0) + 1
        wait = action_delay(refusals)
        self._not_before[after] = self._ledger.clock.monotonic() + wait
        log.warning("%s; mail that was handled is left alone for %.0f s", refused, wait)

    def look_again(self, connection: Connection) -> None:
        """Look for messages that were not listed when they were to be moved.

        One that is listed again is moved. One that stays away for :data:`LOOKED_FOR` is taken to be
        moved, by this poller or somebody else, and the log says so. The same goes for messages of
        earlier epochs that this one did not bring back. Call it when every listed message was
        fetched.
        """
        if not self._ledger.open.keys(State.HANDLED):
            return
        absent = self._not_listed()
        try:
            listed = connection.still_listed(absent)
        except CommandRefused as refused:
            log.warning("%s; UID %s is searched for the next time", refused, absent)
            return
        absent = absent - listed
        if listed:
            self._absent = {self._ledger.epoch.number: absent}
            self._begun_before = True
            self.apply(connection)
        horizon = self._ledger.clock.wall() - LOOKED_FOR
        if self._ledger.epoch.begun_at > horizon:
            return
        for uid in absent:
            entries = self._ledger.siblings(uid)
            if all(entry.changed_at <= horizon for entry in entries):
                self._give_up(entries)
        while stranded := self._ledger.stranded_actions(AT_ONCE):
            self._give_up(stranded)

    def _give_up(self, entries: Sequence[Entry]) -> None:
        log.info("no longer in the mailbox, so nothing is left to do: %s", _uids(entries))
        self._finish(entries)

    def _not_listed(self) -> UidSet:
        return self._absent.get(self._ledger.epoch.number, UidSet())

    def _keep_looking_for(self, absent: UidSet) -> None:
        if absent:
            log.info(
                "UID %s is to be moved and was not listed: it is searched for during %.0f s",
                absent,
                LOOKED_FOR,
            )
            self._absent = {self._ledger.epoch.number: UidSet.of([*self._not_listed(), *absent])}

    def _finish(self, entries: Sequence[Entry]) -> None:
        now = self._ledger.clock.wall()
        handled = [entry for entry in entries if entry.state is State.HANDLED]
        finished = [e._replace(state=State.FINISHED, changed_at=now) for e in handled]
        self._ledger.commit(*map(PutEntry, finished))

    def _touch(self, connection: Connection, entries: Sequence[Entry], after: After) -> UidSet:
        """Carry out the actions for one entry of each message.

        Returns:
            The messages whose move was not seen done.
        """
        absent = self._still_there = UidSet()
        if not entries:
            return absent
        current = list(entries)
        # A message delivered with its headers alone was not handled as a whole: it stays.
        whole = [entry for entry in current if not entry.truncated]
        move_to = after.move_to or self._settings.move_to
        again, self._begun_before = self._begun_before, True
        if self._settings.delete_after_fetch and after.move_to is None:
            self._delete(connection, _uids(whole))
            current = [entry for entry in current if entry.truncated]
        flags = [SEEN] if self._settings.mark_as_read else []
        flags += [flag for flag in after.flags if flag not in flags]
        if flags and current:
            connection.add_flags(_uids(current), flags)
        if move_to is not None and whole:
            absent = self._move(connection, whole, move_to, again=again)
        self._begun_before = again
        return absent

    def _delete(self, connection: Connection, uids: UidSet) -> None:
        if uids:
            connection.add_flags(uids, [SEEN, DELETED])
            self._expunge(connection, uids)

    def _expunge(self, connection: Connection, uids: UidSet) -> None:
        expunges = connection.expunges
        if not connection.expunge(uids):
            log.warning(
                "the server has no UIDPLUS: UID %s stays in the mailbox, flagged as deleted", uids
            )
        elif connection.expunges - expunges < len(uids):
            # A server may say OK to a flag that it does not set, and then nothing is removed.
            left = connection.still_listed(uids)
            self._still_there = UidSet.of([*self._still_there, *left])

    def _move(
        self, connection: Connection, entries: Sequence[Entry], target: str, *, again: bool
    ) -> UidSet:
        r"""Move messages: by MOVE, else by COPY, its OK, ``\\Deleted`` and UID EXPUNGE.

        Returns:
            Those that are neither listed nor in the destination and that the server did not report
            as expunged: they may be moved by somebody else, or hidden.
        """
        uids = _uids(entries)
        absent = UidSet()
        # An open action of an earlier epoch may have been begun there.
        begun = [entry for entry in entries if again or self._ledger.was_carried_over(entry)]
        if begun:
            listed = connection.still_listed(_uids(begun))
            # One that is not listed was rather moved than one that is.
            begun.sort(key=lambda entry: entry.key.uid in listed)
            copied = self._copied_before(begun, target)
            missing = _uids(begun) - listed
            if left := copied - missing:
                self._remove(connection, left)
            absent = missing - _gone(connection, copied - listed)
            uids = uids - missing - copied
        if not uids:
            return absent
        expunges = connection.expunges
        moving = [entry for entry in entries if entry.key.uid in uids]
        try:
            self._transfer(connection, moving, target)
        except CommandRefused:
            if _exists(connection, target):
                raise
            connection.create(target)
            self._transfer(connection, moving, target)
        unreported = _unreported(connection, uids, expunges)
        if unreported:
            sought = [entry for entry in entries if entry.key.uid in unreported]
            unreported = unreported - _gone(connection, self._copied_before(sought, target))
        return UidSet.of([*absent, *unreported])

    def _transfer(self, connection: Connection, entries: Sequence[Entry], target: str) -> None:
        uids = _uids(entries)
        if "MOVE" in connection.capabilities:
            connection.move(uids, target)
        else:
            is_confirmed = connection.copy(uids, target) or "UIDPLUS" not in connection.capabilities
            if not is_confirmed and (lost := uids - self._copied_before(entries, target)):
                raise CommandRefused("UID COPY", "OK", "", f"and UID {lost} is not in {target}")
            self._remove(connection, uids)

    def _remove(self, connection: Connection, uids: UidSet) -> None:
        connection.add_flags(uids, [DELETED])
        self._expunge(connection, uids)

    def _copied_before(self, entries: Sequence[Entry], target: str) -> UidSet:
        """The messages that are in the destination already.

        A move that was cut off may have copied them. Each message there stands for one here, or
        for an equal one that was moved before: where that one's copy went away since, a message
        is copied twice, since the other mistake would lose it.
        """
        copied: list[int] = []
        if not entries:
            return UidSet()
        with closing(self._open_other()) as other:
            if not _exists(other, target):
                return UidSet()
            other.examine(target)
            taken = UidSet()
            for entry in entries:
                twins = _twins(other, entry, taken)
                twin = next(islice(twins, self._ledger.finished_like(entry), None), 0)
                if twin:
                    taken.add(twin)
                    copied.append(entry.key.uid)
        return UidSet.of(copied)


def _by_request(messages: Sequence[list[Entry]]) -> dict[After, list[list[Entry]]]:
    """The messages by what their handlers asked for; those that asked for nothing come first."""
    nothing: list[list[Entry]] = []
    by_request: dict[After, list[list[Entry]]] = {After(): nothing}
    for entries in messages:
        reasons = [
            entry.reason
            for entry in entries
            if entry.reason and entry.state in (State.HANDLED, State.FINISHED)
        ]
        if not reasons:  # nearly always
            nothing.append(entries)
            continue
        after = After()
        for reason in reasons:
            after = after.and_then(After.from_reason(reason))
        by_request.setdefault(after, []).append(entries)
    return {after: alike for after, alike in by_request.items() if alike}


def _as_one(siblings: Sequence[Entry]) -> Entry:
    """The handled entry that represents a message in all its inboxes."""
    if len(siblings) == 1:
        return siblings[0]
    handled = next(entry for entry in siblings if entry.state is State.HANDLED)
    return handled._replace(truncated=any(entry.truncated for entry in siblings))


def _uids(entries: Sequence[Entry]) -> UidSet:
    return UidSet.of([entry.key.uid for entry in entries])


def _unreported(connection: Connection, uids: UidSet, expunges: int) -> UidSet:
    """Those of ``uids`` that are not listed, unless as many were reported since ``expunges``."""
    if "UIDPLUS" not in connection.capabilities or connection.expunges - expunges >= len(uids):
        return UidSet()
    listed = connection.still_listed(uids)  # servers that report late do so now
    return uids - listed if connection.expunges - expunges < len(uids) else UidSet()


def _gone(connection: Connection, copied: UidSet) -> UidSet:
    """Those of ``copied``, none of which is listed, that are gone from the mailbox for certain.

    MOVE removes a message as it copies it (RFC 6851, section 3.3). After COPY a listing may hide
    one that is still there: only one with as many messages as EXISTS says is believed.
    """
    if not copied or "MOVE" in connection.capabilities:
        return copied
    listed = connection.list_uids()
    return copied - listed if len(listed) == connection.exists else UidSet()


def _last(uids: UidSet) -> UidSet:
    return UidSet.of(list(uids)[-RECENT_COPIES:])


def _exists(connection: Connection, target: str) -> bool:
    """Whether a mailbox is there; ``LIST "" "*"`` may leave out a namespace (RFC 3501, 6.3.8)."""
    is_listed = any(same_mailbox(name, target) for name in connection.mailboxes())
    return is_listed or bool(connection.counts([target]))


def _twins(connection: Connection, entry: Entry, taken: UidSet) -> Iterator[int]:
    """The UIDs, ascending, of the same message in the selected mailbox.

    Found by its Message-ID, or by its size among the last messages if it has none, and confirmed
    by its headers and its body: the rest can be anybody's, and ours is removed for it.
    """
    if entry.digest is None:
        return
    candidates = _alike(connection, entry) - taken
    if not candidates:
        return
    headers = connection.headers(candidates, expected_octets=HEADER_OCTETS * len(candidates))
    for uid in sorted(headers):
        raw = headers[uid].raw
        if raw is None or header_digest_of(raw) != entry.digest.header:
            continue
        body = connection.bodies(UidSet.of([uid]), expected_octets=entry.size).get(uid)
        if body is not None and body.raw is not None and digest_of(body.raw) == entry.digest:
            yield uid


def _alike(connection: Connection, entry: Entry) -> UidSet:
    """The messages at the end of the selected mailbox that may be the same."""
    if entry.message_id:
        try:
            # Some servers ignore a search key that they do not know, and every message matches.
            return _last(connection.find_message_id(entry.message_id))
        except CommandRefused as refused:
            log.debug("%s; searching by size instead", refused)  # mail.ru: unsupported criterion
    recent = _last(connection.list_uids())
    sizes = connection.summaries(recent) if recent else {}
    return UidSet.of(uid for uid, summary in sizes.items() if summary.size == entry.size)
