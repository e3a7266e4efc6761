"""The token file: when it is renewed, what passes by itself, and a process that is killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    ImapSettings,
    MemoryStateStore,
    NornmailError,
    OAuthLogin,
    OAuthTokens,
    Poller,
    SmtpSettings,
    Throttled,
    events,
)
from nornmail.imap.connection import Connection
from nornmail.net import oauth
from nornmail.net.oauth import SKEW, TokenRecord, read_token_file, write_token_file
from nornmail.net.redact import Redactor
from nornmail.net.tls import Abort
from nornmail.smtp.session import Session
from nornmail.testing import MailServer, OAuthServer
from nornmail.testing.oauth import Answer
from tests.imap.fake import FakeClock
from tests.stores.support import Started

USER = "agent@example.com"
COMMAND = "nornmail login office365 --account agent@example.com"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user(USER, "secret")
        yield server


@pytest.fixture
def provider(mail: MailServer) -> Iterator[OAuthServer]:
    with OAuthServer(mail, client_secret="hush hush") as server:
        yield server


@pytest.fixture
def path(provider: OAuthServer, tmp_path: Path) -> Path:
    """A token file, as a login has made it."""
    path = tmp_path / "tokens.json"
    login = OAuthLogin(
        provider.url,
        path=path,
        account=USER,
        client_id=provider.client_id,
        client_secret=provider.client_secret,
        scopes="mail",
        command=COMMAND,
    )

    def consent(_: str, code: str) -> None:
        provider.enter_device_code(code, USER)

    login.with_device_code(consent, lambda _: None)
    provider.requests.clear()
    return path


def end(path: Path) -> TokenRecord:
    """Let the access token of a file be about to end."""
    record = replace(read_token_file(str(path)), expires_at=0.0)
    write_token_file(str(path), record)
    return record


def imap(mail: MailServer, token: Callable[[], str]) -> ImapSettings:
    return ImapSettings(
        host=mail.host, port=mail.imap_port, use_ssl=False, username=USER, token=token
    )


def log_in(mail: MailServer, path: Path) -> None:
    """IMAP and SMTP, by both mechanisms."""
    tokens = OAuthTokens(path)
    for name in ("XOAUTH2", "OAUTHBEARER"):
        mail.capabilities = {"IMAP4rev1", f"AUTH={name}"}
        Connection.open(imap(mail, tokens)).close()
        mail.smtp.extensions = {f"AUTH={name}"}
        smtp = SmtpSettings(
            host=mail.host, port=mail.smtp_port, use_tls=False, username=USER, token=tokens
        )
        Session.open(smtp).close()


def test_a_token_with_time_left_is_not_renewed_and_one_near_its_end_is(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    clock = FakeClock()
    record = replace(read_token_file(str(path)), expires_at=clock.wall() + SKEW + 1)
    write_token_file(str(path), record)
    tokens = OAuthTokens(path, clock=clock)
    assert tokens() == tokens() == record.access_token
    clock.now += 2
    renewed = tokens()
    assert renewed != record.access_token
    assert provider.refreshes == 1
    assert tokens() == renewed == read_token_file(str(path)).access_token
    log_in(mail, path)


def test_a_token_that_the_server_refuses_is_renewed_once(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    provider.expire(USER)
    log_in(mail, path)
    assert provider.refreshes == 1


def test_threads_that_use_a_file_renew_it_once(path: Path, provider: OAuthServer) -> None:
    end(path)
    gate = threading.Event()
    got: list[str] = []

    def work() -> None:
        gate.wait()
        got.append(OAuthTokens(path)())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(got)) == 1
    assert provider.refreshes == 1


SHARER = """
from nornmail import OAuthTokens
tokens = OAuthTokens(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(tokens())
"""


def test_two_processes_that_use_a_file_renew_it_once(path: Path, provider: OAuthServer) -> None:
    end(path)
    with Started(SHARER, path) as one, Started(SHARER, path) as other:
        children = (one, other)
        for process in children:
            assert process.stdout.readline() == "ready\n"
        for process in children:
            print(file=process.stdin, flush=True)
        ends = {process.end() for process in children}
    assert ends == {(read_token_file(str(path)).access_token + "\n", "")}
    assert provider.refreshes == 1


def open_imap(mail: MailServer, token: Callable[[], str], abort: Abort) -> object:
    return Connection.open(imap(mail, token), abort=abort)


def open_smtp(mail: MailServer, token: Callable[[], str], abort: Abort) -> object:
    settings = SmtpSettings(
        host=mail.host, port=mail.smtp_port, use_tls=False, username=USER, token=token
    )
    return Session.open(settings, abort=abort)


@pytest.mark.parametrize("open_session", [open_imap, open_smtp])
def test_an_abort_ends_the_wait_for_a_token_and_the_renewed_one_is_kept(
    open_session: Callable[[MailServer, Callable[[], str], Abort], object],
    path: Path,
    provider: OAuthServer,
    mail: MailServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, abort, released = end(path), Abort(), threading.Event()
    issue = provider._issue

    def issue_late(grant: Any) -> Answer:
        abort.abort()
        released.wait()
        return issue(grant)

    monkeypatch.setattr(provider, "_issue", issue_late)
    with pytest.raises(ConnectionLost, match="aborted"):
        open_session(mail, OAuthTokens(path), abort)
    assert read_token_file(str(path)) == old
    released.set()
    for thread in threading.enumerate():
        if thread.name == "nornmail-token":
            thread.join()
    assert read_token_file(str(path)).refresh_token != old.refresh_token
    log_in(mail, path)
    assert provider.refreshes == 1


def test_stop_waits_for_no_token(mail: MailServer) -> None:
    asked, released = threading.Event(), threading.Event()

    def token() -> str:
        asked.set()
        released.wait()
        return "token"

    poller = Poller(imap(mail, token), store=MemoryStateStore(), on_message=print)
    poller.start()
    asked.wait()
    try:
        assert poller.stop(timeout=60)
    finally:
        released.set()


def test_a_proxy_of_the_environment_is_not_used(
    path: Path, provider: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        end(path)
        assert OAuthTokens(path)() == read_token_file(str(path)).access_token
        assert provider.refreshes == 1
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        pytest.param(Answer(500), Throttled, "status 500", id="500"),
        pytest.param(Answer(503, b"<html>"), Throttled, "status 503", id="503 in HTML"),
        pytest.param(Answer(429, {}, {"Retry-After": "17"}), Throttled, "status 429", id="429"),
        pytest.param(
            Answer(400, {"error": "temporarily_unavailable"}), Throttled, "temporary", id="an error"
        ),
        pytest.param(Answer(200, b"<html>"), ConnectionLost, "does not answer as", id="no JSON"),
        pytest.param(Answer(404, {}), ConnectionLost, "status 404", id="404"),
        pytest.param(Answer(302, b"", {"Location": "/x"}), ConnectionLost, "302", id="sent on"),
        pytest.param(Answer(200, {}), ConnectionLost, "without an access token", id="no token"),
        pytest.param(
            Answer(200, {"access_token": "a\r\nb"}), ConnectionLost, "without", id="line ends in it"
        ),
        pytest.param(Answer(200, b"[" * 100_000), ConnectionLost, "does not", id="deep nesting"),
        pytest.param(Answer(200, b" " * (1 << 21)), ConnectionLost, "more than", id="too much"),
    ],
)
def test_trouble_of_the_provider_passes_and_is_no_bad_login(
    answer: Answer, error: type[NornmailError], words: str, path: Path, provider: OAuthServer
) -> None:
    end(path)
    provider.answers = [answer]
    tokens = OAuthTokens(path)
    with pytest.raises(error, match=words) as raised:
        tokens()
    assert not isinstance(raised.value, AuthenticationFailed)
    assert getattr(raised.value, "wait", 0.0) == (17.0 if answer.headers.get("Retry-After") else 0)
    assert tokens()  # the next time it is well again


def test_a_provider_that_is_slow_or_gone_passes_as_well(
    path: Path, provider: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(path)
    monkeypatch.setattr(oauth, "REQUEST_SECONDS", 0.2)
    provider.answers = [Answer(slow=threading.Event())]
    with pytest.raises(ConnectionLost):
        OAuthTokens(path)()
    gone = replace(read_token_file(str(path)), token_endpoint="http://127.0.0.1:1/token")
    write_token_file(str(path), gone)
    with pytest.raises(ConnectionLost, match="refused"):
        OAuthTokens(path)()


@pytest.mark.parametrize(
    "code", ["invalid_grant", "invalid_client", "unauthorized_client", "interaction_required"]
)
def test_a_refusal_names_the_command_and_no_secret(
    code: str, path: Path, provider: OAuthServer
) -> None:
    record = end(path)
    echo = f"{record.refresh_token} of {record.client_secret}\r\nhas ended"
    provider.answers = [Answer(400, {"error": code, "error_description": echo})]
    with pytest.raises(AuthenticationFailed) as raised:
        OAuthTokens(path)()
    text = str(raised.value)
    assert f"run `{COMMAND}`" in text
    assert code in text
    assert record.refresh_token not in text
    assert record.client_secret not in text
    assert "\n" not in text


def test_a_refusal_reaches_the_login_and_a_new_file_ends_it(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    provider.revoke(USER)
    settings = imap(mail, OAuthTokens(path))
    with pytest.raises(AuthenticationFailed, match=r"invalid_grant.*run `nornmail login"):
        Connection.open(settings)
    good = replace(read_token_file(str(path)), access_token="at-new", expires_at=2e9)
    mail.tokens(USER).add("at-new")
    write_token_file(str(path), good)
    Connection.open(settings).close()


def test_a_provider_that_keeps_its_refresh_token(path: Path, provider: OAuthServer) -> None:
    record = end(path)
    provider.answers = [Answer(200, {"access_token": "at-1", "expires_in": "3600"})]
    assert OAuthTokens(path)() == "at-1"
    renewed = read_token_file(str(path))
    assert renewed.refresh_token == record.refresh_token
    assert renewed.granted == record.granted


@pytest.mark.parametrize("lifetime", [-1, 10**30, True, None, "soon", [], 1e400])
def test_a_lifetime_that_cannot_be_is_an_hour(lifetime: Any, path: Path) -> None:
    grant = oauth.grant_of(
        read_token_file(str(path)), {"access_token": "a", "expires_in": lifetime}, Redactor()
    )
    assert grant.lifetime in (oauth.DEFAULT_LIFETIME, 1.0)


def refuse_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)


def test_a_rotated_token_that_cannot_be_written_is_not_used_and_not_lost(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    end(path)
    tokens = OAuthTokens(path)
    with pytest.MonkeyPatch.context() as full_disk:
        refuse_writes(full_disk)
        for _ in range(2):
            with pytest.raises(ConnectionLost, match=r"cannot be written.*No space"):
                tokens()
    assert tokens() == read_token_file(str(path)).access_token
    assert provider.refreshes == 1
    log_in(mail, path)


def test_an_access_token_alone_is_good_without_being_written(
    path: Path, provider: OAuthServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a file that is mounted read-only."""
    end(path)
    provider.answers = [Answer(200, {"access_token": "at-1"})]
    tokens = OAuthTokens(path)
    with pytest.MonkeyPatch.context() as read_only:
        refuse_writes(read_only)
        assert tokens() == tokens() == "at-1"
    assert "cannot be written" in caplog.text
    assert "at-1" not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "no such file.*nornmail login", id="no file"),
        pytest.param(b"", "not a token file", id="an empty file"),
        pytest.param(b"[]", "not a token file", id="other JSON"),
        pytest.param(b'{"account": 1}', "not a token file", id="other values"),
        pytest.param(b"\xff\xfe", "not a token file", id="no text"),
    ],
)
def test_what_is_no_token_file_is_said_at_once(
    content: bytes | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokens.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        OAuthTokens(path)
    environ = {"IMAP_HOST": "mail.test", "NORNMAIL_OAUTH_FILE": str(path)}
    with pytest.raises(ConfigurationError, match=rf"NORNMAIL_OAUTH_FILE is .*{words}"):
        ImapSettings.from_env(environ)


def test_the_environment_names_a_file_for_both_or_for_each(path: Path, tmp_path: Path) -> None:
    both = {"EMAIL_PRESET": "office365", "NORNMAIL_OAUTH_FILE": str(path)}
    for settings in (ImapSettings.from_env(both), SmtpSettings.from_env(both)):
        assert isinstance(settings.token, OAuthTokens)
        assert settings.username == USER  # the account of the file
        assert settings.password is None
    other = tmp_path / "other.json"
    other.write_bytes(path.read_bytes())
    each = {**both, "SMTP_OAUTH_FILE": str(other), "IMAP_USERNAME": "b@example.com"}
    imap_settings, smtp_settings = ImapSettings.from_env(each), SmtpSettings.from_env(each)
    assert imap_settings.username == "b@example.com"
    assert isinstance(smtp_settings.token, OAuthTokens)
    assert smtp_settings.token.path == str(other)
    relay = {**both, "SMTP_PASSWORD": "its own", "SMTP_USERNAME": "c"}
    assert SmtpSettings.from_env(relay).token is None


def test_no_secret_is_in_a_repr(path: Path) -> None:
    record = read_token_file(str(path))
    settings = ImapSettings(host="mail.test", username=USER, token=OAuthTokens(path))
    for shown in (repr(record), repr(settings), repr(OAuthTokens(path)), str(settings.token)):
        for secret in (record.access_token, record.refresh_token, record.client_secret):
            assert secret not in shown


def test_no_secret_is_in_a_log_an_event_or_a_traceback_whatever_a_provider_says(
    path: Path, provider: OAuthServer, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = end(path)
    secrets = (record.access_token, record.refresh_token, record.client_secret)
    echo = {"error": "invalid_grant", "error_description": " and ".join(secrets), "x": secrets}
    provider.answers = [Answer(status, echo) for status in (500, 400, 400, 400)]
    told: list[events.Event] = []
    refused = threading.Event()

    def on_event(event: events.Event) -> None:
        told.append(event)
        if isinstance(event, events.AuthFailed):
            refused.set()

    shown: list[str] = []
    poller = Poller(
        imap(mail, OAuthTokens(path)),
        store=MemoryStateStore(),
        on_message=print,
        on_event=on_event,
    )
    for _ in range(2):
        with pytest.raises(NornmailError) as raised:
            poller.poll_once()
        shown += [*traceback.format_exception(raised.value), repr(vars(raised.value))]
    poller.start()
    assert refused.wait(10.0)
    poller.stop()
    shown += [repr(told), repr(poller.status()), caplog.text, repr(poller)]
    assert "invalid_grant" in repr(told)
    for secret in secrets:
        assert secret not in "\n".join(shown)


# A process that is killed: after every call that changes something on the disk.


class Killed(BaseException):
    """The process ends here."""


CALLS = ("open", "fchmod", "write", "fsync", "replace")


def kill_at(place: int, patch: pytest.MonkeyPatch) -> list[str]:
    """End the process before its call with this number; the calls that were made."""
    made: list[str] = []

    def stopping(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if len(made) == place:
                if name == "write":  # half of it may have been written
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                raise Killed
            made.append(name)
            return real(*arguments, **options)

        return call

    for name in CALLS:
        patch.setattr(os, name, stopping(name, getattr(os, name)))
    return made


def test_killed_at_any_write_the_file_holds_a_usable_token(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    """The provider rotates: an old refresh token ends when one of the new tokens is used."""
    for place in range(100):
        end(path)
        with pytest.MonkeyPatch.context() as patch:
            made = kill_at(place, patch)
            try:
                OAuthTokens(path)()
            except Killed:
                killed = True
            else:
                killed = False
        assert read_token_file(str(path)).refresh_token in provider.refresh_tokens(USER), made
        assert path.stat().st_mode & 0o777 == 0o600
        log_in(mail, path)
        assert read_token_file(str(path)).refresh_token in provider.refresh_tokens(USER), made
        if not killed:
            break
    assert made.count("replace") == 1
    assert place >= 6


CHILD = """
import os, signal, sys
from nornmail import OAuthTokens
place, made = int(sys.argv[2]), 0
def stopping(real):
    def call(*arguments, **options):
        global made
        if made == place:
            os.kill(os.getpid(), signal.SIGKILL)
        made += 1
        return real(*arguments, **options)
    return call
tokens = OAuthTokens(sys.argv[1])
for name in ("open", "fchmod", "write", "fsync", "replace"):
    setattr(os, name, stopping(getattr(os, name)))
tokens()
"""


@pytest.mark.long
def test_sigkill_at_any_write_leaves_a_usable_token(
    path: Path, provider: OAuthServer, mail: MailServer
) -> None:
    for place in range(100):
        end(path)
        with Started(CHILD, path, place) as child:
            child.end()
        status = child.returncode
        assert read_token_file(str(path)).refresh_token in provider.refresh_tokens(USER)
        log_in(mail, path)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert place >= 6


def test_the_file_is_the_owners_and_a_link_to_it_stays(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    path.chmod(0o644)  # by a careless copy
    end(path)
    left = Path(f"{path}{oauth.TEMPORARY}")
    left.write_text("of a process that was killed", encoding="utf-8")
    left.chmod(0o666)
    OAuthTokens(link)()
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert not left.exists()
    assert json.loads(path.read_text(encoding="utf-8"))["account"] == USER
