"""Starting, stopping, TLS, and what a test can do to the mailboxes."""

from __future__ import annotations

import imaplib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any

import pytest

from nornmail import Mailer, MemoryStateStore, Poller
from nornmail.testing import MISSING, MailServer, StoredMessage, smtp_faults
from tests.support.table import table
from tests.testing.raw_client import PASSWORD, USER, RawClient
from tests.testing.smtp.raw import RawClient as SmtpClient


def test_stopping_leaves_no_thread_and_no_port() -> None:
    before = set(threading.enumerate())
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        client = RawClient.to(server)
        port, smtp_port = server.imap_port, server.smtp_port
        smtp = SmtpClient.to(server)
        assert server.smtp.live_connections == 1
        assert server.live_connections == 1
    assert client.all() == smtp.all() == b""
    client.sock.close()
    smtp.sock.close()
    assert set(threading.enumerate()) == before
    for closed in (port, smtp_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, closed))


def test_many_servers_at_once_keep_to_themselves() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(MailServer()) for _ in range(20)]
        assert len({port for one in servers for port in (one.imap_port, one.smtp_port)}) == 40
        for number, one in enumerate(servers):
            one.add_user(USER, PASSWORD)
            with smtplib.SMTP(one.host, one.smtp_port) as client:
                client.sendmail(f"{number}@example.org", [USER], b"Subject: x\r\n\r\n")
        for number, one in enumerate(servers):
            (sent,) = one.outbox
            assert sent.mail_from == f"{number}@example.org"
            assert len(one.mailbox().messages) == 1


def test_an_smtp_port_that_cannot_be_had_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_self: object) -> None:
        raise OSError("no port")

    before = set(threading.enumerate())
    monkeypatch.setattr("nornmail.testing.smtp.session.SmtpServer.start", refuse)
    with pytest.raises(OSError, match="no port"):
        MailServer().start()
    assert set(threading.enumerate()) == before


def test_a_client_that_says_nothing_does_not_hold_up_the_end() -> None:
    with MailServer(tls=True) as server:
        sock = socket.create_connection((server.host, server.imap_port))
    sock.close()


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_tls_from_the_first_octet_has_a_certificate_of_the_test_authority(name: str) -> None:
    with MailServer(tls=True) as server:
        server.add_user(USER, PASSWORD)
        context = ssl.create_default_context(cafile=server.ca_file)
        with imaplib.IMAP4_SSL(name, server.imap_port, ssl_context=context) as client:
            assert client.login(USER, PASSWORD)[0] == "OK"


@pytest.mark.parametrize(
    ("farewell", "clean"),
    [
        pytest.param(b"QUIT", True, id="after QUIT"),
        pytest.param(b"NOOP", False, id="cut by a fault"),
    ],
)
def test_tls_ends_in_an_orderly_way_unless_a_fault_cuts_it(farewell: bytes, clean: bool) -> None:
    with MailServer(tls=True) as server:
        server.faults.add(smtp_faults.Cut("NOOP", before=True, optional=clean))
        context = ssl.create_default_context(cafile=server.ca_file)
        # Before Python 3.11.4 a context takes every end for an orderly one unless it is told.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        with (
            socket.create_connection((server.host, server.smtp_port), timeout=20) as sock,
            context.wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            ) as client,
        ):
            client.sendall(farewell + b"\r\n")
            with nullcontext() if clean else pytest.raises(ssl.SSLError, match=r"(?i)\beof\b"):
                _read_to_the_end(client)


def _read_to_the_end(sock: socket.socket) -> None:
    while sock.recv(1000):
        continue


def test_starttls_upgrades_and_takes_back_logindisabled() -> None:
    with MailServer(starttls=True) as server:
        server.add_user(USER, PASSWORD)
        server.capabilities.add("LOGINDISABLED")
        with imaplib.IMAP4(server.host, server.imap_port) as client:
            assert {"STARTTLS", "LOGINDISABLED"} <= set(client.capabilities)
            with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
                client.login(USER, PASSWORD)
            client.starttls(ssl.create_default_context(cafile=server.ca_file))
            assert not {"STARTTLS", "LOGINDISABLED"} & set(client.capabilities)
            assert client.login(USER, PASSWORD)[0] == "OK"


def test_plain_text_sent_with_starttls_is_not_obeyed_under_tls() -> None:
    with MailServer(starttls=True) as server:
        with RawClient(server.host, server.imap_port) as client:
            client.line()
            client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
            assert client.line().startswith(b"a OK")
            client.start_tls(ssl.create_default_context(cafile=server.ca_file))
            client.send(b"c NOOP\r\n")
            assert client.line() == b"c OK completed\r\n"
        assert not any(b"CAPABILITY" in command for command in server.commands)


def test_tls_and_starttls_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        MailServer(tls=True, starttls=True)


