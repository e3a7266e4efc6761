"""The servers, and the world around each; what a test leaves open is an error."""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from nornmail.testing import MailServer, Proxy
from nornmail.testing.mail_server import CERTIFICATE_FILES
from tests.poller.delivery.backends import Backend
from tests.poller.delivery.differences import difference
from tests.poller.delivery.harness import EMBEDDED, SERVERS, ServerKind, World
from tests.support.server import PrivateServer

USER = "agent@example.com"
PASSWORD = "correct-horse-7%battery"
WORKERS = "NORNMAIL_TEST_WORKERS"
"""How many workers every poller has, but for the tests that say why they need one."""
FILES = Path("/proc/self/fd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is different on a real server, as the table has it."""
    for item in items:
        kind = item.callspec.params.get("world") if hasattr(item, "callspec") else None
        if isinstance(kind, ServerKind) and kind.fixture and (differs := difference(item.name)):
            item.add_marker(differs.mark())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on every server; on the embedded ones where the real are left out anyway."""
    named = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "world" in metafunc.fixturenames and "world" not in named:
        servers = EMBEDDED if "not interop" in metafunc.config.option.markexpr else SERVERS
        metafunc.parametrize("world", servers, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A server with an empty mailbox, what stands before it, and nothing handed over yet."""
    kind: ServerKind = request.param
    with ExitStack() as stack:
        if kind.fixture:
            backend = real(request.getfixturevalue(kind.fixture), kind)
            stack.enter_context(nothing_left_open())
            server = None
        else:
            stack.enter_context(nothing_left_open())
            server = stack.enter_context(MailServer(tls=kind.tls))
            backend = embedded(server, kind)
        proxy = stack.enter_context(before(backend))
        world = World(backend, proxy, server, tmp_path, stack, kind.store)
        if request.node.get_closest_marker("one_worker") is None:
            world.workers = int(os.environ.get(WORKERS, "1"))
        stack.enter_context(listening(world))
        yield world


def embedded(server: MailServer, kind: ServerKind) -> Backend:
    server.add_user(USER, PASSWORD)
    return Backend(
        host=server.host,
        port=server.imap_port,
        tls=kind.tls,
        ca_file=server.ca_file,
        user=USER,
        password=PASSWORD,
        restore=lambda: server.mailbox().reset_uid_validity(),
    )


def real(server: PrivateServer, kind: ServerKind) -> Backend:
    user = server.user()
    return Backend(
        host=server.host,
        port=server.tls_port if kind.tls else server.port,
        tls=kind.tls,
        ca_file=str(server.ca_file),
        user=user,
        password=server.password,
        restore=lambda: server.reset_uid_validity(user),
        prefix=server.prefix,
        real=server,
    )


def before(backend: Backend) -> Proxy:
    """A proxy that speaks with both sides as they speak with each other."""
    if not backend.tls:
        return Proxy(backend.host, backend.port)
    context = ssl.create_default_context(cafile=backend.ca_file)
    return Proxy(backend.host, backend.port, tls_server=CERTIFICATE_FILES, tls_client=context)


@contextmanager
def listening(world: World) -> Iterator[None]:
    """Keep what the library logs; whatever the test is about, no line of it has the password."""
    log = logging.getLogger("nornmail")
    level = log.level
    log.addHandler(world.listener)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(world.listener)
    assert not [line for line in world.logged() if world.backend.password in line]


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """No thread and no descriptor outlives a test.

    What a server of the whole run had open before may end meanwhile: Postfix leaves its
    authentication service when it likes.
    """
    threads, files = set(threading.enumerate()), open_files()
    yield
    assert not set(threading.enumerate()) - threads
    assert open_files() <= files


def open_files() -> int:
    """How many descriptors this process has; 0 where the system does not tell."""
    return len(os.listdir(FILES)) if FILES.is_dir() else 0
