"""The control interface behind a WSGI server that nobody here has written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nornmail.testing import MailServer
from tests.cli.support import PASSWORD, SECONDS, USER, settings_of
from tests.support.package import package_directory
from tests.support.require import missing

pytestmark = pytest.mark.interop

TOKEN = "a token"
MODULE = """
from nornmail import Poller
from nornmail.web import application

poller = Poller.from_env(print, inboxes=[])
poller.start()
app = application(poller, token="a token")
"""
STARTS = {
    "gunicorn": ("-b", "127.0.0.1:0", "--threads", "4", "service:app"),
    "waitress": ("--listen=127.0.0.1:0", "service:app"),
}


@contextmanager
def running(name: str, server: MailServer, directory: Path) -> Iterator[str]:
    """The URL at which the WSGI server answers."""
    if find_spec(name) is None:
        missing(name, "it is not installed; nox -s interop installs it")
    (directory / "service.py").write_text(MODULE)
    paths = f"{package_directory().parent}:{directory}"
    process = subprocess.Popen(
        [sys.executable, "-m", name, *STARTS[name]],
        cwd=directory,
        env={**settings_of(server), "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    guard = threading.Timer(SECONDS, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        with closing(process.stdout):
            seen = []
            for line in process.stdout:
                seen.append(line)
                if found := re.search(r"http://127\.0\.0\.1:[1-9][0-9]*", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(f"{name} does not say where it listens: {seen}")
            process.terminate()
            process.stdout.read()
    finally:
        guard.cancel()
        process.kill()
        process.wait()


def ask(url: str, method: str, path: str, body: Any = None, token: str = TOKEN) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, method=method)  # noqa: S310
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
            return reply.status, json.loads(reply.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize("name", STARTS)
def test_the_same_answers_come_from_it(name: str, tmp_path: Path) -> None:
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        with running(name, server, tmp_path) as url:
            inbox = {"name": "Test", "email_username": "test"}
            status, made = ask(url, "POST", "/v1/inboxes", inbox)
            assert (status, made["email_address"]) == (201, "test@example.com")
            assert ask(url, "POST", "/v1/inboxes", inbox)[0] == 409
            assert ask(url, "GET", "/v1/inboxes", token="another")[0] == 401
            server.deliver(b"To: test@example.com\r\nSubject: one\r\n\r\nhello\r\n")
            target = f"/v1/inboxes/{made['id']}"
            status, synced = ask(url, "POST", f"{target}/sync")
            assert (status, synced["status"]) == (200, "synced")
            assert ask(url, "POST", "/v1/inboxes", {"name": "x" * 2_000_000})[0] == 413
            assert ask(url, "GET", "/healthz")[1]["status"] == "healthy"
            assert ask(url, "DELETE", target) == (204, None)
            assert ask(url, "PUT", target)[0] == 405
