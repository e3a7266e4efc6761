"""A mailer in the handlers of a poller with the same store: keys, crashes, draining, bounces."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    ImapSettings,
    Inbox,
    MemoryStateStore,
    Message,
    Poller,
    RecipientNotAllowed,
    ReplyRefused,
    SqliteStateStore,
    StateStore,
    events,
    open_store,
    parse_message,
)
from nornmail.clock import SystemClock, utc_datetime
from nornmail.model import State
from nornmail.outbox import registry
from nornmail.outbox.transitions import DAY
from nornmail.outgoing import QueueState, RecipientStatus
from nornmail.testing import MailServer
from tests.outbox.fake import OUTBOX, World, world
from tests.stores.support import Started, run
from tests.support.clock import FakeClock

SECONDS = 10.0
"""How long a test waits for what takes milliseconds."""


@dataclass
class Office:
    """A mailbox, a poller, and a mailer over a scripted session, with one store.

    Attributes:
        imap: the server of the mailbox.
        one: the mailer and its world.
    """

    imap: MailServer
    one: World
    told: list[events.Event] = field(default_factory=list)
    pollers: list[Poller] = field(default_factory=list)

    @property
    def store(self) -> StateStore:
        return self.one.store

    def poller(self, handler: Callable[[Message], object] | None = None, **options: Any) -> Poller:
        settings = ImapSettings(
            host=self.imap.host,
            port=self.imap.imap_port,
            username="agent@example.com",
            password="secret",
            use_ssl=False,
            authserv_id=options.pop("authserv_id", None),
        )
        given: dict[str, Any] = {
            "store": self.store, "clock": self.one.clock, "on_event": self.told.append,
            "start_from": "all",
        }  # fmt: skip
        if handler is not None:
            given["on_message"] = handler
        self.pollers.append(Poller(settings, **{**given, **options}))
        return self.pollers[-1]

    def deliver(self, subject: str = "question", sender: str = "ann@example.org") -> None:
        self.imap.deliver(
            f"From: {sender}\r\nTo: agent@example.com\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject}@example.org>\r\n\r\nwhat is {subject}?\r\n".encode(),
            date=utc_datetime(self.one.clock.wall()),
        )

    def subjects(self) -> list[str]:
        """Of what the SMTP server took."""
        return [parse_message(raw).subject for _, raw in self.one.server.taken]


@pytest.fixture
def office() -> Iterator[Office]:
    with MailServer() as imap:
        imap.add_user("agent@example.com", "secret")
        found = Office(imap, world(clock=FakeClock()))
        yield found
        for poller in found.pollers:
            poller.close()
        found.one.mailer.close()


def test_an_answer_goes_out_at_the_end_of_poll_once(office: Office) -> None:
    office.deliver()
    office.poller(lambda message: office.one.mailer.reply(message, "42")).poll_once()
    assert office.subjects() == ["Re: question"]
    (_, raw), *rest = office.one.server.taken
    answer = parse_message(raw)
    assert rest == []
    assert (answer.in_reply_to, answer.to[0].address) == (
        "<question@example.org>",
        "ann@example.org",
    )


@pytest.mark.parametrize("name", ["state.db", "state.json", None], ids=str)
def test_a_verified_sender_may_be_written_to_as_long_as_the_store_keeps_the_mail(
    name: str | None, tmp_path: Path, office: Office
) -> None:
    def opened() -> StateStore:
        return MemoryStateStore() if name is None else open_store(tmp_path / name)

    def fenced(store: StateStore) -> World:
        return world(store, clock=office.one.clock, allowed_recipients="correspondents")

    verified = "Authentication-Results: mx.example.com; dmarc=pass header.from=example.org\r\n"
    office.imap.deliver(
        "Authentication-Results: mx.example.com; dmarc=pass header.from=xn--bcher-kva.example\r\n"
        "From: zoë@bücher.example\r\nMessage-ID: <zoe@x>\r\n\r\nhi\r\n"
    )
    for who, head in (("Kim", verified), ("eve", ""), ("bob", verified)):
        office.imap.deliver(
            f"{head}From: {who}@example.org\r\nTo: agent@example.com\r\nCc: carol@example.net\r\n"
            f"Reply-To: mallory@evil.example\r\nMessage-ID: <{who}@x>\r\n\r\nhi\r\n"
        )

    def handle(message: Message) -> None:
        if message.from_.address == "bob@example.org":
            raise RuntimeError("the model is away")

    store = opened()
    office.poller(handle, store=store, authserv_id="mx.example.com", retention=30).poll_once()
    office.pollers[-1].close()
    if name is not None:
        store.close()
        store = opened()
    with closing(store):
        office.one.clock.advance(DAY)
        for who in (
            *("kim@example.org", "KIM@Example.org", "bob@example.org"),
            *("zoë@bücher.example", "zoë@xn--bcher-kva.example"),
        ):
            fenced(store).mailer.send(who, "s", "t")
        for who in (
            *("eve@example.org", "carol@example.net", "mallory@evil.example"),
            *(
                "k\N{LATIN SMALL LETTER DOTLESS I}m@example.org",
                "kim@example.org.evil.example",
                "kim+x@example.org",
            ),
        ):
            with pytest.raises(RecipientNotAllowed):
                fenced(store).mailer.send(["kim@example.org", who], "s", "t")
        office.one.clock.advance(31 * DAY)
        options: dict[str, Any] = {"authserv_id": "mx.example.com", "retention": 30}
        office.poller(handle, store=store, **options).poll_once()
        with pytest.raises(RecipientNotAllowed, match="kim@"):
            fenced(store).mailer.send("kim@example.org", "s", "t")


def test_the_key_is_the_delivery_id(office: Office) -> None:
    results = []
    office.deliver()
    poller = office.poller(
        lambda message: results.append((message, office.one.mailer.reply(message, "42")))
    )
    poller.poll_once()
    ((message, result),) = results
    assert result.key == message.delivery_id


def test_a_handler_that_is_run_twice_sends_once(office: Office) -> None:
    calls = []

    def handle(message: Message) -> None:
        calls.append(office.one.mailer.reply(message, f"answer {message.attempt}").message_id)
        if message.attempt == 1:
            raise RuntimeError("after the answer")

    office.deliver()
    poller = office.poller(handle)
    poller.poll_once()
    office.one.clock.advance(61)
    poller.poll_once()
    assert len(calls) == 2
    assert len(set(calls)) == 1
    (_, raw), *rest = office.one.server.taken
    assert rest == []
    assert "answer 1" in parse_message(raw).text


class Died(BaseException):
    """The process ended here."""


class Dying(MemoryStateStore):
    """Ends the process at the commit that settles a message."""

    dies = True

    def commit(self, lease: Any, changes: Any) -> None:
        if self.dies and any(
            getattr(getattr(change, "entry", None), "state", None) is State.HANDLED
            for change in changes
        ):
            raise Died
        super().commit(lease, changes)


def test_a_process_that_dies_between_the_answer_and_the_commit_answers_once(
    office: Office,
) -> None:
    store = Dying()
    office.one = world(store, clock=FakeClock())
    office.deliver()
    attempts = []

    def handle(message: Message) -> None:
        attempts.append(message.attempt)
        office.one.mailer.reply(message, f"answer {message.attempt}")

    poller = office.poller(handle)
    with pytest.raises(Died):
        poller.poll_once()
    store.dies = False
    # The next process: the lease went with the old one.
    poller._ledger._pending.clear()
    poller.close()
    poller = office.poller(handle)
    poller.poll_once()
    office.one.clock.advance(61)
    poller.poll_once()
    assert attempts == [1, 2]
    assert office.subjects() == ["Re: question"]
    assert "answer 1" in parse_message(office.one.server.taken[0][1]).text


ANSWERING = """
import logging, os, signal, sys, time
from nornmail import ImapSettings, Mailer, Poller, RetryPolicy, SmtpSettings, SqliteStateStore

