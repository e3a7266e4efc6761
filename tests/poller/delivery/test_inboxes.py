"""Several inboxes share one account: each gets what is addressed to it, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    Defer,
    Inbox,
    MemoryStateStore,
    Message,
    Poller,
    Reject,
    StoreError,
)
from nornmail.model import Change, Lease, PutEntry, State
from nornmail.poller import actions as actions_module
from tests.poller.delivery.harness import RETRIES, World, embedded_only, mail, numbers
from tests.poller.delivery.wire import BODIES, without

SUPPORT, SALES, OPS = "support@example.com", "sales@example.com", "ops@example.com"
BOTH = (SUPPORT, SALES)
SEEN = {"\\Seen"}


def letter(subject: str, *addresses: str, **options: Any) -> bytes:
    """A message to the account itself, with copies to ``addresses``."""
    return mail(subject, head=f"Cc: {', '.join(addresses)}\r\n" if addresses else "", **options)


class Desk:
    """The callbacks of all inboxes, and what they were handed.

    Attributes:
        calls: inbox, subject and attempt of each call, in their order.
        trouble: what is raised at a subject, by inbox.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.messages: list[Message] = []
        self.trouble: dict[str, Callable[[Message], BaseException | None]] = {}

    def __call__(self, message: Message) -> None:
        self.calls.append((message.inbox, message.subject, message.attempt))
        self.messages.append(message)
        trouble = self.trouble.get(message.inbox)
        error = trouble(message) if trouble is not None else None
        if error is not None:
            raise error

    def raises(self, inbox: str, error: BaseException | None, *subjects: str) -> None:
        """From now on an inbox raises, at these subjects or at all."""
        self.trouble[inbox] = lambda m: error if not subjects or m.subject in subjects else None

    def given(self, inbox: str) -> list[str]:
        """The subjects that an inbox was handed."""
        return [subject for name, subject, _ in self.calls if name == inbox]

    def inbox(self, address: str, accept: Callable[[Message], object] | None = None) -> Inbox:
        return Inbox(address, self, accept)

    def inboxes(self, *addresses: str) -> list[Inbox]:
        return [self.inbox(address) for address in addresses or BOTH]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def states(world: World, subject: str) -> dict[str, State]:
    """The state of a message by inbox."""
    name = f"<{subject.replace(' ', '.')}@example.org>"
    return {entry.key.inbox: entry.state for entry in world.entries() if entry.message_id == name}


# Who gets what.


@pytest.mark.one_worker("the inboxes of different messages are called side by side")
def test_a_message_is_handed_to_every_inbox_that_it_is_addressed_to(
    world: World, desk: Desk
) -> None:
    world.deliver(letter("both", *BOTH), letter("support", SUPPORT), letter("sales", SALES))
    poller = world.poller(inboxes=desk.inboxes())
    result = poller.poll_once()
    assert desk.calls == [
        (SUPPORT, "both", 1),
        (SALES, "both", 1),
        (SUPPORT, "support", 1),
        (SALES, "sales", 1),
    ]
    assert (result.new, result.handled, result.failed) == (3, 4, 0)
    assert states(world, "both") == dict.fromkeys(BOTH, State.FINISHED)
    assert world.flags() == {"both": SEEN, "support": SEEN, "sales": SEEN}
    ids = [message.delivery_id for message in desk.messages]
    assert len(set(ids)) == 4
    assert poller.poll_once().handled == 0


