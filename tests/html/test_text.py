"""HTML laid out as text: blocks, links, lists, tables, quotes, white space, characters."""

from __future__ import annotations

import pytest

from nornmail.html.document import html_to_text, visible_text
from nornmail.message.message import parse_message
from tests.support.table import table

BLOCKS = [
    pytest.param("<h1>A</h1>b<h2>C</h2><p>d</p>", "A\n\nb\n\nC\n\nd", id="headings stand apart"),
    pytest.param("<p>a</p>\n<p>&nbsp;</p>\n<p>b</p>", "a\n\nb", id="an empty paragraph"),
    pytest.param("a<br><br><br><br>b", "a\n\nb", id="many line breaks leave one line empty"),
    pytest.param("a<hr>b", "a\n\nb", id="a rule"),
    pytest.param(
        "<div>a<span style='display:block'>b</span>c</div>", "a\nb\nc", id="a block by style"
    ),
    pytest.param(
        "<div style='display:inline'>a </div><div style='display:inline'>b</div>",
        "a b",
        id="inline by style",
    ),
    pytest.param(
        "<div style='display:flex'><span>a</span><span>b</span></div>",
        "a\nb",
        id="boxes side by side are apart",
    ),
    pytest.param("<pre>a  b\n\n  c</pre>d", "a  b\n\n  c\n\nd", id="preformatted"),
    pytest.param("<pre>\na</pre>", "a", id="the first line end of a pre"),
    pytest.param("<div style='white-space:pre-wrap'>a\n  b</div>", "a\n  b", id="pre-wrap"),
    pytest.param("<div style='white-space:pre-line'>a \n  b  c</div>", "a\nb c", id="pre-line"),
    pytest.param("a <span style='white-space:pre'>b  c</span> d", "a b  c d", id="pre in a line"),
    pytest.param("<xmp>a <b></xmp>c", "a <b>\n\nc", id="xmp"),
    pytest.param("a<plaintext>b</p><c>", "a\nb</p><c>", id="plaintext has no end"),
    pytest.param("a\u2003b\u3000c", "a b c", id="white space of Unicode"),
]
LINKS = [
    pytest.param("<a href='http://x.example/'>a</a>", "a (http://x.example/)", id="a link"),
    pytest.param(
        "<a href='https://www.x.example/'>x.example</a>", "x.example", id="its own address"
    ),
    pytest.param(
        "<a href='https://x.example/a?b=1&amp;copy=2'>a</a>",
        "a (https://x.example/a?b=1&copy=2)",
        id="an ampersand",
    ),
    pytest.param(
        "<a href='https://x.example/?a=1&copy=2'>a</a>",
        "a (https://x.example/?a=1&copy=2)",
        id="an ampersand that begins no reference",
    ),
    pytest.param(
        "<a href='mailto:a@x.example?subject=b'>Write</a>",
        "Write (a@x.example)",
        id="an address to write to",
    ),
    pytest.param(
        "<a href='mailto:a@x.example?subject=b'>a@x.example</a>",
        "a@x.example",
        id="an address that says itself",
    ),
    pytest.param("<a href='tel:+123'>Call</a>", "Call (tel:+123)", id="a number to call"),
    pytest.param("<a href=' \tjava\nscript:x'>a</a>", "a", id="a script"),
    pytest.param("<a href='data:text/html,x'>a</a>", "a", id="data"),
    pytest.param("<a href='#b'>a</a><a name=b>c</a>", "ac", id="a place on the page"),
    pytest.param("<a href='cid:b'>a</a>", "a", id="a part of the message"),
    pytest.param(
        "<a href='ht\ntp://x.example'>a</a>", "a (http://x.example)", id="a line end in it"
    ),
    pytest.param(
        "<a href='http://x.example/a b'>a</a>", "a (http://x.example/a%20b)", id="a blank in it"
    ),
    pytest.param(
        "<a href='http://x.example/\U000e0041'>a</a>",
        "a (http://x.example/)",
        id="tag characters in it",
    ),
    pytest.param(
        "<a href='http://x.example'><img alt=logo></a>",
        "[logo] (http://x.example)",
        id="an image as a link",
    ),
    pytest.param("<a href='http://x.example'><img></a>", "", id="an image without words as a link"),
    pytest.param(
        "<a href='http://x.example'><p>a</p><p>b</p></a>",
        "a\n\nb (http://x.example)",
        id="a link around blocks",
    ),
    pytest.param(
        "<a href='http://x.example'><table><tr><td>a</table></a>b",
        "a (http://x.example)\nb",
        id="a link around a table",
    ),
    pytest.param(
        "<a href='http://x.example/1'>a<a href='http://x.example/2'>b</a>",
        "a (http://x.example/1)b (http://x.example/2)",
        id="a link that another one ends",
    ),
]
LISTS = [
    pytest.param("<ul><li>a</li><li>b</li></ul>", "- a\n- b", id="items"),
    pytest.param("<ol start=3><li>a<li>b</ol>", "3. a\n4. b", id="numbers from three"),
    pytest.param("<ol start=x><li>a</ol>", "1. a", id="a start that is none"),
    pytest.param("<ul><li>a<ol><li>b<li>c</ol><li>d</ul>", "- a\n  1. b\n  2. c\n- d", id="nested"),
    pytest.param("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n  b", id="paragraphs in an item"),
    pytest.param("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a\nb\nc\nd", id="definitions"),
    pytest.param(
        "<ul><li style='display:inline'>a</li> <li style='display:inline'>b</ul>",
        "a b",
        id="items in a line",
    ),
]
TABLES = [
    pytest.param(
        "<table><tr><td>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d", id="a table of data"
    ),
    pytest.param(
        "<table><tr><th>a<th>b<tr><td>c<td></table>", "a b\nc", id="one full row is no data"
    ),
    pytest.param(
        "<table><tr><th>a<th>b<th>c<tr><td>1<td><td>3</table>",
        "a | b | c\n1 |  | 3",
        id="an empty cell keeps its place",
    ),
    pytest.param(
        "<table><tr><td><p class=MsoNormal>a</p><td><p>b</p><tr><td><p>c</p><td><p>d</p></table>",
        "a | b\nc | d",
        id="cells with a paragraph each",
    ),
    pytest.param(
        "<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>",
        "a b\nc d",
        id="a table of layout that says so",
    ),
    pytest.param("<table><tr><td>a<br>b<td>c</table>", "a\nb\nc", id="cells of several lines"),
    pytest.param("<table><tr><td><table><tr><td>a</table><td>b</table>", "a\nb", id="nested"),
    pytest.param("<table><caption>t</caption><tr><td>a<td>b</table>", "t\na b", id="a caption"),
    pytest.param(
        "<blockquote><table><tr><td>a<td>b<tr><td>c<td>d</table></blockquote>",
        "> a | b\n> c | d",
        id="in a quote",
    ),
    pytest.param("<table>a<tr><td>b</table>", "a\nb", id="text between the rows stands before"),
    pytest.param("<tr><td>a</td><td>b</td></tr>", "ab", id="cells without a table are none"),
]
QUOTES = [
    pytest.param(
        "a<blockquote>b<blockquote>c</blockquote></blockquote>d",
        "a\n\n> b\n>\n> > c\n\nd",
        id="nested",
    ),
    pytest.param(
        "<blockquote type=cite><p>a</p><p>b</p></blockquote>", "> a\n>\n> b", id="paragraphs"
    ),
    pytest.param(
        '<blockquote style="margin:0 0 0 40px;border:none;padding:0px">a</blockquote>',
        "a",
        id="an indentation is no quote",
    ),
    pytest.param(
        '<blockquote type="cite" style="border:none">a</blockquote>',
        "> a",
        id="a quote that has no border",
    ),
    pytest.param("<blockquote><pre>a\nb</pre></blockquote>", "> a\n> b", id="preformatted"),
]
SHOWN = [
    pytest.param("<img alt='a b'>", "[a b]", id="an image"),
    pytest.param("<img src=x>", "", id="an image without words"),
    pytest.param("<button>a</button>", "a", id="a button"),
    pytest.param("<input type=submit value=a>", "a", id="a button that is a field"),
    pytest.param("<textarea>a &amp; b</textarea>", "a & b", id="a field of text"),
    pytest.param("<select><option>a<option selected>b</select>", "b", id="the chosen option"),
    pytest.param("<select multiple><option>a<option>b</select>", "a\nb", id="an open list"),
    pytest.param("<details open><summary>a</summary>b</details>", "a\nb", id="open details"),
    pytest.param("<noscript>a</noscript>", "a", id="noscript: no mail program runs scripts"),
    pytest.param("<object>a</object>", "a", id="what stands in for an object"),
    pytest.param("<p style=color:#fff>a<mark>b</mark>", "b", id="marked"),
    pytest.param("<math><mi>a</mi><mo>=</mo><mn>1</mn></math>", "a=1", id="a formula"),
    pytest.param("<ruby>a<rp>(</rp><rt>b</rt></ruby>", "ab", id="ruby"),
    pytest.param("<!--[if !mso]><!-->a<!--<![endif]-->", "a", id="what is for all but Outlook"),
    pytest.param("<![if !mso]>a<![endif]>", "a", id="the same, openly"),
    pytest.param("<p aria-hidden=true>a", "a", id="hidden from readers aloud is seen"),
    pytest.param("a<!-->b<!--->c", "abc", id="comments that end at once"),
    pytest.param("<p title='a>b' alt=\"'\">c", "c", id="brackets and quotes in attributes"),
    pytest.param("<P ALIGN=LEFT>a</P>", "a", id="capitals"),
    pytest.param("a</p>b", "a\n\nb", id="an end tag alone"),
    pytest.param("<image alt=a>", "[a]", id="an image by its old name"),
]
CHARACTERS = [
    pytest.param("a\u200bb\u200d\u2060c\ufeff\u00ad", "abc", id="zero widths"),
    pytest.param("\u202eabc\u202c\u2066d\u2069\u200e", "abcd", id="controls of direction"),
    pytest.param("a&zwnj;&nbsp;&zwnj;&nbsp;b", "a b", id="the filling of a preheader"),
    pytest.param("a\U000e0061\U000e007fb", "ab", id="tag characters"),
    pytest.param("a\ufe01b\U000e0101c\ufe0fd", "abcd", id="selectors behind letters"),
    pytest.param("☺\ufe0f\U000e0120\U000e0121\ufe01", "☺", id="a run of selectors"),
    pytest.param(
        "☺\ufe0f 1\ufe0f\u20e3", "☺\ufe0f 1\ufe0f\u20e3", id="the selector of a symbol stays"
    ),
    pytest.param("👩\u200d💻", "👩\u200d💻", id="the joiner of an emoji stays"),
    pytest.param("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥", id="selector and joiner stay"),
    pytest.param("می\u200cروم", "می\u200cروم", id="the joiner in a Persian word stays"),
    pytest.param("क\u094d\u200dष", "क\u094d\u200dष", id="the joiner in a Hindi word stays"),
    pytest.param("a\u3164b\u115fc\uffa0d", "abcd", id="fillers"),
    pytest.param("a&#1;&#x7f;b&#0;c", "abc", id="controls"),
]


@table(("html", "text"), BLOCKS + LINKS + LISTS + TABLES + QUOTES + SHOWN + CHARACTERS)
def test_what_is_shown(html: str, text: str) -> None:
    assert html_to_text(html).replace("\ufffd", "") == text


def test_the_language_of_a_caller_who_leaves_elements_out() -> None:
    html = "<p>a</p><div class='gmail_quote x'><p>b</p></div><p>c</p>"
    seen = visible_text(html, without=lambda element: "gmail_quote" in element.classes)
    assert seen.text == "a\n\nc"
    assert not seen.removed


def test_a_document_type_is_nothing_that_was_left_out() -> None:
    message = parse_message(b"Content-Type: text/html\n\n<!DOCTYPE html>\n<p>hello")
    assert (message.text.strip(), message.defects) == ("hello", ())
