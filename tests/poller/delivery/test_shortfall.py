"""Messages that the server lists and does not give, gives too late, or that are too large."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nornmail import ConnectionLost, Message, MessageGone, NornmailError
from nornmail.model import State
from tests.poller.delivery.harness import RETRIES, World, mail, numbered, numbers, poll_in_spite_of
from tests.poller.delivery.wire import BODIES, SUMMARIES, literal, with_body, without

COURIER = (
    b"From: Mail System <postmaster@example.com>\r\nSubject: message unavailable\r\n\r\n"
    b"This message is no longer available on the server.\r\n"
)
EXCHANGE = (
    b'From: "Microsoft Exchange Server 2010" <>\r\nTo: agent@example.com\r\n'
    b"Subject: Retrieval using the IMAP4 protocol failed for the following message: 42\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n"
    b"The server couldn't retrieve the following message:\r\n\r\nSubject: two\r\n"
)
ALWAYS = 1_000
NOT_GIVEN: dict[str, Callable[[bytes], bytes]] = {
    "NIL": with_body(2, b"NIL"),
    "an empty literal": with_body(2, literal(b"")),
    "an empty string": with_body(2, b'""'),
    "nothing at all": without(2),
    "Courier's text": with_body(2, literal(COURIER)),
    "Exchange's text": with_body(2, literal(EXCHANGE)),
}
in_every_way = pytest.mark.parametrize(
    "change", [pytest.param(change, id=name) for name, change in NOT_GIVEN.items()]
)


@pytest.mark.parametrize(
    "command",
    [pytest.param(SUMMARIES, id="its size was asked"), pytest.param(BODIES, id="it was fetched")],
)
def test_a_message_that_is_expunged_after_it_was_listed_and_before(
    world: World, command: str
) -> None:
    world.deliver(*numbered(1, 5))
    world.wire.call(command, lambda: world.others.expunge(3, "INBOX"))
    poller = world.poller()
    result = poller.poll_once()
    assert (result.new, result.gone, result.failed) == (4, 1, 0)
    assert world.handed_over == ["1", "2", "4", "5"]
    assert world.states() == {State.FINISHED: 4, State.GONE: 1}
    assert poller.poll_once().gone == 0


def swapped(answer: bytes) -> bytes:
    """The UIDs 2 and 3 have changed places."""
    return re.sub(rb"UID ([23])\b", lambda match: b"UID %d" % (5 - int(match[1])), answer)


SECOND, THIRD = mail("two", size=500), mail("three")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(swapped, id="two have each other's UIDs"),
        pytest.param(with_body(2, literal(THIRD)), id="one has the other's text"),
        pytest.param(
            lambda answer: without(3)(with_body(2, literal(THIRD))(answer)),
            id="one has the other's text, and the other one is missing",
        ),
    ],
)
def test_a_message_that_comes_under_the_uid_of_another_is_asked_for_again(
    world: World, change: Callable[[bytes], bytes]
) -> None:
    uids = world.deliver("one", SECOND, THIRD)
    world.wire.spoil(BODIES, change)
    poller = world.poller()
    poller.poll_once()
    world.clock.advance(RETRIES[0])
    poller.poll_once()
    received = {message.ref.uid: message.raw for message in world.seen if message.ref}
    assert received == dict(zip(uids, [mail("one"), SECOND, THIRD], strict=True))
    assert world.states() == {State.FINISHED: 3}


def test_a_whole_mailbox_that_is_emptied_before_it_is_fetched(world: World) -> None:
    uids = world.deliver(*numbered(1, 3))

    def empty() -> None:
        for uid in uids:
            world.others.expunge(uid, "INBOX")

    world.wire.call(BODIES, empty)
    poller = world.poller()
    assert poller.poll_once().gone == 3
    world.deliver("4")
    assert poller.poll_once().new == 1
    assert world.handed_over == ["4"]


@in_every_way
def test_a_message_that_is_listed_and_never_given_is_dead_in_the_end_and_never_gone(
    world: World, change: Callable[[bytes], bytes]
) -> None:
    world.deliver("one", "two", "three")
    world.wire.spoil(BODIES, change, times=ALWAYS)
    poller = world.poller(delete_after_fetch=True)
    results = [poller.poll_once()]
    assert (results[0].new, results[0].failed, results[0].waiting) == (2, 1, 1)
    for delay in RETRIES:
        world.clock.advance(delay)
        world.deliver(f"after {delay:g} s")
        results.append(poller.poll_once())
        assert results[-1].new == 1
    world.clock.advance(100_000)
    results.append(poller.poll_once())
    assert results[-1].dead == 1
    assert sum(result.gone for result in results) == 0
    (dead,) = world.entries(State.DEAD)
    assert (dead.key.uid, dead.attempts) == (2, 6)
    assert dead.reason
    assert world.store.raw(world.key, dead.key) is None
    assert "two" not in world.handed_over
    assert world.flags() == {"two": set()}


@in_every_way
def test_a_message_that_is_given_at_last_is_handed_over(
    world: World, change: Callable[[bytes], bytes]
) -> None:
    world.deliver("one", "two", "three")
    world.wire.spoil(BODIES, change)
    poller = world.poller()
    poller.poll_once()
    world.clock.advance(60)
    assert poller.poll_once().handled == 1
    assert world.handed_over == ["one", "three", "two"]
    assert world.seen[-1].raw == mail("two")
    assert list(world.flags().values()) == [{"\\Seen"}] * 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(with_body(2, literal(COURIER)), id="Courier"),
        pytest.param(with_body(2, literal(b"")), id="pymap"),
    ],
)
def test_the_invention_for_an_expunged_message_is_no_message(
    world: World, change: Callable[[bytes], bytes]
) -> None:
    world.deliver("one", "two", "three")

    def expunged_in_the_same_instant(answer: bytes) -> bytes:
        world.others.expunge(2, "INBOX")
        return change(answer)

    world.wire.spoil(BODIES, expunged_in_the_same_instant)
    result = world.poller().poll_once()
    assert (result.new, result.gone) == (2, 1)
    assert world.handed_over == ["one", "three"]


def test_mail_that_quotes_an_invention_is_handed_over(world: World) -> None:
    quoting = mail("a bug report", body=COURIER.decode("ascii") + EXCHANGE.decode("ascii"))
    world.deliver(quoting)
    assert world.poller().poll_once().handled == 1


@pytest.mark.parametrize("answer", [b"NO [SERVERBUG] broken", b"BAD no"], ids=["NO", "BAD"])
def test_a_fetch_that_is_refused_for_one_message_holds_nothing_up(
    world: World, answer: bytes
) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.refuse(r"UID FETCH ([1-4]:.*|4 .*)BODY\.PEEK\[\]", answer, times=ALWAYS)
    poller = world.poller()
    poller.poll_once()
    assert world.handed_over == ["1", "2", "3", "5", "6", "7", "8", "9", "10"]
    assert world.states()[State.WAITING] == 1


def test_a_message_at_which_the_connection_breaks_each_time_holds_nothing_up(
    world: World,
) -> None:
    world.deliver(*numbered(1, 10))

    def broken(answer: bytes) -> bytes:
        if b"Subject: 4\r\n" in answer:
            world.proxy.kick()
        return answer

    world.wire.spoil(BODIES, broken, times=ALWAYS)
    poller = world.poller()
    poll_in_spite_of(poller, ConnectionLost)
    assert world.handed_over == ["1", "2", "3", "5", "6", "7", "8", "9", "10"]
    assert world.states()[State.WAITING] == 1
    world.wire.restore()
    world.clock.advance(300)
    poller.poll_once()
    assert sorted(world.handed_over, key=int) == numbers(1, 10)


# Messages over the limit.

LARGE = mail("large", size=3_000_000)
LIMIT = 1_000_000
MEGABYTES_30 = mail("large", size=30_000_000)


@pytest.mark.parametrize(
    ("options", "large"),
    [
        pytest.param({"delete_after_fetch": True, "max_message_bytes": LIMIT}, LARGE, id="delete"),
        pytest.param(
            {"delete_after_fetch": True}, MEGABYTES_30, id="30 megabytes", marks=pytest.mark.long
        ),
        pytest.param({"move_to": "Done", "max_message_bytes": LIMIT}, LARGE, id="move"),
    ],
)
def test_a_message_over_the_limit_comes_with_its_headers_and_its_rest_on_demand(
    world: World, options: dict[str, Any], large: bytes
) -> None:
    world.deliver("small", large)
    rests: list[bytes] = []

    def handle(message: Message) -> None:
        world.note(message)
        if message.truncated:
            rests.append(message.fetch_rest().raw)

    assert world.poller(handle, **options).poll_once().handled == 2
    assert world.handed_over == ["small", "large"]
    assert [message.truncated for message in world.seen] == [False, True]
    assert len(world.seen[1].raw) < 1_000
    assert rests == [large]
    assert world.flags() == {"large": {"\\Seen"}}


def test_the_rest_goes_to_a_file_in_pieces(world: World, tmp_path: Path) -> None:
    world.deliver(LARGE)

    def handle(message: Message) -> None:
        world.note(message)
        message.fetch_rest(to=tmp_path / "large.eml")

    assert world.poller(handle, max_message_bytes=LIMIT).poll_once().handled == 1
    assert (tmp_path / "large.eml").read_bytes() == LARGE
    assert world.wire.count(r"BODY\.PEEK\[\]<\d+\.1048576>") == 3
    assert world.wire.count(r"BODY\.PEEK\[\]\)") == 0


def test_a_rest_that_ends_early_leaves_no_file(world: World, tmp_path: Path) -> None:
    (uid,) = world.deliver(LARGE)

    def handle(message: Message) -> None:
        world.note(message)
        world.wire.call(BODIES, lambda: world.others.expunge(uid, "INBOX"), nth=3)
        with pytest.raises(NornmailError):
            message.fetch_rest(to=tmp_path / "large.eml")

    assert world.poller(handle, max_message_bytes=LIMIT).poll_once().handled == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_message_of_30_mb_comes_whole_where_the_limit_is_raised(world: World) -> None:
    world.deliver("small", MEGABYTES_30)
    poller = world.poller(max_message_bytes=32_000_000, delete_after_fetch=True)
    assert poller.poll_once().handled == 2
    assert [message.truncated for message in world.seen] == [False, False]
    assert world.seen[1].raw == MEGABYTES_30
    assert world.flags() == {}


def test_the_rest_of_a_message_that_was_expunged_is_gone(world: World) -> None:
    (uid,) = world.deliver(mail("large", size=20_000))

    def handle(message: Message) -> None:
        world.others.expunge(uid, "INBOX")
        with pytest.raises(MessageGone):
            message.fetch_rest()
        world.note(message)

    assert world.poller(handle, max_message_bytes=10_000).poll_once().handled == 1
    assert world.logged(logging.ERROR) == []
