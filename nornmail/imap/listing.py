"""What SELECT and SEARCH told, as one value each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nornmail.errors import ProtocolError
from nornmail.imap.responses import Esearch, Exists, Expunge, Search, Status, Untagged
from nornmail.imap.tokens import Atom, number
from nornmail.imap.wire import Reply
from nornmail.uidset import UidSet


@dataclass(frozen=True, slots=True)
class Selected:
    """A mailbox as the server described it when it was selected.

    Attributes:
        mailbox: its name.
        exists: how many messages it had.
        uid_validity: ``None`` where the server named none.
        uid_next: ``None`` where the server named none.
        read_only: nothing in it can be changed.
    """

    mailbox: str
    exists: int
    uid_validity: int | None
    uid_next: int | None
    read_only: bool


def selected(mailbox: str, reply: Reply, *, examined: bool) -> Selected:
    """The answer to SELECT or EXAMINE; what was told last counts.

    Raises:
        ProtocolError: the server did not say how many messages there are (RFC 3501, 6.3.1).
    """
    exists: int | None = None
    codes: dict[str, str] = {"READ-ONLY": ""} if examined else {}
    for response in reply.untagged:
        if isinstance(response, Exists):
            exists = response.count
        elif isinstance(response, Expunge) and exists:
            exists -= 1
        elif isinstance(response, Status) and response.code == "CLOSED":
            exists = None  # RFC 7162, 3.2.11: what came before was about the mailbox before.
        elif isinstance(response, Status):
            codes[response.code] = response.code_args
    codes[reply.end.code] = reply.end.code_args
    if exists is None:
        raise ProtocolError(f"the answer to SELECT {mailbox} says nothing about its messages")
    return Selected(
        mailbox,
        exists,
        number(Atom(codes.get("UIDVALIDITY", "").encode("utf-8", "replace"))),
        number(Atom(codes.get("UIDNEXT", "").encode("utf-8", "replace"))),
        "READ-ONLY" in codes and "READ-WRITE" not in codes,
    )


def hits(told: Iterable[Untagged]) -> UidSet:
    """The UIDs that a UID SEARCH found. Without hits some servers (iCloud) say nothing at all."""
    return hits_if_told(told) or UidSet()


def hits_if_told(told: Iterable[Untagged]) -> UidSet | None:
    """As :func:`hits`, and ``None`` when there was no response with hits, not even an empty one."""
    found: UidSet | None = None
    for response in told:
        if isinstance(response, Search) or (isinstance(response, Esearch) and response.by_uid):
            found = found if found is not None else UidSet()
            found.update(response.uids)
    return found


def within(uids: UidSet, wanted: UidSet) -> UidSet:
    """What of ``uids`` is in ``wanted``: servers that know no search by UID return everything."""
    return uids - (uids - wanted)
