"""``Poller.from_env``: settings, the store, and what is given beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    Inbox,
    JsonStateStore,
    MemoryStateStore,
    Message,
    Poller,
    SqliteStateStore,
    StoreError,
    open_store,
)
from nornmail.testing import MailServer

MAIL = b"From: kim@example.org\r\nTo: support@example.com\r\nSubject: one\r\n\r\nhello\r\n"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty directory, and none of the settings of whoever runs this."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("IMAP_", "SMTP_", "EMAIL_", "NORNMAIL_STATE")):
            monkeypatch.delenv(name)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A server with one message, which the environment leads to."""
    with MailServer() as server:
        server.add_user("agent", "secret")
        server.deliver(MAIL)
        for name, value in variables(server).items():
            monkeypatch.setenv(name, value)
        yield server


def variables(server: MailServer) -> dict[str, str]:
    return {
        "IMAP_HOST": server.host,
        "IMAP_PORT": str(server.imap_port),
        "IMAP_USE_SSL": "false",
        "IMAP_USERNAME": "agent",
        "IMAP_PASSWORD": "secret",
    }


@contextmanager
def made(*arguments: Any, **options: Any) -> Iterator[Poller]:
    """A poller from the environment, closed with its store."""
    poller = Poller.from_env(*arguments, **options)
    with closing(poller.store), closing(poller):
        yield poller


def test_it_reads_the_environment_and_makes_the_usual_store(account: MailServer) -> None:
    seen: list[Message] = []
    with made(seen.append) as poller:
        assert poller.poll_once().handled == 1
        assert isinstance(poller.store, SqliteStateStore)
    assert [message.subject for message in seen] == ["one"]
    assert Path("nornmail.db").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("state.json", JsonStateStore, id="a name that ends in .json"),
        pytest.param("state.sqlite", SqliteStateStore, id="any other name"),
        pytest.param("", SqliteStateStore, id="set to nothing"),
    ],
)
def test_the_name_of_the_store_says_which_it_is(
    account: MailServer, monkeypatch: pytest.MonkeyPatch, name: str, kind: type
) -> None:
    monkeypatch.setenv("NORNMAIL_STATE", name)
    with made(print) as poller:
        assert isinstance(poller.store, kind)
    assert Path(name or "nornmail.db").exists()


def test_a_file_says_what_the_environment_does_not(
    account: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in variables(account):
        monkeypatch.delenv(name)
    text = "".join(f"{name}='{value}'\n" for name, value in variables(account).items())
    Path("agent.env").write_text(text + "NORNMAIL_STATE=mine.db\n", encoding="utf-8")
    before = dict(os.environ)
    with made(print, env_file="agent.env") as poller:
        assert poller.poll_once().handled == 1
    assert Path("mine.db").exists()
    assert dict(os.environ) == before


def test_no_file_is_read_that_nobody_named() -> None:
    Path(".env").write_text("IMAP_HOST=imap.example.com\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="IMAP_HOST"):
        Poller.from_env(print)


def test_what_a_first_run_does_is_among_the_settings(
    account: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAP_START_FROM", "new")
    with made(print) as poller:
        assert poller.poll_once().new == 0


@pytest.mark.parametrize(("policy", "again"), [("replay", 1), ("dedupe", 0)])
def test_what_a_new_uidvalidity_does_is_among_the_settings(
    account: MailServer, monkeypatch: pytest.MonkeyPatch, policy: str, again: int
) -> None:
    monkeypatch.setenv("IMAP_ON_UIDVALIDITY_CHANGE", policy)
    with made(print) as poller:
        assert poller.poll_once().handled == 1
        account.mailbox().reset_uid_validity()
        account.kick()
        assert poller.poll_once().handled == again


def test_arguments_are_those_of_the_poller(account: MailServer) -> None:
    store = MemoryStateStore()
    seen: list[str] = []
    inbox = Inbox("support@example.com", on_message=lambda message: seen.append(message.inbox))
    with made(store=store, inboxes=[inbox], start_from="all") as poller:
        assert poller.store is store
        assert poller.poll_once().handled == 1
    assert seen == ["support@example.com"]
    assert not Path("nornmail.db").exists()


def test_an_argument_wins_over_the_environment(
    account: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAP_START_FROM", "new")
    with made(print, start_from="all") as poller:
        assert poller.poll_once().new == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param({}, "on_message", id="no callback"),
        pytest.param({"on_message": print, "max_message_bytes": 0}, "max_message_bytes", id="size"),
    ],
)
def test_a_wrong_argument_is_named_and_its_store_let_go(
    account: MailServer, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], named: str
) -> None:
    monkeypatch.setenv("NORNMAIL_STATE", "state.json")
    with pytest.raises(ConfigurationError, match=named):
        Poller.from_env(**arguments)
    open_store("state.json").close()  # which is refused as long as another has it open


def test_no_store_is_made_where_there_must_be_one() -> None:
    for name in ("nowhere.db", "nowhere.json"):
        with pytest.raises(StoreError, match=name):
            open_store(name, must_exist=True)
    assert list(Path().iterdir()) == []
