"""What is new in a reply: the shapes that mail programs give it, and what only looks like one."""

from __future__ import annotations

import pytest

from nornmail.message.quotes import new_text
from tests.message.quotes.languages import LANGUAGES, Language
from tests.message.quotes.replies import replies

languages = pytest.mark.parametrize(
    "language", [pytest.param(one, id=name) for name, one in LANGUAGES.items()]
)
REPLIES = 1_500
"""A second's worth; the seed is fixed."""
MISSED = 2
"""Of these; a name wrapped away from its address, with no mark below, is one."""


def test_made_up_replies_in_every_language() -> None:
    made = list(replies(2024, REPLIES))
    wrong = [one.name for one in made if new_text(one.text) != one.new]
    assert len(wrong) <= MISSED, "\n".join(wrong)


@languages
def test_every_line_above_a_quote_is_known(language: Language) -> None:
    for line in language.attributions:
        said = line.format(d=language.date, t="10:00", n="Ann Lee", a="ann@example.com")
        for below in ("> Well?\n> So.", "Well?\nSo."):
            assert new_text(f"{language.answer}\n\n{said}\n\n{below}") == language.answer, said


@languages
def test_a_telephone_s_line_is_no_part_of_the_answer(language: Language) -> None:
    for line in language.mobile:
        assert new_text(f"{language.answer}\n\n{line}") == language.answer, line


@languages
def test_a_forward_is_the_content(language: Language) -> None:
    inner = (
        "From: Ann <ann@example.com>\nDate: Fri, 5 Jan 2024 10:00\nSubject: "
        "x\n\nOn Fri, 5 Jan 2024 10:00, Bob <b@example.com> wrote:\n> Hello"
    )
    text = f"{language.answer}\n\n---------- {language.forwarded} ----------\n{inner}"
    assert new_text(text) == text
    assert new_text(text.split("\n\n", 1)[1]) == text.split("\n\n", 1)[1]


@languages
def test_a_header_block_is_content_where_the_subject_says_forward(language: Language) -> None:
    names = language.labels
    text = (
        f"{language.answer}\n\n{names[0]}: a@example.com\n{names[1]}: 5.1.2024\n"
        f"{names[2]}: b\n{names[3]}: c\n\nHello."
    )
    assert new_text(text, subject="Re: x") == language.answer
    for prefix in ("Fwd: ", "FW: ", "WG: ", "TR: ", "RV: ", "[Fwd: ", "Fwd[2]: "):
        assert new_text(text, subject=f"{prefix}x") == text


