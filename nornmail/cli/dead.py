"""``nornmail dead list | show | retry``: messages that were given up."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from functools import partial

from nornmail import ConfigurationError, DeadLetter, DeadLetters, Message, parse_message
from nornmail.cli.options import OK, Parser, Settings, add_settings
from nornmail.cli.output import (
    Column,
    format_time,
    json_fields,
    print_bytes,
    print_fields,
    print_list,
)

ID_DIGITS = 12
"""Digits of an id in the table; 48 bits tell the dead letters of one store apart."""
COLUMNS = (
    Column("ID", ID_DIGITS, is_key=True),
    Column("SINCE", 16),
    Column("TRIES", 5),
    Column("FROM", 28),
    Column("SUBJECT", 36),
    Column("REASON", 100),
)
HEADER_OCTETS = 64 * 1024
"""Octets in which sender and subject are looked for."""
NO_LETTERS = "there are no dead letters"


def add(parser: Parser) -> None:
    """Add the commands below this one, and their options."""
    parser.description = (
        "Dead letters are messages that were given up: their handler failed at every "
        "attempt, or\nrejected them. Their bytes are kept. These commands work on the state store "
        "alone, even while a\npoller runs (a JSON store can be open in one process only).\n\n"
        "Exit status: 0 done, 1 failed, 2 no dead letter has this ID, 3 the state store cannot be "
        "used."
    )
    commands = parser.add_commands()
    listing = commands.add_parser("list", help="a table of dead letters, the oldest first")
    listing.add_argument("--json", action="store_true", help="one JSON object per line instead")
    add_settings(listing, mailbox=True)
    showing = commands.add_parser("show", help="one dead letter in detail")
    showing.add_argument("id", metavar="ID", help="its id, or a unique beginning of it")
    form = showing.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON object, with its message")
    form.add_argument("--raw", action="store_true", help="its bytes, as the server had them")
    add_settings(showing)
    retrying = commands.add_parser(
        "retry",
        help="request another try",
        description="Leaves a request in the store. The running poller carries it out at its next "
        "poll, or the next one\nwhen it starts; attempts are counted from zero again.",
    )
    retrying.add_argument("ids", metavar="ID", nargs="*", help="an id, or a unique beginning")
    retrying.add_argument("--all", action="store_true", help="all dead letters")
    add_settings(retrying, mailbox=True)
    for command, act in ((listing, _list), (showing, _show), (retrying, _retry)):
        command.set_defaults(run=_run, act=act)


def _run(chosen: argparse.Namespace) -> int:
    with closing(Settings(chosen).existing_store()) as store:
        chosen.act(chosen, DeadLetters(store))
    return OK


def _list(chosen: argparse.Namespace, dead_letters: DeadLetters) -> None:
    letters = dead_letters.list(chosen.mailbox)
    row = partial(_row, dead_letters)
    print_list(letters, COLUMNS, row, as_json=chosen.json, nothing=NO_LETTERS)


def _row(dead_letters: DeadLetters, letter: DeadLetter) -> list[str]:
    message = _message(dead_letters, letter)
    requested = "(retry requested) " if letter.is_asked_for else ""
    return [
        letter.id,
        format_time(letter.died_at),
        str(letter.attempts),
        message.from_.address if message else "?",
        message.subject if message else letter.message_id or "?",
        requested + letter.reason.partition("\n")[0],
    ]


def _show(chosen: argparse.Namespace, dead_letters: DeadLetters) -> None:
    letter = dead_letters.find(chosen.id)
    if chosen.raw:
        print_bytes(dead_letters.raw(letter))
        return
    message = _message(dead_letters, letter, whole=True)
    if chosen.json:
        content = message.to_dict() if message else None
        print(json.dumps({**json_fields(letter), "message": content}))
        return
    if message is not None:
        print_fields({"from": message.from_.address, "subject": message.subject})
    print_fields(json_fields(letter))


def _retry(chosen: argparse.Namespace, dead_letters: DeadLetters) -> None:
    if bool(chosen.ids) == chosen.all:
        raise ConfigurationError("ID", None, "name at least one, or --all, not both")
    if chosen.all:
        letters = dead_letters.list(chosen.mailbox)
    else:
        letters = [dead_letters.find(beginning) for beginning in chosen.ids]
    for letter in letters:
        dead_letters.retry(letter)
        print(f"retry requested: {letter.id}  {letter.ref}")
    if not letters:
        print(NO_LETTERS, file=sys.stderr)


def _message(
    dead_letters: DeadLetters, letter: DeadLetter, *, whole: bool = False
) -> Message | None:
    """The message, by its headers unless ``whole``; ``None`` where no bytes are kept."""
    if not letter.is_kept:
        return None
    raw = dead_letters.raw(letter)
    return parse_message(raw if whole else raw[:HEADER_OCTETS])
