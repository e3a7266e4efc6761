"""``nornmail demo``: the whole path of a message, on a mail server inside this process.

Three messages are delivered, polled and passed to a callback; one fails once and is retried; and
the callback's reply arrives in the thread of the message that it answers. Every printed line is
taken from what happened.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from nornmail import ImapSettings, Message, Poller, PollResult, RetryPolicy, SqliteStateStore
from nornmail.cli.exit_codes import OK
from nornmail.cli.options import Parser
from nornmail.testing import MailServer

AGENT = "agent@example.com"
CUSTOMER = "kim@example.org"
PASSWORD = "demo"  # noqa: S105 - of a server that lives for a second
RETRY_AFTER = 0.3
"""Seconds until a failed message is retried; a real schedule would be too slow to watch."""
MAIL = (
    ("Where is my order?", "Hello,\n\nI ordered a lamp on Monday. Where is it?\n\nKim"),
    ("Grüße aus Köln", "Die Lampe ist da, vielen Dank! ☀️\n\nKim"),
    ("The invoice", "Could you send me the invoice once more?\n\nKim"),
)


def run_demo() -> None:
    """Print how mail is delivered, handled and answered."""
    say = _Narrator()
    log = logging.getLogger("nornmail")
    log.addHandler(handler := _Log(say))
    try:
        _run(say)
    finally:
        log.removeHandler(handler)


def _run(say: _Narrator) -> None:
    with tempfile.TemporaryDirectory(prefix="nornmail-demo-") as folder, MailServer() as server:
        server.add_user(AGENT, PASSWORD)
        server.add_user(CUSTOMER, PASSWORD)
        say(f"An IMAP server listens on {server.host}:{server.imap_port}.")
        for subject, text in MAIL:
            uid = server.deliver(_mail(CUSTOMER, AGENT, subject, text), user=AGENT)
            say(f"  delivered to {AGENT}: UID {uid}, {subject!r}")
        say("A poller reads the mailbox and calls on_message(message) for each message:")
        path = Path(folder)
        agent = _Agent(server, say)
        with _poller(server, AGENT, path / "agent.db", agent) as poller:
            say(_counts(poller.poll_once()))
            say(f"  after {RETRY_AFTER:g} s the failed message is retried, from its stored bytes:")
            time.sleep(RETRY_AFTER)
            say(_counts(poller.poll_once()))
            say(_counts(poller.poll_once()) + " - everything once, nothing twice")
        unread = sum("\\Seen" not in m.flags for m in server.mailbox("INBOX", user=AGENT).messages)
        say(f"On the server {unread} of the agent's {len(MAIL)} messages are unread.")
        say(f"{CUSTOMER} reads the answers:")
        with _poller(server, CUSTOMER, path / "kim.db", _Reader(say, agent.threads)) as poller:
            poller.poll_once()
    say("That was nornmail. The demo's server and store are gone again.")


class _Narrator:
    """Prints lines, each with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.3f}  {line}", flush=True)


class _Log(logging.Handler):
    """Prints the first line of each log record among the demo's own lines."""

    def __init__(self, say: _Narrator) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(f"    (log, {record.name}: {record.getMessage().splitlines()[0]} ...)")


class _Agent:
    """A handler that answers each message, and fails at its first attempt at an invoice."""

    def __init__(self, server: MailServer, say: _Narrator) -> None:
        self.threads: dict[str, str] = {}
        self._server = server
        self._say = say

    def __call__(self, message: Message) -> None:
        self._say(f"  attempt {message.attempt}: {message.subject!r} from {message.from_.address}")
        if "invoice" in message.subject and message.attempt == 1:
            self._say(
                "    the handler raises an exception: this message waits, later mail is delivered"
            )
            raise RuntimeError("the invoice service is away")
        answer = _mail(AGENT, message.from_.address, f"Re: {message.subject}", "We are on it.")
        answer["In-Reply-To"] = message.message_id
        answer["References"] = " ".join([*message.references, message.message_id])
        self._server.deliver(answer, user=CUSTOMER)
        self.threads[message.thread_id] = message.subject
        self._say(f"    answered in thread {message.thread_id}")


class _Reader:
    """A handler that prints the thread that a reply belongs to."""

    def __init__(self, say: _Narrator, threads: dict[str, str]) -> None:
        self._say = say
        self._threads = threads

    def __call__(self, message: Message) -> None:
        first = self._threads[message.thread_id]
        self._say(f"  {message.subject!r} is in the thread that started with {first!r}")


@contextmanager
def _poller(
    server: MailServer, user: str, path: Path, handler: Callable[[Message], None]
) -> Iterator[Poller]:
    """A poller on the demo's server, closed at the end with its store."""
    settings = ImapSettings(
        host=server.host, port=server.imap_port, use_ssl=False, username=user, password=PASSWORD
    )
    retry = RetryPolicy(delays=(RETRY_AFTER,))
    with (
        closing(SqliteStateStore(path)) as store,
        closing(Poller(settings, store=store, on_message=handler, retry=retry)) as poller,
    ):
        yield poller


_MESSAGE_IDS = itertools.count(1)


def _mail(sender: str, recipient: str, subject: str, text: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = make_msgid(str(next(_MESSAGE_IDS)), domain=sender.partition("@")[2])
    mail.set_content(text)
    return mail


def _counts(result: PollResult) -> str:
    return (
        f"  polled: {result.new} new, {result.handled} handled, {result.failed} failed, "
        f"{result.waiting} waiting"
    )


def add(parser: Parser) -> None:
    """Add the command, which has no options."""
    parser.description = (
        "Runs the whole path of a message in a few seconds. It needs no account and no network, "
        "and leaves no\nfiles behind."
    )
    parser.set_defaults(run=run)


def run(_chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    run_demo()
    return OK
