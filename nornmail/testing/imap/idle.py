"""IDLE (RFC 2177): news of the selected mailbox are sent while they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nornmail.testing.imap.client import Client, Command
from nornmail.testing.imap.fault_injection import arrange
from nornmail.testing.imap.faults import IDLING
from nornmail.testing.imap.grammar import BadSyntax, Cursor
from nornmail.testing.state import Idler

MAX_DONE = 1024
"""Octets of the line that ends it; more than DONE is a mistake anyway."""


def idle(client: Client, tag: bytes, cursor: Cursor) -> str:
    """IDLE. Faults of the command DONE are carried out when the client ends it."""
    cursor.end()
    client.conn.write(IDLING)
    with _listening(client) as idler:
        _send_news_until_input(client, idler)
    line = client.conn.read_line(MAX_DONE)
    if line.upper() != b"DONE":
        raise BadSyntax("expected DONE")
    replaced = arrange(client, tag, "DONE")
    if replaced is None:
        return "OK IDLE terminated"
    client.conn.write(replaced)
    return ""


@contextmanager
def _listening(client: Client) -> Iterator[Idler]:
    """Have an idler that hears of the mailbox; the client knows that it idles by then."""
    state, idler = client.state, Idler()
    try:
        _ring(client, idler.ring)
        client.conn.flush_part()
        with state.idling:
            state.idlers.add(idler)
            state.idling.notify_all()
        yield idler
    finally:
        with state.idling:
            state.idlers.discard(idler)
        _ring(client, None)
        idler.close()


def _ring(client: Client, ring: Callable[[], None] | None) -> None:
    """Have this called when there is news; without a mailbox there is none (RFC 2177)."""
    if client.box is not None and client.view is not None:
        with client.box.lock:
            client.view.ring = ring


def _send_news_until_input(client: Client, idler: Idler) -> None:
    while True:
        with client.state.idling:
            words = idler.hear()
        gone, news = _news(client)
        client.conn.write(words + news)
        client.conn.flush_part()
        if gone:
            client.hang_up(b"IMAP session state is inconsistent, please relogin.")
        if client.conn.wait_for_client(idler.bell):
            return


def _news(client: Client) -> tuple[bool, bytes]:
    if client.box is None or client.view is None:
        return False, b""
    with client.box.lock:
        return client.view.epoch.gone, client.view.news(expunges=True)


COMMANDS = {"IDLE": Command(idle, "authenticated", capability="IDLE")}
"""The commands of this file."""
