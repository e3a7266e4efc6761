"""Connecting: the addresses of a name in the resolver's order, and one time for all of them."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from nornmail.clock import Deadline
from nornmail.errors import ConfigurationError, ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.net.tls import (
    ATTEMPT_DELAY,
    Abort,
    Endpoint,
    Unreachable,
    connect,
    dial,
    tls_failure,
)
from nornmail.settings.imap import ImapSettings
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.session import Session
from tests.imap.fake import FakeClock
from tests.support.table import table

HOST = "mail.example.com"
NAMES = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]


class Attempt:
    """A socket whose connecting ends as a test says: ``None`` for silence, else an error number."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.address = ""
        self.closed = False

    def setblocking(self, blocking: bool) -> None:
        assert not blocking

    def connect(self, address: tuple[str, int]) -> None:
        self.address = address[0]
        self._network.begun.append((self.address, self._network.clock.now))
        if self._network.outcomes[self.address] == errno.ENETUNREACH:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        raise BlockingIOError

    def getsockopt(self, level: int, option: int) -> int:
        return self._network.outcomes[self.address] or 0

    def setsockopt(self, *_: int) -> None:
        pass

    def settimeout(self, seconds: float | None) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Network:
    """A name with addresses, and a clock that only waiting moves.

    Attributes:
        outcomes: of each address: ``None`` for silence, 0 for a connection, else an error number.
        delays: seconds until the outcome, 0.01 unless it is said.
        begun: each attempt, and when it began.
    """

    def __init__(self, outcomes: dict[str, int | None]) -> None:
        self.outcomes = outcomes
        self.delays: dict[str, float] = {}
        self.clock = FakeClock()
        self.start = self.clock.now
        self.begun: list[tuple[str, float]] = []
        self.attempts: list[Attempt] = []

    def getaddrinfo(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (to, port)) for to in self.outcomes]

    def socket(self, *_: int) -> Attempt:
        self.attempts.append(Attempt(self))
        return self.attempts[-1]

    def wait(self, socks: Collection[Any], seconds: float) -> list[Any]:
        began = dict(self.begun)
        ends = {
            sock: began[sock.address] + self.delays.get(sock.address, 0.01)
            for sock in socks
            if self.outcomes[sock.address] is not None
        }
        until = min([self.clock.now + seconds, *ends.values()])
        self.clock.now = max(until, self.clock.now)
        return [sock for sock, end in ends.items() if end <= self.clock.now]

    def dial(self, seconds: float) -> tuple[Any, list[tuple[str, OSError]]]:
        deadline = Deadline(self.clock, seconds)
        return dial(HOST, 993, deadline.remaining, self.wait)

    @property
    def took(self) -> float:
        return self.clock.now - self.start


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Network]:
    def make(*outcomes: int | None) -> Network:
        made = Network(dict(zip(NAMES, outcomes, strict=False)))
        monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
        monkeypatch.setattr(socket, "socket", made.socket)
        return made

    return make


@pytest.mark.parametrize(
    ("outcomes", "reached", "begun"),
    [
        pytest.param((0, 0), 0, [0.0], id="the first answers, the second is not tried"),
        pytest.param((None, 0), 1, [0.0, 0.25], id="the first is silent for 250 ms"),
        pytest.param((errno.ECONNREFUSED, 0), 1, [0.0, 0.01], id="the first refuses"),
        pytest.param((errno.ENETUNREACH, 0), 1, [0.0, 0.0], id="there is no route to the first"),
        pytest.param((None, None, errno.ECONNREFUSED, 0), 3, [0.0, 0.25, 0.5, 0.51], id="mixed"),
    ],
)
def test_the_first_address_that_answers_wins(
    network: Callable[..., Network], outcomes: tuple[int | None, ...], reached: int,
    begun: list[float],
) -> None:  # fmt: skip
    net = network(*outcomes)
    sock, failures = net.dial(4.0)
    assert sock.address == NAMES[reached]
    assert [at - net.start for _, at in net.begun] == pytest.approx(begun)
    assert [address for address, _ in failures] == NAMES[:reached] or len(failures) == reached
    assert [attempt.closed for attempt in net.attempts].count(False) == 1


