"""The checks on the way to a mailbox, one by one, each with advice when it fails."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from nornmail.clock import SystemClock
from nornmail.errors import AuthenticationFailed, CommandRefused, NornmailError, Throttled
from nornmail.imap.connection import Connection
from nornmail.imap.limits import Limits, plain_budget
from nornmail.imap.login import log_in, start_tls
from nornmail.imap.results import Selected
from nornmail.imap.wire import GREETING_ADVICE, Wire, endpoint_of
from nornmail.net.diagnose import CHECK_SECONDS, Check, check_connectivity, speaks_tls
from nornmail.net.redact import Redactor
from nornmail.net.sasl import ask_token, secret_forms
from nornmail.net.tls import Abort
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet

SHOWN_MAILBOXES = 20
"""Mailboxes that are named when the configured one does not exist."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A mailbox that was reached.

    Attributes:
        newest: the header blocks of its newest messages, as far as they were asked for.
    """

    selected: Selected
    newest: tuple[bytes, ...] = ()


def diagnose_imap(
    settings: ImapSettings, *, newest: int = 0
) -> Generator[Check, None, Reached | None]:
    """Check the way to the mailbox: name, TCP, TLS, greeting, login, mailbox, capabilities.

    Nothing in the mailbox is changed. The first check that fails is the last one.
    """
    seconds = min(settings.timeout, CHECK_SECONDS)
    if not (yield from check_connectivity(endpoint_of(settings), seconds, tls=settings.use_ssl)):
        return None
    return (yield from _Diagnosis(settings, seconds, newest).checks())


class _Diagnosis:
    """The checks from the greeting to the mailbox, over one connection."""

    def __init__(self, settings: ImapSettings, seconds: float, newest: int) -> None:
        self._settings = settings
        self._newest = newest
        self._endpoint = endpoint_of(settings)
        self._seconds = seconds
        self._limits = Limits()
        self._budget = plain_budget(self._limits, seconds)
        self._redact = Redactor(*secret_forms(settings.username or "", settings.password or ""))

    def checks(self) -> Generator[Check, None, Reached | None]:
        try:
            wire = self._greeted()
        except NornmailError as error:
            yield Check("IMAP greeting", False, *self._no_greeting(error))
            return None
        with ExitStack() as stack:
            stack.callback(wire.shutdown)
            greeting = self._redact(wire.greeting.text) if wire.greeting else ""
            yield Check("IMAP greeting", True, greeting or "an IMAP server answers")
            connection = yield from self._entered(wire)
            if connection is None:
                return None
            stack.callback(connection.close)
            selected = yield from self._mailbox(connection)
            if selected is None:
                return None
            detail = capabilities_detail(connection.capabilities, self._settings)
            yield Check("IMAP capabilities", True, detail)
            return Reached(selected, self._headers(connection) if selected.exists else ())

    def _greeted(self) -> Wire:
        settings = self._settings
        return Wire(
            self._endpoint,
            context=self._endpoint.context() if settings.use_ssl else None,
            clock=SystemClock(),
            limits=self._limits,
            budget=self._budget,
            redact=self._redact,
        )

    def _no_greeting(self, error: NornmailError) -> tuple[str, str]:
        if not self._settings.use_ssl and speaks_tls(self._endpoint, self._seconds):
            return "the server does not greet in plain text", self._endpoint.tls_advice
        if isinstance(error, Throttled):
            return str(error), _login_advice(error)
        for problem, advice in GREETING_ADVICE.items():
            if str(error).startswith(problem):
                return problem, advice
        return str(error), "check which program listens on IMAP_PORT"

    def _entered(self, wire: Wire) -> Generator[Check, None, Connection | None]:
        """STARTTLS where the settings demand it, and the login."""
        settings = self._settings
        name = "IMAP STARTTLS" if settings.starttls else "IMAP login"
        try:
            start_tls(wire, settings, self._budget)
            if settings.starttls:
                yield Check(name, True, "the connection continues inside TLS")
            name = "IMAP login"
            abort, token = Abort(), None
            if settings.token is not None:
                token = ask_token(settings.token, self._redact.hide, abort)
            connection = Connection(wire, settings, limits=self._limits, redact=self._redact)
            connection.enter(log_in(wire, settings, self._budget, self._redact, token, abort))
        except NornmailError as error:
            detail, advice = str(error), _login_advice(error)
            if isinstance(error, AuthenticationFailed) and "; " in detail:
                detail, _, advice = detail.rpartition("; ")  # the hint ends it
            yield Check(name, False, detail, advice)
            return None
        yield Check(name, True, f"as {settings.username}" if settings.username else "by PREAUTH")
        return connection

    def _mailbox(self, connection: Connection) -> Generator[Check, None, Selected | None]:
        mailbox = self._settings.mailbox
        name = "IMAP mailbox"
        try:
            selected = connection.select(mailbox)
            if selected.read_only and self._changes_mail():
                advice = "another account, IMAP_MARK_AS_READ=false, or more rights on the server"
                yield Check(name, False, f"{mailbox} is read-only", advice)
                return None
            detail = f"{mailbox} has {selected.exists:,} message{'s' * (selected.exists != 1)}"
            yield Check(name, True, detail + self._destination(connection))
            return selected
        except CommandRefused as refused:
            yield Check(name, False, str(refused), self._mailbox_advice(connection))
        except NornmailError as error:
            yield Check(name, False, str(error), _login_advice(error))
        return None

    def _headers(self, connection: Connection) -> tuple[bytes, ...]:
        """Header blocks of the newest messages, as far as they can be read."""
        if not self._newest:
            return ()
        with suppress(NornmailError):  # every check went well: this is not a reason to fail
            uids = UidSet.of(list(connection.list_uids())[-self._newest :])
            headers = connection.headers(uids)
            return tuple(body.raw for _, body in sorted(headers.items()) if body.raw)
        return ()

    def _changes_mail(self) -> bool:
        settings = self._settings
        return settings.mark_as_read or settings.delete_after_fetch or bool(settings.move_to)

    def _destination(self, connection: Connection) -> str:
        """The end of the detail: the mailbox that handled mail is moved to."""
        target = self._settings.move_to
        if target is None:
            return ""
        exists = target in connection.mailboxes()
        return f"; handled mail is moved to {target}" + ("" if exists else ", which will be made")

    def _mailbox_advice(self, connection: Connection) -> str:
        try:
            names = connection.mailboxes()
        except NornmailError:  # that it is missing was reported already
            names = []
        shown = ", ".join(names[:SHOWN_MAILBOXES]) + ", ..." * (len(names) > SHOWN_MAILBOXES)
        return "set IMAP_MAILBOX to one that exists" + (f": {shown}" if names else "")


def _login_advice(error: NornmailError) -> str:
    if isinstance(error, Throttled) and error.kind == "account":
        return (
            "the login succeeded, but the account has no mailbox: IMAP is switched off for it, it "
            "has no licence, or IMAP_USERNAME is another one"
        )
    if isinstance(error, Throttled):
        return "the settings may be right: wait, and close other programs on this account"
    return ""  # what else goes wrong here says itself what to check


def capabilities_detail(capabilities: frozenset[str], settings: ImapSettings) -> str:
    """The useful capabilities, and what it means where one is missing."""
    without = {
        "IDLE": f"new mail is seen within {settings.poll_interval:g} s, when it is looked for",
        "UIDPLUS": "mail that is to be removed can only be flagged as deleted",
        "MOVE": "mail is moved by copying it and removing the original",
    }
    present = [name for name in without if name in capabilities]
    missing = [f"no {name}: {means}" for name, means in without.items() if name not in capabilities]
    return "; ".join([", ".join(present), *missing] if present else missing)
