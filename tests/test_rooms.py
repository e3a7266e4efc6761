"""Every room imports only what the house lets it know: see ``docs/explanation/architecture.md``."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest

from tests.support.package import package_directory
from tests.support.table import table

PUBLIC = "nornmail"
"""The names at the top of the package, as a user imports them."""

_VALUES = {"errors", "model", "uidset"}
MAY_KNOW: dict[str, set[str]] = {
    # The root is vocabulary: each module knows only those above it.
    "_version": set(),
    "errors": set(),
    "clock": set(),
    "locks": {"errors"},
    "files": {"errors", "locks"},
    "uidset": set(),
    "defects": set(),
    "model": {"errors", "uidset"},
    "outgoing": {"errors"},
    "context": {"errors"},
    "retry": {"errors", "model"},
    "events": {"model", "outgoing", "clock"},
    # A variable that names a token file is read as the callback in net/oauth.
    "settings": {"errors", "net"},
    "net": {"errors", "clock", "locks", "files"},
    # Mail comes in.
    "imap": _VALUES | {"net", "settings", "clock", "_version"},
    "html": {"defects"},
    "message": _VALUES | {"html", "defects"},
    "poller": _VALUES
    | {"imap", "message", "stores", "settings"}
    # Its registry: a poller drains the mailers of its store, and notes bounces of their mail.
    | {"outbox"}
    # What ends a wait for the server when the poller is stopped.
    | {"net"}
    | {"events", "retry", "context", "clock"},
    # Mail goes out.
    "smtp": _VALUES | {"net", "settings", "outgoing", "clock"},
    "compose": _VALUES | {"message", "html", "outgoing", "settings"},
    "outbox": _VALUES
    | {"compose", "smtp", "message", "stores", "settings", "net"}
    | {"outgoing", "events", "retry", "context", "clock"},
    "stores": _VALUES | {"outgoing", "clock", "locks", "files"},
    # What `status` prints, over the views of a store.
    "summary": _VALUES | {"outgoing", "clock", "stores"},
    "oauth_login": {"errors", "clock", "settings", "net"},
    "diagnostics": _VALUES
    | {"compose", "net", "settings", "imap", "smtp", "stores", "message", "poller"},
    "webhook": {"errors", "message", "net", "_version"},
    # In front of the package: only what a user can import.
    "testing": set(),
    # The contract of a store is about its values; the test server knows nothing of them.
    "testing/stores": _VALUES | {"outgoing"},
    "pytest_plugin": {"testing"},
    # "events" is public as a module: a poller's program imports from it what it wants to know.
    "cli": {PUBLIC, "events", "testing", "demo", "web"},
    "demo": {PUBLIC, "testing", "cli"},
    "__main__": {PUBLIC, "testing", "cli", "demo", "web"},
    "web": {PUBLIC, "events"},
}
OUTSIDE = {"testing/stores", "cli", "demo", "__main__", "web", "testing", "pytest_plugin"}
"""What stands before the package's door: nothing of the library proper leans on it."""
MAY_KNOW["__init__"] = MAY_KNOW.keys() - OUTSIDE
ONLY_IN = {"imaplib": "imap", "smtplib": "smtp", "pytest": "pytest_plugin"}
ALLOWED = sys.stdlib_module_names | {"pytest"}


_IMPORT = re.compile(r"^[ \t]*((?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(?:\([^()]*\)|[^\n]*))", re.M)


@cache
def imports(source: str) -> list[ast.Import | ast.ImportFrom]:
    """The statements of ``source`` that import, wherever they stand.

    A syntax tree is large: it is made of their lines alone, where each of these is a statement and
    none an example in a docstring.
    """
    lines = list(_IMPORT.finditer(source))
    if not any(source.count('"""', 0, line.start()) % 2 for line in lines):
        with suppress(SyntaxError):
            tree = ast.parse("\n".join(line[1] for line in lines))
            return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    found = []
    blocks: list[ast.AST] = [ast.parse(source)]
    while blocks:
        for node in ast.iter_child_nodes(blocks.pop()):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found.append(node)
            elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
                blocks.append(node)  # no statement stands within an expression
    return found


