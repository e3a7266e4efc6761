"""Another client of the server under test: what it does happens behind the poller's back."""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.support.server import PrivateServer

REPLY_SECONDS = 20.0

_UID = re.compile(rb"UID ([0-9]+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_APPENDUID = re.compile(rb"APPENDUID [0-9]+ ([0-9]+)")
_NAME = re.compile(rb'\([^)]*\) (?:"[^"]*"|NIL) "?([^"\r\n]*)"?')


@dataclass(frozen=True)
class Stored:
    """A message as it lies on the server; ``\\Recent`` is left out of its flags."""

    uid: int
    flags: frozenset[str]
    raw: bytes


class OtherClient:
    """Somebody else who is logged in as the same user, and has no mailbox open in between.

    Args:
        host, port, tls, ca_file: the server itself, without what stands before it.
        user, password: whose mail.
        prefix: what the names of all mailboxes but INBOX begin with; tests do without it.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool,
        ca_file: str,
        user: str,
        password: str,
        prefix: str = "",
    ) -> None:
        self._prefix = prefix
        context = ssl.create_default_context(cafile=ca_file)
        self._imap: imaplib.IMAP4 = (
            imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=REPLY_SECONDS)
            if tls
            else imaplib.IMAP4(host, port, timeout=REPLY_SECONDS)
        )
        # imaplib sends a literal and what ends it in two pieces: Nagle would wait in between.
        self._imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._imap.login(user, password)
            _, told = self._imap.capability()  # after the login; imaplib keeps the ones from before
            self._capabilities = (told[0] or b"").decode("ascii").upper().split()
        except BaseException:
            self._imap.shutdown()
            raise

    def close(self) -> None:
        """Leave; the server may be gone already."""
        try:
            self._imap.logout()
        except (imaplib.IMAP4.abort, OSError):
            self._imap.shutdown()

    def deliver(
        self, raws: Sequence[bytes], mailbox: str, flags: Sequence[str], date: float
    ) -> list[int]:
        """Put messages into a mailbox that is there; returns their UIDs."""
        shown = f"({' '.join(flags)})"
        when = imaplib.Time2Internaldate(date)
        argument = self._argument(mailbox)
        answers = [self._imap.append(argument, shown, when, raw) for raw in raws]
        found = [_APPENDUID.search(answer[0] or b"") for _, answer in answers]
        assert None not in found, answers
        return [int(match[1]) for match in found if match]

    def stored(self, mailbox: str) -> list[Stored]:
        """What lies in a mailbox, by UID."""
        with self._open(mailbox) as count:
            if not count:
                return []
            parts = self._do("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")
        messages = []
        for at, part in enumerate(parts):
            if not isinstance(part, tuple):
                continue
            after = parts[at + 1]
            facts = part[0] + (after if isinstance(after, bytes) else b"")
            uid, flags = _UID.search(facts), _FLAGS.search(facts)
            assert uid, facts
            assert flags, facts
            own = frozenset(flags[1].decode("ascii").split()) - {"\\Recent"}
            messages.append(Stored(int(uid[1]), own, part[1]))
        return sorted(messages, key=lambda message: message.uid)

    def set_flags(self, uid: int, flags: Sequence[str], mailbox: str) -> None:
        """Replace a message's flags."""
        with self._open(mailbox):
            self._do("STORE", str(uid), "FLAGS", f"({' '.join(flags)})")

    def expunge(self, uid: int, mailbox: str) -> None:
        """Remove a message."""
        with self._open(mailbox):
            self._do("STORE", str(uid), "+FLAGS", r"(\Deleted)")
            self._do("EXPUNGE", str(uid))

    def mailboxes(self) -> list[str]:
        """The names of all mailboxes, as on the wire."""
        _, lines = self._imap.list()
        found = [_NAME.fullmatch(line) for line in lines if isinstance(line, bytes)]
        names = [match[1].decode("ascii") for match in found if match]
        return sorted(name.removeprefix(self._prefix) for name in names)

    def create(self, mailbox: str) -> None:
        """Make a mailbox."""
        status, answer = self._imap.create(self._argument(mailbox))
        assert status == "OK", answer

    def delete(self, mailbox: str) -> None:
        """Delete a mailbox and what lies in it."""
        status, answer = self._imap.delete(self._argument(mailbox))
        assert status == "OK", answer

    def renew(self, mailbox: str, date: float) -> None:
        """Make a mailbox anew with the same mail: another UIDVALIDITY, and UIDs from 1."""
        kept = self.stored(mailbox)
        self.delete(mailbox)
        self.create(mailbox)
        for message in kept:
            self.deliver([message.raw], mailbox, sorted(message.flags), date)

    @contextlib.contextmanager
    def _open(self, mailbox: str) -> Iterator[int]:
        status, answer = self._imap.select(self._argument(mailbox))
        assert status == "OK", answer
        try:
            yield int(answer[0] or 0)
        finally:
            self._leave()

    def _leave(self) -> None:
        """Have no mailbox open; CLOSE of one that was examined removes nothing."""
        if "UNSELECT" in self._capabilities:
            self._imap.unselect()
        else:
            self._imap.select("INBOX", readonly=True)
            self._imap.close()

    def _argument(self, mailbox: str) -> str:
        return quoted(mailbox if mailbox == "INBOX" else self._prefix + mailbox)

    def _do(self, command: str, *arguments: str) -> list[bytes | tuple[bytes, bytes]]:
        status, answer = self._imap.uid(command, *arguments)
        assert status == "OK", answer
        return answer


def quoted(mailbox: str) -> str:
    return '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class Backend:
    """A server and its user.

    Attributes:
        restore: gives INBOX a new UIDVALIDITY and UIDs from 1, as a restored backup has them; the
            poller must not be connected.
        prefix: what the names of all mailboxes but INBOX begin with.
        real: the server, where it is a real one.
    """

    host: str
    port: int
    tls: bool
    ca_file: str
    user: str
    password: str
    restore: Callable[[], object]
    prefix: str = ""
    real: PrivateServer | None = None
