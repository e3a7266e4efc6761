"""The WSGI application: authorisation, routing, and JSON for every response."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from nornmail import ConfigurationError, Mailer, Poller, PollerGroup, StateStore, Status
from nornmail.web.accounts import AccountResources
from nornmail.web.http import (
    BodyBudget,
    HTTPError,
    Request,
    Response,
    body_size,
    check_browser,
    read_request,
    reason_phrase,
)
from nornmail.web.inboxes import DeadLetterResources, InboxResources
from nornmail.web.metrics import CONTENT_TYPE, Metrics
from nornmail.web.openapi import OPERATIONS, SCHEMAS, Operation, document
from nornmail.web.outbox import MessageResources

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


def is_well(status: Status) -> bool:
    """Whether a poller does its work."""
    return status.state in WELL and not status.stalled


def health_of_all(accounts: AccountResources, *, details: bool) -> Response:
    """The response to ``GET /healthz`` for a group: 503 when no account of several works.

    One account with a wrong password is not a reason to restart a service that serves a hundred.

    Args:
        details: include the accounts that do not work.
    """
    states = [(poller.mailbox, poller.status()) for poller in accounts.pollers()]
    unwell = [(key, status) for key, status in states if not is_well(status)]
    well = not states or len(unwell) < len(states)
    body: dict[str, Any] = {"status": "healthy" if well else "unhealthy"}
    if details:
        body |= {
            "accounts": len(states),
            "unhealthy": [
                {"id": key.account, "mailbox": key.mailbox, "state": str(status.state),
                 "reason": status.reason}
                for key, status in unwell
            ],
        }  # fmt: skip
    return Response(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, body)


def health(status: Status, *, details: bool) -> Response:
    """The response to ``GET /healthz``: 200 and healthy, or 503 and the reason.

    Args:
        details: include the reason, which can name hosts and accounts.
    """
    well = is_well(status)
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
    poller: Poller | PollerGroup,
    mailer: Mailer | Mapping[str, Mailer] | None = None,
    *,
    domain: str | None = None,
    token: str | None = None,
    hosts: Collection[str] = (),
    metrics: Metrics | None = None,
    max_body: int = MAX_BODY,
    max_body_with_attachments: int = MAX_BODY_WITH_ATTACHMENTS,
) -> WsgiApplication:
    """The control interface as a WSGI application, for any server and any number of threads.

    The inboxes that it created are kept in the poller's store, and are added to the poller here, or
    when it is added to the group. Starting and stopping is the caller's business.

    Args:
        poller: with ``inboxes`` (mostly an empty list) and ``on_message``, which is called with
            the mail of the inboxes that are created here; or a group of such pollers.
        mailer: sends; without one POST /v1/messages is refused. For a group it may be a mapping
            with a mailer for each account, by its name, which may change.
        domain: of new addresses; ``None`` means the domain of the poller's username.
        token: a bearer token that every request must carry, except for a health check without
            details; ``None`` requires no token.
        hosts: further names under which it can be reached without a token. Without one, the
            ``Host`` of every request must be this machine's, or the address that the server listens
            on: else any web page could use it through a browser here.
        metrics: shown at /metrics; it counts what the poller and the mailer give to ``on_event``.
            ``None`` shows what the store has.
        max_body: octets that the body of a request may have.
        max_body_with_attachments: the same for a request that sends mail.

    Raises:
        ConfigurationError: no domain is given and the username has none; or the poller has one
            callback for all mail; or the token is empty.
        StoreError: the store cannot be read.
    """
    if token is not None and not token.strip():
        raise ConfigurationError("NORNMAIL_API_TOKEN", "", "must not be empty")
    accounts = AccountResources(poller)
    inboxes = InboxResources(accounts, domain)
    if isinstance(poller, PollerGroup):
        poller.on_add = inboxes.restore
    for account_poller in accounts.pollers():
        inboxes.restore(account_poller)
    mailer_of = mailer.get if isinstance(mailer, Mapping) else lambda _: mailer
    names = None if token is not None else LOOPBACK | {host.lower() for host in hosts}
    application = _Application(accounts, token, names, max_body, max_body_with_attachments)
    application.route_all(
        inboxes,
        MessageResources(accounts.store, inboxes, mailer_of),
        metrics or Metrics(),
        sent_from=None if mailer is None else accounts.store,
    )
    return application


def url_host(name: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets."""
    return f"[{name.lower()}]" if ":" in name else name.lower()


def _pattern(path: str) -> str:
    """The pattern of a path. Only the id of a message may have slashes, as a handler's key has."""
    return path.replace("{id}", "(.+)" if path.startswith(_MESSAGES) else "([^/]+)")


