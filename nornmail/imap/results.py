"""Results of SELECT, SEARCH and FETCH as values: only for the UIDs that were asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial

from nornmail.clock import utc_datetime
from nornmail.errors import ProtocolError
from nornmail.imap.arguments import decode_mailbox
from nornmail.imap.responses import (
    DatedRun,
    Esearch,
    Exists,
    Expunge,
    Fetch,
    ListItem,
    MailboxStatus,
    Search,
    StatusResponse,
    Unknown,
    Untagged,
)
from nornmail.imap.tokens import MAX_DIGITS, Atom, TokenValue, number
from nornmail.imap.wire import CommandResult
from nornmail.uidset import UidSet


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of a mailbox: where all three are as they were, there is no new mail."""

    messages: int
    uid_next: int
    uid_validity: int


def counts(responses: Iterable[Untagged], mailboxes: Iterable[str]) -> dict[str, Counts]:
    """The counts in answers to STATUS; those of one mailbox under whatever name it is shown.

    One of which a number is missing is left out.
    """
    names = {_any_case(mailbox): mailbox for mailbox in mailboxes}
    by_mailbox: dict[str, Counts] = {}
    for response in responses:
        if isinstance(response, MailboxStatus):
            listed = names.get(_any_case(decode_mailbox(response.name)))
            mailbox = next(iter(names.values())) if len(names) == 1 else listed
            numbers = [response.items.get(item, 0) for item in ("UIDNEXT", "UIDVALIDITY")]
            if mailbox is not None and "MESSAGES" in response.items and all(numbers):
                by_mailbox[mailbox] = Counts(response.items["MESSAGES"], *numbers)
    return by_mailbox


def _any_case(mailbox: str) -> str:
    """A name for comparison: INBOX may be written in any case (RFC 3501, 5.1)."""
    return "INBOX" if mailbox.upper() == "INBOX" else mailbox


_PERSONAL = re.compile(rb'\* NAMESPACE \(\("([^"\\]*)"', re.IGNORECASE)
"""The answer to NAMESPACE, up to the first personal prefix. One with a quote in it is not read."""
_UNSELECTABLE = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(frozen=True, slots=True)
class ListedMailbox:
    r"""A mailbox as LIST shows it.

    Attributes:
        attributes: in lower case, such as ``\sent`` (RFC 6154).
        delimiter: between the levels of names; ``""`` where there are no levels.
    """

    name: str
    attributes: frozenset[str]
    delimiter: str


def listed_mailboxes(responses: Iterable[Untagged]) -> list[ListedMailbox]:
    """The mailboxes in an answer to LIST that can be selected."""
    listed = []
    for item in responses:
        if isinstance(item, ListItem):
            attributes = frozenset(attribute.lower() for attribute in item.attributes)
            if _UNSELECTABLE.isdisjoint(attributes):
                name = decode_mailbox(item.name)
                listed.append(ListedMailbox(name, attributes, item.delimiter or ""))
    return listed


def personal_prefix(responses: Iterable[Untagged]) -> str:
    """The first personal prefix in an answer to NAMESPACE; ``""`` for none."""
    for item in responses:
        if isinstance(item, Unknown) and (prefix := _PERSONAL.match(item.raw)):
            return decode_mailbox(prefix[1])
    return ""


@dataclass(frozen=True, slots=True)
class Selected:
    """A mailbox as the server described it when it was selected.

    Attributes:
        uid_validity: ``None`` where the server named none.
        uid_next: ``None`` where the server named none.
        read_only: nothing in it can be changed.
    """

    mailbox: str
    exists: int
    uid_validity: int | None
    uid_next: int | None
    read_only: bool


def selected(mailbox: str, result: CommandResult, *, examined: bool) -> Selected:
    """The answer to SELECT or EXAMINE; the last response of a kind counts."""
    exists: int | None = None
    codes: dict[str, str] = {"READ-ONLY": ""} if examined else {}
    for response in result.untagged:
        if isinstance(response, Exists):
            exists = response.count
        elif isinstance(response, Expunge) and exists:
            exists -= 1
        elif isinstance(response, StatusResponse) and response.code == "CLOSED":
            exists = None  # RFC 7162, 3.2.11: what came before was about the mailbox before.
        elif isinstance(response, StatusResponse):
            codes[response.code] = response.code_args
    codes[result.end.code] = result.end.code_args
    if exists is None:
        raise ProtocolError(f"the answer to SELECT {mailbox} says nothing about its messages")
    return Selected(
        mailbox,
        exists,
        number(Atom(codes.get("UIDVALIDITY", "").encode("utf-8", "replace"))),
        number(Atom(codes.get("UIDNEXT", "").encode("utf-8", "replace"))),
        "READ-ONLY" in codes and "READ-WRITE" not in codes,
    )


