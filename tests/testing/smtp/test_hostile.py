"""SMTP clients that misbehave neither crash the server nor stand in another's way."""

from __future__ import annotations

import random
import socket
import ssl
import threading

import pytest

from nornmail.testing import MailServer
from nornmail.testing.accounts import MAX_SASL_LINE
from tests.support.table import table
from tests.testing.smtp.raw import MESSAGE, PLAIN, RawClient

MANY_RECIPIENTS = 1_001


def test_an_endless_line_is_refused_once_and_forgotten(server: MailServer) -> None:
    with RawClient.to(server) as client, RawClient.to(server) as other:
        for _ in range(50):
            client.send(b"x" * MAX_SASL_LINE)
        assert other.codes(b"NOOP") == [250]
        assert client.codes(b"", b"NOOP") == [500, 250]


def test_thousands_of_recipients_are_answered_one_by_one(server: MailServer) -> None:
    server.smtp.max_recipients = MANY_RECIPIENTS - 1
    lines = b"".join(b"RCPT TO:<%d@example.org>\r\n" % n for n in range(MANY_RECIPIENTS))
    with RawClient.to(server) as client, RawClient.to(server) as other:
        client.command(b"MAIL FROM:<a@b>")
        sender = threading.Thread(target=client.send, args=(lines,))
        sender.start()
        codes = [client.reply()[:3] for _ in range(MANY_RECIPIENTS)]
        sender.join()
        assert codes == [b"250"] * (MANY_RECIPIENTS - 1) + [b"452"]
        assert client.codes(b"DATA", MESSAGE + b".") == [354, 250]
        assert other.codes(b"NOOP") == [250]
    assert len(server.outbox[0].rcpt_tos) == MANY_RECIPIENTS - 1


@table(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"NOO", id="half a command"),
        pytest.param(b"NOOP\r", id="half a line end"),
        pytest.param(b"\0" * 5000, id="NULs"),
        pytest.param(b"AUTH LOGIN\r\n", id="half a login"),
        pytest.param(b"AUTH PLAIN " + PLAIN[:7], id="half a response"),
        pytest.param(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx", id="half a message"),
        pytest.param(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n\r\n.\r", id="half an end"),
        pytest.param(b"STARTTLS\r\n", id="a handshake that never begins"),
        pytest.param(b"STARTTLS\r\n\x16\x03\x01\x02", id="half a handshake"),
        pytest.param(b"STARTTLS\r\nNOOP\r\nNOOP\r\n", id="commands instead of a handshake"),
        pytest.param(b"QUIT\r\nNOOP\r\nNOOP\r\n", id="more after the end"),
    ],
)
def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(data: bytes) -> None:
    with MailServer(starttls=True) as server:
        server.smtp.auth_without_tls = True
        with RawClient.to(server) as client, RawClient.to(server) as other:
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            client.all()
            assert other.codes(b"NOOP") == [250]
        server.wait_for(lambda server: server.smtp.live_connections == 0)
        assert server.outbox == []


def test_a_client_that_hangs_does_not_hold_up_the_end() -> None:
    with MailServer(tls=True) as tls, MailServer(starttls=True) as plain:
        silent = RawClient(tls)  # the server waits for the handshake
        half = RawClient(tls)
        half.send(b"\x16\x03\x01")
        writing = RawClient.to(plain)
        writing.begin()
        writing.send(b"Subject: x\r\n")
        # What nobody has accepted yet the system resets when the port is closed.
        tls.wait_for(lambda server: server.smtp.connections == 2)
    for client in (silent, half, writing):
        assert client.all() == b""
        client.sock.close()


def test_a_client_that_does_not_read_stands_in_nobodys_way(server: MailServer) -> None:
    def flood() -> None:
        try:
            while True:
                deaf.send(b"EHLO me\r\n" * 1000)
        except OSError:
            return  # the server has stopped, which ends the flood

    deaf = RawClient(server)
    deaf.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    thread = threading.Thread(target=flood)
    thread.start()
    with RawClient.to(server) as other:
        assert other.codes(b"NOOP") == [250]
    server.stop()
    thread.join()
    deaf.sock.close()


@pytest.mark.parametrize(
    "rounds", [20, pytest.param(40, marks=pytest.mark.long)], ids=["some", "many"]
)
def test_random_octets_never_make_the_server_fail(rounds: int, server: MailServer) -> None:
    rng = random.Random(11)
    words = [b"MAIL ", b"RCPT ", b"FROM:", b"TO:", b"<", b">", b"a@b", b" SIZE=1", b" BODY=7BIT"]
    words += [b'"', b"\\", b"@", b":", b",", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b"\xc3\xb6"]
    words += [
        b"DATA\r\n",
        b"RSET\r\n",
        b"EHLO x\r\n",
        b"AUTH PLAIN ",
        b"AUTH LOGIN\r\n",
        b"=",
        b"*",
    ]
    words += [b"\r\n.\r\n", b"VRFY ", b"NOOP\r\n", b" ", b"+"]
    with RawClient.to(server) as other:
        for _ in range(rounds):
            with RawClient(server) as client:
                client.send(b"".join(rng.choices(words, k=200)) + b"\r\n.\r\n*\r\nQUIT\r\n")
                client.sock.shutdown(socket.SHUT_WR)
                client.all()
        assert other.codes(b"NOOP") == [250]
    server.raise_errors()


def test_a_tls_client_at_a_plain_port_is_told_no(server: MailServer) -> None:
    client = RawClient(server)
    with pytest.raises(ssl.SSLError):
        client.start_tls(server)
    client.sock.close()
    server.raise_errors()


def test_refused_connections_are_reset(server: MailServer) -> None:
    server.smtp.refuse_connections = True
    with pytest.raises(ConnectionResetError):
        RawClient.hear(server)
    server.smtp.refuse_connections = False
    RawClient.to(server).sock.close()
    assert (server.smtp.refused, server.smtp.connections) == (1, 1)


def test_kick_closes_every_connection(server: MailServer) -> None:
    with RawClient.to(server) as one, RawClient.to(server) as two:
        server.smtp.kick()
        assert one.all() == two.all() == b""
