"""A mailbox is put back from a backup: at once, bit by bit, or by a replica that lags."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nornmail import DecisionRequired, Inbox
from nornmail.model import State
from nornmail.poller.decisions import UNKNOWN_LIMIT
from nornmail.testing.mailbox import Mailbox
from tests.poller.delivery.harness import World, embedded_only, mail, numbered, numbers, subjects
from tests.poller.delivery.wire import HEADERS

pytestmark = embedded_only  # others cannot be brought to give a UID twice


def box(world: World) -> Mailbox:
    assert world.server is not None
    return world.server.mailbox()


def take_away(world: World, *uids: int) -> list[tuple[bytes, datetime]]:
    """Messages go without an EXPUNGE that anybody sees; what they were."""
    mailbox = box(world)
    with mailbox.lock:
        taken = [(m.raw, m.internal_date) for m in mailbox.messages if not uids or m.uid in uids]
        for uid in uids or [message.uid for message in mailbox.messages]:
            mailbox.epoch.remove(uid)
    return taken


def test_mail_that_comes_back_after_the_new_uidvalidity_was_seen_is_known(world: World) -> None:
    world.deliver(*numbered(1, 20))
    poller = world.poller()
    poller.poll_once()
    poller.close()
    taken = take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    poller.poll_once()
    for part in (taken[:10], taken[10:]):
        for raw, date in part:
            box(world).add(raw, date=date)
        world.clock.advance(86_400)
        poller.poll_once()
    world.deliver("new")
    poller.poll_once()
    assert subjects(world.seen) == [*numbers(1, 20), "new"]


def test_a_mailbox_that_is_put_back_is_known_by_the_latest_message_that_retention_removed(
    world: World,
) -> None:
    world.deliver("one", "two")
    poller = world.poller(retention=1)
    poller.poll_once()
    for _ in range(3):
        world.clock.advance(2 * 86_400)
        poller.poll_once()
    poller.close()
    take_away(world)
    validity = box(world).uid_validity
    box(world).reset_uid_validity()
    box(world).uid_validity_override = validity
    world.deliver("three", "four", "five")
    poller.poll_once()
    assert subjects(world.seen) == ["one", "two", "three", "four", "five"]


def test_mail_that_comes_back_without_its_headers_is_known_by_its_body(world: World) -> None:
    world.deliver(*numbered(1, 5))
    poller = world.poller()
    poller.poll_once()
    poller.close()
    taken = take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    poller.poll_once()
    for raw, date in taken:
        box(world).add(raw, date=date)
    world.wire.refuse(HEADERS, times=9)
    poller.poll_once()
    assert subjects(world.seen) == numbers(1, 5)


def test_mail_from_before_start_from_that_comes_back_late_stays_passed_over(world: World) -> None:
    world.deliver(*numbered(1, 20), date=world.clock.wall() - 86_400)
    poller = world.poller(world.note, inboxes=[], on_unrouted=world.note, start_from="new")
    poller.poll_once()
    poller.close()
    taken = take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    poller.poll_once()
    for raw, date in taken:
        box(world).add(raw, date=date)
    world.deliver("new")
    poller.poll_once()
    assert subjects(world.seen) == ["new"]
    poller.add_inbox(Inbox("agent@example.com", on_message=world.note), backfill=True)
    poller.poll_once()
    assert {message.subject for message in world.seen} == {"new"}


def test_unknown_old_mail_is_counted_over_the_epoch(world: World) -> None:
    world.deliver("one")
    poller = world.poller()
    poller.poll_once()
    poller.close()
    take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    poller.poll_once()
    half = UNKNOWN_LIMIT // 2 + 1
    old = datetime.fromtimestamp(world.clock.wall() - 86_400, UTC)
    for number in range(half):
        box(world).add(mail(f"first {number}"), date=old)
    assert poller.poll_once().new == half
    for number in range(half):
        box(world).add(mail(f"second {number}"), date=old)
    with pytest.raises(DecisionRequired):
        poller.poll_once()
    assert len(world.seen) == 1 + half


def test_the_count_of_unknown_old_mail_outlives_the_process(world: World) -> None:
    world.deliver("one")
    poller = world.poller()
    poller.poll_once()
    poller.close()
    take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    half = UNKNOWN_LIMIT // 2 + 1
    old = datetime.fromtimestamp(world.clock.wall() - 86_400, UTC)
    for run in ("first", "second"):
        poller = world.poller()
        poller.poll_once()
        for number in range(half):
            box(world).add(mail(f"{run} {number}"), date=old)
        if run == "first":
            assert poller.poll_once().new == half
        else:
            with pytest.raises(DecisionRequired):
                poller.poll_once()
        poller.close()
    assert len(world.seen) == 1 + half


def test_mail_that_comes_back_with_a_new_arrival_date_is_known(world: World) -> None:
    world.deliver(*numbered(1, 3), BARE)
    poller = world.poller()
    poller.poll_once()
    poller.close()
    take_away(world)
    box(world).reset_uid_validity()
    world.clock.advance(60)
    poller.poll_once()
    world.clock.advance(3_600)
    world.deliver(*numbered(1, 4), BARE)  # a message of a device, which has no date, is new
    assert poller.poll_once().new == 2
    assert [message.text.strip() for message in world.seen[4:]] == ["the text of 4", "door open"]


BARE = b"From: device@example.org\r\nMessage-ID: <alarm@example.org>\r\n\r\ndoor open\r\n"


def test_what_a_lagging_replica_hid_is_known_when_it_comes_back(world: World) -> None:
    world.deliver(*numbered(1, 10))
    poller = world.poller()
    poller.poll_once()
    poller.close()
    taken = take_away(world, 9, 10)
    box(world).uid_next_override = 9
    world.clock.advance(60)
    poller.poll_once()
    poller.close()
    for uid, (raw, date) in zip((9, 10), taken, strict=True):
        box(world).add(raw, date=date, uid=uid)
    box(world).uid_next_override = None
    world.clock.advance(60)
    poller.poll_once()
    assert subjects(world.seen) == numbers(1, 10)


def test_uids_that_are_given_a_second_time_are_looked_at(world: World) -> None:
    world.deliver(*numbered(1, 10))
    poller = world.poller()
    poller.poll_once()
    poller.close()
    take_away(world, 9, 10)
    for uid in (9, 10, 11):
        box(world).add(mail(f"new {uid}"), uid=uid)
    world.clock.advance(60)
    poller.poll_once()
    assert subjects(world.seen) == [*numbers(1, 10), "new 9", "new 10", "new 11"]


@pytest.mark.parametrize("deletes", [True, False], ids=["deleted", "left"])
def test_the_same_headers_and_size_with_another_body_are_new_mail(
    world: World, deletes: bool
) -> None:
    world.deliver(mail("alarm", body="door 1 open"))
    poller = world.poller(delete_after_fetch=deletes)
    poller.poll_once()
    poller.close()
    take_away(world)
    box(world).reset_uid_validity()
    world.deliver(mail("alarm", body="door 2 open"))
    world.clock.advance(60)
    poller.poll_once()
    assert [message.text.strip() for message in world.seen] == ["door 1 open", "door 2 open"]
    assert world.states() == {State.FINISHED: 2}
