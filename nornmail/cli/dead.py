"""``nornmail dead list | show | retry``: what was given up, beside a running poller too."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any

from nornmail import (
    ConfigurationError,
    DeadLetter,
    DeadLetters,
    Message,
    StoreError,
    open_store,
    parse_message,
)
from nornmail.cli.exit_codes import OK
from nornmail.cli.options import Parser, Settings, add_environment, add_mailbox

ID_DIGITS = 12
"""Digits of an id in the table; 48 bits tell the dead letters of one store apart."""
COLUMNS = (("ID", ID_DIGITS), ("SINCE", 16), ("TRIES", 5), ("FROM", 28), ("SUBJECT", 36))
"""The columns before the reason, which takes the rest of the line, with their widths."""
REASON_WIDTH = 100
HEADER_OCTETS = 64 * 1024
"""Octets in which sender and subject are looked for."""


def add(parser: Parser) -> None:
    """Say what the command takes, and those below it."""
    parser.description = (
        "Dead letters are messages that were given up: their handler failed at every "
        "attempt, or\nrejected them. They are kept with their bytes. These commands work on the "
        "state store alone, also\nbeside a running poller (a JSON store is for one process at a "
        "time).\n\n"
        "Exit status: 0 it is done, 1 it failed, 2 no dead letter has this ID, 3 the state store "
        "cannot be\nused."
    )
    below = parser.add_commands()
    listed = below.add_parser("list", help="a table of them, the oldest first")
    listed.add_argument("--json", action="store_true", help="a JSON object per line instead")
    add_mailbox(listed)
    shown = below.add_parser("show", help="what is known of one of them")
    shown.add_argument("id", metavar="ID", help="its id, or as much of it as no other has")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="as a JSON object, its message included")
    form.add_argument("--raw", action="store_true", help="its bytes, as the server had them")
    retried = below.add_parser(
        "retry",
        help="ask for another try",
        description="Leaves a request in the store. The running poller takes it up at its next "
        "look, or the next one\nwhen it is started; the attempts are counted anew.",
    )
    retried.add_argument("ids", metavar="ID", nargs="*", help="which; the beginning is enough")
    retried.add_argument("--all", action="store_true", help="all of them")
    add_mailbox(retried)
    for one, run in ((listed, _list), (shown, _show), (retried, _retry)):
        add_environment(one)
        one.set_defaults(run=_with_letters, act=run)


def _with_letters(chosen: argparse.Namespace) -> int:
    settings = Settings(chosen)
    try:
        store = open_store(settings.state, must_exist=True)
    except StoreError as error:
        raise StoreError(f"{error} (NORNMAIL_STATE or --state names it)") from error
    with closing(store):
        chosen.act(chosen, DeadLetters(store))
    return OK


def _list(chosen: argparse.Namespace, letters: DeadLetters) -> None:
    found = letters.list(chosen.mailbox)
    if chosen.json:
        for letter in found:
            print(json.dumps(facts(letter)))
        return
    if not found:
        print("no message is dead", file=sys.stderr)
        return
    print(_row([name for name, _ in COLUMNS], "REASON"))
    for letter in found:
        message = _message(letters, letter)
        cells = [
            letter.id,
            letter.died_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            str(letter.attempts),
            message.from_.address if message else "?",
            message.subject if message else letter.message_id or "?",
        ]
        asked = "(asked for again) " if letter.is_asked_for else ""
        print(_row(cells, asked + letter.reason.partition("\n")[0]))


def _show(chosen: argparse.Namespace, letters: DeadLetters) -> None:
    letter = letters.find(chosen.id)
    if chosen.raw:
        sys.stdout.buffer.write(letters.raw(letter))
        return
    message = _message(letters, letter, whole=True)
    if chosen.json:
        told = message.to_dict() if message else None
        print(json.dumps({**facts(letter), "message": told}))
        return
    if message is not None:
        print(f"{'from':12}  {printable(message.from_.address)}")
        print(f"{'subject':12}  {printable(message.subject)}")
    for name, value in facts(letter).items():
        first, *rest = (printable(line) for line in str(value).split("\n"))
        print(f"{name:12}  {first}")
        for line in rest:
            print(f"{'':12}  {line}")


def _retry(chosen: argparse.Namespace, letters: DeadLetters) -> None:
    if bool(chosen.ids) == chosen.all:
        raise ConfigurationError("dead retry", None, "name an ID or more, or --all, and not both")
    found = (
        letters.list(chosen.mailbox) if chosen.all else [letters.find(one) for one in chosen.ids]
    )
    for letter in found:
        letters.retry(letter)
        print(f"asked for again: {letter.id}  {letter.ref}")
    if not found:
        print("no message is dead", file=sys.stderr)


def facts(letter: DeadLetter) -> dict[str, Any]:
    """A letter as plain values for JSON."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in (asdict(letter) | {"ref": str(letter.ref)}).items()
    }


def _message(letters: DeadLetters, letter: DeadLetter, *, whole: bool = False) -> Message | None:
    """The message, by its headers unless the whole is wanted; ``None`` where no bytes are kept."""
    if not letter.is_kept:
        return None
    raw = letters.raw(letter)
    return parse_message(raw if whole else raw[:HEADER_OCTETS])


def _row(cells: Iterable[str], last: str) -> str:
    parts = [
        f"{_cut(cell, width):{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)
    ]
    return "  ".join([*parts, _cut(last, REASON_WIDTH)]).rstrip()


def _cut(text: str, width: int) -> str:
    shown = printable(text)
    if width == ID_DIGITS or len(shown) <= width:
        return shown[:width]
    return shown[: width - 1] + "…"


def printable(text: str) -> str:
    """Text of a stranger without what a terminal would obey or could not encode."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    encoding = sys.stdout.encoding or "ascii"
    return shown.encode(encoding, "replace").decode(encoding)
