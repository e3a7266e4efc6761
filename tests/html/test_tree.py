"""The tree is the one that a browser builds; tags are cut where a browser cuts them."""

from __future__ import annotations

import pytest

from nornmail.html.document import parse_html
from nornmail.html.tree import Element
from tests.support.table import table


def shape(node: Element | str) -> str:
    """``p(a b(c))`` for ``<p>a<b>c</b></p>``."""
    if isinstance(node, str):
        return node.strip()
    inside = " ".join(filter(None, (shape(child) for child in node.children)))
    return f"{node.name}({inside})"


@table(
    ("html", "tree"),
    [
        pytest.param("<p>a<p>b", "p(a) p(b)", id="a paragraph ends the one before"),
        pytest.param("<p>a<div>b</div>c", "p(a) div(b) c", id="a block ends a paragraph"),
        pytest.param("<li>a<li>b", "li(a) li(b)", id="an item ends the one before"),
        pytest.param("<ul><li>a<ul><li>b</ul><li>c</ul>", "ul(li(a ul(li(b))) li(c))", id="lists"),
        pytest.param("<dl><dt>a<dd>b", "dl(dt(a) dd(b))", id="definitions"),
        pytest.param(
            "<table><td>a<td>b<tr><td>c</table>d",
            "table(tbody(tr(td(a) td(b)) tr(td(c)))) d",
            id="rows that are implied",
        ),
        pytest.param("<table><tr>a<td>b</table>", "a table(tbody(tr(td(b))))", id="text in a row"),
        pytest.param(
            "<table><tr><b>a<td>c</table>", "b(a) table(tbody(tr(td(c))))", id="an element in a row"
        ),
        pytest.param(
            "<table><tr><td>a<table><tr><td>b</table></table>",
            "table(tbody(tr(td(a table(tbody(tr(td(b))))))))",
            id="a table in a cell",
        ),
        pytest.param(
            "<table><tr><td>a</tr><em><table><tr><td>b",
            "em() table(tbody(tr(td(a)))) table(tbody(tr(td(b))))",
            id="a table between the rows of one",
        ),
        pytest.param("<b>1<p>2</b>3</p>", "b(1) p(b(2) 3)", id="formatting crossed with a block"),
        pytest.param("<p><b>a</p><p>c</b>d", "p(b(a)) p(b(c) d)", id="formatting that goes on"),
        pytest.param("<p><b>a</p></b>c", "p(b(a)) c", id="formatting that ends outside"),
        pytest.param("<a>1<a>2", "a(1) a(2)", id="a link ends the one before"),
        pytest.param("<a><div>1<a>2", "a() div(a(1) a(2))", id="a link in a block in a link"),
        pytest.param("<b><td>a</b>", "b(a)", id="a cell outside of tables is none"),
        pytest.param(
            "<td><b><table><td>a</b>c",
            "b(table(tbody(tr(td(a c)))))",
            id="no end tag reaches out of a cell",
        ),
        pytest.param("<div><span>a</div>b", "div(span(a)) b", id="an open element in a block"),
        pytest.param("<span><div>a</span>b", "span(div(a b))", id="an end tag across a block"),
        pytest.param("<form>a<form>b<p></form>c", "form(a b p()) c", id="forms"),
        pytest.param("<svg><p>a", "svg svg() p(a)", id="a paragraph ends a drawing"),
        pytest.param("<h1>a<h2>b", "h1(a) h2(b)", id="headings"),
        pytest.param("<option>a<option>b", "option(a) option(b)", id="options"),
        pytest.param("<head><title>a</title>b", "head(title(a)) body(b)", id="text ends the head"),
        pytest.param("<br>a</br>b<hr/>c<div/>d", "br() a br() b hr() c div(d)", id="void elements"),
        pytest.param("<xmp><b>a</xmp>c", "xmp(<b>a) c", id="raw text"),
        pytest.param(
            "<title>&amp;<b></title>", "head(title(&<b>)) body()", id="a title has references"
        ),
        pytest.param(
            "<script>a</scripty></script>b", "head(script(a</scripty>)) body(b)", id="a script"
        ),
        pytest.param(
            "<script><!--<script></script>--></script>b",
            "head(script(<!--<script></script>-->)) body(b)",
            id="a script in a script",
        ),
        pytest.param(
            "a<!-- --!>b<!--->c<!-->d<!-- -- >-->e", "a b c d e", id="the ends of comments"
        ),
        pytest.param("a<![CDATA[b>c]]>", "a c]]>", id="CDATA is a comment that ends early"),
        pytest.param("a<?b>c</ d>e</>f", "a c e f", id="what is taken for a comment"),
        pytest.param("1<2 <3 < b <", "1<2 <3 < b <", id="brackets that are none"),
        pytest.param('<p ="><!--">a-->b', "p(b)", id="an equals sign begins a name"),
        pytest.param("<p a='b'c=d>e", "p(e)", id="attributes without a blank between"),
        pytest.param("<p\x0cid=a>b", "p(b)", id="a form feed is a blank"),
        pytest.param("<b\xa0>a", "b\xa0(a)", id="another blank is none"),
    ],
)
def test_the_tree(html: str, tree: str) -> None:
    whole = tree if tree.startswith("head(") else f"head() body({tree})"
    assert shape(parse_html(f"<!doctype html>{html}")) == f"html({whole})"


@table(
    ("html", "attributes"),
    [
        pytest.param("<p A=1 a=2 b>", {"a": "1", "b": ""}, id="the first counts"),
        pytest.param("<p a = '1' b\n=\n2/>", {"a": "1", "b": "2/"}, id="blanks"),
        pytest.param('<p a="b>c"d=\'"\'>', {"a": "b>c", "d": '"'}, id="quotes"),
        pytest.param("<p a=&lt;&amp;&copy;&copy=1>", {"a": "<&©&copy=1"}, id="references"),
        pytest.param("<p a=&#60;&#x3c;&nosuch;>", {"a": "<<&nosuch;"}, id="numbers"),
        pytest.param("<p/a/b=c>", {"a": "", "b": "c"}, id="slashes"),
        pytest.param('<p =a "b>', {"=a": "", '"b': ""}, id="odd names"),
        pytest.param("<p " + "x=y " * 500 + "a=b>", {"x": "y", "a": "b"}, id="many"),
    ],
)
def test_attributes(html: str, attributes: dict[str, str]) -> None:
    element = list(parse_html(html).walk())[-1]
    assert dict(element.attributes) == attributes


def test_a_second_body_adds_attributes() -> None:
    _, body = parse_html("<body a=1><p>x<body a=2 b=3>").elements()
    assert dict(body.attributes) == {"a": "1", "b": "3"}


def test_an_element_says_what_it_is() -> None:
    root = parse_html("<div class='a b a\u00a0c'>x<p>y<b>z</b></p></div>")
    div, paragraph, bold = list(root.walk())[3:]
    assert div.classes == ["a", "b", "a\u00a0c"]
    assert root.text() == "xyz"
    assert bold.parent is paragraph
    assert div.get("id", "none") == "none"
    assert "div" in repr(div)
