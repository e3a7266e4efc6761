"""HTTP requests and responses as values, between a WSGI server and the resources.

A request is checked before a resource sees it: its body is read within a bound, and anything but a
JSON object is refused. A resource refuses a request by raising :class:`HTTPError`, which has its
response.
"""

from __future__ import annotations

import binascii
import json
import re
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

JSON = "application/json"
PAGE = 50
"""Entries of a list, unless ``limit`` says otherwise."""
LONGEST_PAGE = 1_000
"""The most that ``limit`` may be."""
LONGEST_SHOWN = 200
"""Characters of a name in a refusal."""
CHUNK = 64 * 1024
"""Octets of a body that are read at once."""
LEAST_CONTENT = 1024
"""Characters of base64 from which a file is decoded before the JSON around it is read."""
MAX_JSON = 2 * 1024 * 1024
"""Octets of a body without such files: JSON takes several times as much memory."""
MOST_FILES = 500
"""Attachments of one message, as the mailer has it."""
MOST_VALUES = 20_000
"""Values of a body: an empty list is two octets of JSON, and sixty in memory."""
DECODED_AT_ONCE = 128 * 1024
"""Characters of base64 that are decoded at once."""
MOST_FIELDS = 100
"""Fields of a query; no resource knows more than five."""
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
        body: a value for JSON; ``None`` for no body.
        headers: in addition to Content-Type and Content-Length.
        content_type: of the body; if it is not JSON, the body is text.
    """

    status: HTTPStatus
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = JSON

    def octets(self) -> bytes:
        """The body, encoded."""
        if self.body is None:
            return b""
        if self.content_type != JSON:
            return str(self.body).encode("utf-8", "replace")
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


class HTTPError(Exception):
    """A refused request, with its response."""

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
        path: decoded, from the first slash on.
        query: the query's names and values.
        headers: by their names in lower case.
        data: the body, a JSON object; empty where there is no body.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    path_params: tuple[str, ...] = ()

    def number(self, name: str, default: int, least: int, most: int = HIGHEST_NUMBER) -> int:
        """A number of the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
            value = int(text)
            if least <= value <= most:
                return value
        raise invalid(f"{name} must be a whole number, {least} to {most}")

    def text(self, name: str, most: int, *, default: str | None = None) -> str:
        """A text of the body, without blanks around it; ``default`` where it is missing."""
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            mistake = "is missing" if value is None else "must be text that is not empty"
            raise invalid(f"{name} {mistake}")
        if len(value) > most:
            raise invalid(f"{name} must have at most {most} characters")
        return value.strip()

    def check_names(self, fields: Collection[str], query: Collection[str]) -> None:
        """Refuse unknown names: their values would be ignored silently."""
        for kind, names, known in (
            ("field", self.data, fields),
            ("parameter", self.query, query),
        ):
            if unknown_names := sorted(names.keys() - known):
                are = f"they are {', '.join(known)}" if known else "there are none"
                raise invalid(f"there is no {kind} {unknown_names[0][:50]!r}; {are}")


