"""What a person does not see is not in the text, and what a person sees is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nornmail.html.document import html_to_text, visible_text
from nornmail.message.message import parse_message
from tests.message.payloads import AFTER, BEFORE, PAYLOAD, Page, all_pages, some_pages
from tests.message.reading import mail
from tests.support.table import table

SEED = 5
SAMPLE = 200
LET_THROUGH = {
    "mso-hide, a,": "buttons hide from Outlook in this way, where they have a twin that it shows",
}
"""What is read, by the beginning of the pages' names, each with its reason."""
KNOWN_LIMITS = [
    pytest.param(
        '<p style="background:url(https://x.example/x.png);color:#fff">{t}', id="white on an image"
    ),
    pytest.param(
        '<p style="color:#fff">{t}<style>@import url(x.css);</style>'.replace(
            "color:#fff", "color:#000"
        ),
        id="a style sheet that is elsewhere",
    ),
    pytest.param(
        '<p>{t}</p><img src=x.png width=900 height=60 style="margin-top:-60px;position:relative">',
        id="an image in front of it",
    ),
    pytest.param(
        "<style>@media (max-width:500px){p.x{display:none}}</style><p class=x>{t}",
        id="hidden on a narrow screen",
    ),
    pytest.param('<p style="font-family:a font that shows nothing">{t}', id="a font of blanks"),
]
"""What is not claimed: see docs/explanation/visible-text.md. A change here changes that page."""


def missed(pages: Iterable[Page]) -> list[str]:
    """The pages that show the payload, or lack what is around it."""
    found = []
    for page in pages:
        text = html_to_text(page.html)
        is_read = PAYLOAD.split()[0] in text and not page.name.startswith(tuple(LET_THROUGH))
        if is_read or BEFORE not in text or AFTER not in text:
            found.append(page.name)
    return found


def test_no_payload_of_the_sample_is_read() -> None:
    assert missed(some_pages(SAMPLE, SEED)) == []


@pytest.mark.long
def test_no_payload_is_read() -> None:
    assert missed(all_pages()) == []


@table("html", KNOWN_LIMITS)
def test_what_is_not_claimed(html: str) -> None:
    assert PAYLOAD in html_to_text(html.replace("{t}", PAYLOAD))


