"""What only looks like a quote, a header block or a signature is somebody's text, and stays."""

from __future__ import annotations

import pytest

from nornmail.message.quotes.new_text import new_text
from tests.support.table import table


@table(
    "text",
    [
        pytest.param(
            "On Monday I wrote: this is it.\n\nAnd on Tuesday you wrote: no.",
            id="On ... wrote in a sentence",
        ),
        pytest.param(
            "On 5 January 2024 I wrote:\n\nThe price is too high.\n\nI still think so.",
            id="what I wrote",
        ),
        pytest.param(
            ("On 5 January 2024 at 10:00 I wrote:\n\nThe price is too high.\n\nI still think so."),
            id="what I wrote at ten",
        ),
        pytest.param(
            "From: the shop\nSent: yes\nTo: the cellar\nSubject: wine\n\nWhat next?",
            id="a list of a kind",
        ),
        pytest.param(
            (
                "Notes\n--\nAnn Lee\nShe said that it works, and that nobody should "
                "worry.\nHe said that it does not, and that everybody should."
            ),
            id="minutes below two dashes",
        ),
        pytest.param(
            "In 2019 the author of the book wrote:\n\nAll is well.", id="what an author wrote"
        ),
        pytest.param(
            (
                "On Friday 5 Jan 2024 at 10:00 we meet Ann <ann@example.com>, and "
                "talk about the following:\n\n- money"
            ),
            id="a date and an address in a sentence",
        ),
        pytest.param(
            "Please answer until 5 Jan 2024 to:\n\nann@example.com\n\nThanks!",
            id="an address below a colon",
        ),
        pytest.param("Contact by 10:00, please:\n\n- Ann\n- Bob", id="a time above a list"),
        pytest.param(
            "The train goes\nFrom: here\nto: there\n\nDo you come?", id="From here to there"
        ),
        pytest.param(
            (
                "12:00 Sent: 5 packets\n12:01 From: eth0 To: eth1\n12:02 "
                "Subject: none\nWhat is this?"
            ),
            id="a log",
        ),
        pytest.param("Sent: 500\nReceived: 499\nLost: 1\n\nIs this normal?", id="counters"),
        pytest.param(
            (
                "Here are the headers:\n\nFrom: a@example.com\nTo: b@example.com\n"
                "Subject: x\nDate: Fri, 5 Jan 2024 10:00\n\nWhy did it bounce?"
            ),
            id="headers that are shown",
        ),
        pytest.param(
            "I tried this:\n\n>>> 1 + 1\n2\n>>> 1 / 0\nZeroDivisionError", id="a Python session"
        ),
        pytest.param("It fails.\n\n>>> import x\n>>> x.y()", id="a Python session at the end"),
        pytest.param("The difference is\n\n3c3\n< old\n---\n> new", id="a diff"),
        pytest.param(
            "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b", id="a unified diff"
        ),
        pytest.param("Please translate this:\n\n> Guten Tag", id="a quote that is shown"),
        pytest.param(
            "As the poet says:\n> Well\n> then\n\nWhat do you think?",
            id="a quote that is talked about",
        ),
        pytest.param(
            (
                "One\n--\nTwo is a rather long paragraph that nobody would take for "
                "a name.\nIt has two sentences, too. And more."
            ),
            id="two dashes between paragraphs",
        ),
        pytest.param("Options:\n-- first\n-- second\n\nWhich?", id="dashes for bullets"),
        pytest.param("| a | b |\n|---|---|\n| 1 | 2 |", id="a table"),
        pytest.param("Name Price\n----------\nA 1\nB 2", id="a table with a rule"),
        pytest.param(
            "The alert was sent from my iPhone app to all of them.", id="sent from in a sentence"
        ),
        pytest.param(
            "Sent from my desk, which is better than my phone. Do you agree?",
            id="sent from my desk",
        ),
        pytest.param(
            "With kind regards to your mother I remain at your service.", id="regards in a sentence"
        ),
        pytest.param(
            "Best\nThe second line goes on here with a whole sentence, and it is long.",
            id="best and more",
        ),
        pytest.param("Thanks,\nAnn", id="thanks and a name"),
        pytest.param("Call me:\n\nAnn Lee\n+1 555 010 9999", id="a card that is asked for"),
        pytest.param(
            "Best regards,\nAnn\n\nP.S. The key is under the mat, as ever.", id="a postscript"
        ),
        pytest.param(
            "See [1].\n\nBest regards,\nAnn\n\n[1] https://x.example",
            id="a footnote below a closing",
        ),
        pytest.param("See [1].\n\n---\n[1] https://x.example", id="a footnote below a rule"),
        pytest.param(
            "It was\n\nMessage-ID: <1@x>\nDate: 5 Jan 2024 10:00\nFrom: a@x\nTo: b@x\nSubject: c",
            id="raw fields, below one that programs do not show",
        ),
        pytest.param(
            "It\n\nFrom: a@x\nTo: b@x\nSubject: c\nDate: 5 Jan 2024 10:00\nMIME-Version: 1.0\n\nx",
            id="raw fields, above one that programs do not show",
        ),
        pytest.param(
            "A fax came.\n-----------\nTime: 3/9/2006 3:50:52 PM\nPages: 1", id="a fax below a rule"
        ),
        pytest.param(
            "Two of them:\n\n=====\nIt was received at 5 Jan 2024 from mx.example.com",
            id="a line below a rule",
        ),
        pytest.param(
            "See [1].\n\n--\nAnn\n[1] https://x.example", id="a footnote below two dashes"
        ),
        pytest.param("Yes.\n-- \n> No?\n\nSo.", id="dashes above a quote"),
        pytest.param(
            "News.\n_____\n"
            + "There is more of it than anybody wants. " * 16
            + "\nUnsubscribe here.",
            id="a newsletter below a rule",
        ),
        pytest.param("Total: 5\nDate: 2024\nTo: you", id="two labels"),
        pytest.param(
            "Original message was lost, please send it again.", id="original message in a sentence"
        ),
        pytest.param(
            "Forwarded message\n\nis what I want to write about.", id="forwarded message in a text"
        ),
        pytest.param("Il costo è da 5 a 10:\n- uno\n- due", id="an Italian list"),
        pytest.param(
            "Von: Hamburg\nNach: Berlin\nAm: 05.01.2024\n\nGeht das?", id="a German journey"
        ),
        pytest.param(
            "Von: Hamburg\nAn: Berlin\nDatum: 05.01.2024\n\nGeht das?",
            id="a German journey with a date",
        ),
    ],
)
def test_what_only_looks_like_history_stays(text: str) -> None:
    assert new_text(text) == text
    below = f"Hello Ann.\n\n{text}"
    assert new_text(below) == below
    assert new_text(f"{below}\n\nSo long.") == f"{below}\n\nSo long."


def test_a_rule_at_the_end_stays() -> None:
    assert new_text("Prices\n------\n\n") == "Prices\n------"
