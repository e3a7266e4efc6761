"""Finding unseen messages by itself: what is asked when, and what is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller, events
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.model import PassOver, PutEntry, SaveMailbox, State
from nornmail.poller import discovery
from nornmail.poller.decisions import DISAGREEMENT_INTERVAL, RECONCILE_INTERVAL, SEARCH_INTERVAL
from nornmail.poller.discovery import Discovery, HeaderReader
from nornmail.poller.ledger import Ledger
from nornmail.uidset import UidSet
from tests.poller.mailbox import FakeMailbox, mail
from tests.stores.support import record
from tests.support.clock import FakeClock


class Scene:
    """A mailbox, and what finds its unseen messages."""

    def __init__(self, ledger: Ledger, clock: FakeClock, told: list[events.Event]) -> None:
        self.ledger, self.clock, self.told = ledger, clock, told
        self.mailbox = FakeMailbox()
        ledger.take()
        ledger.commit(SaveMailbox(record()))
        self.select()

    def select(self) -> None:
        self.discovery = Discovery(self.mailbox.connection, self.ledger)

    def deliver(self, *uids: int) -> None:
        for uid in uids:
            self.mailbox.messages[uid] = (mail(f"m{uid}"), None)

    def expunge(self, *uids: int) -> None:
        for uid in uids:
            del self.mailbox.messages[uid]
            self.mailbox.expunges += 1

    def see(self, uids: str) -> None:
        self.ledger.commit(PassOver(1, UidSet.parse(uids)))

    def unseen(self, after: float = 1.0) -> tuple[str, list[str]]:
        """What is unseen, some seconds later; and the commands that it took."""
        self.clock.advance(after)
        self.mailbox.asked.clear()
        uids = str(self.discovery.unseen())
        return uids, [" ".join(command).strip() for command in self.mailbox.asked]


@pytest.fixture
def scene() -> Iterator[Scene]:
    settings = ImapSettings(host="imap.example.com", username="agent@example.com", password="x")
    clock = FakeClock()
    told: list[events.Event] = []
    with (
        closing(MemoryStateStore()) as store,
        closing(
            Poller(
                settings, store=store, on_message=lambda _: None, clock=clock, on_event=told.append
            )
        ) as poller,
    ):
        yield Scene(poller._ledger, clock, told)


def test_the_first_look_lists_and_the_next_ones_ask_for_what_is_above(scene: Scene) -> None:
    scene.deliver(3, 5)
    assert scene.unseen() == ("3,5", ["list"])
    scene.see("3,5")
    assert scene.unseen() == ("", ["noop"])
    scene.deliver(6)
    assert scene.unseen() == ("6", ["noop", "search 6"])
    assert scene.unseen() == ("6", ["noop"]), "it is counted, and stays unseen until it is seen"
    scene.see("6")
    assert scene.unseen() == ("", ["noop"])
    assert scene.unseen(SEARCH_INTERVAL - 3.0) == ("", ["noop"])
    assert scene.unseen() == ("", ["noop", "search 7"]), "five minutes after the last one"
    scene.expunge(3)
    assert scene.unseen() == ("", ["noop"]), "what is expunged is no disagreement"


def test_what_is_announced_but_not_found_is_listed_less_and_less_often(scene: Scene) -> None:
    scene.deliver(1)
    scene.see("1")
    scene.unseen()
    scene.mailbox.exists_more = 1
    waits = [0.0, DISAGREEMENT_INTERVAL]
    waits += [DISAGREEMENT_INTERVAL * 2.0**number for number in range(1, 8)]
    for wait in waits:
        wait = min(wait, RECONCILE_INTERVAL)
        if wait > 2.0:
            assert scene.unseen(wait - 2.0) == ("", ["noop", "search 2"])
            wait = 2.0
        after = scene.unseen(wait)
        assert after[1][-1] == "list", wait
    scene.mailbox.exists_more = 0
    assert scene.unseen(RECONCILE_INTERVAL) == ("", ["noop", "list"])
    scene.mailbox.exists_more = 1
    assert scene.unseen(1.0) == ("", ["noop", "search 2", "list"]), "it begins anew"


def test_what_a_listing_hid_is_found_within_the_hour_and_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.deliver(1, 2, 4, 5, 7, 9)
    scene.mailbox.hidden = {2, 4, 5, 7}
    assert scene.unseen() == ("1,9", ["list"])
    scene.see("1,9")
    scene.mailbox.exists_more = -4  # nor does it count them
    assert scene.unseen() == ("", ["noop"])
    scene.mailbox.hidden = {7}
    assert scene.unseen(RECONCILE_INTERVAL - 2.0)[1] == ["noop", "search 10"]
    assert scene.unseen() == ("2,4:5", ["noop", "list"])
    assert "3 messages appeared below the highest seen UID: UID 2,4:5" in caplog.messages
    late = [one for one in scene.told if isinstance(one, events.LateListed)]
    assert [(one.uids, one.count) for one in late] == [("2,4:5", 3)]
    scene.unseen(RECONCILE_INTERVAL)
    assert len([one for one in scene.told if isinstance(one, events.LateListed)]) == 1
    scene.deliver(20)
    scene.unseen(RECONCILE_INTERVAL)
    assert len(scene.told) == 1, "what is above is new"


def test_what_is_gone_is_asked_for_again_after_the_next_listing(scene: Scene) -> None:
    scene.deliver(1, 2)
    assert scene.unseen() == ("1:2", ["list"])
    gone = scene.ledger.new_entry(2)._replace(state=State.GONE)
    scene.ledger.commit(PutEntry(gone))
    assert scene.unseen() == ("1", ["noop"])
    assert scene.unseen(RECONCILE_INTERVAL) == ("1:2", ["noop", "list"])


@pytest.mark.parametrize("doubt", [False, True], ids=["in peace", "with an untagged NO"])
def test_when_the_mailbox_is_selected_anew(scene: Scene, doubt: bool) -> None:
    scene.unseen()
    noop = scene.mailbox.noop

    def answered() -> None:
        noop()
        scene.mailbox.untagged_errors += doubt

    scene.mailbox.noop = answered  # type: ignore[method-assign]
    assert not scene.discovery.stale()
    scene.unseen()
    assert scene.discovery.stale() is doubt
    scene.mailbox.noop = noop  # type: ignore[method-assign]
    scene.unseen()
    assert not scene.discovery.stale(), "only the last answer counts"
    scene.clock.advance(RECONCILE_INTERVAL - 4.0)
    assert not scene.discovery.stale()
    scene.clock.advance(1.0)
    assert scene.discovery.stale()
    scene.select()
    assert not scene.discovery.stale()


def test_a_whole_listing_is_compared_with_the_one_before_also_on_another_connection(
    scene: Scene,
) -> None:
    scene.deliver(1, 3)
    scene.unseen()
    scene.see("1,3")
    scene.select()
    scene.deliver(2)
    assert scene.unseen() == ("2", ["list"])
    assert [type(one) for one in scene.told] == [events.LateListed]


# Header blocks


def read(reader: HeaderReader, mailbox: FakeMailbox, uids: str) -> list[int]:
    return [uid for uid, _ in reader.read(mailbox.connection, UidSet.parse(uids))]


REFUSED = CommandRefused("UID FETCH", "NO", "", "not now")


def parts(mailbox: FakeMailbox) -> list[str]:
    made = [uids for _, uids in mailbox.asked]
    mailbox.asked.clear()
    return made


def test_headers_are_read_in_parts_that_shrink_at_the_one_to_blame_and_grow_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery, "HEADERS_AT_ONCE", 4)
    mailbox = FakeMailbox({uid: (mail(f"m{uid}"), None) for uid in range(1, 13)})
    mailbox.headers_of[12] = None
    headers = mailbox.headers

    def answered(uids: UidSet, *, expected_octets: int = 0) -> Any:
        assert expected_octets == 4096 * len(uids)
        found = headers(uids, expected_octets=expected_octets)
        if 3 in uids:
            raise REFUSED
        return found

    mailbox.headers = answered  # type: ignore[method-assign]
    reader = HeaderReader()
    assert read(reader, mailbox, "1:12") == [1, 2, *range(4, 12)]
    assert parts(mailbox) == ["1:4", "1:2", "3:6", "3:4", "3", "4", "5:6", "7:10", "11:12"]
    assert caplog.text.count("the headers of UID 3 cannot be fetched: the server refused") == 1
    assert read(reader, mailbox, "2:4") == [2, 4]
    assert parts(mailbox) == ["2,4"]
    reader.forget()
    assert read(reader, mailbox, "3") == []
    assert parts(mailbox) == ["3"]


def test_a_lost_connection_is_raised_and_the_next_part_is_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery, "HEADERS_AT_ONCE", 4)
    mailbox = FakeMailbox({uid: (mail(f"m{uid}"), None) for uid in range(1, 5)})
    mailbox.fails["headers"] = [ConnectionLost("cut") for _ in range(3)]
    reader = HeaderReader()
    for _ in range(3):
        with pytest.raises(ConnectionLost):
            read(reader, mailbox, "1:4")
    assert parts(mailbox) == ["1:4", "1:2", "1"]
    assert read(reader, mailbox, "1:4") == [2, 3, 4]
    assert parts(mailbox) == ["2", "3:4"]
