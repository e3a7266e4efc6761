"""What a program is told of a letter, and what it is asked before one goes out."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from nornmail.errors import Defer, Reject
from nornmail.message.message import Message, parse_message
from nornmail.outgoing import QueuedMessage, QueueState, Recipient, RecipientStatus

log = logging.getLogger("nornmail.outbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """What became of a message so far.

    Attributes:
        key: what makes it once; ask :meth:`~nornmail.outbox.mailer.Mailer.result` with
            it again.
        state: ``queued``, ``sending``, ``sent``, ``failed`` or ``unknown``; it compares equal to
            its text.
        message_id: its Message-ID with the angle brackets.
        recipients: everyone of the envelope, with status, code and text.
        code: of the server's answer to it, 0 where there was none yet.
        text: the words of that answer, on one line.
        reason: why it is where it is, for a person; ``""`` where the state says it all.
        attempts: how often it was tried and put off.
        dry_run: nothing was sent, and nothing was kept (``dry_run=True``).
        raw: the message, of a dry run alone.
    """

    key: str
    state: QueueState
    message_id: str
    recipients: tuple[Recipient, ...]
    code: int = 0
    text: str = ""
    reason: str = ""
    attempts: int = 0
    dry_run: bool = False
    raw: bytes = field(default=b"", repr=False)

    @property
    def accepted(self) -> tuple[Recipient, ...]:
        """For whom the server took it."""
        return self._of(RecipientStatus.ACCEPTED)

    @property
    def refused(self) -> tuple[Recipient, ...]:
        """For whom it was refused for good, or given up."""
        return self._of(RecipientStatus.REFUSED)

    @property
    def pending(self) -> tuple[Recipient, ...]:
        """For whom it is still to be tried."""
        return self._of(RecipientStatus.PENDING)

    @property
    def unknown(self) -> tuple[Recipient, ...]:
        """For whom it is not known whether the server took it."""
        return self._of(RecipientStatus.UNKNOWN)

    @property
    def bounced(self) -> tuple[Recipient, ...]:
        """For whom it was taken, and a delivery report came back."""
        return self._of(RecipientStatus.BOUNCED)

    def _of(self, status: RecipientStatus) -> tuple[Recipient, ...]:
        return tuple(one for one in self.recipients if one.status is status)


_TELLING = (
    RecipientStatus.ACCEPTED,
    RecipientStatus.UNKNOWN,
    RecipientStatus.REFUSED,
    RecipientStatus.PENDING,
)
"""Whose answer stands for the whole, the first that somebody has."""


def result_of(letter: QueuedMessage) -> SendResult:
    """What is told of a letter."""
    answers = [
        one for status in _TELLING for one in letter.recipients if one.status is status and one.code
    ]
    return SendResult(
        key=letter.key,
        state=letter.state,
        message_id=letter.message_id,
        recipients=letter.recipients,
        code=answers[0].code if answers else 0,
        text=answers[0].text if answers else "",
        reason=letter.reason,
        attempts=letter.attempts,
    )


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that is about to go out, as ``before_send`` sees it.

    Attributes:
        key: what makes it once.
        recipients: to whom it goes now, Bcc included.
        raw: the message.
        attempts: how often it was tried before and put off.
        is_answer: it was written by :meth:`Mailer.reply <nornmail.outbox.mailer.Mailer.reply>`.
    """

    key: str
    recipients: tuple[str, ...]
    raw: bytes = field(repr=False)
    attempts: int
    is_answer: bool

    @property
    def message(self) -> Message:
        """It as a message: subject, text, attachments."""
        return parse_message(self.raw)


# ---- What ``before_send`` says of a message, as a value: nothing that it does raises out of here.


BeforeSend = Callable[[OutgoingMessage], object]
"""True sends it, False or :class:`~nornmail.errors.Reject` does not, and
:class:`~nornmail.errors.Defer` asks again later."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a message.

    Attributes:
        goes: it is sent now.
        later: seconds until the question is asked again; ``None`` if it is not.
        failed: the hook itself failed: it is asked again, and that counts as a try.
        reason: for a person.
    """

    goes: bool = False
    later: float | None = None
    failed: bool = False
    reason: str = ""


def ask(before_send: BeforeSend | None, outgoing: OutgoingMessage) -> Decision:
    """Ask whether a message may go out."""
    if before_send is None:
        return Decision(goes=True)
    try:
        said = before_send(outgoing)
    except Defer as defer:
        return Decision(later=defer.seconds, reason=str(defer))
    except Reject as reject:
        return Decision(reason=str(reject))
    except Exception as error:
        log.exception("before_send failed for %s", outgoing.key)
        return Decision(failed=True, reason=f"before_send failed: {type(error).__name__}: {error}")
    if said is True or said is False:
        return Decision(goes=said)
    if inspect.iscoroutine(said):
        said.close()
    # Not False: who forgot a return did not say no. Not True either.
    reason = f"before_send returned {type(said).__name__}, and not True or False"
    log.error("%s", reason)
    return Decision(failed=True, reason=reason)
