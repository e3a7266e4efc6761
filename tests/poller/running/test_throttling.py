"""What throttling does to messages, actions and connections: it blames none of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from nornmail import (
    AuthenticationFailed,
    ConnectionLost,
    ImapSettings,
    MemoryStateStore,
    Message,
    NornmailError,
    Poller,
    Throttled,
)
from nornmail.testing import MailServer, faults
from tests.support.clock import FakeClock

MAIL = b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\nhello\r\n"
HINT = b"Request is throttled. Suggested Backoff Time: 299609 milliseconds"
EXPIRED = b"Session invalidated - AccessTokenExpired"


@dataclass
class World:
    """A server, and what a poller handed over."""

    server: MailServer
    clock: FakeClock = field(default_factory=FakeClock)
    got: list[tuple[str, int]] = field(default_factory=list)
    pollers: list[Poller] = field(default_factory=list)

    def poller(
        self, *, token: Callable[[], str] | None = None, move_to: str | None = None
    ) -> Poller:
        settings = ImapSettings(
            host=self.server.host,
            port=self.server.imap_port,
            username="agent",
            password=None if token else "secret",
            token=token,
            move_to=move_to,
            use_ssl=False,
        )
        poller = Poller(
            settings,
            store=MemoryStateStore(),
            on_message=self.note,
            start_from="all",
            clock=self.clock,
            rng=random.Random(1),
        )
        self.pollers.append(poller)
        return poller

    def note(self, message: Message) -> None:
        self.got.append((message.subject, message.attempt))

    def deliver(self, *numbers: int) -> None:
        for number in numbers:
            self.server.deliver(MAIL % (number, number))

    def run(self, poller: Poller, *steps: Callable[[], object]) -> list[float]:
        """Let it run; do a step at each wait, and stop after the last. Returns the waits."""
        left = [*steps, poller.stop]
        waits: list[float] = []
        real = self.clock.wait

        def wait(event: threading.Event, seconds: float) -> None:
            waits.append(seconds)
            real(event, seconds)
            left.pop(0)()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.clock, "wait", wait)
            poller.run_forever()
        return waits


@pytest.fixture
def world() -> Iterator[World]:
    with MailServer() as server:
        server.add_user("agent", "secret")
        server.capabilities.discard("IDLE")
        made = World(server)
        yield made
        for poller in made.pollers:
            poller.close()


def nothing() -> None:
    """A step in which nothing happens."""


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"NO " + HINT, id="as NO"),
        pytest.param(b"BAD " + HINT, id="as BAD"),
        pytest.param(b"NO [LIMIT] FETCH Rate limit hit", id="Yahoo's words"),
        pytest.param(b"NO [OVERQUOTA] Account exceeded command or bandwidth limits.", id="Gmail's"),
    ],
)
@pytest.mark.parametrize("nth", [1, 2], ids=["the sizes", "the bodies"])
def test_a_throttled_fetch_is_no_attempt_of_the_message(
    world: World, answer: bytes, nth: int
) -> None:
    world.deliver(1)
    world.server.faults.add(faults.Answer("UID FETCH", text=answer, on_nth=nth))
    poller = world.poller()
    with pytest.raises(Throttled):
        poller.poll_once()
    assert world.server.faults.pending == []
    result = poller.poll_once()
    assert (result.new, result.failed, result.waiting) == (1, 0, 0)
    assert world.got == [("1", 1)]


def test_a_message_that_the_server_cannot_give_waits_alone(world: World) -> None:
    world.deliver(1)
    broken = b"NO [UNAVAILABLE] UID FETCH Server error while fetching messages"
    world.server.faults.add(faults.Answer("UID FETCH", text=broken, on_nth=2))
    result = world.poller().poll_once()
    assert (result.failed, result.waiting) == (1, 1)


def test_a_throttled_action_is_done_later(world: World) -> None:
    world.deliver(1)
    world.server.faults.add(faults.Answer("UID STORE", text=b"NO " + HINT))
    poller = world.poller()
    with pytest.raises(Throttled) as caught:
        poller.poll_once()
    assert caught.value.wait == pytest.approx(299.609)
    assert world.got == [("1", 1)]
    assert poller.poll_once().new == 0
    assert world.server.mailbox().messages[0].flags == {"\\Seen"}


def test_the_connection_is_given_back_for_the_time_of_the_wait(world: World) -> None:
    world.server.faults.add(faults.Answer("NOOP", text=b"BAD " + HINT))
    poller = world.poller()
    waits = world.run(poller, nothing, lambda: world.deliver(1), nothing)
    assert waits[0] == 60
    assert 299.6 <= waits[1] <= 330
    assert waits[2] == 60
    assert world.server.connections == 2
    assert world.got == [("1", 1)]


def test_a_session_whose_token_ran_out_is_a_new_connection_and_a_new_token(world: World) -> None:
    world.server.capabilities.add("AUTH=XOAUTH2")
    asked: list[str] = []

    def token() -> str:
        asked.append(f"token{len(asked)}")
        world.server.tokens().add(asked[-1])
        return asked[-1]

    world.server.faults.add(faults.Bye("NOOP", text=EXPIRED))
    waits = world.run(world.poller(token=token), lambda: world.deliver(1), nothing)
    assert asked == ["token0", "token1"]
    assert world.got == [("1", 1)]
    assert waits == [60, 60, 60]


def test_a_failing_token_callback_is_survived(world: World) -> None:
    world.server.capabilities.add("AUTH=XOAUTH2")
    world.server.tokens().add("good")
    world.deliver(1)
    broken = True

    def token() -> str:
        if broken:
            raise OSError("no network")
        return "good"

    def mend() -> None:
        nonlocal broken
        broken = False

    poller = world.poller(token=token)
    with pytest.raises(ConnectionLost):
        poller.poll_once()
    waits = world.run(poller, nothing, mend)
    assert max(waits[:2]) <= 2
    assert world.got == [("1", 1)]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(faults.RejectLogin(times=None), AuthenticationFailed, id="a wrong password"),
        pytest.param(
            faults.RejectLogin("Too many simultaneous connections.", code="ALERT", times=None),
            Throttled,
            id="too many connections",
        ),
    ],
)
def test_what_waits_is_tried_while_the_server_is_left_alone(
    world: World,
    fault: faults.Fault,
    error: type[NornmailError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def handle(message: Message) -> None:
        calls.append(message.attempt)
        if message.attempt == 1:
            raise ValueError("not yet")

    world.deliver(1)
    monkeypatch.setattr(world, "note", handle)
    poller = world.poller()
    poller.poll_once()
    world.server.faults.add(fault)
    world.server.kick()
    with pytest.raises(error):
        poller.poll_once()
    world.run(poller, nothing, nothing)
    assert calls == [1, 2]


def test_a_slowed_server_is_asked_less_often_until_it_is_well(world: World) -> None:
    world.server.faults.add(faults.Answer("NOOP", text=b"OK Success [THROTTLED]", times=3))
    waits = world.run(world.poller(), *[nothing] * 5)
    assert waits == [60, 120, 240, 480, 60, 60]


def test_without_room_for_a_second_connection_mail_goes_on(world: World) -> None:
    """After a move that was cut off another connection looks into the destination first."""
    world.server.create_mailbox("Done")
    world.deliver(1)
    world.server.faults.add(
        faults.Cut("UID MOVE", before=True),
        faults.RejectLogin("Too many simultaneous connections.", code="ALERT", on_nth=3),
    )
    poller = world.poller(move_to="Done")
    poller.poll_once()
    assert world.server.faults.pending == []
    world.deliver(2)
    poller.poll_once()
    assert world.got == [("1", 1), ("2", 1)]
    assert world.server.mailbox("Done").messages == []
    world.clock.advance(60)
    poller.poll_once()
    assert len(world.server.mailbox("Done").messages) == 2
