"""The WSGI application: authorisation, routing, and JSON for every response."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from nornmail import ConfigurationError, Mailer, Poller, Status
from nornmail.web.http import (
    JSON,
    BodyBudget,
    HTTPError,
    Request,
    Response,
    body_size,
    check_browser,
    read_request,
    reason_phrase,
)
from nornmail.web.inboxes import Inboxes
from nornmail.web.messages import Messages

log = logging.getLogger("nornmail.web")

MAX_BODY = 1024 * 1024
"""Octets of a request's body; only attachments need more."""
MAX_BODY_WITH_ATTACHMENTS = 35 * 1024 * 1024
"""Octets of a request that sends mail: 25 MiB, which large providers accept, in base64."""

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Resource = Callable[[Request], Response]

MAX_BODIES = 2 * MAX_BODY_WITH_ATTACHMENTS
"""Octets of all bodies that are in memory at once; further requests wait."""
SMALL_BODY = 64 * 1024
"""Octets of a body that never waits."""
BODY_WAIT = 10.0
"""Seconds for which a request waits for others with large bodies."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this machine."""
WELL = frozenset({"starting", "connecting", "polling", "idle", "standing_by"})
"""The states of a healthy poller."""
_MESSAGES = "/v1/messages"


def health(status: Status, *, details: bool) -> Response:
    """The response to ``GET /healthz``: 200 and healthy, or 503 and the reason.

    Args:
        status: the poller's.
        details: include the reason, which can name hosts and accounts.
    """
    well = status.state in WELL and not status.stalled
    body: dict[str, Any] = {"status": "healthy" if well else "unhealthy"}
    if details:
        why = "" if well else status.reason
        if status.stalled:
            why = why or "no poll has succeeded for many intervals"
        body |= {
            "state": str(status.state),
            "since": status.since.isoformat(),
            "reason": why,
            "last_poll_at": status.last_poll_at and status.last_poll_at.isoformat(),
            "waiting": status.waiting,
            "dead": status.dead,
        }
    return Response(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, body)


def application(
    poller: Poller,
    mailer: Mailer | None = None,
    *,
    domain: str | None = None,
    token: str | None = None,
    hosts: Collection[str] = (),
    max_body: int = MAX_BODY,
    max_body_with_attachments: int = MAX_BODY_WITH_ATTACHMENTS,
) -> WsgiApplication:
    """The control interface as a WSGI application, for any server and any number of threads.

    The inboxes that it created are kept in the poller's store, and are added to the poller here.
    Starting and stopping is the caller's business.

    Args:
        poller: with ``inboxes`` (mostly an empty list) and ``on_message``, which is called with
            the mail of the inboxes that are created here.
        mailer: sends; without one POST /v1/messages is refused.
        domain: of new addresses; ``None`` means the domain of the poller's username.
        token: a bearer token that every request must carry, except for a health check without
            details; ``None`` requires no token.
        hosts: further names under which it can be reached without a token. Without one, the
            ``Host`` of every request must be this machine's, or the address that the server listens
            on: else any web page could use it through a browser here.
        max_body: octets that the body of a request may have.
        max_body_with_attachments: the same for a request that sends mail.

    Raises:
        ConfigurationError: no domain is given and the username has none; or the poller has one
            callback for all mail; or the token is empty.
        StoreError: the store cannot be read.
    """
    if token is not None and not token.strip():
        raise ConfigurationError("NORNMAIL_API_TOKEN", "", "must not be empty")
    inboxes = Inboxes(poller, domain or _domain_of(poller))
    messages = Messages(poller, inboxes, mailer)
    names = None if token is not None else LOOPBACK | {host.lower() for host in hosts}
    return _Application(
        poller, inboxes, messages, token, names, max_body, max_body_with_attachments
    )


