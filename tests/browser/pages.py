"""Random pages of what mail programs honour: a tree, a sheet, and words that may be hidden."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

_DECLARATIONS: Final = (
    "display:none", "display:block", "display:inline", "display:inline-block", "display:contents",
    "display:table-cell", "display:flex", "visibility:hidden", "visibility:visible",
    "visibility:collapse", "opacity:0", "opacity:.5", "opacity:1", "font-size:0", "font-size:0px",
    "font-size:12px", "font-size:1.5em", "font-size:80%", "font-size:medium", "font:14px/1.5 serif",
    "color:#fff", "color:#000", "color:white", "color:red", "color:rgb(255,255,255)",
    "color:transparent", "color:inherit", "color:#333", "background:#fff", "background:#000",
    "background-color:transparent", "background:navy", "background-color:inherit",
    "overflow:hidden", "overflow:visible", "overflow:auto", "height:0", "height:40px",
        "height:auto",
    "width:0", "width:200px", "width:100%", "max-height:0", "max-height:100px", "max-width:0",
    "max-width:600px", "min-height:30px", "min-width:100px", "line-height:0", "line-height:1.4",
    "text-indent:-9999px", "text-indent:20px", "letter-spacing:1px", "position:absolute",
    "position:relative", "position:static", "left:-9999px", "left:20px", "top:-9999px", "top:10px",
    "right:-9999px", "margin:0", "margin:10px", "margin-left:-9999px", "margin-top:-9999px",
    "margin:0 auto", "padding:0", "padding:10px", "padding-left:30px", "float:left", "float:right",
    "clear:both", "text-align:center", "text-align:right", "white-space:nowrap", "mso-hide:none",
    "transform:scale(0)", "transform:none", "transform:translateX(-9999px)", "transform:scale(.9)",
    "transform:rotate(2deg)", "filter:opacity(0)", "filter:invert(1)", "filter:none",
    "clip-path:inset(50%)", "clip-path:none", "clip:rect(0,0,0,0)", "z-index:1", "border:1px solid",
    "text-shadow:0 0 1px #000", "text-decoration:none", "box-sizing:border-box", "zoom:1",
    "content-visibility:hidden", "mix-blend-mode:normal", "text-transform:uppercase",
)  # fmt: skip
_HIDING: Final = tuple(
    declaration for declaration in _DECLARATIONS
    if declaration.endswith((":none", ":hidden", ":0", "-9999px", "0px", "#fff", "collapse"))
)  # fmt: skip
_BLOCKS: Final = ("div", "p", "h2", "center", "blockquote", "section", "td")
_INLINES: Final = ("span", "b", "font", "a", "i", "small", "strong", "em")
_SELECTORS: Final = (
    ".{c}", "{e}", "#{i}", "{e}.{c}", ".{c} {e}", "body .{c}", "div>{e}", "{e}+{e}", "{e}~.{c}",
    ".{c}>{e}", "{e}:first-child", "{e}:last-child", ".{c}:nth-child(2)", "{e}:not(.{c})", "*",
    "[class={c}]", "td {e}", ":is(.{c},#{i})", "html .{c}", "body>{e}", "{e}:only-child",
    "{e}:empty", ".{c}:hover", "{e}::before", "a:link", "{e}:nth-of-type(odd)", ".{c}+.{c}",
)  # fmt: skip
_CONDITIONS: Final = (
    "@media screen", "@media print", "@media (max-width:600px)", "@media (min-width:400px)",
    "@media only screen and (max-device-width:480px)", "@supports (display:grid)",
    "@media (prefers-color-scheme:dark)", "@layer low", "@supports not (display:block)",
    "@media not all", "@media screen and (orientation:landscape)",
)  # fmt: skip
_CLASSES: Final = ("a", "b", "c")
_IDS: Final = ("x", "y")
_DEEPEST: Final = 5
_DIGITS: Final = "234567"
"""Digits of one width, whatever stands next to them: some fonts kern the others."""


class RandomPage(NamedTuple):
    """A page, and the words in it: each is five digits, and others of the same width exist."""

    html: str
    words: tuple[str, ...]


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.words: list[str] = []

    def word(self) -> str:
        word = "".join(self._rng.choice(_DIGITS) for _ in range(5))
        self.words.append(word)
        return word

    def style(self) -> str:
        rng = self._rng
        count = rng.choice((1, 1, 2, 2, 3, 5))
        pool = _HIDING if rng.random() < 0.3 else _DECLARATIONS
        chosen = [rng.choice(pool), *(rng.choice(_DECLARATIONS) for _ in range(count - 1))]
        return ";".join(
            declaration + ("!important" if rng.random() < 0.08 else "") for declaration in chosen
        )

    def attributes(self, name: str) -> str:
        rng = self._rng
        parts = []
        if rng.random() < 0.4:
            parts.append(f'class="{rng.choice(_CLASSES)}"')
        if rng.random() < 0.15:
            parts.append(f"id={rng.choice(_IDS)}")
        if rng.random() < 0.35:
            parts.append(f'style="{self.style()}"')
        if name in ("td", "table") and rng.random() < 0.25:
            parts.append(f"bgcolor={rng.choice(('#ffffff', 'black', '#003366'))}")
        if name == "font" and rng.random() < 0.6:
            parts.append(rng.choice(("color=white", "color=#000000", "size=1", "size=5")))
        if rng.random() < 0.02:
            parts.append("hidden")
        return " ".join(("", *parts))

    def content(self, depth: int, count: int) -> str:
        return "".join(self.node(depth) for _ in range(count))

    def node(self, depth: int) -> str:
        rng = self._rng
        choice = rng.random()
        if depth >= _DEEPEST or choice < 0.2:
            return "text " if rng.random() < 0.5 or len(self.words) > 1 else self.word() + " "
        if choice < 0.5:
            name = rng.choice(_INLINES)
            inside = self.content(depth + 1, rng.randint(1, 2))
        elif choice < 0.85:
            name = rng.choice(_BLOCKS)
            inside = self.content(depth + 1, rng.randint(1, 3))
        else:
            rows = "".join(
                f"<tr{self.attributes('tr')}>"
                + "".join(
                    f"<td{self.attributes('td')}>{self.content(depth + 2, 1)}</td>"
                    for _ in range(rng.randint(1, 2))
                )
                + "</tr>"
                for _ in range(rng.randint(1, 2))
            )
            return f"<table{self.attributes('table')}>{rows}</table>"
        end = "" if rng.random() < 0.06 else f"</{name}>"
        return f"<{name}{self.attributes(name)}>{inside}{end}"

    def rule(self) -> str:
        rng = self._rng
        selector = rng.choice(_SELECTORS)
        for mark, names in (("{c}", _CLASSES), ("{e}", _BLOCKS + _INLINES), ("{i}", _IDS)):
            while mark in selector:
                selector = selector.replace(mark, rng.choice(names), 1)
        rule = f"{selector}{{{self.style()}}}"
        return f"{rng.choice(_CONDITIONS)}{{{rule}}}" if rng.random() < 0.2 else rule


def random_page(seed: int) -> RandomPage:
    """The page of this seed."""
    rng = random.Random(seed)
    writer = _Writer(rng)
    rules = "".join(writer.rule() for _ in range(rng.randint(0, 6)))
    body = writer.content(0, rng.randint(2, 4))
    while len(writer.words) < 2:
        name = rng.choice(_BLOCKS[:-1] + _INLINES)
        body += f"<{name}{writer.attributes(name)}>{writer.word()}</{name}>"
    doctype = "<!doctype html>" if rng.random() < 0.6 else ""
    frame = f"<body{writer.attributes('body') if rng.random() < 0.2 else ''}>"
    sheet = f"<style>{rules}</style>" if rules else ""
    return RandomPage(f"{doctype}{sheet}{frame}{body}", tuple(writer.words))


def other_word(word: str) -> str:
    """Another word of the same width."""
    return "".join(str(9 - int(digit)) for digit in word)
