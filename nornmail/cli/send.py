"""``nornmail send``: one message, kept in the state store until the server has it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nornmail import ConfigurationError, LeaseHeld, Mailer, SendResult, open_store
from nornmail.cli.dead import printable
from nornmail.cli.exit_codes import FAILED, OK, QUEUED
from nornmail.cli.options import Parser, Settings, add_environment, add_log_level, set_up_logging

WAIT = 60.0
"""Seconds for which the server's word is waited for."""
STDIN = "-"
"""The name of a file that stands for standard input."""


def add(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Keeps a message in the state store, sends it, and waits for the server's "
        "word. It is tried once. What is\nput off or cut off lies in the outbox: a program with a "
        "mailer and the same store sends it, or this\ncommand with the same --key once more.\n\n"
        "Exit status: 0 the server took it for everyone, 1 it was refused for somebody or that is "
        "not known,\n2 a mistake in the arguments or settings, 3 the state store cannot be used, "
        "4 it is kept and was not\nsent yet."
    )
    _add_message(parser)
    _add_manner(parser)
    add_environment(parser)
    add_log_level(parser, "error")
    parser.set_defaults(run=run)


def _add_message(parser: argparse.ArgumentParser) -> None:
    """What is to be sent, and to whom."""
    parser.add_argument("text", metavar="TEXT", nargs="?", help="what it says")
    for name, what in (
        ("to", "whom it is for; several times for several"),
        ("cc", "who gets a copy"),
        ("bcc", "who gets a copy that nobody sees"),
        ("reply-to", "where answers are to go"),
        ("attach", "a file to send along"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="PATH" if name == "attach" else "ADDRESS",
            action="append",
            default=[],
            help=what,
        )
    parser.add_argument("--subject", metavar="TEXT", default="", help="on one line")
    parser.add_argument(
        "--file", metavar="PATH", help="what it says, from a file in UTF-8; - is standard input"
    )
    parser.add_argument("--html", metavar="PATH", help="the same in HTML, from a file in UTF-8")
    parser.add_argument("--from", metavar="ADDRESS", dest="sender", help="instead of SMTP_FROM")
    parser.add_argument(
        "--key", metavar="KEY", help="what makes it once: a second message with it is not sent"
    )


def _add_manner(parser: argparse.ArgumentParser) -> None:
    """How it is sent, and how that is told."""
    parser.add_argument("--json", action="store_true", help="a JSON object instead of words")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--dry-run", action="store_true", help="print the message; keep and send nothing"
    )
    how.add_argument("--no-wait", action="store_true", help="keep it, and leave it to a poller")
    how.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=WAIT,
        help=f"how long the server's word is waited for (default: {WAIT:g})",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    if not (chosen.to or chosen.cc or chosen.bcc):
        raise ConfigurationError("--to", None, "say whom it is for")
    if not chosen.timeout > 0:
        raise ConfigurationError("--timeout", chosen.timeout, "must be above 0 seconds")
    message: dict[str, Any] = {
        "to": chosen.to,
        "subject": chosen.subject,
        "text": _text(chosen),
        "html": None if chosen.html is None else _read(chosen.html, "--html"),
        "cc": chosen.cc,
        "bcc": chosen.bcc,
        "reply_to": chosen.reply_to,
        "attachments": chosen.attach,
        "key": chosen.key,
    }
    sender = {} if chosen.sender is None else {"sender": chosen.sender}
    if chosen.dry_run:
        result = settings.mailer(None, dry_run=True, **sender).send(**message)
        sys.stdout.buffer.write(result.raw)
        return OK
    with (
        closing(open_store(settings.state)) as store,
        closing(settings.mailer(store, **sender)) as mailer,
    ):
        result = mailer.send(**message)
        why = ""
        if not chosen.no_wait:
            result, why = _sent(mailer, result, chosen.timeout)
    _tell(result, why, as_json=chosen.json)
    return _status(result)


def _sent(mailer: Mailer, result: SendResult, timeout: float) -> tuple[SendResult, str]:
    """What becomes of a message within some seconds, and why nothing does.

    It alone is sent from here: what else lies in the outbox may be a program's that asks somebody
    before it sends.
    """
    begin = time.monotonic()
    why = ""
    try:
        mailer.flush(timeout, only=result.key)
        timeout = 0.0  # it had its try
        why = str(mailer.last_error or "")
    except LeaseHeld:
        timeout -= time.monotonic() - begin  # whoever sends from this outbox sends it
    return mailer.wait(result.key, timeout), why


def _text(chosen: argparse.Namespace) -> str | None:
    """What it says: the argument, the file, or standard input."""
    if chosen.text is not None and chosen.file is not None:
        raise ConfigurationError("--file", chosen.file, "the text is there already: one of the two")
    if chosen.text is not None:
        return str(chosen.text)
    if chosen.file is None and chosen.html is not None:
        return None
    if chosen.file is None and sys.stdin.isatty():
        raise ConfigurationError("TEXT", None, "say something, or name a --file")
    return _read(chosen.file or STDIN, "--file")


def _read(path: str, option: str) -> str:
    """A file's text, or that of standard input."""
    try:
        raw = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        return raw.decode("utf-8")
    except (OSError, ValueError) as error:
        allowed = f"must be a file in UTF-8 that can be read: {error}"
        raise ConfigurationError(option, path, allowed) from error


def _tell(result: SendResult, why: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts(result)))
        return
    said = f"{result.code} {result.text}" if result.code else result.reason or why
    print(printable(f"{result.state}: {result.key} {result.message_id} {said}".rstrip()))
    for one in result.recipients:
        answer = f"{one.code or ''} {one.text}".strip()
        print(printable(f"  {one.status}: {one.address} {answer}".rstrip()))


def facts(result: SendResult) -> dict[str, Any]:
    """A result as plain values for JSON."""
    found = asdict(result)
    del found["raw"], found["dry_run"]
    return found


def _status(result: SendResult) -> int:
    if result.state in ("queued", "sending"):
        return QUEUED
    return OK if len(result.accepted) == len(result.recipients) else FAILED