def url_host(name: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets."""
    return f"[{name.lower()}]" if ":" in name else name.lower()


def _domain_of(poller: Poller) -> str:
    _, at, domain = (poller.settings.username or "").rpartition("@")
    if not (at and domain):
        allowed = "set it to the domain of the inboxes: IMAP_USERNAME is not an address with one"
        raise ConfigurationError("EMAIL_DOMAIN", None, allowed)
    return domain


class _Application:
    def __init__(
        self,
        poller: Poller,
        inboxes: Inboxes,
        messages: Messages,
        token: str | None,
        hosts: Collection[str] | None,
        max_body: int,
        max_body_with_attachments: int,
    ) -> None:
        self._poller = poller
        self._token = token
        self._hosts = hosts
        self._bodies = BodyBudget(
            max(MAX_BODIES, max_body, max_body_with_attachments), SMALL_BODY, BODY_WAIT
        )
        self._max_body = max_body
        self._max_body_with_attachments = max_body_with_attachments
        self._routes: tuple[tuple[re.Pattern[str], Mapping[str, Resource]], ...] = (
            (re.compile(r"/healthz"), {"GET": self._health}),
            (re.compile(r"/v1/inboxes"), {"GET": inboxes.list, "POST": inboxes.create}),
            (re.compile(r"/v1/inboxes/([^/]+)"), {"GET": inboxes.get, "DELETE": inboxes.delete}),
            (re.compile(r"/v1/inboxes/([^/]+)/sync"), {"POST": inboxes.sync}),
            (re.compile(_MESSAGES), {"POST": messages.create}),
        )

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        try:
            response = self._respond(environ)
        except HTTPError as error:
            response = error.response
        except Exception:
            log.exception("a request failed")
            response = HTTPError(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log").response
        octets = response.octets()
        headers = [*response.headers, ("Content-Length", str(len(octets)))]
        if octets:
            headers += [("Content-Type", JSON), ("Cache-Control", "no-store")]
        start_response(f"{response.status.value} {reason_phrase(response.status)}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [octets]

    def _respond(self, environ: Mapping[str, Any]) -> Response:
        path = str(environ.get("PATH_INFO", "")).rstrip("/") or "/"
        hosts = self._hosts
        if hosts is not None:
            hosts = {*hosts, url_host(str(environ.get("SERVER_NAME", "")))}
        check_browser(environ, hosts)
        # First, so that an unauthorised client learns nothing of what exists.
        if path != "/healthz" and not self._authorized(environ):
            detail = "send the token of this server: Authorization: Bearer ..."
            raise HTTPError(HTTPStatus.UNAUTHORIZED, detail, (("WWW-Authenticate", "Bearer"),))
        resources, path_params = self._route(path)
        method = str(environ["REQUEST_METHOD"]).upper()
        resource = resources.get("GET" if method == "HEAD" else method)
        if resource is None:
            allow = ", ".join(sorted(resources))
            detail = f"{path[:200]} supports {allow}"
            raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, detail, (("Allow", allow),))
        most = self._max_body_with_attachments if path == _MESSAGES else self._max_body
        with self._bodies.reserve(body_size(environ, most)):
            return resource(read_request(environ, most, path_params))

    def _route(self, path: str) -> tuple[Mapping[str, Resource], tuple[str, ...]]:
        """The resources of a path, by method, and the parameters in the path."""
        for pattern, resources in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                return resources, match.groups()
        raise HTTPError(HTTPStatus.NOT_FOUND, f"{path[:200]} does not exist")

    def _authorized(self, environ: Mapping[str, Any]) -> bool:
        if self._token is None:
            return True
        scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        # Octets: compare_digest accepts only ASCII as text.
        same = hmac.compare_digest(
            token.strip().encode("utf-8", "replace"), self._token.encode("utf-8", "replace")
        )
        return scheme.lower() == "bearer" and same

    def _health(self, request: Request) -> Response:
        token = {"HTTP_AUTHORIZATION": request.headers.get("authorization", "")}
        return health(self._poller.status(), details=self._authorized(token))
