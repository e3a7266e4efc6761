"""The connection against Dovecot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nornmail.clock import SystemClock
from nornmail.errors import AuthenticationFailed, CommandRefused
from nornmail.imap.connection import Connection
from nornmail.imap.limits import Limits
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet
from tests.support.dovecot import Dovecot

pytestmark = pytest.mark.interop

MAIL = [b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (n, n, n) for n in range(1, 8)]


def _settings(dovecot: Dovecot, user: str, *, password: str | None = None) -> ImapSettings:
    return ImapSettings(
        host="localhost",
        port=dovecot.tls_port,
        username=user,
        password=dovecot.password if password is None else password,
        ca_file=str(dovecot.ca_file),
    )


@pytest.fixture
def user(dovecot: Dovecot) -> str:
    name = dovecot.user()
    for raw in MAIL:
        dovecot.deliver(name, raw)
    return name


@pytest.fixture
def opened(dovecot: Dovecot, user: str) -> Iterator[Connection]:
    one = Connection.open(
        _settings(dovecot, user), clock=SystemClock(), limits=Limits(list_window=3)
    )
    one.select("INBOX")
    yield one
    one.close()


def test_messages_come_whole_and_unseen(opened: Connection) -> None:
    uids = opened.list_uids()
    summaries = opened.summaries(uids)
    bodies = opened.bodies(uids, expected_octets=sum(one.size for one in summaries.values()))
    assert [bodies[uid].raw for uid in uids] == MAIL
    assert [one.size for one in opened.headers(uids).values()] == [len(raw) for raw in MAIL]
    assert not any("\\Seen" in one.flags for one in opened.summaries(uids).values())


def test_windows_find_what_esearch_finds(opened: Connection) -> None:
    found = opened.list_uids()
    opened.capabilities -= {"ESEARCH"}
    assert opened.list_uids() == found
    assert len(found) == len(MAIL)


def test_nothing_is_above_the_last_message(opened: Connection) -> None:
    assert not opened.uids_from(opened.list_uids().highest + 1)


def test_a_message_that_another_expunged_is_not_given(
    dovecot: Dovecot, user: str, opened: Connection
) -> None:
    first, *rest = opened.list_uids()
    other = Connection.open(_settings(dovecot, user), clock=SystemClock())
    other.select("INBOX")
    other.add_flags(UidSet.of([first]), ["\\Deleted"])
    assert other.expunge(UidSet.of([first]))
    other.close()
    body = opened.bodies(UidSet.of([first]), expected_octets=100).get(first)
    assert body is None or body.raw is None
    assert list(opened.still_listed(UidSet.of([first, *rest]))) == rest
    assert (opened.exists, opened.expunges) == (len(rest), 1)


def test_move_copy_and_find(opened: Connection) -> None:
    one, two, *rest = opened.list_uids()
    opened.create("Erledigt ü & mehr")
    opened.move(UidSet.of([one]), "Erledigt ü & mehr")
    opened.copy(UidSet.of([two]), "Erledigt ü & mehr")
    assert list(opened.list_uids()) == [two, *rest]
    assert "Erledigt ü & mehr" in opened.mailboxes()
    assert opened.select("Erledigt ü & mehr").exists == 2
    assert len(opened.find_message_id("<1@x>")) == 1
    assert not opened.find_message_id("<none@x>")


def test_refusals_leave_the_connection_as_good_as_before(opened: Connection) -> None:
    with pytest.raises(CommandRefused):
        opened.copy(UidSet.of([opened.list_uids().highest]), "nowhere")
    with pytest.raises(CommandRefused):
        opened.examine("nowhere")
    assert opened.select("INBOX").exists == len(MAIL)


def test_a_wrong_password_is_an_authentication_failure(dovecot: Dovecot, user: str) -> None:
    with pytest.raises(AuthenticationFailed):
        Connection.open(_settings(dovecot, user, password="wrong"), clock=SystemClock())


def test_the_counts_of_many_mailboxes_are_those_of_each(opened: Connection) -> None:
    for name in ("Grüße", "50% off*"):
        opened.create(name)
    opened.append("Grüße", MAIL[0], flags=(), at=1_700_000_000)
    assert opened.counts_many
    names = ["Grüße", "50% off*", "gone"]
    counts = opened.counts(names)
    assert counts == {name: opened.counts([name])[name] for name in names[:2]}
    assert (counts["Grüße"].messages, counts["Grüße"].uid_next) == (1, 2)
