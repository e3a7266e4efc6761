"""Mail that is to go out: checked, and put into the outbox."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from nornmail import Address, Mailer, NornmailError, OutgoingAttachment, Poller
from nornmail.web.http import Answer, Problem, Request
from nornmail.web.inboxes import Inboxes

log = logging.getLogger("nornmail.web")

LONGEST_SUBJECT = 2_000
"""Characters; what is longer is no subject."""
LONGEST_ID = 998
"""Characters of a Message-ID: a line of a header has no more (RFC 5322, 2.1.1)."""
MOST_RECIPIENTS = 100
"""Of one message: what every server takes in one go (RFC 5321, 4.5.3.1.8)."""
KEYS = "api/"
"""Before a caller's own key, so that it meets none of the keys that answers have."""


class Messages:
    """Sending.

    Args:
        poller: in whose mailbox lies what is answered.
        inboxes: whose addresses are written from.
        mailer: with a store, so that what was accepted is durable; ``None`` sends nothing.
    """

    def __init__(self, poller: Poller, inboxes: Inboxes, mailer: Mailer | None) -> None:
        self._poller = poller
        self._inboxes = inboxes
        self._mailer = mailer

    def create(self, request: Request) -> Answer:
        """``POST /v1/messages``: 202 and the Message-ID; the outbox does the rest."""
        if self._mailer is None:
            said = "no way out for mail is set up: set SMTP_HOST"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, said)
        inbox = self._inboxes.record(request.text("inbox_id", LONGEST_ID))
        recipients = {name: _addresses(request.data, name) for name in ("to", "cc", "bcc")}
        if not 0 < sum(map(len, recipients.values())) <= MOST_RECIPIENTS:
            raise _wrong(f"to, cc and bcc must name 1 to {MOST_RECIPIENTS} addresses")
        subject = request.text("subject", LONGEST_SUBJECT, default="")
        text, html = _texts(request.data)
        attachments = _attachments(request.data)
        answered = request.text("reply_to_message_id", LONGEST_ID, default="")
        parent, references = self._thread(answered)
        key = request.headers.get("idempotency-key")
        try:
            result = self._mailer.send(
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
        except ValueError as error:  # an address, a header or a key that cannot be
            raise _wrong(str(error)) from error
        except NornmailError as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        body = {"message_id": result.message_id, "id": result.key, "status": str(result.state)}
        return Answer(HTTPStatus.ACCEPTED, body)

    def _thread(self, parent: str) -> tuple[str, tuple[str, ...]]:
        """In-Reply-To and References of an answer to the message with this Message-ID.

        The chain is that of the message it answers (RFC 5322, 3.6.4). Where that is not in the
        mailbox, or the server is away, its own Message-ID is all that is known of it; mail goes
        out all the same, and a client still shows it beneath.
        """
        if not parent:
            return "", ()
        if not parent.startswith("<"):
            parent = f"<{parent}>"
        try:
            found = self._poller.find_by_message_id(parent)
        except NornmailError as error:
            log.warning("the thread of %s could not be looked up: %s", parent, error)
            found = None
        return parent, (*(found.references if found is not None else ()), parent)


def _wrong(said: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _addresses(data: Mapping[str, Any], name: str) -> list[str]:
    """One address or several; whether each is one the mailer says."""
    value = data.get(name)
    if value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _wrong(f"{name} must be an address or a list of addresses")
    return found


def _texts(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The plain text and the HTML, of which one must be there."""
    text, html = data.get("body"), data.get("html")
    for name, value in (("body", text), ("html", html)):
        if value is not None and not isinstance(value, str):
            raise _wrong(f"{name} must be text")
    if text is None and html is None:
        raise _wrong("body is missing")
    return text, html


def _attachments(data: Mapping[str, Any]) -> list[OutgoingAttachment]:
    """What is to be sent along: never a path, since this reads no file for anybody."""
    value = data.get("attachments")
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong("attachments must be a list")
    return [_attachment(number, one) for number, one in enumerate(value)]


def _attachment(number: int, value: Any) -> OutgoingAttachment:
    name = f"attachments[{number}]"
    if not isinstance(value, dict):
        raise _wrong(f"{name} must be an object with filename and content")
    filename, content = value.get("filename"), value.get("content")
    kind = value.get("content_type", "")
    if not isinstance(filename, str) or not filename.strip() or not isinstance(kind, str):
        raise _wrong(f"{name} must have a filename, and may have a content_type")
    if not isinstance(content, str):
        raise _wrong(f"{name}.content must be the file in base64")
    try:
        octets = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong(f"{name}.content is no base64: {error}") from error
    return OutgoingAttachment(filename, octets, kind)
