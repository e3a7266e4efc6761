"""What is new in a reply: the shapes that mail programs give it, and what only looks like one."""

from __future__ import annotations

import pytest

from nornmail.message.quotes.new_text import new_text
from tests.message.quotes.languages import LANGUAGES, Language
from tests.message.quotes.replies import replies

languages = pytest.mark.parametrize(
    "language", [pytest.param(one, id=name) for name, one in LANGUAGES.items()]
)
REPLIES = 1_000
"""A fraction of a second's worth; the seed is fixed."""


def test_made_up_replies_in_every_language() -> None:
    made = list(replies(2024, REPLIES))
    wrong = [one.name for one in made if new_text(one.text) != one.new]
    assert not wrong, "\n".join(wrong)


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
        pytest.param(
            "Ja.\n\nMit freundlichen Grüßen / Best regards\n\nAnn", "Ja.", id="two closings"
        ),
        pytest.param("Oui.\n\n----- Mail original -----\nHm?", "Oui.", id="Zimbra in French"),
        pytest.param(
            "Yes.\n\n---- Words of old ----\nFrom: a@x\nDate: 5 Jan 2024\nSubject: x\n\nHm?",
            "Yes.",
            id="unknown words between rules above a header block",
        ),
        pytest.param(
            "Yes.\n\n\u2014 Reply to this email directly, view it on a site.\nYou may.",
            "Yes.",
            id="a tracker's footer on one line",
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
