"""The setup guide from its first step to the last: a real Dovecot, a real Postfix, and curl."""

from __future__ import annotations

import base64
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import pytest

from tests.cli.support import Running
from tests.guide.walk import DOMAIN, Walk

pytestmark = pytest.mark.interop


def test_the_guide_works_as_it_stands(walk: Walk) -> None:
    installed(walk)
    configured(walk)
    with walk.service() as service:
        said = f"IMAP poller starting: {walk.dovecot.host}:{walk.dovecot.tls_port}/INBOX "
        assert "(interval=60s)" in service.complaint(said)
        inbox = inboxes(walk)
        arrivals(walk, service, inbox)
        synced(walk, inbox)
        sent(walk, inbox)
        service.tell(signal.SIGTERM)
        assert service.end().status == 0
    restarted(walk, inbox)
    troubles(walk)


def installed(walk: Walk) -> None:
    """Step 1: the command is there, and nothing else."""
    listed = walk.install().lower().split()
    names = {line.partition("=")[0].partition("@")[0] for line in listed}
    assert "nornmail" in names
    assert names <= {"nornmail", "pip", "setuptools", "wheel", ""}
    with walk.call("--version") as running:
        assert running.end().out.startswith("nornmail ")


def configured(walk: Walk) -> None:
    """Steps 2 and 3: what is wrong is one clear line, and nothing starts."""
    walk.configure()
    for changes, words in [
        ({"EMAIL_PROVIDER": "sendgrid"}, ["EMAIL_PROVIDER", "imap-smtp"]),
        ({"IMAP_PORT": "99999"}, ["IMAP_PORT", "99999"]),
        (
            {"IMAP_DELETE_AFTER_FETCH": "true", "IMAP_MARK_AS_READ": "false"},
            ["IMAP_DELETE_AFTER_FETCH", "IMAP_MARK_AS_READ"],
        ),
        ({"EMAIL_PRESET": "gmial"}, ["EMAIL_PRESET", "gmail", "self-hosted"]),
    ]:
        with walk.call("serve", **changes) as running:
            ended = running.end()
        assert ended.status == 2
        (line,) = ended.err.splitlines()
        assert all(word in line for word in words), line
    assert walk.failures() == []


def inboxes(walk: Walk) -> dict[str, Any]:
    """Step 5."""
    body = {"name": "Test", "email_username": "test"}
    made = walk.curl("POST", "/v1/inboxes", body)
    assert made.status == 201
    assert made.body["email_address"] == f"test@{DOMAIN}"
    assert walk.curl("POST", "/v1/inboxes", body).status == 409
    other = walk.curl("POST", "/v1/inboxes", {"name": "Other", "email_username": "other"})
    page = walk.curl("GET", "/v1/inboxes?limit=1&offset=1")
    assert (page.status, page.body) == (200, {"items": [other.body], "count": 2})
    assert walk.curl("GET", f"/v1/inboxes/{made.body['id']}").body == made.body
    assert walk.curl("DELETE", f"/v1/inboxes/{other.body['id']}").status == 204
    assert walk.curl("GET", f"/v1/inboxes/{other.body['id']}").status == 404
    found: dict[str, Any] = made.body
    return found


def arrivals(walk: Walk, service: Running, inbox: dict[str, Any]) -> None:
    """Step 6: at once, since the server has IDLE and the interval is a minute."""
    walk.write(f"nobody@{DOMAIN}", "for nobody")
    walk.write(f"Test <{inbox['email_address']}>", "one", References="<zero@example.org>")
    line = service.line()
    assert (line["subject"], line["inbox"]) == ("one", inbox["email_address"])


def synced(walk: Walk, inbox: dict[str, Any]) -> None:
    """Step 7."""
    target = f"/v1/inboxes/{inbox['id']}/sync"
    reply = walk.curl("POST", target)
    assert (reply.status, reply.body) == (200, {"status": "synced", "new_messages": 0})
    assert walk.curl("POST", "/v1/inboxes/nothing/sync").status == 404
    walk.dovecot.stop()
    try:
        down = walk.curl("POST", target)
        assert down.status == 502
        assert str(walk.dovecot.tls_port) in down.body["detail"]
        assert walk.curl("GET", "/healthz").status == 503
    finally:
        walk.dovecot.start()
    assert walk.curl("POST", target).status == 200
    assert walk.curl("GET", "/healthz").status == 200


