"""``nornmail dead``: list, show and retry, with and without a running poller."""

from __future__ import annotations

import json
import signal
from datetime import datetime
from pathlib import Path

import pytest

from nornmail import DeadLetters, JsonStateStore, SqliteStateStore
from nornmail.testing import MailServer
from tests.cli.support import USER, User, let_die, mail

ODD = (
    b"From: =?utf-8?q?=1B=5B31m?= <kim@example.org>\r\n"
    b"Subject: =?utf-8?q?red=1B=5B31m=07=E2=80=AE?=\r\n"
    b"Message-ID: <odd@example.org>\r\n\r\nhello\r\n"
)


@pytest.fixture
def ids(server: MailServer, user: User) -> list[str]:
    """The ids of two dead letters, "one" and "two"."""
    let_die(server, user.directory / "nornmail.db", mail("one"), mail("two"))
    return [letter["id"] for letter in user.run("dead", "list", "--json").json]


def test_the_table_has_a_line_for_each_the_oldest_first(user: User, ids: list[str]) -> None:
    ended = user.run("dead", "list")
    assert (ended.status, ended.err) == (0, "")
    head, *lines = ended.out.splitlines()
    assert head.split() == ["ID", "SINCE", "TRIES", "FROM", "SUBJECT", "REASON"]
    assert [line.split()[0] for line in lines] == [one[:12] for one in ids]
    assert [line.split()[4:] for line in lines] == [
        ["kim@example.org", name, "no", name] for name in ("one", "two")
    ]


def test_as_json_it_has_every_fact(user: User, ids: list[str]) -> None:
    ended = user.run("dead", "list", "--json")
    first = ended.json[0]
    assert datetime.fromisoformat(first.pop("died_at")).tzinfo is not None
    assert datetime.fromisoformat(first.pop("received_at")).tzinfo is not None
    assert first == {
        "id": ids[0],
        "account": f"{USER}@127.0.0.1",
        "ref": "INBOX;UIDVALIDITY=1000;UID=1",
        "inbox": "",
        "attempts": 0,
        "reason": "no one",
        "message_id": "<one@example.org>",
        "size": len(mail("one")),
        "truncated": False,
        "is_kept": True,
        "is_asked_for": False,
    }


def test_only_those_of_a_mailbox(user: User, ids: list[str]) -> None:
    assert len(user.run("dead", "list", "--json", "--mailbox", "INBOX").json) == len(ids)
    assert user.run("dead", "list", "--mailbox", "Other").out == ""


def test_nothing_is_dead(server: MailServer, user: User) -> None:
    user.run("poll", "--state", "nornmail.db")
    for arguments in (["list"], ["retry", "--all"]):
        ended = user.run("dead", *arguments)
        assert (ended.status, ended.out, ended.err) == (0, "", "there are no dead letters\n")


def test_what_is_known_of_one(user: User, ids: list[str]) -> None:
    ended = user.run("dead", "show", ids[1][:8])
    assert (ended.status, ended.err) == (0, "")
    told = dict(line.split(maxsplit=1) for line in ended.out.splitlines() if len(line.split()) > 1)
    assert (told["from"], told["subject"], told["id"]) == ("kim@example.org", "two", ids[1])
    assert told["reason"] == "no two"


def test_the_message_is_in_its_json(user: User, ids: list[str]) -> None:
    (told,) = user.run("dead", "show", "--json", ids[0]).json
    assert (told["id"], told["message"]["subject"]) == (ids[0], "one")


def test_its_bytes_are_those_of_the_server(user: User, ids: list[str]) -> None:
    assert user.run("dead", "show", "--raw", ids[0]).out.encode() == mail("one")


@pytest.mark.parametrize("command", ["show", "retry"])
@pytest.mark.parametrize(
    "letter", [pytest.param("0" * 32, id="no such id"), pytest.param("", id="nothing")]
)
def test_an_id_that_no_letter_has_is_status_2(
    command: str, letter: str, user: User, ids: list[str]
) -> None:
    ended = user.run("dead", command, letter)
    assert (ended.status, ended.out) == (2, "")
    assert "no dead letter has this id" in ended.err


