"""The connection against a server of another make, over sockets, with TLS and with faults."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nornmail.clock import SystemClock
from nornmail.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    ProtocolError,
    Throttled,
)
from nornmail.imap.connection import Connection
from nornmail.imap.wire import Observer
from nornmail.net.tls import Abort, Endpoint, connect
from nornmail.settings.imap import ImapSettings
from nornmail.testing import MailServer, faults
from nornmail.uidset import UidSet

USER, PASSWORD = "agent@example.com", "secret-of-agent"
MAIL = [b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (n, n, n) for n in range(1, 6)]


def _settings(server: MailServer, **more: Any) -> ImapSettings:
    given: dict[str, Any] = {
        "host": server.host,
        "port": server.imap_port,
        "username": USER,
        "password": PASSWORD,
        "use_ssl": False,
        "timeout": 20.0,
    }
    return ImapSettings(**{**given, **more})


def _open(server: MailServer, *, on_command: Observer | None = None, **more: Any) -> Connection:
    return Connection.open(_settings(server, **more), clock=SystemClock(), on_command=on_command)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as one:
        one.add_user(USER, PASSWORD)
        for raw in MAIL:
            one.deliver(raw)
        yield one


@pytest.fixture
def opened(server: MailServer) -> Iterator[Connection]:
    one = _open(server)
    one.select("INBOX")
    yield one
    one.detach()


def test_messages_come_whole(opened: Connection) -> None:
    uids = opened.list_uids()
    summaries = opened.summaries(uids)
    bodies = opened.bodies(uids, expected_octets=sum(one.size for one in summaries.values()))
    assert [bodies[uid].raw for uid in uids] == MAIL
    assert [summaries[uid].size for uid in uids] == [len(raw) for raw in MAIL]
    assert all(one.received_at is not None for one in summaries.values())
    assert not any("\\Seen" in one.flags for one in opened.summaries(uids).values())


def test_headers_come_with_sizes(opened: Connection) -> None:
    headers = opened.headers(opened.list_uids())
    assert [one.size for one in headers.values()] == [len(raw) for raw in MAIL]
    assert all(one.raw is not None and one.raw.endswith(b"\r\n\r\n") for one in headers.values())


def test_new_mail_and_removals_are_counted(server: MailServer, opened: Connection) -> None:
    first, *_ = opened.list_uids()
    newest = server.deliver(b"Subject: new\r\n\r\n")
    server.mailbox().expunge(first)
    opened.noop()
    assert (opened.exists, opened.expunges) == (5, 1)
    assert list(opened.uids_from(newest)) == [newest]
    assert list(opened.still_listed(UidSet.of([first, newest]))) == [newest]


def test_flags_moves_and_removals(server: MailServer, opened: Connection) -> None:
    one, two, three, *rest = opened.list_uids()
    opened.create("Erledigt ü")
    opened.add_flags(UidSet.of([one]), ["\\Seen"])
    opened.move(UidSet.of([one]), "Erledigt ü")
    opened.copy(UidSet.of([two]), "Erledigt ü")
    opened.add_flags(UidSet.of([two, three]), ["\\Deleted"])
    assert opened.expunge(UidSet.of([two]))
    assert list(opened.list_uids()) == [three, *rest]
    assert opened.mailboxes() == ["INBOX", "Erledigt ü"]
    opened.select("Erledigt ü")
    found = opened.find_message_id("<1@x>")
    assert len(found) == 1
    assert opened.summaries(found)[found.highest].flags >= {"\\Seen"}


def test_all_uids_are_found_without_esearch(server: MailServer) -> None:
    server.capabilities.remove("ESEARCH")
    one = _open(server)
    one.select("INBOX")
    assert len(one.list_uids()) == len(MAIL)
    one.close()
    assert any(b"SEARCH 1:5" in command for command in server.commands)


def test_a_wrong_password_is_refused_once(server: MailServer) -> None:
    with pytest.raises(AuthenticationFailed):
        _open(server, password="wrong")
    assert server.logins == 0
    assert sum(command.startswith(b"LOGIN") for command in server.commands) <= 1


FETCH_FAULTS: list[tuple[faults.FetchFaultKind, bytes | None]] = [
    ("nil", None),
    ("empty", b""),
    ("no_body", None),
]


@pytest.mark.parametrize(("kind", "raw"), FETCH_FAULTS)
def test_a_message_that_is_not_given_is_not_made_up(
    server: MailServer, opened: Connection, kind: faults.FetchFaultKind, raw: bytes | None
) -> None:
    uids = opened.list_uids()
    bad = uids.highest
    server.faults.add(faults.FetchFault(uid=bad, kind=kind))
    bodies = opened.bodies(uids, expected_octets=1000)
    assert bodies[bad].raw == raw
    assert [bodies[uid].raw for uid in uids if uid != bad] == MAIL[:-1]


@pytest.mark.parametrize("kind", ["missing", "wrong_uid", "no_uid"])
def test_a_message_under_no_or_another_name_is_left_out(
    server: MailServer, opened: Connection, kind: faults.FetchFaultKind
) -> None:
    uids = opened.list_uids()
    bad = uids.highest
    server.faults.add(faults.FetchFault(uid=bad, kind=kind, other_uid=bad + 50))
    assert bad not in opened.bodies(uids, expected_octets=1000)


LOSSES = [
    pytest.param(faults.Cut("UID FETCH", after_bytes=60), ConnectionLost, id="cut in the answer"),
    pytest.param(faults.Cut("UID FETCH", before=True), ConnectionLost, id="cut before it"),
    pytest.param(
        faults.Cut("UID FETCH", after_bytes=60, reset=True),
        ConnectionLost,
        id="reset in the answer",
    ),
    pytest.param(faults.Bye("UID FETCH"), ConnectionLost, id="BYE"),
    pytest.param(
        faults.Rewrite("UID FETCH", function=lambda raw: raw.replace(b"{", b"{9", 1)),
        ConnectionLost,
        id="a literal that never becomes whole",
    ),
    pytest.param(
        faults.Rewrite("UID FETCH", function=lambda raw: raw.replace(b"{4", b"{", 1)),
        ProtocolError,
        id="a literal that is longer than announced",
    ),
]


@pytest.mark.parametrize(("fault", "error"), LOSSES)
def test_a_session_that_breaks_off_gives_nothing(
    server: MailServer, fault: faults.Fault, error: type[Exception]
) -> None:
    one = _open(server, timeout=0.2)
    one.select("INBOX")
    uids = one.list_uids()
    server.faults.add(fault)
    with pytest.raises(error):
        one.bodies(uids, expected_octets=1000)
    with pytest.raises(ConnectionLost, match="the connection is closed"):
        one.noop()


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_answers_in_small_pieces_are_whole(
    server: MailServer, opened: Connection, chunk: int
) -> None:
    uids = opened.list_uids()
    server.faults.add(faults.Drip("UID FETCH", chunk=chunk))
    bodies = opened.bodies(uids, expected_octets=1000)
    assert [bodies[uid].raw for uid in uids] == MAIL


def test_a_silent_server_is_left_after_the_deadline(server: MailServer) -> None:
    one = _open(server, timeout=0.2)
    server.faults.add(faults.Silent("NOOP"))
    with pytest.raises(ConnectionLost, match="in time"):
        one.noop()


def test_a_cut_at_every_octet_never_gives_half_a_message(server: MailServer) -> None:
    """All of SELECT, search and fetch, in steps; the whole enumeration is the poller's test."""
    whole = 0
    for octets in range(1, 1700, 37):
        server.faults.clear()
        server.faults.add(faults.CutTotal(after_bytes=octets))
        try:
            one = _open(server)
            one.select("INBOX")
            bodies = one.bodies(one.list_uids(), expected_octets=1000)
            one.detach()
        except ConnectionLost:
            continue
        assert [body.raw for body in bodies.values()] == MAIL
        whole += 1
    assert whole > 0


