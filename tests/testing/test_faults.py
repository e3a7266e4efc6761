"""Every fault, seen by a client that reads octets."""

from __future__ import annotations

import imaplib
import random
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

from nornmail.testing import VENDORS, MailServer, faults
from nornmail.testing.imap.session import COMMANDS
from nornmail.testing.state import ALL_CAPABILITIES
from tests.support.table import table
from tests.testing.raw_client import USER, RawClient

RAW = b"Subject: hello\r\n\r\nbody\r\n"
FETCH = b"UID FETCH 1 (UID RFC822.SIZE BODY.PEEK[])"
WHOLE = b"* 1 FETCH (UID 1 RFC822.SIZE 24 BODY[] {24}\r\n" + RAW + b")\r\n"


@pytest.fixture
def filled(server: MailServer) -> MailServer:
    """One message, with UID 1."""
    server.deliver(RAW)
    return server


@pytest.mark.parametrize("size", [0, 1, 50, len(WHOLE), 10_000])
def test_cut_sends_so_many_octets_of_the_answer_and_drops(filled: MailServer, size: int) -> None:
    filled.faults.add(faults.Cut("UID FETCH", after_bytes=size))
    with RawClient.to(filled) as client:
        client.start(FETCH)
        whole = WHOLE + b"t3 OK FETCH completed\r\n"
        assert client.all() == whole[:size]


def test_cut_drops_after_the_server_has_acted(filled: MailServer) -> None:
    filled.faults.add(faults.Cut("UID STORE"))
    with RawClient.to(filled) as client:
        client.start(b"UID STORE 1 +FLAGS (done)")
        assert client.all() == b""
    assert filled.mailbox().messages[0].flags == {"done"}


def test_cut_before_drops_before_the_server_has_acted(filled: MailServer) -> None:
    filled.faults.add(faults.Cut("UID STORE", before=True))
    with RawClient.to(filled) as client:
        client.start(b"UID STORE 1 +FLAGS (done)")
        assert client.all() == b""
    assert filled.mailbox().messages[0].flags == frozenset()


def test_cut_with_reset_is_a_connection_error(filled: MailServer) -> None:
    filled.faults.add(faults.Cut("NOOP", reset=True))
    with RawClient.to(filled) as client:
        client.start(b"NOOP")
        with pytest.raises(ConnectionResetError):
            client.all()


@pytest.mark.parametrize(
    "most", [60, pytest.param(10_000, marks=pytest.mark.long)], ids=["some octets", "every octet"]
)
def test_cut_total_can_end_a_connection_at_any_octet(most: int, filled: MailServer) -> None:
    def talk() -> bytes:
        with RawClient(filled.host, filled.imap_port) as client:
            client.send(b'a LOGIN agent@example.com "secret word"\r\nb NOOP\r\nc LOGOUT\r\n')
            return client.all()

    whole = talk()
    assert whole.endswith(b"c OK LOGOUT completed\r\n")
    sizes = range(len(whole) + 1)
    for size in random.Random(len(whole)).sample(sizes, min(most, len(sizes))):
        filled.faults.add(faults.CutTotal(after_bytes=size))
        assert talk() == whole[:size]


def test_cut_total_with_reset(filled: MailServer) -> None:
    filled.faults.add(faults.CutTotal(after_bytes=0, reset=True))
    with pytest.raises(ConnectionResetError):
        RawClient.hear(filled)


def test_answer_replaces_the_tagged_answer_and_the_act(filled: MailServer) -> None:
    filled.faults.add(faults.Answer("uid store", b"NO [SERVERBUG] broken"))
    with RawClient.to(filled) as client:
        assert client.command(b"UID STORE 1 FLAGS (x)") == b"tag NO [SERVERBUG] broken\r\n"
        assert filled.mailbox().messages[0].flags == frozenset()
        assert client.command(b"UID STORE 1 FLAGS (x)").endswith(b"tag OK STORE completed\r\n")


def test_bye_says_so_and_hangs_up(filled: MailServer) -> None:
    filled.faults.add(faults.Bye(text=b"[UNAVAILABLE] maintenance"))
    with RawClient.to(filled, login=False) as client:
        client.start(b"NOOP")
        assert client.all() == b"* BYE [UNAVAILABLE] maintenance\r\n"


