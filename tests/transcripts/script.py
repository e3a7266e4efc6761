"""The scripts: what a vendor's server says, and what the client must make of it.

A file is a vendor; a line that begins with ``==`` begins a scene. Then come, in any order::

    quirk 8                   which of the quirks in the table of test_scripts.py it shows
    with move_to=Done token   how the poller is set up
    mailbox 3 4 5             the UIDs that are there; 1 if it is not said
    window 2                  the server shows the newest two only
    polls 3                   how many passes are made; one if it is not said
    greeting                  what it says first, in the lines that follow
    on UID MOVE               what it answers, in the lines that follow, to commands that begin so
    expect states finished 1  what must be so in the end

An answer is sent as it stands, with CRLF, and with the tag for ``%T``. ``{#}`` becomes the octets
of the lines behind it that begin with ``|``. ``(as usual)`` is what a server without quirks says,
``(gone 5)`` says nothing and removes that message;
``(hang up)`` and ``(for ever)`` end an answer: the latter repeats its last line. The second ``on``
for the same commands is for the second of them, and so on; the last one is for all that follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

USUAL, HANG_UP, FOR_EVER, GONE = b"(as usual)", b"(hang up)", b"(for ever)", b"(gone "


@dataclass
class Answer:
    """What is said to commands that begin with ``to``; as lines, before ``%T`` and ``{#}``."""

    to: str
    lines: list[bytes] = field(default_factory=list)


@dataclass
class Scene:
    """One exchange and its expectation."""

    vendor: str
    title: str
    quirks: list[int] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    uids: list[int] = field(default_factory=lambda: [1])
    window: int = 0
    polls: int = 1
    answers: list[Answer] = field(default_factory=list)
    expected: str = ""

    @property
    def greeting(self) -> bytes | None:
        """What the server says first, where the scene says so."""
        found = [answer for answer in self.answers if answer.to == "greeting"]
        return wire(found[0].lines, b"") if found else None


def scenes(path: Path) -> list[Scene]:
    """The scenes of a file.

    Raises:
        ValueError: a line that belongs nowhere, or a scene without an expectation.
    """
    found: list[Scene] = []
    for line in path.read_text("utf-8").split("\n"):
        if line.startswith("== "):
            found.append(Scene(path.stem, line[3:]))
        elif found:
            _take(found[-1], line)
    for scene in found:
        if not scene.expected:
            raise ValueError(f"{path.name}: {scene.title} expects nothing")
    return found


def _take(scene: Scene, line: str) -> None:
    word, _, rest = line.partition(" ")
    if line == "greeting" or word == "on":
        scene.answers.append(Answer(rest or line))
    elif word == "quirk":
        scene.quirks += map(int, rest.split())
    elif word == "with":
        scene.options.update(pair.partition("=")[::2] for pair in rest.split())
    elif word == "mailbox":
        scene.uids = list(map(int, rest.split()))
    elif word in ("window", "polls"):
        setattr(scene, word, int(rest))
    elif word == "expect":
        scene.expected = rest
    elif scene.answers and not scene.expected and line:
        scene.answers[-1].lines.append(line.encode("utf-8"))
    elif line:
        raise ValueError(f"{scene.vendor}: {line!r} belongs nowhere")


def wire(lines: list[bytes], tag: bytes) -> bytes:
    """The octets of an answer."""
    said: list[bytes] = []
    for line in lines:
        if line.startswith(b"|"):
            said.append(line[2:] + b"\r\n")
        else:
            # Whatever follows a text goes on where it ended.
            said.append(line.replace(b"%T", tag) + b"\r\n")
    out = b""
    for at, line in enumerate(said):
        if line.endswith(b"{#}\r\n"):
            behind = at + 1
            while behind < len(lines) and lines[behind].startswith(b"|"):
                behind += 1
            octets = sum(map(len, said[at + 1 : behind]))
            line = re.sub(rb"\{#\}\r\n$", b"{%d}\r\n" % octets, line)
        out += line
    return out