def _strict(resource: Resource, operation: Operation) -> Resource:
    """A resource that refuses fields and parameters that are not described."""
    fields = SCHEMAS[operation.body] if operation.body else None
    query = (*operation.query, *(("limit", "offset") if operation.is_list else ()))

    def checked(request: Request) -> Response:
        request.check_names(request.data if fields is None else fields, query)
        return resource(request)

    return checked


class _Application:
    def __init__(
        self,
        accounts: AccountResources,
        token: str | None,
        hosts: Collection[str] | None,
        max_body: int,
        max_body_with_attachments: int,
    ) -> None:
        self._accounts = accounts
        self._token = token
        self._hosts = hosts
        self._bodies = BodyBudget(
            max(MAX_BODIES, max_body, max_body_with_attachments), SMALL_BODY, BODY_WAIT
        )
        self._max_body = max_body
        self._max_body_with_attachments = max_body_with_attachments
        self.routes: dict[tuple[str, str], Resource] = {}

    def route_all(
        self,
        inboxes: InboxResources,
        messages: MessageResources,
        metrics: Metrics,
        sent_from: StateStore | None,
    ) -> None:
        """Connect methods and paths with the resources; ``sent_from`` is the store of an outbox."""
        accounts = self._accounts
        dead = DeadLetterResources(accounts.store)
        description = document()
        self.routes = {
            ("GET", "/healthz"): self._health,
            ("GET", "/metrics"): lambda request: Response(
                HTTPStatus.OK,
                metrics.text(accounts.pollers(), sent_from, by_account=accounts.several),
                content_type=CONTENT_TYPE,
            ),
            ("GET", "/v1/openapi.json"): lambda request: Response(HTTPStatus.OK, description),
            ("GET", "/v1/accounts"): accounts.list,
            ("GET", "/v1/accounts/{id}"): accounts.get,
            ("POST", "/v1/accounts/{id}/sync"): accounts.sync,
            ("GET", "/v1/inboxes"): inboxes.list,
            ("POST", "/v1/inboxes"): inboxes.create,
            ("GET", "/v1/inboxes/{id}"): inboxes.get,
            ("DELETE", "/v1/inboxes/{id}"): inboxes.delete,
            ("POST", "/v1/inboxes/{id}/sync"): inboxes.sync,
            ("GET", "/v1/outbox"): messages.list,
            ("POST", _MESSAGES): messages.create,
            ("POST", f"{_MESSAGES}/{{id}}/approve"): messages.approve,
            ("POST", f"{_MESSAGES}/{{id}}/reject"): messages.reject,
            ("GET", f"{_MESSAGES}/{{id}}"): messages.get,
            ("GET", "/v1/dead"): dead.list,
            ("GET", "/v1/dead/{id}"): dead.get,
            ("POST", "/v1/dead/{id}/retry"): dead.retry,
        }
        self._patterns = [
            (re.compile(_pattern(path)), method, _strict(resource, OPERATIONS[method, path]))
            for (method, path), resource in self.routes.items()
        ]

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
            headers += [("Content-Type", response.content_type), ("Cache-Control", "no-store")]
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
        method = str(environ["REQUEST_METHOD"]).upper()
        resource, path_params = self._route("GET" if method == "HEAD" else method, path)
        most = self._max_body_with_attachments if path == _MESSAGES else self._max_body
        with self._bodies.reserve(body_size(environ, most)):
            return resource(read_request(environ, most, path_params))

    def _route(self, method: str, path: str) -> tuple[Resource, tuple[str, ...]]:
        """The resource of a method and a path, and the parameters in the path."""
        # PEP 3333: octets of the path, each as the character of its number.
        decoded = path.encode("latin-1", "replace").decode("utf-8", "replace")
        allowed = set()
        for pattern, its_method, resource in self._patterns:
            match = pattern.fullmatch(decoded)
            if match is not None and its_method == method:
                return resource, match.groups()
            if match is not None:
                allowed.add(its_method)
        if not allowed:
            detail = f"{path[:200]} does not exist; GET /v1/openapi.json lists all paths"
            raise HTTPError(HTTPStatus.NOT_FOUND, detail)
        allow = ", ".join(sorted(allowed))
        detail = f"{path[:200]} supports {allow}"
        raise HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, detail, (("Allow", allow),))

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
        details = self._authorized(token)
        if self._accounts.several:
            return health_of_all(self._accounts, details=details)
        return health(self._accounts.pollers()[0].status(), details=details)
