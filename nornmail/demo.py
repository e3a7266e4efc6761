"""``nornmail demo``: the way of a message, on a mail server inside this process.

Three messages are delivered, polled and answered; the handler of one fails, and it is tried again.
A fourth is answered by a process of its own, which is killed in the middle of the answer. Every
printed line is taken from what happened.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from pathlib import Path

from nornmail import (
    ImapSettings,
    Mailer,
    Message,
    Poller,
    RetryPolicy,
    SmtpSettings,
    SqliteStateStore,
    parse_message,
)
from nornmail.cli.options import OK, Parser
from nornmail.testing import MailServer

AGENT, CUSTOMER = "agent@example.com", "kim@example.org"
PASSWORD = "demo"  # noqa: S105 - of a server that lives for a second
RETRY_AFTER = 0.3
"""Seconds until a failed message is retried; a real schedule would be too slow to watch."""
PAUSE = 0.7
"""Seconds between two acts on a terminal, so that a person can follow."""
ANSWER = "Hello Kim,\n\nwe are on it.\n\nYour agent"
MAIL = (
    ("Where is my order?", "Hello,\n\nI ordered a lamp on Monday. Where is it?\n\nKim"),
    ("Grüße aus Köln", "Die Lampe ist da, vielen Dank! ☀️\n\nKim"),
    ("The invoice", "Could you send me the invoice once more?\n\nKim"),
)
NEXT = (
    ("nornmail check", "test the settings of your own account"),
    ("python3 -m pydoc nornmail", "read a first program, in ten lines"),
    ("python3 -m nornmail.testing", "this mail server, for tests of your own"),
)
LATE_MAIL = ("It is broken", "The lamp does not light up. What now?\n\nKim")

BOLD, DIM, GREEN, RED = "1", "2", "32", "31"
_COLOUR = {"new": DIM, "ok": GREEN, "again": GREEN, "failed": RED, "killed": RED}


class Screen:
    """Standard output of 80 columns, with colours and pauses where it is a terminal."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        # https://no-color.org: set and not empty.
        self._colours = is_terminal and not os.environ.get("NO_COLOR")
        self._pause = PAUSE if is_terminal else 0.0

    def act(self, number: str, title: str) -> None:
        """Begin the next part of the demo."""
        time.sleep(self._pause)
        self.line()
        self.line(self._in(BOLD, f"{number:3}{title}"))

    def message(self, mark: str, subject: str, words: str = "") -> None:
        """Print a message and its outcome."""
        line = f"     {self._in(_COLOUR[mark], f'{mark:6}')}  {subject:20}{words}"
        self.line(line.rstrip())

    def quote(self, lines: list[str]) -> None:
        """Print a message as it arrived."""
        for line in lines:
            self.line(self._in(DIM, f"     | {line}".rstrip()))

    def line(self, text: str = "") -> None:
        """Print a line."""
        print(text, flush=True)

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


@dataclass(frozen=True)
class _Place:
    """The place where the agent of the demo works: a mail server and the file of its store."""

    host: str
    imap_port: int
    smtp_port: int
    store: str

    @contextmanager
    def poller(self, handler: Callable[[Message, Mailer], None]) -> Iterator[Poller]:
        """The agent's poller and mailer, closed at the end with their store."""
        imap = ImapSettings(
            host=self.host,
            port=self.imap_port,
            use_ssl=False,
            username=AGENT,
            password=PASSWORD,
            start_from="all",
        )
        smtp = SmtpSettings(
            host=self.host,
            port=self.smtp_port,
            use_tls=False,
            username=AGENT,
            password=PASSWORD,
        )
        with ExitStack() as stack:
            store = stack.enter_context(closing(SqliteStateStore(self.store)))
            mailer = stack.enter_context(closing(Mailer(smtp, store)))
            poller = Poller(
                imap,
                store=store,
                on_message=lambda message: handler(message, mailer),
                retry=RetryPolicy(delays=(RETRY_AFTER,)),
            )
            yield stack.enter_context(closing(poller))


class Agent:
    """A handler that answers each message, and fails at its first attempt at an invoice."""

    def __init__(self, screen: Screen) -> None:
        self.keys: set[str] = set()
        self._screen = screen

    def __call__(self, message: Message, mailer: Mailer) -> None:
        if "invoice" in message.subject and message.attempt == 1:
            error = RuntimeError("the invoice service is away")
            self._screen.message("failed", message.subject, f"RuntimeError: {error}")
            raise error
        key = mailer.reply(message, ANSWER, quote=True).key
        if key in self.keys:
            words = "your function runs once more: same answer"
            self._screen.message("again", message.subject, words)
            return
        self.keys.add(key)
        attempt = f" at attempt {message.attempt}" if message.attempt > 1 else ""
        self._screen.message("ok", message.subject, f"answered{attempt}")