def search_uids(responses: Iterable[Untagged]) -> UidSet | None:
    """The UIDs that a UID SEARCH found; ``None`` without any response about it, even an empty one.

    Without hits some servers (iCloud) send none.
    """
    uids: UidSet | None = None
    for response in responses:
        if isinstance(response, Search) or (isinstance(response, Esearch) and response.by_uid):
            uids = uids if uids is not None else UidSet()
            uids.update(response.uids)
    return uids


def intersection(uids: UidSet, others: UidSet) -> UidSet:
    """The UIDs in both: servers that do not know a search by UID return everything."""
    return uids - (uids - others)


ZONES = 5 * 86_400.0
"""Seconds from a day's noon in UTC beyond which no part of it lies, even in a zone of +9959."""
MAX_SIZE_DIGITS = 18
"""Digits of a message's size; an exabyte has nineteen."""
_SIZE = re.compile(rb"[0-9]{1,18}")
_ROUNDED_SIZE = re.compile(rb"[0-9](?:\.[0-9]{1,17})?[eE]\+?([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Summary:
    """Size, date and flags of a message, asked for before it is fetched.

    Attributes:
        size: RFC822.SIZE in octets, an estimate on some servers.
        received_at: INTERNALDATE in seconds since 1970 UTC, ``None`` where there is none.
        flags: as the server wrote them.
    """

    uid: int
    size: int
    received_at: float | None
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class FetchedBody:
    """Octets of a message.

    Attributes:
        raw: the message, or its header block; ``None`` where the server returned NIL or nothing.
        flags: as the server wrote them.
        received_at: INTERNALDATE in seconds since 1970 UTC, ``None`` where there is none.
        size: RFC822.SIZE in octets where it was requested and returned, else 0.
    """

    uid: int
    raw: bytes | None
    flags: frozenset[str] = frozenset()
    received_at: float | None = None
    size: int = 0


def summaries(responses: Iterable[Untagged], asked: UidSet) -> dict[int, Summary]:
    """The summaries in an answer.

    A message without a size is left out: an empty message could not be told from a missing one.
    """
    by_uid: dict[int, Summary] = {}
    for uid, items in _by_uid(responses, asked).items():
        octets = size(items.get("RFC822.SIZE"))
        if octets is not None:
            by_uid[uid] = Summary(uid, octets, _received_at(items), _flags(items))
    return by_uid


def not_before(responses: Iterable[Untagged], asked: list[int], instant: float) -> list[int]:
    """Those of the ascending UIDs that an answer does not date before ``instant``.

    One without a date is among them, and one with several of which any is later.
    """
    before: list[int] = []
    later: set[int] = set()
    day_is_before = lru_cache(None)(partial(_day_is_before, instant=instant))
    for response in responses:
        if isinstance(response, Fetch):
            uid, date = number(response.items.get("UID")), _received_at(response.items)
            if uid is not None:
                (before.append if date is not None and date < instant else later.add)(uid)
        elif isinstance(response, DatedRun):
            uids, days = _UID.findall(response.octets), _DAY.findall(response.octets)
            if len(uids) == len(days) == response.count and all(map(day_is_before, set(days))):
                before.extend(map(int, uids))
                continue
            for line in response.octets.splitlines():
                for digits in _UID.findall(line)[-1:]:
                    is_before = any(
                        date is not None and date < instant
                        for date in map(internal_date, _DATE.findall(line)[-1:])
                    )
                    (before.append if is_before else later.add)(int(digits))
    if not later and before == asked:
        return []
    older = set(before) - later
    return [uid for uid in asked if uid not in older]


_UID = re.compile(rb"UID ([0-9]+)")
_DAY = re.compile(rb'"([ 0-9][0-9]-[A-Za-z]{3}-[0-9]{4})')
_DATE = re.compile(rb'"([^"]*)"')


def _day_is_before(day: bytes, instant: float) -> bool | None:
    """Whether all of a day is before ``instant``, in every zone; ``None`` where it depends."""
    noon = internal_date(day + b" 12:00:00 +0000")
    if noon is None or abs(noon - instant) < ZONES:
        return None
    return noon < instant


def bodies(responses: Iterable[Untagged], asked: UidSet, item: str) -> dict[int, FetchedBody]:
    """The octets in an answer, under the name of ``item`` (``BODY[]``, ``BODY[HEADER]``)."""
    by_uid: dict[int, FetchedBody] = {}
    for uid, items in _by_uid(responses, asked).items():
        raw = items.get(item)
        if not isinstance(raw, bytes):
            raw = None
        if len(items) <= 2:  # what was asked for, and nothing else
            by_uid[uid] = FetchedBody(uid, raw)
            continue
        octets = size(items.get("RFC822.SIZE")) or 0
        by_uid[uid] = FetchedBody(uid, raw, _flags(items), _received_at(items), octets)
    return by_uid


def contradictory(responses: Iterable[Untagged], asked: UidSet) -> bool:
    """Whether an answer gives data under the UID of another message, as its numbers show.

    Sequence numbers ascend with the UIDs (RFC 3501, section 2.3.1.2) as long as nothing is
    expunged; an answer that reports that is not compared.
    """
    numbers = set(asked)
    pairs: set[tuple[int, int]] = set()
    for response in responses:
        if isinstance(response, Expunge):
            return False
        if isinstance(response, Fetch):
            uid = response.items.get("UID")
            if not isinstance(uid, bytes) or len(uid) > MAX_DIGITS or not uid.isdigit():
                continue  # as number() has it, without a call for each message
            if int(uid) in numbers:
                pairs.add((response.sequence, int(uid)))
    uids = [uid for _, uid in sorted(pairs)]
    return uids != sorted(set(uids)) or len({sequence for sequence, _ in pairs}) < len(pairs)


def size(token: TokenValue) -> int | None:
    """A size in octets; mail.ru writes ``9.3736e+06``. ``None`` for anything else."""
    if not isinstance(token, bytes):
        return None
    if _SIZE.fullmatch(token):
        return int(token)
    rounded = _ROUNDED_SIZE.fullmatch(token)
    return int(float(token)) if rounded and int(rounded[1]) <= MAX_SIZE_DIGITS else None


def _by_uid(responses: Iterable[Untagged], asked: UidSet) -> dict[int, dict[str, TokenValue]]:
    """The items of each message that was asked for.

    A message may be reported several times: servers send changed flags on their own. A later value
    replaces an earlier one, unless it is NIL.
    """
    items_of: dict[int, dict[str, TokenValue]] = {}
    numbers = set(asked)
    for response in responses:
        if not isinstance(response, Fetch):
            continue
        uid = number(response.items.get("UID"))
        if uid not in numbers:
            continue
        known = items_of.get(uid)
        if known is None:
            items_of[uid] = response.items
            continue
        for name, value in response.items.items():
            if value is not None or name not in known:
                known[name] = value
    return items_of


def _flags(items: dict[str, TokenValue]) -> frozenset[str]:
    flags = items.get("FLAGS")
    if not flags or not isinstance(flags, tuple):
        return _NO_FLAGS
    return frozenset(flag.decode("utf-8", "replace") for flag in flags if isinstance(flag, bytes))


_NO_FLAGS: frozenset[str] = frozenset()


def _received_at(items: dict[str, TokenValue]) -> float | None:
    date = items.get("INTERNALDATE")
    return internal_date(date) if isinstance(date, bytes) else None


# INTERNALDATE: when the server received a message (RFC 3501, section 9, ``date-time``).

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov")
_MONTH = {name: index for index, name in enumerate((*_MONTHS, b"dec"), start=1)}
_DATE_TIME = re.compile(
    rb"[ \t]*([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})[ \t]+"
    rb"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[ \t]+([+-])([0-9]{2})([0-9]{2}))?[ \t]*"
)


def write_internal_date(seconds: float) -> bytes:
    """An instant, in seconds since 1970 UTC, as ``date-time`` without its quotes."""
    when = utc_datetime(seconds)
    month = [*_MONTHS, b"dec"][when.month - 1].title()
    clock = f"{when:%H:%M:%S}".encode("ascii")
    return b"%02d-%s-%04d %s +0000" % (when.day, month, when.year, clock)


@lru_cache(2_048)  # a date comes with the summary and with the body
def internal_date(raw: bytes) -> float | None:
    """Seconds since 1970 UTC, or ``None`` for anything but a date; a missing zone counts as UTC.

    Servers send ``00-Jan-0000``, which is not a reason to lose a message.
    """
    match = _DATE_TIME.fullmatch(raw)
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime(
            int(year),
            _MONTH.get(month.lower(), 0),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # A leap second has no datetime.
            tzinfo=timezone(-offset if sign == b"-" else offset),
        )
        return local.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