@pytest.mark.parametrize(
    ("text", "new"),
    [
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <\nann@example.com> wrote:\n> Hm?",
            "Yes.",
            id="wrapped behind the bracket",
        ),
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <ann@example.com\n> wrote:\n\n> Hm?",
            "Yes.",
            id="wrapped before the bracket",
        ),
        pytest.param(
            "Ja.\n\nfr. 5. jan. 2024 kl. 10:00 skrev Ann <ann@example.com\n>:\n\n> Hm?",
            "Ja.",
            id="wrapped before the bracket and the colon",
        ),
        pytest.param(
            "Yes.\nOn Jan 5, 2024, at 10:00, Ann <ann@example.com> wrote:\n> Hm?",
            "Yes.",
            id="no blank line above",
        ),
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <ann@example.com>wrote:\n\n> Hm?",
            "Yes.",
            id="no blank before the verb",
        ),
        pytest.param("Yes.\n\nAnn Lee wrote:\n> Hm?", "Yes.", id="a name alone above a quote"),
        pytest.param(
            'Yes.\n\n>>>>> "Ann" == Ann Lee <ann@example.com> writes:\n> Hm?',
            "Yes.",
            id="Supercite",
        ),
        pytest.param(
            (
                "Yes.\n\n---- On Fri, 05 Jan 2024 10:00:00 +0100 Ann <ann@example.com>"
                " wrote ----\n\nHm?"
            ),
            "Yes.",
            id="Zoho",
        ),
        pytest.param(
            "Yes.\n\n> On 5 Jan 2024, at 10:00, Ann <ann@example.com> wrote:\n> \n> Hm?",
            "Yes.",
            id="Apple, the line within the quote",
        ),
        pytest.param(
            ("Yes.\n\n> From: ann@example.com\n> To: us@example.com\n> Subject: x\n>\n> Hm?"),
            "Yes.",
            id="Hotmail",
        ),
        pytest.param(
            "Yes.\n\n* Ann Lee <ann@example.com> [2024-01-05 10:00]:\n> Hm?", "Yes.", id="mutt"
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann <ann@example.com>\nDate: Friday, 5 January 2024 "
                "at 10:00\nTo: us\nSubject: x\nHm?"
            ),
            "Yes.",
            id="Outlook for Mac",
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann Lee\n<ann@example.com>\nSent: 5 January 2024 10:00\n"
                "To: us;\n them; others\nSubject: x\n\nHm?"
            ),
            "Yes.",
            id="Outlook, wrapped",
        ),
        pytest.param(
            "Yes.\n-----Original Message-----From: Ann\nHm?", "Yes.", id="Outlook, run together"
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann [mailto:ann@example.com]\nSent: 5 January 2024\n"
                "To: us\nSubject: x\n\n> Hm?\n> So?"
            ),
            "Yes.",
            id="a header block above marked lines",
        ),
        pytest.param(
            ("Yes.\n\n-- \nAnn\n\nOn Jan 5, 2024 at 10:00, Bob <b@example.com> wrote:\n> Hm?"),
            "Yes.",
            id="a signature above the quote",
        ),
        pytest.param(
            ("Yes.\n\nOn Jan 5, 2024 at 10:00, Bob <b@example.com> wrote:\n> Hm?\n\n-- \nAnn"),
            "Yes.",
            id="a signature below the quote",
        ),
        pytest.param("Oui.\n\n----\nAnn Lee\nT. 01.23.45.67.89", "Oui.", id="a French telephone"),
        pytest.param("Yes.\n\n--\nAnn\nSent from my iPhone\n", "Yes.", id="two signatures"),
        pytest.param(
            "Yes.\n\nBest regards,\nAnn\n\n--\nAnn Lee\nHead of things",
            "Yes.",
            id="a closing and a signature",
        ),
        pytest.param(
            (
                "Yes.\n\n_______________________________________________\nsome-list "
                "mailing list\nsome-list@example.com\nhttps://example.com/some-list"
            ),
            "Yes.",
            id="a list's footer",
        ),
        pytest.param(
            "Yes.\n\n—\nReply to this email directly or view it on a site.",
            "Yes.",
            id="a tracker's footer",
        ),
        pytest.param("Yes.\n\nViele Grüße Ann", "Yes.", id="a closing and a name on one line"),
        pytest.param("Yes.\n\nKind regards, Ann Lee", "Yes.", id="a closing, a comma and a name"),
        pytest.param("Yes.\n\nThanks,\nAnn Lee\n+1 555 010 9999", "Yes.", id="thanks above a card"),
        pytest.param(
            "> Hm?\n> So?\n\nYes.", "> Hm?\n> So?\n\nYes.", id="an answer below what nobody said"
        ),
        pytest.param(
            "On Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.\n\n> So?\n\nNo.\n\n> Or?\n",
            "On Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.\n\n> So?\n\nNo.",
            id="answers between",
        ),
        pytest.param(
            "Hi Bob,\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.",
            "Hi Bob,\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.",
            id="a word above and an answer below",
        ),
        pytest.param(
            (
                "Yes.\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> a line so long that "
                "some program on its way took it for too long\nand cut\n> it."
            ),
            "Yes.",
            id="a quoted line that was cut",
        ),
        pytest.param("Yes.\n\n> Hm?\n>\n> So?", "Yes.", id="a quote with no line above it"),
        pytest.param(
            "On Jan 5, 2024 10:00, Bob <b@example.com> wrote:\n> Hm?",
            "On Jan 5, 2024 10:00, Bob <b@example.com> wrote:\n> Hm?",
            id="nothing but a quote",
        ),
        pytest.param("Sent from my iPhone", "Sent from my iPhone", id="nothing but a signature"),
        pytest.param("", "", id="nothing"),
        pytest.param(" \n\n ", "", id="blanks"),
    ],
)
def test_shapes_of_a_reply(text: str, new: str) -> None:
    assert new_text(text) == new


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
    ("text", "sender", "new"),
    [
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things", "Ann Lee", "Yes.", id="a card with the name in From"
        ),
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things",
            "",
            "Yes.\n\nAnn Lee\nHead of things",
            id="a name that nobody knows",
        ),
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things",
            "Bob Ray",
            "Yes.\n\nAnn Lee\nHead of things",
            id="another's card",
        ),
        pytest.param("Yes.\n\n-Ann Lee", "Ann Lee", "Yes.", id="a dash and the name"),
        pytest.param("Yes.\n\n-Ann", "Ann Lee", "Yes.", id="a dash and the first name"),
        pytest.param(
            "Yes.\n\n-Ann Lee", "", "Yes.\n\n-Ann Lee", id="a dash and a name that nobody knows"
        ),
        pytest.param("Yes.\n\nAnn", "Ann Lee", "Yes.\n\nAnn", id="the name alone stays"),
        pytest.param(
            "Ann Lee\nHead of things", "Ann Lee", "Ann Lee\nHead of things", id="nothing but a card"
        ),
    ],
)
def test_the_name_in_from_shows_a_signature(text: str, sender: str, new: str) -> None:
    assert new_text(text, sender=sender) == new
