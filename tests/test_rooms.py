"""Every room imports only what the house lets it know: see ``docs/explanation/architecture.md``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.package import package_directory

PUBLIC = "nornmail"
"""The names at the top of the package, as a user imports them."""

_VALUES = {"errors", "model", "uidset"}
MAY_KNOW: dict[str, set[str]] = {
    "_version": set(),
    "errors": set(),
    "clock": set(),
    "waker": set(),
    "uidset": set(),
    "model": {"errors", "uidset"},
    "digest": {"model"},
    "letters": {"errors"},
    "handling": {"errors"},
    "oauth": {"errors"},
    "settings": {"errors"},
    "steps": set(),
    "reach": {"steps"},
    "policy": _VALUES,
    "message": _VALUES,
    "routing": {"model", "message"},
    "stores": _VALUES | {"clock", "letters"},
    "imap": _VALUES | {"settings", "clock", "waker", "_version", "reach", "steps"} | {"oauth"},
    "smtp": _VALUES
    | {"settings", "message", "stores", "policy", "clock", "reach", "steps", "letters", "handling"}
    | {"oauth"}
    | {"events"}  # a mailer tells its program with the same kind of values as a poller
    | {"routing"},  # the form in which two addresses are compared
    "events": {"model", "clock"},
    "ledger": _VALUES | {"stores", "policy", "clock", "events"},
    "status": {"errors", "model", "clock", "ledger"},
    # "handling": what a handler sends is keyed by the message that it handles.
    "delivery": _VALUES
    | {"clock", "digest", "events", "handling", "ledger", "message", "policy", "routing"},
    "mailbox": _VALUES
    | {"clock", "delivery", "digest", "events", "imap", "ledger", "message", "policy"}
    | {"settings"},
    "running": _VALUES
    | {"clock", "delivery", "events", "imap", "ledger", "mailbox", "message", "policy"}
    | {"settings"}
    | {"status", "stores", "waker"},
    "checkup": _VALUES
    | {"settings", "imap", "smtp", "stores", "policy", "steps", "message", "routing"},
    "deadletters": _VALUES | {"stores", "clock"},
    "outbox": _VALUES | {"letters", "stores", "clock"},
    "testing": set(),
    "pytest_plugin": {"testing"},
    # "events" is public as a module: a poller's program imports from it what it wants to know.
    "cli": {PUBLIC, "events", "testing", "demo", "web"},
    "demo": {PUBLIC, "testing"},
    "__main__": {PUBLIC, "testing", "cli", "demo", "web"},
    "web": {PUBLIC},
}
OUTSIDE = {"cli", "demo", "__main__", "web", "testing", "pytest_plugin"}
"""What stands before the package's door: nothing of the library proper leans on it."""
MAY_KNOW["poller"] = (MAY_KNOW.keys() | {"poller"}) - OUTSIDE
MAY_KNOW["__init__"] = MAY_KNOW.keys() - OUTSIDE
ONLY_IN = {"imaplib": "imap", "smtplib": "smtp", "pytest": "pytest_plugin"}
ALLOWED = sys.stdlib_module_names | {"pytest"}


def imported(source: str, module: str) -> Iterator[str]:
    """The full names that ``source``, the text of ``module``, imports anywhere."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def offences(source: str, path: str) -> list[str]:
    """What the module at ``path``, relative to the package, imports and may not."""
    module = ".".join(("nornmail", *Path(path).with_suffix("").parts))
    room = module.split(".")[1]
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


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("model.py", "from nornmail.settings import X", id="a later room"),
        pytest.param("model.py", "from nornmail import settings", id="a room as a name"),
        pytest.param("model.py", "import nornmail.stores.base", id="a module in a room"),
        pytest.param("model.py", "import nornmail", id="the whole package from inside"),
        pytest.param("poller.py", "from nornmail.attic import x", id="a room nobody listed"),
        pytest.param("imap/wire.py", "from ..stores import base", id="a relative import"),
        pytest.param("imap/__init__.py", "from ..stores import base", id="relative in a package"),
        pytest.param("imap/wire.py", "from .. import poller", id="a relative import of a room"),
        pytest.param("errors.py", "def f():\n    import nornmail.model", id="within a function"),
        pytest.param("testing/server.py", "from nornmail.imap import wire", id="a shared parser"),
        pytest.param("cli.py", "from nornmail.stores import base", id="past the public names"),
        pytest.param("poller.py", "from nornmail.testing import x", id="the poller in a test kit"),
        pytest.param("clock.py", "import pytest", id="outside the standard library"),
        pytest.param("poller.py", "import imaplib", id="imaplib outside imap"),
        pytest.param("imap/wire.py", "from smtplib import SMTP", id="smtplib outside smtp"),
        pytest.param("attic.py", "", id="a room that is not in the table"),
    ],
)
def test_an_offence_is_seen(path: str, source: str) -> None:
    assert len(offences(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("imap/wire.py", "import imaplib", id="imaplib in imap"),
        pytest.param("imap/wire.py", "from .responses import x", id="its own folder, relatively"),
        pytest.param("imap/wire.py", "from nornmail.model import x", id="a room it may know"),
        pytest.param("cli.py", "from nornmail import Poller", id="a public name"),
        pytest.param("cli.py", "import nornmail.testing.server", id="the test kit from the cli"),
        pytest.param("poller.py", "from nornmail import stores", id="the poller and its stores"),
    ],
)
def test_what_is_allowed_is_no_offence(path: str, source: str) -> None:
    assert offences(source, path) == []
