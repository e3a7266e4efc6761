"""The programs of the README: what they log, and how they end."""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import nornmail
from nornmail.testing import MailServer

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
PROGRAMS = [block for block in BLOCKS if "run_forever" in block]
USER, KIM = "agent@example.com", "kim@example.org"


def command_under(heading: str) -> str:
    """The one line of code of a section."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", TEXT + "## ", re.DOTALL | re.MULTILINE)
    assert section, f"README.md has no section '## {heading}'"
    block = re.search(r"^```sh\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    assert block, f"the section '## {heading}' has no command"
    (command,) = block[1].splitlines()
    return command


def test_two_sections_hold_the_command_that_shows_it_and_the_one_that_tests_it() -> None:
    """.ci/run and every newcomer run them to the letter: their headings are names as well."""
    assert command_under("Try it") == "python3 -m nornmail demo"
    command = command_under("Test it")
    assert "pip install" in command
    assert command.endswith("-m pytest")


@pytest.mark.parametrize("program", PROGRAMS, ids=["the first", "the one that answers"])
def test_a_program_says_what_it_does_and_ends_on_ctrl_c(
    program: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    with MailServer() as server:
        server.add_user(USER, "secret")
        server.add_user(KIM, "secret")
        server.deliver("Subject: old\n\n", user=USER)

        imap = {start: server.imap_settings(USER, start_from=start) for start in (None, "new")}
        smtp = server.smtp_settings(USER)
        (settings,) = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
        Path(".env").write_text(settings, "utf-8")
        monkeypatch.setattr(
            nornmail,
            "ImapSettings",
            OnTheServer(lambda values: imap[values.get("IMAP_START_FROM")]),
        )
        monkeypatch.setattr(nornmail, "SmtpSettings", OnTheServer(lambda _values: smtp))

        def on_idle(_event: object) -> None:
            """New mail comes once the first run is over, and Ctrl-C when it was handled."""
            if "is handled" in caplog.text:
                server.wait_for_sent("Mailer" in program)
                signal.raise_signal(signal.SIGINT)
            server.deliver(f"From: {KIM}\nSubject: new\n\nhello\n", user=USER)

        poller = nornmail.Poller
        monkeypatch.setattr(
            nornmail,
            "Poller",
            lambda *arguments, **names: poller(
                *arguments, **names, on_event=lambda e: on_idle(e) if is_idle(e) else None
            ),
        )
        scope = {"__name__": "__main__"}
        exec(compile(program, "README.md", "exec"), scope)  # noqa: S102 - it is ours
        handled = [line for line in caplog.messages if line.endswith("is handled")]
        assert len(handled) == 1
        assert len(server.outbox) == ("Mailer" in program)


class OnTheServer:
    """Settings of README's programs, whose host is the test's server."""

    def __init__(self, settings: Callable[[Mapping[str, str]], Any]) -> None:
        self._settings = settings

    def __call__(self, **_arguments: str) -> Any:
        return self._settings({})

    def from_env(self, environment: Mapping[str, str]) -> Any:
        assert environment["IMAP_USERNAME"] == environment["SMTP_USERNAME"] == USER
        return self._settings(environment)


def is_idle(event: object) -> bool:
    return type(event).__name__ == "Idle"
