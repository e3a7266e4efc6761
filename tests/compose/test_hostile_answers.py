"""A hundred hostile messages are answered to exactly those whom the answer is meant for."""

from __future__ import annotations

import random
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest

from nornmail.compose.compose import Composed, compose
from nornmail.compose.reply import reply_draft
from nornmail.errors import ComposeError
from nornmail.message.addresses import canonical
from nornmail.message.message import Message, parse_message
from nornmail.outgoing import check_line_endings
from nornmail.smtp.transaction import check_extensions
from tests.compose.hostile import CASES, OWN, Case
from tests.outbox.messages import NOW
from tests.support.table import table

FIELDS = {
    *("from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references"),
    *("auto-submitted", "x-auto-response-suppress", "mime-version", "content-type"),
    *("content-transfer-encoding",),
}
"""All that an answer may have."""
EVERYTHING = {"smtputf8": "", "8bitmime": ""}


def answer(message: Message, *, reply_all: bool) -> Composed:
    draft = reply_draft(
        message,
        "An answer.\n",
        "<p>An answer.</p>",
        sender="Agent <agent@example.com>",
        own=OWN,
        reply_all=reply_all,
        quote=True,
    )
    return compose(draft, now=NOW, unique="answer-1")


def named(read: EmailMessage) -> list[str]:
    """The addresses that the standard library finds in To and Cc."""
    found = [one.addr_spec for name in ("To", "Cc") if read[name] for one in read[name].addresses]
    return [one.encode("utf-8", "surrogateescape").decode() for one in found]


def check(made: Composed, expected: tuple[str, ...]) -> None:
    assert made.envelope.recipients == expected
    assert made.envelope.sender == "agent@example.com"
    assert check_extensions(EVERYTHING, made.envelope, made.raw) == ""
    assert check_line_endings(made.raw) == ""
    read = parse_message(made.raw)
    assert tuple(one.address for one in (*read.to, *read.cc)) == expected
    assert not any("=?" in text for text in (read.subject, *(one.name for one in read.to)))
    assert {name.lower() for name in read.headers} <= FIELDS
    assert len(list(read.headers)) == len({name.lower() for name in read.headers})


def check_as_others_read(made: Composed, expected: tuple[str, ...]) -> None:
    """The standard library finds the same recipients, also in what a relay has folded anew."""
    head = made.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    heads = [head]
    if expected[0].isascii():
        folded = message_from_bytes(head, policy=SMTP.clone(refold_source="all"))
        heads.append(bytes(folded))
    for raw in heads:
        parsed = message_from_bytes(raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        assert tuple(named(parsed)) == expected
        assert {name.lower() for name in parsed} <= FIELDS


@table("case", CASES, ids=lambda case: case.name)
def test_an_answer_goes_to_exactly_those_who_are_meant(case: Case) -> None:
    message = parse_message(case.raw())
    for reply_all, expected in ((False, case.to), (True, case.everyone)):
        if expected:
            check(answer(message, reply_all=reply_all), expected)
        else:
            with pytest.raises(ComposeError):
                answer(message, reply_all=reply_all)


def others_read_the_same(case: Case) -> None:
    message = parse_message(case.raw())
    for reply_all, expected in ((False, case.to), (True, case.everyone)):
        if expected:
            check_as_others_read(answer(message, reply_all=reply_all), expected)


@table("case", random.Random(3).sample(CASES, 25), ids=lambda case: case.name)
def test_others_read_the_recipients_of_some_answers(case: Case) -> None:
    others_read_the_same(case)


@pytest.mark.long
@table("case", CASES, ids=lambda case: case.name)
def test_others_read_the_recipients_of_every_answer(case: Case) -> None:
    others_read_the_same(case)


BITS = (
    b"\r", b"\n", b"\0", b'"', b"\\", b"<", b">", b",", b";", b":", b"@", b"(", b")", b"[", b".",
    b"=?utf-8?q?=0D=0A?=", b"=?utf-8?b?DQpCY2M6?=", "\u2028".encode(), b"\x85", b"\xff", b"\t",
)  # fmt: skip
MUTANTS = 1_500


def mutant(rng: random.Random) -> bytes:
    """Two hostile messages crossed, and damaged."""
    raws = [case.raw() for case in CASES if len(case.raw()) < 10_000]
    raw, other = bytearray(rng.choice(raws)), rng.choice(raws)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(min(len(raw), 400))
        kind = rng.random()
        if kind < 0.5:
            raw[at:at] = rng.choice(BITS)
        elif kind < 0.7:
            del raw[at : at + rng.randint(1, 6)]
        else:
            start = rng.randrange(len(other))
            raw[at:at] = other[start : start + rng.randint(1, 60)]
    return bytes(raw)


def check_mutant(seed: int) -> None:
    """An answer goes to nobody whom the message does not name, and every reader sees the same."""
    message = parse_message(mutant(random.Random(seed)))
    for reply_all in (False, True):
        others = (*message.to, *message.cc) if reply_all else ()
        named_there = {
            canonical(one.address) for one in (message.from_, *message.reply_to, *others)
        }
        try:
            made = answer(message, reply_all=reply_all)
        except ComposeError:
            continue
        recipients = [canonical(one) for one in made.envelope.recipients]
        assert set(recipients) <= named_there
        assert check_line_endings(made.raw) == ""
        head = made.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        folded = bytes(message_from_bytes(head, policy=SMTP.clone(refold_source="all", utf8=True)))
        for raw in (head, folded):
            read = message_from_bytes(raw, policy=default)
            assert isinstance(read, EmailMessage)
            assert [canonical(one) for one in named(read)] == recipients
            assert {name.lower() for name in read} <= FIELDS


def test_hostile_messages_that_were_crossed_are_no_worse() -> None:
    for seed in random.Random(11).sample(range(MUTANTS), 12):
        check_mutant(seed)


@pytest.mark.long
def test_any_hostile_messages_that_were_crossed_are_no_worse() -> None:
    for seed in range(MUTANTS):
        check_mutant(seed)


def test_there_are_a_hundred() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
