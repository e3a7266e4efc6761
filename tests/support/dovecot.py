"""A private Dovecot, as the server that a test has not written itself: the machine's own, which is
2.3 or 2.4, and a 2.4 in a root of its own.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.dovecot_conf import Site, configuration, system_account
from tests.support.foreign import TLS, search_path
from tests.support.octets import add_literal
from tests.support.require import missing
from tests.support.roots import Recipe, Root, find_root
from tests.support.server import PrivateServer, place_of, running

ROOT_2_4 = Recipe("dovecot24", "trixie", ("dovecot-core", "dovecot-imapd"))

_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
_UIDVALIDITY_FILES = ("dovecot-uidlist", "dovecot.index*")
"""Where a Maildir's UIDVALIDITY is kept. ``dovecot-uidvalidity*`` stays: from it Dovecot knows the
values it has given out, so that the next one is higher even within the same second."""


class Dovecot(PrivateServer):
    """A Dovecot of one's own.

    Args:
        binary: its path, within ``root`` where there is one.
        version: as ``dovecot --version`` gives it.
        directory: where it has everything.
        root: the Debian that it is installed in; ``None`` for the machine itself.

    Attributes:
        version: major and minor.
        release: the version in full.
    """

    title = "Dovecot"
    logs = ("output", "dovecot.log")

    def __init__(self, binary: str, version: str, directory: Path, root: Root | None) -> None:
        super().__init__(directory)
        found = re.match(r"(\d+)\.(\d+)", version)
        if found is None:
            pytest.fail(f"{binary} --version says {version!r}", pytrace=False)
        self.version = int(found[1]), int(found[2])
        self.release = version.split()[0]
        self._binary = binary
        self._root = root
        self._account = system_account()
        for name in ("run", "state", "home", "mail"):
            (directory / name).mkdir()
        if os.getuid() == 0:
            for name in ("home", "mail"):
                shutil.chown(directory / name, self._account.mail, self._account.mail_group)

    def configure(self) -> Sequence[str]:
        config = self.directory / "dovecot.conf"
        site = Site(
            self.directory,
            self.port,
            self.tls_port,
            self._given("test-only-server.pem"),
            self._given("test-only-server-key.pem"),
            self.password,
            self._account,
        )
        config.write_text(configuration(self.version, site))
        command = (self._binary, "-F", "-c", str(config))
        return command if self._root is None else self._root.within(self.directory, (), *command)

    def _given(self, name: str) -> Path:
        """A file of the certificates, where the server can see it."""
        if self._root is None:
            return TLS / name
        return Path(shutil.copy(TLS / name, self.directory / name))

    # What a test asks for.

    def maildir(self, user: str) -> Path:
        """The user's Maildir; it is there once the user has logged in."""
        return self.directory / "mail" / user

    def deliver(
        self,
        user: str,
        raw: bytes,
        *,
        mailbox: str = "INBOX",
        flags: Sequence[str] = (),
        date: datetime | float | None = None,
    ) -> int:
        """Put a message into a mailbox, which is made if need be; returns its UID.

        The octets of ``raw`` go over the wire as they are. A Maildir keeps lines with a bare LF,
        and Dovecot gives them out with CRLF: what was given with a bare LF comes back with CRLF.

        Args:
            date: INTERNALDATE, in seconds since 1970 UTC or as an aware datetime; now if None.
        """
        quoted = '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'
        arguments = [quoted, f"({' '.join(flags)})"]
        if date is not None:
            arguments.append(imaplib.Time2Internaldate(date))
        with self.connect(user) as client:
            if mailbox.upper() != "INBOX":
                client.create(quoted)  # NO where it is there already; APPEND tells the rest
            add_literal(client, raw)
            status, answer = client.xatom("APPEND", *arguments)
            found = _APPENDUID.search(answer[0] or b"")
            if status != "OK" or found is None:
                raise AssertionError(f"Dovecot did not take the message: {status} {answer!r}")
            return int(found[2])

    def reset_uid_validity(self, user: str) -> int:
        """Begin INBOX anew with a higher UIDVALIDITY and UIDs from 1; returns the new value.

        Nobody may be connected as ``user``: an open mailbox would write the old value back.
        """
        before = self.uid_validity(user)
        for pattern in _UIDVALIDITY_FILES:
            for path in self.maildir(user).glob(pattern):
                path.unlink()
        after = self.uid_validity(user)
        if after == before:
            raise AssertionError(f"UIDVALIDITY is still {before}: is {user} connected?")
        return after


@contextlib.contextmanager
def start_dovecot() -> Iterator[Dovecot]:
    """A Dovecot that runs until the block ends; the test is skipped where none is installed."""
    # Debian keeps it in a directory that only root has on PATH.
    path = search_path()
    binary = shutil.which("dovecot", path=path)
    if binary is None:
        missing("dovecot", "it is not installed")
    with place_of("dovecot") as directory:
        server = Dovecot(binary, _printed([binary, "--version"]), directory, None)
        with running(server):
            yield server


@contextlib.contextmanager
def start_dovecot_2_4() -> Iterator[Dovecot]:
    """A Dovecot 2.4 in a root of its own that runs until the block ends."""
    root = find_root(ROOT_2_4)
    with place_of("dovecot24") as directory:
        binary = "/usr/sbin/dovecot"
        version = _printed(root.within(directory, (), binary, "--version"))
        server = Dovecot(binary, version, directory, root)
        with running(server):
            yield server


def _printed(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