def imported(source: str, module: str) -> Iterator[str]:
    """The full names that ``source``, the text of ``module``, imports anywhere."""
    for node in imports(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def offences(source: str, path: str) -> list[str]:
    """What the module at ``path``, relative to the package, imports and may not."""
    module = ".".join(("nornmail", *Path(path).with_suffix("").parts))
    file = Path(path).with_suffix("").as_posix()
    room = file if file in MAY_KNOW else module.split(".")[1]
    if room not in MAY_KNOW:
        return [f"{path}: no room of this name is in the table"]
    found = []
    for name in imported(source, module):
        top, _, rest = name.partition(".")
        if top != "nornmail":
            if top not in ALLOWED or ONLY_IN.get(top, room) != room:
                found.append(f"{path}: {room} may not know {top}")
            continue
        known = rest.partition(".")[0]
        if known not in MAY_KNOW and "." not in rest:
            known = PUBLIC  # `import nornmail`, or a name from its top
        if known != room and known not in MAY_KNOW[room]:
            found.append(f"{path}: {room} may not know {known}")
    return found


def test_no_room_knows_what_it_may_not() -> None:
    package = package_directory()
    files = sorted(package.rglob("*.py"))
    assert files
    found = [
        offence
        for file in files
        for offence in offences(file.read_text("utf-8"), file.relative_to(package).as_posix())
    ]
    assert not found, "\n".join(found)


@table(
    ("path", "source"),
    [
        pytest.param("model.py", "from nornmail.settings import X", id="a later room"),
        pytest.param("model.py", "from nornmail import settings", id="a room as a name"),
        pytest.param("model.py", "import nornmail.stores.protocol", id="a module in a room"),
        pytest.param("model.py", "import nornmail", id="the whole package from inside"),
        pytest.param(
            "poller/poller.py", "from nornmail.attic import x", id="a room that is not listed"
        ),
        pytest.param("imap/wire.py", "from ..stores import base", id="a relative import"),
        pytest.param("imap/__init__.py", "from ..stores import base", id="relative in a package"),
        pytest.param("imap/wire.py", "from .. import poller", id="a relative import of a room"),
        pytest.param("errors.py", "def f():\n    import nornmail.model", id="within a function"),
        pytest.param(
            "testing/mail_server.py", "from nornmail.imap import wire", id="a shared parser"
        ),
        pytest.param("cli.py", "from nornmail.stores import base", id="past the public names"),
        pytest.param(
            "poller/poller.py", "from nornmail.testing import x", id="the poller in a test kit"
        ),
        pytest.param("clock.py", "import pytest", id="outside the standard library"),
        pytest.param("poller/poller.py", "import imaplib", id="imaplib outside imap"),
        pytest.param("imap/wire.py", "from smtplib import SMTP", id="smtplib outside smtp"),
        pytest.param("attic.py", "", id="a room that is not in the table"),
    ],
)
def test_an_offence_is_seen(path: str, source: str) -> None:
    assert len(offences(source, path)) == 1


@table(
    ("path", "source"),
    [
        pytest.param("imap/wire.py", "import imaplib", id="imaplib in imap"),
        pytest.param("imap/wire.py", "from .responses import x", id="its own folder, relatively"),
        pytest.param("imap/wire.py", "from nornmail.model import x", id="a room it may know"),
        pytest.param("cli.py", "from nornmail import Poller", id="a public name"),
        pytest.param(
            "cli.py", "import nornmail.testing.mail_server", id="the test kit from the cli"
        ),
        pytest.param(
            "poller/poller.py", "from nornmail import stores", id="the poller and its stores"
        ),
    ],
)
def test_what_is_allowed_is_no_offence(path: str, source: str) -> None:
    assert offences(source, path) == []


def imports_between_files(package: Path) -> dict[str, set[str]]:
    """For every module below ``package``, the modules of the package that it imports."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        name = ".".join((PUBLIC, *parts)).removesuffix(".__init__")
        modules[name] = file
    graph: dict[str, set[str]] = {}
    for module, file in modules.items():
        # A relative import of a package starts from the package itself.
        source = f"{module}.__init__" if file.name == "__init__.py" else module
        graph[module] = set()
        for name in imported(file.read_text("utf-8"), source):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            if name not in ("", module, PUBLIC):
                graph[module].add(name)
    return graph


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules of ``graph`` that reach themselves, after all others are taken away."""
    left = {module: set(known) for module, known in graph.items()}
    while True:
        users: dict[str, set[str]] = {module: set() for module in left}
        for module, known in left.items():
            for other in known & left.keys():
                users[other].add(module)
        ends = {m for m in left if not left[m] & left.keys() or not users[m]}
        if not ends:
            return sorted(left)
        left = {module: known for module, known in left.items() if module not in ends}


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = imports_between_files(package_directory())
    assert len(graph) > 100
    assert not circles(graph)


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        pytest.param({"a": {"b"}, "b": set()}, [], id="a line is no circle"),
        pytest.param({"a": {"b"}, "b": {"a"}}, ["a", "b"], id="two files"),
        pytest.param(
            {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"c"}}, ["b", "c"], id="with a way in"
        ),
        pytest.param({"a": {"b", "gone"}, "b": set()}, [], id="a module outside the graph"),
    ],
)
def test_a_circle_is_seen(graph: dict[str, set[str]], found: list[str]) -> None:
    assert circles(graph) == found


