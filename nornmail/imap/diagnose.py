"""The steps to a mailbox, one by one, each with what to do when it fails."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from nornmail.clock import SystemClock
from nornmail.errors import CommandRefused, NornmailError, Throttled
from nornmail.imap.connection import Connection
from nornmail.imap.limits import Limits, plain_budget
from nornmail.imap.login import log_in, secure
from nornmail.imap.results import Selected
from nornmail.imap.translate import Redactor, scrubber
from nornmail.imap.transport import tls_context
from nornmail.imap.wire import Wire
from nornmail.net.diagnose import PATIENCE, Port, Step, reach, speaks_tls
from nornmail.net.sasl import ask_token
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet

SHOWN_MAILBOXES = 20
"""Mailboxes that are named when the one that is wanted is not there."""

_PLAIN_ADVICE = (
    "set IMAP_USE_SSL=false and IMAP_STARTTLS=true for a plain port that is upgraded, or "
    "IMAP_PORT to the port for TLS, which is mostly 993"
)
_TLS_ADVICE = "set IMAP_USE_SSL=true: the port speaks TLS from the first octet"


@dataclass(frozen=True, slots=True)
class Reached:
    """A mailbox that was reached.

    Attributes:
        selected: as it was selected.
        newest: the header blocks of its newest messages, as far as they were asked for.
    """

    selected: Selected
    newest: tuple[bytes, ...] = ()


def diagnose_imap(
    settings: ImapSettings, *, newest: int = 0
) -> Generator[Step, None, Reached | None]:
    """Go the way to the mailbox: name, TCP, TLS, greeting, login, mailbox, capabilities.

    Nothing in the mailbox is changed. The way ends with the first step that fails.

    Args:
        settings: the mailbox.
        newest: of so many messages the headers are read, the newest ones.

    Returns:
        The mailbox, ``None`` when it was not reached.
    """
    port = Port(
        protocol="IMAP",
        host=settings.host,
        port=settings.port,
        ca_file=settings.ca_file,
        seconds=min(settings.timeout, PATIENCE),
        plain_advice=_PLAIN_ADVICE,
        tls_advice=_TLS_ADVICE,
    )
    if not (yield from reach(port, tls=settings.use_ssl)):
        return None
    return (yield from _Probe(settings, port, newest).steps())


class _Probe:
    """What one probe knows: the connection as far as it has come."""

    def __init__(self, settings: ImapSettings, port: Port, newest: int) -> None:
        self._settings = settings
        self._newest = newest
        self._port = port
        self._limits = Limits()
        self._budget = plain_budget(self._limits, port.seconds)
        self._scrub: Redactor = scrubber(settings.username or "", settings.password or "")

    def steps(self) -> Generator[Step, None, Reached | None]:
        try:
            wire = self._greeted()
        except NornmailError as error:
            yield Step("IMAP greeting", False, *self._no_greeting(error))
            return None
        with ExitStack() as stack:
            stack.callback(wire.shutdown)
            greeting = self._scrub(wire.greeting.text) if wire.greeting else ""
            yield Step("IMAP greeting", True, greeting or "an IMAP server answers")
            connection = yield from self._entered(wire)
            if connection is None:
                return None
            stack.callback(connection.close)
            found = yield from self._mailbox(connection)
            if found is None:
                return None
            said = capabilities_told(connection.capabilities, self._settings)
            yield Step("IMAP capabilities", True, said)
            return Reached(found, self._headers(connection) if found.exists else ())

    def _greeted(self) -> Wire:
        settings = self._settings
        return Wire(
            settings.host,
            settings.port,
            context=tls_context(settings.ca_file) if settings.use_ssl else None,
            clock=SystemClock(),
            limits=self._limits,
            budget=self._budget,
            scrub=self._scrub,
        )

    def _no_greeting(self, error: NornmailError) -> tuple[str, str]:
        if not self._settings.use_ssl and speaks_tls(self._port):
            return "the server does not greet in plain text", self._port.tls_advice
        if isinstance(error, Throttled):
            return str(error), _login_advice(error)
        return str(error), "see what listens on IMAP_PORT"

    def _entered(self, wire: Wire) -> Generator[Step, None, Connection | None]:
        """STARTTLS where the settings demand it, and the login."""
        settings = self._settings
        name = "IMAP STARTTLS" if settings.starttls else "IMAP login"
        try:
            secure(wire, settings, self._budget)
            if settings.starttls:
                yield Step(name, True, "the connection goes on inside TLS")
            name = "IMAP login"
            token = None if settings.token is None else ask_token(settings.token, self._scrub.hide)
            connection = Connection(wire, settings, limits=self._limits, scrub=self._scrub)
            connection.capabilities = log_in(wire, settings, self._budget, self._scrub, token)
            connection.identify()
        except NornmailError as error:
            yield Step(name, False, str(error), _login_advice(error))
            return None
        yield Step(name, True, f"as {settings.username}" if settings.username else "by PREAUTH")
        return connection

    def _mailbox(self, connection: Connection) -> Generator[Step, None, Selected | None]:
        wanted = self._settings.mailbox
        name = "IMAP mailbox"
        try:
            found = connection.select(wanted)
            said = f"{wanted} has {found.exists:,} messages"
            if found.read_only and self._changes_mail():
                advice = "another account, IMAP_MARK_AS_READ=false, or more rights on the server"
                yield Step(name, False, f"{wanted} is read-only", advice)
                return None
            yield Step(name, True, said + self._destination(connection))
            return found
        except CommandRefused as refused:
            yield Step(name, False, str(refused), self._mailbox_advice(connection))
        except NornmailError as error:
            yield Step(name, False, str(error), _login_advice(error))
        return None

    def _headers(self, connection: Connection) -> tuple[bytes, ...]:
        """Of the newest messages; what cannot be had is left out."""
        if not self._newest:
            return ()
        with suppress(NornmailError):  # every step went well: it is no reason to fail
            uids = UidSet.of(list(connection.list_uids())[-self._newest :])
            found = connection.headers(uids)
            return tuple(body.raw for _, body in sorted(found.items()) if body.raw)
        return ()

    def _changes_mail(self) -> bool:
        settings = self._settings
        return settings.mark_as_read or settings.delete_after_fetch or bool(settings.move_to)

    def _destination(self, connection: Connection) -> str:
        """What is to be said of the mailbox that handled mail is moved to."""
        target = self._settings.move_to
        if target is None:
            return ""
        there = target in connection.mailboxes()
        return f"; handled mail is moved to {target}" + ("" if there else ", which will be made")

    def _mailbox_advice(self, connection: Connection) -> str:
        try:
            names = connection.mailboxes()
        except NornmailError:  # that it is not there was said already
            names = []
        shown = ", ".join(names[:SHOWN_MAILBOXES]) + ", ..." * (len(names) > SHOWN_MAILBOXES)
        return "set IMAP_MAILBOX to one that there is" + (f": {shown}" if names else "")


def _login_advice(error: NornmailError) -> str:
    if isinstance(error, Throttled):
        return "the settings are not in doubt: wait, and close other programs on this account"
    return ""  # what else goes wrong here says itself what to check


def capabilities_told(capabilities: frozenset[str], settings: ImapSettings) -> str:
    """What the server can do of what is of use, and what it means where it cannot."""
    without = {
        "IDLE": f"new mail is seen within {settings.poll_interval:g} s, when it is looked for",
        "UIDPLUS": "mail that is to be removed can only be flagged as deleted",
        "MOVE": "mail is moved by copying it and removing the original",
    }
    there = [name for name in without if name in capabilities]
    missing = [f"no {name}: {means}" for name, means in without.items() if name not in capabilities]
    return "; ".join([", ".join(there), *missing] if there else missing)
