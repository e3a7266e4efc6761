"""Every command, seen as octets: what goes in and what comes out."""

from __future__ import annotations

import base64
import imaplib

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import PASSWORD, USER, RawClient

MAIL = (
    b"From: Ann <ann@example.com>\r\nTo: agent@example.com\r\nSubject: one\r\n two\r\n"
    b"X-Odd : y\r\nnot a field\r\n\r\nHello\r\nworld\r\n"
)
LISTED = b'* LIST (\\HasNoChildren) "/" INBOX\r\n* LIST (\\HasChildren) "/" A\r\n'


def plain(user: str, password: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{password}".encode())


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b'LOGIN agent@example.com "secret word"', b"tag OK [CAPABILITY IMAP4rev1 "),
        (b"LOGIN {17+}\r\nagent@example.com {11+}\r\nsecret word", b"tag OK "),
        (b"login agent@example.com wrong", b"tag NO [AUTHENTICATIONFAILED]"),
        (b"LOGIN agent@example.com", b"tag BAD "),
        (b"LOGIN {1+}\r\n\xff {1+}\r\n\xff", b"tag NO "),
        (b"AUTHENTICATE PLAIN " + plain(USER, PASSWORD), b"tag OK "),
        (b"AUTHENTICATE PLAIN " + plain("jürgen", "pässwort"), b"tag OK "),
        (b"AUTHENTICATE PLAIN !", b"tag BAD "),
        (b"AUTHENTICATE PLAIN QQ==", b"tag NO "),
        (b"AUTHENTICATE PLAIN =", b"tag NO "),
        (b"AUTHENTICATE LOGIN", b"tag NO Unsupported"),
        (b"AUTHENTICATE CRAM-MD5", b"tag NO Unsupported"),
        (b"SELECT INBOX", b"tag BAD SELECT is not allowed in this state"),
        (b"FROBNICATE", b"tag BAD Unknown command"),
    ],
    ids=lambda value: value[:36].decode("latin-1"),
)
def test_logging_in(server: MailServer, text: bytes, answer: bytes) -> None:
    server.add_user("jürgen", "pässwort")
    with RawClient.to(server, login=False) as client:
        assert client.command(text).startswith(answer)


def test_a_synchronising_literal_is_asked_for(server: MailServer) -> None:
    with RawClient.to(server, login=False) as client:
        client.send(b"a LOGIN {17}\r\n")
        assert client.line() == b"+ OK\r\n"
        client.send(b"agent@example.com {11}\r\n")
        assert client.line() == b"+ OK\r\n"
        client.send(b"secret word\r\n")
        assert client.line().startswith(b"a OK")


def test_authenticate_without_an_initial_answer_asks_for_it(server: MailServer) -> None:
    with RawClient.to(server, login=False) as client:
        client.send(b"a AUTHENTICATE PLAIN\r\n")
        assert client.line() == b"+ \r\n"
        client.send(b"*\r\n")
        assert client.line().startswith(b"a BAD")
        client.send(b"b AUTHENTICATE PLAIN\r\n")
        client.line()
        client.send(plain(USER, PASSWORD) + b"\r\n")
        assert client.line().startswith(b"b OK")


@pytest.mark.parametrize("initial", [True, False], ids=["with the user at once", "asked for all"])
def test_authenticate_login_asks_for_user_and_password(server: MailServer, initial: bool) -> None:
    server.capabilities.add("AUTH=LOGIN")
    user, password = (base64.b64encode(text.encode()) for text in (USER, PASSWORD))
    with RawClient.to(server, login=False) as client:
        if initial:
            client.send(b"a AUTHENTICATE LOGIN " + user + b"\r\n")
        else:
            client.send(b"a AUTHENTICATE LOGIN\r\n")
            assert client.line() == b"+ VXNlcm5hbWU6\r\n"
            client.send(user + b"\r\n")
        assert client.line() == b"+ UGFzc3dvcmQ6\r\n"
        client.send(password + b"\r\n")
        assert client.line().startswith(b"a OK")
    assert PASSWORD not in "".join(server.transcript)
    assert password.decode() not in "".join(server.transcript)


@pytest.mark.parametrize(("size", "taken"), [(4096, b"a NO [TRYCREATE]"), (4097, b"a BAD")])
def test_literal_minus_takes_small_literals_at_once(
    server: MailServer, size: int, taken: bytes
) -> None:
    server.capabilities = (server.capabilities - {"LITERAL+"}) | {"LITERAL-"}
    with RawClient.to(server, mailbox=None) as client:
        client.send(b"a APPEND none {%d+}\r\n%s\r\n" % (size, b"x" * size))
        assert client.line().startswith(taken)