def test_garbage_comes_instead_of_the_answer(filled: MailServer) -> None:
    filled.faults.add(faults.Garbage("NOOP", b"\xff\x00 what\r\n"))
    with RawClient.to(filled) as client:
        client.start(b"NOOP")
        assert client.line() == b"\xff\x00 what\r\n"
        assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_extra_lines_come_before_the_answer(filled: MailServer) -> None:
    filled.faults.add(faults.Extra("NOOP", b"* 9 FETCH (UID 9)\r\n* OK and so on\r\n"))
    with RawClient.to(filled) as client:
        answer = client.command(b"NOOP")
    assert answer == b"* 9 FETCH (UID 9)\r\n* OK and so on\r\ntag OK completed\r\n"


def test_trailing_octets_come_before_tls_begins() -> None:
    with MailServer(starttls=True) as server:
        server.faults.add(faults.Trailing("STARTTLS", b"* 1 FETCH (UID 1)\r\n"))
        with RawClient.to(server, login=False) as client:
            client.send(b"a STARTTLS\r\n")
            assert client.line().startswith(b"a OK")
            assert client.line() == b"* 1 FETCH (UID 1)\r\n"
            client.start_tls(ssl.create_default_context(cafile=server.ca_file))
            assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_rewrite_gets_the_whole_answer(filled: MailServer) -> None:
    filled.deliver(RAW)

    def descending(answer: bytes) -> bytes:
        return answer.replace(b"SEARCH 1 2", b"SEARCH 2 1")

    filled.faults.add(faults.Rewrite("UID SEARCH", descending))
    with RawClient.to(filled) as client:
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 2 1\r\n")
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1 2\r\n")


@pytest.mark.parametrize(("size", "sent"), [(None, b""), (0, b""), (50, WHOLE[:50])])
def test_silent_never_ends_the_answer(filled: MailServer, size: int | None, sent: bytes) -> None:
    filled.faults.add(faults.Silent("UID FETCH", after_bytes=size))
    with RawClient.to(filled) as client:
        client.start(FETCH)
        assert client.exactly(len(sent)) == sent
        client.start(b"NOOP")
        filled.kick()
        assert client.all() == b""


def test_drip_sends_octet_by_octet(filled: MailServer) -> None:
    pieces: list[None] = []
    filled.faults.add(
        faults.Drip("UID FETCH", chunk=10, delay=1e-5, hook=lambda: pieces.append(None))
    )
    with RawClient.to(filled) as client:
        assert client.command(FETCH).startswith(WHOLE)
    filled.stop()  # the last hook may run after the client has its last octet
    assert len(pieces) == -(-len(WHOLE + b"t3 OK FETCH completed\r\n") // 10)


def test_a_hook_of_a_drip_that_waits_sees_what_the_client_has(filled: MailServer) -> None:
    read = threading.Semaphore(0)

    def wait_for_the_client() -> None:
        assert read.acquire(timeout=20)

    filled.faults.add(faults.Drip("NOOP", hook=wait_for_the_client))
    with RawClient.to(filled) as client:
        tag = client.start(b"NOOP")
        got = b""
        while not got.endswith(b"\n"):
            got += client.exactly(1)
            read.release()
        assert got == tag + b" OK completed\r\n"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("missing", b""),
        ("no_body", b"* 1 FETCH (UID 1 RFC822.SIZE 24)\r\n"),
        ("nil", b"* 1 FETCH (UID 1 RFC822.SIZE 24 BODY[] NIL)\r\n"),
        ("empty", b"* 1 FETCH (UID 1 RFC822.SIZE 24 BODY[] {0}\r\n)\r\n"),
        ("short", b"* 1 FETCH (UID 1 RFC822.SIZE 24 BODY[] {12}\r\n" + RAW[:12] + b")\r\n"),
        ("wrong_uid", WHOLE.replace(b"UID 1", b"UID 2")),
        ("no_uid", WHOLE.replace(b"UID 1 ", b"")),
        ("wrong_size", WHOLE.replace(b"SIZE 24", b"SIZE 25")),
        ("twice", WHOLE + WHOLE),
        ("placeholder", b"* 1 FETCH (UID 1 RFC822.SIZE 24 BODY[] {70}\r\nSubject: message unav"),
    ],
)
def test_fetch_faults(filled: MailServer, kind: faults.FetchFaultKind, answer: bytes) -> None:
    filled.deliver(RAW)
    filled.faults.add(faults.FetchFault(1, kind))
    other = WHOLE.replace(b"1 FETCH (UID 1", b"2 FETCH (UID 2")
    with RawClient.to(filled) as client:
        assert client.command(b"UID FETCH 1 FLAGS").startswith(b"* 1 FETCH (UID 1 FLAGS ())")
        spoiled = client.command(FETCH.replace(b"FETCH 1", b"FETCH 1:2"))
        assert spoiled.startswith(answer)
        assert spoiled.endswith(other + b"tag OK FETCH completed\r\n")
        assert client.command(FETCH).startswith(WHOLE)
    assert filled.faults.pending == []


