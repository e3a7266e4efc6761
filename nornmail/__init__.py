"""nornmail gives a program a mailbox: new mail arrives at a callback, once.

The names are loaded when they are asked for (PEP 562): whoever needs one room, or only the pytest
plugin, does not wait for all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nornmail._version import __version__

if TYPE_CHECKING:
    from nornmail.checkup import (
        check_up,
    )
    from nornmail.deadletters import (
        DeadLetter,
        DeadLetters,
    )
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
    from nornmail.imap import (
        SentMailbox,
    )
    from nornmail.message import (
        Address,
        Attachment,
        Message,
        parse_message,
    )
    from nornmail.model import (
        Inbox,
        InboxRecord,
        MessageRef,
    )
    from nornmail.outbox import (
        Outbox,
        OutboxLetter,
    )
    from nornmail.policy import (
        RetryPolicy,
    )
    from nornmail.poller import (
        Poller,
        PollResult,
    )
    from nornmail.settings import (
        ImapSettings,
        SmtpSettings,
        read_environment,
    )
    from nornmail.smtp import (
        AnswerLimits,
        Enclosure,
        Mailer,
        MailerStatus,
        Outgoing,
        SendLimits,
        SendResult,
    )
    from nornmail.status import (
        Status,
    )
    from nornmail.steps import (
        Step,
    )
    from nornmail.stores import (
        JsonStateStore,
        MemoryStateStore,
        SqliteStateStore,
        StateStore,
        open_store,
    )

_HOMES: dict[str, tuple[str, ...]] = {
    "nornmail.checkup": ("check_up",),
    "nornmail.deadletters": ("DeadLetter", "DeadLetters"),
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
    "nornmail.imap": ("SentMailbox",),
    "nornmail.message": ("Address", "Attachment", "Message", "parse_message"),
    "nornmail.model": ("Inbox", "InboxRecord", "MessageRef"),
    "nornmail.outbox": ("Outbox", "OutboxLetter"),
    "nornmail.policy": ("RetryPolicy",),
    "nornmail.poller": ("PollResult", "Poller"),
    "nornmail.settings": ("ImapSettings", "SmtpSettings", "read_environment"),
    "nornmail.smtp": (
        "AnswerLimits",
        "Enclosure",
        "Mailer",
        "MailerStatus",
        "Outgoing",
        "SendLimits",
        "SendResult",
    ),
    "nornmail.status": ("Status",),
    "nornmail.steps": ("Step",),
    "nornmail.stores": (
        "JsonStateStore",
        "MemoryStateStore",
        "SqliteStateStore",
        "StateStore",
        "open_store",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

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


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
