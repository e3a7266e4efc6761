"""UIDVALIDITY changes, is 0 or missing; UIDs and UIDNEXT do what they should not."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import pytest

from nornmail import DecisionRequired
from nornmail.model import State
from nornmail.poller import uidvalidity
from tests.poller.delivery.harness import World, embedded_only, failing_at, mail, numbered, numbers


def shows(name: bytes, value: int | None) -> Callable[[bytes], bytes]:
    """A change of SELECT's answer: the response code ``name`` has another value, or is left out."""

    def change(answer: bytes) -> bytes:
        line = re.compile(rb"\* OK \[%s [0-9]+\][^\r\n]*\r\n" % name)
        assert line.search(answer), answer
        return line.sub(b"" if value is None else b"* OK [%s %d] so\r\n" % (name, value), answer)

    return change


def test_a_new_uidvalidity_while_we_were_away(world: World) -> None:
    world.deliver("one", "bad", "three")
    handler = failing_at(world, "bad")
    poller = world.poller(handler)
    poller.poll_once()
    poller.close()
    before = world.entry("bad")
    world.deliver("four", "five")
    world.restore()

    poller = world.poller(handler)
    assert poller.poll_once().new == 2
    assert world.handed_over == ["one", "three", "four", "five"]
    after = world.entry("bad")
    assert (after.attempts, after.delivery_id) == (1, before.delivery_id)
    assert after.key != before.key
    handler.fails = lambda _: False
    world.clock.advance(60)
    assert poller.poll_once().handled == 1
    assert handler.attempts[-1] == ("bad", 2)
    assert world.seen[-1].delivery_id == before.delivery_id
    assert list(world.flags().values()) == [{"\\Seen"}] * 5


def test_a_new_uidvalidity_while_we_are_connected(world: World) -> None:
    world.others.create("Agent")
    world.deliver("one", "bad", "three", mailbox="Agent")
    handler = failing_at(world, "bad")
    poller = world.poller(handler, mailbox="Agent")
    poller.poll_once()
    attempts = len(handler.attempts)
    world.renew("Agent")
    world.deliver("four", mailbox="Agent")
    poller.poll_once()  # Dovecot's answer tells no more than that something is wrong
    poller.poll_once()
    assert world.handed_over == ["one", "three", "four"]
    assert len(handler.attempts) == attempts + 1
    handler.fails = lambda _: False
    world.clock.advance(60)
    poller.poll_once()
    assert handler.attempts[-1] == ("bad", 2)
    assert list(world.flags("Agent").values()) == [{"\\Seen"}] * 4


# A real server cannot be made to keep silent.
@embedded_only
def test_a_server_that_never_tells_of_a_new_uidvalidity_is_asked_within_the_hour(
    world: World,
) -> None:
    world.deliver("one")
    poller = world.poller()
    poller.poll_once()
    world.server.mailbox().reset_uid_validity(quiet=True)
    world.deliver("two")
    world.run(poller, *[lambda: None] * 61)
    assert world.handed_over == ["one", "two"]


def test_actions_that_were_open_are_done_under_the_new_uids(world: World) -> None:
    world.deliver(*numbered(1, 5))
    world.others.expunge(2, "INBOX")
    world.wire.refuse("STORE")
    poller = world.poller(delete_after_fetch=True)
    poller.poll_once()
    poller.close()
    world.restore()
    world.deliver(*numbered(6, 7))
    world.poller(failing_at(world, "6", "7"), delete_after_fetch=True).poll_once()
    assert world.handed_over == ["1", "3", "4", "5"]
    assert list(world.flags()) == ["6", "7"]


def test_equal_messages_are_counted_across_a_new_uidvalidity(world: World) -> None:
    world.deliver(*[mail("same")] * 3)
    poller = world.poller()
    assert poller.poll_once().new == 3
    poller.close()
    world.deliver(mail("same"))
    world.restore()
    assert world.poller().poll_once().new == 1
    assert world.handed_over == ["same"] * 4


