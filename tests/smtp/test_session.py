"""A session: how a connection falls, what may be handed in, what is left for the next letter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nornmail.errors import ConnectionLost
from nornmail.net.tls import Abort
from nornmail.outgoing import Envelope, Recipient, RecipientStatus
from nornmail.smtp.session import CachedSession, Session
from nornmail.smtp.transaction import PIPELINED, Submission, SubmissionOutcome
from nornmail.smtp.wire import Wire
from tests.outbox.messages import ANN, BOB, CAT, letter, standings
from tests.smtp.scripted import DRIP, GOOD, HANG_UP, SILENCE, Answers, Scripted, scripted
from tests.support.table import table

OK = b"250 ok\r\n"
BRIEF = 0.1
"""Seconds, where the server is to be waited for in vain."""
EIGHT_MIB = 8 * 1024 * 1024


def submit(server: Scripted, *to: str) -> Submission:
    """Hand a letter in over a fresh connection; a usable session is left properly."""
    session = Session.open(server.settings(), clock=server.clock)
    one = letter(*(to or (ANN, BOB, CAT)))
    try:
        return session.submit(one.envelope, one.raw, before_content=lambda _: None)
    finally:
        session.close()


@table("stage", ["MAIL", "RCPT", "DATA"])
@table("how", [HANG_UP, b"421 4.4.2 closing\r\n", b"421 4.4.2 closing\r\n" + HANG_UP])
def test_a_connection_that_ends_under_the_next_message_is_made_anew(stage: str, how: bytes) -> None:
    with scripted({stage: [GOOD[stage], how, GOOD[stage]]}) as server:
        session = CachedSession(lambda: Session.open(server.settings()), server.clock)
        one = letter(ANN)
        outcomes = [
            session.submit(one.envelope, one.raw, before_content=lambda _: None).outcome
            for _ in range(2)
        ]
        session.close()
    assert outcomes == [SubmissionOutcome.ACCEPTED] * 2
    assert server.connections == 2


@table(
    ("stage", "how", "connections"),
    [
        pytest.param("RCPT", b"450 4.2.0 greylisted\r\n", 1, id="a deferred recipient"),
        pytest.param("end", HANG_UP, 1, id="the end of the content"),
        pytest.param("end", b"451 4.3.0 later\r\n", 1, id="a deferred message"),
    ],
)
def test_what_a_message_is_told_itself_is_not_asked_again(
    stage: str, how: bytes, connections: int
) -> None:
    with scripted({stage: [GOOD[stage], how, GOOD[stage]]}) as server:
        session = CachedSession(lambda: Session.open(server.settings()), server.clock)
        one = letter(ANN)
        for _ in range(2):
            found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        session.close()
    assert found.outcome in (SubmissionOutcome.DEFERRED, SubmissionOutcome.UNKNOWN)
    assert server.connections == connections


FALLS = [
    pytest.param("MAIL", "deferred", "ppp", id="at MAIL"),
    pytest.param("RCPT", "deferred", "ppp", id="at RCPT"),
    pytest.param("DATA", "deferred", "ppp", id="at DATA"),
    pytest.param("end", "unknown", "uuu", id="after the final dot"),
]


@table(("stage", "outcome", "who"), FALLS)
@table(
    "how",
    [
        pytest.param(HANG_UP, id="the server hangs up"),
        pytest.param(DRIP, id="the server drips"),
        pytest.param(b"what do you want\r\n", id="the server says what is no reply"),
        pytest.param(b"999 no such code\r\n", id="the server says a code that there is not"),
        pytest.param(b"250-" + b"x" * 9_000, id="a line without an end"),
        pytest.param(b"250-x\r\n" * 600, id="a reply without an end"),
        pytest.param(b"451-later\r\n250 ok\r\n", id="no and yes in one reply"),
        pytest.param(b"354-go\r\n250 ok\r\n", id="go on and yes in one reply"),
    ],
)
def test_a_connection_that_falls(stage: str, outcome: str, who: str, how: bytes) -> None:
    with scripted({stage: how}) as server:
        found = submit(server)
    assert (found.outcome, standings(found)) == (outcome, who)
    assert (found.code, found.usable) == (0, False)
    assert found.text
    assert len(server.contents) == (stage == "end")


def test_who_was_refused_stays_refused_when_the_connection_falls() -> None:
    script: Answers = {"RCPT": [b"550 5.1.1 who?\r\n", b"450 4.2.0 later\r\n", OK], "end": HANG_UP}
    with scripted(script) as server:
        found = submit(server)
    assert (found.outcome, standings(found)) == (SubmissionOutcome.UNKNOWN, "rpu")
    assert [one.code for one in found.recipients] == [550, 450, 0]


PIPELINING = b"250-ready\r\n250 PIPELINING\r\n"
FULL = b"452 4.5.3 too many recipients\r\n"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param({}, id="everything is accepted"),
        pytest.param({"MAIL": b"451 4.3.0 later\r\n"}, id="MAIL is deferred"),
        pytest.param({"MAIL": b"550 5.7.1 no\r\n", "RCPT": b"503 no\r\n"}, id="MAIL is refused"),
        pytest.param({"MAIL": b"421 4.3.0 bye\r\n" + HANG_UP}, id="closed at MAIL"),
        pytest.param({"RCPT": b"550 5.1.1 who\r\n"}, id="every recipient is refused"),
        pytest.param({"RCPT": [OK, b"550 5.1.1 who\r\n", OK]}, id="one of three is refused"),
        pytest.param({"RCPT": [OK, FULL]}, id="full after the first recipient"),
        pytest.param({"RCPT": [OK, b"421 4.3.0 bye\r\n" + HANG_UP]}, id="closed at RCPT"),
        pytest.param({"RCPT": [OK, HANG_UP]}, id="lost at RCPT"),
        pytest.param({"RCPT": [OK, b"no reply\r\n"]}, id="a line that is no reply"),
        pytest.param({"DATA": b"451 4.3.0 later\r\n"}, id="DATA is deferred"),
    ],
)
def test_pipelining_changes_nothing_in_the_outcome(script: Answers) -> None:
    outcomes = []
    for features in (b"250 ready\r\n", PIPELINING):
        with scripted({"EHLO": features, **script}) as server:
            submission = submit(server)
        outcomes.append((submission.outcome, standings(submission), server.contents))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("features", "writes"),
    [
        pytest.param(b"250 ready\r\n", 1 + 2 * PIPELINED, id="each command waits for its reply"),
        pytest.param(PIPELINING, 3, id="fifty commands at a time"),
    ],
)
def test_commands_are_sent_together_where_the_server_offers_it(
    features: bytes, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    send_commands = Wire.send_commands

    def count(self: Wire, lines: Sequence[str], seconds: float | None = None) -> object:
        if lines[0].startswith(("MAIL", "RCPT")):
            sent.append(len(lines))
        return send_commands(self, lines, seconds)

    monkeypatch.setattr(Wire, "send_commands", count)
    with scripted({"EHLO": features}) as server:
        submission = submit(server, *(f"user{n}@example.com" for n in range(2 * PIPELINED)))
    assert submission.outcome is SubmissionOutcome.ACCEPTED
    assert (len(sent), sum(sent)) == (writes, 1 + 2 * PIPELINED)


def test_the_next_message_follows_one_whose_group_was_refused() -> None:
    script: Answers = {"EHLO": PIPELINING, "MAIL": [b"451 4.3.0 later\r\n", OK]}
    with scripted(script) as server:
        session = Session.open(server.settings(), clock=server.clock)
        first, second = (
            session.submit(each.envelope, each.raw, before_content=lambda _: None)
            for each in (letter(ANN, BOB), letter(CAT))
        )
        session.close()
    assert (first.outcome, first.usable) == (SubmissionOutcome.DEFERRED, True)
    assert (second.outcome, len(server.contents)) == (SubmissionOutcome.ACCEPTED, 1)


def test_a_connection_that_falls_between_354_and_the_content_is_known_not_to_have_sent() -> None:
    with scripted({"content": HANG_UP}) as server:
        session = Session.open(server.settings())
        one = letter()

        def wait_until_it_fell(_: object) -> None:
            assert server.ended.wait(5.0)

        found = session.submit(one.envelope, one.raw, before_content=wait_until_it_fell)
    assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)


def test_a_connection_that_falls_in_the_middle_of_the_content_is_known_not_to_have_sent() -> None:
    with scripted({"EHLO": b"250 ready\r\n", "content": HANG_UP}) as server:
        session = Session.open(server.settings())
        one = letter(text="x" * 70 + "\n")
        raw = one.raw + (b"y" * 78 + b"\r\n") * (EIGHT_MIB // 80)
        found = session.submit(one.envelope, raw, before_content=lambda _: None)
    assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)


@table(
    "content",
    [
        pytest.param(SILENCE, id="says nothing"),
        pytest.param(b"2" + SILENCE, id="begins a reply"),
    ],
)
def test_a_server_that_stops_reading_holds_nobody_up(content: bytes) -> None:
    with scripted({"EHLO": b"250 ready\r\n", "content": content}) as server:
        session = Session.open(server.settings())
        one = letter()

        def hurry(_: object) -> None:
            session._wire.seconds = BRIEF

        raw = one.raw + (b"y" * 78 + b"\r\n") * (EIGHT_MIB // 80)
        found = session.submit(one.envelope, raw, before_content=hurry)
    assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)


def test_before_the_content_the_recipients_are_told_as_they_would_stand() -> None:
    told: list[tuple[Recipient, ...]] = []
    script: Answers = {"RCPT": [b"550 5.1.1 who?\r\n", b"450 4.2.0 later\r\n", b"250 2.1.5 ok\r\n"]}
    with scripted(script) as server:
        session = Session.open(server.settings())
        one = letter(ANN, BOB, CAT)

        def tell(recipients: tuple[Recipient, ...]) -> None:
            assert not server.contents
            told.append(recipients)

        session.submit(one.envelope, one.raw, before_content=tell)
        session.close()
    assert told == [
        (
            Recipient(ANN, RecipientStatus.REFUSED, 550, "5.1.1 who?"),
            Recipient(BOB, RecipientStatus.PENDING, 450, "4.2.0 later"),
            Recipient(CAT, RecipientStatus.UNKNOWN, 250, "2.1.5 ok"),
        )
    ]


def test_content_that_goes_out_is_not_aborted_and_what_follows_is() -> None:
    abort, one = Abort(), letter(ANN)
    with scripted() as server:
        session = Session.open(server.settings(), abort=abort)
        sent = session.submit(one.envelope, one.raw, before_content=lambda _: abort.abort())
        after = session.submit(one.envelope, one.raw, before_content=lambda _: None)
    assert (sent.outcome, after.outcome) == (SubmissionOutcome.ACCEPTED, SubmissionOutcome.DEFERRED)


def test_what_is_raised_before_the_content_goes_on_and_nothing_is_sent() -> None:
    class StoreFull(Exception):
        pass

    def full(_: object) -> None:
        raise StoreFull

    with scripted() as server:
        session = Session.open(server.settings())
        one = letter()
        with pytest.raises(StoreFull):
            session.submit(one.envelope, one.raw, before_content=full)
        assert not session.alive()
    assert server.contents == []


def test_before_content_is_not_called_when_nobody_was_taken() -> None:
    with scripted({"RCPT": b"550 5.1.1 who?\r\n"}) as server:
        session = Session.open(server.settings())
        one = letter()
        session.submit(one.envelope, one.raw, before_content=lambda _: pytest.fail("called"))
        session.close()
    assert server.said("DATA") == []
    assert len(server.said("RSET")) == 1


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        pytest.param("MAIL", b"552 5.3.4 too big\r\n", id="a refused MAIL"),
        pytest.param("RCPT", b"550 5.1.1 who?\r\n", id="refused recipients"),
        pytest.param("DATA", b"451 4.3.0 later\r\n", id="a refused DATA"),
    ],
)
def test_the_session_takes_another_letter_after(stage: str, said: bytes) -> None:
    good = {"MAIL": OK, "RCPT": OK, "DATA": b"354 go on\r\n"}[stage]
    with scripted({stage: [said, good]}) as server:
        session = Session.open(server.settings())
        one = letter()
        first = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        second = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        session.close()
    assert first.usable
    assert (second.outcome, server.connections) == (SubmissionOutcome.ACCEPTED, 1)
    verbs = [line.partition(" ")[0] for line in server.commands]
    assert verbs.index("RSET") < len(verbs) - 1 - verbs[::-1].index("MAIL")


def test_a_session_of_no_use_says_so_and_does_not_talk() -> None:
    with scripted({"RSET": b"421 4.3.2 closing\r\n", "RCPT": b"550 5.1.1 who?\r\n"}) as server:
        session = Session.open(server.settings())
        one = letter()
        first = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        again = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        session.close()
        session.close()
    assert (first.outcome, first.usable) == (SubmissionOutcome.REFUSED, False)
    assert (again.outcome, again.usable) == (SubmissionOutcome.DEFERRED, False)


def test_an_idle_server_that_said_goodbye_is_understood() -> None:
    with scripted({"NOOP": b"250 ok\r\n421 4.4.2 idle for too long\r\n"}) as server:
        session = Session.open(server.settings())
        assert session.alive()
        one = letter()
        found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
    assert (found.outcome, found.code, found.usable) == (SubmissionOutcome.DEFERRED, 421, False)
    assert "idle" in found.text


def test_an_answer_that_nobody_asked_for_is_no_answer_to_the_next_command() -> None:
    with scripted({"NOOP": b"250 ok\r\n250 2.1.0 ok\r\n"}) as server:
        session = Session.open(server.settings())
        assert session.alive()
        one = letter()
        found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
    assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)
    assert server.said("MAIL") == []


def test_dots_are_stuffed_and_the_content_arrives_octet_for_octet() -> None:
    text = ".\n..\n.hidden\nlast line.\n.\n"
    with scripted() as server:
        session = Session.open(server.settings())
        one = letter(text=text)
        session.submit(one.envelope, one.raw, before_content=lambda _: None)
        session.submit(one.envelope, b"..x: y\r\n\r\n", before_content=lambda _: None)
        session.close()
    sent, second = server.contents
    assert sent.replace(b"\r\n..", b"\r\n.")[:-3] == one.raw
    assert second == b"...x: y\r\n\r\n.\r\n"
    assert b"\r\n.\r\n" not in sent[:-5]


def test_the_words_of_a_long_reply_become_one_line() -> None:
    said = (
        b"550-5.7.26 This mail has been blocked\r\n550-5.7.26 as it is not signed.\r\n"
        b"550 5.7.26 Bye \x1b[31m\xc3\xa9\xff\r\n"
    )
    with scripted({"end": said}) as server:
        found = submit(server, ANN)
    assert found.text == "5.7.26 This mail has been blocked as it is not signed. Bye [31mé\ufffd"


@table(
    ("features", "expected"),
    [
        pytest.param(b"250 ready\r\n", "", id="nothing is offered"),
        pytest.param(b"250-ready\r\n250 SIZE 5000\r\n", " SIZE={size}", id="SIZE is offered"),
        pytest.param(b"250-ready\r\n250 SIZE\r\n", " SIZE={size}", id="SIZE without a limit"),
        pytest.param(b"250-ready\r\n250-SIZE 0\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                     " SIZE={size}", id="8BITMIME and SMTPUTF8 are offered and not needed"),
        pytest.param(b"250-ready\r\n250 SIZE " + b"9" * 5000 + b"\r\n", " SIZE={size}",
                     id="a limit of thousands of digits"),
    ],
)  # fmt: skip
def test_only_what_is_offered_and_needed_is_used(features: bytes, expected: str) -> None:
    with scripted({"EHLO": features}) as server:
        found = submit(server, ANN)
    assert found.outcome is SubmissionOutcome.ACCEPTED
    size = len(letter().raw)
    assert server.said("MAIL") == ["MAIL FROM:<agent@example.com>" + expected.format(size=size)]


EIGHT_BITS = b"Subject: \xc3\xa9\r\n\r\nx\r\n"
UNFIT = [
    pytest.param([ANN], b"x" * 60_000 + b"\r\n", "line", id="a line over 998 octets"),
    pytest.param([ANN], b"a: b\r\n\r\n" + b"x\r\n" * 5_000, "at most", id="over the limit of SIZE"),
    pytest.param([ANN], b"a: b\r\n\r\nx\n.\r\n", "bare", id="a bare LF"),
    pytest.param([ANN], b"a: b\r\n\r\nx\r.\r\n", "bare", id="a bare CR"),
    pytest.param([ANN], b"a: b\r\n\r\nx\0\r\n", "NUL", id="a NUL"),
    pytest.param([ANN], b"a: b\r\n\r\nx", "no CRLF", id="a last line without an end"),
    pytest.param([ANN], EIGHT_BITS, "8BITMIME", id="8 bits where they are not offered"),
    pytest.param(["ünal@example.org"], b"a: b\r\n\r\n", "SMTPUTF8", id="SMTPUTF8 is not offered"),
    pytest.param([], b"a: b\r\n\r\n", "no recipients", id="no recipients"),
    pytest.param(["c@d> NOTIFY=NEVER ORCPT=<x"], b"a: b\r\n\r\n", "cannot be sent",
                 id="parameters within an address"),
    pytest.param(["c@d>\r\nRCPT TO:<e@f"], b"a: b\r\n\r\n", "cannot be sent",
                 id="a command within an address"),
    pytest.param(['"a b"@example.org'], b"a: b\r\n\r\n", "cannot be sent",
                 id="a blank in quotes"),
    pytest.param(["a\u2028b@example.org"], b"a: b\r\n\r\n", "cannot be sent",
                 id="a line separator"),
    pytest.param(["a>b@example.org"], b"a: b\r\n\r\n", "cannot be sent",
                 id="a bracket first"),
    pytest.param(["a@b>example.org"], b"a: b\r\n\r\n", "cannot be sent",
                 id="a bracket last"),
    pytest.param(["a\0@example.org"], b"a: b\r\n\r\n", "cannot be sent", id="a NUL in it"),
    pytest.param(["postmaster"], b"a: b\r\n\r\n", "cannot be sent", id="no domain"),
]  # fmt: skip


@table(("to", "raw", "why"), UNFIT)
def test_what_cannot_be_handed_in_is_refused_before_anything_is_said(
    to: list[str], raw: bytes, why: str
) -> None:
    with scripted({"EHLO": b"250-ready\r\n250 SIZE 10000\r\n"}) as server:
        session = Session.open(server.settings())
        unfit = Envelope("agent@example.com", tuple(to))
        found = session.submit(unfit, raw, before_content=lambda _: pytest.fail("called"))
        assert (found.outcome, found.code, found.usable) == (SubmissionOutcome.REFUSED, 0, True)
        assert all(one.status is RecipientStatus.REFUSED for one in found.recipients)
        assert why in found.text
        assert session.alive()
        session.close()
    assert [line.partition(" ")[0].upper() for line in server.commands] == ["EHLO", "NOOP", "QUIT"]


def test_a_sender_that_would_be_a_command_is_refused() -> None:
    with scripted() as server:
        session = Session.open(server.settings())
        evil = Envelope("a@b>\r\nDATA\r\n<", (ANN,))
        found = session.submit(evil, b"a: b\r\n\r\n", before_content=lambda _: None)
        session.close()
    assert found.outcome is SubmissionOutcome.REFUSED
    assert server.said("DATA") == []


def test_the_null_sender_can_be_sent() -> None:
    with scripted() as server:
        session = Session.open(server.settings())
        found = session.submit(Envelope("", (ANN,)), b"a: b\r\n\r\n", before_content=lambda _: None)
        session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    assert server.said("MAIL") == ["MAIL FROM:<> SIZE=8"]


def test_8_bits_and_smtputf8_go_where_they_are_offered() -> None:
    features = b"250-ready\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
    with scripted({"EHLO": features}) as server:
        session = Session.open(server.settings())
        wide = Envelope("agent@example.com", ("ünal@example.org",), smtputf8=True)
        session.submit(wide, EIGHT_BITS, before_content=lambda _: None)
        session.close()
    assert server.said("MAIL") == ["MAIL FROM:<agent@example.com> BODY=8BITMIME SMTPUTF8"]
    assert server.said("RCPT") == ["RCPT TO:<ünal@example.org>"]
    assert server.contents == [EIGHT_BITS + b".\r\n"]


def test_whether_it_lives_and_goodbye_are_not_waited_for_as_long_as_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted() as server:
        session = Session.open(server.settings(timeout=60.0))
        wire, asked = session._wire, []

        def set_deadline(seconds: float | None = None) -> None:
            asked.append(seconds)
            Wire.set_deadline(wire, seconds)

        monkeypatch.setattr(wire, "set_deadline", set_deadline)
        assert session.alive()
        session.close()
    assert asked == [10.0, 5.0]


def test_goodbye_is_said_once_and_nothing_depends_on_the_answer() -> None:
    with scripted({"QUIT": HANG_UP}) as server:
        session = Session.open(server.settings())
        session.close()
        session.close()
        assert not session.alive()
    assert len(server.said("QUIT")) == 1


@pytest.mark.parametrize("how", [DRIP, SILENCE], ids=["drips", "is silent"])
def test_a_server_that_does_not_greet_holds_nobody_up(how: bytes) -> None:
    with scripted({"greeting": how}) as server, pytest.raises(ConnectionLost, match="in time"):
        Session.open(server.settings(timeout=BRIEF), clock=server.clock)
