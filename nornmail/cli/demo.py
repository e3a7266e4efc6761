"""``nornmail demo``."""

from __future__ import annotations

import argparse

from nornmail.cli.exit_codes import OK
from nornmail.cli.parser import Parser
from nornmail.demo import run_demo


def add(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Runs the whole way of a message in a few seconds. It needs no account, no "
        "network and no\ninstallation, and leaves nothing behind."
    )
    parser.set_defaults(run=run)


def run(_chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    run_demo()
    return OK
