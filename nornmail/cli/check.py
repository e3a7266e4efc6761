"""``nornmail check``: does everything work that a poller needs?"""

from __future__ import annotations

import argparse

from nornmail import Step, diagnose
from nornmail.cli.exit_codes import FAILED, OK
from nornmail.cli.options import (
    Parser,
    Settings,
    add_environment,
    add_log_level,
    add_mailbox,
    add_start,
    set_up_logging,
)

NAME_WIDTH = 17
"""Characters of the longest step's name."""


def add(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Goes through name, TCP, TLS, greeting, login, mailbox and capabilities of "
        "IMAP, looks at the\nstate store, and then, if SMTP_HOST is set, goes the same way for "
        "SMTP. One line each. Nothing is\ndelivered, sent or changed.\n\n"
        "Exit status: 0 every step went well, 1 a step failed, 2 a setting is wrong or missing."
    )
    add_environment(parser)
    add_mailbox(parser)
    add_start(parser)
    add_log_level(parser, "error")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    imap, smtp = settings.imap(), settings.smtp()
    status = OK
    for step in diagnose(imap, smtp, settings.state):
        print(line(step), flush=True)
        if not step.ok:
            status = FAILED
    if smtp is None:
        print(f"{'-':6}  {'SMTP':{NAME_WIDTH}}  not checked, as SMTP_HOST is not set")
    return status


def line(step: Step) -> str:
    """A step as it is shown."""
    verdict = "ok" if step.ok else "FAILED"
    advice = f" -> {step.advice}" if step.advice else ""
    return f"{verdict:6}  {step.name:{NAME_WIDTH}}  {step.said}{advice}"
