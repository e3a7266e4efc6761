"""Waiting for what happens: woken by a change, and a good account of what did not come."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from nornmail.testing import MailServer, smtp_faults
from nornmail.testing.state import Changes
from tests.testing.raw_client import PASSWORD, USER

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
LONG = 60.0
"""Seconds: a wait that nothing wakes would take them all, and the test would be killed."""


class Meanwhile(threading.Thread):
    """Does something when somebody waits, and not before: `watched` tells it."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act
        self.asked = threading.Event()
        self.start()

    def run(self) -> None:
        assert self.asked.wait(LONG)
        self.act()

    def watched(self, predicate: Callable[[MailServer], object]) -> Callable[[MailServer], object]:
        """The predicate, which says when it was asked for the first time."""

        def asked(server: MailServer) -> object:
            value = predicate(server)
            self.asked.set()
            return value

        return asked


def send(server: MailServer) -> None:
    with smtplib.SMTP(server.host, server.smtp_port) as client:
        client.sendmail("kim@example.org", [USER, "bob@example.org"], MAIL)


def silence(server: MailServer) -> None:
    with socket.create_connection((server.host, server.smtp_port)) as sock:
        sock.sendall(b"NOOP\r\n")
        server.wait_for(lambda server: not server.faults.pending, seconds=LONG)


def refused(server: MailServer) -> None:
    server.refuse_connections = server.smtp.refuse_connections = True
    for port in (server.imap_port, server.smtp_port):
        with suppress(ConnectionResetError):  # as early as connecting, on some systems
            socket.create_connection((server.host, port)).close()


def flag(server: MailServer) -> None:
    with imaplib.IMAP4(server.host, server.imap_port) as client:
        client.login(USER, PASSWORD)
        client.select()
        client.store("1", "+FLAGS", r"(\Seen)")


@pytest.mark.parametrize(
    ("act", "predicate"),
    [
        pytest.param(send, lambda server: server.outbox, id="mail is sent"),
        pytest.param(send, lambda server: server.mailbox().messages[1:], id="and arrives"),
        pytest.param(
            lambda server: server.deliver(MAIL),
            lambda server: len(server.mailbox().messages) == 2,
            id="mail is delivered",
        ),
        pytest.param(
            flag,
            lambda server: server.mailbox().messages[0].flags == {"\\Seen"},
            id="a client sets a flag",
        ),
        pytest.param(
            lambda server: server.mailbox().set_flags(1, ["x"]),
            lambda server: server.mailbox().messages[0].flags == {"x"},
            id="the test sets a flag",
        ),
        pytest.param(
            lambda server: server.mailbox().expunge(1),
            lambda server: not server.mailbox().messages,
            id="the test removes a message",
        ),
        pytest.param(
            lambda server: server.mailbox().reset_uid_validity(77),
            lambda server: server.mailbox().uid_validity == 77,
            id="the test changes the UIDVALIDITY",
        ),
        pytest.param(
            silence, lambda server: not server.faults.pending, id="a fault fires and says nothing"
        ),
        pytest.param(
            refused, lambda server: server.refused + server.smtp.refused == 2, id="it is refused"
        ),
        pytest.param(
            flag,
            lambda server: server.connections and not server.live_connections,
            id="a client is gone",
        ),
        pytest.param(
            send,
            lambda server: server.smtp.connections and not server.smtp.live_connections,
            id="an SMTP client is gone",
        ),
    ],
)
def test_a_change_ends_the_wait(
    server: MailServer,
    act: Callable[[MailServer], object],
    predicate: Callable[[MailServer], object],
) -> None:
    server.deliver(MAIL)
    server.faults.add(smtp_faults.Silent("NOOP", optional=True))
    other = Meanwhile(lambda: act(server))
    assert server.wait_for(other.watched(predicate), seconds=LONG)
    other.join()


def test_what_is_true_already_is_not_waited_for(server: MailServer) -> None:
    server.deliver(MAIL)
    assert server.wait_for(lambda server: 7, seconds=0) == 7
    assert [message.raw for message in server.wait_for_messages(1, seconds=0)] == [MAIL]
    assert server.wait_for_messages(0, mailbox="Nowhere", seconds=0) == []
    assert server.wait_for_sent(0, seconds=0) == []


def test_mail_is_waited_for_in_numbers(server: MailServer) -> None:
    server.add_user("bob", "x")

    def send_three() -> None:
        for _ in range(3):
            send(server)

    thread = threading.Thread(target=send_three)
    thread.start()
    assert len(server.wait_for_sent(3, seconds=LONG)) == 3
    assert len(server.wait_for_messages(3, user="bob", seconds=LONG)) == 3
    thread.join()


def test_a_wait_in_vain_says_what_was_there_instead(server: MailServer) -> None:
    server.deliver(MAIL)
    server.deliver(MAIL, mailbox="Archive")
    send(server)
    with pytest.raises(TimeoutError) as caught:
        server.wait_for_messages(9, mailbox="Archive", seconds=0.01)
    told = str(caught.value)
    assert told.startswith(f"waited 0.01 s in vain for messages in Archive of {USER}: 9\n")
    assert f"  2 in INBOX of {USER}\n  1 in Archive of {USER}\n  1 in the outbox\n" in told
    assert f"    from kim@example.org to {USER}, bob@example.org\n" in told
    assert "[smtp 1] C: QUIT" in told
    with pytest.raises(TimeoutError, match="the last value was False"):
        server.wait_for(lambda server: len(server.outbox) > 5, seconds=0.01)
    with pytest.raises(TimeoutError, match="messages in the outbox: 2"):
        server.wait_for_sent(2, seconds=0)


def test_what_a_predicate_raises_is_not_hidden(server: MailServer) -> None:
    with pytest.raises(KeyError):
        server.wait_for(lambda server: server.mailbox("Nowhere").messages)


def test_a_change_while_the_predicate_is_asked_is_not_missed() -> None:
    changes, calls = Changes(), 0

    def predicate() -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            changes.announce()  # between the question and the wait
        return calls == 2

    assert changes.wait_for(predicate, LONG)
