"""Each call of the store fails once, or for a while; the program polls again, in the same process.

A call fails before anything was done, as a disk that is full or a file that is locked makes it, or
with the KeyboardInterrupt that Python raises right behind a call that succeeded. In the end every
message was handled, once, and nothing waits for a person.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from nornmail import ImapSettings, Inbox, MemoryStateStore, Message, NornmailError, Poller
from nornmail.errors import StoreError
from nornmail.model import MailboxKey, State
from nornmail.testing import MailServer
from tests.poller.delivery.harness import mail
from tests.support.clock import FakeClock
from tests.support.samples import SEED, sampled

SAMPLES = 5
"""Places of each kind and fault in the default run."""
POLLS = 12
SETTLED = {State.FINISHED, State.PASSED_OVER, State.GONE}


class Locked(StoreError):
    """The error that is injected."""


@dataclass(frozen=True)
class Fault:
    """What happens to a call.

    Attributes:
        error: what it raises.
        after: it is raised behind a call that succeeded.
        calls: so many calls in a row.
    """

    error: type[BaseException]
    after: bool = False
    calls: int = 1


FAULTS = {
    "an error": Fault(Locked),
    "three errors in a row": Fault(Locked, calls=3),
    "an interrupt before it": Fault(KeyboardInterrupt),
    "an interrupt behind it": Fault(KeyboardInterrupt, after=True),
    "an interrupt behind each of three": Fault(KeyboardInterrupt, after=True, calls=3),
}


@dataclass(eq=False)
class FaultyStore:
    """A store whose calls are counted, and fail from the one numbered ``at``."""

    inner: MemoryStateStore = field(default_factory=MemoryStateStore)
    fault: Fault = FAULTS["an error"]
    at: int | None = None
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.inner, name)
        return self._counted(attribute) if callable(attribute) else attribute

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            fails = self.at is not None and 0 <= self.calls - self.at < self.fault.calls
            if fails and not self.fault.after:
                raise self.fault.error("injected")
            result = call(*args, **options)
            if fails:
                raise self.fault.error("injected")
            return result

        return counted


@dataclass
class Story:
    """What happens meanwhile.

    Attributes:
        settings: of the mailbox.
        inboxes: the addresses that share it; all mail is for all of them.
        failures: attempts at the second message that fail.
        rebuilt: the mailbox gets a new UIDVALIDITY.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    inboxes: tuple[str, ...] = ()
    failures: int = 0
    rebuilt: bool = False


STORIES = {
    "flagged": Story(),
    "deleted": Story({"delete_after_fetch": True}),
    "moved": Story({"move_to": "Done"}),
    "failing twice": Story(failures=2),
    "two inboxes": Story(inboxes=("a@example.com", "b@example.com")),
    "rebuilt": Story(rebuilt=True),
}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user("agent@example.com", "secret")
        server.create_mailbox("Done")
        yield server


def play(server: MailServer, story: Story, store: FaultyStore) -> list[str]:
    """Poll again and again while one of the calls fails; what is wrong in the end."""
    clock = FakeClock(time.time())
    handled: Counter[tuple[str, str]] = Counter()
    left = [story.failures]
    addresses = story.inboxes or ("",)

    def handle(message: Message) -> None:
        if message.subject == "2" and left[0] > 0:
            left[0] -= 1
            raise ValueError("not yet")
        handled[message.subject, message.inbox] += 1

    def deliver(*subjects: str) -> None:
        head = "".join(f"Cc: {address}\r\n" for address in story.inboxes)
        for subject in subjects:
            received = datetime.fromtimestamp(clock.wall() - 60, UTC)
            server.mailbox().add(mail(subject, head=head), date=received)

    settings = ImapSettings(
        host=server.host,
        port=server.imap_port,
        use_ssl=False,
        username="agent@example.com",
        password="secret",
        **story.settings,
    )
    inboxes = [Inbox(address, handle) for address in story.inboxes]
    deliver("1", "2", "3")
    who = {"inboxes": inboxes} if inboxes else {"on_message": handle}
    poller = Poller(settings, store=store, clock=clock, **who)
    wrong = []
    for number in range(POLLS):
        try:
            poller.poll_once()
        except (KeyboardInterrupt, NornmailError) as error:
            if store.at is None or not isinstance(error, store.fault.error):
                wrong.append(f"poll {number} raised {error!r}")
        clock.advance(4_000)
        if number == 1:
            deliver("4")
        if number == 3 and story.rebuilt:
            server.mailbox().reset_uid_validity()
    store.at = None
    poller.close()
    for subject in "1234":
        for address in addresses:
            if handled[subject, address] != 1:
                wrong.append(f"{subject} was handled {handled[subject, address]} times")
    key = MailboxKey(settings.account, "INBOX")
    open_entries = store.inner.entries(key, set(State) - SETTLED)
    wrong += [f"{entry.key} is {entry.state}: {entry.reason}" for entry in open_entries]
    for uid in [message.uid for message in server.mailbox().messages]:
        server.mailbox().expunge(uid)
    return wrong


CASES = [(story, fault) for story in STORIES.values() for fault in FAULTS.values()]
NAMES = [f"{story}-{fault}" for story in STORIES for fault in FAULTS]
IN_EVERY_RUN = 10
"""Pairs of a story and a fault; the other ones are tried with all calls in the long run."""


@pytest.mark.parametrize(("story", "fault"), sampled(CASES, IN_EVERY_RUN, ids=NAMES))
def test_a_call_that_fails_now_and_then(server: MailServer, story: Story, fault: Fault) -> None:
    rng = random.Random(f"{SEED} {story} {fault}")
    for _ in range(SAMPLES):
        at = rng.randrange(1, 60)
        assert play(server, story, FaultyStore(fault=fault, at=at)) == [], f"call {at}"


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_every_call_that_fails(server: MailServer, story: Story, fault: Fault) -> None:
    whole = FaultyStore()
    assert play(server, story, whole) == []
    for at in range(1, whole.calls + 1):
        assert play(server, story, FaultyStore(fault=fault, at=at)) == [], f"call {at}"
