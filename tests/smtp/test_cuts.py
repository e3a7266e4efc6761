"""The connection is cut behind each octet, and the server says things at random: the oracle.

What must hold is that nobody sends a letter twice, and none is lost: *deferred* means that the
server has not taken it, *accepted* that it has. Only *unknown* may be either.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from nornmail.compose.compose import Composed
from nornmail.errors import NornmailError
from nornmail.outgoing import RecipientStatus
from nornmail.smtp.session import Session
from nornmail.smtp.transaction import Submission, SubmissionOutcome
from nornmail.testing import Proxy
from nornmail.testing.proxy import Direction
from tests.outbox.messages import ANN, BOB, CAT, letter
from tests.smtp.scripted import DRIP, GOOD, HANG_UP, HOST, Scripted, scripted

SAMPLE = 12
"""Of the places to cut, in each direction, and of the seeds, in the default run."""
SEEDS = 600


def submit(session: Session, one: Composed) -> Submission:
    return session.submit(one.envelope, one.raw, before_content=lambda _: None)


def measured() -> dict[Direction, int]:
    """How many octets each side says in a session that goes well."""
    with scripted() as server, Proxy(HOST, server.port) as proxy:
        session = Session.open(Scripted(proxy.port).settings())
        assert submit(session, letter(ANN, BOB)).outcome is SubmissionOutcome.ACCEPTED
        session.close()
        return {"server": proxy.bytes_down, "client": proxy.bytes_up}


def places() -> Iterator[tuple[Direction, int]]:
    for direction, octets in measured().items():
        for place in range(octets):
            yield direction, place


def cut(direction: Direction, place: int) -> None:
    with scripted() as server, Proxy(HOST, server.port) as proxy:
        proxy.cut_after(direction, place)
        one = letter(ANN, BOB)
        try:
            session = Session.open(Scripted(proxy.port).settings())
        except NornmailError:
            assert server.contents == []
            return
        found = submit(session, one)
        session.close()
        # What the server has read by now is all that it will ever get.
        assert server.ended.wait(5.0)
    taken = server.contents
    if found.outcome is SubmissionOutcome.ACCEPTED:
        assert len(taken) == 1
    elif found.outcome is not SubmissionOutcome.UNKNOWN:
        assert found.outcome is SubmissionOutcome.DEFERRED
        assert taken == []
    assert all(content == one.raw + b".\r\n" for content in taken)


def test_a_cut_never_makes_a_letter_twice_or_lose_it() -> None:
    for direction, place in random.Random(3).sample(list(places()), 2 * SAMPLE):
        cut(direction, place)


@pytest.mark.long
def test_a_cut_at_any_octet_never_makes_a_letter_twice_or_lose_it() -> None:
    for direction, place in places():
        cut(direction, place)


REPLIES: dict[str, list[bytes]] = {
    stage: [
        *(good, good, good, b"250-2.0.0 ok\r\n250 2.0.0 ok\r\n", b"354 go on\r\n", b"221 bye\r\n"),
        *(b"421 4.3.2 closing\r\n", b"450 4.2.0 later\r\n", b"452 4.5.3 too many recipients\r\n"),
        *(b"550 5.1.1 no\r\n", b"552 5.2.2 full\r\n", b"554 5.7.1 no\r\n", b"550\r\n"),
        *(b"nonsense\r\n", b"\r\n", b"250 ok\r\n250 ok\r\n", b"250-more\r\n" + HANG_UP),
        *(HANG_UP, DRIP, b"550 5.1.1 no\r\n" + HANG_UP, b"\xff\xfe\0\r\n"),
    ]
    for stage, good in GOOD.items()
    if stage in ("MAIL", "RCPT", "DATA", "end", "RSET")
}


def run_at_random(seed: int) -> None:
    chance = random.Random(seed)
    script = {
        stage: [chance.choice(replies) for _ in range(12)] for stage, replies in REPLIES.items()
    }
    with scripted(script) as server:
        session = Session.open(server.settings(), clock=server.clock)
        for _ in range(3):
            before = len(server.contents)
            found = submit(session, letter(ANN, BOB, CAT))
            if not found.usable:
                server.released.set()
                assert server.ended.wait(5.0)
            check(found, server.contents[before:])
            if not found.usable:
                break
        session.close()


def check(found: Submission, contents: list[bytes]) -> None:
    standings = {one.status for one in found.recipients}
    assert [one.address for one in found.recipients] == [ANN, BOB, CAT]
    assert all(one.text or one.code for one in found.recipients)
    if found.outcome is SubmissionOutcome.ACCEPTED:
        assert len(contents) == 1
        assert RecipientStatus.ACCEPTED in standings
        assert RecipientStatus.UNKNOWN not in standings
        assert 250 <= found.code < 260
    elif found.outcome is SubmissionOutcome.UNKNOWN:
        assert len(contents) == 1
        assert RecipientStatus.UNKNOWN in standings
        assert not found.usable
    else:
        # A content that was read whole was answered, and not with yes.
        assert len(contents) <= 1
        assert not contents or found.code >= 400
        assert standings <= {RecipientStatus.PENDING, RecipientStatus.REFUSED}
        assert (found.outcome is SubmissionOutcome.REFUSED) == (
            standings == {RecipientStatus.REFUSED}
        )
    for one in found.recipients:
        if one.status is RecipientStatus.REFUSED:
            assert one.code >= 500
        if one.status is RecipientStatus.ACCEPTED:
            assert 250 <= one.code < 260


def test_a_server_that_says_things_at_random_is_understood() -> None:
    for seed in random.Random(5).sample(range(SEEDS), 2 * SAMPLE):
        run_at_random(seed)


@pytest.mark.long
def test_any_server_that_says_things_at_random_is_understood() -> None:
    for seed in range(SEEDS):
        run_at_random(seed)
