"""The command line: it reads arguments and reports mistakes; the work is done elsewhere.

Exit status: 0 when all went well, 1 when it did not, 2 for a mistake in the arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from nornmail import NornmailError, __version__
from nornmail.demo import run_demo


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nornmail",
        description="A mailbox for a program: new mail arrives at a callback, once.",
    )
    parser.add_argument("--version", action="version", version=f"nornmail {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="deliver, poll, handle and answer mail on a mail server inside this process",
        description="Runs the whole way of a message in a few seconds. It needs no account, no "
        "network and no installation, and leaves nothing behind.",
    )
    demo.set_defaults(run=run_demo)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Args:
        arguments: without the program's name; ``None`` takes them from the process.
    """
    chosen = _parser().parse_args(arguments)
    try:
        chosen.run()
    except NornmailError as error:
        print(f"nornmail: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output went away. What Python still holds of it must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("nornmail: interrupted", file=sys.stderr)
        return 1
    return 0