@pytest.mark.parametrize("arguments", [[], ["--all", "x"]], ids=["neither", "both"])
def test_retry_wants_ids_or_all(arguments: list[str], user: User, ids: list[str]) -> None:
    assert user.run("dead", "retry", *arguments).status == 2


def test_what_was_asked_for_is_handed_over_at_the_next_start(user: User, ids: list[str]) -> None:
    ended = user.run("dead", "retry", ids[1][:12])
    assert (ended.status, ended.err) == (0, "")
    assert ids[1] in ended.out
    asked = [letter["is_asked_for"] for letter in user.run("dead", "list", "--json").json]
    assert asked == [False, True]
    assert "(retry requested) no two" in user.run("dead", "list").out
    line, result = user.run("poll", "--state", "nornmail.db").json
    assert (line["subject"], line["delivery_id"], line["attempt"]) == ("two", ids[1], 1)
    assert result["result"] == {
        "new": 0, "handled": 1, "failed": 0, "passed_over": 0, "gone": 0, "waiting": 0, "dead": 1,
    }  # fmt: skip


def test_a_running_watch_takes_them_up(server: MailServer, user: User, ids: list[str]) -> None:
    server.deliver(mail("three"))
    with user.start("watch", "--state", "nornmail.db") as watch:
        assert watch.line()["subject"] == "three"
        assert len(user.run("dead", "list", "--json").json) == 2
        assert user.run("dead", "retry", "--all").out.count("retry requested") == 2
        assert {watch.line()["subject"], watch.line()["subject"]} == {"one", "two"}
        watch.tell(signal.SIGTERM)
        assert watch.end().status == 0
    assert user.run("dead", "list").out == ""
    assert [one.flags for one in server.mailbox().messages] == [{"\\Seen"}] * 3


def test_a_json_store_that_a_poller_has_open_names_sqlite(user: User) -> None:
    store = JsonStateStore(user.directory / "state.json")
    ended = user.run("dead", "list", "--state", "state.json")
    store.close()
    assert (ended.status, ended.out) == (3, "")
    assert "SqliteStateStore" in ended.err


def test_a_json_store_that_nobody_has_open(server: MailServer, user: User) -> None:
    user.run("poll", "--state", "state.json")
    assert user.run("dead", "list", "--state", "state.json").status == 0


def test_nothing_that_a_terminal_would_obey_is_shown(server: MailServer, user: User) -> None:
    let_die(server, user.directory / "nornmail.db", ODD)
    (letter,) = user.run("dead", "list", "--json").json
    for arguments in (["list"], ["show", letter["id"]]):
        out = user.run("dead", *arguments, PYTHONIOENCODING="utf-8").out
        assert "red" in out
        assert all(line.isprintable() for line in out.splitlines())


def test_a_terminal_that_knows_only_ascii(server: MailServer, user: User) -> None:
    raw = "Subject: Grüße\r\nFrom: kim@example.org\r\n\r\n".encode()
    let_die(server, user.directory / "nornmail.db", raw)
    ended = user.run("dead", "list", PYTHONIOENCODING="ascii")
    assert (ended.status, ended.err) == (0, "")
    assert "Gr??e" in ended.out


# The same from a program


def test_a_letter_is_found_by_the_beginning_of_its_id(tmp_path: Path, server: MailServer) -> None:
    path = tmp_path / "nornmail.db"
    let_die(server, path, mail("one"))
    store = SqliteStateStore(path)
    letters = DeadLetters(store)
    (letter,) = letters.list()
    assert letters.find(letter.id[:4].upper()) == letter
    assert letters.raw(letter) == mail("one")
    assert json.dumps(letter.reason) == '"no one"'
    letters.retry(letter)
    assert letters.find(letter.id).is_asked_for
    store.close()
