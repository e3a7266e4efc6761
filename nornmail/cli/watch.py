"""``nornmail watch`` and ``nornmail poll``: a line for each new message, and the progress."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from typing import TypeVar

from nornmail import Message, Poller, PollerGroup, PollResult
from nornmail.cli.options import (
    INTERRUPTED,
    WATCH_STATE,
    Parser,
    Settings,
    add_accounts,
    add_max_text,
    add_settings,
    set_up_logging,
)
from nornmail.cli.output import is_terminal, json_line, json_message, message_line, standard_output
from nornmail.cli.signals import Hanging, MessagesInHand, Work, end_now, is_sending
from nornmail.events import Event, Found, Handled

T = TypeVar("T")

SAID_BY_A_LINE = ("%s is handled",)
"""The lines of the log about a message that has its line on the same terminal."""


def add(parser: Parser) -> None:
    """Add the options of ``watch``."""
    parser.description = (
        "Prints each new message, until SIGINT (Ctrl-C) or SIGTERM: one line on a terminal, one "
        "JSON object per\nline elsewhere. A message counts as handled, in the command's own store, "
        "once its line is written, and by\ndefault is marked as read; if the reader of the output "
        "leaves, the message waits, and is printed after\nthe next start. If SMTP_HOST is set, it "
        "also sends what is queued in that store.\n\n"
        "Exit status: 0 stopped by a signal, 1 it failed or the reader of its output left, 2 a "
        "setting is wrong,\n3 the state store cannot be used, 130 a second signal came before it "
        "had stopped."
    )
    _add_output(parser)
    add_settings(parser, mailbox=True, start=True, log_level="info", state=WATCH_STATE)
    parser.add_argument(
        "--no-idle",
        action="store_true",
        help="poll every IMAP_POLL_INTERVAL seconds instead of using IDLE",
    )
    add_accounts(parser, "watch")
    parser.set_defaults(run=run)


def add_poll(parser: Parser) -> None:
    """Add the options of ``poll``."""
    parser.description = (
        "Prints the new messages as `nornmail watch` does, and ends. The last line has the counts "
        'of the poll; in\nJSON it is an object with nothing but "result". Messages count as '
        "handled in the command's own store, and by\ndefault are marked as read. If SMTP_HOST is "
        "set, it also sends what is queued in that store.\n\n"
        "Exit status: 0 the poll is complete, 1 it failed or the reader of its output left, 2 a "
        "setting is wrong,\n3 the state store cannot be used, 130 a signal ended it early."
    )
    _add_output(parser)
    add_settings(parser, mailbox=True, start=True, log_level="warning", state=WATCH_STATE)
    parser.set_defaults(run=run_poll, no_idle=True)


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "--format",
        choices=("line", "json"),
        help="a line of time, sender and subject for each message, or its JSON object (default: "
        "line on a terminal, json elsewhere)",
    )
    add_max_text(parser)


def run(chosen: argparse.Namespace) -> int:
    """Run ``watch``; return the exit status."""
    reading = _Reading(chosen)
    try:
        if chosen.accounts is not None:
            reading.run_accounts(chosen.accounts)
        else:
            reading.run(lambda poller: poller.run_forever())
    except Hanging:
        end_now(reading.output.exit_status())
    return reading.output.exit_status()


def run_poll(chosen: argparse.Namespace) -> int:
    """Run ``poll``; return the exit status."""
    reading = _Reading(chosen)
    try:
        result = reading.run(_once)
    except Hanging:
        end_now(INTERRUPTED)
    if reading.output.error is None:
        reading.print_result(result)
    return INTERRUPTED if reading.was_signalled else reading.output.exit_status()


class _Reading:
    """A poller whose messages are printed, with the command's store and settings."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.was_signalled = False
        self._idle = not chosen.no_idle
        self._progress = on_standard_error()
        self._is_json = chosen.format == "json" or not (chosen.format or is_terminal())
        shown = is_terminal() and not self._is_json
        set_up_logging(chosen.log_level, self._progress.clear, SAID_BY_A_LINE if shown else ())
        self._settings = Settings(chosen)
        if getattr(chosen, "accounts", None) is None:
            self._imap = self._settings.imap()
            self._settings.warn_of_late_start(self._imap)
        self._max_text = chosen.max_text
        self._in_hand = MessagesInHand()
        self.output = standard_output()
        if is_terminal():
            self.output.around = self._progress.set_aside

    def run(self, function: Callable[[Poller], T]) -> T:
        """The result of ``function`` for the poller, unless a signal ends it."""
        with ExitStack() as stack:
            store = stack.enter_context(closing(self._settings.store_of_its_own()))
            if self._settings.smtp() is not None:
                stack.enter_context(closing(self._settings.mailer(store)))  # the poller drains it
            poller = Poller(
                self._imap,
                store=store,
                on_message=self._handler_of(""),
                on_event=self._progress,
                idle=self._idle,
            )
            self.output.on_error = poller.stop
            work = Work(
                lambda: function(poller),
                poller.stop,
                lambda: self._in_hand or is_sending(store),
            )
            try:
                return work.run()
            finally:
                self._progress.clear()
                self.was_signalled = work.signalled is not None

    def run_accounts(self, directory: str) -> None:
        """Print the messages of many accounts, until a signal ends it."""
        # The other commands need not wait for this import.
        from nornmail.cli.accounts import AccountDirectory

        with closing(self._settings.store_of_its_own()) as store:
            group = PollerGroup(store, workers=None)
            accounts = AccountDirectory(directory, self._settings.environ, group, self._handler_of)
            self.output.on_error = accounts.stop
            work = Work(accounts.run, accounts.stop, lambda: self._in_hand)
            try:
                work.run()
            finally:
                self._progress.clear()

    def _handler_of(self, account: str) -> Callable[[Message], object]:
        """The callback of an account, which its lines name; ``""`` where there is only one."""

        def handle(message: Message) -> None:
            if self._is_json:
                line = json_message(message, self._max_text, account)
            else:
                line = f"{account}  " * bool(account) + message_line(message)
            self.output.deliver(line)

        return self._in_hand.counting(handle)

    def print_result(self, result: PollResult) -> None:
        """Write the counts of the poll as the last line."""
        counts = asdict(result)
        words = ", ".join(
            f"{counts[name]} {name.replace('_', ' ')}"
            for name in ("new", "handled", "failed", "passed_over", "waiting", "dead")
            if counts[name] or name in ("new", "handled")
        )
        try:
            self.output.write(json_line({"result": counts}) if self._is_json else words)
        except OSError as error:
            self.output.error = error


