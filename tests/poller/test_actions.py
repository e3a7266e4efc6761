"""Flags, deletions and moves by themselves: what the server is asked for handled mail, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller
from nornmail.errors import CommandRefused, ConnectionLost, Throttled
from nornmail.imap.connection import Connection
from nornmail.model import After, PutEntry, SaveMailbox, State
from nornmail.poller import actions as module
from nornmail.poller.actions import Actions
from nornmail.poller.recognition import digest_of
from nornmail.testing.stores import WAYS
from nornmail.uidset import UidSet
from tests.poller.mailbox import FakeMailbox, mail
from tests.stores.support import record
from tests.support.clock import FakeClock

NOW = FakeClock().wall()
REFUSED = CommandRefused("UID STORE", "NO", "", "read-only")


@dataclass
class Server(FakeMailbox):
    """A mailbox that notes what is done to it, and the other mailboxes of its account."""

    capabilities: frozenset[str] = frozenset({"MOVE"})
    others: dict[str, FakeMailbox] = field(default_factory=dict)
    knows_sizes: bool = False
    uidplus: bool = True
    names_copies: bool = True
    opened: int = 0
    deleted: set[int] = field(default_factory=set)
    keeps: set[int] = field(default_factory=set)
    """Messages that are not flagged as deleted, whatever the answer says."""
    reports: dict[str, int] = field(default_factory=dict)

    def _ask(self, command: str, uids: UidSet | str = "") -> None:
        super()._ask(command, uids)
        self.expunges += self.reports.get(command, 0)

    def add_flags(self, uids: UidSet, flags: list[str]) -> None:
        self._ask(f"flag {' '.join(flags)}", uids)
        if self.fails.get("flag"):
            raise self.fails["flag"].pop(0)
        if "\\Deleted" in flags:
            self.deleted.update(set(uids) - self.keeps)

    def expunge(self, uids: UidSet) -> bool:
        self._ask("expunge", uids)
        gone = self.deleted & set(uids) if self.uidplus else set()
        for uid in gone:
            self.messages.pop(uid, None)
        if "expunge" not in self.reports:
            self.expunges += len(gone)
        return self.uidplus

    def move(self, uids: UidSet, target: str) -> None:
        self._ask(f"move to {target}", uids)
        if target not in self.others:
            raise CommandRefused("UID MOVE", "NO", "TRYCREATE", "no such mailbox")

    def copy(self, uids: UidSet, target: str) -> bool:
        self._ask(f"copy to {target}", uids)
        if target not in self.others:
            raise CommandRefused("UID COPY", "NO", "TRYCREATE", "no such mailbox")
        return self.names_copies

    def create(self, target: str) -> None:
        self._ask("create", target)
        self.others[target] = FakeMailbox()

    def mailboxes(self) -> list[str]:
        self._ask("mailboxes")
        return ["INBOX", *self.others]

    def counts(self, mailboxes: list[str]) -> dict[str, object]:
        self._ask("counts", " ".join(mailboxes))
        return {name: object() for name in mailboxes if name in self.others}

    def still_listed(self, uids: UidSet) -> UidSet:
        self._ask("still listed", uids)
        return UidSet.of(uid for uid in uids if uid in self.messages)

    def find_message_id(self, message_id: str) -> UidSet:
        if self.fails.get("find"):
            raise self.fails["find"].pop(0)
        return UidSet.of(
            uid for uid, (raw, _) in self.messages.items() if message_id.encode() in raw
        )

    def examine(self, target: str) -> None:
        self._ask("examine", target)
        self.messages = self.others[target].messages

    def close(self) -> None:
        self._ask("close")


class Scene:
    """Handled messages, and the server that their actions are carried out on."""

    def __init__(self, store: MemoryStateStore, settings: dict[str, Any]) -> None:
        self.clock = FakeClock()
        imap = ImapSettings(
            host="imap.example.com", username="me@example.com", password="x", **settings
        )
        self.poller = Poller(imap, store=store, on_message=lambda _: None, clock=self.clock)
        self.ledger = self.poller._ledger
        self.server = Server()
        self.actions = Actions(self.ledger, imap, self.open_other)
        self.ledger.take()
        self.ledger.commit(SaveMailbox(record()))
        self.other_error: Exception | None = None

    def open_other(self) -> Connection:
        if self.other_error is not None:
            raise self.other_error
        self.server.opened += 1
        other = Server(others=self.server.others, asked=self.server.asked, fails=self.server.fails)
        return cast(Connection, other)

    def know(
        self,
        uid: int,
        state: State = State.HANDLED,
        *,
        inbox: str = "",
        name: str = "",
        after: After | None = None,
        **more: Any,
    ) -> None:
        raw = mail(name or f"m{uid}")
        made = self.ledger.new_entry(uid, inbox)._replace(digest=digest_of(raw), size=len(raw))
        made = made._replace(**{"message_id": f"<{name or f'm{uid}'}@b.test>", **more})
        for step in WAYS[state]:
            reason = after.to_reason() if after and step is State.HANDLED else ""
            self.ledger.commit(PutEntry(made._replace(state=step, reason=reason)))
        self.server.messages[uid] = (raw, None)

    def apply(self) -> list[str]:
        """Carry out what is open; the commands that it took."""
        self.server.asked.clear()
        self.actions.apply(cast(Connection, self.server))
        return [" ".join(command).strip() for command in self.server.asked]

    def look_again(self) -> list[str]:
        """Look for what is to be moved and was not listed; the commands that it took."""
        self.server.asked.clear()
        self.actions.look_again(cast(Connection, self.server))
        return [" ".join(command).strip() for command in self.server.asked]

    def states(self) -> dict[int, str]:
        return {entry.key.uid: str(entry.state) for entry in self.ledger.entries(*State)}

    def settled(self) -> None:
        """As after a poll that left nothing open: no move of before may have been begun."""
        assert self.apply() == []


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    with closing(MemoryStateStore()) as store:
        made = Scene(store, getattr(request, "param", {}))
        with closing(made.poller):
            yield made


def with_settings(**settings: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", [settings], indirect=True, ids=[str(settings)])


@pytest.mark.parametrize(
    ("scene", "commands"),
    [
        ({}, ["flag \\Seen 1:3"]),
        ({"mark_as_read": False}, []),
        (
            {"delete_after_fetch": True},
            ["flag \\Seen \\Deleted 1:2", "expunge 1:2", "flag \\Seen 3"],
        ),
        ({"move_to": "Done"}, ["flag \\Seen 1:3", "move to Done 1:2"]),
        ({"move_to": "Done", "mark_as_read": False}, ["move to Done 1:2"]),
    ],
    indirect=["scene"],
    ids=["read", "nothing", "delete", "move", "move unread"],
)
def test_what_is_done_with_handled_mail(scene: Scene, commands: list[str]) -> None:
    scene.server.others["Done"] = FakeMailbox()
    scene.settled()
    scene.know(1)
    scene.know(2)
    scene.know(3, truncated=True)
    scene.know(4, State.WAITING)
    assert scene.apply() == commands
    assert scene.states() == {1: "finished", 2: "finished", 3: "finished", 4: "waiting"}
    (finished, *_) = scene.ledger.entries(State.FINISHED)
    assert finished.changed_at == scene.clock.wall()
    assert scene.apply() == []


@with_settings(delete_after_fetch=True)
def test_a_message_is_touched_when_all_its_inboxes_are_through_and_none_is_dead(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.settled()
    scene.server.uidplus = False
    for uid, states, truncated in (
        (1, (State.HANDLED, State.HANDLED), (False, False)),
        (2, (State.HANDLED, State.WAITING), (False, False)),
        (3, (State.HANDLED, State.DEAD), (False, False)),
        (4, (State.FINISHED, State.HANDLED), (True, False)),
    ):
        for inbox, state, cut in zip("ab", states, truncated, strict=True):
            scene.know(uid, state, inbox=inbox, truncated=cut)
    assert scene.apply() == ["flag \\Seen \\Deleted 1", "expunge 1", "flag \\Seen 4"]
    assert (
        "the server has no UIDPLUS: UID 1 stays in the mailbox, flagged as deleted" in caplog.text
    )
    finished = {entry.key.uid for entry in scene.ledger.entries(State.FINISHED)}
    assert finished == {1, 3, 4}
    assert [entry.key.uid for entry in scene.ledger.entries(State.HANDLED)] == [2]


@with_settings(delete_after_fetch=True)
def test_what_a_handler_asked_for_is_done_with_its_message_alone(scene: Scene) -> None:
    scene.settled()
    scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    scene.know(2, after=After("Done", ("\\Flagged", "\\Seen")))
    scene.know(3, after=After(None, ("Later",)))
    assert scene.apply() == [
        *("flag \\Seen \\Deleted 1", "expunge 1"),
        *("flag \\Seen \\Flagged 2", "move to Done 2"),
        *("flag \\Seen \\Deleted 3", "expunge 3"),
    ]


@pytest.mark.parametrize(
    "error", [REFUSED, Throttled("too many", kind="connections")], ids=["refused", "no room"]
)
def test_what_is_refused_is_tried_again_less_and_less_often_and_holds_up_no_other(
    scene: Scene, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    scene.settled()
    later = After(None, ("Later",))
    scene.know(1, after=later)
    scene.know(2)
    scene.server.fails["flag \\Seen Later"] = [error] * 3
    assert scene.apply() == ["flag \\Seen 2", "flag \\Seen Later 1"]
    assert scene.states() == {1: "handled", 2: "finished"}
    for number, wait in enumerate((60.0, 120.0, 240.0), 1):
        assert f"mail that was handled is left alone for {wait:.0f} s" in caplog.text
        scene.clock.advance(wait - 1.0)
        scene.know(2 + number)
        assert scene.apply() == [f"flag \\Seen {2 + number}"]
        scene.clock.advance(1.0)
        assert scene.apply() == ["flag \\Seen Later 1"]
    assert scene.states()[1] == "finished"
    scene.know(9, after=later)
    scene.server.fails["flag \\Seen Later"] = [error]
    caplog.clear()
    scene.apply()
    assert "left alone for 60 s" in caplog.text, "it begins anew"


@with_settings(delete_after_fetch=True)
def test_a_message_that_was_removed_in_vain_is_removed_again_and_holds_up_no_other(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.settled()
    scene.know(1)
    scene.know(2)
    scene.server.keeps = {1}
    removal = ["flag \\Seen \\Deleted {}", "expunge {}"]
    assert scene.apply() == [*(line.format("1:2") for line in removal), "still listed 1:2"]
    assert scene.states() == {1: "handled", 2: "finished"}
    assert "UID 1 is still there; mail that was handled is left alone for 60 s" in caplog.text
    scene.know(3)
    assert scene.apply() == [line.format(3) for line in removal]
    scene.clock.advance(60.0)
    assert scene.apply() == [*(line.format(1) for line in removal), "still listed 1"]
    assert "left alone for 120 s" in caplog.text
    scene.clock.advance(120.0)
    scene.server.keeps.clear()
    assert scene.apply() == [line.format(1) for line in removal]
    assert set(scene.states().values()) == {"finished"}
    assert 1 not in scene.server.messages


def test_many_that_are_refused_hold_up_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    scene.settled()
    later = After(None, ("Later",))
    for uid in range(1, 6):
        scene.know(uid, after=later)
    scene.know(6)
    scene.know(7)
    scene.server.fails["flag \\Seen Later"] = [REFUSED]
    assert scene.apply() == ["flag \\Seen Later 1:2", "flag \\Seen 6", "flag \\Seen 7"]
    scene.know(8)
    assert scene.apply() == ["flag \\Seen 8"]
    scene.clock.advance(60.0)
    assert scene.apply() == [
        *("flag \\Seen Later 1:2", "flag \\Seen Later 3:4", "flag \\Seen Later 5")
    ]
    assert set(scene.states().values()) == {"finished"}


def test_what_is_refused_for_all_mail_leaves_all_of_it_alone(scene: Scene) -> None:
    scene.settled()
    scene.server.fails["flag \\Seen"] = [REFUSED]
    scene.know(1)
    assert scene.apply() == ["flag \\Seen 1"]
    scene.know(2, after=After(None, ("Later",)))
    assert scene.apply() == []
    scene.clock.advance(60.0)
    assert scene.apply() == ["flag \\Seen 1", "flag \\Seen Later 2"]


@pytest.mark.parametrize(
    "error", [ConnectionLost("cut"), Throttled("slow", kind="rate")], ids=["lost", "throttled"]
)
def test_what_is_not_confirmed_stays_open(scene: Scene, error: Exception) -> None:
    scene.settled()
    scene.know(1)
    scene.server.fails["flag \\Seen"] = [error]
    with pytest.raises(type(error)):
        scene.apply()
    assert scene.states() == {1: "handled"}
    assert scene.apply() == ["flag \\Seen 1"]


# Moves


@with_settings(move_to="Done", mark_as_read=False)
def test_a_move_without_move_is_a_copy_a_flag_and_an_expunge_to_a_mailbox_that_is_made(
    scene: Scene,
) -> None:
    scene.settled()
    scene.server.capabilities = frozenset()
    scene.know(1)
    assert scene.apply() == [
        *("copy to Done 1", "mailboxes", "counts Done", "create Done", "copy to Done 1"),
        *("flag \\Deleted 1", "expunge 1"),
    ]
    scene.know(2)
    scene.server.fails["copy to Done"] = [REFUSED]
    assert scene.apply() == ["copy to Done 2", "mailboxes"], "it is there: the refusal stands"
    assert scene.states() == {1: "finished", 2: "handled"}


@with_settings(move_to="Done", mark_as_read=False)
def test_after_a_move_that_was_cut_off_the_destination_is_searched_first(scene: Scene) -> None:
    scene.settled()
    done = scene.server.others["Done"] = FakeMailbox()
    for uid in (1, 2, 3):
        scene.know(uid)
    scene.server.fails["move to Done"] = [ConnectionLost("cut")]
    with pytest.raises(ConnectionLost):
        scene.apply()
    done.messages = {
        7: (mail("m1"), None),
        8: (mail("m2", body=b"another body\r\n"), None),
    }
    del scene.server.messages[3]
    assert scene.apply() == [
        *("still listed 1:3", "mailboxes", "examine Done"),
        *("headers 7", "bodies 7", "headers 8", "bodies 8", "close"),
        *("flag \\Deleted 1", "expunge 1", "move to Done 2"),
    ]
    assert scene.states() == {1: "finished", 2: "finished", 3: "handled"}
    scene.know(4)
    assert scene.apply() == ["move to Done 4"], "nothing of before is left"
    assert scene.look_again() == ["still listed 3"]
    assert scene.states()[3] == "handled", "one listing without it does not count"
    scene.clock.advance(module.LOOKED_FOR)
    scene.look_again()
    assert scene.states()[3] == "finished"


@with_settings(move_to="Done", mark_as_read=False)
def test_a_move_that_was_cut_off_and_then_refused_is_searched_for_again(scene: Scene) -> None:
    done = scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    done.messages = {7: (mail("m1"), None)}
    scene.server.fails["flag \\Deleted"] = [REFUSED]
    searched = ["still listed 1", "mailboxes", "examine Done", "headers 7", "bodies 7", "close"]
    assert scene.apply() == [*searched, "flag \\Deleted 1"]
    assert scene.states() == {1: "handled"}
    scene.clock.advance(60.0)
    assert scene.apply() == [*searched, "flag \\Deleted 1", "expunge 1"]
    assert scene.states() == {1: "finished"}


@with_settings(move_to="Done", mark_as_read=False)
def test_a_copy_whose_message_was_removed_in_vain_is_not_made_again(scene: Scene) -> None:
    scene.settled()
    scene.server.capabilities = frozenset({"UIDPLUS"})
    done = scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    scene.server.keeps = {1}
    assert scene.apply()[:3] == ["copy to Done 1", "flag \\Deleted 1", "expunge 1"]
    done.messages = {7: (mail("m1"), None)}
    scene.server.keeps.clear()
    scene.clock.advance(60.0)
    assert [c for c in scene.apply() if "copy" in c or "expunge" in c] == ["expunge 1"]
    assert scene.states() == {1: "finished"}


@with_settings(move_to="Done", mark_as_read=False)
@pytest.mark.parametrize("copied", [True, False])
def test_a_message_whose_copy_is_not_confirmed_is_removed_only_where_the_copy_is_found(
    scene: Scene, copied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene.settled()
    scene.server.capabilities = frozenset({"UIDPLUS"})
    scene.server.names_copies = False
    done = scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    if copied:
        done.messages = {7: (mail("m1"), None)}
    assert ("expunge 1" in scene.apply()) is copied
    assert scene.states() == {1: "finished" if copied else "handled"}
    assert ("UID 1 is not in Done" in caplog.text) is not copied
    scene.server.names_copies = True
    scene.clock.advance(60.0)
    scene.apply()
    assert scene.states() == {1: "finished"}


@with_settings(move_to="Done", mark_as_read=False)
@pytest.mark.parametrize("cut_off", [True, False], ids=["cut off", "not reported"])
@pytest.mark.parametrize("by", ["MOVE", "COPY", "COPY, and a listing hides it"])
def test_a_move_that_was_completed_is_found_done_by_the_next_poll(
    scene: Scene, by: str, cut_off: bool
) -> None:
    scene.settled()
    scene.server.capabilities = frozenset({"UIDPLUS", by})
    scene.server.reports = {} if cut_off else {"expunge": 0}
    command = "move to Done" if by == "MOVE" else "copy to Done"
    scene.server.exists_more = "hides" in by
    done = scene.server.others["Done"] = FakeMailbox()
    scene.know(1, name="same")
    scene.know(2, name="same")
    if cut_off:
        scene.server.fails[command] = [ConnectionLost("cut")]
        with pytest.raises(ConnectionLost):
            scene.apply()
        del scene.server.messages[2]  # and the other one was not moved
    else:
        scene.server.messages.clear()
    done.messages = {uid: (mail("same"), None) for uid in ((7,) if cut_off else (7, 8))}
    moved = [line for line in scene.apply() if line.startswith(command)]
    assert moved == ([f"{command} 1"] if cut_off else [f"{command} 1:2"])
    state = "handled" if "hides" in by else "finished"
    assert scene.states() == {1: "finished" if cut_off else state, 2: state}


@with_settings(move_to="Done", mark_as_read=False)
def test_a_message_that_is_listed_again_is_moved(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    hidden = scene.server.messages.pop(1)
    assert scene.apply() == ["still listed 1", "mailboxes", "examine Done", "close"]
    scene.server.fails["still listed"] = [REFUSED]
    assert scene.look_again() == ["still listed 1"]
    assert "UID 1 is searched for the next time" in caplog.text
    scene.server.messages[1] = hidden
    commands = scene.look_again()
    assert commands[:3] == ["still listed 1", "still listed 1", "mailboxes"]
    assert commands[-1] == "move to Done 1"
    assert scene.states() == {1: "finished"}
    assert scene.look_again() == []


@with_settings(move_to="Done", mark_as_read=False)
@pytest.mark.parametrize(
    ("reported", "reported_late", "state"),
    [(2, 0, "finished"), (0, 2, "finished"), (1, 0, "handled")],
    ids=["at once", "at the next command", "one is not"],
)
@pytest.mark.parametrize("move", ["MOVE", "COPY"])
def test_a_move_is_done_when_all_are_reported_as_expunged(
    scene: Scene, move: str, reported: int, reported_late: int, state: str
) -> None:
    scene.settled()
    scene.server.capabilities = frozenset({"UIDPLUS", move})
    scene.server.others["Done"] = FakeMailbox()
    scene.server.reports = {
        "move to Done" if move == "MOVE" else "expunge": reported,
        "still listed": reported_late,
    }
    scene.know(1)
    scene.know(2)
    scene.server.messages.clear()
    scene.apply()
    assert scene.states() == {1: state, 2: state}


@with_settings(move_to="Done", mark_as_read=False)
def test_each_message_of_the_destination_stands_for_one(scene: Scene) -> None:
    done = scene.server.others["Done"] = FakeMailbox()
    for uid in (1, 2, 3):
        scene.know(uid, name="same", state=State.HANDLED if uid > 1 else State.FINISHED)
    del scene.server.messages[1]
    done.messages = {uid: (mail("same"), None) for uid in (7, 8)}
    assert [command for command in scene.apply() if "flag" in command or "move" in command] == [
        "flag \\Deleted 2", "move to Done 3",
    ]  # fmt: skip


@with_settings(move_to="Done", mark_as_read=False)
def test_a_message_that_is_finished_for_another_inbox_is_no_other_message(scene: Scene) -> None:
    scene.know(1, State.FINISHED, inbox="a")  # as the one in b was dead, until it was retried
    scene.know(1, State.HANDLED, inbox="b")
    scene.server.others["Done"] = FakeMailbox({7: (mail("m1"), None)})
    assert scene.apply()[-2:] == ["flag \\Deleted 1", "expunge 1"]


@with_settings(move_to="Done", mark_as_read=False)
@pytest.mark.parametrize(
    ("case", "moved"),
    [
        ("no destination", True),
        ("no digest", True),
        ("by size", False),
        ("another size", True),
        ("a refused search", False),
        ("no header", True),
        ("no body", True),
        ("too far back", True),
    ],
)
def test_how_a_copy_is_recognised(
    scene: Scene, case: str, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = FakeMailbox({7: (mail("m1"), None)})
    if case != "no destination":
        scene.server.others["Done"] = done
    more: dict[str, Any] = {"digest": None} if case == "no digest" else {}
    if case in ("by size", "another size"):
        more["message_id"] = ""
    scene.know(1, **more)
    if case == "another size":
        done.messages[7] = (mail("m1", body=b"more\r\n" * 9), None)
    if case == "a refused search":
        scene.server.fails["find"] = [REFUSED]
    if case == "too far back":
        monkeypatch.setattr(module, "RECENT_COPIES", 1)
        done.messages[8] = (mail("m1", body=b"other\r\n"), None)
    for name, answers in (("no header", "headers_of"), ("no body", "bodies_of")):
        if case == name:
            opened = scene.open_other

            def other(answers: str = answers, opened: Any = opened) -> Connection:
                connection = opened()
                vars(connection)[answers] = {7: None}
                return cast(Connection, connection)

            scene.actions._open_other = other
    commands = scene.apply()
    assert ("move to Done 1" in commands) is moved
    assert ("flag \\Deleted 1" in commands) is not moved
    assert commands.count("close") == 1


@with_settings(move_to="Done", mark_as_read=False)
def test_what_an_earlier_epoch_left_open_is_searched_for_until_it_is_forgotten(
    scene: Scene,
) -> None:
    scene.server.others["Done"] = FakeMailbox()
    scene.know(1)
    second = record(2)
    scene.ledger.commit(SaveMailbox(second._replace(epoch=second.epoch._replace(begun_at=NOW))))
    assert scene.apply() == []
    scene.know(5, delivery_id="of an earlier epoch")
    scene.know(6)
    commands = scene.apply()
    assert commands[0] == "still listed 5", "the other was not begun before"
    assert commands[-1] == "move to Done 5:6"
    scene.look_again()
    assert scene.states() == {1: "handled", 5: "finished", 6: "finished"}
    scene.clock.advance(module.LOOKED_FOR)
    scene.look_again()
    assert scene.states() == {1: "finished", 5: "finished", 6: "finished"}


def test_many_are_acted_on_in_parts(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    scene.settled()
    for uid in range(1, 6):
        scene.know(uid)
    assert scene.apply() == ["flag \\Seen 1:2", "flag \\Seen 3:4", "flag \\Seen 5"]
    scene.know(6)
    scene.ledger.commit(SaveMailbox(record(2)))
    scene.look_again()
    assert set(scene.states().values()) == {"finished"}
