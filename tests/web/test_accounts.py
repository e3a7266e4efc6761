"""The interface over several accounts: each is listed, polled and counted by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from nornmail import ConfigurationError, ImapSettings, Mailer, PollerGroup
from nornmail.web import Metrics, WsgiApplication, application
from tests.web.support import PASSWORD, Reply, World, call

NAMES = ("ann@one.example", "bob@two.example")


class Office:
    """A group of two accounts, and the interface over it."""

    def __init__(self, world: World, stack: ExitStack) -> None:
        self.world = world
        self.metrics = Metrics()
        self.group = PollerGroup(
            world.store,
            on_event=lambda key, event: self.metrics.of(key.account)(event),
            on_message=world.seen.append,
            inboxes=[],
        )
        self.mailers: dict[str, Mailer] = {}
        self.app: WsgiApplication = application(self.group, self.mailers, metrics=self.metrics)
        for name in NAMES:
            world.server.add_user(name, PASSWORD)
            self.group.add(self.settings(name))
        self.ids = [f"{name}@{world.server.host}" for name in NAMES]
        smtp = world.server.smtp_settings(NAMES[0])
        self.mailers[self.ids[0]] = mailer = Mailer(smtp, world.store, account=self.ids[0])
        stack.callback(mailer.close)

    def settings(self, name: str, password: str = PASSWORD) -> ImapSettings:
        server = self.world.server
        return ImapSettings(
            host=server.host,
            port=server.imap_port,
            use_ssl=False,
            username=name,
            password=password,
            start_from="all",
        )

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        return call(self.app, method, path, body)

    def create(self, account: str | None = None) -> Reply:
        body = {"name": "Help", "email_username": "help", "account": account}
        return self.ask("POST", "/v1/inboxes", body)

    def deliver(self, name: str, to: str) -> None:
        raw = f"From: kim@example.org\r\nTo: {to}\r\nSubject: for {to}\r\n\r\nhello\r\n"
        self.world.server.deliver(raw.encode(), user=name)


@pytest.fixture
def office(world: World) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(world, stack)


def test_each_account_has_its_inboxes_its_mail_and_its_figures(office: Office) -> None:
    made = [office.create(account).body for account in office.ids]
    assert [inbox["email_address"] for inbox in made] == ["help@one.example", "help@two.example"]
    assert [inbox["account"] for inbox in made] == office.ids
    assert office.ask("GET", "/v1/inboxes").body == {"items": made, "count": 2}
    with office.group:
        office.deliver(NAMES[1], "help@two.example")
        office.deliver(NAMES[1], "other@two.example")
        reply = office.ask("POST", f"/v1/inboxes/{made[1]['id']}/sync")
        assert reply.body == {"status": "synced", "new_messages": 1}
        office.deliver(NAMES[0], "help@one.example")
        reply = office.ask("POST", f"/v1/accounts/{office.ids[0]}/sync")
        assert (reply.status, reply.body["new_messages"]) == (200, 1)
        assert office.ask("POST", "/v1/accounts/nothing/sync").status == 404
        listed = office.ask("GET", "/v1/accounts").body["items"]
        assert [(one["id"], one["handled"]) for one in listed] == [(i, 1) for i in office.ids]
        health = office.ask("GET", "/healthz")
        assert health.body == {"status": "healthy", "accounts": 2, "unhealthy": []}
    assert [m.inbox for m in office.world.seen] == ["help@two.example", "help@one.example"]
    text = office.ask("GET", "/metrics").octets.decode()
    for account in office.ids:
        sample = f'nornmail_messages_total{{account="{account}",outcome="handled"}} 1\n'
        assert text.count(sample) == 1
        assert f'nornmail_messages_dead{{account="{account}",mailbox="INBOX"}} 0\n' in text
    assert text.count("# TYPE nornmail_messages_total counter\n") == 1


def test_an_account_sends_with_its_own_mailer(office: Office) -> None:
    ids = [office.create(account).body["id"] for account in office.ids]
    message = {"to": "kim@example.org", "subject": "s", "body": "b"}
    reply = office.ask("POST", "/v1/messages", {"inbox_id": ids[0], **message})
    assert reply.status == 202
    (queued,) = office.ask("GET", "/v1/outbox").body["items"]
    assert (queued["account"], queued["sender"]) == (office.ids[0], "help@one.example")
    reply = office.ask("POST", "/v1/messages", {"inbox_id": ids[1], **message})
    assert (reply.status, "SMTP_HOST" in reply.detail) == (503, True)


def test_an_inbox_needs_an_account_that_is_there(office: Office) -> None:
    for account in (None, "nothing", 5, ["x"]):
        reply = office.create(account)  # type: ignore[arg-type]
        assert (reply.status, "GET /v1/accounts" in reply.detail) == (422, True)


def test_inboxes_come_back_with_an_account_that_is_replaced_or_added_again(office: Office) -> None:
    (made,) = [office.create(office.ids[0]).body]
    poller = office.group.replace(office.settings(NAMES[0]))
    assert [inbox.address for inbox in poller.inboxes] == [made["email_address"]]
    office.group.remove(office.ids[0])
    assert office.ask("GET", f"/v1/inboxes/{made['id']}").status == 404
    office.group.add(office.settings(NAMES[0]))
    assert office.ask("GET", f"/v1/inboxes/{made['id']}").body == made


def test_one_account_that_fails_does_not_make_the_service_unhealthy(office: Office) -> None:
    office.group.replace(office.settings(NAMES[0], "wrong"))
    with office.group:
        assert office.ask("POST", f"/v1/accounts/{office.ids[0]}/sync").status == 502
        assert office.ask("POST", f"/v1/accounts/{office.ids[1]}/sync").status == 200
        health = office.ask("GET", "/healthz")
        assert (health.status, health.body["unhealthy"][0]["id"]) == (200, office.ids[0])
        office.group.replace(office.settings(NAMES[1], "wrong"))
        assert office.ask("POST", f"/v1/accounts/{office.ids[1]}/sync").status == 502
        assert office.ask("GET", "/healthz").status == 503


def test_a_user_name_without_a_domain_needs_one(office: Office) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_DOMAIN"):
        office.group.add(office.settings("ann"))
    assert len(list(office.group)) == 2
