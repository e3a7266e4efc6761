"""A mailbox without a server: what the poller asks of a connection, answered from a dictionary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from nornmail.imap.connection import Connection
from nornmail.imap.results import FetchedBody, Selected, Summary
from nornmail.uidset import UidSet

BODY = b"hello\r\n"


def mail(name: str, *, body: bytes = BODY, unique: bool = True) -> bytes:
    """A message; without an id and a date of its own unless it is unique."""
    own = f"Message-ID: <{name}@b.test>\r\nDate: Mon, 4 Jan 2027 10:00:00 +0000\r\n"
    return f"Subject: {name}\r\n{own if unique else ''}\r\n".encode() + body


def header(raw: bytes) -> bytes:
    return raw[: raw.find(b"\r\n\r\n") + 4]


@dataclass
class FakeMailbox:
    """Messages by UID, each with its arrival; and what was asked, in its order.

    Attributes:
        headers_of, bodies_of: what is answered for a UID in the place of the truth.
        fails: raised by the command of that name, as often as there are errors.
        hidden: what no listing shows.
        dates_later: arrivals that are left out of the answer with the headers.
        knows_sizes: whoever asks for bodies has to expect what they measure.
    """

    messages: dict[int, tuple[bytes, float | None]] = field(default_factory=dict)
    headers_of: dict[int, bytes | None] = field(default_factory=dict)
    bodies_of: dict[int, bytes | None] = field(default_factory=dict)
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    dates_later: dict[int, float] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    knows_sizes: bool = True
    exists_more: int = 0
    expunges: int = 0
    untagged_errors: int = 0

    @property
    def connection(self) -> Connection:
        """This, as the poller sees it."""
        return cast(Connection, self)

    @property
    def exists(self) -> int:
        return len(self.messages) + self.exists_more

    def selected(self, uid_validity: int | None = 7, uid_next: int | None = None) -> Selected:
        after = max(self.messages, default=0) + 1
        return Selected("INBOX", self.exists, uid_validity, uid_next or after, read_only=False)

    def _ask(self, command: str, uids: UidSet | str = "") -> None:
        self.asked.append((command, str(uids)))
        if self.fails.get(command):
            raise self.fails[command].pop(0)

    def noop(self) -> None:
        self._ask("noop")

    def list_uids(self) -> UidSet:
        self._ask("list")
        return UidSet.of(self.messages.keys() - self.hidden)

    def uids_from(self, uid: int) -> UidSet:
        self._ask("search", str(uid))
        return UidSet.of(one for one in self.messages.keys() - self.hidden if one >= uid)

    def headers(self, uids: UidSet, *, expected_octets: int = 0) -> dict[int, FetchedBody]:
        self._ask("headers", uids)
        return {
            uid: FetchedBody(
                uid, self.headers_of.get(uid, header(raw)), received_at=at, size=len(raw)
            )
            for uid, (raw, at) in self.messages.items()
            if uid in uids
        }

    def bodies(self, uids: UidSet, *, expected_octets: int) -> dict[int, FetchedBody]:
        self._ask("bodies", uids)
        chosen = {uid: message for uid, message in self.messages.items() if uid in uids}
        if self.knows_sizes:
            assert expected_octets == sum(len(raw) for raw, _ in chosen.values())
        return {
            uid: FetchedBody(uid, self.bodies_of.get(uid, raw), received_at=at)
            for uid, (raw, at) in chosen.items()
        }

    def summaries(self, uids: UidSet) -> dict[int, Summary]:
        self._ask("summaries", uids)
        return {
            uid: Summary(uid, len(raw), self.dates_later.get(uid, at), frozenset())
            for uid, (raw, at) in self.messages.items()
            if uid in uids
        }

    def received_before(self, uids: UidSet, instant: float) -> UidSet:
        self._ask("dates", uids)
        dates = {uid: at for uid, (_, at) in self.messages.items() if uid in uids}
        return UidSet.of(uid for uid, at in dates.items() if at is not None and at < instant)
