"""The servers of the soak, with what can go wrong there."""

from __future__ import annotations

import imaplib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from nornmail.testing import MailServer, Proxy, faults
from nornmail.uidset import UidSet
from tests.soak.books import serial_of
from tests.support.dovecot import Dovecot

REFUSED = ("SELECT", "NOOP", "UID SEARCH", "UID FETCH", "IDLE")
"""Commands that are refused now and then. A refused LOGIN would be five minutes of silence, which
is a test of its own."""
STORE = "UID STORE"
"""Refused in long runs alone: it is tried again after a minute."""
MOST_OCTETS = 6_000
"""A connection is cut within so many octets."""


class Shore(Protocol):
    """A server."""

    host: str
    port: int
    user: str
    password: str
    figures: Counter[str]

    @property
    def events(self) -> tuple[str, ...]:
        """What can go wrong here."""

    def deliver(self, raw: bytes) -> None: ...

    def flags(self) -> dict[int, bool]:
        r"""What is there, by serial: whether it is ``\Seen``."""

    def remove(self, serials: list[int]) -> list[int]:
        """Delete these, as another client would; returns them."""

    def cut(self, dice: random.Random) -> None: ...

    def refuse(self, dice: random.Random, *, long: bool) -> None: ...

    def close_doors(self, *, closed: bool) -> None: ...

    def begin_anew(self, dice: random.Random) -> None: ...

    def calm(self) -> None:
        """Nothing goes wrong from now on."""


class Embedded:
    """The server in this process."""

    events: tuple[str, ...] = ("cut", "refuse", "doors", "anew")

    def __init__(self, server: MailServer, user: str, password: str) -> None:
        server.add_user(user, password)
        self.host, self.port = server.host, server.imap_port
        self.user, self.password = user, password
        self.figures: Counter[str] = Counter()
        self._server = server

    def deliver(self, raw: bytes) -> None:
        self._server.deliver(raw)

    def flags(self) -> dict[int, bool]:
        messages = self._server.mailbox().messages
        return {serial_of(one.raw): "\\Seen" in one.flags for one in messages}

    def remove(self, serials: list[int]) -> list[int]:
        box = self._server.mailbox()
        with box.lock:
            for message in box.messages:
                if serial_of(message.raw) in serials:
                    box.expunge(message.uid)
        return serials

    def cut(self, dice: random.Random) -> None:
        self.figures["cuts"] += 1
        octets, reset = dice.randrange(MOST_OCTETS), dice.random() < 0.3
        commands = (None, *REFUSED, STORE)
        planned: list[Callable[[], object]] = [
            self._server.kick,
            lambda: self._add(faults.CutTotal(after_bytes=octets, reset=reset)),
            lambda: self._add(
                faults.Cut(dice.choice(commands), after_bytes=octets % 600, reset=reset)
            ),
            lambda: self._add(faults.Cut(dice.choice(commands), before=True)),
        ]
        dice.choice(planned)()

    def refuse(self, dice: random.Random, *, long: bool) -> None:
        self.figures["refusals"] += 1
        commands = (*REFUSED, STORE) if long else REFUSED
        self._add(faults.Answer(dice.choice(commands), text=b"NO not this time"))

    def close_doors(self, *, closed: bool) -> None:
        self.figures["closed doors"] += closed
        self._server.refuse_connections = closed
        if closed:
            self._server.kick()

    def begin_anew(self, dice: random.Random) -> None:
        self.figures["new UIDVALIDITY"] += 1
        # Not quiet: a session that goes on with the old mailbox would set its flags there alone.
        self._server.mailbox().reset_uid_validity(renumber=dice.random() < 0.5)

    def calm(self) -> None:
        self._server.faults.clear()
        self._server.refuse_connections = False

    def _add(self, fault: faults.Fault) -> None:
        """One at a time: faults that pile up are an outage, and that is the doors' business."""
        if not self._server.faults.pending:
            self._server.faults.add(fault)


