"""IDLE of the embedded server: told at once, ended by DONE, and broken where a fault says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nornmail.testing import MailServer, faults
from tests.testing.raw_client import RawClient


def begin(client: RawClient, server: MailServer) -> bytes:
    tag = client.start(b"IDLE")
    assert client.line() == faults.IDLING
    server.wait_for_idle()
    return tag


def finish(client: RawClient, tag: bytes, word: bytes = b"DONE") -> bytes:
    client.send(word + b"\r\n")
    return client.answer(tag)


@pytest.mark.parametrize(
    ("happen", "told"),
    [
        pytest.param(lambda server: server.deliver(b"x"), b"* 2 EXISTS\r\n", id="new mail"),
        pytest.param(lambda server: server.mailbox().expunge(1), b"* 1 EXPUNGE\r\n", id="expunged"),
        pytest.param(
            lambda server: server.mailbox().set_flags(1, ["\\Seen"]),
            b"* 1 FETCH (FLAGS (\\Seen))\r\n",
            id="flags",
        ),
        pytest.param(
            lambda server: server.push(b"* OK Still here\r\n"), b"* OK Still here\r\n", id="a word"
        ),
    ],
)
def test_it_is_told_before_done(
    server: MailServer, happen: Callable[[MailServer], object], told: bytes
) -> None:
    server.deliver(b"there")
    with RawClient.to(server) as client:
        tag = begin(client, server)
        happen(server)
        assert client.line() == told
        assert finish(client, tag) == b"tag OK IDLE terminated\r\n"
        assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_what_happened_before_is_told_at_once(server: MailServer, client: RawClient) -> None:
    server.deliver(b"x")
    tag = begin(client, server)
    assert client.line() == b"* 1 EXISTS\r\n"
    assert finish(client, tag, b"done") == b"tag OK IDLE terminated\r\n"


def test_nothing_but_done_ends_it_well(server: MailServer, client: RawClient) -> None:
    assert finish(client, begin(client, server), b"t9 NOOP") == b"tag BAD expected DONE\r\n"
    assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_it_needs_a_login_and_the_capability(server: MailServer) -> None:
    with RawClient.to(server, login=False) as client:
        assert b"BAD" in client.command(b"IDLE")
    server.capabilities.discard("IDLE")
    with RawClient.to(server) as client:
        assert client.command(b"IDLE") == b"tag BAD Unknown command\r\n"


def test_without_a_mailbox_nothing_is_told(server: MailServer) -> None:
    with RawClient.to(server, mailbox=None) as client:
        tag = begin(client, server)
        server.deliver(b"x")
        assert finish(client, tag) == b"tag OK IDLE terminated\r\n"


def test_a_new_epoch_ends_it_with_bye(server: MailServer, client: RawClient) -> None:
    begin(client, server)
    server.mailbox().reset_uid_validity()
    assert client.line().startswith(b"* BYE IMAP session state is inconsistent")
    assert client.all() == b""


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        pytest.param(
            faults.Answer("DONE", b"NO broken"), b"tag NO broken\r\n", id="another answer"
        ),
        pytest.param(
            faults.Extra("DONE", b"* 9 EXISTS\r\n"),
            b"* 9 EXISTS\r\ntag OK IDLE terminated\r\n",
            id="words before it",
        ),
        pytest.param(faults.Bye("DONE"), b"* BYE going down\r\n", id="BYE"),
        pytest.param(faults.Cut("DONE", before=True), b"", id="cut"),
    ],
)
def test_faults_fire_at_its_end(
    server: MailServer, client: RawClient, fault: faults.Fault, answer: bytes
) -> None:
    tag = begin(client, server)
    server.faults.add(fault)
    assert finish(client, tag) == answer
    assert not server.faults.pending


def test_it_can_fall_silent_once_it_has_begun(server: MailServer, client: RawClient) -> None:
    server.faults.add(faults.Silent("IDLE", after_bytes=len(faults.IDLING)))
    client.start(b"IDLE")
    assert client.line() == faults.IDLING
    client.send(b"DONE\r\n")
    server.kick()
    assert client.all() == b""


def test_waiting_for_an_idle_that_does_not_come_fails(server: MailServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        server.wait_for_idle(seconds=0)
    assert server.push(b"* OK nobody hears\r\n") == 0


def test_a_server_stops_while_a_client_idles(client: RawClient, server: MailServer) -> None:
    begin(client, server)
    server.stop()
    assert client.all() == b""


def test_a_rewrite_changes_what_is_said_within_idle(server: MailServer, client: RawClient) -> None:
    def rename(part: bytes) -> bytes:
        return part.replace(b"EXISTS", b"EXISTED").replace(b"OK IDLE", b"NO IDLE")

    server.faults.add(faults.Rewrite("IDLE", rename))
    tag = begin(client, server)
    for number in (1, 2):
        server.deliver(b"x")
        assert client.line() == b"* %d EXISTED\r\n" % number
    assert finish(client, tag) == b"tag NO IDLE terminated\r\n"
    assert b"1 EXISTS" not in client.command(b"NOOP")
    tag = begin(client, server)
    server.deliver(b"x")
    assert client.line() == b"* 3 EXISTS\r\n"
    finish(client, tag)
