"""Greeting and TLS: what is refused before anything secret is sent, and by what name."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from nornmail.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    ProtocolError,
    Throttled,
)
from nornmail.smtp.session import Session, helo_name
from nornmail.smtp.transaction import SubmissionOutcome
from tests.outbox.messages import letter
from tests.smtp.openings import LOGIN, OFFERING, WITH_TLS, refusal, words
from tests.smtp.scripted import HANG_UP, TLS, Scripted, scripted
from tests.support.smtp import SmtpServer, smtp_server

# What the server says to a client that has just come.


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        pytest.param({"greeting": b"554 no service\r\n"}, ConnectionLost, "554", id="554"),
        pytest.param({"greeting": b"421 4.7.0 too many connections\r\n"}, Throttled, "421",
                     id="421: too many connections"),
        pytest.param({"greeting": b"450 later\r\n"}, Throttled, "450", id="450"),
        pytest.param({"greeting": b"* OK IMAP4rev1\r\n"}, ProtocolError, "IMAP4", id="IMAP"),
        pytest.param({"greeting": b"354 go on\r\n"}, ProtocolError, "354", id="354"),
        pytest.param({"greeting": HANG_UP}, ConnectionLost, "closed", id="it hangs up"),
        pytest.param({"EHLO": b"421 4.3.2 closing\r\n"}, Throttled, "421", id="EHLO 421"),
        pytest.param({"EHLO": b"550 who?\r\n", "HELO": b"550 who?\r\n"}, ConnectionLost, "550",
                     id="neither EHLO nor HELO"),
        pytest.param({"EHLO": b"354 go on\r\n"}, ProtocolError, "354", id="EHLO 354"),
        pytest.param({"EHLO": HANG_UP}, ConnectionLost, "closed", id="it hangs up at EHLO"),
    ],
)  # fmt: skip
def test_a_server_that_takes_nobody(
    script: dict[str, bytes], error: type[NornmailError], words: str
) -> None:
    with scripted(script) as server:
        found = refusal(server, **LOGIN)
    assert type(found) is error
    assert words in str(found)
    assert server.said("AUTH") == []


def test_what_is_said_of_a_limit_decides_what_it_is_about() -> None:
    with scripted({"greeting": b"421 4.7.0 Too many concurrent connections\r\n"}) as server:
        found = refusal(server)
    assert isinstance(found, Throttled)
    assert found.kind == "connections"


def test_a_server_that_knows_only_helo_is_taken_without_login_and_tls() -> None:
    with scripted({"EHLO": b"500 what?\r\n"}) as server:
        session = Session.open(server.settings())
        one = letter()
        found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
        session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    assert server.said("MAIL") == ["MAIL FROM:<agent@example.com>"]


@pytest.mark.parametrize(
    ("host_name", "said"),
    [
        pytest.param("mail.example.com", "mail.example.com", id="a whole name"),
        pytest.param("build-7", "[127.0.0.1]", id="half a name"),
        pytest.param("annes-macbook.local", "[127.0.0.1]", id="a name for this network alone"),
        pytest.param("localhost.localdomain", "[127.0.0.1]", id="the name of every machine"),
        pytest.param("box.example.com\r\nMAIL", "[127.0.0.1]", id="a line end"),
        pytest.param("my_box.example.com", "[127.0.0.1]", id="an underscore"),
        pytest.param("", "[127.0.0.1]", id="no name"),
        pytest.param("10.0.0.7", "[127.0.0.1]", id="an address"),
    ],
)
def test_how_we_call_ourselves(host_name: str, said: str) -> None:
    assert helo_name(host_name) == said


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    with scripted() as server:
        family, kind = socket.AF_INET, socket.SOCK_STREAM
        found = [(family, kind, 0, "", one) for one in (dead, ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        Session.open(server.settings()).close()
    assert server.connections == 1


def test_nobody_listens() -> None:
    with scripted() as server:
        pass
    assert "connect" in str(refusal(server))


# TLS.


def test_starttls_is_a_must_and_what_was_said_before_does_not_count() -> None:
    script = {"EHLO": [b"250-ready\r\n250-STARTTLS\r\n250 AUTH EVIL\r\n", OFFERING["EHLO"]]}
    with scripted(script) as server:
        session = Session.open(server.settings(use_tls=True, **LOGIN))
        session.close()
    verbs = [line.partition(" ")[0].upper() for line in server.commands]
    assert verbs == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        pytest.param({"EHLO": OFFERING["EHLO"]}, ConnectionLost, "STARTTLS on port", id="missing"),
        pytest.param({"EHLO": b"500 what?\r\n"}, ConnectionLost, "STARTTLS on port",
                     id="HELO only"),
        pytest.param({"EHLO": b"250-ready\r\n250 XXXXXXXA\r\n"}, ConnectionLost, "STARTTLS on port",
                     id="stripped by somebody in between"),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": b"454 4.7.0 not now\r\n"}, ConnectionLost,
                     "454", id="refused for now"),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": b"501 no\r\n"}, ConnectionLost, "501",
                     id="refused"),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": b"354 go on\r\n"}, ConnectionLost, "354",
                     id="answered with nonsense"),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": HANG_UP}, ConnectionLost, "closed",
                     id="it hangs up"),
        pytest.param(
            {"EHLO": WITH_TLS, "STARTTLS": b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n" + TLS},
            ProtocolError, "between STARTTLS and TLS", id="a reply is injected",
        ),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": b"220 go\r\n2" + TLS}, ProtocolError,
                     "between STARTTLS and TLS", id="an octet is injected"),
        pytest.param({"EHLO": WITH_TLS, "STARTTLS": b"220 go\r\n" + HANG_UP}, ConnectionLost,
                     "TLS",
                     id="no TLS follows"),
    ],
)  # fmt: skip
def test_without_starttls_nothing_secret_is_sent(
    script: dict[str, bytes], error: type[NornmailError], words: str
) -> None:
    with scripted(script) as server:
        found = refusal(server, use_tls=True, **LOGIN)
    assert type(found) is error
    assert words in str(found)
    assert server.said("AUTH") == []


@pytest.fixture
def port_465(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """A server with TLS from the first octet, on what counts as port 465."""
    with scripted(OFFERING, implicit_tls=True) as server:
        monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        yield server


def test_tls_from_the_first_octet(port_465: Scripted) -> None:
    session = Session.open(port_465.settings(use_tls=True, **LOGIN))
    one = letter()
    found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
    session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    assert port_465.said("STARTTLS") == []


BAD_CERTIFICATES = [
    pytest.param({"ca_file": None}, ConnectionLost, "SMTP_CA_FILE", id="nobody knows it"),
    pytest.param({"host": "127.0.0.2"}, ConnectionLost, "SMTP_HOST", id="another name"),
    pytest.param({"ca_file": "/nowhere.pem"}, ConfigurationError, "SMTP_CA_FILE", id="no CA file"),
]


@pytest.mark.parametrize(("changes", "error", "words"), BAD_CERTIFICATES)
@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "port 465"])
def test_a_bad_certificate_ends_it_before_the_login(
    changes: dict[str, Any], error: type[NornmailError], words: str, implicit: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real = socket.getaddrinfo  # there is no 127.0.0.2 on macOS
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *args, **named: real("127.0.0.1", *args, **named)
    )
    with scripted({"EHLO": WITH_TLS}, implicit_tls=implicit) as server:
        if implicit:
            monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        found = refusal(server, use_tls=True, **LOGIN, **changes)
    assert type(found) is error
    assert words in str(found)
    assert server.said("AUTH") == []


def test_a_plain_port_that_is_taken_for_465(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted() as server:
        monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        assert "587" in str(refusal(server, use_tls=True))


# Against aiosmtpd.


def settings(server: SmtpServer, **changes: Any) -> Any:
    return Scripted(server.port).settings(**{"use_tls": True, **LOGIN, **changes})


def test_with_aiosmtpd_over_starttls() -> None:
    with smtp_server() as server:
        session = Session.open(settings(server))
        assert session.alive()
        session.close()
        assert server.logins == 1


def test_with_aiosmtpd_and_login() -> None:
    with smtp_server(auth_exclude_mechanism=["PLAIN"]) as server:
        Session.open(settings(server)).close()


def test_with_aiosmtpd_and_a_wrong_password() -> None:
    with smtp_server() as server:
        with pytest.raises(AuthenticationFailed, match="535") as caught:
            Session.open(settings(server, password="hush-hush"))
        assert server.logins == 1
    assert "hush" not in words(caught.value)


def test_with_aiosmtpd_in_clear_where_the_settings_say_so() -> None:
    with smtp_server(starttls=False) as server:
        Session.open(settings(server, use_tls=False)).close()
        assert server.logins == 1
