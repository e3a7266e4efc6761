"""A store that forgets: for tests, and for trying things out."""

from __future__ import annotations

from collections.abc import Sequence

from nornmail.model import Change, EntryKey, Lease, MailboxKey
from nornmail.stores.tabled import TabledStore
from nornmail.stores.tables import Effects, Tables


class MemoryStateStore(TabledStore[bytes]):
    """Keeps the :class:`~nornmail.stores.base.StateStore` protocol, but for durability.

    All is lost with the object: after a restart the mailbox looks as if it were polled for the
    first time. Its size is that of the history, of every message ever looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """See :meth:`nornmail.stores.base.StateStore.commit`."""
        with self._locked():
            self._check_lease(lease)
            tables = self._mailboxes[lease.mailbox]
            self._install(tables, tables.plan(changes, bytes))

    def ask_again(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """See :meth:`nornmail.stores.base.StateStore.ask_again`."""
        with self._locked():
            tables = self._tables(mailbox)
            self._install(tables, tables.plan_asking(key))

    def _install(self, tables: Tables[bytes], effects: Effects[bytes]) -> None:
        self._settled = False
        tables.install(effects)
        self._settled = True

    def close(self) -> None:
        """Release every lease. What is asked of the store after that is a StoreError."""
        with self._mutex:
            self._closed = True
            self._leases.clear()

    def _unusable(self) -> str | None:
        return "the state store in memory was closed" if self._closed else None

    def _save_token(self, mailbox: MailboxKey, token: int) -> None:
        self._mailboxes.setdefault(mailbox, Tables()).token = token

    def _read_raw(self, held: bytes) -> bytes:
        return held
