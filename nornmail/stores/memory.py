"""A store that forgets: for tests, and for trying things out."""

from __future__ import annotations

from nornmail.model import MailboxKey
from nornmail.stores.in_memory import TabledStore
from nornmail.stores.in_memory_tables import Effects, Tables
from nornmail.stores.tabled_letters import Plan


class MemoryStateStore(TabledStore[bytes]):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol, but for durability.

    All is lost with the object: after a restart the mailbox looks as if it were polled for the
    first time. Its size is that of the history, of every message ever looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def forget_letters(self, outbox: str, before: float) -> None:
        """Let go of the letters that are through and were last changed before this instant.

        They can be told from new ones no longer, nor be counted. A store that lasts has no such
        method: the size of its history is that of its disk.

        Args:
            outbox: whose.
            before: seconds since 1970 UTC.
        """
        with self._locked():
            self._outbox(outbox).forget(before)

    def _write(self, mailbox: MailboxKey, plan: Plan[bytes]) -> Effects[bytes]:
        tables = self._tables(mailbox)
        effects = plan(tables, bytes)
        self._settled = False
        self._mailboxes.setdefault(mailbox, tables).install(effects)
        self._settled = True
        return effects

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
