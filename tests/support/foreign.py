"""What the fixtures of all real servers need: free ports, and waits for foreign processes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable

from tests.support.package import package_directory

HOST = "127.0.0.1"
TLS = package_directory() / "testing" / "tls"
"""The certificates of nornmail's own test server; the server itself is not imported."""
PAUSE_SECONDS = 0.01
"""Between two looks at what a foreign process does, which cannot be waited for otherwise."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on: another program may take one before the server does."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


def group_lives(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], seconds: float, explain: Callable[[], str] = str
) -> None:
    """Return when the condition holds. TimeoutError when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s\n{explain()}")
        pause.wait(PAUSE_SECONDS)


def search_path() -> str:
    """PATH and where Debian keeps servers, which only root has on it."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
