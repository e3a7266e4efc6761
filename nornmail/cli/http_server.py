"""HTTP server for a WSGI application: the standard library's parser, one thread per connection.

A client cannot hold the server up. Each request has one deadline; when all places are taken, the
client that has kept its request to itself for longest loses its place; and closing waits only for
requests that are being answered.
"""

from __future__ import annotations

import io
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from nornmail import ConfigurationError
from nornmail.web import WsgiApplication
from nornmail.web.http import JSON, HTTPError, reason_phrase

log = logging.getLogger("nornmail.web")

REQUEST_SECONDS = 60.0
"""Deadline for a whole request: 35 MiB take as long at 5 Mbit/s."""
RESPONSE_SECONDS = 30.0
"""Deadline for one write; responses are small."""
STOP_SECONDS = 2.0
"""Time for requests that are being answered, when the server closes."""
MAX_CONNECTIONS = 64
"""Connections at once, one thread each."""
MAX_LINE = 64 * 1024
"""Octets of a request's first line."""
MAX_DRAINED = 64 * 1024 * 1024
"""Octets of a refused body that are read and discarded: closing at once would reset the connection
before the client has read the response."""
LARGE = 64 * 1024
"""Octets of a body from which on the memory of a request is given back at once."""
MMAP_THRESHOLD = -3
"""The option of glibc's mallopt(3): from how many octets on a block has pages of its own."""
CHUNK = 64 * 1024
POLL_SECONDS = 0.1
"""Seconds until the accept loop notices that it is to end."""
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on: a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"unix:{self.path}" if self.path else f"{host}:{self.port}"


class Stage(IntEnum):
    """The stage of a connection, in the order in which connections lose their places."""

    HEADERS = 0
    BODY = 1
    RESPONSE = 2


class _Connections:
    """The open connections, oldest first, each with its stage."""

    def __init__(self) -> None:
        self._stages: dict[socket.socket, Stage] = {}
        self._changed = threading.Condition()

    def admit(self, connection: socket.socket) -> bool:
        """Give a new connection a place, the oldest idle one's if there is no other."""
        with self._changed:
            if len(self._stages) >= MAX_CONNECTIONS:
                oldest = min(self._stages, key=self._stages.__getitem__)
                if self._stages[oldest] is Stage.RESPONSE:
                    return False
                self._end(oldest)
            self._stages[connection] = Stage.HEADERS
            return True

    def enter(self, connection: socket.socket, stage: Stage) -> None:
        """Note that a connection has come to a stage."""
        with self._changed:
            if connection in self._stages:
                self._stages[connection] = stage

    def remove(self, connection: socket.socket) -> None:
        """Forget a connection that has ended."""
        with self._changed:
            self._stages.pop(connection, None)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """End all connections; those that wait for their response get some seconds for it."""
        with self._changed:
            for connection, stage in list(self._stages.items()):
                if stage is not Stage.RESPONSE:
                    self._end(connection)
            self._changed.wait_for(lambda: not self._stages, seconds)
            for connection in list(self._stages):
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        del self._stages[connection]
        with suppress(OSError):  # the client was faster
            connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it


class _SocketReader(io.RawIOBase):
    """Reads from a socket until a deadline."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request is not complete")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Body:
    """A request's body, up to its Content-Length."""

    def __init__(self, stream: BinaryIO, length: int, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end
        self.left = length

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self.left if size < 0 else min(size, self.left))
        self.left = self.left - len(data) if data else 0
        if not self.left:
            self._on_end()
        return data


