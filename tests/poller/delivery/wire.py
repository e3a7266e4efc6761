"""What passes between a poller and its server, noted, and spoilt where a test says so.

It works by the lines that a proxy passes on, so it is the same for every server behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nornmail.testing import Proxy

SEARCH = r"UID SEARCH "
SUMMARIES = r"UID FETCH .*RFC822\.SIZE\)"
BODIES = r"UID FETCH .*BODY\.PEEK\[\]"
HEADERS = r"UID FETCH .*BODY\.PEEK\[HEADER\]"
STORE = r"UID STORE "

_COMMAND = re.compile(rb"([A-Z]+[0-9]+) ([A-Z].*?)\r\n", re.DOTALL)
"""A tag as the client makes it, and the rest. What else a client says is a continuation."""


@dataclass
class _Trick:
    """What is done to the commands that match, from the ``nth`` match on, ``times`` times."""

    pattern: str
    act: Callable[[bytes, bytes], bytes | None]
    times: int
    nth: int


class Wire:
    """The lines between poller and server.

    Attributes:
        proxy: what passes them on.
        commands: every command that the poller sent, without its tag.
        on_line: called before each line of the poller's is passed on, DONE and literals as well.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.commands: list[str] = []
        self.on_line: Callable[[], object] = lambda: None
        self._tricks: list[_Trick] = []
        self._answers: dict[bytes, tuple[bytes, Callable[[bytes], bytes]]] = {}
        self._cut_at: bytes | None = None
        self._hidden: tuple[bytes, ...] = ()
        proxy.rewrite(self._from_client, "client")

    # What a test asks for. A command is named by a pattern that is looked for in it.

    def count(self, pattern: str) -> int:
        """How many of the commands match."""
        return sum(re.search(pattern, command) is not None for command in self.commands)

    def octets(self) -> int:
        """Plain octets in both directions, so far."""
        return self.proxy.bytes_up + self.proxy.bytes_down

    def refuse(
        self, pattern: str, answer: bytes = b"NO refused by the test", *, times: int = 1
    ) -> None:
        """Have commands answered with ``answer``; the server does not act, but tells its news."""

        def act(tag: bytes, _line: bytes) -> bytes:
            end = tag + b" " + answer + b"\r\n"
            self._spoil(tag, lambda said: b"".join([*said.splitlines(keepends=True)[:-1], end]))
            return tag + b" NOOP\r\n"

        self._add(pattern, act, times)

    def cut(self, pattern: str, *, done: bool = False, times: int = 1, nth: int = 1) -> None:
        """Drop every connection at a command.

        Args:
            done: the server has it and acts, and its answer is lost; else it never gets it.
        """

        def act(tag: bytes, line: bytes) -> bytes | None:
            if done:
                self._listen()
                self._cut_at = tag
                return line
            self.proxy.kick()
            return None

        self._add(pattern, act, times, nth)

    def spoil(self, pattern: str, change: Callable[[bytes], bytes], *, times: int = 1) -> None:
        """Send what ``change`` makes of a command's whole answer."""

        def act(tag: bytes, line: bytes) -> bytes:
            self._spoil(tag, change)
            return line

        self._add(pattern, act, times)

    def call(
        self, pattern: str, function: Callable[[], object], *, times: int = 1, nth: int = 1
    ) -> None:
        """Call ``function`` before a command is passed on: the world changes at this point."""

        def act(_tag: bytes, line: bytes) -> bytes:
            function()
            return line

        self._add(pattern, act, times, nth)

    def hide(self, *capabilities: str) -> None:
        """Leave these out of what the server says that it can do."""
        self._listen()
        self._hidden = tuple(name.encode("ascii") for name in capabilities)

    def restore(self) -> None:
        """Spoil nothing any more."""
        self._tricks.clear()
        self._hidden = ()

    @property
    def pending(self) -> list[str]:
        """The patterns of what has yet to happen."""
        return [trick.pattern for trick in self._tricks]

    # How it works.

    def _add(
        self,
        pattern: str,
        act: Callable[[bytes, bytes], bytes | None],
        times: int,
        nth: int = 1,
    ) -> None:
        self._tricks.append(_Trick(pattern, act, times, nth))

    def _listen(self) -> None:
        self.proxy.rewrite(self._from_server, "server")

    def _spoil(self, tag: bytes, change: Callable[[bytes], bytes]) -> None:
        self._listen()
        self._answers[tag] = (b"", change)

    def _from_client(self, line: bytes) -> bytes | None:
        self.on_line()
        command = _COMMAND.fullmatch(line)
        if command is None:
            return line
        tag, text = command[1], command[2].decode("latin-1")
        self.commands.append(text)
        for trick in self._tricks:
            if re.search(trick.pattern, text):
                trick.nth -= 1
                if trick.nth > 0:
                    continue
                trick.times -= 1
                if not trick.times:
                    self._tricks.remove(trick)
                return trick.act(tag, line)
        return line

    def _from_server(self, line: bytes) -> bytes | None:
        if self._cut_at is not None:
            self._cut_at = None
            self.proxy.kick()
            return None
        if self._answers:
            return self._gathered(line)
        if self._hidden and b"CAPABILITY" in line:
            for name in self._hidden:
                line = re.sub(rb" %s(?=[ \]\r])" % re.escape(name), b"", line)
        return line

    def _gathered(self, line: bytes) -> bytes | None:
        """Hold an answer that is to be changed back until its tagged end."""
        (tag, (so_far, change)), *_ = self._answers.items()
        answer = so_far + line
        if not line.startswith(tag + b" "):
            self._answers[tag] = (answer, change)
            return None
        del self._answers[tag]
        return change(answer)


_BODY = rb"\* [0-9]+ FETCH \((?=[^\r\n]*UID %d[ )])(?:[^\r\n]*)BODY\[\] \{([0-9]+)\}\r\n"


def with_body(uid: int, body: bytes) -> Callable[[bytes], bytes]:
    """A change of an answer to FETCH: the text of ``uid``, if it is in it, is ``body``."""

    def change(answer: bytes) -> bytes:
        found = re.search(_BODY % uid, answer)
        if found is None:
            return answer
        announced = answer.rindex(b"{", 0, found.end())
        return answer[:announced] + body + answer[found.end() + int(found[1]) :]

    return change


def without(uid: int) -> Callable[[bytes], bytes]:
    """A change of an answer to FETCH: ``uid`` is not in it at all."""

    def change(answer: bytes) -> bytes:
        found = re.search(_BODY % uid, answer)
        if found is None:
            return answer
        end = answer.index(b"\r\n", found.end() + int(found[1])) + 2
        return answer[: found.start()] + answer[end:]

    return change


def literal(octets: bytes) -> bytes:
    """Octets as a literal."""
    return b"{%d}\r\n%s" % (len(octets), octets)
