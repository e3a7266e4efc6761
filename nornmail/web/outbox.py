"""The messages resource: outgoing mail, checked and queued in the outbox."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from nornmail import (
    Address,
    Mailer,
    NornmailError,
    Outbox,
    OutboxMessage,
    OutgoingAttachment,
    Poller,
    StateStore,
    StoreError,
)
from nornmail.web.http import HTTPError, Request, Response, invalid, page_of, unknown
from nornmail.web.inboxes import InboxResources

log = logging.getLogger("nornmail.web")

LONGEST_SUBJECT = 2_000
"""Characters; longer text is a mistake."""
LONGEST_ID = 998
"""Characters of a Message-ID: a line of a header has no more (RFC 5322, 2.1.1)."""
MOST_RECIPIENTS = 100
"""Of one message: every server accepts as many in one transaction (RFC 5321, 4.5.3.1.8)."""
LONGEST_REASON = 500
"""Characters of a name, or of a reason, in a decision."""
SOMEBODY = "the control interface"
"""The name under which a request without ``who`` decides."""
_BLANKS = re.compile(r"\s")
KEYS = "api/"
"""Prefix of a caller's own key, which keeps it apart from the keys of replies."""


class MessageResources:
    """The messages resource.

    Args:
        store: of the outboxes.
        inboxes: their addresses are the senders, their mailboxes have what is answered.
        mailer_of: the mailer of an account, by its name, with a store, so that an accepted message
            is durable; ``None`` where nothing can be sent.
    """

    def __init__(
        self, store: StateStore, inboxes: InboxResources, mailer_of: Callable[[str], Mailer | None]
    ) -> None:
        self._inboxes = inboxes
        self._mailer_of = mailer_of
        self._outbox = Outbox(store)

    def create(self, request: Request) -> Response:
        """``POST /v1/messages``: 202 and the Message-ID; the outbox sends it."""
        poller, inbox = self._inboxes.find(request.text("inbox_id", LONGEST_ID))
        mailer = self._mailer_of(poller.mailbox.account)
        if mailer is None:
            detail = "sending is not configured: set SMTP_HOST"
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        recipients = {name: _addresses(request.data, name) for name in ("to", "cc", "bcc")}
        if not 0 < sum(map(len, recipients.values())) <= MOST_RECIPIENTS:
            raise invalid(f"to, cc and bcc must name 1 to {MOST_RECIPIENTS} addresses")
        subject = request.text("subject", LONGEST_SUBJECT, default="")
        text, html = _texts(request.data)
        attachments = _attachments(request.data)
        parent_id = request.text("reply_to_message_id", LONGEST_ID, default="")
        parent, references = _thread(poller, parent_id)
        key = request.headers.get("idempotency-key")
        if key is not None and not key.strip():  # each request of a client that leaves it empty
            raise invalid("Idempotency-Key is empty: leave it out, or make one for each message")
        try:
            result = mailer.send(
                recipients["to"],
                subject,
                text,
                html,
                cc=recipients["cc"],
                bcc=recipients["bcc"],
                from_=Address(inbox.name, inbox.address),
                in_reply_to=parent,
                references=references,
                attachments=attachments,
                key=None if key is None else KEYS + key,
            )
        except ValueError as error:  # an address, a header or a key is invalid
            raise invalid(str(error)) from error
        except NornmailError as error:
            raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        body = {"message_id": result.message_id, "id": result.key, "status": str(result.state)}
        return Response(HTTPStatus.ACCEPTED, body)

    def list(self, request: Request) -> Response:
        """``GET /v1/outbox``: a page of outgoing messages that were not sent yet, or all.

        ``state`` names one state, or ``all``.
        """
        state = request.query.get("state", "")
        states = tuple(self._outbox.counts())
        if state not in ("", "all", *states):
            raise invalid(f"state must be one of {', '.join(states)}, or all")
        chosen = [name for name in states if name == state or state == "all"]
        messages = self._outbox.list(chosen) if chosen else self._outbox.list()
        return Response(HTTPStatus.OK, page_of(map(_message_body, messages), request))

    def get(self, request: Request) -> Response:
        """``GET /v1/messages/{id}``: what became of an outgoing message, or 404."""
        return Response(HTTPStatus.OK, _message_body(self._message(request)))

    def approve(self, request: Request) -> Response:
        """``POST /v1/messages/{id}/approve``: 200 and the message; 404; 409 if it is not held."""
        return self._decide(request, self._outbox.approve)

    def reject(self, request: Request) -> Response:
        """``POST /v1/messages/{id}/reject``: 200 and the message; 404; 409 if it is not held."""
        return self._decide(request, self._outbox.reject)

    def _decide(
        self, request: Request, decide: Callable[[OutboxMessage, str, str], bool]
    ) -> Response:
        message = self._message(request)
        who = request.text("who", LONGEST_REASON, default=SOMEBODY)
        why = request.text("why", LONGEST_REASON, default="")
        try:
            decide(message, who, why)
        except StoreError:
            raise
        except NornmailError as error:
            raise HTTPError(HTTPStatus.CONFLICT, str(error)) from error
        return self.get(request)

    def _message(self, request: Request) -> OutboxMessage:
        message = self._outbox.get(request.path_params[0])
        if message is None:
            raise unknown("message", request.path_params[0])
        return message


