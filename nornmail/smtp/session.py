"""One SMTP connection, from connecting to QUIT. What it means for a letter is told as a value."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nornmail.clock import Clock, SystemClock
from nornmail.errors import ConnectionLost, ProtocolError, Throttled
from nornmail.letters import Envelope, Recipient, Standing
from nornmail.settings import SmtpSettings
from nornmail.smtp.fitness import mail_parameters, unfit
from nornmail.smtp.login import log_in
from nornmail.smtp.meanings import Meaning, Stage, limit_kind, meaning
from nornmail.smtp.scrub import Scrubber
from nornmail.smtp.transaction import Outcome, Submission, Transaction
from nornmail.smtp.transport import connect, helo_name, wrap
from nornmail.smtp.wire import Wire

__all__ = ["Outcome", "Session", "Submission"]

QUIT_TIMEOUT: Final = 5.0
"""Seconds for QUIT: nothing depends on the answer."""

log = logging.getLogger("nornmail.smtp")


class Session:
    """One SMTP connection, logged in. One thread at a time. Made by :meth:`open`."""

    def __init__(self, wire: Wire, scrub: Scrubber) -> None:
        self._wire = wire
        self._scrub = scrub

    @classmethod
    def open(
        cls,
        settings: SmtpSettings,
        *,
        token: Callable[[], str] | None = None,
        clock: Clock | None = None,
    ) -> Session:
        """Connect, begin TLS as the settings demand it, and log in.

        Args:
            settings: where, and as whom.
            token: instead of that of the settings.
            clock: for deadlines.

        Raises:
            ConnectionLost: it cannot be reached, takes nobody, or TLS cannot be had.
            ProtocolError: what answers there cannot be understood.
            AuthenticationFailed: it refused the credentials, or takes none of this kind.
            Throttled: it takes nobody for now (4xx).
            ConfigurationError: a setting cannot be used.
        """
        scrub = Scrubber()
        scrub.hide(settings.password or "")
        wire = _connected(settings, clock or SystemClock())
        try:
            _greet(wire, scrub)
            if settings.use_tls and not settings.implicit_tls:
                _secure(wire, settings, scrub)
            log_in(wire, settings, scrub, token or settings.token)
        except BaseException:
            wire.close()
            raise
        log.debug("SMTP session open: %s:%d", settings.host, settings.port)
        return cls(wire, scrub)

    def submit(
        self,
        envelope: Envelope,
        raw: bytes,
        *,
        before_content: Callable[[tuple[Recipient, ...]], None],
    ) -> Submission:
        """Hand a letter in: MAIL, RCPT one by one, DATA, the content, the final dot.

        Args:
            envelope: from whom and to whom.
            raw: the message, lines ended by CRLF.
            before_content: called after 354, before the first octet of the content, with the
                recipients as they stand if nothing is ever heard again: UNKNOWN where RCPT was
                accepted, PENDING where it was put off, REFUSED where it was refused. When it
                raises, the connection is closed, nothing was sent, and the error goes on.

        Returns:
            What the server said. It raises for nothing that the server says or does. A letter that
            cannot be handed in here (too large, no SMTPUTF8, lines that break the rules) is REFUSED
            with code 0, and nothing of it was sent.
        """
        features = self._wire.esmtp_features
        fault = unfit(features, envelope, raw)
        if fault:
            refused = (Recipient(one, Standing.REFUSED, 0, fault) for one in envelope.recipients)
            usable = self._wire.sock is not None
            return Submission(Outcome.REFUSED, tuple(refused), 0, fault, usable)
        parameters = mail_parameters(features, envelope, raw)
        return Transaction(self._wire, envelope, raw, self._scrub).run(parameters, before_content)

    def alive(self) -> bool:
        """Whether the server still answers (NOOP); if not, the session is closed."""
        try:
            if meaning(Stage.OTHER, self._wire.command("NOOP")) is Meaning.DONE:
                return True
        except ConnectionLost:
            pass  # that is the answer
        self._wire.close()
        return False

    def close(self) -> None:
        """Say QUIT and close; nothing depends on the answer. More than once is no error."""
        with suppress(ConnectionLost):
            self._wire.seconds = min(self._wire.seconds, QUIT_TIMEOUT)
            self._wire.command("QUIT")
        self._wire.close()


def _connected(settings: SmtpSettings, clock: Clock) -> Wire:
    """A connection, inside TLS where it begins with the first octet."""
    until = clock.monotonic() + settings.timeout

    def remaining() -> float:
        left = until - clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left

    sock = connect(settings, remaining)
    if settings.implicit_tls:
        sock = wrap(sock, settings, remaining)
    helo = helo_name(socket.gethostname())
    return Wire(sock, settings.host, helo, settings.timeout, clock)


def _greet(wire: Wire, scrub: Scrubber) -> None:
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


def _secure(wire: Wire, settings: SmtpSettings, scrub: Scrubber) -> None:
    """STARTTLS (RFC 3207), which must succeed before anything secret is sent.

    Raises:
        ConnectionLost: the server offers none, refuses it, or its certificate is not to be trusted.
        ProtocolError: it sent something behind its answer, to be taken for what comes inside TLS.
    """
    if not wire.has_extn("starttls"):
        raise ConnectionLost(
            f"the server offers no STARTTLS on port {settings.port}, and nothing secret was sent; "
            "set SMTP_PORT to one that does, mostly 587 or 465"
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
