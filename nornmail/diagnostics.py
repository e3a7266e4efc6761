"""The steps of ``nornmail check``: mailbox, state store and SMTP server, tested one by one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields

from nornmail.compose.addresses import sender_of
from nornmail.errors import ConfigurationError, StoreError
from nornmail.imap.diagnose import diagnose_imap
from nornmail.imap.results import Selected
from nornmail.message.message import parse_message
from nornmail.model import Inbox, MailboxKey, MailboxRecord
from nornmail.net.diagnose import Check
from nornmail.net.oauth import OAuthTokens, TokenRecord
from nornmail.net.tls import is_loopback
from nornmail.poller.decisions import FIRST_RUN_LIMIT
from nornmail.poller.inboxes import addressed_to, route
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import UNKNOWN_LOGIN, describe, password_hint, provider_of
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.diagnose import diagnose_smtp
from nornmail.stores import open_view, store_exists

PREFIXES = ("IMAP_", "SMTP_", "EMAIL_", "NORNMAIL_", "INBOUND_", "OUTBOUND_", "GLOBAL_SEND_")
"""Beginnings of the settings' names."""
_VARIABLES = frozenset(
    {field.metadata["env"] for cls in (ImapSettings, SmtpSettings) for field in fields(cls)}
    | {"EMAIL_PRESET", "EMAIL_PROVIDER", "EMAIL_DOMAIN"}
    | {"NORNMAIL_OAUTH_FILE", "NORNMAIL_STATE", "NORNMAIL_BIND", "NORNMAIL_API_TOKEN"}
    | {"NORNMAIL_WEBHOOK_SECRET"}
)
"""The settings of the library, ``nornmail serve`` and the command line."""
SIMILAR = 0.8
"""The likeness of two names, from 0 to 1, above which one counts as a misspelling of the other."""
MORE_SIMILAR = 0.88
"""The same for a name that does not begin as ours do, as ``SMPT_HOST``: it may be another's."""
NEWEST = 20
"""Messages whose recipients are compared with the inboxes."""
SHOWN_ADDRESSES = 10
"""Addresses that are named when none of them belongs to an inbox."""


def diagnose(imap: ImapSettings, smtp: SmtpSettings | None, state: str) -> Iterator[Check]:
    """Test the mailbox, the state store, and the SMTP server.

    Nothing is delivered or changed, in the mailbox or in the store, and no store is created.

    Args:
        imap: the mailbox.
        smtp: the SMTP server; ``None`` leaves it out.
        state: the path of the state store.
    """
    provider = provider_of(imap.host, imap.port)
    if provider.title:
        yield Check("provider", True, f"{provider.title}: {describe(provider)}")
    store = _StoreCheck(state, MailboxKey(imap.account, imap.mailbox))
    store_step = store.step()
    reached = yield from diagnose_imap(imap, newest=NEWEST if store.inboxes else 0)
    yield store_step
    if reached is not None and store.is_known:
        yield _first_run(imap, reached.selected, store.record, answers=smtp is not None)
        if store.inboxes:
            yield _inboxes(store.inboxes, reached.newest)
    if smtp is not None:
        yield from diagnose_smtp(smtp)


def diagnose_settings(
    imap: ImapSettings, smtp: SmtpSettings | None, names: Iterable[str]
) -> Iterator[Check]:
    """Check what a start would find wrong with the settings, without a connection.

    Args:
        imap: the mailbox.
        smtp: the SMTP server; ``None`` where none is set.
        names: the variables that are set, for those that are misspelt.
    """
    known = _VARIABLES
    for name in sorted(set(names) - known):
        is_ours = name.upper().startswith(PREFIXES)
        likeness = SIMILAR if is_ours else MORE_SIMILAR
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=likeness)
        if near:
            detail = f"{name} is not a setting and is ignored"
            yield Check("settings", not is_ours, detail, f"did you mean {near[0]}?")
    for service, settings in (("IMAP", imap), ("SMTP", smtp)):
        if settings is not None:
            yield from _port(service, settings)
            yield from _login(service, settings)
    if smtp is not None:
        try:
            yield Check("SMTP sender", True, str(sender_of(smtp)))
        except ConfigurationError as error:
            yield Check("SMTP sender", False, str(error))


def _port(service: str, settings: ImapSettings | SmtpSettings) -> Iterator[Check]:
    """Whether the port is one of the service, and begins as the settings say."""
    if isinstance(settings, ImapSettings):
        begins_with_tls, usual = settings.use_ssl, "993, or 143 for a plain port"
    else:
        begins_with_tls, usual = settings.implicit_tls, "587, or 465"
    other = _OTHER_PORTS[service].get(settings.port)
    advice = _MISFITS.get((settings.port, begins_with_tls))
    if other:
        detail = f"{service}_PORT={settings.port} is usually the port of {other}"
        yield Check(f"{service} port", True, detail, f"set {service}_PORT to {usual}")
    elif advice:
        begins = "with TLS" if settings.port in (993, 465) else "in plain text"
        detail = f"port {settings.port} usually begins {begins}, and the settings say otherwise"
        yield Check(f"{service} port", True, detail, advice)


_OTHER_PORTS = {
    "IMAP": {25: "SMTP", 465: "SMTP", 587: "SMTP", 110: "POP3", 995: "POP3"},
    "SMTP": {143: "IMAP", 993: "IMAP", 110: "POP3", 995: "POP3", 25: "mail between servers"},
}
"""Ports that belong to another service."""
_MISFITS = {
    (143, True): "set IMAP_PORT=993, or IMAP_USE_SSL=false and IMAP_STARTTLS=true",
    (993, False): "set IMAP_USE_SSL=true, or IMAP_PORT=143",
    (587, True): "leave SMTP_USE_SSL out, or set SMTP_PORT=465",
    (465, False): "leave SMTP_USE_SSL out, or set SMTP_PORT=587",
}
"""Advice where a port and TLS from the first octet do not fit."""


