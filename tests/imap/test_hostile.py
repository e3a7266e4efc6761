"""Thousands of damaged answers: a value or one of our errors, never anything else."""

from __future__ import annotations

import random

import pytest

from nornmail.errors import NornmailError, ProtocolError
from nornmail.imap.responses import Fetch, Search, parse
from nornmail.imap.tokens import Literal, Piece
from nornmail.uidset import UidSet
from tests.imap.fake import FakeSocket, connection
from tests.support.samples import sampled

ROUNDS = 3_000
"""Per seed."""

LINES = [
    b"A1 OK [COPYUID 85 1:3 7:9] (Success)",
    b"* OK [PERMANENTFLAGS (\\Answered \\*)] Flags permitted.",
    b"* 3 EXISTS",
    b"* SEARCH 1 2 3 4 5 (MODSEQ 9)",
    b'* ESEARCH (TAG "A1") UID ALL 1:3,5 COUNT 4',
    b'* LIST (\\HasNoChildren) "/" "a \\"b\\""',
    b"* CAPABILITY IMAP4rev1 LITERAL+",
    b'* 1 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE "26-Aug-2021 14:42:56 +0000" BODY[] "x")',
    b'* 1 FETCH (ENVELOPE (NIL "s" ((NIL NIL "a" "b")) NIL) BODY[HEADER.FIELDS (A B)]<0> {3}',
    b"+ idling",
]
SPLINTERS = [b"(", b")", b'"', b"\\", b"{3}", b"[", b"]", b"\0", b"NIL", b" ", b"9" * 40, b"\xff"]


def _damaged(rng: random.Random, line: bytes) -> bytes:
    for _wound in range(rng.randint(1, 4)):
        at, end = sorted(rng.randint(0, len(line)) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0:
            line = line[:at] + rng.choice(SPLINTERS) * rng.randint(1, 3) + line[at:]
        elif kind == 1:
            line = line[:at] + line[end:]
        elif kind == 2:
            line = line[:end] + line[at:end] + line[end:]
        else:
            line = line[:at] + rng.randbytes(rng.randint(1, 4)) + line[at:]
    return line


@pytest.mark.parametrize("seed", sampled(range(3), 1, ids=[f"seed {n}" for n in range(3)]))
def test_a_damaged_response_is_a_value_or_a_protocol_error(seed: int) -> None:
    rng = random.Random(seed)
    outcomes: set[type] = set()
    for _round in range(ROUNDS):
        line = _damaged(rng, rng.choice(LINES)).replace(b"\n", b"")
        pieces: list[Piece] = [line]
        if rng.random() < 0.3:
            pieces += [Literal(rng.randbytes(3)), _damaged(rng, b" UID 5)")]
        try:
            outcomes.add(type(parse(pieces)))
        except ProtocolError:
            outcomes.add(ProtocolError)
    assert len(outcomes) > 8


@pytest.mark.parametrize("seed", sampled(range(9), 1, ids=[f"seed {n}" for n in range(9)]))
def test_a_damaged_session_ends_in_values_or_in_our_errors(seed: int) -> None:
    rng = random.Random(seed)
    session = b"".join(line + b"\r\n" for line in LINES[1:8])
    session += b"* 1 FETCH (UID 5 FLAGS () BODY[] {5}\r\nhello)\r\n%T OK done\r\n"
    for _round in range(100):
        sock = FakeSocket({"UID FETCH": _damaged(rng, session)}, ends=True)
        opened = connection(sock)
        try:
            bodies = opened.bodies(UidSet.of([5]), expected_octets=5)
        except NornmailError:
            continue
        assert set(bodies) <= {5}
        opened.detach()


def test_what_a_message_says_is_never_taken_for_the_servers_words() -> None:
    evil = b"x)\r\n* 2 FETCH (UID 6 BODY[] {4}\r\nevil)\r\n* 99 EXISTS\r\n* BYE\r\nA1 OK\r\n"
    answer = b"* 1 FETCH (UID 5 BODY[] {%d}\r\n%s)\r\n%%T OK\r\n" % (len(evil), evil)
    opened = connection(FakeSocket({"UID FETCH": answer}))
    bodies = opened.bodies(UidSet.of([5, 6]), expected_octets=5)
    assert {uid: body.raw for uid, body in bodies.items()} == {5: evil}
    assert opened.exists == 3


def test_a_long_line_of_quotes_takes_no_time() -> None:
    line = b'* 1 FETCH (X "' + b'\\"' * 500_000 + b")"
    assert not isinstance(parse([line]), Fetch)


def test_a_long_search_line_in_tiny_pieces_takes_no_time() -> None:
    hits = b" ".join(b"%d" % uid for uid in range(1, 20_001))
    answer = b"* 20000 EXISTS\r\n* SEARCH " + hits + b"\r\n%T OK\r\n"
    sock = FakeSocket({"UID SEARCH": answer}, chunk=7)
    assert len(connection(sock).uids_from(1)) == 20_000
    assert isinstance(parse([b"* SEARCH " + hits]), Search)
