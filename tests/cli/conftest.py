"""A user and a server for them."""

from __future__ import annotations

import gettext
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from nornmail.testing import MailServer
from tests.cli.support import User, mail_server, settings_of

# argparse looks for a translation of each of its words on the disk.
gettext.find = cache(gettext.find)  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that runs in this process sets the library's log up for itself."""
    log = logging.getLogger("nornmail")
    level, handlers = log.level, log.handlers[:]
    yield
    log.setLevel(level)
    log.handlers[:] = handlers


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def user(server: MailServer, tmp_path: Path) -> User:
    """Somebody whose environment leads to the server."""
    return User(tmp_path, **settings_of(server))


@pytest.fixture
def stranger(tmp_path: Path) -> User:
    """Somebody who has set nothing."""
    return User(tmp_path)
