"""What was settled long ago is removed from the store, and is not delivered again (rule 15)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nornmail import ConfigurationError, ImapSettings, Inbox, RetryPolicy
from nornmail.imap.connection import Connection
from nornmail.imap.results import FetchedBody
from nornmail.model import State
from nornmail.poller import cycle, fetch
from nornmail.poller.discovery import HeaderReader
from nornmail.testing import faults
from nornmail.uidset import UidSet
from tests.poller.delivery.harness import World, embedded_only, failing_at, numbers
from tests.poller.delivery.wire import HEADERS, SUMMARIES

DAY = 86_400.0


def uids(world: World) -> list[int]:
    (mailbox,) = world.store.mailboxes()
    return [entry.key.uid for entry in world.store.entries(mailbox, set(State))]


def test_old_entries_go_and_nothing_is_delivered_again(world: World) -> None:
    world.deliver("one", "bad", "three")
    poller = world.poller(failing_at(world, "bad"), retention=30)
    poller.poll_once()
    world.clock.advance(29 * DAY)
    poller.poll_once()
    assert len(uids(world)) == 3
    world.clock.advance(2 * DAY)
    world.deliver("four")
    assert poller.poll_once().new == 1
    assert world.handed_over.count("one") == 1
    assert [world.entry(name).state for name in ("bad", "four")] == [State.WAITING, State.FINISHED]
    assert len(uids(world)) == 2
    poller.close()
    again = world.poller(retention=30)
    assert again.poll_once().new == 0


def test_under_a_new_uidvalidity_what_was_forgotten_counts_as_known(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nornmail.poller")
    world.deliver("one", "bad", "three")
    handler = failing_at(world, "bad")
    poller = world.poller(handler, retention=30)
    poller.poll_once()
    world.clock.advance(31 * DAY)
    poller.poll_once()
    poller.close()
    world.deliver("four")
    world.restore()
    poller = world.poller(handler, retention=30)
    assert poller.poll_once().new == 1
    assert world.handed_over == ["one", "three", "four"]
    assert world.entry("bad").state is State.WAITING
    assert "1 messages are older than what the store keeps (retention)" in caplog.text


def undated(answer: bytes) -> bytes:
    return re.sub(rb'INTERNALDATE "[^"]*" ?', b"", answer)


@pytest.mark.parametrize(
    ("answers", "polls"),
    [
        (1, ["four"]),
        (2, ["four"]),
        (3, ["four"]),
        (4, ["", "four"]),
        (5, ["", "four"]),
        (99, ["", "one four"]),
    ],
    ids=[
        *("with the headers", "and once more", "and before it is fetched", "in four answers"),
        *("in the first of the next poll as well", "in all: each but the latest may be new"),
    ],
)
def test_forgotten_mail_counts_as_known_where_the_server_leaves_out_its_date(
    world: World, answers: int, polls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    world.deliver("one", "two")
    poller = world.poller(retention=30)
    poller.poll_once()
    world.clock.advance(31 * DAY)
    poller.poll_once()
    poller.close()
    world.deliver("four")
    world.restore()
    world.seen.clear()
    poller = world.poller(retention=30)
    world.wire.spoil(f"{HEADERS}|{SUMMARIES}", undated, times=answers)
    for expected in polls:
        poller.poll_once()
        assert " ".join(world.handed_over) == expected
        assert ("requested again in 60 s" in caplog.text) is (len(polls) > 1)
        world.clock.advance(fetch.UNDATED_WAIT)
    assert all(message.attempt == 1 for message in world.seen)
    assert poller.poll_once().new == 0


def test_mail_of_the_future_takes_no_mail_of_the_present_along(world: World) -> None:
    world.deliver("one", date=world.clock.wall() - DAY)
    world.deliver("of the future", date=world.clock.wall() + 1_000 * DAY)
    poller = world.poller(retention=30)
    poller.poll_once()
    world.clock.advance(31 * DAY)
    poller.poll_once()
    poller.close()
    world.deliver("four")
    world.restore()
    poller = world.poller(retention=30)
    assert poller.poll_once().new == 1
    assert world.handed_over == ["one", "of the future", "four"]


@pytest.mark.parametrize(
    "dated", [True, False], ids=["with its date", "without its date, which the server left out"]
)
def test_a_backfill_at_each_start_repeats_nothing_that_was_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch, dated: bool
) -> None:
    """As ``nornmail serve`` asks for it again at each start."""
    read = HeaderReader.read

    def read_undated(
        reader: HeaderReader, connection: Connection, uids: UidSet
    ) -> Iterator[tuple[int, FetchedBody]]:
        for uid, header in read(reader, connection, uids):
            yield uid, replace(header, received_at=None)

    if not dated:
        monkeypatch.setattr(HeaderReader, "read", read_undated)
    for start in range(3):
        world.deliver(f"at start {start}")
        poller = world.poller(world.note, retention=30, inboxes=[])
        poller.add_inbox(Inbox("agent@example.com"), backfill=True)
        for _ in range(2):
            poller.poll_once()
            world.clock.advance(31 * DAY)
        poller.poll_once()
        poller.close()
    assert world.handed_over == ["at start 0", "at start 1", "at start 2"]


def test_a_replay_delivers_what_was_forgotten_too(world: World) -> None:
    world.deliver("one", "two")
    poller = world.poller(retention=30, on_uidvalidity_change="replay")
    poller.poll_once()
    world.clock.advance(31 * DAY)
    poller.poll_once()
    assert uids(world) == [2], "the latest is kept to compare with"
    poller.close()
    world.restore()
    poller = world.poller(retention=30, on_uidvalidity_change="replay")
    assert poller.poll_once().new == 2


def test_nothing_is_removed_where_all_is_to_be_kept(world: World) -> None:
    world.deliver("one", "two")
    poller = world.poller(retention=0)
    poller.poll_once()
    world.clock.advance(1000 * DAY)
    poller.poll_once()
    assert len(uids(world)) == 2


@embedded_only  # it says nothing about the server
def test_a_long_history_goes_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle, "REMOVED_AT_ONCE", 2)
    monkeypatch.setattr(cycle, "REMOVALS", 2)
    world.deliver(*numbers(1, 10))
    poller = world.poller(retention=1)
    poller.poll_once()
    world.clock.advance(2 * DAY)
    left = []
    for _ in range(4):
        poller.poll_once()
        left.append(len(uids(world)))
    assert left == [6, 2, 1, 1]


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf")])
def test_a_retention_that_makes_no_sense_is_refused(days: float) -> None:
    with pytest.raises(ConfigurationError, match="NORNMAIL_RETENTION"):
        ImapSettings(host="imap.example.com", retention=days)


def test_the_environment_sets_it() -> None:
    environment = {"IMAP_HOST": "imap.example.com", "NORNMAIL_RETENTION": "7.5"}
    assert ImapSettings.from_env(environment).retention == 7.5
    with pytest.raises(ConfigurationError, match="number of days"):
        ImapSettings.from_env({**environment, "NORNMAIL_RETENTION": "a week"})


@embedded_only
def test_a_message_that_was_not_given_until_others_were_forgotten_is_delivered(
    world: World,
) -> None:
    assert world.server is not None
    world.deliver("one", "two", date=world.clock.wall() - 100 * DAY)
    world.server.faults.add(faults.FetchFault(uid=1, kind="no_body"))
    poller = world.poller(retention=1, retry=RetryPolicy((2 * DAY,)))
    poller.poll_once()
    assert world.handed_over == ["two"]
    world.clock.advance(1.5 * DAY)
    poller.poll_once()
    assert world.entry("two").state is State.PASSED_OVER, "it was removed, and is the latest"
    world.clock.advance(DAY)
    poller.poll_once()
    assert world.handed_over == ["two", "one"]
