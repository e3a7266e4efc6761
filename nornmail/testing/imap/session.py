"""One IMAP connection from greeting to end: reads a command, lets the faults have it, answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nornmail.testing.connection import HIDDEN, Dropped, LineTooLong, carries_secret, without_secret
from nornmail.testing.imap import login, mailboxes, selected
from nornmail.testing.imap.client import Client, Command, No
from nornmail.testing.imap.fault_injection import arrange
from nornmail.testing.imap.faults import CutTotal, Greeting, PreAuth
from nornmail.testing.imap.grammar import BadSyntax, Cursor

COMMANDS: dict[str, Command] = {
    **login.COMMANDS,
    **mailboxes.COMMANDS,
    **selected.COMMANDS,
}
"""Every command, by its upper-case name."""


MAX_LINE = 64 * 1024
"""Octets of a command without its literals; real servers stop between 8 and 128 KiB."""

MAX_LITERAL = 64 * 1024 * 1024
"""Octets of all literals of a command: larger than any mail, small enough for the memory."""

MAX_LITERAL_MINUS = 4096
"""Octets of a literal that LITERAL- lets a client send without waiting (RFC 7888, section 5)."""

_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+) ((?:UID )?[A-Za-z]+)(?=[^A-Za-z]|$)', re.I)
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\Z")


class _Unreadable(Exception):
    """A command was too large; ``head`` is where its tag stands."""

    def __init__(self, head: bytes, text: str) -> None:
        super().__init__(text)
        self.head = head


class Session:
    """One client's dialogue. Its thread is the only one that touches it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.state = client.state
        self.conn = client.conn

    def run(self) -> None:
        """Serve the client until Dropped or an OSError says that the connection is over."""
        try:
            self._greet()
            while True:
                self._serve_one()
        finally:
            self.client.leave()

    def _greet(self) -> None:
        take = self.state.take
        for total in take(CutTotal, lambda _: True):
            self.conn.total_left, self.conn.total_reset = total.after_bytes, total.reset
        greetings = take(Greeting, lambda _: True)
        for pre in take(PreAuth, lambda _: True):
            self.client.account = self.state.account(pre.user)
        self._refuse_what_is_too_many()
        text = greetings[0].data if greetings else self._usual_greeting()
        self.conn.write(text)
        self.conn.flush()
        if greetings and greetings[0].close:
            raise Dropped("greeted with an end")

    def _usual_greeting(self) -> bytes:
        status = b"PREAUTH" if self.client.account else b"OK"
        code = b""
        if self.state.profile.greets_with_capabilities:
            code = b"[CAPABILITY " + self.client.capability_list() + b"] "
        return b"* %s %s%s\r\n" % (status, code, self.state.profile.greeting)

    def _refuse_what_is_too_many(self) -> None:
        over = self.state.over_limit(("bye", "close", "silent"), self.conn.place)
        if over is None:
            return
        if over.how == "bye":
            self.client.hang_up(over.text)
        if over.how == "silent":
            self.conn.swallow()
        raise Dropped("one connection too many")

    def _serve_one(self) -> None:
        try:
            pieces = self._read_command()
        except _Unreadable as large:
            tag = _TAG.match(large.head)
            self._answer(tag[0] if tag else b"*", f"BAD {large}")
            return
        head = _HEAD.match(pieces[0])
        if head is None:
            tag = _TAG.match(pieces[0])
            self._answer(tag[0] if tag else b"*", "BAD Not a command")
            return
        name = head[2].upper().decode("ascii")
        replaced = arrange(self.client, head[1], name)
        if replaced is None:
            self._answer(head[1], self._act(name, head[1], pieces, head.end()))
        else:
            self.conn.write(replaced)
            self.conn.finish_answer()
        if self.client.after_answer is not None:
            after, self.client.after_answer = self.client.after_answer, None
            after()

    def _answer(self, tag: bytes, text: str) -> None:
        if text:  # IDLE may have been answered by a fault already
            self.conn.write(tag + b" " + text.encode("ascii", "replace") + b"\r\n")
        self.conn.finish_answer()

    def _read_command(self) -> list[bytes]:
        """A line, and as long as it ends in a literal's size, the literal and the next line."""
        try:
            line = self.conn.read_line(MAX_LINE, without_secret)
        except LineTooLong as long:
            raise _Unreadable(long.head, "Command line too long") from long
        secret = carries_secret(line)
        shown = [without_secret(line)]
        pieces: list[bytes] = []
        line_left, literal_left = MAX_LINE - len(line), MAX_LITERAL
        while (marker := _LITERAL.search(line)) is not None:
            waits = not marker[2]
            if not waits and not self._takes_at_once(marker[1]):
                break
            if len(marker[1]) > len(str(MAX_LITERAL)) or int(marker[1]) > literal_left:
                if not waits:  # the octets come whether they are wanted or not
                    self.client.hang_up(b"[TOOBIG] literal too large")
                raise _Unreadable(pieces[0] if pieces else line, "Literal too large")
            if waits:
                self.conn.write(b"+ OK\r\n")
                self.conn.flush()
            literal = self.conn.read_exactly(int(marker[1]), secret=secret)
            pieces += [line[: marker.start()], literal]
            literal_left -= len(literal)
            line = self._rest_of_line(pieces[0], line_left, secret=secret)
            line_left -= len(line)
            shown.append(HIDDEN if secret and line else line)
        with self.state.lock:
            self.state.commands.append(b"".join(shown))
        return [*pieces, line]

    def _takes_at_once(self, size: bytes) -> bool:
        """Whether a literal of this size may come without being asked for (RFC 7888)."""
        if self.client.has("LITERAL+"):
            return True
        return self.client.has("LITERAL-") and len(size) < 5 and int(size) <= MAX_LITERAL_MINUS

    def _rest_of_line(self, head: bytes, limit: int, *, secret: bool) -> bytes:
        def shown(line: bytes) -> bytes:
            return HIDDEN if secret and not _LITERAL.fullmatch(line.strip()) else line

        try:
            return self.conn.read_line(limit, shown)
        except LineTooLong as long:
            raise _Unreadable(head, "Command line too long") from long

    def _act(self, name: str, tag: bytes, pieces: Sequence[bytes], start: int) -> str:
        """Carry a command out; the text of its tagged answer."""
        client = self.client
        command = COMMANDS.get(name)
        if command is None or not client.has(command.capability):
            return self.state.profile.unknown
        if not command.allowed(client):
            return f"BAD {name} is not allowed in this state"
        if refusal := self.state.profile.refuse(name.encode("ascii") + pieces[0][start:]):
            return refusal
        if client.view is not None and client.view.epoch.gone and name != "LOGOUT":
            client.hang_up(b"IMAP session state is inconsistent, please relogin.")
        if command.arrivals:
            box, view = client.selected()
            with box.lock:
                self.conn.write(b"".join(view.arrivals()))
        try:
            text = command.handler(client, tag, Cursor([pieces[0][start:], *pieces[1:]]))
        except BadSyntax as error:
            text = f"BAD {error}"
        except No as error:
            text = f"NO {error}"
        if client.box is not None and client.view is not None:
            with client.box.lock:
                self.conn.write(client.view.news(expunges=command.expunges))
        return text
