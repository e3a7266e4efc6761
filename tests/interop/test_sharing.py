"""Processes that share mailboxes and an outbox through PostgreSQL.

Two are killed, and one is stopped for a while.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from nornmail.model import MailboxKey, State
from nornmail.outgoing import QueueState
from nornmail.poller.loop import TAKEOVER_INTERVAL
from nornmail.testing import MailServer
from tests.stores.letters import letter
from tests.stores.support import start_fresh
from tests.support.postgresql import connect, open_postgres, schema_of, server

pytestmark = pytest.mark.interop

LEASE_SECONDS = 3.0
INTERVAL = 60.0
"""Seconds between two polls of a mailbox by default: with a lease's, what a takeover may take."""
STOPPED_SECONDS = 3 * LEASE_SECONDS
PROCESSES = 4
PATIENCE = 240.0
"""Seconds until everything is handled: a hundred times what it takes."""
PAUSE = 0.05

WORKER = """
import os, random, sys, time
import psycopg
from nornmail import ImapSettings, LeaseHeld, NornmailError, Poller, PostgresStateStore

number, host, schema, port, mailboxes, log, polls, lease, holds = sys.argv[1:]
file, polled = (os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT) for name in (log, polls))
hold = holds == "holds"

def handle(message):
    global hold
    os.write(file, f"{number} {message.subject}\\n".encode())
    if hold:
        hold = False
        print("holding", message.subject, flush=True)
        sys.stdin.readline()

def connect():
    options = f"-c search_path={schema}"
    return psycopg.connect(host=host, user="postgres", dbname="postgres", options=options)

store = PostgresStateStore(connect, lease_seconds=float(lease))
pollers = [
    Poller(
        ImapSettings(host="127.0.0.1", port=int(port), username="ann@example.com",
                     password="secret", use_ssl=False, mailbox=f"Box{at}"),
        store=store, on_message=handle, start_from="all",
    )
    for at in range(int(mailboxes))
]
shuffled = random.Random(number)
while True:
    shuffled.shuffle(pollers)
    for poller in pollers:
        try:
            poller.poll_once()
            os.write(polled, f"{poller.mailbox.mailbox}\\n".encode())
        except LeaseHeld:
            continue
        except NornmailError as error:
            print("refused", type(error).__name__, flush=True)
        finally:
            try:
                poller.close()
            except NornmailError as error:
                print("refused", type(error).__name__, flush=True)
    time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("mailboxes", "messages"),
    [
        pytest.param(10, 200, id="10 mailboxes"),
        pytest.param(200, 4_000, id="200 mailboxes", marks=pytest.mark.long),
    ],
)
def test_nothing_is_lost_and_little_repeated(tmp_path: Path, mailboxes: int, messages: int) -> None:
    log, polls, schema = tmp_path / "handled.log", tmp_path / "polls.log", schema_of(tmp_path)
    log.touch()
    host = str(server().directory)
    with ExitStack() as stack:
        mail = stack.enter_context(MailServer())
        mail.add_user("ann@example.com", "secret")
        for number in range(messages):
            mail.deliver(
                b"From: bob@example.org\r\nSubject: %d\r\nMessage-ID: <%d@x>\r\n\r\nx\r\n"
                % (number, number),
                mailbox=f"Box{number % mailboxes}",
            )
        store = stack.enter_context(closing(open_postgres(tmp_path)))

        def begin(number: int) -> subprocess.Popen[str]:
            process = start_fresh(
                WORKER, number, host, schema, mail.imap_port, mailboxes, log, polls, LEASE_SECONDS,
                "holds" if number == 0 else "",
            )  # fmt: skip
            stack.callback(_end, process)
            return process

        stopped, *others = [begin(number) for number in range(PROCESSES)]
        assert stopped.stdout is not None
        assert stopped.stdin is not None
        word, held = stopped.stdout.readline().split()
        assert word == "holding"
        os.kill(stopped.pid, signal.SIGSTOP)
        stopped_at = time.monotonic()
        # Late enough for the rest of the mail to be handled within an interval on a slow machine.
        _until(lambda: len(_handled(log)) > 3 * messages // 4)
        for process in others[:2]:
            process.kill()
        killed_at, before = time.monotonic(), len(polls.read_text().split())
        others.append(begin(PROCESSES))  # a new one takes its share without anybody being asked
        # Another process takes the mailbox over, and the message that was in its handler.
        _until(lambda: Counter(subject for _, subject in _handled(log))[held] == 2)
        _until(lambda: len(set(polls.read_text().split()[before:])) == mailboxes)
        assert time.monotonic() < killed_at + LEASE_SECONDS + INTERVAL
        _until(lambda: time.monotonic() > stopped_at + STOPPED_SECONDS)
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.stdin.write("\n")
        stopped.stdin.flush()
        refusal = stopped.stdout.readline().split()
        assert refusal == ["refused", "LeaseLost"]  # its late write
        keys = [MailboxKey("ann@example.com@127.0.0.1", f"Box{at}") for at in range(mailboxes)]
        _until(lambda: sum(store.count(key, {State.FINISHED}) for key in keys) == messages)

    times = Counter(subject for _, subject in _handled(log))
    assert set(times) == set(map(str, range(messages)))
    repeated = {subject: count for subject, count in times.items() if count > 1}
    # One that stood still and two that were killed had one message in hand each.
    assert held in repeated
    assert len(repeated) <= 3, repeated
    assert max(times.values()) <= 2 + 1, repeated


GROUP = """
import os, sys, threading
import psycopg
from nornmail import ImapSettings, PollerGroup, PostgresStateStore

