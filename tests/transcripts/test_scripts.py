"""What servers say that cannot run here, played to the real client: one thing at a time."""

from __future__ import annotations

import itertools
import logging
import random
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nornmail import ImapSettings, MemoryStateStore, Message, NornmailError, Poller
from nornmail.imap.connection import Connection
from nornmail.model import MailboxKey, State
from nornmail.settings.imap import StartFrom
from tests.support.clock import FakeClock
from tests.transcripts.player import Player
from tests.transcripts.script import Scene, scenes

SCRIPTS = Path(__file__).parent / "scripts"
SCENES = [scene for path in sorted(SCRIPTS.glob("*.txt")) for scene in scenes(path)]

QUIRKS = {
    1: "capabilities come untagged after the login",
    2: "no capabilities come with the login",
    3: "a window of the newest messages",
    4: "LOGINDISABLED before the login and not after",
    5: "logged in, and no mailbox behind it",
    6: "throttled, with the time to wait",
    7: "BYE with a number, and commands unanswered",
    8: "a response code as a line of its own",
    9: "EXISTS of a message that is not there yet",
    10: "FETCH of a message that is there is OK and empty",
    11: "a text in the place of a message",
    12: "a BODYSTRUCTURE that breaks the grammar",
    13: "names of mailboxes with tabs, and with one quote",
    14: "mailboxes named in the user's language",
    15: "a password is offered and never taken",
    16: "a refused token is a challenge",
    17: "a refused login without the code for it",
    18: "an unknown code with arguments",
    19: "THROTTLED at the end of the text",
    20: "too many connections, as a refused login",
    21: "a session that expires",
    22: "EXPUNGE within the answer to FETCH",
    23: "bodies in four forms, and items behind them",
    24: "labels of several forms in one list",
    25: "COPYUID in another order",
    26: "blanks at the end of SEARCH",
    27: "no SEARCH at all where nothing is found",
    28: "FETCH leaves an item out",
    29: "statuses without text",
    30: "HIGHESTMODSEQ without CONDSTORE",
    31: "one message that cannot be fetched",
    32: "INBOX is listed as Inbox",
    33: "ID is demanded before SELECT",
    34: "no IDLE, and NOOP keeps no session alive",
    35: "search keys that are not there, or match everything",
    36: "sizes as floating point numbers",
    37: "a value is missing",
    38: "BYE without end",
    39: "dates and numbers that are none",
    40: "a MOVE that is OK and moves nothing",
}


def test_every_quirk_has_a_scene() -> None:
    shown = {quirk for scene in SCENES for quirk in scene.quirks}
    assert shown == set(QUIRKS)


class Stage:
    """A scene that is played, and the poller that meets it."""

    def __init__(self, scene: Scene, player: Player) -> None:
        self.scene = scene
        self.player = player
        self.clock = FakeClock()
        self.store = MemoryStateStore()
        self.seen: list[Message] = []
        self.raised: list[NornmailError] = []
        self.tokens = 0

    def settings(self) -> ImapSettings:
        options = self.scene.options
        values: dict[str, Any] = {
            "host": options.get("host", "mail.example"),
            "port": 143,
            "username": "agent@example.com",
            "use_ssl": False,
            "timeout": 5,
            "move_to": options.get("move_to", "").replace("_", " ") or None,
            "delete_after_fetch": "delete" in options,
            "password": None if "token" in options else "secret",
            "token": self._token if "token" in options else None,
        }
        return ImapSettings(**values)

    def _token(self) -> str:
        self.tokens += 1
        return f"token{self.tokens}"

    def poller(self) -> Poller:
        return Poller(
            self.settings(),
            store=self.store,
            on_message=self.seen.append,
            start_from=_start_from(self.scene.options.get("start_from", "all")),
            idle="idle" in self.scene.options,
            clock=self.clock,
            rng=random.Random(1),
        )

    def poll(self) -> None:
        """As many passes as the scene says, an hour apart if it says so, whatever they raise."""
        with closing(self.poller()) as poller:
            for _ in range(self.scene.polls):
                try:
                    poller.poll_once()
                except NornmailError as error:
                    self.raised.append(error)
                self.clock.advance(float(self.scene.options.get("pause", 60)))

    def waits(self) -> list[float]:
        """The waits of a loop of as many passes."""
        with closing(self.poller()) as poller:
            passes = itertools.count(1)

            def wait(event: Any, seconds: float) -> None:
                self.clock.waits.append(seconds)
                self.clock.advance(seconds)
                if next(passes) >= self.scene.polls:
                    poller.stop()

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(self.clock, "wait", wait)
                poller.run_forever()
        return self.clock.waits


