"""``nornmail send`` and ``nornmail outbox``: what is said, and with which status it ends."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nornmail import Mailer, Outbox, SqliteStateStore, parse_message
from nornmail.cli import main
from nornmail.model import MailboxKey
from nornmail.outbox import worker
from nornmail.outgoing import QueueState
from tests.outbox.post import PostOffice, post_office
from tests.stores.letters import RAW, accepted, letter

OUTBOX = "agent@example.com@127.0.0.1"
LISTED = (
    QueueState.QUEUED,
    QueueState.SENDING,
    QueueState.SENT,
    QueueState.FAILED,
    QueueState.UNKNOWN,
)
TO = ("--to", "ann@example.org", "--subject", "hello")


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[PostOffice]:
    """A post office, and an environment that leads to it."""
    monkeypatch.chdir(tmp_path)
    with post_office() as found:
        settings = found.settings()
        for name, value in {
            "SMTP_HOST": settings.host,
            "SMTP_PORT": str(settings.port),
            "SMTP_USERNAME": settings.username,
            "SMTP_PASSWORD": settings.password,
            "SMTP_CA_FILE": settings.ca_file,
        }.items():
            monkeypatch.setenv(name, str(value))
        yield found


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment that leads to no server: it ends before anybody is asked."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOST": "127.0.0.1", "PORT": "9", "USERNAME": "agent@example.com"}.items():
        monkeypatch.setenv(f"SMTP_{name}", value)
    return tmp_path


Said = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """Runs the command line; returns its status and what it wrote."""
    log = logging.getLogger("nornmail")
    before = (log.level, log.handlers[:])

    def run(*arguments: str) -> Said:
        try:
            status = main(arguments)
        except SystemExit as ended:  # argparse
            status = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    yield run
    log.setLevel(before[0])
    log.handlers[:] = before[1]


def test_a_message_is_sent_and_the_servers_word_is_said(
    office: PostOffice, run: Callable[..., Said]
) -> None:
    status, out, err = run("send", *TO, "--key", "k1", "hello there")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("sent: k1 <")
    assert first.endswith("250 OK taken")
    assert second == "  accepted: ann@example.org 250 OK taken"
    ((sender, to, raw),) = office.envelopes
    assert (sender, to) == ("agent@example.com", ["ann@example.org"])
    assert parse_message(raw).text.strip() == "hello there"
    status, out, _ = run("send", *TO, "--key", "k1", "again")
    assert status == 0
    assert re.match(r"sent before, at [-0-9: ]{16}: k1 <.*>; not sent again\n", out)
    assert len(office.envelopes) == 1, "the key is known"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--attach", "nope.pdf"],
            "--attach: 'nope.pdf' cannot be read: No such file or directory",
        ),
        (["--cc", "a,b"], "--cc: 'a,b' is not an address; repeat --cc for several"),
        (["--from", "me"], "--from: 'me' is not an address"),
        (["--env-file", "nope.env"], "--env-file is 'nope.env': cannot be read"),
    ],
    ids=["a file", "two addresses", "a sender", "settings"],
)
def test_a_mistake_names_the_option(
    arguments: list[str], complaint: str, nowhere: Path, run: Callable[..., Said]
) -> None:
    status, out, err = run("send", *TO, *arguments, "hi")
    assert (status, out) == (2, "")
    assert err.startswith(f"nornmail: {complaint}")


def test_a_message_without_a_subject_is_remarked(
    office: PostOffice, run: Callable[..., Said]
) -> None:
    remarks = []
    for _ in range(2):
        status, _, err = run("send", "--to", "ann@example.org", "--key", "k", "hi")
        remarks.append((status, "it was sent without a subject; --subject" in err))
    assert remarks == [(0, True), (0, False)]


def test_everything_that_can_be_given_is_in_the_message(
    office: PostOffice, run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("<p>größer</p>", "utf-8")
    (tmp_path / "data.csv").write_text("1,2")
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO("größer".encode()), encoding="utf-8")
    )
    status, out, _ = run(
        "send", *TO, "--file", "-", "--html", "page.html", "--attach", "data.csv",
        "--cc", "bob@example.org", "--bcc", "eve@example.org", "--reply-to", "desk@example.com",
        "--from", "Desk <desk@example.com>", "--json",
    )  # fmt: skip
    assert status == 0
    result = json.loads(out)
    assert result["state"] == "sent"
    assert [one["address"] for one in result["recipients"]] == [
        "ann@example.org", "bob@example.org", "eve@example.org"
    ]  # fmt: skip
    assert not {"raw", "dry_run"} & result.keys()
    message = parse_message(office.envelopes[0][2])
    assert (message.text.strip(), message.from_.name) == ("größer", "Desk")
    assert "größer" in message.html
    assert [one.filename for one in message.attachments] == ["data.csv"]
    assert message.reply_to[0].address == "desk@example.com"
    assert b"eve" not in office.envelopes[0][2]


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        pytest.param("550 no such user", 1, "failed", id="refused"),
        pytest.param("450 greylisted", 4, "queued", id="put off"),
    ],
)
def test_what_is_not_sent_is_said_with_its_code(
    office: PostOffice, run: Callable[..., Said], answer: str, status: int, word: str
) -> None:
    office.answers["ann@example.org"] = answer
    ended = run("send", *TO, "--timeout", "0.3", "hello")
    assert ended[0] == status
    assert ended[1].startswith(f"{word}: ")
    assert answer in ended[1]


def test_a_message_that_is_refused_for_some_is_no_success(
    office: PostOffice, run: Callable[..., Said]
) -> None:
    office.answers["bob@example.org"] = "550 no such user"
    status, out, _ = run("send", *TO, "--cc", "bob@example.org", "hello")
    assert status == 1
    assert "  refused: bob@example.org 550 no such user" in out
    assert "  accepted: ann@example.org" in out


def test_a_wrong_password_is_said_at_once_and_loses_nothing(
    office: PostOffice, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "wrong-password")
    status, out, err = run("send", *TO, "hello")
    assert status == 4
    assert out.startswith("queued: ")
    assert "wrong-password" not in out + err
    assert "535" in out
    assert len(run("outbox", "list", "--json")[1].splitlines()) == 1


def test_a_dry_run_prints_the_message_and_touches_nothing(
    nowhere: Path, run: Callable[..., Said]
) -> None:
    status, out, _ = run("send", *TO, "--dry-run", "hello there")
    assert status == 0
    assert parse_message(out.encode()).text.strip() == "hello there"
    assert list(nowhere.iterdir()) == []


def test_nothing_else_of_the_outbox_is_sent_from_here(
    office: PostOffice, run: Callable[..., Said]
) -> None:
    assert run("send", "--to", "boss@example.org", "--no-wait", "not approved yet")[0] == 4
    assert run("send", *TO, "hello")[0] == 0
    assert [to for _, to, _ in office.envelopes] == [["ann@example.org"]]


def test_without_waiting_it_is_left_to_whoever_sends(
    office: PostOffice, run: Callable[..., Said]
) -> None:
    assert run("send", *TO, "--no-wait", "--key", "k1", "hello")[0] == 4
    assert office.envelopes == []
    assert run("send", *TO, "--key", "k1", "hello")[0] == 0
    assert len(office.envelopes) == 1


def test_beside_a_process_that_sends_it_is_left_to_that_and_its_word_is_said(
    office: PostOffice, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_INTERVAL", 0.02)
    with (
        closing(SqliteStateStore("nornmail.db")) as store,
        Mailer(office.settings(), store) as mailer,
    ):
        while mailer.status().state != "idle":
            threading.Event().wait(0.001)
        status, out, _ = run("send", *TO, "--timeout", "20", "hello")
    assert (status, out.split(":")[0]) == (0, "sent")
    assert len(office.envelopes) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("hello",), "--to", id="nobody"),
        pytest.param((*TO, "--timeout", "0", "x"), "--timeout", id="no time"),
        pytest.param((*TO, "--timeout", "nan", "x"), "--timeout", id="no number"),
        pytest.param((*TO, "--file", "missing.txt"), "--file", id="a file that is not there"),
        pytest.param((*TO, "--html", "latin.html"), "--html", id="a file that is not UTF-8"),
        pytest.param((*TO, "--file", "a", "x"), "--file", id="two texts"),
        pytest.param((*TO, "--attach", "missing.pdf", "x"), "--attach", id="an attachment"),
        pytest.param(("--to", "a b c", "x"), "to:", id="no address"),
        pytest.param((*TO, "--key", "a\nb", "x"), "key", id="a key of two lines"),
    ],
)
def test_a_users_mistake_is_one_line(
    nowhere: Path, run: Callable[..., Said], arguments: tuple[str, ...], said: str
) -> None:
    Path("latin.html").write_bytes(b"gr\xf6\xdfer")
    status, out, err = run("send", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("nornmail: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (nowhere / "nornmail.db").exists() or queued(nowhere) == 0


def test_without_a_server_it_says_which_setting_is_missing(
    run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMTP_HOST", raising=False)
    status, _, err = run("send", *TO, "hello")
    assert status == 2
    assert "SMTP_HOST" in err


# The outbox


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a letter in each state, its key beginning with it."""
    monkeypatch.chdir(tmp_path)
    store = SqliteStateStore(tmp_path / "nornmail.db")
    lease = store.acquire(MailboxKey.of_outbox(OUTBOX), "me")
    for at, state in enumerate(LISTED):
        odd = "\x1b[31mred\u202e" if state is QueueState.FAILED else f"the {state}"
        one = letter(f"{state}-1", outbox=OUTBOX, queued_at=1e9 + at)._replace(subject=odd)
        store.enqueue(one, RAW)
        if state is not QueueState.QUEUED:
            one = one._replace(state=QueueState.SENDING, reason="550 \x1b[2Jno\a")
            store.commit_messages(lease, [one])
        if state not in (QueueState.QUEUED, QueueState.SENDING):
            one = accepted(one) if state is QueueState.SENT else one
            store.commit_messages(lease, [one._replace(state=state)])
    store.close()
    return tmp_path


