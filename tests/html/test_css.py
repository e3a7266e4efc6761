"""The parts of CSS that decide whether a text is seen."""

from __future__ import annotations

import pytest

from nornmail.html.css.clipping import clip_path
from nornmail.html.css.color import alike, legacy_color, parse_color
from nornmail.html.css.conditions import media_applies
from nornmail.html.css.stylesheet import StyleSheets
from nornmail.html.css.syntax import Block, declarations, parse_blocks, without_comments
from nornmail.html.css.transforms import transform, turned
from nornmail.html.css.values import Length, length_of, number_of
from nornmail.html.document import parse_html
from nornmail.html.limits import Budget
from nornmail.html.tree import Element
from tests.support.table import table


def rgb(text: str, *, legacy: bool = False) -> tuple[int, ...] | None:
    color = legacy_color(text) if legacy else parse_color(text)
    return None if color is None else (*map(round, color[:3]), round(color.alpha * 100))


@table(
    ("text", "color"),
    [
        ("rebeccapurple", (102, 51, 153, 100)),
        ("#abc", (170, 187, 204, 100)),
        ("#abcd", (170, 187, 204, 87)),
        ("#01020380", (1, 2, 3, 50)),
        ("rgb(1,2,3)", (1, 2, 3, 100)),
        ("rgb(1 2 3 / 50%)", (1, 2, 3, 50)),
        ("rgba(10%, 20%, 30%, .5)", (26, 51, 76, 50)),
        ("rgb(calc(200 + 55) 300 -5)", (255, 255, 0, 100)),
        ("rgb(none 0 0)", (0, 0, 0, 100)),
        ("hsl(120deg 100% 25%)", (0, 128, 0, 100)),
        ("hsla(0.5turn,100%,50%,0)", (0, 255, 255, 0)),
        ("oklab(1 0 0)", (255, 255, 255, 100)),
        ("oklch(62.8% 0.2577 29.23)", (255, 0, 0, 100)),
        ("transparent", (0, 0, 0, 0)),
        ("canvas", (255, 255, 255, 100)),
        ("#12", None),
        ("#ggg", None),
        ("ffffff", None),
        ("rgb(1,2)", None),
        ("rgb(1px 2 3)", None),
        ("hsl(red 1% 2%)", None),
        ("bogus", None),
        ("rgb(", None),
    ],
)
def test_a_color(text: str, color: tuple[int, ...] | None) -> None:
    assert rgb(text) == color


@table(
    ("text", "color"),
    [
        ("#fff", (255, 255, 255, 100)),
        ("ffffff", (255, 255, 255, 100)),
        (" White ", (255, 255, 255, 100)),
        ("chucknorris", (192, 0, 0, 100)),
        ("#f", (15, 0, 0, 100)),
        ("x" * 1_000, (0, 0, 0, 100)),
        ("", None),
        ("transparent", None),
    ],
)
def test_a_color_of_an_attribute(text: str, color: tuple[int, ...] | None) -> None:
    assert rgb(text, legacy=True) == color


@table(
    ("one", "two", "same"),
    [
        ("white", "#f0f0f0", True),
        ("white", "#dddddd", False),
        ("black", "#161616", True),
        ("black", "#333333", False),
        ("yellow", "white", False),
        ("red", "#008000", False),
        ("navy", "#00007a", True),
    ],
)
def test_whether_colors_can_be_told_apart(one: str, two: str, same: bool) -> None:
    first, second = parse_color(one), parse_color(two)
    assert first is not None
    assert second is not None
    assert alike(first, second) is same


@table(
    ("text", "pixels"),
    [
        ("12px", 12), ("0", 0), ("1e1px", 10), (".5in", 48), ("12pt", 16), ("2em", 20),
        ("50%", 50), ("1vw", 10.24), ("1rem", 16), ("calc(1px + 2 * (3px - 1px))", 5),
        ("calc(100% - 10px)", 90), ("min(1px, 2em)", 1), ("max(1px, 2em)", 20),
        ("clamp(1px, 5px, 3px)", 3), ("calc(1px / 0)", 1e7), ("-9999px", -9999),
        ("5.px", None), ("1 px", None), ("calc(1px", 1), ("calc()", None), ("abc", None),
        ("calc(" * 100, None), ("1foo", None), ("9" * 400 + "px", 1e7),
    ],
)  # fmt: skip
def test_a_length(text: str, pixels: float | None) -> None:
    length = length_of(text)
    assert (None if length is None else length.pixels(10, 100)) == pixels


