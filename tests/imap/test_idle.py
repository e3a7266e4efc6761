"""IDLE over a scripted socket: what ends it, what is no news, and that nothing waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from nornmail.clock import SystemClock, Waker
from nornmail.errors import CommandRefused, ConnectionLost, ProtocolError
from nornmail.imap.connection import Connection
from nornmail.imap.idle import DONE_TIMEOUT, IDLE_LINE
from nornmail.imap.limits import Limits
from nornmail.settings.imap import ImapSettings
from nornmail.testing import MailServer, faults
from tests.imap.fake import Answer, FakeClock, FakeSocket, connection
from tests.support.table import table

IDLING = [b"+ idling\r\n", b"%T OK IDLE terminated\r\n"]
WAIT = 29.0
SEED = b"Subject: there\r\n\r\n"


@pytest.fixture
def waker() -> Iterator[Waker]:
    bell = Waker()
    yield bell
    bell.close()


def opened(
    answer: Answer | None = None,
    *events: tuple[float, Callable[[FakeSocket], object]],
    chunk: int | None = None,
    limits: Limits | None = None,
) -> tuple[Connection, FakeSocket, FakeClock]:
    """A connection whose server answers IDLE, and what happens while it waits."""
    clock = FakeClock()
    sock = FakeSocket({"IDLE": list(IDLING) if answer is None else answer}, chunk=chunk)
    for after, happen in events:
        clock.events.append((after, partial(happen, sock)))
    return connection(sock, clock=clock, limits=limits), sock, clock


def says(words: bytes) -> Callable[[FakeSocket], object]:
    return lambda sock: sock.say(words)


@table("chunk", [None, 1, 3], ids=["at once", "bytewise", "in tiny reads"])
@table(
    ("words", "news"),
    [
        pytest.param(b"* 4 EXISTS\r\n", True, id="EXISTS"),
        pytest.param(b"* 2 EXPUNGE\r\n", True, id="EXPUNGE"),
        pytest.param(b"* 1 RECENT\r\n", True, id="RECENT"),
        pytest.param(b"* 3 FETCH (FLAGS (\\Seen))\r\n", True, id="FETCH"),
        pytest.param(b"* 3 FETCH (UID 7 BODY[] {2}\r\nhi FLAGS ())\r\n", True, id="a literal"),
        pytest.param(b"* 3 FETCH (((\r\n", True, id="a damaged FETCH"),
        pytest.param(b"* OK Still here\r\n", False, id="Still here"),
        pytest.param(b"* NO [ALERT] disk full\r\n", False, id="an alert"),
        pytest.param(b"* FLAGS (\\Seen)\r\n", False, id="FLAGS"),
        pytest.param(b"+ again\r\n", False, id="another continuation"),
    ],
)
def test_what_is_told_is_news_if_it_is_about_a_message(
    words: bytes, news: bool, chunk: int | None
) -> None:
    one, sock, clock = opened(None, (5, says(words)), chunk=chunk)
    begin = clock.now
    assert one.idle(WAIT) is news
    assert sock.sent[-1] == b"DONE"
    assert clock.now - begin == (5 if news else WAIT)


@pytest.mark.parametrize("chunk", [None, 1], ids=["at once", "bytewise"])
@pytest.mark.parametrize(
    ("words", "rest"),
    [
        pytest.param(b"\r\n", b"", id="an empty line"),
        pytest.param(b"\n", b"", id="an empty line of LF alone"),
        pytest.param(b"\r\n" * 50, b"", id="many empty lines"),
        pytest.param(b"\r", b"\n", id="half a line end"),
        pytest.param(b" ", b"\r\n", id="a blank"),
        pytest.param(b"* 4 EXI", b"STS\r\n", id="an unfinished line"),
        pytest.param(b"* OK", b"\r\n", id="a line without its end"),
        pytest.param(b"* 3 FETCH (UID 7 BODY[] {5}\r\nhe", b"llo)\r\n", id="half a literal"),
        pytest.param(b"* 3 FETCH (UID 7 BODY[] {5}\r\nhello", b")\r\n", id="after a literal"),
        pytest.param(b"* 3 FETCH (BODY[] {2}\r\n", b"hi)\r\n", id="before a literal"),
    ],
)
def test_nothing_that_is_sent_meanwhile_holds_up_the_end(
    words: bytes, rest: bytes, chunk: int | None, waker: Waker
) -> None:
    one, sock, clock = opened(
        [b"+ idling\r\n", rest + b"%T OK\r\n"],
        (5, says(words)),
        (1, lambda _: waker.wake()),
        chunk=chunk,
    )
    begin = clock.now
    one.idle(WAIT, wake=waker)
    assert clock.now - begin == 6
    assert sock.sent[-1] == b"DONE"
    one.noop()


def test_an_unfinished_line_does_not_hold_up_the_renewal() -> None:
    one, sock, clock = opened([b"+ idling\r\n", b"ISTS\r\n%T OK\r\n"], (5, says(b"* 4 EX")))
    begin = clock.now
    assert one.idle(WAIT)  # the rest came with the answer to DONE
    assert clock.now - begin == WAIT
    assert (one.exists, sock.sent[-1]) == (4, b"DONE")


def test_without_a_word_it_ends_in_time() -> None:
    one, sock, clock = opened()
    assert one.idle(WAIT) is False
    assert clock.waits == [WAIT]
    assert sock.sent[-1] == b"DONE"
    one.noop()


def test_the_counts_follow() -> None:
    told = b"* 2 EXPUNGE\r\n* 5 EXISTS\r\n* NO the mailbox is gone\r\n"
    one, _, _ = opened(None, (1, says(told)))
    assert one.idle(WAIT)
    assert (one.exists, one.expunges, one.untagged_errors) == (5, 1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([b"+ idling\r\n* 4 EXISTS\r\n", IDLING[1]], id="behind the continuation"),
        pytest.param([b"+ idling\r\n", b"* 4 EXISTS\r\n%T OK\r\n"], id="behind DONE"),
    ],
)
def test_news_counts_whenever_it_is_told(answer: Answer) -> None:
    one, _, _ = opened(answer)
    assert one.idle(WAIT)
    assert one.exists == 4


def test_news_that_came_before_ends_it_without_a_wait() -> None:
    one, sock, clock = opened()
    sock.say(b"* 4 EXISTS\r\n")
    assert one.idle(WAIT)
    assert clock.waits == []


def test_lines_that_were_read_with_others_are_looked_at_before_a_wait() -> None:
    # As inside TLS: one read took all that there was, so the socket shows nothing any more.
    told = b"* OK Still here\r\n" * 3 + b"* 4 EXISTS\r\n"
    one, _, clock = opened(None, (5, says(told)))
    assert one.idle(WAIT)
    assert len(clock.waits) == 1


def test_a_line_in_two_parts_is_put_together() -> None:
    one, _, clock = opened(None, (5, says(b"* 4 EXI")), (7, says(b"STS\r\n")))
    assert one.idle(WAIT)
    assert one.exists == 4
    assert clock.waits == [WAIT, WAIT - 5]


def test_half_a_line_does_not_hold_it_beyond_its_time() -> None:
    one, sock, clock = opened([b"+ idling\r\n", b"STS\r\n%T OK\r\n"], (5, says(b"* 4 EXI")))
    begin = clock.now
    assert one.idle(WAIT)
    assert clock.now - begin == WAIT
    assert sock.sent[-1] == b"DONE"


def test_a_drip_feed_does_not_hold_it_beyond_its_time() -> None:
    one, sock, clock = opened([b"+ idling\r\n", b"\r\n%T OK\r\n"], *[(1, says(b"x"))] * 1_000)
    begin = clock.now
    assert one.idle(WAIT) is False
    assert clock.now - begin == pytest.approx(WAIT)
    assert sock.sent[-1] == b"DONE"


def test_still_here_without_an_end_does_not_hold_it_beyond_its_time() -> None:
    one, _, clock = opened(None, *[(0.5, says(b"* OK Still here\r\n"))] * 1_000)
    begin = clock.now
    assert one.idle(WAIT) is False
    assert clock.now - begin == pytest.approx(WAIT)


def test_a_line_without_an_end_is_not_gathered_for_ever() -> None:
    one, sock, _ = opened(None, (1, says(b"x" * (IDLE_LINE + 1))))
    with pytest.raises(ProtocolError, match="a line of more than"):
        one.idle(WAIT)
    assert sock.closed


def test_words_without_an_end_are_not_gathered_for_ever() -> None:
    flood = (0.001, says(b"* OK Still here\r\n"))
    one, sock, _ = opened(None, *[flood] * 100, limits=Limits(responses=50))
    with pytest.raises(ProtocolError, match="more than 50 responses"):
        one.idle(WAIT)
    assert sock.closed


@table(
    ("answer", "message"),
    [
        pytest.param(b"", "did not answer in time", id="silence instead of a continuation"),
        pytest.param([b"+ idling\r\n", b""], "did not answer in time", id="silence after DONE"),
        pytest.param([b"+ idling\r\n", b"* 4 EX"], "did not answer", id="half a line after DONE"),
        pytest.param(b"* BYE shutting down\r\n", "shutting down", id="BYE at once"),
        pytest.param([b"+ idling\r\n", b"* BYE\r\n"], "closed the connection", id="BYE after DONE"),
    ],
)
def test_a_dead_connection_is_noticed(answer: Answer, message: str) -> None:
    one, sock, _ = opened(answer)
    with pytest.raises(ConnectionLost, match=message):
        one.idle(WAIT)
    assert sock.closed
    with pytest.raises(ConnectionLost, match="the connection is closed"):
        one.idle(WAIT)


def test_the_answer_to_done_has_a_deadline_of_its_own() -> None:
    one, sock, _ = opened([b"+ idling\r\n", b""])
    with pytest.raises(ConnectionLost):
        one.idle(WAIT)
    assert sock.timeouts[-1] == DONE_TIMEOUT


@pytest.mark.parametrize(
    ("happen", "message"),
    [
        pytest.param(says(b"* BYE [UNAVAILABLE] later\r\n"), "later", id="BYE"),
        pytest.param(FakeSocket.end, "closed the connection", id="the end of the stream"),
    ],
)
def test_a_connection_that_ends_meanwhile_is_lost_at_once(
    happen: Callable[[FakeSocket], object], message: str
) -> None:
    one, sock, clock = opened(None, (5, happen))
    begin = clock.now
    with pytest.raises(Exception, match=message):
        one.idle(WAIT)
    assert clock.now - begin == 5
    assert sock.closed


@pytest.mark.parametrize("answer", [b"%T NO not now\r\n", b"%T BAD unknown command\r\n"])
def test_a_refusal_leaves_the_connection_as_it_was(answer: bytes) -> None:
    one, sock, _ = opened(answer)
    with pytest.raises(CommandRefused, match="the server refused IDLE"):
        one.idle(WAIT)
    assert b"DONE" not in sock.sent
    one.noop()


def test_a_refused_end_is_told() -> None:
    one, _, _ = opened([b"+ idling\r\n", b"%T BAD Expected DONE.\r\n"])
    with pytest.raises(CommandRefused, match="Expected DONE"):
        one.idle(WAIT)


def test_an_idle_that_the_server_ends_gets_no_done() -> None:
    one, sock, clock = opened(b"+ idling\r\n%T OK enough\r\n")
    assert one.idle(WAIT)
    assert b"DONE" not in sock.sent
    assert clock.waits == []


def test_a_ring_ends_it_at_once(waker: Waker) -> None:
    one, sock, clock = opened(None, (5, lambda _: waker.wake()))
    begin = clock.now
    assert one.idle(WAIT, wake=waker) is False
    assert clock.now - begin == 5
    assert sock.sent[-1] == b"DONE"
    assert waker.awake


def test_a_ring_is_heard_among_words_without_an_end(waker: Waker) -> None:
    def chatter(sock: FakeSocket) -> None:
        sock.say(b"* OK Still here\r\n")
        if len(clock.waits) == 20:
            waker.wake()

    one, _, clock = opened(None, *[(0.01, chatter)] * 1_000)
    assert one.idle(WAIT, wake=waker) is False
    assert len(clock.waits) == 20


# On a real socket.


@pytest.fixture(params=[False, True], ids=["plain", "TLS"])
def server(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    with MailServer(tls=request.param) as one:
        one.add_user("agent", "secret")
        one.deliver(SEED)
        yield one


@pytest.fixture
def real(server: MailServer, request: pytest.FixtureRequest) -> Iterator[Connection]:
    tls = "TLS" in request.node.callspec.id
    one = Connection.open(
        ImapSettings(
            host=server.host,
            port=server.imap_port,
            username="agent",
            password="secret",
            use_ssl=tls,
            ca_file=server.ca_file if tls else None,
            timeout=20,
        ),
        clock=SystemClock(),
    )
    one.select("INBOX")
    yield one
    one.close()


def when_idle(server: MailServer, act: Callable[[], object]) -> threading.Thread:
    def wait_and_act() -> None:
        server.wait_for_idle()
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


def test_new_mail_ends_it(server: MailServer, real: Connection) -> None:
    thread = when_idle(server, lambda: server.deliver(b"Subject: new\r\n\r\n"))
    assert real.idle(600)
    thread.join()
    assert real.exists == 2
    assert len(real.list_uids()) == 2


def test_many_words_in_one_packet_are_all_heard(server: MailServer, real: Connection) -> None:
    words = b"* OK Still here\r\n" * 3_000 + b"* 9 EXISTS\r\n"
    thread = when_idle(server, lambda: server.push(words))
    assert real.idle(600)
    thread.join()
    assert real.exists == 9


def test_a_line_that_drips_is_heard(server: MailServer, real: Connection) -> None:
    server.faults.add(faults.Drip("IDLE", chunk=1))
    thread = when_idle(server, lambda: server.deliver(b"Subject: new\r\n\r\n"))
    assert real.idle(600)
    thread.join()


def test_a_ring_from_another_thread_ends_it(
    server: MailServer, real: Connection, waker: Waker
) -> None:
    thread = when_idle(server, waker.wake)
    assert real.idle(600, wake=waker) is False
    thread.join()
    real.noop()


@pytest.mark.parametrize(
    "happen",
    [
        pytest.param(lambda server: server.kick(), id="cut"),
        pytest.param(lambda server: server.push(b"* BYE going down\r\n"), id="BYE"),
        pytest.param(lambda server: server.mailbox().reset_uid_validity(), id="another epoch"),
    ],
)
def test_a_connection_that_breaks_is_lost_at_once(
    server: MailServer, real: Connection, happen: Callable[[MailServer], object]
) -> None:
    thread = when_idle(server, lambda: happen(server))
    with pytest.raises(ConnectionLost):
        real.idle(600)
    thread.join()
