"""What must be true at the end: nothing waits, nothing is open, and every message came through."""

from __future__ import annotations

from collections import Counter

from nornmail.model import Entry, EntryKey, State
from nornmail.stores.protocol import StateStore
from tests.model.shore import DELETED, SEEN, Copy
from tests.model.world import World

PAUSE = 30_000.0
"""Seconds between two polls of the end: longer than every delay."""
MOST_POLLS = 60
"""Polls until everything must have come to rest."""

Picture = tuple[object, ...]


def finish(world: World) -> None:
    """End the faults, poll until nothing moves any more, and compare."""
    world.calm()
    settle(world)
    check_everything(world)
    before = picture(world), world.shore.box.messages, len(world.oracle.deliveries)
    world.poll(may_fail=False)
    if before != (picture(world), world.shore.box.messages, len(world.oracle.deliveries)):
        world.violations.append("a further poll changed something")
    world.poller.close()
    closed = picture(world)
    world.reopen()
    if picture(world) != closed:
        world.violations.append("the store that was opened again gives another picture")


def settle(world: World) -> None:
    quiet = 0
    for _ in range(MOST_POLLS):
        world.clock.advance(PAUSE)
        before = picture(world)
        world.poll(may_fail=False)
        quiet = quiet + 1 if picture(world) == before else 0
        if quiet == 2 or world.violations:
            return
    world.violations.append(f"nothing came to rest in {MOST_POLLS} polls")


def picture(world: World) -> Picture:
    """All that a store knows, but for the time of the last poll."""
    store, key = world.store.inner, world.key
    record = store.load(key)
    if record is None:
        return ()
    entries = store.entries(key, set(State))
    raws = [store.raw(key, entry.key) for entry in entries]
    return record.epoch, record.cut, entries, raws, str(store.seen_uids(key, record.epoch.number))


def check_everything(world: World) -> None:
    world.shore.sync()
    store, key = world.store.inner, world.key
    for state in (State.WAITING, State.CLAIMED, State.HANDLED, State.NEW):
        for entry in store.entries(key, {state}):
            world.violations.append(f"at the end {entry.key} is still {state}: {entry.reason}")
    for entry in store.entries(key, {State.DEAD}):
        world.oracle.check_dead(entry)
    sent = Counter(copy.letter for copy in world.shore.copies)
    for uid, copy in world.shore.present.items():
        check_copy(world, store, uid, copy, alone=sent[copy.letter] == 1)


def check_copy(world: World, store: StateStore, uid: int, copy: Copy, *, alone: bool) -> None:
    """A copy that is still on the server was handled, is dead, or was rightly passed over."""
    record = store.load(world.key)
    number = record.epoch.number if record else 0
    entry = store.get(world.key, EntryKey(number, uid))
    # Copies of one letter are interchangeable, and one may have been passed over.
    twins = [one for one in world.shore.copies if one.letter is copy.letter]
    passable = any(one.passable or world.oracle.is_old(one) for one in twins)
    if entry is None or entry.state in (State.GONE, State.PASSED_OVER):
        passed = entry is not None or uid in store.seen_uids(world.key, number)
        if not (passable and passed) or (entry and entry.state is State.GONE):
            state = entry.state if entry else "not known"
            world.violations.append(f"{copy.letter} (UID {uid}) was lost: it is {state}")
        return
    delivery = world.oracle.deliveries.get(entry.delivery_id)
    if delivery is None:
        world.violations.append(f"{entry} has a delivery id that was never committed")
        return
    if delivery.letter is not copy.letter:
        world.violations.append(f"{copy.letter} (UID {uid}) was taken for {delivery.letter}")
    if entry.state is State.FINISHED:
        if not delivery.returned:
            world.violations.append(f"{copy.letter} (UID {uid}) is finished and was never handled")
        if alone and not copy.unreadable:
            check_action(world, uid, copy, entry)


def check_action(world: World, uid: int, copy: Copy, entry: Entry) -> None:
    """What was to be done on the server was done."""
    plan = world.plan
    (flags,) = (message.flags for message in world.shore.box.messages if message.uid == uid)
    if plan.action == "none":
        return
    if SEEN not in flags and SEEN not in copy.unset:
        world.violations.append(f"{copy.letter} (UID {uid}) was handled and is not seen")
    if plan.action == "seen" or copy.letter.large:
        return
    if plan.uidplus or (plan.action == "move" and plan.move):
        world.violations.append(f"{copy.letter} (UID {uid}) is finished and still there: {entry}")
    elif DELETED not in flags and DELETED not in copy.unset:
        world.violations.append(f"{copy.letter} (UID {uid}) is finished and not flagged deleted")
    if plan.action == "move" and not world.shore.archived()[copy.letter]:
        world.violations.append(f"{copy.letter} (UID {uid}) is finished and was not moved")