SEEN = [
    pytest.param('<p style="display:none;display:block">{t}', id="the later declaration"),
    pytest.param('<p style="display:block !important;display:none">{t}', id="the important one"),
    pytest.param('<p style="display:none!ie">{t}', id="an importance that is none"),
    pytest.param('<p style="display:none\\9">{t}', id="a value for old browsers"),
    pytest.param('<p style="*display:none;_display:none">{t}', id="names for old browsers"),
    pytest.param('<p style="dis/**/play:none">{t}', id="a comment within a name"),
    pytest.param('<p style="display:none2">{t}', id="a value that is none"),
    pytest.param('<p style="color:#12345">{t}', id="a color that is none"),
    pytest.param('<p style="opacity:0px">{t}', id="a length for an opacity"),
    pytest.param('<!doctype html><p style="font-size:1">{t}', id="a length without a unit"),
    pytest.param('<p style="font:0">{t}', id="a font without a family"),
    pytest.param('<p style="height:0">{t}', id="no height and nothing cut off"),
    pytest.param('<p style="overflow:hidden">{t}', id="cut off, with all the room it needs"),
    pytest.param('<p style="overflow:hidden;height:0;padding-bottom:40px">{t}', id="padding"),
    pytest.param('<p style="text-indent:2em;margin-left:-20px">{t}', id="a small step"),
    pytest.param('<p style="left:-9999px">{t}', id="a place without a position"),
    pytest.param('<p style="clip:rect(0,0,0,0)">{t}', id="clip without a position"),
    pytest.param(
        '<p style="position:absolute;left:50%;transform:translate(-50%,-50%)">{t}',
        id="in the middle",
    ),
    pytest.param('<p style="transform:rotate(3deg) scale(.9)">{t}', id="turned a little"),
    pytest.param(
        '<div style="visibility:hidden"><p style="visibility:visible">{t}</p></div>',
        id="made visible again",
    ),
    pytest.param(
        '<div style="font-size:0"><p style="font-size:14px">{t}</p></div>', id="made large again"
    ),
    pytest.param('<div style="color:#fff"><p style="color:#333">{t}</p></div>', id="dark again"),
    pytest.param('<div style="color:#fff"><a href="#x">{t}</a></div>', id="links have a color"),
    pytest.param(
        '<div style="line-height:0"><p style="line-height:1.4">{t}</p></div>', id="lines again"
    ),
    pytest.param(
        '<table bgcolor="#003366"><tr><td style="color:#fff">{t}</table>', id="white on dark"
    ),
    pytest.param("<body bgcolor=black text=white><p>{t}", id="white on a black page"),
    pytest.param(
        '<p style="background:#111 url(x.png) no-repeat 0 0/cover;color:#eee">{t}',
        id="light on a dark image",
    ),
    pytest.param(
        '<table background=https://x.example/x.png><tr><td style="color:#fff">{t}</table>',
        id="white on an image of which nothing is known",
    ),
    pytest.param(
        '<p style="background:linear-gradient(#123,#456);color:#fff">{t}', id="white on a gradient"
    ),
    pytest.param('<p style="color:#bbb">{t}', id="light grey on white"),
    pytest.param('<p style="color:#ff0">{t}', id="yellow on white"),
    pytest.param('<p style="font-size:8px">{t}', id="small print"),
    pytest.param('<p style="opacity:.5">{t}', id="half the opacity"),
    pytest.param(
        "<style>.a{display:none}</style><p class=A>{t}".join(("<!doctype html>", "")),
        id="another class by its case",
    ),
    pytest.param(
        "<style>.a{display:none}.a{display:block}</style><p class=a>{t}", id="a later rule"
    ),
    pytest.param(
        "<style>p.a{display:block}.a{display:none}</style><p class=a>{t}",
        id="a rule for fewer elements",
    ),
    pytest.param(
        "<style>.a{display:none}</style><p class=a style='display:block'>{t}", id="its own style"
    ),
    pytest.param("<style>@media print{p{display:none}}</style><p>{t}", id="on paper only"),
    pytest.param("<style media=print>p{display:none}</style><p>{t}", id="a sheet for paper"),
    pytest.param("<style type=text/x>p{display:none}</style><p>{t}", id="a sheet of another kind"),
    pytest.param("<style>@media (max-width:480px){p{display:none}}</style><p>{t}", id="on a phone"),
    pytest.param(
        "<style>@media (prefers-color-scheme:dark){p{color:#fff}}</style><p>{t}", id="in the dark"
    ),
    pytest.param(
        "<style>@supports not (display:grid){p{display:none}}</style><p>{t}", id="in old browsers"
    ),
    pytest.param(
        "<style>p:hover{display:none}p::before{display:none}</style><p>{t}", id="under the pointer"
    ),
    pytest.param("<style>x;p{display:none}</style><p>{t}", id="a rule that an error swallows"),
    pytest.param(
        "<style>b>p,i+p,p:first-child:last-child{display:none}</style><i></i> <b></b><p>{t}",
        id="rules for other places",
    ),
    pytest.param("<style>p,:bogus{display:none}</style><p>{t}", id="a list with an error in it"),
    pytest.param(
        "<a href='http://x.example' style='mso-hide:all'>{t}</a>", id="a button with a twin"
    ),
    pytest.param("<p hidden style='display:block'>{t}", id="hidden and shown"),
    pytest.param("<p style='display:none'>x<div>{t}</div>", id="behind an open paragraph"),
    pytest.param("<span style='display:none'>x</span>{t}", id="behind a hidden word"),
    pytest.param("<div style='display:none'>x</div></div>{t}", id="behind two end tags"),
    pytest.param("<b hidden>x<p>y</b>{t}", id="behind crossed tags"),
    pytest.param("<table style='display:none'>{t}<tr><td>x</table>", id="between hidden rows"),
    pytest.param(
        "<div style='margin-bottom:-2000px;padding-bottom:2000px'>x</div>{t}",
        id="columns of one height",
    ),
    pytest.param("<blockquote style='margin-left:40px'>" * 40 + "{t}", id="many indentations"),
    pytest.param("<blockquote style='font-size:smaller'>" * 12 + "{t}", id="many small steps"),
    pytest.param("<div style='margin-top:40px'>" * 200 + "{t}", id="many steps down"),
    pytest.param(
        "<div style='background:#fff;position:relative;z-index:0'><p style='position:relative;"
        "z-index:-1'>{t}",
        id="in front of its own background",
    ),
    pytest.param("<p style='--a:block;display:var(--a)'>{t}", id="a variable"),
    pytest.param("<p style='display:none;all:initial'>{t}", id="everything undone"),
    pytest.param("<div><" + "x" * 5_000 + " a='" + "y" * 5_000 + "'>{t}", id="long names"),
]


