"""Users: their mailboxes, and their credentials in SASL (the password of PLAIN, bearer tokens)."""

from __future__ import annotations

import binascii
import itertools
import re
import threading
from collections.abc import Callable

from nornmail.testing.mailbox import Mailbox
from nornmail.testing.vendors import PLAIN, Profile

MAX_SASL_LINE = 12_288
"""Octets of a line of an exchange (RFC 4954, 4; the RFCs of IMAP name no limit)."""

TOKEN_REFUSED = b'{"status":"401","schemes":"bearer","scope":"mail"}'
"""The challenge in which a token is refused (RFC 7628, 3.2.2)."""

BEARERS = {
    "XOAUTH2": re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([!-~]+)\x01\x01"),
    "OAUTHBEARER": re.compile(
        rb"n,a=([^\x01,]*),\x01(?:(?:host|port)=[^\x01]*\x01)*auth=Bearer ([!-~]+)\x01\x01"
    ),
}
"""The client's message in each mechanism with a token."""

MECHANISMS = ("PLAIN", "LOGIN", *BEARERS)


def encode_sasl(challenge: bytes) -> bytes:
    """A challenge as it is on the wire."""
    return binascii.b2a_base64(challenge, newline=False)


def decode_sasl(line: bytes) -> bytes:
    """A client's line without its base64. ValueError where it is not base64."""
    return binascii.a2b_base64(line, strict_mode=True)


Credentials = tuple[bytes, bytes] | None
"""User and password, or user and token; None where the message is malformed."""


def read_credentials(
    mechanism: str, initial: bytes | None, ask: Callable[[bytes], bytes]
) -> Credentials:
    """The credentials of an exchange: of its initial response, else of answers to challenges."""
    if mechanism == "LOGIN":  # which no RFC describes
        user = ask(b"Username:") if initial is None else initial
        return user, ask(b"Password:")
    message = ask(b"") if initial is None else initial
    if mechanism == "PLAIN":  # RFC 4616
        parts = message.split(b"\0")
        return (parts[1], parts[2]) if len(parts) == 3 else None
    match = BEARERS[mechanism].fullmatch(message)
    return match and (match[1].replace(b"=2C", b",").replace(b"=3D", b"="), match[2])


FIRST_UID_VALIDITY = 1000
"""The UIDVALIDITY of an account's first mailbox; later ones count up, so that every run repeats."""


class UnknownName(KeyError):
    """A test names a user or a mailbox that is not there."""

    def __str__(self) -> str:
        return str(self.args[0])


def to_wire(name: str) -> bytes:
    """A mailbox's name in modified UTF-7 (RFC 3501, 5.1.3)."""
    return re.sub(r"&|[^\x20-\x7e]+", _encoded_run, name).encode("ascii")


def _encoded_run(run: re.Match[str]) -> str:
    if run[0] == "&":
        return "&-"
    octets = binascii.b2a_base64(run[0].encode("utf-16-be", "surrogatepass"), newline=False)
    return f"&{octets.decode('ascii').rstrip('=').replace('/', ',')}-"


class Account:
    """A user. ``lock`` guards everything in it and in its mailboxes."""

    def __init__(
        self,
        user: str,
        password: str,
        profile: Profile = PLAIN,
        changed: Callable[[], object] = bool,
    ) -> None:
        self.user = user
        self.password = password
        self.delimiter = profile.delimiter
        self.prefix = profile.prefix
        self._newest_first = profile.numbers_newest_first
        self.lock = threading.RLock()
        self.tokens: set[str] = set()
        self.used_tokens: set[str] = set()
        self.subscriptions: set[bytes] = set()
        self._changed = changed
        self._validities = itertools.count(FIRST_UID_VALIDITY)
        self._mailboxes: dict[bytes, Mailbox] = {}
        self.create(b"INBOX")
        for name, attributes in profile.mailboxes:
            self.create(name.encode("ascii")).attributes |= set(attributes.split())

    def welcome(self) -> None:
        """Note a login; the first one may renumber the mailboxes."""
        with self.lock:
            if self._newest_first:
                self._newest_first = False
                for box in self._mailboxes.values():
                    box.number_newest_first()

    def canonical(self, name: bytes) -> bytes:
        """A mailbox's name as it is looked up: INBOX in any case, no delimiter at the end."""
        bare = name.removesuffix(self.delimiter)
        head, delimiter, below = bare.partition(self.delimiter)
        return b"INBOX" + delimiter + below if head.upper() == b"INBOX" else bare

    def find(self, name: bytes) -> Mailbox | None:
        """The mailbox of this name, if there is one that can be opened."""
        with self.lock:
            box = self._mailboxes.get(self.canonical(name))
            return None if box is None or "\\Noselect" in box.attributes else box

    def named(self, name: str) -> Mailbox | None:
        """The mailbox that people call so; the wire's form of a name is understood as well."""
        return self.find(to_wire(name)) or (self.find(name.encode()) if name.isascii() else None)

    def all(self) -> list[Mailbox]:
        """Every mailbox, INBOX first, those that cannot be opened included."""
        with self.lock:
            order = sorted(self._mailboxes, key=lambda name: (name != b"INBOX", name))
            return [self._mailboxes[name] for name in order]

    def create(self, name: bytes) -> Mailbox:
        """Make a mailbox and those above it (RFC 3501, 6.3.3)."""
        with self.lock:
            canonical = self.canonical(name)
            if canonical in self._mailboxes or not canonical:
                raise ValueError(f"mailbox {name!r} exists already")
            if canonical != b"INBOX" and not canonical.startswith(self.prefix):
                raise ValueError(f"mailbox {name!r} does not begin with {self.prefix!r}")
            parts = canonical.split(self.delimiter)
            for depth in range(1, len(parts) + 1):
                path = self.delimiter.join(parts[:depth])
                if path and path not in self._mailboxes:
                    self._mailboxes[path] = self._new(path)
            return self._mailboxes[canonical]

    def delete(self, name: bytes) -> bool:
        """Remove a mailbox; sessions that have it open get BYE. Whether it was there."""
        with self.lock:
            box = self._mailboxes.pop(self.canonical(name), None)
            if box is not None:
                box.epoch.end()
            return box is not None

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename a mailbox and those below it; INBOX is emptied into the new one and stays."""
        with self.lock:
            source, target = self.canonical(old), self.canonical(new)
            box = self._mailboxes[source]
            if source == b"INBOX":
                moved = self.create(target)
                for message in box.messages:
                    moved.add(message.raw, message.flags, message.internal_date)
                    box.expunge(message.uid)
                return
            del self._mailboxes[self.create(target).raw_name]  # the levels above it stay
            below = source + self.delimiter
            for path in [name for name in self._mailboxes if name.startswith(below)]:
                self._move(path, target + self.delimiter + path.removeprefix(below))
            self._move(source, target)

    def _move(self, source: bytes, target: bytes) -> None:
        box = self._mailboxes.pop(source)
        box.raw_name = target
        self._mailboxes[target] = box

    def _new(self, name: bytes) -> Mailbox:
        return Mailbox(name, self.lock, lambda: next(self._validities), self._changed)