def test_a_fetch_fault_can_name_its_command_and_another_uid(filled: MailServer) -> None:
    filled.faults.add(faults.FetchFault(1, "wrong_uid", other_uid=77, command="uid fetch"))
    with RawClient.to(filled) as client:
        assert client.command(FETCH.removeprefix(b"UID ")).startswith(WHOLE)
        assert b"UID 77" in client.command(FETCH)


@pytest.mark.parametrize("text", [b"LOGIN a b", b"AUTHENTICATE PLAIN AGEAYg=="])
@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (faults.RejectLogin(), b"tag NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"),
        (faults.RejectLogin("later", "UNAVAILABLE"), b"tag NO [UNAVAILABLE] later\r\n"),
        (faults.RejectLogin("Unsafe Login", None), b"tag NO Unsafe Login\r\n"),
    ],
    ids=["a wrong password", "not available", "without a code"],
)
def test_reject_login(
    server: MailServer, text: bytes, fault: faults.RejectLogin, answer: bytes
) -> None:
    server.add_user("a", "b")
    server.faults.add(fault)
    with RawClient.to(server, login=False) as client:
        assert client.command(text) == answer
        assert client.command(text).startswith(b"tag OK")
    assert server.logins == 1


def test_preauth_greets_somebody_who_is_logged_in(filled: MailServer) -> None:
    filled.add_user("other", "x")
    filled.faults.add(faults.PreAuth(USER))
    with imaplib.IMAP4(filled.host, filled.imap_port) as client:
        assert client.state == "AUTH"
        assert client.select() == ("OK", [b"1"])


@pytest.mark.parametrize(
    ("fault", "greeting"),
    [
        (faults.Greeting(close=True), b"* BYE too many connections\r\n"),
        (faults.Greeting(b"", close=True), b""),
        (faults.Greeting(b"220 smtp.example.com ESMTP\r\n", close=True), b"220 smtp.exam"),
    ],
    ids=["BYE", "nothing", "another protocol"],
)
def test_greeting(server: MailServer, fault: faults.Greeting, greeting: bytes) -> None:
    server.faults.add(fault)
    with RawClient(server.host, server.imap_port) as client:
        assert client.all().startswith(greeting)


def test_an_empty_greeting_leaves_the_client_waiting(server: MailServer) -> None:
    server.faults.add(faults.Greeting(b""))
    with RawClient(server.host, server.imap_port) as client:
        assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_a_call_that_fails_comes_out_at_the_end() -> None:
    def fail() -> None:
        raise LookupError("the test's own mistake")

    def fail_in_the_server() -> None:
        with MailServer() as server:
            server.faults.add(faults.Call("NOOP", fail))
            with RawClient.to(server, login=False) as client:
                client.start(b"NOOP")
                assert client.all() == b""

    with pytest.raises(ExceptionGroup) as caught:
        fail_in_the_server()
    assert caught.group_contains(LookupError, match="own mistake")


def test_faults_at_the_same_command_add_up(filled: MailServer) -> None:
    filled.faults.add(
        faults.Extra("NOOP", b"* OK first\r\n"),
        faults.Call("NOOP", lambda: filled.deliver(b"x")),
        faults.Cut("NOOP", after_bytes=20),
    )
    with RawClient.to(filled) as client:
        client.start(b"NOOP")
        assert client.all() == b"* OK first\r\n* 2 EXIS"


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (lambda: faults.Answer("NOOP"), [1]),
        (lambda: faults.Answer("NOOP", times=2), [1, 2]),
        (lambda: faults.Answer("NOOP", on_nth=3), [3]),
        (lambda: faults.Answer("NOOP", on_nth=2, times=2), [2, 3]),
        (lambda: faults.Answer("NOOP", on_nth=2, times=None), [2, 3, 4]),
        (lambda: faults.Answer(times=None), [1, 2, 3, 4]),
        (lambda: faults.Answer("CHECK"), []),
    ],
    ids=["once", "twice", "the third", "second and third", "from the second", "any", "another"],
)
def test_when_a_fault_fires(
    server: MailServer, make: Callable[[], faults.Fault], refused: list[int]
) -> None:
    with RawClient.to(server) as client:
        server.faults.add(make())
        answers = [client.command(b"NOOP") for _ in range(4)]
        server.faults.clear()
        assert client.command(b"NOOP").startswith(b"tag OK")
    assert [n for n, answer in enumerate(answers, 1) if answer.startswith(b"tag NO")] == refused


