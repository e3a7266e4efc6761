"""One letter handed in: MAIL, RCPT, DATA, the content, the final dot (RFC 5321, 3.3)."""

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
from nornmail.smtp.reply_codes import CLOSING, Meaning, Response, Stage, is_full, meaning
from nornmail.smtp.wire import Wire

# ---- Whether a letter can be handed to this server at all, told before anything is sent. Pure.

_PATH = re.compile(r"[^\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]+@[^\x00-\x20\x7f-\xa0<>@]+")
"""What stands between the angle brackets of MAIL and RCPT: nothing that ends them or the line."""
MAX_SIZE_DIGITS: Final = 15
"""Digits of a server's SIZE that are read: what is larger is no limit."""


def unfit(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """Why it cannot be handed in here, in words; ``""`` when it can.

    Args:
        features: what the server offers (RFC 5321, 4.1.1.1), names in lower case.
        envelope: from whom and to whom.
        raw: the message.
    """
    if not envelope.recipients:
        return "it has no recipients"
    paths = (*filter(None, (envelope.sender,)), *envelope.recipients)
    for path in paths:
        if not _PATH.fullmatch(path):
            return f"the address {path[:80]!a} cannot stand in a command"
    fault = check_line_endings(raw)
    if fault:
        return f"the message has {fault}"
    if _needs_smtputf8(envelope) and "smtputf8" not in features:
        return "an address is not ASCII, and the server has no SMTPUTF8 (RFC 6531)"
    if not raw.isascii() and "8bitmime" not in features:
        return "the message has octets beyond ASCII, and the server has no 8BITMIME (RFC 6152)"
    limit = size_limit(features)
    if limit and len(raw) > limit:
        return f"the message has {len(raw)} octets, and the server takes {limit} at most"
    return ""


def mail_parameters(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """The parameters of MAIL, each behind a blank; only what the server offers.

    Args:
        features, envelope, raw: as for :func:`unfit`, which found nothing.
    """
    found = f" SIZE={len(raw)}" if "size" in features else ""
    if not raw.isascii():
        found += " BODY=8BITMIME"
    if _needs_smtputf8(envelope):
        found += " SMTPUTF8"
    return found


def size_limit(features: Mapping[str, str]) -> int:
    """The octets that a message may have (RFC 1870), 0 where the server names no limit."""
    digits = features.get("size", "").strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SIZE_DIGITS
    return int(digits) if is_number else 0


def _needs_smtputf8(envelope: Envelope) -> bool:
    addresses = (envelope.sender, *envelope.recipients)
    return envelope.smtputf8 or not all(one.isascii() for one in addresses)


FINAL_PATIENCE: Final = 10
"""Times the timeout that the answer to the final dot may take: the ten minutes of RFC 5321
(4.5.3.2.6) at the default. The server filters and stores then, and whoever gives up does not know
what became of the letter."""


_STANDINGS: Final = {
    Meaning.DONE: RecipientStatus.UNKNOWN,
    Meaning.LATER: RecipientStatus.PENDING,
    Meaning.NEVER: RecipientStatus.REFUSED,
}
"""How a recipient stands after RCPT, if nothing is ever heard again."""
_ENDS: Final = {**_STANDINGS, Meaning.DONE: RecipientStatus.ACCEPTED}
"""How those that were taken stand after an answer to the letter as a whole."""


class Outcome(StrEnum):
    """What became of a letter that was handed in."""

    ACCEPTED = "accepted"
    """The server took it, for those whose status is ACCEPTED."""
    DEFERRED = "deferred"
    """Nobody got it, and another try may succeed: 4xx, or lost before the content had ended."""
    REFUSED = "refused"
    """Nobody got it, and nobody will: 5xx for all."""
    UNKNOWN = "unknown"
    """The connection fell when the final dot may have left: it may have been taken."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What the server said to a letter.

    Attributes:
        outcome: see :class:`Outcome`.
        recipients: everyone of the envelope, in its order, with status, code and text. PENDING is
            to be tried again.
        code: of the server's last answer; 0 where the connection fell.
        text: its words on one line, or what happened to the connection.
        usable: whether the session may be used again; if not, it is closed.
    """

    outcome: Outcome
    recipients: tuple[Recipient, ...]
    code: int
    text: str
    usable: bool


class Transaction:
    """A letter on its way through one connection; used once.

    Args:
        wire: logged in, with nothing under way.
        envelope: checked (:func:`~nornmail.smtp.transaction.unfit`).
        raw: the message, its lines checked as well.
        scrub: makes the server's words fit to be kept.
    """

    def __init__(self, wire: Wire, envelope: Envelope, raw: bytes, scrub: Redactor) -> None:
        self._wire = wire
        self._sender = envelope.sender
        self._raw = raw
        self._scrub = scrub
        self._recipients = [Recipient(address) for address in envelope.recipients]
        self._last = (0, "")
        self._may_have_ended = False

    def run(
        self, parameters: str, before_content: Callable[[tuple[Recipient, ...]], None]
    ) -> Submission:
        """Hand it in.

        Args:
            parameters: those of MAIL, each behind a blank.
            before_content: see :meth:`~nornmail.smtp.session.Session.submit`.

        Returns:
            What became of it. Where it is not usable the connection is closed.
        """
        try:
            usable = self._converse(parameters, before_content)
        except ConnectionLost as lost:
            usable = False
            self._fell(lost)
        except BaseException:
            self._wire.close()
            raise
        if not usable:
            self._wire.close()
        return Submission(self._outcome(), tuple(self._recipients), *self._last, usable)

    def _converse(
        self, parameters: str, before_content: Callable[[tuple[Recipient, ...]], None]
    ) -> bool:
        """The whole exchange; whether the connection is fit for another letter."""
        answer = self._wire.command(f"MAIL FROM:<{self._sender}>{parameters}")
        if meaning(Stage.MAIL, answer) is not Meaning.DONE:
            # Without RSET Postfix keeps a refusal of MAIL for the next one.
            return self._told(Stage.MAIL, answer) and self._reset()
        if not self._name_recipients():
            return False
        if not any(one.status is RecipientStatus.UNKNOWN for one in self._recipients):
            return self._reset()
        answer = self._wire.command("DATA")
        if meaning(Stage.DATA, answer) is not Meaning.GO_ON:
            return self._told(Stage.DATA, answer) and self._reset()
        before_content(tuple(self._recipients))
        return self._send_content()

    def _name_recipients(self) -> bool:
        """RCPT for each; whether the connection goes on."""
        for place, one in enumerate(self._recipients):
            answer = self._wire.command(f"RCPT TO:<{one.address}>")
            found = self._heard(Stage.RECIPIENT, answer)
            self._recipients[place] = Recipient(one.address, _STANDINGS[found], *self._last)
            if answer.code == CLOSING:
                self._put_off()
                return False
            if is_full(answer):
                self._put_off(taken=False)
                return True
        return True

    def _send_content(self) -> bool:
        """The content in one go, the final dot apart from it, and the answer.

        Until the dot is written the server must not have taken the letter (RFC 5321, 4.2.5). From
        then on nobody knows but the server.
        """
        wire = self._wire
        stuffed = self._raw.replace(b"\r\n.", b"\r\n..")  # RFC 5321, 4.5.2
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        early = self._sent(lambda: wire.send_content(stuffed[:-2])) or wire.early()
        if early is not None:
            if meaning(Stage.END, early) is Meaning.DONE:
                raise ProtocolError("the server took the letter before it had ended")
            self._told(Stage.END, early)
            return False  # it may take the rest for commands
        self._may_have_ended = True
        wire.expect(wire.seconds * FINAL_PATIENCE)
        answer = self._sent(lambda: wire.send(b"\r\n.\r\n")) or wire.response()
        return self._told(Stage.END, answer)

    def _sent(self, send: Callable[[], None]) -> Response | None:
        """Send; where that fails, what the server said before it hung up."""
        try:
            send()
        except ConnectionLost:
            with suppress(ConnectionLost):
                said = self._wire.early()
                if said is not None:
                    return said
            raise
        return None

    def _reset(self) -> bool:
        """End the transaction; whether the connection is fit for another letter."""
        try:
            return meaning(Stage.OTHER, self._wire.command("RSET")) is Meaning.DONE
        except ConnectionLost:  # what became of the letter is known already
            return False

    # What it means

    def _heard(self, stage: Stage, answer: Response) -> Meaning:
        """Take an answer down.

        Raises:
            ProtocolError: it is no answer to what was said.
        """
        self._last = (answer.code, self._scrub(answer.text))
        found = meaning(stage, answer)
        if found is Meaning.NONSENSE:
            raise ProtocolError(f"the server answered {stage} with {answer.code}")
        return found

    def _told(self, stage: Stage, answer: Response) -> bool:
        """An answer to the letter as a whole; whether the connection goes on."""
        status = _ENDS[self._heard(stage, answer)]
        for place, one in enumerate(self._recipients):
            if stage is Stage.MAIL or one.status is RecipientStatus.UNKNOWN:
                self._recipients[place] = Recipient(one.address, status, *self._last)
        return answer.code != CLOSING

    def _put_off(self, *, taken: bool = True) -> None:
        """Nobody was asked beyond here; and who was taken is let go with it.

        Args:
            taken: also those that were taken already.
        """
        for place, one in enumerate(self._recipients):
            was_taken = one.status is RecipientStatus.UNKNOWN
            if (was_taken and taken) or (one.status is RecipientStatus.PENDING and not one.code):
                self._recipients[place] = Recipient(
                    one.address, RecipientStatus.PENDING, *self._last
                )

    def _fell(self, lost: ConnectionLost) -> None:
        """The connection is gone, or of no use."""
        self._last = (0, self._scrub(str(lost)))
        if not self._may_have_ended:
            self._put_off()
            return
        self._recipients = [
            Recipient(one.address, one.status, *self._last)
            if one.status is RecipientStatus.UNKNOWN
            else one
            for one in self._recipients
        ]

    def _outcome(self) -> Outcome:
        statuses = {one.status for one in self._recipients}
        return next((outcome for one, outcome in _OUTCOMES if one in statuses), Outcome.REFUSED)


_OUTCOMES: Final = (
    (RecipientStatus.ACCEPTED, Outcome.ACCEPTED),
    (RecipientStatus.UNKNOWN, Outcome.UNKNOWN),
    (RecipientStatus.PENDING, Outcome.DEFERRED),
)
"""The first status that some recipient has decides."""