def _once(poller: Poller) -> PollResult:
    with closing(poller):
        return poller.poll_once()


SHOWN_FROM = 50
"""Messages from which a run is long: fewer are done before a person has read the line."""
INTERVAL = 0.2
"""Seconds between two changes of the line."""
_CLEAR = "\r\x1b[K"


class Progress:
    """Counts the poller's events, and shows the count on standard error if that is a terminal.

    Args:
        show: writes text to the terminal; ``None`` where there is none.
    """

    def __init__(
        self, show: Callable[[str], object] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0
        self._began = 0.0
        self._shown_at = 0.0
        self._visible = False

    def __call__(self, event: Event) -> None:
        """Take an event of the poller."""
        if self._show is None:
            return
        with self._lock:
            if isinstance(event, Found):
                self._begin(event.count)
            elif isinstance(event, Handled) and self._total:
                self._done += 1
                self._update()

    def clear(self) -> None:
        """Clear the line before other text is written there."""
        with self._lock:
            if self._visible and self._show is not None:
                self._show(_CLEAR)
                self._visible = False

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Clear the line while another one is written, and show it below that one again."""
        was_visible = self._visible
        self.clear()
        yield
        with self._lock:
            if was_visible and self._show is not None and self._done < self._total:
                self._show(self._line())
                self._visible = True

    def _line(self) -> str:
        return format_progress(self._done, self._total, self._clock() - self._began)

    def _begin(self, count: int) -> None:
        if self._done < self._total:
            self._total = self._done + count  # it continues after a lost connection
        else:
            self._done, self._total, self._began = 0, count, self._clock()
        if self._total < SHOWN_FROM:
            self._total = 0

    def _update(self) -> None:
        now = self._clock()
        over = self._done >= self._total
        if self._show is None or (now - self._shown_at < INTERVAL and not over):
            return
        self._shown_at = now
        self._show(_CLEAR + ("" if over else self._line()))
        self._visible = not over


def format_progress(done: int, total: int, seconds: float) -> str:
    """Messages done of all, the rate, and the time left."""
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {format_duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,} messages, {rate:,.0f}/s{left}"


def format_duration(seconds: float) -> str:
    """Seconds for people: ``8 s``, ``2 min 5 s``, ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def on_standard_error() -> Progress:
    """Progress on standard error; silent unless that is a terminal."""
    try:
        terminal = os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):  # it is closed, or replaced by an object without one
        terminal = False

    def show(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    return Progress(show if terminal else None)
