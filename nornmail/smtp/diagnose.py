"""The steps to handing in mail, one by one, each with what to do when it fails. Nothing is sent."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack

from nornmail.clock import SystemClock
from nornmail.errors import ConfigurationError, ConnectionLost, NornmailError
from nornmail.net.diagnose import PATIENCE, Port, Step, described, reach, speaks_tls
from nornmail.net.redact import Redactor
from nornmail.net.tls import port_of
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.login import log_in
from nornmail.smtp.reply_codes import Meaning, Stage, meaning
from nornmail.smtp.session import Session, connected, greet, secure
from nornmail.smtp.wire import Wire

_WHERE = "check SMTP_HOST and SMTP_PORT"
_LATER = "try again later; if it stays, ask the server's owner"


def diagnose_smtp(settings: SmtpSettings) -> Iterator[Step]:
    """Go the way to the server: name, TCP, TLS, greeting, STARTTLS, login, NOOP; then QUIT.

    It is the way of :class:`~nornmail.smtp.session.Session`, step by step. The password is not sent
    in clear unless the settings say so. The way ends with the first step that fails.
    """
    seconds = min(settings.timeout, PATIENCE)
    port = port_of(settings, seconds)
    if (yield from reach(port, tls=settings.implicit_tls)):
        yield from _converse(settings, port, seconds)


def _converse(settings: SmtpSettings, port: Port, seconds: float) -> Iterator[Step]:
    """One conversation with the server."""
    name = "SMTP greeting"
    scrub = Redactor()
    scrub.hide(settings.password or "")
    with ExitStack() as stack:
        try:
            wire = connected(settings, SystemClock(), seconds)
            stack.callback(Session(wire, scrub).close)
            greet(wire, scrub)
            yield Step(name, True, scrub(_first_line(wire)))
            if settings.use_tls and not settings.implicit_tls:
                name = "SMTP STARTTLS"
                secure(wire, settings, scrub)
                yield Step(name, True, _tls(wire))
            name = "SMTP login"
            log_in(wire, settings, scrub, settings.token)
            yield Step(name, True, _login(settings))
            name = "SMTP NOOP"
            answer = wire.command("NOOP")
            is_fine = meaning(Stage.OTHER, answer) is Meaning.DONE
            yield Step(name, is_fine, f"{answer.code} {scrub(answer.text)}")
        except NornmailError as error:
            yield _failed(name, error, settings, port)


def _failed(name: str, error: NornmailError, settings: SmtpSettings, port: Port) -> Step:
    """A step that failed: what was said, and what to do about it."""
    greeting = name == "SMTP greeting" and isinstance(error, ConnectionLost)
    if greeting and not settings.implicit_tls and speaks_tls(port):
        return Step(name, False, "the server does not greet", port.tls_advice)
    if isinstance(error, ConfigurationError):
        return Step(name, False, str(error), f"check {error.variable}")
    said, mark, advice = str(error).rpartition("; ")  # as our errors have it
    if mark:
        return Step(name, False, said, advice)
    return Step(name, False, str(error), _WHERE if name == "SMTP greeting" else _LATER)


def _login(settings: SmtpSettings) -> str:
    if settings.username is None:
        return "nobody logs in, as SMTP_USERNAME is not set"
    return f"as {settings.username}"


def _tls(wire: Wire) -> str:
    return described(wire.sock) if isinstance(wire.sock, ssl.SSLSocket) else "TLS"


def _first_line(wire: Wire) -> str:
    words = wire.ehlo_resp or wire.helo_resp or b""
    return words.partition(b"\n")[0].decode("utf-8", "replace")