logging.disable()
path, port, dies = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "dies"
store = SqliteStateStore(path)
nowhere = SmtpSettings(host="127.0.0.1", port=9, username="agent@example.com", timeout=1)
mailer = Mailer(nowhere, store, account="agent")

def handle(message):
    print(mailer.reply(message, f"answer {message.attempt}").message_id, flush=True)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)

imap = ImapSettings(
    host="127.0.0.1", port=port, username="agent@example.com", password="secret", use_ssl=False
)
poller = Poller(
    imap, store=store, on_message=handle, retry=RetryPolicy((0.001,)), start_from="all"
)
poller.poll_once()
time.sleep(0.002)
poller.poll_once()
poller.close()
mailer.close()
store.close()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_is_killed_after_the_answer_answers_once(tmp_path: Path) -> None:
    with MailServer() as imap:
        imap.add_user("agent@example.com", "secret")
        imap.deliver(
            b"From: ann@example.org\r\nTo: agent@example.com\r\nSubject: question\r\n"
            b"Message-ID: <question@example.org>\r\n\r\nwhat?\r\n"
        )
        path = tmp_path / "state.db"
        with Started(ANSWERING, path, imap.imap_port, "dies") as process:
            first, err = process.end()
            assert (process.returncode, err) == (-signal.SIGKILL, "")
        second = run(ANSWERING, path, imap.imap_port, "lives")
    assert first == second != ""
    with closing(SqliteStateStore(path)) as store:
        (letter,) = store.queued_messages("agent", set(QueueState))
        raw = store.message_bytes("agent", letter.key)
    assert raw is not None
    assert parse_message(raw).text.strip() == "answer 1"


