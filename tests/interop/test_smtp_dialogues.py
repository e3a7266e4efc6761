"""What the embedded server answers is what Postfix answers, code for code, to any dialogue.

Where the two are to differ the reason is given, and that they do is asserted: so the list cannot
grow old.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nornmail.testing import MailServer
from tests.support.postfix import Postfix
from tests.support.postfix_conf import DOMAIN, MESSAGE_SIZE_LIMIT, RECIPIENT_LIMIT

pytestmark = pytest.mark.interop

EHLO, MAIL, RCPT = b"EHLO me", b"MAIL FROM:<a@example.org>", b"RCPT TO:<user@example.test>"
LOGIN = b"AUTH PLAIN AG1lAG9wZW4tc2VzYW1l"
MESSAGE = b"Subject: x\r\n\r\ntext\r\n."

WITH_STARTTLS = [
    pytest.param([RCPT, EHLO, RCPT], id="RCPT before MAIL"),
    pytest.param([EHLO, b"DATA"], id="DATA before MAIL"),
    pytest.param([EHLO, MAIL, b"DATA"], id="DATA before RCPT"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<unknown@example.test>", b"DATA"], id="no recipient"),
    pytest.param([EHLO, MAIL, MAIL], id="MAIL twice"),
    pytest.param([b"HELO me", MAIL, b"RSET", RCPT], id="RSET forgets"),
    pytest.param([EHLO, MAIL, EHLO, RCPT], id="EHLO forgets"),
    pytest.param([b"EHLO", b"HELO"], id="no name"),
    pytest.param([b"NOOP", b"NOOP x", b"VRFY", b"VRFY user@example.test"], id="NOOP and VRFY"),
    pytest.param([b"FOO", b"EXPN x", b"TURN", b"", b"\xff"], id="unknown commands"),
    pytest.param([b"RSET x", EHLO, b"DATA x", MAIL, RCPT, b"DATA x"], id="too many words"),
    pytest.param([EHLO, b"STARTTLS x"], id="STARTTLS with an argument"),
    pytest.param([b"QUIT x"], id="QUIT with an argument"),
    pytest.param([EHLO, b"MAIL FROM:<>", RCPT], id="the null sender"),
    pytest.param([EHLO, b"MAIL FROM: <a@b.example>"], id="a blank before the address"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example"], id="half an address"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example>x"], id="more than an address"),
    pytest.param([EHLO, b"MAIL FROM:<a b@c.example>"], id="a blank in the address"),
    pytest.param([EHLO, b"MAIL FRM:<a@b.example>", b"MAIL"], id="no address"),
    pytest.param([EHLO, b"MAIL FROM:<j\xc3\xb6@b.example> SMTPUTF8"], id="UTF-8"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example> SIZE=x"], id="a size that is none"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example> SIZE=65537"], id="a size beyond the limit"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example> BODY=9BIT"], id="an unknown body"),
    pytest.param([EHLO, b"MAIL FROM:<a@b.example> X-Y=1"], id="an unknown parameter of MAIL"),
    pytest.param([EHLO, MAIL, RCPT + b" X=1"], id="an unknown parameter of RCPT"),
    pytest.param([EHLO, MAIL + b" RET=HDRS ENVID=x", RCPT + b" NOTIFY=NEVER"], id="DSN"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<>"], id="the null recipient"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<@x.example:user@example.test>"], id="a source route"),
    pytest.param([EHLO, MAIL, b'RCPT TO:<"us er"@example.test>'], id="a quoted name"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<USER@EXAMPLE.TEST>"], id="another case"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<user+tag@example.test>"], id="a tag"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<unknown@example.test>"], id="an unknown user"),
    pytest.param([EHLO, MAIL, *[RCPT] * (RECIPIENT_LIMIT + 1)], id="too many recipients"),
    pytest.param([b"ehlo me", MAIL.lower() + b" body=8bitmime", RCPT, b"data"], id="small letters"),
    pytest.param([EHLO, MAIL, RCPT, b"DATA", MESSAGE, RCPT], id="a message"),
    pytest.param([EHLO, MAIL, RCPT, b"DATA", b"."], id="an empty message"),
    pytest.param(
        [EHLO, MAIL, RCPT, b"DATA", b"x" * 998 + (b"\r\n" + b"x" * 998) * 80 + b"\r\n.", b"NOOP"],
        id="a message beyond the limit",
    ),
]

WITHOUT_TLS = [
    pytest.param([EHLO, b"AUTH"], id="no mechanism"),
    pytest.param([EHLO, LOGIN, LOGIN], id="AUTH twice"),
    pytest.param([LOGIN], id="AUTH before EHLO"),
    pytest.param([EHLO, b"AUTH PLAIN", LOGIN[11:]], id="after a challenge"),
    pytest.param([EHLO, b"AUTH LOGIN", b"bWU=", b"b3Blbi1zZXNhbWU="], id="LOGIN"),
    pytest.param([EHLO, b"AUTH LOGIN bWU=", b"b3Blbi1zZXNhbWU="], id="LOGIN with the name"),
    pytest.param([EHLO, b"AUTH PLAIN AG1lAHdyb25n", b"NOOP"], id="a wrong password"),
    pytest.param([EHLO, b"AUTH PLAIN =", b"NOOP"], id="an empty response"),
    pytest.param([EHLO, b"AUTH LOGIN", b"*", b"NOOP"], id="cancelled"),
    pytest.param([EHLO, b"AUTH PLAIN a b", b"NOOP"], id="too many words"),
    pytest.param([EHLO, MAIL, LOGIN], id="AUTH after MAIL"),
    pytest.param([EHLO, MAIL + b" AUTH=<>"], id="AUTH as a parameter"),
    pytest.param([EHLO, b"STARTTLS"], id="STARTTLS where there is none"),
]

DIFFERENT = [
    pytest.param([MAIL], id="RFC 5321, 4.1.4: EHLO comes before MAIL"),
    pytest.param([EHLO, b"MAIL FROM:a@b.example"], id="RFC 5321, 4.1.2: an address has brackets"),
    pytest.param(
        [EHLO, b"MAIL FROM:<j\xc3\xb6@b.example>"], id="RFC 6531, 3.5: SMTPUTF8 is needed"
    ),
    pytest.param([EHLO, b"MAIL FROM:<j\xf6@b.example>"], id="RFC 6531, 3.3: it is UTF-8"),
    pytest.param([EHLO, b"NOOP " + b"x" * 3000], id="RFC 5321, 4.5.3.1.4: a line ends"),
    pytest.param([b"HELP"], id="RFC 5321, 4.1.1.8: HELP is answered"),
    pytest.param([EHLO, LOGIN], id="RFC 4954, 6: 538 says that TLS is needed"),
    pytest.param([EHLO, MAIL, b"RCPT TO:<x@example.com>"], id="mail for everybody is taken"),
]
"""Here the embedded server keeps to the letter, so that a client's mistake is seen; or has to."""


