"""``--accounts DIR``: a group of pollers that follows a directory of ``.env`` files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nornmail import (
    ConfigurationError,
    ImapSettings,
    Mailer,
    Message,
    PollerGroup,
    SmtpSettings,
    read_environment,
)

log = logging.getLogger("nornmail.cli")

LOOK_INTERVAL = 2.0
"""Seconds between two looks at the directory."""
PATTERN = "*.env"


class AccountDirectory:
    """Polls an account for each ``.env`` file of a directory, until it is stopped.

    A file that is added, changed or removed is taken up within seconds. A file that is wrong is
    logged, and its account continues as it was. It is tried again when another file changes, which
    may have had its account until then.

    Args:
        environ: variables for what a file does not set.
        handler_of: makes the callback of an account, by its name.
        mailer_of: makes a mailer; without it nothing is sent.

    Attributes:
        mailers: of the accounts that can send, by name.

    Raises:
        ConfigurationError: there is no such directory.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        group: PollerGroup,
        handler_of: Callable[[str], Callable[[Message], Any]],
        mailer_of: Callable[[SmtpSettings, str], Mailer] | None = None,
    ) -> None:
        self._directory = Path(directory)
        if not self._directory.is_dir():
            raise ConfigurationError("--accounts", directory, "must be a directory of .env files")
        self._environ = environ
        self._group = group
        self._handler_of = handler_of
        self._mailer_of = mailer_of
        self._stopped = threading.Event()
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._refused: set[Path] = set()
        self._settings: dict[Path, tuple[ImapSettings, SmtpSettings | None]] = {}
        self._smtp: dict[str, SmtpSettings] = {}
        self.mailers: dict[str, Mailer] = {}

    def run(self) -> None:
        """Poll all accounts, and follow the directory."""
        self.look()
        with self._group:
            self._follow()

    async def run_async(self) -> None:
        """The same, with callbacks that are awaited on this event loop."""
        import asyncio

        self.look()
        running = asyncio.create_task(self._group.run())
        try:
            await asyncio.to_thread(self._follow)
        finally:
            self._stopped.set()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def stop(self) -> None:
        """End :meth:`run` after the current messages."""
        self._stopped.set()

    def close(self) -> None:
        """Close the mailers."""
        while self.mailers:
            _, mailer = self.mailers.popitem()
            mailer.close()

    def _follow(self) -> None:
        if not self._settings:
            log.warning("%s has no account yet: add a file NAME.env to it", self._directory)
        while not self._stopped.wait(LOOK_INTERVAL):
            self.look()

    def look(self) -> None:
        """Apply the changes of the directory."""
        stamps: dict[Path, tuple[int, int]] = {}
        for path in sorted(self._directory.glob(PATTERN)):
            try:
                stat = path.stat()
            except OSError:
                continue  # removed just now
            stamps[path] = (stat.st_mtime_ns, stat.st_size)
        removed = self._settings.keys() - stamps.keys()
        for path in removed:
            log.info("%s was removed", path.name)
            self._remove(path)
        changed = {path for path, stamp in stamps.items() if self._stamps.get(path) != stamp}
        self._stamps = stamps
        if removed or changed:
            self._take_up_all(changed | (self._refused & stamps.keys()))

    def _take_up_all(self, paths: Iterable[Path]) -> None:
        """Poll the accounts of files, in the order in which they make room for each other."""
        left = sorted(paths)
        while True:
            errors: dict[Path, ConfigurationError] = {}
            for path in left:
                try:
                    self._take_up(path)
                except ConfigurationError as error:
                    errors[path] = error
            if len(errors) in (0, len(left)):
                break
            left = list(errors)
        self._refused = set(errors)
        for path, mistake in errors.items():
            log.error("%s: %s", path.name, mistake)

    def _take_up(self, path: Path) -> None:
        """Poll the account of a new or changed file.

        Raises:
            ConfigurationError: the file is wrong; its account continues as it was.
        """
        if not path.is_file():  # reading a pipe would wait for its writer
            raise ConfigurationError("env_file", str(path), "must be a file")
        environ = {**self._environ, **read_environment(path, {})}
        imap = ImapSettings.from_env(environ)
        smtp = None
        if self._mailer_of is not None and SmtpSettings.named_in(environ):
            smtp = SmtpSettings.from_env(environ)
        before = self._settings.get(path)
        if before == (imap, smtp):
            return
        if smtp is not None:
            Mailer(smtp).close()  # refuses now what could not send
        self._poll(imap, None if before is None else before[0])
        self._settings[path] = (imap, smtp)
        self._send_by(imap.account, smtp)
        if before is not None:
            self._stop_sending(before[0].account)
        log.info("%s: polling %s", path.name, imap.account)

    def _poll(self, imap: ImapSettings, before: ImapSettings | None) -> None:
        """Poll a mailbox by these settings, instead of those that its file had before."""
        if before is not None and _place(before) == _place(imap):
            if before != imap:
                self._group.replace(imap)
            return
        self._group.add(imap, on_message=self._handler_of(imap.account))
        if before is not None:
            self._group.remove(*_place(before))

    def _remove(self, path: Path) -> None:
        imap, _ = self._settings.pop(path)
        self._group.remove(*_place(imap))
        self._stop_sending(imap.account)

    def _stop_sending(self, account: str) -> None:
        """Send nothing more from an account that no file has."""
        if account not in {imap.account for imap, _ in self._settings.values()}:
            self._send_by(account, None)

    def _send_by(self, account: str, smtp: SmtpSettings | None) -> None:
        """Send from an account with these settings from now on."""
        if self._smtp.get(account) == smtp:
            return
        if self._smtp.pop(account, None) is not None:
            self.mailers.pop(account).close()
        if smtp is not None and self._mailer_of is not None:
            self.mailers[account] = self._mailer_of(smtp, account)
            self._smtp[account] = smtp


def _place(imap: ImapSettings) -> tuple[str, str]:
    return (imap.account, imap.mailbox)
