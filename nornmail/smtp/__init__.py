"""SMTP from the client's side: the only room that knows smtplib.

``mailer`` is its face. ``compose``, ``replies`` and ``loops`` are pure, and so is ``schedule``,
which decides what an answer means for a letter; ``outbox`` acts on it, through ``line`` and
``session``.
"""

from nornmail.smtp.board import MailerStatus
from nornmail.smtp.enclosures import Enclosure
from nornmail.smtp.loops import AnswerLimits
from nornmail.smtp.mailer import Mailer
from nornmail.smtp.probe import probe_smtp
from nornmail.smtp.results import Outgoing, SendResult
from nornmail.smtp.schedule import SendLimits

__all__ = [
    "AnswerLimits",
    "Enclosure",
    "Mailer",
    "MailerStatus",
    "Outgoing",
    "SendLimits",
    "SendResult",
    "probe_smtp",
]