@dataclass(frozen=True)
class Ports:
    starttls: int
    plain: int


@pytest.fixture(scope="module")
def embedded() -> Iterator[Ports]:
    """The embedded server, set as the private Postfix is."""
    with MailServer(starttls=True) as starttls, MailServer() as plain:
        for server in (starttls, plain):
            for name in (f"user@{DOMAIN}", f"us er@{DOMAIN}"):
                server.add_user(name, "x")
            server.add_user("me", "open-sesame")
            server.smtp.local_domains.add(DOMAIN)
            server.smtp.max_message_bytes = MESSAGE_SIZE_LIMIT
            server.smtp.max_recipients = RECIPIENT_LIMIT
            server.smtp.extensions.add("DSN")
        yield Ports(starttls.smtp_port, plain.smtp_port)


def talk(port: int, lines: list[bytes]) -> list[bytes]:
    """What each line is answered: the code, and the enhanced status code where there is one."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock, sock.makefile("rb") as file:

        def reply() -> bytes:
            while (line := file.readline())[3:4] == b"-":
                continue
            return line

        answers = [reply()]
        for line in lines:
            sock.sendall(line + b"\r\n")
            answers.append(reply())
    return [line[:9] if line[4:9].replace(b".", b"").isdigit() else line[:3] for line in answers]


@pytest.mark.parametrize("lines", WITH_STARTTLS)
def test_the_answers_are_those_of_postfix(
    postfix: Postfix, embedded: Ports, lines: list[bytes]
) -> None:
    assert talk(embedded.starttls, lines) == talk(postfix.smtp_port, lines)


@pytest.mark.parametrize("lines", WITHOUT_TLS)
def test_the_answers_to_auth_are_those_of_postfix(
    postfix: Postfix, embedded: Ports, lines: list[bytes]
) -> None:
    assert talk(embedded.plain, lines) == talk(postfix.plain_port, lines)


@pytest.mark.parametrize("lines", DIFFERENT)
def test_the_answers_that_are_to_differ_do(
    postfix: Postfix, embedded: Ports, lines: list[bytes]
) -> None:
    ours, theirs = talk(embedded.starttls, lines), talk(postfix.smtp_port, lines)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] != theirs[-1]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"a\nb\r\n", id="in a line"),
        pytest.param(b"a\n.\r\nb\r\n", id="before a dot"),
        pytest.param(b"a\r\n.\nb\r\n", id="behind a dot"),
        pytest.param(b"a\r\nb\r\n", id="nowhere"),
    ],
)
def test_a_bare_line_feed_is_refused_as_postfix_does_when_told_to(
    postfix: Postfix, raw: bytes
) -> None:
    lines = [b"HELO me", MAIL, RCPT, b"DATA", raw + b"."]
    with MailServer() as server:
        server.smtp.refuse_bare_line_ends = True
        assert talk(server.smtp_port, lines) == talk(postfix.strict_port, lines)
