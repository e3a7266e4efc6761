"""The walk of the how-to page: from ``login`` to a message read and answered by ``serve``."""

from __future__ import annotations

import io
import re
import shlex
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from nornmail.cli import main
from nornmail.net.oauth import read_token_file
from nornmail.testing import MailServer, OAuthServer
from tests.cli.support import USER, User, mail
from tests.cli.test_serve import service
from tests.test_oauth_login import redirect_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "oauth2.md"
COMMANDS = re.findall(r"^nornmail login .*$", PAGE.read_text("utf-8"), re.M)
SECRET = "hush-hush-secret"


@pytest.fixture
def post() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user(USER, "secret")
        yield server


@pytest.fixture
def provider(post: MailServer) -> Iterator[OAuthServer]:
    with OAuthServer(post) as server:
        yield server


@pytest.fixture
def here(post: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings of the page, for the server of the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("IMAP_USERNAME", "NORNMAIL_OAUTH_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "secret.txt").write_text(SECRET + "\n")
    return {
        "EMAIL_PRESET": "self-hosted",
        "IMAP_HOST": post.host,
        "IMAP_PORT": str(post.imap_port),
        "IMAP_USE_SSL": "false",
        "IMAP_POLL_INTERVAL": "0.2",
        "SMTP_HOST": post.host,
        "SMTP_PORT": str(post.smtp_port),
        "SMTP_USE_TLS": "false",
        "EMAIL_DOMAIN": "example.com",
        "NORNMAIL_OAUTH_FILE": "nornmail-oauth.json",
    }


class Person(io.StringIO):
    """Who reads what ``login`` prints, and does what it says."""

    def __init__(self, provider: OAuthServer) -> None:
        super().__init__()
        self._provider = provider
        self._done = False

    def flush(self) -> None:
        shown = self.getvalue()
        code = re.search(r"enter the code (\w+)", shown)
        if code and not self._done:
            self._done = True
            self._provider.enter_device_code(code[1], USER)

    def paste(self) -> str:
        (url,) = re.findall(r"^http\S+$", self.getvalue(), re.M)
        return redirect_of(url) + "\n"


def words_of(command: str, provider: OAuthServer) -> list[str]:
    """A command of the page, for the provider of the test."""
    words = shlex.split(command)[1:]
    words[1] = provider.url
    words[words.index("--account") + 1] = USER
    words[words.index("--client-id") + 1] = provider.client_id
    return words


def log_in(command: str, provider: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command of the page as a person does; what it printed."""
    person = Person(provider)

    def open_page(url: str) -> bool:
        threading.Thread(target=lambda: urlopen(url).close(), daemon=True).start()  # noqa: S310
        return True

    stdin = type("Terminal", (), {"readline": lambda _: person.paste(), "isatty": lambda _: False})
    with monkeypatch.context() as patch:
        patch.setattr("webbrowser.open", open_page)
        patch.setattr("sys.stdout", person)
        patch.setattr("sys.stdin", stdin())
        patch.setattr("time.sleep", lambda _: None)
        assert main([*words_of(command, provider), "--env-file", ""]) == 0
    return person.getvalue()


def test_the_page_has_every_flow() -> None:
    flows = [set(shlex.split(command)) for command in COMMANDS]
    for flow in ("--device", "--no-browser", "--client-credentials"):
        assert sum(flow in words for words in flows) == 1
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_leads_from_login_to_a_message_read_and_answered(
    command: str,
    here: dict[str, str],
    post: MailServer,
    provider: OAuthServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider.client_secret = SECRET if "--client-secret-file" in command else ""
    printed = log_in(command, provider, monkeypatch)
    record = read_token_file(str(tmp_path / "nornmail-oauth.json"))
    assert "run `nornmail check`" in printed
    for secret in (record.access_token, record.refresh_token, record.client_secret):
        assert not secret or secret not in printed + record.login
    user = User(tmp_path, **here)
    checked = user.run("check", "--env-file", "")
    assert checked.status == 0, checked.out + checked.err
    assert f"for {USER}" in checked.out
    provider.expire(USER)  # it is renewed by the running program
    with service(user, "--env-file", "") as running:
        inbox = running.create("test")
        post.deliver(mail("question").replace(b"agent@", b"test@"))
        assert running.running.line()["subject"] == "question"
        reply = {
            "inbox_id": inbox["id"],
            "to": "kim@example.org",
            "subject": "Re: question",
            "body": "answer",
            "reply_to_message_id": "<question@example.org>",
        }
        status, body = running.ask("POST", "/v1/messages", reply)
        assert status == 202, body
        (sent,) = post.wait_for_sent()
        assert b"answer" in sent.raw
        running.running.tell(signal.SIGTERM)
        ended = running.running.end()
    for secret in (record.access_token, record.refresh_token, record.client_secret):
        assert not secret or secret not in ended.out + ended.err


def test_poll_watch_and_send_use_the_file_and_without_it_say_what_to_run(
    here: dict[str, str],
    post: MailServer,
    provider: OAuthServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    log_in(COMMANDS[1], provider, monkeypatch)
    for name, value in here.items():
        monkeypatch.setenv(name, value)
    post.deliver(mail("question"))
    assert main(["poll", "--env-file", "", "--format", "json", "--start-from", "all"]) == 0
    assert "question" in capfd.readouterr().out
    Path("text").write_text("hi", encoding="utf-8")
    to = ["--to", "kim@example.org", "--subject", "hello", "--file", "text"]
    assert main(["send", "--env-file", "", *to]) == 0
    assert b"hello" in post.wait_for_sent()[0].raw
    monkeypatch.setenv("EMAIL_PRESET", "office365")
    monkeypatch.delenv("IMAP_HOST")
    monkeypatch.setenv("NORNMAIL_OAUTH_FILE", "elsewhere.json")
    for command in (["poll"], ["watch"], ["check"], ["serve"], ["send", *to]):
        assert main([*command, "--env-file", ""]) == 2
        assert "make it with `nornmail login`" in capfd.readouterr().err
