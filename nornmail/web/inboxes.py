"""The inboxes resource: create, list, remove and sync."""

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
from nornmail.web.http import HTTPError, Request, Response, page_of, unknown

LONGEST_NAME = 200
"""Characters of an inbox's name, which is for people."""
LONGEST_LOCAL_PART = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class Inboxes:
    """The inboxes of a poller, kept in its store.

    Those that the store has are added to the poller at construction.

    Args:
        poller: may have inboxes of its own as well.
        domain: of new addresses.
    """

    def __init__(self, poller: Poller, domain: str) -> None:
        self._poller = poller
        self._domain = domain
        self._lock = threading.Lock()
        self._syncs: dict[str, Future[int]] = {}
        known = {inbox.key for inbox in poller.inboxes}
        for record in poller.store.inboxes(poller.mailbox):
            inbox = Inbox(record.address)
            if inbox.key not in known:
                poller.add_inbox(inbox, backfill=record.backfill)

    def create(self, request: Request) -> Response:
        """``POST /v1/inboxes``: 201 and the inbox, 409 if the address is taken."""
        name = request.text("name", LONGEST_NAME)
        local = request.text("email_username", LONGEST_LOCAL_PART)
        if not _LOCAL_PART.fullmatch(local):
            raise HTTPError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "email_username must be the part of an address before the @, such as support",
            )
        backfill = request.data.get("backfill", False)
        if not isinstance(backfill, bool):
            raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, "backfill must be true or false")
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
                detail = f"an inbox {record.address} already exists"
                raise HTTPError(HTTPStatus.CONFLICT, detail) from error
            try:
                self._poller.store.save_inbox(self._poller.mailbox, record)
            except BaseException:
                self._poller.remove_inbox(record.address)
                raise
        location = (("Location", f"/v1/inboxes/{record.id}"),)
        return Response(HTTPStatus.CREATED, inbox_body(record), location)

    def list(self, request: Request) -> Response:
        """``GET /v1/inboxes``: a page of inboxes, in the order of creation."""
        page = page_of(map(inbox_body, self._records()), request)
        return Response(HTTPStatus.OK, page)

    def get(self, request: Request) -> Response:
        """``GET /v1/inboxes/{id}``: 200 or 404."""
        return Response(HTTPStatus.OK, inbox_body(self.record(request.path_params[0])))

    def delete(self, request: Request) -> Response:
        """``DELETE /v1/inboxes/{id}``: 204 or 404. Its waiting messages become dead."""
        with self._lock:
            record = self.record(request.path_params[0])
            self._poller.store.forget_inbox(self._poller.mailbox, record.id)
            self._poller.remove_inbox(record.address)
        return Response(HTTPStatus.NO_CONTENT)

    def sync(self, request: Request) -> Response:
        """``POST /v1/inboxes/{id}/sync``: poll now, and count its new messages."""
        address = self.record(request.path_params[0]).address
        try:
            new = self._shared(address, lambda: self._poller.sync(address))
        except (ConnectionLost, AuthenticationFailed, Throttled, CommandRefused) as error:
            raise HTTPError(HTTPStatus.BAD_GATEWAY, f"the mail server failed: {error}") from error
        except ConfigurationError as error:  # it was removed meanwhile
            raise unknown("inbox", request.path_params[0]) from error
        except NornmailError as error:
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        return Response(HTTPStatus.OK, {"status": "synced", "new_messages": new})

    def record(self, inbox_id: Any) -> InboxRecord:
        """The inbox with an id.

        Raises:
            HTTPError: there is no such inbox.
        """
        for record in self._records():
            if record.id == inbox_id:
                return record
        raise unknown("inbox", inbox_id)

    def _records(self) -> Sequence[InboxRecord]:
        return self._poller.store.inboxes(self._poller.mailbox)

    def _shared(self, key: str, work: Callable[[], int]) -> int:
        """Do the work, or wait for the result of the request that is doing it."""
        with self._lock:
            pending = self._syncs.get(key)
            future: Future[int] = Future()
            if pending is None:
                self._syncs[key] = future
        if pending is not None:
            return pending.result()
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._syncs[key]
        return future.result()


def inbox_body(record: InboxRecord) -> dict[str, Any]:
    """An inbox as a response has it."""
    return {"id": record.id, "name": record.name, "email_address": record.address}
