"""The steps to handing in mail, against aiosmtpd."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nornmail.net.diagnose import Check
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.diagnose import diagnose_smtp
from nornmail.testing import MailServer, smtp_faults
from tests.smtp.scripted import scripted
from tests.support.smtp import HOST, PASSWORD, USER, SmtpServer, smtp_server

LOGIN = {"username": USER, "password": PASSWORD}
SECONDS = 5.0


def steps(server: SmtpServer, **changes: Any) -> list[Check]:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "ca_file": server.ca_file,
        "timeout": SECONDS,
        **LOGIN,
    }
    return list(diagnose_smtp(SmtpSettings(**{**values, **changes})))


def names(found: list[Check]) -> list[str]:
    assert all(step.ok for step in found[:-1])
    return [step.name.removeprefix("SMTP ") for step in found]


@contextmanager
def saying(*answers: bytes) -> Iterator[SmtpServer]:
    """A server that says these lines, each once the client has said something; then it leaves."""
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(SECONDS)
                try:
                    for answer in answers:
                        sock.sendall(answer)
                        sock.recv(4096)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield SmtpServer(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def port_465(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """A server with TLS from the first octet on what counts as port 465."""
    with smtp_server(starttls=False, implicit_tls=True) as server:
        monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        yield server


def test_every_step_goes_well_with_starttls() -> None:
    with smtp_server() as server:
        found = steps(server)
    assert found[-1].ok
    assert names(found) == ["name", "TCP", "greeting", "STARTTLS", "login", "NOOP"]
    assert "TLSv1." in found[3].detail
    assert found[4].detail == f"as {USER}"


def test_every_step_goes_well_on_port_465(port_465: SmtpServer) -> None:
    found = steps(port_465)
    assert found[-1].ok
    assert names(found) == ["name", "TCP", "TLS", "greeting", "login", "NOOP"]


def test_without_a_user_name_nobody_logs_in() -> None:
    with smtp_server() as server:
        found = steps(server, username=None, password=None)
        assert server.logins == 0
    assert found[-1].ok
    assert "SMTP_USERNAME" in found[4].detail


def test_in_clear_only_where_the_settings_say_so() -> None:
    with smtp_server(starttls=False) as server:
        found = steps(server, use_tls=False)
        assert (found[-1].ok, server.logins) == (True, 1)
        assert names(found) == ["name", "TCP", "greeting", "login", "NOOP"]
        refused = steps(server)
        assert (names(refused)[-1], refused[-1].ok, server.logins) == ("STARTTLS", False, 1)
        assert "SMTP_USE_TLS=false" in refused[-1].advice


def test_a_wrong_password_is_tried_once_and_not_shown() -> None:
    with smtp_server() as server:
        found = steps(server, password="hush-hush")
        assert server.logins == 1
    assert (names(found)[-1], found[-1].ok) == ("login", False)
    assert "535" in found[-1].detail
    assert "SMTP_PASSWORD" in found[-1].advice
    assert "hush" not in repr(found)


def test_a_password_beyond_ascii_is_sent_as_utf_8() -> None:
    with smtp_server() as server:
        found = steps(server, password="schlüssel")
        assert server.logins == 1
    assert "535" in found[-1].detail


def test_login_where_there_is_no_plain() -> None:
    with smtp_server(auth_exclude_mechanism=["PLAIN"]) as server:
        assert steps(server)[-1].ok
        assert server.logins == 1


def test_a_server_that_offers_auth_only_inside_tls() -> None:
    with scripted() as server:
        settings = server.settings(username="agent", password="hush hush", use_tls=False)
        (*_, last) = diagnose_smtp(settings)
    assert (last.name, last.ok) == ("SMTP login", False)
    assert "accepts no password here" in last.detail
    assert "SMTP_USE_TLS=true" in last.advice
    assert server.said("AUTH") == []


def test_a_server_that_takes_no_password() -> None:
    with smtp_server(auth_exclude_mechanism=["PLAIN", "LOGIN"]) as server:
        found = steps(server)
    assert (names(found)[-1], found[-1].ok) == ("login", False)
    assert "accepts no password" in found[-1].detail


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        pytest.param({"ca_file": None}, "SMTP_CA_FILE", id="an authority nobody knows"),
        pytest.param({"host": "127.0.0.2"}, "SMTP_HOST", id="a name the certificate has not"),
        pytest.param({"ca_file": "/nowhere/ca.pem"}, "SMTP_CA_FILE", id="a file that is not there"),
    ],
)
@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "port 465"])
def test_a_certificate_that_is_not_to_be_trusted(
    changes: dict[str, Any], advice: str, implicit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On macOS there is no 127.0.0.2, so the name is led to where the server is.
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *args, **named: real(HOST, *args, **named)
    )
    with smtp_server(starttls=not implicit, implicit_tls=implicit) as server:
        if implicit:
            monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        found = steps(server, **changes)
        assert server.logins == 0
    assert (names(found)[-1], found[-1].ok) == ("TLS" if implicit else "STARTTLS", False)
    assert advice in found[-1].advice


def test_a_port_for_tls_that_is_taken_for_a_plain_one() -> None:
    with smtp_server(starttls=False, implicit_tls=True) as server:
        found = steps(server, timeout=0.5)
    assert (names(found)[-1], found[-1].ok) == ("greeting", False)
    assert "SMTP_USE_SSL=true" in found[-1].advice


def test_a_plain_port_that_is_taken_for_one_with_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with smtp_server() as server:
        monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", server.port)
        found = steps(server)
    assert (names(found)[-1], found[-1].ok) == ("TLS", False)
    assert "587" in found[-1].advice


def test_nobody_listens() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    found = steps(SmtpServer(port))
    assert (names(found), found[-1].ok) == (["name", "TCP"], False)
    assert "refuses" in found[-1].detail


def test_the_name_is_not_known() -> None:
    found = steps(SmtpServer(25), host="smtp.nowhere.invalid")
    assert (names(found), found[-1].ok) == (["name"], False)
    assert "SMTP_HOST" in found[-1].advice


@pytest.mark.parametrize(
    ("answers", "step", "said"),
    [
        pytest.param([b"554 go away\r\n"], "greeting", "554 go away", id="it takes nobody"),
        pytest.param([b"* OK IMAP4rev1 ready\r\n"], "greeting", "", id="an IMAP server"),
        pytest.param([b""], "greeting", "", id="silence"),
        pytest.param(
            [b"220 hello\r\n", b"250-hello\r\n250 STARTTLS\r\n", b"454 not now\r\n"],
            "STARTTLS", "454 not now", id="STARTTLS is refused",
        ),
        pytest.param(
            [b"220 \x1b[31mred\x07\r\n", b"250 \x1b[31mred\x07\r\n"], "STARTTLS", "",
            id="what a terminal would obey",
        ),
    ],
)  # fmt: skip
def test_a_server_that_does_not_do_what_it_should(
    answers: list[bytes], step: str, said: str
) -> None:
    with saying(*answers) as server:
        found = steps(server, timeout=0.5)
    assert (names(found)[-1], found[-1].ok) == (step, False)
    assert said in found[-1].detail
    assert found[-1].detail
    assert found[-1].advice
    assert all(text.isprintable() for one in found for text in (one.detail, one.advice))


def test_a_server_that_repeats_the_password_does_not_bring_it_on_the_screen() -> None:
    answers = (
        b"220 hello\r\n",
        b"250-hello\r\n250 AUTH PLAIN\r\n",
        b"535 what is open-sesame\r\n",
    )
    with saying(*answers) as server:
        found = steps(server, use_tls=False)
    assert names(found)[-1] == "login"
    assert PASSWORD not in repr(found)


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("self_signed", "to trust it, set SMTP_CA_FILE to this certificate in PEM"),
        ("expired", "check this machine's clock as well"),
    ],
)
def test_the_advice_for_a_certificate_is_of_its_fault(kind: Any, advice: str) -> None:
    with MailServer(smtp="starttls") as server:
        server.faults.add(smtp_faults.BadCertificate(kind=kind, times=None))
        settings = SmtpSettings(
            host="localhost", port=server.smtp_port, ca_file=str(server.ca_file)
        )
        last = list(diagnose_smtp(settings))[-1]
    assert (last.name, last.ok, last.advice) == ("SMTP STARTTLS", False, advice)