@table(
    ("text", "number"),
    [("1", 1), ("50%", 0.5), ("0%", 0), ("0px", None), ("calc(1 / 4)", 0.25), ("x", None)],
)
def test_a_number(text: str, number: float | None) -> None:
    assert number_of(text) == number


@table(
    ("css", "found"),
    [
        ("a:b;c:d", ["a:b", "c:d"]),
        ("A : B ! important", ["a:b!"]),
        ("a:url(x;y);c:'d;e'", ["a:url(x;y)", "c:'d;e'"]),
        ("\\61 :\\62", ["a:b"]),
        ("/*x*/a/*;*/:b/*", ["a:b"]),
        ("--A:B", ["--A:B"]),
        (";;a;:b;c:", ["c:"]),
        ("a:b}c:d", ["a:b}c:d"]),
        ("a:(b;c", ["a:(b;c"]),
    ],
)
def test_declarations(css: str, found: list[str]) -> None:
    read = declarations(without_comments(css))
    assert [f"{one.name}:{one.value}{'!' if one.important else ''}" for one in read] == found


@table(
    ("css", "preludes"),
    [
        ("a{b}c{d}", ["a", "c"]),
        ("@import x;a{b}", ["@import x", "a"]),
        ("x;a{b}", ["x;a"]),
        ("<!-- a{b} -->c{d}", ["a", "c"]),
        ("a{b{c}d}e{f", ["a", "e"]),
        ("a[b='{']{c}", ["a[b='{']"]),
        ("}a{b}", ["}a"]),
    ],
)
def test_statements_of_a_sheet(css: str, preludes: list[str]) -> None:
    root, _ = parse_blocks(css, is_sheet=True)
    assert [item.prelude for item in root.items if isinstance(item, Block)] == preludes


@table(
    ("query", "applies"),
    [
        ("", True), ("all", True), ("screen", True), ("print", False), ("print, screen", True),
        ("only screen and (max-width: 600px)", False), ("(min-width:600px)", True),
        ("not print", True), ("not screen", False), ("(width >= 600px)", True),
        ("(400px < width < 700px)", False), ("screen and (orientation:landscape)", True),
        ("(prefers-color-scheme: dark)", False), ("not all and (monochrome)", True),
        ("(max-device-width:480px)", False), ("(-webkit-min-device-pixel-ratio:2)", False),
        ("(min-resolution: 192dpi)", False), ("((min-width:1px) or (max-width:1px))", True),
        ("(bogus: 1)", False), ("(", False), ("(not (width < 1px))", True),
    ],
)  # fmt: skip
def test_a_media_query(query: str, applies: bool) -> None:
    assert media_applies(query) is applies


@table(
    ("text", "scale"),
    [
        ("none", 1), ("scale(0)", 0), ("scale(2,.5)", 0.5), ("matrix(1,0,0,1,5,5)", 1),
        ("matrix(1,1,1,1,0,0)", 0), ("rotatex(90deg)", 0), ("scalex(.5) scale(.5)", 0.25),
        ("scale3d(1,0,1)", 0), ("perspective(9px) translatez(9px)", 0),
        ("perspective(10px) translatez(-30px)", 0.25), ("scalez(0)", 0),
        ("bogus(1)", None), ("scale(0) x", None), ("", None),
    ],
)  # fmt: skip
def test_a_transform(text: str, scale: float | None) -> None:
    steps = transform(text)
    corner = (Length(), Length())
    assert (None if steps is None else round(turned(steps, corner, 100).scale, 3)) == scale


