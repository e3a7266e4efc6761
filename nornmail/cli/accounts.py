"""``--accounts DIR``: a group of pollers that follows a directory of ``.env`` files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nornmail import ConfigurationError, ImapSettings, Message, PollerGroup, read_environment

log = logging.getLogger("nornmail.cli")

LOOK_INTERVAL = 2.0
"""Seconds between two looks at the directory."""
PATTERN = "*.env"


class Accounts:
    """Polls an account for each ``.env`` file of a directory, until it is stopped.

    A file that is added, changed or removed is taken up within seconds. A file that is wrong is
    logged, and its account goes on as it was.

    Args:
        directory: of the files.
        environ: variables for what a file does not set.
        group: polls them.
        handler_of: makes the callback of an account, by its name.

    Raises:
        ConfigurationError: there is no such directory.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        group: PollerGroup,
        handler_of: Callable[[str], Callable[[Message], Any]],
    ) -> None:
        self._directory = Path(directory)
        if not self._directory.is_dir():
            raise ConfigurationError("--accounts", directory, "must be a directory of .env files")
        self._environ = environ
        self._group = group
        self._handler_of = handler_of
        self._stopped = threading.Event()
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._settings: dict[Path, ImapSettings] = {}

    def run(self) -> None:
        """Poll all accounts, and follow the directory."""
        self.look()
        if not self._settings:
            log.warning("%s has no account yet: add a file NAME.env to it", self._directory)
        with self._group:
            while not self._stopped.wait(LOOK_INTERVAL):
                self.look()

    def stop(self) -> None:
        """End :meth:`run` after the messages in hand."""
        self._stopped.set()

    def look(self) -> None:
        """Take up what changed in the directory."""
        stamps: dict[Path, tuple[int, int]] = {}
        for path in sorted(self._directory.glob(PATTERN)):
            try:
                stat = path.stat()
            except OSError:
                continue  # removed just now
            stamps[path] = (stat.st_mtime_ns, stat.st_size)
        for path in self._settings.keys() - stamps.keys():
            settings = self._settings.pop(path)
            log.info("%s was removed", path.name)
            self._group.remove(settings.account, settings.mailbox)
        changed = [path for path, stamp in stamps.items() if self._stamps.get(path) != stamp]
        self._stamps = stamps
        for path in changed:
            try:
                self._take_up(path)
            except ConfigurationError as error:
                log.error("%s: %s", path.name, error)

    def _take_up(self, path: Path) -> None:
        """Poll the account of a new or changed file."""
        imap = ImapSettings.from_env({**self._environ, **read_environment(path, {})})
        before = self._settings.get(path)
        if before == imap:
            return
        place = (imap.account, imap.mailbox)
        if before is not None and (before.account, before.mailbox) == place:
            self._group.replace(imap)
        else:
            self._group.add(imap, on_message=self._handler_of(imap.account))
            if before is not None:
                self._group.remove(before.account, before.mailbox)
        self._settings[path] = imap
        log.info("%s: polling %s", path.name, imap.account)
