"""``nornmail watch``: a line for each message, until it is told to stop."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from nornmail import Poller, open_store
from nornmail.cli.exit_codes import INTERRUPTED
from nornmail.cli.options import (
    Parser,
    Settings,
    add_environment,
    add_log_level,
    add_mailbox,
    add_start,
    set_up_logging,
)
from nornmail.cli.output import standard_output
from nornmail.cli.progress import on_standard_error
from nornmail.cli.signals import Interrupted, Work


def add(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Prints one JSON object per line and message on standard output, and goes on "
        "until SIGINT (Ctrl-C)\nor SIGTERM. A message counts as handled once its line is out; if "
        "the reader goes away it waits,\nand comes again at the next start.\n\n"
        "Exit status: 0 it was told to stop, 1 it failed or its reader went away, 2 a setting is "
        "wrong, 3 the\nstate store cannot be used, 130 a second signal came before it had stopped."
    )
    add_environment(parser)
    add_mailbox(parser)
    add_start(parser)
    parser.add_argument(
        "--no-idle", action="store_true", help="look every IMAP_POLL_INTERVAL, and do not IDLE"
    )
    add_log_level(parser, "info")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    progress = on_standard_error()
    set_up_logging(chosen.log_level, progress.clear)
    settings = Settings(chosen)
    imap = settings.imap()
    output = standard_output()
    with closing(open_store(settings.state)) as store:
        poller = Poller(
            imap, store=store, on_message=output.message, on_event=progress, idle=not chosen.no_idle
        )
        output.on_error = poller.stop
        try:
            Work(poller.run_forever, poller.stop).run()
        except Interrupted:
            print("nornmail: interrupted", file=sys.stderr)
            return INTERRUPTED
        finally:
            progress.clear()
    return output.account()
