"""Greeting, TLS and login: what is refused before anything secret is sent, and by what name."""

from __future__ import annotations

import base64
import json
import socket
import traceback
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
from nornmail.smtp.session import Outcome, Session
from nornmail.smtp.transport import helo_name
from tests.smtp.letters import letter
from tests.smtp.scripted import HANG_UP, TLS, Scripted, scripted
from tests.support.smtp import PASSWORD, USER, SmtpServer, smtp_server

LOGIN = {"username": USER, "password": PASSWORD}
OFFERING = {"EHLO": b"250-ready\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n"}
WITH_TLS = b"250-ready\r\n250 STARTTLS\r\n"
BEARER = {"EHLO": b"250-ready\r\n250 AUTH PLAIN XOAUTH2\r\n"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def words(error: BaseException) -> str:
    """All that an error and its causes say; without the tests' own lines in a traceback."""
    told = traceback.TracebackException.from_exception(error, capture_locals=False)
    lines = [line for line in told.format() if not line.startswith("  File")]
    return "".join(lines) + repr(error.args)


def refusal(server: Scripted, **changes: Any) -> NornmailError:
    """Why no session could be opened; no credentials may have been sent where there is no TLS."""
    with pytest.raises(NornmailError) as caught:
        Session.open(server.settings(**changes))
    return caught.value


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
    assert found.outcome is Outcome.ACCEPTED
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
        pytest.param({"EHLO": OFFERING["EHLO"]}, ConnectionLost, "no STARTTLS", id="missing"),
        pytest.param({"EHLO": b"500 what?\r\n"}, ConnectionLost, "no STARTTLS", id="HELO only"),
        pytest.param({"EHLO": b"250-ready\r\n250 XXXXXXXA\r\n"}, ConnectionLost, "no STARTTLS",
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
    assert found.outcome is Outcome.ACCEPTED
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


# Passwords.


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        pytest.param(
            b"LOGIN PLAIN",
            ["AUTH PLAIN " + encoded(f"\0{USER}\0{PASSWORD}")],
            id="PLAIN goes first",
        ),
        pytest.param(b"LOGIN", ["AUTH LOGIN", encoded(USER), encoded(PASSWORD)], id="LOGIN"),
    ],
)
def test_a_password_is_sent_the_way_the_server_takes_it(
    offered: bytes, expected: list[str]
) -> None:
    asked = [b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 welcome\r\n"]
    script: dict[str, bytes | list[bytes]] = {"EHLO": b"250-ready\r\n250 AUTH " + offered + b"\r\n"}
    if b"PLAIN" not in offered:
        script["AUTH"] = asked
    with scripted(script) as server:
        Session.open(server.settings(**LOGIN)).close()
    assert server.commands[1:-1] == expected


def test_the_form_of_old_servers_is_understood() -> None:
    with scripted({"EHLO": b"250-ready\r\n250 AUTH=PLAIN LOGIN\r\n"}) as server:
        Session.open(server.settings(**LOGIN)).close()
    assert len(server.said("AUTH PLAIN")) == 1


def test_nobody_logs_in_without_a_user_name() -> None:
    with scripted(OFFERING) as server:
        Session.open(server.settings()).close()
    assert server.said("AUTH") == []


@pytest.mark.parametrize(
    ("said", "error", "kind"),
    [
        pytest.param(b"535 5.7.8 bad credentials\r\n", AuthenticationFailed, "", id="535"),
        pytest.param(b"534 5.7.9 app password needed\r\n", AuthenticationFailed, "", id="534"),
        pytest.param(b"538 5.7.11 encryption needed\r\n", AuthenticationFailed, "", id="538"),
        pytest.param(b"530 5.7.0 STARTTLS first\r\n", AuthenticationFailed, "", id="530"),
        pytest.param(b"504 5.5.4 what?\r\n", AuthenticationFailed, "", id="504"),
        pytest.param(b"432 4.7.12 transition\r\n", AuthenticationFailed, "", id="432"),
        pytest.param(b"454 4.7.0 later\r\n", Throttled, "unavailable", id="454"),
        pytest.param(b"454 4.7.0 Too many login attempts\r\n", Throttled, "rate",
                     id="454 of Gmail"),
        pytest.param(b"535 5.7.0 Too many bad auth attempts\r\n", Throttled, "rate",
                     id="535 of a lockout"),
        pytest.param(b"421 4.7.0 closing\r\n", Throttled, "unavailable", id="421"),
        pytest.param(b"354 go on\r\n", ProtocolError, "", id="354"),
        pytest.param(b"334 \r\n", ProtocolError, "", id="questions without end"),
        pytest.param(HANG_UP, ConnectionLost, "", id="it hangs up"),
    ],
)  # fmt: skip
def test_a_refused_login(said: bytes, error: type[NornmailError], kind: str) -> None:
    with scripted(OFFERING | {"AUTH": said}) as server:
        found = refusal(server, **LOGIN)
    assert type(found) is error
    assert getattr(found, "kind", "") == kind
    assert len(server.said("AUTH")) == 1
    assert PASSWORD not in words(found)


@pytest.mark.parametrize(
    ("features", "changes", "words"),
    [
        pytest.param(b"250 ready\r\n", LOGIN, "offers: nothing", id="no login at all"),
        pytest.param(b"250-ready\r\n250 AUTH GSSAPI\r\n", LOGIN, "offers: GSSAPI",
                     id="no password"),
        pytest.param(b"250-ready\r\n250 AUTH PLAIN\r\n", {"username": USER, "token": lambda: "t0k"},
                     "no token", id="no token"),
        pytest.param(OFFERING["EHLO"], {"username": USER}, "SMTP_PASSWORD", id="nothing to show"),
    ],
)  # fmt: skip
def test_credentials_that_the_server_takes_not_are_not_sent(
    features: bytes, changes: dict[str, Any], words: str
) -> None:
    with scripted({"EHLO": features}) as server:
        found = refusal(server, **changes)
    assert isinstance(found, AuthenticationFailed)
    assert words in str(found)
    assert server.said("AUTH") == []


def test_a_server_that_repeats_secrets_does_not_get_them_into_an_error() -> None:
    plain = encoded(f"\0{USER}\0{PASSWORD}")
    for secret in (PASSWORD, plain, encoded(PASSWORD)):
        for stage in ("AUTH", "end"):
            answers = OFFERING | {stage: f"554 what is {secret}?\r\n".encode()}
            if secret == encoded(PASSWORD):
                answers["EHLO"] = b"250-ready\r\n250 AUTH LOGIN\r\n"
                if stage == "end":
                    answers["AUTH"] = [b"334 \r\n", b"334 \r\n", b"235 ok\r\n"]  # type: ignore[assignment]
            with scripted(answers) as server:
                try:
                    session = Session.open(server.settings(**LOGIN))
                except AuthenticationFailed as error:
                    told = words(error)
                else:
                    one = letter()
                    found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
                    told = repr(found)
                    session.close()
            assert secret not in told, (stage, secret)


# Tokens.


def bearer_command(token: str) -> str:
    return "AUTH XOAUTH2 " + encoded(f"user={USER}\1auth=Bearer {token}\1\1")


def tokens(*given: str) -> tuple[Any, list[str]]:
    """A callback that gives these, and what it gave."""
    left, asked = list(given), []

    def ask() -> str:
        asked.append(left.pop(0))
        return asked[-1]

    return ask, asked


def test_a_token_is_asked_for_at_each_connect() -> None:
    ask, asked = tokens("one", "two")
    with scripted(BEARER) as server:
        for _ in range(2):
            Session.open(server.settings(username=USER, token=ask)).close()
    assert asked == ["one", "two"]
    assert server.said("AUTH") == [bearer_command("one"), bearer_command("two")]


def test_a_refused_token_is_replaced_once() -> None:
    ask, _ = tokens("old", "new")
    why = encoded(json.dumps({"status": "400"})).encode()
    script = BEARER | {"AUTH": [b"334 " + why + b"\r\n", b"535 5.7.8 no\r\n", b"235 ok\r\n"]}
    with scripted(script) as server:
        Session.open(server.settings(username=USER), token=ask).close()
    assert server.commands[1:-1] == [bearer_command("old"), "", bearer_command("new")]


@pytest.mark.parametrize(
    ("given", "tries"),
    [
        pytest.param(("old", "old"), 1, id="the same one again"),
        pytest.param(("old", "new"), 2, id="another one that is no better"),
    ],
)
def test_a_token_that_stays_refused_ends_it(given: tuple[str, ...], tries: int) -> None:
    ask, _ = tokens(*given)
    why = encoded(json.dumps({"status": "invalid_token"})).encode()
    refused = [b"334 " + why + b"\r\n", b"535 5.7.8 no\r\n"]
    with scripted(BEARER | {"AUTH": refused * 2}) as server:
        found = refusal(server, username=USER, token=ask)
    assert isinstance(found, AuthenticationFailed)
    assert "invalid_token" in str(found)
    assert len(server.said("AUTH")) == tries


def test_a_server_that_hangs_up_on_the_second_token_is_not_hammered() -> None:
    ask, _ = tokens("old", "new")
    with scripted(BEARER | {"AUTH": [b"535 5.7.8 no\r\n", HANG_UP]}) as server:
        assert isinstance(refusal(server, username=USER, token=ask), AuthenticationFailed)


def test_a_long_token_goes_after_the_command() -> None:
    long = "t" * 2_000
    with scripted(BEARER | {"AUTH": [b"334 \r\n", b"235 ok\r\n"]}) as server:
        Session.open(server.settings(username=USER, token=lambda: long)).close()
    command, message = server.commands[1:-1]
    assert command == "AUTH XOAUTH2"
    assert long in base64.b64decode(message).decode()


def test_the_standard_goes_first_and_its_refusal_is_answered_as_it_says() -> None:
    features = b"250-ready\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n"
    answers = [b"334 e30=\r\n", b"535 5.7.8 no\r\n"]
    with scripted({"EHLO": features, "AUTH": answers}) as server:
        refusal(server, username=USER, token=lambda: "t0k")
    assert server.commands[1].startswith("AUTH OAUTHBEARER ")
    assert server.commands[2] == "AQ=="


@pytest.mark.parametrize(
    ("token", "error"),
    [
        pytest.param(lambda: 1 / 0, ConnectionLost, id="it raises"),
        pytest.param(lambda: None, ConnectionLost, id="it returns nothing"),
        pytest.param(lambda: "", ConnectionLost, id="it returns an empty text"),
        pytest.param(lambda: "a\r\nb", ConnectionLost, id="it returns two lines"),
    ],
)
def test_a_callback_that_has_no_token(token: Any, error: type[NornmailError]) -> None:
    with scripted(BEARER) as server:
        assert type(refusal(server, username=USER, token=token)) is error
    assert server.said("AUTH") == []


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
