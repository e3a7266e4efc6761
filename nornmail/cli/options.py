"""Options that the commands share, the settings that come from them, and the exit statuses.

``docs/reference/command-line.md`` lists the statuses.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nornmail import (
    ConfigurationError,
    ImapSettings,
    SmtpSettings,
    StoreError,
    open_store,
    read_environment,
    summarize,
)

if TYPE_CHECKING:
    from nornmail import Mailer, StateStore

OK = 0
"""Success; also when ``watch`` or ``serve`` was stopped by a signal."""
FAILED = 1
"""A check, the server, or the reader of the output failed."""
BAD_SETTINGS = 2
"""A mistake in the arguments or settings, or a decision that the settings must make. argparse uses
it too. Running the same command again gives the same result."""
BAD_STORE = 3
"""The state store cannot be used."""
QUEUED = 4
"""``send``: the message is in the outbox and was not sent yet."""
INTERRUPTED = 130
"""Ended by a signal before it was done: 128 + SIGINT, as in shells."""


Commands = Any
"""The type that ``add_subparsers`` returns; argparse has no public name for it."""

FUNCTION = re.compile(r"[\w.]{2,}:\w+", re.ASCII)
"""``module:function``, instead of a store's path: see :func:`nornmail.open_store`."""

log = logging.getLogger("nornmail.cli")

_INVALID = re.compile(r"invalid choice: '([^']*)'")


class _Paragraphs(argparse.HelpFormatter):
    """Fills each paragraph of a text to the width of the terminal, as options are filled."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(fill(part, width, indent) for part in text.split("\n\n"))


class Parser(argparse.ArgumentParser):
    """A parser that fills the paragraphs of its texts and suggests the right command."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Paragraphs)
        # Off: an abbreviation that works today is ambiguous with the next option.
        super().__init__(allow_abbrev=False, **options)
        self.suggest_on_error = False  # argparse's own, from Python 3.14 on; ours is on all
        self._words: Iterable[str] = ()

    def add_commands(self) -> Commands:
        """Add commands below this one; one of them is required."""
        commands = self.add_subparsers(dest="command", metavar="COMMAND", required=True)
        self._words = commands.choices  # filled as they are added
        return commands

    def error(self, message: str) -> NoReturn:
        """Print the usage and the mistake, and exit with status 2."""
        match = _INVALID.search(message)
        if match:
            near = difflib.get_close_matches(match[1].lower(), list(self._words), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)


ENV_FILE = ".env"
"""The file of settings in the current directory, read if it exists and no other is named."""
DEFAULT_STATE = "nornmail.db"
"""The name that programs use as well."""
WATCH_STATE = "nornmail-watch.db"
"""The store of ``watch`` and ``poll``: what they print counts as handled, for themselves alone."""
PRESET = "EMAIL_PRESET"
DESTINATION = ("HOST", "PORT", "USE_SSL", "STARTTLS", "USE_TLS", "CA_FILE")
"""The variables, behind IMAP_ or SMTP_, that decide where a password is sent and how safely."""
MAX_NAMED = 3
"""Inboxes that an error names."""
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def add_accounts(parser: Parser, verb: str) -> None:
    """Add the option."""
    parser.add_argument(
        "--accounts",
        metavar="DIR",
        help=f"{verb} an account for each .env file of a directory; a file that is added, changed "
        "or removed takes effect while it runs. What a file does not set is taken from the "
        "environment",
    )


def add_max_text(parser: argparse.ArgumentParser) -> None:
    """Add the option that bounds the texts of a message in the output."""
    parser.add_argument(
        "--max-text",
        metavar="CHARACTERS",
        type=_at_least_one,
        help="the most characters of each long field of a message; left_out says what is missing "
        "(default: all)",
    )


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1 character")
    return value