def test_a_second_message_of_one_attempt_needs_a_key(office: Office) -> None:
    raised = []

    def handle(message: Message) -> None:
        mailer = office.one.mailer
        mailer.reply(message, "one")
        with pytest.raises(ConfigurationError, match="key= of its own") as error:
            mailer.send("boss@example.com", "two", "two")
        raised.append(error)
        mailer.send("boss@example.com", "two", "two", key="boss")
        mailer.send("boss@example.com", "three", "three", key="boss again")

    office.deliver()
    office.poller(handle).poll_once()
    assert len(raised) == 1
    assert sorted(office.subjects()) == ["Re: question", "three", "two"]


def test_another_kind_of_message_under_the_same_key_is_said(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(message: Message) -> None:
        if message.attempt == 1:
            office.one.mailer.send("boss@example.com", "first", "first")
            raise RuntimeError("after it")
        office.one.mailer.reply(message, "42")

    office.deliver()
    poller = office.poller(handle)
    poller.poll_once()
    office.one.clock.advance(61)
    poller.poll_once()
    assert office.subjects() == ["first"]
    assert "a reply with the same key is not sent" in caplog.text


def test_a_given_key_counts_for_its_message_alone(office: Office) -> None:
    for subject in ("a", "b"):
        office.deliver(subject)
    office.poller(
        lambda message: office.one.mailer.send("boss@x.org", message.subject, "", key="boss")
    ).poll_once()
    assert sorted(office.subjects()) == ["a", "b"]


def test_a_message_that_could_not_be_written_uses_no_key_up(office: Office) -> None:
    def handle(message: Message) -> None:
        with pytest.raises(ReplyRefused):
            office.one.mailer.reply(message, "to myself")
        office.one.mailer.send("boss@example.com", "somebody writes as us", "look")

    office.deliver(sender="agent@example.com")
    office.poller(handle).poll_once()
    assert office.subjects() == ["somebody writes as us"]


def test_each_inbox_answers_for_itself_and_under_its_own_address(office: Office) -> None:
    office.imap.deliver(
        b"From: ann@example.org\r\nTo: support@example.com, sales@example.com\r\n"
        b"Subject: both\r\nMessage-ID: <both@example.org>\r\n\r\nhello\r\n",
        date=utc_datetime(office.one.clock.wall()),
    )
    reply = office.one.mailer.reply
    office.poller(
        inboxes=[
            Inbox("support@example.com", lambda message: reply(message, "support")),
            Inbox("sales@example.com", lambda message: reply(message, "sales")),
        ]
    ).poll_once()
    assert sorted(parse_message(raw).from_.address for _, raw in office.one.server.taken) == [
        "sales@example.com", "support@example.com"
    ]  # fmt: skip


def test_outside_of_a_handler_an_answer_is_keyed_by_its_message_and_a_send_is_not(
    office: Office,
) -> None:
    seen: list[Message] = []
    office.deliver()
    office.poller(seen.append).poll_once()
    mailer = office.one.mailer
    first, again = (mailer.reply(seen[0], text) for text in ("one", "two"))
    assert first.key == again.key == seen[0].delivery_id
    assert first.message_id == again.message_id
    assert mailer.send("a@x.org", "s", "t").key != mailer.send("a@x.org", "s", "t").key
    assert mailer.reply(seen[0], "three", key="third").key == "third"


def test_a_handler_with_a_timeout_has_the_key_too(office: Office) -> None:
    keys = []
    office.deliver()
    office.poller(
        lambda message: keys.append(
            (message.delivery_id, office.one.mailer.send("a@x.org", "s", "t").key)
        ),
        handler_timeout=60.0,
        clock=None,
    ).poll_once()
    assert keys
    assert keys[0][0] == keys[0][1]


def test_an_async_handler_has_the_key_too_and_waits_in_no_way(office: Office) -> None:
    keys = []
    threads = []

    async def handle(message: Message) -> None:
        result = await office.one.mailer.areply(message, "42")
        keys.append((message.delivery_id, result.key))
        with pytest.raises(ConfigurationError):
            await office.one.mailer.asend("a@x.org", "s", "t")
        threads.append(threading.current_thread())
        poller.stop()

    office.one = world(clock=SystemClock())
    office.deliver()
    poller = office.poller(handle, clock=None)
    asyncio.run(asyncio.wait_for(poller.run(), SECONDS))
    assert keys
    assert keys[0][0] == keys[0][1]
    assert threads == [threading.main_thread()]


# Beside a poller


def test_a_running_poller_has_the_mailers_of_its_store_send_beside_it(office: Office) -> None:
    sent = threading.Event()
    one = office.one = world(clock=SystemClock())
    mailer = one.mailer
    mailer._emit._on_event = lambda event: sent.set()
    office.deliver()
    with office.poller(lambda message: mailer.reply(message, "42"), clock=None):
        assert sent.wait(SECONDS)
        assert mailer.status().state in ("idle", "sending")
    assert office.subjects() == ["Re: question"]
    assert mailer.status().state == "stopped"
    assert "nornmail-mailer" not in [thread.name for thread in threading.enumerate()]


def test_a_mailer_that_is_made_while_the_poller_runs_is_taken_along(office: Office) -> None:
    sent = threading.Event()
    store = MemoryStateStore()
    made: list[World] = []

    def handle(message: Message) -> None:
        made.append(world(store, clock=SystemClock()))
        made[0].mailer._emit._on_event = lambda event: sent.set()
        made[0].mailer.reply(message, "42")

    office.deliver()
    with office.poller(handle, store=store, clock=None):
        assert sent.wait(SECONDS)
    (letter,) = made[0].store.queued_messages(OUTBOX, {QueueState.SENT})
    assert made[0].state(letter.key) == "sent"


def test_a_mailer_of_another_store_is_left_alone(office: Office) -> None:
    other = world(clock=office.one.clock)
    other.mailer.send("a@x.org", "s", "t")
    office.poller(lambda _: None).poll_once()
    assert other.server.log == []


def test_one_that_was_started_by_itself_goes_on_when_the_poller_ends(office: Office) -> None:
    one = office.one = world(clock=SystemClock())
    companions = registry.StoreMailers(one.store, one.clock)
    with one.mailer as mailer:
        companions.start()
        companions.stop()
        assert mailer._worker.running
        companions.start()
        mailer.stop()
        assert mailer._worker.running
        companions.stop()
        assert not mailer._worker.running


def test_several_are_stopped_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = world(clock=SystemClock()), world(clock=SystemClock())
    companions = registry.StoreMailers(one.store, one.clock)
    together = threading.Barrier(2, timeout=10)
    for each in (one, two):
        companions.attach(each.mailer._worker)
        stop = each.mailer._worker.stop

        def after_the_other(*arguments: Any, stop: Callable[..., bool] = stop) -> bool:
            together.wait()
            return stop(*arguments)

        monkeypatch.setattr(each.mailer._worker, "stop", after_the_other)
    companions.stop()
    assert not any(each.mailer._worker.running for each in (one, two))


def test_trouble_of_the_server_does_not_touch_poll_once(office: Office) -> None:
    from tests.outbox.fake import UNREACHABLE

    office.one.server.trouble = [UNREACHABLE]
    office.deliver()
    result = office.poller(lambda message: office.one.mailer.reply(message, "42")).poll_once()
    assert result.handled == 1
    assert office.subjects() == []


# Bounces


def report(
    original: str, recipient: str, *, action: str = "failed", status: str = "5.1.1"
) -> bytes:
    about = f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original}\r\n\r\n"
    return (
        "From: MAILER-DAEMON@example.org\r\nTo: agent@example.com\r\nSubject: returned\r\n"
        "Message-ID: <report@example.org>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.org\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n\r\n"
        f"{about if original else ''}--b--\r\n"
    ).encode()


