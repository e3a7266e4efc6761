"""HTML as mail programs write it: what they name is followed, what is answered in it stays."""

from __future__ import annotations

import pytest

from nornmail.html.document import html_to_text
from nornmail.message.message import parse_message
from nornmail.message.quotes.new_text import new_text
from tests.support.table import table

QUOTE = "<p>Could we meet?</p><p>Ann</p>"
BLOCK = (
    "<b>From:</b> Ann &lt;ann@example.com&gt;<br><b>Sent:</b>"
    " Friday, January 5, 2024 10:00<br>"
    "<b>To:</b> Us<br><b>Subject:</b> Re: x"
)
ON = "On Fri, Jan 5, 2024 at 10:00 Ann &lt;ann@example.com&gt; wrote:"
UNKNOWN = "Gün 5, Ann şöyle dedi ki"
"""What a program may write above a quote in a language that is not known here."""

CLIENTS = {
    "Gmail": (
        '<div dir="ltr">Yes.</div><br><div class="gmail_quote gmail_quote_contain'
        f'er"><div dir="ltr" class="gmail_attr">{ON}<br></div><blockquote '
        f'class="gmail_quote" style="margin:0 0 0 .8ex">{QUOTE}</blockquote>'
        "</div>"
    ),
    "Gmail in another language": (
        '<div dir="ltr">Yes.</div><div class="gmail_quote"><div class="gmail_attr'
        f'">{UNKNOWN}</div><blockquote class="gmail_quote">{QUOTE}</blockquote>'
        "</div>"
    ),
    "Gmail with a signature": (
        '<div dir="ltr">Yes.<br clear="all"><div><br></div><span '
        'class="gmail_signature_prefix">-- </span><br><div dir="ltr" '
        'class="gmail_signature">Bob<br>Head of things</div></div>'
        f'<div class="gmail_quote"><div class="gmail_attr">{ON}</div>'
        f'<blockquote class="gmail_quote">{QUOTE}</blockquote></div>'
    ),
    "Thunderbird": (
        f'<p>Yes.</p><div class="moz-cite-prefix">{ON}<br></div><blockquote '
        f'type="cite" cite="mid:1@x">{QUOTE}</blockquote>'
    ),
    "Thunderbird in another language, answered below": (
        f'<div class="moz-cite-prefix">{UNKNOWN}</div><blockquote '
        f'type="cite" cite="mid:1@x">{QUOTE}</blockquote><p>Yes.</p>'
        '<div class="moz-signature">-- <br>Bob</div>'
    ),
    "Apple Mail": (
        f'<div>Yes.</div><div><br><blockquote type="cite"><div>{ON}</div>'
        f"<br><div>{QUOTE}</div></blockquote></div>"
    ),
    "Apple Mail in another language": (
        '<div>Yes.</div><br id="lineBreakAtBeginningOfMessage"><div>'
        f'<br><blockquote type="cite"><div>{UNKNOWN}</div><br><div>'
        f"{QUOTE}</div></blockquote></div>"
    ),
    "an iPhone": (
        'Yes.<br><br><div dir="ltr">Sent from my iPhone</div><div '
        f'dir="ltr"><br><blockquote type="cite">{ON}<br><br></blockquote>'
        f'</div><blockquote type="cite"><div dir="ltr">{QUOTE}</div>'
        "</blockquote>"
    ),
    "Outlook": (
        '<div class="WordSection1"><p class="MsoNormal">Yes.<o:p>'
        '</o:p></p><div><div style="border:none;border-top:solid '
        '#E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal">'
        f"{BLOCK}</p></div></div><p>&nbsp;</p>{QUOTE}</div>"
    ),
    "Outlook of 2010": (
        "<div><p>Yes.</p><div style='border:none;border-top:solid "
        f"#B5C4DF 1.0pt;padding:3.0pt 0in 0in 0in'><p>{BLOCK}</p>"
        f"</div>{QUOTE}</div>"
    ),
    "Outlook on the web": (
        '<div class="elementToProof">Yes.</div><div id="Signature">'
        '<p>Bob Ray</p></div><div id="appendonsend"></div><hr style="display:inli'
        f'ne-block;width:98%"><div id="divRplyFwdMsg" dir="ltr">{BLOCK}</div>'
        f"<div>{QUOTE}</div>bare text<br>"
    ),
    "Outlook on a telephone": (
        '<div>Yes.</div><div id="ms-outlook-mobile-signature">Get '
        '<a href="https://aka.ms/o">Outlook for iOS</a></div><hr>'
        f'<div id="divRplyFwdMsg">{BLOCK}</div>{QUOTE}'
    ),
    "the new Outlook": (
        '<div>Yes.</div><div id="mail-editor-reference-message-container">'
        f'<div><div style="text-align:left">{BLOCK}</div>{QUOTE}</div>'
        "</div>"
    ),
    "Outlook for Mac": (
        f'<div>Yes.</div><span id="OLK_SRC_BODY_SECTION"><div>{BLOCK}</div>{QUOTE}</span>'
    ),
    "Windows Mail": (
        '<div>Yes.</div><div data-signatureblock="true">Bob</div>'
        '<div style="padding-top: 5px; border-top-color: rgb(229,'
        ' 229, 229); border-top-width: 1px; border-top-style: solid;">'
        f"{BLOCK}</div><div>{QUOTE}</div>"
    ),
    "Yahoo": (
        '<div>Yes.</div><div id="yahoo_quoted_123" class="yahoo_quoted">'
        f"<div>{UNKNOWN}</div>{QUOTE}</div>"
    ),
    "Yahoo with ids of its own": (
        '<div>Yes.</div><div class="ydp1a2byahoo_quoted" id="ydp1a2byahoo_quoted_'
        f'12"><div>{UNKNOWN}</div>{QUOTE}</div>'
    ),
    "Yahoo on a telephone": f'<div>Yes.</div><div id="yqt12345">{QUOTE}</div>',
    "ProtonMail": (
        '<div>Yes.</div><div class="protonmail_signature_block"><div>'
        'Sent with Proton Mail</div></div><div class="protonmail_quote">'
        f'{UNKNOWN}<blockquote class="protonmail_quote" type="cite">'
        f"{QUOTE}</blockquote></div>"
    ),
    "Zoho": (
        '<div>Yes.</div><div class="zmail_extra_hr"></div><div class="zmail_extra'
        f'">---- {ON} ----<blockquote>{QUOTE}</blockquote></div>'
    ),
    "Zimbra": (
        '<div>Yes.</div><hr id="zwchr" data-marker="__DIVIDER__">'
        f'<div data-marker="__HEADERS__">{BLOCK}</div><div data-marker="__QUOTED_T'
        f'EXT__">{QUOTE}</div>'
    ),
    "Spark": (
        '<div name="messageBodySection">Yes.</div><div name="messageSignatureSect'
        f'ion">Bob</div><div name="messageReplySection">{UNKNOWN}<blockquote '
        f'type="cite">{QUOTE}</blockquote></div>'
    ),
    "Superhuman": (
        '<div>Yes.</div><div class="gmail_signature">Sent via <a '
        'href="https://x.example">Superhuman</a></div><div class="gmail_quote">'
        f'{ON}<blockquote class="gmail_quote">{QUOTE}</blockquote>'
        "</div>"
    ),
    "QQ": (
        '<div>Yes.</div><div style="font-size:12px">------------------ '
        '原始邮件 ------------------</div><div style="background:#efefef">'
        '<div><b>发件人:</b> "Ann" &lt;ann@example.com&gt;;</div>'
        "<div><b>发送时间:</b> 2024年1月5日 10:00</div><div><b>主题:</b>"
        " x</div></div>"
    )
    + QUOTE,
    "Roundcube": (
        f'<p>Yes.</p><p id="reply-intro">{UNKNOWN}</p><blockquote type="cite">{QUOTE}</blockquote>'
    ),
    "an unknown program with a header block": f"<p>Yes.</p><hr><p>{BLOCK}</p>{QUOTE}",
    "an unknown program with a quote": f"<p>Yes.</p><p>{ON}</p><blockquote>{QUOTE}</blockquote>",
}


