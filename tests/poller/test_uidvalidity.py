"""The first run and new epochs by themselves, on a mailbox without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller
from nornmail.errors import CommandRefused, ConnectionLost, DecisionRequired
from nornmail.model import Digest, EntryKey, Epoch, PassOver, PutEntry, Rekey, SaveMailbox, State
from nornmail.poller import uidvalidity
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import carried_over, digest_of
from nornmail.poller.uidvalidity import YOUNG_EPOCH, Epochs
from nornmail.settings.imap import start_instant
from nornmail.stores.protocol import StateStore
from nornmail.testing.stores import WAYS
from nornmail.uidset import UidSet
from tests.poller.mailbox import FakeMailbox, header, mail
from tests.support.clock import FakeClock

NOW = FakeClock().wall()
LONG_AGO = NOW - 1e6
DATED_LATER = -1.0
"""The arrival of a message whose date the server leaves out at first."""
REFUSED = CommandRefused("UID FETCH", "NO", "", "not now")


class Scene:
    """A ledger in its first epoch, and a mailbox."""

    def __init__(self, store: StateStore, poller: Poller) -> None:
        self.ledger: Ledger = poller._ledger
        self.clock = self.ledger.clock
        self.mailbox = FakeMailbox()
        self.ledger.take()
        self.epochs = self.made()

    def made(self, start_from: Any = None, *, may_answer: bool = False) -> Epochs:
        return Epochs(self.ledger, start_from, lambda: may_answer)

    def enter(self, uid_validity: int | None = 7, uid_next: int | None = None) -> None:
        self.epochs.enter(self.mailbox.connection, self.mailbox.selected(uid_validity, uid_next))

    def begin(self, **record: Any) -> None:
        """The first epoch of an empty mailbox, and a good poll."""
        self.enter()
        assert self.ledger.record is not None
        self.ledger.commit(SaveMailbox(self.ledger.record._replace(polled_at=NOW, **record)))

    def know(
        self, uid: int, raw: bytes, state: State = State.FINISHED, *, body: bool = True
    ) -> None:
        """A message that was looked at in the current epoch."""
        digest = digest_of(raw)
        entry = self.ledger.new_entry(uid)._replace(
            digest=digest if body else Digest(digest.header),
            message_id=f"<{raw.split(b'<')[-1].split(b'@')[0].decode()}@b.test>",
            size=len(raw),
            received_at=LONG_AGO,
        )
        for step in WAYS[state]:
            self.ledger.commit(PutEntry(entry._replace(state=step)))

    def restore(self, **arrived: tuple[int, float | None]) -> None:
        """The mailbox has these messages, by their names."""
        self.mailbox.messages = {uid: (mail(name), at) for name, (uid, at) in arrived.items()}

    def states(self, epoch: int) -> dict[int, str]:
        """The entries of an epoch, by UID."""
        return {
            entry.key.uid: str(entry.state)
            for entry in self.ledger.entries(*State)
            if entry.key.epoch == epoch
        }


@pytest.fixture(params=["dedupe"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    settings = ImapSettings(
        host="imap.example.com",
        username="agent@example.com",
        password="x",
        on_uidvalidity_change=request.param,
    )
    with (
        closing(MemoryStateStore()) as store,
        closing(
            Poller(settings, store=store, on_message=lambda _: None, clock=FakeClock())
        ) as poller,
    ):
        yield Scene(store, poller)


on_change = pytest.mark.parametrize("scene", ["dedupe", "replay", "baseline"], indirect=True)


# The first run


DAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("start", "may_answer", "more", "refused"),
    [
        (None, False, 0, ""),
        (None, False, 998, ""),
        (None, False, 999, "more than 1,000"),
        (None, True, 0, "and could be answered"),
        ("all", True, 999, ""),
        ("new", True, 999, ""),
        (DAY, True, 999, ""),
    ],
)
def test_the_first_run(
    scene: Scene,
    start: Any,
    may_answer: bool,
    more: int,
    refused: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    cut = start_instant(DAY)
    scene.restore(a=(1, cut - 1.0), b=(2, cut), c=(3, None))
    scene.mailbox.exists_more = more - 1
    scene.epochs = scene.made(start, may_answer=may_answer)
    if refused:
        with pytest.raises(DecisionRequired, match=refused) as decision:
            scene.enter()
        assert decision.value.setting == "start_from"
        assert decision.value.count == 2 + more
        assert decision.value.choices == ("all", "new", "a date")
        assert scene.ledger.record is None
        assert scene.mailbox.asked == []
        return
    scene.enter(7, uid_next=9)
    record = scene.ledger.record
    assert record is not None
    assert record.epoch == Epoch(1, 7, 9, matched=True, begun_at=NOW)
    assert record.cut == {"new": NOW, DAY: cut}.get(start)
    assert str(scene.ledger.seen) == {"new": "1:3", DAY: "1"}.get(start, "")
    said = {"new": "3 messages", DAY: "1 messages"}.get(start, "")
    assert [line for line in caplog.messages if "passed over" in line] == (
        [f"{said} from before start_from are passed over"] if said else []
    )


def test_an_empty_mailbox_needs_no_decision_although_it_could_be_answered(scene: Scene) -> None:
    scene.epochs = scene.made(may_answer=True)
    scene.enter()
    assert scene.ledger.epoch.number == 1


# A new epoch


@on_change
def test_what_a_new_epoch_makes_of_what_is_there(scene: Scene) -> None:
    scene.begin()
    for uid, state in enumerate(
        (State.FINISHED, State.WAITING, State.DEAD, State.PASSED_OVER, State.HANDLED, State.GONE), 1
    ):
        scene.know(uid, mail(f"m{uid}"), state)
    ids = {uid: scene.ledger.new_entry(uid).delivery_id for uid in range(1, 7)}
    scene.restore(
        **{f"m{uid}": (uid + 10, LONG_AGO) for uid in range(1, 7)},
        unknown=(21, NOW + 1.0),
    )  # fmt: skip
    scene.enter(8, uid_next=30)
    policy = scene.ledger.on_change
    open_ones = {12: "waiting", 13: "dead"}
    settled = {11: "finished", 14: "passed over", 15: "handled"}
    assert scene.states(2) == (open_ones if policy == "replay" else {**open_ones, **settled})
    for uid in (12, 13):
        (entry,) = scene.ledger.siblings(uid)
        assert (entry.delivery_id, entry.uid_validity) == (ids[uid - 10], 8)
    record = scene.ledger.record
    assert record is not None
    assert record.epoch == Epoch(2, 8, 30, matched=True, begun_at=NOW)
    passed = {"dedupe": "11:15", "replay": "12:13", "baseline": "11:16,21"}[policy]
    assert str(scene.ledger.seen) == passed
    assert record.cut == (NOW if policy == "baseline" else None)
    assert ("headers", "11:16,21") in scene.mailbox.asked
    assert not any(command == "bodies" for command, _ in scene.mailbox.asked) or policy != "replay"


@on_change
def test_what_took_the_place_of_another_entry_goes_on_without_it(scene: Scene) -> None:
    scene.begin()
    entry = scene.ledger.new_entry(1)._replace(digest=digest_of(mail("m")), size=len(mail("m")))
    for inbox, state in (("a", State.WAITING), ("", State.GONE)):
        key = entry.key._replace(inbox=inbox)
        scene.ledger.commit(PutEntry(entry._replace(key=key, state=state)))
    scene.restore(m=(5, LONG_AGO))
    scene.enter(8)
    states = {entry.key.inbox: entry.state for entry in scene.ledger.siblings(5)}
    assert states == {"a": State.WAITING}
    assert str(scene.ledger.seen) == "5"


def test_the_reason_is_logged_and_the_cut_and_the_last_poll_stay(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.begin(cut=5.0, horizon=6.0)
    scene.restore(a=(1, NOW))
    scene.enter(8)
    assert (
        "UIDVALIDITY changed from 7 to 8 in INBOX: its 1 messages are processed again (dedupe)"
        in caplog.messages
    )
    record = scene.ledger.record
    assert record is not None
    assert (record.cut, record.horizon, record.polled_at) == (5.0, 6.0, NOW)
    asked = len(scene.mailbox.asked)
    scene.enter(8)
    assert scene.ledger.epoch.number == 2
    assert len(scene.mailbox.asked) == asked, "nothing is known by which it could be another"


def test_without_a_uidvalidity_it_is_0(scene: Scene) -> None:
    scene.begin()
    scene.enter(None)
    assert (scene.ledger.epoch.number, scene.ledger.epoch.uid_validity) == (2, 0)


def test_a_reconciliation_that_was_cut_off_is_gone_on_with(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    scene.begin()
    for uid in (1, 2):
        scene.know(uid, mail(f"m{uid}"))
    scene.restore(m1=(5, LONG_AGO), m2=(6, LONG_AGO))
    scene.mailbox.fails["headers"] = [ConnectionLost("cut"), ConnectionLost("cut")]
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            scene.enter(8)
        assert not scene.ledger.epoch.matched
    scene.epochs = scene.made()
    scene.enter(8)
    assert scene.ledger.epoch.number == 2
    assert scene.ledger.epoch.matched
    assert scene.states(2) == {5: "finished", 6: "finished"}
    assert caplog.messages.count("2 of 2 messages were known") == 1


def test_what_was_recognised_before_the_connection_was_lost_stays_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "BATCH_MESSAGES", 1)
    scene.begin()
    same = mail("same", unique=False)
    for uid in (1, 2):
        scene.know(uid, same)
    scene.mailbox.messages = dict.fromkeys((5, 6), (same, LONG_AGO))
    scene.mailbox.fails["bodies"] = []
    bodies = scene.mailbox.bodies

    def once(uids: UidSet, *, expected_octets: int) -> Any:
        if 6 in uids:
            raise ConnectionLost("cut")
        return bodies(uids, expected_octets=expected_octets)

    monkeypatch.setattr(scene.mailbox, "bodies", once)
    for _ in range(2):
        scene.mailbox.asked.clear()
        with pytest.raises(ConnectionLost):
            scene.enter(8)
        assert scene.states(2) == {5: "finished"}
        assert ("headers", "5") not in scene.mailbox.asked, "compared with itself"


def test_equal_messages_are_counted_and_another_body_is_another_message(scene: Scene) -> None:
    scene.begin()
    twin, other = mail("twin", unique=False), mail("twin", body=b"other\r\n", unique=False)
    scene.know(1, twin)
    scene.know(2, twin)
    scene.mailbox.messages = {
        uid: (raw, NOW + 1.0) for uid, raw in enumerate((twin, other, twin, twin), 5)
    }
    scene.mailbox.messages[9] = (mail("lost", unique=False), NOW + 1.0)
    scene.know(3, mail("lost", unique=False))
    scene.mailbox.bodies_of[9] = None
    scene.enter(8)
    assert scene.states(2) == {5: "finished", 7: "finished"}
    assert ("bodies", "5:9") in scene.mailbox.asked
    assert str(scene.ledger.seen) == "5,7"


@pytest.mark.parametrize(
    ("answer", "size", "compared"),
    [(b"", 0, True), (b"", 9, False), (None, 9, False)],
    ids=["an empty message", "a header that cannot be had", "nothing"],
)
def test_a_message_without_a_header(
    scene: Scene, answer: bytes | None, size: int, compared: bool
) -> None:
    scene.begin()
    raw = b"" if size == 0 else b"\r\n".ljust(size, b"x")  # without a header, too
    scene.know(1, raw)
    scene.mailbox.messages = {5: (raw, LONG_AGO)}
    scene.mailbox.headers_of[5] = answer
    scene.enter(8)
    assert ("bodies" in dict(scene.mailbox.asked)) is compared
    assert scene.ledger.epoch.matched


@pytest.mark.parametrize(("uid", "compared"), [(9, True), (10, False), (11, False)])
def test_what_arrived_after_the_epoch_began_is_not_compared(
    scene: Scene, uid: int, compared: bool
) -> None:
    scene.begin()
    scene.know(1, mail("m"))
    scene.restore(m=(uid, LONG_AGO))
    scene.mailbox.hidden.add(uid)  # when the epoch begins
    listed = scene.mailbox.list_uids

    def after_the_first() -> UidSet:
        uids = listed()
        scene.mailbox.hidden.clear()
        return uids

    scene.mailbox.list_uids = after_the_first  # type: ignore[method-assign]
    scene.enter(8, uid_next=10)
    assert scene.states(2) == ({uid: "finished"} if compared else {})


# Too much that is unknown


@pytest.mark.parametrize(
    ("arrived", "cut", "horizon", "refused"),
    [
        ([NOW - 1.0] * 3, None, None, 3),
        ([NOW - 1.0] * 2, None, None, 0),
        ([NOW - 1.0] * 2 + [NOW, None, NOW + 9.0], None, None, 0),
        ([NOW - 1e4] * 3 + [NOW - 1.0] * 2, NOW - 5e3, None, 0),
        ([NOW - 1e4] * 3 + [NOW - 1.0] * 2, None, NOW - 1e4, 0),
        ([NOW - 1e4] * 3 + [NOW - 1.0] * 3, None, NOW - 1e4, 3),
        ([NOW - 1e4] * 3 + [NOW - 1.0] * 2 + [None], None, NOW - 1e4, 3),
        ([NOW - 1e4] * 3 + [NOW - 1.0] * 2 + [DATED_LATER], None, NOW - 1e4, 0),
    ],
    ids=[
        *("too many", "as many as may be", "new ones", "before the start", "forgotten", "all"),
        *("one without a date may be old", "its date comes when it is asked for again"),
    ],
)
@on_change
def test_old_mail_that_is_unknown_needs_a_decision(
    scene: Scene,
    arrived: list[float | None],
    cut: float | None,
    horizon: float | None,
    refused: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uidvalidity, "UNKNOWN_LIMIT", 2)
    scene.begin(cut=cut, horizon=horizon)
    scene.restore(**{f"m{uid}": (uid, at) for uid, at in enumerate(arrived, 1)})
    for uid, at in enumerate(arrived, 1):
        if at == DATED_LATER:
            raw, _ = scene.mailbox.messages[uid]
            scene.mailbox.messages[uid] = (raw, None)
            scene.mailbox.dates_later[uid] = NOW + 9.0
    policy = scene.ledger.on_change
    if refused and policy == "dedupe":
        for _ in range(2):  # and it stays so
            with pytest.raises(DecisionRequired, match=f"brought {refused} messages") as decision:
                scene.enter(8)
            assert (decision.value.count, decision.value.setting) == (
                refused, "on_uidvalidity_change",
            )  # fmt: skip
            assert decision.value.choices == ("replay", "baseline")
            assert not scene.ledger.epoch.matched
        return
    scene.enter(8)
    assert scene.ledger.epoch.matched
    passed = {"baseline": f"1:{len(arrived)}" if len(arrived) > 1 else "1"}.get(policy, "")
    if horizon is not None and policy == "dedupe":
        passed = "1:3"
    assert str(scene.ledger.seen) == passed


def test_the_unknown_ones_are_counted_over_the_epoch_and_by_the_next_process(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uidvalidity, "UNKNOWN_LIMIT", 2)
    scene.begin()
    scene.enter(8, uid_next=10)
    scene.restore(a=(10, NOW - 1.0), b=(11, NOW - 1.0))
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.parse("10:11"))
    for uid, at, state, more in (
        (10, NOW - 1.0, State.FINISHED, {}),
        (11, NOW - 1.0, State.WAITING, {}),
        (12, NOW, State.WAITING, {}),
        (13, None, State.WAITING, {}),
        (14, NOW - 1.0, State.WAITING, {"delivery_id": "of an earlier epoch"}),
        (15, NOW - 1.0, State.PASSED_OVER, {}),
        (9, NOW - 1.0, State.WAITING, {}),
    ):
        entry = scene.ledger.new_entry(uid)._replace(received_at=at, **more)  # type: ignore[arg-type]
        for step in WAYS[state]:
            scene.ledger.commit(PutEntry(entry._replace(state=step)))
    scene.epochs = scene.made()
    scene.restore(c=(20, NOW - 1.0))
    with pytest.raises(DecisionRequired) as decision:
        scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([20]))
    assert decision.value.count == 3


# UIDs that are given a second time


@pytest.mark.parametrize(
    ("now", "known", "replaced"),
    [
        pytest.param(mail("m"), {}, False, id="the same"),
        pytest.param(b"X-Seen: 1\r\n" + mail("m"), {}, False, id="with another header field"),
        pytest.param(mail("other"), {}, True, id="another message"),
        pytest.param(b"Subject: x\r\n\r\n", {}, False, id="without an id"),
        pytest.param(mail("other"), {"message_id": ""}, False, id="it had no id"),
        pytest.param(mail("other"), {"digest": None}, False, id="it has no digest"),
        pytest.param(None, {}, False, id="nothing"),
        pytest.param(b"", {}, False, id="no header"),
        pytest.param(REFUSED, {}, False, id="a refusal"),
    ],
)
def test_a_uid_that_is_given_a_second_time_begins_an_epoch(
    scene: Scene, now: Any, known: dict[str, Any], replaced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    scene.begin()
    facts: dict[str, Any] = {"digest": digest_of(mail("m")), "message_id": "<m@b.test>", **known}
    entry = scene.ledger.new_entry(4)._replace(**facts)
    scene.ledger.commit(PutEntry(entry._replace(state=State.WAITING)))
    scene.ledger.commit(PutEntry(scene.ledger.new_entry(2)._replace(state=State.WAITING)))
    scene.mailbox.messages = {4: (mail("m"), LONG_AGO)}
    scene.mailbox.asked.clear()
    if isinstance(now, Exception):
        scene.mailbox.fails["headers"] = [now]
    else:
        scene.mailbox.headers_of[4] = now if not now else header(now)
    scene.enter(7)
    assert scene.ledger.epoch.number == 1 + replaced
    asked = [command for command in scene.mailbox.asked if command[0] == "headers"]
    assert asked[:1] == ([] if known else [("headers", "4")])
    assert ("UID 4 was not compared: the server refused" in caplog.text) is (now is REFUSED)
    if replaced:
        assert "UID 4 was <m@b.test> and is <other@b.test> in INBOX" in caplog.text


# Restores that go on


@pytest.mark.parametrize(
    ("uid", "at", "after", "known"),
    [
        pytest.param(10, LONG_AGO, 0.0, True, id="old mail"),
        pytest.param(9, LONG_AGO, 0.0, False, id="below the boundary: compared when it began"),
        pytest.param(10, NOW + 5.0, 0.0, True, id="with a new date"),
        pytest.param(10, NOW, 0.0, True, id="of the very instant"),
        pytest.param(10, LONG_AGO, YOUNG_EPOCH, True, id="a week later"),
        pytest.param(10, LONG_AGO, YOUNG_EPOCH + 1.0, False, id="more than a week later"),
    ],
)
def test_what_comes_back_in_a_young_epoch_is_known(
    scene: Scene, uid: int, at: float, after: float, known: bool
) -> None:
    scene.begin()
    scene.know(1, mail("m"))
    scene.enter(8, uid_next=10)
    scene.restore(m=(uid, at))
    scene.clock.advance(after)  # type: ignore[attr-defined]
    scene.mailbox.asked.clear()
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([uid]))
    assert scene.states(2) == ({uid: "finished"} if known else {})
    assert bool(scene.mailbox.asked) is known


@pytest.mark.parametrize("dated", [True, False], ids=["at once", "when it is asked for again"])
def test_what_comes_back_and_is_older_than_the_retention_is_passed_over(
    scene: Scene, dated: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not dated:
        monkeypatch.setattr(scene.mailbox, "received_before", lambda *_: UidSet())
    caplog.set_level("INFO", "nornmail.poller")
    scene.begin(horizon=LONG_AGO)
    scene.enter(8, uid_next=10)
    scene.restore(m=(10, LONG_AGO), other=(11, LONG_AGO + 1.0))
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.parse("10:11"))
    assert str(scene.ledger.seen) == "10"
    assert "1 messages are older than what the store keeps (retention)" in caplog.text


@pytest.mark.parametrize("scene", ["replay"], indirect=True)
def test_what_was_passed_over_stays_so_under_replay(scene: Scene) -> None:
    scene.begin()
    scene.know(1, mail("m"), State.PASSED_OVER)
    scene.know(2, mail("n"), State.FINISHED)
    scene.enter(8)
    passed, settled = (scene.ledger.get([EntryKey(1, uid, "")]) for uid in (1, 2))
    assert [type(one) for one in carried_over(scene.ledger, next(passed), 5)] == [Rekey]
    assert [type(one) for one in carried_over(scene.ledger, next(settled), 6)] == [PutEntry]


def test_in_the_first_epoch_and_without_mail_nothing_is_asked(scene: Scene) -> None:
    scene.begin()
    scene.restore(m=(50, LONG_AGO))
    scene.mailbox.asked.clear()
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([50]))
    scene.enter(8)
    scene.mailbox.asked.clear()
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet())
    assert scene.mailbox.asked == []


@pytest.mark.parametrize("at", [LONG_AGO, None], ids=["by its date", "by its digest"])
def test_a_restore_that_goes_on_keeps_the_epoch_young(scene: Scene, at: float | None) -> None:
    scene.begin()
    for number in range(4):
        scene.know(number + 1, mail(f"m{number}"))
    scene.enter(8, uid_next=10)
    for number in range(3):
        scene.clock.advance(timedelta(days=6).total_seconds())  # type: ignore[attr-defined]
        uid = 10 + number
        scene.restore(**{f"m{number}": (uid, at or scene.clock.wall())})
        scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([uid]))
        assert scene.states(2)[uid] == "finished"
    scene.clock.advance(timedelta(days=6).total_seconds())  # type: ignore[attr-defined]
    scene.restore(new=(14, scene.clock.wall()))
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([14]))
    assert 14 not in scene.states(2)
    scene.clock.advance(timedelta(days=6).total_seconds())  # type: ignore[attr-defined]
    scene.restore(m3=(15, scene.clock.wall()))
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([15]))
    assert 15 not in scene.states(2), "mail of today keeps nothing young"


def test_mail_of_today_that_is_only_like_other_mail_is_new(scene: Scene) -> None:
    scene.begin()
    scene.know(1, mail("m", unique=False))
    scene.enter(8, uid_next=10)
    scene.mailbox.messages = {10: (mail("m", unique=False), NOW + 1.0)}
    scene.epochs.reconcile_restored(scene.mailbox.connection, UidSet.of([10]))
    assert scene.states(2) == {}


def test_what_was_seen_in_the_epoch_is_not_compared_again(scene: Scene) -> None:
    scene.begin()
    scene.know(1, mail("m"))
    scene.restore(m=(5, LONG_AGO))
    scene.mailbox.fails["headers"] = [ConnectionLost("cut")]
    with pytest.raises(ConnectionLost):
        scene.enter(8)
    scene.ledger.commit(PassOver(2, UidSet.of([5])))
    scene.mailbox.asked.clear()
    scene.enter(8)
    assert ("headers", "5") not in scene.mailbox.asked
    assert scene.ledger.store.get(scene.ledger.mailbox, EntryKey(2, 5)) is None


def test_what_could_not_be_read_in_one_epoch_is_read_in_the_next(scene: Scene) -> None:
    scene.begin()
    scene.epochs._reader._unreadable.update(UidSet.of([4]))
    scene.restore(m4=(4, NOW))
    scene.enter(8)
    assert not scene.epochs._reader._unreadable