# TLS.


@pytest.fixture
def tls_server() -> Iterator[MailServer]:
    with MailServer(tls=True) as one:
        one.add_user(USER, PASSWORD)
        yield one


@pytest.fixture
def starttls_server() -> Iterator[MailServer]:
    with MailServer(starttls=True) as one:
        one.add_user(USER, PASSWORD)
        one.deliver(MAIL[0])
        yield one


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_tls_with_a_private_authority(tls_server: MailServer, host: str) -> None:
    one = _open(tls_server, use_ssl=True, ca_file=tls_server.ca_file, host=host)
    one.select("INBOX")
    one.close()
    assert tls_server.logins == 1


def test_tls_without_the_authority_is_refused_and_says_what_to_do(tls_server: MailServer) -> None:
    with pytest.raises(ConnectionLost, match="IMAP_CA_FILE"):
        _open(tls_server, use_ssl=True)
    assert tls_server.logins == 0


@pytest.mark.parametrize("starttls", [False, True], ids=["TLS", "STARTTLS"])
def test_a_certificate_of_another_host_is_refused(starttls: bool) -> None:
    with MailServer(tls=not starttls, starttls=starttls) as server:
        server.add_user(USER, PASSWORD)
        real = socket.getaddrinfo
        with pytest.MonkeyPatch.context() as patch:
            # A name that leads to the server and is not on its certificate.
            patch.setattr(
                socket, "getaddrinfo", lambda _, port, **more: real(server.host, port, **more)
            )
            with pytest.raises(ConnectionLost, match="certificate is refused"):
                _open(
                    server,
                    host="other.example",
                    use_ssl=not starttls,
                    starttls=starttls,
                    ca_file=server.ca_file,
                )
        assert server.logins == 0


def test_tls_on_a_plain_port_hints_at_the_settings(server: MailServer) -> None:
    with pytest.raises(ConnectionLost, match=r"IMAP_USE_SSL.*IMAP_PORT"):
        _open(server, use_ssl=True)


