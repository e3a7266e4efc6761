"""``nornmail status``: what a store holds and who works on it, without touching it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nornmail import MailboxSummary, OutboxSummary, StoreError, StoreSummary, summarize
from nornmail.cli.options import OK, Parser, Settings, add_settings
from nornmail.cli.output import Column, format_time, table

COUNT = 7
"""Characters of a column of counts."""
MAILBOXES = (
    Column("MAILBOX", 38),
    Column("LAST POLL", 16),
    Column("NEW", COUNT),
    Column("WAITING", COUNT),
    Column("DEAD", COUNT),
    Column("IN USE BY", 24),
)
OUTBOXES = (
    Column("OUTBOX", 28),
    Column("NEXT TRY", 16),
    Column("QUEUED", COUNT),
    Column("SENDING", COUNT),
    Column("UNKNOWN", COUNT),
    Column("FAILED", COUNT),
    Column("IN USE BY", 24),
)


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Shows what the state store holds: messages that wait or are dead, outgoing messages, the "
        "last successful\npoll, and the process that works on each mailbox. It only reads, so a "
        "program may be running, with every\nkind of store.\n\n"
        "Exit status: 0 done, 3 the state store does not exist or cannot be read."
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    add_settings(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    try:
        summary = summarize(Settings(chosen).state)
    except StoreError as error:
        raise StoreError(f"{error} (set NORNMAIL_STATE or --state to its path)") from error
    if chosen.json:
        print(json.dumps(asdict(summary), default=_json_time))
        return OK
    for line in lines(summary):
        print(line)
    return OK


def lines(summary: StoreSummary) -> list[str]:
    """The summary for people."""
    text = [f"state store {summary.path}"]
    if summary.mailboxes:
        text += ["", *table(MAILBOXES, map(_mailbox_row, summary.mailboxes))]
    text += [
        f"inboxes of {mailbox.mailbox}: {', '.join(mailbox.inboxes)}"
        for mailbox in summary.mailboxes
        if mailbox.inboxes
    ]
    if summary.outboxes:
        text += ["", *table(OUTBOXES, map(_outbox_row, summary.outboxes))]
    return text + _advice(summary)


def _advice(summary: StoreSummary) -> list[str]:
    advice = []
    if any(mailbox.dead for mailbox in summary.mailboxes):
        advice.append("dead: `nornmail dead list` shows them, `nornmail dead retry` tries again")
    if any(outbox.unknown for outbox in summary.outboxes):
        advice.append("unknown: `nornmail outbox resolve` records whether they were sent")
    if any(outbox.failed for outbox in summary.outboxes):
        advice.append("failed: `nornmail outbox list` shows why")
    if any(outbox.held for outbox in summary.outboxes):
        advice.append("held or draft: `nornmail outbox list` shows what a person has to decide")
    if any(outbox.queued and not outbox.held_by for outbox in summary.outboxes):
        advice.append("queued, and no program sends: `nornmail outbox send` does")
    return ["", *advice] if advice else []


def _mailbox_row(mailbox: MailboxSummary) -> list[str]:
    return [
        f"{mailbox.account} {mailbox.mailbox}",
        _time(mailbox.last_poll_at) or "never",
        *map(str, (mailbox.new + mailbox.claimed, mailbox.waiting, mailbox.dead)),
        mailbox.held_by or "-",
    ]


def _outbox_row(outbox: OutboxSummary) -> list[str]:
    counts = (outbox.queued, outbox.sending, outbox.unknown, outbox.failed)
    next_try = _time(outbox.next_due_at) or "-"
    return [outbox.account, next_try, *map(str, counts), outbox.held_by or "-"]


def _time(time: datetime | None) -> str:
    return "" if time is None else format_time(time)


def _json_time(value: Any) -> str:
    """A value that JSON does not know, which is always a time."""
    return str(value.isoformat())
