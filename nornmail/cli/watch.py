"""``nornmail watch``: a line for each new message, until a signal stops it."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing

from nornmail import Poller
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
        "Prints one JSON object per line for each new message, until SIGINT (Ctrl-C) or SIGTERM. A "
        "message counts\nas handled, in the command's own store, once its line is written, and by "
        "default is marked as read; if\nthe reader of the output leaves, the message waits, and is "
        "printed after the next start. If SMTP_HOST is\nset, it also sends what is queued in that "
        "store.\n\n"
        "Exit status: 0 stopped by a signal, 1 it failed or the reader of its output left, 2 a "
        "setting is wrong,\n3 the state store cannot be used, 130 a second signal came before it "
        "had stopped."
    )
    add_settings(parser, mailbox=True, start=True, log_level="info", state=WATCH_STATE)
    parser.add_argument(
        "--no-idle",
        action="store_true",
        help="poll every IMAP_POLL_INTERVAL seconds instead of using IDLE",
    )
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
        poller = Poller(
            imap,
            store=store,
            on_message=in_hand.counting(output.message),
            on_event=progress,
            idle=not chosen.no_idle,
        )
        output.on_error = poller.stop
        try:
            Work(poller.run_forever, poller.stop, lambda: in_hand or is_sending(store)).run()
        except Hanging:
            progress.clear()
            end_now(output.exit_status())
        except Interrupted:
            print("nornmail: interrupted", file=sys.stderr)
            return INTERRUPTED
        finally:
            progress.clear()
    return output.exit_status()