def _thread(poller: Poller, parent: str) -> tuple[str, tuple[str, ...]]:
    """In-Reply-To and References of a reply to the message with this Message-ID.

    The chain continues that of the parent (RFC 5322, 3.6.4). If the parent is not in the
    mailbox, or the server cannot be reached, its Message-ID alone is used: the reply is sent
    all the same, and a client still shows it below the parent.
    """
    if not parent:
        return "", ()
    if not parent.startswith("<"):
        parent = f"<{parent}>"
    try:
        message = poller.find_by_message_id(parent)
    except NornmailError as error:
        log.warning("cannot look up the thread of %s: %s", parent, error)
        message = None
    return parent, (*(message.references if message is not None else ()), parent)


def _message_body(message: OutboxMessage) -> dict[str, Any]:
    fields = asdict(message)
    fields["id"], fields["status"] = fields.pop("key"), fields.pop("state")
    for name in ("queued_at", "due_at", "changed_at"):
        fields[name] = fields[name] and fields[name].isoformat()
    return fields


def _addresses(data: Mapping[str, Any], name: str) -> list[str]:
    """One address or several; the mailer checks each."""
    value = data.get(name)
    if value is None:
        return []
    addresses = [value] if isinstance(value, str) else value
    if not isinstance(addresses, list) or not all(isinstance(text, str) for text in addresses):
        raise invalid(f"{name} must be an address or a list of addresses")
    return addresses


def _texts(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The plain text and the HTML; one of them is required."""
    text, html = data.get("body"), data.get("html")
    for name, value in (("body", text), ("html", html)):
        if value is not None and not isinstance(value, str):
            raise invalid(f"{name} must be text")
    if text is None and html is None:
        raise invalid("body is missing")
    return text, html


def _attachments(data: Mapping[str, Any]) -> list[OutgoingAttachment]:
    """The attachments: never a path, since a client must not read files of this machine."""
    value = data.get("attachments")
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid("attachments must be a list")
    return [_attachment(number, entry) for number, entry in enumerate(value)]


def _attachment(number: int, value: Any) -> OutgoingAttachment:
    name = f"attachments[{number}]"
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object with filename and content")
    # Taken out, so that a large file is not in memory in two forms.
    filename, content = value.get("filename"), value.pop("content", None)
    kind = value.get("content_type", "")
    if not isinstance(filename, str) or not filename.strip() or not isinstance(kind, str):
        raise invalid(f"{name} must have a filename, and may have a content_type")
    if isinstance(content, bytes):  # a large one was decoded as it was read
        return OutgoingAttachment(filename, content, kind)
    if not isinstance(content, str):
        raise invalid(f"{name}.content must be the file in base64")
    try:
        content = "".join(content.split()) if _BLANKS.search(content) else content
        octets = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{name}.content is not base64: {error}") from error
    return OutgoingAttachment(filename, octets, kind)
