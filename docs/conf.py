"""Sphinx configuration of the documentation's site; `nox -s docs` builds it.

`README.md` is the index: its tables of links become the navigation, and `llms.txt`.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import nornmail

project = "nornmail"
author = copyright = "the nornmail authors"
version = release = nornmail.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"nornmail {version}"
html_show_sphinx = False

myst_heading_anchors = 3
myst_links_external_new_tab = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
toc_object_entries = False
# Names of the standard library in signatures are not looked up: the build needs no network.
nitpicky = False
# HTTP and .env have no lexer that knows our placeholders.
suppress_warnings = ["misc.highlighting_failure"]

REPOSITORY = "https://github.com/nornmail/nornmail/blob/main/"
PAGES_OF_NAMES = "reference/names"
STYLE = "nornmail.css"
RULES = """\
@media (max-width: 30em) { h1 { font-size: 1.9em } }
td:first-child code { white-space: nowrap }
"""
"""For telephones: a heading of one word fits. An option in a table is not broken."""
_SECTION = re.compile(r"^## (?P<title>.+)$", re.M)
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_ROW = re.compile(r"^\| \[(?P<title>[^]]+)\]\((?P<page>[^)]+\.md)\) \| (?P<question>.+?) \|$", re.M)


def sections(index: str) -> list[tuple[str, list[re.Match[str]]]]:
    """The headings of the index, each with the rows of its table."""
    parts = _SECTION.split(index)
    return [
        (title, list(_ROW.finditer(text)))
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    ]


def add_navigation(index: str) -> str:
    """The index with a hidden table of contents for each of its sections."""
    trees = [
        "\n".join(
            ["```{toctree}", ":hidden:", f":caption: {title}", ""]
            + [row["page"].removesuffix(".md") for row in rows]
            + ([PAGES_OF_NAMES] if title == "Reference" else [])
            + ["```"]
        )
        for title, rows in sections(index)
        if rows
    ]
    return "\n\n".join([index, *trees])


def link_to_repository(text: str, page: str) -> str:
    """The text of a page, with its links to files outside `docs/` leading to the repository."""

    def replacement(link: re.Match[str]) -> str:
        target = link["target"]
        path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), target))
        inside = path.startswith("docs/") and path.endswith((".md", ".png", ".svg"))
        if ":" in target or inside:
            return link[0]
        return f"]({REPOSITORY}{path}{link['anchor'] or ''})"

    return _LINK.sub(replacement, text)


def read_page(app: Any, page: str, source: list[str]) -> None:
    """Adapt a page to the site: links out of `docs/`, and the navigation."""
    text = link_to_repository(source[0], page)
    source[0] = add_navigation(text) if page == root_doc else text


def write_names(app: Any) -> None:
    """Write a page for each public name, from its docstring, and one that lists them."""
    directory = Path(app.srcdir, PAGES_OF_NAMES)
    directory.mkdir(exist_ok=True)
    names = [name for name in nornmail.__all__ if not name.startswith("_")]
    for name in names:
        value = getattr(nornmail, name)
        kind = "autoclass" if isinstance(value, type) else "autofunction"
        if not callable(value):
            kind = "autodata"
        members = (
            "\n:members:\n:inherited-members: BaseException\n" if kind == "autoclass" else "\n"
        )
        directive = f".. {kind}:: nornmail.{name}" + members.replace("\n:", "\n   :")
        (directory / f"{name}.md").write_text(
            f"# {name}\n\n```{{eval-rst}}\n{directive}```\n", encoding="utf-8"
        )
    listing = "\n".join(f"names/{name}" for name in names)
    Path(app.srcdir, f"{PAGES_OF_NAMES}.md").write_text(
        "# Public names\n\nEvery name that `nornmail` exports, from its docstring.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listing}\n```\n",
        encoding="utf-8",
    )


def write_extras(app: Any, failure: Exception | None) -> None:
    """Write the style, the page of the site's root, and `llms.txt` with the pages it links to.

    `llms.txt` is the index as a list, for programs that read documentation.
    """
    if failure is not None:
        return
    Path(app.outdir, "_static", STYLE).write_text(RULES, encoding="utf-8")
    target = f"{root_doc}.html"
    Path(app.outdir, "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><title>{html_title}</title>'
        f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">{html_title}</a>',
        encoding="utf-8",
    )
    index = Path(app.srcdir, f"{root_doc}.md").read_text(encoding="utf-8")
    lines = [f"# nornmail {version}", "", "> A mailbox for a program, in pure Python.", ""]
    for title, rows in sections(index):
        lines += [f"## {title}", ""]
        lines += [f"- [{row['title']}]({row['page']}): {row['question']}" for row in rows]
        lines += [""]
        for row in rows:
            page = Path(app.outdir, row["page"])
            page.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(app.srcdir, row["page"]), page)
    Path(app.outdir, "llms.txt").write_text(os.linesep.join(lines), encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the steps above to the build."""
    app.connect("builder-inited", write_names)
    app.connect("source-read", read_page)
    app.connect("build-finished", write_extras)
    app.add_css_file(STYLE)
