"""HTML made to cost time or memory, and HTML that is broken at random."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

import pytest

from nornmail.html import limits
from nornmail.html.css.paint import Canvas
from nornmail.html.document import html_to_text, parse_html, visible_text
from nornmail.html.limits import (
    MAX_HTML_DEPTH,
    MAX_HTML_NESTING,
    Budget,
)
from nornmail.html.render import UnseenText, render
from tests.message.payloads import some_pages
from tests.support.calls import count_calls
from tests.support.samples import sampled
from tests.support.table import table

PARTS = 6
"""The costly pages are tried in so many tests, of which a run has one."""
SAMPLE = 5_000
"""Characters of the default run."""
CALLS = 12
"""Of functions, for a step of the budget or a character."""
SAMPLE_MEMORY = 3_000_000
"""Octets that the sample may take: what is not linear takes more."""
MEGABYTE = 1_000_000
SECONDS = 1.5
"""Of processor time, for any megabyte."""
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
    "classes that differ": lambda n: (
        "<style>.q .z{color:red}</style>" + numbered("<b class=a{}>x</b>", n)
    ),
    "styles that differ": lambda n: numbered("<b style=top:{}px>x</b>", n),
    "variables that differ": lambda n: numbered("<b style=--a{}:1>x", n),
    "inherited variables": lambda n: (
        "<p style='" + numbered("--a{}:1;", n // 2) + "'>" + numbered("<b style=--c{}:1>x", n // 2)
    ),
    "layers": lambda n: "<style>" + numbered("@layer a{};", n) + "</style>x",
    "layers without a name": lambda n: "<style>" + filled("@layer{a{top:0}}", n) + "</style>x",
    "layers in layers": lambda n: "<style>@layer " + filled("a.", n) + "b;</style>x",
    "at-rules": lambda n: "<style>" + filled("@a;", n) + "</style>x",
    "empty rules": lambda n: "<style>" + filled("a{}", n) + "</style>x",
    "addresses without an end": lambda n: "<style>" + filled("url(", n) + "</style>x",
    "scopes": lambda n: (
        "<style>" + filled("@scope (a){p{top:0}}", n // 2) + "</style>" + filled("<p>x", n // 2)
    ),
    "nested lists": lambda n: (
        "<style>" + filled("a,b,c,d{&,& &{&,& &{color:red}}}", n) + "</style><p>x"
    ),
    "lists of negations": lambda n: (
        "<style>" + filled("p:not(a b,c d){top:0}", n // 8) + "</style>" + filled("<p>x", n // 2)
    ),
    "boxes of pseudo-elements": lambda n: (
        "<style>" + filled("p::before{content:''}", n // 2) + "</style>" + filled("<p>x", n // 2)
    ),
    "animations": lambda n: (
        "<style>@keyframes a{to{opacity:0}}</style>"
        + filled("<p style='animation:a,a,a,a,a,a,a 1s'>x</p>", n)
    ),
    "transforms": lambda n: numbered("<p style='transform:rotate({}deg) rotateX(1deg)'>x", n),
    "gradients": lambda n: numbered("<p style='background:linear-gradient(#f{},#fff)'>x", n),
    "columns": lambda n: (
        "<table>" + filled("<col span=99 style=visibility:collapse>", n) + "<tr><td>x"
    ),
    "floats alone": lambda n: filled("<div style=background:red><p style=float:left>x", n),
    "spaces in space": lambda n: filled(
        "<p style='transform-style:preserve-3d;transform:rotateY(1deg)'>x", n
    ),
    "end tags that make elements": lambda n: filled("</p></br>", n),
    "adoption": lambda n: filled("<a><b><i><u><s><p>x</a></b></i></u></s>", n),
    "foster parents": lambda n: filled("<table><b>x<tr>y<td>z</td>w", n),
    "many classes": lambda n: (
        "<style>"
        + numbered(".c{0} .d,.c{0}.e{{top:0}}", min(n // 4, 60_000))
        + "</style>"
        + filled("<p class='" + numbered("c{} ", 600) + "'>x", n)
    ),
    "matches-any in matches-any": lambda n: (
        "<style>"
        + filled(":is(:where(:not(:is(.a,.b),.c),.d),:not(:where(.e,.f)))p{top:0}", n // 3)
        + "</style>"
        + filled("<p class=a>x", n // 3)
    ),
    "variables in circles": lambda n: (
        "<style>"
        + numbered("p{{--a{0}:var(--b{0});--b{0}:var(--a{0});top:var(--a{0})}}", n // 2)
        + "</style>"
        + filled("<p>x", n // 2)
    ),
    "references": lambda n: filled("&notit;&#0;&nosuch;&CounterClockwiseContourIntegral;&amp", n),
    "data without an end": lambda n: "<svg>" + filled("<![CDATA[x]]", n),
    "drawings in formulas": lambda n: filled("<svg><math><mi><foreignObject><desc>x", n),
    "sheets": lambda n: filled("<style>p{top:0}</style><p>x", n),
    "imports": lambda n: "<style>" + filled("@import url(x.css) layer(a) screen;", n) + "</style>x",
    "counters": lambda n: (
        "<style>"
        + filled("p::before{counter-increment:a;content:counters(a,'.')}", n // 2)
        + "</style>"
        + filled("<p>x", n // 2)
    ),
    "boxes that are shut": lambda n: filled(
        "<div style=overflow:hidden>x<p style=margin-top:-99px>y</div>", n
    ),
    "open boxes that are shut": lambda n: (
        filled("<div style=overflow:hidden>x", n // 2)
        + filled("<p style=margin-top:-99px>y</p></div>", n // 2)
    ),
    "boxes over texts": lambda n: (
        "<style>p{margin-top:-20px;position:relative;background:#fff}</style>" + filled("x<p>x", n)
    ),
    "lines that are pulled up": lambda n: (
        "<!doctype html><style>i{display:inline-block;margin-top:-9999px}</style>"
        + filled("<i>x<br>y", n)
    ),
    "tables without width": lambda n: (
        "<style>*{max-width:0}</style>" + filled("<table bgcolor=black><td>x<tr>", n)
    ),
    "boxes that cut off": lambda n: filled(
        "<div style='overflow:hidden;position:relative;top:1px'>x", n
    ),
    "boxes on a line that is cut off": lambda n: (
        "<div style='height:9px;overflow:hidden'>"
        + filled("<b style=display:inline-block>x</b>", n)
    ),
    "outlines": lambda n: filled("x<p style='outline:99px solid'>y", n),
    "tracks of a grid": lambda n: (
        "<div style='display:grid;grid-template-columns:" + filled("1fr ", n) + "'>x"
    ),
    "joiners": lambda n: filled("\u0628\u200c", n),
    "shadow roots": lambda n: filled("<div><template shadowrootmode=open>x</template>y", n),
}
costly = pytest.mark.parametrize("make", COSTLY.values(), ids=COSTLY.keys())


def seconds(html: str) -> float:
    begun = time.process_time()
    html_to_text(html)
    return time.process_time() - begun


class Cost(NamedTuple):
    """What a page takes, counted.

    Attributes:
        steps: of its budget.
        calls: of functions, those in C as well.
        peak: octets of memory.
    """

    steps: int
    calls: int
    peak: int


def cost(html: str) -> Cost:
    steps: list[int] = []
    tracemalloc.start()
    try:
        calls = count_calls(lambda: steps.append(visible_text(html).steps))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Cost(steps[0], calls, peak)


def test_what_is_over_the_limit_is_not_copied() -> None:
    html = "<p>" + "a" * (8 * limits.MAX_HTML_CHARS) + "\U0001f600"  # four octets a character
    tracemalloc.start()
    try:
        visible_text(html)
        assert tracemalloc.get_traced_memory()[1] < 8 * limits.MAX_HTML_CHARS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("part", sampled(range(PARTS), 1, ids=list("abcdef")))
def test_steps_bound_the_cost(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTML_STEPS", 10_000)  # a smaller page is as good a bomb
    for name in list(COSTLY)[part::PARTS]:
        check_cost(name, COSTLY[name](SAMPLE))


def check_cost(name: str, html: str) -> None:
    spent = cost(html)
    # What one sheet or one value costs is known when it was read.
    assert spent.steps <= 2 * Budget(len(html)).total + 8 * len(html), name
    assert spent.calls <= CALLS * (spent.steps + len(html) + 5_000), name
    assert spent.peak <= SAMPLE_MEMORY, name


@pytest.mark.long
@costly
def test_a_megabyte_is_not_costly(make: Callable[[int], str]) -> None:
    html = make(MEGABYTE)
    assert seconds(html) < SECONDS


@pytest.mark.long
def test_25_megabytes_come_back() -> None:
    assert seconds(filled("<p>a<b>b</b></p>", 25 * MEGABYTE)) < SECONDS


@pytest.mark.long
@costly
def test_a_megabyte_takes_little_memory(make: Callable[[int], str]) -> None:
    html = make(MEGABYTE)
    tracemalloc.start()
    try:
        html_to_text(html)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < TIMES * max(MEGABYTE, len(html))


@pytest.mark.parametrize(
    ("html", "defect"),
    [
        pytest.param(
            "<style>" + "a{top:0}" * 30_000 + "</style>x",
            "HTML too costly to tell what is seen: the rest is left out",
            id="rules",
        ),
        pytest.param(
            "<p><table><td>" + "<i>" * 510 + "<b></b></p>" * 9_000,
            "HTML too costly to read",
            id="crossed tags",
        ),
        pytest.param("a<!--b", "HTML that ends within a tag, a comment or a script", id="the end"),
        pytest.param("<p " + "a " * 30_000 + ">b", "a tag over the limit", id="attributes"),
    ],
)
def test_what_is_over_a_limit_is_noted(html: str, defect: str) -> None:
    defects: list[str] = []
    visible_text(html, defects.append)
    assert defect in defects


def test_where_the_budget_is_spent_the_text_ends() -> None:
    rules = "i p{color:red}" * 100 + "i b{display:none}"
    page = f"<style>{rules}</style>" + "<p>seen</p>" * 2_000 + "<i><b>hidden"
    defects: list[str] = []
    seen = visible_text(page, defects.append)
    assert defects == ["HTML too costly to tell what is seen: the rest is left out"]
    assert 0 < seen.text.count("seen") < 2_000
    assert "hidden" not in seen.text
    assert seen.unseen[-1].reason == "too costly"
    assert "hidden" in seen.unseen[-1].text


@pytest.mark.parametrize("steps", range(300, 4_500, 150))
def test_wherever_the_budget_is_spent_nothing_is_raised(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTML_STEPS", steps)
    monkeypatch.setattr(limits, "HTML_STEPS_PER_CHAR", 0)
    box = "<b style=position:absolute;background:#fff>x<i style=display:inline-block>y<p>z"
    seen = visible_text("<div style=position:relative>" + box * 9 + "<p>the end")
    assert "the end" not in seen.text
    assert seen.unseen[-1].reason == "too costly"


@table(
    "html",
    [
        pytest.param(
            "<style>" + "b{top:0}" * 40_000 + "p{display:none}</style><p>secret", id="rules"
        ),
        pytest.param("<style>" + "a{" * 40 + "p{display:none}</style><p>secret", id="nesting"),
        pytest.param(
            "<style>" + "a " * 200 + ",p{display:none}</style><p>secret", id="a long selector"
        ),
        pytest.param(
            "<style>p" + ":not(x" * 20 + ")" * 20 + "{display:none}</style><p>secret",
            id="negations in negations",
        ),
        pytest.param(
            "<p class=x>secret" + "<b></b>" * 20_000 + "<style>.x{display:none}</style>",
            id="a sheet behind more elements than are read",
        ),
        pytest.param(
            "<p class=x>secret" + " " * 2_200_000 + "<style>.x{display:none}</style>",
            id="a sheet behind more characters than are read",
        ),
        pytest.param("<p " + numbered("a{} ", 60_000) + "hidden>secret", id="attributes"),
        pytest.param(
            "<p " + numbered("a{} ", 600_000) + "hidden>secret", id="more attributes than are read"
        ),
        pytest.param("<p style='opacity:calc(0" + "+0" * 3_000 + ")'>secret", id="a sum"),
        pytest.param(
            "<p style='--a:none;"
            + "".join(f"--a{n}:var(--a{n - 1 or ''});" for n in range(1, 90))
            + "display:var(--a89)'>secret",
            id="variables through variables",
        ),
        pytest.param("<div style='filter:invert(1)'>" * 40 + "secret", id="filters in filters"),
        pytest.param(
            "<p style='transform:" + "scale(1) " * 9_000 + "scale(0)'>secret", id="transforms"
        ),
    ],
)
def test_what_is_not_read_makes_nothing_visible(html: str) -> None:
    seen = visible_text(html)
    assert "secret" not in seen.text


def test_what_is_not_shown_is_kept_with_its_reason() -> None:
    html = (
        "<p hidden>one<b>two</b></p>a<p style='color:#fff'>three</p>b<p style='display:if(x)'>four"
    )
    assert visible_text(html).unseen == (
        UnseenText("display", "one two"),
        UnseenText("color", "three"),
        UnseenText("unknown style", "four"),
    )


def test_what_is_nested_too_deep_lies_side_by_side() -> None:
    deep = "<div>" * 1_000 + "a" + "</div>" * 1_000 + "b"
    element, depth = parse_html(deep), 0
    while element.elements():
        element = element.elements()[-1]
        depth += 1
    assert depth == MAX_HTML_NESTING
    assert html_to_text(deep) == "a\nb"


@pytest.mark.parametrize(
    "rounds", [120, pytest.param(1_000, marks=pytest.mark.long)], ids=["some", "many"]
)
def test_broken_html_never_raises(rounds: int) -> None:
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
    for _ in range(rounds):
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


def test_where_the_budget_ends_within_what_hides_texts_the_page_is_known_to_be_unknown() -> None:
    budget = Budget(0)
    budget.left = 1
    canvas = Canvas(budget)
    canvas.hide(1, 4, "position")
    assert budget.left < 0
    assert canvas.hidden


def test_a_page_may_end_within_a_cell() -> None:
    root = parse_html("<table><td style=float:left>one</td></table>two")
    texts = []
    for steps in range(400, 500):
        budget = Budget(0)
        budget.left = steps
        texts.append(render(root, False, budget).text)
    assert texts[0] == ""
    assert texts[-1] == "one\ntwo"
