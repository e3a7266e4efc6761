"""``nornmail demo``."""

from __future__ import annotations

import argparse

from nornmail.cli.parser import Commands
from nornmail.cli.status import OK


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="deliver, poll, handle and answer mail on a mail server inside this process",
        description="Runs the whole way of a message in a few seconds. It needs no account, no "
        "network and no\ninstallation, and leaves nothing behind.",
    )
    parser.set_defaults(run=run)


def run(_chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    # It needs the test server, which no other command does.
    from nornmail.demo import run_demo

    run_demo()
    return OK