ONE_MEANING = {
    # Both protocols have it.
    "connection", "diagnose", "errors", "limits", "login", "wire", "session",
    # The test server has the counterpart of the client's file.
    "client", "fetch", "mailboxes", "oauth", "transaction", "faults", "grammar",
    # It is read here, and written there.
    "addresses", "attachments", "headers",
    # The poller's and the mailer's; a command, a resource or a file of it.
    "accounts", "inboxes", "outbox", "status",
}  # fmt: skip
"""Names that several modules have, with one meaning."""
SMALL, ONE_SMALL_IN = 60, 8
"""Lines below which a file is small, and of how many files one may be."""
MOST_FILES = 215


def differ_by_a_letter(a: str, b: str) -> bool:
    """Whether one letter is another one, or is missing."""
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    at = next((i for i, char in enumerate(shorter) if char != longer[i]), len(shorter))
    return a != b and longer[at + 1 :] == shorter[at + len(shorter) + 1 - len(longer) :]


@table(
    ("a", "b", "similar"),
    [
        pytest.param("line", "lines", True, id="a letter more"),
        pytest.param("http", "https", True, id="a letter less"),
        pytest.param("handing", "handling", True, id="a letter within"),
        pytest.param("readers", "headers", True, id="another letter"),
        pytest.param("wire", "wire", False, id="the same name"),
        pytest.param("worker", "worker_pool", False, id="a word more"),
        pytest.param("status", "state", False, id="two letters"),
    ],
)
def test_names_that_differ_by_a_letter_are_seen(a: str, b: str, similar: bool) -> None:
    assert differ_by_a_letter(a, b) is similar
    assert differ_by_a_letter(b, a) is similar


def test_each_module_has_a_name_of_its_own() -> None:
    names = [file.stem for file in package_directory().rglob("[!_]*.py")]
    several = {name for name, count in Counter(names).items() if count > 1}
    assert several == ONE_MEANING
    pairs = combinations(sorted(set(names)), 2)
    assert not [pair for pair in pairs if differ_by_a_letter(*pair)]


ONE_CONCEPT = {
    # Both protocols have it.
    "Wire",
    # The user's function, and the response of a server: of IMAP, and over HTTP.
    "Handler", "Response",
}  # fmt: skip
"""Names of classes and of types that several files have, with one meaning."""
_CLASS = re.compile(r"^(?:class ([A-Z]\w*)|([A-Z][a-z]\w*)(?:: TypeAlias)? = )", re.M)


def test_each_class_has_a_name_of_its_own() -> None:
    package = package_directory()
    # The test server has the names of what it is the counterpart of.
    counterparts = package / "testing"
    files = [file for file in package.rglob("*.py") if not file.is_relative_to(counterparts)]
    names = Counter(
        name
        for file in files
        for name in {a or b for a, b in _CLASS.findall(file.read_text("utf-8"))}
    )
    assert {name for name, count in names.items() if count > 1} == ONE_CONCEPT


def test_files_are_few_and_few_of_them_are_small() -> None:
    sizes = [file.read_bytes().count(b"\n") for file in package_directory().rglob("*.py")]
    assert len(sizes) <= MOST_FILES
    assert sum(size < SMALL for size in sizes) <= len(sizes) / ONE_SMALL_IN
