"""``nornmail watch`` and ``nornmail poll``: lines, signals, readers that leave, full disks."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import closing
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from nornmail import ImapSettings, Inbox, Message, Poller
from nornmail.model import State
from nornmail.stores.sqlite import SqliteStateStore
from nornmail.testing import MailServer
from tests.cli.support import PASSWORD, SECONDS, USER, User, mail

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
PIPE = 1 << 20
"""More octets than a pipe holds."""
FULL = Path("/dev/full")
WATCHING = "IMAP poller starting"


def states(user: User) -> dict[State, int]:
    """How many entries of the store are in each state."""
    store = SqliteStateStore(user.directory / "nornmail-watch.db")
    try:
        (mailbox,) = store.mailboxes()
        return {state: found for state in State if (found := store.count(mailbox, {state}))}
    finally:
        store.close()


def test_each_message_is_a_line(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    with user.start("watch") as watch:
        first = watch.line()
        server.deliver(mail("two \N{SNOWMAN}"))
        second = watch.line()
        watch.tell(signal.SIGTERM)
        ended = watch.end()
    assert (ended.status, ended.out) == (0, "")
    assert (first["subject"], second["subject"]) == ("one", "two \N{SNOWMAN}")
    assert first["ref"] == {"mailbox": "INBOX", "uid_validity": 1000, "uid": 1}
    assert len(first["delivery_id"]) == 32
    assert f"{WATCHING}: {server.host}:{server.imap_port}/INBOX (interval=0.2s)" in ended.err
    assert states(user) == {State.FINISHED: 2}
    assert [one.flags for one in server.mailbox().messages] == [{"\\Seen"}] * 2


def test_a_line_for_people(server: MailServer, user: User) -> None:
    at = datetime(2026, 1, 31, 8, 31, tzinfo=UTC)
    letter = EmailMessage()
    letter["From"], letter["Subject"] = "Kim <kim@example.org>", "Grüße\x1b[2J aus Köln"
    letter.set_content("x")
    letter.add_attachment(b"x", "text", "csv", filename="a.csv")
    server.deliver(letter, date=at)
    ended = user.run("poll", "--format", "line", TZ="UTC", PYTHONIOENCODING="utf-8")
    first, counts = ended.out.splitlines()
    words = " ".join(first.split())
    assert words == "2026-01-31 08:31 kim@example.org Grüße [2J aus Köln [1 file]"
    assert "\x1b" not in ended.out
    assert counts == "1 new, 1 handled"


def test_the_lines_of_json_can_be_short(server: MailServer, user: User) -> None:
    server.deliver(mail("one", size=60_000))
    ended = user.run("poll", "--max-text", "20")
    assert len(ended.json[0]["text"]) <= 20
    assert ended.json[0]["left_out"]["text"] > 50_000
    assert user.run("poll", "--max-text", "0").status == 2


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("idle", [True, False], ids=["in IDLE", "between two polls"])
def test_a_signal_ends_it_well(
    number: signal.Signals, idle: bool, server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    options = [] if idle else ["--no-idle"]
    with user.start("watch", *options, IMAP_POLL_INTERVAL="600") as watch:
        watch.line()
        watch.tell(number)
        ended = watch.end()
    assert (ended.status, ended.out) == (0, "")
    assert states(user) == {State.FINISHED: 1}
    assert ("IDLE" in b" ".join(server.commands).decode()) <= idle


@posix
def test_a_signal_ends_it_while_it_cannot_connect(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with user.start("watch", IMAP_PORT=str(port)) as watch:
        watch.complaint("cannot connect")
        watch.tell(signal.SIGINT)
        assert watch.end().status == 0


@posix
def test_the_message_at_hand_is_finished_before_it_ends(server: MailServer, user: User) -> None:
    for subject in ("one", "two"):
        server.deliver(mail(subject, size=PIPE))
    with user.start("watch") as watch:
        watch.complaint(WATCHING)
        # The first line is stuck in the pipe: as long as nobody reads, the message is at hand.
        watch.octet()
        watch.tell(signal.SIGTERM)
        watch.complaint("SIGTERM: stopping after the current message")
        ended = watch.end()
    assert ended.status == 0
    assert [json.loads("{" + line)["subject"] for line in ended.out.splitlines()] == ["one"]
    assert states(user) == {State.FINISHED: 1}


@posix
def test_a_second_signal_ends_it_at_once_and_the_message_waits(
    server: MailServer, user: User
) -> None:
    server.deliver(mail("one", size=PIPE))
    with user.start("watch") as watch:
        watch.complaint(WATCHING)
        watch.octet()
        watch.tell(signal.SIGINT)
        watch.tell(signal.SIGTERM)
        assert watch.process.wait(SECONDS) == 130  # with nobody reading
        watch.end()
    assert states(user) == {State.CLAIMED: 1}


@posix
@pytest.mark.parametrize("command", ["watch", "poll"])
def test_a_message_whose_reader_has_left_waits_and_comes_again(
    command: str, server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    server.deliver(mail("two"))
    read, write = os.pipe()
    with user.start(command, "--log-level", "error", stdout=write) as running:
        os.close(read)
        os.close(write)
        ended = running.end()
    assert (ended.status, ended.err) == (1, "")
    assert states(user) == {State.WAITING: 1}
    again = user.run("poll")
    assert (again.status, again.err) == (0, "")
    *lines, last = again.json
    assert [(line["subject"], line["attempt"]) for line in lines] == [("one", 1), ("two", 1)]
    assert last["result"]["handled"] == 2


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["watch", "poll"])
def test_a_message_that_a_full_disk_does_not_take_waits(
    command: str, server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    with FULL.open("wb") as full:
        ended = user.run(command, "--log-level", "error", stdout=full)
    assert ended.status == 1
    assert "No space left on device; the message waits" in ended.err
    assert states(user) == {State.WAITING: 1}


def test_what_goes_into_a_file_is_there(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    path = user.directory / "mail.jsonl"
    with path.open("ab") as file:
        assert user.run("poll", stdout=file).status == 0
    assert path.read_bytes().count(b"\n") == 2


def test_a_poll_prints_what_is_new_and_what_it_came_to(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    server.deliver(mail("two"))
    ended = user.run("poll")
    assert (ended.status, ended.err) == (0, "")
    assert [line["subject"] for line in ended.json[:2]] == ["one", "two"]
    assert ended.json[2] == {
        "result": {
            "new": 2, "handled": 2, "failed": 0, "passed_over": 0, "gone": 0, "waiting": 0,
            "dead": 0,
        }
    }  # fmt: skip
    assert [list(line) for line in user.run("poll").json] == [["result"]]


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_poll_that_a_signal_ends_early_says_so(
    number: signal.Signals, server: MailServer, user: User
) -> None:
    for subject in ("one", "two"):
        server.deliver(mail(subject, size=PIPE))
    with user.start("poll", "--log-level", "info") as poll:
        poll.octet()
        poll.tell(number)
        poll.complaint(f"{number.name}: stopping")
        ended = poll.end()
    assert ended.status == 130
    assert '"handled": 1' in ended.out.splitlines()[-1]
    assert states(user) == {State.FINISHED: 1}


@pytest.mark.parametrize("command", ["watch", "poll"])
def test_a_first_run_that_needs_a_decision_is_status_2(
    command: str, server: MailServer, user: User
) -> None:
    for number in range(1_001):
        server.deliver(f"Subject: {number}\r\n\r\n".encode())
    ended = user.run(command)
    assert (ended.status, ended.out) == (2, "")
    assert "IMAP_START_FROM" in ended.err
    assert user.run("poll", "--start-from", "new").json[-1]["result"]["new"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"IMAP_PASSWORD": "wrong"}, "IMAP_PASSWORD", id="a wrong password"),
        pytest.param({"IMAP_MAILBOX": "Inbax"}, "SELECT", id="a wrong mailbox"),
        pytest.param({"IMAP_HOST": "imap.nowhere.invalid"}, "imap.nowhere.invalid", id="no host"),
    ],
)
def test_a_poll_that_fails_is_status_1(changes: dict[str, str], said: str, user: User) -> None:
    ended = user.run("poll", **changes)
    assert (ended.status, ended.out) == (1, "")
    assert said in ended.err


def test_a_poll_beside_a_poller_is_refused_and_names_it(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    with user.start("watch") as watch:
        watch.line()
        ended = user.run("poll")
        assert ended.status == 1
        assert f":{watch.process.pid}" in ended.err


@pytest.mark.interop  # beside the slow ones: a takeover is tried every five seconds
def test_a_second_watch_waits_and_takes_over(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    with user.start("watch") as first:
        first.line()
        with user.start("watch") as second:
            second.complaint("waiting to take over")
            first.tell(signal.SIGTERM)
            assert first.end().status == 0
            server.deliver(mail("two"))
            assert second.line()["subject"] == "two"
            second.tell(signal.SIGTERM)
            assert second.end().status == 0


@pytest.mark.parametrize("command", ["poll", "watch"])
def test_the_store_of_a_programs_inboxes_is_refused(
    command: str, server: MailServer, user: User
) -> None:
    server.deliver(mail("one"))
    path = user.directory / "agent.db"
    settings = ImapSettings.from_env(user.environment)
    with closing(SqliteStateStore(path)) as store:
        inboxes = [Inbox("agent@example.com")]
        with closing(Poller(settings, store=store, on_message=refuse, inboxes=inboxes)) as poller:
            poller.poll_once()
        server.deliver(mail("two"))
        (mailbox,) = store.mailboxes()
        before = list(map(str, store.entries(mailbox, set(State))))
        flags = [message.flags for message in server.mailbox().messages]
        ended = user.run(command, "--state", "agent.db")
        assert (ended.status, ended.out) == (2, "")
        assert "agent@example.com" in ended.err
        assert "nornmail status" in ended.err
        assert list(map(str, store.entries(mailbox, set(State)))) == before
    assert [message.flags for message in server.mailbox().messages] == flags


def refuse(message: Message) -> None:
    raise RuntimeError("the language model is down")


def test_looking_uses_a_store_of_its_own(server: MailServer, user: User) -> None:
    server.deliver(mail("one"))
    assert user.run("poll").status == 0
    assert not (user.directory / "nornmail.db").exists()
    assert (user.directory / "nornmail-watch.db").exists()


def test_a_poll_sends_what_is_queued_in_its_store(server: MailServer, user: User) -> None:
    smtp = {
        "SMTP_HOST": server.host, "SMTP_PORT": str(server.smtp_port), "SMTP_USE_TLS": "false",
        "SMTP_USERNAME": USER, "SMTP_PASSWORD": PASSWORD, "NORNMAIL_STATE": "one.db",
    }  # fmt: skip
    to = ("--to", "kim@example.org", "--subject", "x", "--no-wait", "hello")
    queued = user.run("send", *to, **smtp)
    assert queued.status == 4
    assert "no program sends from one.db now: run `nornmail outbox send`" in queued.out
    assert user.run("poll", **smtp).status == 0
    assert [message.rcpt_tos for message in server.outbox] == [("kim@example.org",)]


@posix
@pytest.mark.parametrize("command", ["watch", "poll", "serve --bind 127.0.0.1:0"])
@pytest.mark.parametrize("greeting", [b"", b"* OK hello\r\n"], ids=["no greeting", "no answer"])
def test_a_server_that_hangs_does_not_hold_up_the_end(
    command: str, greeting: bytes, user: User
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        with user.start(*command.split(), "--log-level", "info", IMAP_PORT=port) as running:
            listener.settimeout(SECONDS)
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(SECONDS)
                connection.sendall(greeting)
                if greeting:
                    connection.recv(100)
                begin = time.monotonic()
                running.tell(signal.SIGINT)
                ended = running.end()
                took = time.monotonic() - begin
    assert ended.status == (130 if command == "poll" else 0)
    assert took < 5, "it takes less than a second on a machine that has nothing else to do"


def test_a_start_that_was_chosen_is_not_chosen_again(server: MailServer, user: User) -> None:
    server.deliver(mail("old"))
    first = user.run("poll", "--start-from", "new")
    assert "has no effect" not in first.err
    second = user.run("poll", "--start-from", "all")
    assert [line["result"]["new"] for line in second.json] == [0]
    assert "--start-from all has no effect" in second.err
    assert "--state" in second.err


def test_accounts_follow_a_directory(server: MailServer, user: User, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts"
    accounts.mkdir()

    def write(name: str, password: str) -> None:
        text = f"IMAP_USERNAME={name}@example.com\nIMAP_PASSWORD={password}\n"
        (accounts / f"{name}.env").write_text(text, "utf-8")

    def deliver(name: str, subject: str) -> None:
        raw = mail(subject).replace(USER.encode(), f"{name}@example.com".encode())
        server.deliver(raw, user=f"{name}@example.com")

    for name in ("ann", "bob"):
        server.add_user(f"{name}@example.com", PASSWORD)
    write("ann", "wrong")
    deliver("ann", "one")
    with user.start("watch", "--accounts", str(accounts)) as watch:
        write("bob", PASSWORD)
        deliver("bob", "two")
        line = watch.line()
        assert (line["account"], line["subject"]) == (f"bob@example.com@{server.host}", "two")
        write("ann", PASSWORD)
        line = watch.line()
        assert (line["account"], line["subject"]) == (f"ann@example.com@{server.host}", "one")
        watch.tell(signal.SIGTERM)
        ended = watch.end()
    assert (ended.status, ended.out) == (0, "")


def test_accounts_need_a_directory(user: User) -> None:
    ended = user.run("watch", "--accounts", "nowhere")
    assert ended.status == 2
    assert "directory of .env files" in ended.err
