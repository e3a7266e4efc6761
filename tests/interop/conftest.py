"""Both servers with the same mail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.letters import letters
from tests.interop.peers import Peer, two_peers
from tests.support.dovecot import Dovecot

SEED, COUNT = 20240229, 200


@pytest.fixture(scope="session")
def two_hundred() -> list[bytes]:
    """Letters of every shape."""
    return letters(COUNT, SEED)


@pytest.fixture(scope="session")
def readers(dovecot: Dovecot, two_hundred: list[bytes]) -> Iterator[tuple[Peer, Peer]]:
    """Both servers with the letters in INBOX. Nobody changes anything there."""
    with two_peers(dovecot) as peers:
        for peer in peers:
            peer.append(two_hundred, flags=["\\Seen"])
        yield peers


@pytest.fixture
def writers(dovecot: Dovecot) -> Iterator[tuple[Peer, Peer]]:
    """Both servers with six letters in INBOX, for one test."""
    with two_peers(dovecot) as peers:
        for peer in peers:
            peer.append(letters(6, 5))
        yield peers