def sent(walk: Walk, inbox: dict[str, Any]) -> None:
    """Step 9: through the outbox, in the thread of what it answers."""
    kim = walk.postfix.user()
    reply = walk.curl(
        "POST",
        "/v1/messages",
        {
            "inbox_id": inbox["id"],
            "to": kim,
            "subject": "Re: one",
            "body": "Hello, Kim.",
            "html": "<p>Hello, Kim.</p>",
            "reply_to_message_id": "<one@example.org>",
            "attachments": [
                {"filename": "a.bin", "content": base64.b64encode(b"\x00\xff").decode()}
            ],
        },
    )
    assert reply.status == 202
    (arrived,) = walk.postfix.wait_for_mail(kim)
    assert arrived.return_path == inbox["email_address"]
    message: EmailMessage = arrived.as_email()
    assert message["Message-ID"] == reply.body["message_id"]
    assert message["In-Reply-To"] == "<one@example.org>"
    assert message["References"].split() == ["<zero@example.org>", "<one@example.org>"]
    assert [part.get_filename() for part in message.iter_attachments()] == ["a.bin"]


def restarted(walk: Walk, inbox: dict[str, Any]) -> None:
    """Step 8: a restart repeats nothing, nor does a new UIDVALIDITY, unless it is asked for."""
    address = inbox["email_address"]
    walk.write(address, "meanwhile")
    with walk.service() as service:
        assert service.line()["subject"] == "meanwhile"
        service.tell(signal.SIGTERM)
        assert service.end().out == ""
    walk.dovecot.reset_uid_validity(walk.account)
    walk.write(address, "after")
    with walk.service() as service:
        assert service.line()["subject"] == "after"
        service.tell(signal.SIGTERM)
        assert service.end().out == ""
    walk.dovecot.reset_uid_validity(walk.account)
    with walk.service(IMAP_ON_UIDVALIDITY_CHANGE="replay") as service:
        again = [service.line()["subject"] for _ in range(3)]
        service.tell(signal.SIGTERM)
        assert service.end().status == 0
    assert again == ["one", "meanwhile", "after"]


@contextmanager
def silent() -> Iterator[int]:
    """A port behind which nobody speaks, as behind a firewall that lets a connection through."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def troubles(walk: Walk) -> None:
    """Step 10: ``nornmail check`` finds each cause, and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = str(free.getsockname()[1])
    # Connection refused.
    said(walk, ["IMAP TCP", closed, "IMAP_PORT"], IMAP_PORT=closed)
    said(walk, ["SMTP TCP", closed, "SMTP_PORT"], SMTP_PORT=closed)
    said(walk, ["IMAP TLS", "IMAP_USE_SSL"], IMAP_PORT=str(walk.dovecot.port))
    said(walk, ["IMAP greeting", "IMAP_USE_SSL=true"], IMAP_USE_SSL="false")
    with silent() as port:
        said(walk, ["IMAP TLS"], IMAP_PORT=str(port), IMAP_TIMEOUT="0.3")
    # Mail is not picked up.
    said(walk, ["IMAP mailbox", "Inbax", "INBOX"], IMAP_MAILBOX="Inbax")
    said(walk, ["inboxes", f"test@{DOMAIN}", f"tset@{DOMAIN}"], before=lambda: strangers(walk))
    # SMTP authentication failed.
    said(walk, ["SMTP login", "SMTP_PASSWORD"], SMTP_PASSWORD="wrong")
    said(walk, ["IMAP login", "IMAP_PASSWORD"], IMAP_PASSWORD="wrong")


def strangers(walk: Walk) -> None:
    """More mail than is looked at, all of it for an address that nobody has made."""
    for number in range(20):
        walk.write(f"tset@{DOMAIN}", f"stranger {number}")


def said(walk: Walk, words: list[str], before: Any = None, **environment: str) -> None:
    """One step fails, and its line has these words."""
    if before is not None:
        before()
    failed = [line for line in walk.failures(**environment) if all(word in line for word in words)]
    assert failed, (words, json.dumps(walk.failures(**environment)))
