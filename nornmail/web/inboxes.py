"""The inboxes resource: create, list, remove and sync; and the dead letters of the store."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from nornmail import (
    ConfigurationError,
    DeadLetter,
    DeadLetters,
    Inbox,
    InboxRecord,
    NornmailError,
    Poller,
    StateStore,
    StoreError,
    parse_message,
)
from nornmail.web.accounts import AccountResources, synced
from nornmail.web.http import HTTPError, Request, Response, invalid, page_of, unknown

LONGEST_NAME = 200
"""Characters of an inbox's name, which is for people."""
LONGEST_LOCAL_PART = 64
"""Octets before the @ (RFC 5321, 4.5.3.1.1)."""

_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class InboxResources:
    """The inboxes of the accounts, kept in their store."""

    def __init__(self, accounts: AccountResources, domain: str | None) -> None:
        self._accounts = accounts
        self._domain = domain
        self._lock = threading.Lock()
        self._syncs: dict[str, Future[Response]] = {}

    def restore(self, poller: Poller) -> None:
        """Add the inboxes that the store has to a poller."""
        self._domain_of(poller)
        known = {inbox.key for inbox in poller.inboxes}
        for record in poller.store.inboxes(poller.mailbox):
            inbox = Inbox(record.address)
            if inbox.key not in known:
                poller.add_inbox(inbox, backfill=record.backfill)

    def create(self, request: Request) -> Response:
        """``POST /v1/inboxes``: 201 and the inbox, 409 if the address is taken."""
        name = request.text("name", LONGEST_NAME)
        if not name.isprintable():  # it is the sender's name of what the inbox sends
            raise invalid("name must be one line without control characters")
        local = request.text("email_username", LONGEST_LOCAL_PART)
        if not _LOCAL_PART.fullmatch(local):
            must = "must be the part of an address before the @, such as support"
            raise invalid(f"email_username {must}")
        backfill = request.data.get("backfill", False)
        if not isinstance(backfill, bool):
            raise invalid("backfill must be true or false")
        poller = self._chosen(request)
        record = InboxRecord(
            id=uuid.uuid4().hex,
            name=name,
            address=f"{local}@{self._domain_of(poller)}",
            created_at=time.time(),
            backfill=backfill,
        )
        with self._lock:
            try:
                poller.add_inbox(Inbox(record.address), backfill=backfill)
            except ConfigurationError as error:
                detail = f"an inbox {record.address} already exists"
                raise HTTPError(HTTPStatus.CONFLICT, detail) from error
            try:
                poller.store.save_inbox(poller.mailbox, record)
            except BaseException:
                poller.remove_inbox(record.address)
                raise
        location = (("Location", f"/v1/inboxes/{record.id}"),)
        return Response(HTTPStatus.CREATED, self._body(poller, record), location)

    def list(self, request: Request) -> Response:
        """``GET /v1/inboxes``: a page of inboxes, in the order of creation."""
        page = page_of((self._body(*pair) for pair in self._records()), request)
        return Response(HTTPStatus.OK, page)

    def get(self, request: Request) -> Response:
        """``GET /v1/inboxes/{id}``: 200 or 404."""
        return Response(HTTPStatus.OK, self._body(*self.find(request.path_params[0])))

    def delete(self, request: Request) -> Response:
        """``DELETE /v1/inboxes/{id}``: 204 or 404. Its waiting messages become dead."""
        with self._lock:
            poller, record = self.find(request.path_params[0])
            poller.store.forget_inbox(poller.mailbox, record.id)
            poller.remove_inbox(record.address)
        return Response(HTTPStatus.NO_CONTENT)

    def sync(self, request: Request) -> Response:
        """``POST /v1/inboxes/{id}/sync``: poll now, and count its new messages."""
        poller, record = self.find(request.path_params[0])
        try:
            return self._shared(record.id, lambda: synced(lambda: poller.sync(record.address)))
        except ConfigurationError as error:  # it was removed meanwhile
            raise unknown("inbox", request.path_params[0]) from error

    def find(self, inbox_id: Any) -> tuple[Poller, InboxRecord]:
        """The inbox with an id, and the poller that delivers to it."""
        for poller, record in self._records():
            if record.id == inbox_id:
                return poller, record
        raise unknown("inbox", inbox_id)

    def _records(self) -> Iterator[tuple[Poller, InboxRecord]]:
        for poller in self._accounts.pollers():
            for record in poller.store.inboxes(poller.mailbox):
                yield poller, record

    def _chosen(self, request: Request) -> Poller:
        """The poller of the account that a request names; of several one must be named."""
        account = request.data.get("account")
        if account is None and not self._accounts.several:
            return self._accounts.pollers()[0]
        try:
            return self._accounts.poller(account, request.data.get("mailbox"))
        except HTTPError as error:
            detail = "account must be the id of an account: GET /v1/accounts lists them"
            raise invalid(detail) from error

    def _domain_of(self, poller: Poller) -> str:
        _, at, domain = (poller.settings.username or "").rpartition("@")
        if not self._domain and not (at and domain):
            allowed = (
                "set it to the domain of the inboxes: IMAP_USERNAME is not an address with one"
            )
            raise ConfigurationError("EMAIL_DOMAIN", None, allowed)
        return self._domain or domain

    def _shared(self, key: str, work: Callable[[], Response]) -> Response:
        """Do the work, or wait for the result of another request that is doing it."""
        with self._lock:
            pending = self._syncs.get(key)
            future: Future[Response] = Future()
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

    def _body(self, poller: Poller, record: InboxRecord) -> dict[str, Any]:
        """An inbox as a response has it."""
        body = {"id": record.id, "name": record.name, "email_address": record.address}
        return body | ({"account": poller.mailbox.account} if self._accounts.several else {})


class DeadLetterResources:
    """The dead letters of a store."""

    def __init__(self, store: StateStore) -> None:
        self._letters = DeadLetters(store)

    def list(self, request: Request) -> Response:
        """``GET /v1/dead``: a page of dead letters, by account, mailbox and age."""
        return Response(
            HTTPStatus.OK, page_of(map(_dead_letter_body, self._letters.list()), request)
        )

    def get(self, request: Request) -> Response:
        """``GET /v1/dead/{id}``: the letter, and its message where its bytes are kept; 404."""
        letter = self._letter(request.path_params[0])
        message = None
        if letter.is_kept:
            message = parse_message(self._letters.raw(letter)).to_dict()
        return Response(HTTPStatus.OK, {"letter": _dead_letter_body(letter), "message": message})

    def retry(self, request: Request) -> Response:
        """``POST /v1/dead/{id}/retry``: 202; 404; 409 if it is not dead any more."""
        letter = self._letter(request.path_params[0])
        try:
            self._letters.retry(letter)
        except StoreError:
            raise
        except NornmailError as error:
            raise HTTPError(HTTPStatus.CONFLICT, str(error)) from error
        return Response(HTTPStatus.ACCEPTED, {"id": letter.id, "status": "requested"})

    def _letter(self, letter_id: str) -> DeadLetter:
        for letter in self._letters.list():
            if letter.id == letter_id:
                return letter
        raise unknown("dead letter", letter_id)


def _dead_letter_body(letter: DeadLetter) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(letter)
    ref: dict[str, Any] = fields.pop("ref")
    for name in ("died_at", "received_at"):
        fields[name] = fields[name] and fields[name].isoformat()
    return fields | ref
