"""An SMTP server on loopback, made of aiosmtpd, for what is not nornmail's own to test with."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from nornmail.testing import Proxy
from nornmail.testing.server import CA_FILE, CERTIFICATE_FILES

HOST = "127.0.0.1"
USER = "agent@example.com"
PASSWORD = "open-sesame"
LAST_STEPS = 5
"""Turns of the event loop in which a connection that was just accepted is begun."""


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


class _Served(SMTP):
    """A connection, whose transport is noted; within TLS it is the one below that counts."""

    def __init__(self, transports: list[asyncio.Transport], *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.transport is None:
            assert isinstance(transport, asyncio.Transport)
            self._transports.append(transport)
        super().connection_made(transport)


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
    listener = socket.create_server((HOST, 0))
    found = SmtpServer(listener.getsockname()[1])

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
    loop = asyncio.new_event_loop()
    transports: list[asyncio.Transport] = []
    thread = threading.Thread(target=loop.run_forever, name="smtp-server")
    thread.start()

    async def listen() -> asyncio.Server:
        return await loop.create_server(
            lambda: _Served(
                transports, handler or object(), hostname="smtp.example.com", loop=loop, **settings
            ),
            sock=listener,
        )

    async def stop(server: asyncio.Server) -> None:
        server.close()
        # A connection that was just accepted is closed by nobody if its task is cancelled before
        # it has begun.
        for _ in range(LAST_STEPS):
            await asyncio.sleep(0)
        # TLS would wait for the client's farewell, after the loop is gone.
        for transport in transports:
            transport.abort()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        while any(_is_open(transport) for transport in transports):
            await asyncio.sleep(0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        if not implicit_tls:
            yield found
        else:
            with Proxy(HOST, found.port, tls_server=CERTIFICATE_FILES) as proxy:
                found.port = proxy.port
                yield found
    finally:
        asyncio.run_coroutine_threadsafe(stop(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