def _start_from(word: str) -> StartFrom:
    match word:
        case "all" | "new":
            return word
    return date.fromisoformat(word)


@pytest.fixture
def stage(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with Player(scene) as player:

        def connect(_: object, remaining: Callable[[], float], *__: object) -> socket.socket:
            return socket.create_connection(("127.0.0.1", player.port), remaining())

        # Whatever host is named, it is this one: some of what the client does goes by the name.
        monkeypatch.setattr("nornmail.imap.wire.connect", connect)
        yield Stage(scene, player)


@pytest.mark.parametrize(
    "scene", [pytest.param(scene, id=f"{scene.vendor}: {scene.title}") for scene in SCENES]
)
def test_scene(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "nornmail")
    verb, _, rest = stage.scene.expected.partition(" ")
    EXPECTATIONS[verb](stage, rest, caplog)


# What a scene may expect: a verb, and the rest of its line.


def _handed_over(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    stage.poll()
    assert [message.subject for message in stage.seen] == rest.split(), stage.raised


def _states(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    stage.poll()
    mailbox = MailboxKey(stage.settings().account, "INBOX")
    counted = Counter(entry.state.value for entry in stage.store.entries(mailbox, tuple(State)))
    words = rest.split()
    expected = {
        name.replace("-", " "): int(n) for name, n in zip(words[::2], words[1::2], strict=True)
    }
    assert counted == expected, stage.raised


def _capabilities(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    opened = Connection.open(stage.settings(), clock=stage.clock)
    opened.close()
    for name in rest.split():
        assert (name.removeprefix("-") in opened.capabilities) != name.startswith("-")


def _raised(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    stage.poll()
    kind, _colon, text = rest.partition(": ")
    assert [type(error).__name__ for error in stage.raised[-1:]] == [kind]
    assert text in str(stage.raised[-1])


def _waits(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    least, _to, most = rest.partition(" to ")
    assert float(least) <= stage.waits()[-1] <= float(most)


def _sent(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    """These commands, in this order, whatever else comes between."""
    stage.poll()
    commands = iter(stage.player.commands)
    for wanted in rest.split(", "):
        assert any(re.match(wanted, command) for command in commands), stage.player.commands


def _never(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    """No command that matches; the poll goes well."""
    stage.poll()
    assert not stage.raised
    assert not [text for text in stage.player.commands if re.search(rest, text)]


def _mailboxes(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    opened = Connection.open(stage.settings(), clock=stage.clock)
    names = opened.mailboxes()
    opened.close()
    assert names == [name.replace("\\t", "\t") for name in rest.split("; ")]


def _said(stage: Stage, rest: str, caplog: pytest.LogCaptureFixture) -> None:
    stage.poll()
    assert rest in caplog.text


def _connections(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    stage.poll()
    assert stage.player.connections == int(rest)


def _tokens(stage: Stage, rest: str, _: pytest.LogCaptureFixture) -> None:
    stage.poll()
    assert not stage.raised
    assert stage.tokens == int(rest)


EXPECTATIONS: dict[str, Callable[[Stage, str, pytest.LogCaptureFixture], None]] = {
    "handed-over": _handed_over,
    "states": _states,
    "capabilities": _capabilities,
    "raised": _raised,
    "waits": _waits,
    "sent": _sent,
    "never": _never,
    "mailboxes": _mailboxes,
    "said": _said,
    "connections": _connections,
    "tokens": _tokens,
}