def _login(service: str, settings: ImapSettings | SmtpSettings) -> Iterator[Check]:
    """Whether a login can be tried, and where its password is visible."""
    if settings.username and settings.password is None and settings.token is None:
        detail = f"{service}_PASSWORD is missing, and {service}_USERNAME is set"
        hint = password_hint(provider_of(settings.host, settings.port))
        advice = f"set {service}_PASSWORD" if hint == UNKNOWN_LOGIN else hint
        yield Check(f"{service} login", False, detail, advice.replace("IMAP_", f"{service}_"))
    if isinstance(settings.token, OAuthTokens):
        yield _token(service, settings.token.record())
    if isinstance(settings, ImapSettings):
        is_clear, remedy = not (settings.use_ssl or settings.starttls), "IMAP_USE_SSL=true"
    else:
        is_clear, remedy = not settings.use_tls, "SMTP_USE_TLS=true"
    has_secret = settings.password is not None or settings.token is not None
    if is_clear and has_secret and not is_loopback(settings.host):
        secret = "token" if settings.password is None else "password"
        detail = f"the {service} {secret} crosses the network unencrypted to {settings.host}"
        yield Check(f"{service} security", True, detail, f"set {remedy}")


def _token(service: str, record: TokenRecord) -> Check:
    """Whether the token file has what the login needs."""
    if record.missing_scopes:
        detail = f"the scope {', '.join(record.missing_scopes)} was not granted"
        return Check(f"{service} token", False, detail, f"consent to it: run `{record.login}`")
    scopes = record.granted or record.scopes or "the provider's own"
    return Check(f"{service} token", True, f"for {record.account}, with the scopes {scopes}")


class _StoreCheck:
    """A check of the state store, which is not created.

    Attributes:
        is_known: whether the store could be read, or is still to be created.
        record: the mailbox's; ``None`` before its first run.
        inboxes: those that the control interface created.
    """

    def __init__(self, state: str, mailbox: MailboxKey) -> None:
        self._state = state
        self._mailbox = mailbox
        self.is_known = False
        self.record: MailboxRecord | None = None
        self.inboxes: list[Inbox] = []

    def step(self) -> Check:
        name = "state store"
        try:
            if store_exists(self._state):
                return Check(name, True, self._read())
            advice = self._why_not_writable()
            self.is_known = not advice
            finding = "will be created at the first start"
            if advice:
                finding = "does not exist and cannot be created"
            return Check(name, not advice, f"{self._state} {finding}", advice)
        except StoreError as error:
            return Check(name, False, str(error))

    def _read(self) -> str:
        with closing(open_view(self._state)) as store:
            self.record = store.load(self._mailbox)
            self.inboxes = [Inbox(inbox.address) for inbox in store.inboxes(self._mailbox)]
        self.is_known = True
        known = "already has" if self.record else "does not have"
        return f"{self._state} {known} {self._mailbox}"

    def _why_not_writable(self) -> str:
        """Advice where a store cannot be created; ``""`` where it can."""
        directory = os.path.dirname(os.path.abspath(self._state))
        if not os.path.isdir(directory):
            return f"create the directory {directory}, or set NORNMAIL_STATE"
        if not os.access(directory, os.W_OK | os.X_OK):
            return f"let this user write to {directory}, or set NORNMAIL_STATE"
        return ""


def _first_run(
    imap: ImapSettings, selected: Selected, record: MailboxRecord | None, *, answers: bool
) -> Check:
    name = "first run"
    if record is not None:
        return Check(name, True, "already done: mail is delivered as it arrives")
    count = selected.exists
    if imap.start_from is None and count > FIRST_RUN_LIMIT:
        finding = (
            f"{count:,} messages are in {selected.mailbox}, more than {FIRST_RUN_LIMIT:,}; none "
            "will be delivered before you decide"
        )
        return Check(name, False, finding, "set IMAP_START_FROM to all, to new, or to a date")
    existing = f"{count:,} existing message{'s' * (count != 1)} will be"
    if imap.start_from == "new":
        return Check(name, True, f"{existing} passed over")
    since = "" if imap.start_from in (None, "all") else f", those since {imap.start_from}"
    read = " and marked as read" if imap.mark_as_read else ""
    finding = f"{existing} delivered{read}{since}"
    if count and imap.start_from is None:
        finding += "; IMAP_START_FROM=new leaves existing mail alone"
        if answers:
            finding += ", and a program that answers mail does not start without a choice"
    return Check(name, True, finding)


def _inboxes(inboxes: list[Inbox], newest: Sequence[bytes]) -> Check:
    """Whether the newest messages are addressed to an inbox."""
    name = "inboxes"
    known = _some([inbox.address for inbox in inboxes])
    if not newest:
        return Check(name, True, f"{known}; the mailbox is still empty")
    messages = [parse_message(header) for header in newest]
    count = sum(bool(route(message, inboxes)) for message in messages)
    if count:
        return Check(name, True, f"{count} of the newest {len(newest)} messages are for {known}")
    addresses = dict.fromkeys(to for message in messages for to in addressed_to(message))
    seen = _some(list(addresses))
    finding = f"none of the newest {len(newest)} messages is for {known}; they are to {seen}"
    return Check(name, False, finding, "write to the address of an inbox, or create one for these")


def _some(addresses: list[str]) -> str:
    more = ", ..." if len(addresses) > SHOWN_ADDRESSES else ""
    return (", ".join(addresses[:SHOWN_ADDRESSES]) or "no address") + more
