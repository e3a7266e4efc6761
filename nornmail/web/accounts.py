"""The accounts resource: the mailboxes that are polled, with the status of each."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from nornmail import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    Poller,
    PollerGroup,
    StateStore,
    Throttled,
)
from nornmail.web.http import HTTPError, Request, Response, page_of, unknown


class AccountResources:
    """The pollers behind the interface: one, or those of a group."""

    def __init__(self, polled: Poller | PollerGroup) -> None:
        self._polled = polled
        self.several = isinstance(polled, PollerGroup)

    @property
    def store(self) -> StateStore:
        """Of all of them."""
        return self._polled.store

    def pollers(self) -> list[Poller]:
        """All of them, now."""
        return [self._polled] if isinstance(self._polled, Poller) else self._polled.pollers()

    def poller(self, account: Any, mailbox: Any = None) -> Poller:
        """The poller of an account."""
        for poller in self.pollers():
            key = poller.mailbox
            if key.account == account and mailbox in (None, key.mailbox):
                return poller
        raise unknown("account", account)

    def list(self, request: Request) -> Response:
        """``GET /v1/accounts``: a page of accounts and their states."""
        return Response(HTTPStatus.OK, page_of(map(_account_body, self.pollers()), request))

    def get(self, request: Request) -> Response:
        """``GET /v1/accounts/{id}``: 200 or 404."""
        return Response(HTTPStatus.OK, _account_body(self._named(request)))

    def sync(self, request: Request) -> Response:
        """``POST /v1/accounts/{id}/sync``: poll now, and count the new messages."""
        return synced(self._named(request).sync)

    def _named(self, request: Request) -> Poller:
        return self.poller(request.path_params[0], request.query.get("mailbox") or None)


def synced(sync: Callable[[], int]) -> Response:
    """The response to a request for a poll."""
    try:
        new = sync()
    except (ConnectionLost, AuthenticationFailed, Throttled, CommandRefused) as error:
        raise HTTPError(HTTPStatus.BAD_GATEWAY, f"the mail server failed: {error}") from error
    except ConfigurationError:
        raise
    except NornmailError as error:
        raise HTTPError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
    return Response(HTTPStatus.OK, {"status": "synced", "new_messages": new})


def _account_body(poller: Poller) -> dict[str, Any]:
    """An account as a response has it."""
    status, key = poller.status(), poller.mailbox
    return {
        "id": key.account,
        "mailbox": key.mailbox,
        "state": str(status.state),
        "since": status.since.isoformat(),
        "reason": status.reason,
        "last_poll_at": status.last_poll_at and status.last_poll_at.isoformat(),
        "handled": status.handled,
        "waiting": status.waiting,
        "dead": status.dead,
        "stalled": status.stalled,
    }
