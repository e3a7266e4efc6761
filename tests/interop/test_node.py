"""The test server by itself, used from JavaScript: imapflow, nodemailer and its HTTP interface."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nornmail.testing import MailServer
from nornmail.testing.http_interface import HttpInterface
from tests.support.require import missing, program

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).with_name("node_client.cjs")
MODULES = ("imapflow", "nodemailer")
"""From npm; Node finds them by NODE_PATH."""


@pytest.fixture(scope="module")
def node() -> str:
    path = program("node")
    code = ";".join(f"require('{name}')" for name in MODULES)
    ended = subprocess.run([path, "-e", code], capture_output=True, text=True, check=False)
    if ended.returncode:
        missing("node", f"NODE_PATH has no {' and '.join(MODULES)} from npm")
    return path


@pytest.mark.parametrize(
    ("tls", "starttls"),
    [
        pytest.param(False, False, id="plain"),
        pytest.param(False, True, id="STARTTLS"),
        pytest.param(True, False, id="TLS"),
    ],
)
def test_a_suite_in_javascript(node: str, tls: bool, starttls: bool) -> None:
    with MailServer(tls=tls, starttls=starttls) as server, HttpInterface(server) as interface:
        ended = subprocess.run(
            [node, str(SCRIPT), server.imap_url, server.smtp_url, interface.url],
            env=os.environ | {"NODE_EXTRA_CA_CERTS": server.ca_file},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        told = f"{ended.stdout}{ended.stderr}"
        assert told == "all is well\n", told + "\n".join(server.transcript[-30:])