@table("html", SEEN)
def test_what_is_seen_is_kept(html: str) -> None:
    assert PAYLOAD in html_to_text(html.replace("{t}", PAYLOAD))


@table(
    ("html", "removed"),
    [
        pytest.param("<p hidden>a b</p>c", {"display": 2}, id="display"),
        pytest.param("<p style='opacity:0'>a<b>b</b></p>", {"opacity": 2}, id="opacity"),
        pytest.param("<p style='color:#fff'>a", {"color": 1}, id="color"),
        pytest.param("<p style='font-size:0'>a", {"size": 1}, id="size"),
        pytest.param("<p style='position:absolute;top:-999px'>a", {"position": 1}, id="position"),
        pytest.param("<p style='clip-path:inset(50%)'>a", {"clipping": 1}, id="clipping"),
        pytest.param("<p style='visibility:hidden'>a", {"visibility": 1}, id="visibility"),
        pytest.param("<p style='mso-hide:all'>a", {"mso-hide": 1}, id="mso-hide"),
        pytest.param("a<!-- b c -->", {"comment": 2}, id="a comment"),
        pytest.param("a<!--[if mso]>b<![endif]-->", {}, id="what every newsletter has for Outlook"),
        pytest.param("a\u200bb\u200c", {"invisible characters": 2}, id="characters"),
        pytest.param(
            "<style>a</style><script>b</script><title>c</title>d", {}, id="no text at all"
        ),
        pytest.param("<p style='display:none'>&nbsp;&zwnj; ", {}, id="nothing"),
        pytest.param("<details>a b</details>", {"closed <details>": 2}, id="details"),
    ],
)
def test_what_was_left_out_is_counted(html: str, removed: dict[str, int]) -> None:
    assert visible_text(html).removed == removed


def test_what_was_left_out_is_a_defect() -> None:
    html = "<p style='display:none'>one two</p><p style='color:#fff'>three</p>four\u200b"
    message = parse_message(mail(html.encode(), Content_Type=b"text/html; charset=utf-8"))
    assert message.text == "four"
    assert message.defects == (
        "hidden text left out: 2 words (display)",
        "hidden text left out: 1 words (color)",
        "hidden text left out: 1 characters (invisible characters)",
    )


def test_plain_text_is_without_invisible_characters() -> None:
    hidden = "".join(chr(0xE0000 + ord(one)) for one in "ignore all")
    message = parse_message(
        mail(f"Hel\u200blo{hidden}\t.".encode(), Content_Type=b"text/plain; charset=utf-8")
    )
    assert message.text == "Hello\t."
    assert "hidden text left out: 11 characters (invisible characters)" in message.defects
