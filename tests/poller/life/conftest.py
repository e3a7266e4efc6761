"""A server, a poller with a life of its own, and nothing left over at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from nornmail.testing import MailServer
from tests.poller.life.harness import PASSWORD, USER, Life

FILES = Path("/proc/self/fd")


@pytest.fixture
def life() -> Iterator[Life]:
    """The embedded server with an empty mailbox; what a test leaves open is an error."""
    threads = set(threading.enumerate())
    files = open_files()
    with ExitStack() as stack:
        server = stack.enter_context(MailServer())
        server.add_user(USER, PASSWORD)
        yield Life(server, stack)
    left = [thread for thread in set(threading.enumerate()) - threads if thread.is_alive()]
    for thread in left:  # a call that was just let go has its last steps before it
        thread.join(10)
    assert [thread for thread in left if thread.is_alive()] == []
    assert open_files() <= files


def open_files() -> int:
    return len(os.listdir(FILES)) if FILES.is_dir() else 0
