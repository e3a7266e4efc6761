"""The pytest plugin, in a project of its own, and the server in a suite without pytest."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.support.package import package_directory
from tests.support.suite import run_pytest, run_python

BESIDE_PACKAGE = package_directory().parent

SUITE = """
import smtplib

import pytest

from nornmail.testing import MailServer, smtp_faults


def test_it_has_started_with_nothing_in_it(mail_server):
    with smtplib.SMTP(mail_server.host, mail_server.smtp_port) as client:
        assert client.noop()[0] == 250
    assert mail_server.outbox == []
    with pytest.raises(ValueError, match="the server has 0"):
        mail_server.mailbox()


@pytest.mark.mail_server(smtp="tls")
class TestMarker:
    def test_gives_the_arguments(self, mail_server):
        context = __import__("ssl").create_default_context(cafile=mail_server.ca_file)
        with smtplib.SMTP_SSL(mail_server.host, mail_server.smtp_port, context=context) as client:
            assert client.noop()[0] == 250

    @pytest.mark.mail_server(starttls=True)
    def test_the_nearest_one_counts(self, mail_server):
        assert "STARTTLS" in mail_server.smtp.extensions


def test_that_fails(mail_server):
    mail_server.add_user("kim", "secret")
    with smtplib.SMTP(mail_server.host, mail_server.smtp_port) as client:
        client.login("kim", "secret")
    assert mail_server.outbox, "nothing was sent"


@pytest.fixture
def own():
    with MailServer() as server:
        yield server


def test_with_a_server_of_its_own_that_fails(own):
    with smtplib.SMTP(own.host, own.smtp_port) as client:
        for _ in range(100):
            client.noop()
    raise SystemError("on purpose")


@pytest.mark.mail_server("tls")
def test_with_a_mistake_in_the_marker(mail_server):
    raise AssertionError("never run")


def test_whose_fault_never_fires(mail_server):
    mail_server.faults.add(smtp_faults.Cut("QUIT"), smtp_faults.Cut("HELP", optional=True))


@pytest.fixture
def same(mail_server):
    return mail_server


def test_that_fails_with_a_fault_that_never_fired(mail_server, same):
    mail_server.faults.add(smtp_faults.Cut("QUIT"))
    raise SystemError("the first failure")


def test_the_session_has_one_server(session_mail_server):
    session_mail_server.add_user("kim", "secret")
    session_mail_server.faults.add(smtp_faults.Cut("VRFY"))


def test_the_session_goes_on(session_mail_server):
    assert session_mail_server.faults.pending == []
    session_mail_server.deliver("Subject: x", user="kim")
    session_mail_server.reset()
    assert session_mail_server.outbox == []


