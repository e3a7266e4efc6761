"""The protocol of a state store over SQL tables, wherever they lie."""

from __future__ import annotations

import heapq
import os
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from nornmail.errors import IllegalTransition, LeaseHeld, LeaseLost, NornmailError, StoreError
from nornmail.model import (
    OUTBOX,
    Change,
    Entry,
    EntryKey,
    InboxRecord,
    Lease,
    MailboxKey,
    MailboxRecord,
    State,
    check_retry,
)
from nornmail.outgoing import (
    Decision,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Quota,
    Recipient,
    bounced,
    check_enqueue,
    check_request,
    decided,
    replaced,
    still_applies,
)
from nornmail.stores import rows
from nornmail.stores.entries import Entries, Execute
from nornmail.stores.errors import unreadable
from nornmail.stores.protocol import StateStore
from nornmail.stores.rows import Letter, Row, read_text
from nornmail.uidset import UidSet

T = TypeVar("T")
_only: Callable[[Row], Any] = itemgetter(0)
"""Reads a row of one column."""
HeldLease = tuple[Callable[[], Lease | None], Callable[[], object]]
"""A lease that was taken here, ``None`` where its holder is gone, and what gives it back."""
_NO_LEASE: HeldLease = (lambda: None, lambda: None)


class DatabaseConnection(Protocol):
    """The part of a database connection that a store needs; sqlite3's own has it."""

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, statement: str, arguments: Sequence[Any] = (), /) -> Any: ...

    def close(self) -> None: ...


