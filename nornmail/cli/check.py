"""``nornmail check``: a test of the settings, check by check."""

from __future__ import annotations

import argparse
import textwrap
import threading
from collections.abc import Iterator
from itertools import chain

from nornmail import Check, diagnose, diagnose_settings
from nornmail.cli.options import FAILED, OK, Parser, Settings, add_settings, set_up_logging
from nornmail.cli.output import is_terminal, printable, terminal_width

NAME_WIDTH = 17
"""Characters of the longest check's name."""
PATIENCE = 1.0
"""Seconds until a person is notified that a check takes long."""
WAITING = "        waiting for the server ..."


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Tests name, TCP, TLS, greeting, login, mailbox and capabilities of the IMAP server, the "
        "state store, and,\nif SMTP_HOST is set, the SMTP server in the same way. Prints one line "
        "for each. Nothing is delivered,\nsent or changed.\n\n"
        "Exit status: 0 every check succeeded, 1 a check failed, 2 a setting is wrong or missing."
    )
    parser.add_argument(
        "address",
        nargs="?",
        help="an address, whose provider and login name stand in for EMAIL_PRESET and "
        "IMAP_USERNAME where they are not set",
    )
    add_settings(parser, mailbox=True, start=True, log_level="error")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    imap, smtp = settings.imap(), settings.smtp()
    status = OK
    checks = chain(
        [Check("settings", True, settings.origin)],
        diagnose_settings(imap, smtp, settings.names),
        diagnose(imap, smtp, settings.state),
    )
    while (check := next_check(checks)) is not None:
        for line in on_terminal(printable(format_check(check))):
            print(line, flush=True)
        if not check.ok:
            status = FAILED
    if smtp is None:
        print(f"{'-':6}  {'SMTP':{NAME_WIDTH}}  not checked: SMTP_HOST is not set")
    return status


def next_check(checks: Iterator[Check]) -> Check | None:
    """The next check; on a terminal a line says that it takes long."""
    if not is_terminal():
        return next(checks, None)
    done = threading.Event()

    def say_waiting() -> None:
        if not done.wait(PATIENCE):
            print(WAITING, end="", flush=True)
            done.wait()
            print(f"\r{'':{len(WAITING)}}\r", end="", flush=True)

    saying = threading.Thread(target=say_waiting, daemon=True)
    saying.start()
    try:
        return next(checks, None)
    finally:
        done.set()
        saying.join()


def on_terminal(line: str) -> list[str]:
    """A line as it fits a terminal; elsewhere as it is."""
    if not is_terminal():
        return [line]
    indent = " " * (6 + 2 + NAME_WIDTH + 2)
    width = max(terminal_width() - 1, 2 * len(indent))
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False)


def format_check(check: Check) -> str:
    """A check on one line, with the advice where it failed or could be better."""
    verdict = "FAILED" if not check.ok else "warn" if check.advice else "ok"
    if check.name == "provider":  # a remark: nothing is tested
        verdict = "-"
    advice = f" -> {check.advice}" if check.advice else ""
    return f"{verdict:6}  {check.name:{NAME_WIDTH}}  {check.detail}{advice}"
