"""The pytest plugin of ``nornmail.testing``: a mail server as a fixture, its transcript on failure.

pytest imports this module in every project whose environment has nornmail, whether a test wants a
server or not. That is why it stands outside of ``testing/``, and why ``nornmail/__init__.py`` loads
its names when they are asked for: such a project pays for this file and nothing else.
``-p no:nornmail`` turns it off.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nornmail.testing import MailServer

pytest.register_assert_rewrite("nornmail.testing.stores")

MARKER = "mail_server"

LINES_SHOWN = 200
"""Lines of the transcript under a failed test: several conversations, and not a whole mailbox."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, for ``--strict-markers`` and ``pytest --markers``."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(tls=False, starttls=False, smtp=None, ...): how the fixture mail_server is "
        "started; takes the arguments of nornmail.testing.MailServer",
    )


@pytest.fixture
def mail_server(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    """A ``nornmail.testing.MailServer`` that has started, with no account and no mail.

    ``@pytest.mark.mail_server(tls=True)`` gives its arguments. It is stopped when the test ends.
    An error inside it, or a fault that has never fired, is an error of the test.
    """
    from nornmail.testing import MailServer

    marker = request.node.get_closest_marker(MARKER)
    if marker is not None and marker.args:
        raise pytest.UsageError(f"the marker {MARKER} takes arguments by name only")
    with MailServer(**(marker.kwargs if marker is not None else {})) as server:
        yield server


@pytest.fixture(scope="session")
def session_mail_server() -> Iterator[MailServer]:
    """One ``nornmail.testing.MailServer`` for all tests; ``reset()`` makes it a new one.

    A fault that a test has added ends with the test, which fails if the fault has never fired.
    """
    from nornmail.testing import MailServer

    with MailServer() as server:
        yield server


@pytest.hookimpl(hookwrapper=True)  # the newer kind is not in every pytest that is in use
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """Add the transcript of each server among the fixtures of a failed test to its report."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    module = sys.modules.get("nornmail.testing.mail_server")
    if module is None:
        return
    fixtures = getattr(item, "funcargs", None) or {}
    servers = {
        name: server for name, server in fixtures.items() if isinstance(server, module.MailServer)
    }
    if report.when == "teardown" and "session_mail_server" in servers:
        _check_faults(servers["session_mail_server"], report)
    if not report.failed:
        return
    shown: list[MailServer] = []
    for name, server in servers.items():
        if server not in shown:  # a fixture may return another one
            shown.append(server)
            report.sections.append((f"transcript of {name}", _shown(server.transcript)))
            server.faults.clear()  # the test has failed already


def _check_faults(server: MailServer, report: pytest.TestReport) -> None:
    """Fail the test if one of its faults has never fired; the server keeps running."""
    try:
        server.faults.check_fired()
    except AssertionError as error:
        if not report.failed:
            report.outcome, report.longrepr = "failed", str(error)


def _shown(lines: list[str]) -> str:
    left_out = len(lines) - LINES_SHOWN
    head = [f"... {left_out} lines before this"] if left_out > 0 else []
    return "\n".join([*head, *lines[-LINES_SHOWN:]])
