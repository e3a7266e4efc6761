"""All real servers: what the delivery suite takes for granted of each, and the copies and drafts of
outgoing mail.
"""

from __future__ import annotations

import imaplib
import re
import time
from datetime import UTC, datetime

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller, SentMailbox, parse_message
from tests.outbox.fake import world
from tests.poller.delivery.harness import REAL, mail
from tests.support.clock import FakeClock
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


def account(server: PrivateServer) -> ImapSettings:
    return ImapSettings(
        host=server.host,
        port=server.port,
        username=server.user(),
        password=server.password,
        use_ssl=False,
    )


def test_a_copy_goes_to_the_mailbox_for_sent_mail(server: PrivateServer) -> None:
    imap = account(server)
    sent, when = SentMailbox(imap), datetime(2025, 1, 5, 8, 9, 10, tzinfo=UTC)
    raw = b"From: a@example.com\r\nMessage-ID: <one@example.com>\r\n\r\nbody\r\n"
    assert not sent.has("<one@example.com>")
    sent.append(raw, when)
    assert sent.has("<one@example.com>")
    assert not sent.has("<two@example.com>")
    sent.append(raw.replace(b"<one@", b"<two@"), when)  # into a mailbox that is there
    assert sent.has("<two@example.com>")
    with server.connect(imap.username or "") as person:
        assert person.select(f"{server.prefix}Sent") == ("OK", [b"2"])
        _, data = person.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")
        copy = data[0]
    assert isinstance(copy, tuple)
    assert copy[1] == raw
    assert b"\\Seen" in copy[0] + (data[1] if isinstance(data[1], bytes) else b"")


def test_a_draft_is_saved_edited_sent_and_deleted(server: PrivateServer) -> None:
    imap = account(server)
    # No server believes in a date of the future.
    one = world(sent_mailbox=SentMailbox(imap), clock=FakeClock(time.time()))
    for key in ("sent", "deleted"):
        asked = parse_message(
            b"From: ann@example.org\r\nTo: agent@example.com\r\nSubject: When?\r\n"
            b"Message-ID: <q-%s@example.org>\r\nReferences: <q1@example.org>\r\n\r\nhi\r\n"
            % key.encode()
        )
        one.mailer.draft(asked, key, key=key)
        one.mailer.flush()
    one.until(60, 10)
    with server.connect(imap.username or "") as person:
        person.select(f"{server.prefix}Drafts")
        data = person.fetch("1:*", "(FLAGS BODY.PEEK[])")[1]
        drafts = [item for item in data if isinstance(item, tuple)]
        assert [str(data).count("\\Draft"), len(drafts)] == [2, 2]
        saved = parse_message(drafts[0][1])
        assert saved.in_reply_to == "<q-sent@example.org>"
        assert saved.references == ("<q1@example.org>", "<q-sent@example.org>")
        if server.prefix + "Sent" not in str(person.list()):
            person.create(f"{server.prefix}Sent")
        # As a mail program sends it that gives every version a Message-ID of its own.
        edited = re.sub(
            rb"(?m)^Message-ID: .*\r\n", b"Message-ID: <new@mua.example>\r\n", drafts[0][1]
        )
        at = imaplib.Time2Internaldate(one.clock.wall())
        person.append(f"{server.prefix}Sent", "", at, edited)
        person.store("1:*", "+FLAGS", "\\Deleted")
        person.expunge()
    one.until(120, 10)
    assert (one.state("sent"), one.state("deleted")) == ("sent", "failed")
