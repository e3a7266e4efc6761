"""``nornmail send``: one message, kept in the state store until the server has accepted it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nornmail import (
    ConfigurationError,
    LeaseHeld,
    Mailer,
    Outbox,
    OutboxMessage,
    SendResult,
    open_store,
    summarize,
)
from nornmail.cli.options import FAILED, OK, QUEUED, Parser, Settings, add_settings, set_up_logging
from nornmail.cli.output import format_time, json_fields, printable

WAIT = 60.0
"""Seconds to wait for the server's reply."""
STDIN = "-"
"""The file name that means standard input."""


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Keeps a message in the state store, sends it, and waits for the server's reply. It is "
        "tried once. If it\nis deferred or its connection is lost it stays in the outbox: "
        "`nornmail outbox send` sends it, or a program\nwith a mailer and the same store."
        "\n\nExit status: 0 accepted for every recipient, 1 refused for a recipient or unknown, "
        "2 a mistake in the\narguments or settings, 3 the state store cannot be used, 4 queued, "
        "not sent yet."
    )
    _add_message(parser)
    _add_mode(parser)
    add_settings(parser, log_level="error")
    parser.set_defaults(run=run)


def _add_message(parser: Parser) -> None:
    """Add the options for the message and its recipients."""
    parser.add_argument("text", metavar="TEXT", nargs="?", help="its text")
    for name, help_text in (
        ("to", "a recipient; repeat it for several"),
        ("cc", "a recipient of a copy"),
        ("bcc", "a recipient of a copy that the others do not see"),
        ("reply-to", "where replies go"),
        ("attach", "a file to attach"),
    ):
        parser.add_argument(
            f"--{name}",
            metavar="PATH" if name == "attach" else "ADDRESS",
            action="append",
            default=[],
            help=help_text,
        )
    parser.add_argument("--subject", metavar="TEXT", default="", help="its subject, on one line")
    parser.add_argument(
        "--file", metavar="PATH", help="its text, from a file in UTF-8; - is standard input"
    )
    parser.add_argument("--html", metavar="PATH", help="its HTML, from a file in UTF-8")
    parser.add_argument("--from", metavar="ADDRESS", dest="sender", help="instead of SMTP_FROM")
    parser.add_argument(
        "--key", metavar="KEY", help="its idempotency key: a second message with it is not sent"
    )


def _add_mode(parser: Parser) -> None:
    """Add the options for how to send and what to print."""
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--dry-run", action="store_true", help="print the message; keep and send nothing"
    )
    mode.add_argument("--no-wait", action="store_true", help="queue it for the program that sends")
    mode.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=WAIT,
        help=f"how long to wait for the server's reply (default: {WAIT:g})",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    message = _message(chosen)
    sender = {} if chosen.sender is None else {"sender": chosen.sender}
    if chosen.dry_run:
        result = settings.mailer(None, dry_run=True, **sender).send(**message)
        sys.stdout.buffer.write(result.raw)
        return OK
    with (
        closing(open_store(settings.state)) as store,
        closing(settings.mailer(store, **sender)) as mailer,
    ):
        earlier = _sent_earlier(Outbox(store), mailer.outbox, chosen.key)
        result = mailer.send(**message)
        why = ""
        if not chosen.no_wait and earlier is None:
            result, why = _sent(mailer, result, chosen.timeout)
        due_at = Outbox(store).find(result.key, mailer.outbox).due_at
    if earlier is not None and not chosen.json:
        when = format_time(earlier.changed_at)
        print(f"sent before, at {when}: {result.key} {result.message_id}; not sent again")
    else:
        _print(result, why, as_json=chosen.json)
    if not chosen.subject and earlier is None:
        print("nornmail: it was sent without a subject; --subject TEXT sets one", file=sys.stderr)
    if result.state == "queued" and not chosen.json:
        print(_next_try(settings.state, mailer.outbox, due_at))
    return exit_status(result)


def _message(chosen: argparse.Namespace) -> dict[str, Any]:
    """The arguments of :meth:`~nornmail.outbox.mailer.Mailer.send`."""
    if not (chosen.to or chosen.cc or chosen.bcc):
        raise ConfigurationError("--to", None, "name a recipient: --to, --cc or --bcc")
    if not chosen.timeout > 0:
        raise ConfigurationError("--timeout", chosen.timeout, "must be above 0 seconds")
    return {
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


def _sent_earlier(outbox: Outbox, account: str, key: str | None) -> OutboxMessage | None:
    """The message that an earlier command has sent under this key."""
    for message in outbox.list(["sent"]):
        if (message.account, message.key) == (account, key):
            return message
    return None


def _next_try(state: str, account: str, due_at: datetime | None) -> str:
    """The sender of a queued message, and the time of its next attempt, in words."""
    outboxes = {outbox.account: outbox for outbox in summarize(state).outboxes}
    due = (
        f"it is due at {format_time(due_at)}"
        if due_at and due_at > datetime.now(UTC)
        else "it is due"
    )
    if account in outboxes and outboxes[account].held_by:
        return f"  {due}; {outboxes[account].held_by} sends it"
    return (
        f"  {due}, but no program sends from {state} now: run `nornmail outbox send`, or a program "
        "with a mailer and this store, such as `nornmail serve`"
    )


def _sent(mailer: Mailer, result: SendResult, timeout: float) -> tuple[SendResult, str]:
    """Send a message; return its result within some seconds, and why it was not sent.

    No other message is sent from here: the rest of the outbox may belong to a program that asks for
    approval first.
    """
    begin = time.monotonic()
    why = ""
    try:
        mailer.flush(timeout, only=result.key)
        timeout = 0.0  # it was tried
        why = str(mailer.last_error or "")
    except LeaseHeld:
        timeout -= time.monotonic() - begin  # the holder of this outbox sends it
    return mailer.wait(result.key, timeout), why


def _text(chosen: argparse.Namespace) -> str | None:
    """The message's text: the argument, the file, or standard input."""
    if chosen.text is not None and chosen.file is not None:
        raise ConfigurationError(
            "--file", chosen.file, "cannot be combined with TEXT: choose one of the two"
        )
    if chosen.text is not None:
        return str(chosen.text)
    if chosen.file is None and chosen.html is not None:
        return None
    if chosen.file is None and sys.stdin.isatty():
        raise ConfigurationError("TEXT", None, "give a text, or name a --file")
    return _read(chosen.file or STDIN, "--file")


def _read(path: str, option: str) -> str:
    """A file's text, or that of standard input."""
    try:
        raw = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
        return raw.decode("utf-8")
    except (OSError, ValueError) as error:
        allowed = f"must be a readable file in UTF-8: {error}"
        raise ConfigurationError(option, path, allowed) from error


def _print(result: SendResult, why: str, *, as_json: bool) -> None:
    if as_json:
        fields = json_fields(result)
        del fields["raw"], fields["dry_run"]
        print(json.dumps(fields))
        return
    reason = f"{result.code} {result.text}" if result.code else result.reason or why
    print(printable(f"{result.state}: {result.key} {result.message_id} {reason}".rstrip()))
    for recipient in result.recipients:
        reply = f"{recipient.code or ''} {recipient.text}".strip()
        print(printable(f"  {recipient.status}: {recipient.address} {reply}".rstrip()))


def exit_status(result: SendResult) -> int:
    """The exit status for what became of a message."""
    if result.state in ("queued", "sending"):
        return QUEUED
    return OK if len(result.accepted) == len(result.recipients) else FAILED
