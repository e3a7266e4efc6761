"""The mailbox of the kill test, and what its handler does with each message.

Nine messages, one of each kind that the delivery contract treats in its own way. Every value is
fixed, so that two runs pass through the same instants.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from nornmail.errors import Reject
from nornmail.message.message import Message
from nornmail.model import Inbox, MailboxKey
from nornmail.retry import RetryPolicy
from nornmail.settings.imap import ImapSettings
from nornmail.testing import MailServer, faults

USER = "agent@example.com"
PASSWORD = "secret"
HOST = "127.0.0.1"
MAILBOX = MailboxKey(f"{USER}@{HOST}", "INBOX")
DONE = "Done"
"""Where the moving actions move to."""
START = datetime(2027, 1, 15, 8, 0, tzinfo=UTC).timestamp()
"""When the first process starts, by its clock."""
FIRST_DAY = date(2027, 1, 10)
"""Mail from before that day is not the poller's (``start_from``)."""
_LONG_AGO = datetime(2027, 1, 1, tzinfo=UTC)
_YESTERDAY = datetime(2027, 1, 14, tzinfo=UTC)
MAX_MESSAGE_BYTES = 2_000
BATCH_MESSAGES = 3
"""So that the eight messages that stand there come in three batches."""
JOURNAL_FLOOR_BYTES = 2_000
"""So that the journal of the JSON store is folded in several times in a run."""

ACTIONS: dict[str, dict[str, Any]] = {
    "none": {"mark_as_read": False},
    "seen": {},
    "delete": {"delete_after_fetch": True},
    "move": {"move_to": DONE},
    "copy": {"move_to": DONE},
    "inboxes": {"delete_after_fetch": True},
    "epoch": {},
    "dead": {},
    "standby": {"delete_after_fetch": True},
    "workers": {"delete_after_fetch": True},
}
"""What the settings say for each action; "copy" is a move on a server without MOVE (RFC 6851),
"inboxes" a deletion where every message is for both of :data:`INBOXES`, in "epoch" the mailbox gets
another UIDVALIDITY between the first two polls, in "dead" a message fails until it is dead, and a
person who has mended why asks for it again, in "standby" a second process wants the mailbox all
the while, and in "workers" :data:`WORKERS` calls are made side by side."""
WORKERS = 4
ONE_AT_A_TIME = {"json"}
"""The stores that only one process can have open: there is nobody to stand by."""
SECOND = "second@example.com"
INBOXES = (USER, SECOND)


def name_of(uid: int, inbox: str) -> int:
    """A message for an inbox as one number, in the order in which they are handed over."""
    return 10 * uid + INBOXES.index(inbox) if inbox else uid


def recipients(action: str, handler: Callable[[Message], None]) -> dict[str, Any]:
    """Who gets the poller's mail."""
    if action != "inboxes":
        return {"on_message": handler}
    return {"inboxes": [Inbox(address, handler) for address in INBOXES]}


RETRY = RetryPolicy((10.0, 10.0, 10.0))
"""Attempts that are soon used up, and yet more than two processes can die in. It is soon enough for
every poll of a run to come before the time of the last one is noted again."""
BETWEEN_POLLS = 11.0
"""Seconds that a process lets pass: a message that failed is due then."""
HOPELESS = "hopeless"


def settings(action: str, port: int) -> ImapSettings:
    return ImapSettings(
        host=HOST,
        port=port,
        use_ssl=False,
        username=USER,
        password=PASSWORD,
        start_from=FIRST_DAY,
        **ACTIONS[action],
    )


def _mail(subject: str, *, message_id: str | None = None, body: str = "Hello.") -> bytes:
    identity = f"{subject}@example.com" if message_id is None else message_id
    lines = [
        "From: Ann <ann@example.com>",
        f"To: {USER}, {SECOND}",
        f"Subject: {subject}",
        *([f"Message-ID: <{identity}>"] if identity else []),
        "",
        body,
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


OTHERS = 1
"""The UID of a message that another client has marked as deleted, and that is not the poller's."""
TWIN = _mail("twin")
INBOX = (
    _mail("others"),
    _mail("plain"),
    _mail("flaky"),
    _mail("reject"),
    _mail("huge", body="A long line of words.\r\n" * 150),
    _mail("nameless", message_id=""),
    TWIN,
    TWIN,
)
"""What stands there at the first run: UID 1 and so on."""
HOPELESS_UID = len(INBOX) + 1
"""The UID of one more message, where the action is "dead"."""
LATE = _mail("late")
"""What arrives between two polls: at the first NOOP that the server sees."""
UNRELATED = (
    _mail("unrelated", message_id="plain@example.com"),
    _mail("nameless", message_id="", body="Howdy."),
)
"""What lies in the destination: one has the Message-ID of one of ours, one the headers and the size
of another one. Neither is ours."""


def prepare(server: MailServer, action: str) -> None:
    """Fill a server that was just started."""
    server.add_user(USER, PASSWORD)
    server.create_mailbox(DONE)
    for raw in UNRELATED:
        server.deliver(raw, mailbox=DONE, flags=["\\Flagged"], date=_YESTERDAY)
    for uid, raw in enumerate(INBOX, start=1):
        if uid == OTHERS:
            server.deliver(raw, flags=["\\Deleted"], date=_LONG_AGO)
        else:
            server.deliver(raw, flags=["\\Flagged"], date=_YESTERDAY)
    if action == "dead":
        server.deliver(_mail(HOPELESS), flags=["\\Flagged"], date=_YESTERDAY)
    if action == "copy":
        server.capabilities.discard("MOVE")

    def between_polls() -> None:
        server.deliver(LATE, date=_YESTERDAY)
        if action == "epoch":
            server.mailbox().reset_uid_validity(renumber=False)

    server.faults.add(faults.Call("NOOP", function=between_polls, optional=True))


def handle(message: Message, mended: bool = False) -> None:
    """The handler: one message fails once, one is rejected, the others are fine.

    Of two inboxes one does the one, and the other the other.

    Args:
        mended: what made :data:`HOPELESS` fail is mended.
    """
    if message.subject == HOPELESS and not mended:
        raise RuntimeError("it fails whenever it is tried")
    if message.subject == "flaky" and message.attempt == 1 and message.inbox != SECOND:
        raise RuntimeError("the first attempt fails")
    if message.subject == "reject" and message.inbox != USER:
        raise Reject("not wanted")