def test_the_log_names_the_inbox(
    world: World, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.deliver(letter("both", *BOTH))
    world.poller(inboxes=desk.inboxes()).poll_once()
    handled = [line.partition(" for ")[2] for line in caplog.messages if "is handled" in line]
    assert sorted(handled) == [f"{SALES} is handled", f"{SUPPORT} is handled"]


def test_an_inbox_is_known_by_its_address_in_lower_case(world: World, desk: Desk) -> None:
    world.deliver(letter("one", "SUPPORT+x@Example.com"))
    world.poller(inboxes=[desk.inbox("Support@EXAMPLE.com")]).poll_once()
    assert desk.given(SUPPORT) == ["one"]


def test_mail_for_no_inbox_is_passed_over_and_left_as_it_is(world: World, desk: Desk) -> None:
    world.deliver("nobody's")
    poller = world.poller(inboxes=desk.inboxes(), delete_after_fetch=True)
    result = poller.poll_once()
    assert (result.new, result.passed_over) == (0, 1)
    assert desk.calls == []
    assert world.flags() == {"nobody's": set()}
    (entry,) = world.entries()
    assert (entry.key.inbox, entry.state, entry.reason) == ("*", State.PASSED_OVER, "unrouted")
    assert any("is passed over: unrouted" in line for line in world.logged())
    assert poller.poll_once().passed_over == 0


def test_mail_for_no_inbox_is_given_to_on_unrouted_and_left_as_it_is(
    world: World, desk: Desk
) -> None:
    world.deliver("nobody's", letter("support", SUPPORT))
    poller = world.poller(inboxes=desk.inboxes(), on_unrouted=desk, delete_after_fetch=True)
    assert poller.poll_once().handled == 2
    assert desk.calls == [("", "nobody's", 1), (SUPPORT, "support", 1)]
    assert world.flags() == {"nobody's": set()}
    assert states(world, "nobody's") == {"*": State.FINISHED}


def test_what_on_unrouted_fails_at_is_tried_again(world: World, desk: Desk) -> None:
    world.deliver("nobody's")
    desk.raises("", RuntimeError("not now"))
    poller = world.poller(inboxes=desk.inboxes(), on_unrouted=desk)
    assert poller.poll_once().waiting == 1
    desk.trouble.clear()
    world.clock.advance(RETRIES[0])
    assert poller.poll_once().handled == 1
    assert desk.calls == [("", "nobody's", 1), ("", "nobody's", 2)]
    assert world.flags() == {"nobody's": set()}


# What is accepted.


def test_what_an_inbox_does_not_accept_is_passed_over_for_it_alone(
    world: World, desk: Desk
) -> None:
    world.deliver(letter("both", *BOTH), letter("spam", SALES))
    inboxes = [desk.inbox(SUPPORT), desk.inbox(SALES, lambda _: False)]
    poller = world.poller(inboxes=inboxes, delete_after_fetch=True)
    result = poller.poll_once()
    assert (result.new, result.handled, result.passed_over) == (1, 1, 2)
    assert desk.calls == [(SUPPORT, "both", 1)]
    assert world.flags() == {"spam": set()}
    assert states(world, "both") == {SUPPORT: State.FINISHED, SALES: State.PASSED_OVER}
    assert [entry.reason for entry in world.entries(State.PASSED_OVER)] == ["filtered"] * 2
    assert world.raw("spam") is None


def test_what_the_poller_does_not_accept_is_handed_to_nobody(world: World, desk: Desk) -> None:
    world.deliver(letter("good", *BOTH), letter("bad", *BOTH), "bad nobody's")
    poller = world.poller(
        inboxes=desk.inboxes(),
        on_unrouted=desk,
        accept=lambda message: "bad" not in message.subject,
    )
    poller.poll_once()
    assert [subject for _, subject, _ in desk.calls] == ["good", "good"]
    assert world.flags() == {"good": SEEN, "bad": set(), "bad nobody's": set()}


def test_a_poller_with_one_callback_can_be_choosy_too(world: World) -> None:
    world.deliver("good", "bad")
    poller = world.poller(accept=lambda message: message.subject == "good")
    result = poller.poll_once()
    assert (result.new, result.handled, result.passed_over) == (1, 1, 1)
    assert world.handed_over == ["good"]
    assert world.flags() == {"good": SEEN, "bad": set()}
    assert world.states() == {State.FINISHED: 1, State.PASSED_OVER: 1}


def test_an_accept_that_raises_is_a_failed_attempt_of_that_message(
    world: World, desk: Desk
) -> None:
    broken = True

    def accept(_message: Message) -> bool:
        if broken:
            raise ValueError("cannot tell")
        return True

    world.deliver(letter("one", *BOTH))
    inboxes = [desk.inbox(SUPPORT, accept), desk.inbox(SALES)]
    poller = world.poller(inboxes=inboxes)
    result = poller.poll_once()
    assert (result.handled, result.failed, result.waiting) == (1, 1, 1)
    assert "cannot tell" in world.entries(State.WAITING)[0].reason
    assert world.flags() == {"one": set()}
    broken = False
    world.clock.advance(RETRIES[0])
    poller.poll_once()
    assert desk.calls == [(SALES, "one", 1), (SUPPORT, "one", 2)]
    assert world.flags() == {"one": SEEN}


# What happens to one inbox and not to the other.


@pytest.mark.parametrize("failing", BOTH)
@pytest.mark.parametrize(
    ("options", "end"),
    [
        pytest.param({}, {"one": SEEN}, id="marked as read"),
        pytest.param({"delete_after_fetch": True}, {}, id="deleted"),
        pytest.param({"move_to": "Done"}, {}, id="moved"),
    ],
)
def test_the_mailbox_is_touched_once_the_last_inbox_has_handled_it(
    world: World, desk: Desk, failing: str, options: dict[str, Any], end: dict[str, set[str]]
) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(failing, RuntimeError("not now"))
    poller = world.poller(inboxes=desk.inboxes(), **options)
    poller.poll_once()
    for wait in RETRIES[:3]:
        assert world.flags() == {"one": set()}
        world.clock.advance(wait)
        poller.poll_once()
    desk.trouble.clear()
    world.clock.advance(RETRIES[3])
    poller.poll_once()
    (other,) = set(BOTH) - {failing}
    assert desk.given(other) == ["one"]
    assert desk.given(failing) == ["one"] * 5
    assert world.flags() == end
    assert world.states() == {State.FINISHED: 2}
    assert world.wire.count("STORE") == 1


def test_a_deferred_inbox_holds_the_mailbox_too(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, Defer(500.0))
    poller = world.poller(inboxes=desk.inboxes())
    poller.poll_once()
    assert world.flags() == {"one": set()}
    desk.trouble.clear()
    world.clock.advance(500)
    poller.poll_once()
    assert world.flags() == {"one": SEEN}
    assert desk.calls[-1] == (SALES, "one", 1)


@pytest.mark.parametrize("rejecting", BOTH)
def test_mail_that_is_dead_for_one_inbox_is_left_as_it_is(
    world: World, desk: Desk, rejecting: str
) -> None:
    world.deliver(letter("one", *BOTH), letter("two", *BOTH))
    desk.raises(rejecting, Reject("no"), "one")
    poller = world.poller(inboxes=desk.inboxes(), delete_after_fetch=True)
    assert poller.poll_once().dead == 1
    assert world.flags() == {"one": set()}
    (other,) = set(BOTH) - {rejecting}
    assert states(world, "one") == {rejecting: State.DEAD, other: State.FINISHED}
    assert poller.poll_once().handled == 0


def test_dead_mail_that_a_person_asked_for_is_touched_once_it_is_handled(
    world: World, desk: Desk
) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, Reject("no"))
    poller = world.poller(inboxes=desk.inboxes(), delete_after_fetch=True)
    poller.poll_once()
    desk.trouble.clear()
    (dead,) = world.entries(State.DEAD)
    world.store.request_retry(world.key, dead.key)
    poller.poll_once()
    assert desk.given(SALES) == ["one", "one"]
    assert desk.given(SUPPORT) == ["one"]
    assert world.flags() == {}


