"""``nornmail outbox list | show | retry | drop | resolve``, beside a running sender too."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nornmail import ConfigurationError, Outbox, OutboxMessage, StoreError, open_store
from nornmail.cli.dead import printable
from nornmail.cli.exit_codes import OK
from nornmail.cli.options import Commands, Parser, Settings, add_environment

KEY_WIDTH = 20
COLUMNS = (("KEY", KEY_WIDTH), ("STATE", 8), ("SINCE", 16), ("TRIES", 5), ("TO", 28))
"""The columns before the subject, with their widths."""
SUBJECT_WIDTH = 36
REASON_WIDTH = 100
Act = Callable[[argparse.Namespace, Outbox], None]
STATES = ("queued", "sending", "sent", "failed", "unknown")


def add(parser: Parser) -> None:
    """Say what the command takes, and those below it."""
    parser.description = (
        "The outbox has what is to be sent, could not be, or may have been. These "
        "commands work on the state\nstore alone, also beside a running sender (a JSON store is "
        "for one process at a time). What is asked\nfor is left in the store; the sender does it "
        "within two seconds, or when it is started.\n\n"
        "Exit status: 0 it is done, 1 it cannot be done with a letter as it is, 2 no letter has "
        "this KEY, 3 the\nstate store cannot be used."
    )
    for one, act in _commands(parser.add_commands()):
        one.add_argument("--account", metavar="NAME", help="of this outbox only, by its name")
        add_environment(one)
        one.set_defaults(run=_with_outbox, act=act)


def _commands(below: Commands) -> list[tuple[argparse.ArgumentParser, Act]]:
    """Those below it, each with what it does."""
    listed = below.add_parser("list", help="a table of them, the oldest first")
    listed.add_argument("--json", action="store_true", help="a JSON object per line instead")
    which = listed.add_mutually_exclusive_group()
    which.add_argument(
        "--only", dest="states", choices=STATES, action="append", help="those of a state alone"
    )
    which.add_argument("--all", action="store_true", help="what was sent and dropped as well")
    shown = below.add_parser("show", help="what is known of one of them")
    shown.add_argument("key", metavar="KEY", help="its key, or as much of it as no other has")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON object")
    form.add_argument("--raw", action="store_true", help="its bytes")
    retried = below.add_parser(
        "retry",
        help="ask for another try now",
        description="What failed gets another three days. What is unknown is sent again, perhaps "
        "for the second time.",
    )
    dropped = below.add_parser("drop", help="give them up, and forget their bytes")
    resolved = below.add_parser("resolve", help="say of unknown ones whether they were sent")
    verdict = resolved.add_mutually_exclusive_group(required=True)
    verdict.add_argument("--sent", action="store_true", help="they were: they are not tried again")
    verdict.add_argument("--not-sent", action="store_true", help="they were not: try them again")
    for one in (retried, dropped, resolved):
        one.add_argument("keys", metavar="KEY", nargs="+", help="which; the beginning is enough")
    return [
        (listed, _list),
        (shown, _show),
        (retried, _retry),
        (dropped, _drop),
        (resolved, _resolve),
    ]


def _with_outbox(chosen: argparse.Namespace) -> int:
    settings = Settings(chosen)
    try:
        store = open_store(settings.state, must_exist=True)
    except StoreError as error:
        raise StoreError(f"{error} (NORNMAIL_STATE or --state names it)") from error
    with closing(store):
        chosen.act(chosen, Outbox(store))
    return OK


def _list(chosen: argparse.Namespace, outbox: Outbox) -> None:
    states = STATES if chosen.all else chosen.states or [s for s in STATES if s != "sent"]
    everything = chosen.all or chosen.states
    found = [
        one
        for one in outbox.list(states)
        if (everything or not one.dropped) and chosen.account in (None, one.account)
    ]
    if chosen.json:
        for letter in found:
            print(json.dumps(facts(letter)))
        return
    if not found:
        print("nothing lies in the outbox", file=sys.stderr)
        return
    print(_row([name for name, _ in COLUMNS], "SUBJECT", "REASON"))
    for letter in found:
        to = letter.recipients[0].address
        more = f" +{len(letter.recipients) - 1}" if len(letter.recipients) > 1 else ""
        cells = [
            letter.key,
            letter.state,
            letter.changed_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            str(letter.attempts),
            to + more,
        ]
        asked = f"(asked for: {letter.request}) " if letter.request else ""
        print(_row(cells, letter.subject, asked + letter.reason.partition("\n")[0]))


def _show(chosen: argparse.Namespace, outbox: Outbox) -> None:
    letter = outbox.find(chosen.key, chosen.account)
    if chosen.raw:
        sys.stdout.buffer.write(outbox.raw(letter))
        return
    if chosen.json:
        print(json.dumps(facts(letter)))
        return
    for name, value in facts(letter).items():
        if name == "recipients":
            continue
        first, *rest = (printable(line) for line in str(value).split("\n"))
        print(f"{name:12}  {first}".rstrip())
        for line in rest:
            print(f"{'':12}  {line}")
    for one in letter.recipients:
        answer = f"{one.code or ''} {one.text}".strip()
        print(printable(f"{one.status:12}  {one.address}  {answer}".rstrip()))


def _retry(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for letter in _found(chosen, outbox):
        outbox.retry(letter)
        _said("asked for another try", letter)


def _drop(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for letter in _found(chosen, outbox):
        outbox.drop(letter)
        _said("asked to be dropped", letter)


def _resolve(chosen: argparse.Namespace, outbox: Outbox) -> None:
    for letter in _found(chosen, outbox):
        outbox.resolve(letter, sent=chosen.sent)
        _said("noted as sent" if chosen.sent else "asked for another try", letter)


def _found(chosen: argparse.Namespace, outbox: Outbox) -> list[OutboxMessage]:
    """All of them, before anything is done with any."""
    if not all(chosen.keys):
        raise ConfigurationError("KEY", None, "an empty key names no letter")
    return [outbox.find(key, chosen.account) for key in chosen.keys]


def _said(what: str, letter: OutboxMessage) -> None:
    print(printable(f"{what}: {letter.key}  {letter.message_id}"))


def facts(letter: OutboxMessage) -> dict[str, Any]:
    """A letter as plain values for JSON."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(letter).items()
    }


def _row(cells: Iterable[str], subject: str, last: str) -> str:
    parts = [
        f"{_cut(cell, width):{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)
    ]
    parts.append(f"{_cut(subject, SUBJECT_WIDTH):{SUBJECT_WIDTH}}")
    return "  ".join([*parts, _cut(last, REASON_WIDTH)]).rstrip()


def _cut(text: str, width: int) -> str:
    shown = printable(text)
    if len(shown) <= width:
        return shown
    return shown[:width] if width == KEY_WIDTH else shown[: width - 1] + "…"