@pytest.mark.parametrize(
    ("on_change", "expected"),
    [
        pytest.param("dedupe", ["2"], id="dedupe hands over what is unknown"),
        pytest.param("replay", ["1", "2"], id="replay hands over everything again"),
        pytest.param("baseline", [], id="baseline begins with what comes from now on"),
    ],
)
def test_what_a_new_uidvalidity_does(world: World, on_change: str, expected: list[str]) -> None:
    world.deliver("1")
    poller = world.poller(on_uidvalidity_change=on_change)
    poller.poll_once()
    poller.close()
    world.deliver("2")
    world.restore()
    world.seen.clear()
    poller = world.poller(on_uidvalidity_change=on_change)
    poller.poll_once()
    assert world.handed_over == expected
    world.deliver("3")
    poller.poll_once()
    assert world.handed_over == [*expected, "3"]


@pytest.mark.parametrize("on_change", ["replay", "dedupe"])
def test_what_waits_keeps_its_attempts_whatever_the_policy(world: World, on_change: str) -> None:
    world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler, on_uidvalidity_change=on_change)
    poller.poll_once()
    poller.close()
    world.restore()
    poller = world.poller(handler, on_uidvalidity_change=on_change)
    poller.poll_once()
    world.clock.advance(60)
    poller.poll_once()
    assert handler.attempts == [("bad", 1), ("bad", 2)]


def with_strangers(world: World, count: int) -> None:
    """A mailbox under a new UIDVALIDITY with ``count`` messages from before the last good poll."""
    world.deliver("known")
    poller = world.poller()
    poller.poll_once()
    poller.close()
    world.deliver(*numbered(1, count), date=world.clock.wall() - 86_400)
    world.restore()


def test_a_hundred_unknown_old_messages_are_handed_over(world: World) -> None:
    with_strangers(world, 100)
    assert world.poller().poll_once().new == 100
    assert sorted(world.handed_over[1:], key=int) == numbers(1, 100)


def test_more_than_a_hundred_unknown_old_messages_need_a_decision(world: World) -> None:
    with_strangers(world, 101)
    poller = world.poller()
    for _ in range(2):
        with pytest.raises(DecisionRequired) as needed:
            poller.poll_once()
        assert needed.value.count == 101
        assert needed.value.setting == "on_uidvalidity_change"
        assert needed.value.choices == ("replay", "baseline")
        assert "101" in str(needed.value)
    assert world.handed_over == ["known"]
    poller.close()


def test_run_forever_lives_on_until_the_decision_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "UNKNOWN_LIMIT", 3)
    with_strangers(world, 4)
    poller = world.poller()
    assert world.run(poller, *[lambda: None] * 3) == [300, 300, 300]
    assert world.handed_over == ["known"]
    assert len([line for line in world.logged(logging.ERROR) if "4 messages" in line]) == 3


@pytest.mark.parametrize(
    ("choice", "delivered"),
    [pytest.param("replay", 4, id="replay"), pytest.param("baseline", 0, id="baseline")],
)
def test_the_decision_that_was_asked_for_settles_it(
    world: World, choice: str, delivered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "UNKNOWN_LIMIT", 3)
    with_strangers(world, 4)
    poller = world.poller()
    with pytest.raises(DecisionRequired):
        poller.poll_once()
    poller.close()
    poller = world.poller(on_uidvalidity_change=choice)
    assert poller.poll_once().new == delivered
    world.deliver("new")
    assert poller.poll_once().new == 1
    assert world.handed_over[-1] == "new"