@pytest.mark.parametrize(
    ("capability", "text"),
    [
        ("IDLE", b"IDLE"),
        ("ENABLE", b"ENABLE CONDSTORE"),
        ("SPECIAL-USE", b'LIST (SPECIAL-USE) "" *'),
        ("CONDSTORE", b"STATUS INBOX (HIGHESTMODSEQ)"),
        ("SASL-IR", b"AUTHENTICATE PLAIN AGEAYg=="),
        ("ID", b"ID NIL"),
        ("NAMESPACE", b"NAMESPACE"),
        ("UNSELECT", b"UNSELECT"),
        ("MOVE", b"UID MOVE 1 INBOX"),
        ("UIDPLUS", b"UID EXPUNGE 1"),
        ("ESEARCH", b"UID SEARCH RETURN (ALL) ALL"),
        ("LITERAL+", b"SELECT {5+}"),
        ("STARTTLS", b"STARTTLS"),
    ],
)
def test_a_command_of_a_capability_that_is_switched_off_is_bad(
    server: MailServer, capability: str, text: bytes
) -> None:
    server.capabilities.discard(capability)
    with RawClient.to(server) as client:
        assert client.command(text).startswith(b"tag BAD")
        assert capability.encode() not in client.command(b"CAPABILITY").split()


def test_without_uidplus_no_uids_are_told(server: MailServer) -> None:
    server.capabilities.discard("UIDPLUS")
    server.deliver(MAIL)
    with RawClient.to(server) as client:
        answers = client.command(b"APPEND INBOX {1+}\r\nx") + client.command(b"COPY 1 INBOX")
    assert b"UID" not in answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"ID NIL", b'* ID ("name" "nornmail.testing")\r\ntag OK ID completed\r\n'),
        (b'ID ("name" "x" "version" NIL)', b'* ID ("name" "nornmail.testing")\r\n'),
        (b"NAMESPACE", b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (b'LIST "" ""', b'* LIST (\\Noselect) "/" ""\r\n'),
        (b'LIST "" *', LISTED + b'* LIST (\\HasNoChildren) "/" A/b\r\ntag'),
        (b'LIST "" %', LISTED + b"tag"),
        (b'LIST A/ "%"', b'* LIST (\\HasNoChildren) "/" A/b\r\ntag'),
        (b'LIST "" inbox', b'* LIST (\\HasNoChildren) "/" INBOX\r\ntag'),
        (b"STATUS A (MESSAGES RECENT UNSEEN)", b"* STATUS A (MESSAGES 0 RECENT 0 UNSEEN 0)"),
        (b"STATUS A (SIZE)", b"tag BAD"),
        (b"STATUS none (MESSAGES)", b"tag NO [NONEXISTENT]"),
        (b"SELECT none", b"tag NO [NONEXISTENT]"),
        (b"CREATE A", b"tag NO [ALREADYEXISTS]"),
        (b'CREATE ""', b"tag BAD"),
        (b"DELETE INBOX", b"tag NO [CANNOT]"),
        (b"DELETE none", b"tag NO [NONEXISTENT]"),
        (b"RENAME none x", b"tag NO [NONEXISTENT]"),
        (b"RENAME A inbox", b"tag NO [ALREADYEXISTS]"),
        (b"SUBSCRIBE A", b"tag OK"),
        (b"APPEND none {1+}\r\nx", b"tag NO [TRYCREATE]"),
        (b"APPEND A (\\Seen) x", b"tag BAD"),
        (b"CHECK", b"tag BAD CHECK is not allowed"),
        (b"LOGIN a b", b"tag BAD LOGIN is not allowed"),
    ],
    ids=lambda value: value[:30].decode("latin-1"),
)
def test_commands_of_the_authenticated_state(
    server: MailServer, text: bytes, answer: bytes
) -> None:
    server.create_mailbox("A/b")
    with RawClient.to(server, mailbox=None) as client:
        assert client.command(text).startswith(answer)


def test_names_with_quotes_spaces_and_octets_are_plain_octets(server: MailServer) -> None:
    with RawClient.to(server, mailbox=None) as client:
        client.command(b'CREATE "My \\"Box\\""')
        client.command(b'CREATE "Entw&APw-rfe"')
        client.command(b"CREATE {2+}\r\n\xc3\xbc")
        listed = client.command(b'LIST "" *')
        assert b'"/" "My \\"Box\\""\r\n' in listed
        assert b'"/" Entw&APw-rfe\r\n' in listed
        assert b'"/" {2}\r\n\xc3\xbc\r\n' in listed
        assert b"tag OK" in client.command(b'SELECT "My \\"Box\\""')
    assert server.mailbox("Entw&APw-rfe").messages == []


