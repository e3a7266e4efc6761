"""A private mail server on loopback, as a process of our own: how it is started, met and ended.

It knows every user name, so a test takes one of its own with :meth:`PrivateServer.user` and has an
empty mailbox. Nothing of a server that the machine may run besides is touched.
"""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.foreign import HOST, TLS, free_ports, group_lives, wait_until

PASSWORD = "open-sesame"
START_SECONDS = 20.0
"""A start takes a tenth of a second; a loaded machine is given a hundred times that."""
STOP_SECONDS = 10.0
ORPHAN_SECONDS = 2.0
"""Then what is left of the server is killed. In a container whose first process reaps no children a
dead orphan looks alive for ever."""
START_ATTEMPTS = 5
"""A port that was free may be taken before the server binds it."""
REPLY_SECONDS = 10.0
LOG_LINES = 60


class PrivateServer(ABC):
    """A server of one's own.

    Args:
        directory: where it has everything.

    Attributes:
        host: the loopback address.
        port: IMAP without TLS.
        tls_port: IMAP inside TLS.
        ca_file: the certificate authority that vouches for ``host`` and for ``localhost``.
        password: the password of every user.
        prefix: what the names of all mailboxes but INBOX begin with.
    """

    title = ""
    prefix = ""
    logs: Sequence[str] = ("output",)
    """The files in ``directory`` that tell what happened."""

    def __init__(self, directory: Path) -> None:
        self.host = HOST
        self.port = 0
        self.tls_port = 0
        self.password = PASSWORD
        self.directory = directory
        self.ca_file = TLS / "test-only-ca.pem"
        self._process: subprocess.Popen[bytes] | None = None
        self._users = itertools.count(1)
        # A server's processes run as users of their own, and the mail's owner must get through.
        directory.chmod(0o755)

    # What a server is.

    @abstractmethod
    def configure(self) -> Sequence[str]:
        """Write what it reads, for the ports as they are; returns the command that runs it.

        The command ends when the server does, and the other way round.
        """

    @abstractmethod
    def reset_uid_validity(self, user: str) -> int:
        """Begin INBOX anew with another UIDVALIDITY and UIDs from 1; returns the new value.

        Nobody may be connected as ``user``.
        """

    # What a test asks for.

    def user(self) -> str:
        """A user name that nobody had before, with an empty mailbox."""
        return f"user{next(self._users)}"

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
        # imaplib sends a literal and what ends it in two pieces: Nagle would wait in between.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            client.login(user, self.password)
        except BaseException:
            client.shutdown()
            raise
        return client

    def uid_validity(self, user: str, mailbox: str = "INBOX") -> int:
        """The mailbox's UIDVALIDITY, as the server names it now."""
        with self.connect(user) as client:
            client.select(mailbox, readonly=True)
            _, values = client.response("UIDVALIDITY")
            return int(values[0])

    def log(self) -> str:
        """The end of what the server had to say."""
        paths = [self.directory / name for name in self.logs]
        text = "".join(path.read_text(errors="replace") for path in paths if path.exists())
        return "\n".join(text.splitlines()[-LOG_LINES:])

    # Outages.

    def start(self) -> None:
        """Listen, on the ports of before where there were any; returns when both answer.

        Raises:
            AssertionError: the server did not start; with its log.
        """
        if self._process is not None:
            raise AssertionError(f"{self.title} runs already")
        for _ in range(START_ATTEMPTS):
            if self._launch():
                return
            if "Address already in use" not in self.log():
                break
        raise AssertionError(f"{self.title} did not start:\n{self.log()}")

    def stop(self) -> None:
        """Drop every connection and refuse new ones; returns when no process is left."""
        process, self._process = self._process, None
        if process is None:
            return
        # The group is the server's own, from start_new_session. A Dovecot whose master is told
        # alone leaves a process with a client running for ten seconds more.
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
        command = list(self.configure())
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                command,
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
def place_of(name: str) -> Iterator[Path]:
    """A directory for a server.

    Not pytest's tmp_path or TMPDIR: those may be closed to the user that owns the mail, and may lie
    too deep for the path of a socket, which has room for about a hundred octets.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"nornmail-{name}-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def running(server: PrivateServer) -> Iterator[None]:
    """The server runs until the block ends."""
    try:
        server.start()
        yield
    finally:
        server.stop()
