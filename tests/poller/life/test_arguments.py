"""A poller in a REPL: wrong arguments are sentences, and one that failed is no obstacle."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    AnswerLimits,
    AuthenticationFailed,
    ComposeError,
    ConfigurationError,
    Inbox,
    Mailer,
    MemoryStateStore,
    Poller,
    RetryPolicy,
    SendLimits,
    SmtpSettings,
    SqliteStateStore,
    parse_message,
)
from nornmail.model import State
from nornmail.outbox.mailer import MailerArguments
from nornmail.poller.poller import PollerArguments
from nornmail.testing import MailServer
from tests.support.table import table


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        ({"imap": {"host": "x", "password": "secret"}}, "imap is 'dict': must be ImapSettings("),
        ({"store": 7}, "store is 'int': must be a store, such as open_store(\"nornmail.db\")"),
        ({"retry": [1, 2]}, "retry is 'list': must be a RetryPolicy"),
        ({"inboxes": "a@b.c"}, "inboxes is 'str': must be a list of addresses"),
        ({"inboxes": [7]}, "inboxes is 'list': must be a list of addresses"),
        ({"start_from": "soon"}, 'must be "all", "new" or a date'),
        ({"handler_timeout": "5"}, "must be a number of seconds above 0"),
        ({"max_message_bytes": "5"}, "must be 1 or more"),
        ({"retention": "x"}, "must be 0 or more days"),
    ],
    ids=[
        *("settings", "a store", "a retry policy", "one address", "no addresses", "a start"),
        *("a timeout", "a size", "a retention"),
    ],
)
def test_a_wrong_type_is_refused_at_once(
    mail_server: MailServer, make: dict[str, Any], complaint: str
) -> None:
    mail_server.add_user("a@b.c", "secret")
    arguments = {"imap": mail_server.imap_settings(), "store": MemoryStateStore(), **make}
    with pytest.raises(ConfigurationError, match=re.escape(complaint)) as error:
        Poller(arguments.pop("imap"), on_message=print, **arguments)
    assert "secret" not in str(error.value)


def mailer(**more: Any) -> Mailer:
    return Mailer(SmtpSettings(host="x", username="a@b.c", password="p"), dry_run=True, **more)


@table(
    ("attempt", "error", "complaint"),
    [
        (lambda: RetryPolicy(any_(5)), ConfigurationError, "must be a sequence of seconds"),
        (
            lambda: RetryPolicy(any_(("a",))),
            ConfigurationError,
            "each delay must be above 0 seconds",
        ),
        (lambda: Inbox(any_(5)), ConfigurationError, "must be like a@example.com"),
        (lambda: SendLimits(any_("5")), ConfigurationError, "must be 1 or more, or None"),
        (
            lambda: AnswerLimits(any_(None)),
            ConfigurationError,
            "per_hour is missing: must be 0 or more",
        ),
        (lambda: mailer(send_limits=30), ConfigurationError, "must be SendLimits("),
        (lambda: mailer(answer_limits=10), ConfigurationError, "must be AnswerLimits("),
        (
            lambda: mailer().reply(parse_message(b"\r\n"), "t", allow=any_(None)),
            ConfigurationError,
            "must be a set of reasons",
        ),
        (lambda: Mailer(any_({})), ConfigurationError, "must be SmtpSettings(host=..., ...)"),
        (lambda: mailer(store="x.db"), ConfigurationError, "store is 'str': must be a store"),
        (lambda: mailer().send("k@x.y", "s", "t", key=any_(5)), ConfigurationError, "key is 5"),
        (
            lambda: mailer().send("k@x.y", "s", "t", headers=any_("X-A: b")),
            ComposeError,
            "headers: must be a mapping",
        ),
        (lambda: Mailer.reply(any_(None), any_("k@x.y"), "t"), TypeError, "not str: use send()"),
    ],
    ids=[
        "a number of delays",
        "a delay in words",
        "an inbox that is a number",
        "a limit in words",
        "an answer limit of None",
        "a number as limits of a mailer",
        "a number as answer limits of a mailer",
        "None as the reasons to answer all the same",
        "a dict as settings of a mailer",
        "a path as store of a mailer",
        "a number as key",
        "a line as headers",
        "an address instead of a message",
    ],
)
def test_a_mistake_elsewhere(
    attempt: Callable[[], object], error: type[Exception], complaint: str
) -> None:
    with pytest.raises(error, match=re.escape(complaint)):
        attempt()


def any_(value: Any) -> Any:
    """A value of a type that the checker would refuse."""
    return value


def test_what_people_write_is_understood(mail_server: MailServer, tmp_path: Path) -> None:
    mail_server.add_user("a@b.c", "secret")
    mail_server.deliver("To: a@b.c\nSubject: x\n\n")
    imap = mail_server.imap_settings(start_from="2026-01-31")
    assert imap.start_from == date(2026, 1, 31)
    subjects: list[str] = []
    poller = Poller(
        imap,
        store=str(tmp_path / "x.db"),
        inboxes=["a@b.c"],
        on_message=lambda message: subjects.append(message.subject),
        start_from="all",
    )
    with closing(poller):
        assert poller.poll_once().handled == 1
    assert subjects == ["x"]
    with closing(SqliteStateStore(tmp_path / "x.db")) as store:  # which is closed by now
        (mailbox,) = store.mailboxes()
        assert mailbox.account.startswith("a@b.c@")


def test_a_poller_that_could_not_log_in_gives_its_place_back(
    mail_server: MailServer, tmp_path: Path
) -> None:
    mail_server.add_user("a@b.c", "secret")

    def poller(password: str) -> Poller:
        imap = mail_server.imap_settings(password=password)
        store = SqliteStateStore(tmp_path / "x.db")
        return Poller(imap, store=store, on_message=print)

    failed, second, third = poller("wrong"), poller("secret"), poller("secret")
    with pytest.raises(AuthenticationFailed) as error:
        failed.poll_once()
    assert second.poll_once().new == 0
    with pytest.raises(ConfigurationError, match=r"already: close\(\) it first"):
        third.poll_once()
    assert error.value.__traceback__ is not None  # it keeps the first one alive
    for one in (failed, second, third):
        one.close()
        one.store.close()


@pytest.mark.parametrize(
    ("kind", "arguments", "others"),
    [
        (Poller, PollerArguments, {"on_message"}),
        (Mailer, MailerArguments, {"settings", "store"}),
    ],
)
def test_from_env_takes_what_the_class_takes(kind: type, arguments: type, others: set[str]) -> None:
    assert inspect.signature(kind).parameters.keys() - others == arguments.__annotations__.keys()


def test_a_misspelt_argument_of_from_env_opens_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAP_HOST", "imap.example.com")
    with pytest.raises(TypeError, match="no argument 'idel'; did you mean 'idle'"):
        Poller.from_env(print, **any_({"idel": False}))
    assert list(tmp_path.iterdir()) == []


def test_the_account_of_a_failure_begins_in_the_handler(mail_server: MailServer) -> None:
    mail_server.add_user("a@b.c", "secret")
    mail_server.deliver("Subject: x\n\n")

    def handle(_message: object) -> None:
        raise LookupError("no such customer")

    store = MemoryStateStore()
    poller = Poller(mail_server.imap_settings(), store=store, on_message=handle)
    with closing(poller):
        poller.poll_once()
        (mailbox,) = store.mailboxes()
        (entry,) = store.entries(mailbox, {State.WAITING})
    first, file, *_ = entry.reason.splitlines()
    assert first == "LookupError: no such customer"
    assert "test_arguments.py" in file