number, host, schema, port, accounts, log, lease = sys.argv[1:]
file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handle(message):
    os.write(file, f"{number} {message.subject}\\n".encode())

def connect():
    options = f"-c search_path={schema}"
    return psycopg.connect(host=host, user="postgres", dbname="postgres", options=options)

store = PostgresStateStore(connect, lease_seconds=float(lease))
many = PollerGroup(store, on_message=handle, connects_per_second=500, connects_per_host=500)
for at in range(int(accounts)):
    many.add(ImapSettings(host="127.0.0.1", port=int(port), username=f"agent{at}@example.com",
                          password="secret", use_ssl=False, poll_interval=0.5))
with many:
    sys.stdin.readline()
store.close()
"""
ACCOUNTS = 24
SLACK = 6.0
"""Seconds that a busy machine may take on top."""


def test_groups_share_mailboxes_evenly_and_take_over_those_of_a_dead_one(tmp_path: Path) -> None:
    log, schema = tmp_path / "handled.log", schema_of(tmp_path)
    log.touch()
    host = str(server().directory)
    with ExitStack() as stack:
        mail = stack.enter_context(MailServer())
        names = [f"agent{number}@example.com" for number in range(ACCOUNTS)]
        for name in names:
            mail.add_user(name, "secret")
        store = stack.enter_context(closing(open_postgres(tmp_path)))

        def begin(number: int) -> subprocess.Popen[str]:
            process = start_fresh(
                GROUP, number, host, schema, mail.imap_port, ACCOUNTS, log, LEASE_SECONDS
            )
            stack.callback(_end, process)
            return process

        def held() -> list[int]:
            """How many mailboxes each process has."""
            with connect(schema) as connection:
                counted = connection.execute(
                    "SELECT count(*) FROM nornmail_lease WHERE expires_at > clock_timestamp() "
                    "GROUP BY holder"
                ).fetchall()
            return sorted(count for (count,) in counted)

        def deliver(subject: str) -> None:
            for number, name in enumerate(names):
                raw = f"From: bob@example.org\r\nSubject: {subject}{number}\r\n\r\nx\r\n"
                mail.deliver(raw.encode(), user=name)

        processes = [begin(0)]
        _until(lambda: held() == [24])
        processes.append(begin(1))
        _until(lambda: held() == [12, 12])
        deliver("a")
        keys = [MailboxKey(f"{name}@127.0.0.1", "INBOX") for name in names]
        # Not one that was handled and is not settled: it would be repeated after the kill.
        _until(lambda: sum(store.count(key, {State.FINISHED}) for key in keys) == ACCOUNTS)
        assert {number for number, _ in _handled(log)} == {"0", "1"}
        killed_at = time.monotonic()
        processes[0].kill()
        _until(lambda: held() == [24])
        # A lease time and a try of those that stand by; and a busy machine.
        assert time.monotonic() < killed_at + LEASE_SECONDS + TAKEOVER_INTERVAL + SLACK
        deliver("b")
        _until(lambda: len(_handled(log)) == 2 * ACCOUNTS)
        assert mail.live_connections == ACCOUNTS, "never two connections to one mailbox"
    assert max(Counter(subject for _, subject in _handled(log)).values()) == 1


SENDER = """
import os, sys, threading, time
import psycopg
from nornmail import Mailer, PostgresStateStore, SendLimits, SmtpSettings
from nornmail.events import OutboxSent