def sent(one: World, to: list[str], key: str = "k") -> str:
    message_id = one.mailer.send(to, "hello", "hello", key=key).message_id
    one.mailer.flush()
    return message_id


def standings(one: World, key: str = "k") -> dict[str, str]:
    result = one.mailer.result(key)
    assert result is not None
    return {r.address: str(r.status) for r in result.recipients}


def test_a_report_is_noted_and_told_before_its_handler_is_called(office: Office) -> None:
    message_id = sent(office.one, ["ann@example.org", "bob@example.org"])
    seen = []

    def handle(message: Message) -> None:
        seen.append((message.subject, standings(office.one)))

    office.imap.deliver(report(message_id, "ANN@example.org"))
    poller = office.poller(handle)
    poller.poll_once()
    assert seen == [("returned", {"ann@example.org": "bounced", "bob@example.org": "accepted"})]
    (told,) = [event for event in office.told if isinstance(event, events.OutboxBounced)]
    assert (told.key, told.message_id, told.address) == ("k", message_id, "ANN@example.org")
    assert "550 no such user" in told.reason
    result = office.one.mailer.result("k")
    assert result is not None
    assert (result.state, result.bounced[0].code) == ("sent", 550)


@pytest.mark.parametrize(
    ("known", "recipient", "options", "expected"),
    [
        pytest.param(True, "ann@example.org", {"action": "delayed"}, "accepted", id="delayed"),
        pytest.param(True, "forwarded@else.org", {}, "bounced", id="behind a forward"),
        pytest.param(False, "ann@example.org", {}, "bounced", id="by its recipient"),
        pytest.param(False, "eve@example.org", {}, "accepted", id="another recipient"),
    ],
)
def test_what_a_report_is_about(
    office: Office, known: bool, recipient: str, options: dict[str, str], expected: str
) -> None:
    message_id = sent(office.one, ["ann@example.org"])
    office.imap.deliver(report(message_id if known else "", recipient, **options))
    office.poller(lambda _: None).poll_once()
    assert standings(office.one) == {"ann@example.org": expected}


