"""Logging in: which way the credentials go, and what a refusal means (RFC 4954)."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from typing import Final

from nornmail.errors import AuthenticationFailed, ConnectionLost, ProtocolError, Throttled
from nornmail.net.redact import Redactor
from nornmail.net.sasl import Exchange, ask_token, with_password, with_token
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.reply_codes import Meaning, Response, Stage, is_lockout, limit_kind, meaning
from nornmail.smtp.wire import Wire

MAX_COMMAND_OCTETS: Final = 510
"""Octets of a command without its CRLF (RFC 5321, 4.5.3.1.4): a longer first message goes after the
command (RFC 4954, 4)."""
MAX_CHALLENGES: Final = 4
"""Questions that a server may ask within one login; none of these mechanisms has more than two."""
MAX_STATUS_CHARS: Final = 40
"""Characters of the status that a server gives for a refused token: ``400``, ``invalid_token``."""
MAX_CHALLENGE_OCTETS: Final = 4_096
"""Octets of a challenge that are decoded. What servers tell of a refusal has about a hundred."""

LOGIN_HINT: Final = (
    "check SMTP_USERNAME and SMTP_PASSWORD: many providers want an app password here, not the "
    "account's own"
)
OAUTH_HINT: Final = "check that the token is for SMTP_USERNAME, and that its scope includes SMTP"


def log_in(
    wire: Wire,
    settings: SmtpSettings,
    scrub: Redactor,
    token: Callable[[], str] | None = None,
) -> None:
    """Authenticate.

    Args:
        wire: after EHLO, and inside TLS where the settings demand it.
        settings: as whom; without a user name nobody logs in.
        scrub: hides what is secret.
        token: asked for a token, and for another one when the server refuses that.

    Raises:
        AuthenticationFailed: the credentials were refused, or the server takes none of this kind.
        Throttled: the server takes nobody for now.
        ConnectionLost: the connection fell, or the callback has no token.
        ConfigurationError: the credentials hold what cannot be sent, or the callback is none.
    """
    if settings.username is None:
        return
    username = settings.username
    offered = wire.esmtp_features.get("auth", "").upper().split()
    if token is None:
        if settings.password is None:
            raise AuthenticationFailed("SMTP_PASSWORD is missing, and there is no token")
        password = settings.password
        scrub.hide(password)
        refused = _attempt(wire, with_password(offered, username, password), offered, scrub)
        if refused is not None:
            raise refused
        return
    _log_in_with_token(wire, settings, offered, scrub, token)


def _log_in_with_token(
    wire: Wire,
    settings: SmtpSettings,
    offered: Collection[str],
    scrub: Redactor,
    ask: Callable[[], str],
) -> None:
    given = ask_token(ask, scrub.hide)
    name, host, port = settings.username or "", settings.host, settings.port
    refused = _attempt(wire, with_token(offered, name, given, host, port), offered, scrub, True)
    if refused is None:
        return
    fresh = ask_token(ask, scrub.hide)
    if fresh == given:
        raise refused
    try:
        again = _attempt(wire, with_token(offered, name, fresh, host, port), offered, scrub, True)
    except ConnectionLost as lost:
        # No reason to come back at once: who hangs up on tokens is not to be hammered.
        raise refused from lost
    if again is not None:
        raise again


def _attempt(
    wire: Wire,
    exchange: Exchange | None,
    offered: Collection[str],
    scrub: Redactor,
    is_token: bool = False,
) -> AuthenticationFailed | None:
    """Log in once, since servers count each try; a refusal is returned.

    Raises:
        AuthenticationFailed: nothing was sent, as the server takes none of this kind.
        Throttled: it takes nobody for now.
    """
    advice = OAUTH_HINT if is_token else LOGIN_HINT
    if exchange is None:
        what, shown = ("token" if is_token else "password"), " ".join(offered) or "nothing"
        raise AuthenticationFailed(f"the server takes no {what} here (it offers: {scrub(shown)})")
    messages = exchange.encoded()
    scrub.hide(*messages)
    answer, told = _exchange(wire, exchange, messages)
    said = f"{answer.code} {scrub(answer.text)}".rstrip()
    found = meaning(Stage.LOGIN, answer)
    if found is Meaning.DONE:
        return None
    if found is Meaning.NONSENSE:
        raise ProtocolError(f"the server answered AUTH with {said}")
    if found is Meaning.LATER or is_lockout(answer.text):
        kind = limit_kind(answer.text)
        raise Throttled(f"the server takes nobody for now: {said}", kind=kind)
    status = scrub(refusal_status(told))
    status_shown = f" (status {status})" if status else ""
    return AuthenticationFailed(f"the server refused the login: {said}{status_shown}; {advice}")


def _exchange(wire: Wire, exchange: Exchange, messages: list[str]) -> tuple[Response, str]:
    """The last answer, and the challenge that no message was left for."""
    command = f"AUTH {exchange.mechanism}"
    left = list(messages)
    if exchange.initial and len(command) + 1 + len(left[0]) <= MAX_COMMAND_OCTETS:
        command = f"{command} {left.pop(0)}"
    answer, told = wire.command(command), ""
    for _ in range(MAX_CHALLENGES):
        if meaning(Stage.LOGIN, answer) is not Meaning.GO_ON:
            return answer, told
        if left:
            line = left.pop(0)
        else:
            told = answer.text
            farewell = exchange.farewell
            line = "*" if farewell is None else b64encode(farewell).decode("ascii")
        answer = wire.command(line)
    raise ProtocolError("the server asks and asks within AUTH")


def refusal_status(challenge: str) -> str:
    """The status in the challenge with which a server tells why it refuses; ``""`` if it has none.

    Google sends ``{"status":"400",…}``, RFC 7628 has ``{"status":"invalid_token",…}``.
    """
    try:
        told = json.loads(b64decode(challenge[:MAX_CHALLENGE_OCTETS], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = told.get("status", "") if isinstance(told, dict) else ""
    return str(status)[:MAX_STATUS_CHARS] if isinstance(status, str | int) else ""
