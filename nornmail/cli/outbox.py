"""``nornmail outbox``: lists messages on their way out, and settles what a person decides."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from contextlib import closing

from nornmail import ConfigurationError, Outbox, OutboxMessage
from nornmail.cli.options import (
    FAILED,
    OK,
    QUEUED,
    Commands,
    Parser,
    Settings,
    add_settings,
    set_up_logging,
)
from nornmail.cli.output import (
    NAME_WIDTH,
    Column,
    format_time,
    json_fields,
    print_bytes,
    print_fields,
    print_list,
    printable,
)

COLUMNS = (
    Column("KEY", 20, is_key=True),
    Column("STATE", 8),
    Column("SINCE", 16),
    Column("DEFERRED", 8),
    Column("TO", 28),
    Column("SUBJECT", 36),
    Column("REASON", 100),
)
Act = Callable[[argparse.Namespace, Outbox], None]
UNSETTLED = ("queued", "sending")
STATES = ("queued", "held", "draft", "sending", "sent", "failed", "unknown")


def add(parser: Parser) -> None:
    """Add the commands below this one, and their options."""
    parser.description = (
        "The outbox keeps messages that are to be sent, that wait for approval, that could not be "
        "sent, or whose\noutcome is unknown.\n"
        "These commands work on the state store alone, even while a program sends (a "
        "JSON store can be open in\none process only). They leave a request in the store; the "
        "sending program carries it out within two\nseconds, or when it starts.\n\n"
        "Exit status: 0 done, 1 the message is in a state that does not allow it, 2 no message has "
        "this KEY, 3 the\nstate store cannot be used."
    )
    commands = parser.add_commands()
    for command, act in _commands(commands):
        command.add_argument("--account", metavar="NAME", help="only in the outbox of this name")
        add_settings(command)
        command.set_defaults(run=_run, act=act)
    sending = commands.add_parser(
        "send",
        help="send what is due now",
        description="Sends the queued messages that are due, of the account of the SMTP settings, "
        "and ends. While a program\nsends from this outbox, that one sends them.\n\n"
        "Exit status: 0 nothing is queued any more, 1 a message failed or is unknown, or a program "
        "is sending,\n4 a message is still queued.",
    )
    add_settings(sending, log_level="warning")
    sending.set_defaults(run=_send)


def _send(chosen: argparse.Namespace) -> int:
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    with closing(settings.existing_store()) as store, closing(settings.mailer(store)) as mailer:
        before = [
            message for message in Outbox(store).list(UNSETTLED) if message.account == mailer.outbox
        ]
        mailer.flush()
        after = [Outbox(store).find(message.key, mailer.outbox) for message in before]
    for message in after:
        due = f", due at {format_time(message.due_at)}" if message.due_at else ""
        reason = message.reason.partition("\n")[0]
        print(
            printable(
                f"{message.state}: {message.key}  {message.message_id}  {reason}{due}".rstrip()
            )
        )
    if not after:
        print(f"nothing is queued in the outbox of {mailer.outbox}", file=sys.stderr)
    states = {str(message.state) for message in after}
    if states & {"failed", "unknown"}:
        return FAILED
    return QUEUED if states & set(UNSETTLED) else OK


def _commands(commands: Commands) -> list[tuple[argparse.ArgumentParser, Act]]:
    """The commands below this one, each with its function."""
    listing = commands.add_parser("list", help="a table of messages, the oldest first")
    listing.add_argument("--json", action="store_true", help="one JSON object per line instead")
    states = listing.add_mutually_exclusive_group()
    states.add_argument(
        "--only", dest="states", choices=STATES, action="append", help="only in this state"
    )
    states.add_argument("--all", action="store_true", help="sent and dropped messages as well")
    showing = commands.add_parser("show", help="one message in detail")
    showing.add_argument("key", metavar="KEY", help="its key, or a unique beginning of it")
    form = showing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON object")
    form.add_argument("--raw", action="store_true", help="its bytes")
    approving = commands.add_parser("approve", help="let held messages go out")
    rejecting = commands.add_parser("reject", help="do not let held messages go out")
    for command in (approving, rejecting):
        command.add_argument(
            "--who", metavar="NAME", help="the person who decides (default: the login name)"
        )
        command.add_argument("--why", metavar="TEXT", default="", help="the reason")
    retrying = commands.add_parser(
        "retry",
        help="request another try now",
        description="A failed message is tried for another three days. An unknown one is sent "
        "again, perhaps for the\nsecond time.",
    )
    dropping = commands.add_parser("drop", help="give messages up, and delete their bytes")
    resolving = commands.add_parser("resolve", help="say whether unknown messages were sent")
    verdict = resolving.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--sent", action="store_true", help="they were: do not try them again")
    verdict.add_argument("--not-sent", action="store_true", help="they were not: try them again")
    for command in (approving, rejecting, retrying, dropping, resolving):
        command.add_argument("keys", metavar="KEY", nargs="+", help="a key, or a unique beginning")
    return [
        (listing, _list),
        (showing, _show),
        (approving, _approve),
        (rejecting, _reject),
        (retrying, _retry),
        (dropping, _drop),
        (resolving, _resolve),
    ]


def _run(chosen: argparse.Namespace) -> int:
    with closing(Settings(chosen).existing_store()) as store:
        chosen.act(chosen, Outbox(store))
    return OK


def _list(chosen: argparse.Namespace, outbox: Outbox) -> None:
    states = STATES if chosen.all else chosen.states or [s for s in STATES if s != "sent"]
    with_dropped = chosen.all or chosen.states
    messages = [
        message
        for message in outbox.list(states)
        if (with_dropped or not message.dropped) and chosen.account in (None, message.account)
    ]
    print_list(messages, COLUMNS, _row, as_json=chosen.json, nothing="the outbox is empty")


def _row(message: OutboxMessage) -> list[str]:
    first, *others = message.recipients
    requested = f"({message.request} requested) " if message.request else ""
    return [
        message.key,
        message.state,
        format_time(message.changed_at),
        str(message.attempts),
        first.address + (f" +{len(others)}" if others else ""),
        message.subject,
        requested + message.reason.partition("\n")[0],
    ]


def _show(chosen: argparse.Namespace, outbox: Outbox) -> None:
    message = outbox.find(chosen.key, chosen.account)
    if chosen.raw:
        print_bytes(outbox.raw(message))
        return
    fields = json_fields(message)
    if chosen.json:
        print(json.dumps(fields))
        return
    del fields["recipients"]
    fields["deferred"] = fields.pop("attempts") or None
    print_fields(fields)
    for recipient in message.recipients:
        reply = f"{recipient.code or ''} {recipient.text}".strip()
        line = f"{recipient.status:{NAME_WIDTH}}  {recipient.address}  {reply}"
        print(printable(line.rstrip()))


def _approve(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for message in _messages(chosen, outbox):
        news = outbox.approve(message, chosen.who or _login_name(), chosen.why)
        _confirm("approved" if news else "approved before", message)


def _reject(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for message in _messages(chosen, outbox):
        news = outbox.reject(message, chosen.who or _login_name(), chosen.why)
        _confirm("rejected" if news else "rejected before", message)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:  # a user without a name
        raise ConfigurationError("--who", None, "must name who decides") from error


def _retry(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for message in _messages(chosen, outbox):
        outbox.retry(message)
        _confirm("retry requested", message)


def _drop(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for message in _messages(chosen, outbox):
        outbox.drop(message)
        _confirm("drop requested", message)


def _resolve(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for message in _messages(chosen, outbox):
        outbox.resolve(message, sent=chosen.sent)
        _confirm("marked as sent" if chosen.sent else "retry requested", message)


def _messages(chosen: argparse.Namespace, outbox: Outbox) -> list[OutboxMessage]:
    """All of the keys' messages, before anything is done with any."""
    if not all(chosen.keys):
        raise ConfigurationError("KEY", None, "an empty key names no message")
    return [outbox.find(key, chosen.account) for key in chosen.keys]


def _confirm(action: str, message: OutboxMessage) -> None:
    print(printable(f"{action}: {message.key}  {message.message_id}"))