def test_renaming_takes_what_is_below_along_and_inbox_stays(server: MailServer) -> None:
    server.deliver(MAIL, mailbox="A/b")
    server.deliver(MAIL)
    with RawClient.to(server, mailbox=None) as client:
        client.command(b"RENAME A B")
        client.command(b"RENAME INBOX Old")
        assert client.command(b'LIST "" *').count(b"LIST (") == 4
    assert len(server.mailbox("B/b").messages) == 1
    assert len(server.mailbox("Old").messages) == 1
    assert server.mailbox("INBOX").messages == []


def test_a_mailbox_made_anew_has_another_uid_validity(server: MailServer) -> None:
    first = server.create_mailbox("A").uid_validity
    with RawClient.to(server, mailbox="A") as client, RawClient.to(server, mailbox="A") as other:
        assert client.command(b"DELETE A").startswith(b"tag OK")
        assert other.command(b"NOOP").startswith(b"* BYE")
        client.command(b"CREATE A")
    assert server.mailbox("A").uid_validity > first


def test_select_says_what_rfc_3501_wants(server: MailServer) -> None:
    server.deliver(MAIL, flags=["\\Seen"])
    server.deliver(MAIL)
    with RawClient.to(server, mailbox=None) as client:
        assert client.command(b"SELECT INBOX") == (
            b"* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)\r\n"
            b"* OK [PERMANENTFLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen \\*)] "
            b"Flags permitted\r\n* 2 EXISTS\r\n* 0 RECENT\r\n* OK [UNSEEN 2] First unseen\r\n"
            b"* OK [UIDVALIDITY 1000] UIDs valid\r\n* OK [UIDNEXT 3] Predicted next UID\r\n"
            b"* OK [HIGHESTMODSEQ 3] Highest\r\n"
            b"tag OK [READ-WRITE] SELECT completed\r\n"
        )


@pytest.mark.parametrize("examined", [True, False], ids=["by EXAMINE", "by the server"])
def test_a_read_only_mailbox_stays_as_it_is(server: MailServer, examined: bool) -> None:
    server.deliver(MAIL, flags=["\\Deleted"])
    server.create_mailbox("B")
    if not examined:
        server.read_only_mailboxes.add("INBOX")
    with RawClient.to(server, mailbox=None) as client:
        opened = client.command(b"EXAMINE INBOX" if examined else b"SELECT INBOX")
        assert b"tag OK [READ-ONLY]" in opened
        assert b"[PERMANENTFLAGS ()]" in opened
        for text in (b"STORE 1 +FLAGS (x)", b"EXPUNGE", b"UID EXPUNGE 1", b"MOVE 1 B"):
            assert client.command(text).startswith(b"tag NO [READ-ONLY]")
        client.command(b"FETCH 1 BODY[]")
        client.command(b"CLOSE")
    assert [message.flags for message in server.mailbox().messages] == [frozenset({"\\Deleted"})]


