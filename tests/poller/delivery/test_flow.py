"""Mail comes in: each message once, in its order, at a cost that its number alone decides."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from nornmail import Message
from tests.poller.delivery.harness import World, embedded_only, mail, numbered, numbers
from tests.poller.delivery.wire import BODIES, STORE, SUMMARIES
from tests.support.foreign import wait_until


def test_300_messages_arrive_once_each_in_their_order(world: World) -> None:
    world.deliver(*numbered(1, 300))
    poller = world.poller()
    result = poller.poll_once()
    assert (result.new, result.handled, result.failed, result.waiting) == (300, 300, 0, 0)
    assert poller.poll_once().new == 0
    assert world.handed_over == numbers(1, 300)
    assert set(map(frozenset, world.flags().values())) == {frozenset({"\\Seen"})}


@pytest.mark.one_worker("flags are set as messages finish")
def test_200_messages_cost_commands_by_the_batch(world: World) -> None:
    world.deliver(*numbered(1, 200))
    poller = world.poller()
    poller.poll_once()
    batches = 2
    assert world.wire.count(SUMMARIES) == 1
    assert world.wire.count(BODIES) == batches
    assert world.wire.count(STORE) == batches
    poller.close()
    assert len(world.wire.commands) < 2 * batches + 12, world.wire.commands


@pytest.mark.one_worker("several workers are given a batch, and nothing is asked for ahead")
def test_the_next_batch_is_asked_for_while_one_is_handled(world: World) -> None:
    world.deliver(*numbered(1, 300))
    asked: list[int] = []

    def handle(_message: Message) -> None:
        if len(asked) == 100:  # the proxy counts in a thread of its own
            wait_until(lambda: world.wire.count(BODIES) == 3, 20.0)
        asked.append(world.wire.count(BODIES))

    world.poller(handle).poll_once()
    # How long one takes is not known before the first, and nothing is behind the last.
    assert Counter(asked) == {1: 100, 3: 200}


def test_a_handler_that_takes_its_time_finds_nothing_asked_for_ahead(world: World) -> None:
    world.deliver(*numbered(1, 300))
    asked: list[int] = []

    def slow(_: Message) -> None:
        asked.append(world.wire.count(BODIES))
        world.clock.advance(1.0)

    world.poller(slow).poll_once()
    assert Counter(asked) == {1: 100, 2: 100, 3: 100}


@pytest.mark.one_worker("flags are set as messages finish")
def test_the_flags_of_a_batch_are_set_by_one_command(world: World) -> None:
    world.deliver(*numbered(1, 30))
    world.poller().poll_once()
    assert [one for one in world.wire.commands if "STORE" in one] == [
        "UID STORE 1:30 +FLAGS.SILENT (\\Seen)"
    ]


@pytest.mark.parametrize(
    "size", [pytest.param(1, id="of one message"), pytest.param(120, id="of 120 messages")]
)
def test_a_poll_of_an_idle_mailbox_costs_one_round_trip(world: World, size: int) -> None:
    world.deliver(*numbered(1, size))
    poller = world.poller()
    poller.poll_once()
    for _ in range(3):
        world.wire.commands.clear()
        octets = world.wire.octets()
        poller.poll_once()
        assert world.wire.commands == ["NOOP"]
        assert world.wire.octets() - octets < 100


def test_gaps_between_uids_cost_nothing(world: World) -> None:
    counts = []
    for mailbox, every in (("Dense", 1), ("Wide", 10)):
        world.others.create(mailbox)
        for number in range(4 * every):
            (uid,) = world.deliver(f"{mailbox} {number}", mailbox=mailbox)
            if number % every:
                world.others.expunge(uid, mailbox)
        world.wire.commands.clear()
        poller = world.poller(mailbox=mailbox)
        assert poller.poll_once().new == 4
        poller.poll_once()
        poller.close()
        counts.append(len(world.wire.commands))
    assert counts[0] == counts[1]


# Only the embedded server gives out UIDs as a test names them.
@embedded_only
def test_gaps_of_thousands_of_millions_cost_nothing(world: World) -> None:
    counts = []
    for mailbox, uids in (("Dense", (1, 2, 3)), ("Wide", (1, 1_000_000, 4_000_000_000))):
        for uid in uids:
            world.server.deliver(mail(str(uid)), mailbox=mailbox, uid=uid)
        world.wire.commands.clear()
        poller = world.poller(mailbox=mailbox)
        assert poller.poll_once().new == 3
        poller.poll_once()
        poller.close()
        counts.append(len(world.wire.commands))
    assert counts[0] == counts[1]


def test_a_connection_that_the_server_closed_between_polls_is_made_again_silently(
    world: World,
) -> None:
    poller = world.poller()
    world.deliver("before")
    poller.poll_once()
    world.proxy.kick()
    world.deliver("after")
    assert poller.poll_once().new == 1
    assert world.handed_over == ["before", "after"]
    assert world.proxy.connections == 2
    assert world.logged(logging.WARNING) == []


def test_with_mark_as_read_off_nothing_at_all_is_changed(world: World) -> None:
    world.deliver("fresh")
    world.deliver("flagged", flags=("\\Flagged",))
    poller = world.poller(mark_as_read=False)
    assert poller.poll_once().handled == 2
    poller.close()
    assert world.flags() == {"fresh": set(), "flagged": {"\\Flagged"}}
    assert world.wire.count(r"STORE|EXPUNGE|COPY|MOVE|BODY\[|APPEND|CREATE") == 0


@pytest.mark.parametrize("charset", ["x-unknown", "rot13", "utf-7,utf-8", "undefined"])
def test_a_message_in_an_unknown_charset_is_handed_over(world: World, charset: str) -> None:
    head = f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n"
    raw = mail("strange", head=head, body="Grüße and plain words")
    world.deliver(raw, "ordinary")
    assert world.poller().poll_once().handled == 2
    assert world.seen[0].raw == raw
    assert "plain words" in world.seen[0].text
    assert world.handed_over == ["strange", "ordinary"]


def test_mail_that_is_read_or_flagged_by_others_is_handed_over_all_the_same(world: World) -> None:
    world.deliver("read on a phone", flags=("\\Seen",))
    world.deliver("marked as deleted", flags=("\\Deleted",))
    assert world.poller().poll_once().new == 2
    assert world.flags()["marked as deleted"] == {"\\Seen", "\\Deleted"}


def test_the_last_message_that_every_open_search_gives_is_not_handed_over_again(
    world: World,
) -> None:
    world.deliver("one", "two")
    poller = world.poller()
    poller.poll_once()
    for _ in range(3):
        world.clock.advance(301)
        assert poller.poll_once().new == 0
    assert world.wire.count(r"UID SEARCH UID 3:\*") == 3
    assert world.handed_over == ["one", "two"]
