"""Logging in: which way the credentials go, what a refusal means, what the server can do after."""

from __future__ import annotations

import logging

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    Throttled,
)
from nornmail.imap.arguments import quote
from nornmail.imap.errors import Kind, classify, refusal
from nornmail.imap.limits import Budget
from nornmail.imap.oauth import TokenLogin
from nornmail.imap.quirks import login_hint, login_refused
from nornmail.imap.responses import Capability, Status, Tagged, capability_names
from nornmail.imap.sasl import authenticate, offered, plain
from nornmail.imap.translate import Scrubber
from nornmail.imap.transport import is_loopback, tls_context
from nornmail.imap.wire import Reply, Wire
from nornmail.settings.imap import ImapSettings

log = logging.getLogger("nornmail.imap")


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


def log_in(
    wire: Wire, settings: ImapSettings, budget: Budget, scrub: Scrubber, token: str | None = None
) -> frozenset[str]:
    """Authenticate, and learn what the server can do from then on.

    Args:
        wire: after :func:`secure`.
        settings: as whom; with a ``token`` callback it is asked for another when one is refused.
        budget: of each command.
        scrub: hides the secrets.
        token: what the callback gave; ``None`` to use the password.

    Returns:
        The capabilities, in upper case.

    Raises:
        AuthenticationFailed: the credentials were refused, or cannot be sent.
        Throttled: the server takes nobody for now.
        CommandRefused: it did not understand the login.
        ConfigurationError: the credentials hold what cannot be sent.
    """
    if wire.greeting is not None and wire.greeting.status == "PREAUTH":
        return asked_capabilities(wire, budget, scrub)
    if not settings.username:
        raise AuthenticationFailed("IMAP_USERNAME is missing: the server wants a login")
    before = frozenset(wire.capabilities) or asked_capabilities(wire, budget, scrub)
    _warn_of_plain_text(wire, settings)
    if token is not None:
        reply = TokenLogin(wire, settings, before, budget, scrub).log_in(token)
    else:
        reply = _send_password(wire, settings, before, budget)
    if reply.end.status != "OK":
        raise _refusal(reply.end, settings, scrub)
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


def refused(command: str, end: Tagged, scrub: Scrubber) -> CommandRefused | Throttled:
    """NO or BAD as an error."""
    return refusal(command, end.status, scrub(end.code), scrub(end.text))


def _send_password(
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
        raise AuthenticationFailed(
            f"the server takes no password here (it offers: {offered(capabilities)}); "
            "it may want TLS first (IMAP_STARTTLS), or OAuth2 (token=); "
            + login_hint(settings.host, with_token=False)
        )
    return authenticate(wire, plain(username, password), budget)[0]


def _refusal(
    end: Tagged, settings: ImapSettings, scrub: Scrubber
) -> AuthenticationFailed | CommandRefused | Throttled:
    """Whether the credentials are wrong, or the server only takes nobody for now."""
    code, text = scrub(end.code), scrub(end.text)
    if classify(end.status, code, text, "LOGIN").kind is not Kind.CREDENTIALS:
        return refused("LOGIN", end, scrub)
    return login_refused("the server refused the login", code, text, settings)


def _warn_of_plain_text(wire: Wire, settings: ImapSettings) -> None:
    if not (settings.use_ssl or settings.starttls or is_loopback(wire.sock)):
        log.warning(
            "the IMAP %s crosses the network unencrypted to %s:%d; set IMAP_USE_SSL=true "
            "or IMAP_STARTTLS=true",
            "password" if settings.token is None else "token",
            settings.host,
            settings.port,
        )
