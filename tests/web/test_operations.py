"""Outgoing messages, decisions, dead letters, metrics: what is described is there."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from nornmail import DeadLetters, Mailer, Reject, SmtpSettings
from nornmail.events import OutboxSent
from nornmail.outgoing import QueueState
from nornmail.web import Metrics, application
from nornmail.web.http import Request, read_request
from nornmail.web.openapi import OPERATIONS, SCHEMAS, document
from tests.support.table import table
from tests.web.support import ACCOUNT, Reply, World, call

OPERATION_IDS = [f"{method} {path}" for method, path in OPERATIONS]


class Desk:
    """The application with a mailer that asks a person, a held message, and a dead letter."""

    def __init__(self, world: World, token: str | None = None) -> None:
        self.world = world
        self.metrics = Metrics()
        smtp = SmtpSettings(host="smtp.example.com", username=ACCOUNT, password="x")
        self.mailer = Mailer(smtp, world.store, approval="queue", on_event=self.metrics)
        world.poller.close()
        self.poller = world.another_poller(
            on_event=self.metrics, on_message=self.metrics.timing(self._refuse)
        )
        self.token = token
        self.app = application(self.poller, self.mailer, metrics=self.metrics, token=token)
        self.inbox = self.ask("POST", "/v1/inboxes", {"name": "n", "email_username": "test"}).body
        self.key = self.mailer.send("ann@example.org", "hi", "t", key="k/ü").key
        world.deliver("test@example.com")
        self.poller.poll_once()
        (self.letter,) = DeadLetters(world.store).list()

    def _refuse(self, message: object) -> None:
        raise Reject("not for us")

    def ask(self, method: str, target: str, body: Any = None, **more: Any) -> Reply:
        if self.token is not None:
            more.setdefault("headers", {})["Authorization"] = f"Bearer {self.token}"
        octets = target.encode().decode("latin-1")  # as a WSGI server has it
        return call(self.app, method, octets, body, **more)

    def state(self) -> object:
        """All that a request may change."""
        store = self.world.store
        return (
            store.queued_messages(self.mailer.outbox, set(QueueState)),
            store.pending_requests(self.mailer.outbox),
            store.inboxes(self.poller.mailbox),
            DeadLetters(store).list(),
        )


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


# The description


def test_every_route_is_described_and_everything_described_is_a_route(desk: Desk) -> None:
    assert set(desk.app.routes) == set(OPERATIONS)  # type: ignore[attr-defined]
    described = desk.ask("GET", "/v1/openapi.json")
    assert described.body == document()
    assert {
        (method.upper(), path) for path, methods in described.body["paths"].items()
        for method in methods
    } == set(OPERATIONS)  # fmt: skip


def test_every_reference_of_the_description_leads_somewhere() -> None:
    text = json.dumps(document())
    references = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert references <= set(SCHEMAS)
    named = {n for o in OPERATIONS.values() for n in (*o.responses.values(), o.body)}
    assert named <= {*SCHEMAS, "", "text", "object"}


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=OPERATION_IDS)
@pytest.mark.parametrize("query", ["stat=sent", "stat="])
def test_a_parameter_that_there_is_not_is_refused(
    desk: Desk, method: str, path: str, query: str
) -> None:
    refused = desk.ask(method, f"{path.replace('{id}', 'x')}?{query}")
    assert refused.status == 422
    known = OPERATIONS[method, path].query
    assert "there is no parameter 'stat'; " in refused.detail
    assert all(name in refused.detail for name in known)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=OPERATION_IDS)
def test_every_operation_answers_as_it_is_described(desk: Desk, method: str, path: str) -> None:
    operation = OPERATIONS[method, path]
    ids = {"inboxes": desk.inbox["id"], "accounts": desk.poller.mailbox.account}
    ids |= {"messages": desk.key, "dead": desk.letter.id}
    bodies: dict[str, Any] = {
        "NewInbox": {"name": "n", "email_username": "other"},
        "NewMessage": {"inbox_id": desk.inbox["id"], "to": "ann@example.org", "body": "t"},
        "Decision": {"who": "Kim", "why": "fine"},
    }
    target = path.replace("{id}", ids.get(path.split("/")[2] if "{id}" in path else "", ""))
    reply = desk.ask(method, target, bodies.get(operation.body))
    assert reply.status in operation.responses, reply.octets
    schema = operation.responses[reply.status]
    if schema == "text":
        assert reply.headers["Content-Type"].startswith("text/plain")
    elif not schema:
        assert reply.octets == b""
    elif schema != "object":
        body = reply.body["items"][0] if operation.is_list else reply.body
        assert list(reply.body) == ["items", "count"] or not operation.is_list
        fields = {name for name, kind in SCHEMAS[schema].items() if not kind.endswith("~")}
        assert set(body) == fields or (schema, reply.status) == ("Health", 503)
        for name, kind in SCHEMAS[schema].items():
            assert name not in body or body[name] is not None or kind.endswith("?"), name
    if operation.body:
        refused = desk.ask(method, target, {**bodies[operation.body], "wo": "Kim"})
        assert refused.status == 422
        assert "there is no field 'wo'; they are " in refused.detail
    if "{id}" in path:
        unknown = desk.ask(method, path.replace("{id}", "nothing"), bodies.get(operation.body))
        assert (unknown.status, set(unknown.body)) == (404, set(SCHEMAS["Error"]))


def test_every_parameter_that_is_read_is_described(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()

    class Noting(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            names.add(name)
            return super().get(name, default)

    def read(*arguments: Any) -> Request:
        request = read_request(*arguments)
        return replace(request, query=Noting(request.query), headers=Noting(request.headers))

    monkeypatch.setitem(application.__globals__, "read_request", read)
    ids = {"accounts": desk.poller.mailbox.account, "messages": desk.key}
    body = {"inbox_id": desk.inbox["id"], "to": "ann@example.org", "body": "t"}
    for (method, path), operation in OPERATIONS.items():
        names.clear()
        target = path.replace("{id}", ids.get(path.split("/")[2] if "{id}" in path else "", "x"))
        desk.ask(method, target, body if operation.body == "NewMessage" else None)
        parameters = document()["paths"][path][method.lower()]["parameters"]
        described = {p["name"].lower() for p in parameters if p["in"] != "path"}
        assert names - {"authorization"} == described, (method, path)


# Outgoing messages and decisions


def test_a_held_message_is_listed_shown_and_approved_once(desk: Desk) -> None:
    listed = desk.ask("GET", "/v1/outbox?state=held").body
    assert (listed["count"], listed["items"][0]["id"]) == (1, "k/ü")
    message_id = listed["items"][0]["message_id"]
    assert desk.ask("GET", f"/v1/messages/{message_id}").body == listed["items"][0]
    for _ in range(2):
        reply = desk.ask("POST", "/v1/messages/k/ü/approve", {"who": "Kim", "why": "fine"})
        assert (reply.status, reply.body["status"]) == (200, "queued")
        assert reply.body["decision"] == "approved by Kim: fine"
    refused = desk.ask("POST", "/v1/messages/k/ü/reject")
    assert (refused.status, "was approved by Kim" in refused.detail) == (409, True)
    assert desk.ask("GET", "/v1/outbox?state=held").body == {"items": [], "count": 0}
    assert desk.ask("GET", "/v1/outbox?state=all&limit=1").body["count"] == 1


def test_a_rejected_message_has_failed(desk: Desk) -> None:
    reply = desk.ask("POST", "/v1/messages/k/ü/reject")
    assert (reply.status, reply.body["status"]) == (200, "failed")
    assert reply.body["reason"] == "rejected by the control interface"
    assert desk.ask("POST", "/v1/messages/k/ü/approve").status == 409


def test_a_dead_letter_is_shown_with_its_message_and_tried_again(desk: Desk) -> None:
    shown = desk.ask("GET", f"/v1/dead/{desk.letter.id}").body
    assert (shown["letter"]["reason"], shown["message"]["subject"]) == ("not for us", "hello")
    assert desk.ask("POST", f"/v1/dead/{desk.letter.id}/retry").status == 202
    (letter,) = desk.ask("GET", "/v1/dead").body["items"]
    assert letter["is_asked_for"]
    assert desk.ask("GET", f"/v1/dead/{desk.letter.id[:8]}").status == 404, "no part of an id does"


# Metrics


def test_the_metrics_are_prometheus_text_that_counts(desk: Desk) -> None:
    before = desk.ask("GET", "/metrics")
    assert before.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = before.octets.decode()
    line = re.compile(
        r'# (HELP|TYPE) nornmail_[a-z_]+ .+|nornmail_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.]+|'
    )
    assert all(line.fullmatch(part) for part in text.split("\n")), text
    samples = dict(part.rsplit(" ", 1) for part in text.splitlines() if part[0] != "#")
    assert samples['nornmail_messages_total{outcome="dead"}'] == "1"
    assert samples["nornmail_messages_dead"] == "1"
    assert samples['nornmail_outbox_messages{state="held"}'] == "1"
    assert samples["nornmail_connections_total"] == "1"
    assert samples["nornmail_handler_seconds_count"] == "1"
    assert samples['nornmail_handler_seconds_bucket{le="+Inf"}'] == "1"
    assert 0 <= float(samples["nornmail_last_poll_age_seconds"]) < 60
    event = OutboxSent(at=desk.letter.died_at, key="k", message_id="<k>", accepted=1, refused=0)
    desk.metrics(event)
    assert b'nornmail_sent_messages_total{outcome="sent"} 1\n' in desk.ask("GET", "/metrics").octets


def test_without_a_poll_or_a_mailer_there_are_metrics_too(world: World) -> None:
    text = call(world.app, "GET", "/metrics").octets.decode()
    assert "nornmail_last_poll_age_seconds NaN\n" in text
    assert "outbox_messages" not in text


# Hostile requests

NEW = [key for key in OPERATIONS if not key[1].startswith(("/v1/inboxes", "/healthz"))]
IDS = [
    "..", "../../etc/passwd", "%00", "\x00", "a\r\nX-Injected: yes", "k/ü/approve/approve", "'; --",
    "x" * 20_000, "<k@example.com", "\udcff", "*", "k", "K/Ü", "k/ü\u200b",
]  # fmt: skip
BODIES: list[Any] = [
    {"who": 1}, {"who": ["Kim"]}, {"who": {}}, {"who": "x" * 501}, {"why": 1},
    {"who": "Kim", "why": "y" * 501}, {"who": True}, {"who": ""}, {"who": " \r\n"},
]  # fmt: skip


@pytest.fixture
def guarded(world: World) -> Desk:
    return Desk(world, "a token of our own")


@table(("method", "path"), NEW, ids=[f"{m} {p}" for m, p in NEW])
def test_without_the_token_nothing_is_seen_or_done(guarded: Desk, method: str, path: str) -> None:
    desk = guarded
    before = desk.state()
    target = path.replace("{id}", desk.letter.id if "dead" in path else "k")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "a token of our own"}):
        reply = call(desk.app, method, target, headers=headers)
        assert (reply.status, reply.body["error"]) == (401, "unauthorized")
    assert desk.state() == before


@table(("method", "path"), NEW, ids=[f"{m} {p}" for m, p in NEW])
def test_no_page_of_another_site_may_use_it(desk: Desk, method: str, path: str) -> None:
    before = desk.state()
    target = path.replace("{id}", desk.letter.id if "dead" in path else "k/ü")
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert desk.ask(method, target, headers=headers).status == 403
    assert desk.state() == before


@table(("path", "name"), product(["/v1/messages/{}", "/v1/dead/{}"], IDS), ids=ascii)
def test_no_id_reaches_anything_else(desk: Desk, path: str, name: str) -> None:
    before = desk.state()
    target = path.format(name).encode("utf-8", "surrogatepass").decode("latin-1")
    for method, suffix in (
        ("GET", ""), ("POST", "/approve"), ("POST", "/reject"), ("POST", "/retry"), ("DELETE", ""),
        ("PUT", "/approve"),
    ):  # fmt: skip
        reply = call(desk.app, method, "", PATH_INFO=target + suffix)
        assert reply.status in (404, 405)
        assert len(reply.octets) < 2_000
        assert not any("\r" in value or "\n" in value for value in reply.headers.values())
    assert desk.state() == before


@table(
    ("verdict", "body"), product(["approve", "reject"], BODIES), ids=lambda value: ascii(value)[:40]
)
def test_a_decision_of_another_shape_decides_nothing(desk: Desk, verdict: str, body: Any) -> None:
    before = desk.state()
    assert desk.ask("POST", f"/v1/messages/k/ü/{verdict}", body).status == 422
    assert desk.state() == before


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=1e9"])
@pytest.mark.parametrize("path", ["/v1/outbox", "/v1/dead"])
def test_a_page_has_bounds(desk: Desk, path: str, query: str) -> None:
    assert desk.ask("GET", f"{path}?{query}").status == 422


def test_an_unknown_state_is_refused(desk: Desk) -> None:
    reply = desk.ask("GET", "/v1/outbox?state=everything")
    assert (reply.status, "state must be one of" in reply.detail) == (422, True)


def test_a_body_that_is_too_large_decides_nothing(desk: Desk) -> None:
    before = desk.state()
    reply = desk.ask("POST", "/v1/messages/k/ü/approve", octets=b'{"why":"' + b"x" * 2**20 + b'"}')
    assert reply.status == 413
    assert desk.state() == before


def test_a_reason_with_line_ends_and_controls_stays_on_one_line(desk: Desk) -> None:
    body = {"who": "Kim\r\nX: y", "why": "a\u2028b\x1b[2J\x00c"}
    reply = desk.ask("POST", "/v1/messages/k/ü/approve", body)
    assert reply.body["decision"] == "approved by Kim X: y: a b [2J c"