def test_a_slow_first_address_may_still_win(network: Callable[..., Network]) -> None:
    net = network(0, None)
    net.delays[NAMES[0]] = 2 * ATTEMPT_DELAY
    assert net.dial(4.0)[0].address == NAMES[0]


def test_four_dead_addresses_share_one_deadline(network: Callable[..., Network]) -> None:
    net = network(None, None, None, None)
    with pytest.raises(Unreachable) as caught:
        net.dial(2.0)
    assert net.took == pytest.approx(2.0)
    assert [address for address, _ in caught.value.failures] == NAMES
    assert all(attempt.closed for attempt in net.attempts)


def test_a_deadline_below_the_delay_holds_as_well(network: Callable[..., Network]) -> None:
    net = network(None, None, None, None)
    with pytest.raises(Unreachable):
        net.dial(0.2)
    assert net.took == pytest.approx(0.2)


def test_the_error_says_which_address_failed_how(network: Callable[..., Network]) -> None:
    net = network(errno.ENETUNREACH, errno.ECONNREFUSED, None)
    with pytest.raises(Unreachable) as caught:
        net.dial(1.0)
    text = str(caught.value)
    assert "192.0.2.1: Network is unreachable" in text
    assert "192.0.2.2: Connection refused" in text
    assert "192.0.2.3: no answer in time" in text


ENDPOINT = Endpoint(
    protocol="IMAP", host=HOST, port=993, ca_file=None, plain_advice="PLAIN", tls_advice="TLS"
)


def test_a_name_that_is_not_a_host_is_a_configuration_error() -> None:
    endpoint = Endpoint(
        protocol="SMTP", host="a" * 64 + ".example", port=1, ca_file=None, plain_advice="",
        tls_advice="",
    )  # fmt: skip
    with pytest.raises((ConfigurationError, ConnectionLost), match=r"SMTP_HOST|cannot connect"):
        connect(endpoint, lambda: 1.0, Abort())


# Both protocols, over real sockets: a name whose addresses are dead.


