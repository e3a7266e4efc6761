"""Whether all is well, for whoever watches."""

from __future__ import annotations

from datetime import UTC, datetime

from nornmail.poller.status import PollerState, Status
from nornmail.web import application
from nornmail.web.application import WELL, health
from tests.support.table import table
from tests.web.support import World, call

NOW = datetime(2027, 1, 15, tzinfo=UTC)


@table("state", PollerState)
def test_every_state_is_well_or_not(state: PollerState) -> None:
    answer = health(Status(state=state, since=NOW, reason="why"), details=True)
    assert answer.status == (200 if state in WELL else 503)
    assert answer.body["status"] == ("healthy" if state in WELL else "unhealthy")
    assert answer.body["reason"] == ("" if state in WELL else "why")


def test_the_states_that_are_well_are_states() -> None:
    assert set(WELL) <= {str(state) for state in PollerState}


def test_what_stalls_is_not_well_whatever_it_does() -> None:
    answer = health(Status(state=PollerState.POLLING, since=NOW, stalled=True), details=True)
    assert answer.status == 503
    assert "no poll" in answer.body["reason"]


def test_a_poller_that_was_not_started_says_so(world: World) -> None:
    reply = call(world.app, "GET", "/healthz")
    assert reply.status == 503
    assert reply.body["reason"] == "not started"


def test_one_that_runs_is_healthy(world: World) -> None:
    with world.poller:
        world.poller.sync()
        reply = call(world.app, "GET", "/healthz")
    assert (reply.status, reply.body["status"]) == (200, "healthy")
    assert reply.body["last_poll_at"]


def test_why_is_for_those_who_may_ask(world: World) -> None:
    app = application(world.poller, token="token")
    reply = call(app, "GET", "/healthz")
    assert (reply.status, reply.body) == (503, {"status": "unhealthy"})
    reply = call(app, "GET", "/healthz", headers={"Authorization": "Bearer token"})
    assert reply.body["reason"] == "not started"
