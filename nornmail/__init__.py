"""nornmail gives a program a mailbox: new mail arrives at a callback, once."""

from nornmail._version import __version__
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
)
from nornmail.message import Address, Attachment, Message, parse_message
from nornmail.model import MessageRef
from nornmail.policy import RetryPolicy
from nornmail.poller import Poller, PollResult
from nornmail.settings import ImapSettings
from nornmail.stores import JsonStateStore, MemoryStateStore, SqliteStateStore, StateStore

__all__ = [
    "Address",
    "Attachment",
    "AuthenticationFailed",
    "CommandRefused",
    "ConfigurationError",
    "ConnectionLost",
    "DecisionNeeded",
    "Defer",
    "HandlerError",
    "ImapSettings",
    "JsonStateStore",
    "LeaseHeld",
    "LeaseLost",
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
    "SqliteStateStore",
    "StateStore",
    "StoreError",
    "__version__",
    "parse_message",
]
