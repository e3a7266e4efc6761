"""The checks on the way to a submission server, one by one, each with advice. Nothing is sent."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack

from nornmail.clock import SystemClock
from nornmail.errors import ConfigurationError, ConnectionLost, NornmailError
from nornmail.net.diagnose import CHECK_SECONDS, Check, check_connectivity, speaks_tls, tls_detail
from nornmail.net.redact import Redactor
from nornmail.net.tls import Abort
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.reply_codes import Phase, ReplyKind, reply_kind
from nornmail.smtp.session import Session, connect, endpoint_of, log_in, read_greeting, start_tls
from nornmail.smtp.wire import Wire

_WHERE = "check SMTP_HOST and SMTP_PORT"
_LATER = "try again later; if it stays, ask the server's owner"


def diagnose_smtp(settings: SmtpSettings) -> Iterator[Check]:
    """Check the way to the server: name, TCP, TLS, greeting, STARTTLS, login, NOOP; then QUIT.

    It is the way of :class:`~nornmail.smtp.session.Session`, step by step. The password is not sent
    in clear unless the settings say so. The first check that fails is the last one.
    """
    seconds = min(settings.timeout, CHECK_SECONDS)
    endpoint = endpoint_of(settings)
    if (yield from check_connectivity(endpoint, seconds, tls=settings.implicit_tls)):
        yield from _converse(settings, seconds)


def _converse(settings: SmtpSettings, seconds: float) -> Iterator[Check]:
    """One session with the server."""
    name = "SMTP greeting"
    redact = Redactor(settings.password or "")
    with ExitStack() as stack:
        try:
            wire = connect(settings, SystemClock(), seconds)
            stack.callback(Session(wire, redact).close)
            read_greeting(wire, redact)
            yield Check(name, True, redact(_first_line(wire)))
            if settings.use_tls and not settings.implicit_tls:
                name = "SMTP STARTTLS"
                start_tls(wire, settings, redact)
                secure = wire.sock
                detail = tls_detail(secure) if isinstance(secure, ssl.SSLSocket) else "TLS"
                yield Check(name, True, detail)
            name = "SMTP login"
            log_in(wire, settings, redact, settings.token, Abort())
            user = settings.username
            yield Check(name, True, f"as {user}" if user else "no login: SMTP_USERNAME is not set")
            name = "SMTP NOOP"
            reply = wire.command("NOOP")
            is_fine = reply_kind(Phase.OTHER, reply) is ReplyKind.COMPLETION
            yield Check(name, is_fine, f"{reply.code} {redact(reply.text)}")
        except NornmailError as error:
            yield _failed(name, error, settings, seconds)


def _failed(name: str, error: NornmailError, settings: SmtpSettings, seconds: float) -> Check:
    """A check that failed, with advice."""
    greeting = name == "SMTP greeting" and isinstance(error, ConnectionLost)
    endpoint = endpoint_of(settings)
    if greeting and not settings.implicit_tls and speaks_tls(endpoint, seconds):
        return Check(name, False, "the server does not greet", endpoint.tls_advice)
    if isinstance(error, ConfigurationError):
        return Check(name, False, str(error), f"check {error.variable}")
    detail, mark, advice = str(error).rpartition("; ")  # as our errors have it
    if mark:
        return Check(name, False, detail, advice)
    return Check(name, False, str(error), _WHERE if name == "SMTP greeting" else _LATER)


def _first_line(wire: Wire) -> str:
    words = wire.ehlo_resp or wire.helo_resp or b""
    return words.partition(b"\n")[0].decode("utf-8", "replace")
