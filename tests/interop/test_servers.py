"""The fixtures of all real servers: what the delivery suite takes for granted of each."""

from __future__ import annotations

import imaplib

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller
from tests.poller.delivery.harness import REAL, mail
from tests.support.server import PrivateServer

pytestmark = pytest.mark.interop


@pytest.fixture(params=sorted({kind.fixture for kind in REAL.values()}))
def server(request: pytest.FixtureRequest) -> PrivateServer:
    one: PrivateServer = request.getfixturevalue(request.param)
    return one


@pytest.mark.parametrize("tls", [pytest.param(False, id="plain"), pytest.param(True, id="TLS")])
def test_any_user_logs_in_and_has_an_empty_mailbox(server: PrivateServer, tls: bool) -> None:
    with server.connect(server.user(), tls=tls) as client:
        assert client.select("INBOX") == ("OK", [b"0"])


def test_a_wrong_password_is_refused(server: PrivateServer) -> None:
    with (
        imaplib.IMAP4(server.host, server.port, timeout=20) as client,
        pytest.raises(imaplib.IMAP4.error),
    ):
        client.login(server.user(), "wrong")


def test_a_new_uidvalidity_leaves_the_mail_and_counts_from_1(server: PrivateServer) -> None:
    user = server.user()
    with server.connect(user) as client:
        for name in ("one", "two", "three"):
            client.append("INBOX", "(\\Flagged)", '"01-Jan-2020 10:00:00 +0000"', mail(name))
        client.select("INBOX")
        client.store("1", "+FLAGS", "(\\Deleted)")
        client.expunge()
    before = server.uid_validity(user)
    assert server.reset_uid_validity(user) != before
    with server.connect(user) as client:
        client.select("INBOX")
        _, answer = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE)")
        assert len(answer) == 2
        for uid, told in enumerate(answer, 1):
            assert isinstance(told, bytes)
            assert b"UID %d" % uid in told
            assert b"\\Flagged" in told
            assert b"1-Jan-2020 10:00:00 +0000" in told


@pytest.mark.parametrize("way", ["TLS", "STARTTLS"])
def test_the_poller_comes_in_by(server: PrivateServer, way: str) -> None:
    user = server.user()
    with server.connect(user) as client:
        client.append("INBOX", "", "", mail("hello"))
    settings = ImapSettings(
        host="localhost",
        port=server.tls_port if way == "TLS" else server.port,
        username=user,
        password=server.password,
        use_ssl=way == "TLS",
        starttls=way == "STARTTLS",
        ca_file=str(server.ca_file),
    )
    seen: list[str] = []
    poller = Poller(
        settings, store=MemoryStateStore(), on_message=lambda one: seen.append(one.subject)
    )
    try:
        assert poller.poll_once().handled == 1
    finally:
        poller.close()
    assert seen == ["hello"]
