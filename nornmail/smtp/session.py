"""One SMTP connection, from connecting to QUIT. What it means for a letter is told as a value."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nornmail.clock import Clock, SystemClock
from nornmail.errors import ConnectionLost, NornmailError, ProtocolError, Throttled
from nornmail.net.redact import Redactor
from nornmail.net.tls import connect, helo_name, wrap
from nornmail.outgoing import Envelope, Recipient, RecipientStatus
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.login import log_in
from nornmail.smtp.reply_codes import Meaning, Stage, limit_kind, meaning
from nornmail.smtp.transaction import Outcome, Submission, Transaction, mail_parameters, unfit
from nornmail.smtp.wire import Wire

log = logging.getLogger("nornmail.smtp")

# ---- The beginning of a session: connecting, the greeting, EHLO, STARTTLS. No secret is sent
# here.


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


def greet(wire: Wire, scrub: Redactor) -> None:
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


def _hello(wire: Wire, scrub: Redactor) -> None:
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


def secure(wire: Wire, settings: SmtpSettings, scrub: Redactor) -> None:
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


NOOP_TIMEOUT: Final = 10.0
"""Seconds for NOOP: the server has nothing to do for it, and a connection that died in silence is
noticed by it."""
QUIT_TIMEOUT: Final = 5.0
"""Seconds for QUIT: nothing depends on the answer."""


class Session:
    """One SMTP connection, logged in. One thread at a time. Made by :meth:`open`."""

    def __init__(self, wire: Wire, scrub: Redactor) -> None:
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
        scrub = Redactor()
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
            refused = (
                Recipient(one, RecipientStatus.REFUSED, 0, fault) for one in envelope.recipients
            )
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


# ---- The one connection to the server: made when it is needed, used again, closed when it is
# idle.

ASK_AFTER = 5.0
"""Seconds without use after which a connection is asked whether it still lives (NOOP) before it is
used again: servers and what stands in between hang up in silence."""
CLOSE_AFTER = 30.0
"""Seconds without use after which it is closed: a connection is a slot of the server's, and Postfix
counts those of a client."""

OpenSession = Callable[[], Session]


class Line:
    """Keeps a session. One thread at a time.

    Args:
        open_session: makes one; see :meth:`nornmail.smtp.session.Session.open`.
        clock: for how long it was idle.
    """

    def __init__(self, open_session: OpenSession, clock: Clock) -> None:
        self._open = open_session
        self._clock = clock
        self._session: Session | None = None
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def ready(self) -> Session:
        """A session that can be used: the one that there is, if it still lives, else a new one.

        Raises:
            NornmailError: as ``open_session`` does.
        """
        idle = self._clock.monotonic() - self._used_at
        if self._session is not None and idle >= CLOSE_AFTER:
            self.close()
        if self._session is not None and idle >= ASK_AFTER and not self._session.alive():
            log.debug("the connection had died while it was idle")
            self.drop()
        if self._session is None:
            self._session = self._open()
        self._used_at = self._clock.monotonic()
        return self._session

    def used(self, *, usable: bool) -> None:
        """Note that the session was used, and whether it can be again."""
        self._used_at = self._clock.monotonic()
        if not usable:
            self.drop()

    def close_if_idle(self) -> None:
        """Close the session if nobody used it for some time."""
        if self._session is not None and self.idle_left() <= 0:
            self.close()

    def idle_left(self) -> float:
        """Seconds until the session is closed if nobody uses it."""
        return self._used_at + CLOSE_AFTER - self._clock.monotonic()

    def drop(self) -> None:
        """Let go of a session that is of no use."""
        self.close()

    def close(self) -> None:
        """Close the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(NornmailError):  # nothing depends on a good-bye
                session.close()
