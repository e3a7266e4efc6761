"""The tables of odd letters hold for a real Dovecot, too."""

from __future__ import annotations

import pytest

from tests.interop.peers import two_peers
from tests.interop.test_two_hundred import ask, same
from tests.support.dovecot import Dovecot
from tests.testing.odd_addresses import ADDRESSES
from tests.testing.odd_letters import CONTENT_TYPES, FIELDS, TREES

pytestmark = pytest.mark.interop

LETTERS = {
    "addresses": [b"To: %s\r\n\r\nx\r\n" % value for value, _ in ADDRESSES.values()],
    "content types": [
        b"Content-Type: %s\r\n\r\nhello\r\n" % value for value, _ in CONTENT_TYPES.values()
    ],
    "fields of a part": [
        b"Content-Type: image/png\r\n%s\r\n\r\nhello\r\n" % field for field, _ in FIELDS.values()
    ],
    # Dovecot takes no message of no octets.
    "trees of parts": [raw for raw, _ in TREES.values() if raw],
}


@pytest.mark.parametrize("table", LETTERS)
def test_dovecot_tells_the_same(dovecot: Dovecot, table: str) -> None:
    letters = LETTERS[table]
    answers = []
    with two_peers(dovecot) as peers:
        for peer in peers:
            peer.append(letters)
            with peer.connect() as client:
                client.select("INBOX", readonly=True)
                answers.append(ask(client, "1:*", "(ENVELOPE BODY BODYSTRUCTURE)"))
    assert len(answers[0]) == len(letters)
    embedded, real = answers
    same(embedded, real, letters)
