"""A server with one user, started for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import PASSWORD, USER, RawClient


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        yield server


@pytest.fixture
def client(server: MailServer) -> Iterator[RawClient]:
    """Logged in and in INBOX. What a test delivers later arrives behind it."""
    with RawClient.to(server) as client:
        yield client
