"""The line that shows how far a long run has come."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import pytest

from nornmail import MessageRef
from nornmail.cli.watch import SHOWN_FROM, Progress, format_duration, format_progress
from nornmail.events import Found, Handled, Idle
from nornmail.testing import MailServer
from tests.cli.support import SECONDS, User, mail
from tests.support.table import table

AT = datetime(2026, 1, 31, tzinfo=UTC)


def handled() -> Handled:
    ref = MessageRef("INBOX", 7, 1)
    return Handled(at=AT, ref=ref, inbox="", delivery_id="x", attempt=1)


def found(count: int) -> Found:
    return Found(at=AT, count=count)


class Screen:
    """What was written to a terminal, and a clock that goes one second with every look."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.now = 0.0
        self.progress = Progress(self.written.append, self.clock)

    def clock(self) -> float:
        self.now += 1
        return self.now

    @property
    def line(self) -> str:
        """What stands on the line."""
        return self.written[-1].removeprefix("\r\x1b[K") if self.written else ""


@table(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (125, "2 min 5 s"),
        (3_599.7, "1 h 0 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_a_time_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_the_line_has_done_total_rate_and_time_left() -> None:
    assert format_progress(250, 1_000, 10.0) == "250 of 1,000 messages, 25/s, 30 s left"
    assert format_progress(1, 1_000, 0.0) == "1 of 1,000 messages, 0/s"


def test_it_counts_from_what_was_found_to_its_end() -> None:
    screen = Screen()
    screen.progress(found(100))
    for number in range(1, 100):
        screen.progress(handled())
        assert screen.line.startswith(f"{number} of 100 messages")
    screen.progress(handled())
    assert screen.line == ""


def test_a_run_that_is_short_shows_nothing() -> None:
    screen = Screen()
    screen.progress(found(SHOWN_FROM - 1))
    screen.progress(handled())
    screen.progress(Idle(at=AT, new=1, handled=1))
    assert screen.written == []


def test_after_a_lost_connection_it_goes_on() -> None:
    screen = Screen()
    screen.progress(found(100))
    for _ in range(40):
        screen.progress(handled())
    screen.progress(found(60))
    screen.progress(handled())
    assert screen.line.startswith("41 of 100 messages")


def test_the_next_long_run_is_counted_anew() -> None:
    screen = Screen()
    screen.progress(found(SHOWN_FROM))
    for _ in range(SHOWN_FROM):
        screen.progress(handled())
    screen.progress(found(200))
    screen.progress(handled())
    assert screen.line.startswith("1 of 200 messages")


def test_it_is_taken_away_before_something_else_is_written() -> None:
    screen = Screen()
    screen.progress.clear()
    assert screen.written == []
    screen.progress(found(100))
    screen.progress(handled())
    screen.progress.clear()
    assert screen.line == ""
    before = len(screen.written)
    screen.progress.clear()
    assert len(screen.written) == before


def test_it_is_not_changed_more_often_than_anybody_can_read() -> None:
    written: list[str] = []
    progress = Progress(written.append, lambda: 1.0)
    progress(found(100))
    for _ in range(50):
        progress(handled())
    assert len(written) == 1


@pytest.mark.skipif(os.name != "posix", reason="a terminal as POSIX has it")
@pytest.mark.parametrize("terminal", [True, False], ids=["on a terminal", "in a file"])
def test_it_is_shown_on_a_terminal_alone(terminal: bool, server: MailServer, user: User) -> None:
    for number in range(2 * SHOWN_FROM):
        server.deliver(mail(str(number)))
    try:
        primary, secondary = os.openpty() if terminal else os.pipe()
    except OSError as error:
        pytest.skip(f"there are no terminals here: {error}")
    with (user.directory / "lines").open("wb") as out:
        running = user.start("poll", stdout=out, stderr=secondary)
    os.close(secondary)
    with running:
        shown = everything(primary)
        assert running.process.wait(SECONDS) == 0
    assert ("of 100 messages" in shown) == terminal
    assert shown == "" or shown.endswith("\r\x1b[K")
    assert len((user.directory / "lines").read_text().splitlines()) == 2 * SHOWN_FROM + 1


@pytest.mark.skipif(os.name != "posix", reason="a terminal as POSIX has it")
def test_messages_are_lines_above_it(server: MailServer, user: User) -> None:
    for number in range(2 * SHOWN_FROM):
        server.deliver(mail(f"message {number} " + "x" * 200))
    try:
        primary, secondary = os.openpty()
    except OSError as error:
        pytest.skip(f"there are no terminals here: {error}")
    running = user.start(
        "poll", "--log-level", "info", stdout=secondary, stderr=secondary, COLUMNS="80"
    )
    os.close(secondary)
    with running:
        shown = everything(primary)
        assert running.process.wait(SECONDS) == 0
    assert "is handled" not in shown, "a message is one line"
    lines = [line.rpartition("\x1b[K")[2] for line in shown.splitlines()]
    messages = [line for line in lines if " message " in line]
    assert len(messages) == 2 * SHOWN_FROM
    assert max(map(len, messages)) < 80
    assert re.search(r"\r\n\d+ of 100 messages", shown)  # below a message
    assert lines[-1] == "100 new, 100 handled"


def test_it_is_below_a_line_that_was_written_meanwhile() -> None:
    screen = Screen()
    with screen.progress.set_aside():
        screen.written.append("before")
    screen.progress(found(100))
    screen.progress(handled())
    with screen.progress.set_aside():
        assert screen.line == ""
        screen.written.append("a message")
    assert screen.line.startswith("1 of 100 messages")
    assert screen.written[-2:-1] == ["a message"]


def everything(fd: int) -> str:
    """All that comes from a descriptor until the other side is closed."""
    read = b""
    try:
        while part := os.read(fd, 65536):
            read += part
    except OSError:  # how Linux tells of a terminal whose other side is closed
        pass
    os.close(fd)
    return read.decode()