class SqlStateStore(StateStore):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol in SQL tables.

    A subclass says where they lie, how a commit becomes durable, and what keeps others from a
    mailbox whose lease is taken here.

    Args:
        connection: to a database of the newest version (:mod:`nornmail.stores.schema`).
        name: what errors call the store.
    """

    after_fork: str | None = "open a store after the fork"
    """What to do in a forked process; ``None`` where it can continue."""

    def __init__(self, connection: DatabaseConnection, name: str) -> None:
        self._name = name
        self._process = os.getpid()
        self._connection = connection
        self._mutex = threading.RLock()
        self._guard = _Guard(self)
        self._within = _Transaction(self)
        """All that is executed within, or nothing: it is durable at the end."""
        self._entries = Entries(self._hold)
        self._closed = False
        self._check_files: Callable[[], object] = lambda: None
        """Raises where what is written would be lost, since a file is no longer in its place."""
        self._ids: dict[MailboxKey, int] = {}
        self._leases: dict[MailboxKey, HeldLease] = {}

    # What the stores differ in

    def _store_error(self, error: Exception) -> StoreError | None:
        """The StoreError to raise in place of an error of the database, ``None`` for others."""
        if isinstance(error, ValueError) and not isinstance(error, NornmailError):
            return unreadable(self._name, error)
        return None

    def _exclude_others(self, mailbox: MailboxKey, owner: str) -> Callable[[], object]:
        """Keep others from taking the lease, and return what lets them again.

        It raises LeaseHeld where another process has it; no other can reach a store in memory.
        """
        return lambda: None

    def _commit(self) -> None:
        """End the transaction durably."""
        self._connection.execute("COMMIT")

    def _rollback(self) -> None:
        """End the transaction without a trace."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _hold(self, raw: bytes) -> Any:
        """The value of a column that stands for ``raw``."""
        return raw

    def _raw(self, row: Row) -> bytes | None:
        """The bytes that the value of a column stands for, ``None`` where they are lost."""
        return bytes(row[0])

    # Leases

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        with self._locked(), self._guard:
            self._refuse_second(mailbox)
            let_others = self._exclude_others(mailbox, owner)
            try:
                with self._within as execute:
                    number = self._known_id(mailbox)
                    execute(rows.RAISE_FENCE, (number,))
                    (token,) = execute(rows.SELECT_FENCE, (number,)).fetchone()
            except BaseException:
                let_others()
                raise
            lease = Lease(mailbox=mailbox, owner=owner, token=token)
            self._ids[mailbox] = number
            self._leases[mailbox] = (weakref.ref(lease), let_others)
            return lease

    def _refuse_second(self, mailbox: MailboxKey) -> None:
        """Refuse a lease that is held here; free one whose holder is gone.

        The exception of a signal between this store and its caller takes the lease with it.
        """
        held, let_others = self._leases.get(mailbox, _NO_LEASE)
        if lease := held():
            owner = lease.owner
            del lease  # a caller that keeps the exception keeps this frame, and would keep it held
            raise LeaseHeld(f"{mailbox} is in use by {owner}", owner)
        let_others()
        self._leases.pop(mailbox, None)

    def release(self, lease: Lease) -> None:
        if self._unusable():
            return  # closing released it
        with self._mutex:
            held, let_others = self._leases.get(lease.mailbox, _NO_LEASE)
            if held() == lease:
                let_others()
                del self._leases[lease.mailbox]

    def holder(self, mailbox: MailboxKey) -> str:
        return ""

    def is_wanted(self, lease: Lease) -> bool:
        return False  # all processes of a store on one machine share its work

    def _check_lease(self, lease: Lease) -> int:
        """The id of the lease's mailbox, where its token is good here and in the database."""
        held, _ = self._leases.get(lease.mailbox, _NO_LEASE)
        if current := held():
            mailbox = self._ids[lease.mailbox]
            if current.token == lease.token == self._token(mailbox, current):
                return mailbox
        raise LeaseLost(f"{lease.owner} no longer holds the lease on {lease.mailbox}")

    def _token(self, mailbox: int, lease: Lease) -> int:
        """The fencing token of a lease that was taken here, as the database has it."""
        (token,) = self._connection.execute(rows.SELECT_FENCE, (mailbox,)).fetchone()
        return int(token)

    # The state of mailboxes: reading

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        return self._first(rows.read_record, rows.SELECT_RECORD, mailbox)

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        with self._locked(), self._guard:
            uids = self._all(_only, rows.SELECT_UIDS, mailbox, epoch)
            ranges = self._all(tuple, rows.SELECT_RANGES, mailbox, epoch)
            return UidSet([*((uid, uid) for uid in uids), *ranges])

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        return self._first(rows.read_entry, rows.SELECT_ENTRY, mailbox, *key)

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        return self._all(rows.read_entry, rows.SELECT_SIBLINGS, mailbox, epoch, uid)

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        by_state = self._by_state(rows.read_entry, rows.ENTRIES, mailbox, states, limit)
        return list(heapq.merge(*by_state, key=lambda entry: (entry.due_at, entry.key)))[:limit]

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        return sum(chain(*self._by_state(_only, rows.COUNT_ENTRIES, mailbox, states)))

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        place = header_digest, before_epoch
        return self._all(rows.read_entry, rows.SELECT_BY_DIGEST, mailbox, *place)

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        return self._first(self._raw, rows.SELECT_RAW, mailbox, *key)

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        return self._by_state(rows.read_entry, rows.ENTRIES_WITHOUT_RAW, mailbox, {state})[0]

    def mailboxes(self) -> list[MailboxKey]:
        known = [MailboxKey(*rows.texts(row)) for row in self._select(rows.SELECT_MAILBOXES)]
        return sorted(mailbox for mailbox in known if not mailbox.is_outbox)

    def inbox_keys(self, mailbox: MailboxKey) -> set[str]:
        """The inboxes that a mailbox has entries for, by their addresses; for a person."""
        return {*self._all(lambda row: read_text(row[0]), rows.SELECT_INBOX_KEYS, mailbox)}

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        return self._all(lambda row: EntryKey(*rows.texts(row)), rows.SELECT_ASKED, mailbox)

    # The state of mailboxes: writing

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        with self._locked(), self._guard:
            if not changes:
                self._check_lease(lease)
                return
            with self._within as execute:
                mailbox = self._check_lease(lease)
                for change in changes:
                    self._entries.apply(execute, mailbox, change)

    def forget_entries(self, lease: Lease, *, before: float, limit: int) -> int:
        with self._locked(), self._guard, self._within as execute:
            return self._entries.forget(execute, self._check_lease(lease), before, limit)

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        with self._locked(), self._guard, self._within as execute:
            number = self._id(mailbox)
            check_retry(key, None if number is None else self._entries.state(execute, number, key))
            execute(rows.INSERT_ASKED, (number, *key))

    # Inboxes

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        with self._locked(), self._guard, self._within as execute:
            execute(rows.REPLACE_INBOX, rows.write_inbox(self._known_id(mailbox), record))

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        with self._locked(), self._guard, self._within as execute:
            deleted = execute(rows.DELETE_INBOX, (self._id(mailbox), name))
            return bool(deleted.rowcount)

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        return self._all(rows.read_inbox, rows.SELECT_INBOXES, mailbox)

    def has_verified_sender(self, address: str) -> bool:
        return bool(self._select(rows.SELECT_VERIFIED_SENDER, address))

    # The outbox: writing

    def enqueue(self, message: QueuedMessage, raw: bytes) -> QueuedMessage:
        with self._locked(), self._guard, self._within as execute:
            if letter := self._find_letter(message.outbox, message.key):
                return letter.message
            check_enqueue(message)
            outbox = self._known_id(MailboxKey.of_outbox(message.outbox))
            if not execute(rows.INSERT_MESSAGE, (outbox, *rows.write_message(message))).rowcount:
                letter = self._find_letter(message.outbox, message.key)
                return message if letter is None else letter.message  # another process was faster
            (number,) = execute(rows.SELECT_MESSAGE_ID, (outbox, message.key)).fetchone()
            for recipient in message.recipients:
                place = (outbox, recipient.address.lower(), message.queued_at, number)
                execute(rows.INSERT_RECIPIENT, place)
            self._keep_bytes(number, raw)
            return message

    def _keep_bytes(self, number: int, raw: bytes) -> None:
        """Keep the bytes of a message, by the number of its row."""
        self._connection.execute(rows.REPLACE_BYTES, (number, self._hold(raw)))

    def _find_letter(self, outbox: str, key: str) -> Letter | None:
        """The message with a key, which no other process changes within this transaction."""
        place = (self._id(MailboxKey.of_outbox(outbox)), key)
        query = rows.SELECT_LETTER + rows.FOR_UPDATE
        row = self._connection.execute(query, place).fetchone()
        return row and rows.read_letter(outbox, row)

    def claim_message(
        self, lease: Lease, key: str | None, quotas: Sequence[Quota] = ()
    ) -> QueuedMessage | None:
        with self._locked(), self._guard:
            self._check_lease(lease)
            return None if key is None else self.queued_message(lease.mailbox.account, key)

    def commit_messages(self, lease: Lease, messages: Sequence[QueuedMessage]) -> None:
        name = lease.mailbox.account
        with self._locked(), self._guard, self._within as execute:
            self._check_lease(lease)
            for message in messages:
                letter = self._find_letter(name, message.key)
                if letter is None or message.outbox != name:
                    raise IllegalTransition(
                        f"there is no message {message.key} in the outbox {name}"
                    )
                number, request, before = letter
                self._check_claim(number, message.key)
                after = replaced(before, message)
                execute(rows.UPDATE_MESSAGE, (*rows.write_message(after), number))
                if not after.keeps_bytes():
                    execute(rows.DELETE_BYTES, (number,))
                if request is not None and not still_applies(request, before, after):
                    execute(rows.UPDATE_REQUEST, (None, number))

    def _check_claim(self, number: int, key: str) -> None:
        """Refuse a message that another sender is sending; here there is no other."""

    def request(self, outbox: str, key: str, request: OperatorRequest) -> None:
        with self._locked(), self._guard, self._within as execute:
            letter = self._find_letter(outbox, key)
            check_request(letter and letter.message, request)
            if letter is not None and letter.request is not request:
                execute(rows.UPDATE_REQUEST, (request.value, letter.number))

    def decide(self, outbox: str, key: str, decision: Decision) -> bool:
        return self._amend(outbox, key, lambda message: decided(message, decision))

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        return self._amend(outbox, key, lambda message: message and bounced(message, report))

    def _amend(
        self,
        outbox: str,
        key: str,
        amended: Callable[[QueuedMessage | None], QueuedMessage | None],
    ) -> bool:
        """Change a message without the lease; return whether there was anything to change."""
        with self._locked(), self._guard, self._within as execute:
            letter = self._find_letter(outbox, key)
            after = amended(letter and letter.message)
            if letter is None or after is None:
                return False
            execute(rows.UPDATE_MESSAGE, (*rows.write_message(after), letter.number))
            return True

    def forget_messages(self, outbox: str, *, before: float, limit: int) -> int:
        with self._locked(), self._guard, self._within as execute:
            place = self._id(MailboxKey.of_outbox(outbox))
            forgotten = execute(rows.SELECT_FORGOTTEN_MESSAGES, (place, before, limit)).fetchall()
            for number, queued_at, recipients in forgotten:
                for address in rows.read_addresses(recipients):
                    execute(rows.DELETE_RECIPIENT, (place, address, queued_at, number))
                # Its bytes went when it was sent or dropped.
                execute(rows.DELETE_MESSAGE, (number,))
            return len(forgotten)

    # The outbox: reading

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        found = self._all(rows.texts, rows.SELECT_REQUESTS, MailboxKey.of_outbox(outbox))
        return [(key, OperatorRequest(wish)) for key, wish in found]

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        read, mailbox = partial(rows.read_letter, outbox), MailboxKey.of_outbox(outbox)
        letter = self._first(read, rows.SELECT_LETTER, mailbox, key)
        return letter and letter.message

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        read, mailbox = partial(rows.read_message, outbox), MailboxKey.of_outbox(outbox)
        by_state = self._by_state(read, rows.MESSAGES, mailbox, states, limit)
        merged = heapq.merge(
            *by_state, key=lambda message: (message.due_at, message.queued_at, message.key)
        )
        return list(merged)[:limit]

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        mailbox = MailboxKey.of_outbox(outbox)
        return sum(chain(*self._by_state(_only, rows.COUNT_MESSAGES, mailbox, states)))

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        return self._first(self._raw, rows.SELECT_BYTES, MailboxKey.of_outbox(outbox), key)

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        return self._messages(rows.SELECT_COPIES, outbox)

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        selected = self._select(rows.SELECT_BY_MESSAGE_ID, message_id)
        return [rows.read_message(read_text(row[0]), row[1:]) for row in selected]

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        return self._messages(rows.SELECT_TO, outbox, address.lower(), since, limit)

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        query = rows.COUNT_ANSWERS_IN if thread_id else rows.COUNT_ANSWERS_TO
        place = MailboxKey.of_outbox(outbox), thread_id or address.lower()
        return self._first(_only, query, *place, since) or 0

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        mailbox = MailboxKey.of_outbox(outbox)
        return self._all(_only, rows.SELECT_SUBMISSIONS, mailbox, since, limit)

    def outboxes(self) -> list[str]:
        return sorted(read_text(name) for (name,) in self._select(rows.SELECT_OUTBOXES, OUTBOX))

    def _messages(self, query: str, outbox: str, *arguments: Any) -> list[QueuedMessage]:
        read = partial(rows.read_message, outbox)
        return self._all(read, query, MailboxKey.of_outbox(outbox), *arguments)

    # The database

    def close(self) -> None:
        if self._unusable():
            return  # in a forked child the files are the parent's
        with self._mutex:
            self._closed = True
            try:
                for _, let_others in self._leases.values():
                    let_others()
            finally:
                self._connection.close()

    def _select(self, query: str, *arguments: Any) -> list[Row]:
        """All rows of a query."""
        with self._locked(), self._guard:
            return list(self._connection.execute(query, arguments))

    def _all(
        self, read: Callable[[Row], T], query: str, mailbox: MailboxKey, *arguments: Any
    ) -> list[T]:
        """All values of a query whose first argument is the mailbox; none where it is unknown."""
        with self._locked(), self._guard:
            number = self._id(mailbox)
            if number is None:
                return []
            selected = self._connection.execute(query, (number, *arguments))
            return list(map(read, selected.fetchall()))

    def _by_state(
        self,
        read: Callable[[Row], T],
        query: str,
        mailbox: MailboxKey,
        states: Iterable[Any],
        limit: int | None = None,
    ) -> list[list[T]]:
        """The values of a query for each state, since the index has them in order that way."""
        most = rows.NO_LIMIT if limit is None else limit
        with self._locked():
            return [
                self._all(read, rows.in_state(query, state), mailbox, state.value, most)
                for state in set(states)
            ]

    def _first(
        self, read: Callable[[Row], T], query: str, mailbox: MailboxKey, *arguments: Any
    ) -> T | None:
        """The value of such a query, which has one at most; ``None`` where it has none."""
        values = self._all(read, query, mailbox, *arguments)
        return values[0] if values else None

    def _id(self, mailbox: MailboxKey) -> int | None:
        """The id of a mailbox, ``None`` where it is not known."""
        if mailbox in self._ids:
            return self._ids[mailbox]
        selected = self._connection.execute(rows.SELECT_MAILBOX, mailbox).fetchone()
        if selected is None:
            return None
        if not self._connection.in_transaction:  # else it may be undone
            self._ids[mailbox] = selected[0]
        return int(selected[0])

    def _known_id(self, mailbox: MailboxKey) -> int:
        """The id of a mailbox, which is made known within this transaction where it is not."""
        number = self._id(mailbox)
        if number is None:
            self._connection.execute(rows.INSERT_MAILBOX, (*mailbox, 0))
            (number,) = self._connection.execute(rows.SELECT_MAILBOX, mailbox).fetchone()
        return int(number)

    def _locked(self) -> AbstractContextManager[object]:
        """No other thread reads or writes within.

        It is a lock of the interpreter's own, which the exception of a signal cannot leave locked:
        it falls before the lock is taken or into the block. In a function of ours it could fall
        right behind the call that takes it.

        Raises:
            StoreError: the lock may be held by a thread of the process that was forked.
        """
        if self._process != os.getpid():
            self._check_usable()
        return self._mutex

    def _unusable(self) -> str | None:
        """The reason for which nothing can be done with the store, ``None`` where it can."""
        if self._closed:
            return f"{self._name} was closed"
        if self.after_fork and self._process != os.getpid():
            return f"{self._name} was opened before this process was forked: {self.after_fork}"
        return None

    def _check_usable(self) -> None:
        if reason := self._unusable():
            raise StoreError(reason)


class _Guard:
    """Refuses what a store cannot do any more; errors of the database become StoreError.

    It stands around transactions, never within one.
    """

    __slots__ = ("store",)

    def __init__(self, store: SqlStateStore) -> None:
        self.store = store

    def __enter__(self) -> None:
        store = self.store
        try:
            if store._closed or store._process != os.getpid():
                store._check_usable()
            store._check_files()
            if store._connection.in_transaction:
                # The exception of a signal, right behind BEGIN or before ROLLBACK, left one open.
                store._rollback()
        except Exception as error:
            self.__exit__(None, error, None)
            raise

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and (ours := self.store._store_error(error)):
            raise ours from error


class _Transaction:
    """A writing transaction of a store, which is locked already."""

    __slots__ = ("store",)

    def __init__(self, store: SqlStateStore) -> None:
        self.store = store

    def __enter__(self) -> Execute:
        connection = self.store._connection
        try:
            # IMMEDIATE: a transaction that began by reading may find at its first write that
            # another process wrote in between, and cannot continue.
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self.store._rollback()
            raise
        return connection.execute

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            try:
                self.store._commit()
            except BaseException:
                self.store._rollback()
                raise
        else:
            self.store._rollback()
