"""``run_forever`` and what it lives through: logins that fail, mailboxes that are not there."""

from __future__ import annotations

import logging
import threading

import pytest

from nornmail import AuthenticationFailed, CommandRefused, ConnectionLost, Message
from tests.poller.delivery.harness import World, numbered


def idle() -> None:
    """A step in which nothing happens."""


def test_the_start_is_logged_as_the_setup_guide_says(world: World) -> None:
    poller = world.poller()
    world.run(poller, idle)
    where = f"{world.backend.host}:{world.proxy.port}/INBOX"
    assert world.logged()[0] == f"INFO IMAP poller starting: {where} (interval=60s)"


def test_it_polls_at_the_interval_and_hands_over_what_came(world: World) -> None:
    poller = world.poller(poll_interval=17)
    waits = world.run(
        poller, lambda: world.deliver("one"), lambda: world.deliver("two", "three"), idle
    )
    assert waits == [17, 17, 17]
    assert world.handed_over == ["one", "two", "three"]
    assert world.proxy.connections == 1
    assert world.wire.commands[-1] == "LOGOUT"


def test_stop_ends_it_from_another_thread(world: World) -> None:
    world.deliver("one")
    arrived = threading.Event()

    def handle(message: Message) -> None:
        world.note(message)
        arrived.set()

    poller = world.poller(handle, clock=None, poll_interval=3_600)
    thread = threading.Thread(target=poller.run_forever)
    thread.start()
    assert arrived.wait(20)
    poller.stop()
    thread.join(20)
    assert not thread.is_alive()
    assert world.handed_over == ["one"]
    assert world.flags() == {"one": {"\\Seen"}}


@pytest.mark.one_worker("other messages are called when it is stopped")
def test_stop_within_a_batch_ends_it_after_the_message_it_is_at(world: World) -> None:
    world.deliver(*numbered(1, 50))

    def handle(message: Message) -> None:
        world.note(message)
        if message.subject == "7":
            poller.stop()

    poller = world.poller(handle)
    poller.run_forever()
    assert world.handed_over == [str(number) for number in range(1, 8)]
    again = world.poller()
    again.poll_once()
    assert world.handed_over == [str(number) for number in range(1, 51)]


def test_a_wrong_password_is_told_and_tried_again_in_five_minutes(world: World) -> None:
    wrong = world.backend.password + "-wrong"
    with pytest.raises(AuthenticationFailed):
        world.poller(password=wrong).poll_once()
    world.proxy.kick()
    poller = world.poller(password=wrong, account="another")
    assert world.run(poller, idle, idle) == [300, 300]
    assert len(world.logged(logging.ERROR)) == 2
    assert world.seen == []


def test_a_mailbox_that_is_not_there_is_told_and_waited_for(world: World) -> None:
    with pytest.raises(CommandRefused, match="SELECT"):
        world.poller(mailbox="Nowhere").poll_once()
    poller = world.poller(mailbox="Later", account="another")

    def it_is_made() -> None:
        world.others.create("Later")
        world.deliver("one", mailbox="Later")

    waits = world.run(poller, idle, idle, it_is_made, idle)
    assert world.handed_over == ["one"]
    assert waits[0] <= 1
    assert waits[2] <= 4
    assert waits[3] == 60


def test_a_server_that_is_not_there_is_told(world: World) -> None:
    world.proxy.refuse = True
    poller = world.poller()
    with pytest.raises(ConnectionLost):
        poller.poll_once()
    world.proxy.refuse = False
    world.deliver("one")
    assert poller.poll_once().new == 1


def test_it_gives_back_connection_and_mailbox_at_its_end(world: World) -> None:
    world.deliver("one")
    world.run(world.poller(), idle)
    assert world.poller().poll_once().new == 0
    assert world.wire.count("^LOGOUT") == 1


def test_a_bye_between_two_polls_is_no_trouble(world: World) -> None:
    world.wire.spoil("^NOOP", lambda answer: b"* BYE Session invalidated\r\n" + answer)
    poller = world.poller()
    world.run(poller, lambda: world.deliver("one"), idle)
    assert world.handed_over == ["one"]
    assert world.proxy.connections == 2
    assert world.logged(logging.WARNING) == []
