"""An answer: its subject, its thread, whom it goes to, what it quotes."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail.compose.compose import Composed, compose
from nornmail.compose.reply import correspondents, is_own, reply_draft, reply_subject
from nornmail.errors import ComposeError
from nornmail.message.message import Message, parse_message
from tests.outbox.messages import NOW
from tests.support.table import table


def mail(body: str = "How are you?\nBye\n", **fields: str) -> Message:
    """A message; ``in_reply_to="…"`` is the field In-Reply-To."""
    given = {
        "From": "Ann Lee <ann@example.org>",
        "To": "agent@example.com, bob@example.net",
        "Cc": "cy@example.net",
        "Subject": "Plans",
        "Message-ID": "<m2@example.org>",
        "References": "<m0@example.org> <m1@example.org>",
        "Date": "Tue, 24 Nov 2026 12:00:00 +0100",
    }
    given |= {
        name.rstrip("_").replace("_", "-").title().replace("Id", "ID"): value
        for name, value in fields.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return parse_message((head + "\r\n" + body).encode())


def answer(message: Message, text: str | None = "Fine.\n", **values: Any) -> Composed:
    given = {"sender": "Agent <agent@example.com>"} | values
    return compose(reply_draft(message, text, **given), now=NOW, unique="answer-1")


@table(
    ("subject", "expected"),
    [
        pytest.param("Plans", "Re: Plans", id="none"),
        pytest.param("Re: Plans", "Re: Plans", id="one"),
        pytest.param("RE:Plans", "Re: Plans", id="without a blank"),
        pytest.param("re: RE : Re: Plans", "Re: Plans", id="three"),
        pytest.param("Re[2]: Plans", "Re: Plans", id="counted"),
        pytest.param("Re(3): Plans", "Re: Plans", id="counted in round brackets"),
        pytest.param("Re^4: Plans", "Re: Plans", id="counted with a caret"),
        pytest.param("AW: Re: Plans", "Re: Plans", id="German"),
        pytest.param("Antw: Plans", "Re: Plans", id="Dutch"),
        pytest.param("SV: VS: Plans", "Re: Plans", id="Swedish and Finnish"),
        pytest.param("RV: Plans", "Re: Plans", id="Spanish"),
        pytest.param("R: RIF: Plans", "Re: Plans", id="Italian"),
        pytest.param("RES: Plans", "Re: Plans", id="Portuguese"),
        pytest.param("Odp: Plans", "Re: Plans", id="Polish"),
        pytest.param("YNT: Plans", "Re: Plans", id="Turkish"),
        pytest.param("ΑΠ: Plans", "Re: Plans", id="Greek"),
        pytest.param("Ответ: Plans", "Re: Plans", id="Russian"),
        pytest.param("回复\uff1aPlans", "Re: Plans", id="Chinese with a wide colon"),
        pytest.param("答复: 回覆: Plans", "Re: Plans", id="Chinese in both scripts"),
        pytest.param("返信: Plans", "Re: Plans", id="Japanese"),
        pytest.param("답장: Plans", "Re: Plans", id="Korean"),
        pytest.param("השב: Plans", "Re: Plans", id="Hebrew"),
        pytest.param("Re\xa0: Plans", "Re: Plans", id="a French blank"),
        pytest.param("Fwd: Plans", "Re: Fwd: Plans", id="forwarded"),
        pytest.param("Re: Fwd: Re: Plans", "Re: Fwd: Re: Plans", id="an answer to a forward"),
        pytest.param("[team] Plans", "Re: [team] Plans", id="a list's tag"),
        pytest.param("[team] Re: AW: Plans", "Re: [team] Plans", id="a mark behind a list's tag"),
        pytest.param("Re: [team] Re: Plans", "Re: [team] Plans", id="marks around a list's tag"),
        pytest.param("Reply: Plans", "Re: Reply: Plans", id="a word that only begins so"),
        pytest.param("Re Plans", "Re: Re Plans", id="no colon"),
        pytest.param("Requirements: none", "Re: Requirements: none", id="a longer word"),
        pytest.param("", "Re:", id="nothing"),
        pytest.param("Re:", "Re:", id="a mark alone"),
        pytest.param("x" * 3_000, "Re: " + "x" * 500, id="thousands of characters"),
    ],
)
def test_the_subject_is_marked_once(subject: str, expected: str) -> None:
    assert reply_subject(subject) == expected
    assert reply_subject(expected) == expected


def test_an_answer_goes_to_the_sender_in_the_thread() -> None:
    made = answer(mail())
    read = parse_message(made.raw)
    assert made.envelope.recipients == ("ann@example.org",)
    assert (read.to[0].name, read.subject) == ("Ann Lee", "Re: Plans")
    assert read.in_reply_to == "<m2@example.org>"
    assert read.references == ("<m0@example.org>", "<m1@example.org>", "<m2@example.org>")
    assert made.thread_id == mail().thread_id == "<m0@example.org>"
    assert read.headers.get("auto-submitted") == "auto-replied"


def test_an_answer_that_a_person_approved_is_not_marked_as_automatic() -> None:
    read = parse_message(answer(mail(), approved=True).raw)
    assert not read.is_automatic
    assert "auto-submitted" not in read.headers


def test_an_answer_to_all_goes_to_everyone_but_us() -> None:
    made = answer(mail(to="agent@example.com, bob@example.net"), reply_all=True)
    read = parse_message(made.raw)
    assert made.envelope.recipients == ("ann@example.org", "bob@example.net", "cy@example.net")
    assert [one.address for one in read.to] == ["ann@example.org"]
    assert [one.address for one in read.cc] == ["bob@example.net", "cy@example.net"]


def test_a_message_of_our_own_is_followed_up_to_those_it_went_to() -> None:
    made = answer(mail(from_="agent@example.com"), reply_all=True)
    assert made.envelope.recipients == ("bob@example.net", "cy@example.net")


def test_without_references_the_parent_of_the_parent_is_kept() -> None:
    made = answer(mail(references="", in_reply_to="<m1@example.org>"))
    read = parse_message(made.raw)
    assert read.references == ("<m1@example.org>", "<m2@example.org>")


def test_a_message_without_an_id_keeps_its_thread_for_the_budget() -> None:
    message = mail(references="", message_id="")
    made = answer(message)
    assert made.thread_id == message.thread_id
    assert "in-reply-to" not in parse_message(made.raw).headers


def test_a_quote_stands_below_with_its_attribution() -> None:
    read = parse_message(answer(mail(), quote=True).raw)
    assert read.text == (
        "Fine.\n\nOn Tue, 24 Nov 2026 at 12:00 +0100, Ann Lee wrote:\n> How are you?\n> Bye\n"
    )
    assert read.new_text == "Fine."


def test_a_quote_in_html_passes_no_markup_on() -> None:
    message = mail(body="<script>evil()</script><p>Hi & <b>you</b></p>", content_type="text/html")
    read = parse_message(answer(message, None, html="<p>Fine.</p>", quote=True).raw)
    assert "script" not in read.html
    assert '<blockquote type="cite">\nHi &amp; you\n</blockquote>' in read.html
    assert read.text.startswith("Fine.\n\nOn Tue, 24 Nov 2026")
    assert read.text.endswith("> Hi & you\n")


def test_a_long_message_is_quoted_in_part() -> None:
    read = parse_message(answer(mail(body="line\n" * 100_000), quote=True).raw)
    assert len(read.text) < 250_000
    assert read.text.endswith("> [...]\n")


def test_a_quote_alone_says_nothing() -> None:
    with pytest.raises(ComposeError, match="the message is empty"):
        answer(mail(), None, quote=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("", "ann@example.org", id="no name"),
        pytest.param("Ann\u2028wrote: x", "Ann wrote: x", id="a line separator"),
        pytest.param("x" * 300, "x" * 100, id="a long name"),
    ],
)
def test_the_attribution_is_one_line(name: str, shown: str) -> None:
    message = mail(from_=f'"{name}" <ann@example.org>', date="")
    assert f"\n\n{shown} wrote:\n>" in parse_message(answer(message, quote=True).raw).text


@table(
    ("address", "expected"),
    [
        pytest.param("agent@example.com", True, id="the same"),
        pytest.param("Agent@EXAMPLE.com", True, id="in other capitals"),
        pytest.param("agent+tag@example.com", True, id="with a tag"),
        pytest.param("sales@example.com", False, id="an address that we have with a tag alone"),
        pytest.param("sales+eu@example.com", True, id="with the tag that we have"),
        pytest.param("sales+us@example.com", False, id="with another tag"),
        pytest.param("agent@example.org", False, id="another domain"),
        pytest.param('"agent"@example.com', True, id="in needless quotes"),
        pytest.param("", False, id="none"),
    ],
)
def test_which_addresses_are_ours(address: str, expected: bool) -> None:
    assert is_own(address, ["agent@example.com", "Sales+EU@example.com"]) is expected


def test_correspondents_are_those_in_reply_to_and_else_the_sender() -> None:
    assert [one.address for one in correspondents(mail())] == ["ann@example.org"]
    both = mail(reply_to="x@example.net, Y <y@example.net>")
    assert [one.address for one in correspondents(both)] == ["x@example.net", "y@example.net"]
    assert correspondents(mail(from_="")) == ()
