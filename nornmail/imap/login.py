"""Login: how the credentials are sent, what a refusal means, and the capabilities from then on."""

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
from nornmail.imap.errors import ErrorKind, classify, refusal
from nornmail.imap.limits import CommandBudget
from nornmail.imap.quirks import login_hint, login_refused
from nornmail.imap.responses import Capability, StatusResponse, Tagged, capability_names
from nornmail.imap.tokens import Literal
from nornmail.imap.wire import CommandResult, Wire
from nornmail.net.redact import Redactor
from nornmail.net.sasl import (
    Mechanism,
    Responder,
    log_in_with_token,
    password_mechanisms,
    refusal_status,
    sendable_password,
    token_mechanisms,
)
from nornmail.net.tls import Abort, is_loopback
from nornmail.settings.imap import ImapSettings

log = logging.getLogger("nornmail.imap")

INITIAL_LIMIT = 8_000
"""Octets of an initial response. A command line may have 8,192 (RFC 7162, 4); what is longer goes
after the command."""


def start_tls(wire: Wire, settings: ImapSettings, budget: CommandBudget) -> None:
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
            "the server says PREAUTH: it has logged in an account without asking for IMAP_USERNAME"
        )
    if not settings.starttls:
        return
    if "STARTTLS" not in wire.capabilities:
        raise ConnectionLost(
            "the server does not offer the STARTTLS that IMAP_STARTTLS demands; nothing secret "
            "was sent"
        )
    wire.start_tls(budget)


def log_in(
    wire: Wire,
    settings: ImapSettings,
    budget: CommandBudget,
    redact: Redactor,
    token: str | None,
    abort: Abort,
) -> frozenset[str]:
    """Authenticate, and learn the server's capabilities from then on.

    Args:
        settings: as whom; a ``token`` callback is asked for another token when one is refused.
        token: from the callback; ``None`` to use the password.
        abort: ends the wait for another token.

    Returns:
        The capabilities, in upper case.

    Raises:
        AuthenticationFailed: the credentials were refused, or cannot be sent.
        Throttled: the server refuses all logins for now.
        CommandRefused: it did not understand the login.
        ConfigurationError: the credentials hold what cannot be sent.
    """
    if wire.greeting is not None and wire.greeting.status == "PREAUTH":
        return asked_capabilities(wire, budget, redact)
    if not settings.username:
        raise AuthenticationFailed("IMAP_USERNAME is missing: the server requires a login")
    if settings.password is None and settings.token is None:
        hint = login_hint(settings.host, settings.port, with_token=False)
        raise AuthenticationFailed(f"IMAP_PASSWORD is missing, and there is no token; {hint}")
    before = frozenset(wire.capabilities) or asked_capabilities(wire, budget, redact)
    _warn_of_plain_text(wire, settings)
    if token is not None and settings.token is not None:
        result = log_in_with_token(
            token,
            settings.token,
            redact.hide,
            abort,
            lambda token: _send_token(wire, settings, before, budget, redact, token),
        )
    else:
        result = _send_password(wire, settings, before, budget)
    if result.end.status != "OK":
        raise _refusal(result.end, settings, redact)
    return result_capabilities(result) or asked_capabilities(wire, budget, redact)


def result_capabilities(result: CommandResult) -> frozenset[str]:
    """The capabilities in an answer, empty where there are none.

    Those of the code come last, and count: Proton's bridge sends an old untagged list before.
    """
    if result.end.code == "CAPABILITY":
        return capability_names(result.end.code_args)
    names: frozenset[str] = frozenset()
    for response in result.untagged:
        if isinstance(response, Capability):
            names = response.names
        elif isinstance(response, StatusResponse) and response.code == "CAPABILITY":
            names = capability_names(response.code_args)
    return names


def asked_capabilities(wire: Wire, budget: CommandBudget, redact: Redactor) -> frozenset[str]:
    """The answer to CAPABILITY."""
    result = wire.run("CAPABILITY", budget=budget)
    if result.end.status != "OK":
        raise refused("CAPABILITY", result.end, redact)
    return result_capabilities(result)


def refused(command: str, end: Tagged, redact: Redactor) -> CommandRefused | Throttled:
    """NO or BAD as an error."""
    return refusal(command, end.status, redact(end.code), redact(end.text))


