"""HTTP requests and responses as values, between a WSGI server and the resources.

A request is checked before a resource sees it: its body is read within a bound, and anything but a
JSON object is refused. A resource refuses a request by raising :class:`HTTPError`, which has its
response.
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
"""The highest number in a query: no list is longer."""

_NEWER_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Names of RFC 9110, which programs compare; Python before 3.13 has older ones."""


def reason_phrase(status: HTTPStatus) -> str:
    """The reason phrase of a status, the same on every Python (RFC 9110, 15)."""
    return _NEWER_PHRASES.get(status.value, status.phrase)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response.

    Attributes:
        status: of HTTP.
        body: a value for JSON; ``None`` for no body.
        headers: in addition to Content-Type and Content-Length.
    """

    status: HTTPStatus
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def octets(self) -> bytes:
        """The body, encoded."""
        if self.body is None:
            return b""
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class HTTPError(Exception):
    """A refused request, with its response.

    Args:
        status: of HTTP.
        detail: the mistake and what to do, on one line.
        headers: of the response.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        body = {"error": reason_phrase(status).lower(), "detail": detail}
        self.response = Response(status, body, headers)


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        method: in capitals.
        path: decoded, from the first slash on.
        query: the query's names and values.
        headers: by their names in lower case.
        data: the body, a JSON object; empty where there is no body.
        path_params: the parameters in the path.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    path_params: tuple[str, ...] = ()

    def number(self, name: str, default: int, least: int, most: int = HIGHEST_NUMBER) -> int:
        """A number of the query.

        Raises:
            HTTPError: it is not a number, or out of bounds.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
            value = int(text)
            if least <= value <= most:
                return value
        raise HTTPError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be a whole number, {least} to {most}"
        )

    def text(self, name: str, most: int, *, default: str | None = None) -> str:
        """A text of the body, without blanks around it; ``default`` where it is missing.

        Raises:
            HTTPError: it is missing without a default, empty, too long, or not text.
        """
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            mistake = "is missing" if value is None else "must be text that is not empty"
            raise HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} {mistake}")
        if len(value) > most:
            raise HTTPError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must have at most {most} characters"
            )
        return value.strip()


def read_request(
    environ: Mapping[str, Any], max_body: int, path_params: tuple[str, ...] = ()
) -> Request:
    """The request of a WSGI environment.

    Args:
        environ: as in PEP 3333.
        max_body: octets that the body may have.
        path_params: the parameters in the path.

    Raises:
        HTTPError: the body is too large, or not a JSON object.
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
        path_params=path_params,
    )


def _read_data(environ: Mapping[str, Any], max_body: int) -> Mapping[str, Any]:
    octets = _read_body(environ, max_body)
    if not octets:
        return {}
    kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send JSON, with Content-Type: {JSON}")
    try:
        value = json.loads(octets)
    except (ValueError, RecursionError) as error:
        mistake = "too deeply nested" if isinstance(error, RecursionError) else error
        raise HTTPError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {mistake}") from error
    if not isinstance(value, dict):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return value


def _read_body(environ: Mapping[str, Any], max_body: int) -> bytes:
    """The body's octets: as many as Content-Length says, or up to the end of the stream."""
    length = str(environ.get("CONTENT_LENGTH") or "").strip()
    if not length:
        if not environ.get("wsgi.input_terminated"):
            return b""  # the stream may have no end
        body = bytes(environ["wsgi.input"].read(max_body + 1))
        if len(body) > max_body:
            raise _too_large(max_body)
        return body
    if not (length.isascii() and length.isdigit()):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "Content-Length must be a number")
    if len(length) > len(str(max_body)) or int(length) > max_body:
        raise _too_large(max_body)
    body = bytes(environ["wsgi.input"].read(int(length)))
    if len(body) < int(length):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "the body ended before its Content-Length")
    return body


def _too_large(max_body: int) -> HTTPError:
    detail = f"the body may have at most {max_body:,} octets"
    return HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def page_of(items: Iterable[Any], *, limit: int, offset: int) -> dict[str, Any]:
    """A page of a list, and the length of the whole list."""
    everything = list(items)
    return {"items": everything[offset : offset + limit], "count": len(everything)}
