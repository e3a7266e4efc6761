"""Settings of the SMTP server that a test may change while it runs, and its counters."""

from __future__ import annotations

import threading

DEFAULT_EXTENSIONS = frozenset(
    {
        "8BITMIME",
        "AUTH=LOGIN",
        "AUTH=PLAIN",
        "ENHANCEDSTATUSCODES",
        "PIPELINING",
        "SIZE",
        "SMTPUTF8",
    }
)
"""The extensions of a new server; STARTTLS is added where it is offered."""

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Octets of a message: as much as large providers accept."""

MAX_RECIPIENTS = 1000
"""Recipients of a message. RFC 5321, 4.5.3.1.8, wants 100; Postfix takes 1,000."""


class SmtpSettings:
    """The behaviour of an SMTP server. All of it may be changed at any time.

    Attributes:
        extensions: what EHLO offers; a connection has what was in it when it began. A parameter or
            a command of an extension that is not in it is refused. Mechanisms stand in it as
            ``"AUTH=PLAIN"``; besides PLAIN and LOGIN there are ``"AUTH=XOAUTH2"`` and
            ``"AUTH=OAUTHBEARER"``, and ``"DSN"`` lets its parameters pass. Any other name is
            shown as it is.
        name: the server's name in its greeting.
        max_message_bytes: octets of a message; SIZE shows it, and beyond it the answer is 552.
        max_recipients: recipients of a message; beyond them the answer is 452.
        max_line_bytes: octets of a message's line with its CRLF; beyond them the answer is 500.
            None lets every line pass; RFC 5321 has 1,000.
        refuse_bare_line_ends: answer a message in which a CR or an LF stands without the other
            with 550, as servers do since SMTP smuggling. Otherwise it is kept as it came. Either
            way nothing but CRLF, dot, CRLF ends a message.
        require_auth: answer MAIL with 530 before a login.
        require_tls: answer MAIL with 530 until STARTTLS.
        auth_without_tls: show AUTH and allow it without TLS; False where STARTTLS is offered.
        local_domains: domains in which only accounts can get mail: others are answered 550.
        logins: how many logins succeeded.
        commands: every command line so far, without passwords and messages.
    """

    def __init__(self, *, starttls: bool) -> None:
        self.extensions = set(DEFAULT_EXTENSIONS) | ({"STARTTLS"} if starttls else set())
        self.name = "localhost"
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.max_recipients = MAX_RECIPIENTS
        self.max_line_bytes: int | None = None
        self.refuse_bare_line_ends = False
        self.require_auth = False
        self.require_tls = False
        self.auth_without_tls = not starttls
        self.local_domains: set[str] = set()
        self.logins = 0
        self.commands: list[bytes] = []
        self._lock = threading.Lock()

    def count_login(self) -> None:
        """Another login succeeded."""
        with self._lock:
            self.logins += 1

    def count_command(self, line: bytes) -> None:
        """Another command came."""
        with self._lock:
            self.commands.append(line)