def authenticate(
    wire: Wire, mechanism: Mechanism, budget: CommandBudget, *, initial: bool = False
) -> tuple[CommandResult, str]:
    """AUTHENTICATE (RFC 3501, 6.2.2). The messages are sent once.

    Args:
        initial: the server has SASL-IR (RFC 4959): the first message goes with the command.

    Returns:
        The answer, and the challenge with the reason of a refusal, ``""`` without one.
    """
    responder = Responder(mechanism)
    first = responder.initial_response(INITIAL_LIMIT) if initial else None
    args = [mechanism.name.encode("ascii"), *([first.encode("ascii")] if first else [])]
    result = wire.run(
        "AUTHENTICATE", *args, budget=budget, hidden=bool(first), respond=responder.respond
    )
    return result, responder.refusal


def _offered(capabilities: frozenset[str]) -> list[str]:
    """The mechanisms of AUTHENTICATE that a server offers."""
    names = (name.removeprefix("AUTH=") for name in capabilities if name.startswith("AUTH="))
    return sorted(names)


def _send_token(
    wire: Wire,
    settings: ImapSettings,
    capabilities: frozenset[str],
    budget: CommandBudget,
    redact: Redactor,
    token: str,
) -> CommandResult | AuthenticationFailed:
    """Send one token; a refusal of it is returned."""
    offered = _offered(capabilities)
    username = settings.username or ""
    mechanisms = token_mechanisms(offered, username, token, settings.host, settings.port)
    if not mechanisms:
        raise AuthenticationFailed(
            f"the server accepts no token here (it offers: {_names(offered)}): "
            "use IMAP_PASSWORD instead of token="
        )
    redact.hide(*mechanisms[0].encoded())
    initial = "SASL-IR" in capabilities
    result, reason = authenticate(wire, mechanisms[0], budget, initial=initial)
    code, text = redact(result.end.code), redact(result.end.text)
    error = classify(result.end.status, code, text, "AUTHENTICATE")
    if error.kind is not ErrorKind.CREDENTIALS:
        return result
    status = redact(refusal_status(reason))
    suffix = f" (status {status})" if status else ""
    return login_refused(f"the server refused the token{suffix}", code, text, settings)


def _names(offered: list[str]) -> str:
    return " ".join(f"AUTH={name}" for name in offered) or "nothing"


def _send_password(
    wire: Wire, settings: ImapSettings, capabilities: frozenset[str], budget: CommandBudget
) -> CommandResult:
    """Send the password: by LOGIN in ASCII, by SASL, or by LOGIN in UTF-8, which servers take."""
    username, password = settings.username or "", sendable_password(settings.password or "")
    if "\0" in username + password:
        raise ConfigurationError("IMAP_USERNAME or IMAP_PASSWORD", "****", "must not contain NUL")
    has_login = "LOGINDISABLED" not in capabilities
    if has_login and (username + password).isascii():
        name = quote(username, name="IMAP_USERNAME")
        secret = quote(password, name="IMAP_PASSWORD", secret=True)
        return wire.run("LOGIN", name, secret, budget=budget, hidden=True)
    offered = _offered(capabilities)
    for mechanism in password_mechanisms(offered, username, password):
        return authenticate(wire, mechanism, budget)[0]
    if has_login:
        literals = Literal(username.encode()), Literal(password.encode())
        return wire.run("LOGIN", *literals, budget=budget, hidden=True)
    raise AuthenticationFailed(
        f"the server accepts no password here (it offers: {_names(offered)}); "
        "it may require TLS first (IMAP_STARTTLS), or OAuth2 (token=); "
        + login_hint(settings.host, with_token=False)
    )


def _refusal(
    end: Tagged, settings: ImapSettings, redact: Redactor
) -> AuthenticationFailed | CommandRefused | Throttled:
    """Whether the credentials are wrong, or the server refuses all logins for now."""
    code, text = redact(end.code), redact(end.text)
    if classify(end.status, code, text, "LOGIN").kind is not ErrorKind.CREDENTIALS:
        return refused("LOGIN", end, redact)
    secret = sendable_password(settings.password or "")
    beyond = not ((settings.username or "") + secret).isascii()
    note = " (sent in UTF-8, as it is not ASCII)" if beyond and settings.token is None else ""
    return login_refused(f"the server refused the login{note}", code, text, settings)


def _warn_of_plain_text(wire: Wire, settings: ImapSettings) -> None:
    peer = wire.sock.getpeername()
    is_here = not isinstance(peer, tuple) or is_loopback(str(peer[0]))  # else a socket file
    if not (settings.use_ssl or settings.starttls or is_here):
        log.warning(
            "the IMAP %s crosses the network unencrypted to %s:%d; set IMAP_USE_SSL=true "
            "or IMAP_STARTTLS=true",
            "password" if settings.token is None else "token",
            settings.host,
            settings.port,
        )