@pytest.fixture
def hole() -> Iterator[tuple[str, int]]:
    """An address that takes packets and does not answer: its backlog is full."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fill = [socket.socket() for _ in range(3)]
        for sock in fill:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()
        finally:
            for sock in fill:
                sock.close()


def imap(timeout: float) -> None:
    settings = ImapSettings(
        host=HOST, port=993, username="a", password="b", use_ssl=False, timeout=timeout
    )
    Connection.open(settings)


def smtp(timeout: float) -> None:
    Session.open(SmtpSettings(host=HOST, port=587, use_tls=False, timeout=timeout))


@pytest.mark.parametrize("open_session", [imap, smtp])
def test_dead_addresses_have_one_deadline_in_both_protocols(
    open_session: Callable[[float], None],
    hole: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    infos = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", hole)] * 4
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: infos)
    waits: list[float] = []

    def counted(_: Abort, socks: Collection[socket.socket], seconds: float) -> list[socket.socket]:
        waits.append(seconds)
        return []

    monkeypatch.setattr(Abort, "wait", counted)
    with pytest.raises(ConnectionLost, match="no answer in time"):
        open_session(60.0)
    assert waits[:-1] == [ATTEMPT_DELAY] * 3
    assert sum(waits) <= 61.0


# A server that hangs, and another thread that has had enough.


@pytest.fixture
def silent() -> Iterator[Callable[[bytes], tuple[str, int]]]:
    """Makes servers that take connections, send what is given, and say nothing more."""
    listeners, accepted = [], []

    def serve(listener: socket.socket, greeting: bytes) -> None:
        with suppress(OSError):  # the test is over
            sock = listener.accept()[0]
            accepted.append(sock)
            sock.sendall(greeting)

    def make(greeting: bytes) -> tuple[str, int]:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, greeting), daemon=True).start()
        address: tuple[str, int] = listener.getsockname()
        return address

    yield make
    for sock in (*listeners, *accepted):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def open_imap(address: tuple[str, int], tls: bool, abort: Abort) -> object:
    host, port = address
    settings = ImapSettings(host=host, port=port, username="a", password="b", use_ssl=tls)
    return Connection.open(settings, abort=abort)


def open_smtp(address: tuple[str, int], tls: bool, abort: Abort) -> object:
    host, port = address
    return Session.open(SmtpSettings(host=host, port=port, use_tls=tls, use_ssl=tls), abort=abort)


@pytest.mark.parametrize("open_session", [open_imap, open_smtp])
def test_a_resolver_that_hangs_can_be_aborted_and_has_the_deadline_of_connecting(
    open_session: Callable[[tuple[str, int], bool, Abort], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait())
    try:
        abort = Abort()
        thread = threading.Timer(0.05, abort.abort)
        thread.start()
        with pytest.raises(ConnectionLost, match="aborted"):
            open_session((HOST, 993), False, abort)
        thread.join()
        with pytest.raises(ConnectionLost, match="not resolved in time"):
            imap(0.05)
    finally:
        released.set()


@pytest.mark.parametrize("open_session", [open_imap, open_smtp])
@pytest.mark.parametrize(
    ("greeting", "tls"),
    [
        pytest.param(None, False, id="connecting"),
        pytest.param(b"", False, id="the greeting"),
        pytest.param(b"", True, id="the TLS handshake"),
        pytest.param(b"* OK ready\r\n", False, id="a command"),
    ],
)
def test_whatever_a_server_leaves_waiting_can_be_aborted(
    open_session: Callable[[tuple[str, int], bool, Abort], object],
    greeting: bytes | None,
    tls: bool,
    silent: Callable[[bytes], tuple[str, int]],
    hole: tuple[str, int],
) -> None:
    if open_session is open_smtp and greeting:
        greeting = b"220 ready\r\n"
    address = hole if greeting is None else silent(greeting)
    abort = Abort()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            open_session(address, tls, abort)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.1)  # it waits for the server; the timeout of the settings is a minute
    assert thread.is_alive()
    abort.abort()
    thread.join(20.0)
    assert not thread.is_alive()
    assert isinstance(errors[0], ConnectionLost)
    with pytest.raises(ConnectionLost, match="aborted"):  # until it is cleared
        open_session(address, tls, abort)


@table(
    ("reason", "words"),
    [
        pytest.param("UNSUPPORTED_PROTOCOL", "TLS older than 1.2", id="TLS 1.1"),
        pytest.param("TLSV1_ALERT_PROTOCOL_VERSION", "TLS older than 1.2", id="an alert of TLS"),
        pytest.param("DH_KEY_TOO_SMALL", "key that is too short", id="a short DH key"),
        pytest.param("EE_KEY_TOO_SMALL", "key is too short", id="a short RSA key"),
        pytest.param("SSLV3_ALERT_HANDSHAKE_FAILURE", "no cipher", id="no cipher in common"),
        pytest.param("UNEXPECTED_EOF_WHILE_READING", "handshake failed", id="it hangs up"),
    ],
)
def test_weak_tls_is_the_owners_to_update_and_never_switched_off(reason: str, words: str) -> None:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    what, advice = tls_failure(ENDPOINT, error)
    assert words in what
    assert "owner" in advice
    assert "PLAIN" not in advice


def test_plain_text_on_a_tls_port_has_its_own_advice() -> None:
    error = ssl.SSLError(1, "x")
    error.reason = "WRONG_VERSION_NUMBER"
    assert tls_failure(ENDPOINT, error)[1] == "PLAIN"