def test_a_report_about_a_message_of_somebody_else_is_about_none_of_ours(office: Office) -> None:
    sent(office.one, ["ann@example.org"])
    office.imap.deliver(report("<other@else.org>", "ann@example.org"))
    office.poller(lambda _: None).poll_once()
    assert standings(office.one) == {"ann@example.org": "accepted"}


def test_without_a_message_id_the_newest_of_the_last_week_is_meant(office: Office) -> None:
    for key in ("old", "new"):
        sent(office.one, ["ann@example.org"], key)
        office.one.clock.advance(3_600)
    found = office.one.mailer.note_bounce(parse_message(report("", "ann@example.org")))
    assert [event.key for event in found] == ["new"]
    assert [type(e) for e in office.one.events][-1] is events.OutboxBounced
    office.one.clock.advance(8 * 86_400)
    assert office.one.mailer.note_bounce(parse_message(report("", "ann@example.org"))) == []


def test_a_report_that_cannot_be_noted_is_handed_over_all_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from nornmail import StoreError

    message_id = sent(office.one, ["ann@example.org"])
    seen: list[Message] = []

    def full(*_: object) -> bool:
        raise StoreError("the disk is full")

    monkeypatch.setattr(office.store, "note_bounce", full)
    office.imap.deliver(report(message_id, "ann@example.org"))
    office.poller(seen.append).poll_once()
    assert [message.subject for message in seen] == ["returned"]
    assert "could not be recorded: the disk is full" in caplog.text
    assert RecipientStatus.ACCEPTED.value in standings(office.one).values()


