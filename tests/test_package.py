"""The names at the top of the package: all there, and loaded when they are asked for."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

import nornmail
from tests.support.package import package_directory


def typed_names() -> dict[str, str]:
    """What the type checker sees: the imports under TYPE_CHECKING, by name."""
    tree = ast.parse((package_directory() / "__init__.py").read_text("utf-8"))
    return {
        alias.name: node.module
        for outer in tree.body
        if isinstance(outer, ast.If)
        for node in outer.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def test_the_type_checker_sees_what_a_program_gets() -> None:
    assert set(nornmail.__all__) == typed_names().keys() | {"__version__"}
    for name, home in typed_names().items():
        assert getattr(nornmail, name) is getattr(import_module(home), name), name


def test_every_name_is_listed() -> None:
    assert set(nornmail.__all__) <= set(dir(nornmail))


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nornmail' has no attribute 'Pollar'"):
        nornmail.Pollar  # noqa: B018


def test_a_star_import_has_all_of_them() -> None:
    found: dict[str, object] = {}
    exec("from nornmail import *", found)  # noqa: S102
    assert set(nornmail.__all__) <= found.keys()


def test_importing_the_package_imports_no_room() -> None:
    code = "import sys, nornmail; print(*sorted(n for n in sys.modules if n[:9] == 'nornmail.'))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(package_directory().parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["nornmail._version"]


def test_the_sbom_of_the_wheel_lists_this_version_without_components() -> None:
    path = Path(__file__).parent.parent / "docs" / "nornmail.cdx.json"
    sbom = json.loads(path.read_text("utf-8"))
    component = sbom["metadata"]["component"]
    assert component["version"] == nornmail.__version__
    assert component["purl"] == f"pkg:pypi/nornmail@{nornmail.__version__}"
    assert sbom["components"] == []
    assert sbom["dependencies"] == [{"ref": component["bom-ref"], "dependsOn": []}]


HEAVY = {"asyncio", "ssl", "email", "imaplib", "smtplib", "html", "http", "urllib"}
"""Modules of the standard library that are loaded when they are used."""
FIRST_LINE = "from nornmail import Poller, SqliteStateStore, ImapSettings"
MOST_MODULES = 50
"""Modules of the package that the first line of a program loads. Each costs about a millisecond."""
MOST_RECORDS = 15
"""Dataclasses of the package that it makes. Each costs half a millisecond on Python 3.11."""


def test_the_first_line_of_a_program_loads_only_what_a_poller_is_made_of() -> None:
    code = (
        "import dataclasses, json, sys\n"
        "made = []\n"
        "real = dataclasses._process_class\n"
        "def counted(cls, *rest, **more):\n"
        "    made.append(cls.__qualname__)\n"
        "    return real(cls, *rest, **more)\n"
        "dataclasses._process_class = counted\n"
        f"before = set(sys.modules)\n{FIRST_LINE}\n"
        "print(json.dumps([sorted(set(sys.modules) - before), made]))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code],  # without what a site loads
        env={"PYTHONPATH": str(package_directory().parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules, made = json.loads(ended.stdout)
    ours = [name for name in modules if name.startswith("nornmail")]
    assert len(ours) <= MOST_MODULES, ours
    assert not HEAVY & set(modules)
    assert len(made) <= MOST_RECORDS, made


def test_dir_and_help_begin_with_the_public_names() -> None:
    assert dir(nornmail) == sorted(nornmail.__all__)
    example = textwrap.dedent((nornmail.__doc__ or "").partition("\n\n")[2].partition("\n\n`")[0])
    assert len(example.splitlines()) >= 10
    compile(example, "the example", "exec")
    imported = re.findall(r"from nornmail import (.*)", example)[0].split(", ")
    assert set(imported) <= set(nornmail.__all__)
