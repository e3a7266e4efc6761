"""What each command is answered, in order and out of order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nornmail.testing import MailServer
from nornmail.testing.smtp.commands import COMMANDS
from nornmail.testing.smtp.faults import STAGES
from nornmail.testing.smtp.session import MAX_COMMAND_LINE
from tests.testing.smtp.raw import MESSAGE, PASSWORD, PLAIN, USER, RawClient


def test_a_message_is_in_the_outbox_with_its_envelope(server: MailServer) -> None:
    server.smtp.extensions.add("DSN")
    before = datetime.now(UTC)
    with RawClient.to(server) as client:
        assert client.command(b"AUTH PLAIN " + PLAIN).startswith(b"235 2.7.0 ")
        lines = (
            b"mail from:<a@example.org> SIZE=24 body=8bitmime RET=HDRS ENVID=x AUTH=<>",
            b"RCPT to: <b@example.org> NOTIFY=NEVER",
            b'RCPT TO:<@route.example:"odd one"@[127.0.0.1]>',
            b"DATA",
        )
        assert client.codes(*lines) == [250, 250, 250, 354]
        assert client.command(MESSAGE + b".") == b"250 2.0.0 OK: queued as 00000001\r\n"
    (sent,) = server.outbox
    assert sent.mail_from == "a@example.org"
    assert sent.rcpt_tos == ("b@example.org", '"odd one"@[127.0.0.1]')
    assert sent.raw == MESSAGE
    assert sent.mail_options == ("SIZE=24", "body=8bitmime", "RET=HDRS", "ENVID=x", "AUTH=<>")
    assert sent.rcpt_options == (("NOTIFY=NEVER",), ())
    assert (sent.helo, sent.esmtp, sent.user, sent.tls) == ("me", True, USER, False)
    assert before <= sent.at <= datetime.now(UTC)
    assert sent.as_email()["Subject"] == "hello"
    assert sent.as_email().get_content().split() == ["body"]


def test_ehlo_tells_what_there_is(server: MailServer) -> None:
    server.smtp.max_message_bytes = 1000
    with RawClient.to(server, hello=b"") as client:
        assert client.command(b"EHLO [127.0.0.1]").splitlines() == [
            b"250-localhost",
            b"250-8BITMIME",
            b"250-ENHANCEDSTATUSCODES",
            b"250-PIPELINING",
            b"250-SIZE 1000",
            b"250-SMTPUTF8",
            b"250 AUTH LOGIN PLAIN",
        ]
        assert client.command(b"HELO me") == b"250 localhost\r\n"


def test_extensions_are_a_set_to_edit(server: MailServer) -> None:
    server.smtp.extensions = {"X-OWN 1 2", "AUTH=XOAUTH2"}
    with RawClient.to(server, hello=b"") as client:
        assert client.command(b"EHLO me") == (
            b"250-localhost\r\n250-X-OWN 1 2\r\n250 AUTH XOAUTH2\r\n"
        )
        assert client.command(b"NOOP") == b"250 OK\r\n"  # no ENHANCEDSTATUSCODES


def test_a_server_without_extensions_has_none(server: MailServer) -> None:
    server.smtp.extensions.clear()
    with RawClient.to(server) as client:
        assert client.command(b"EHLO me") == b"250 localhost\r\n"
        for parameter in (b"SIZE=1", b"BODY=8BITMIME", b"SMTPUTF8", b"AUTH=<>", b"RET=FULL"):
            assert client.codes(b"MAIL FROM:<a@b> " + parameter) == [555]
        assert client.codes(b"MAIL FROM:<a@b>", b"RCPT TO:<a@b> NOTIFY=NEVER") == [250, 555]
        assert client.codes(b"RSET", b"AUTH PLAIN " + PLAIN, b"STARTTLS") == [250, 502, 502]


MAIL, RCPT = b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param([MAIL], [503], id="MAIL before EHLO"),
        pytest.param([b"EHLO me", RCPT], [250, 503], id="RCPT before MAIL"),
        pytest.param([b"EHLO me", b"DATA"], [250, 503], id="DATA before MAIL"),
        pytest.param([b"EHLO me", MAIL, b"DATA"], [250, 250, 554], id="DATA before RCPT"),
        pytest.param([b"EHLO me", MAIL, MAIL], [250, 250, 503], id="MAIL twice"),
        pytest.param([b"HELO me", MAIL, b"RSET", RCPT], [250, 250, 250, 503], id="RSET forgets"),
        pytest.param([b"HELO me", MAIL, b"EHLO me", RCPT], [250, 250, 250, 503], id="EHLO too"),
        pytest.param(
            [b"EHLO me", MAIL, b"RCPT TO:<c@d> X=1", b"DATA"],
            [250, 250, 555, 554],
            id="DATA when no recipient was accepted",
        ),
        pytest.param(
            [b"EHLO me", MAIL, b"AUTH PLAIN " + PLAIN], [250, 250, 503], id="AUTH after MAIL"
        ),
        pytest.param(
            [b"EHLO me", b"AUTH PLAIN " + PLAIN, b"AUTH PLAIN " + PLAIN],
            [250, 235, 503],
            id="AUTH twice",
        ),
        pytest.param([b"EHLO", b"HELO "], [501, 501], id="a greeting without a name"),
        pytest.param([b"NOOP", b"NOOP x y"], [250, 250], id="NOOP takes anything"),
        pytest.param([b"VRFY", b"VRFY kim"], [501, 252], id="VRFY tells nothing"),
        pytest.param([b"HELP", b"EXPN x", b"TURN"], [214, 500, 500], id="HELP, and what is not"),
        pytest.param([b"RSET x", b"DATA x", b"QUIT x"], [501, 503, 221], id="an argument too many"),
        pytest.param([b"", b" ", b"\xff", b"NO\0OP"], [500] * 4, id="no command at all"),
        pytest.param([b"STARTTLS"], [502], id="STARTTLS where there is none"),
    ],
)
def test_the_order_of_commands(server: MailServer, lines: list[bytes], codes: list[int]) -> None:
    with RawClient.to(server, hello=b"") as client:
        assert client.codes(*lines) == codes
    assert server.outbox == []


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        pytest.param(b"FROM:<>", b"250 2.1.0", id="the null sender"),
        pytest.param(b"FROM: <a@b>", b"250 2.1.0", id="a blank behind the colon"),
        pytest.param(b"FROM:<a>", b"250 2.1.0", id="no domain"),
        pytest.param(b"FROM:<a@b> SIZE=1", b"250 2.1.0", id="a size"),
        pytest.param(b"FROM:<j\xc3\xb6@b> SMTPUTF8", b"250 2.1.0", id="UTF-8 with SMTPUTF8"),
        pytest.param(b"FROM:<j\xc3\xb6@b>", b"553 5.6.7", id="UTF-8 without"),
        pytest.param(b"FROM:<j\xf6@b> SMTPUTF8", b"501 5.1.7", id="Latin-1"),
        pytest.param(b"FROM:a@b", b"501 5.1.7", id="no angle brackets"),
        pytest.param(b"FROM:<a@b", b"501 5.1.7", id="one of them"),
        pytest.param(b"FROM:<a@b>x", b"501 5.1.7", id="something behind them"),
        pytest.param(b"FROM:<a b@c>", b"501 5.1.7", id="a blank within"),
        pytest.param(b"FROM:<a@b> SIZE=1>", b"501 5.5.4", id="a parameter that is none"),
        pytest.param(b"FROM:<a@b> =x", b"501 5.5.4", id="a parameter without a name"),
        pytest.param(b"FROM:<a@b> SIZE=x", b"501 5.5.4", id="a size that is no number"),
        pytest.param(b"FROM:<a@b> SIZE=\xc2\xb2", b"501 5.5.4", id="nor one in ASCII"),
        pytest.param(b"FROM:<a@b> BODY=9BIT", b"555 5.5.4", id="an unknown body"),
        pytest.param(b"FROM:<a@b> SMTPUTF8=1", b"501 5.5.4", id="SMTPUTF8 with a value"),
        pytest.param(b"FROM:<a@b> SIZE=33554433", b"552 5.3.4", id="a size beyond the limit"),
        pytest.param(b"FROM:<a@b> X-Y=1", b"555 5.5.4", id="an unknown parameter"),
        pytest.param(b"FRM:<a@b>", b"501 5.5.4", id="another keyword"),
        pytest.param(b"", b"501 5.5.4", id="nothing"),
    ],
)
def test_the_argument_of_mail(server: MailServer, argument: bytes, answer: bytes) -> None:
    with RawClient.to(server) as client:
        assert client.command(b"MAIL " + argument).startswith(answer)


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        pytest.param(b"TO:<>", 501, id="no recipient"),
        pytest.param(b"TO:<postmaster>", 250, id="no domain"),
        pytest.param(b"TO:<j\xc3\xb6@b>", 553, id="UTF-8 without SMTPUTF8"),
        pytest.param(b"TO:<a@b> NOTIFY=NEVER", 555, id="DSN where there is none"),
        pytest.param(b"FROM:<a@b>", 501, id="another keyword"),
    ],
)
def test_the_argument_of_rcpt(server: MailServer, argument: bytes, code: int) -> None:
    with RawClient.to(server) as client:
        assert client.codes(b"MAIL FROM:<a@b>", b"RCPT " + argument) == [250, code]


def test_limits(server: MailServer) -> None:
    server.smtp.max_recipients = 2
    with RawClient.to(server) as client:
        client.command(b"MAIL FROM:<a@b>")
        assert client.codes(*[b"RCPT TO:<c@d>"] * 3) == [250, 250, 452]
        fits = b"NOOP " + b"x" * (MAX_COMMAND_LINE - 5)
        assert client.codes(fits, fits + b"x", b"NOOP") == [250, 500, 250]


def test_tls_and_a_login_can_be_required() -> None:
    with MailServer(starttls=True) as server:
        server.add_user(USER, PASSWORD)
        server.smtp.require_tls = server.smtp.require_auth = True
        with RawClient.to(server) as client:
            assert client.command(b"MAIL FROM:<a@b>").startswith(b"530 5.7.0 Must issue a STARTTLS")
            assert client.command(b"AUTH PLAIN " + PLAIN).startswith(b"538 5.7.11 ")
            assert client.codes(b"STARTTLS x", b"STARTTLS") == [501, 220]
            client.start_tls(server)
            assert client.codes(b"MAIL FROM:<a@b>") == [503]
            assert b"AUTH" in client.command(b"EHLO me")
            assert client.command(b"MAIL FROM:<a@b>").startswith(b"530 5.7.0 Authentication")
            assert client.codes(b"AUTH PLAIN " + PLAIN, b"STARTTLS") == [235, 503]
            client.begin()
            client.command(MESSAGE + b".")
        assert (server.outbox[0].tls, server.outbox[0].user) == (True, USER)
        assert server.smtp.logins == 1


def test_starttls_forgets_what_was_said_before() -> None:
    with MailServer(starttls=True) as server, RawClient.to(server) as client:
        assert b"STARTTLS" in client.command(b"EHLO me")
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        assert client.reply().startswith(b"220 ")
        client.start_tls(server)
        assert client.codes(b"NOOP") == [250]
        assert b"STARTTLS" not in client.command(b"EHLO me")
        assert client.codes(b"RCPT TO:<a@b>", b"MAIL FROM:<a@b>") == [503, 250]
        assert b"MAIL FROM:<evil@example.org>" not in server.smtp.commands


def test_smtp_can_have_another_security_than_imap() -> None:
    with MailServer(tls=True, smtp="starttls") as server, RawClient.to(server) as client:
        assert client.codes(b"STARTTLS") == [220]
    with MailServer(smtp="tls") as server, RawClient(server) as client:
        client.start_tls(server)
        assert client.reply().startswith(b"220 ")
    wrong: Any = "ssl"
    with pytest.raises(ValueError, match="'plain', 'starttls' or 'tls'"):
        MailServer(smtp=wrong)


def test_quit_ends_the_connection(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.send(b"QUIT\r\n")
        assert client.all() == b"221 2.0.0 Bye\r\n"


def test_every_command_is_a_stage() -> None:
    assert set(STAGES) == {*COMMANDS, "CONNECT", "HANDSHAKE", "DOT"}
