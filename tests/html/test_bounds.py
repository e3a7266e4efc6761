"""HTML made to cost time or memory, and HTML that is broken at random."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from nornmail.html.css import stylesheet as sheet
from nornmail.html.document import html_to_text, parse_html, visible_text
from nornmail.html.limits import MAX_HTML_ATTRIBUTES, MAX_HTML_DEPTH, MAX_HTML_NESTING
from nornmail.html.tree import Element
from tests.message.payloads import some_pages

SAMPLE = 10_000
"""Characters of the default run: what is not linear takes seconds already."""
SAMPLE_SECONDS = 0.6
MEGABYTE = 1_000_000
SECONDS = 2.0
"""Of processor time. Twice what a megabyte may take, for a machine that does other things."""
TIMES = 20
"""How much memory a megabyte may take, in times of its size."""


def filled(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def numbered(form: str, size: int) -> str:
    """``form`` with 0, 1, 2 and so on in it."""
    count = size // (len(form) + 3) + 1
    return "".join(form.format(number) for number in range(count))


COSTLY: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: filled("<", n),
    "open tags": lambda n: filled("<div>", n),
    "open formatting": lambda n: numbered("<b a{}>x", n),
    "formatting in paragraphs": lambda n: numbered("<p><font a{}>x", n),
    "crossed tags": lambda n: filled("<b><p></b>", n),
    "crossed links": lambda n: filled("<a><div>x</a>", n),
    "end tags that end nothing": lambda n: (
        "<p><table><td>" + "<i>" * 500 + filled("<b></b></p>", n)
    ),
    "text between rows": lambda n: "<table>" + filled("x<b>y</b>", n),
    "nested tables": lambda n: filled("<table><tr><td>x", n),
    "tables": lambda n: filled("<table><tr><td>x</table>", n),
    "options": lambda n: "<select>" + filled("<option>x", n),
    "styles": lambda n: numbered("<b style=color:#{:06d}>x</b>", n),
    "attributes": lambda n: "<p " + filled("a=b ", n) + ">x",
    "other attributes": lambda n: "<p " + numbered("a{} ", n) + ">x",
    "classes": lambda n: "<style>.a{color:red}</style><p class='" + filled("b a ", n) + "'>x",
    "rules for all": lambda n: (
        "<style>" + filled("p{color:red}", min(n, 100_000)) + "</style>" + filled("<p>x", n)
    ),
    "rules for some": lambda n: (
        "<style>"
        + numbered(".a{} .b{{color:red}}", min(n // 4, 150_000))
        + "</style>"
        + filled("<p class=b>x", n // 4)
    ),
    "rules for a place": lambda n: (
        "<style>" + "i~i~i~b{color:red}" * 50 + "</style>" + filled("<i></i>", n) + "<b>x</b>" * 99
    ),
    "descendants": lambda n: (
        "<style>"
        + "a b c d e>f{color:red}" * 9
        + "</style>"
        + "<a><b><c><d><e>" * 90
        + filled("<f>x</f>", n)
    ),
    "blocks in blocks": lambda n: "<style>" + filled(".a{", n) + "</style>x",
    "a list of selectors": lambda n: "<style>" + filled("a,", n) + "b{color:red}</style>x",
    "negations": lambda n: "<style>" + filled("a:not(", n) + "{color:red}</style><a>x",
    "declarations": lambda n: "<p style='" + filled("color:red;", n) + "'>x",
    "brackets in a value": lambda n: "<p style='color:" + filled("rgb(", n) + "'>x",
    "sums": lambda n: "<p style='width:" + filled("calc(1px + ", n) + "'>x",
    "stops": lambda n: "<p style='background:linear-gradient(" + filled("red,", n) + ")'>x",
    "variables": lambda n: filled(
        "<p style='--a:var(--b)var(--b);--b:var(--a)var(--a);color:var(--a)'>x", n
    ),
    "escapes": lambda n: "<p style='" + filled("\\64 ", n) + "'>x",
    "strings": lambda n: "<style>" + filled('"', n) + "</style>x",
    "comments of CSS": lambda n: "<style>" + filled("/*", n) + "</style>x",
    "comments": lambda n: filled("<!--", n),
    "scripts in scripts": lambda n: "<script>" + filled("<!--<script>", n),
    "zero widths": lambda n: filled("a\u200b", n),
    "margins": lambda n: filled("<p style=margin-top:-9999px>x", n),
}
costly = pytest.mark.parametrize("make", COSTLY.values(), ids=COSTLY.keys())


def seconds(html: str) -> float:
    begun = time.process_time()
    html_to_text(html)
    return time.process_time() - begun


@costly
def test_nothing_is_costly(make: Callable[[int], str]) -> None:
    assert seconds(make(SAMPLE)) < SAMPLE_SECONDS


@pytest.mark.long
@costly
def test_a_megabyte_is_not_costly(make: Callable[[int], str]) -> None:
    assert seconds(make(MEGABYTE)) < SECONDS


@pytest.mark.long
def test_25_megabytes_come_back() -> None:
    assert seconds(filled("<p>a<b>b</b></p>", 25 * MEGABYTE)) < SECONDS


@pytest.mark.long
@pytest.mark.parametrize(
    "html",
    [
        pytest.param(filled("<p>a", MEGABYTE), id="paragraphs"),
        pytest.param(numbered("<p c{}>x", MEGABYTE), id="attributes that differ"),
        pytest.param(filled("<table><tr><td>x</table>", MEGABYTE), id="tables"),
        pytest.param(filled("<blockquote>a", MEGABYTE), id="quotes"),
        pytest.param(
            "<blockquote>" * 10 + "<pre>" + filled("a\n\n", MEGABYTE), id="short lines in quotes"
        ),
        pytest.param(filled("word ", MEGABYTE), id="words"),
    ],
)
def test_memory(html: str) -> None:
    tracemalloc.start()
    try:
        html_to_text(html)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < TIMES * MEGABYTE


@pytest.mark.parametrize(
    ("html", "defect"),
    [
        pytest.param(
            "<style>" + "a{top:0}" * 10_001 + "</style>x",
            "more rules of style than the limit",
            id="rules",
        ),
        pytest.param(
            "<p><table><td>" + "<i>" * 510 + "<b></b></p>" * 4_000,
            "HTML nested too wrongly to be read",
            id="steps",
        ),
        pytest.param("a<!--b", "HTML that ends within a tag, a comment or a script", id="the end"),
    ],
)
def test_what_is_over_a_limit_is_told(html: str, defect: str) -> None:
    told: list[str] = []
    visible_text(html, told.append)
    assert defect in told


def test_where_styles_cost_too_much_the_text_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_CSS_STEPS", 100)
    told: list[str] = []
    page = "<style>i p{color:red}i b{display:none}</style>" + "<p>a</p>" * 200 + "<i><b>hidden"
    seen = visible_text(page, told.append)
    assert told == ["style that is too costly to follow"]
    assert 0 < seen.text.count("a") < 200
    assert "hidden" not in seen.text


def test_where_styles_are_too_many_nothing_is_shown() -> None:
    html = "<style>" + "b{top:0}" * 10_001 + "p{display:none}</style><p>a"
    assert visible_text(html).removed == {"too much style": 1}


def test_what_is_nested_too_deep_lies_side_by_side() -> None:
    deep = "<div>" * 10_000 + "a" + "</div>" * 10_000 + "b"
    element, depth = parse_html(deep), 0
    while element.children and isinstance(element.children[0], Element):
        element = element.children[0]
        depth += 1
    assert depth == MAX_HTML_NESTING
    assert html_to_text(deep) == "a\nb"


def test_attributes_behind_the_limit_are_not_read() -> None:
    html = "<p " + numbered("a-long-name-{} ", 90 * MAX_HTML_ATTRIBUTES) + ">"
    (element,) = parse_html(html).children
    assert isinstance(element, Element)
    assert len(element.attributes) == MAX_HTML_ATTRIBUTES


def test_broken_html_never_raises() -> None:
    chance = random.Random(9)
    pages = [page.html for page in some_pages(100, 3)]
    pieces = [
        "<",
        ">",
        "</",
        "<!--",
        "-->",
        '"',
        "'",
        "=",
        "{",
        "}",
        "(",
        ")",
        ";",
        ":",
        "\\",
        "&",
        "<table>",
        "<td>",
        "</b>",
        "<b>",
        "<select>",
        "<svg>",
        "<style>",
        "</style>",
        "/*",
        "\0",
        "\ud800",
        "\u200d",
        "<p style=",
        "!important",
        "calc(",
        "var(--a)",
        ":not(",
    ]
    for _ in range(250):
        html = chance.choice(pages)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(html))
            end = at + chance.choice([0, 0, 1, 3, 30])
            html = html[:at] + chance.choice(pieces) * chance.choice([1, 1, 3]) + html[end:]
        html_to_text(html)


def test_quotes_in_a_cell_within_quotes_are_marked_no_deeper_than_others() -> None:
    quotes = "<blockquote>" * (MAX_HTML_DEPTH + 1)
    html = quotes + "<table><tr><td>" + quotes + "<pre>" + "a\n" * 10_000
    text = html_to_text(html)
    assert max(line.count(">") for line in text.splitlines()) == MAX_HTML_DEPTH
    assert len(text) < 8 * len(html)