# Without a poller


def test_a_batch_job_that_starts_and_closes_loses_nothing() -> None:
    done = threading.Event()
    one = world(clock=SystemClock())
    one.mailer._emit._on_event = lambda _: done.set()
    with one.mailer as mailer:
        mailer.send("a@x.org", "s", "t", key="k")
        assert done.wait(SECONDS)
    assert one.state("k") == "sent"
    assert one.server.sessions[0].closed


def test_mail_that_must_not_be_answered_is_dead_and_no_outage_of_the_handler(
    office: Office,
) -> None:
    for number in range(6):
        office.imap.deliver(
            f"From: news@example.org\r\nSubject: {number}\r\nList-Id: <news.example.org>\r\n"
            f"Message-ID: <{number}@example.org>\r\n\r\nlook\r\n".encode(),
            date=utc_datetime(office.one.clock.wall()),
        )
    office.deliver("question")
    poller = office.poller(lambda message: office.one.mailer.reply(message, "42"))
    result = poller.poll_once()
    assert (result.dead, result.handled) == (6, 1)
    assert office.subjects() == ["Re: question"]
    dead = [event for event in office.told if isinstance(event, events.Dead)]
    assert "List-Id is present" in dead[0].reason


def test_sync_without_a_loop_sends_as_well(office: Office) -> None:
    office.deliver()
    assert office.poller(lambda message: office.one.mailer.reply(message, "42")).sync() == 1
    assert office.subjects() == ["Re: question"]


def test_a_thread_of_the_handlers_own_sends_once_when_it_names_the_message(office: Office) -> None:
    runs = []

    def handle(message: Message) -> None:
        runs.append(message)

        def work() -> None:
            office.one.mailer.send("kim@example.org", "s", "t", handling=message)
            office.one.mailer.send("lee@example.org", "s", "t", key="copy", handling=message)
            office.one.mailer.reply(message, "t", key="answer", handling=message)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if len(runs) == 1:
            raise RuntimeError("after it")

    poller = office.poller(handle)
    office.deliver()
    poller.poll_once()
    office.one.clock.advance(120)
    poller.poll_once()
    assert len(runs) == 2
    assert sorted(office.one.server.addresses()) == [
        "ann@example.org", "kim@example.org", "lee@example.org"
    ]  # fmt: skip
    delivery_id = runs[0].delivery_id
    keys = {m.key for m in office.store.queued_messages(OUTBOX, frozenset(QueueState))}
    assert keys == {delivery_id, f"{delivery_id}/copy", f"{delivery_id}/answer"}