def test_messages_that_wait_for_an_inbox_hold_up_nobody_else(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions_module, "AT_ONCE", 2)
    world.deliver(*(letter(number, *BOTH) for number in numbers(1, 20)))
    desk.trouble[SALES] = lambda m: RuntimeError("no") if int(m.subject) % 4 else None
    poller = world.poller(inboxes=desk.inboxes())
    poller.poll_once()
    world.deliver(letter("late", SUPPORT))
    poller.poll_once()
    assert {name for name, flags in world.flags().items() if flags} == {
        *("4", "8", "12", "16", "20"),
        "late",
    }
    desk.trouble.clear()
    world.clock.advance(RETRIES[0])
    poller.poll_once()
    assert all(world.flags().values())
    assert world.states() == {State.FINISHED: 41}


@pytest.mark.one_worker("counts the calls until the handler is down")
def test_an_inbox_that_is_down_stops_at_five_messages_and_the_rest_waits(
    world: World, desk: Desk
) -> None:
    world.deliver(*(letter(number, *BOTH) for number in numbers(1, 8)))
    desk.raises(SUPPORT, RuntimeError("down"))
    desk.raises(SALES, RuntimeError("down"))
    poller = world.poller(inboxes=desk.inboxes())
    poller.poll_once()
    assert desk.given(SUPPORT) == numbers(1, 5)
    assert desk.given(SALES) == numbers(1, 4)
    assert states(world, "5") == dict.fromkeys(BOTH, State.WAITING)
    world.others.expunge(5, "INBOX")
    desk.trouble.clear()
    world.clock.advance(RETRIES[0])
    poller.poll_once()
    world.clock.advance(RETRIES[0])
    poller.poll_once()
    assert set(desk.given(SALES)) == set(numbers(1, 8))
    assert (SALES, "5", 1) in desk.calls
    assert len(desk.given(SALES)) == 4 + 8


