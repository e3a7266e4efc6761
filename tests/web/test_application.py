"""Who may ask, what is refused, and that every answer is JSON."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from nornmail.errors import ConfigurationError, StoreError
from nornmail.web import MAX_BODY, application
from nornmail.web.http import BodyBudget, HTTPError
from tests.web.support import World, call

TOKEN = "a token of our own"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        pytest.param("GET", "/", 404, None, id="nothing at the root"),
        pytest.param("GET", "/v1/nothing", 404, None, id="no such path"),
        pytest.param("GET", "/v1/inboxes/a/b/c", 404, None, id="too many parts"),
        pytest.param("GET", "//v1/inboxes", 404, None, id="two slashes"),
        pytest.param("PUT", "/v1/inboxes", 405, "GET, POST", id="a method of another path"),
        pytest.param("POST", "/healthz", 405, "GET", id="health takes no POST"),
        pytest.param("GET", "/v1/messages", 405, "POST", id="messages are not listed"),
        pytest.param("DELETE", "/v1/inboxes/x/sync", 405, "POST", id="a sync is asked for"),
        pytest.param("GET", "/v1/inboxes/", 200, None, id="a slash at the end"),
        pytest.param("HEAD", "/v1/inboxes", 200, None, id="the head alone"),
    ],
)
def test_paths_and_methods(
    world: World, method: str, target: str, status: int, allow: str | None
) -> None:
    reply = call(world.app, method, target)
    assert reply.status == status
    assert reply.headers.get("Allow") == allow
    if method != "HEAD":
        assert reply.headers["Content-Type"] == "application/json"
        assert isinstance(reply.body, dict)


@pytest.mark.parametrize(
    ("octets", "environ", "status", "word"),
    [
        pytest.param(b"{", {}, 400, "not JSON", id="broken JSON"),
        pytest.param(b"[1]", {}, 400, "object", id="a list"),
        pytest.param(b"\xff\xfe", {}, 400, "not JSON", id="no UTF-8"),
        pytest.param(b"[" * 19_000, {}, 400, "not JSON", id="deep nesting"),
        pytest.param(b"{}", {"CONTENT_TYPE": "text/plain"}, 415, "application/json", id="no type"),
        pytest.param(
            b"a=b", {"CONTENT_TYPE": "application/x-www-form-urlencoded"}, 415, "JSON", id="a form"
        ),
        pytest.param(b"{}", {"CONTENT_LENGTH": "٣"}, 400, "must be a number", id="another digit"),
        pytest.param(b"{}", {"CONTENT_LENGTH": "9"}, 400, "ended before", id="less than it says"),
        pytest.param(b"x" * (MAX_BODY + 1), {}, 413, "1,048,576", id="too large"),
        pytest.param(b"{}", {"CONTENT_LENGTH": "9" * 40}, 413, "octets", id="an endless length"),
        pytest.param(b"", {}, 422, "name is missing", id="no body at all"),
        pytest.param(b"{}", {"QUERY_STRING": "a=b&" * 101}, 400, "fields", id="an endless query"),
    ],
)
def test_bodies(
    world: World, octets: bytes, environ: dict[str, Any], status: int, word: str
) -> None:
    reply = call(world.app, "POST", "/v1/inboxes", octets=octets, **environ)
    assert reply.status == status
    assert word in reply.detail
    assert set(reply.body) == {"error", "detail"}


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"x" * (MAX_BODY + 1), "content too large", id="413"),
        pytest.param(b"{}", "unprocessable content", id="422"),
    ],
)
def test_the_words_of_an_error_are_the_same_on_every_python(
    world: World, octets: bytes, error: str
) -> None:
    assert call(world.app, "POST", "/v1/inboxes", octets=octets).body["error"] == error


def test_a_body_of_unknown_length_is_read_where_the_server_ends_it(world: World) -> None:
    body = json.dumps({"name": "T", "email_username": "t"}).encode()
    more: dict[str, Any] = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}
    assert call(world.app, "POST", "/v1/inboxes", octets=body, **more).status == 201
    more["wsgi.input"] = io.BytesIO(b"x" * (MAX_BODY + 2))
    assert call(world.app, "POST", "/v1/inboxes", octets=body, **more).status == 413
    # And left alone where nobody ends it: it could be waited for without end.
    none: dict[str, Any] = {"CONTENT_LENGTH": None}
    assert call(world.app, "POST", "/v1/inboxes", octets=body, **none).status == 422
    none["HTTP_TRANSFER_ENCODING"] = "chunked"
    assert call(world.app, "POST", "/v1/inboxes", octets=body, **none).status == 411


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="none"),
        pytest.param(bearer("another"), 401, id="another"),
        pytest.param(bearer(TOKEN + "x"), 401, id="one that begins alike"),
        pytest.param(bearer("ü"), 401, id="one that is not ASCII"),
        pytest.param({"Authorization": TOKEN}, 401, id="no kind"),
        pytest.param({"Authorization": f"Basic {TOKEN}"}, 401, id="another kind"),
        pytest.param({"Authorization": f"bearer {TOKEN}"}, 200, id="the kind in small letters"),
        pytest.param(bearer(TOKEN), 200, id="the right one"),
    ],
)
def test_a_token_is_honoured(world: World, headers: dict[str, str], status: int) -> None:
    app = application(world.poller, token=TOKEN)
    reply = call(app, "GET", "/v1/inboxes", headers=headers)
    assert reply.status == status
    if status == 401:
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in reply.octets.decode()


def test_who_may_not_ask_learns_nothing_of_what_there_is(world: World) -> None:
    app = application(world.poller, token=TOKEN)
    replies = [
        call(app, method, target, octets=b"x" * (MAX_BODY + 1)).octets
        for method, target in (("GET", "/nothing"), ("PUT", "/v1/inboxes"), ("POST", "/v1/inboxes"))
    ]
    assert len(set(replies)) == 1


def test_an_empty_token_is_refused(world: World) -> None:
    with pytest.raises(ConfigurationError, match="NORNMAIL_API_TOKEN"):
        application(world.poller, token=" ")


def test_what_goes_wrong_within_is_an_answer_too(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise StoreError("the disk is full of secrets")

    monkeypatch.setattr(world.store, "inboxes", fails)
    reply = call(world.app, "GET", "/v1/inboxes")
    assert reply.status == 500
    assert "secrets" not in reply.octets.decode()
    assert "the disk is full" in caplog.text


def test_any_path_gets_an_answer(world: World) -> None:
    for path in ("/v1/inboxes/\xff", "/v1/inboxes/%00", "/\udcff", "/v1/inboxes/" + "x" * 10_000):
        octets = path.encode("utf-8", "surrogateescape").decode("latin-1")
        assert call(world.app, "GET", octets).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(
            {"Host": "evil.example:80"}, 403, id="a name that was rebound to this machine"
        ),
        pytest.param({"Host": "127.0.0.1:8000"}, 403, id="another port of this machine"),
        pytest.param({"Host": "localhost"}, 200, id="localhost"),
        pytest.param({"Host": "LOCALHOST:80"}, 200, id="localhost in capitals, with its port"),
        pytest.param({"Host": "[::1]:80"}, 200, id="IPv6"),
        pytest.param({"Host": "mail.example"}, 200, id="a name that was allowed"),
        pytest.param({"Host": ""}, 200, id="a client of HTTP 1.0 without Host"),
        pytest.param({"Origin": "http://evil.example"}, 403, id="a page of another site"),
        pytest.param({"Origin": "null"}, 403, id="a page without an origin, such as a file"),
        pytest.param({"Origin": "http://127.0.0.1"}, 200, id="a page of its own"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="a link or image of another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, 403, id="another port of this machine's"),
        pytest.param({"Sec-Fetch-Site": "none"}, 200, id="a person who typed the address"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_web_page_gives_no_orders(
    world: World, method: str, headers: dict[str, str], status: int
) -> None:
    app = application(world.poller, hosts=["mail.example"])
    reply = call(app, method, "/v1/inboxes", headers=headers)
    assert (reply.status == 403) == (status == 403)


def test_with_a_token_any_name_will_do_but_no_page(world: World) -> None:
    app = application(world.poller, token="hush")
    authorized = {"Authorization": "Bearer hush", "Host": "mail.example:8000"}
    assert call(app, "GET", "/v1/inboxes", headers=authorized).status == 200
    page = {**authorized, "Origin": "http://evil.example"}
    assert call(app, "GET", "/v1/inboxes", headers=page).status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "a/b"])
def test_a_form_without_a_body_is_refused(world: World, kind: str) -> None:
    reply = call(world.app, "POST", "/v1/inboxes/x/sync", CONTENT_TYPE=kind)
    assert reply.status == 415


def test_large_bodies_wait_for_each_other() -> None:
    budget = BodyBudget(100, small=10, seconds=0.01)
    with budget.reserve(60), budget.reserve(10), budget.reserve(40), budget.reserve(10):
        with pytest.raises(HTTPError, match="large") as refused, budget.reserve(11):
            pass
        assert refused.value.response.status == 503
    with budget.reserve(100):
        pass