@table(
    ("make", "complaint"),
    [
        pytest.param(lambda: faults.Silent("NOOP", times=0), "times must be 1 or more", id="times"),
        pytest.param(
            lambda: faults.Silent("NOOP", on_nth=0), "on_nth must be 1 or more", id="on_nth"
        ),
        pytest.param(
            lambda: faults.Cut("UIDFETCH"), "did you mean 'UID FETCH'", id="a misspelt command"
        ),
        pytest.param(
            lambda: faults.HideUid(1, "UID SERCH"), "did you mean 'UID SEARCH'", id="of a listing"
        ),
        pytest.param(lambda: faults.FetchFault(1, any_("nul")), "did you mean 'nil'", id="a kind"),
        pytest.param(lambda: faults.FetchFault(any_("nil")), "by kind=", id="a kind for a UID"),
        pytest.param(lambda: faults.FetchFault(0), "uid must be 1 or more", id="a UID of 0"),
        pytest.param(
            lambda: faults.NoCapability("IDLE UIDPLS"), "did you mean 'UIDPLUS'", id="a capability"
        ),
        pytest.param(lambda: faults.ConnectionLimit(1, any_("by")), "mean 'bye'", id="how"),
        pytest.param(lambda: faults.Cut("NOOP", -1), "must be 0 or more", id="octets"),
        pytest.param(lambda: faults.Drip("NOOP", chunk=0), "must be 1 or more", id="a chunk"),
        pytest.param(lambda: faults.Cut(any_(7)), "must be str or None, not 7", id="a number"),
        pytest.param(lambda: faults.Call("NOOP", any_(7)), "must be a function", id="no function"),
        pytest.param(lambda: faults.Cut("NOOP", any_(True)), "must be int", id="a bool"),
    ],
)
def test_a_fault_that_could_never_fire_is_a_mistake(
    make: Callable[[], faults.Fault], complaint: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=complaint):
        make()


def any_(value: Any) -> Any:
    """A value of a type that the checker would refuse."""
    return value


def test_a_class_is_not_a_fault(server: MailServer) -> None:
    with pytest.raises(TypeError, match=r"is not a fault: call it, Cut\(\.\.\.\)"):
        server.faults.add(any_(faults.Cut))


def test_the_commands_of_faults_are_those_of_the_server() -> None:
    assert set(faults.COMMANDS) == {*COMMANDS, "DONE"}
    vendors = [profile.before or frozenset[str]() for profile in VENDORS.values()]
    assert faults.CAPABILITIES.issuperset(ALL_CAPABILITIES.union(*vendors))


def test_a_fault_that_never_fired_fails_the_test() -> None:
    def run(*ordered: faults.Fault) -> None:
        with MailServer() as server:
            server.faults.add(*ordered)
            with RawClient.to(server, login=False) as client:
                client.command(b"NOOP")

    run(faults.Answer("NOOP", times=9), faults.Cut("CHECK", optional=True))
    with pytest.raises(AssertionError, match=r"never fired.*Cut\(.*'CHECK'"):
        run(faults.Answer("NOOP"), faults.Cut("CHECK", times=None))
    with pytest.raises(AssertionError, match="never fired"):
        run(faults.Answer("NOOP", on_nth=2))

    def fail() -> None:
        with MailServer() as server:
            server.faults.add(faults.Cut("CHECK"))
            raise LookupError

    with pytest.raises(LookupError):  # which is not hidden
        fail()


def test_a_uid_may_be_left_out(filled: MailServer) -> None:
    filled.deliver(RAW)
    filled.faults.add(
        faults.FetchFault(kind="nil", times=2), faults.HideUid(), faults.Expunge("CHECK")
    )
    with RawClient.to(filled) as client:
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 2\r\n")
        assert client.command(FETCH.replace(b"1", b"1:*", 1)).count(b" NIL") == 2
        assert client.command(b"CHECK").startswith(b"* 1 EXPUNGE")
