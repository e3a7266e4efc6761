"""The state that all connections of one server share."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from nornmail.testing.accounts import Account, Credentials, UnknownName
from nornmail.testing.connection import Transcript
from nornmail.testing.fault_plan import AnyFault, Fault, FaultPlan
from nornmail.testing.imap.faults import ConnectionLimit, HideUid
from nornmail.testing.mailbox import Mailbox
from nornmail.testing.vendors import PLAIN, Profile

T = TypeVar("T")

_FOLDER = Path(__file__).parent / "tls"

CA_FILE = str(_FOLDER / "test-only-ca.pem")
"""The authority behind the test servers' certificate. Its use outside a test is a mistake."""

CERTIFICATE_FILES = (
    str(_FOLDER / "test-only-server.pem"),
    str(_FOLDER / "test-only-server-key.pem"),
)
"""Certificate and key for localhost, 127.0.0.1 and ::1. The key is public."""

CertificateKind = Literal["good", "expired", "other_name", "self_signed"]
"""``expired`` ended in 2021; ``other_name`` is for other.example; ``self_signed`` has the right
names, and no authority behind it."""

_FILES: dict[CertificateKind, str] = {
    "good": CERTIFICATE_FILES[0],
    "expired": str(_FOLDER / "test-only-expired.pem"),
    "other_name": str(_FOLDER / "test-only-other-name.pem"),
    "self_signed": str(_FOLDER / "test-only-self-signed.pem"),
}


@lru_cache
def server_context(kind: CertificateKind = "good") -> ssl.SSLContext:
    """A server's TLS context with this certificate: made when it is first asked for, and shared."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_FILES[kind], CERTIFICATE_FILES[1])
    return context


class Changes:
    """Counts changes of the server, and wakes the tests that wait for one. Thread-safe.

    `announce` takes no other lock than its own, so it may be called while others are held; a
    predicate is evaluated with none.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """The number of them so far."""
        return self._count

    def announce(self) -> None:
        """Count a change and wake all waits."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for(self, predicate: Callable[[], T], seconds: float) -> T:
        """The first true value of ``predicate``, or its last false one after ``seconds``.

        It is asked now, and again after each change.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._condition:
                seen = self._count
            value = predicate()
            if value:
                return value
            with self._condition:
                left = deadline - time.monotonic()
                if not self._condition.wait_for(lambda seen=seen: self._count != seen, left):  # type: ignore[misc]
                    return value


class Idler:
    """A session in IDLE, as the other threads see it: they ring, and may leave octets to send."""

    def __init__(self) -> None:
        # A pair of sockets, since the session waits for its client's socket at the same time.
        self.bell, self._rope = socket.socketpair()
        self.bell.setblocking(False)
        self._rope.setblocking(False)
        self._words: list[bytes] = []

    def ring(self) -> None:
        """There is news."""
        try:
            self._rope.send(b"!")
        except BlockingIOError:
            return  # it rings already, and loudly

    def say(self, words: bytes) -> None:
        """Leave octets that are sent as they are."""
        self._words.append(words)
        self.ring()

    def hear(self) -> bytes:
        """Silence the bell, and return the octets that were left."""
        try:
            while self.bell.recv(4096):
                continue
        except BlockingIOError:
            words, self._words[:] = b"".join(self._words), []
            return words
        raise RuntimeError("the bell was closed while the session was in IDLE")

    def close(self) -> None:
        """Close the pair of sockets."""
        self.bell.close()
        self._rope.close()


ALL_CAPABILITIES = frozenset(
    {
        *("IMAP4rev1", "AUTH=PLAIN", "CHILDREN", "CONDSTORE", "ENABLE", "ESEARCH", "ID", "IDLE"),
        *("LITERAL+", "MOVE", "NAMESPACE", "SASL-IR", "SPECIAL-USE", "UIDPLUS", "UNSELECT"),
    }
)
"""The capabilities of a new server; STARTTLS is added where it is offered."""

_FOR_LOGIN = frozenset({"STARTTLS", "LOGINDISABLED", "SASL-IR"})
"""Capabilities that mean nothing after the login; AUTH= as well."""


