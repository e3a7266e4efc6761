"""Mail for somebody who has an account here."""

from __future__ import annotations

import imaplib
import re

import pytest

from nornmail.testing import MailServer
from nornmail.testing.smtp.transaction import addressee
from tests.support.table import table
from tests.testing.smtp.raw import MESSAGE, PASSWORD, USER, RawClient


@table(
    ("address", "account"),
    [
        pytest.param("kim@example.org", "kim@example.org", id="the name is the address"),
        pytest.param("KIM@Example.ORG", "kim@example.org", id="in any case"),
        pytest.param("kim+tag@example.org", "kim@example.org", id="with a tag"),
        pytest.param("kim+own@example.org", "kim+own@example.org", id="a tag with an account"),
        pytest.param("bob@anywhere.example", "bob", id="a name without a domain has them all"),
        pytest.param("bob", "bob", id="an address without a domain"),
        pytest.param("bob+x@anywhere.example", "bob", id="a name without a domain, with a tag"),
        pytest.param("jörg@example.org", "jörg@example.org", id="not ASCII"),
        pytest.param("kim@elsewhere.example", None, id="another domain"),
        pytest.param("example.org", None, id="the domain alone"),
        pytest.param("+tag@example.org", None, id="nothing but a tag"),
        pytest.param('"odd@bob"@example.org', None, id="an at sign within quotes"),
        pytest.param('"kim"@example.org', "kim@example.org", id="in quotes"),
        pytest.param('"a \\" b"@example.org', 'a " b@example.org', id="in quotes that it needs"),
    ],
)
def test_whose_mail_it_is(address: str, account: str | None) -> None:
    names = ["kim@example.org", "kim+own@example.org", "bob", "jörg@example.org"]
    names.append('a " b@example.org')
    assert addressee({name: name for name in names}, address) == account


def test_mail_for_an_account_lies_in_its_inbox_as_an_mta_writes_it(server: MailServer) -> None:
    server.add_user("bob", "x")
    raw = b"Return-Path: <forged@example.org>\r\n x\r\nSubject: hi\r\n\r\nReturn-Path: <kept>\r\n"
    with RawClient.to(server, hello=b"EHLO me at\x01home") as client:
        client.begin(b"Agent+x@EXAMPLE.com", b"stranger@example.org", b"bob@example.org")
        client.command(raw + b".")
    (message,) = server.wait_for_messages(user=USER)
    assert re.fullmatch(
        rb"Return-Path: <a@example\.org>\r\n"
        rb"Delivered-To: agent@example\.com\r\n"
        rb"Received: from me\?at\?home by localhost with ESMTP id 00000001\r\n"
        rb"\tfor <Agent\+x@EXAMPLE\.com>; [^\r\n]+\r\n"
        rb"Subject: hi\r\n\r\nReturn-Path: <kept>\r\n",
        message.raw,
    )
    assert message.as_email()["Delivered-To"] == USER
    assert message.internal_date == server.outbox[0].at
    assert server.outbox[0].raw == raw
    assert b"Delivered-To: bob\r\n" in server.mailbox(user="bob").messages[0].raw


@pytest.mark.parametrize(
    ("hello", "login", "options", "protocol"),
    [
        pytest.param(b"HELO me", False, b"", b"SMTP", id="HELO"),
        pytest.param(b"EHLO me", False, b"", b"ESMTP", id="EHLO"),
        pytest.param(b"EHLO me", True, b"", b"ESMTPA", id="with a login"),
        pytest.param(b"EHLO me", True, b" SMTPUTF8", b"UTF8SMTPA", id="and with SMTPUTF8"),
    ],
)
def test_the_received_header_names_the_protocol(
    server: MailServer, hello: bytes, login: bool, options: bytes, protocol: bytes
) -> None:
    with RawClient.to(server, hello=hello) as client:
        if login:
            assert (
                client.codes(b"AUTH LOGIN YWdlbnRAZXhhbXBsZS5jb20=", b"c2VjcmV0IHdvcmQ=")[1] == 235
            )
        client.codes(b"MAIL FROM:<>" + options, b"RCPT TO:<agent@example.com>", b"DATA")
        client.command(MESSAGE + b".")
    raw = server.mailbox().messages[0].raw
    assert b" with " + protocol + b" id " in raw
    assert raw.startswith(b"Return-Path: <>\r\n")


def test_a_recipient_named_twice_gets_one_copy(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.begin(USER.encode(), USER.encode())
        client.command(MESSAGE + b".")
    assert len(server.mailbox().messages) == 1


def test_in_a_local_domain_only_accounts_get_mail(server: MailServer) -> None:
    server.smtp.local_domains.add("Example.com")
    with RawClient.to(server) as client:
        client.command(b"MAIL FROM:<a@b>")
        lines = (b"RCPT TO:<agent@example.COM>", b"RCPT TO:<no@example.com>", b"RCPT TO:<x@y>")
        assert client.codes(*lines) == [250, 550, 250]


def test_mail_sent_by_smtp_is_read_by_imap(server: MailServer) -> None:
    with imaplib.IMAP4(server.host, server.imap_port) as reader:
        reader.login(USER, PASSWORD)
        reader.select()
        with RawClient.to(server) as client:
            client.begin(USER.encode())
            client.command(MESSAGE + b".")
        assert reader.noop()[0] == "OK"
        assert reader.response("EXISTS")[1][-1] == b"1"
        fetched = reader.fetch("1", "(BODY.PEEK[])")[1][0]
        assert isinstance(fetched, tuple)
        assert fetched[1].endswith(MESSAGE)
