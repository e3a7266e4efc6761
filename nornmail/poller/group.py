"""Many mailboxes in one process: pollers that share a pool of threads.

A thread takes the mailbox that is due next, polls it once, and lets it wait for its interval again.
Every rule of the delivery contract is kept by the pollers themselves; the group only says when.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from nornmail.errors import ConfigurationError, HandlerError, NornmailError
from nornmail.model import MailboxKey
from nornmail.poller.cycle import open_connection
from nornmail.poller.loop import EqualErrors
from nornmail.poller.poller import Poller
from nornmail.poller.shared import SharedConnection
from nornmail.poller.status import Status
from nornmail.settings.fields import check_type
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import provider_of
from nornmail.stores.protocol import StateStore

if TYPE_CHECKING:
    import asyncio

    from nornmail.events import Event

log = logging.getLogger("nornmail.poller")

THREADS = 32
"""Mailboxes that are polled at the same time: most of a poll is a wait for the server."""
CONNECTS_PER_SECOND = 20.0
"""Connections that are begun in a second, so that a start does not flood servers with logins."""
CONNECTS_PER_HOST = 10.0
"""The same, to one host."""
POLLS_PER_HOST = 16
"""Polls of one host's mailboxes at the same time: a host that hangs holds up no other's."""
MAX_IDLE = 16
"""Mailboxes that may wait in IDLE, each in a thread of its own."""
GIVE_WAY = 0.05
"""Seconds until a mailbox is looked at again whose host has as many polls as it may."""
OWN_AFTER = 5.0
"""Seconds that a mailbox waits for the connection of its account, which another one holds while its
callback runs. Then it is polled on one of its own."""
ABORT_AFTER = 0.25
"""Seconds that polls have to end by themselves when the group is stopped."""


class _Member:
    """A mailbox of a group.

    Attributes:
        due_at: when it is to be polled, in monotonic seconds.
        busy: a thread polls it.
        removed: it is to be polled no more.
        places: in which rows of connects it has a place.
        resources: gives back what the poller holds; ``None`` while it does not run.
        error: what ended it.
        connections: how many the provider permits for the account; ``None`` if that is not known.
        shared: the connection of its account; ``None`` where it always has one of its own.
        waits_since: when it was due and another mailbox had that; ``None`` while none has.
        on_shared: it is polled on that.
    """

    def __init__(self, poller: Poller, settings: ImapSettings, options: dict[str, Any]) -> None:
        self.poller = poller
        self.settings = settings
        self.options = options
        self.due_at = 0.0
        self.busy = False
        self.removed = False
        self.places: list[str] = []
        self.resources: ExitStack | None = None
        self.error: BaseException | None = None
        self.connections = provider_of(settings.host).connections
        self.shared: SharedConnection | None = None
        self.waits_since: float | None = None
        self.on_shared = False

    @property
    def key(self) -> MailboxKey:
        return self.poller.mailbox

    @property
    def connected(self) -> bool:
        """Whether a poll needs no new connection."""
        if self.on_shared and self.shared is not None:
            return self.shared.is_open
        return self.poller._cycle.connection is not None

    def prepare(self) -> None:
        """Have the poll that begins use the connection that was chosen for it."""
        cycle, shared = self.poller._cycle, self.shared
        if shared is None:
            return
        if not self.on_shared:
            self.let_go()
        cycle.shared = shared if self.on_shared else None
        # An own connection gets an own one when it is made.
        self.poller._abort = shared.abort if self.on_shared else None

    def let_go(self) -> None:
        """Leave the connection of the account to its other mailboxes."""
        if self.shared is not None and self.shared.connection is not None:
            self.poller._cycle.let_go(self.shared.connection)


@contextmanager
def _without_servers_that_hang(members: Sequence[_Member]) -> Iterator[None]:
    """A block that gives back what mailboxes hold, and waits for handlers, but not for servers."""
    ended = threading.Event()

    def abort() -> None:
        while not ended.wait(ABORT_AFTER):
            for member in members:
                if not member.poller._runner.running_for():
                    member.poller._abort_wait(True)

    thread = threading.Thread(target=abort, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for member in members:
            member.poller._abort_wait(False)


class PollerGroup:
    """Polls many mailboxes with a shared pool of threads.

    Mailboxes may be added, removed and replaced while it runs. An account with a wrong password, or
    one that is throttled, slows no other account. A mailbox whose server hangs holds one of the
    threads until the timeout. Each mailbox may be polled by one group at a time; one whose lease
    another process holds is taken over when that ends.

    Args:
        store: for all of them.
        on_event: called with the mailbox and each event of its poller, from several threads.
        threads: mailboxes that are polled at the same time.
        connects_per_second: connections that are begun in a second, in all.
        connects_per_host: the same, to one host.
        max_idle: mailboxes that may wait in IDLE; the others are polled by their interval.
        defaults: arguments of :class:`~nornmail.poller.poller.Poller` for all mailboxes, such as
            ``on_message``, which is called from several threads.

    Attributes:
        store: for all of them.
        on_add: called with each poller before it is polled.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        on_event: Callable[[MailboxKey, Event], object] | None = None,
        threads: int = THREADS,
        connects_per_second: float = CONNECTS_PER_SECOND,
        connects_per_host: float = CONNECTS_PER_HOST,
        max_idle: int = MAX_IDLE,
        **defaults: Any,
    ) -> None:
        for name, value in (
            ("threads", threads),
            ("connects_per_second", connects_per_second),
            ("connects_per_host", connects_per_host),
        ):
            if not value > 0:
                raise ConfigurationError(name, value, "must be above 0")
        self.store = store
        self.on_add: Callable[[Poller], object] = lambda _: None
        self._on_event = on_event
        self._size = threads
        self._gap = 1 / connects_per_second
        self._host_gap = 1 / connects_per_host
        self._max_idle = max_idle
        self._defaults = defaults
        # Reentrant: a poller that is woken from within a step asks for its turn.
        self._lock = lock = threading.RLock()
        self._ended = threading.Condition(lock)
        """A poll has ended."""
        self._clock = threading.Condition(lock)
        """The next mailbox is due sooner. One thread waits here, until that time."""
        self._turn = threading.Condition(lock)
        """There is work, or that thread has some. All other threads wait here, without waking."""
        self._watched = False
        self._members: dict[MailboxKey, _Member] = {}
        self._shared: dict[object, SharedConnection] = {}
        self._due: list[tuple[float, int, _Member]] = []
        self._number = count()
        self._polling: Counter[str] = Counter()
        self._next_connect: defaultdict[str, float] = defaultdict(float)
        self._threads: list[threading.Thread] = []
        self._running = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_stopped: Callable[[], object] = lambda: None
        self._errors = EqualErrors()

    def add(self, imap: ImapSettings, *, idle: bool = False, **options: Any) -> Poller:
        """Add a mailbox; a group that runs polls it soon.

        Args:
            imap: where it is.
            idle: wait for its mail in IDLE, in a thread of its own; where as many as the group
                permits do already, it is polled by its interval like the others.
            options: arguments of :class:`~nornmail.poller.poller.Poller` for it alone.

        Returns:
            Its poller, for :meth:`~nornmail.poller.poller.Poller.sync` and inboxes. The group
            starts and stops it.

        Raises:
            ConfigurationError: an argument is wrong, or the group has this account and mailbox.
        """
        member = self._made(imap, {"idle": idle, **options})
        self.on_add(member.poller)
        self._enter(member)
        return member.poller

    def _made(self, imap: ImapSettings, options: dict[str, Any]) -> _Member:
        allowed = "ImapSettings(host=..., ...): the group makes the poller itself"
        check_type("imap", imap, isinstance(imap, ImapSettings), allowed)
        arguments = {"workers": 1, **self._defaults, **options}
        key = MailboxKey(arguments.get("account") or imap.account, imap.mailbox)
        on_event = None if self._on_event is None else partial(self._on_event, key)
        poller = Poller(imap, store=self.store, on_event=on_event, **arguments)
        member = _Member(poller, imap, options)
        poller._loop.log_error = partial(self._errors.log, member.key, imap.host)
        return member

    def _enter(self, member: _Member) -> None:
        """Take a mailbox into the group; after an error it is not in it."""
        with self._lock:
            if member.key in self._members:
                raise ConfigurationError("account", str(member.key), "it is in the group already")
            self._members[member.key] = member
            if not self._running:
                return
            try:
                self._start_member(member)
            except BaseException:
                del self._members[member.key]
                resources, member.resources = member.resources, None
                if resources is not None:
                    resources.close()
                self._unshare(member)
                raise

    def remove(self, account: str, mailbox: str = "INBOX") -> None:
        """Remove a mailbox, after the message it is at; what the store knows of it stays.

        Raises:
            ConfigurationError: it is not in the group.
            HandlerError: a handler of this mailbox asked.
            NornmailError: the caller would block the event loop that the handlers need.
        """
        member = self._member(account, mailbox)
        member.poller._lifecycle.refuse_on_the_event_loop("remove", of="group")
        if member.poller._called_back():
            raise HandlerError("a handler must not remove the mailbox that it works for")
        with self._lock:
            self._members.pop(member.key, None)
            member.removed = True
        self._end_member(member)

    def replace(self, imap: ImapSettings, account: str | None = None, **options: Any) -> Poller:
        """Go on with other settings of a mailbox, such as a new password.

        Args:
            imap: the new settings, of the same account and mailbox.
            account: its name, where it is not that of the settings.
            options: arguments that change; the others stay as they were.

        Returns:
            The new poller.

        Raises:
            ConfigurationError: it is not in the group, or an argument is wrong. After this and any
                other error, such as one of ``on_add``, the mailbox is polled as it was.
        """
        before = self._member(account or imap.account, imap.mailbox)
        member = self._made(imap, {**before.options, **options})
        self.on_add(member.poller)
        self.remove(before.key.account, before.key.mailbox)
        try:
            self._enter(member)
        except BaseException as error:
            log.warning("%s: %s; it is polled with its former settings", member.key, error)
            before.removed = False
            self._enter(before)
            raise
        return member.poller

    def status(self) -> dict[MailboxKey, Status]:
        """The status of every mailbox; from any thread."""
        with self._lock:
            members = list(self._members.values())
        return {member.key: member.poller.status() for member in members}

    def poller(self, account: str, mailbox: str = "INBOX") -> Poller:
        """The poller of one mailbox, for its status or a sync.

        Raises:
            ConfigurationError: it is not in the group.
        """
        return self._member(account, mailbox).poller

    def pollers(self) -> list[Poller]:
        """The pollers of all mailboxes, in the order in which they were added."""
        with self._lock:
            return [member.poller for member in self._members.values()]

    def start(self) -> Self:
        """Poll all mailboxes in threads of the group's own; returns at once.

        Raises:
            NornmailError: the group runs already.
        """
        with self._lock:
            if self._running:
                raise NornmailError("the group is running already")
            self._running = True
            for member in self._members.values():
                self._start_member(member)
            self._add_threads()
        return self

    def stop(self) -> None:
        """Stop polling: handlers that run finish; it does not wait for a server that hangs.

        Everything is given back afterwards, and :meth:`run` ends; the group can be started again.

        Raises:
            NornmailError: the caller would block the event loop that the handlers need.
        """
        for poller in self.pollers():
            poller._lifecycle.refuse_on_the_event_loop("stop", of="group")
        with self._lock:
            self._running = False
            members = list(self._members.values())
            threads, self._threads = self._threads, []
            for member in members:
                member.poller._stopped.set()
            self._clock.notify_all()
            self._turn.notify_all()
            self._until_idle(members)
        with _without_servers_that_hang(members):
            for member in members:
                self._end_member(member)
        for thread in threads:
            thread.join()
        with self._lock:
            self._due.clear()
            self._shared.clear()
        self._has_stopped()

    async def run(self) -> None:
        """Poll until :meth:`stop`, or until this is cancelled; handlers may be ``async``."""
        import asyncio

        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def has_stopped() -> None:
            with suppress(RuntimeError):  # the event loop did not wait for us
                loop.call_soon_threadsafe(stopped.set)

        self._loop, self._has_stopped = loop, has_stopped
        self.start()
        try:
            await stopped.wait()
        finally:
            for member in list(self._members.values()):
                member.poller._runner.interrupt()
            ended = self._loop.run_in_executor(None, self.stop)
            while not ended.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(ended)
            self._loop, self._has_stopped = None, lambda: None

    def __enter__(self) -> Self:
        """:meth:`start`."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """:meth:`stop`."""
        self.stop()

    def __iter__(self) -> Iterator[MailboxKey]:
        """The mailboxes, in the order in which they were added."""
        return iter(list(self._members))

    def _member(self, account: str, mailbox: str) -> _Member:
        with self._lock:
            member = self._members.get(MailboxKey(account, mailbox))
        if member is None:
            raise ConfigurationError("account", f"{account}/{mailbox}", "it is not in the group")
        return member

    def _start_member(self, member: _Member) -> None:
        """Let a mailbox take part; with the lock held."""
        poller, member.error = member.poller, None
        if self._loop is not None:
            poller._runner.attach(self._loop)
        if member.options["idle"]:
            idling = [
                other for other in self._members.values() if other.poller._lifecycle.has_thread
            ]
            if len(idling) < self._max_idle:
                poller.start()
                return
            log.info("%s is polled: %d mailboxes wait in IDLE already", member.key, len(idling))
        member.resources = ExitStack()
        poller._lifecycle.join()
        member.resources.callback(poller._lifecycle.leave)
        member.resources.enter_context(poller._loop.running(poller._mailers))
        poller._loop.begin()
        self._share(member)
        poller._waker.on_wake = lambda: self._hurry(member)
        self._push(member, time.monotonic())
        self._add_threads()

    def _share(self, member: _Member) -> None:
        """Let a mailbox share the connection of its account; with the lock held."""
        if "connect" in {**self._defaults, **member.options}:
            return
        imap = member.settings
        account = (
            *(imap.host, imap.port, imap.use_ssl, imap.starttls, imap.ca_file),
            *(imap.username, imap.password, imap.token),
        )
        if account not in self._shared:
            from nornmail.net.tls import Abort

            clock, abort = member.poller._context.clock, Abort()
            opener = partial(open_connection, imap, clock=clock, abort=abort)
            self._shared[account] = SharedConnection(opener, clock, abort)
        member.shared = self._shared[account]
        member.shared.mailboxes.add(imap.mailbox)

    def _unshare(self, member: _Member) -> None:
        """End a mailbox's part in the connection of its account, which ends with its last one."""
        shared, member.shared = member.shared, None
        if shared is None:
            return
        with self._lock:
            shared.mailboxes.discard(member.settings.mailbox)
            if shared.mailboxes:
                return
            for account in [key for key, candidate in self._shared.items() if candidate is shared]:
                del self._shared[account]
        shared.close()

    def _end_member(self, member: _Member) -> None:
        """Wait until a mailbox is polled no more, and give back what it holds."""
        member.poller._stopped.set()
        member.poller._waker.on_wake = None
        if member.poller._lifecycle.has_thread:
            member.poller.stop()
        with self._lock:
            self._until_idle([member])
            resources, member.resources = member.resources, None
        if resources is not None:
            self._leave(member, resources, None)

    def _until_idle(self, members: Sequence[_Member]) -> None:
        """Wait until no thread polls these mailboxes; with the lock held.

        A handler is waited for; a server that does not answer is not.
        """
        abort_at = time.monotonic() + ABORT_AFTER
        while busy := [member for member in members if member.busy]:
            self._ended.wait(max(abort_at - time.monotonic(), 0))
            if time.monotonic() >= abort_at:
                abort_at += ABORT_AFTER
                for member in busy:
                    if not member.poller._runner.running_for():
                        member.poller._abort_wait(True)

    def _leave(self, member: _Member, resources: ExitStack, error: BaseException | None) -> None:
        """End a member's part, with the error that ended it if there was one."""
        poller, shared = member.poller, member.shared
        with self._lock:
            is_free = shared is not None and not shared.busy
            if shared is not None and is_free:
                shared.busy = True
            else:  # another mailbox uses the connection, which is not to be closed
                member.let_go()
        try:
            poller._loop.end(error)
            resources.__exit__(type(error) if error else None, error, None)
        except BaseException as raised:
            if raised is not error:
                log.warning("%s: %s", member.key, raised)
        if shared is not None and is_free:
            shared.busy = False
        if error is not None:
            log.error("%s is no longer polled: %s", member.key, str(error) or type(error).__name__)
        self._unshare(member)
        poller._runner.attach(None)

    # The threads.

    def _add_threads(self) -> None:
        """Have as many threads as can be of use; with the lock held."""
        while self._running and len(self._threads) < min(self._size, len(self._members)):
            name = f"nornmail-group-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def _push(self, member: _Member, at: float) -> None:
        """Let a mailbox wait for its turn; with the lock held."""
        member.due_at = at
        sooner = not self._due or at < self._due[0][0]
        heapq.heappush(self._due, (at, next(self._number), member))
        if sooner:
            (self._clock if self._watched else self._turn).notify()

    def _hurry(self, member: _Member) -> None:
        """Let a mailbox have its turn now: its poller was woken."""
        with self._lock:
            if self._running and not member.busy and not member.removed and member.resources:
                self._push(member, 0.0)

    def _work(self) -> None:
        """Poll one mailbox after the other, until the group is stopped."""
        while (member := self._next()) is not None:
            seconds, error = self._poll(member)
            host = member.settings.host
            with self._lock:
                member.busy = False
                if member.on_shared and member.shared is not None:
                    member.shared.busy = False
                elif member.shared is not None:
                    member.shared.besides -= 1
                self._polling[host] -= 1
                resources = None
                if error is not None:
                    member.error, resources, member.resources = error, member.resources, None
                elif self._running and not member.removed:
                    awake = member.poller._waker.awake
                    self._push(member, 0.0 if awake else time.monotonic() + seconds)
                self._ended.notify_all()
            if resources is not None and error is not None:
                self._leave(member, resources, error)

    def _poll(self, member: _Member) -> tuple[float, BaseException | None]:
        """One poll; the seconds until the next one, or the error that ends the mailbox's part."""
        poller = member.poller
        poller._waker.clear()
        try:
            with poller._lifecycle.part():
                member.prepare()
                seconds = poller._loop.step()
                is_own = member.shared is not None and not member.on_shared
                if is_own or self._has_too_many_connections(member):
                    with poller._loop.lock:
                        poller._cycle.disconnect()
        except BaseException as error:
            return 0.0, error
        return seconds, None

    def _has_too_many_connections(self, member: _Member) -> bool:
        """Whether the provider lets this account have fewer connections than it has mailboxes."""
        limit = member.connections
        if limit is None or member.on_shared or not member.connected:
            return False
        with self._lock:
            same = [
                other for other in self._members.values() if other.key.account == member.key.account
            ]
            return len([other for other in same if other.connected]) > limit // 2

    def _next(self) -> _Member | None:
        """The mailbox to be polled now, as soon as there is one; ``None`` at the end."""
        with self._lock:
            while self._running:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    at, _, member = heapq.heappop(self._due)
                    if at != member.due_at or member.busy or member.removed or not member.resources:
                        continue  # it has another turn
                    wait = self._must_wait(member, now)
                    if wait > 0:
                        self._push(member, now + wait)
                        continue
                    member.busy = True
                    if member.on_shared and member.shared is not None:
                        member.shared.busy = True
                    elif member.shared is not None:
                        member.shared.besides += 1
                    self._polling[member.settings.host] += 1
                    if not self._watched:
                        self._turn.notify()  # another thread watches the time now
                    return member
                self._wait_for_turn(self._due[0][0] - now if self._due else None)
        return None

    def _wait_for_turn(self, seconds: float | None) -> None:
        """Wait until there may be work; with the lock held.

        One thread wakes when the next mailbox is due. If all did, an idle group would be busy.
        """
        if self._watched:
            self._turn.wait()
            return
        self._watched = True
        try:
            self._clock.wait(seconds)
        finally:
            self._watched = False

    def _must_wait(self, member: _Member, now: float) -> float:
        """Seconds for which a mailbox gives way: to its host's others, or to other connects."""
        host = member.settings.host
        if self._polling[host] >= min(POLLS_PER_HOST, max(self._size - 1, 1)):
            return GIVE_WAY
        member.on_shared = member.shared is not None and not member.shared.busy
        if member.shared is not None and member.shared.busy:
            member.waits_since = now if member.waits_since is None else member.waits_since
            most = self._size if member.connections is None else max(member.connections // 2, 1)
            if now < member.waits_since + OWN_AFTER or member.shared.besides >= most:
                return GIVE_WAY
        else:
            member.waits_since = None
        if member.connected:
            member.places = []
            return 0.0
        # A place among the connects of its host, then one among all; each is kept until it is used.
        for name, gap in ((host, self._host_gap), ("", self._gap)):
            if name not in member.places:
                member.places.append(name)
                at = max(self._next_connect[name], now)
                self._next_connect[name] = at + gap
                if at > now:
                    return at - now
        member.places = []
        return 0.0
