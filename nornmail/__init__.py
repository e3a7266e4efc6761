"""nornmail gives a program a mailbox: new mail arrives at a callback, once."""

from nornmail._version import __version__
from nornmail.checkup import check_up
from nornmail.deadletters import DeadLetter, DeadLetters
from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ComposeError,
    ConfigurationError,
    ConnectionLost,
    DecisionNeeded,
    Defer,
    HandlerError,
    LeaseHeld,
    LeaseLost,
    LoopError,
    MessageGone,
    NornmailError,
    ProtocolError,
    ReceiveOnly,
    Refusal,
    Reject,
    SendFailed,
    SendUnknown,
    StoreError,
    Throttled,
)
from nornmail.imap import SentMailbox
from nornmail.message import Address, Attachment, Message, parse_message
from nornmail.model import Inbox, InboxRecord, MessageRef
from nornmail.outbox import Outbox, OutboxLetter
from nornmail.policy import RetryPolicy
from nornmail.poller import Poller, PollResult
from nornmail.settings import ImapSettings, SmtpSettings, read_environment
from nornmail.smtp import (
    AnswerLimits,
    Enclosure,
    Mailer,
    MailerStatus,
    Outgoing,
    SendLimits,
    SendResult,
)
from nornmail.status import Status
from nornmail.steps import Step
from nornmail.stores import (
    JsonStateStore,
    MemoryStateStore,
    SqliteStateStore,
    StateStore,
    open_store,
)

__all__ = [
    "Address",
    "AnswerLimits",
    "Attachment",
    "AuthenticationFailed",
    "CommandRefused",
    "ComposeError",
    "ConfigurationError",
    "ConnectionLost",
    "DeadLetter",
    "DeadLetters",
    "DecisionNeeded",
    "Defer",
    "Enclosure",
    "HandlerError",
    "ImapSettings",
    "Inbox",
    "InboxRecord",
    "JsonStateStore",
    "LeaseHeld",
    "LeaseLost",
    "LoopError",
    "Mailer",
    "MailerStatus",
    "MemoryStateStore",
    "Message",
    "MessageGone",
    "MessageRef",
    "NornmailError",
    "Outbox",
    "OutboxLetter",
    "Outgoing",
    "PollResult",
    "Poller",
    "ProtocolError",
    "ReceiveOnly",
    "Refusal",
    "Reject",
    "RetryPolicy",
    "SendFailed",
    "SendLimits",
    "SendResult",
    "SendUnknown",
    "SentMailbox",
    "SmtpSettings",
    "SqliteStateStore",
    "StateStore",
    "Status",
    "Step",
    "StoreError",
    "Throttled",
    "__version__",
    "check_up",
    "open_store",
    "parse_message",
    "read_environment",
]
