"""One SMTP connection, from connecting to QUIT. What it means for a letter is told as a value."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nornmail.clock import Clock, SystemClock
from nornmail.errors import ConnectionLost
from nornmail.net.redact import Scrubber
from nornmail.outgoing import Envelope, Recipient, Standing
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.fitness import mail_parameters, unfit
from nornmail.smtp.login import log_in
from nornmail.smtp.opening import connected, greet, secure
from nornmail.smtp.reply_codes import Meaning, Stage, meaning
from nornmail.smtp.transaction import Outcome, Submission, Transaction
from nornmail.smtp.wire import Wire

__all__ = ["Outcome", "Session", "Submission"]

NOOP_TIMEOUT: Final = 10.0
"""Seconds for NOOP: the server has nothing to do for it, and a connection that died in silence is
noticed by it."""
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
        wire = connected(settings, clock or SystemClock(), settings.timeout)
        try:
            greet(wire, scrub)
            if settings.use_tls and not settings.implicit_tls:
                secure(wire, settings, scrub)
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
            if meaning(Stage.OTHER, self._wire.command("NOOP", NOOP_TIMEOUT)) is Meaning.DONE:
                return True
        except ConnectionLost:
            pass  # that is the answer
        self._wire.close()
        return False

    def close(self) -> None:
        """Say QUIT and close; nothing depends on the answer. More than once is no error."""
        with suppress(ConnectionLost):
            self._wire.command("QUIT", QUIT_TIMEOUT)
        self._wire.close()
