"""Logging in: which way the credentials go, what a refusal means, what the server can do after."""

from __future__ import annotations

import logging
import re

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
)
from nornmail.imap.commands import quote
from nornmail.imap.limits import Budget
from nornmail.imap.responses import Capability, Status, Tagged, capability_names
from nornmail.imap.translate import Scrubber, plain_message
from nornmail.imap.transport import is_loopback, tls_context
from nornmail.imap.wire import Reply, Wire
from nornmail.settings import ImapSettings

log = logging.getLogger("nornmail.imap")

TRANSIENT_CODES = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "OVERQUOTA", "SERVERBUG"})
"""Response codes (RFC 5530, RFC 9738) with which a good password is refused for now."""
_TRANSIENT_TEXT = re.compile(
    r"too many|simultaneous|throttl|try again later|temporar|unavailable|server busy|rate limit"
    r"|maximum number of connections",
    re.IGNORECASE,
)
"""What servers say without a code: Gmail's ``[ALERT] Too many simultaneous connections``,
Exchange's ``Request is throttled`` and ``Server Unavailable. 15``."""
_FINAL_CODES = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"}
)


def secure(wire: Wire, settings: ImapSettings, budget: Budget) -> None:
    """Upgrade to TLS where the settings demand it, before anything secret is sent.

    Raises:
        ConnectionLost: the server does not offer STARTTLS, or refuses it, or logged us in already
            (RFC 3501, 6.2.1 allows STARTTLS only before that).
    """
    logged_in = wire.greeting is not None and wire.greeting.status == "PREAUTH"
    if logged_in and settings.starttls:
        raise ConnectionLost(
            "the server says PREAUTH, which rules out the STARTTLS that IMAP_STARTTLS demands"
        )
    if logged_in and settings.username:
        raise ConnectionLost(
            "the server says PREAUTH: it takes us for somebody without asking for IMAP_USERNAME"
        )
    if not settings.starttls:
        return
    if "STARTTLS" not in wire.capabilities:
        raise ConnectionLost(
            "the server offers no STARTTLS, which IMAP_STARTTLS demands; nothing secret was sent"
        )
    wire.start_tls(tls_context(settings.ca_file), budget)


def log_in(wire: Wire, settings: ImapSettings, budget: Budget, scrub: Scrubber) -> frozenset[str]:
    """Authenticate, and learn what the server can do from then on.

    Returns:
        The capabilities, in upper case.

    Raises:
        AuthenticationFailed: the credentials were refused, or cannot be sent.
        CommandRefused: the server takes nobody for now.
        ConfigurationError: the credentials hold what cannot be sent.
    """
    if wire.greeting is not None and wire.greeting.status == "PREAUTH":
        return asked_capabilities(wire, budget, scrub)
    if not settings.username:
        raise AuthenticationFailed("IMAP_USERNAME is missing: the server wants a login")
    before = frozenset(wire.capabilities) or asked_capabilities(wire, budget, scrub)
    _warn_of_plain_text(wire, settings)
    reply = _send_credentials(wire, settings, before, budget)
    if reply.end.status != "OK":
        raise _refusal(reply.end, scrub)
    wire.state = "AUTH"
    return told_capabilities(reply) or asked_capabilities(wire, budget, scrub)


def told_capabilities(reply: Reply) -> frozenset[str]:
    """The capabilities in an answer, empty where there are none.

    Those of the code come last, and count: Proton's bridge sends an old untagged list before.
    """
    if reply.end.code == "CAPABILITY":
        return capability_names(reply.end.code_args)
    told: frozenset[str] = frozenset()
    for response in reply.untagged:
        if isinstance(response, Capability):
            told = response.names
        elif isinstance(response, Status) and response.code == "CAPABILITY":
            told = capability_names(response.code_args)
    return told


def asked_capabilities(wire: Wire, budget: Budget, scrub: Scrubber) -> frozenset[str]:
    """The capabilities, asked for.

    Raises:
        CommandRefused: the server refused to tell.
    """
    reply = wire.run("CAPABILITY", budget=budget)
    if reply.end.status != "OK":
        raise refused("CAPABILITY", reply.end, scrub)
    return told_capabilities(reply)


def refused(command: str, end: Tagged, scrub: Scrubber) -> CommandRefused:
    """NO or BAD as an error."""
    return CommandRefused(command, end.status, scrub(end.code), scrub(end.text))


def _send_credentials(
    wire: Wire, settings: ImapSettings, capabilities: frozenset[str], budget: Budget
) -> Reply:
    username, password = settings.username or "", settings.password or ""
    if "\0" in username + password:
        raise ConfigurationError("IMAP_USERNAME or IMAP_PASSWORD", "****", "must not contain NUL")
    ascii_only = (username + password).isascii()
    if "LOGINDISABLED" not in capabilities and ascii_only:
        name = quote(username, name="IMAP_USERNAME")
        secret = quote(password, name="IMAP_PASSWORD", secret=True)
        return wire.run("LOGIN", name, secret, budget=budget, hidden=True)
    if "LOGINDISABLED" in capabilities and "AUTH=PLAIN" not in capabilities:
        offered = " ".join(sorted(name for name in capabilities if name.startswith("AUTH=")))
        raise AuthenticationFailed(
            f"the server takes no password here (it offers: {offered or 'nothing'}); "
            "it may want TLS first (IMAP_STARTTLS), or OAuth"
        )
    return wire.authenticate_plain(plain_message(username, password), budget)


def _refusal(end: Tagged, scrub: Scrubber) -> AuthenticationFailed | CommandRefused:
    """Whether the password is wrong, or the server only takes nobody for now."""
    transient = end.code in TRANSIENT_CODES or (
        end.code not in _FINAL_CODES and _TRANSIENT_TEXT.search(end.text) is not None
    )
    if end.status == "BAD" or transient:
        return refused("LOGIN", end, scrub)
    code = f"[{scrub(end.code)}] " if end.code else ""
    return AuthenticationFailed(f"the server refused the login: {code}{scrub(end.text)}".rstrip())


def _warn_of_plain_text(wire: Wire, settings: ImapSettings) -> None:
    if not (settings.use_ssl or settings.starttls or is_loopback(wire.sock)):
        log.warning(
            "the IMAP password crosses the network unencrypted to %s:%d; set IMAP_USE_SSL=true "
            "or IMAP_STARTTLS=true",
            settings.host,
            settings.port,
        )
