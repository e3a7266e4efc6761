"""The checks of name, TCP and TLS: what they say of each kind of address."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from nornmail.net.diagnose import Check, check_connectivity
from nornmail.net.tls import Endpoint, Unreachable

SILENT = TimeoutError("no answer in time")
pytestmark = pytest.mark.usefixtures("localhost")
REFUSED = ConnectionRefusedError(111, "Connection refused")
NO_ROUTE = OSError(101, "Network is unreachable")


def checks(port: int = 993, host: str = "localhost", seconds: float = 15.0) -> list[Check]:
    endpoint = Endpoint(
        protocol="IMAP", host=host, port=port, ca_file=None, plain_advice="", tls_advice=""
    )
    return list(check_connectivity(endpoint, seconds, tls=False))


@pytest.mark.parametrize(
    ("failures", "detail", "advice"),
    [
        pytest.param([REFUSED], "refuses connections", "IMAP_PORT", id="one refuses"),
        pytest.param([REFUSED, REFUSED], "refuses connections", "IMAP_PORT", id="all refuse"),
        pytest.param([SILENT, SILENT], "does not answer within 15 s", "firewall", id="all silent"),
        pytest.param([NO_ROUTE, SILENT], "192.0.2.0: Network is unreachable; 192.0.2.1: no answer",
                     "network", id="each in its way"),
    ],
)  # fmt: skip
def test_where_no_address_answers_each_is_named(
    failures: list[OSError], detail: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dial(*_: object) -> None:
        raise Unreachable([(f"192.0.2.{n}", error) for n, error in enumerate(failures)])

    monkeypatch.setattr("nornmail.net.diagnose.dial", dial)
    *_, last = checks()
    assert (last.name, last.ok) == ("IMAP TCP", False)
    assert detail in last.detail
    assert advice in last.advice


def test_a_dead_address_before_the_one_that_answers_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, closing(socket.socket()) as sock:
        sock.connect(server.getsockname())
        failures = [("192.0.2.1", SILENT)]
        monkeypatch.setattr("nornmail.net.diagnose.dial", lambda *_: (sock, failures))
        *_, last = checks()
    assert last.ok
    assert last.detail.endswith("ms at 127.0.0.1, but not at 192.0.2.1")


def test_a_name_that_nobody_knows_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (only,) = checks(host="imap.example.invalid")
    assert not only.ok
    assert "cannot be resolved (Name or service not known)" in only.detail
    assert "IMAP_HOST" in only.advice


def test_a_resolver_that_hangs_ends_it_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait())
    try:
        (only,) = checks(host="imap.example.invalid", seconds=0.05)
    finally:
        released.set()
    assert not only.ok
    assert "cannot be resolved (the name was not resolved in time)" in only.detail
