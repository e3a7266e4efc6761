"""The outbox against a real Postfix: what each of its answers means for a letter, and bounces."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from nornmail import (
    ImapSettings,
    Mailer,
    MemoryStateStore,
    Poller,
    SmtpSettings,
    StateStore,
    events,
    parse_message,
)
from nornmail.outgoing import QueueState
from nornmail.testing import MailServer
from tests.support.clock import FakeClock
from tests.support.postfix import Postfix, start_postfix

pytestmark = pytest.mark.interop


@pytest.fixture
def store() -> Iterator[StateStore]:
    with closing(MemoryStateStore()) as opened:
        yield opened


def mailer(postfix: Postfix, store: StateStore | None, **options: Any) -> Mailer:
    settings = SmtpSettings(
        host=postfix.host,
        port=postfix.submission_port,
        username="agent",
        password=postfix.password,
        ca_file=str(postfix.ca_file),
    )
    return Mailer(settings, store, **{"sender": "agent@example.test", **options})


def flushed(one: Mailer, key: str) -> tuple[str, dict[str, tuple[str, int]]]:
    """What became of a letter: its state, and by local part each recipient's standing and code."""
    one.flush()
    result = one.result(key)
    assert result is not None
    told = {
        r.address.partition("@")[0].partition("-")[0]: (str(r.status), r.code)
        for r in result.recipients
    }
    return str(result.state), told


def test_each_answer_means_what_it_should(postfix: Postfix, store: StateStore) -> None:
    user = postfix.user()
    with closing(mailer(postfix, store, clock=FakeClock())) as one:
        names = ("unknown", "denied", "full", "grey", "broken", "crowded", "gone")
        to = [user, *(f"{name}-1@example.test" for name in names)]
        one.send(to, "hello", "hello", key="k")
        state, told = flushed(one, "k")
        assert state == "queued"
        assert told.pop(user.partition("@")[0].partition("-")[0]) == ("accepted", 250)
        assert told == {
            "unknown": ("refused", 550),
            "denied": ("refused", 550),
            "full": ("refused", 552),
            "grey": ("pending", 450),
            "broken": ("pending", 451),
            "crowded": ("pending", 452),
            "gone": ("refused", 554),
        }
        (mail,) = postfix.wait_for_mail(user)
        result = one.result("k")
        assert result is not None
        assert parse_message(mail.raw).message_id == result.message_id


def test_one_that_is_put_off_is_accepted_when_it_can_be(store: StateStore) -> None:
    """452 for the second recipient of a server that takes one at a time."""
    clock = FakeClock()
    with (
        start_postfix(smtpd_recipient_limit="1") as postfix,
        closing(mailer(postfix, store, clock=clock)) as one,
    ):
        users = [postfix.user(), postfix.user()]
        one.send(users, "hello", "hello", key="k")
        one.flush()
        result = one.result("k")
        assert result is not None
        assert [(str(r.status), r.code) for r in result.recipients] == [
            ("accepted", 250), ("pending", 452)
        ]  # fmt: skip
        clock.advance(120)
        assert one.flush()
        result = one.result("k")
        assert result is not None
        assert result.state == "sent"
        for user in users:
            assert len(postfix.wait_for_mail(user)) == 1


def test_421_closes_the_connection_and_leaves_the_server_alone(
    postfix: Postfix, store: StateStore
) -> None:
    clock = FakeClock()
    with closing(mailer(postfix, store, clock=clock)) as one:
        one.send("busy-1@example.test", "hello", "hello", key="busy")
        clock.advance(1)
        user = postfix.user()
        one.send(user, "hello", "hello", key="later")
        assert flushed(one, "busy")[1] == {"busy": ("pending", 421)}
        assert flushed(one, "later")[0] == "queued", "nobody is served at once"
        clock.advance(120)
        assert flushed(one, "later")[0] == "sent"


def test_an_outage_costs_nothing(store: StateStore) -> None:
    clock = FakeClock()
    with (
        start_postfix() as postfix,
        closing(mailer(postfix, store, clock=clock)) as one,
    ):
        postfix.stop()
        user = postfix.user()
        one.send(user, "hello", "hello", key="k")
        assert flushed(one, "k")[0] == "queued"
        postfix.start()
        clock.advance(10)
        assert flushed(one, "k")[0] == "sent"
        assert len(postfix.wait_for_mail(user)) == 1


def test_a_bounce_that_comes_back_is_matched_by_a_poller_that_reads_it(
    postfix: Postfix, store: StateStore
) -> None:
    me = postfix.user()
    told: list[events.Event] = []
    seen: list[str] = []
    with closing(mailer(postfix, store, sender=me)) as one, MailServer() as imap:
        one.send(["nobody@bounce.test", postfix.user()], "hello", "hello", key="k")
        assert flushed(one, "k")[0] == "sent"
        (report,) = postfix.wait_for_mail(me)
        imap.add_user("agent", "secret")
        imap.deliver(report.raw.replace(b"\n", b"\r\n"))
        settings = ImapSettings(
            host=imap.host, port=imap.imap_port, username="agent", password="secret", use_ssl=False
        )
        poller = Poller(
            settings,
            store=store,
            on_message=lambda message: seen.append(message.subject),
            on_event=told.append,
            start_from="all",
        )
        with closing(poller):
            poller.poll_once()
        result = one.result("k")
        assert result is not None
        assert [r.address for r in result.bounced] == ["nobody@bounce.test"]
        assert len(result.accepted) == 1
        assert len(seen) == 1, "the report is handed over as any message"
        (event,) = [event for event in told if isinstance(event, events.OutboxBounced)]
        assert (event.key, event.address) == ("k", "nobody@bounce.test")


def test_a_thread_sends_a_hundred_letters_over_one_connection(
    postfix: Postfix, store: StateStore
) -> None:
    from nornmail import SendLimits

    done = threading.Event()
    user = postfix.user()
    before = len(postfix.logins)

    def tell(_: events.Event) -> None:
        if store.count_messages(one.outbox, {QueueState.QUEUED, QueueState.SENDING}) == 0:
            done.set()

    one = mailer(postfix, store, on_event=tell, send_limits=SendLimits(None, None))
    for number in range(100):
        one.send(user, f"number {number}", "hello")
    with closing(one), one:
        assert done.wait(60)
    assert len(postfix.wait_for_mail(user, count=100)) == 100
    assert len(postfix.logins) == before + 1
