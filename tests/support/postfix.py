"""A private Postfix on loopback, as the SMTP server that a test has not written itself.

The session fixture ``postfix`` of tests/conftest.py is one for the whole run; a test that needs
other settings starts its own with :func:`start_postfix`, as ``start_postfix(message_size_limit=
"2000")``. It takes root, since Postfix changes to users of its own. Nothing of a Postfix that the
machine may run besides is touched, and nothing is delivered outside. What it offers:

Ports, all on ``postfix.host`` with a certificate of ``postfix.ca_file`` for it and ``localhost``:

========================  ==========================================================================
``smtp_port``             STARTTLS offered, AUTH only after it; mail for ``@example.test`` is taken
                          without AUTH too
``smtps_port``            the same with TLS from the first octet
``submission_port``       STARTTLS is a must (530 without), and so is AUTH (554 at RCPT without)
``plain_port``            AUTH without TLS, and no STARTTLS
``strict_port``           as ``smtp_port``, but a bare LF in a message is refused (550 5.5.2), and a
                          client that does not wait for the answers to EHLO and to DATA is told 554
                          5.5.0 and cut
========================  ==========================================================================

AUTH is PLAIN, LOGIN and XOAUTH2: every user name with ``postfix.password``, or with the token
``postfix.token``; a wrong one is 535. ``postfix.logins`` are the attempts. Advertised are
PIPELINING, SIZE 65536 (552 at MAIL or after the dot), VRFY, ETRN, ENHANCEDSTATUSCODES, 8BITMIME,
DSN, SMTPUTF8 and CHUNKING.

Recipients:

========================  ==========================================================================
``x@example.test``        delivered: ``postfix.wait_for_mail("x@example.test")``; ``x+tag@`` as
                          well; the domain in any case; not ASCII with SMTPUTF8
``unknown*@example.test`` 550 5.1.1 at RCPT
``denied*``, ``full*``,   550 5.7.1, 552 5.2.2, 450 4.2.0, 451 4.3.0, 452 4.2.2, 554 5.7.1 at RCPT,
``grey*``, ``broken*``,   as :data:`REFUSALS` says
``crowded*``, ``gone*``
``busy*``                 421 4.3.2 at RCPT, and the connection is closed
``x@bounce.test``         with AUTH: accepted, and bounced to the sender: a bounce to
                          ``me@example.test`` is waited for as any mail
``x@defer.test``          with AUTH: accepted, and stays in the queue: ``postfix.queued()``
any other domain          with AUTH: accepted and thrown away; without: 554 5.7.1 Relay denied
the 51st of a message     452 4.5.3
========================  ==========================================================================

``postfix.user()`` is an address that nobody had before. ``stop()`` and ``start()`` are an outage on
the same ports; the queue outlives it. ``log()`` is the end of the mail log, which pytest shows when
a test that uses the fixture fails.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from tests.support.foreign import HOST, TLS, free_ports, group_lives, search_path, wait_until
from tests.support.postfix_auth import AuthServer
from tests.support.postfix_conf import (
    DOMAIN,
    FOLDERS,
    REFUSALS,
    Ports,
    Site,
    main_cf,
    master_cf,
    tables,
)
from tests.support.require import missing

__all__ = ["REFUSALS", "Delivered", "Postfix", "start_postfix"]

PASSWORD = "open-sesame"
TOKEN = "a-token-of-the-test"
START_SECONDS = 30.0
"""A start takes a second; a loaded machine is given thirty times that."""
STOP_SECONDS = 10.0
MAIL_SECONDS = 20.0
START_ATTEMPTS = 5
"""A port that was free may be taken before Postfix binds it."""
REPLY_SECONDS = 10.0
LOG_LINES = 60
QUEUES = ("incoming", "active", "deferred", "maildrop", "bounce", "defer")


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message as Postfix wrote it into the Maildir, with LF line ends.

    Attributes:
        return_path: the envelope's sender; empty for a bounce.
        recipient: the envelope's recipient as it was given, from X-Original-To.
    """

    raw: bytes
    return_path: str
    recipient: str

    def as_email(self) -> EmailMessage:
        """The message as the standard library's object."""
        parsed = message_from_bytes(self.raw, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class Postfix:
    """A Postfix of one's own; see the top of this file.

    Attributes:
        domain: whose mail is delivered here.
        password, token: what every user logs in with.
        ca_file: the certificate authority that vouches for ``host`` and for ``localhost``.
        logins: every attempt so far, as ``(mechanism, user, succeeded)``.
    """

    title = "Postfix"

    def __init__(self, binary: str, directory: Path, overrides: Mapping[str, str]) -> None:
        import pwd  # not on Windows, where there is no Postfix either

        self.host = HOST
        self.domain = DOMAIN
        self.password = PASSWORD
        self.token = TOKEN
        self.ca_file = TLS / "test-only-ca.pem"
        self.directory = directory
        self._binary = binary
        self._master = _master(binary)
        self._overrides = overrides
        self._owner = pwd.getpwnam("nobody")
        self._ports: Ports | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._auth: AuthServer | None = None
        self._users = itertools.count(1)
        self._read: dict[str, Delivered] = {}
        self.logins: list[tuple[str, str, bool]] = []
        # Postfix' processes run as users of their own, and must get through to their folders.
        directory.chmod(0o755)
        for folder in FOLDERS:
            path = directory / folder.name
            path.mkdir()
            if not folder.root:
                shutil.chown(path, "postfix", "postdrop" if folder.drop else None)
            path.chmod(folder.mode)
        (directory / "mail").mkdir()
        shutil.chown(directory / "mail", self._owner.pw_uid, self._owner.pw_gid)

    # Where it is.

    @property
    def smtp_port(self) -> int:
        return self._known().smtp

    @property
    def smtps_port(self) -> int:
        return self._known().smtps

    @property
    def submission_port(self) -> int:
        return self._known().submission

    @property
    def plain_port(self) -> int:
        return self._known().plain

    @property
    def strict_port(self) -> int:
        return self._known().strict

    # What a test asks for.

    def user(self) -> str:
        """An address that nobody had before: mail for it is delivered."""
        return f"user{next(self._users)}@{self.domain}"

    def mail(self, recipient: str | None = None) -> list[Delivered]:
        """What was delivered so far, in the order of arrival; ``recipient`` in any case."""
        for path in (self.directory / "mail").glob("new/*"):
            if path.name not in self._read:
                self._read[path.name] = _delivered(path.read_bytes())
        return [
            one
            for _, one in sorted(self._read.items(), key=lambda item: _arrival(item[0]))
            if recipient is None or one.recipient.lower() == recipient.lower()
        ]

    def wait_for_mail(
        self, recipient: str, count: int = 1, *, seconds: float = MAIL_SECONDS
    ) -> list[Delivered]:
        """The first ``count`` messages for ``recipient``. TimeoutError, with the log, if fewer."""
        wait_until(lambda: len(self.mail(recipient)) >= count, seconds, self.log)
        return self.mail(recipient)[:count]

    def queued(self) -> int:
        """How many messages are in the queue: accepted, and neither delivered nor bounced."""
        queue = self.directory / "queue"
        return sum(path.is_file() for name in QUEUES[:4] for path in queue.glob(f"{name}/**/*"))

    def wait_until_delivered(self, *, seconds: float = MAIL_SECONDS) -> None:
        """Return when the queue is empty: what was accepted by now has arrived or bounced."""
        wait_until(lambda: self.queued() == 0, seconds, self.log)

    def empty_queue(self) -> None:
        """Throw away what is queued. The mail for ``defer.test`` is left there otherwise."""
        command = [self._command("postsuper"), "-c", str(self.directory / "etc"), "-d", "ALL"]
        subprocess.run(command, check=True, capture_output=True, timeout=START_SECONDS)

    def log(self) -> str:
        """The end of what Postfix had to say."""
        paths = [self.directory / "log" / name for name in ("output", "mail.log")]
        text = "".join(path.read_text(errors="replace") for path in paths if path.exists())
        return "\n".join(text.splitlines()[-LOG_LINES:])

    # Outages.

    def start(self) -> None:
        """Listen, on the ports of before where there were any; returns when all answer.

        Raises:
            AssertionError: Postfix did not start; with its log.
        """
        if self._process is not None:
            raise AssertionError("Postfix runs already")
        for _ in range(START_ATTEMPTS):
            if self._launch():
                return
            if "Address already in use" not in self.log():
                break
        raise AssertionError(f"Postfix did not start:\n{self.log()}")

    def stop(self) -> None:
        """Drop every connection and refuse new ones; returns when no process is left."""
        process, self._process = self._process, None
        if process is not None:
            # The group is Postfix' own: master passes the signal on to its children.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
                wait_until(lambda: not group_lives(process.pid), STOP_SECONDS)
            except (subprocess.TimeoutExpired, TimeoutError):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._auth is not None:
            self._auth.close()
            self._auth = None

    def _launch(self) -> bool:
        """Start once; False when the process ended instead of listening."""
        fresh = self._ports is None
        ports = Ports(*free_ports(5)) if self._ports is None else self._ports
        self._ports = ports
        self._auth = AuthServer(self.password, self.token)
        self._auth.logins = self.logins
        self._write_configuration(ports, self._auth.port)
        with (self.directory / "log" / "output").open("ab") as output:
            process = subprocess.Popen(
                # master itself: `postfix start-fg` would be a shell between it and the signals.
                [self._master, "-c", str(self.directory / "etc"), "-d"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._process = process
        wait_until(
            lambda: process.poll() is not None or self._answers(ports), START_SECONDS, self.log
        )
        if process.poll() is None:
            return True
        self._process = None
        self._auth.close()
        self._auth = None
        if fresh:
            self._ports = None
        return False

    def _write_configuration(self, ports: Ports, auth_port: int) -> None:
        site = Site(
            self.directory,
            ports,
            auth_port,
            TLS / "test-only-server.pem",
            TLS / "test-only-server-key.pem",
            self._owner.pw_uid,
            self._owner.pw_gid,
        )
        texts = {"main.cf": main_cf(site, self._overrides), "master.cf": master_cf(site)}
        for name, text in (texts | tables()).items():
            (self.directory / "etc" / name).write_text(text)

    def _answers(self, ports: Ports) -> bool:
        try:
            for port in astuple(ports):
                with socket.create_connection((self.host, port), REPLY_SECONDS) as client:
                    if port != ports.smtps and client.recv(4) != b"220 ":
                        return False
        except OSError:
            return False
        return True

    def _known(self) -> Ports:
        if self._ports is None:
            raise RuntimeError("Postfix has not been started")
        return self._ports

    def _command(self, name: str) -> str:
        return str(Path(self._binary).with_name(name))


def _master(binary: str) -> str:
    """The daemon behind ``postfix start``, which is not on PATH."""
    command = [str(Path(binary).with_name("postconf")), "-d", "-h", "daemon_directory"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return str(Path(found.strip()) / "master")


def _arrival(name: str) -> tuple[int, int, str]:
    """When a file of the Maildir was made: ``seconds.V…I…M<microseconds>.host``."""
    seconds, unique, *_ = name.split(".")
    return int(seconds), int(unique.rpartition("M")[2]), name


def _delivered(raw: bytes) -> Delivered:
    """Postfix' own headers come first, and are not folded."""
    own = dict(
        re.findall(
            r"^(Return-Path|X-Original-To): <?(.*?)>?$", raw.decode("utf-8", "replace"), re.M
        )[:2]
    )
    return Delivered(raw, own["Return-Path"], own["X-Original-To"])


@contextlib.contextmanager
def start_postfix(**overrides: str) -> Iterator[Postfix]:
    """A Postfix that runs until the block ends; the test is skipped where there can be none.

    Args:
        overrides: lines of main.cf, as ``smtpd_recipient_limit="3"``.
    """
    binary = shutil.which("postfix", path=search_path())
    if binary is None:
        missing("postfix", "it is not installed")
    if os.getuid() != 0:
        missing("postfix", "it takes root to start one")
    # Not pytest's tmp_path or TMPDIR: those are closed to Postfix' own users.
    directory = Path(tempfile.mkdtemp(prefix="nornmail-postfix-", dir="/tmp"))
    try:
        server = Postfix(binary, directory, overrides)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(directory)
