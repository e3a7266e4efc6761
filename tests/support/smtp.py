"""An SMTP server on loopback, made of aiosmtpd, for what is not nornmail's own to test with."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from nornmail.testing import Proxy
from nornmail.testing.mail_server import CA_FILE, CERTIFICATE_FILES
from nornmail.testing.service import Listener

HOST = "127.0.0.1"
USER = "agent@example.com"
PASSWORD = "open-sesame"


@dataclass
class SmtpServer:
    """What a test needs to know of it.

    Attributes:
        port: where it listens.
        logins: how many tries there were.
    """

    port: int
    host: str = HOST
    ca_file: str = CA_FILE
    logins: int = 0


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*CERTIFICATE_FILES)
    return context


class _Loop:
    """An event loop in a thread of its own, and the connections that it serves.

    Connections are taken in another thread: asyncio's own servers lose one that comes while they
    are being closed, with its socket open.

    Args:
        protocol: makes what serves a connection.
    """

    def __init__(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        self.loop = asyncio.new_event_loop()
        self._protocol = protocol
        self._transports: list[asyncio.Transport] = []
        self._begun: list[Future[None]] = []
        self._thread = threading.Thread(target=self.loop.run_forever, name="smtp-server")
        self._thread.start()
        self._listener = Listener(HOST, self._take)
        self.port = self._listener.port

    def stop(self) -> None:
        """End every connection, and the threads."""
        self._listener.stop()
        for begun in self._begun:
            begun.result()
        asyncio.run_coroutine_threadsafe(self._end(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _take(self, sock: socket.socket) -> None:
        self._begun.append(asyncio.run_coroutine_threadsafe(self._begin(sock), self.loop))

    async def _begin(self, sock: socket.socket) -> None:
        transport, _ = await self.loop.connect_accepted_socket(self._protocol, sock)
        assert isinstance(transport, asyncio.Transport)
        self._transports.append(transport)

    async def _end(self) -> None:
        # TLS would wait for the client's farewell, after the loop is gone.
        for transport in self._transports:
            transport.abort()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        while any(_is_open(transport) for transport in self._transports):
            await asyncio.sleep(0)


def _is_open(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    return bool(sock.fileno() != -1)


@contextmanager
def smtp_server(
    *,
    starttls: bool = True,
    implicit_tls: bool = False,
    handler: object = None,
    **options: Any,
) -> Iterator[SmtpServer]:
    """A server that takes :data:`USER` with :data:`PASSWORD` until the block ends.

    Args:
        starttls: offer STARTTLS.
        implicit_tls: TLS from the first octet.
        handler: what becomes of mail, as aiosmtpd has it; nothing becomes of it by default.
        options: for aiosmtpd's SMTP.
    """

    def authenticate(
        _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        found.logins += 1
        expected = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=given == expected, handled=False)

    settings: dict[str, Any] = {
        "tls_context": _server_context() if starttls else None,
        "authenticator": authenticate,
        "auth_require_tls": starttls,
        **options,
    }
    served = _Loop(
        lambda: SMTP(handler or object(), hostname="smtp.example.com", loop=served.loop, **settings)
    )
    found = SmtpServer(served.port)
    try:
        if not implicit_tls:
            yield found
        else:
            with Proxy(HOST, found.port, tls_server=CERTIFICATE_FILES) as proxy:
                found.port = proxy.port
                yield found
    finally:
        served.stop()
