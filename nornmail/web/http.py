"""Requests and answers as values: what a WSGI server hands in, and what it is to send.

A request is checked before a resource sees it: its body is read within a bound, and is a JSON
object or refused. What a resource refuses it raises as a :class:`Problem`, which is an answer too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

JSON = "application/json"
HIGHEST_NUMBER = 10**9
"""Of a query's numbers: no list is longer, and longer digits are somebody's joke."""

_NEWER_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""What RFC 9110 calls them; Python has older words before 3.13. A program compares them."""


def phrase(status: HTTPStatus) -> str:
    """A status in words, the same on every Python (RFC 9110, 15)."""
    return _NEWER_PHRASES.get(status.value, status.phrase)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back.

    Attributes:
        status: of HTTP.
        body: a value for JSON; ``None`` sends none.
        headers: beside Content-Type and Content-Length.
    """

    status: HTTPStatus
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def octets(self) -> bytes:
        """The body as it is sent."""
        if self.body is None:
            return b""
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class Problem(Exception):
    """A request that is refused, as the answer that says so.

    Args:
        status: of HTTP.
        detail: what is wrong and what to do, on one line.
        headers: of the answer.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        body = {"error": phrase(status).lower(), "detail": detail}
        self.answer = Answer(status, body, headers)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        method: in capitals.
        path: decoded, from the first slash on.
        query: the query's names and values.
        headers: by their names in lower case.
        data: the body, a JSON object; empty where there is none.
        parts: what the route's pattern found in the path.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    def number(self, name: str, default: int, least: int, most: int = HIGHEST_NUMBER) -> int:
        """A number of the query.

        Raises:
            Problem: it is none, or out of its bounds.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
            found = int(text)
            if least <= found <= most:
                return found
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be a whole number, {least} to {most}"
        )

    def text(self, name: str, most: int, *, default: str | None = None) -> str:
        """A text of the body, without blanks around it; ``default`` where it is not there.

        Raises:
            Problem: it is missing and has no default, empty, too long, or no text.
        """
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            said = "is missing" if value is None else "must be text that is not empty"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} {said}")
        if len(value) > most:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must have {most} characters at most"
            )
        return value.strip()


def read_request(environ: Mapping[str, Any], max_body: int, parts: tuple[str, ...] = ()) -> Request:
    """The request of a WSGI environment.

    Args:
        environ: as PEP 3333 has it.
        max_body: octets that the body may have.
        parts: of the path.

    Raises:
        Problem: it cannot be served: a body that is too large, no JSON, or not an object.
    """
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    method = str(environ["REQUEST_METHOD"]).upper()
    return Request(
        method=method,
        # PEP 3333: octets of the path, each as the character of its number.
        path=str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace") or "/",
        query=dict(parse_qsl(str(environ.get("QUERY_STRING", "")), max_num_fields=100)),
        headers=headers,
        data=_read_data(environ, max_body) if method in ("POST", "PUT", "PATCH") else {},
        parts=parts,
    )


def _read_data(environ: Mapping[str, Any], max_body: int) -> Mapping[str, Any]:
    octets = _read_body(environ, max_body)
    if not octets:
        return {}
    kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    if kind != JSON:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send JSON, with Content-Type: {JSON}")
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError) as error:
        said = "too deeply nested" if isinstance(error, RecursionError) else error
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {said}") from error
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return value


def _read_body(environ: Mapping[str, Any], max_body: int) -> bytes:
    """The body's octets: as many as Content-Length says, or up to its end where nothing says."""
    length = str(environ.get("CONTENT_LENGTH") or "").strip()
    if not length:
        if not environ.get("wsgi.input_terminated"):
            return b""  # the stream may have no end
        body = bytes(environ["wsgi.input"].read(max_body + 1))
        if len(body) > max_body:
            raise _too_large(max_body)
        return body
    if not (length.isascii() and length.isdigit()):
        raise Problem(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
    if len(length) > len(str(max_body)) or int(length) > max_body:
        raise _too_large(max_body)
    body = bytes(environ["wsgi.input"].read(int(length)))
    if len(body) < int(length):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body ended before its Content-Length")
    return body


def _too_large(max_body: int) -> Problem:
    said = f"the body may have {max_body:,} octets at most"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)


def listed(items: Iterable[Any], *, limit: int, offset: int) -> dict[str, Any]:
    """A page of a list, and how many there are in all."""
    everything = list(items)
    return {"items": everything[offset : offset + limit], "count": len(everything)}
