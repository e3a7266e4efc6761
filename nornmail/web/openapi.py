"""The OpenAPI description of the control interface, from one table of its operations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nornmail import __version__

_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
    "number": {"type": "integer"},
    "flag": {"type": "boolean"},
    "object": {"type": "object"},
    "addresses": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "attachments": {"type": "array", "items": {"$ref": "#/components/schemas/Attachment"}},
    "recipients": {"type": "array", "items": {"$ref": "#/components/schemas/Recipient"}},
}
SCHEMAS: Final[Mapping[str, Mapping[str, str]]] = {
    "Error": {"error": "text", "detail": "text"},
    "Health": {
        "status": "text", "state": "text", "since": "time", "reason": "text",
        "last_poll_at": "time?", "waiting": "number", "dead": "number",
    },
    "Account": {
        "id": "text", "mailbox": "text", "state": "text", "since": "time", "reason": "text",
        "last_poll_at": "time?", "handled": "number", "waiting": "number", "dead": "number",
        "stalled": "flag",
    },
    "NewInbox": {
        "name": "text!", "email_username": "text!", "backfill": "flag", "account": "text",
        "mailbox": "text",
    },
    "Inbox": {"id": "text", "name": "text", "email_address": "text", "account": "text~"},
    "Synced": {"status": "text", "new_messages": "number"},
    "Attachment": {"filename": "text!", "content": "text!", "content_type": "text"},
    "NewMessage": {
        "inbox_id": "text!", "to": "addresses", "cc": "addresses", "bcc": "addresses",
        "subject": "text", "body": "text", "html": "text", "reply_to_message_id": "text",
        "attachments": "attachments",
    },
    "Queued": {"message_id": "text", "id": "text", "status": "text"},
    "Recipient": {"address": "text", "status": "text", "code": "number", "text": "text"},
    "OutgoingMessage": {
        "id": "text", "account": "text", "status": "text", "message_id": "text", "sender": "text",
        "recipients": "recipients", "subject": "text", "is_answer": "flag", "attempts": "number",
        "queued_at": "time", "due_at": "time?", "changed_at": "time", "reason": "text",
        "size": "number", "copied": "flag", "dropped": "flag", "approval": "text",
        "decision": "text", "request": "text",
    },
    "Decision": {"who": "text", "why": "text"},
    "DeadLetter": {
        "id": "text", "account": "text", "mailbox": "text", "uid_validity": "number",
        "uid": "number", "inbox": "text", "attempts": "number", "reason": "text",
        "died_at": "time", "message_id": "text", "size": "number", "received_at": "time?",
        "truncated": "flag", "is_kept": "flag", "is_asked_for": "flag",
    },
    "DeadMessage": {"letter": "object", "message": "object?"},
    "Requested": {"id": "text", "status": "text"},
}  # fmt: skip
"""The objects of requests and responses: their fields and types. ``?`` may be null, ``!`` is
required, ``~`` is there where several accounts are served."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the interface.

    Attributes:
        summary: what it does.
        responses: the schema of the body of each status; ``""`` for none, ``text`` for plain text.
            Those of all operations (400, 401, 403, 405, 413, 415, 503) are left out.
        body: the schema of the request's body; other fields are refused.
        query, headers: further parameters of the request.
        is_list: it takes ``limit`` and ``offset``, and its body is a page of the schema.
    """

    summary: str
    responses: Mapping[int, str] = field(default_factory=dict)
    body: str = ""
    is_list: bool = False
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/healthz"): Operation("Whether all is well", {200: "Health", 503: "Health"}),
    ("GET", "/metrics"): Operation("Metrics for Prometheus", {200: "text"}),
    ("GET", "/v1/openapi.json"): Operation("This description", {200: "object"}),
    ("GET", "/v1/accounts"): Operation("List the accounts", {200: "Account"}, is_list=True),
    ("GET", "/v1/accounts/{id}"): Operation(
        "Show an account", {200: "Account", 404: "Error"}, query=("mailbox",)
    ),
    ("POST", "/v1/accounts/{id}/sync"): Operation(
        "Poll an account now", {200: "Synced", 404: "Error", 502: "Error"}, query=("mailbox",)
    ),
    ("GET", "/v1/inboxes"): Operation("List the inboxes", {200: "Inbox"}, is_list=True),
    ("POST", "/v1/inboxes"): Operation(
        "Create an inbox", {201: "Inbox", 409: "Error", 422: "Error"}, "NewInbox"
    ),
    ("GET", "/v1/inboxes/{id}"): Operation("Show an inbox", {200: "Inbox", 404: "Error"}),
    ("DELETE", "/v1/inboxes/{id}"): Operation("Remove an inbox", {204: "", 404: "Error"}),
    ("POST", "/v1/inboxes/{id}/sync"): Operation(
        "Poll now", {200: "Synced", 404: "Error", 502: "Error"}
    ),
    ("GET", "/v1/outbox"): Operation(
        "List outgoing messages",
        {200: "OutgoingMessage", 422: "Error"},
        is_list=True,
        query=("state",),
    ),
    ("POST", "/v1/messages"): Operation(
        "Send a message",
        {202: "Queued", 404: "Error", 422: "Error"},
        "NewMessage",
        headers=("Idempotency-Key",),
    ),
    ("GET", "/v1/messages/{id}"): Operation(
        "Show an outgoing message", {200: "OutgoingMessage", 404: "Error"}
    ),
    ("POST", "/v1/messages/{id}/approve"): Operation(
        "Let a held message go out",
        {200: "OutgoingMessage", 404: "Error", 409: "Error", 422: "Error"},
        "Decision",
    ),
    ("POST", "/v1/messages/{id}/reject"): Operation(
        "Do not let a held message go out",
        {200: "OutgoingMessage", 404: "Error", 409: "Error", 422: "Error"},
        "Decision",
    ),
    ("GET", "/v1/dead"): Operation(
        "List the dead letters", {200: "DeadLetter", 422: "Error"}, is_list=True
    ),
    ("GET", "/v1/dead/{id}"): Operation(
        "Show a dead letter and its message", {200: "DeadMessage", 404: "Error"}
    ),
    ("POST", "/v1/dead/{id}/retry"): Operation(
        "Try a dead letter again", {202: "Requested", 404: "Error", 409: "Error"}
    ),
}
"""Every operation by method and path; :mod:`nornmail.web.application` has the functions."""
_PARAMETER = re.compile(r"\{(\w+)\}")
_PAGE = tuple(
    {"name": name, "in": "query", "schema": {"type": "integer", "minimum": least}}
    for name, least in (("limit", 1), ("offset", 0))
)


def document() -> dict[str, Any]:
    """The description of the interface (OpenAPI 3.1)."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "nornmail", "version": __version__},
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: _schema(fields) for name, fields in SCHEMAS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]
    for place, names in (("query", operation.query), ("header", operation.headers)):
        parameters += ({"name": n, "in": place, "schema": {"type": "string"}} for n in names)
    responses = {
        str(status): {"description": operation.summary if status < 300 else "refused"}
        | _content(schema, is_list=operation.is_list and status == 200)
        for status, schema in operation.responses.items()
    }
    described: dict[str, Any] = {
        "summary": operation.summary,
        "parameters": [*parameters, *(_PAGE if operation.is_list else ())],
        "responses": {
            **responses, "default": {"description": "refused", **_content("Error")}
        },
    }  # fmt: skip
    if operation.body:
        described["requestBody"] = _content(operation.body)
    return described


def _content(schema: str, *, is_list: bool = False) -> dict[str, Any]:
    if not schema:
        return {}
    if schema == "text":
        return {"content": {"text/plain": {"schema": _TYPES["text"]}}}
    described = dict(_TYPES[schema]) if schema in _TYPES else _reference(schema)
    if is_list:
        items = {"type": "array", "items": described}
        properties = {"items": items, "count": dict(_TYPES["number"])}
        described = {"type": "object", "properties": properties, "required": ["items", "count"]}
    return {"content": {"application/json": {"schema": described}}}


def _reference(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _schema(fields: Mapping[str, str]) -> dict[str, Any]:
    properties = {}
    for name, kind in fields.items():
        described = dict(_TYPES[kind.rstrip("?!~")])
        if kind.endswith("?"):
            described["type"] = [described["type"], "null"]
        properties[name] = described
    required = [name for name, kind in fields.items() if kind.endswith("!")]
    return {"type": "object", "properties": properties} | (
        {"required": required} if required else {}
    )