@table(
    ("text", "closed"),
    [
        ("none", "none"), ("inset(50%)", True), ("inset(10%)", True), ("inset(0 100% 0 0)", True),
        ("inset(0 round 5px)", False), ("circle(0 at 50% 50%)", True), ("circle(40%)", True),
        ("ellipse(0 50%)", True), ("polygon(0 0,100% 0,0 100%)", False), ("polygon(0 0,9px 9px)",
        True), ("rect(0 0 0 0)", True), ("xywh(0 0 0 5px)", True), ("path('m0 0')", True),
        ("bogus", None), ("inset(a)", None),
    ],
)  # fmt: skip
def test_a_clip_path(text: str, closed: bool | str | None) -> None:
    assert clip_path(text) == closed


PAGE = (
    "<div id=d class='a b'><p class=x title='one two' lang=en-GB>1</p><p>2</p>"
    "<b data-y=Q>3</b><p>4<i>5</i></p><a href=#>6</a></div>"
)


@table(
    ("selector", "texts"),
    [
        ("p", "1245"), (".x", "1"), ("#d", "123456"), ("div.a.b", "123456"), ("div.c", ""),
        ("p:first-child", "1"), ("p:last-of-type", "45"), ("p:nth-child(2n)", "245"),
        ("p:nth-child(-n+2)", "12"), (":nth-last-child(1)", "56"), ("p+p", "2"),
        ("p~b", "3"), ("b + p > i", "5"), ("div i", "5"), ("div > i", ""), ("[title]", "1"),
        ("[title~=two]", "1"), ("[title^='one']", "1"), ("[title$=two]", "1"), ("[title*=' ']",
        "1"), ("[lang|=en]", "1"), ("[data-y=q]", ""), ("[data-y=q i]", "3"), (":not(p,div,html)",
        "356"), (":is(b,i)", "35"), (":where(b)", "3"), (":link", "6"),
        ("b:hover", ""), ("p::before", ""), (":bogus,p", ""),
        ("p,b", "12453"),
        ("p:not(.x):nth-of-type(odd)", "45"), ("div p:nth-child(2 )", "2"), ("p..x", ""),
        ("> p", ""),
        ("i:only-child", "5"), ("\\70", "1245"),
        ("*|p", "1245"), ("p:empty", ""),
    ],
)  # fmt: skip
def test_a_selector(selector: str, texts: str) -> None:
    root = parse_html(f"<!doctype html>{PAGE}<style>{selector}{{display:none}}</style>")
    sheets = StyleSheets(root, False, Budget(0))
    found = [one for one in root.walk() if _applies(sheets, one)]
    assert sorted("".join(one.text() for one in found)) == sorted(texts)


def _applies(sheets: StyleSheets, element: Element) -> bool:
    rules, _ = sheets.rules_of(element)
    is_chosen = any(not entry.rule.selector.pseudo for entry in rules)
    return is_chosen and element.name not in ("html", "head", "body", "style")


@table(
    "css",
    [
        pytest.param("#d p{yes}p.x{no}", id="an id counts more than a class"),
        pytest.param(".x{yes}p{no}", id="a class counts more than a name"),
        pytest.param(":where(#d.a) p{no}:where(#d .x){no}p{yes}", id="where counts nothing"),
        pytest.param("p{no}p{yes}", id="the later of equals"),
        pytest.param(":is(#no,p){yes}.x.x{no}", id="is counts as its most specific"),
        pytest.param("div p{yes}p{no}", id="two names count more than one"),
        pytest.param("[title].x{yes}p.x{no}", id="an attribute counts as a class"),
    ],
)  # fmt: skip
def test_what_counts_more(css: str) -> None:
    css = css.replace("{yes}", "{color:red}").replace("{no}", "{color:blue}")
    root = parse_html(f"{PAGE}<style>{css}</style>")
    (element,) = [one for one in root.walk() if one.classes == ["x"]]
    rules, _ = StyleSheets(root, False, Budget(0)).rules_of(element)
    assert rules[-1].rule.block.sets["color"] == parse_color("red")