def test_append_keeps_octets_flags_and_date(server: MailServer, client: RawClient) -> None:
    answer = client.command(
        b'APPEND inbox (\\seen $New) " 1-Feb-2024 03:04:05 -0500" {5+}\r\n\x00\n\xff\r\n'
    )
    assert answer == b"* 1 EXISTS\r\ntag OK [APPENDUID 1000 1] APPEND completed\r\n"
    fetched = client.command(b"FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])")
    assert b'FLAGS ($New \\Seen) INTERNALDATE " 1-Feb-2024 03:04:05 -0500"' in fetched
    assert b"BODY[] {5}\r\n\x00\n\xff\r\n)" in fetched


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"FETCH 1:2 UID", b"* 1 FETCH (UID 10)\r\n* 2 FETCH (UID 20)\r\ntag OK"),
        (b"FETCH * UID", b"* 3 FETCH (UID 30)\r\ntag OK"),
        (b"FETCH 3:2,1,2 UID", b"* 1 FETCH (UID 10)\r\n* 2 FETCH (UID 20)\r\n* 3 FETCH"),
        (b"FETCH 4 UID", b"tag BAD"),
        (b"FETCH 2:9 UID", b"tag BAD"),
        (b"FETCH 0 UID", b"tag BAD"),
        (b"FETCH 1:2:3 UID", b"tag BAD"),
        (b"FETCH 1 ENVELOPES", b"tag BAD"),
        (b"FETCH 1 (ALL)", b"tag BAD"),
        (b"FETCH 1 BODY[1.]", b"tag BAD"),
        (b"FETCH 1 BODY[MIME]", b"tag BAD"),
        (b"FETCH 1 (" + b"UID " * 2000 + b"UID)", b"tag BAD"),
        (b"FETCH 1 (UID", b"tag BAD"),
        (b"FETCH 1 BODY.PEEK[]<0.0>", b"tag BAD"),
        (b"UID FETCH 20 FLAGS", b"* 2 FETCH (UID 20 FLAGS ())\r\ntag OK"),
        (b"UID FETCH 900:* FLAGS", b"* 3 FETCH (UID 30 FLAGS ())\r\ntag OK"),
        (b"UID FETCH 900 FLAGS", b"tag OK"),
        (b"UID FETCH 15,25:35 (UID)", b"* 3 FETCH (UID 30)\r\ntag OK"),
        (b"UID SEARCH UID 900:*", b"* SEARCH 30\r\ntag OK"),
        (b"STORE 1 +FLAGS (\\Seen)", b"* 1 FETCH (FLAGS (\\Seen))\r\ntag OK"),
        (b"UID STORE 20,30 FLAGS a b", b"* 2 FETCH (UID 20 FLAGS (a b))\r\n* 3 FETCH (UID 30"),
        (b"UID STORE 20 +FLAGS.SILENT (a)", b"tag OK STORE completed\r\n"),
        (b"STORE 1 LABELS (a)", b"tag BAD"),
        (b"COPY 1,3 B", b"tag OK [COPYUID 1001 10,30 1:2] COPY completed\r\n"),
        (b"UID COPY 99 B", b"tag OK COPY completed\r\n"),
        (b"UID COPY 10 none", b"tag NO [TRYCREATE]"),
        (
            b"UID MOVE 10:20 B",
            b"* OK [COPYUID 1001 10,20 1:2] Moved UIDs.\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\ntag OK",
        ),
        (b"UID MOVE 10 none", b"tag NO [TRYCREATE]"),
        (b"CHECK", b"tag OK"),
        (b"UNSELECT", b"tag OK"),
        (b"CLOSE", b"tag OK"),
        (b"NOOP x", b"tag BAD"),
    ],
    ids=lambda value: value[:34].decode("latin-1"),
)
def test_commands_of_the_selected_state(server: MailServer, text: bytes, answer: bytes) -> None:
    for uid in (10, 20, 30):
        server.deliver(MAIL, uid=uid)
    server.create_mailbox("B")
    with RawClient.to(server) as client:
        assert client.command(text).startswith(answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"FETCH 1:* UID", b"tag BAD"),
        (b"FETCH * UID", b"tag BAD"),
        (b"UID FETCH 1:* UID", b"tag OK"),
        (b"UID FETCH * UID", b"tag OK"),
        (b"UID SEARCH UID 5:*", b"* SEARCH\r\ntag OK"),
        (b"UID SEARCH RETURN (ALL COUNT MIN) ALL", b'* ESEARCH (TAG "t3") UID COUNT 0\r\n'),
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_an_empty_mailbox(client: RawClient, text: bytes, answer: bytes) -> None:
    assert client.command(text).startswith(answer)


def test_store_adds_replaces_and_removes(server: MailServer, client: RawClient) -> None:
    server.deliver(MAIL)
    for text, flags in (
        (b"+FLAGS (\\Seen a)", {"\\Seen", "a"}),
        (b"-FLAGS (\\SEEN)", {"a"}),
        (b"FLAGS (b \\Recent)", {"b"}),
        (b"FLAGS ()", set[str]()),
    ):
        client.command(b"UID STORE 1 " + text)
        assert server.mailbox().messages[0].flags == flags


def test_expunge_and_uid_expunge_and_close(server: MailServer, client: RawClient) -> None:
    for _ in range(5):
        server.deliver(MAIL)
    client.command(b"NOOP")
    client.command(b"STORE 1:4 +FLAGS (\\Deleted)")
    assert client.command(b"UID EXPUNGE 2:3,5").startswith(b"* 2 EXPUNGE\r\n* 2 EXPUNGE\r\ntag")
    client.command(b"UID STORE 4 -FLAGS (\\Deleted)")
    assert client.command(b"EXPUNGE").startswith(b"* 1 EXPUNGE\r\ntag OK")
    client.command(b"UID STORE 5 +FLAGS (\\Deleted)")
    assert client.command(b"CLOSE") == b"tag OK CLOSE completed\r\n"
    assert client.command(b"NOOP") == b"tag OK completed\r\n"
    assert [message.uid for message in server.mailbox().messages] == [4]


def test_imaplib_gets_along_with_it(server: MailServer) -> None:
    with imaplib.IMAP4(server.host, server.imap_port) as client:
        client.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        client.create("Work")
        client.append("Work", "(\\Seen)", '" 1-Feb-2024 03:04:05 +0000"', MAIL)
        assert client.select("Work") == ("OK", [b"1"])
        typ, data = client.uid("FETCH", "1:*", "(UID FLAGS BODY.PEEK[])")
        assert typ == "OK"
        assert data[0] == (b"1 (UID 1 FLAGS (\\Seen) BODY[] {112}", MAIL)
        assert client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT", '"one two"')[1] == [b"1"]
        assert client.logout()[0] == "BYE"