def queued(directory: Path) -> int:
    with closing(SqliteStateStore(directory / "nornmail.db")) as store:
        return store.count_messages(OUTBOX, set(QueueState))


def pending_requests(directory: Path) -> list[tuple[str, str]]:
    with closing(SqliteStateStore(directory / "nornmail.db")) as store:
        return [(key, str(wish)) for key, wish in store.pending_requests(OUTBOX)]


def test_the_table_has_what_is_not_through_the_oldest_first(
    filled: Path, run: Callable[..., Said]
) -> None:
    status, out, err = run("outbox", "list")
    assert (status, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == ["KEY", "STATE", "SINCE", "DEFERRED", "TO", "SUBJECT", "REASON"]
    assert [line.split()[0] for line in lines] == [
        "queued-1", "sending-1", "failed-1", "unknown-1"
    ]  # fmt: skip
    assert all(char.isprintable() or char == "\n" for char in out)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("--only", "sent"), ["sent-1"]),
        (("--only", "failed", "--only", "queued"), ["queued-1", "failed-1"]),
        (("--all",), ["queued-1", "sending-1", "sent-1", "failed-1", "unknown-1"]),
    ],
)
def test_what_is_listed_can_be_chosen(
    filled: Path, run: Callable[..., Said], arguments: tuple[str, ...], keys: list[str]
) -> None:
    _, out, _ = run("outbox", "list", "--json", *arguments)
    assert [json.loads(line)["key"] for line in out.splitlines()] == keys


