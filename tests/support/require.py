"""A test that needs a real server or client skips where it is missing, unless it is required.

``NORNMAIL_REQUIRE=dovecot,postfix`` turns the skip into a failure: a run that was meant to meet a
server cannot pass without having met it.
"""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Mapping
from typing import Any, NoReturn

import pytest

VARIABLE = "NORNMAIL_REQUIRE"

SERVERS = frozenset({"courier", "cyrus", "dovecot", "dovecot24", "postfix", "postgresql", "pymap"})
IMAP_CLIENTS = frozenset({"aioimaplib", "fetchmail", "imap-tools", "imapclient", "mbsync"})
SMTP_CLIENTS = frozenset({"aiosmtplib"})
WSGI_SERVERS = frozenset({"gunicorn", "waitress"})

BROWSERS = frozenset({"chromium"})
RUNTIMES = frozenset({"node"})

NAMES = SERVERS | IMAP_CLIENTS | SMTP_CLIENTS | WSGI_SERVERS | BROWSERS | RUNTIMES
"""Every name that may be required: a misspelt one would require nothing, and is an error."""


def required(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The servers and clients that this run must meet, in lower case.

    Raises:
        ValueError: a name that no test knows.
    """
    names = {name.strip().lower() for name in environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := names - NAMES:
        raise ValueError(f"{VARIABLE}: {sorted(unknown)}, not any of {sorted(NAMES)}")
    return frozenset(names)


def missing(server: str, why: str, environ: Mapping[str, str] = os.environ) -> NoReturn:
    """End the test that needs ``server``: skipped with the reason, failed if it is required."""
    if server in required(environ):
        pytest.fail(f"{VARIABLE} names {server}: {why}", pytrace=False)
    pytest.skip(f"{server}: {why}")


def module(name: str, client: str) -> Any:
    """A client's module; the test is ended as by `missing` where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(client, "it is not installed")


def program(name: str) -> str:
    """The path of a client's program, in the same way."""
    path = shutil.which(name)
    if path is None:
        missing(name, "it is not installed")
    return path
