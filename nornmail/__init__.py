"""A mailbox for a program: new mail arrives at a callback, and each answer is sent once.

    from nornmail import ImapSettings, Mailer, Poller, SmtpSettings, open_store

    store = open_store("nornmail.db")
    login = {"username": "agent@example.com", "password": "..."}
    mailer = Mailer(SmtpSettings(host="smtp.example.com", **login), store)

    def answer(message):
        if not message.is_automatic:
            mailer.reply(message, f"You wrote: {message.new_text}")

    imap = ImapSettings(host="imap.example.com", **login)
    Poller(imap, store=store, on_message=answer, start_from="new").run_forever()

`Poller` reads, `Mailer` sends, `Message` is what arrives, and `ImapSettings` and `SmtpSettings` say
where. ``nornmail.testing`` is a mail server for tests, ``nornmail.events`` has what a poller
reports. On the command line: ``nornmail demo``, then ``nornmail check``.
"""

# The names are loaded on first use (PEP 562), so that importing one room, or only the pytest
# plugin, does not load the others.

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nornmail._version import __version__ as __version__

if TYPE_CHECKING:
    from nornmail.compose.attachments import OutgoingAttachment as OutgoingAttachment
    from nornmail.compose.policy import AnswerLimits as AnswerLimits
    from nornmail.diagnostics import diagnose as diagnose
    from nornmail.diagnostics import diagnose_settings as diagnose_settings
    from nornmail.errors import AuthenticationFailed as AuthenticationFailed
    from nornmail.errors import CommandRefused as CommandRefused
    from nornmail.errors import ComposeError as ComposeError
    from nornmail.errors import ConfigurationError as ConfigurationError
    from nornmail.errors import ConnectionLost as ConnectionLost
    from nornmail.errors import DecisionRequired as DecisionRequired
    from nornmail.errors import Defer as Defer
    from nornmail.errors import HandlerError as HandlerError
    from nornmail.errors import LeaseHeld as LeaseHeld
    from nornmail.errors import LeaseLost as LeaseLost
    from nornmail.errors import MessageGone as MessageGone
    from nornmail.errors import NornmailError as NornmailError
    from nornmail.errors import ProtocolError as ProtocolError
    from nornmail.errors import RecipientNotAllowed as RecipientNotAllowed
    from nornmail.errors import Refusal as Refusal
    from nornmail.errors import Reject as Reject
    from nornmail.errors import ReplyRefused as ReplyRefused
    from nornmail.errors import SendFailed as SendFailed
    from nornmail.errors import SendingDisabled as SendingDisabled
    from nornmail.errors import SendUnknown as SendUnknown
    from nornmail.errors import StoreError as StoreError
    from nornmail.errors import Throttled as Throttled
    from nornmail.imap.sent_mailbox import SentMailbox as SentMailbox
    from nornmail.message.addresses import Address as Address
    from nornmail.message.attachments import Attachment as Attachment
    from nornmail.message.message import Message as Message
    from nornmail.message.message import parse_message as parse_message
    from nornmail.model import Inbox as Inbox
    from nornmail.model import InboxRecord as InboxRecord
    from nornmail.model import MessageRef as MessageRef
    from nornmail.net.diagnose import Check as Check
    from nornmail.net.oauth import OAuthTokens as OAuthTokens
    from nornmail.oauth_login import OAuthLogin as OAuthLogin
    from nornmail.outbox.admin import Outbox as Outbox
    from nornmail.outbox.admin import OutboxMessage as OutboxMessage
    from nornmail.outbox.mailer import Mailer as Mailer
    from nornmail.outbox.status import MailerStatus as MailerStatus
    from nornmail.outbox.status import OutgoingMessage as OutgoingMessage
    from nornmail.outbox.status import SendResult as SendResult
    from nornmail.outbox.transitions import SendLimits as SendLimits
    from nornmail.poller.dead_letters import DeadLetter as DeadLetter
    from nornmail.poller.dead_letters import DeadLetters as DeadLetters
    from nornmail.poller.group import PollerGroup as PollerGroup
    from nornmail.poller.poller import Poller as Poller
    from nornmail.poller.status import PollResult as PollResult
    from nornmail.poller.status import Status as Status
    from nornmail.retry import RetryPolicy as RetryPolicy
    from nornmail.settings.fields import read_environment as read_environment
    from nornmail.settings.imap import ImapSettings as ImapSettings
    from nornmail.settings.smtp import SmtpSettings as SmtpSettings
    from nornmail.stores import open_store as open_store
    from nornmail.stores.json_store import JsonStateStore as JsonStateStore
    from nornmail.stores.postgres import PostgresStateStore as PostgresStateStore
    from nornmail.stores.protocol import StateStore as StateStore
    from nornmail.stores.sqlite import MemoryStateStore as MemoryStateStore
    from nornmail.stores.sqlite import SqliteStateStore as SqliteStateStore
    from nornmail.summary import MailboxSummary as MailboxSummary
    from nornmail.summary import OutboxSummary as OutboxSummary
    from nornmail.summary import StoreSummary as StoreSummary
    from nornmail.summary import summarize as summarize
    from nornmail.webhook import Webhook as Webhook

_HOMES = {
    "compose.attachments": "OutgoingAttachment",
    "compose.policy": "AnswerLimits",
    "diagnostics": "diagnose diagnose_settings",
    "errors": (
        "AuthenticationFailed CommandRefused ComposeError ConfigurationError ConnectionLost "
        "DecisionRequired Defer HandlerError LeaseHeld LeaseLost MessageGone NornmailError "
        "ProtocolError RecipientNotAllowed Refusal Reject ReplyRefused SendFailed SendUnknown "
        "SendingDisabled StoreError Throttled"
    ),
    "imap.sent_mailbox": "SentMailbox",
    "oauth_login": "OAuthLogin",
    "message.addresses": "Address",
    "message.attachments": "Attachment",
    "message.message": "Message parse_message",
    "model": "Inbox InboxRecord MessageRef",
    "net.diagnose": "Check",
    "net.oauth": "OAuthTokens",
    "outbox.admin": "Outbox OutboxMessage",
    "outbox.mailer": "Mailer",
    "outbox.status": "MailerStatus OutgoingMessage SendResult",
    "outbox.transitions": "SendLimits",
    "poller.dead_letters": "DeadLetter DeadLetters",
    "poller.group": "PollerGroup",
    "poller.poller": "Poller",
    "poller.status": "PollResult Status",
    "retry": "RetryPolicy",
    "settings.fields": "read_environment",
    "settings.imap": "ImapSettings",
    "settings.smtp": "SmtpSettings",
    "stores": "open_store",
    "stores.json_store": "JsonStateStore",
    "stores.postgres": "PostgresStateStore",
    "stores.protocol": "StateStore",
    "stores.sqlite": "MemoryStateStore SqliteStateStore",
    "summary": "MailboxSummary OutboxSummary StoreSummary summarize",
    "webhook": "Webhook",
}
"""The public names by their modules; the imports above are for the type checker alone."""
_HOME_OF = {name: f"nornmail.{home}" for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted([*_HOME_OF, "__version__"])


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return __all__
