"""Logging in: which way the credentials go, what a refusal means, what the server can do after."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import dataclass, field

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
from nornmail.imap.quirks import login_hint, login_refused
from nornmail.imap.responses import Capability, Status, Tagged, capability_names
from nornmail.imap.translate import Redactor, plain_message
from nornmail.imap.transport import is_loopback, tls_context
from nornmail.imap.wire import Reply, Wire
from nornmail.net.sasl import ask_token
from nornmail.settings.imap import ImapSettings

log = logging.getLogger("nornmail.imap")

# ---- What is said within AUTHENTICATE (RFC 3501, 6.2.2): the messages of each mechanism.

CHALLENGE_LIMIT = 4_096
"""Octets of a challenge that are decoded. What servers tell of a refusal has about a hundred."""
INITIAL_LIMIT = 8_000
"""Octets of an initial response. A command line may have 8,192 (RFC 7162, 4); what is longer goes
after the command."""
_STATUS_LENGTH = 40
"""Characters of a status that are shown: ``400``, ``invalid_token``."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One way to prove who we are.

    Attributes:
        mechanism: its name on the wire.
        message: what is sent first, before base64.
        farewell: the answer to the challenge with which a server tells why it refuses.
    """

    mechanism: bytes
    message: bytes = field(repr=False)
    farewell: bytes = b""


def plain(username: str, password: str) -> Exchange:
    """PLAIN (RFC 4616)."""
    return Exchange(b"PLAIN", plain_message(username, password))


def xoauth2(username: str, token: str) -> Exchange:
    """XOAUTH2, Google's forerunner of OAUTHBEARER; a refusal is answered with nothing."""
    return Exchange(b"XOAUTH2", f"user={username}\1auth=Bearer {token}\1\1".encode())


def oauthbearer(username: str, token: str, host: str, port: int) -> Exchange:
    """OAUTHBEARER (RFC 7628); a refusal is answered with one octet 1 (section 3.2.3)."""
    name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801, 4
    head = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
    return Exchange(b"OAUTHBEARER", head.encode(), farewell=b"\1")


def bearer(
    capabilities: Collection[str], username: str, token: str, host: str, port: int
) -> Exchange | None:
    """How this server takes a token, ``None`` if it takes none. The standard goes first."""
    if "AUTH=OAUTHBEARER" in capabilities:
        return oauthbearer(username, token, host, port)
    if "AUTH=XOAUTH2" in capabilities:
        return xoauth2(username, token)
    return None


def offered(capabilities: Collection[str]) -> str:
    """The mechanisms that a server offers, in words."""
    return " ".join(sorted(name for name in capabilities if name.startswith("AUTH="))) or "nothing"


def refusal_status(challenge: bytes) -> str:
    """The status in the challenge with which a server tells why it refuses; ``""`` if it has none.

    Google sends ``{"status":"400",…}``, RFC 7628 has ``{"status":"invalid_token",…}``.
    """
    try:
        told = json.loads(b64decode(challenge[:CHALLENGE_LIMIT], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = told.get("status", "") if isinstance(told, dict) else ""
    return str(status)[:_STATUS_LENGTH] if isinstance(status, str | int) else ""


class _Dialogue:
    """Answers challenges: the message once, and to a later one the farewell."""

    def __init__(self, message: bytes | None, farewell: bytes) -> None:
        self._message = message
        self._farewell = farewell
        self.told = b""

    def answer(self, challenge: bytes) -> bytes:
        message, self._message = self._message, None
        if message is not None:
            return message
        self.told = challenge
        return self._farewell


def authenticate(
    wire: Wire, exchange: Exchange, budget: Budget, *, initial: bool = False
) -> tuple[Reply, bytes]:
    """AUTHENTICATE (RFC 3501, 6.2.2). The message is sent once.

    Args:
        wire: not logged in.
        exchange: what is said.
        budget: what it may cost.
        initial: the server has SASL-IR (RFC 4959): the message goes with the command.

    Returns:
        The answer, and the challenge in which the server told why it refuses, ``b""`` without one.
    """
    message = b64encode(exchange.message)
    args = [exchange.mechanism]
    initial = initial and len(message) <= INITIAL_LIMIT
    if initial:
        args.append(message)
    dialogue = _Dialogue(None if initial else message, b64encode(exchange.farewell))
    reply = wire.run("AUTHENTICATE", *args, budget=budget, hidden=initial, literal=dialogue.answer)
    return reply, dialogue.told


# ---- Logging in with a token: when the callback is asked for one, and what a refusal means.


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Sends tokens over one connection.

    Args:
        wire: not logged in.
        settings: as whom; ``token`` is asked for another one when one is refused.
        capabilities: what the server offers before the login.
        budget: of each command.
        scrub: hides every token.
    """

    wire: Wire
    settings: ImapSettings
    capabilities: frozenset[str]
    budget: Budget
    scrub: Redactor

    def log_in(self, token: str) -> Reply:
        """Send the token; if it is refused, ask for another once, and send that.

        Returns:
            The answer to the last one. A refusal for now is no reason for another token.

        Raises:
            AuthenticationFailed: the server takes no token, or refused it.
            ConnectionLost: the callback had no other token to give, for now.
        """
        refused = self._send(token)
        if isinstance(refused, Reply) or self.settings.token is None:
            return self._accepted(refused)
        fresh = ask_token(self.settings.token, self.scrub.hide)
        if fresh == token:
            raise refused
        try:
            return self._accepted(self._send(fresh))
        except ConnectionLost as lost:
            # No reason to come back at once: who hangs up on tokens is not to be hammered.
            raise refused from lost

    def _send(self, token: str) -> Reply | AuthenticationFailed:
        """Send one token; a refusal of it is returned."""
        given = self.settings
        name = given.username or ""
        exchange = bearer(self.capabilities, name, token, given.host, given.port)
        if exchange is None:
            raise AuthenticationFailed(
                f"the server takes no token here (it offers: {offered(self.capabilities)}): "
                "use IMAP_PASSWORD instead of token="
            )
        self.scrub.hide(base64.b64encode(exchange.message).decode("ascii"))
        initial = "SASL-IR" in self.capabilities
        reply, told = authenticate(self.wire, exchange, self.budget, initial=initial)
        code, text = self.scrub(reply.end.code), self.scrub(reply.end.text)
        if classify(reply.end.status, code, text, "AUTHENTICATE").kind is not Kind.CREDENTIALS:
            return reply
        status = self.scrub(refusal_status(told))
        told_so = f" (status {status})" if status else ""
        return login_refused(f"the server refused the token{told_so}", code, text, given)

    @staticmethod
    def _accepted(answer: Reply | AuthenticationFailed) -> Reply:
        if isinstance(answer, AuthenticationFailed):
            raise answer
        return answer


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
    wire: Wire, settings: ImapSettings, budget: Budget, scrub: Redactor, token: str | None = None
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


def asked_capabilities(wire: Wire, budget: Budget, scrub: Redactor) -> frozenset[str]:
    """The capabilities, asked for.

    Raises:
        CommandRefused: the server refused to tell.
    """
    reply = wire.run("CAPABILITY", budget=budget)
    if reply.end.status != "OK":
        raise refused("CAPABILITY", reply.end, scrub)
    return told_capabilities(reply)


def refused(command: str, end: Tagged, scrub: Redactor) -> CommandRefused | Throttled:
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
    end: Tagged, settings: ImapSettings, scrub: Redactor
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