def test_an_empty_outbox_says_so(
    run: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    SqliteStateStore(tmp_path / "nornmail.db").close()
    assert run("outbox", "list") == (0, "", "the outbox is empty\n")


def test_a_letter_is_shown_in_three_forms_and_nothing_that_a_terminal_obeys(
    filled: Path, run: Callable[..., Said]
) -> None:
    status, out, _ = run("outbox", "show", "fail")
    assert "None" not in out
    assert "False" not in out
    assert status == 0
    assert "ann@example.org" in out
    assert all(char.isprintable() or char == "\n" for char in out)
    assert run("outbox", "show", "failed-1", "--raw")[1].encode() == RAW
    facts = json.loads(run("outbox", "show", "failed-1", "--json")[1])
    assert (facts["state"], facts["account"]) == ("failed", OUTBOX)
    assert run("outbox", "show", "sent-1", "--raw")[0] == 1


@pytest.mark.parametrize(
    ("command", "key", "wish"),
    [
        (("retry",), "failed-1", "retry"),
        (("retry",), "unkn", "retry"),
        (("drop",), "queued-1", "drop"),
        (("resolve", "--sent"), "unknown-1", "sent"),
        (("resolve", "--not-sent"), "unknown-1", "retry"),
    ],
)
def test_what_is_asked_for_is_left_in_the_store(
    filled: Path, run: Callable[..., Said], command: tuple[str, ...], key: str, wish: str
) -> None:
    status, out, err = run("outbox", *command, key)
    assert (status, err) == (0, "")
    ((asked, kind),) = pending_requests(filled)
    assert (asked.startswith(key), kind) == (True, wish)
    assert asked in out
    assert f"({wish} requested)" in run("outbox", "list")[1]


def test_a_key_of_two_outboxes_needs_the_name_of_one(
    filled: Path, run: Callable[..., Said]
) -> None:
    with closing(SqliteStateStore(filled / "nornmail.db")) as store:
        store.enqueue(letter("queued-1", outbox="other"), RAW)
    status, _, err = run("outbox", "drop", "queued-1")
    assert status == 2
    assert f"in the outboxes {OUTBOX}, other" in err
    assert run("outbox", "drop", "queued-1", "--account", OUTBOX)[0] == 0
    assert pending_requests(filled) == [("queued-1", "drop")]
    assert run("outbox", "list", "--account", "other", "--json")[1].count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("retry", "nobody's"), 2, "no message has this key"),
        (("retry", "que"), 2, "no message has this key"),
        (("retry", ""), 2, "empty key"),
        (("retry", "sent-1"), 1, "sent-1 is sent"),
        (("drop", "sending-1"), 1, "sending"),
        (("resolve", "--sent", "queued-1"), 1, "only an unknown message"),
        (("resolve", "unknown-1"), 2, "--not-sent"),
        (("retry", "failed-1", "nobody's"), 2, "no message"),
        (("list", "--state", "missing.db"), 3, "there is no state store"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(
    filled: Path, run: Callable[..., Said], arguments: tuple[str, ...], status: int, said: str
) -> None:
    ended = run("outbox", *arguments)
    assert ended[0] == status
    assert said in ended[2]
    assert pending_requests(filled) == []


def test_the_sender_does_what_was_asked_for(
    filled: Path, run: Callable[..., Said], office: PostOffice
) -> None:
    for command in (
        ("drop", "queued-1"),
        ("resolve", "--sent", "unknown-1"),
        ("retry", "failed-1"),
    ):
        assert run("outbox", *command)[0] == 0
    with closing(SqliteStateStore("nornmail.db")) as store:
        mailer = Mailer(office.settings(), store)
        mailer.flush()
        found = {one.key: one for one in Outbox(store).list(frozenset(QueueState))}
        mailer.close()
    assert {key: str(one.state) for key, one in found.items()} == {
        "queued-1": "failed",
        "sending-1": "unknown",
        "failed-1": "sent",
        "unknown-1": "sent",
    }  # and sent-1, long ago, is forgotten
    assert (found["queued-1"].dropped, found["queued-1"].reason) == (True, "dropped by an operator")
    assert [one.request for one in found.values()] == [""] * 4
    assert [to for _, to, _ in office.envelopes] == [["ann@example.org"]]
    assert run("outbox", "list", "--json")[1].count("\n") == 1, "what was dropped is not shown"


def test_the_outbox_is_sent_on_request(office: PostOffice, run: Callable[..., Said]) -> None:
    for key in ("k1", "k2"):
        assert run("send", *TO, "--no-wait", "--key", key, "hello")[0] == 4
    status, out, err = run("outbox", "send")
    assert (status, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["sent:", "k1"], ["sent:", "k2"]]
    assert len(office.envelopes) == 2
    assert run("outbox", "send") == (0, "", f"nothing is queued in the outbox of {OUTBOX}\n")


def test_what_stays_queued_is_said_with_its_time(nowhere: Path, run: Callable[..., Said]) -> None:
    status, out, _ = run("send", *TO, "--key", "k1", "hello")
    assert status == 4
    assert "no program sends from" in out
    assert "nornmail outbox send" in out
    status, out, _ = run("outbox", "send")
    assert status == 4
    assert out.startswith("queued: k1 ")
    assert "due at 20" in out


def test_a_program_that_sends_is_named(
    office: PostOffice, run: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = f"{socket.gethostname()}:{os.getpid()}"
    with closing(SqliteStateStore("nornmail.db")) as store:
        lease = store.acquire(MailboxKey.of_outbox(OUTBOX), holder)
        _, out, _ = run("send", *TO, "--no-wait", "hello")
        assert f"{holder} sends it" in out
        status, _, err = run("outbox", "send")
        assert (status, holder in err) == (1, True)
        store.release(lease)
