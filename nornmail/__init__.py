"""nornmail gives a program a mailbox: new mail arrives at a callback, once."""

from nornmail._version import __version__
from nornmail.checkup import check_up
from nornmail.deadletters import DeadLetter, DeadLetters
from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    DecisionNeeded,
    Defer,
    HandlerError,
    LeaseHeld,
    LeaseLost,
    MessageGone,
    NornmailError,
    ProtocolError,
    Reject,
    StoreError,
    Throttled,
)
from nornmail.message import Address, Attachment, Message, parse_message
from nornmail.model import Inbox, InboxRecord, MessageRef
from nornmail.policy import RetryPolicy
from nornmail.poller import Poller, PollResult
from nornmail.settings import ImapSettings, SmtpSettings, read_environment
from nornmail.smtp.enclosures import Enclosure
from nornmail.smtp.mailer import Mailer
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
    "Attachment",
    "AuthenticationFailed",
    "CommandRefused",
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
    "Mailer",
    "MemoryStateStore",
    "Message",
    "MessageGone",
    "MessageRef",
    "NornmailError",
    "PollResult",
    "Poller",
    "ProtocolError",
    "Reject",
    "RetryPolicy",
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
