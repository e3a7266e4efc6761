"""Inboxes over HTTP: made, listed, removed, and looked into now."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from nornmail import ImapSettings, Inbox, MemoryStateStore, Poller
from nornmail.errors import ConfigurationError
from nornmail.testing.imap.faults import Answer, Call
from nornmail.web import application
from tests.web.support import ACCOUNT, World, call

SECONDS = 20.0


def test_an_inbox_is_made(world: World) -> None:
    reply = world.create()
    assert reply.status == 201
    assert reply.body == {
        "id": reply.body["id"],
        "name": "Test",
        "email_address": "test@example.com",
    }
    assert reply.headers["Location"] == f"/v1/inboxes/{reply.body['id']}"
    assert [inbox.address for inbox in world.poller.inboxes] == ["test@example.com"]


def test_its_domain_may_be_another(world: World) -> None:
    app = application(world.another_poller(account="other"), domain="mail.example.net")
    body = {"name": "Test", "email_username": "test"}
    assert call(app, "POST", "/v1/inboxes", body).body["email_address"] == "test@mail.example.net"


@pytest.mark.parametrize("again", ["test", "TEST"], ids=["as it is", "in capitals"])
def test_an_address_that_is_taken_is_a_conflict(world: World, again: str) -> None:
    world.create()
    reply = world.create(again)
    assert reply.status == 409
    assert "example.com" in reply.detail
    assert call(world.app, "GET", "/v1/inboxes").body["count"] == 1


def test_an_inbox_of_the_program_itself_is_a_conflict_too(world: World) -> None:
    world.poller.add_inbox(Inbox("test@example.com"))
    assert world.create().status == 409


@pytest.mark.parametrize(
    ("body", "word"),
    [
        pytest.param({"email_username": "test"}, "name is missing", id="no name"),
        pytest.param({"name": " ", "email_username": "test"}, "name must", id="a blank name"),
        pytest.param({"name": 1, "email_username": "test"}, "name must", id="a number for a name"),
        pytest.param({"name": "a\0b", "email_username": "t"}, "control", id="a NUL in a name"),
        pytest.param({"name": "x" * 201, "email_username": "t"}, "200", id="a name without end"),
        pytest.param({"name": "Test"}, "email_username is missing", id="no user name"),
        pytest.param({"name": "T", "email_username": "a@b"}, "before the @", id="an address"),
        pytest.param({"name": "T", "email_username": "a b"}, "before the @", id="a blank in it"),
        pytest.param({"name": "T", "email_username": "a\r\nb"}, "before the @", id="a line end"),
        pytest.param({"name": "T", "email_username": ".a"}, "before the @", id="a dot in front"),
        pytest.param({"name": "T", "email_username": "x" * 65}, "64", id="a user name too long"),
        pytest.param(
            {"name": "T", "email_username": "t", "backfill": "yes"}, "backfill", id="no switch"
        ),
    ],
)
def test_what_cannot_be_an_inbox_is_refused(world: World, body: dict[str, Any], word: str) -> None:
    reply = call(world.app, "POST", "/v1/inboxes", body)
    assert reply.status == 422
    assert word in reply.detail
    assert world.poller.inboxes == ()


def test_inboxes_are_listed_in_pages(world: World) -> None:
    for number in range(5):
        world.create(f"n{number}")
    reply = call(world.app, "GET", "/v1/inboxes?limit=2&offset=1")
    assert reply.status == 200
    assert reply.body["count"] == 5
    names = [item["email_address"] for item in reply.body["items"]]
    assert names == ["n1@example.com", "n2@example.com"]
    assert call(world.app, "GET", "/v1/inboxes?offset=9").body == {"items": [], "count": 5}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=1001", "offset=-1", "limit=" + "9" * 5000]
)
def test_a_page_that_cannot_be_is_refused(world: World, query: str) -> None:
    assert call(world.app, "GET", f"/v1/inboxes?{query}").status == 422


def test_one_is_shown_and_removed(world: World) -> None:
    made = world.create().body
    target = f"/v1/inboxes/{made['id']}"
    assert call(world.app, "GET", target).body == made
    gone = call(world.app, "DELETE", target)
    assert (gone.status, gone.octets) == (204, b"")
    assert call(world.app, "GET", target).status == 404
    assert call(world.app, "DELETE", target).status == 404
    assert world.poller.inboxes == ()
    assert world.create().status == 201


def test_they_are_there_after_a_restart(world: World) -> None:
    made = world.create().body
    world.poller.close()
    poller = world.another_poller()
    app = application(poller)
    assert call(app, "GET", "/v1/inboxes").body["items"] == [made]
    world.deliver("test@example.com")
    reply = call(app, "POST", f"/v1/inboxes/{made['id']}/sync")
    assert reply.body == {"status": "synced", "new_messages": 1}
    assert [message.inbox for message in world.seen] == ["test@example.com"]


def test_one_that_the_program_has_itself_is_not_added_twice(world: World) -> None:
    world.create()
    poller = world.another_poller(inboxes=[Inbox("Test@example.com")])
    application(poller)
    assert len(poller.inboxes) == 1


def test_a_sync_hands_over_and_counts_what_is_new(world: World) -> None:
    one, other = world.create("one").body["id"], world.create("other").body["id"]
    world.deliver("one@example.com")
    world.deliver("one@example.com, other@example.com")
    reply = call(world.app, "POST", f"/v1/inboxes/{one}/sync")
    assert (reply.status, reply.body) == (200, {"status": "synced", "new_messages": 2})
    assert call(world.app, "POST", f"/v1/inboxes/{other}/sync").body["new_messages"] == 0
    assert len(world.seen) == 3


def test_older_mail_is_handed_over_on_request(world: World) -> None:
    world.deliver("late@example.com")
    world.poller.poll_once()
    made = world.create("late", backfill=True).body
    call(world.app, "POST", f"/v1/inboxes/{made['id']}/sync")
    assert [message.inbox for message in world.seen] == ["late@example.com"]


def test_a_sync_of_an_inbox_that_is_not_there(world: World) -> None:
    reply = call(world.app, "POST", "/v1/inboxes/nothing/sync")
    assert reply.status == 404
    assert "nothing" in reply.detail


def test_a_sync_while_the_server_is_down_says_why(world: World) -> None:
    made = world.create().body
    world.server.refuse_connections = True
    reply = call(world.app, "POST", f"/v1/inboxes/{made['id']}/sync")
    assert reply.status == 502
    assert "connect" in reply.detail


def test_a_sync_with_a_wrong_password_says_what_to_check(world: World) -> None:
    made = world.create().body
    world.server.faults.add(Answer("LOGIN", b"NO [AUTHENTICATIONFAILED] no"))
    reply = call(world.app, "POST", f"/v1/inboxes/{made['id']}/sync")
    assert reply.status == 502
    assert "IMAP_PASSWORD" in reply.detail


def test_a_second_sync_joins_the_first(world: World) -> None:
    target = f"/v1/inboxes/{world.create().body['id']}/sync"
    world.deliver("test@example.com")
    reached, go = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        assert go.wait(SECONDS)

    world.server.faults.add(Call("SELECT", function=hold))
    replies: list[Any] = []

    def sync() -> None:
        replies.append(call(world.app, "POST", target).body)

    first = threading.Thread(target=sync)
    first.start()
    assert reached.wait(SECONDS)
    others = [threading.Thread(target=sync) for _ in range(3)]
    for thread in others:
        thread.start()
    go.set()
    for thread in [first, *others]:
        thread.join(SECONDS)
    # Whoever came while it ran has its figure; whoever came too late for that has made another.
    assert {"status": "synced", "new_messages": 1} in replies
    assert len(replies) == 4
    assert len(world.seen) == 1


def test_a_domain_must_be_known() -> None:
    settings = ImapSettings(host="imap.example.com", username="agent", password="x")
    poller = Poller(settings, store=MemoryStateStore(), on_message=print, inboxes=[])
    with pytest.raises(ConfigurationError, match="EMAIL_DOMAIN"):
        application(poller)


def test_a_poller_with_one_callback_for_all_mail_has_no_inboxes(world: World) -> None:
    poller = world.another_poller(inboxes=None, account="whole")
    app = application(poller)
    body = {"name": "Test", "email_username": "test"}
    reply = call(app, "POST", "/v1/inboxes", body)
    assert reply.status == 409
    assert ACCOUNT.partition("@")[2] in reply.detail
