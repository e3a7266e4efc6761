"""One IMAP connection from greeting to end: reads a command, lets the faults have it, answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nornmail.testing.accounts import Account
from nornmail.testing.connection import Connection, Dropped, LineTooLong
from nornmail.testing.faults import (
    Answer,
    Bye,
    Call,
    CommandFault,
    Cut,
    CutTotal,
    Drip,
    Extra,
    Garbage,
    Greeting,
    PreAuth,
    Rewrite,
    Silent,
    Trailing,
)
from nornmail.testing.imap import (
    auth_commands,
    idle,
    mailbox_commands,
    selected_commands,
)
from nornmail.testing.imap.command import Command, No
from nornmail.testing.imap.grammar import BadSyntax, Cursor
from nornmail.testing.imap.view import View
from nornmail.testing.mailbox import Mailbox
from nornmail.testing.state import ServerState, shown_capabilities
from nornmail.testing.transcript import HIDDEN, carries_secret, without_secret

MAX_LINE = 64 * 1024
"""Octets of a command without its literals; real servers stop between 8 and 128 KiB."""

MAX_LITERAL = 64 * 1024 * 1024
"""Octets of all literals of a command: larger than any mail, small enough for the memory."""

COMMANDS: dict[str, Command] = {
    **auth_commands.COMMANDS,
    **mailbox_commands.COMMANDS,
    **selected_commands.COMMANDS,
    **idle.COMMANDS,
}
"""Every command of the server, by its upper-case name."""

_HEAD = re.compile(rb'([^\x00-\x20\x7f-\xff(){%*"\\+]+) ((?:UID )?[A-Za-z]+)(?=[^A-Za-z]|$)', re.I)
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\Z")


class _Unreadable(Exception):
    """A command was too large; ``head`` is where its tag stands."""

    def __init__(self, head: bytes, text: str) -> None:
        super().__init__(text)
        self.head = head


class Session:
    """One client. Its thread is the only one that touches it.

    Attributes:
        capabilities: what the server has, as it was when the client connected.
        account: who is logged in.
        box: the selected mailbox, and ``view`` what the client knows of it.
        after_answer: done once, behind the tagged answer: the TLS handshake, the hanging up.
    """

    def __init__(self, state: ServerState, conn: Connection) -> None:
        self.state = state
        self.conn = conn
        self.capabilities = frozenset(state.capabilities)
        self.account: Account | None = None
        self.box: Mailbox | None = None
        self.view: View | None = None
        self.after_answer: Callable[[], None] | None = None

    def user(self) -> Account:
        """Who is logged in; commands of the authenticated state may rely on it."""
        if self.account is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.account

    def selected(self) -> tuple[Mailbox, View]:
        """What is selected; commands of the selected state may rely on it."""
        if self.box is None or self.view is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.box, self.view

    def leave(self) -> None:
        """Close the selected mailbox, if there is one."""
        if self.box is not None and self.view is not None:
            with self.box.lock:
                self.view.close()
        self.box = self.view = None

    def capability_list(self) -> bytes:
        """The capabilities that are shown now."""
        return shown_capabilities(self.capabilities, logged_in=self.account is not None)

    def run(self) -> None:
        """Serve the client until Dropped or an OSError says that the connection is over."""
        try:
            self._greet()
            while True:
                self._serve_one()
        finally:
            self.leave()

    def _greet(self) -> None:
        take = self.state.faults.take
        for total in take(CutTotal, lambda _: True):
            self.conn.total_left, self.conn.total_reset = total.after_bytes, total.reset
        greetings = take(Greeting, lambda _: True)
        for pre in take(PreAuth, lambda _: True):
            self.account = self.state.account(pre.user)
        status = b"PREAUTH" if self.account else b"OK"
        usual = b"* %s [CAPABILITY %s] nornmail test server ready\r\n"
        text = greetings[0].data if greetings else usual % (status, self.capability_list())
        self.conn.write(text)
        self.conn.flush()
        if greetings and greetings[0].close:
            raise Dropped("greeted with an end")

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
        replaced = self.arrange(head[1], name)
        if replaced is None:
            self._answer(head[1], self._act(name, head[1], pieces, head.end()))
        else:
            self.conn.write(replaced)
            self.conn.finish_answer()
        if self.after_answer is not None:
            after, self.after_answer = self.after_answer, None
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
            if not waits and "LITERAL+" not in self.capabilities:
                break
            if len(marker[1]) > len(str(MAX_LITERAL)) or int(marker[1]) > literal_left:
                if not waits:  # the octets come whether they are wanted or not
                    self.hang_up(b"[TOOBIG] literal too large")
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

    def _rest_of_line(self, head: bytes, limit: int, *, secret: bool) -> bytes:
        def shown(line: bytes) -> bytes:
            return HIDDEN if secret and not _LITERAL.fullmatch(line.strip()) else line

        try:
            return self.conn.read_line(limit, shown)
        except LineTooLong as long:
            raise _Unreadable(head, "Command line too long") from long

    def _act(self, name: str, tag: bytes, pieces: Sequence[bytes], start: int) -> str:
        """Carry a command out; the text of its tagged answer."""
        command = COMMANDS.get(name)
        if command is None or not self._has(command.capability):
            return "BAD Unknown command"
        if not self._allowed(command):
            return f"BAD {name} is not allowed in this state"
        if self.view is not None and self.view.epoch.gone and name != "LOGOUT":
            self.hang_up(b"IMAP session state is inconsistent, please relogin.")
        if command.arrivals:
            box, view = self.selected()
            with box.lock:
                self.conn.write(b"".join(view.arrivals()))
        try:
            text = command.handler(self, tag, Cursor([pieces[0][start:], *pieces[1:]]))
        except BadSyntax as error:
            text = f"BAD {error}"
        except No as error:
            text = f"NO {error}"
        if self.box is not None and self.view is not None:
            with self.box.lock:
                self.conn.write(self.view.news(expunges=command.expunges))
        return text

    def _has(self, capability: str | None) -> bool:
        return capability is None or capability in self.capabilities

    def _allowed(self, command: Command) -> bool:
        return {
            "any": True,
            "not authenticated": self.account is None,
            "authenticated": self.account is not None,
            "selected": self.view is not None,
        }[command.when]

    def hang_up(self, text: bytes) -> None:
        """Say BYE and end the connection."""
        self.conn.write(b"* BYE " + text + b"\r\n")
        self.conn.finish_answer()
        raise Dropped("said BYE")

    def arrange(self, tag: bytes, name: str) -> bytes | None:
        """Carry out the faults that fire at this command.

        Returns:
            What is sent instead of acting, None to act.
        """
        shape = self.conn.shape
        replaced: bytes | None = None
        for fault in self.state.faults.take(CommandFault, lambda fault: fault.matches(name)):
            match fault:
                case Call():
                    fault.function()
                case Silent(after_bytes=None):
                    self.conn.flush()
                    self.conn.swallow()
                case Silent():
                    shape.cut_after, shape.stall = fault.after_bytes, True
                case Bye():
                    self.hang_up(fault.text)
                case Cut(before=True):
                    raise Dropped("cut before acting", reset=fault.reset)
                case Cut():
                    shape.cut_after, shape.reset = fault.after_bytes, fault.reset
                case Answer():
                    replaced = tag + b" " + fault.text + b"\r\n"
                case Garbage():
                    replaced = fault.data
                case Extra():
                    self.conn.write(fault.lines)
                case Trailing():
                    shape.trailing += fault.data
                case Rewrite():
                    shape.rewrite.append(fault.function)
                case Drip():
                    shape.drip = fault
        return replaced
