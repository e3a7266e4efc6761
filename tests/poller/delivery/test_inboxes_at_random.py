"""Random mail, failures, deaths and UIDVALIDITYs: each inbox has what is its own, once.

Every step is drawn from a seed. In the end all is calm, and what each inbox was handed is compared
with what was addressed to it, and the mailbox with what the inboxes made of it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest

from nornmail import Inbox, MemoryStateStore, Message, Poller, Reject, RetryPolicy, StoreError
from nornmail.model import Change, Lease, State
from tests.poller.delivery.harness import World, embedded_only, mail

ADDRESSES = ("a@example.com", "b@example.com", "c@example.com")
LATER = "d@example.com"
SEEDS = [pytest.param(seed, marks=pytest.mark.long if seed >= 2 else ()) for seed in range(40)]
"""The first two in the default run."""
STEPS = 40
DELAYS = (60.0,) * 40
"""So many that no message dies of deaths of the process."""

Pair = tuple[str, str]
"""The subject of a message, and an inbox that it is for."""


class Ended(StoreError):
    """The process has ended."""


class Mortal(MemoryStateStore):
    """A store whose process ends before or after a commit; nothing is written from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.before = False
        self.committed = 0

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        if self.left == 0:
            raise Ended("the process has ended")
        self.left -= 1
        if self.left == 0 and self.before:
            raise Ended("the process ends")
        super().commit(lease, changes)
        self.committed += 1
        if self.left == 0:
            raise Ended("the process ends")


class Story:
    """One run: the mailbox, whoever works on it, and what is to come of it."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.store = Mortal()
        world.store = self.store
        self.sent: dict[str, tuple[str, ...]] = {}
        self.rejected: set[Pair] = set()
        self.returned: Counter[Pair] = Counter()
        self.excused: Counter[Pair] = Counter()
        self.this_life: set[Pair] = set()
        self.ids: dict[Pair, set[str]] = {}
        self.calm = False
        self.inboxes = list(ADDRESSES)
        self.poller = self.begin()

    def begin(self) -> Poller:
        self.this_life.clear()
        return self.world.poller(
            inboxes=[Inbox(address, self.handle) for address in self.inboxes],
            delete_after_fetch=True,
            retry=RetryPolicy(DELAYS),
            on_uidvalidity_change="dedupe",
        )

    def handle(self, message: Message) -> None:
        pair = (message.subject, message.inbox)
        assert message.inbox in self.sent[message.subject], pair
        self.ids.setdefault(pair, set()).add(message.delivery_id)
        if not self.calm and self.dice.random() < 0.3:
            raise RuntimeError("not now")
        if not self.calm and self.dice.random() < 0.1:
            self.rejected.add(pair)
            raise Reject("no")
        self.returned[pair] += 1
        self.this_life.add(pair)

    def poll(self) -> None:
        self.poller.poll_once()

    def do_deliver(self) -> None:
        subject = str(len(self.sent))
        everybody = (*ADDRESSES, LATER)
        chosen = [one for one in everybody if self.dice.random() < 0.5]
        self.sent[subject] = tuple(chosen)
        head = f"Cc: {', '.join(chosen)}\r\n" if chosen else ""
        self.world.deliver(mail(subject, head=head))

    def do_poll(self) -> None:
        self.poll()

    def do_wait(self) -> None:
        self.world.clock.advance(self.dice.choice((30.0, 60.0, 4_000.0)))

    def do_restart(self) -> None:
        self.poller.close()
        self.poller = self.begin()

    def do_die(self) -> None:
        self.store.left = self.dice.randint(1, 12)
        self.store.before = self.dice.random() < 0.5
        with suppress(Ended):
            self.poll()
        self.store.left = min(self.store.left, 0)
        with suppress(Ended):
            self.poller.close()
        # What was handled and is still claimed is repeated: with one worker a message at most.
        claimed = {entry.delivery_id for entry in self.world.entries(State.CLAIMED)}
        assert len(claimed) <= self.world.workers
        repeated = {pair for pair in self.this_life if self.ids[pair] & claimed}
        self.excused.update(repeated)
        # A death in the call that rejects is an attempt that failed.
        self.store.left = -1
        self.poller = self.begin()

    def do_renew(self) -> None:
        self.poller.close()
        self.world.restore()
        self.poller = self.begin()

    def do_add(self) -> None:
        if LATER not in self.inboxes:
            self.inboxes.append(LATER)
            self.poller.add_inbox(Inbox(LATER, self.handle), backfill=True)
            self.poll()

    def tell(self) -> None:
        steps = ("deliver",) * 4 + ("poll",) * 2 + ("wait", "restart", "die", "renew", "add")
        for _ in range(STEPS):
            getattr(self, f"do_{self.dice.choice(steps)}")()
        self.calm = True
        self.do_add()
        for _ in range(6):
            self.world.clock.advance(4_000.0)
            self.poll()

    def check(self) -> None:
        dead = {
            (entry.message_id[1:].partition("@")[0], entry.key.inbox)
            for entry in self.world.entries(State.DEAD)
        }
        assert dead <= self.rejected
        for subject, chosen in self.sent.items():
            for inbox in chosen:
                pair = (subject, inbox)
                times = self.returned[pair]
                assert times <= 1 + self.excused[pair], pair
                assert times >= 1 or pair in dead or self.was_deleted(subject, inbox), pair
                assert len(self.ids.get(pair, ())) <= 1, pair
        assert self.world.states()[State.WAITING] == self.world.states()[State.NEW] == 0
        lying = self.world.flags()
        for subject, chosen in self.sent.items():
            stays = not chosen or any((subject, inbox) in dead for inbox in chosen)
            assert (subject in lying) == stays, subject
        assert not any(lying.values())

    def was_deleted(self, subject: str, inbox: str) -> bool:
        """Whether all others were through with a message before the inbox was there."""
        others = [one for one in self.sent[subject] if one != LATER]
        return inbox == LATER and bool(others) and all(self.returned[subject, o] for o in others)


@embedded_only  # thousands of steps
@pytest.mark.parametrize("seed", SEEDS)
def test_every_inbox_has_what_is_its_own(world: World, seed: int) -> None:
    story = Story(world, seed)
    story.tell()
    story.check()
