"""The beginning of a session: connecting, the greeting, EHLO, STARTTLS. No secret is sent here."""

from __future__ import annotations

import socket

from nornmail.clock import Clock
from nornmail.errors import ConnectionLost, ProtocolError, Throttled
from nornmail.net.redact import Scrubber
from nornmail.net.tls import connect, helo_name, wrap
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.reply_codes import Meaning, Stage, limit_kind, meaning
from nornmail.smtp.wire import Wire


def connected(settings: SmtpSettings, clock: Clock, seconds: float) -> Wire:
    """A connection, inside TLS where it begins with the first octet.

    Args:
        settings: where to.
        clock: for deadlines.
        seconds: that connecting may take, and then each command.

    Raises:
        ConnectionLost: nobody answers there, or its certificate is not to be trusted.
        ConfigurationError: the host's name or the CA file cannot be used.
    """
    until = clock.monotonic() + seconds

    def remaining() -> float:
        left = until - clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    sock = connect(settings, remaining)
    if settings.implicit_tls:
        sock = wrap(sock, settings, remaining)
    helo = helo_name(socket.gethostname())
    return Wire(sock, settings.host, helo, seconds, clock)


def greet(wire: Wire, scrub: Scrubber) -> None:
    """Read the greeting, and learn what the server can do.

    Raises:
        ConnectionLost, Throttled, ProtocolError: it takes nobody, for now, or is no SMTP server.
    """
    wire.expect()
    answer = wire.response()
    said = f"{answer.code} {scrub(answer.text)}".rstrip()
    found = meaning(Stage.GREETING, answer)
    if found is Meaning.LATER:
        raise Throttled(f"the server takes nobody now: {said}", kind=limit_kind(answer.text))
    if found is Meaning.NEVER:
        raise ConnectionLost(f"the server takes nobody: {said}")
    if found is not Meaning.DONE:
        raise ProtocolError(f"the server greets with {said}")
    _hello(wire, scrub)


def _hello(wire: Wire, scrub: Scrubber) -> None:
    """EHLO, and HELO where the server is older than that (RFC 5321, 3.2)."""
    for verb, say in (("EHLO", wire.ehlo), ("HELO", wire.helo)):
        wire.expect()
        code, text = say()
        said = f"{code} {scrub(text.decode('utf-8', 'replace'))}".rstrip()
        if code // 100 == 4:
            raise Throttled(f"the server takes nobody now: {said}", kind=limit_kind(said))
        if code == 250:
            return
        if code // 100 != 5:
            raise ProtocolError(f"the server answered {verb} with {said}")
    raise ConnectionLost(f"the server takes nobody: {said}")


def secure(wire: Wire, settings: SmtpSettings, scrub: Scrubber) -> None:
    """STARTTLS (RFC 3207), which must succeed before anything secret is sent.

    Raises:
        ConnectionLost: the server offers none, refuses it, or its certificate is not to be trusted.
        ProtocolError: it sent something behind its answer, to be taken for what comes inside TLS.
    """
    if not wire.has_extn("starttls"):
        raise ConnectionLost(
            f"the server offers no STARTTLS on port {settings.port}, and nothing secret was sent; "
            "set SMTP_PORT to one that does, mostly 587 or 465 (SMTP_USE_TLS=false sends all in "
            "clear, the password as well)"
        )
    answer = wire.command("STARTTLS")
    if meaning(Stage.STARTTLS, answer) is not Meaning.DONE:
        said = f"{answer.code} {scrub(answer.text)}".rstrip()
        raise ConnectionLost(f"the server refused STARTTLS, and nothing secret was sent: {said}")
    if not wire.is_quiet:
        raise ProtocolError("the server sent something between STARTTLS and TLS")
    if wire.sock is None:
        raise ConnectionLost("the connection is closed")
    wire.begin_tls(wrap(wire.sock, settings, wire.remaining))
    _hello(wire, scrub)
