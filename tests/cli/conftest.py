"""A user and a server for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nornmail.testing import MailServer
from tests.cli.support import User, mail_server, settings_of


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