class _Handler(WSGIRequestHandler):
    server_version = "nornmail"
    sys_version = ""
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_SocketReader(self.connection, REQUEST_SECONDS))

    def handle(self) -> None:
        """Serve one request, as the base class does, and discard a body that was not read."""
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if len(self.raw_requestline) > MAX_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.raw_requestline or not self.parse_request():
            return
        environ = self.get_environ()
        length = environ.get("CONTENT_LENGTH", "")
        body = _Body(
            self.rfile,  # type: ignore[arg-type]
            int(length[:12]) if length.isascii() and length.isdigit() else 0,
            lambda: self._enter(Stage.RESPONSE),
        )
        self._enter(Stage.BODY if body.left else Stage.RESPONSE)
        handler = ServerHandler(body, self.wfile, self.get_stderr(), environ)  # type: ignore[arg-type]
        handler.request_handler = self  # type: ignore[attr-defined]
        large = body.left > LARGE
        handler.run(self.server.get_app())  # type: ignore[arg-type]
        if large:
            _glibc("malloc_trim", 0)
        drained = 0
        while body.left and drained < MAX_DRAINED:
            drained += len(body.read(CHUNK))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is not a request of HTTP/1, as the application refuses one."""
        status = HTTPStatus(code)
        octets = HTTPError(status, message or status.description).response.octets()
        self.request_version = "HTTP/1.0"  # a client that named none gets a status line, too
        self.send_response(code, reason_phrase(status))
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def _enter(self, stage: Stage) -> None:
        self.connection.settimeout(RESPONSE_SECONDS)
        self.server.connections.enter(self.connection, stage)

    def get_environ(self) -> dict[str, Any]:
        # The base class puts text/plain where the client sent no Content-Type.
        return super().get_environ() | {"CONTENT_TYPE": self.headers.get("Content-Type", "")}

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        # Percent signs of a path are kept; control characters do not reach the log.
        line = (format % args).encode("ascii", "backslashreplace").decode("ascii")
        safe = "".join(char if char.isprintable() else "?" for char in line)
        log.info("%s %s", self.address_string(), safe)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: ListenAddress) -> None:
        self._address = address
        self._socket_path = ""
        self.connections = _Connections()
        if address.path:
            self.address_family = socket.AF_UNIX
        elif ":" in address.host:
            self.address_family = socket.AF_INET6
        super().__init__(address.path or (address.host, address.port), _Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for our name, which may take long.
        if self._address.path:
            _remove_stale_socket(self._address.path)
            before = os.umask(0o177)  # for the owner alone, from the first moment on
            try:
                TCPServer.server_bind(self)
                self._socket_path = self._address.path
            finally:
                os.umask(before)
            self.server_name, self.server_port = "localhost", 80  # of URLs that name no port
        else:
            TCPServer.server_bind(self)
            self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client = super().get_request()
        return connection, client or ("unix", 0)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self.connections.admit(request):
            with suppress(OSError):  # its buffer is full, or it has left
                request.setblocking(False)
                request.sendall(BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.connections.remove(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.remove(request)

    def server_close(self) -> None:
        super().server_close()
        if self._socket_path:
            with suppress(OSError):  # it has been removed already
                os.unlink(self._socket_path)
        self.connections.close(STOP_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A lost connection is logged at DEBUG: it is the client's business."""
        log.debug("connection of %s lost", client_address[0], exc_info=True)


def _remove_stale_socket(path: str) -> None:
    """Remove the socket of a process that has ended; anything else stays, and binding fails."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)  # a live process that accepts nobody would hold us up
            probe.connect(path)
    except (FileNotFoundError, BlockingIOError):
        return
    except ConnectionRefusedError:
        os.unlink(path)


def _glibc(function: str, *args: int) -> None:
    """Call a function of glibc that decides which memory it keeps; do nothing elsewhere.

    Left alone it keeps most of what a large request has freed, in pieces that the next one has no
    use for, and two of different shapes cost their sum.
    """
    try:
        import ctypes

        getattr(ctypes.CDLL(None), function)(*args)
    except (ImportError, AttributeError, OSError, TypeError):
        return  # another C library, or a Python without ctypes


@contextmanager
def serving(application: WsgiApplication, address: ListenAddress) -> Iterator[ListenAddress]:
    """Serve an application, from a thread, for as long as the context lasts.

    Args:
        application: called in many threads at once.
        address: where to listen; port 0 chooses a free one.

    Yields:
        The address, which already accepts connections.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    try:
        server = _Server(address)
    except (OSError, OverflowError, ValueError) as error:
        reason = f"cannot listen there: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError("--bind", str(address), reason) from None
    _glibc("mallopt", MMAP_THRESHOLD, 128 * 1024)
    with server:
        server.set_app(application)
        thread = threading.Thread(
            target=server.serve_forever, args=(POLL_SECONDS,), name="nornmail-http", daemon=True
        )
        thread.start()
        bound = address
        if not address.path:
            bound = ListenAddress(str(server.server_address[0]), int(server.server_address[1]))
        try:
            yield bound
        finally:
            server.shutdown()
            thread.join()
