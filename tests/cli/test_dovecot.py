"""The command line on a real Dovecot."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nornmail import ImapSettings, Poller, SqliteStateStore
from tests.cli.support import Ended, Running, User, mail, refuse
from tests.support.dovecot import Dovecot

pytestmark = pytest.mark.interop

KINDS = ["plain", "TLS", "STARTTLS"]


@pytest.fixture(params=KINDS)
def user(request: pytest.FixtureRequest, dovecot: Dovecot, tmp_path: Path) -> User:
    """Somebody whose environment leads to an empty mailbox of their own."""
    tls, starttls = request.param == "TLS", request.param == "STARTTLS"
    return User(
        tmp_path,
        IMAP_HOST=dovecot.host,
        IMAP_PORT=str(dovecot.tls_port if tls else dovecot.port),
        IMAP_USERNAME=dovecot.user(),
        IMAP_PASSWORD=dovecot.password,
        IMAP_USE_SSL=str(tls).lower(),
        IMAP_STARTTLS=str(starttls).lower(),
        IMAP_CA_FILE=str(dovecot.ca_file),
        IMAP_POLL_INTERVAL="0.2",
    )


def name(user: User) -> str:
    return user.environment["IMAP_USERNAME"]


def test_check_goes_all_the_way(user: User, dovecot: Dovecot) -> None:
    dovecot.deliver(name(user), mail("one"))
    ended = user.run("check")
    assert (ended.status, ended.err) == (0, "")
    assert "INBOX has 1 message" in ended.out
    assert "IDLE, UIDPLUS, MOVE" in ended.out


def test_check_says_what_is_wrong(user: User) -> None:
    def failed(ended: Ended) -> str:
        assert ended.status == 1
        (line,) = [line for line in ended.out.splitlines() if line.startswith("FAILED")]
        return line

    assert "IMAP_PASSWORD" in failed(user.run("check", IMAP_PASSWORD="wrong"))
    assert "INBOX" in failed(user.run("check", "--mailbox", "Inbax"))


@pytest.mark.parametrize("options", [[], ["--no-idle"]], ids=["IDLE", "no IDLE"])
def test_watch_prints_what_comes(user: User, dovecot: Dovecot, options: list[str]) -> None:
    dovecot.deliver(name(user), mail("one"))
    with user.start("watch", *options) as watch:
        assert watch.line()["subject"] == "one"
        dovecot.deliver(name(user), mail("two"))
        assert watch.line()["subject"] == "two"
        watch.tell(signal.SIGINT)
        assert watch.end().status == 0
    assert user.run("poll").json[-1]["result"]["new"] == 0


def test_dead_mail_is_asked_for_beside_a_watch(user: User, dovecot: Dovecot) -> None:
    dovecot.deliver(name(user), mail("one"))
    store = SqliteStateStore(user.directory / "nornmail.db")
    poller = Poller(ImapSettings.from_env(user.environment), store=store, on_message=refuse)
    poller.poll_once()
    poller.close()
    store.close()
    with user.start("watch") as watch:
        watch.complaint("IMAP poller starting")
        (letter,) = user.run("dead", "list", "--json").json
        assert user.run("dead", "show", "--raw", letter["id"]).out.encode() == mail("one")
        assert user.run("dead", "retry", letter["id"]).status == 0
        assert retried(watch) == "one"
    with dovecot.connect(name(user)) as client:
        client.select("INBOX", readonly=True)
        assert client.search(None, "SEEN") == ("OK", [b"1"])


def retried(watch: Running) -> object:
    subject = watch.line()["subject"]
    watch.tell(signal.SIGTERM)
    assert watch.end().status == 0
    return subject
