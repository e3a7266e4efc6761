"""An SMTP server that says what a test wants it to say, at each stage, over a real socket."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from nornmail.clock import SystemClock
from nornmail.settings.smtp import SmtpSettings
from nornmail.testing.mail_server import CA_FILE, CERTIFICATE_FILES

HOST: Final = "127.0.0.1"
SECONDS: Final = 5.0
"""What the client gives a server that does answer."""
SMALL_BUFFER: Final = 4_096
"""Octets that the system keeps for the server, so that a large letter cannot go out unread."""

HANG_UP: Final = b"\0hang up"
"""Close the connection instead of answering, or behind an answer."""
SILENCE: Final = b"\0silence"
"""Neither say nor read anything until the test has ended; also behind an answer."""
DRIP: Final = b"\0drip"
"""One octet, and by :attr:`Scripted.clock` an hour has passed."""
TLS: Final = b"\0tls"
"""Behind an answer: begin TLS after it."""

GOOD: Mapping[str, bytes] = MappingProxyType(
    {
        "greeting": b"220 ready\r\n",
        "EHLO": b"250-ready\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n",
        "HELO": b"250 ready\r\n",
        "STARTTLS": b"220 go on\r\n" + TLS,
        "AUTH": b"235 welcome\r\n",
        "MAIL": b"250 2.1.0 ok\r\n",
        "RCPT": b"250 2.1.5 ok\r\n",
        "DATA": b"354 go on\r\n",
        "content": b"",
        "end": b"250 2.0.0 taken\r\n",
        "RSET": b"250 ok\r\n",
        "NOOP": b"250 ok\r\n",
        "QUIT": b"221 bye\r\n",
    }
)
"""What is said at each stage where the script says nothing else."""


class LeapingClock(SystemClock):
    """The machine's clocks, but for the hours that the server takes."""

    leaps = 0

    def leap(self) -> None:
        self.leaps += 1

    def monotonic(self) -> float:
        return super().monotonic() + 3_600.0 * self.leaps


@dataclass
class Scripted:
    """What a test knows of the server.

    Attributes:
        port: where it listens.
        commands: every line that the client said, over all connections.
        contents: what came between 354 and the final dot, as it went over the wire.
        connections: how many there were.
        ended: set when the connection at hand is closed.
        released: set when those that are silent may leave.
        clock: for the client.
    """

    port: int
    commands: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    clock: LeapingClock = field(default_factory=LeapingClock)

    def settings(self, **changes: Any) -> SmtpSettings:
        values: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "use_tls": False,
            "ca_file": CA_FILE,
            "timeout": SECONDS,
        }
        return SmtpSettings(**(values | changes))

    def said(self, verb: str) -> list[str]:
        """The commands that begin with this."""
        return [line for line in self.commands if line.upper().startswith(verb)]


Answers = Mapping[str, bytes | list[bytes]]
"""By stage; a list is used up one by one, and its last one stays."""


class _Conversation:
    """One connection."""

    def __init__(self, sock: socket.socket, found: Scripted, say: Callable[[str], bytes]) -> None:
        self.sock = sock
        self.found = found
        self.say = say
        self.buffer = b""

    def run(self) -> None:
        if not self.answer("greeting"):
            return
        while (line := self.line()) is not None:
            self.found.commands.append(line)
            stage = line.partition(" ")[0].upper()
            if stage not in GOOD:  # a step of a login
                stage = "AUTH"
            if not self.answer(stage) or stage == "QUIT":
                return
            taken = stage == "DATA" and self.say("DATA?").startswith(b"354")
            if taken and not self.content():
                return

    def content(self) -> bool:
        early = self.say("content")
        if early and not self.speak(early):
            return False
        raw = self.until(b"\r\n.\r\n")
        if raw is None:
            return False
        self.found.contents.append(raw)
        return self.answer("end")

    def answer(self, stage: str) -> bool:
        """Say what the script has; whether the connection goes on."""
        return self.speak(self.say(stage))

    def speak(self, octets: bytes) -> bool:
        if octets.endswith(HANG_UP):
            self.sock.sendall(octets.removesuffix(HANG_UP))
            return False
        if octets.endswith(SILENCE):
            self.sock.sendall(octets.removesuffix(SILENCE))
            self.found.released.wait()
            return False
        if octets == DRIP:
            self.found.clock.leap()
            self.sock.sendall(b"2")
            self.found.released.wait()
            return False
        before, tls, behind = octets.partition(TLS)
        self.sock.sendall(before + behind)
        if tls:
            self.buffer = b""
            self.sock = server_context().wrap_socket(self.sock, server_side=True)
        return True

    def line(self) -> str | None:
        found = self.until(b"\r\n")
        return None if found is None else found[:-2].decode("utf-8")

    def until(self, mark: bytes) -> bytes | None:
        while mark not in self.buffer:
            octets = self.sock.recv(65_536)
            if not octets:
                return None
            self.buffer += octets
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*CERTIFICATE_FILES)
    return context


def _teller(answers: Answers) -> Callable[[str], bytes]:
    """Says what comes next at a stage; ``DATA?`` is what was said last to DATA."""
    script: Answers = {**GOOD, **answers}
    left = {
        stage: list(said) if isinstance(said, list) else [said] for stage, said in script.items()
    }
    last = b""

    def say(stage: str) -> bytes:
        nonlocal last
        if stage == "DATA?":
            return last
        queue = left[stage]
        said = queue.pop(0) if len(queue) > 1 else queue[0]
        if stage == "DATA":
            last = said
        return said

    return say


@contextmanager
def scripted(answers: Answers | None = None, *, implicit_tls: bool = False) -> Iterator[Scripted]:
    """A server that follows a script until the block ends.

    Args:
        answers: whole lines with CRLF, or one of the constants above.
        implicit_tls: TLS from the first octet.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    listener.bind((HOST, 0))
    listener.listen()
    found = Scripted(listener.getsockname()[1])
    say = _teller(answers or {})

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            found.connections += 1
            found.ended.clear()
            sock.settimeout(SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conversation = _Conversation(sock, found, say)
            try:
                if implicit_tls:
                    conversation.sock = server_context().wrap_socket(sock, server_side=True)
                conversation.run()
            except (OSError, ValueError):
                pass  # the client left
            finally:
                conversation.sock.close()
                found.ended.set()

    thread = threading.Thread(target=serve, name="scripted-smtp")
    thread.start()
    try:
        yield found
    finally:
        found.released.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
