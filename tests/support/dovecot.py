"""A private Dovecot on loopback, as the server that a test has not written itself.

It knows every user name, so a test takes one of its own with :meth:`Dovecot.user` and has an empty
mailbox. Nothing of a Dovecot that the machine may run besides is touched.
"""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.dovecot_conf import Site, configuration, system_account
from tests.support.foreign import HOST, TLS, free_ports, group_lives, search_path, wait_until
from tests.support.require import missing

PASSWORD = "open-sesame"
START_SECONDS = 20.0
"""A start takes a tenth of a second; a loaded machine is given a hundred times that."""
STOP_SECONDS = 10.0
ORPHAN_SECONDS = 2.0
"""Then what is left of Dovecot is killed. In a container whose first process reaps no children a
dead orphan looks alive for ever."""
START_ATTEMPTS = 5
"""A port that was free may be taken before Dovecot binds it."""
REPLY_SECONDS = 10.0
LOG_LINES = 60

_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
_UIDVALIDITY_FILES = ("dovecot-uidlist", "dovecot.index*")
"""Where a Maildir's UIDVALIDITY is kept. ``dovecot-uidvalidity*`` stays: from it Dovecot knows the
values it has given out, so that the next one is higher even within the same second."""


class Dovecot:
    """A Dovecot of one's own.

    Attributes:
        host: the loopback address.
        port: IMAP without TLS.
        tls_port: IMAP inside TLS.
        ca_file: the certificate authority that vouches for ``host`` and for ``localhost``.
        password: the password of every user.
        version: major and minor.
    """

    def __init__(self, binary: str, version: tuple[int, int], directory: Path) -> None:
        self.host = HOST
        self.port = 0
        self.tls_port = 0
        self.password = PASSWORD
        self.version = version
        self.directory = directory
        self._binary = binary
        self._account = system_account()
        self._process: subprocess.Popen[bytes] | None = None
        self._users = itertools.count(1)
        self.ca_file = TLS / "test-only-ca.pem"
        # Dovecot's processes run as users of their own, and the mail's owner must get through.
        directory.chmod(0o755)
        for name in ("run", "state", "home", "mail"):
            (directory / name).mkdir()
        if os.getuid() == 0:
            for name in ("home", "mail"):
                shutil.chown(directory / name, self._account.mail, self._account.mail_group)

    # What a test asks for.

    def user(self) -> str:
        """A user name that nobody had before, with an empty mailbox."""
        return f"user{next(self._users)}"

    def maildir(self, user: str) -> Path:
        """The user's Maildir; it is there once the user has logged in."""
        return self.directory / "mail" / user

    def connect(self, user: str, *, tls: bool = False) -> imaplib.IMAP4:
        """Another client, logged in. As a context manager it logs out at the end."""
        client: imaplib.IMAP4
        if tls:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            client = imaplib.IMAP4_SSL(
                self.host, self.tls_port, ssl_context=context, timeout=REPLY_SECONDS
            )
        else:
            client = imaplib.IMAP4(self.host, self.port, timeout=REPLY_SECONDS)
        try:
            client.login(user, self.password)
        except BaseException:
            client.shutdown()
            raise
        return client

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
            # IMAP4.append() would turn every bare LF into CRLF.
            client.literal = raw  # type: ignore[assignment]  # bytes, whatever typeshed says
            status, answer = client.xatom("APPEND", *arguments)
            found = _APPENDUID.search(answer[0] or b"")
            if status != "OK" or found is None:
                raise AssertionError(f"Dovecot did not take the message: {status} {answer!r}")
            return int(found[2])

    def uid_validity(self, user: str, mailbox: str = "INBOX") -> int:
        """The mailbox's UIDVALIDITY, as the server names it now."""
        with self.connect(user) as client:
            client.select(mailbox, readonly=True)
            _, values = client.response("UIDVALIDITY")
            return int(values[0])

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

    def log(self) -> str:
        """The end of what Dovecot had to say."""
        paths = [self.directory / name for name in ("output", "dovecot.log")]
        text = "".join(path.read_text(errors="replace") for path in paths if path.exists())
        return "\n".join(text.splitlines()[-LOG_LINES:])

    # Outages.

    def start(self) -> None:
        """Listen, on the ports of before where there were any; returns when both answer.

        Raises:
            AssertionError: Dovecot did not start; with its log.
        """
        if self._process is not None:
            raise AssertionError("Dovecot runs already")
        for _ in range(START_ATTEMPTS):
            if self._launch():
                return
            if "Address already in use" not in self.log():
                break
        raise AssertionError(f"Dovecot did not start:\n{self.log()}")

    def stop(self) -> None:
        """Drop every connection and refuse new ones; returns when no process is left."""
        process, self._process = self._process, None
        if process is None:
            return
        # The group is Dovecot's own, from start_new_session. A master that is told alone leaves a
        # process with a client running for ten seconds more.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
            wait_until(lambda: not group_lives(process.pid), ORPHAN_SECONDS)
        except (subprocess.TimeoutExpired, TimeoutError):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _launch(self) -> bool:
        """Start once; False when the process ended instead of listening."""
        fresh = self.port == 0
        if fresh:
            self.port, self.tls_port = free_ports(2)
        config = self.directory / "dovecot.conf"
        site = Site(
            self.directory,
            self.port,
            self.tls_port,
            TLS / "test-only-server.pem",
            TLS / "test-only-server-key.pem",
            self.password,
            self._account,
        )
        config.write_text(configuration(self.version, site))
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._binary, "-F", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        process = self._process
        wait_until(lambda: process.poll() is not None or self._answers(), START_SECONDS, self.log)
        if process.poll() is None:
            return True
        self._process = None
        if fresh:
            self.port = self.tls_port = 0
        return False

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.tls_port), REPLY_SECONDS):
                pass
            with socket.create_connection((self.host, self.port), REPLY_SECONDS) as plain:
                return plain.recv(4) == b"* OK"
        except OSError:
            return False


@contextlib.contextmanager
def start_dovecot() -> Iterator[Dovecot]:
    """A Dovecot that runs until the block ends; the test is skipped where none is installed."""
    binary = shutil.which("dovecot", path=search_path())
    if binary is None:
        missing("dovecot", "it is not installed")
    version = _version(binary)
    # Not pytest's tmp_path or TMPDIR: those may be closed to the user that owns the mail, and may
    # lie too deep for the path of a socket, which has room for about a hundred octets.
    directory = Path(tempfile.mkdtemp(prefix="nornmail-dovecot-", dir="/tmp"))
    try:
        server = Dovecot(binary, version, directory)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)


def _version(binary: str) -> tuple[int, int]:
    text = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        pytest.fail(f"{binary} --version says {text!r}", pytrace=False)
    return int(found[1]), int(found[2])
