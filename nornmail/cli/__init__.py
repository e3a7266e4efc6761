"""The command line: it reads arguments and settings, and prints; the work is done elsewhere.

Every command is a file of its own with ``add(parser)``, which says what it takes, and a function
that returns the exit status; it is loaded when it is the one that is asked for. ``main`` turns
errors into a line on standard error and a status.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from nornmail import (
    ComposeError,
    ConfigurationError,
    DecisionRequired,
    NornmailError,
    StoreError,
    __version__,
)
from nornmail.cli.exit_codes import BAD_SETTINGS, BAD_STORE, FAILED, INTERRUPTED
from nornmail.cli.options import Parser

__all__ = ["main"]

COMMANDS = {
    "demo": "deliver, poll, handle and answer mail on a mail server inside this process",
    "check": "try the settings step by step, and say what to do about what fails",
    "watch": "print a JSON line for each new message, until interrupted",
    "poll": "print what is new now, and what the poll came to",
    "serve": "run the poller with a control interface over HTTP",
    "dead": "list, show and retry messages that were given up",
    "send": "send a message, and say what the server said",
    "outbox": "list, show, retry, drop and resolve messages on their way out",
}
"""The commands, each a module of this package, and what they do in a line."""
EPILOG = """\
The settings come from the environment (IMAP_HOST, IMAP_USERNAME, IMAP_PASSWORD, ...) and from a
file .env in the current directory. Begin with `nornmail demo`, which needs none, and then
`nornmail check`.

Exit status: 0 all went well, 1 something failed, 2 a mistake in the arguments or settings, 3 the
state store cannot be used, 130 interrupted.
"""


def _parser(arguments: Sequence[str]) -> Parser:
    """The parser of every command, with what the one that is asked for takes."""
    parser = Parser(
        prog="nornmail",
        description="A mailbox for a program: new mail arrives at a callback, once.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"nornmail {__version__}")
    commands = parser.add_commands()
    asked_for = next((word for word in arguments if not word.startswith("-")), "")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == asked_for:
            home = "nornmail.demo" if name == "demo" else f"nornmail.cli.{name}"
            import_module(home).add(command)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Args:
        arguments: without the program's name; ``None`` takes them from the process.
    """
    _occupy_standard_streams()
    given = sys.argv[1:] if arguments is None else arguments
    chosen = _parser(given).parse_args(given)
    try:
        status: int = chosen.run(chosen)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that went away is no traceback
        return status
    except (ConfigurationError, ComposeError, DecisionRequired) as error:
        return _failed(error, BAD_SETTINGS)
    except StoreError as error:
        return _failed(error, BAD_STORE)
    except NornmailError as error:
        return _failed(error, FAILED)
    except BrokenPipeError:  # whoever read our output went away, which they know
        _drop_output()
        return FAILED
    except OSError as error:  # the library's own are StoreError and ConnectionLost
        _drop_output()
        where = "" if error.filename else "standard output: "
        return _failed(f"{where}{error}", FAILED)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)


def _occupy_standard_streams() -> None:
    """Put the null device where a standard stream is closed.

    Else the next file that is opened gets its number, and what is printed goes into that.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it takes the lowest number that is free
    if sys.stderr is None:  # print() would take standard output for it
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _drop_output() -> None:
    """Let what Python still holds of the output go nowhere, when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _failed(what: object, status: int) -> int:
    print(f"nornmail: {what}", file=sys.stderr)
    return status
