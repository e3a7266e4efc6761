"""What FETCH told, message by message: only the UIDs that were asked for, and only what came."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nornmail.imap.dates import internal_date
from nornmail.imap.responses import Fetch, Untagged
from nornmail.imap.tokens import Value, number
from nornmail.uidset import UidSet

MAX_SIZE_DIGITS = 18
"""Digits of a message's size; an exabyte has nineteen."""
_SIZE = re.compile(rb"[0-9]{1,18}")
_ROUNDED_SIZE = re.compile(rb"[0-9](?:\.[0-9]{1,17})?[eE]\+?([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Summary:
    """What is asked for before a message is fetched.

    Attributes:
        uid: which message.
        size: RFC822.SIZE in octets, an estimate on some servers.
        received_at: INTERNALDATE in seconds since 1970 UTC, ``None`` where there is none.
        flags: as the server wrote them.
    """

    uid: int
    size: int
    received_at: float | None
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Body:
    """Octets of a message.

    Attributes:
        uid: which message.
        raw: the message, or its header block; ``None`` where the server gave NIL or nothing.
        flags: as the server wrote them.
        received_at: INTERNALDATE in seconds since 1970 UTC, ``None`` where there is none.
        size: RFC822.SIZE in octets where it was asked for and given, else 0.
    """

    uid: int
    raw: bytes | None
    flags: frozenset[str]
    received_at: float | None
    size: int = 0


def summaries(told: Iterable[Untagged], asked: UidSet) -> dict[int, Summary]:
    """The summaries in an answer.

    A message without a size is left out: with it, nobody could tell an empty message from one that
    was not given.
    """
    found: dict[int, Summary] = {}
    for uid, items in _by_uid(told, asked).items():
        octets = size(items.get("RFC822.SIZE"))
        if octets is not None:
            found[uid] = Summary(uid, octets, _received_at(items), _flags(items))
    return found


def bodies(told: Iterable[Untagged], asked: UidSet, item: str) -> dict[int, Body]:
    """The octets in an answer, under the name of ``item`` (``BODY[]``, ``BODY[HEADER]``)."""
    found: dict[int, Body] = {}
    for uid, items in _by_uid(told, asked).items():
        raw = items.get(item)
        found[uid] = Body(
            uid,
            raw if isinstance(raw, bytes) else None,
            _flags(items),
            _received_at(items),
            size(items.get("RFC822.SIZE")) or 0,
        )
    return found


def size(token: Value) -> int | None:
    """A size in octets; mail.ru writes ``9.3736e+06``. ``None`` for what is no size."""
    if not isinstance(token, bytes):
        return None
    if _SIZE.fullmatch(token):
        return int(token)
    rounded = _ROUNDED_SIZE.fullmatch(token)
    return int(float(token)) if rounded and int(rounded[1]) <= MAX_SIZE_DIGITS else None


def _by_uid(told: Iterable[Untagged], asked: UidSet) -> dict[int, dict[str, Value]]:
    """The items of each message that was asked for.

    A message may be told of several times: servers send flags that changed on their own. What came
    once stays unless something else comes in its place, and NIL is nothing.
    """
    found: dict[int, dict[str, Value]] = {}
    for response in told:
        if not isinstance(response, Fetch):
            continue
        uid = number(response.items.get("UID"))
        if uid is None or uid not in asked:
            continue
        known = found.setdefault(uid, {})
        for name, value in response.items.items():
            if value is not None or name not in known:
                known[name] = value
    return found


def _flags(items: dict[str, Value]) -> frozenset[str]:
    told = items.get("FLAGS")
    if not isinstance(told, tuple):
        return frozenset()
    return frozenset(flag.decode("utf-8", "replace") for flag in told if isinstance(flag, bytes))


def _received_at(items: dict[str, Value]) -> float | None:
    told = items.get("INTERNALDATE")
    return internal_date(told) if isinstance(told, bytes) else None
