"""``nornmail check``: a test of the settings, check by check."""

from __future__ import annotations

import argparse
from itertools import chain

from nornmail import Check, diagnose, diagnose_settings
from nornmail.cli.exit_codes import FAILED, OK
from nornmail.cli.options import Parser, Settings, add_settings, set_up_logging
from nornmail.cli.table import printable

NAME_WIDTH = 17
"""Characters of the longest check's name."""


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
    print(printable(format_check(Check("settings", True, settings.origin))), flush=True)
    status = OK
    checks = chain(
        diagnose_settings(imap, smtp, settings.names), diagnose(imap, smtp, settings.state)
    )
    for check in checks:
        print(printable(format_check(check)), flush=True)
        if not check.ok:
            status = FAILED
    if smtp is None:
        print(f"{'-':6}  {'SMTP':{NAME_WIDTH}}  not checked: SMTP_HOST is not set")
    return status


def format_check(check: Check) -> str:
    """A check on one line, with the advice where it failed or could be better."""
    verdict = "FAILED" if not check.ok else "warn" if check.advice else "ok"
    advice = f" -> {check.advice}" if check.advice else ""
    return f"{verdict:6}  {check.name:{NAME_WIDTH}}  {check.detail}{advice}"