def run_demo() -> None:
    """Print how mail is delivered, handled and answered, and what a crash costs."""
    log = logging.getLogger("nornmail")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)  # the demo tells of the failures in its own words
    try:
        with tempfile.TemporaryDirectory(prefix="nornmail-demo-") as folder, MailServer() as server:
            _play(Screen(), server, str(Path(folder, "agent.db")))
    finally:
        log.setLevel(before)


def _play(screen: Screen, server: MailServer, store: str) -> None:
    for user in (AGENT, CUSTOMER):
        server.add_user(user, PASSWORD)
    place = _Place(server.host, server.imap_port, server.smtp_port, store)
    agent = Agent(screen)
    screen.act("1", f"{len(MAIL)} messages arrive at {AGENT}")
    for subject, text in MAIL:
        server.deliver(_mail(subject, text), user=AGENT)
        screen.message("new", subject)
    with place.poller(agent) as poller:
        screen.act("2", "Each goes to your function; its outcome is on disk before the next one")
        poller.poll_once()
        screen.act("3", f"{RETRY_AFTER:g} s later the failed one comes back, from its kept bytes")
        time.sleep(RETRY_AFTER)
        poller.poll_once()
    screen.act("4", "The process is killed in the middle of an answer, and started again")
    server.deliver(_mail(*LATE_MAIL), user=AGENT)
    screen.message("new", LATE_MAIL[0])
    sent_before = len(server.outbox)
    agent.keys.add(_answer_until_killed(place))
    state = "not sent" if len(server.outbox) == sent_before else "sent"
    screen.message("killed", LATE_MAIL[0], f"kill -9: the answer is on disk, {state}")
    with place.poller(agent) as poller:
        poller.poll_once()
    answers = len(server.outbox) - sent_before
    screen.message("ok", LATE_MAIL[0], f"sent {'once' if answers == 1 else f'{answers} times'}")
    _show_answers(screen, server)


def _answer_until_killed(place: _Place) -> str:
    """Have another process answer the mail, and kill it before it sends; the answer's key."""
    words = (place.host, str(place.imap_port), str(place.smtp_port), place.store)
    command = [sys.executable, "-m", "nornmail.demo", *words]
    package = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(  # noqa: S603 - this module, with arguments of its own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        key = process.stdout.readline().strip() if process.stdout is not None else ""
        process.kill()
    if not key:
        raise RuntimeError("the process that was to be killed ended by itself")
    return key


def _answer_and_wait(message: Message, mailer: Mailer) -> None:
    """Answer, say so, and wait to be killed: the handler of the other process."""
    print(mailer.reply(message, ANSWER, quote=True).key, flush=True)
    sys.stdin.read()  # ends with the demo, whatever becomes of that


def _show_answers(screen: Screen, server: MailServer) -> None:
    """Print the answers that the customer has, the first one in full."""
    answers = [
        parse_message(message.raw) for message in server.mailbox("INBOX", user=CUSTOMER).messages
    ]
    unread = sum("\\Seen" not in m.flags for m in server.mailbox("INBOX", user=AGENT).messages)
    read = f"{unread} messages are unread" if unread else "no message is unread"
    screen.act("", f"Kim has {len(answers)} answers, and {read}. The first answer:")
    first = answers[0]
    screen.quote(
        [
            f"From: {first.from_.address}",
            f"To: {first.to[0].address}",
            f"Subject: {first.subject}",
            "",
            *filter(None, map(str.rstrip, first.text.splitlines())),
        ]
    )
    screen.act("", "Next")
    for command, purpose in NEXT:
        screen.line(f"     {command:31}{purpose}")


def _mail(subject: str, text: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Kim <{CUSTOMER}>"
    mail["To"] = AGENT
    mail["Subject"] = subject
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = make_msgid(domain="example.org")
    mail.set_content(text)
    return mail


def add(parser: Parser) -> None:
    """Add the command, which has no options."""
    parser.description = (
        "Runs the whole way of a message in a few seconds, a killed process included. It needs no "
        "account and no network, and leaves no files behind."
    )
    parser.set_defaults(run=run)


def run(_chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    run_demo()
    return OK


if __name__ == "__main__":  # the process that is killed
    with _Place(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).poller(
        _answer_and_wait
    ) as child:
        child.poll_once()