UNKNOWN_BLOCK = "<b>Kimden:</b> Ann<br><b>Tarih:</b> bugün<br><b>Neden:</b> şöyle"
for _id in ("divRplyFwdMsg", "appendonsend", "zwchr", "ms-outlook-mobile-body-separator-line"):
    CLIENTS[f"#{_id} above words that nobody knows"] = (
        f'<div>Yes.<div id="{_id}">{UNKNOWN_BLOCK}</div></div>and text<div>{QUOTE}</div>'
    )


@table("html", [pytest.param(html, id=name) for name, html in CLIENTS.items()])
def test_what_mail_programs_write(html: str) -> None:
    assert new_text(html_to_text(html), html) == "Yes."


INLINE = {
    "Gmail": (
        f'<div class="gmail_quote"><div class="gmail_attr">{ON}</div>'
        '<blockquote class="gmail_quote"><p>One?</p></blockquote>'
        '<div>Yes.</div><blockquote class="gmail_quote"><p>Two?</p>'
        "</blockquote><div>No.</div></div>"
    ),
    "Thunderbird": (
        f'<div class="moz-cite-prefix">{ON}</div><blockquote type="cite">'
        '<p>One?</p></blockquote><p>Yes.</p><blockquote type="cite">'
        "<p>Two?</p></blockquote><p>No.</p>"
    ),
    "ProtonMail": (
        f'<div class="protonmail_quote">{ON}<blockquote type="cite">'
        '<p>One?</p></blockquote><div>Yes.</div><blockquote type="cite">'
        "<p>Two?</p></blockquote><div>No.</div></div>"
    ),
}


@pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in INLINE.items()])
def test_answers_between_quotes_stay_with_what_they_answer(html: str) -> None:
    lines = [line for line in new_text(html_to_text(html), html).split("\n") if line]
    assert lines[1:] == ["> One?", "Yes.", "> Two?", "No."]
    assert lines[0].endswith("wrote:")


@pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in INLINE.items()])
def test_answers_between_quotes_stay_below_a_greeting(html: str) -> None:
    html = f"<div>Hello Ann,</div>{html}<blockquote type=cite>So.</blockquote>"
    new = new_text(html_to_text(html), html)
    assert [line for line in new.split("\n") if line][2:] == ["> One?", "Yes.", "> Two?", "No."]


def test_a_signature_in_a_quote_that_stays_stays() -> None:
    html = INLINE["Thunderbird"].replace("One?", 'One?<div class="moz-signature">Ann</div>')
    assert "> Ann" in new_text(html_to_text(html), html)


FORWARDS = {
    "Gmail": (
        '<div>Look.</div><div class="gmail_quote"><div class="gmail_attr">'
        "---------- Forwarded message ---------<br>From: Ann<br>Date: "
        "Fri, Jan 5, 2024<br>Subject: x<br></div><p>The news.</p>"
        "</div>"
    ),
    "Thunderbird": (
        '<p>Look.</p><div class="moz-forward-container"><p>-------- '
        'Forwarded Message --------</p><table class="moz-email-headers-table">'
        "<tr><th>From: </th><td>Ann</td></tr></table><p>The news.</p>"
        "</div>"
    ),
    "Apple Mail": (
        '<div>Look.</div><div><blockquote type="cite"><div>Begin '
        "forwarded message:</div><div><b>From: </b>Ann</div></blockquote>"
        "</div><p>The news.</p>"
    ),
}


def test_a_signature_in_what_is_forwarded_stays() -> None:
    html = FORWARDS["Gmail"].replace("<p>The", '<div class="gmail_signature">Ann</div><p>The')
    assert "Ann\n" in new_text(html_to_text(html), html).split("x", 1)[1]


@table(
    "html",
    [
        pytest.param(
            "<p>The contract says</p><blockquote>The lamp is red.</blockquote>",
            id="a quote from elsewhere, in HTML alone",
        ),
        pytest.param(
            '<p>Journey</p><div style="border-top:1px solid #ccc"><p>From: A<br>To: B</p></div>'
            "<p>Please book it. The lamp is red.</p>",
            id="a box with a journey",
        ),
    ],
)
def test_what_only_looks_like_a_reply_in_HTML_stays(html: str) -> None:
    raw = b"Content-Type: text/html; charset=utf-8\n\n" + html.encode()
    assert "The lamp is red." in parse_message(raw).new_text


def test_a_quote_in_HTML_is_history_below_an_attribution_of_two_lines() -> None:
    html = (
        "<p>Yes.</p><blockquote><div>On Fri, Jan 5, 2024 at 10:00, Ann Lee</div>"
        "<div>&lt;ann@example.com&gt; wrote:</div><div>Well?</div></blockquote>"
    )
    assert parse_message(b"Content-Type: text/html\n\n" + html.encode()).new_text == "Yes."


def test_HTML_that_names_nothing_does_not_decide() -> None:
    html = '<p style="border-top:solid red">Something else</p>'
    assert new_text("As it is.", html) == "As it is."


@pytest.mark.parametrize("html", [pytest.param(html, id=name) for name, html in FORWARDS.items()])
def test_what_is_forwarded_stays(html: str) -> None:
    new = new_text(html_to_text(html), html)
    assert "Look." in new
    assert "The news." in new


def test_Outlook_says_in_the_subject_that_it_forwards() -> None:
    html = CLIENTS["Outlook"]
    assert "Could we meet?" in new_text(html_to_text(html), html, subject="FW: x")


