"""Several mailboxes of one account, with one connection between them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from nornmail import ImapSettings, MemoryStateStore, Message, PollerGroup
from nornmail.imap.connection import LIST_STATUS
from nornmail.poller import group as group_module
from nornmail.poller.status import PollerState
from nornmail.settings.providers import UNKNOWN
from nornmail.testing import MailServer
from tests.poller.life.harness import PASSWORD, SECONDS, USER, Gate, mail, names_of

BOXES = ("INBOX", "Orders", "Post/Grüße", "50% off*")


class Desk:
    """An account with four mailboxes, and what arrived in them.

    Attributes:
        seen: the mailbox and subject of each message, as they were handled.
    """

    def __init__(self, server: MailServer) -> None:
        self.server = server
        self.seen: Counter[tuple[str, str]] = Counter()
        server.add_user(USER, PASSWORD)
        for box in BOXES[1:]:
            server.create_mailbox(box, user=USER)
        self.group = PollerGroup(
            MemoryStateStore(),
            threads=4,
            connects_per_second=1_000,
            connects_per_host=1_000,
            on_message=self.handle,
        )

    def settings(self, box: str, **changes: Any) -> ImapSettings:
        values: dict[str, Any] = {
            "host": self.server.host,
            "port": self.server.imap_port,
            "use_ssl": False,
            "username": USER,
            "password": PASSWORD,
            "mailbox": box,
            "poll_interval": 0.1,
        }
        return ImapSettings(**{**values, **changes})

    def add_all(self, **changes: Any) -> None:
        for box in BOXES:
            self.group.add(self.settings(box, **changes))

    def handle(self, message: Message) -> None:
        assert message.ref is not None
        self.seen[message.ref.mailbox, message.subject] += 1

    def deliver(self, box: str, subject: str) -> None:
        self.server.deliver(mail(subject), user=USER, mailbox=box)

    def commands(self) -> Counter[str]:
        """How often each command was sent."""
        return Counter(line.split()[1].decode("ascii") for line in self.server.commands)


@pytest.fixture
def desk() -> Iterator[Desk]:
    with MailServer() as server:
        desk = Desk(server)
        try:
            yield desk
        finally:
            desk.group.stop()
    assert names_of(threading.enumerate()) == []


def until(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never was so")


@pytest.mark.parametrize("listed", [False, True], ids=["STATUS", "LIST-STATUS"])
def test_mailboxes_share_a_connection_and_those_with_news_are_selected(
    desk: Desk, listed: bool
) -> None:
    look = "LIST" if listed else "STATUS"
    if listed:
        desk.server.capabilities |= LIST_STATUS
    desk.add_all()
    for box in BOXES:
        desk.deliver(box, "one")
    with desk.group:
        until(lambda: len(desk.seen) == 4)
        until(lambda: desk.commands()[look] > 10)
        before = desk.commands()
        desk.deliver(BOXES[2], "two")
        until(lambda: desk.seen[BOXES[2], "two"])
        until(lambda: (desk.commands() - before)[look] > 10)
        commands = desk.commands() - before
    assert desk.seen == Counter([(box, "one") for box in BOXES] + [(BOXES[2], "two")])
    assert desk.server.connections == 1
    # Its messages, the flag that was set, and no more.
    assert commands["SELECT"] <= 3
    # A name with wildcards is not asked for by LIST.
    assert bool(commands["LIST"]) == listed


def test_a_callback_that_takes_its_time_holds_up_no_other_mailbox(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "OWN_AFTER", 0.2)
    gate = Gate("slow")
    desk.group.add(desk.settings(BOXES[0]), on_message=gate)
    for box in BOXES[1:3]:
        desk.group.add(desk.settings(box))
    with desk.group:
        until(lambda: all(s.state == PollerState.IDLE for s in desk.group.status().values()))
        desk.deliver(BOXES[0], "slow")
        assert gate.reached.wait(SECONDS)
        for box in BOXES[1:3]:
            desk.deliver(box, "quick")
        until(lambda: len(desk.seen) == 2)
        gate.go.set()
        until(lambda: len(gate.seen) == 1)
        desk.deliver(BOXES[0], "after")
        desk.deliver(BOXES[1], "after")
        until(lambda: len(gate.seen) == 2 and len(desk.seen) == 3)
        until(lambda: desk.server.live_connections == 1)
    assert set(desk.seen.values()) == {1}


def test_no_more_connections_are_made_than_the_provider_permits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "OWN_AFTER", 0.1)
    monkeypatch.setattr(group_module, "provider_of", lambda _: replace(UNKNOWN, connections=2))
    gates = [Gate("slow"), Gate("slow")]
    for box, gate in zip(BOXES, gates, strict=False):
        desk.group.add(desk.settings(box), on_message=gate)
        desk.deliver(box, "slow")
    for box in BOXES[2:]:
        desk.group.add(desk.settings(box))
        desk.deliver(box, "quick")
    with desk.group:
        for gate in gates:  # one on the connection that is shared, one on its own
            assert gate.reached.wait(SECONDS)
        looked = threading.Event()
        assert not looked.wait(0.5)
        assert desk.server.connections == 2
        gates[0].go.set()
        gates[1].go.set()
        until(lambda: len(desk.seen) == 2)
        until(lambda: desk.server.live_connections == 1)
    assert set(desk.seen.values()) == {1}


def test_a_lost_connection_is_made_once_for_all(desk: Desk) -> None:
    desk.add_all()
    with desk.group:
        until(lambda: all(s.last_poll_at for s in desk.group.status().values()))
        desk.server.stop()
        desk.server.start()
        for box in BOXES:
            desk.deliver(box, "one")
        until(lambda: len(desk.seen) == 4)
    assert desk.server.connections == 2
    assert set(desk.seen.values()) == {1}


def test_a_refused_login_is_tried_once_for_all(desk: Desk) -> None:
    desk.add_all(password="wrong")
    with desk.group:
        failed = {PollerState.AUTH_FAILED}
        until(lambda: {s.state for s in desk.group.status().values()} == failed)
    assert desk.server.connections == 1


def test_a_mailbox_that_is_missing_costs_the_others_nothing(desk: Desk) -> None:
    desk.add_all()
    desk.group.add(desk.settings("Nowhere"))
    with desk.group:
        account = desk.settings("INBOX").account
        until(lambda: desk.group.poller(account, "Nowhere").status().state == PollerState.BACKOFF)
        for box in BOXES:
            desk.deliver(box, "one")
        until(lambda: len(desk.seen) == 4)
    assert desk.server.connections == 1


def test_a_mailbox_that_is_made_anew_is_looked_at_again(desk: Desk) -> None:
    desk.add_all()
    with desk.group:
        for box in BOXES:
            desk.deliver(box, "one")
        until(lambda: len(desk.seen) == 4)
        until(lambda: desk.commands()["STATUS"] > 10)
        desk.server.mailbox(
            BOXES[1], user=USER
        ).reset_uid_validity()  # its messages and UIDs as they were
        before = desk.commands()["SELECT"]
        until(lambda: desk.commands()["SELECT"] > before)
        desk.deliver(BOXES[1], "two")
        until(lambda: desk.seen[BOXES[1], "two"])
    assert desk.seen[BOXES[1], "one"] == 1


def test_sync_and_the_last_mailbox_that_is_left(desk: Desk) -> None:
    desk.add_all(poll_interval=3_600)
    with desk.group:
        account = desk.settings("INBOX").account
        pollers = [desk.group.poller(account, box) for box in BOXES]
        assert [poller.sync() for poller in pollers] == [0, 0, 0, 0]
        for box in BOXES:
            desk.deliver(box, "one")
        assert [poller.sync() for poller in pollers] == [1, 1, 1, 1]
        for box in BOXES[1:]:
            desk.group.remove(account, box)
        desk.deliver("INBOX", "two")
        assert pollers[0].sync() == 1
        desk.group.replace(desk.settings("INBOX", poll_interval=0.1))
        desk.deliver("INBOX", "three")
        until(lambda: desk.seen["INBOX", "three"])
        assert desk.server.live_connections == 1
    assert set(desk.seen.values()) == {1}
