"""Deliberate breaches of the delivery contract: the one who judges must find each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from nornmail.files import Files
from nornmail.imap.connection import Connection
from nornmail.model import Change, Lease, PutEntry, State, delivery_id_of
from nornmail.poller import ledger
from nornmail.poller.actions import Actions
from nornmail.poller.delivery import Delivery
from nornmail.uidset import UidSet
from tests.kill.watched import change


class Breach:
    """None: what the others are derived from. It is begun in the process that is to misbehave."""

    def begin(self) -> None:
        """Change modules."""

    def store(self, store: Any) -> Any:
        """What the poller gets for its store."""
        return store


class _Passing:
    """A store that passes everything on."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class _LateClaims(_Passing):
    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._held: list[Change] = []

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """Keep a claim back until the next commit."""
        everything = [*self._held, *changes]
        self._held = [one for one in everything[-1:] if _state(one) is State.CLAIMED]
        self._store.commit(lease, everything[: len(everything) - len(self._held)])


class _LostSettlements(_Passing):
    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """Leave out that a message was handled, and that the mailbox was touched for it."""
        kept = [one for one in changes if _state(one) not in (State.HANDLED, State.FINISHED)]
        self._store.commit(lease, kept)


class LateClaims(Breach):
    """A claim is durable with the outcome, not before the call."""

    def store(self, store: Any) -> Any:
        return _LateClaims(store)


class LostSettlements(Breach):
    """That a message was handled is never written down."""

    def store(self, store: Any) -> Any:
        return _LostSettlements(store)


class ForgottenClaims(Breach):
    """What a process left claimed is claimed for ever."""

    def begin(self) -> None:
        change(Delivery, "recover", lambda self: None)


class FreshIds(Breach):
    """Every process makes delivery ids of its own."""

    def begin(self) -> None:
        change(ledger, "delivery_id_of", lambda *key: f"{delivery_id_of(*key)}-{os.getpid()}")


class PlainExpunge(Breach):
    """Whatever is marked as deleted is removed, whoever marked it."""

    def begin(self) -> None:
        def expunge(self: Connection, uids: UidSet) -> bool:
            self._run("EXPUNGE")
            return True

        change(Connection, "expunge", expunge)


class BlindCopies(Breach):
    """A move that was cut off is begun anew without a look at the destination."""

    def begin(self) -> None:
        change(Actions, "_copied_before", lambda *_: UidSet())


class RestlessFlags(Breach):
    """A message is marked as read again at every start."""

    def begin(self) -> None:
        apply = Actions.apply

        def again(self: Actions, connection: Connection) -> None:
            connection.add_flags(UidSet.of([2]), ["\\Seen"])
            apply(self, connection)

        change(Actions, "apply", again)


class RewrittenFiles(Breach):
    """A file is replaced by writing over it, and not in one step."""

    def begin(self) -> None:
        def replace(self: Files, source: str, target: str) -> None:
            with open(source, "rb") as new:
                data = new.read()
            fd = self.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                self.write(fd, data)
            finally:
                os.close(fd)
            self.unlink(source)

        change(Files, "replace", replace)


def _state(one: Change) -> State | None:
    return one.entry.state if isinstance(one, PutEntry) else None


BREACHES: dict[str, Callable[[], Breach]] = {
    "late claims": LateClaims,
    "lost settlements": LostSettlements,
    "forgotten claims": ForgottenClaims,
    "fresh ids": FreshIds,
    "plain expunge": PlainExpunge,
    "blind copies": BlindCopies,
    "restless flags": RestlessFlags,
    "rewritten files": RewrittenFiles,
}
