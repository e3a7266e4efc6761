"""Every profile, by what its server is known for."""

from __future__ import annotations

import base64

import pytest

from nornmail.testing import MailServer, faults
from nornmail.testing.vendors import VENDORS
from tests.support.table import table
from tests.testing.raw_client import PASSWORD, USER, RawClient, until_connected

LOGIN = f'LOGIN {USER} "{PASSWORD}"'.encode()


def start(like: str) -> MailServer:
    server = MailServer(like=like)
    server.add_user(USER, PASSWORD)
    return server


def words(answer: bytes) -> set[bytes]:
    """The words of the CAPABILITY line in an answer."""
    (line,) = [line for line in answer.split(b"\r\n") if line.startswith(b"* CAPABILITY ")]
    return set(line.split()[2:])


def test_a_name_that_is_none_lists_those_there_are() -> None:
    with pytest.raises(
        ValueError, match=r"'hotmale' is not a known server; use 126, 163, aol, .*, zoho"
    ):
        MailServer(like="hotmale")


def test_names_are_free_in_case() -> None:
    assert b"Gimap" in hear_greeting("Gmail")


def hear_greeting(like: str) -> bytes:
    with start(like) as server, RawClient(server.host, server.imap_port) as client:
        return client.line()


@table("like", VENDORS)
def test_what_it_shows_is_what_it_can(like: str) -> None:
    profile = VENDORS[like]
    assert profile.before is not None
    assert profile.after is not None
    with start(like) as server:
        server.tokens().add("token")
        with RawClient(server.host, server.imap_port) as client:
            greeting = client.line()
            assert (b"CAPABILITY" in greeting) == profile.greets_with_capabilities
            before = words(client.command(b"CAPABILITY"))
            assert before == {name.encode() for name in profile.before}
            told = client.command(login_for(before))
            assert b"tag OK" in told
            where = profile.tells_capabilities
            assert told.startswith(b"* CAPABILITY") == (where == "before it")
            assert (b"tag OK [CAPABILITY" in told) == (where == "in the answer")
            after = words(client.command(b"CAPABILITY"))
            assert after == {name.encode() for name in profile.after}
            for text, capability in (
                (b"IDLE", b"IDLE"),
                (b"NAMESPACE", b"NAMESPACE"),
                (b"ENABLE X", b"ENABLE"),
                (b"ID NIL", b"ID"),
            ):
                if capability in after:
                    continue
                assert client.command(text) == b"tag " + profile.unknown.encode() + b"\r\n"
            listed = client.command(b'LIST "" *')
            assert listed.count(b"* LIST (") == len(profile.mailboxes) + 1


def login_for(capabilities: set[bytes]) -> bytes:
    if b"LOGINDISABLED" not in capabilities:
        return LOGIN
    token = base64.b64encode(f"user={USER}\x01auth=Bearer token\x01\x01".encode())
    return b"AUTHENTICATE XOAUTH2 " + token


def test_gmail_has_special_mailboxes_and_a_level_that_cannot_be_opened() -> None:
    with start("gmail") as server, RawClient.to(server, mailbox=None) as client:
        assert b'* LIST (\\All \\HasNoChildren) "/" "[Gmail]/All Mail"\r\n' in client.command(
            b'LIST "" *'
        )
        assert b'* LIST (\\Noselect \\HasChildren) "/" "[Gmail]"' in client.command(b'LIST "" %')
        assert client.command(b'EXAMINE "[Gmail]"').startswith(b"tag NO [NONEXISTENT]")


@pytest.mark.parametrize(("like", "limit"), [("gmail", 15), ("dovecot", 10)])
def test_one_login_too_many(like: str, limit: int) -> None:
    with start(like) as server:
        clients = [RawClient.to(server, mailbox=None) for _ in range(limit)]
        with RawClient.to(server, login=False) as late:
            assert late.command(LOGIN).startswith(b"tag NO [")
        for client in clients:
            client.sock.close()


def test_courier_hangs_up_on_the_fifth_connection() -> None:
    with start("courier") as server:
        clients = [RawClient.to(server, login=False) for _ in range(4)]
        assert RawClient.hear(server) == b""
        for client in clients:
            client.sock.close()


def test_icloud_has_five_connections() -> None:
    with start("icloud") as server:
        clients = [RawClient.to(server, login=False) for _ in range(5)]
        assert RawClient.hear(server).startswith(b"* BYE")
        for client in clients:
            client.sock.close()


def test_cyrus_says_nothing_where_there_are_too_many() -> None:
    with start("cyrus") as server:
        clients = [RawClient.to(server, login=False) for _ in range(20)]
        with RawClient(server.host, server.imap_port) as late:
            until_connected(server, 21)
            late.start(b"NOOP")
            server.kick()
            assert late.all() == b""
        for client in clients:
            client.sock.close()


