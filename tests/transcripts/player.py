"""Plays a scene's server over a real socket: a small mailbox, and the answers of the script."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Self

from tests.transcripts.script import FOR_EVER, GONE, HANG_UP, USUAL, Answer, Scene, wire

CAPABILITIES = b"IMAP4rev1 UIDPLUS MOVE IDLE ID"
RECEIVED = b'"01-Jan-2001 00:00:00 +0000"'
FLOOD = 200_000
"""Lines of an answer without end; whoever reads them all has not noticed."""


def mail(uid: int) -> bytes:
    """The message of a UID; its subject is the UID."""
    return (
        f"From: sender@example.org\r\nTo: agent@example.com\r\nSubject: {uid}\r\n"
        f"Message-ID: <{uid}@example.org>\r\n\r\nthe text of {uid}\r\n"
    ).encode()


class Player:
    """A server on loopback that plays one scene. A context manager.

    Attributes:
        port: where it listens.
        commands: what was said to it, without the tags, of all connections.
        connections: how many there were.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._uids = list(scene.uids)
        self._flags: dict[int, set[bytes]] = {}
        self._answers: dict[str, list[Answer]] = {}
        for answer in scene.answers:
            self._answers.setdefault(answer.to, []).append(answer)
        self.commands: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._live: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # some systems do not shut a listener down
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._live):
            with contextlib.suppress(OSError):  # the client may have gone first
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._live.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        """One connection. A client that has gone ends it."""
        with contextlib.suppress(OSError), sock, sock.makefile("rb") as lines:
            greeting = self._scene.greeting
            sock.sendall(b"* OK ready\r\n" if greeting is None else greeting)
            tag: bytes = b""
            continues = False
            for line in lines:
                text = line.rstrip(b"\r\n")
                if not continues:
                    tag, _, text = text.partition(b" ")
                last = self._answer(sock, tag, text.decode("utf-8"))
                if last is None:
                    return
                continues = last.startswith(b"+")
        self._live.discard(sock)

    def _answer(self, sock: socket.socket, tag: bytes, text: str) -> bytes | None:
        """Answer one command; returns the last line, ``None`` where the connection ends."""
        self.commands.append(text)
        answer = self._scripted(text)
        given = [USUAL] if answer is None else answer.lines
        out: list[bytes] = []
        for at, line in enumerate(given):
            if line == USUAL:
                out += self._usual(tag, text)
            elif line == HANG_UP:
                sock.sendall(wire(out, tag))
                return None
            elif line.startswith(GONE):
                self._uids.remove(int(line[len(GONE) : -1]))
            elif line == FOR_EVER:
                sock.sendall(wire(out, tag))
                for _ in range(FLOOD):
                    sock.sendall(wire([given[at - 1]], tag))
                return b""
            else:
                out.append(line)
        sock.sendall(wire(out, tag))
        return out[-1] if out else b""

    def _scripted(self, text: str) -> Answer | None:
        for pattern, answers in self._answers.items():
            if re.match(pattern, text):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return None

    # A server without quirks.

    @property
    def _shown(self) -> list[int]:
        return sorted(self._uids)[-self._scene.window :]

    def _usual(self, tag: bytes, text: str) -> list[bytes]:
        words = text.split()
        name = " ".join(words[:2] if words[0] == "UID" else words[:1]).replace(" ", "_").lower()
        told: list[bytes] = getattr(self, f"_{name}", lambda _: [])(text)
        if text == "DONE":
            return []
        return [*told, b"%T OK done"]

    def _capability(self, _: str) -> list[bytes]:
        return [b"* CAPABILITY " + CAPABILITIES]

    def _logout(self, _: str) -> list[bytes]:
        return [b"* BYE"]

    def _list(self, _: str) -> list[bytes]:
        return [b'* LIST () "/" INBOX', b'* LIST () "/" Done']

    def _select(self, _: str) -> list[bytes]:
        top = max(self._uids, default=0) + 1
        return [
            b"* %d EXISTS" % len(self._shown),
            b"* OK [UIDVALIDITY 9] Ok",
            b"* OK [UIDNEXT %d] Ok" % top,
        ]

    _examine = _select

    def _noop(self, _: str) -> list[bytes]:
        return [b"* %d EXISTS" % len(self._shown)]

    def _uid_search(self, text: str) -> list[bytes]:
        found = re.search(r"UID ([0-9:,*]+)$", text)
        uids = self._named(found[1]) if found else self._shown
        return [b" ".join([b"* SEARCH", *(b"%d" % uid for uid in uids)])]

    def _uid_fetch(self, text: str) -> list[bytes]:
        told = []
        for uid in self._named(text.split()[2]):
            facts = b"* %d FETCH (UID %d FLAGS (%s)" % (
                self._shown.index(uid) + 1,
                uid,
                b" ".join(self._flags.get(uid, ())),
            )
            raw = mail(uid)
            if "RFC822.SIZE" in text:
                facts += b" RFC822.SIZE %d INTERNALDATE %s" % (len(raw), RECEIVED)
            if "BODY.PEEK" in text:
                item = b"BODY[HEADER]" if "HEADER" in text else b"BODY[]"
                told.append(b"%s %s {#}" % (facts, item))
                told += [b"| " + line for line in raw.split(b"\r\n")[:-1]]
                told.append(b")")
            else:
                told.append(facts + b")")
        return told

    def _uid_store(self, text: str) -> list[bytes]:
        for uid in self._named(text.split()[2]):
            self._flags.setdefault(uid, set()).update(re.findall(rb"\\\w+", text.encode()))
        return []

    def _uid_expunge(self, text: str) -> list[bytes]:
        return self._remove(self._named(text.split()[2]))

    def _uid_move(self, text: str) -> list[bytes]:
        return self._remove(self._named(text.split()[2]))

    def _remove(self, uids: list[int]) -> list[bytes]:
        told = []
        for uid in uids:
            told.append(b"* %d EXPUNGE" % (self._shown.index(uid) + 1))
            self._uids.remove(uid)
        return told

    def _named(self, given: str) -> list[int]:
        """The shown UIDs of a set; ``*`` is the highest."""
        shown = self._shown
        found: set[int] = set()
        for part in given.split(","):
            ends = [shown[-1] if end == "*" else int(end) for end in part.split(":") if shown]
            found.update(uid for uid in shown if ends and min(ends) <= uid <= max(ends))
        return sorted(found)
