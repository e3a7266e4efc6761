"""The first run: what becomes of mail that lies there already, and for how long that holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from nornmail import DecisionRequired, Inbox, Mailer, Message, SmtpSettings
from nornmail.poller import uidvalidity
from tests.poller.delivery.harness import World, embedded_only, numbered, numbers

DAY = 86_400.0


def test_more_than_a_thousand_messages_need_a_decision(world: World) -> None:
    world.deliver(*numbered(1, 1_001))
    poller = world.poller()
    for run in (poller.poll_once, poller.run_forever):
        with pytest.raises(DecisionRequired) as needed:
            run()
        assert needed.value.count == 1_001
        assert needed.value.setting == "start_from"
        assert needed.value.choices == ("all", "new", "a date")
        for word in ("1001", "start_from", '"all"', '"new"', "date"):
            assert word in str(needed.value)
    assert world.seen == []
    assert world.entries() == []
    assert world.stored()[0].flags == frozenset()


def test_mail_that_needed_a_decision_is_handed_over_where_that_is_decided(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "FIRST_RUN_LIMIT", 5)
    world.deliver(*numbered(1, 6))
    poller = world.poller()
    with pytest.raises(DecisionRequired):
        poller.poll_once()
    poller.close()
    assert world.poller(start_from="all", mark_as_read=False).poll_once().new == 6
    assert world.handed_over == numbers(1, 6)


@pytest.mark.one_worker("eight messages are called before the first one ends the program")
# The number decides, not the server.
@embedded_only
def test_a_thousand_messages_do_not(world: World) -> None:
    class HandedOver(BaseException):
        pass

    def first(message: Message) -> None:
        raise HandedOver(message.subject)

    world.deliver(*numbered(1, 1_000))
    with pytest.raises(HandedOver, match=r"^1$"):
        world.poller(first).poll_once()


@embedded_only
def test_more_than_the_limit_and_only_what_is_new(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "FIRST_RUN_LIMIT", 5)
    world.deliver(*numbered(1, 6))
    poller = world.poller(start_from="new")
    assert poller.poll_once().new == 0
    world.deliver("new")
    poller.poll_once()
    assert world.handed_over == ["new"]


def test_new(world: World) -> None:
    world.deliver("old", "older", date=world.clock.wall() - DAY)
    poller = world.poller(start_from="new")
    poller.poll_once()
    world.deliver("new")
    poller.poll_once()
    assert world.handed_over == ["new"]
    assert world.flags() == {"old": set(), "older": set(), "new": {"\\Seen"}}


def by_days(world: World) -> None:
    """Three messages: ten days, five days and a minute old."""
    now = world.clock.wall()
    for subject, age in (("ten days", 10 * DAY), ("five days", 5 * DAY), ("a minute", 60.0)):
        world.deliver(subject, date=now - age)


def start(world: World, days: float) -> datetime:
    return datetime.fromtimestamp(world.clock.wall() - days * DAY, UTC)


def test_a_date(world: World) -> None:
    by_days(world)
    world.poller(start_from=start(world, 7).date()).poll_once()
    assert world.handed_over == ["five days", "a minute"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param(11, ["ten days", "five days", "a minute"], id="before everything"),
        pytest.param(5.5, ["five days", "a minute"], id="between two"),
        pytest.param(-1, [], id="in the future"),
    ],
)
def test_an_instant(world: World, days: float, expected: list[str]) -> None:
    by_days(world)
    world.poller(start_from=start(world, days)).poll_once()
    assert world.handed_over == expected


def test_what_is_dated_before_the_start_and_comes_later_is_handed_over(world: World) -> None:
    by_days(world)
    poller = world.poller(start_from=start(world, 1))
    poller.poll_once()
    world.deliver("copied in from elsewhere", date=world.clock.wall() - 30 * DAY)
    poller.poll_once()
    assert world.handed_over == ["a minute", "copied in from elsewhere"]


@pytest.mark.parametrize("choice", ["new", "date"])
def test_the_cut_holds_under_a_new_uidvalidity(
    world: World, choice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "UNKNOWN_LIMIT", 10)  # of those that need a decision
    world.deliver(*numbered(1, 15), date=world.clock.wall() - 10 * DAY)
    cut: str | date = "new" if choice == "new" else start(world, 7)
    poller = world.poller(start_from=cut)
    poller.poll_once()
    world.clock.advance(DAY)
    world.deliver("first")
    poller.poll_once()
    poller.close()
    world.deliver("second")
    world.restore()
    world.poller(start_from=cut).poll_once()
    assert world.handed_over == ["first", "second"]


def test_the_decision_of_the_first_run_is_kept_whatever_is_set_later(world: World) -> None:
    world.deliver("old", date=world.clock.wall() - DAY)
    poller = world.poller(start_from="new")
    poller.poll_once()
    poller.close()
    world.clock.advance(DAY)
    world.deliver("new")
    world.poller(start_from="all").poll_once()
    assert world.handed_over == ["new"]


def test_an_empty_mailbox_needs_no_decision(world: World) -> None:
    poller = world.poller()
    assert poller.poll_once().new == 0
    world.deliver("first")
    assert poller.poll_once().new == 1


SMTP = SmtpSettings(host="smtp.example.com", sender="agent@example.com")


@embedded_only
@pytest.mark.parametrize("several", [False, True], ids=["one callback", "inboxes"])
def test_mail_that_could_be_answered_needs_a_decision(world: World, several: bool) -> None:
    world.deliver("old")
    inboxes: dict[str, Any] = {"inboxes": [Inbox("agent@example.com", world.note)]}
    poller = world.poller(**inboxes if several else {})
    mailer = Mailer(SMTP, poller.store)
    with pytest.raises(DecisionRequired) as needed:
        poller.poll_once()
    assert needed.value.count == 1
    for word in ("1 message", "start_from", '"new"', "answered"):
        assert word in str(needed.value)
    assert (world.seen, world.entries()) == ([], [])
    mailer.close()
    poller.poll_once()
    assert world.handed_over == ["old"]


@embedded_only
@pytest.mark.parametrize("start_from", ["new", "all"])
def test_with_a_decision_it_is_answered_or_not(world: World, start_from: Any) -> None:
    world.deliver("old")
    poller = world.poller(start_from=start_from)
    mailer = Mailer(SMTP, poller.store)
    poller.poll_once()
    world.deliver("new")
    poller.poll_once()
    mailer.close()
    assert world.handed_over == (["new"] if start_from == "new" else ["old", "new"])


@embedded_only
def test_an_empty_mailbox_and_inboxes_to_come_need_none(world: World) -> None:
    poller = world.poller()
    mailer = Mailer(SMTP, poller.store)
    poller.poll_once()
    world.deliver("new")
    poller.poll_once()
    mailer.close()
    assert world.handed_over == ["new"]
