"""The proxy, in front of the test server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from nornmail.testing import MailServer, Proxy
from nornmail.testing.mail_server import CERTIFICATE_FILES
from tests.testing.raw_client import PASSWORD, USER, RawClient

LOGIN = f'LOGIN {USER} "{PASSWORD}"'.encode()


@pytest.fixture
def proxy(server: MailServer) -> Iterator[Proxy]:
    with Proxy(server.host, server.imap_port) as proxy:
        yield proxy


def through(proxy: Proxy) -> RawClient:
    return RawClient("127.0.0.1", proxy.port)


def test_it_passes_octets_on_and_counts_them(proxy: Proxy) -> None:
    with through(proxy) as client:
        greeting = client.line()
        answer = client.command(LOGIN)
        assert answer.startswith(b"tag OK")
        assert proxy.bytes_up == len(b"t1 " + LOGIN + b"\r\n")
        assert proxy.bytes_down == len(greeting) + len(answer) - 1
    assert proxy.connections == 1


def test_a_large_message_passes_unchanged(server: MailServer, proxy: Proxy) -> None:
    raw = bytes(range(256)) * 4000
    server.deliver(raw)
    with through(proxy) as client:
        client.line()
        client.command(LOGIN)
        client.command(b"SELECT INBOX")
        assert raw in client.command(b"FETCH 1 BODY.PEEK[]")
        assert b"tag OK" in client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(raw), raw))
    assert server.mailbox().messages[1].raw == raw


@pytest.mark.parametrize("size", [0, 1, 30, 200])
def test_it_cuts_what_the_server_says(proxy: Proxy, size: int) -> None:
    with through(proxy) as client:
        client.line()
        client.command(LOGIN)
        client.start(b"LOGOUT")
        client.all()
    proxy.cut_after("server", size)
    with through(proxy) as client:
        client.send(b"t1 " + LOGIN + b"\r\n")
        assert len(client.all()) == size
    with through(proxy) as client:
        assert client.line().endswith(b"ready\r\n")


def test_it_cuts_what_the_client_says(server: MailServer, proxy: Proxy) -> None:
    first = b"t1 " + LOGIN + b"\r\n"
    proxy.cut_after("client", len(first) + 2)
    with through(proxy) as client:
        client.line()
        client.send(first + b"t2 CREATE Box\r\n")
        client.all()
    server.stop()
    assert server.logins == 1
    assert [command[:8] for command in server.commands] == [b"t1 LOGIN"]


def test_it_refuses(proxy: Proxy) -> None:
    proxy.refuse = True
    with through(proxy) as client:
        assert client.all() == b""
    assert proxy.connections == 0


def test_it_kicks(proxy: Proxy) -> None:
    with through(proxy) as client:
        client.line()
        proxy.kick()
        assert client.all() == b""


def test_a_server_that_is_away_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Proxy("127.0.0.1", port) as proxy, through(proxy) as client:
        assert client.all() == b""


def test_it_rewrites_lines_of_both_sides(proxy: Proxy) -> None:
    def without_move(line: bytes) -> bytes | None:
        return None if line.startswith(b"* SECRET") else line.replace(b" MOVE", b"")

    proxy.rewrite(without_move)
    proxy.rewrite(lambda line: line.replace(b"NEEP", b"NOOP"), "client")
    with through(proxy) as client:
        client.line()
        assert b"MOVE" not in client.command(LOGIN)
        assert client.command(b"NEEP") == b"tag OK completed\r\n"
        proxy.rewrite(None)
        assert b"MOVE" in client.command(b"CAPABILITY")


def test_it_can_speak_tls_to_both_sides() -> None:
    with MailServer(tls=True) as server:
        server.add_user(USER, PASSWORD)
        context = ssl.create_default_context(cafile=server.ca_file)
        with Proxy(
            "127.0.0.1", server.imap_port, tls_server=CERTIFICATE_FILES, tls_client=context
        ) as proxy:
            proxy.rewrite(lambda line: line.replace(b"Logged in", b"Welcome"))
            with RawClient("127.0.0.1", proxy.port, context) as client:
                client.line()
                assert client.command(LOGIN).endswith(b"Welcome\r\n")
            proxy.cut_after("server", 10)
            with RawClient("127.0.0.1", proxy.port, context) as client:
                assert client.all() == b"* OK [CAPA"
