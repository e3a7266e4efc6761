"""How fast mail is read, side by side with others in one run: ``nox -s bench``.

Everything that all of them have is asked for: subject, author, recipients, date, plain text, HTML,
and the octets of every attachment. The last line adds the text that is made from HTML, which none
of the others does. Rounds are interleaved, so that a busy machine is busy for all.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import importlib
import statistics
import sys
import time
from collections.abc import Callable
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nornmail.message.message import parse_message
from tests.message.made_mail import Maker

Read = Callable[[bytes], int]
"""Reads one message, and returns how many octets its attachments have."""


def with_nornmail(raw: bytes) -> int:
    message = parse_message(raw)
    _ = (message.subject, message.from_, message.to, message.date)
    _ = (message.plain_text, message.html)
    return sum(len(one.content) for one in message.attachments)


def with_nornmail_and_text(raw: bytes) -> int:
    message = parse_message(raw)
    _ = (message.subject, message.from_, message.to, message.date)
    _ = (message.text, message.html)
    return sum(len(one.content) for one in message.attachments)


def with_compat32(raw: bytes) -> int:
    message: Message = email.message_from_bytes(raw)
    header = {name: str(message[name] or "") for name in ("Subject", "From", "To")}
    decoded = {name: str(make_header(decode_header(value))) for name, value in header.items()}
    _ = (parseaddr(decoded["From"]), getaddresses([decoded["To"]]))
    parsedate_to_datetime(message["Date"])
    octets = 0
    for part in message.walk():
        if part.is_multipart():
            continue
        content: Any = part.get_payload(decode=True)
        if part.get_filename():
            octets += len(content)
        else:
            content.decode(part.get_content_charset() or "ascii", "replace")
    return octets


def with_policy_default(raw: bytes) -> int:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    _ = (str(message["Subject"]), str(message["From"]), message["To"].addresses)
    _ = message["Date"].datetime
    octets = 0
    for part in message.walk():
        if part.is_multipart():
            continue
        content = part.get_content()
        octets += len(content) if part.get_filename() else 0
    return octets


def with_imap_tools(raw: bytes) -> int:
    message = importlib.import_module("imap_tools").MailMessage.from_bytes(raw)
    _ = (message.subject, message.from_values, message.to_values, message.date)
    _ = (message.text, message.html)
    return sum(len(one.payload) for one in message.attachments)


def with_mail_parser(raw: bytes) -> int:
    import base64

    message = importlib.import_module("mailparser").parse_from_bytes(raw)
    _ = (message.subject, message.from_, message.to, message.date)
    _ = (message.text_plain, message.text_html)
    return sum(len(base64.b64decode(one["payload"])) for one in message.attachments)


def with_fast_mail_parser(raw: bytes) -> int:
    message = importlib.import_module("fast_mail_parser").parse_email(raw)
    _ = (message.subject, message.headers.get("From"), message.headers.get("To"), message.date)
    _ = (message.text_plain, message.text_html)
    return sum(len(one.content) for one in message.attachments)


READERS: dict[str, tuple[str, Read]] = {
    "nornmail": ("nornmail", with_nornmail),
    "compat32": ("email", with_compat32),
    "policy.default": ("email", with_policy_default),
    "imap-tools": ("imap_tools", with_imap_tools),
    "mail-parser": ("mailparser", with_mail_parser),
    "fast-mail-parser": ("fast_mail_parser", with_fast_mail_parser),
    "nornmail, with text from HTML": ("nornmail", with_nornmail_and_text),
}
BASE = "compat32"


def here(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def measure(number: int, rounds: int) -> int:
    """Print a table; 1 if somebody read other attachments than were put in."""
    made = list(Maker(1).messages(number))
    wanted = sum(len(content) for one in made for _, content in one.files)
    megabytes = sum(len(one.raw) for one in made) / 1e6
    readers = {name: read for name, (module, read) in READERS.items() if here(module)}
    taken: dict[str, list[float]] = {name: [] for name in readers}
    wrong = 0
    for _ in range(rounds):
        for name, read in readers.items():
            begun = time.process_time()
            octets = sum(read(one.raw) for one in made)
            taken[name].append(time.process_time() - begun)
            if octets != wanted:
                wrong = 1
                print(f"{name} read {octets} octets of attachments, and {wanted} were put in")
    print(
        f"{number} messages, {megabytes:.1f} MB, {rounds} rounds, Python {sys.version.split()[0]}"
    )
    print(f"{'reader':32}{'MB/s':>8}{'messages/s':>12}{f'times {BASE}':>16}")
    for name, seconds in sorted(taken.items(), key=lambda item: statistics.median(item[1])):
        median = statistics.median(seconds)
        pairs = zip(taken[BASE], seconds, strict=True)
        ratio = statistics.median(base / own for base, own in pairs)
        print(f"{name:32}{megabytes / median:8.0f}{number / median:12.0f}{ratio:16.2f}")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    sys.exit(measure(chosen.messages, chosen.rounds))
