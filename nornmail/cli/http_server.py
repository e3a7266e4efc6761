"""HTTP server for a WSGI application: the standard library's, with one thread per connection."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from nornmail import ConfigurationError
from nornmail.web import WsgiApplication

log = logging.getLogger("nornmail.web")

REQUEST_SECONDS = 30.0
"""Deadline of one read or write, so that a silent client does not hold a thread for ever."""
MOST_CONNECTIONS = 64
"""Connections at once, one thread each. Further ones wait in the listener's queue."""
LONGEST_LINE = 64 * 1024
"""Octets of a request's first line."""
DRAINED = 64 * 1024 * 1024
"""Octets of a refused body that are read and discarded: closing at once would reset the connection
before the client has read the response."""
CHUNK = 64 * 1024


class _Body:
    """A request's body, which counts the octets that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.read_so_far = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.read_so_far += len(data)
        return data


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS  # of the socket, for each read and write
    server_version = "nornmail"
    sys_version = ""

    def handle(self) -> None:
        """Serve one request, as the base class does, and discard a body that was not read."""
        self.raw_requestline = self.rfile.readline(LONGEST_LINE + 1)
        if len(self.raw_requestline) > LONGEST_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
            return
        if not self.raw_requestline or not self.parse_request():
            return
        environ = self.get_environ()
        body = _Body(self.rfile)  # type: ignore[arg-type]
        handler = ServerHandler(body, self.wfile, self.get_stderr(), environ)  # type: ignore[arg-type]
        handler.request_handler = self  # type: ignore[attr-defined]
        handler.run(self.server.get_app())  # type: ignore[attr-defined]
        length = environ.get("CONTENT_LENGTH", "")
        if length.isascii() and length.isdigit():
            self._drain(body, min(int(length[:12]), DRAINED))

    def _drain(self, body: _Body, length: int) -> None:
        while body.read_so_far < length and body.read(min(CHUNK, length - body.read_so_far)):
            pass

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        # Percent signs of a path are kept; control characters do not reach the log.
        line = (format % args).encode("ascii", "backslashreplace").decode("ascii")
        log.info(
            "%s %s", self.address_string(), "".join(c if c.isprintable() else "?" for c in line)
        )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the name service for our name, which may take long.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A lost connection is logged at DEBUG: it is the client's business."""
        log.debug("connection of %s lost", client_address[0], exc_info=True)


@contextmanager
def serving(application: WsgiApplication, host: str, port: int) -> Iterator[tuple[str, int]]:
    """Serve an application, from a thread, for as long as the context lasts.

    Args:
        application: called in many threads at once.
        host: the address to listen on.
        port: 0 chooses a free one.

    Yields:
        Address and port, which already accepts connections.

    Raises:
        ConfigurationError: it cannot listen there.
    """
    try:
        server = _Server(host, port)
    except (OSError, OverflowError) as error:
        reason = f"cannot listen there: {getattr(error, 'strerror', None) or error}"
        raise ConfigurationError("--bind", f"{host}:{port}", reason) from None
    with server:
        server.set_app(application)
        thread = threading.Thread(target=server.serve_forever, name="nornmail-http", daemon=True)
        thread.start()
        try:
            yield str(server.server_address[0]), int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