def read_request(
    environ: Mapping[str, Any], max_body: int, path_params: tuple[str, ...] = ()
) -> Request:
    """The request of a WSGI environment.

    Args:
        max_body: octets that the body may have.

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
        query=_read_query(str(environ.get("QUERY_STRING", ""))),
        headers=headers,
        data=_read_data(environ, max_body) if method in ("POST", "PUT", "PATCH") else {},
        path_params=path_params,
    )


def _read_query(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        detail = f"the query has more than {MOST_FIELDS} fields"
        raise HTTPError(HTTPStatus.BAD_REQUEST, detail) from error


def _read_data(environ: Mapping[str, Any], max_body: int) -> Mapping[str, Any]:
    octets = _read_body(environ, max_body)
    kind = str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()
    # Every other type is one that a form of any web page can send without asking.
    if kind != JSON and (octets or kind):
        raise HTTPError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send JSON, with Content-Type: {JSON}")
    if not octets:
        return {}
    try:
        files: dict[str, bytes] = {}
        if len(octets) > LEAST_CONTENT:
            octets = _without_files(octets, files)
            _check_values(octets)
        text = octets.decode(json.detect_encoding(octets), "surrogatepass")
        value = json.loads(text, object_hook=lambda item: _with_files(item, files))
    except (ValueError, RecursionError) as error:
        mistake = "too deeply nested" if isinstance(error, RecursionError) else error
        raise HTTPError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {mistake}") from error
    if not isinstance(value, dict):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return value


# Files in base64 are decoded piece by piece, before JSON is read: as text, and as the text of a
# JSON value, they would be in memory three times more.

_CONTENT = re.compile(
    rb'"content"[ \t\r\n]*+:[ \t\r\n]*+'
    rb'"((?>(?:[A-Za-z0-9+/=]++|\\(?:[/nrt]|u00(?:2[bBfF]|3[dD])))+))"'
)
_STRING = re.compile(rb'"(?>(?:[^"\\]++|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(?:([/nrt])|u00(..))")
_LONGEST_ESCAPE = 6


def _without_files(octets: bytearray, files: dict[str, bytes]) -> bytearray:
    """The body with a name instead of each large file in base64; ``files`` gets them by name."""
    spans: list[tuple[int, int, str]] = []
    left = len(octets)
    # No sender can know the name beforehand.
    secret = secrets.token_hex(16)
    for match in _CONTENT.finditer(octets):
        start, stop = match.span(1)
        is_file = stop - start >= LEAST_CONTENT
        content = _decoded(memoryview(octets)[start:stop]) if is_file else None
        if content is None:
            continue
        if len(files) == MOST_FILES:
            raise invalid(f"attachments: more than {MOST_FILES}")
        name = f"{secret}/{len(files)}"
        files[name] = content
        spans.append((start, stop, name))
        left -= stop - start
    if left > MAX_JSON:
        raise HTTPError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body may have at most {MAX_JSON:,} octets besides its attachments; one whose "
            "content is not base64 (RFC 4648, section 4, with its padding) counts",
        )
    rest, end = bytearray(), 0
    for start, stop, name in spans:
        rest += memoryview(octets)[end:start]
        rest += name.encode("ascii")
        end = stop
    rest += memoryview(octets)[end:]
    return rest


def _check_values(octets: bytearray) -> None:
    """Refuse JSON of very many values, which would take thirty times its size of memory."""
    marks = _STRING.sub(b"", octets)
    if sum(map(marks.count, b"[{,")) > MOST_VALUES:
        detail = f"the body may have at most {MOST_VALUES:,} values"
        raise HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _decoded(text: memoryview) -> bytes | None:
    """The octets of base64 within a JSON string; ``None`` where it is not base64."""
    # All of it at once, since a buffer that grows is copied; it gives its octets away without.
    file = BytesIO(bytes(len(text) * 3 // 4 + 3))
    rest, ended = b"", False
    for start in range(0, len(text), DECODED_AT_ONCE):
        piece = rest + bytes(text[start : start + DECODED_AT_ONCE])
        is_last = start + DECODED_AT_ONCE >= len(text)
        # An escape, and a group of four, are not cut in two.
        cut = len(piece) if is_last else piece.find(b"\\", len(piece) - _LONGEST_ESCAPE)
        cut = len(piece) if cut < 0 else cut
        clean = _ESCAPE.sub(_unescaped, piece[:cut])
        whole = len(clean) if is_last else len(clean) - len(clean) % 4
        rest = clean[whole:] + piece[cut:]
        try:
            file.write(binascii.a2b_base64(clean[:whole], strict_mode=True))
        except binascii.Error:
            return None
        if ended and whole:
            return None
        ended = clean[:whole].endswith(b"=")
    file.truncate()
    return file.getvalue()


def _unescaped(match: re.Match[bytes]) -> bytes:
    short, code = match.groups()
    if code is not None:
        return bytes.fromhex(code.decode("ascii"))
    return b"/" if short == b"/" else b""


def _with_files(item: dict[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    content = item.get("content")
    if isinstance(content, str) and content in files:
        item["content"] = files[content]
    return item


def _read_body(environ: Mapping[str, Any], max_body: int) -> bytearray:
    """The body's octets: as many as Content-Length says, or up to the end of the stream."""
    length = str(environ.get("CONTENT_LENGTH") or "").strip()
    if not length:
        if not environ.get("wsgi.input_terminated"):  # the stream may have no end
            if environ.get("HTTP_TRANSFER_ENCODING"):
                raise HTTPError(HTTPStatus.LENGTH_REQUIRED, "send the body with a Content-Length")
            return bytearray()
        body = _read(environ["wsgi.input"], max_body + 1)
        if len(body) > max_body:
            raise _too_large(max_body)
        return body
    if not (length.isascii() and length.isdigit()):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "Content-Length must be a number")
    if len(length) > len(str(max_body)) or int(length) > max_body:
        raise _too_large(max_body)
    body = _read(environ["wsgi.input"], int(length))
    if len(body) < int(length):
        raise HTTPError(HTTPStatus.BAD_REQUEST, "the body ended before its Content-Length")
    return body


