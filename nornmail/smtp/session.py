"""SMTP sessions: connecting, login (RFC 4954), QUIT, and a session kept between messages."""

from __future__ import annotations

import logging
import re
import socket
import ssl
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from nornmail.clock import Clock, Deadline, SystemClock
from nornmail.errors import (
    AuthenticationFailed,
    ConnectionLost,
    NornmailError,
    ProtocolError,
    Throttled,
)
from nornmail.net import tls
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
from nornmail.net.tls import Abort, Endpoint
from nornmail.outgoing import Envelope, Recipient, RecipientStatus
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
from nornmail.smtp.transaction import (
    Submission,
    SubmissionOutcome,
    Transaction,
    check_extensions,
    mail_parameters,
)
from nornmail.smtp.wire import Wire

MAX_COMMAND_OCTETS: Final = 510
"""Octets of a command without its CRLF (RFC 5321, 4.5.3.1.4): a longer first message goes after the
command (RFC 4954, 4)."""
MAX_CHALLENGES: Final = 4
"""Challenges of a server within one login; none of these mechanisms has more than two."""

LOGIN_HINT: Final = (
    "check SMTP_USERNAME and SMTP_PASSWORD: many providers require an app password here, not the "
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


log = logging.getLogger("nornmail.smtp")

HELO_LITERAL: Final = "[127.0.0.1]"
"""The name of a client that has none of its own (RFC 5321, 4.1.3); it reveals nothing about it."""
_HOST_NAME = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.IGNORECASE,
)
_NOT_PUBLIC = (".local", ".localdomain", ".lan", ".internal", ".home", ".arpa", ".localhost")

NOOP_TIMEOUT: Final = 10.0
"""Seconds for NOOP: the server has nothing to do for it, and a connection that died in silence is
noticed by it."""
QUIT_TIMEOUT: Final = 5.0
"""Seconds for QUIT: nothing depends on the reply."""


# The handshake: connecting, the greeting, EHLO, STARTTLS. No secret is sent here.


def helo_name(host_name: str) -> str:
    """Our own name in EHLO: this machine's if it is a whole and public one, else a literal.

    Servers refuse half names (``build-7``), and a private name only reveals the network it is in.
    """
    is_public = _HOST_NAME.fullmatch(host_name) and not host_name.lower().endswith(_NOT_PUBLIC)
    return host_name if is_public else HELO_LITERAL


def endpoint_of(settings: SmtpSettings) -> Endpoint:
    """The endpoint that the settings lead to."""
    return Endpoint(
        protocol="SMTP",
        host=settings.host,
        port=settings.port,
        ca_file=settings.ca_file,
        plain_advice="465 is the port for TLS from the first octet: set SMTP_PORT, usually to 587",
        tls_advice="the port speaks TLS from the first octet: set SMTP_USE_SSL=true, which is the "
        "default on port 465",
    )


def connect(
    settings: SmtpSettings, clock: Clock, seconds: float, abort: Abort | None = None
) -> Wire:
    """A connection, inside TLS where it begins with the first octet.

    Args:
        seconds: that connecting, TLS and the greeting may take together, and then each command.
        abort: ends every wait for the server, from another thread.

    Raises:
        ConnectionLost: no answer, or the certificate is not to be trusted.
        ConfigurationError: the host's name or the CA file cannot be used.
    """
    endpoint = endpoint_of(settings)
    context = endpoint.context() if settings.implicit_tls else None
    deadline = Deadline(clock, seconds)
    abort = abort or Abort()
    sock = tls.connect(endpoint, deadline.remaining, abort)
    if context is not None:
        sock = tls.wrap(sock, endpoint, context, deadline.remaining, abort)
    helo = helo_name(socket.gethostname())
    return Wire(sock, settings.host, helo, seconds, clock, deadline, abort)


