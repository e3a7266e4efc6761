"""``nornmail poll``: one poll, and its counts."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing
from dataclasses import asdict

from nornmail import Poller, PollResult
from nornmail.cli.exit_codes import INTERRUPTED
from nornmail.cli.options import (
    WATCH_STATE,
    Parser,
    Settings,
    add_settings,
    set_up_logging,
)
from nornmail.cli.output import standard_output
from nornmail.cli.progress import on_standard_error
from nornmail.cli.signals import Hanging, Interrupted, MessagesInHand, Work, end_now, is_sending


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Prints the new messages, one JSON object per line as `nornmail watch` does, and ends. The "
        'last line is an\nobject with nothing but "result", the counts of the poll. Messages count '
        "as handled in the command's own store,\nand by default are marked as read. If SMTP_HOST "
        "is set, it also sends what is queued in that store.\n\n"
        "Exit status: 0 the poll is complete, 1 it failed or the reader of its output left, 2 a "
        "setting is wrong,\n3 the state store cannot be used, 130 a signal ended it early."
    )
    add_settings(parser, mailbox=True, start=True, log_level="warning", state=WATCH_STATE)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    progress = on_standard_error()
    set_up_logging(chosen.log_level, progress.clear)
    settings = Settings(chosen)
    imap = settings.imap()
    settings.warn_of_late_start(imap)
    output = standard_output()
    in_hand = MessagesInHand()
    with ExitStack() as stack:
        store = stack.enter_context(closing(settings.store_of_its_own()))
        if settings.smtp() is not None:
            stack.enter_context(closing(settings.mailer(store)))  # the poller has it send
        handler = in_hand.counting(output.message)
        poller = Poller(imap, store=store, on_message=handler, on_event=progress)
        output.on_error = poller.stop
        work = Work(lambda: _once(poller), poller.stop, lambda: in_hand or is_sending(store))
        try:
            result = work.run()
        except Hanging:
            progress.clear()
            end_now(INTERRUPTED)
        except Interrupted:
            print("nornmail: interrupted", file=sys.stderr)
            return INTERRUPTED
        finally:
            progress.clear()
    if output.error is None:
        try:
            output.write({"result": asdict(result)})
        except OSError as error:
            output.error = error
    return INTERRUPTED if work.signalled else output.exit_status()


def _once(poller: Poller) -> PollResult:
    with closing(poller):
        return poller.poll_once()
