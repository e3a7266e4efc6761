"""Real replies, of which others said what is new in them."""

from __future__ import annotations

import pytest

from tests.message.quotes.corpus import CORPUS, DISAGREED, cases

SEEN = 35
"""Of 40 that were looked at; the other five are those of ``DISAGREED``."""
UNSEEN = 38
"""Of 42 that were not."""


def test_real_replies() -> None:
    if not CORPUS.is_dir():
        pytest.skip(f"there is no corpus at {CORPUS}; NORNMAIL_CORPUS names another place")
    found = list(cases())
    wrong = {one.name for one in found if one.was_seen and not one.is_right}
    assert wrong <= DISAGREED.keys()
    assert sum(one.is_right for one in found if one.was_seen) >= SEEN
    assert sum(one.is_right for one in found if not one.was_seen) >= UNSEEN