def test_a_port_is_known_only_once_started() -> None:
    with pytest.raises(RuntimeError, match="not been started"):
        _ = MailServer().imap_port
    with pytest.raises(RuntimeError, match="not been started"):
        _ = MailServer().smtp_port


def test_delivered_octets_are_kept_as_they_are(server: MailServer, client: RawClient) -> None:
    raw = b"Subject: x\n\nbare\rcr\x00nul\xffhigh, no line end"
    uid = server.deliver(raw)
    assert server.mailbox().messages[0].raw == raw
    answer = client.command(b"UID FETCH %d BODY.PEEK[]" % uid)
    assert b"{%d}\r\n%s)\r\n" % (len(raw), raw) in answer


def test_a_delivered_email_message_has_crlf(server: MailServer) -> None:
    message = EmailMessage()
    message["Subject"] = "hello"
    message.set_content("one\ntwo\n")
    server.deliver(message)
    raw = server.mailbox().messages[0].raw
    assert b"Subject: hello\r\n" in raw
    assert b"one\r\ntwo\r\n" in raw


def test_a_delivery_has_the_flags_the_date_and_the_uid_it_was_given(server: MailServer) -> None:
    date = datetime(2024, 2, 1, 3, 4, 5, tzinfo=timezone(timedelta(hours=-5)))
    assert server.deliver(b"x", flags=("\\seen", "$Junk"), date=date, uid=70) == 70
    expected = StoredMessage(70, frozenset({"\\Seen", "$Junk"}), b"x", date)
    assert server.mailbox("inbox").messages == [expected]
    assert server.deliver(b"y", date=datetime(2024, 1, 1)) == 71
    assert server.mailbox().messages[1].internal_date == datetime(2024, 1, 1, tzinfo=UTC)
    assert server.mailbox().uid_next == 72


@pytest.mark.parametrize("uid", [3, 0, 2**32])
def test_a_uid_that_is_taken_or_impossible_is_refused(server: MailServer, uid: int) -> None:
    server.deliver(b"x", uid=3)
    with pytest.raises(ValueError, match="taken or out of range"):
        server.deliver(b"y", uid=uid)


def test_the_user_must_be_named_when_there_are_several(server: MailServer) -> None:
    server.add_user("second", "x")
    with pytest.raises(ValueError, match="name the user"):
        server.deliver(b"x")
    server.deliver(b"x", user="second", mailbox="New/Box")
    assert len(server.mailbox("New/Box", user="second").messages) == 1
    with pytest.raises(KeyError):
        server.mailbox("New/Box", user=USER)


def test_what_another_client_does_is_seen(server: MailServer, client: RawClient) -> None:
    one, two = server.deliver(b"1"), server.deliver(b"2")
    client.command(b"NOOP")
    box = server.mailbox()
    box.expunge(one)
    box.set_flags(two, ["\\Flagged"])
    assert client.command(b"NOOP") == (
        b"* 1 EXPUNGE\r\n* 1 FETCH (FLAGS (\\Flagged))\r\ntag OK completed\r\n"
    )
    with pytest.raises(KeyError):
        box.expunge(one)


def test_a_hidden_uid_is_left_out_of_as_many_searches(
    server: MailServer, client: RawClient
) -> None:
    uid = server.deliver(b"x")
    server.mailbox().hide(uid, listings=2)
    answers = [client.command(b"UID SEARCH ALL").splitlines()[-2] for _ in range(3)]
    assert answers == [b"* SEARCH", b"* SEARCH", b"* SEARCH 1"]


@pytest.mark.parametrize(
    ("attribute", "value", "shown", "absent"),
    [
        ("uid_next_override", 900, b"[UIDNEXT 900]", b"[UIDNEXT 1]"),
        ("uid_validity_override", 0, b"[UIDVALIDITY 0]", b"[UIDVALIDITY 1000]"),
        ("uid_next_override", MISSING, b"[UIDVALIDITY", b"UIDNEXT"),
        ("uid_validity_override", MISSING, b"[UIDNEXT", b"UIDVALIDITY"),
    ],
    ids=["UIDNEXT inflated", "UIDVALIDITY 0", "no UIDNEXT", "no UIDVALIDITY"],
)
def test_an_override_is_what_select_and_status_show(
    server: MailServer, attribute: str, value: object, shown: bytes, absent: bytes
) -> None:
    setattr(server.mailbox(), attribute, value)
    with RawClient.to(server, mailbox=None) as client:
        selected = client.command(b"SELECT INBOX")
        status = client.command(b"STATUS INBOX (UIDNEXT UIDVALIDITY)")
    assert shown in selected
    assert absent not in selected
    assert shown.strip(b"[]") in status
    assert absent.strip(b"[]") + b")" not in status


