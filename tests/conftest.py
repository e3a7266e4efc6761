"""Which nornmail is tested, and the fixtures that several rooms share.

With ``--import-mode=importlib`` pytest puts nothing on ``sys.path``. The checkout is appended here,
behind what is installed: an installed nornmail is the one that is tested, and ``tests`` imports by
its name in the processes that a test starts, too.
"""

from __future__ import annotations

import gc
import os
import shutil
import socket
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))

# Half of the time until the first test goes into compiling. It is done once for a checkout, in one
# folder of it, also where Python shall leave no bytecode beside the code; and processes that tests
# start have it, too.
sys.dont_write_bytecode = False
sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(ROOT / ".bytecode")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The authorities of the system take 40 ms to load, and vouch for no server of a test.
os.environ["SSL_CERT_FILE"] = os.environ["SSL_CERT_DIR"] = os.devnull

# A store waits for the disk at each commit. Files of tests outlive no machine: where there is room
# in memory, they lie there.
IN_MEMORY = Path("/dev/shm")
ROOM = 2 << 30
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

# Only now can they be found.
from tests.support.courier import start_courier  # noqa: E402
from tests.support.cyrus import start_cyrus  # noqa: E402
from tests.support.dovecot import Dovecot, start_dovecot, start_dovecot_2_4  # noqa: E402
from tests.support.package import package_directory  # noqa: E402
from tests.support.postfix import Postfix, start_postfix  # noqa: E402
from tests.support.pymap import start_pymap  # noqa: E402
from tests.support.require import required  # noqa: E402
from tests.support.server import PrivateServer  # noqa: E402

pytest_plugins = [
    *("tests.support.watchdog", "tests.support.part", "tests.support.processes"),
    "tests.support.samples",
]
PACKAGE = package_directory()
EXPECT_INSTALLED = "NORNMAIL_EXPECT_INSTALLED"


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(EXPECT_INSTALLED) and "site-packages" not in PACKAGE.parts:
        raise pytest.UsageError(f"{EXPECT_INSTALLED} is set, and nornmail comes from {PACKAGE}")
    try:
        required()
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    gc.disable()  # nothing of what is collected is garbage


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the modules and tests again: there are a million."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make no test of a parameter whose mark is left out: they would double what is collected."""
    terms = metafunc.config.option.markexpr.split(" and ")
    if not all(term.removeprefix("not ").isidentifier() for term in terms):
        return
    left_out = {term.removeprefix("not ") for term in terms if term.startswith("not ")}
    parametrize = metafunc.parametrize

    def parametrize_fewer(names: Any, values: Any, *arguments: Any, **options: Any) -> None:
        values, ids = [*values], options.get("ids")
        kept = [
            at
            for at, value in enumerate(values)
            if left_out.isdisjoint(mark.name for mark in getattr(value, "marks", ()))
        ]
        if not kept or arguments:
            kept = [*range(len(values))]
        if ids is not None and not callable(ids):
            ids = [*ids]
            options["ids"] = [ids[at] for at in kept]
        parametrize(names, [values[at] for at in kept], *arguments, **options)

    metafunc.parametrize = parametrize_fewer  # type: ignore[method-assign, assignment]


def pytest_report_header() -> str:
    return f"nornmail: {PACKAGE}"


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name ``localhost`` is 127.0.0.1, on a machine without /etc/hosts as well."""
    resolve = socket.getaddrinfo

    def by_address(host: Any, *arguments: Any, **options: Any) -> Any:
        return resolve("127.0.0.1" if host == "localhost" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", by_address)


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """A private Dovecot, one for the whole run; every test takes a user of its own."""
    with start_dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def postfix() -> Iterator[Postfix]:
    """A private Postfix, one for the whole run; every test takes a user of its own."""
    with start_postfix() as server:
        yield server


@pytest.fixture(scope="session")
def dovecot24() -> Iterator[PrivateServer]:
    """A private Dovecot 2.4, wherever the machine's own is of; as ``dovecot``."""
    with start_dovecot_2_4() as server:
        yield server


@pytest.fixture(scope="session")
def cyrus() -> Iterator[PrivateServer]:
    """A private Cyrus; as ``dovecot``."""
    with start_cyrus() as server:
        yield server


@pytest.fixture(scope="session")
def courier() -> Iterator[PrivateServer]:
    """A private Courier; as ``dovecot``."""
    with start_courier() as server:
        yield server


@pytest.fixture(scope="session")
def pymap() -> Iterator[PrivateServer]:
    """A private pymap; as ``dovecot``."""
    with start_pymap() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the real servers logged that a failed test uses."""
    report = yield
    given = getattr(item, "funcargs", {})
    backend = getattr(given.get("world"), "backend", None)
    for server in [*given.values(), getattr(backend, "real", None)]:
        if report.failed and isinstance(server, (PrivateServer, Postfix)):
            report.sections.append((f"the end of {server.title}'s log", server.log()))
    return report
