"""nornmail gives a program a mailbox: new mail arrives at a callback, once.

Names are loaded on first use (PEP 562), so importing one room, or only the pytest plugin, does not
load the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nornmail._version import __version__ as __version__

if TYPE_CHECKING:
    from nornmail.checkup import check_up as check_up
    from nornmail.deadletters import DeadLetter as DeadLetter
    from nornmail.deadletters import DeadLetters as DeadLetters
    from nornmail.errors import AuthenticationFailed as AuthenticationFailed
    from nornmail.errors import CommandRefused as CommandRefused
    from nornmail.errors import ComposeError as ComposeError
    from nornmail.errors import ConfigurationError as ConfigurationError
    from nornmail.errors import ConnectionLost as ConnectionLost
    from nornmail.errors import DecisionNeeded as DecisionNeeded
    from nornmail.errors import Defer as Defer
    from nornmail.errors import HandlerError as HandlerError
    from nornmail.errors import LeaseHeld as LeaseHeld
    from nornmail.errors import LeaseLost as LeaseLost
    from nornmail.errors import LoopError as LoopError
    from nornmail.errors import MessageGone as MessageGone
    from nornmail.errors import NornmailError as NornmailError
    from nornmail.errors import ProtocolError as ProtocolError
    from nornmail.errors import ReceiveOnly as ReceiveOnly
    from nornmail.errors import Refusal as Refusal
    from nornmail.errors import Reject as Reject
    from nornmail.errors import SendFailed as SendFailed
    from nornmail.errors import SendUnknown as SendUnknown
    from nornmail.errors import StoreError as StoreError
    from nornmail.errors import Throttled as Throttled
    from nornmail.imap.sent import SentMailbox as SentMailbox
    from nornmail.message.addresses import Address as Address
    from nornmail.message.attachment import Attachment as Attachment
    from nornmail.message.message import Message as Message
    from nornmail.message.message import parse_message as parse_message
    from nornmail.model import Inbox as Inbox
    from nornmail.model import InboxRecord as InboxRecord
    from nornmail.model import MessageRef as MessageRef
    from nornmail.outbox import Outbox as Outbox
    from nornmail.outbox import OutboxLetter as OutboxLetter
    from nornmail.policy.retry import RetryPolicy as RetryPolicy
    from nornmail.poller import Poller as Poller
    from nornmail.poller import PollResult as PollResult
    from nornmail.settings.dotenv import read_environment as read_environment
    from nornmail.settings.imap import ImapSettings as ImapSettings
    from nornmail.settings.smtp import SmtpSettings as SmtpSettings
    from nornmail.smtp.board import MailerStatus as MailerStatus
    from nornmail.smtp.enclosures import Enclosure as Enclosure
    from nornmail.smtp.loops import AnswerLimits as AnswerLimits
    from nornmail.smtp.mailer import Mailer as Mailer
    from nornmail.smtp.results import Outgoing as Outgoing
    from nornmail.smtp.results import SendResult as SendResult
    from nornmail.smtp.schedule import SendLimits as SendLimits
    from nornmail.status import Status as Status
    from nornmail.steps import Step as Step
    from nornmail.stores.base import StateStore as StateStore
    from nornmail.stores.json_file import JsonStateStore as JsonStateStore
    from nornmail.stores.memory import MemoryStateStore as MemoryStateStore
    from nornmail.stores.opening import open_store as open_store
    from nornmail.stores.sqlite import SqliteStateStore as SqliteStateStore

_HOMES: dict[str, tuple[str, ...]] = {
    "nornmail.checkup": ("check_up",),
    "nornmail.deadletters": (
        "DeadLetter",
        "DeadLetters",
    ),
    "nornmail.errors": (
        "AuthenticationFailed",
        "CommandRefused",
        "ComposeError",
        "ConfigurationError",
        "ConnectionLost",
        "DecisionNeeded",
        "Defer",
        "HandlerError",
        "LeaseHeld",
        "LeaseLost",
        "LoopError",
        "MessageGone",
        "NornmailError",
        "ProtocolError",
        "ReceiveOnly",
        "Refusal",
        "Reject",
        "SendFailed",
        "SendUnknown",
        "StoreError",
        "Throttled",
    ),
    "nornmail.imap.sent": ("SentMailbox",),
    "nornmail.message.addresses": ("Address",),
    "nornmail.message.attachment": ("Attachment",),
    "nornmail.message.message": (
        "Message",
        "parse_message",
    ),
    "nornmail.model": (
        "Inbox",
        "InboxRecord",
        "MessageRef",
    ),
    "nornmail.outbox": (
        "Outbox",
        "OutboxLetter",
    ),
    "nornmail.policy.retry": ("RetryPolicy",),
    "nornmail.poller": (
        "PollResult",
        "Poller",
    ),
    "nornmail.settings.dotenv": ("read_environment",),
    "nornmail.settings.imap": ("ImapSettings",),
    "nornmail.settings.smtp": ("SmtpSettings",),
    "nornmail.smtp.board": ("MailerStatus",),
    "nornmail.smtp.enclosures": ("Enclosure",),
    "nornmail.smtp.loops": ("AnswerLimits",),
    "nornmail.smtp.mailer": ("Mailer",),
    "nornmail.smtp.results": (
        "Outgoing",
        "SendResult",
    ),
    "nornmail.smtp.schedule": ("SendLimits",),
    "nornmail.status": ("Status",),
    "nornmail.steps": ("Step",),
    "nornmail.stores.base": ("StateStore",),
    "nornmail.stores.json_file": ("JsonStateStore",),
    "nornmail.stores.memory": ("MemoryStateStore",),
    "nornmail.stores.opening": ("open_store",),
    "nornmail.stores.sqlite": ("SqliteStateStore",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
