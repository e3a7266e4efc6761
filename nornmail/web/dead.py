"""The dead letters resource: list, show and retry messages that were given up."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from nornmail import DeadLetter, DeadLetters, NornmailError, StateStore, StoreError, parse_message
from nornmail.web.http import HTTPError, Request, Response, page_of, unknown


class DeadLetterResources:
    """The dead letters of a store.

    Args:
        store: the poller's.
    """

    def __init__(self, store: StateStore) -> None:
        self._letters = DeadLetters(store)

    def list(self, request: Request) -> Response:
        """``GET /v1/dead``: a page of dead letters, by account, mailbox and age."""
        return Response(HTTPStatus.OK, page_of(map(_body, self._letters.list()), request))

    def get(self, request: Request) -> Response:
        """``GET /v1/dead/{id}``: the letter, and its message where its bytes are kept; 404."""
        letter = self._letter(request.path_params[0])
        message = None
        if letter.is_kept:
            message = parse_message(self._letters.raw(letter)).to_dict()
        return Response(HTTPStatus.OK, {"letter": _body(letter), "message": message})

    def retry(self, request: Request) -> Response:
        """``POST /v1/dead/{id}/retry``: 202; 404; 409 if it is no longer dead."""
        letter = self._letter(request.path_params[0])
        try:
            self._letters.retry(letter)
        except StoreError:
            raise
        except NornmailError as error:
            raise HTTPError(HTTPStatus.CONFLICT, str(error)) from error
        return Response(HTTPStatus.ACCEPTED, {"id": letter.id, "status": "requested"})

    def _letter(self, letter_id: str) -> DeadLetter:
        for letter in self._letters.list():
            if letter.id == letter_id:
                return letter
        raise unknown("dead letter", letter_id)


def _body(letter: DeadLetter) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(letter)
    ref: dict[str, Any] = fields.pop("ref")
    for name in ("died_at", "received_at"):
        fields[name] = fields[name] and fields[name].isoformat()
    return fields | ref
