r"""What becomes of handled mail on the server: deleted or moved, and nothing of others touched."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from nornmail import ConnectionLost, Message
from nornmail.model import State
from nornmail.testing import faults
from tests.poller.delivery.harness import (
    World,
    embedded_only,
    failing_at,
    numbered,
    numbers,
    poll_in_spite_of,
)

FOREIGN = "somebody else's"
WITHOUT = [
    pytest.param((), id="with MOVE"),
    pytest.param(("MOVE",), id="with COPY and UID EXPUNGE"),
]
TARGETS = [
    pytest.param("Done", "Done", id="a plain name"),
    pytest.param("Erledigt später", "Erledigt sp&AOQ-ter", id="spaces and umlauts"),
    pytest.param("日本", "&ZeVnLA-", id="Japanese"),
    pytest.param('a "quoted" & name', 'a "quoted" &- name', id="quotes and an ampersand"),
]


def test_handled_mail_is_deleted_and_others_deleted_mail_is_spared(world: World) -> None:
    world.deliver("one", "two")
    world.deliver(FOREIGN, flags=("\\Deleted",))
    poller = world.poller(failing_at(world, FOREIGN), delete_after_fetch=True)
    assert poller.poll_once().handled == 2
    assert world.flags() == {FOREIGN: {"\\Deleted"}}
    assert world.states()[State.FINISHED] == 2


def test_what_others_mark_as_deleted_while_we_delete_is_spared(world: World) -> None:
    world.deliver("one", "two", FOREIGN)
    world.wire.call("EXPUNGE", lambda: world.others.set_flags(3, ("\\Deleted",), "INBOX"))
    world.poller(failing_at(world, FOREIGN), delete_after_fetch=True).poll_once()
    assert world.flags() == {FOREIGN: {"\\Deleted"}}


def test_without_uidplus_handled_mail_stays_flagged_and_the_log_says_so(world: World) -> None:
    world.wire.hide("UIDPLUS", "MOVE")
    world.deliver("one", "two")
    world.deliver(FOREIGN, flags=("\\Deleted",))
    poller = world.poller(failing_at(world, FOREIGN), delete_after_fetch=True)
    poller.poll_once()
    poller.close()
    assert world.flags() == {
        "one": {"\\Seen", "\\Deleted"},
        "two": {"\\Seen", "\\Deleted"},
        FOREIGN: {"\\Deleted"},
    }
    assert world.wire.count("EXPUNGE|CLOSE") == 0
    assert any("has no UIDPLUS: UID 1:2 stays" in line for line in world.logged(logging.WARNING))
    assert world.poller(delete_after_fetch=True).poll_once().new == 0


def test_without_uidplus_a_move_leaves_the_original_flagged(world: World) -> None:
    world.wire.hide("UIDPLUS", "MOVE")
    world.deliver("one")
    world.deliver(FOREIGN, flags=("\\Deleted",))
    world.poller(failing_at(world, FOREIGN), move_to="Done").poll_once()
    assert world.flags() == {"one": {"\\Seen", "\\Deleted"}, FOREIGN: {"\\Deleted"}}
    assert list(world.flags("Done")) == ["one"]


@pytest.mark.parametrize("without", WITHOUT)
@pytest.mark.parametrize(("name", "on_the_wire"), TARGETS)
def test_handled_mail_is_moved_to_a_mailbox_that_is_made_for_it(
    world: World, name: str, on_the_wire: str, without: tuple[str, ...]
) -> None:
    if without:
        world.wire.hide(*without)
    world.deliver(*numbered(1, 5))
    world.deliver(FOREIGN, flags=("\\Deleted",))
    poller = world.poller(failing_at(world, FOREIGN), move_to=name)
    poller.poll_once()
    assert world.flags() == {FOREIGN: {"\\Deleted"}}
    assert world.flags(on_the_wire) == {number: {"\\Seen"} for number in numbers(1, 5)}
    world.deliver("6")
    poller.poll_once()
    assert list(world.flags(on_the_wire)) == numbers(1, 6)
    assert world.wire.count("^CREATE") == 1


def test_handled_mail_is_moved_to_a_mailbox_that_is_there(world: World) -> None:
    world.others.create("Done")
    world.deliver("earlier", mailbox="Done")
    world.deliver("one")
    world.poller(move_to="Done").poll_once()
    assert world.flags() == {}
    assert list(world.flags("Done")) == ["earlier", "one"]
    assert world.wire.count("^CREATE") == 0


def test_unread_mail_is_moved_unread_with_mark_as_read_off(world: World) -> None:
    world.deliver("one")
    world.poller(move_to="Done", mark_as_read=False).poll_once()
    assert world.flags("Done") == {"one": set()}


@pytest.mark.parametrize("done", [False, True], ids=["before it arrived", "once it was done"])
@pytest.mark.parametrize(
    ("command", "without"),
    [
        pytest.param("UID MOVE", (), id="MOVE"),
        pytest.param("UID COPY", ("MOVE",), id="COPY"),
        pytest.param(r"STORE .*Deleted", ("MOVE",), id="the flag"),
        pytest.param("UID EXPUNGE", ("MOVE",), id="the expunge"),
    ],
)
def test_a_move_that_is_cut_off_leaves_one_copy(
    world: World, command: str, without: tuple[str, ...], done: bool
) -> None:
    if without:
        world.wire.hide(*without)
    world.others.create("Done")
    world.deliver(*numbered(1, 5))
    world.wire.cut(command, done=done)
    poll_in_spite_of(world.poller(move_to="Done"), ConnectionLost)
    assert world.wire.pending == []
    assert world.handed_over == numbers(1, 5)
    assert world.flags() == {}
    assert [message.raw for message in world.stored("Done")] == numbered(1, 5)


@embedded_only
def test_a_destination_that_no_listing_names_is_searched_after_a_move_that_was_cut_off(
    world: World,
) -> None:
    assert world.server is not None
    world.server.capabilities.discard("MOVE")
    world.server.create_mailbox("Done")
    unnamed = faults.Rewrite("LIST", lambda answer: answer.replace(b"Done", b"Other"), times=None)
    world.server.faults.add(faults.Cut("UID COPY"), unnamed)
    world.deliver(*numbered(1, 3))
    poll_in_spite_of(world.poller(move_to="Done"), ConnectionLost)
    world.server.faults.clear()
    assert world.flags() == {}
    assert [message.raw for message in world.stored("Done")] == numbered(1, 3)


@embedded_only
@pytest.mark.parametrize("listings", [1, 2, 3])
@pytest.mark.parametrize("without", WITHOUT)
def test_a_move_that_is_cut_off_is_done_when_listings_hide_the_message_for_a_while(
    world: World, without: tuple[str, ...], listings: int
) -> None:
    assert world.server is not None
    world.server.capabilities -= set(without)
    world.deliver(*numbered(1, 3))
    cut = "UID EXPUNGE" if without else "UID MOVE"
    world.server.faults.add(faults.Cut(cut, before=True, times=3))
    poller = world.poller(move_to="Done")
    with pytest.raises(ConnectionLost):
        poller.poll_once()
    world.server.faults.add(faults.HideUid(2, times=listings))
    for _ in range(4):
        poll_in_spite_of(poller, ConnectionLost)
    assert world.flags() == {}
    assert sorted(world.flags("Done")) == numbers(1, 3)
    assert world.handed_over == numbers(1, 3)
    assert world.states() == {State.FINISHED: 3}


@embedded_only
def test_a_move_that_is_cut_off_is_done_in_the_epoch_in_which_the_message_comes_back(
    world: World,
) -> None:
    assert world.server is not None
    world.deliver("one")
    poller = world.poller(move_to="Done")
    world.server.faults.add(faults.Cut("UID MOVE", before=True, times=3))
    with pytest.raises(ConnectionLost):
        poller.poll_once()
    world.server.mailbox("INBOX").reset_uid_validity()
    world.server.kick()
    world.server.faults.add(faults.HideUid(times=None))
    poll_in_spite_of(poller, ConnectionLost)
    assert world.states() == {State.HANDLED: 1}
    world.server.faults.clear()
    world.clock.advance(3601)
    poll_in_spite_of(poller, ConnectionLost)
    assert world.flags() == {}
    assert world.flags("Done") == {"one": {"\\Seen"}}
    assert world.states() == {State.FINISHED: 1}
    assert world.handed_over == ["one"]


@pytest.mark.parametrize("without", WITHOUT)
def test_a_move_that_was_done_and_cut_off_is_found_done_in_the_destination(
    world: World, without: tuple[str, ...]
) -> None:
    world.wire.hide(*without)
    world.others.create("Done")
    world.deliver("one", "two")
    world.wire.cut("UID EXPUNGE" if without else "UID MOVE", done=True)
    poll_in_spite_of(world.poller(move_to="Done"), ConnectionLost)
    assert world.states() == {State.FINISHED: 2}
    assert list(world.flags("Done")) == ["one", "two"]


def test_a_message_whose_move_was_not_seen_done_is_looked_for_an_hour(world: World) -> None:
    world.wire.hide("MOVE")
    world.others.create("Done")
    world.deliver("one", "two")
    world.wire.cut("UID EXPUNGE", done=True)

    def take_the_copies_away() -> None:
        for uid in (1, 2):
            world.others.expunge(uid, "Done")

    world.wire.call("EXAMINE", take_the_copies_away)
    poller = world.poller(move_to="Done")
    poll_in_spite_of(poller, ConnectionLost)
    poller.poll_once()
    assert world.states() == {State.HANDLED: 2}
    world.deliver("three")
    poller.poll_once()
    assert world.states() == {State.HANDLED: 2, State.FINISHED: 1}
    world.clock.advance(3601)
    poll_in_spite_of(poller, ConnectionLost)
    assert world.states() == {State.FINISHED: 3}
    assert any("no longer in the mailbox" in line for line in world.logged(logging.INFO))
    assert list(world.flags("Done")) == ["three"]
    assert world.handed_over == ["one", "two", "three"]


@pytest.mark.parametrize("done", [False, True], ids=["before it arrived", "once it was done"])
@pytest.mark.parametrize("command", ["STORE", "UID EXPUNGE"])
def test_a_deletion_that_is_cut_off_is_done_again(world: World, command: str, done: bool) -> None:
    world.deliver(*numbered(1, 5))
    world.wire.cut(command, done=done, times=2)
    poll_in_spite_of(world.poller(delete_after_fetch=True), ConnectionLost)
    assert world.wire.pending == []
    assert world.handed_over == numbers(1, 5)
    assert world.flags() == {}
    assert world.states() == {State.FINISHED: 5}


@pytest.mark.parametrize("without", WITHOUT)
@pytest.mark.parametrize("answer", [b"NO [OVERQUOTA] full", b"BAD no"], ids=["NO", "BAD"])
def test_a_move_that_is_refused_leaves_the_mail_and_is_tried_again(
    world: World, answer: bytes, without: tuple[str, ...]
) -> None:
    if without:
        world.wire.hide(*without)
    world.others.create("Done")
    world.deliver("one")
    world.wire.refuse("UID (MOVE|COPY)", answer)
    poller = world.poller(move_to="Done")
    poller.poll_once()
    assert list(world.flags()) == ["one"]
    assert world.flags("Done") == {}
    world.clock.advance(60)
    poller.poll_once()
    assert world.flags() == {}
    assert list(world.flags("Done")) == ["one"]
    assert world.handed_over == ["one"]


def test_mail_whose_handler_fails_is_not_touched_until_it_succeeds(world: World) -> None:
    world.deliver("one", "bad")
    handler = failing_at(world, "bad")
    poller = world.poller(handler, delete_after_fetch=True)
    poller.poll_once()
    assert world.flags() == {"bad": set()}
    handler.fails = lambda _: False
    world.clock.advance(60)
    poller.poll_once()
    assert world.flags() == {}
    assert world.handed_over == ["one", "bad"]


def test_mail_that_others_removed_before_it_was_flagged_is_no_trouble(world: World) -> None:
    world.deliver("one", "two")
    world.wire.call("STORE", lambda: world.others.expunge(1, "INBOX"))
    poller = world.poller(delete_after_fetch=True)
    poller.poll_once()
    assert poller.poll_once().new == 0
    assert world.flags() == {}
    assert world.states() == {State.FINISHED: 2}


def test_a_handler_says_what_becomes_of_its_message(world: World) -> None:
    def handle(message: Message) -> None:
        world.note(message)
        if message.subject == "moved":
            message.after(move_to=world.backend.prefix + "Later", flags=["\\Flagged"])
        if message.subject == "flagged":
            message.after(move_to=world.backend.prefix + "Nowhere")
            message.after(flags=["\\Flagged", "Todo"])  # this replaces what was asked before

    world.deliver("plain", "moved", "flagged")
    world.poller(handle).poll_once()
    flags = world.flags()
    assert flags.keys() == {"plain", "flagged"}
    assert flags["plain"] == {"\\Seen"}
    assert {"\\Seen", "\\Flagged"} <= flags["flagged"]
    (moved,) = world.stored("Later")
    assert moved.flags >= {"\\Seen", "\\Flagged"}
    assert world.states() == {State.FINISHED: 3}


@embedded_only  # it says nothing about the server
def test_what_a_handler_asked_for_outlives_the_connection_and_the_process(world: World) -> None:
    def handle(message: Message) -> None:
        message.after(flags=["\\Flagged"])
        if message.attempt == 1:
            raise ValueError("a handler that fails asks for nothing")

    world.deliver("one")
    first = world.poller(handle)
    first.poll_once()
    assert world.flags() == {"one": frozenset()}
    assert world.server is not None
    world.server.faults.add(faults.Cut("UID STORE", before=True, times=None))
    world.clock.advance(60)
    with pytest.raises(ConnectionLost):
        first.poll_once()
    assert world.states() == {State.HANDLED: 1}
    first.close()
    world.server.faults.clear()
    world.poller(lambda _: None).poll_once()
    assert world.flags() == {"one": {"\\Seen", "\\Flagged"}}


@embedded_only
def test_a_request_that_is_refused_holds_up_no_other_mail(world: World) -> None:
    def handle(message: Message) -> None:
        if message.subject == "odd":
            message.after(flags=["Odd"])

    assert world.server is not None
    world.server.faults.add(faults.Answer("UID STORE", b"NO not here", on_nth=2))
    world.deliver("odd", "two", "three")
    world.poller(handle).poll_once()
    assert world.flags() == {"odd": frozenset(), "two": {"\\Seen"}, "three": {"\\Seen"}}


@embedded_only
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"move_to": "inbox"}, "move_to"),
        ({"move_to": ""}, "move_to"),
        ({"move_to": "x\r\ny"}, "move_to"),
        ({"flags": ["\\Deleted"]}, "flags"),
        ({"flags": ["two words"]}, "flags"),
    ],
    ids=["the same mailbox", "no mailbox", "two lines", "a deletion", "no flag"],
)
def test_what_cannot_be_done_is_refused_in_the_handler(
    world: World, asked: dict[str, Any], says: str
) -> None:
    world.deliver("one")
    poller = world.poller(lambda message: message.after(**asked))
    assert poller.poll_once().failed == 1
    (entry,) = world.entries()
    assert says in entry.reason
