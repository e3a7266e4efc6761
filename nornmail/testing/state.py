"""What all connections of one server share."""

from __future__ import annotations

import ssl
import threading

from nornmail.testing.accounts import Account
from nornmail.testing.certificates import server_context
from nornmail.testing.changes import Changes
from nornmail.testing.faults import FaultPlan
from nornmail.testing.imap.idle import Idler
from nornmail.testing.transcript import Transcript

ALL_CAPABILITIES = frozenset(
    {
        "IMAP4rev1",
        "AUTH=PLAIN",
        "ESEARCH",
        "ID",
        "IDLE",
        "LITERAL+",
        "MOVE",
        "NAMESPACE",
        "SASL-IR",
        "UIDPLUS",
        "UNSELECT",
    }
)
"""What a server has until a test takes some away; STARTTLS is added where it is offered."""

_BEFORE_LOGIN = frozenset({"STARTTLS", "LOGINDISABLED", "SASL-IR"})
"""Capabilities that mean nothing any more once somebody is logged in; AUTH= too."""


class ServerState:
    """Accounts, capabilities, faults and counters. ``lock`` guards the counters and the lists.

    ``idling`` guards ``idlers``, the sessions in IDLE, and is notified when there is another one.
    ``changes`` is told of whatever a test may wait for; every line of the transcript tells it.
    """

    def __init__(self, *, tls: bool, starttls: bool) -> None:
        self._offers_tls = tls or starttls
        self.capabilities = set(ALL_CAPABILITIES) | ({"STARTTLS"} if starttls else set())
        self.faults = FaultPlan()
        self.changes = Changes()
        self.transcript = Transcript(self.changes.announce)
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.idling = threading.Condition()
        self.idlers: set[Idler] = set()
        self.accounts: dict[str, Account] = {}
        self.read_only_mailboxes: set[str] = set()
        self.commands: list[bytes] = []
        self.errors: list[Exception] = []
        self.logins = 0

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What TLS is done with on IMAP, made when it is needed; None where none is offered."""
        return server_context() if self._offers_tls else None

    def account(self, user: str | None) -> Account:
        """The user's account; with None the only one.

        Raises:
            KeyError: there is no such user.
            ValueError: None, and the server has no user or several.
        """
        if user is not None:
            return self.accounts[user]
        if len(self.accounts) != 1:
            raise ValueError(f"name the user: the server has {len(self.accounts)}")
        return next(iter(self.accounts.values()))

    def check_password(self, user: str, password: str) -> Account | None:
        """The account when user and password are right; the login is counted."""
        account = self.accounts.get(user)
        if account is None or account.password != password:
            return None
        with self.lock:
            self.logins += 1
        return account

    def check_token(self, user: str, token: str) -> Account | None:
        """The account when the token is one of its; the login is counted."""
        account = self.accounts.get(user)
        if account is None or token not in account.tokens:
            return None
        with self.lock:
            self.logins += 1
        return account


def shown_capabilities(held: frozenset[str], *, logged_in: bool) -> bytes:
    """The capability list of the wire, IMAP4rev1 first."""
    shown = sorted(held - {"IMAP4rev1"})
    if logged_in:
        shown = [
            name for name in shown if name not in _BEFORE_LOGIN and not name.startswith("AUTH=")
        ]
    return " ".join(["IMAP4rev1"] * ("IMAP4rev1" in held) + shown).encode("ascii")