class ServerState:
    """Accounts, capabilities, faults and counters. ``lock`` guards the counters and the lists.

    ``live`` is how many connections are open.

    ``idling`` guards ``idlers``, the sessions in IDLE, and is notified when there is another one.
    ``changes`` counts everything that a test may wait for, each line of the transcript included.
    """

    def __init__(self, *, tls: bool, starttls: bool, profile: Profile = PLAIN) -> None:
        self._offers_tls = tls or starttls
        self._offered = {"STARTTLS"} if starttls else set[str]()
        self.profile = profile
        self.changes = Changes()
        self.faults = FaultPlan(self.changes.announce)
        self._quirks = FaultPlan()
        self._quirks.add(*profile.quirks)
        self.transcript = Transcript(self.changes.announce)
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.idling = threading.Condition()
        self.idlers: set[Idler] = set()
        self.live = 0
        self.reset()

    def reset(self) -> None:
        """Have the state of a new server; no connection may be open."""
        profile = self.profile
        self.capabilities = set(ALL_CAPABILITIES)
        if profile.before is not None and profile.after is not None:
            self.capabilities = set(profile.before | profile.after)
        self.capabilities |= self._offered
        self.faults.clear()
        self.transcript.clear()
        self.accounts: dict[str, Account] = {}
        self.read_only_mailboxes: set[str] = set()
        self.commands: list[bytes] = []
        self.errors: list[Exception] = []
        self.logins = 0
        self.changes.announce()

    def note_live(self, live: int) -> None:
        """Note how many IMAP connections are open; ``lock`` is held."""
        self.live = live

    def take(self, kind: type[AnyFault], matches: Callable[[AnyFault], bool]) -> list[AnyFault]:
        """The faults of this kind that fire now: the server's quirks, and what a test has added."""
        return [*self._quirks.take(kind, matches), *self.faults.take(kind, matches)]

    def holds(self, kind: type[Fault]) -> bool:
        """Whether a fault of this kind may fire, so that a large answer need not ask per line."""
        return self._quirks.holds(kind) or self.faults.holds(kind)

    def hides(self, uid: int, name: str) -> bool:
        """Whether a fault hides this message in the answer to this command, which uses it up."""
        return bool(self.take(HideUid, lambda fault: fault.hides(uid, name)))

    def over_limit(self, ways: Collection[str], live: int) -> ConnectionLimit | None:
        """The limit that so many connections pass, and that acts in one of these ways."""
        over = self.take(ConnectionLimit, lambda limit: limit.how in ways and live > limit.limit)
        return over[0] if over else None

    def shown_capabilities(self, held: frozenset[str], *, logged_in: bool) -> bytes:
        """The capability list of the wire, IMAP4rev1 first."""
        limits = self.profile.after if logged_in else self.profile.before
        shown = sorted(held - {"IMAP4rev1"})
        if limits is not None:
            shown = [name for name in shown if name in limits or name == "STARTTLS"]
        if logged_in:
            serves = limits or frozenset()
            shown = [name for name in shown if name in serves or not _serves_login(name)]
        return " ".join(["IMAP4rev1"] * ("IMAP4rev1" in held) + shown).encode("ascii")

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The TLS context of IMAP, made when it is needed; None where TLS is not offered."""
        return server_context() if self._offers_tls else None

    def account(self, user: str | None) -> Account:
        """The user's account; with None the only one."""
        names = ", ".join(self.accounts)
        there = f"the server has {len(self.accounts)}" + f": {names}" * bool(names)
        if user is not None:
            if user not in self.accounts:
                raise UnknownName(f"no user {user!r}; {there}. add_user() makes one")
            return self.accounts[user]
        if len(self.accounts) != 1:
            raise ValueError(f"name the user: {there}")
        return next(iter(self.accounts.values()))

    def mailbox(self, name: str, user: str | None) -> Mailbox:
        """The user's mailbox of this name."""
        account = self.account(user)
        box = account.named(name)
        if box is None:
            there = ", ".join(other.name for other in account.all())
            raise UnknownName(
                f"{account.user} has no mailbox {name!r}; there is {there}. "
                "create_mailbox() makes one"
            )
        return box

    def check_password(self, user: bytes, password: bytes) -> Account | None:
        """The account when user and password are right."""
        try:
            account = self.accounts.get(user.decode())
            return account if account and account.password == password.decode() else None
        except UnicodeDecodeError:
            return None  # no account has such a name or password

    def check_token(self, credentials: Credentials) -> Account | None:
        """The account when the token is one of this user's."""
        user, token = (part.decode("utf-8", "replace") for part in credentials or (b"", b""))
        account = self.accounts.get(user)
        if account is None or token not in account.tokens:
            return None
        account.used_tokens.add(token)
        return account


def _serves_login(capability: str) -> bool:
    return capability in _FOR_LOGIN or capability.startswith("AUTH=")
