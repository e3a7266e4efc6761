"""A connection to an IMAP server: commands as methods, answers as values, failures as errors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from nornmail.clock import Clock, SystemClock, Waker
from nornmail.errors import CommandRefused, ConnectionLost, ProtocolError
from nornmail.imap import results
from nornmail.imap.arguments import flag_list, mailbox_argument, quote, uid_chunks, uid_set
from nornmail.imap.errors import ErrorKind, classify
from nornmail.imap.idle import idle
from nornmail.imap.limits import (
    SHOWN_LIMIT,
    CommandBudget,
    Limits,
    body_budget,
    header_budget,
    plain_budget,
)
from nornmail.imap.login import log_in, refused, start_tls
from nornmail.imap.quirks import ID_ARGUMENTS, ignores_noop, sends_id
from nornmail.imap.responses import Exists, Expunge, Fetch, MailboxStatus, StatusResponse, Untagged
from nornmail.imap.results import Counts, FetchedBody, ListedMailbox, Selected, Summary
from nornmail.imap.tokens import HIGHEST_NUMBER, Literal
from nornmail.imap.wire import Ahead, CommandResult, Observer, Wire, endpoint_of
from nornmail.net.redact import Redactor
from nornmail.net.sasl import ask_token, secret_forms
from nornmail.net.tls import Abort
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.imap")

LISTING_SLACK = 10_000
"""UIDs that a listing may have beyond twice EXISTS, or lack in its windows: a server that names
four thousand million of them in one range is wrong, and a loop over that set would never end."""
STATUS_INTERVAL = 240.0
"""Seconds between two looks whether the selected mailbox was deleted and made again: with a poll a
minute it is seen within five minutes, for some hundred octets."""
SUMMARY_ITEMS = b"(UID FLAGS INTERNALDATE RFC822.SIZE)"
DATE_ITEMS = b"(UID INTERNALDATE)"
SPARSE = 8
"""UIDs to a message from which on the messages are named, and not the range that they lie in: it
may hold others, which nothing asks for."""
PIECE = 1024 * 1024
"""Octets asked for at once of a message that is not held as a whole."""
BODY_ITEMS = b"(UID BODY.PEEK[])"
HEADER_ITEMS = b"(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])"
COUNTED = b"(MESSAGES UIDNEXT UIDVALIDITY)"
LIST_STATUS = frozenset({"LIST-EXTENDED", "LIST-STATUS"})
"""Several names in one LIST, and their STATUS in its answer (RFC 5258, RFC 5819)."""
LISTED_AT_ONCE = 25
"""Names in one LIST: with 255 octets each they fit in a line."""


class Connection:
    """One IMAP connection, logged in. Made by :meth:`open`.

    Every method that talks to the server raises :class:`~nornmail.errors.ConnectionLost` when the
    connection is gone or its deadline passed, and its subclass
    :class:`~nornmail.errors.ProtocolError` when the answer cannot be read safely. The socket is
    closed then, and every later call raises ConnectionLost. A NO or BAD is
    :class:`~nornmail.errors.CommandRefused`, after which the connection is as good as before; when
    it is about everything that is asked, or a BYE is, :class:`~nornmail.errors.Throttled`.
    Methods that take UIDs send nothing for an empty set.

    Attributes:
        capabilities: what the server can do, in upper case, as of after the login.
        selected: the mailbox that is selected, as it was then; ``None`` when none is.
        exists: how many messages the selected mailbox has, as far as the server has reported.
        expunges: how many messages it reported as removed, since the mailbox was selected.
        untagged_errors: how many untagged NO and BAD it has sent.
    """

    def __init__(
        self, wire: Wire, settings: ImapSettings, *, limits: Limits, redact: Redactor
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._limits = limits
        self._budget = plain_budget(limits, settings.timeout)
        self._redact = redact
        self.capabilities: frozenset[str] = frozenset()
        self.selected: Selected | None = None
        self.exists = 0
        self.expunges = 0
        self.untagged_errors = 0
        self._throttled = False
        self._status_interval: float | None = STATUS_INTERVAL
        self._status_at = 0.0
        self._lists_status = True
        self._ahead = Ahead(wire, self._note)

    @classmethod
    def open(
        cls,
        settings: ImapSettings,
        *,
        clock: Clock | None = None,
        limits: Limits | None = None,
        on_command: Observer | None = None,
        abort: Abort | None = None,
    ) -> Connection:
        """Connect, with TLS as the settings say, and log in.

        Args:
            on_command: called with ``("before", command)`` and ``("after", command)`` around the
                sending of every command; for tests.
            abort: ends every wait for the server, from another thread.

        Raises:
            AuthenticationFailed: the credentials were refused, or there are none.
            ConfigurationError: a setting cannot be used.
        """
        limits = limits or Limits()
        redact = Redactor(*secret_forms(settings.username or "", settings.password or ""))
        # Before connecting: a callback may take its time, and servers hang up on the silent.
        abort = abort or Abort()
        token = None if settings.token is None else ask_token(settings.token, redact.hide, abort)
        budget = plain_budget(limits, settings.timeout)
        endpoint = endpoint_of(settings)
        wire = Wire(
            endpoint,
            context=endpoint.context() if settings.use_ssl else None,
            clock=clock or SystemClock(),
            limits=limits,
            budget=budget,
            redact=redact,
            observer=on_command,
            abort=abort,
        )
        try:
            connection = cls(wire, settings, limits=limits, redact=redact)
            start_tls(wire, settings, budget)
            connection.enter(log_in(wire, settings, budget, redact, token, abort))
        except BaseException:
            wire.shutdown()
            raise
        return connection

    def close(self) -> None:
        """Say LOGOUT and close the socket. Never raises; a second call does nothing."""
        if self._wire.closed:
            return
        if self._ahead.is_unread:
            self._wire.shutdown()  # megabytes would come before the answer
            return
        timeout = min(self._limits.logout_timeout, self._settings.timeout)
        try:
            self._wire.log_out(plain_budget(self._limits, timeout))
        except ConnectionLost as error:
            log.debug("no answer to LOGOUT: %s", error)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or lost."""
        return self._wire.closed

    def detach(self) -> None:
        """Release a connection that is another process's, after a fork: nothing is sent."""
        self._wire.detach()

    def was_throttled(self) -> bool:
        """Whether the server marked an answer as throttled, since the last call."""
        throttled, self._throttled = self._throttled, False
        return throttled

    # Mailboxes.

    def select(self, mailbox: str) -> Selected:
        """Select a mailbox for reading and writing."""
        return self._select("SELECT", mailbox)

    def examine(self, mailbox: str) -> Selected:
        """Select a mailbox for reading."""
        return self._select("EXAMINE", mailbox)

    def leave(self) -> None:
        """Leave the selected mailbox. Nothing is removed from one that was examined."""
        self._run("CLOSE")
        self.selected, self.exists, self.expunges = None, 0, 0

    def mailboxes(self) -> list[str]:
        """The names of all mailboxes that can be selected, as the server lists them."""
        return [listed.name for listed in self.listed_mailboxes()]

    def listed_mailboxes(self) -> list[ListedMailbox]:
        """The mailboxes that can be selected, with their attributes in lower case."""
        return results.listed_mailboxes(self._run("LIST", b'""', b'"*"'))

    def personal_prefix(self) -> str:
        """The prefix of the user's mailboxes (RFC 2342), such as ``INBOX.``; ``""`` for none."""
        if "NAMESPACE" not in self.capabilities:
            return ""
        return results.personal_prefix(self._run("NAMESPACE"))

    def create(self, mailbox: str) -> None:
        """Make a mailbox."""
        self._run("CREATE", mailbox_argument(mailbox))

    def noop(self) -> None:
        """Let the server report changes: :attr:`exists` and :attr:`expunges` follow.

        Raises:
            ConnectionLost: also when the mailbox was deleted and made anew, in which a session
                that selected the old one would see no new mail.
        """
        self._run("NOOP")
        if self.selected is not None and self._status_interval is not None:
            now = self._wire.clock.monotonic()
            if now >= self._status_at + self._status_interval:
                self._status_at = now
                self._check_identity(self.selected)

    def idle(self, seconds: float, *, wake: Waker | None = None) -> bool:
        """Let the server report events as they happen (RFC 2177); the counts follow.

        The caller looks for IDLE in :attr:`capabilities`, and looks at the mailbox afterwards
        whatever this returns: servers forget to report.

        Args:
            seconds: how long at most, not counting the deadlines of its beginning and its end.
            wake: ends it at once when it rings; it is left ringing.

        Returns:
            Whether there was news of a message, or the server ended it by itself.

        Raises:
            CommandRefused: the server does not idle after all.
        """
        self._ahead.read()
        idled = idle(self._wire, seconds, self._budget, wake)
        self._note(CommandResult(idled.end, idled.untagged))
        if idled.end.status != "OK":
            raise refused("IDLE", idled.end, self._redact)
        return idled.news

    @property
    def counts_many(self) -> bool:
        """Whether :meth:`counts` asks for many mailboxes at once."""
        return self._lists_status and self.capabilities >= LIST_STATUS

    def counts(self, mailboxes: Iterable[str]) -> dict[str, Counts]:
        """The counts of mailboxes, of which none should be selected: STATUS (RFC 3501, 6.3.10).

        Where the server has LIST-STATUS (RFC 5819) it is one command for many of them.

        Returns:
            The counts by mailbox. One that the server refuses, or of which it does not say
            everything, is left out.
        """
        left = list(mailboxes)
        # A name with a wildcard would be a pattern for many.
        plain = [name for name in left if {"*", "%"}.isdisjoint(name)]
        counts: dict[str, Counts] = {}
        if len(plain) > 1 and self.counts_many:
            try:
                for at in range(0, len(plain), LISTED_AT_ONCE):
                    names = plain[at : at + LISTED_AT_ONCE]
                    patterns = b"(" + b" ".join(map(mailbox_argument, names)) + b")"
                    status = b"RETURN (STATUS " + COUNTED + b")"
                    counts |= results.counts(self._run("LIST", b'""', patterns, status), names)
                left = [name for name in left if name not in plain]
            except CommandRefused as refused:
                self._lists_status = False
                log.debug("%s", refused)
        for mailbox in left:
            try:
                responses = self._run("STATUS", mailbox_argument(mailbox), COUNTED)
                counts |= results.counts(responses, [mailbox])
            except CommandRefused as refused:
                log.debug("%s", refused)
        return counts

    # Which messages there are.

    def list_uids(self) -> UidSet:
        """The UIDs of all messages in the selected mailbox."""
        if self.exists == 0:
            return UidSet()
        if "ESEARCH" in self.capabilities:
            uids = results.search_uids(self._run("UID SEARCH", b"RETURN (ALL) ALL"))
            if uids is not None:
                return self._checked(uids)
        return self._checked(self._list_by_windows())

    def uids_from(self, uid: int) -> UidSet:
        """The UIDs of ``uid`` and above in the selected mailbox."""
        if uid > HIGHEST_NUMBER:
            return UidSet()
        try:
            uids = self._search(b"UID %d:*" % uid)
        except CommandRefused as refused:
            if refused.status != "BAD":
                raise
            # QQ takes no set that descends, which n:* is where nothing is new.
            uids = self.list_uids()
        # RFC 3501, 6.4.8: n:* is *:n where n is above the highest UID, so it always has a hit.
        return self._checked(results.intersection(uids, UidSet([(uid, HIGHEST_NUMBER)])))

    def find_message_id(self, message_id: str, field: str = "Message-ID") -> UidSet:
        """The messages of the selected mailbox with this in their Message-ID header.

        The server decides what matches: some find parts of the header, and some that do not know
        the search key return every message.

        Args:
            message_id: with its angle brackets.
            field: the header that it is looked for in.

        Raises:
            ConfigurationError: it holds NUL, CR or LF.
            CommandRefused: as when the server cannot search for what is not ASCII.
        """
        if message_id.isascii() or not {"\0", "\r", "\n"}.isdisjoint(message_id):
            key = b"HEADER %s " % field.encode() + quote(message_id, name=field)
            return self._checked(self._search(key))
        octets = message_id.encode("utf-8", "surrogateescape")
        key = b"CHARSET UTF-8 HEADER %s" % field.encode()
        return self._checked(self._search(key, Literal(octets)))

    def still_listed(self, uids: UidSet) -> UidSet:
        """Those of ``uids`` that are still in the mailbox.

        NOOP comes first: Courier continues to list a message that another client expunged until
        it has reported that.
        """
        listed = UidSet()
        if uids:
            self.noop()
        for part in self._parts(uids, rest=16):
            listed.update(results.intersection(self._search(b"UID " + uid_set(part)), part))
        return listed

    # What they are.

    def summaries(self, uids: UidSet) -> dict[int, Summary]:
        """Size, date and flags. A message that the server says nothing about is left out."""
        summaries: dict[int, Summary] = {}
        for part in self._parts(uids, rest=len(SUMMARY_ITEMS) + 12):
            responses = self._run("UID FETCH", uid_set(part), SUMMARY_ITEMS)
            summaries.update(results.summaries(responses, part))
        return summaries

    def received_before(self, uids: UidSet, instant: float) -> UidSet:
        """The messages that the server dates before ``instant``, in seconds since 1970 UTC.

        What has no date is not among them.
        """
        left = iter(uids)
        later: list[int] = []
        while part := list(islice(left, self._limits.list_window)):
            sets = [UidSet([(part[0], part[-1])])]
            if part[-1] - part[0] >= SPARSE * len(part):
                sets = list(self._parts(UidSet.of(part), rest=len(DATE_ITEMS) + 12))
            responses: list[Untagged] = []
            for asked in sets:
                args = (uid_set(asked), DATE_ITEMS)
                responses += self._reply("UID FETCH", *args, dated_runs=True).untagged
            later += results.not_before(responses, part, instant)
        return uids - UidSet.of(later)

    def bodies(self, uids: UidSet, *, expected_octets: int) -> dict[int, FetchedBody]:
        r"""Whole messages, in one command for as many UIDs as fit in a line; \Seen stays as it is.

        Only what came whole and before the tagged OK is returned. A missing message has
        ``raw=None`` or is left out.

        Args:
            expected_octets: the sum of their sizes. It sets the deadline, and bounds what is
                taken: a literal of more than twice that (and 8 MiB) is a ProtocolError.
        """
        budget = body_budget(self._limits, self._settings.timeout, expected_octets)
        return self._fetch(uids, BODY_ITEMS, "BODY[]", budget)

    def ask_ahead(self, uids: UidSet, *, expected_octets: int) -> None:
        """Ask for what :meth:`bodies` is to return next, and do not wait for it.

        Until then the answer stays with the server and the system, unless another command is sent:
        it is read before that. A server hangs up on a client that reads nothing for minutes.

        Args:
            uids, expected_octets: those of :meth:`bodies`. What does not fit in a line is not
                asked for.
        """
        parts = list(self._parts(uids, rest=len(BODY_ITEMS) + 12))
        if len(parts) == 1:
            budget = body_budget(self._limits, self._settings.timeout, expected_octets)
            self._ahead.ask("UID FETCH", uid_set(uids), BODY_ITEMS, budget=budget)

    def forget_ahead(self) -> None:
        """Discard what was asked for ahead."""
        self._ahead.forget()

    def pieces(self, uid: int, size: int) -> Iterator[bytes]:
        r"""A whole message in pieces, of which one at a time is held; \Seen stays as it is.

        Args:
            size: its RFC822.SIZE. A message of more than twice that (and 8 MiB) is a ProtocolError,
                and so is a piece before that is not returned.

        Yields:
            Octets in their order; nothing for a message that is gone.
        """
        uids = UidSet.of([uid])
        budget = body_budget(self._limits, self._settings.timeout, PIECE)
        at = 0
        while at <= 2 * size + self._limits.body_slack:
            items = b"(UID BODY.PEEK[]<%d.%d>)" % (at, PIECE)
            piece = self._fetch(uids, items, f"BODY[]<{at}>", budget).get(uid)
            if piece is None and not at:
                return
            if piece is None or (piece.raw is None and at < size):
                raise ProtocolError(f"the server did not return the octets from {at} of UID {uid}")
            if piece.raw:
                yield piece.raw
            octets = len(piece.raw or b"")
            at += octets
            if not octets or (octets < PIECE and at >= size):
                return
        raise ProtocolError(f"a message of more than {at} octets, which was announced with {size}")

    def headers(self, uids: UidSet, *, expected_octets: int = 0) -> dict[int, FetchedBody]:
        """Header blocks with RFC822.SIZE; as :meth:`bodies`.

        Args:
            expected_octets: for the deadline alone.
        """
        seconds = self._settings.timeout + expected_octets / self._limits.min_rate
        budget = header_budget(self._limits, seconds)
        return self._fetch(uids, HEADER_ITEMS, "BODY[HEADER]", budget)

    # What becomes of them.

    def add_flags(self, uids: UidSet, flags: Iterable[str]) -> None:
        r"""Set flags, as ``\Seen``, and leave the others as they are."""
        added = flag_list(frozenset(flags))
        for part in self._parts(uids, rest=len(added) + 32):
            self._run("UID STORE", uid_set(part), b"+FLAGS.SILENT", added)

    def expunge(self, uids: UidSet) -> bool:
        r"""Remove those of ``uids`` that have \Deleted, and no others (RFC 4315).

        Returns:
            False, with nothing sent, where the server cannot (no UIDPLUS).
        """
        if "UIDPLUS" not in self.capabilities:
            return False
        for part in self._parts(uids, rest=16):
            self._run("UID EXPUNGE", uid_set(part))
        return True

    def move(self, uids: UidSet, mailbox: str) -> None:
        """Move messages (RFC 6851); the caller looks for MOVE in :attr:`capabilities`.

        Raises:
            CommandRefused: also where the server said OK and the messages are still there, as Cyrus
                does in a mailbox that can only be read.
        """
        before = self.expunges
        self._copy_or_move("UID MOVE", uids, mailbox)
        # RFC 6851, 3.3: each is reported as expunged. Servers that report later are asked.
        if self.expunges - before < len(uids) and (left := self.still_listed(uids)):
            raise CommandRefused("UID MOVE", "OK", "", f"and UID {left} is still there")

    def copy(self, uids: UidSet, mailbox: str) -> bool:
        """Copy messages; return whether each OK named the copies (COPYUID, RFC 4315, section 3)."""
        return self._copy_or_move("UID COPY", uids, mailbox)

    def append(self, mailbox: str, raw: bytes, *, flags: Iterable[str], at: float) -> None:
        """Put a message into a mailbox, selected or not.

        Args:
            at: its INTERNALDATE, in seconds since 1970 UTC.

        Raises:
            CommandRefused: as when the mailbox does not exist (code TRYCREATE).
        """
        budget = plain_budget(
            self._limits, self._settings.timeout + len(raw) / self._limits.min_rate
        )
        date = b'"%s"' % results.write_internal_date(at)
        target = mailbox_argument(mailbox)
        self._run("APPEND", target, flag_list(frozenset(flags)), date, Literal(raw), budget=budget)

    # How it works.

    def enter(self, capabilities: frozenset[str]) -> None:
        """Begin after the login: keep its capabilities, and send ID."""
        self.capabilities = capabilities
        if ignores_noop(capabilities):
            self._status_interval = 0.0
        self._identify()

    def _run(
        self, command: str, *args: bytes | Literal, budget: CommandBudget | None = None
    ) -> list[Untagged]:
        return self._reply(command, *args, budget=budget).untagged

    def _reply(
        self,
        command: str,
        *args: bytes | Literal,
        budget: CommandBudget | None = None,
        dated_runs: bool = False,
    ) -> CommandResult:
        result = self._ahead.take(args)
        if result is None:
            budget = budget or self._budget
            result = self._wire.run(command, *args, budget=budget, dated_runs=dated_runs)
            self._note(result)
        if result.end.status != "OK":
            raise refused(command, result.end, self._redact)
        return result

    def _note(self, result: CommandResult) -> None:
        """Keep count, and log what the server wants a person to see (RFC 3501, 7.1: ALERT)."""
        shown = 0
        for response in result.untagged:
            if isinstance(response, Fetch):  # nearly all there are
                continue
            if isinstance(response, Exists):
                self.exists = response.count
            elif isinstance(response, Expunge):
                self.exists = max(self.exists - 1, 0)
                self.expunges += 1
            elif isinstance(response, StatusResponse) and response.is_for_a_person:
                alert = response.code == "ALERT"
                self.untagged_errors += not alert
                shown += 1
                if shown <= SHOWN_LIMIT:
                    kind = "alert" if alert else "error"
                    log.warning("%s from the server: %s", kind, self._redact(response.text))
        if shown > SHOWN_LIMIT:
            log.warning("%d alerts and errors from the server in all", shown)
        end = result.end
        if classify(end.status, end.code, end.text, "").kind is ErrorKind.SLOWED:
            self._throttled = True

    def _identify(self) -> None:
        """Send ID (RFC 2971) if the server supports or requires it; ignore a refusal."""
        if sends_id(self.capabilities, self._settings.host):
            try:
                self._run("ID", ID_ARGUMENTS)
            except CommandRefused as refused:
                log.debug("%s", refused)

    def _check_identity(self, selected: Selected) -> None:
        """Compare the mailbox of this name with the selected one; not again after a refusal.

        Dovecot reports a mailbox that was made anew with NO to NOOP; Cyrus and Courier do not
        report it at all. STATUS is also a sign of life for servers that do not count NOOP as one.
        """
        try:
            responses = self._run("STATUS", mailbox_argument(selected.mailbox), b"(UIDVALIDITY)")
        except CommandRefused as refused:
            self._status_interval = None
            log.debug("%s", refused)
            return
        for response in responses:
            if isinstance(response, MailboxStatus):
                uid_validity = response.items.get("UIDVALIDITY") or selected.uid_validity
                if selected.uid_validity and uid_validity != selected.uid_validity:
                    with self._wire.closing_on_error("STATUS"):
                        raise ConnectionLost(f"{selected.mailbox} was deleted and created again")

    def _select(self, command: str, mailbox: str) -> Selected:
        argument = mailbox_argument(mailbox)
        # RFC 3501, 6.3.1: from here on, and also when it is refused, the old one is not selected.
        self.selected, self.exists, self.expunges = None, 0, 0
        result = self._reply(command, argument)
        with self._wire.closing_on_error(command):
            self.selected = results.selected(mailbox, result, examined=command == "EXAMINE")
        self.exists, self.expunges = self.selected.exists, 0
        self._status_at = self._wire.clock.monotonic()
        return self.selected

    def _fetch(
        self, uids: UidSet, items: bytes, item: str, budget: CommandBudget
    ) -> dict[int, FetchedBody]:
        bodies: dict[int, FetchedBody] = {}
        for part in self._parts(uids, rest=len(items) + 12):
            responses = self._run("UID FETCH", uid_set(part), items, budget=budget)
            if len(part) > 1 and results.contradictory(responses, part):
                log.warning(
                    "data under the UID of another message: UID %s is requested again", part
                )
                responses.clear()
                half = UidSet.of(list(part)[: len(part) // 2])
                bodies.update(self._fetch(half, items, item, budget))
                bodies.update(self._fetch(part - half, items, item, budget))
            bodies.update(results.bodies(responses, part, item))
        return bodies

    def _list_by_windows(self) -> UidSet:
        """Every UID, by sequence numbers.

        A message that is removed while we list moves those above it down, so the next window
        begins lower by as many as were removed. If fewer are found than EXISTS says, all are asked
        for in one command: at once where windows bring nothing new or far too little, since a
        server that says 4,294,967,295 would be asked for hours.
        """
        uids = UidSet()
        low, count = 1, 0
        while low <= self.exists and low - count <= LISTING_SLACK:
            high = min(low + self._limits.list_window - 1, self.exists)
            before = self.expunges
            window = self._search(b"%d:%d" % (low, high)) - uids
            if not window:
                break
            uids.update(window)
            count += len(window)
            low = max(high + 1 - (self.expunges - before), 1)
        if len(uids) < self.exists:  # pymap takes the sequence numbers of a UID SEARCH for UIDs.
            uids.update(self._search(b"ALL"))
        return uids

    def _search(self, *key: bytes | Literal) -> UidSet:
        return results.search_uids(self._run("UID SEARCH", *key)) or UidSet()

    def _checked(self, uids: UidSet) -> UidSet:
        """The hits of a search, unless they are too many to be true."""
        if len(uids) > 2 * self.exists + LISTING_SLACK:
            with self._wire.closing_on_error("UID SEARCH"):
                raise ProtocolError(f"{len(uids)} UIDs listed for {self.exists} messages")
        return uids

    def _copy_or_move(self, command: str, uids: UidSet, mailbox: str) -> bool:
        target, are_named = mailbox_argument(mailbox), True
        for part in self._parts(uids, rest=len(target) + 12):
            result = self._reply(command, uid_set(part), target)
            codes = [
                status.code for status in result.untagged if isinstance(status, StatusResponse)
            ]
            are_named &= "COPYUID" in (result.end.code, *codes)
        return are_named

    def _parts(self, uids: UidSet, *, rest: int) -> Iterator[UidSet]:
        return uid_chunks(uids, rest=rest, count=self._limits.list_window)