def add_settings(
    parser: argparse.ArgumentParser,
    *,
    mailbox: bool = False,
    start: bool = False,
    log_level: str = "",
    state: str = DEFAULT_STATE,
) -> None:
    """Add the options that name settings.

    Args:
        mailbox: adds ``--mailbox``.
        start: adds ``--start-from``.
        log_level: adds ``--log-level`` with this default.
        state: the store where neither ``--state`` nor NORNMAIL_STATE names one.
    """
    add_environment(parser)
    parser.add_argument(
        "--state",
        metavar="PATH",
        help="the state store; a name that ends in .json is a JSON store, and module:function is a "
        f"function that returns one (NORNMAIL_STATE; default: {state})",
    )
    parser.set_defaults(default_state=state)
    if mailbox:
        parser.add_argument(
            "--mailbox", metavar="NAME", help="the mailbox (IMAP_MAILBOX; default: INBOX)"
        )
    if start:
        parser.add_argument(
            "--start-from",
            metavar="WHICH",
            help="which mail that already exists a first run delivers: all, new (none of it), or "
            "since a date such as 2026-01-31 (IMAP_START_FROM)",
        )
    if log_level:
        parser.add_argument(
            "--log-level",
            choices=LEVELS,
            default=log_level,
            help=f"the least level that is logged on standard error (default: {log_level})",
        )


