"""The fixture itself: what other tests take for granted of it."""

from __future__ import annotations

import imaplib
import socket
from datetime import UTC, datetime

import pytest

from tests.support.dovecot import Dovecot

pytestmark = pytest.mark.interop

MAIL = b"From: a@example.com\r\nSubject: one\r\n\r\nbody\r\n"


def fetch(client: imaplib.IMAP4, uid: int, item: str) -> bytes:
    status, answer = client.uid("FETCH", str(uid), f"({item})")
    assert status == "OK"
    return b"".join(
        part if isinstance(part, bytes) else b"".join(part) for part in answer if part is not None
    )


def fetch_body(client: imaplib.IMAP4, uid: int) -> bytes:
    _, answer = client.uid("FETCH", str(uid), "(BODY.PEEK[])")
    (literal,) = [part[1] for part in answer if isinstance(part, tuple)]
    assert isinstance(literal, bytes)
    return literal


@pytest.mark.parametrize("tls", [pytest.param(False, id="plain"), pytest.param(True, id="tls")])
def test_any_user_logs_in(dovecot: Dovecot, tls: bool) -> None:
    with dovecot.connect(dovecot.user(), tls=tls) as client:
        assert client.select("INBOX") == ("OK", [b"0"])


def test_a_wrong_password_is_refused(dovecot: Dovecot) -> None:
    with (
        imaplib.IMAP4(dovecot.host, dovecot.port, timeout=10) as client,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        client.login(dovecot.user(), "wrong")


def test_every_user_has_a_mailbox_of_their_own(dovecot: Dovecot) -> None:
    first, second = dovecot.user(), dovecot.user()
    dovecot.deliver(first, MAIL)
    with dovecot.connect(second) as client:
        assert client.select("INBOX") == ("OK", [b"0"])


def test_deliver_returns_the_uid(dovecot: Dovecot) -> None:
    user = dovecot.user()
    uids = [dovecot.deliver(user, MAIL) for _ in range(3)]
    assert uids == [1, 2, 3]
    with dovecot.connect(user) as client:
        client.select("INBOX")
        assert client.uid("SEARCH", "ALL") == ("OK", [b"1 2 3"])
        assert fetch_body(client, 2) == MAIL


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bytes(range(1, 10)) + bytes(range(11, 256)), id="every octet but NUL and LF"),
        pytest.param(b"lone\rreturn", id="a lone carriage return"),
        pytest.param(b"", id="no body"),
    ],
)
def test_octets_come_back_as_they_were(dovecot: Dovecot, body: bytes) -> None:
    user, raw = dovecot.user(), b"Subject: octets\r\n\r\n" + body
    uid = dovecot.deliver(user, raw)
    with dovecot.connect(user) as client:
        client.select("INBOX")
        assert fetch_body(client, uid) == raw


def test_deliver_sets_flags_and_date(dovecot: Dovecot) -> None:
    user, date = dovecot.user(), datetime(2020, 2, 29, 12, 30, tzinfo=UTC)
    uid = dovecot.deliver(user, MAIL, flags=(r"\Flagged", "$Mine"), date=date)
    with dovecot.connect(user) as client:
        client.select("INBOX")
        facts = fetch(client, uid, "FLAGS INTERNALDATE")
    assert rb"\Flagged" in facts
    assert b"$Mine" in facts
    (stamp,) = [part for part in facts.split(b'"') if b"2020" in part]
    assert datetime.strptime(stamp.decode(), "%d-%b-%Y %H:%M:%S %z") == date


def test_deliver_makes_the_mailbox(dovecot: Dovecot) -> None:
    user = dovecot.user()
    for expected in (1, 2):
        assert dovecot.deliver(user, MAIL, mailbox="Some mail") == expected
    with dovecot.connect(user) as client:
        assert client.select('"Some mail"') == ("OK", [b"2"])


def test_a_reset_gives_a_higher_uid_validity_and_counts_from_one(dovecot: Dovecot) -> None:
    user = dovecot.user()
    with dovecot.connect(user) as client:
        dovecot.deliver(user, MAIL)
        dovecot.deliver(user, MAIL)
        client.select("INBOX")
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
    values = [dovecot.uid_validity(user)]
    values += [dovecot.reset_uid_validity(user) for _ in range(3)]
    assert values == sorted(set(values))
    with dovecot.connect(user) as client:
        client.select("INBOX")
        assert client.uid("SEARCH", "ALL") == ("OK", [b"1"])


def test_an_outage_drops_clients_and_leaves_the_mail(dovecot: Dovecot) -> None:
    user = dovecot.user()
    dovecot.deliver(user, MAIL)
    ports = dovecot.port, dovecot.tls_port
    client = dovecot.connect(user)
    dovecot.stop()
    try:
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((dovecot.host, port), 10)
    finally:
        client.shutdown()
        dovecot.start()
    assert (dovecot.port, dovecot.tls_port) == ports
    with dovecot.connect(user, tls=True) as again:
        assert again.select("INBOX") == ("OK", [b"1"])