def test_a_quote_in_a_signature_s_place_is_no_reason_to_lose_all() -> None:
    html = '<div class="gmail_signature">I wrote in the wrong box.</div>'
    assert new_text(html_to_text(html), html) == "I wrote in the wrong box."


MAIL = """\
From: Bob Ray <bob@example.com>
Subject: Re: x
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

{plain}
--b
Content-Type: text/html; charset=utf-8

{html}
--b--
"""


@table(
    ("plain", "html", "new"),
    [
        pytest.param(
            "See *this*:\nhttps://x.example\n\nGunu dedi ki\n\nCould we meet?",
            (
                '<div>See <b>this</b>: <a href="https://x.example">https://x.example</a>'
                '</div><div class="gmail_quote">Gunu dedi ki<blockquote>Could '
                "we meet?</blockquote></div>"
            ),
            "See *this*:\nhttps://x.example",
            id="the HTML says where it ends, in the plain text's words",
        ),
        pytest.param(
            "Could we meet?\n\nYes",
            (
                '<div class="moz-cite-prefix">Gunu</div><blockquote type="cite">'
                "Could we meet?</blockquote><p>Yes</p>"
            ),
            "Yes",
            id="the answer stands below",
        ),
        pytest.param(
            "This mail has no text.",
            f"<p>Yes.</p><div class='gmail_quote'>{ON}<blockquote>Hm?</blockquote></div>",
            "Yes.",
            id="the plain text says something else",
        ),
        pytest.param(
            "okay then\n\nGunu dedi ki\n\nHm?",
            "<p>ok</p><div class=gmail_quote>Gunu dedi ki<blockquote>Hm?</blockquote></div>",
            "ok",
            id="a word of the HTML that is a part of one of the plain text",
        ),
        pytest.param(
            "Yes.\n\nOn Fri, Jan 5, 2024 at 10:00 Ann <ann@example.com> wrote:\n> Hm?",
            "<p>Yes.</p><p>On Fri, Jan 5, 2024 at 10:00 Ann wrote:</p><p>Hm?</p>",
            "Yes.",
            id="HTML that names no quote",
        ),
    ],
)
def test_a_message_with_both_parts(plain: str, html: str, new: str) -> None:
    raw = MAIL.format(plain=plain, html=html).encode()
    assert parse_message(raw).new_text == new


_BEGIN = "<div>Begin forwarded message:</div><br>"
_FIELDS = (
    "<div><b>From: </b>Carl &lt;carl@example.net&gt;</div><div><b>Subject: </b>The offer</div>"
    "<div><b>Date: </b>5 January 2024 at 09:12</div><div><b>To: </b>Ann</div><br>"
)
_PRICE = "<div>The price is 4200 euros.</div>"


@table(
    "html",
    [
        pytest.param(
            f'<blockquote type="cite">{_BEGIN}{_FIELDS}{_PRICE}</blockquote>', id="in the quote"
        ),
        pytest.param(
            f'{_BEGIN}<blockquote type="cite">{_FIELDS}{_PRICE}</blockquote>', id="above the quote"
        ),
        pytest.param(
            f'<blockquote type="cite">{_BEGIN}<div>On 5 Jan 2024, at 09:12, Carl '
            f"&lt;carl@example.net&gt; wrote:</div><br>{_PRICE}</blockquote>",
            id="with an attribution",
        ),
        pytest.param(
            f'<blockquote type="cite"><div>Anfang der weitergeleiteten Nachricht:</div><br>'
            f"{_FIELDS}{_PRICE}</blockquote>",
            id="in German",
        ),
    ],
)
@table("subject", ["Fwd: The offer", "Re: The offer"])
def test_what_Apple_Mail_passes_on_is_content(html: str, subject: str) -> None:
    page = f"<html><body>Have a look.<br><div><br>{html}</div></body></html>"
    new = new_text(html_to_text(page), page, subject=subject)
    assert new.startswith("Have a look.")
    assert new.endswith("The price is 4200 euros.")


def test_an_answer_to_what_Apple_Mail_passed_on_is_cut() -> None:
    page = (
        '<div>Yes.</div><div><br><blockquote type="cite"><div>On 5 Jan 2024, at 10:00, Ann '
        "&lt;ann@example.com&gt; wrote:</div><br><div>Have a look.</div>"
        f'<blockquote type="cite">{_BEGIN}{_FIELDS}{_PRICE}</blockquote></blockquote></div>'
    )
    assert new_text(html_to_text(page), page, subject="Re: Fwd: The offer") == "Yes."