def add_environment(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a file of settings."""
    parser.add_argument(
        "--env-file",
        metavar="PATH",
        help="a file of NAME=value lines for variables that the environment does not set (default: "
        ".env in the current directory, if it exists; '' reads none)",
    )


class Settings:
    """The settings of arguments, environment and file; the first of them wins."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._start_from: str | None = getattr(chosen, "start_from", None)
        self._default_state: str = getattr(chosen, "default_state", DEFAULT_STATE)
        self.env_file: str | None = chosen.env_file or None
        if chosen.env_file is None and os.path.exists(ENV_FILE):
            self.env_file = ENV_FILE
            _warn_of_redirection(read_environment(ENV_FILE, {}))
        self._environ = read_environment(self.env_file)
        for option, variable in (
            ("address", "EMAIL_PRESET"),
            ("address", "IMAP_USERNAME"),
            ("state", "NORNMAIL_STATE"),
            ("mailbox", "IMAP_MAILBOX"),
            ("start_from", "IMAP_START_FROM"),
        ):
            value = getattr(chosen, option, None)
            # An address only stands in for what is not set.
            if value is not None and not (option == "address" and self.get(variable)):
                self._environ[variable] = value

    @property
    def environ(self) -> dict[str, str]:
        """The variables that environment, file and options set."""
        return dict(self._environ)

    @property
    def names(self) -> set[str]:
        """The variables that environment and file set."""
        return set(self._environ)

    @property
    def origin(self) -> str:
        """The source of the settings, in words."""
        if self.env_file is not None:
            return f"from the environment and {self.env_file}"
        if os.path.exists(ENV_FILE):
            return f"from the environment alone; {ENV_FILE} is not read, as --env-file says"
        return f"from the environment alone; there is no {ENV_FILE} in this directory"

    def imap(self) -> ImapSettings:
        """The settings of the mailbox."""
        try:
            return ImapSettings.from_env(self._environ)
        except ConfigurationError as error:
            if error.value is not None:
                raise
            allowed = f"{error.allowed} (settings are read {self.origin})"
            raise ConfigurationError(error.variable, None, allowed) from error

    def smtp(self) -> SmtpSettings | None:
        """The settings of the SMTP server; ``None`` without SMTP_HOST and EMAIL_PRESET."""
        if not SmtpSettings.named_in(self._environ):
            return None
        return SmtpSettings.from_env(self._environ)

    def mailer(self, store: StateStore | None, **options: Any) -> Mailer:
        """A mailer with the settings of SMTP; SMTP_HOST must be set."""
        # Most commands send nothing, and need not wait for these imports.
        from nornmail import Mailer

        return Mailer(SmtpSettings.from_env(self._environ), store, **options)

    def store_of_its_own(self) -> StateStore:
        """The state store of a command that reads mail and knows no inboxes.

        Raises:
            ConfigurationError: messages in it belong to the inboxes of a program, which would never
                receive them.
            StoreError: it cannot be used.
        """
        if self._has_store():
            mailboxes = summarize(self.state).mailboxes
            inboxes = sorted({name for mailbox in mailboxes for name in mailbox.inboxes})
            if inboxes:
                names = ", ".join(inboxes[:MAX_NAMED]) + (
                    ", ..." if len(inboxes) > MAX_NAMED else ""
                )
                raise ConfigurationError(
                    "NORNMAIL_STATE",
                    self.state,
                    f"it belongs to a program with the inboxes {names}: name another store with "
                    "--state, or use `nornmail status` to see what waits",
                )
        return open_store(self.state)

    def _has_store(self) -> bool:
        """Whether there is a store; one that a function opens is its program's, and is there."""
        return bool(FUNCTION.fullmatch(self.state)) or os.path.exists(self.state)

    def warn_of_late_start(self, imap: ImapSettings) -> None:
        """Say that ``--start-from`` comes too late, where a first run has been."""
        if self._start_from is None or not self._has_store():
            return
        for mailbox in summarize(self.state).mailboxes:
            place = (mailbox.account, mailbox.mailbox)
            if place == (imap.account, imap.mailbox) and mailbox.last_poll_at is not None:
                log.warning(
                    "--start-from %s has no effect: the first run of %s has made that choice, and "
                    "%s keeps it. Name a new store with --state to choose again",
                    self._start_from,
                    imap.mailbox,
                    self.state,
                )

    def existing_store(self) -> StateStore:
        """The state store, which must exist."""
        try:
            return open_store(self.state, must_exist=True)
        except StoreError as error:
            raise StoreError(f"{error} (set NORNMAIL_STATE or --state to its path)") from error

    def get(self, variable: str) -> str:
        """A variable without blanks around it; ``""`` where it is not set."""
        return self._environ.get(variable, "").strip()

    @property
    def state(self) -> str:
        """The path of the state store."""
        path = self._environ.get("NORNMAIL_STATE", "").strip() or self._default_state
        return str(Path(path).expanduser())


def _warn_of_redirection(file_values: Mapping[str, str]) -> None:
    """Warn that a file in the current directory decides where a password goes.

    Only for a password of the environment: one of the file may go where the file says.
    """
    for protocol in ("IMAP", "SMTP"):
        password = f"{protocol}_PASSWORD"
        if not os.environ.get(password, "").strip():
            continue
        names = (PRESET, *(f"{protocol}_{name}" for name in DESTINATION))
        redirected = [name for name in names if file_values.get(name) and name not in os.environ]
        if redirected:
            log.warning(
                "%s comes from the environment, and %s in this directory decides where it is sent: "
                "it sets %s. Use --env-file '' to read no file",
                password,
                ENV_FILE,
                ", ".join(redirected),
            )


class _Handler(logging.Handler):
    """Writes to standard error, after the progress line there is cleared."""

    def __init__(self, before: Callable[[], object], hidden: Collection[str]) -> None:
        super().__init__()
        self._before = before
        self.addFilter(lambda record: record.msg not in hidden)
        self.setFormatter(logging.Formatter(FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
            self._before()
            print(line, file=sys.stderr, flush=True)
        except Exception:  # as every handler of the standard library does
            self.handleError(record)


def set_up_logging(
    level: str, before: Callable[[], object] = lambda: None, hidden: Collection[str] = ()
) -> None:
    """Show the library's log on standard error.

    Args:
        level: one of :data:`LEVELS`.
        before: called before each line.
        hidden: lines that are left out, as the library words them, without their arguments.
    """
    log = logging.getLogger("nornmail")
    log.setLevel(level.upper())
    for handler in [old for old in log.handlers if isinstance(old, _Handler)]:
        log.removeHandler(handler)
    log.addHandler(_Handler(before, hidden))