def test_plain_text_on_a_tls_port_ends_with_the_deadline(tls_server: MailServer) -> None:
    with pytest.raises(ConnectionLost, match=r"no greeting in time.*IMAP_USE_SSL"):
        _open(tls_server, timeout=0.2)


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["missing", "empty", "text"])
def test_an_authority_that_cannot_be_read_is_a_configuration_error(
    tls_server: MailServer, tmp_path: Any, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="IMAP_CA_FILE"):
        _open(tls_server, use_ssl=True, ca_file=str(path))


def test_starttls_comes_before_the_credentials(starttls_server: MailServer) -> None:
    sent: list[bytes] = []
    one = _open(
        starttls_server,
        starttls=True,
        host="127.0.0.1",
        ca_file=starttls_server.ca_file,
        on_command=lambda moment, command: sent.append(command) if moment == "after" else None,
    )
    assert isinstance(one._wire.sock, ssl.SSLSocket)
    one.select("INBOX")
    one.close()
    assert [line.split()[0] for line in sent[:3]] == [b"STARTTLS", b"CAPABILITY", b"LOGIN"]


INJECTIONS = [
    pytest.param(
        faults.Trailing("STARTTLS", data=b"* 1 FETCH (UID 1 BODY[] {4}\r\nevil)\r\n"),
        id="a message behind the OK",
    ),
    pytest.param(
        faults.Trailing("STARTTLS", data=b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n"),
        id="capabilities behind the OK",
    ),
    pytest.param(faults.Answer("STARTTLS", b"NO not today"), id="NO"),
    pytest.param(faults.Answer("STARTTLS", b"BAD what?"), id="BAD"),
    pytest.param(faults.PreAuth(), id="PREAUTH"),
]


@pytest.mark.parametrize("fault", INJECTIONS)
def test_starttls_that_is_tampered_with_ends_before_the_credentials(
    starttls_server: MailServer, fault: faults.Fault
) -> None:
    starttls_server.faults.add(fault)
    with pytest.raises(ConnectionLost):
        _open(starttls_server, starttls=True, ca_file=starttls_server.ca_file)
    assert starttls_server.logins == 0
    assert not any(line.startswith((b"LOGIN", b"AUTH")) for line in starttls_server.commands)


def test_what_was_said_before_tls_is_forgotten(starttls_server: MailServer) -> None:
    """A FETCH before the OK to STARTTLS: imaplib would give it as an answer of the real server."""
    evil = b"* CAPABILITY IMAP4rev1 EVIL\r\n* 99 EXISTS\r\n* 1 FETCH (UID 1 BODY[] {4}\r\nevil)\r\n"
    starttls_server.faults.add(faults.Extra("STARTTLS", evil))
    one = _open(starttls_server, starttls=True, ca_file=starttls_server.ca_file)
    assert "EVIL" not in one.capabilities
    assert one.exists == 0
    one.select("INBOX")
    assert [body.raw for body in one.bodies(one.list_uids(), expected_octets=99).values()] == MAIL[
        :1
    ]
    one.close()


def test_stripped_starttls_is_refused(server: MailServer) -> None:
    with pytest.raises(ConnectionLost, match="IMAP_STARTTLS"):
        _open(server, starttls=True)
    assert server.logins == 0


# Sockets.

FAILURES = [
    pytest.param(faults.Greeting(b"* BYE too many connections\r\n"), id="BYE for a greeting"),
    pytest.param(faults.Greeting(b"220 mail ESMTP\r\n"), id="another protocol"),
    pytest.param(faults.RejectLogin(), id="a refused login"),
    pytest.param(faults.Cut("LOGIN", before=True), id="a cut at LOGIN"),
    pytest.param(faults.CutTotal(after_bytes=5), id="a cut in the greeting"),
]


@pytest.mark.parametrize("fault", FAILURES)
def test_a_failure_on_the_way_in_leaves_no_socket_open(
    server: MailServer, fault: faults.Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ResourceWarning is an error in this run; and the socket is closed without its destructor."""
    sockets: list[socket.socket] = []

    def noted(endpoint: Endpoint, remaining: Callable[[], float], abort: Abort) -> socket.socket:
        sockets.append(connect(endpoint, remaining, abort))
        return sockets[-1]

    monkeypatch.setattr("nornmail.imap.wire.connect", noted)
    server.faults.add(fault)
    with pytest.raises((ConnectionLost, AuthenticationFailed, Throttled)):
        _open(server)
    assert [sock.fileno() for sock in sockets] == [-1]


def test_nobody_there_is_a_lost_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    given = ImapSettings(host="127.0.0.1", port=port, username="a", password="b", use_ssl=False)
    with pytest.raises(ConnectionLost, match="cannot connect"):
        Connection.open(given, clock=SystemClock())


def test_a_name_that_is_no_host_is_a_configuration_error() -> None:
    given = ImapSettings(host="a" * 64 + ".example", username="a", password="b")
    with pytest.raises((ConfigurationError, ConnectionLost)):
        Connection.open(given, clock=SystemClock())
