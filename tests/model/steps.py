"""What each kind of step does: other clients, senders, the network, the clock, the process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from nornmail import ConfigurationError, ImapSettings, LeaseHeld, NornmailError, Poller
from nornmail.message.message import Message
from nornmail.testing import MISSING, faults
from tests.model.letters import Letter
from tests.model.plan import Step
from tests.model.shore import DELETED, SEEN, Copy
from tests.model.watch import KILL_POINTS
from tests.model.world import ACCOUNT, World, end

LONG_AGO = 10 * 86_400.0
"""Seconds by which the INTERNALDATE of old mail lies before the run."""
FETCH_FAULTS: tuple[faults.FetchFaultKind, ...] = (
    "missing",
    "no_body",
    "nil",
    "empty",
    "twice",
    "wrong_size",
)
COMMANDS = (None, "NOOP", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "UID MOVE", "UID COPY")
MEANWHILE = ("deliver", "expunge", "flag", "mark_deleted", "new_validity", "hide")
"""Steps that can fall into the midst of a poll."""


class Steps(World):
    """A world in which steps are taken."""

    def do(self, step: Step) -> None:
        """Carry one step out, and compare."""
        action: Callable[[int, int], None] = getattr(self, f"do_{step.name}")
        action(step.a, step.b)
        self.shore.check(self.oracle.handled())

    # The poller.

    def do_poll(self, _a: int, _b: int) -> None:
        self.poll()

    def do_kill(self, a: int, b: int) -> None:
        self.killer.arm(KILL_POINTS[a % len(KILL_POINTS)], 1 + b % 12)
        self.poll()
        self.killer.disarm()

    def do_restart(self, _a: int, _b: int) -> None:
        self.poller.close()
        self.oracle.handler_unknown()
        self.reopen()
        self.poller = self.new_poller()

    def _has_lease(self) -> bool:
        return bool(self.store.leases)

    def do_rival(self, a: int, _b: int) -> None:
        """Another poller wants the mailbox: of this process, or of another on the same store."""
        if not self._has_lease():
            return
        settings = self.settings if a % 2 else ImapSettings(host="elsewhere.invalid")
        rival = Poller(settings, store=self.store, on_message=self._rob, account=ACCOUNT)
        try:
            rival.poll_once()
        except (LeaseHeld, ConfigurationError) as refused:
            if isinstance(refused, LeaseHeld) is bool(a % 2):
                self.violations.append(f"a second poller was refused with {refused!r}")
        else:
            self.violations.append("a second poller was let in")
        rival.close()

    def _rob(self, message: Message) -> None:
        self.violations.append(f"a second poller was given {message.ref}")

    def do_usurp(self, _a: int, _b: int) -> None:
        """The lease is taken away between two polls, as from a process that was thought dead."""
        if not self._has_lease():
            return
        stale = self.poller
        self.store.forget_leases()
        end(stale)
        self.oracle.process_ended()
        self.poller = self.new_poller()
        self.poll()
        self.oracle.stale = self._has_lease()
        if self.oracle.stale:  # else it may take the mailbox again
            with suppress(NornmailError):  # LeaseLost, unless something else came first
                stale.poll_once()
        stale.close()
        self.oracle.stale = False

    def do_store_fails(self, a: int, _b: int) -> None:
        self.store.failures = 1 + a % 3
        self.poll()
        self.store.failures = 0

    def do_advance(self, a: int, b: int) -> None:
        self.clock.advance(float((1, 30, 90, 400, 2_000, 4_000, 30_000)[a % 7] + b % 10))

    def do_jump(self, a: int, b: int) -> None:
        """The poller's clock is wrong from now on; it was right when "new" and dates were fixed."""
        if self.oracle.epochs and self.plan.on_change != "baseline":
            seconds = float((-86_400, -3_600, 3_600, 86_400)[a % 4] + b % 100)
            self.oracle.clock_jumps(seconds)
            self.clock.jump(seconds)

    def do_outage(self, _a: int, _b: int) -> None:
        self.outage = not self.outage

    def _deliver(self, letter: Letter, *, ago: float = 0.0) -> None:
        if not self.held:
            self.shore.deliver(letter, self.true_time() - ago)

    def do_deliver(self, _a: int, _b: int) -> None:
        self._deliver(self.post.plain())

    def do_deliver_anonymous(self, a: int, _b: int) -> None:
        self._deliver(self.post.anonymous() if a % 8 else self.post.empty())

    def do_deliver_large(self, a: int, _b: int) -> None:
        self._deliver(self.post.large(message_id=a % 3 > 0))

    def do_deliver_old(self, _a: int, _b: int) -> None:
        self._deliver(self.post.plain(), ago=LONG_AGO)

    def do_deliver_equal(self, a: int, _b: int) -> None:
        if self.shore.present:
            self._deliver(self._some(a).letter)

    def do_deliver_twin(self, a: int, _b: int) -> None:
        if self.shore.present:
            self._deliver(self.post.twin(self._some(a).letter))

    def do_deliver_troubled(self, a: int, b: int) -> None:
        letter = self.post.anonymous() if b % 4 == 0 else self.post.plain()
        kinds = (["reject"], ["defer"] * (1 + b % 3), ["fail"] * (1 + b % 7))
        self.trouble[letter] = list(kinds[min(a % 5, 2)])
        self._deliver(letter)

    def _some(self, a: int) -> Copy:
        return self.shore.present[self._uid(a)]

    def _uid(self, a: int) -> int:
        """One of the mailbox's UIDs, the newest most often; 0 where there is none."""
        self.shore.sync()
        uids = sorted(self.shore.present, reverse=True)
        return uids[a % len(uids) if a % 2 else a // 2 % min(3, len(uids))] if uids else 0

    def do_expunge(self, a: int, _b: int) -> None:
        self.shore.expunge(self._uid(a))

    def do_flag(self, a: int, b: int) -> None:
        self.shore.toggle(self._uid(a), ("\\Flagged", SEEN, "todo")[b % 3])

    def do_mark_deleted(self, a: int, _b: int) -> None:
        self.shore.toggle(self._uid(a), DELETED)

    def do_new_validity(self, a: int, _b: int) -> None:
        self.shore.new_validity(renumber=a % 4 > 0)

    def do_odd_validity(self, a: int, _b: int) -> None:
        odd = self.shore.box.uid_validity_override is not None
        self.shore.box.uid_validity_override = None if odd else (0, MISSING)[a % 2]

    def do_odd_uid_next(self, a: int, _b: int) -> None:
        """Inflated or rewound for a while. No client could see through a hidden UID as well."""
        box = self.shore.box
        if box.uid_next_override is not None:
            box.uid_next_override = None
        elif a % 2 and not self.held:
            box.uid_next_override = 5_000
        elif not any(copy.hidden for copy in self.shore.present.values()):
            box.uid_next_override = 1

    def do_restore(self, _a: int, _b: int) -> None:
        """Start over under the same UIDVALIDITY, where UIDNEXT tells it: see there."""
        self.shore.sync()
        box, record = self.shore.box, self.store.inner.load(self.key)
        odd = box.uid_next_override is not None or box.uid_validity_override is not None
        if odd or record is None or not self.knows_epoch():
            return
        known = self.store.inner.seen_uids(self.key, record.epoch.number)
        if (
            record.epoch.uid_validity == box.uid_validity
            and len(self.shore.present) < known.highest
        ):
            self.shore.new_validity(same=True)
            # New mail would raise UIDNEXT again, and nobody could tell.
            self.held = True

    def do_hide(self, a: int, b: int) -> None:
        if self.shore.box.uid_next_override != 1:
            self.shore.hide(self._uid(a), 1 + b % 3)

    def _trouble(self, *ordered: faults.Fault) -> None:
        self.oracle.troubled = True
        self.server.faults.add(*ordered)

    def do_cut(self, a: int, b: int) -> None:
        nth = 1 + b % 10
        if a % 3 == 0:
            self._trouble(faults.Cut(before=True, on_nth=nth))
        else:
            command = "UID FETCH" if a % 3 == 1 else None
            self._trouble(faults.Cut(command, after_bytes=a % 900, on_nth=nth))

    def do_cut_connect(self, a: int, b: int) -> None:
        greeting = faults.Greeting(data=b"* BYE too many\r\n", close=True, times=1 + b % 3)
        self._trouble(greeting if a % 2 else faults.CutTotal(after_bytes=b % 3_000))

    def do_refuse(self, a: int, b: int) -> None:
        text = (b"NO not now", b"BAD what", b"NO [UNAVAILABLE] try later")[a % 3]
        self._trouble(
            faults.Answer(COMMANDS[b % len(COMMANDS)], text=text, times=1 + a % 2, on_nth=1 + a % 4)
        )

    def do_bye(self, _a: int, b: int) -> None:
        self._trouble(faults.Bye(on_nth=1 + b % 10))

    def do_spoil(self, a: int, b: int) -> None:
        uid = self._uid(a)
        if uid and self._some(a).letter.raw:
            self.shore.spoiled.add(uid)
            kind = FETCH_FAULTS[b % len(FETCH_FAULTS)]
            self.server.faults.add(faults.FetchFault(uid=uid, kind=kind, times=1 + b % 9))

    def do_meanwhile(self, a: int, b: int) -> None:
        """Something happens while the poller is at its work."""
        inner: Callable[[int, int], None] = getattr(self, f"do_{MEANWHILE[a % len(MEANWHILE)]}")
        command = COMMANDS[b % len(COMMANDS)]
        self._trouble(
            faults.Call(command, function=lambda: inner(a // 7, b // 7), on_nth=1 + a % 5)
        )