def test_courier_keeps_everything_below_inbox() -> None:
    with start("courier") as server, RawClient.to(server, mailbox=None) as client:
        assert client.command(b"NAMESPACE").startswith(b'* NAMESPACE (("INBOX." ".")) NIL NIL')
        assert client.command(b"CREATE Work").startswith(b"tag NO")
        assert client.command(b"CREATE INBOX.Work").startswith(b"tag OK")
        assert b'"." INBOX.Work' in client.command(b'LIST "" INBOX.%')


def test_courier_tells_no_uid_next_of_an_empty_mailbox() -> None:
    with start("courier") as server, RawClient.to(server, mailbox=None) as client:
        empty = client.command(b"SELECT INBOX")
        assert b"UIDNEXT" not in empty
        assert b"[UIDVALIDITY" in empty
        server.deliver(b"x")
        assert b"UIDNEXT 2" in client.command(b"SELECT INBOX")


def test_courier_invents_a_message_for_one_that_is_gone() -> None:
    with start("courier") as server:
        server.deliver(b"Subject: true\r\n\r\n")
        server.faults.add(faults.Expunge("UID FETCH", 1))
        with RawClient.to(server) as client:
            answer = client.command(b"UID FETCH 1 BODY.PEEK[]")
        assert b"Subject: message unavailable" in answer
        assert b"true" not in answer


@pytest.mark.parametrize("like", ["exchange", "office365", "outlook"])
def test_exchange_tells_copyuid_in_a_line_that_is_no_response(like: str) -> None:
    with start(like) as server:
        server.tokens().add("token")
        server.deliver(b"x")
        with RawClient(server.host, server.imap_port) as client:
            client.line()
            client.command(login_for(words(client.command(b"CAPABILITY"))))
            client.command(b"SELECT INBOX")
            answer = client.command(b"UID MOVE 1 Archive")
        assert answer.startswith(b"[COPYUID ")
        assert b"* 1 EXPUNGE\r\ntag OK" in answer


def test_office_365_takes_no_password() -> None:
    with start("office365") as server, RawClient.to(server, login=False) as client:
        assert client.command(LOGIN).startswith(b"tag NO")
        plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
        assert client.command(b"AUTHENTICATE PLAIN " + plain).startswith(b"tag NO")


@pytest.mark.parametrize("like", ["163", "126"])
def test_netease_opens_nothing_before_it_was_told_who_asks(like: str) -> None:
    with start(like) as server, RawClient.to(server, login=False) as client:
        client.command(b'ID ("name" "early")')
        client.command(LOGIN)
        for command in (b"SELECT INBOX", b"EXAMINE INBOX"):
            assert b"Unsafe Login" in client.command(command)
        client.command(b'ID ("name" "x")')
        assert b"tag OK" in client.command(b"SELECT INBOX")
        assert client.command(b"STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY)").startswith(
            b"* STATUS INBOX (MESSAGES 0 UIDVALIDITY "
        )


@pytest.mark.parametrize("like", ["yahoo", pytest.param("aol", marks=pytest.mark.long)])
def test_yahoo_shows_the_newest_ten_thousand(like: str) -> None:
    with start(like) as server:
        for _ in range(10_002):
            server.deliver(b"Subject: x\r\n\r\n")
        with RawClient.to(server, mailbox=None) as client:
            assert b"* 10000 EXISTS" in client.command(b"SELECT INBOX")
            assert b"(MESSAGES 10000)" in client.command(b"STATUS INBOX (MESSAGES)")
            assert client.command(b"UID FETCH 1:2 UID") == b"tag OK FETCH completed\r\n"
            client.command(b"UID STORE 10002 +FLAGS.SILENT (\\Deleted)")
            client.command(b"EXPUNGE")
            client.command(b"SELECT INBOX")
            assert client.command(b"UID FETCH 1:2 UID").startswith(b"* 1 FETCH (UID 2)")


def test_yahoo_lists_inbox_otherwise_and_fails_in_headers() -> None:
    with start("yahoo") as server:
        server.deliver(b"x")
        with RawClient.to(server) as client:
            assert b'"/" "Inbox"\r\n' in client.command(b'LIST "" *')
            assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1 \r\n")
            assert client.command(b"UID SEARCH HEADER Message-ID x").startswith(
                b"tag NO [SERVERBUG]"
            )
            assert client.command(b"SELECT Inbox").endswith(b"SELECT completed\r\n")


