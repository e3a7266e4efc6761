"""The forms that a browser has judged: what it hides is not read, and what it shows is."""

from __future__ import annotations

from nornmail.html.document import visible_text
from tests.html.forms import HIDDEN, SHOWN
from tests.support.table import table

WORD = "42735"


@table("html", HIDDEN.values(), ids=HIDDEN.keys())
def test_what_a_browser_hides_is_not_read(html: str) -> None:
    assert WORD not in visible_text(html.replace("{t}", WORD)).text


@table("html", SHOWN.values(), ids=SHOWN.keys())
def test_what_a_browser_shows_is_read(html: str) -> None:
    assert WORD in visible_text(html.replace("{t}", WORD)).text
