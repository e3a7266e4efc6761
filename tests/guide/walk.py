"""A new user who follows the setup guide: a directory, an installed command, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli.support import SECONDS, Running, User
from tests.support.dovecot import Dovecot
from tests.support.foreign import free_ports
from tests.support.postfix import Postfix

ROOT = Path(__file__).resolve().parents[2]
INSTALL_SECONDS = 300.0
DOMAIN = "example.test"


@dataclass(frozen=True, slots=True)
class Reply:
    """What curl showed."""

    status: int
    body: Any


class Walk:
    """The walk, from an empty directory.

    Attributes:
        account: the user's name on the IMAP server.
        url: where the service listens, once it does.
    """

    def __init__(self, dovecot: Dovecot, postfix: Postfix, directory: Path) -> None:
        self.dovecot = dovecot
        self.postfix = postfix
        self.directory = directory
        self.account = dovecot.user()
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._python = Path(sys.executable)

    # 1. Install.

    def install(self) -> str:
        """``pip install '.[smtpimap]'`` into a place of its own; what pip lists afterwards."""
        place = self.directory / "venv"
        venv.create(place, with_pip=True)
        self._python = place / "bin" / "python"
        source = self.directory / "source"  # a build leaves files beside what it builds
        ignored = shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__", "tests")
        shutil.copytree(ROOT, source, ignore=ignored)
        self._run(self._python, "-m", "pip", "install", "--quiet", f"{source}[smtpimap]")
        return self._run(self._python, "-m", "pip", "list", "--format=freeze")

    @property
    def command(self) -> Path:
        """The command that the installation gave."""
        return self._python.parent / "nornmail"

    def _run(self, *words: object) -> str:
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # 2. Configure.

    def configure(self, **changes: str) -> None:
        """Write the ``.env`` file of the guide."""
        values = {
            "EMAIL_PROVIDER": "imap-smtp",
            "EMAIL_DOMAIN": DOMAIN,
            "SMTP_HOST": self.postfix.host,
            "SMTP_PORT": str(self.postfix.submission_port),
            "SMTP_USERNAME": f"agent@{DOMAIN}",
            "SMTP_PASSWORD": self.postfix.password,
            "SMTP_USE_TLS": "true",
            "SMTP_CA_FILE": str(self.postfix.ca_file),
            "IMAP_HOST": self.dovecot.host,
            "IMAP_PORT": str(self.dovecot.tls_port),
            "IMAP_USERNAME": self.account,
            "IMAP_PASSWORD": self.dovecot.password,
            "IMAP_USE_SSL": "true",
            "IMAP_CA_FILE": str(self.dovecot.ca_file),
            "IMAP_POLL_INTERVAL": "60",
            "IMAP_MAILBOX": "INBOX",
            "IMAP_MARK_AS_READ": "true",
            "IMAP_DELETE_AFTER_FETCH": "false",
            **changes,
        }
        lines = [f'{name}="{value}"\n' for name, value in values.items()]
        (self.directory / ".env").write_text("".join(lines))

    # 4. Run.

    def call(self, *arguments: str, **environment: str) -> Running:
        """Start the installed command, in the user's directory."""
        user = User(self.directory, **environment)
        return user.start(*arguments, PYTHONPATH="", program=str(self.command))

    @contextmanager
    def service(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """``nornmail serve``, from when it listens."""
        bind = ("--bind", f"127.0.0.1:{self.port}")
        with self.call("serve", *bind, *arguments, **environment) as running:
            running.complaint("listening on")
            yield running

    # 5, 7 and 9. curl.

    def curl(self, method: str, path: str, body: Any = None) -> Reply:
        """The guide's curl line."""
        words = ["curl", "-sS", "-X", method, self.url + path, "-w", "\n%{http_code}"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        said, _, status = done.stdout.rpartition("\n")
        return Reply(int(status), json.loads(said) if said.strip() else None)

    # Mail.

    def write(self, to: str, subject: str, **headers: str) -> None:
        """Somebody writes, and the mail lies in the account's mailbox."""
        name = subject.replace(" ", ".")
        lines = [
            "From: Kim <kim@example.org>",
            f"To: {to}",
            f"Subject: {subject}",
            f"Message-ID: <{name}@example.org>",
            *(f"{field.replace('_', '-')}: {value}" for field, value in headers.items()),
        ]
        self.dovecot.deliver(self.account, "\r\n".join([*lines, "", "hello", ""]).encode())

    def failures(self, **environment: str) -> list[str]:
        """The lines of ``nornmail check`` that failed."""
        with self.call("check", **environment) as running:
            ended = running.end()
        failed = [line for line in ended.out.splitlines() if line.startswith("FAILED")]
        assert ended.status == bool(failed), ended.err
        return failed