@pytest.mark.parametrize("value", [pytest.param(None, id="missing"), pytest.param(0, id="zero")])
def test_without_a_uidvalidity_each_connection_is_compared_with_what_is_known(
    world: World, value: int | None
) -> None:
    world.wire.spoil("SELECT", shows(b"UIDVALIDITY", value), times=100)
    world.deliver("one", mail("same"), mail("same"))
    poller = world.poller()
    for number in range(3):
        poller.poll_once()
        world.proxy.kick()
        world.deliver(f"after cut {number}")
    poller.poll_once()
    poller.close()
    assert world.poller().poll_once().new == 0
    expected = ["one", "same", "same", *(f"after cut {number}" for number in range(3))]
    assert world.handed_over == expected
    assert set(map(frozenset, world.flags().values())) == {frozenset({"\\Seen"})}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(4_000_000_000, id="far above the highest UID"),
        pytest.param(None, id="missing"),
    ],
)
def test_a_uidnext_that_says_nothing_hides_no_mail(world: World, value: int | None) -> None:
    world.wire.spoil("SELECT", shows(b"UIDNEXT", value), times=100)
    poller = world.poller()
    for number in range(1, 5):
        world.deliver(str(number))
        assert poller.poll_once().new == 1
        if number % 2:
            world.proxy.kick()
    poller.close()
    world.deliver("5")
    assert world.poller().poll_once().new == 1
    assert world.handed_over == numbers(1, 5)


def test_a_uidnext_that_went_back_begins_a_new_epoch(world: World) -> None:
    world.deliver("one", "two", "three")
    poller = world.poller()
    poller.poll_once()
    poller.close()
    world.deliver("four")
    world.wire.spoil("SELECT", shows(b"UIDNEXT", 2))
    poller = world.poller()
    assert poller.poll_once().new == 1
    assert any("UIDNEXT went back to 2" in line for line in world.logged(logging.WARNING))
    poller.close()
    assert world.poller().poll_once().new == 0
    assert world.handed_over == ["one", "two", "three", "four"]


# A real server gives UIDs only upwards; Proton's bridge and Yahoo do not.
@embedded_only
def test_a_message_with_a_lower_uid_that_appears_later_is_found(world: World) -> None:
    for uid in (10, 20):
        world.server.deliver(mail(str(uid)), uid=uid)
    poller = world.poller()
    poller.poll_once()
    for uid in (15, 1):
        world.server.deliver(mail(str(uid)), uid=uid)
        world.clock.advance(60)
        assert poller.poll_once().new == 1
    poller.close()
    world.server.deliver(mail("5"), uid=5)
    assert world.poller().poll_once().new == 1
    assert world.handed_over == ["10", "20", "15", "1", "5"]


# A real server hides nothing at a test's wish; Gmail does by itself.
@embedded_only
@pytest.mark.parametrize("capability", [(), ("ESEARCH",)], ids=["by ESEARCH", "by SEARCH"])
def test_a_uid_that_a_listing_hid_is_found_later(world: World, capability: tuple[str, ...]) -> None:
    if capability:
        world.wire.hide(*capability)
    world.deliver("1")
    poller = world.poller()
    poller.poll_once()
    poller.close()
    world.deliver(*numbered(2, 5))
    world.server.mailbox().hide(3, listings=3)
    for _ in range(10):
        poller.poll_once()
        world.clock.advance(60)
    assert world.handed_over == ["1", "2", "4", "5", "3"]


@embedded_only
def test_a_new_uid_that_a_search_hid_is_found_later(world: World) -> None:
    poller = world.poller()
    world.deliver("1")
    poller.poll_once()
    world.deliver("2", "3")
    world.server.mailbox().hide(2)
    poller.poll_once()
    poller.poll_once()
    assert sorted(world.handed_over) == ["1", "2", "3"]
    assert world.states() == {State.FINISHED: 3}


@embedded_only
def test_a_uid_that_is_hidden_for_long_is_found_within_the_hour(world: World) -> None:
    world.deliver(*numbered(1, 3))
    world.server.mailbox().hide(2, listings=5)
    poller = world.poller()
    for _ in range(61):
        poller.poll_once()
        world.clock.advance(60)
    assert world.handed_over == ["1", "3", "2"]
