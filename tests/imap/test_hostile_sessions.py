"""A hostile server at every stage: a typed error or a right result, in bounded memory and time."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from nornmail.errors import ConnectionLost, NornmailError
from nornmail.imap.connection import Connection
from nornmail.imap.limits import Limits
from nornmail.uidset import UidSet
from tests.imap.fake import FakeClock, FakeSocket, plugged, settings
from tests.imap.hostile import HEALTHY, STAGES, Attack, damaged, table
from tests.support.samples import sampled

KIB = 1024
LIMITS = Limits(line=256 * KIB, total=512 * KIB, body_slack=KIB, responses=2_000)
"""The limits in small: what is tested is that they hold, not how large they are."""
PEAK = 32 * 1024 * KIB
"""Octets that a session may take beside what it is sent at once. Half a million words in a line
make half a million values."""
WORK = 40_000
"""Reads of the socket in one session, at most."""
SEED = 4_711
ROUNDS = 40
COMMANDS = {
    "capability": "CAPABILITY",
    "login": "LOGIN",
    "select": "SELECT",
    "search": "UID SEARCH",
    "flags": "UID STORE",
    "logout": "LOGOUT",
}


class Hostile(FakeSocket):
    """A server that is healthy at every stage but one.

    Attributes:
        reads: how often it was read from.
    """

    def __init__(self, stage: str, attack: Attack) -> None:
        said = {**HEALTHY, stage: attack.said}
        answers: dict[str, Any] = {name: said[at] for at, name in COMMANDS.items()}
        answers["IDLE"] = [said["idle"], b"%T OK done\r\n"]  # to IDLE and to DONE
        answers["UID FETCH"] = [said["sizes"], said["bodies"]]
        answers["NOOP"] = b"%T OK done\r\n"
        super().__init__(answers, greeting=said["greeting"], ends=True)
        self._attack = attack
        self._said = 0
        self.reads = 0

    def recv(self, size: int) -> bytes:
        self.reads += 1
        assert self.reads < WORK, "it reads on and on"
        if self._attack.again and not self._out:
            # What was sent at the stage goes on, whatever the stage is by now.
            self._out = self._attack.said.replace(b"%T", self._tag)
        return super().recv(size)


def session(sock: FakeSocket) -> dict[str, object]:
    """All that a poll does, on one connection; what it got."""
    got: dict[str, object] = {}
    with plugged(sock):
        opened = Connection.open(settings(), clock=FakeClock(), limits=LIMITS)
    try:
        got["exists"] = opened.select("INBOX").exists
        got["uids"] = opened.uids_from(5)
        asked = UidSet([(5, 7)])
        got["sizes"] = opened.summaries(asked)
        got["bodies"] = opened.bodies(asked, expected_octets=5)
        opened.add_flags(asked, ["\\Seen"])
        got["news"] = opened.idle(30.0)
        opened.noop()
    except NornmailError as error:
        if isinstance(error, ConnectionLost):
            with pytest.raises(ConnectionLost):  # it stays closed, and says so
                opened.noop()
        raise
    finally:
        opened.close()
    return got


def survive(sock: FakeSocket) -> dict[str, object] | NornmailError:
    """The session's result, or the typed error that it ended with; the socket is closed."""
    try:
        result: dict[str, object] | NornmailError = session(sock)
    except NornmailError as error:
        result = error
    assert sock.closed
    return result


def believe_only_what_was_asked(result: dict[str, object]) -> None:
    """What a session gave is of messages that were asked for, and no invention."""
    uids, sizes, bodies = result["uids"], result["sizes"], result["bodies"]
    assert isinstance(uids, UidSet)
    assert isinstance(sizes, dict)
    assert isinstance(bodies, dict)
    assert all(low >= 5 and high < 5_000 for low, high in uids.ranges)
    assert set(sizes) <= {5, 6, 7}
    assert set(bodies) <= {5, 6, 7}


TABLE = list(table())
NAMES = [f"{attack.name}: {stage}" for stage, attack in TABLE]
CASES = [pytest.param(*case, id=name) for case, name in zip(TABLE, NAMES, strict=True)]
IN_EVERY_RUN = 80
"""Of more than four hundred hostile answers; all of them in a long run."""
FLOODS = [case for case, (_, attack) in zip(CASES, TABLE, strict=True) if attack.again]


@pytest.mark.parametrize(("stage", "attack"), sampled(TABLE, IN_EVERY_RUN, ids=NAMES))
def test_a_hostile_answer(stage: str, attack: Attack) -> None:
    sock = Hostile(stage, attack)
    result = survive(sock)
    if isinstance(result, dict):
        believe_only_what_was_asked(result)
        bodies: Any = result["bodies"]
        raws = {body.raw for body in bodies.values()} - {None}
        assert raws <= {b"hello"}, "a body that no healthy server gave"
    # And the next connection is as good as any.
    healthy = session(Hostile("flags", Attack("nothing wrong", HEALTHY["flags"])))
    assert healthy["exists"] == 3
    assert healthy["uids"] == UidSet([(5, 7)])


def test_there_are_at_least_two_hundred() -> None:
    assert len(CASES) >= 200
    assert {case.values[0] for case in CASES} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_damage_at_random(stage: str) -> None:
    rng = random.Random(f"{SEED} {stage}")
    results = set()
    for _ in range(ROUNDS):
        attack = Attack("damage", damaged(rng, HEALTHY[stage]))
        result = survive(Hostile(stage, attack))
        results.add(type(result))
        if isinstance(result, dict):
            believe_only_what_was_asked(result)
    assert dict in results or stage in ("greeting", "login")
    assert len(results) > 1 or stage == "logout"  # nobody minds how it says good-bye


@pytest.mark.parametrize(("stage", "attack"), FLOODS[:: max(1, len(FLOODS) // 12)])
def test_a_flood_is_bounded_in_memory(stage: str, attack: Attack) -> None:
    tracemalloc.start()
    try:
        survive(Hostile(stage, attack))
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()
