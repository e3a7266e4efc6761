"""A test that hangs fails with every thread's stack, and the ones after it run."""

from __future__ import annotations

import pytest

from tests.support import watchdog
from tests.support.suite import run_pytest

SUITE = """
import contextlib
import socket
import threading

import pytest


def test_a_lock():
    threading.Event().wait()


def test_a_thread():
    a, b = socket.socketpair()
    thread = threading.Thread(target=b.recv, args=(1,), name="the-server", daemon=True)
    thread.start()
    try:
        thread.join()
    finally:
        a.close()
        thread.join()
        b.close()


@pytest.fixture
def never_there():
    threading.Event().wait()


def test_a_setup(never_there):
    pass


@pytest.fixture
def never_gone():
    yield
    threading.Event().wait()


def test_a_teardown(never_gone):
    pass


@pytest.fixture
def two_never_gone():
    with contextlib.ExitStack() as stack:
        stack.callback(threading.Event().wait)
        stack.callback(threading.Event().wait)
        yield


def test_two_teardowns(two_never_gone):
    pass


def test_after_them():
    pass
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hanging")
    (folder / "test_hanging.py").write_text(SUITE)
    return run_pytest(folder, "-p", "tests.support.watchdog", NORNMAIL_TEST_SECONDS="0.2")


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param("FAILED test_hanging.py::test_a_lock", id="a lock"),
        pytest.param("the test took longer than 0.2 s", id="the limit is named"),
        pytest.param("    threading.Event().wait()", id="the stack of the test"),
        pytest.param("thread the-server:", id="the stack of another thread"),
        pytest.param("ERROR test_hanging.py::test_a_setup", id="a fixture waits"),
        pytest.param("the setup took longer than 0.2 s", id="the setup is named"),
        pytest.param("ERROR test_hanging.py::test_a_teardown", id="a fixture does not end"),
        pytest.param("ERROR test_hanging.py::test_two_teardowns", id="the next thing hangs, too"),
        pytest.param("2 failed, 3 passed, 3 errors", id="the next test runs"),
    ],
)
def test_what_hangs_fails_by_itself(output: str, expected: str) -> None:
    assert expected in output


def test_the_end_of_the_run_is_set_anew_when_a_test_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = [(1.0, 2.0)]
    monkeypatch.setattr(watchdog, "_ends", ends)
    watchdog.pytest_exception_interact()
    assert ends == []
