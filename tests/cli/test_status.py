"""``nornmail status``: what waits, for people and for programs."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nornmail import MailboxSummary, OutboxSummary, StoreSummary, open_store
from nornmail.cli.status import lines
from nornmail.testing import MailServer
from tests.cli.support import User, let_die, mail
from tests.support.table import table

THEN = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)


def mailbox(dead: int = 0, held_by: str = "") -> MailboxSummary:
    return MailboxSummary(
        account="agent@imap.example.com", mailbox="INBOX", inboxes=("support@example.com",), new=1,
        claimed=1, waiting=3, dead=dead, last_poll_at=THEN, held_by=held_by,
    )  # fmt: skip


def outbox(held_by: str = "", queued: int = 0, unknown: int = 0, failed: int = 0) -> OutboxSummary:
    return OutboxSummary(
        account="agent@smtp.example.com", queued=queued, sending=0, unknown=unknown,
        failed=failed, next_due_at=THEN if queued else None, held_by=held_by,
    )  # fmt: skip


def summary(*parts: MailboxSummary | OutboxSummary) -> StoreSummary:
    return StoreSummary(
        path="nornmail.db",
        mailboxes=tuple(part for part in parts if isinstance(part, MailboxSummary)),
        outboxes=tuple(part for part in parts if isinstance(part, OutboxSummary)),
    )


def test_people_see_a_table() -> None:
    text = lines(summary(mailbox(held_by="host:7")))
    assert text[2].split() == [
        "MAILBOX",
        "LAST",
        "POLL",
        "NEW",
        "WAITING",
        "DEAD",
        "IN",
        "USE",
        "BY",
    ]
    assert text[3].split()[:2] == ["agent@imap.example.com", "INBOX"]
    assert text[3].split()[-4:] == ["2", "3", "0", "host:7"]
    assert text[4] == "inboxes of INBOX: support@example.com"


@table(
    ("part", "advice"),
    [
        pytest.param(mailbox(), "", id="nothing to do"),
        pytest.param(mailbox(dead=1), "nornmail dead list", id="dead letters"),
        pytest.param(outbox(unknown=1), "nornmail outbox resolve", id="unknown messages"),
        pytest.param(outbox(failed=1), "nornmail outbox list", id="failed messages"),
        pytest.param(outbox(queued=1), "nornmail outbox send", id="queued, and no sender"),
        pytest.param(outbox(queued=1, held_by="host:7"), "", id="queued, and a sender"),
    ],
)
def test_what_to_do_is_said(part: MailboxSummary | OutboxSummary, advice: str) -> None:
    text = lines(summary(part))
    assert (advice in text[-1]) if advice else "nornmail " not in "".join(text)


def test_it_runs_beside_a_program(server: MailServer, user: User) -> None:
    let_die(server, user.directory / "nornmail.db", mail("one"))
    with closing(open_store(user.directory / "nornmail.db")):
        ended = user.run("status", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = json.loads(ended.out)["mailboxes"]
    assert (found["dead"], found["waiting"], found["held_by"]) == (1, 0, "")
    assert datetime.fromisoformat(found["last_poll_at"]).tzinfo is not None


def test_no_store_is_made(stranger: User, tmp_path: Path) -> None:
    ended = stranger.run("status")
    assert ended.status == 3
    assert "NORNMAIL_STATE or --state" in ended.err
    assert list(tmp_path.iterdir()) == []
