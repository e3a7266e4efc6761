"""The HTTP server: clients that are slow, many or rude do not hold it up."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from nornmail import ConfigurationError
from nornmail.cli import http_server
from nornmail.cli.http_server import ListenAddress, serving

LOOPBACK = ListenAddress("127.0.0.1", 0)
SECONDS = 20.0
"""Deadline of a test's own waits, which only a bug reaches."""


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the body and the Content-Type."""
    length = int(environ["CONTENT_LENGTH"] or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    start_response("200 OK", [("X-Type", environ["CONTENT_TYPE"])])
    return [b"hello " + body]


unix_sockets = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="Python has no Unix sockets on Windows"
)


def connect(address: ListenAddress) -> socket.socket:
    if not address.path:
        return socket.create_connection((address.host, address.port), SECONDS)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(SECONDS)
    client.connect(address.path)
    return client


def everything(client: socket.socket) -> bytes:
    """What the server sends until it closes."""
    data = b""
    try:
        while chunk := client.recv(65_536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def ask(address: ListenAddress, request: bytes = b"GET / HTTP/1.0\r\n\r\n") -> bytes:
    with connect(address) as client:
        client.sendall(request)
        return everything(client)


@contextmanager
def clients(address: ListenAddress, count: int, begin: bytes) -> Iterator[list[socket.socket]]:
    """Clients that send the beginning of a request and then nothing."""
    opened = []
    try:
        for _ in range(count):
            opened.append(connect(address))
            opened[-1].sendall(begin)
        yield opened
    finally:
        for client in opened:
            client.close()


@pytest.mark.parametrize(
    ("request_", "content_type"),
    [
        pytest.param(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nyou", b"", id="no type"),
        pytest.param(
            b"POST / HTTP/1.0\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nyou",
            b"a/b",
            id="a type",
        ),
    ],
)
def test_the_content_type_is_the_clients(request_: bytes, content_type: bytes) -> None:
    with serving(hello, LOOPBACK) as address:
        reply = ask(address, request_)
    assert b"X-Type: " + content_type + b"\r\n" in reply
    assert reply.endswith(b"hello you")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"GET\r\n\r\n", 400, id="no path"),
        pytest.param(b'"\r\n\r\n', 400, id="a quote"),
        pytest.param(b"GET / HTTP/9.9\r\n\r\n", 505, id="a version to come"),
        pytest.param(b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * 150 + b"\r\n", 431, id="many fields"),
        pytest.param(b"GET /" + b"x" * 70_000, 414, id="a long line"),
    ],
)
def test_what_is_not_http_is_refused_in_json(request_: bytes, status: int) -> None:
    def never(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise AssertionError(environ)

    with serving(never, LOOPBACK) as address:
        head, _, body = ask(address, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 %d " % status)
    assert b"Content-Type: application/json\r\n" in head
    assert json.loads(body).keys() == {"error", "detail"}


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(b"", id="clients that send nothing"),
        pytest.param(b"GET / HTTP/1.0\r\nX-A: ", id="clients that stop within the headers"),
        pytest.param(
            b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\na", id="clients that stop within the body"
        ),
    ],
)
def test_idle_clients_lose_their_places(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 4)
    with serving(hello, LOOPBACK) as address, clients(address, 6, begin):
        assert ask(address).endswith(b"hello ")


def test_a_request_has_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.1)
    with serving(hello, LOOPBACK) as address, connect(address) as client:
        client.sendall(b"GET / HTTP/1.0\r\nX-A: ")
        assert everything(client) == b""


def test_clients_are_refused_while_all_places_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 1)
    working, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        working.set()
        assert go_on.wait(SECONDS)
        return hello(environ, start_response)

    with serving(slow, LOOPBACK) as address, connect(address) as first:
        first.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert working.wait(SECONDS)
        assert ask(address).startswith(b"HTTP/1.0 503 ")
        go_on.set()
        assert everything(first).endswith(b"hello ")


def test_closing_waits_for_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "STOP_SECONDS", 0.1)
    hanging, end = threading.Event(), threading.Event()

    def hang(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        hanging.set()
        end.wait(SECONDS)
        return hello(environ, start_response)

    with serving(hang, LOOPBACK) as address:
        stack = clients(address, 3, b"GET / HTTP/1.0\r\nX-A: ")
        slow = stack.__enter__()
        busy = connect(address)
        busy.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert hanging.wait(SECONDS)
        begin = time.monotonic()
    took = time.monotonic() - begin
    assert [everything(client) for client in [*slow, busy]] == [b""] * 4
    with pytest.raises(ConnectionRefusedError):
        connect(address)
    end.set()
    busy.close()
    stack.__exit__(None, None, None)
    assert took < 5


def test_closing_lets_a_response_be_sent() -> None:
    working = threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        working.set()
        return hello(environ, start_response)

    with serving(slow, LOOPBACK) as address:
        client = connect(address)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert working.wait(SECONDS)
    with client:
        assert everything(client).endswith(b"hello ")


@unix_sockets
def test_a_unix_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "nornmail.sock"
    with serving(hello, ListenAddress(path=str(path))) as address:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert ask(address).endswith(b"hello ")
    assert not path.exists()


@unix_sockets
def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "nornmail.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(hello, ListenAddress(path=str(path))) as address:
        assert ask(address).endswith(b"hello ")


@unix_sockets
@pytest.mark.parametrize("kind", ["a file", "another server", "one that accepts nobody"])
def test_what_is_in_use_is_left_alone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "nornmail.sock"
    other = socket.socket(socket.AF_UNIX)
    with other, ExitStack() as waiting:
        if kind == "a file":
            path.write_text("mine")
        else:
            other.bind(str(path))
            other.listen(0 if kind == "one that accepts nobody" else 5)
        for _ in range(3 if kind == "one that accepts nobody" else 0):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(path))
        with (
            pytest.raises(ConfigurationError, match="cannot listen there"),
            serving(hello, ListenAddress(path=str(path))),
        ):
            pass
    assert path.exists()