def _listed(client: imaplib.IMAP4) -> list[tuple[int, bytes]]:
    """What is in the selected mailbox: the serial, and ``number (UID ... FLAGS ...`` of each."""
    _, found = client.fetch("1:*", "(UID FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    return [(serial_of(part[1]), part[0]) for part in found if isinstance(part, tuple)]


_UID = re.compile(rb"UID (\d+)")
_STORE = re.compile(rb"^(\S+) UID STORE ([\d:,]+) \+FLAGS(?:\.SILENT)? \(\\Seen\)", re.IGNORECASE)
_OK = re.compile(rb"^(\S+) OK ", re.IGNORECASE)
_COMPLETED = re.compile(rb"^(\S+) OK (?=.*\b(Search|Fetch|NOOP|Idle|Store) completed)")


class BehindProxy:
    r"""Dovecot, with a proxy before it that breaks things.

    Dovecot 2.3 loses a flag now and then that it said it had stored, while other sessions add mail
    to a Maildir and expunge it; plain imaplib, alone with it, shows the same within minutes. So
    what counts as flagged here is what the server confirmed, seen on the wire.
    """

    events: tuple[str, ...] = ("cut", "refuse", "doors")

    def __init__(self, server: Dovecot, proxy: Proxy) -> None:
        self.host, self.port = "127.0.0.1", proxy.port
        self.user, self.password = server.user(), server.password
        self.figures: Counter[str] = Counter()
        self._server = server
        self._proxy = proxy
        self._to_refuse: bytes | None = None
        self._asked: dict[bytes, UidSet] = {}
        self._confirmed = UidSet()
        self._lost: set[int] = set()
        self._lock = threading.Lock()
        proxy.rewrite(self._heard, "client")
        proxy.rewrite(self._rewritten)

    def deliver(self, raw: bytes) -> None:
        self._server.deliver(self.user, raw)

    def flags(self) -> dict[int, bool]:
        # Before the listing: what is confirmed while the listing is on its way is not lost.
        with self._lock:
            confirmed = UidSet(self._confirmed.ranges)
        with self._server.connect(self.user) as client:
            client.select("INBOX", readonly=True)
            listed = _listed(client)
        return {serial: self._is_seen(serial, words, confirmed) for serial, words in listed}

    def _is_seen(self, serial: int, words: bytes, before: UidSet) -> bool:
        if b"\\Seen" in words:
            return True
        uid = _UID.search(words)
        confirmed = uid is not None and int(uid[1]) in before
        if confirmed:
            self._lost.add(serial)
            self.figures["flags that the server lost"] = len(self._lost)
        return confirmed

    def remove(self, serials: list[int]) -> list[int]:
        with self._server.connect(self.user) as client:
            client.select("INBOX")
            numbers = [
                words.split()[0].decode() for serial, words in _listed(client) if serial in serials
            ]
            if numbers:
                client.store(",".join(numbers), "+FLAGS.SILENT", "(\\Deleted)")
                client.expunge()  # nobody else flags anything here
        return serials

    def cut(self, dice: random.Random) -> None:
        self.figures["cuts"] += 1
        if dice.random() < 0.5:
            self._proxy.cut_after(dice.choice(("server", "client")), dice.randrange(MOST_OCTETS))
        self._proxy.kick()

    def refuse(self, dice: random.Random, *, long: bool) -> None:
        self.figures["refusals"] += 1
        words = [b"Search", b"Fetch", b"NOOP", b"Idle", *([b"Store"] if long else [])]
        self._to_refuse = dice.choice(words)

    def close_doors(self, *, closed: bool) -> None:
        self.figures["closed doors"] += closed
        self._proxy.refuse = closed
        if closed:
            self._proxy.kick()

    def begin_anew(self, dice: random.Random) -> None:
        raise AssertionError("nobody may be connected for that")

    def calm(self) -> None:
        self._to_refuse = None
        self._proxy.refuse = False

    def _heard(self, line: bytes) -> bytes:
        """Note what the poller wants to be flagged, until the server confirms it."""
        found = _STORE.match(line)
        if found is not None:
            self._asked[found[1]] = UidSet.parse(found[2].decode("ascii"))
        return line

    def _rewritten(self, line: bytes) -> bytes:
        found = _COMPLETED.match(line)
        if found is None or found[2] != self._to_refuse:
            answer = _OK.match(line)
            if answer is not None:
                with self._lock:
                    self._confirmed.update(self._asked.pop(answer[1], UidSet()))
            return line
        self._to_refuse = None
        return found[1] + b" NO not this time\r\n"
