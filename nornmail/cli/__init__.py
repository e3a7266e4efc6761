"""The command line: reads arguments and settings, prints, and leaves the work to other rooms.

A command is a function ``add(parser)``, which adds its options and names the function that returns
the exit status; only the file of the chosen command is imported. ``main`` turns errors into
a line on standard error and an exit status.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module

from nornmail import (
    AuthenticationFailed,
    CommandRefused,
    ComposeError,
    ConfigurationError,
    ConnectionLost,
    DecisionRequired,
    NornmailError,
    StoreError,
    __version__,
)
from nornmail.cli.options import BAD_SETTINGS, BAD_STORE, FAILED, INTERRUPTED, Parser

__all__ = ["main"]

COMMANDS = {
    "demo": "deliver, poll, handle and answer mail on a mail server inside this process",
    "check": "test the settings step by step, with advice for each step that fails",
    "login": "log in by OAuth2, and write the token file that IMAP and SMTP use",
    "status": "show what waits in the state store, and which program works on it",
    "watch": "print a line for each new message, until interrupted",
    "poll": "print the messages that are new now, and the counts of the poll",
    "serve": "run poller and mailer with a control interface over HTTP",
    "webhook": "post a sample message to a webhook, and say what came back",
    "dead": "list, show and retry messages that were given up",
    "send": "send a message, and print the server's reply",
    "outbox": "list, show, approve, reject, retry, drop and resolve messages on their way out",
}
"""The commands, each a module of this package, with a line of help."""
HOMES = {
    "demo": "nornmail.demo:add",
    "poll": "nornmail.cli.watch:add_poll",
    "webhook": "nornmail.cli.serve:add_webhook",
}
"""The function that adds a command, where it is not ``add`` of the module of its name."""
OF_SERVERS = (AuthenticationFailed, CommandRefused, ConnectionLost)
"""Errors of a connection, which ``nornmail check`` explains."""
OPTIONS = {
    "attachments": "--attach",
    "bcc": "--bcc",
    "cc": "--cc",
    "env_file": "--env-file",
    "reply_to": "--reply-to",
    "sender": "--from",
    "subject": "--subject",
    "to": "--to",
}
"""The options of arguments that the library names in its errors."""
EPILOG = """\
Settings come from the environment (IMAP_HOST, IMAP_USERNAME, IMAP_PASSWORD, ...) and from a file
.env in the current directory. Start with `nornmail demo`, which needs none, then `nornmail check`.

Exit status: 0 success, 1 something failed, 2 a mistake in the arguments or settings, 3 the state
store cannot be used, 4 a message is still queued, 130 interrupted.
"""


SYNONYMS = {"help": "--help", "version": "--version", "-V": "--version"}
"""First words that people try; ``help`` takes a command behind it."""


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """The arguments as the chosen command understands them. SystemExit at a mistake."""
    if words and words[0] in SYNONYMS:
        words = [*words[1:], SYNONYMS[words[0]]]
    parser, command = _parsers(words)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(BAD_SETTINGS)
    if command is None and words[0] not in ("-h", "--help", "--version"):
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    chosen, unknown = parser.parse_known_args(words)
    if unknown:
        (command or parser).error(f"unrecognized arguments: {' '.join(unknown)}")
    return chosen


def _parsers(arguments: Sequence[str]) -> tuple[Parser, Parser | None]:
    """The parser of all commands, and that of the chosen one, which has its options."""
    parser = Parser(
        prog="nornmail",
        description="A mailbox for a program: new mail arrives at a callback, once.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"nornmail {__version__}")
    commands = parser.add_commands()
    words = (word for word in arguments if not word.startswith("-"))
    chosen, chosen_parser = next(words, None), None
    for name, summary in COMMANDS.items():
        is_chosen = name == chosen
        command = commands.add_parser(name, help=summary, add_help=is_chosen)
        if is_chosen:
            home, _, function = HOMES.get(name, f"nornmail.cli.{name}:add").partition(":")
            getattr(import_module(home), function)(command)
            chosen_parser = command
    return parser, parser if chosen is not None and chosen_parser is None else chosen_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    _prepare_standard_streams()
    words = sys.argv[1:] if arguments is None else arguments
    chosen = _parsed(words)
    try:
        status: int = chosen.run(chosen)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a broken pipe is caught
        return status
    except (ConfigurationError, ComposeError, DecisionRequired) as error:
        return _failed(_with_options(str(error)), BAD_SETTINGS)
    except StoreError as error:
        return _failed(error, BAD_STORE)
    except NornmailError as error:
        hint = ""
        if isinstance(error, OF_SERVERS) and chosen.run.__module__ == "nornmail.cli.watch":
            hint = " (`nornmail check` goes through the connection step by step)"
        return _failed(f"{error}{hint}", FAILED)
    except BrokenPipeError:  # the reader of our output left, and knows it
        _drop_output()
        return FAILED
    except OSError as error:  # the library's own are StoreError and ConnectionLost
        _drop_output()
        where = "" if error.filename else "standard output: "
        return _failed(f"{where}{error}", FAILED)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED)


def _prepare_standard_streams() -> None:
    """Open the null device for each standard stream that is closed, and print what can be encoded.

    Without the first the next file gets the descriptor, and printed text goes into that file.
    Without the second a name of a server, a file or a person would end a command in ASCII.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free descriptor
    if sys.stderr is None:  # print() would use standard output instead
        sys.stderr = os.fdopen(2, "w", encoding="locale", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _drop_output() -> None:
    """Discard the output that Python still buffers, when the process ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _with_options(text: str) -> str:
    """An error in terms of the command line: with the option instead of the argument."""
    word = re.match(r"[a-z_]+", text)
    option = OPTIONS.get(word[0]) if word else None
    if word is None or option is None:
        return text
    several = option in ("--to", "--cc", "--bcc") and "," in text
    return option + text[word.end() :] + (f"; repeat {option} for several" if several else "")


def _failed(error: object, status: int) -> int:
    print(f"nornmail: {error}", file=sys.stderr)
    return status
