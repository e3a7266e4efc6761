"""The connection is cut at every octet of an exchange, and everything is as if it had not been."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from nornmail import ConnectionLost, MemoryStateStore, Message, Reject
from nornmail.model import MailboxKey, State
from nornmail.poller.actions import LOOKED_FOR
from tests.poller.delivery.harness import World, embedded_only, mail, poll_in_spite_of
from tests.support.samples import SEED

OURS = {name: mail(name) for name in ("one", "two", "three")}
FOREIGN = "somebody else deletes this"
"""A message that is flagged as deleted, and that nobody handles: it is not to be touched."""
CUTS = 5
"""Cuts of each exchange in the default run, and on real servers."""


@dataclass(frozen=True)
class Exchange:
    """What becomes of three messages.

    Attributes:
        options: of the poller.
        moves: they are to be in another mailbox in the end.
        hides: what the server does not say that it can do.
        stays: they are to be here in the end.
    """

    options: tuple[tuple[str, Any], ...] = ()
    moves: bool = False
    hides: tuple[str, ...] = ()
    stays: bool = False


EXCHANGES = {
    "flagged": Exchange(stays=True),
    "deleted": Exchange((("delete_after_fetch", True),)),
    "moved": Exchange(moves=True),
    "copied and expunged": Exchange(moves=True, hides=("MOVE",)),
}
by_exchange = pytest.mark.parametrize(
    "exchange", [pytest.param(one, id=name) for name, one in EXCHANGES.items()]
)
by_speaker = pytest.mark.parametrize("speaker", ["server", "client"])


class Cuts:
    """One exchange after the other, each with mailboxes and a store of its own."""

    def __init__(self, world: World, exchange: Exchange) -> None:
        self.world = world
        self.exchange = exchange
        self.made = 0
        world.wire.hide(*exchange.hides)

    def run(self, speaker: str = "", *cuts: int) -> tuple[int, int]:
        """One exchange; returns the octets of the server and of the client.

        Args:
            speaker: whose octets are counted to the cuts.
            cuts: after how many of them each connection in turn breaks.
        """
        world, proxy = self.world, self.world.proxy
        self.made += 1
        source, target = f"Source{self.made}", f"Target{self.made}"
        world.others.create(source)
        if self.exchange.moves:
            world.others.create(target)
        world.deliver(FOREIGN, mailbox=source, flags=["\\Deleted"])
        world.deliver(*OURS.values(), mailbox=source)
        before = proxy.bytes_down, proxy.bytes_up
        for octets in cuts:
            proxy.cut_after("server" if speaker == "server" else "client", octets)
        self.poll(source, target)
        self.check(source, target)
        spoken = proxy.bytes_down - before[0], proxy.bytes_up - before[1]
        for mailbox in (source, target) if self.exchange.moves else (source,):
            world.others.delete(mailbox)  # a search for the target lists them all
        return spoken

    def poll(self, source: str, target: str) -> None:
        """Poll until it succeeds, and hold what was handed over against what was delivered."""
        handed_over: list[Message] = []

        def handle(message: Message) -> None:
            if message.subject == FOREIGN:
                raise Reject("it is not ours")
            handed_over.append(message)

        store = MemoryStateStore()
        moves = {"move_to": target} if self.exchange.moves else {}
        poller = self.world.poller(
            handle, store=store, mailbox=source, **dict(self.exchange.options), **moves
        )
        poll_in_spite_of(poller, ConnectionLost)
        settings = self.world.settings(mailbox=source)
        mailbox = MailboxKey(settings.account, settings.mailbox)
        if store.count(mailbox, {State.HANDLED}):
            assert self.exchange.moves  # one that is not listed any more is looked for
            self.world.clock.advance(LOOKED_FOR)
            poll_in_spite_of(poller, ConnectionLost)
        poller.close()
        assert {message.subject: message.raw for message in handed_over} == OURS
        assert len(handed_over) == len(OURS)
        entries = store.entries(mailbox, tuple(State))
        assert sorted(entry.state for entry in entries) == sorted(
            [State.DEAD, *[State.FINISHED] * len(OURS)]
        )

    def check(self, source: str, target: str) -> None:
        """Look at the mailboxes."""
        left = [(one.raw, set(one.flags)) for one in self.world.stored(source)]
        foreign = (mail(FOREIGN), {"\\Deleted"})
        stay = [(raw, {"\\Seen"}) for raw in OURS.values()] if self.exchange.stays else []
        assert left == [foreign, *stay]
        if self.exchange.moves:
            moved = [one.raw for one in self.world.stored(target)]
            assert sorted(moved) == sorted(OURS.values())


def octets_of(cuts: Cuts, speaker: str) -> int:
    """What one side says in an exchange that nobody cuts."""
    from_server, from_client = cuts.run()
    return from_server if speaker == "server" else from_client


@by_speaker
@by_exchange
def test_a_cut_anywhere(world: World, exchange: Exchange, speaker: str) -> None:
    """A sample: the first and the last octet, and some between; and two cuts after each other."""
    cuts = Cuts(world, exchange)
    total = octets_of(cuts, speaker)
    rng = random.Random(f"{SEED} {speaker} {exchange}")
    for octets in [0, total - 1, *sorted(rng.sample(range(1, total - 1), CUTS - 4))]:
        cuts.run(speaker, octets)
    for _ in range(2):
        cuts.run(speaker, rng.randrange(total), rng.randrange(total))
    assert world.proxy.connections > cuts.made + CUTS // 2, "the cuts were not noticed"


@embedded_only
@pytest.mark.long
@by_speaker
@by_exchange
def test_a_cut_at_every_octet(world: World, exchange: Exchange, speaker: str) -> None:
    cuts = Cuts(world, exchange)
    total = octets_of(cuts, speaker)
    for octets in range(total):
        cuts.run(speaker, octets)
    assert world.proxy.connections > cuts.made + total // 2, "the cuts were not noticed"
