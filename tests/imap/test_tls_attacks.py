"""Whoever tampers with TLS learns neither a password nor a token, on every Python."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nornmail.errors import ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.settings.imap import ImapSettings
from tests.support.table import table

CERTIFICATES = Path(__file__).parent / "certificates"
OURS = CERTIFICATES / "ca.pem"
SECRETS = {"password": "hunter2-of-agent", "token": "ya29.token-of-agent"}
OFFER = b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=XOAUTH2 SASL-IR] ready\r\n"
ONE_SECOND = 1.0
SERVER_SECONDS = 20.0
"""Seconds after which a server ends to which nobody has come."""


def no_answer(server: Server) -> None:
    """Hang up."""


def in_tls(server: Server) -> None:
    """Speak IMAP inside TLS; a client that trusts the certificate logs in."""
    server.secure()
    server.speak(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR] ready\r\n")


def preauth_in_tls(server: Server) -> None:
    """Say inside TLS that the client is somebody already."""
    server.secure()
    server.speak(b"* PREAUTH [CAPABILITY IMAP4rev1] you are root\r\n")


def plain(greeting: bytes, starttls: bytes = b"%T OK begin\r\n", *, tls: bool = True) -> Play:
    """Greet in plain text, answer STARTTLS, and perhaps go over to TLS."""

    def play(server: Server) -> None:
        server.send(greeting)
        server.answer_until_starttls(starttls)
        if tls:
            server.secure()
            server.speak(b"")
        else:
            server.hear()  # whatever begins TLS
            server.speak(b"* OK we go on in plain\r\n")

    return play


@dataclass(frozen=True)
class Attack:
    """What is tried.

    Attributes:
        play: what the server does with a connection.
        starttls: the client is to use STARTTLS, instead of TLS from the first octet.
        certificate: what the server shows.
        ours: its authority is the one that the client was told to trust.
    """

    play: Play
    starttls: bool
    certificate: str = "good"
    ours: bool = True


Play = Callable[["Server"], None]
INJECTED = b"%T OK begin\r\n* CAPABILITY IMAP4rev1\r\n"
BAD_CERTIFICATES = {
    "an expired certificate": ("expired", True),
    "a certificate of the future": ("not-yet-valid", True),
    "another host's certificate": ("other-host", True),
    "a host's name in the subject alone": ("name-in-subject-only", True),
    "a certificate that vouches for itself": ("self-signed", True),
    "an authority that nobody knows": ("good", False),
}
ATTACKS = {
    **{f"{n}, TLS": Attack(in_tls, False, *c) for n, c in BAD_CERTIFICATES.items()},
    **{f"{n}, STARTTLS": Attack(plain(OFFER), True, *c) for n, c in BAD_CERTIFICATES.items()},
    "plain text in the place of TLS": Attack(plain(OFFER, tls=False), False),
    "an end in the place of TLS": Attack(no_answer, False),
    "PREAUTH inside TLS": Attack(preauth_in_tls, False),
    "STARTTLS is stripped": Attack(plain(OFFER.replace(b"STARTTLS ", b"")), True),
    "STARTTLS is stripped, and so are all capabilities": Attack(plain(b"* OK ready\r\n"), True),
    "STARTTLS is refused": Attack(plain(OFFER, b"%T NO not today\r\n"), True),
    "STARTTLS is not understood": Attack(plain(OFFER, b"%T BAD what?\r\n"), True),
    "STARTTLS is answered by BYE": Attack(plain(OFFER, b"* BYE\r\n"), True),
    "PREAUTH instead of STARTTLS": Attack(plain(OFFER.replace(b"* OK", b"* PREAUTH")), True),
    "capabilities behind the OK": Attack(plain(OFFER, INJECTED), True),
    "a greeting behind the OK": Attack(plain(OFFER, b"%T OK begin\r\n" + OFFER), True),
    "an answer to the login behind the OK": Attack(
        plain(OFFER, b"%T OK begin\r\n%U OK logged in\r\n"), True
    ),
    "half a line behind the OK": Attack(plain(OFFER, b"%T OK begin\r\n* OK"), True),
    "no TLS after the OK": Attack(plain(OFFER, tls=False), True),
    "a login without TLS": Attack(
        plain(OFFER, b"* OK go on in plain\r\n%T OK\r\n", tls=False), True
    ),
}


class Server:
    """One connection after the other is played; everything that was received is kept.

    Attributes:
        received: plain octets, those inside TLS as well.
    """

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SERVER_SECONDS)
        self.port = self._listener.getsockname()[1]
        self.received = b""
        self._sock: socket.socket = self._listener
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.create_connection(("127.0.0.1", self.port)):  # the last one ends the thread
            pass
        self._thread.join()

    def _serve(self) -> None:
        """Two connections: the client's, and the one that ends this."""
        with self._listener:
            sock, _ = self._listener.accept()
            sock.settimeout(ONE_SECOND)
            self._sock = sock
            with contextlib.suppress(OSError):  # the client refuses, which is what it is to do
                self._attack.play(self)
            self._sock.close()
            self._listener.accept()[0].close()

    def send(self, octets: bytes) -> None:
        self._sock.sendall(octets)

    def secure(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATES / f"{self._attack.certificate}.pem")
        with self._sock as plain_sock:
            self._sock = context.wrap_socket(plain_sock, server_side=True)

    def hear(self) -> None:
        """Wait for anything."""
        self.received += self._sock.recv(4096)

    def lines(self) -> Iterator[bytes]:
        pending = b""
        while more := self._sock.recv(4096):
            self.received += more
            pending += more
            *whole, pending = pending.split(b"\r\n")
            yield from whole

    def answer_until_starttls(self, answer: bytes) -> None:
        for line in self.lines():
            tag, _, command = line.partition(b" ")
            if command == b"STARTTLS":
                following = tag[:-1] + b"%d" % (int(tag[-1:]) + 1)
                self.send(answer.replace(b"%T", tag).replace(b"%U", following))
                return
            self.send(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" + tag + b" OK done\r\n")

    def speak(self, greeting: bytes) -> None:
        """Say OK to everything."""
        self.send(greeting)
        for line in self.lines():
            self.send(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR\r\n")
            self.send(line.partition(b" ")[0] + b" OK done\r\n")


def settings(server: Server, attack: Attack, kind: str) -> ImapSettings:
    given: dict[str, Any] = {
        "host": "localhost",
        "port": server.port,
        "username": "agent@example.com",
        "use_ssl": not attack.starttls,
        "starttls": attack.starttls,
        "ca_file": str(OURS) if attack.ours else None,
        "timeout": 10.0,
    }
    if kind == "token":
        given["token"] = lambda: SECRETS["token"]
    else:
        given["password"] = SECRETS["password"]
    return ImapSettings(**given)


@pytest.mark.usefixtures("localhost")
@table(
    ("attack", "kind"),
    [
        pytest.param(attack, list(SECRETS)[at % 2], id=name)
        for at, (name, attack) in enumerate(ATTACKS.items())
    ],
)
def test_it_is_refused_before_anything_secret_is_sent(attack: Attack, kind: str) -> None:
    is_refused(attack, kind)


@pytest.mark.long
@pytest.mark.usefixtures("localhost")
@table("kind", SECRETS)
@table("attack", [pytest.param(a, id=name) for name, a in ATTACKS.items()])
def test_it_is_refused_whatever_the_secret_is(attack: Attack, kind: str) -> None:
    is_refused(attack, kind)


def is_refused(attack: Attack, kind: str) -> None:
    with Server(attack) as server, pytest.raises(ConnectionLost):
        Connection.open(settings(server, attack, kind))
    assert b"LOGIN" not in server.received
    assert b"AUTHENTICATE" not in server.received
    assert SECRETS[kind].encode() not in server.received


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("starttls", [False, True], ids=["TLS", "STARTTLS"])
def test_without_tampering_the_same_client_logs_in(starttls: bool, kind: str) -> None:
    honest = Attack(plain(OFFER) if starttls else in_tls, starttls)
    with Server(honest) as server:
        opened = Connection.open(settings(server, honest, kind))
        opened.detach()
    assert b"LOGIN" in server.received or b"AUTHENTICATE" in server.received
