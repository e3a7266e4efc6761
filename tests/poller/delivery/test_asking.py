"""A person asks for another try of dead mail, beside the poller or before it starts."""

from __future__ import annotations

import pytest

from nornmail import Message, Poller, Reject, RetryPolicy
from nornmail.model import State
from nornmail.retry import LOST
from tests.poller.delivery.harness import World, failing_at, mail, numbered, numbers, subjects
from tests.poller.delivery.wire import BODIES, without


def refuse(message: Message) -> None:
    raise Reject("not today")


def die(world: World, *names: str) -> None:
    """Let the mailbox's messages be rejected by an earlier poller."""
    world.deliver(*names)
    poller = world.poller(refuse)
    poller.poll_once()
    poller.close()
    assert world.states() == {State.DEAD: len(names)}


def ask(world: World, *names: str) -> None:
    for name in names:
        world.store.request_retry(world.key, world.entry(name).key)


def test_only_what_was_asked_for_is_tried_again_from_its_kept_bytes(world: World) -> None:
    die(world, "one", "two")
    ids = world.entry("two").delivery_id
    ask(world, "two")
    result = world.poller().poll_once()
    assert (result.new, result.handled, result.dead) == (0, 1, 1)
    assert world.handed_over == ["two"]
    assert (world.seen[0].raw, world.seen[0].delivery_id) == (mail("two"), ids)
    assert world.states() == {State.DEAD: 1, State.FINISHED: 1}
    assert world.flags() == {"one": set(), "two": {"\\Seen"}}
    assert world.store.retry_requests(world.key) == []


def test_a_running_poller_takes_it_up_at_its_next_pass(world: World) -> None:
    die(world, "one")
    poller = world.poller()
    world.run(poller, lambda: ask(world, "one"), lambda: None)
    assert world.handed_over == ["one"]
    assert world.states() == {State.FINISHED: 1}


def test_it_needs_no_server(world: World) -> None:
    die(world, "one")
    ask(world, "one")
    world.proxy.refuse = True
    poller = world.poller()
    world.run(poller, lambda: None)
    assert world.handed_over == ["one"]
    assert world.states() == {State.HANDLED: 1}


def test_its_attempts_are_counted_anew_and_it_dies_again_in_the_end(world: World) -> None:
    world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler, retry=RetryPolicy(delays=(60.0,)))
    for _ in range(2):
        poller.poll_once()
        world.clock.advance(60)
    assert world.entry("bad").state is State.DEAD
    ask(world, "bad")
    for _ in range(3):
        poller.poll_once()
        world.clock.advance(60)
    assert handler.attempts == [("bad", 1), ("bad", 2)] * 2
    assert world.entry("bad").state is State.DEAD
    assert world.entry("bad").attempts == 2
    assert "cannot handle bad" in world.entry("bad").reason
    assert world.raw("bad") == mail("bad")


def test_later_mail_flows_beside_it(world: World) -> None:
    die(world, *numbers(1, 3))
    ask(world, *numbers(1, 3))
    world.deliver("4")
    assert world.poller().poll_once().handled == 4
    assert sorted(world.handed_over) == numbers(1, 4)


def test_a_stopped_poller_leaves_the_request(world: World) -> None:
    die(world, "one")
    ask(world, "one")
    poller = world.poller()
    poller.stop()
    poller.run_forever()  # which the stop ends at once
    assert world.states() == {State.DEAD: 1}
    assert len(world.store.retry_requests(world.key)) == 1


def never_given(world: World) -> Poller:
    """A poller for which UID 2 of three messages is dead, because the server never gave it.

    A person has asked for it.
    """
    world.deliver(*numbered(1, 3))
    world.wire.spoil(BODIES, without(2), times=2)
    poller = world.poller(retry=RetryPolicy(delays=(60.0,)))
    poller.poll_once()
    world.clock.advance(60)
    poller.poll_once()
    (dead,) = world.entries(State.DEAD)
    assert (dead.key.uid, world.store.raw(world.key, dead.key)) == (2, None)
    world.store.request_retry(world.key, dead.key)
    return poller


def test_what_the_server_never_gave_is_asked_of_it_again(world: World) -> None:
    poller = never_given(world)
    assert poller.poll_once().handled == 1
    assert world.handed_over == ["1", "3", "2"]
    assert world.states() == {State.FINISHED: 3}


def test_what_the_server_still_does_not_give_waits_and_dies_again(world: World) -> None:
    poller = never_given(world)
    world.wire.spoil(BODIES, without(2), times=2)
    poller.poll_once()
    assert world.states() == {State.FINISHED: 2, State.WAITING: 1}
    world.clock.advance(60)
    poller.poll_once()
    (dead,) = world.entries(State.DEAD)
    assert dead.attempts == 2
    assert world.store.retry_requests(world.key) == []


def test_what_the_server_has_no_more_is_gone(world: World) -> None:
    poller = never_given(world)
    world.others.expunge(2, "INBOX")
    assert poller.poll_once().gone == 1
    assert world.states() == {State.FINISHED: 2, State.GONE: 1}


def test_what_the_server_has_under_a_new_uid_is_looked_at_anew(world: World) -> None:
    never_given(world).close()
    world.restore()
    poller = world.poller()
    poller.poll_once()
    assert world.handed_over == ["1", "3", "2"]
    assert world.states() == {State.FINISHED: 3, State.GONE: 1}


def test_what_has_neither_bytes_nor_a_uid_any_more_stays_dead_and_says_so(world: World) -> None:
    poller = never_given(world)
    world.wire.spoil(BODIES, without(2), times=2)
    poller.poll_once()
    world.clock.advance(60)
    poller.poll_once()
    poller.close()
    world.others.expunge(2, "INBOX")
    world.restore()
    poller = world.poller()
    for _ in range(2):
        poller.poll_once()
        (dead,) = world.entries(State.DEAD)
        world.store.request_retry(world.key, dead.key)
    poller.poll_once()
    (dead,) = world.entries(State.DEAD)
    assert world.states() == {State.FINISHED: 2, State.DEAD: 1}
    assert dead.reason.count(LOST) == 1
    assert "does not return it" in dead.reason
    assert world.store.retry_requests(world.key) == []


def test_a_process_that_ends_in_the_handler_has_made_an_attempt(world: World) -> None:
    die(world, "one")
    ask(world, "one")

    def end(message: Message) -> None:
        raise SystemExit

    poller = world.poller(end)
    with pytest.raises(SystemExit):
        poller.poll_once()
    assert (world.entry("one").state, world.entry("one").attempts) == (State.WAITING, 1)
    assert subjects(world.seen) == []