number, host, schema, port, log, lease, limit, processes = sys.argv[1:]
file = os.open(log, os.O_WRONLY | os.O_APPEND)
begun, released = 0, threading.Event()

def before_send(message):
    global begun
    begun += 1
    if begun == 1:  # all have one in hand before any is sent
        os.write(file, f"{number} begins\\n".encode())
        while open(log).read().count("begins") < int(processes):
            time.sleep(0.02)
    if number == "0" and begun == 2:
        print(message.key, flush=True)
        released.wait()
    return True

def note(event):
    if isinstance(event, OutboxSent):
        os.write(file, f"{number} {event.key}\\n".encode())

def connect():
    options = f"-c search_path={schema}"
    return psycopg.connect(host=host, user="postgres", dbname="postgres", options=options)

store = PostgresStateStore(connect, lease_seconds=float(lease))
settings = SmtpSettings(host="127.0.0.1", port=int(port), use_tls=False, sender="ann@example.com")
mailer = Mailer(
    settings, store, account="ann", before_send=before_send, on_event=note,
    send_limits=SendLimits(None, int(limit)),
)
with mailer:
    sys.stdin.readline()
    released.set()
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("messages", "limit"), [(60, 50), pytest.param(400, 380, marks=pytest.mark.long)]
)
def test_an_outbox_is_sent_by_all_and_each_message_by_one(
    tmp_path: Path, messages: int, limit: int
) -> None:
    log, schema, host = tmp_path / "sent.log", schema_of(tmp_path), str(server().directory)
    log.touch()
    with ExitStack() as stack:
        mail = stack.enter_context(MailServer())
        store = stack.enter_context(closing(open_postgres(tmp_path)))

        def queue(numbers: range) -> None:
            for at in numbers:
                raw = b"Subject: k%d\r\n\r\nhello\r\n" % at
                store.enqueue(letter(f"k{at}", outbox="ann", queued_at=1.0), raw)

        def begin(number: int) -> subprocess.Popen[str]:
            arguments = (number, host, schema, mail.smtp_port, log, LEASE_SECONDS, limit, PROCESSES)
            process = start_fresh(SENDER, *arguments)
            stack.callback(_end, process)
            return process

        def submitted() -> int:
            return len(store.submissions_since("ann", 0.0, limit=messages))

        queue(range(messages // 2))
        stopped, *others = [begin(number) for number in range(PROCESSES)]
        assert stopped.stdin is not None
        assert stopped.stdout is not None
        held = stopped.stdout.readline().strip()
        os.kill(stopped.pid, signal.SIGSTOP)
        stopped_at = time.monotonic()
        _until(lambda: {number for number, key in _handled(log) if key != "begins"} == set("0123"))
        _until(lambda: submitted() > messages // 4)
        for process in others[:2]:
            process.kill()
        # Another one takes over what the stopped one has in hand, and then it goes on.
        _until(lambda: any(key == held for _, key in _handled(log)))
        queue(range(messages // 2, messages))
        _until(lambda: time.monotonic() > stopped_at + STOPPED_SECONDS)
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.stdin.write("\n")
        stopped.stdin.flush()
        _until(lambda: submitted() == limit)
        _until(lambda: not store.count_messages("ann", {QueueState.SENDING}))
        for process in (stopped, others[-1]):
            process.communicate(timeout=PATIENCE)
        states = {one.key: one.state for one in store.queued_messages("ann", set(QueueState))}
        taken = Counter(str(sent.as_email()["Subject"]) for sent in mail.outbox)
    counts = Counter(states.values())
    assert counts[QueueState.QUEUED] == messages - limit
    assert counts[QueueState.UNKNOWN] <= 2  # what the killed ones had on the wire
    assert counts[QueueState.SENT] + counts[QueueState.UNKNOWN] == limit
    assert states[held] is QueueState.SENT
    assert max(taken.values()) == 1
    assert {key for key, state in states.items() if state is QueueState.SENT} <= set(taken)
    assert len(taken) <= limit


def _handled(log: Path) -> list[tuple[str, str]]:
    lines = log.read_text(encoding="utf-8").splitlines()
    return [(number, subject) for number, subject in map(str.split, lines)]


def _until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(PAUSE)


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()
