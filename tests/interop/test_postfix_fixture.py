"""The fixture itself: what other tests take for granted of it."""

from __future__ import annotations

import base64
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.postfix import REFUSALS, Postfix, start_postfix
from tests.support.postfix_conf import MESSAGE_SIZE_LIMIT, RECIPIENT_LIMIT

pytestmark = pytest.mark.interop

MAIL = b"From: a@example.com\r\nSubject: one\r\n\r\nbody\r\n.dot\r\n"
SENDER = "sender@example.org"


@contextmanager
def connected(postfix: Postfix, port: int | None = None) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("localhost", port or postfix.smtp_port, timeout=20) as client:
        client.ehlo()
        yield client


def context(postfix: Postfix) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(postfix.ca_file))


@contextmanager
def logged_in(postfix: Postfix) -> Iterator[smtplib.SMTP]:
    with connected(postfix, postfix.submission_port) as client:
        client.starttls(context=context(postfix))
        client.login("me", postfix.password)
        yield client


def test_mail_is_delivered_with_its_envelope(postfix: Postfix) -> None:
    user = postfix.user()
    with connected(postfix) as client:
        assert client.sendmail(SENDER, [user], MAIL) == {}
    (mail,) = postfix.wait_for_mail(user)
    assert (mail.return_path, mail.recipient) == (SENDER, user)
    assert mail.raw.endswith(b"\n\nbody\n.dot\n")
    assert mail.as_email()["Subject"] == "one"
    postfix.wait_until_delivered()


def test_a_name_that_is_not_ascii_is_delivered_with_smtputf8(postfix: Postfix) -> None:
    user = f"jörg-{postfix.user()}"
    with connected(postfix) as client:
        client.sendmail(SENDER, [user], MAIL, mail_options=["SMTPUTF8"])
    assert postfix.wait_for_mail(user)


@pytest.mark.parametrize("name", [*REFUSALS, "unknown"])
def test_a_refused_recipient(postfix: Postfix, name: str) -> None:
    expected = REFUSALS.get(name, "550 5.1.1 User unknown")
    with connected(postfix) as client:
        client.mail(SENDER)
        code, text = client.rcpt(f"{name}1@{postfix.domain}")
    assert code == int(expected[:3])
    assert text.startswith(expected.split()[1].encode())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("good", "code"), [(True, 235), (False, 535)])
def test_passwords(postfix: Postfix, mechanism: str, good: bool, code: int) -> None:
    with connected(postfix, postfix.plain_port) as client:
        client.user, client.password = "me", postfix.password if good else "wrong"
        method = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        if good:
            assert client.auth(mechanism, method)[0] == code
        else:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.auth(mechanism, method)
    assert postfix.logins[-1] == (mechanism, "me", good)


@pytest.mark.parametrize(("good", "codes"), [(True, [235]), (False, [334, 535])])
def test_tokens(postfix: Postfix, good: bool, codes: list[int]) -> None:
    token = postfix.token if good else "expired"
    said = base64.b64encode(f"user=me\x01auth=Bearer {token}\x01\x01".encode()).decode()
    with connected(postfix, postfix.plain_port) as client:
        answers = [client.docmd("AUTH", f"XOAUTH2 {said}")[0]]
        if answers == [334]:
            answers.append(client.docmd("")[0])
    assert answers == codes


def test_submission_wants_tls_and_a_login(postfix: Postfix) -> None:
    user = postfix.user()
    with connected(postfix, postfix.submission_port) as client:
        assert client.mail(SENDER)[0] == 530
        client.starttls(context=context(postfix))
        client.ehlo()
        client.mail(SENDER)
        assert client.rcpt(user)[0] == 554
    with logged_in(postfix) as client:
        client.sendmail(SENDER, [user], MAIL)
    assert b"(Authenticated sender: me)" in postfix.wait_for_mail(user)[0].raw


def test_implicit_tls(postfix: Postfix) -> None:
    client = smtplib.SMTP_SSL("localhost", postfix.smtps_port, context=context(postfix))
    with client:
        assert client.noop()[0] == 250


def test_a_bounce_comes_back_to_the_sender(postfix: Postfix) -> None:
    user = postfix.user()
    with logged_in(postfix) as client:
        client.sendmail(user, ["nobody@bounce.test"], MAIL)
    (bounce,) = postfix.wait_for_mail(user)
    assert bounce.return_path == ""
    assert b"Status: 5.1.2" in bounce.raw


def test_deferred_mail_stays_in_the_queue(postfix: Postfix) -> None:
    postfix.wait_until_delivered()
    with logged_in(postfix) as client:
        client.sendmail(SENDER, ["somebody@defer.test"], MAIL)
    assert postfix.queued() == 1
    postfix.empty_queue()
    assert postfix.queued() == 0


def test_the_rest_of_the_world(postfix: Postfix) -> None:
    with connected(postfix) as client:
        client.mail(SENDER)
        assert client.rcpt("x@example.com")[0] == 554
    with logged_in(postfix) as client:
        assert client.sendmail(SENDER, ["x@example.com"], MAIL) == {}
    postfix.wait_until_delivered()


def test_limits(postfix: Postfix) -> None:
    with connected(postfix) as client:
        assert client.mail(SENDER, [f"SIZE={MESSAGE_SIZE_LIMIT + 1}"])[0] == 552
        client.rset()  # without it the size is held against the next MAIL too
        client.mail(SENDER)
        codes = [client.rcpt(postfix.user())[0] for _ in range(RECIPIENT_LIMIT + 1)]
        assert codes == [250] * RECIPIENT_LIMIT + [452]
        assert client.data(b"x\r\n" * MESSAGE_SIZE_LIMIT)[0] == 552


def test_a_strict_server_refuses_a_bare_line_feed(postfix: Postfix) -> None:
    for port, expected in ((postfix.smtp_port, b"250 2.0.0"), (postfix.strict_port, b"550 5.5.2")):
        with (
            socket.create_connection((postfix.host, port), 20) as sock,
            sock.makefile("rb") as file,
        ):
            file.readline()
            for line in ("HELO x", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{postfix.user()}>", "DATA"):
                sock.sendall(f"{line}\r\n".encode())
                answer = file.readline()
            assert answer.startswith(b"354")
            sock.sendall(b"Subject: x\r\n\r\none\ntwo\r\n.\r\n")
            assert file.readline().startswith(expected)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param([b"EHLO x\r\nMAIL FROM:<a@example.org>\r\n"], id="behind EHLO"),
        pytest.param(
            [
                b"HELO x\r\n",
                b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nx\r\n.\r\n",
            ],
            id="behind DATA",
        ),
    ],
)
def test_a_strict_server_cuts_a_client_that_does_not_wait(
    postfix: Postfix, said: list[bytes]
) -> None:
    port = postfix.strict_port
    with socket.create_connection((postfix.host, port), 20) as sock, sock.makefile("rb") as file:
        for octets in said:
            file.readline()
            sock.sendall(octets)
        assert file.readlines()[-1].startswith(b"554 5.5.0 ")


def test_an_outage_and_settings_of_a_tests_own() -> None:
    before = set(threading.enumerate())
    with start_postfix(smtpd_recipient_limit="2") as postfix:
        port = postfix.smtp_port
        postfix.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((postfix.host, port), 20)
        postfix.start()
        assert postfix.smtp_port == port
        with connected(postfix) as client:
            client.mail(SENDER)
            assert [client.rcpt(postfix.user())[0] for _ in range(3)] == [250, 250, 452]
    assert not postfix.directory.exists()
    assert set(threading.enumerate()) == before