def test_a_new_uid_validity_ends_the_sessions_that_are_open(
    server: MailServer, client: RawClient
) -> None:
    server.deliver(b"old", uid=50)
    box = server.mailbox()
    before = box.uid_validity
    box.reset_uid_validity()
    assert box.uid_validity > before
    assert [message.uid for message in box.messages] == [1]
    assert client.command(b"NOOP").startswith(b"* BYE")
    assert client.all() == b""


def test_a_quiet_new_uid_validity_is_seen_at_the_next_select(
    server: MailServer, client: RawClient
) -> None:
    server.deliver(b"old", uid=50)
    client.command(b"NOOP")
    server.mailbox().reset_uid_validity(77, renumber=False, quiet=True)
    assert b"UID 50" in client.command(b"FETCH 1 UID")
    again = client.command(b"SELECT INBOX")
    assert b"[UIDVALIDITY 77]" in again
    assert b"[UIDNEXT 51]" in again


def test_kick_closes_every_connection(server: MailServer, client: RawClient) -> None:
    with RawClient.to(server) as other:
        server.kick()
        assert client.all() == other.all() == b""
    assert (server.connections, server.logins) == (2, 2)


def test_refused_connections_are_reset(server: MailServer) -> None:
    server.refuse_connections = True
    with pytest.raises(ConnectionResetError):
        RawClient.hear(server)
    server.refuse_connections = False
    RawClient.to(server).sock.close()
    assert (server.refused, server.connections) == (1, 1)


def test_a_lower_uid_slides_in_among_the_others(server: MailServer, client: RawClient) -> None:
    server.deliver(b"b", uid=20)
    client.command(b"NOOP")
    server.deliver(b"a", uid=10)
    assert b"* 2 EXISTS" in client.command(b"NOOP")
    assert b"* 1 FETCH (UID 10)\r\n* 2 FETCH (UID 20)" in client.command(b"FETCH 1:* UID")


def test_the_transcript_has_everything_but_the_passwords(server: MailServer) -> None:
    server.add_user("other", "s3cret")
    with RawClient.to(server, login=False) as client:
        for text in (
            b'LOGIN "other" "wrong s3cret"',
            b"LOGIN {5+}\r\nother {6+}\r\ns3creT",
            b"AUTHENTICATE PLAIN AHMzY3JldABzM2NyZXQ=",
            b"LOGIN s3cret",
            b"LOGIN other s3cret}",
        ):
            client.command(text)
        client.send(b"z AUTHENTICATE PLAIN\r\n")
        assert client.line() == b"+ \r\n"
        client.send(b"AG90aGVyAHMzY3JldA==\r\n")
        assert client.line().startswith(b"z OK")
        client.command(b"NOOP")
    everything = "\n".join(server.transcript) + repr(server.commands)
    assert "3cre" not in everything
    assert "HMzY3" not in everything
    assert "MzY3" not in everything
    assert "[1] C: z AUTHENTICATE PLAIN" in everything
    assert server.commands[0] == b't1 LOGIN "other" ****'
    assert server.commands[-1] == b"t6 NOOP"
    assert "[1] S: t6 OK completed" in everything


@table(
    ("name", "wire"),
    [
        ("Entwürfe", b"Entw&APw-rfe"),
        ("A&B", b"A&-B"),
        ("已发送", b"&XfJT0ZAB-"),
        ("Sent Items/ü", b"Sent Items/&APw-"),
        ("📧", b"&2D3c5w-"),
        ("inbox", b"INBOX"),
    ],
)
def test_mailboxes_have_the_names_that_people_write(name: str, wire: bytes) -> None:
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        server.deliver("Subject: x", mailbox=name)
        box = server.mailbox(name)
        assert box.raw_name == wire
        assert box.name == ("INBOX" if name == "inbox" else name)
        assert len(server.wait_for_messages(mailbox=name, seconds=0)) == 1
        server.read_only_mailboxes.add(box.name)
        with RawClient.to(server, mailbox=None) as client:
            assert b"READ-ONLY" in client.command(b'SELECT "' + wire + b'"')


def test_a_malformed_name_is_shown_as_it_is() -> None:
    with MailServer() as server:
        server.add_user(USER, PASSWORD)
        with RawClient.to(server, mailbox=None) as client:
            client.command(b'CREATE "a&AA-b"')
        assert server.mailbox("a&AA-b").name == "a&AA-b"


