"""The application: who may ask, which resource answers, and that every answer is JSON."""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from nornmail import ConfigurationError, Mailer, Poller, Status
from nornmail.web.http import JSON, Answer, Problem, Request, phrase, read_request
from nornmail.web.inboxes import Inboxes
from nornmail.web.messages import Messages

log = logging.getLogger("nornmail.web")

# ---- Whether all is well, for whoever watches: pure.

WELL = frozenset({"starting", "connecting", "polling", "idle", "standing_by"})
"""The states of a poller in which nothing is wrong."""


def health(status: Status, *, details: bool) -> Answer:
    """The answer to ``GET /healthz``: 200 and healthy, or 503 and why not.

    Args:
        status: the poller's.
        details: whether the one who asks may see the reason, which can name hosts and accounts.
    """
    well = status.state in WELL and not status.stalled
    body: dict[str, Any] = {"status": "healthy" if well else "unhealthy"}
    if details:
        why = "" if well else status.reason
        if status.stalled:
            why = why or "no look at the mailbox has succeeded for many intervals"
        body |= {
            "state": str(status.state),
            "since": status.since.isoformat(),
            "reason": why,
            "last_poll_at": status.last_poll_at and status.last_poll_at.isoformat(),
            "waiting": status.waiting,
            "dead": status.dead,
        }
    return Answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, body)


MAX_BODY = 1024 * 1024
"""Octets of a request's body: nothing but attachments is larger."""
MAX_BODY_WITH_ATTACHMENTS = 35 * 1024 * 1024
"""Octets of a request that sends mail: 25 MiB, which large providers accept, in base64."""

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Resource = Callable[[Request], Answer]

_MESSAGES = "/v1/messages"


def application(
    poller: Poller,
    mailer: Mailer | None = None,
    *,
    domain: str | None = None,
    token: str | None = None,
    max_body: int = MAX_BODY,
    max_body_with_attachments: int = MAX_BODY_WITH_ATTACHMENTS,
) -> WsgiApplication:
    """The control interface as a WSGI application, for any server and any number of threads.

    The inboxes that were made through it lie in the poller's store, and are added to the poller
    here. It neither starts nor stops anything.

    Args:
        poller: made with ``inboxes`` (none, mostly) and ``on_message``, which is called with the
            mail of the inboxes that are made here.
        mailer: sends; without one POST /v1/messages is refused.
        domain: of the addresses that are made; ``None`` takes that of the poller's username.
        token: a bearer token that every request must carry, but for the health's bare word;
            ``None`` asks for none.
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
    return _Application(poller, inboxes, messages, token, max_body, max_body_with_attachments)


def _domain_of(poller: Poller) -> str:
    _, at, domain = (poller.settings.username or "").rpartition("@")
    if not (at and domain):
        said = "set it to the domain of the inboxes: IMAP_USERNAME is no address that has one"
        raise ConfigurationError("EMAIL_DOMAIN", None, said)
    return domain


class _Application:
    def __init__(
        self,
        poller: Poller,
        inboxes: Inboxes,
        messages: Messages,
        token: str | None,
        max_body: int,
        max_body_with_attachments: int,
    ) -> None:
        self._poller = poller
        self._token = token
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
            answer = self._answer(environ)
        except Problem as problem:
            answer = problem.answer
        except Exception:
            log.exception("a request failed")
            answer = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log").answer
        octets = answer.octets()
        headers = [*answer.headers, ("Content-Length", str(len(octets)))]
        if octets:
            headers += [("Content-Type", JSON), ("Cache-Control", "no-store")]
        start_response(f"{answer.status.value} {phrase(answer.status)}", headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [octets]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        path = str(environ.get("PATH_INFO", "")).rstrip("/") or "/"
        # Who may not ask is told before anything else is read, and nothing of what there is.
        if path != "/healthz" and not self._may_ask(environ):
            said = "send the token of this server: Authorization: Bearer ..."
            raise Problem(HTTPStatus.UNAUTHORIZED, said, (("WWW-Authenticate", "Bearer"),))
        resources, parts = self._found(path)
        method = str(environ["REQUEST_METHOD"]).upper()
        resource = resources.get("GET" if method == "HEAD" else method)
        if resource is None:
            allow = ", ".join(sorted(resources))
            said = f"{path[:200]} takes {allow}"
            raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, said, (("Allow", allow),))
        most = self._max_body_with_attachments if path == _MESSAGES else self._max_body
        return resource(read_request(environ, most, parts=parts))

    def _found(self, path: str) -> tuple[Mapping[str, Resource], tuple[str, ...]]:
        """What answers for a path, by method, and what stands in the path."""
        for pattern, resources in self._routes:
            found = pattern.fullmatch(path)
            if found is not None:
                return resources, found.groups()
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no {path[:200]}")

    def _may_ask(self, environ: Mapping[str, Any]) -> bool:
        if self._token is None:
            return True
        kind, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        # Octets: compare_digest takes no text that is not ASCII.
        same = hmac.compare_digest(
            given.strip().encode("utf-8", "replace"), self._token.encode("utf-8", "replace")
        )
        return kind.lower() == "bearer" and same

    def _health(self, request: Request) -> Answer:
        token = {"HTTP_AUTHORIZATION": request.headers.get("authorization", "")}
        return health(self._poller.status(), details=self._may_ask(token))