def read_greeting(wire: Wire, redact: Redactor) -> None:
    """Read the greeting, and learn the server's extensions."""
    reply = wire.read_reply()
    text = f"{reply.code} {redact(reply.text)}".rstrip()
    kind = reply_kind(Phase.GREETING, reply)
    if kind is ReplyKind.TRANSIENT:
        raise _busy(text, reply.text)
    if kind is ReplyKind.PERMANENT:
        raise ConnectionLost(f"the server refuses connections: {text}")
    if kind is not ReplyKind.COMPLETION:
        raise ProtocolError(f"the server greets with {text}")
    _hello(wire, redact)


def _busy(text: str, words: str) -> Throttled:
    message = f"the server is refusing connections (temporary): {text}"
    return Throttled(message, kind=limit_kind(words))


def _hello(wire: Wire, redact: Redactor) -> None:
    """EHLO, and HELO where the server is older than that (RFC 5321, 3.2)."""
    for verb, send in (("EHLO", wire.ehlo), ("HELO", wire.helo)):
        wire.set_deadline()
        code, octets = send()
        text = f"{code} {redact(octets.decode('utf-8', 'replace'))}".rstrip()
        if code // 100 == 4:
            raise _busy(text, text)
        if code == 250:
            return
        if code // 100 != 5:
            raise ProtocolError(f"the server answered {verb} with {text}")
    raise ConnectionLost(f"the server refuses connections: {text}")


def start_tls(wire: Wire, settings: SmtpSettings, redact: Redactor) -> None:
    """STARTTLS (RFC 3207), which must succeed before anything secret is sent.

    Raises:
        ConnectionLost: the server does not offer it, refuses it, or its certificate is not to be
            trusted.
        ProtocolError: octets followed its reply, which would be taken for the server's inside TLS.
    """
    if not wire.has_extn("starttls"):
        raise ConnectionLost(
            f"the server does not offer STARTTLS on port {settings.port}, and nothing secret was "
            "sent; set SMTP_PORT to one that does, usually 587 or 465 (SMTP_USE_TLS=false sends "
            "everything in clear text, the password included)"
        )
    endpoint = endpoint_of(settings)
    context = endpoint.context()
    reply = wire.command("STARTTLS")
    if reply_kind(Phase.STARTTLS, reply) is not ReplyKind.COMPLETION:
        text = f"{reply.code} {redact(reply.text)}".rstrip()
        raise ConnectionLost(f"the server refused STARTTLS, and nothing secret was sent: {text}")
    if not wire.is_quiet:
        raise ProtocolError("the server sent something between STARTTLS and TLS")
    wire.begin_tls(endpoint, context)
    _hello(wire, redact)