def test_icloud_says_nothing_where_others_say_that_there_is_nothing() -> None:
    with start("icloud") as server:
        server.deliver(b"Subject: x\r\n\r\n")
        with RawClient.to(server) as client:
            assert client.command(b"UID SEARCH UNDELETED SEEN") == b"tag OK SEARCH completed\r\n"
            assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1\r\n")
            assert client.command(b"UID FETCH 1 RFC822") == (
                b"* 1 FETCH (UID 1)\r\ntag OK FETCH completed\r\n"
            )
            assert b"Subject: x" in client.command(b"UID FETCH 1 BODY.PEEK[]")
            assert client.command(b"ENABLE CONDSTORE") == b"tag OK ENABLE completed\r\n"
            assert client.command(b"LOGOUT") == b"* BYE\r\ntag OK\r\n"


def test_qq_wants_sets_that_rise() -> None:
    with start("qq") as server:
        for _ in range(3):
            server.deliver(b"x")
        with RawClient.to(server, mailbox=None) as client:
            assert b"* OK [UNSEEN 1]\r\n" in client.command(b"SELECT INBOX")
            assert client.command(b"UID FETCH 3,1 UID") == b"tag BAD UID parameters!\r\n"
            assert client.command(b"UID FETCH 3:1 UID") == b"tag BAD UID parameters!\r\n"
            assert client.command(b"UID FETCH 1,3 UID").startswith(b"* 1 FETCH (UID 1)\r\n* 3")


def test_gmx_names_its_mailboxes_in_german_and_may_count_anew() -> None:
    with start("gmx") as server:
        server.deliver(b"x")
        server.deliver(b"y")
        server.mailbox().expunge(1)
        with RawClient.to(server) as client:
            assert b'(\\Drafts \\HasNoChildren) "/" Entw&APw-rfe' in client.command(b'LIST "" *')
            server.faults.add(faults.NewUidValidity(value=server.mailbox().uid_validity))
            assert b"[UIDNEXT 2]" in client.command(b"SELECT INBOX")


def test_proton_gives_uid_1_to_the_newest() -> None:
    with start("proton") as server:
        for number in range(3):
            server.deliver(b"Subject: %d\r\n\r\n" % number)
        with RawClient.to(server) as client:
            answer = client.command(b"UID FETCH 1 BODY.PEEK[]")
            assert b"Subject: 2" in answer
            server.deliver(b"Subject: later\r\n\r\n")
            assert b"later" in client.command(b"UID FETCH 4 BODY.PEEK[]")
            assert client.command(b"SELECT Folders").startswith(b"tag NO")


def test_yandex_parts_levels_with_a_bar_and_leaves_empty_texts_out() -> None:
    with start("yandex") as server:
        server.deliver(b"Subject: x\r\n\r\n")
        with RawClient.to(server) as client:
            assert client.command(b"NAMESPACE").startswith(b'* NAMESPACE (("" "|")) NIL NIL')
            client.command(b"CREATE a|b")
            assert b'"|" a|b\r\n' in client.command(b'LIST "" a|%')
            assert b"BODY[2] )" in client.command(b"FETCH 1 BODY.PEEK[2]")


def test_mail_ru_searches_no_text() -> None:
    with start("mail.ru") as server, RawClient.to(server) as client:
        assert client.command(b"UID SEARCH SEEN FROM x") == (
            b"tag NO Unsupported search criterion: FROM\r\n"
        )
        assert client.command(b"UID SEARCH UNSEEN").startswith(b"* SEARCH")


def test_zoho_tells_mod_sequences_that_cannot_be() -> None:
    with start("zoho") as server:
        server.deliver(b"x")
        with RawClient.to(server) as client:
            assert b"MODSEQ (0)" in client.command(b"UID FETCH 1 MODSEQ")


def test_cyrus_tells_an_empty_text_in_quotes() -> None:
    with start("cyrus") as server:
        server.deliver(b"Subject: x\r\n\r\n")
        with RawClient.to(server) as client:
            assert b'BODY[TEXT] "")' in client.command(b"FETCH 1 BODY.PEEK[TEXT]")
            assert b"LOGINDISABLED" in client.command(b"CAPABILITY")


def test_a_test_changes_what_a_profile_can() -> None:
    with start("gmail") as server:
        server.capabilities -= {"IDLE", "MOVE"}
        server.faults.add(faults.Answer("SELECT", b"NO [ALERT] not now"))
        with RawClient.to(server, mailbox=None) as client:
            assert not {b"IDLE", b"MOVE"} & words(client.command(b"CAPABILITY"))
            assert client.command(b"SELECT INBOX") == b"tag NO [ALERT] not now\r\n"
        assert server.faults.pending == []