def test_one_message_that_fails_in_five_inboxes_is_not_an_outage(world: World, desk: Desk) -> None:
    addresses = [f"{number}@example.com" for number in range(6)]
    for address in addresses:
        desk.raises(address, RuntimeError("no"))
    world.deliver(letter("one", *addresses), letter("two", SUPPORT))
    world.poller(inboxes=desk.inboxes(*addresses, SUPPORT)).poll_once()
    assert len(desk.calls) == 7
    assert desk.given(SUPPORT) == ["two"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_program_that_is_stopped_in_one_inbox_keeps_the_mail_of_the_next(
    world: World, desk: Desk, error: type[BaseException]
) -> None:
    (uid,) = world.deliver(letter("one", *BOTH))
    desk.raises(SUPPORT, error())
    poller = world.poller(inboxes=desk.inboxes())
    with pytest.raises(error):
        poller.poll_once()
    poller.close()
    world.others.expunge(uid, "INBOX")
    desk.trouble.clear()
    again = world.poller(inboxes=desk.inboxes())
    again.poll_once()
    world.clock.advance(RETRIES[0])
    again.poll_once()
    assert desk.given(SALES) == ["one"]
    assert desk.given(SUPPORT) == ["one", "one"]


# A process that ends in between.


class Dying(MemoryStateStore):
    """A store whose process ends at a commit: from then on nothing is written.

    Attributes:
        when: asked about each commit's changes; true at the last one.
        dead: whether it has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.when: Callable[[Sequence[Change]], bool] = lambda _: False
        self.dead = False

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        if self.dead:
            raise StoreError("the process has ended")
        if self.when(changes):
            self.dead = True
            raise StoreError("the process ends")
        super().commit(lease, changes)


def dies_at(state: State, inbox: str) -> Callable[[Sequence[Change]], bool]:
    return lambda changes: any(
        isinstance(change, PutEntry)
        and change.entry.state is state
        and change.entry.key.inbox == inbox
        for change in changes
    )


@pytest.fixture
def dying(world: World) -> Dying:
    store = Dying()
    world.store = store
    return store


def end(poller: Poller, store: Dying) -> None:
    """The process ends at the commit that it was told to end at."""
    with pytest.raises(StoreError):
        poller.poll_once()
    with suppress(StoreError):  # where something was still to be written
        poller.close()
    assert store.dead
    store.when = lambda _: False
    store.dead = False


def test_the_routing_decision_is_one_commit(world: World, desk: Desk, dying: Dying) -> None:
    commits: list[list[tuple[str, State]]] = []

    def note(changes: Sequence[Change]) -> bool:
        entries = [change.entry for change in changes if isinstance(change, PutEntry)]
        commits.append([(entry.key.inbox, entry.state) for entry in entries])
        return False

    dying.when = note
    world.deliver(letter("one", SUPPORT, SALES, OPS))
    world.poller(inboxes=desk.inboxes(SUPPORT, SALES, OPS)).poll_once()
    assert [commit for commit in commits if commit] == [
        [(SUPPORT, State.CLAIMED), (SALES, State.NEW), (OPS, State.NEW)],
        [(SUPPORT, State.HANDLED), (SALES, State.CLAIMED)],
        [(SALES, State.HANDLED), (OPS, State.CLAIMED)],
        [(OPS, State.HANDLED)],
        # The order of siblings is that of their names.
        [(OPS, State.FINISHED), (SALES, State.FINISHED), (SUPPORT, State.FINISHED)],
    ]


CRASHES = [
    pytest.param(State.CLAIMED, SUPPORT, {SUPPORT: [1], SALES: [1]}, id="before it was routed"),
    pytest.param(State.HANDLED, SUPPORT, {SUPPORT: [1, 2], SALES: [1]}, id="in the first inbox"),
    pytest.param(State.HANDLED, SALES, {SUPPORT: [1], SALES: [1, 2]}, id="in the last inbox"),
    pytest.param(State.FINISHED, SUPPORT, {SUPPORT: [1], SALES: [1]}, id="once it was handled"),
]


@pytest.mark.one_worker("both messages are claimed when the process ends")
@pytest.mark.parametrize(("state", "inbox", "attempts"), CRASHES)
def test_a_process_that_ends_between_two_inboxes_repeats_none_and_forgets_none(
    world: World,
    desk: Desk,
    dying: Dying,
    state: State,
    inbox: str,
    attempts: dict[str, list[int]],
) -> None:
    world.deliver(letter("one", *BOTH), letter("two", *BOTH))
    dying.when = dies_at(state, inbox)
    end(world.poller(inboxes=desk.inboxes(), delete_after_fetch=True), dying)
    again = world.poller(inboxes=desk.inboxes(), delete_after_fetch=True)
    again.poll_once()
    world.clock.advance(RETRIES[0])
    again.poll_once()
    for name in BOTH:
        calls = [attempt for to, subject, attempt in desk.calls if (to, subject) == (name, "one")]
        assert calls == attempts[name]
        assert desk.given(name).count("two") == 1
    assert world.flags() == {}
    assert world.states() == {State.FINISHED: 4}
    assert len({message.delivery_id for message in desk.messages}) == 4


def test_an_inbox_whose_turn_never_came_and_whose_mail_is_gone_leaves_a_dead_letter(
    world: World, desk: Desk, dying: Dying
) -> None:
    (uid,) = world.deliver(letter("one", *BOTH))
    dying.when = dies_at(State.HANDLED, SUPPORT)
    end(world.poller(inboxes=desk.inboxes()), dying)
    world.others.expunge(uid, "INBOX")
    again = world.poller(inboxes=desk.inboxes())
    assert again.poll_once().dead == 2
    (sales, _) = world.entries(State.DEAD)
    assert sales.key.inbox == SALES
    assert "no longer in the mailbox" in sales.reason
    assert world.states() == {State.DEAD: 2}


def test_an_inbox_whose_turn_never_came_and_whose_mail_is_not_given_waits(
    world: World, desk: Desk, dying: Dying
) -> None:
    world.deliver(letter("one", *BOTH))
    dying.when = dies_at(State.HANDLED, SUPPORT)
    end(world.poller(inboxes=desk.inboxes()), dying)
    world.wire.spoil(BODIES, without(1), times=4)
    again = world.poller(inboxes=desk.inboxes())
    again.poll_once()
    assert states(world, "one") == dict.fromkeys(BOTH, State.WAITING)
    for wait in RETRIES:
        world.clock.advance(wait)
        again.poll_once()
    assert world.wire.pending == []
    assert world.states() == {State.FINISHED: 2}
    assert desk.given(SALES) == ["one"]
    assert world.flags() == {"one": SEEN}


# Messages that could not be fetched before it was known whom they are for.


@pytest.mark.parametrize("on_unrouted", [False, True], ids=["passing over", "with on_unrouted"])
def test_a_message_that_comes_late_is_routed_when_it_comes(
    world: World, desk: Desk, on_unrouted: bool
) -> None:
    world.deliver(letter("both", *BOTH), letter("nobody's"))
    for uid in (1, 2):
        world.wire.spoil(BODIES, without(uid), times=2)
    options = {"on_unrouted": desk} if on_unrouted else {}
    poller = world.poller(inboxes=desk.inboxes(), **options)
    poller.poll_once()
    assert {entry.key.inbox for entry in world.entries(State.WAITING)} == {""}
    world.deliver(letter("other", SALES))
    for wait in RETRIES:
        world.clock.advance(wait)
        poller.poll_once()
    assert world.wire.pending == []
    assert sorted(desk.calls) == sorted(
        [
            *([("", "nobody's", 1)] if on_unrouted else []),
            (SUPPORT, "both", 1),
            (SALES, "both", 1),
            (SALES, "other", 1),
        ]
    )
    assert world.flags() == {"both": SEEN, "nobody's": set(), "other": SEEN}
    expected = State.FINISHED if on_unrouted else State.PASSED_OVER
    assert states(world, "nobody's") == {"*": expected}
    assert poller.poll_once().new == 0


def test_a_message_that_never_comes_is_dead_for_nobody_in_particular(
    world: World, desk: Desk
) -> None:
    world.deliver(letter("both", *BOTH))
    world.wire.spoil(BODIES, without(1), times=1_000)
    poller = world.poller(inboxes=desk.inboxes())
    poller.poll_once()
    for wait in RETRIES:
        world.clock.advance(wait)
        poller.poll_once()
    (entry,) = world.entries()
    assert (entry.key.inbox, entry.state) == ("", State.DEAD)
    poller.close()
    world.wire.restore()
    again = world.poller(inboxes=desk.inboxes())
    again.poll_once()
    assert [entry.reason for entry in world.entries(State.DEAD)] == [entry.reason]
    world.store.request_retry(world.key, entry.key)
    again.poll_once()
    assert sorted(desk.calls) == [(SALES, "both", 1), (SUPPORT, "both", 1)]
    assert world.flags() == {"both": SEEN}


# A new UIDVALIDITY.


def test_a_new_uidvalidity_moves_a_message_with_all_its_inboxes(world: World, desk: Desk) -> None:
    world.deliver(letter("zero", SALES), letter("one", SUPPORT, SALES, OPS), "nobody's")
    desk.raises(SALES, RuntimeError("not now"), "one")
    desk.raises(OPS, Reject("no"))
    first = world.poller(inboxes=desk.inboxes(SUPPORT, SALES, OPS))
    first.poll_once()
    first.close()
    world.others.expunge(1, "INBOX")
    world.restore()
    again = world.poller(inboxes=desk.inboxes(SUPPORT, SALES, OPS))
    desk.trouble.clear()
    assert again.poll_once().new == 0
    world.clock.advance(RETRIES[0])
    again.poll_once()
    assert desk.given(SUPPORT) == ["one"]
    assert desk.given(SALES) == ["zero", "one", "one"]
    assert desk.given(OPS) == ["one"]
    ids = {message.delivery_id for message in desk.messages if message.subject == "one"}
    assert len(ids) == 3
    moved = [entry for entry in world.entries() if "one" in entry.message_id]
    assert {(entry.key.epoch, entry.key.uid) for entry in moved} == {(2, 1)}
    assert world.flags() == {"one": set(), "nobody's": set()}
    assert states(world, "nobody's") == {"*": State.PASSED_OVER}


def test_two_equal_messages_are_two_after_a_new_uidvalidity_too(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    first = world.poller(inboxes=desk.inboxes())
    first.poll_once()
    first.close()
    world.restore()
    world.deliver(letter("one", *BOTH))
    again = world.poller(inboxes=desk.inboxes())
    again.poll_once()
    assert desk.given(SUPPORT) == desk.given(SALES) == ["one", "one"]


def test_replay_begins_anew_with_the_inboxes_that_were_through(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, RuntimeError("not now"))
    first = world.poller(inboxes=desk.inboxes())
    first.poll_once()
    first.close()
    world.restore()
    desk.trouble.clear()
    again = world.poller(inboxes=desk.inboxes(), on_uidvalidity_change="replay")
    again.poll_once()
    world.clock.advance(RETRIES[0])
    again.poll_once()
    assert desk.calls == [
        (SUPPORT, "one", 1),
        (SALES, "one", 1),
        (SUPPORT, "one", 1),
        (SALES, "one", 2),
    ]
    assert world.flags() == {"one": SEEN}


# Inboxes that go.


def test_what_waits_for_an_inbox_that_was_removed_is_dead(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, RuntimeError("not now"))
    poller = world.poller(inboxes=desk.inboxes(), delete_after_fetch=True)
    poller.poll_once()
    poller.remove_inbox("SALES@example.com")
    assert poller.poll_once().dead == 1
    (entry,) = world.entries(State.DEAD)
    assert (entry.key.inbox, entry.reason) == (SALES, "inbox removed")
    assert world.store.raw(world.key, entry.key) is not None
    assert world.flags() == {"one": set()}
    world.deliver(letter("two", SALES), letter("three", *BOTH))
    poller.poll_once()
    assert desk.given(SALES) == ["one"]
    assert desk.given(SUPPORT) == ["one", "three"]
    assert states(world, "two") == {"*": State.PASSED_OVER}


@pytest.mark.parametrize("state", [State.HANDLED, State.WAITING], ids=["never came", "waits"])
def test_an_inbox_that_is_not_there_after_a_restart_was_removed(
    world: World, desk: Desk, dying: Dying, state: State
) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, RuntimeError("not now"))
    first = world.poller(inboxes=desk.inboxes())
    if state is State.HANDLED:
        dying.when = dies_at(state, SUPPORT)
        end(first, dying)
    else:
        first.poll_once()
        first.close()
    again = world.poller(inboxes=desk.inboxes(SUPPORT))
    again.poll_once()
    world.clock.advance(RETRIES[0])
    again.poll_once()
    assert states(world, "one") == {SUPPORT: State.FINISHED, SALES: State.DEAD}
    assert [entry.reason for entry in world.entries(State.DEAD)] == ["inbox removed"]
    assert world.flags() == {"one": set()}


def test_mail_of_a_removed_inbox_that_a_person_asks_for_is_dead_again(
    world: World, desk: Desk
) -> None:
    world.deliver(letter("one", *BOTH))
    desk.raises(SALES, Reject("no"))
    poller = world.poller(inboxes=desk.inboxes())
    poller.poll_once()
    poller.remove_inbox(SALES)
    (dead,) = world.entries(State.DEAD)
    world.store.request_retry(world.key, dead.key)
    poller.poll_once()
    assert [entry.reason for entry in world.entries(State.DEAD)] == ["inbox removed"]
    assert world.store.retry_requests(world.key) == []
    assert desk.given(SALES) == ["one"]


@pytest.mark.one_worker("all messages are called before the change")
def test_inboxes_change_between_two_messages(world: World, desk: Desk) -> None:
    world.deliver(*(letter(number, *BOTH) for number in numbers(1, 4)))

    def change(message: Message) -> None:
        if message.subject == "2":
            poller.remove_inbox(SALES)
            poller.add_inbox(desk.inbox(SUPPORT + ".au"))
        desk(message)

    poller = world.poller(inboxes=[Inbox(SUPPORT, change), desk.inbox(SALES)])
    poller.poll_once()
    assert desk.given(SUPPORT) == numbers(1, 4)
    assert desk.given(SALES) == numbers(1, 2)
    assert all(world.flags().values())


# Inboxes that come.


def test_an_inbox_that_is_added_gets_new_mail_and_no_older(world: World, desk: Desk) -> None:
    world.deliver(letter("old", *BOTH))
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    poller.poll_once()
    poller.add_inbox(desk.inbox(SALES))
    world.deliver(letter("new", *BOTH))
    poller.poll_once()
    assert desk.given(SALES) == ["new"]
    assert desk.given(SUPPORT) == ["old", "new"]


def test_an_inbox_that_is_added_with_backfill_gets_its_older_mail_once(
    world: World, desk: Desk
) -> None:
    world.deliver(
        letter("both", *BOTH), letter("sales", SALES), letter("support", SUPPORT), "nobody's"
    )
    poller = world.poller(inboxes=desk.inboxes(SUPPORT), on_unrouted=desk)
    poller.poll_once()
    assert world.flags() == {"both": SEEN, "sales": set(), "support": SEEN, "nobody's": set()}
    world.deliver(letter("new", *BOTH))
    poller.add_inbox(desk.inbox(SALES), backfill=True)
    result = poller.poll_once()
    assert result.new == 3
    assert desk.given(SALES) == ["both", "sales", "new"]
    assert desk.given(SUPPORT) == ["both", "support", "new"]
    assert desk.given("") == ["sales", "nobody's"]
    assert world.flags()["sales"] == SEEN
    assert desk.messages[-1].raw
    for _ in range(2):
        poller.remove_inbox(SALES)
        poller.add_inbox(desk.inbox(SALES), backfill=True)
        assert poller.poll_once().new == 0
    assert len(desk.given(SALES)) == 3


def test_a_backfill_asks_for_the_bodies_of_what_is_addressed_to_the_inbox_alone(
    world: World, desk: Desk
) -> None:
    world.deliver(*(letter(number, SUPPORT) for number in numbers(1, 30)), letter("31", SALES))
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    poller.poll_once()
    before = world.wire.count(BODIES)
    poller.add_inbox(desk.inbox(SALES), backfill=True)
    poller.poll_once()
    assert desk.given(SALES) == ["31"]
    assert world.wire.count(BODIES) == before + 1
    assert world.wire.count(r"UID FETCH 31 .*BODY.PEEK\[\]") == 1


def test_a_backfill_keeps_to_start_from(world: World, desk: Desk) -> None:
    world.deliver(letter("old", SALES), date=world.clock.wall() - 86_400)
    poller = world.poller(inboxes=desk.inboxes(SUPPORT), start_from="new")
    poller.poll_once()
    world.deliver(letter("later", SALES))
    poller.poll_once()
    poller.add_inbox(desk.inbox(SALES), backfill=True)
    poller.poll_once()
    assert desk.given(SALES) == ["later"]


def test_a_backfill_that_is_cut_off_goes_on(world: World, desk: Desk) -> None:
    world.deliver(*(letter(number, SALES) for number in numbers(1, 10)))
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    poller.poll_once()
    world.wire.cut("UID FETCH [0-9]+:.*HEADER", times=2)
    poller.add_inbox(desk.inbox(SALES), backfill=True)
    poller.poll_once()
    assert world.wire.pending == []
    assert desk.given(SALES) == numbers(1, 10)


@pytest.mark.one_worker("all claims are one commit")
def test_a_backfill_that_is_written_down_survives_the_process(
    world: World, desk: Desk, dying: Dying
) -> None:
    world.deliver(*(letter(number, SALES) for number in numbers(1, 5)))
    first = world.poller(inboxes=desk.inboxes(SUPPORT))
    first.poll_once()
    first.add_inbox(desk.inbox(SALES), backfill=True)
    dying.when = lambda changes: dies_at(State.CLAIMED, SALES)(changes) and bool(desk.calls)
    end(first, dying)
    assert desk.given(SALES) == ["1"]
    again = world.poller(inboxes=desk.inboxes())
    again.poll_once()
    assert desk.given(SALES) == ["1", *numbers(1, 5)]
    assert all(world.flags().values())


def test_a_backfill_leaves_mail_alone_that_has_yet_to_be_fetched(world: World, desk: Desk) -> None:
    world.deliver(letter("late", SALES))
    world.wire.spoil(BODIES, without(1), times=2)
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    poller.poll_once()
    poller.add_inbox(desk.inbox(SALES), backfill=True)
    poller.poll_once()
    assert desk.calls == []
    for wait in RETRIES:
        world.clock.advance(wait)
        poller.poll_once()
    assert desk.calls == [(SALES, "late", 1)]


@embedded_only  # what is about threads is the same on every server
def test_inboxes_change_while_the_poller_runs(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    world.run(
        poller,
        lambda: poller.add_inbox(desk.inbox(SALES), backfill=True),
        lambda: poller.remove_inbox(SUPPORT),
        lambda: world.deliver(letter("two", *BOTH)),
        lambda: None,
    )
    assert desk.given(SUPPORT) == ["one"]
    assert desk.given(SALES) == ["one", "two"]


@embedded_only  # who is called is the same on every server
def test_an_inbox_without_a_callback_has_that_of_the_poller(world: World, desk: Desk) -> None:
    world.deliver(letter("one", *BOTH))
    poller = world.poller(desk, inboxes=[Inbox(SUPPORT), Inbox(SALES, world.note)])
    poller.poll_once()
    assert desk.calls == [(SUPPORT, "one", 1)]
    assert world.handed_over == ["one"]


@embedded_only  # who is called is the same on every server
def test_there_may_be_no_inbox_yet(world: World, desk: Desk) -> None:
    poller = world.poller(desk, inboxes=[])
    world.deliver(letter("early", SALES))
    assert poller.poll_once().passed_over == 1
    poller.add_inbox(Inbox(SALES))
    world.deliver(letter("late", SALES))
    poller.poll_once()
    assert desk.given(SALES) == ["late"]
    poller.remove_inbox(SALES)
    poller.add_inbox(Inbox(SALES), backfill=True)
    poller.poll_once()
    assert desk.given(SALES) == ["late", "early"]


# What is refused.


@pytest.mark.parametrize(
    ("options", "word"),
    [
        pytest.param({"inboxes": ()}, "or inboxes must", id="neither callback nor inbox"),
        pytest.param({"inboxes": None}, "or inboxes must", id="no callback at all"),
        pytest.param(
            {"inboxes": [Inbox(SALES)]}, "Inbox.on_message", id="an inbox without a callback"
        ),
        pytest.param(
            {"inboxes": [Inbox(SALES, print), Inbox("Sales@example.com", print)]},
            "each address",
            id="an address twice",
        ),
        pytest.param(
            {"on_message": print, "inboxes": None, "on_unrouted": print},
            "on_unrouted",
            id="unrouted mail where all of it is for one callback",
        ),
        pytest.param({"on_message": print, "accept": 1}, "accept", id="an accept that is none"),
    ],
)
@embedded_only  # nothing is said to it
def test_recipients_that_cannot_be_are_refused(
    world: World, options: dict[str, Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word):
        world.poller(**{"inboxes": (), **options})


@embedded_only  # nothing is said to it
def test_an_accept_that_must_be_awaited_is_refused(world: World, desk: Desk) -> None:
    async def accept(_message: Message) -> bool:
        return True

    with pytest.raises(ConfigurationError, match="coroutine"):
        world.poller(accept=accept)
    with pytest.raises(ConfigurationError, match="coroutine"):
        world.poller(inboxes=[Inbox(SALES, desk, accept)])


@embedded_only  # nothing is said to it
def test_inboxes_that_cannot_be_added_or_removed_are_refused(world: World, desk: Desk) -> None:
    poller = world.poller(inboxes=desk.inboxes(SUPPORT))
    with pytest.raises(ConfigurationError, match="each address"):
        poller.add_inbox(desk.inbox("Support@example.com"))
    with pytest.raises(ConfigurationError, match="address of an inbox"):
        poller.remove_inbox(SALES)
    plain = world.poller(account="another")
    with pytest.raises(ConfigurationError, match="on_message"):
        plain.add_inbox(desk.inbox(SALES))
    with pytest.raises(ConfigurationError, match="on_message"):
        plain.remove_inbox(SALES)
