"""Login (RFC 4954): how the credentials are sent, and what a refusal means."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from typing import Final

from nornmail.errors import AuthenticationFailed, ProtocolError, Throttled
from nornmail.net.redact import Redactor
from nornmail.net.sasl import (
    Mechanism,
    Responder,
    ask_token,
    log_in_with_token,
    password_mechanisms,
    refusal_advice,
    refusal_status,
    secret_forms,
    sendable_password,
    token_mechanisms,
)
from nornmail.net.tls import Abort
from nornmail.settings.providers import password_hint, provider_of
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.reply_codes import (
    UNKNOWN_MECHANISM,
    Phase,
    Reply,
    ReplyKind,
    is_lockout,
    limit_kind,
    reply_kind,
)
from nornmail.smtp.wire import Wire

MAX_COMMAND_OCTETS: Final = 510
"""Octets of a command without its CRLF (RFC 5321, 4.5.3.1.4): a longer first message goes after the
command (RFC 4954, 4)."""
MAX_CHALLENGES: Final = 4
"""Challenges of a server within one login; none of these mechanisms has more than two."""

LOGIN_HINT: Final = (
    "check SMTP_USERNAME and SMTP_PASSWORD: many providers want an app password here, not the "
    "account's own"
)
OAUTH_HINT: Final = "check that the token is for SMTP_USERNAME, and that its scope includes SMTP"


def log_in(
    wire: Wire,
    settings: SmtpSettings,
    redact: Redactor,
    token: Callable[[], str] | None,
    abort: Abort,
) -> None:
    """Authenticate, if the settings have a user name.

    Args:
        wire: after EHLO, and inside TLS where the settings demand it.
        settings: as whom.
        redact: hides what is secret.
        token: asked for a token, and for another one when the server refuses that.
        abort: ends the wait for a token.

    Raises:
        AuthenticationFailed: the credentials were refused, or the server takes none of this kind.
        Throttled: the server refuses all logins for now.
        ConnectionLost: the connection is lost, or the callback has no token.
        ConfigurationError: the credentials hold what cannot be sent, or the callback cannot be
            used.
    """
    if settings.username is None:
        return
    username = settings.username
    offered = wire.esmtp_features.get("auth", "").upper().split()
    if token is None:
        if settings.password is None:
            hint = password_hint(provider_of(settings.host))
            raise AuthenticationFailed(
                f"SMTP_PASSWORD is missing, and there is no token; {hint.replace('IMAP_', 'SMTP_')}"
            )
        redact.hide(*secret_forms(username, settings.password))
        mechanisms = password_mechanisms(offered, username, sendable_password(settings.password))
        is_ascii = (username + sendable_password(settings.password)).isascii()
        note = "" if is_ascii else " (sent in UTF-8, as it is not ASCII)"
        refused = _attempt(wire, mechanisms, offered, redact, note=note)
        if refused is not None:
            raise refused
        return

    def send(token: str) -> AuthenticationFailed | None:
        bearers = token_mechanisms(offered, username, token, settings.host, settings.port)
        return _attempt(wire, bearers, offered, redact, is_token=True)

    first = ask_token(token, redact.hide, abort)
    log_in_with_token(first, token, redact.hide, abort, send)


def _attempt(
    wire: Wire,
    mechanisms: list[Mechanism],
    offered: Collection[str],
    redact: Redactor,
    *,
    note: str = "",
    is_token: bool = False,
) -> AuthenticationFailed | None:
    """Send the credentials once, since servers count each try; a refusal is returned.

    A mechanism that the server does not know after all (504) did not count: the next one follows.

    Raises:
        AuthenticationFailed: nothing was sent, as the server takes none of this kind.
        Throttled: it refuses all logins for now.
    """
    names = redact(" ".join(offered)) or "nothing"
    if not mechanisms:
        kind = "token" if is_token else "password"
        hint = (
            ""
            if isinstance(wire.sock, ssl.SSLSocket)
            else "; it may accept one inside TLS: set SMTP_USE_TLS=true"
        )
        raise AuthenticationFailed(f"the server accepts no {kind} here (it offers: {names}){hint}")
    for mechanism in mechanisms:
        redact.hide(*mechanism.encoded())
        reply, reason = _exchange(wire, mechanism)
        if reply.code not in UNKNOWN_MECHANISM:
            break
    text = f"{reply.code} {redact(reply.text)}".rstrip()
    kind_of_reply = reply_kind(Phase.AUTH, reply)
    if kind_of_reply is ReplyKind.COMPLETION:
        return None
    if kind_of_reply is ReplyKind.INVALID:
        raise ProtocolError(f"the server answered AUTH with {text}")
    if kind_of_reply is ReplyKind.TRANSIENT or is_lockout(reply.text):
        kind = limit_kind(reply.text)
        raise Throttled(f"the server refuses all logins (temporary): {text}", kind=kind)
    if reply.code in UNKNOWN_MECHANISM:
        raise AuthenticationFailed(
            f"the server offers {names} for AUTH and then refuses each that nornmail supports: "
            f"{text}; ask its owner; the credentials were not tested"
        )
    status = redact(refusal_status(reason))
    suffix = f" (status {status})" if status else ""
    advice = refusal_advice(reply.text) or (OAUTH_HINT if is_token else LOGIN_HINT)
    return AuthenticationFailed(f"the server refused the login{note}: {text}{suffix}; {advice}")


def _exchange(wire: Wire, mechanism: Mechanism) -> tuple[Reply, str]:
    """AUTH: the last reply, and the challenge with the reason of a refusal."""
    responder = Responder(mechanism)
    command = f"AUTH {mechanism.name}"
    first = responder.initial_response(MAX_COMMAND_OCTETS - len(command) - 1)
    reply = wire.command(command if first is None else f"{command} {first}")
    for _ in range(MAX_CHALLENGES):
        if reply_kind(Phase.AUTH, reply) is not ReplyKind.INTERMEDIATE:
            return reply, responder.refusal
        reply = wire.command(responder.respond(reply.text))
    raise ProtocolError("too many AUTH challenges")