def _read(stream: Any, most: int) -> bytearray:
    """As many octets, or all up to the end of the stream, without a second copy."""
    body, end = bytearray(most), 0
    while end < most and (chunk := stream.read(min(CHUNK, most - end))):
        memoryview(body)[end : end + len(chunk)] = chunk
        end += len(chunk)
    del body[end:]
    return body


def _too_large(max_body: int) -> HTTPError:
    detail = f"the body may have at most {max_body:,} octets"
    return HTTPError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


class BodyBudget:
    """Octets of request bodies that may be in memory at once, over all requests.

    Args:
        octets: that all bodies may have together; more for a single one are a mistake.
        small: a body with no more octets needs no place.
        seconds: for which a request waits until others are done.
    """

    def __init__(self, octets: int, small: int, seconds: float) -> None:
        self._left = octets
        self._small = small
        self._seconds = seconds
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, octets: int) -> Iterator[None]:
        """Keep a place for a body, until its request is answered."""
        if octets <= self._small:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._left >= octets, self._seconds):
                raise HTTPError(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "too many large requests at once: try again later",
                    (("Retry-After", "5"),),
                )
            self._left -= octets
        try:
            yield
        finally:
            with self._changed:
                self._left += octets
                self._changed.notify_all()


def body_size(environ: Mapping[str, Any], max_body: int) -> int:
    """The octets that a request's body may need in memory."""
    length = str(environ.get("CONTENT_LENGTH") or "").strip()
    if not length:
        return max_body if environ.get("wsgi.input_terminated") else 0
    if not (length.isascii() and length.isdigit()) or len(length) > len(str(max_body)):
        return 0  # it is refused before it is read
    return int(length) if int(length) <= max_body else 0


def check_browser(environ: Mapping[str, Any], hosts: Collection[str] | None) -> None:
    """Refuse what a web page of another site makes a browser send.

    Args:
        hosts: the names under which the server may be reached; ``None`` allows any. A page can
            make a name of its own lead to this machine (DNS rebinding), but cannot lie about it.

    Raises:
        HTTPError: the request comes from such a page.
    """
    host = str(environ.get("HTTP_HOST", "")).strip().lower()
    if hosts is not None and host:
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit():
            name, port = host, "443" if environ.get("wsgi.url_scheme") == "https" else "80"
        if name not in hosts or port != str(environ.get("SERVER_PORT", port)):
            raise HTTPError(
                HTTPStatus.FORBIDDEN,
                f"this server is not {host[:200]}: use its own address, or set a token",
            )
    origin = str(environ.get("HTTP_ORIGIN", "")).strip().lower()
    site = str(environ.get("HTTP_SEC_FETCH_SITE", "")).strip().lower()
    if (origin and origin.partition("://")[2] != host) or site not in ("", "same-origin", "none"):
        raise HTTPError(HTTPStatus.FORBIDDEN, "requests from pages of other sites are refused")


def invalid(detail: str) -> HTTPError:
    """The refusal of a request whose values cannot be used."""
    return HTTPError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def unknown(noun: str, name: object) -> HTTPError:
    """The refusal of a request for something that does not exist."""
    return HTTPError(HTTPStatus.NOT_FOUND, f"there is no {noun} {str(name)[:LONGEST_SHOWN]!r}")


def page_of(items: Iterable[Any], request: Request) -> dict[str, Any]:
    """The page of a list that a request asks for, and the length of the whole list."""
    limit = request.number("limit", PAGE, 1, LONGEST_PAGE)
    offset = request.number("offset", 0, 0)
    everything = list(items)
    return {"items": everything[offset : offset + limit], "count": len(everything)}