class Session:
    """One SMTP connection, logged in. One thread at a time. Made by :meth:`open`."""

    def __init__(self, wire: Wire, redact: Redactor) -> None:
        self._wire = wire
        self._redact = redact

    @classmethod
    def open(
        cls,
        settings: SmtpSettings,
        *,
        token: Callable[[], str] | None = None,
        clock: Clock | None = None,
        abort: Abort | None = None,
    ) -> Session:
        """Connect, begin TLS as the settings demand it, and log in.

        Args:
            token: instead of that of the settings.
            abort: ends every wait for the server, from another thread, but for a message's content.

        Raises:
            ConnectionLost: no answer, the server refuses connections, or TLS failed.
            ProtocolError: a reply cannot be understood.
            AuthenticationFailed: it refused the credentials, or takes none of this kind.
            Throttled: it refuses connections or logins for now (4xx).
            ConfigurationError: a setting cannot be used.
        """
        redact, abort = Redactor(settings.password or ""), abort or Abort()
        wire = connect(settings, clock or SystemClock(), settings.timeout, abort)
        try:
            read_greeting(wire, redact)
            if settings.use_tls and not settings.implicit_tls:
                start_tls(wire, settings, redact)
            log_in(wire, settings, redact, token or settings.token, abort)
        except BaseException:
            wire.close()
            raise
        log.debug("SMTP session open: %s:%d", settings.host, settings.port)
        return cls(wire, redact)

    def submit(
        self,
        envelope: Envelope,
        raw: bytes,
        *,
        before_content: Callable[[tuple[Recipient, ...]], None],
    ) -> Submission:
        """Submit a message: MAIL, a RCPT for each recipient, DATA, the content, the final dot.

        MAIL and RCPT go out together where the server offers PIPELINING (RFC 2920).

        Args:
            before_content: called after 354, before the first octet of the content, with the
                recipients as they are if the connection is lost from here on: UNKNOWN where RCPT
                was accepted, PENDING where it was deferred, REFUSED where it was refused. When it
                raises, the connection is closed, nothing was sent, and the error propagates.

        Returns:
            The server's replies. Nothing that the server sends or does raises. A message that
            cannot be submitted here (too large, no SMTPUTF8, lines that break the rules) is REFUSED
            with code 0, and nothing of it was sent.
        """
        features = self._wire.esmtp_features
        fault = check_extensions(features, envelope, raw)
        if fault:
            refused = (
                Recipient(address, RecipientStatus.REFUSED, 0, fault)
                for address in envelope.recipients
            )
            usable = self._wire.sock is not None
            return Submission(SubmissionOutcome.REFUSED, tuple(refused), 0, fault, usable)
        parameters = mail_parameters(features, envelope, raw)
        return Transaction(self._wire, envelope, raw, self._redact).run(parameters, before_content)

    def alive(self) -> bool:
        """Whether the server still answers (NOOP); if not, the session is closed."""
        try:
            reply = self._wire.command("NOOP", NOOP_TIMEOUT)
            if reply_kind(Phase.OTHER, reply) is ReplyKind.COMPLETION:
                return True
        except ConnectionLost:
            pass  # that is the answer
        self._wire.close()
        return False

    def close(self) -> None:
        """QUIT and close; nothing depends on the reply. More than once is not an error."""
        with suppress(ConnectionLost):
            self._wire.command("QUIT", QUIT_TIMEOUT)
        self._wire.close()


ASK_AFTER = 5.0
"""Seconds without use after which a session is checked (NOOP) before it is used again: servers and
what stands in between hang up in silence."""
CLOSE_AFTER = 30.0
"""Seconds without use after which it is closed: a connection is a slot of the server's, and Postfix
counts those of a client."""

OpenSession = Callable[[], Session]


class CachedSession:
    """Keeps a session between messages: opened on demand, closed when idle. For one thread."""

    def __init__(self, open_session: OpenSession, clock: Clock) -> None:
        self._open = open_session
        self._clock = clock
        self._session: Session | None = None
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def submit(
        self,
        envelope: Envelope,
        raw: bytes,
        *,
        before_content: Callable[[tuple[Recipient, ...]], None],
    ) -> Submission:
        """Submit a message: see :meth:`Session.submit`.

        Some servers end a connection after each message, or after some: by closing it or by 421,
        which may come at any command of the next, or by another 4xx to its MAIL. Such a message
        goes out on a new connection at once.
        """
        cached = self._session
        session = self._ready()
        submission = session.submit(envelope, raw, before_content=before_content)
        if session is cached and submission.ended_early:
            log.debug("the server ended the session: %d %s", submission.code, submission.text)
            self.close()
            session = self._ready()
            submission = session.submit(envelope, raw, before_content=before_content)
        self._used_at = self._clock.monotonic()
        if not submission.usable:
            self.close()
        return submission

    def _ready(self) -> Session:
        """A session that can be used: the kept one, if it is still alive, else a new one."""
        idle = self._clock.monotonic() - self._used_at
        if self._session is not None and idle >= CLOSE_AFTER:
            self.close()
        if self._session is not None and idle >= ASK_AFTER and not self._session.alive():
            log.debug("the connection was lost while it was idle")
            self.close()
        if self._session is None:
            self._session = self._open()
        return self._session

    def close_if_idle(self) -> None:
        """Close the session if it was not used for some time."""
        if self._session is not None and self.idle_left() <= 0:
            self.close()

    def idle_left(self) -> float:
        """Seconds until the session is closed if it is not used."""
        return self._used_at + CLOSE_AFTER - self._clock.monotonic()

    def close(self) -> None:
        """Close the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(NornmailError):  # nothing depends on QUIT
                session.close()
