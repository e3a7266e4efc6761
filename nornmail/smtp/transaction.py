"""One mail transaction: MAIL, RCPT, DATA, the content, the final dot (RFC 5321, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nornmail.errors import ConnectionLost, ProtocolError
from nornmail.net.redact import Redactor
from nornmail.outgoing import Envelope, Recipient, RecipientStatus, check_line_endings
from nornmail.smtp.reply_codes import CLOSING, Phase, Reply, ReplyKind, is_full, reply_kind
from nornmail.smtp.wire import Wire

_PATH = re.compile(r"[^\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]+@[^\x00-\x20\x7f-\xa0<>@]+")
"""A path of MAIL and RCPT without its angle brackets: nothing in it ends them or the line."""
PIPELINED: Final = 50
"""Commands that are sent before the first reply is read, where the server offers PIPELINING. Their
replies fit into the buffers of a connection: else both sides could wait for the other to read
(RFC 2920, 3.1)."""
MAX_SIZE_DIGITS: Final = 15
"""Digits of a server's SIZE that are read: what is larger is not a limit."""


def check_extensions(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """The reason why this server cannot take a message, known before sending; ``""`` if it can."""
    if not envelope.recipients:
        return "the message has no recipients"
    paths = (*filter(None, (envelope.sender,)), *envelope.recipients)
    for path in paths:
        if not _PATH.fullmatch(path):
            return f"the address {path[:80]!a} cannot be sent in a command"
    fault = check_line_endings(raw)
    if fault:
        return f"the message has {fault}"
    if _needs_smtputf8(envelope) and "smtputf8" not in features:
        return "an address is not ASCII, and the server has no SMTPUTF8 (RFC 6531)"
    if not raw.isascii() and "8bitmime" not in features:
        return "the message has octets beyond ASCII, and the server has no 8BITMIME (RFC 6152)"
    limit = size_limit(features)
    if limit and len(raw) > limit:
        return f"the message has {len(raw)} octets, and the server accepts {limit} at most"
    return ""


def mail_parameters(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """The parameters of MAIL, each behind a blank; only those that the server offers."""
    parameters = f" SIZE={len(raw)}" if "size" in features else ""
    if not raw.isascii():
        parameters += " BODY=8BITMIME"
    if _needs_smtputf8(envelope):
        parameters += " SMTPUTF8"
    return parameters


def size_limit(features: Mapping[str, str]) -> int:
    """The octets that a message may have (RFC 1870), 0 where the server names no limit."""
    digits = features.get("size", "").strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SIZE_DIGITS
    return int(digits) if is_number else 0


def _needs_smtputf8(envelope: Envelope) -> bool:
    addresses = (envelope.sender, *envelope.recipients)
    return envelope.smtputf8 or not all(address.isascii() for address in addresses)


FINAL_TIMEOUTS: Final = 10
"""Times the timeout that the reply to the final dot may take: the ten minutes of RFC 5321
(4.5.3.2.6) at the default. The server filters and stores then, and a client that gives up does not
know what became of the message."""

_STATUSES: Final = {
    ReplyKind.COMPLETION: RecipientStatus.UNKNOWN,
    ReplyKind.TRANSIENT: RecipientStatus.PENDING,
    ReplyKind.PERMANENT: RecipientStatus.REFUSED,
}
"""The status of a recipient after RCPT, if the connection is lost from here on."""
_ENDS: Final = {**_STATUSES, ReplyKind.COMPLETION: RecipientStatus.ACCEPTED}
"""The status of accepted recipients after a reply to the message as a whole."""


class SubmissionOutcome(StrEnum):
    """The outcome of a transaction."""

    ACCEPTED = "accepted"
    """The server took the message, for the recipients whose status is ACCEPTED."""
    DEFERRED = "deferred"
    """Taken for no recipient, and another try may succeed: 4xx, or lost before the end."""
    REFUSED = "refused"
    """Refused for all recipients, for good: 5xx."""
    UNKNOWN = "unknown"
    """The connection was lost when the final dot may have left: it may have been taken."""


@dataclass(frozen=True, slots=True)
class Submission:
    """The server's replies to a message.

    Attributes:
        outcome: see :class:`SubmissionOutcome`.
        recipients: those of the envelope, in its order, with status, code and text. PENDING is to
            be tried again.
        code: of the server's last reply; 0 where the connection was lost.
        text: its text on one line, or what happened to the connection.
        usable: whether the session may be used again; if not, it is closed.
        ended_early: deferred before the content, by a 4xx to MAIL or the end of the connection.
            Nothing of the message was taken, and it may be submitted elsewhere at once.
    """

    outcome: SubmissionOutcome
    recipients: tuple[Recipient, ...]
    code: int
    text: str
    usable: bool
    ended_early: bool = False


class Transaction:
    """One message on its way through one connection; used once."""

    def __init__(self, wire: Wire, envelope: Envelope, raw: bytes, redact: Redactor) -> None:
        self._wire = wire
        self._sender = envelope.sender
        self._raw = raw
        self._redact = redact
        self._recipients = [Recipient(address) for address in envelope.recipients]
        self._unsent: list[str] = []
        self._unanswered = 0
        self._last = (0, "")
        self._takes_content = False
        self._takes_envelope = False
        self._may_have_ended = False

    def run(
        self, parameters: str, before_content: Callable[[tuple[Recipient, ...]], None]
    ) -> Submission:
        """Submit the message."""
        try:
            usable = self._converse(parameters, before_content)
        except ConnectionLost as lost:
            usable = False
            self._lose(lost)
        except BaseException:
            self._wire.close()
            raise
        if not usable:
            self._wire.close()
        outcome = self._outcome()
        is_over = self._last[0] in (0, CLOSING) or not self._takes_envelope
        ended_early = outcome is SubmissionOutcome.DEFERRED and is_over and not self._takes_content
        return Submission(outcome, tuple(self._recipients), *self._last, usable, ended_early)

    def _converse(
        self, parameters: str, before_content: Callable[[tuple[Recipient, ...]], None]
    ) -> bool:
        """The whole exchange; whether the connection can take another message."""
        self._unsent = [
            f"MAIL FROM:<{self._sender}>{parameters}",
            *(f"RCPT TO:<{recipient.address}>" for recipient in self._recipients),
        ]
        reply = self._next_reply()
        if reply_kind(Phase.MAIL, reply) is not ReplyKind.COMPLETION:
            # Without RSET Postfix keeps a refusal of MAIL for the next one.
            return self._settle(Phase.MAIL, reply) and self._reset()
        self._takes_envelope = True
        if not self._name_recipients():
            return False
        if not any(entry.status is RecipientStatus.UNKNOWN for entry in self._recipients):
            return self._reset()
        reply = self._wire.command("DATA")
        if reply_kind(Phase.DATA, reply) is not ReplyKind.INTERMEDIATE:
            return self._settle(Phase.DATA, reply) and self._reset()
        self._takes_content = True
        with self._wire.not_aborted():
            before_content(tuple(self._recipients))
            return self._send_content()

    def _name_recipients(self) -> bool:
        """RCPT for each; whether the connection stays open."""
        full: Reply | None = None
        for place, recipient in enumerate(self._recipients):
            if full is not None and not self._unanswered:
                self._note(Phase.RCPT, full)
                self._defer(accepted=False)
                return True
            reply = self._next_reply()
            status = _STATUSES[self._note(Phase.RCPT, reply)]
            self._recipients[place] = Recipient(recipient.address, status, *self._last)
            if reply.code == CLOSING:
                self._defer()
                return False
            if is_full(reply):
                full = reply
        return True

    def _next_reply(self) -> Reply:
        """The reply to the next command of the envelope, which is sent if it was not yet."""
        if not self._unanswered:
            most = PIPELINED if self._wire.has_extn("pipelining") else 1
            commands, self._unsent = self._unsent[:most], self._unsent[most:]
            closing = self._wire.send_commands(commands)
            if closing is not None:
                return closing
            self._unanswered = len(commands)
        else:
            self._wire.set_deadline()
        self._unanswered -= 1
        return self._wire.read_reply()

    def _send_content(self) -> bool:
        """The content in one go, the final dot apart from it, and the reply.

        Until the dot is written the server must not have taken the message (RFC 5321, 4.2.5). From
        then on only the server knows.
        """
        wire = self._wire
        stuffed = self._raw.replace(b"\r\n.", b"\r\n..")  # RFC 5321, 4.5.2
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        early = self._sent(lambda: wire.send_content(stuffed[:-2]))
        if early is None:
            wire.set_deadline()  # that of the content may be an hour
            early = wire.early_reply()
        if early is not None:
            if reply_kind(Phase.END, early) is ReplyKind.COMPLETION:
                raise ProtocolError("the server took the message before it had ended")
            self._settle(Phase.END, early)
            return False  # it may take the rest for commands
        self._may_have_ended = True
        wire.set_deadline(wire.seconds * FINAL_TIMEOUTS)
        reply = self._sent(lambda: wire.send(b"\r\n.\r\n")) or wire.read_reply()
        return self._settle(Phase.END, reply)

    def _sent(self, send: Callable[[], None]) -> Reply | None:
        """Send; where that fails, the server's last reply before it closed the connection."""
        try:
            send()
        except ConnectionLost:
            self._wire.set_deadline()
            with suppress(ConnectionLost):
                early = self._wire.early_reply()
                if early is not None:
                    return early
            raise
        return None

    def _reset(self) -> bool:
        """End the transaction; whether the connection can take another message."""
        try:
            while self._unanswered:
                self._next_reply()
            return reply_kind(Phase.OTHER, self._wire.command("RSET")) is ReplyKind.COMPLETION
        except ConnectionLost:  # the outcome of the message is known already
            return False

    def _note(self, phase: Phase, reply: Reply) -> ReplyKind:
        """Keep a reply as the last one."""
        self._last = (reply.code, self._redact(reply.text))
        kind = reply_kind(phase, reply)
        if kind is ReplyKind.INVALID:
            raise ProtocolError(f"the server answered {phase} with {reply.code}")
        return kind

    def _settle(self, phase: Phase, reply: Reply) -> bool:
        """Apply a reply to the message as a whole; whether the connection stays open."""
        status = _ENDS[self._note(phase, reply)]
        for place, recipient in enumerate(self._recipients):
            if phase is Phase.MAIL or recipient.status is RecipientStatus.UNKNOWN:
                self._recipients[place] = Recipient(recipient.address, status, *self._last)
        return reply.code != CLOSING

    def _defer(self, *, accepted: bool = True) -> None:
        """Defer the recipients that were not named yet."""
        for place, entry in enumerate(self._recipients):
            unnamed = entry.status is RecipientStatus.PENDING and not entry.code
            if unnamed or (accepted and entry.status is RecipientStatus.UNKNOWN):
                pending = Recipient(entry.address, RecipientStatus.PENDING, *self._last)
                self._recipients[place] = pending

    def _lose(self, lost: ConnectionLost) -> None:
        """Apply the loss of the connection."""
        self._last = (0, self._redact(str(lost)))
        if not self._may_have_ended:
            self._defer()
            return
        self._recipients = [
            Recipient(entry.address, entry.status, *self._last)
            if entry.status is RecipientStatus.UNKNOWN
            else entry
            for entry in self._recipients
        ]

    def _outcome(self) -> SubmissionOutcome:
        statuses = {entry.status for entry in self._recipients}
        matches = (outcome for status, outcome in _OUTCOMES if status in statuses)
        return next(matches, SubmissionOutcome.REFUSED)


_OUTCOMES: Final = (
    (RecipientStatus.ACCEPTED, SubmissionOutcome.ACCEPTED),
    (RecipientStatus.UNKNOWN, SubmissionOutcome.UNKNOWN),
    (RecipientStatus.PENDING, SubmissionOutcome.DEFERRED),
)
"""The first status that some recipient has decides."""
