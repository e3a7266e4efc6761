"""Reading is linear in the length of the text, whatever is in it.

What is counted is calls: that is exact, and no other process can disturb it. No pattern is slow by
itself, since none is tried on a line of more than some hundred characters.
"""

from __future__ import annotations

import pytest

from nornmail.message.limits import MAX_QUOTE_SCAN_CHARS
from nornmail.message.quotes.new_text import new_text
from tests.support.calls import count_calls
from tests.support.table import table

PIECES = {
    "blank lines": "\n",
    "quoted lines": "> \n",
    "labels": "a:\n",
    "senders": "From: a 1\n",
    "senders and dates": "From: a 1\nSent: 1\n",
    "half attributions": "On Jan 5, 2024 at 10:00 Bob <b@example.com>\n",
    "attributions with quotes and answers": "On Jan 5, 2024 10:00 B wrote:\n> x\nyes\n",
    "verbs": "wrote wrote wrote:\n",
    "Chinese verbs": "写道：\n",
    "dashes": "--\n",
    "rules": "-----\n",
    "spaced rules": "- - -\n",
    "originals": "Original Message\n",
    "forwards": "Forwarded message\n",
    "telephones": "Sent from my iPhone\n",
    "closings": "Best regards\nBob\n",
    "openers": "on on on on on\n",
    "brackets": "<a@b\n>:\n",
    "digits": "1 2 3 4 5 6 7 8 9\n",
    "one long line": "2024 a@b.example wrote ",
    "one long line of dashes": "- ",
    "one long line of brackets": "<(",
}
HTML = {
    "containers": "<div class=gmail_quote>a",
    "signatures in quotes": "<blockquote><p class=moz-signature>x",
    "headers in boxes": "<div style='border-top:solid #E1E1E1'>Fro",
    "answered containers": "<div class=gmail_quote><blockquote>a</blockquote>b</div>",
}
SIZE = 300


def calls(text: str, html: str = "") -> int:
    return count_calls(lambda: new_text(text, html))


@table("piece", [pytest.param(one, id=name) for name, one in PIECES.items()])
def test_four_times_the_text_takes_four_times_as_much(piece: str) -> None:
    small, large = (piece * (size // len(piece)) for size in (SIZE, 4 * SIZE))
    new_text(small)  # now code is loaded
    assert calls(large) < 5 * calls(small) + 1_000


@pytest.mark.parametrize("piece", [pytest.param(one, id=name) for name, one in HTML.items()])
def test_four_times_the_markup_takes_four_times_as_much(piece: str) -> None:
    small, large = (piece * (size // len(piece)) for size in (SIZE, 4 * SIZE))
    for html in (small, large):
        new_text("x", html)  # now styles are known and code is loaded
    assert calls("x", large) < 5 * calls("x", small) + 1_000


def test_what_is_beyond_the_limit_is_kept_where_no_history_began_before() -> None:
    text = "word " * (MAX_QUOTE_SCAN_CHARS // 5 + 10) + "\n\n-- \nAnn"
    assert new_text(text) == text


def test_what_is_beyond_the_limit_goes_with_the_history_that_began_before() -> None:
    history = "-----Original Message-----\n" + "word\n" * (MAX_QUOTE_SCAN_CHARS // 5 + 10)
    assert new_text(f"Yes.\n\n{history}") == "Yes."


def test_an_answer_far_below_is_not_lost() -> None:
    quoted = "> word\n" * (MAX_QUOTE_SCAN_CHARS // 7 + 10)
    text = f"On Jan 5, 2024 at 10:00 Ann <ann@example.com> wrote:\n{quoted}\nYes."
    assert new_text(text).endswith("Yes.")
