"""The options that commands share, and the settings that come of them."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nornmail import ImapSettings, SmtpSettings, read_environment

if TYPE_CHECKING:
    from nornmail import Mailer, StateStore

# ---- argparse with a better word for a mistyped command.

Commands = Any
"""What ``add_subparsers`` returns; argparse has no public name for it."""

_INVALID = re.compile(r"invalid choice: '([^']*)'")


class Parser(argparse.ArgumentParser):
    """A parser that keeps the line breaks of its texts and suggests what was meant."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # Off: an abbreviation that works today is ambiguous with the next option.
        super().__init__(allow_abbrev=False, **options)
        self.suggest_on_error = False  # argparse's own, from Python 3.14 on; ours is on all
        self._words: Iterable[str] = ()

    def add_commands(self) -> Commands:
        """Commands below this one, of which one must be given."""
        commands = self.add_subparsers(dest="command", metavar="COMMAND", required=True)
        self._words = commands.choices  # filled as they are added
        return commands

    def error(self, message: str) -> NoReturn:
        """Print how it is used and what is wrong, and end with status 2."""
        found = _INVALID.search(message)
        if found:
            near = difflib.get_close_matches(found[1].lower(), list(self._words), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)


ENV_FILE = ".env"
"""The file of settings in the current directory, read where it is there and none is named."""
DEFAULT_STATE = "nornmail.db"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def add_environment(parser: argparse.ArgumentParser) -> None:
    """``--env-file`` and ``--state``."""
    parser.add_argument(
        "--env-file",
        metavar="PATH",
        help="a file of NAME=value lines, for what the environment does not have (default: .env "
        "in the current directory, where it is there)",
    )
    parser.add_argument(
        "--state",
        metavar="PATH",
        help="the state store; a name that ends in .json is a JSON store (NORNMAIL_STATE; default: "
        f"{DEFAULT_STATE})",
    )


def add_mailbox(parser: argparse.ArgumentParser) -> None:
    """``--mailbox``."""
    parser.add_argument(
        "--mailbox", metavar="NAME", help="the mailbox (IMAP_MAILBOX; default: INBOX)"
    )


def add_start(parser: argparse.ArgumentParser) -> None:
    """``--start-from``."""
    parser.add_argument(
        "--start-from",
        metavar="WHICH",
        help="what a first run does with mail that is there already: all, new, or a date such as "
        "2026-01-31 (IMAP_START_FROM)",
    )


def add_log_level(parser: argparse.ArgumentParser, default: str) -> None:
    """``--log-level``."""
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default=default,
        help=f"what is logged on standard error (default: {default})",
    )


class Settings:
    """What arguments, environment and file say together; the first of them wins.

    Args:
        chosen: the parsed arguments.

    Raises:
        ConfigurationError: the file cannot be read.
    """

    def __init__(self, chosen: argparse.Namespace) -> None:
        env_file = chosen.env_file
        if env_file is None and os.path.exists(ENV_FILE):
            env_file = ENV_FILE
        self._environ = read_environment(env_file)
        for option, variable in (
            ("state", "NORNMAIL_STATE"),
            ("mailbox", "IMAP_MAILBOX"),
            ("start_from", "IMAP_START_FROM"),
        ):
            value = getattr(chosen, option, None)
            if value is not None:
                self._environ[variable] = value

    def imap(self) -> ImapSettings:
        """Where the mailbox is."""
        return ImapSettings.from_env(self._environ)

    def smtp(self) -> SmtpSettings | None:
        """Where mail is handed in; ``None`` when neither SMTP_HOST nor EMAIL_PRESET says so."""
        if not SmtpSettings.named_in(self._environ):
            return None
        return SmtpSettings.from_env(self._environ)

    def mailer(self, store: StateStore | None, **options: Any) -> Mailer:
        """A mailer with the settings of SMTP; SMTP_HOST must be set."""
        # Most commands send nothing, and need not wait for what that takes.
        from nornmail import Mailer

        return Mailer(SmtpSettings.from_env(self._environ), store, **options)

    def get(self, variable: str) -> str:
        """A variable without blanks around it, ``""`` where it is not set."""
        return self._environ.get(variable, "").strip()

    @property
    def state(self) -> str:
        """The path of the state store."""
        path = self._environ.get("NORNMAIL_STATE", "").strip() or DEFAULT_STATE
        return str(Path(path).expanduser())


class _Handler(logging.Handler):
    """Writes to standard error, with whatever stands on its last line taken away first."""

    def __init__(self, before: Callable[[], object]) -> None:
        super().__init__()
        self._before = before
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            self._before()
            print(line, file=sys.stderr, flush=True)
        except Exception:  # as every handler of the standard library does
            self.handleError(record)


def set_up_logging(level: str, before: Callable[[], object] = lambda: None) -> None:
    """Show what the library logs on standard error.

    Args:
        level: one of :data:`LEVELS`.
        before: called before each line.
    """
    log = logging.getLogger("nornmail")
    log.setLevel(level.upper())
    for handler in [one for one in log.handlers if isinstance(one, _Handler)]:
        log.removeHandler(handler)
    log.addHandler(_Handler(before))
