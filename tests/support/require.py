"""A test that needs a real server skips where it is missing, unless the run was told to require it.

``NORNMAIL_REQUIRE=dovecot,postfix`` turns the skip into a failure: a run that was meant to meet a
server cannot pass without having met it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

import pytest

VARIABLE = "NORNMAIL_REQUIRE"

SERVERS = frozenset({"cyrus", "courier", "dovecot", "postfix", "postgresql"})
CLIENTS = frozenset({"aiosmtplib", "gunicorn", "waitress"})
"""Every name that may be required: a misspelt one would require nothing, and is an error.

Clients are packages that nox installs in the session that needs them.
"""


def required(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The servers and clients that this run must meet, in lower case.

    Raises:
        ValueError: a name that no test knows.
    """
    names = {name.strip().lower() for name in environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := names - SERVERS - CLIENTS:
        known = sorted(SERVERS | CLIENTS)
        raise ValueError(f"{VARIABLE}: {sorted(unknown)}, not any of {known}")
    return frozenset(names)


def missing(server: str, why: str, environ: Mapping[str, str] = os.environ) -> NoReturn:
    """End the test that needs ``server``: skipped with the reason, failed if it is required."""
    if server in required(environ):
        pytest.fail(f"{VARIABLE} names {server}: {why}", pytrace=False)
    pytest.skip(f"{server}: {why}")
