"""Inboxes: made, listed, removed, and looked into now."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

from nornmail import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    Inbox,
    InboxRecord,
    NornmailError,
    Poller,
    Throttled,
)
from nornmail.web.http import Answer, Problem, Request, listed

PAGE = 50
"""Inboxes in a list, unless ``limit`` says otherwise."""
LONGEST_PAGE = 1_000
"""The most that ``limit`` may be."""
LONGEST_NAME = 200
"""Characters of an inbox's name, which people read."""
LONGEST_LOCAL_PART = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class Inboxes:
    """The inboxes of a poller, which lie in its store.

    Those that the store knows are added to the poller when this is made.

    Args:
        poller: may have inboxes of its own besides.
        domain: of the addresses that are made.
    """

    def __init__(self, poller: Poller, domain: str) -> None:
        self._poller = poller
        self._domain = domain
        self._lock = threading.Lock()
        self._syncs: dict[str, Future[int]] = {}
        there = {inbox.key for inbox in poller.inboxes}
        for record in poller.store.inboxes(poller.mailbox):
            inbox = Inbox(record.address)
            if inbox.key not in there:
                poller.add_inbox(inbox, backfill=record.backfill)

    def create(self, request: Request) -> Answer:
        """``POST /v1/inboxes``: 201 and the inbox, 409 where the address is taken."""
        name = request.text("name", LONGEST_NAME)
        local = request.text("email_username", LONGEST_LOCAL_PART)
        if not _LOCAL_PART.fullmatch(local):
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "email_username must be what stands before the @ of an address, such as support",
            )
        backfill = request.data.get("backfill", False)
        if not isinstance(backfill, bool):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "backfill must be true or false")
        record = InboxRecord(
            id=uuid.uuid4().hex,
            name=name,
            address=f"{local}@{self._domain}",
            created_at=time.time(),
            backfill=backfill,
        )
        with self._lock:
            try:
                self._poller.add_inbox(Inbox(record.address), backfill=backfill)
            except ConfigurationError as error:
                said = f"there is an inbox {record.address} already"
                raise Problem(HTTPStatus.CONFLICT, said) from error
            try:
                self._poller.store.save_inbox(self._poller.mailbox, record)
            except BaseException:
                self._poller.remove_inbox(record.address)
                raise
        location = (("Location", f"/v1/inboxes/{record.id}"),)
        return Answer(HTTPStatus.CREATED, shown(record), location)

    def list(self, request: Request) -> Answer:
        """``GET /v1/inboxes``: a page of them, in the order in which they were made."""
        limit = request.number("limit", PAGE, 1, LONGEST_PAGE)
        offset = request.number("offset", 0, 0)
        page = listed(map(shown, self._records()), limit=limit, offset=offset)
        return Answer(HTTPStatus.OK, page)

    def get(self, request: Request) -> Answer:
        """``GET /v1/inboxes/{id}``: 200 or 404."""
        return Answer(HTTPStatus.OK, shown(self.record(request.parts[0])))

    def delete(self, request: Request) -> Answer:
        """``DELETE /v1/inboxes/{id}``: 204 or 404. What it had yet to be handed is dead."""
        with self._lock:
            record = self.record(request.parts[0])
            self._poller.store.forget_inbox(self._poller.mailbox, record.id)
            self._poller.remove_inbox(record.address)
        return Answer(HTTPStatus.NO_CONTENT)

    def sync(self, request: Request) -> Answer:
        """``POST /v1/inboxes/{id}/sync``: look now, and say how many messages were new for it."""
        address = self.record(request.parts[0]).address
        try:
            new = self._shared(address, lambda: self._poller.sync(address))
        except (ConnectionLost, AuthenticationFailed, Throttled, CommandRefused) as error:
            raise Problem(HTTPStatus.BAD_GATEWAY, f"the mail server: {error}") from error
        except ConfigurationError as error:  # it was removed meanwhile
            raise _unknown(request.parts[0]) from error
        except NornmailError as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        return Answer(HTTPStatus.OK, {"status": "synced", "new_messages": new})

    def record(self, name: Any) -> InboxRecord:
        """The inbox of an id.

        Raises:
            Problem: there is none.
        """
        for record in self._records():
            if record.id == name:
                return record
        raise _unknown(name)

    def _records(self) -> Sequence[InboxRecord]:
        return self._poller.store.inboxes(self._poller.mailbox)

    def _shared(self, key: str, work: Callable[[], int]) -> int:
        """Do the work, or wait for what it comes to where somebody is at it."""
        with self._lock:
            running = self._syncs.get(key)
            mine: Future[int] = Future()
            if running is None:
                self._syncs[key] = mine
        if running is not None:
            return running.result()
        try:
            mine.set_result(work())
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._syncs[key]
        return mine.result()


def shown(record: InboxRecord) -> dict[str, Any]:
    """An inbox as the interface shows it."""
    return {"id": record.id, "name": record.name, "email_address": record.address}


def _unknown(name: Any) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, f"there is no inbox {str(name)[:LONGEST_NAME]!r}")