@pytest.mark.parametrize(
    ("attempt", "error", "complaint"),
    [
        pytest.param(
            lambda server: server.deliver("x", user="nobody"),
            KeyError,
            f"no user 'nobody'; the server has 1: {USER}",
            id="an unknown user",
        ),
        pytest.param(
            lambda server: server.mailbox("Nope"),
            KeyError,
            f"{USER} has no mailbox 'Nope'; there is INBOX",
            id="an unknown mailbox",
        ),
        pytest.param(
            lambda server: server.deliver(7), TypeError, "not 7", id="what is not a message"
        ),
        pytest.param(
            lambda server: setattr(server.smtp, "require_tsl", True),
            AttributeError,
            "no attribute 'require_tsl'; did you mean 'require_tls'?",
            id="a misspelt setting of SMTP",
        ),
        pytest.param(
            lambda server: setattr(server, "refuse_conections", True),
            AttributeError,
            "did you mean 'refuse_connections'?",
            id="a misspelt setting of IMAP",
        ),
        pytest.param(
            lambda server: setattr(server.mailbox(), "uid_next_overide", 1),
            AttributeError,
            "did you mean 'uid_next_override'?",
            id="a misspelt override",
        ),
        pytest.param(
            lambda server: MailServer(like="gmial"),
            ValueError,
            "did you mean 'gmail'?",
            id="a misspelt vendor",
        ),
    ],
)
def test_a_mistake_of_the_test_is_a_sentence(
    server: MailServer,
    attempt: Callable[[MailServer], object],
    error: type[Exception],
    complaint: str,
) -> None:
    with pytest.raises(error, match=re.escape(complaint)):
        attempt(server)


@pytest.mark.parametrize(
    ("message", "raw"),
    [
        ("Subject: ä\n\nb\r\nc\rd", "Subject: ä\r\n\r\nb\r\nc\r\nd".encode()),
        (b"Subject: a\n\nb", b"Subject: a\n\nb"),
    ],
    ids=["text has CRLF", "octets are kept"],
)
def test_what_is_delivered(server: MailServer, message: str | bytes, raw: bytes) -> None:
    server.deliver(message)
    assert server.mailbox().messages[0].raw == raw


@pytest.mark.parametrize(
    ("arguments", "schemes"),
    [
        ({}, ("imap", "smtp")),
        ({"tls": True}, ("imaps", "smtps")),
        ({"starttls": True}, ("imap", "smtp")),
        ({"tls": True, "smtp": "starttls"}, ("imaps", "smtp")),
    ],
    ids=["plain", "TLS", "STARTTLS", "TLS and STARTTLS"],
)
def test_its_settings_are_those_of_nornmail(
    arguments: dict[str, Any], schemes: tuple[str, str]
) -> None:
    with MailServer(**arguments) as server:
        server.add_user(USER, PASSWORD)
        server.smtp.require_auth = True
        server.deliver("From: kim@example.org\nSubject: A lamp\n\nHow much?")
        imap_settings, smtp_settings = server.imap_settings(), server.smtp_settings(USER)
        with closing(Mailer(smtp_settings)) as mailer:
            poller = Poller(
                imap_settings,
                store=MemoryStateStore(),
                on_message=lambda message: mailer.reply(message, "12 euros"),
            )
            with closing(poller):
                assert poller.poll_once().handled == 1
        sent = server.assert_sent(
            to="Kim@example.org", subject="Re: A lamp", text="12 euros", sender=USER, count=1
        )
        assert sent.tls is (arguments != {})
        assert server.imap_url == f"{schemes[0]}://127.0.0.1:{server.imap_port}"
        assert server.smtp_url == f"{schemes[1]}://127.0.0.1:{server.smtp_port}"
        assert server.imap_settings(mailbox="Sent").mailbox == "Sent"
        with pytest.raises(
            AssertionError, match="no message was sent with to='x'\nThe outbox"
        ) as e:
            server.assert_sent(to="x")
        assert f"from {USER} to kim@example.org: Re: A lamp" in str(e.value)
        with pytest.raises(AssertionError, match="1 message was sent, expected 0"):
            server.assert_sent(count=0)


def test_it_keeps_its_ports_when_it_is_started_again() -> None:
    server = MailServer()
    with server:
        server.add_user(USER, PASSWORD)
        ports = server.imap_port, server.smtp_port
    with server, RawClient.to(server) as client:
        assert (server.imap_port, server.smtp_port) == ports
        assert client.command(b"NOOP") == b"tag OK completed\r\n"
    with MailServer(imap_port=ports[0], smtp_port=ports[1]) as other:
        assert (other.imap_port, other.smtp_port) == ports


def test_reset_makes_it_a_new_server(server: MailServer) -> None:
    client = RawClient.to(server)
    server.deliver("Subject: x")
    server.capabilities.discard("IDLE")
    server.smtp.require_auth = True
    server.faults.add(smtp_faults.Cut("NOOP"))
    server.reset()
    assert client.all() == b""
    client.sock.close()
    assert (server.transcript, server.faults.pending, server.outbox) == ([], [], [])
    assert "IDLE" in server.capabilities
    assert not server.smtp.require_auth
    server.add_user(USER, "another")
    assert server.mailbox().messages == []