def test_that_breaks_the_server(mail_server):
    mail_server.faults.add(smtp_faults.Call("EHLO", lambda: 1 / 0))
    with pytest.raises(smtplib.SMTPServerDisconnected), smtplib.SMTP(
        mail_server.host, mail_server.smtp_port
    ) as client:
        client.ehlo()
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of `SUITE`: one run for all that is asked of it."""
    directory = tmp_path_factory.mktemp("project")
    (directory / "test_project.py").write_text(SUITE)
    return run_pytest(directory, "-v")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("test_it_has_started_with_nothing_in_it", "PASSED"),
        ("TestMarker::test_gives_the_arguments", "PASSED"),
        ("TestMarker::test_the_nearest_one_counts", "PASSED"),
        ("test_that_fails", "FAILED"),
        ("test_with_a_server_of_its_own_that_fails", "FAILED"),
        ("test_with_a_mistake_in_the_marker", "ERROR"),
        ("test_that_breaks_the_server", "ERROR"),
        ("test_whose_fault_never_fires", "ERROR"),
        ("test_that_fails_with_a_fault_that_never_fired", "FAILED"),
        ("test_the_session_has_one_server", "PASSED"),
        ("test_the_session_has_one_server", "ERROR"),
        ("test_the_session_goes_on", "PASSED"),
    ],
)
def test_the_fixture_and_the_marker(told: str, name: str, outcome: str) -> None:
    assert f"test_project.py::{name} {outcome}" in told


def test_a_failure_shows_the_transcript_without_secrets(told: str) -> None:
    section = told.partition("___ test_that_fails ___")[2].partition("\n___")[0]
    assert "nothing was sent" in section
    assert "- transcript of mail_server -" in section
    assert "[smtp 1] C: AUTH PLAIN ****\n" in section
    assert "[smtp 1] S: 235 2.7.0 Authentication successful\n" in section


def test_a_long_transcript_is_cut_at_its_beginning(told: str) -> None:
    section = told.partition("___ test_with_a_server_of_its_own_that_fails ___")[2]
    section = section.partition("\n___")[0]
    # The last line, that the connection has ended, may come after the report.
    assert re.search(r"- transcript of own -+\n\.\.\. [34] lines before this\n\[smtp 1\]", section)
    assert "C: QUIT" in section


def test_what_went_wrong_in_the_server_is_an_error_of_the_test(told: str) -> None:
    assert "ZeroDivisionError" in told
    assert "the marker mail_server takes arguments by name only" in told


def test_a_fault_that_never_fired_is_an_error_of_the_test(told: str) -> None:
    for name in ("test_whose_fault_never_fires", "test_the_session_has_one_server"):
        section = told.partition(f"ERROR at teardown of {name} ")[2].partition("\n___")[0]
        assert "faults that never fired" in section
        assert "HELP" not in section
    assert "teardown of test_that_fails_with_a_fault_that_never_fired" not in told
    failed = told.partition("___ test_that_fails_with_a_fault_that_never_fired ___")[2]
    assert failed.partition("\n___")[0].count("- transcript of") == 1


def test_a_suite_that_wants_no_server_does_not_import_one(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_nothing(): pass\n")
    (tmp_path / "conftest.py").write_text(
        "import sys\n\n\ndef pytest_unconfigure():\n"
        "    found = sorted(one for one in sys.modules if one.split('.')[0] == 'nornmail')\n"
        "    print('imported:', found)\n"
    )
    told = run_pytest(tmp_path, "-q", fresh=True)
    assert "1 passed" in told
    assert "imported: ['nornmail', 'nornmail._version', 'nornmail.pytest_plugin']" in told


def test_the_plugin_is_found_by_its_entry_point() -> None:
    if "site-packages" in package_directory().parts:
        found = {one.name: one.value for one in entry_points(group="pytest11")}
    else:  # an editable installation may be older than the entry point
        project = tomllib.loads((BESIDE_PACKAGE / "pyproject.toml").read_text("utf-8"))
        found = project["project"]["entry-points"]["pytest11"]
    assert found["nornmail"] == "nornmail.pytest_plugin"


UNITTEST = """
import sys

sys.modules["pytest"] = None  # as where it is not installed

import smtplib
import unittest

from nornmail.testing import MailServer


class TestSending(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(MailServer())

    def test_it(self):
        with smtplib.SMTP(self.server.host, self.server.smtp_port) as client:
            client.sendmail("a@example.org", ["b@example.org"], "Subject: x")
        self.assertEqual(self.server.wait_for_sent()[0].mail_from, "a@example.org")


class TestWholeClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(MailServer())
        cls.server.add_user("kim", "secret")

    def test_it(self):
        self.server.deliver(b"Subject: x")
        self.assertEqual(len(self.server.mailbox().messages), 1)


unittest.main()
"""


def test_unittest_needs_no_pytest(tmp_path: Path) -> None:
    (tmp_path / "suite.py").write_text(UNITTEST)
    _, told = run_python(tmp_path, "suite.py")
    assert told.endswith("\nOK\n"), told
    assert "Ran 2 tests" in told
