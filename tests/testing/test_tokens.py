"""OAUTHBEARER and XOAUTH2 on the test server, octet by octet."""

from __future__ import annotations

from base64 import b64encode

import pytest

from nornmail.testing import MailServer, faults
from tests.testing.raw_client import USER, RawClient

GOOD = "t0ken"
BEARER = f"n,a={USER},\1host=h\1port=143\1auth=Bearer {GOOD}\1\1".encode()
XOAUTH2 = f"user={USER}\1auth=Bearer {GOOD}\1\1".encode()


@pytest.fixture(autouse=True)
def _with_tokens(server: MailServer) -> None:
    server.capabilities |= {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}
    server.tokens().add(GOOD)


@pytest.mark.parametrize(
    ("mechanism", "message"), [(b"OAUTHBEARER", BEARER), (b"XOAUTH2", XOAUTH2)]
)
def test_a_good_token_is_taken_and_not_shown(
    server: MailServer, mechanism: bytes, message: bytes
) -> None:
    packed = b64encode(message)
    with RawClient.to(server, login=False) as client:
        answer = client.command(b"AUTHENTICATE " + mechanism + b" " + packed)
    assert answer.startswith(b"tag OK")
    assert server.logins == 1
    assert packed.decode() not in "\n".join(server.transcript)


@pytest.mark.parametrize(
    ("mechanism", "message", "farewell", "end"),
    [
        pytest.param(b"XOAUTH2", b"", b"", b"NO", id="nothing"),
        pytest.param(b"XOAUTH2", XOAUTH2[:-1], b"", b"NO", id="an octet is missing"),
        pytest.param(b"XOAUTH2", XOAUTH2.replace(b"t0ken", b"x"), b"", b"NO", id="a bad token"),
        pytest.param(b"XOAUTH2", b"user=\xff\1auth=Bearer x\1\1", b"", b"NO", id="no UTF-8"),
        pytest.param(b"XOAUTH2", BEARER, b"AQ==", b"BAD", id="the other one's farewell"),
        pytest.param(b"OAUTHBEARER", XOAUTH2, b"AQ==", b"NO", id="the other one's message"),
        pytest.param(b"OAUTHBEARER", b"", b"", b"BAD", id="no farewell"),
    ],
)
def test_a_bad_token_is_told_in_a_challenge(
    server: MailServer, mechanism: bytes, message: bytes, farewell: bytes, end: bytes
) -> None:
    with RawClient.to(server, login=False) as client:
        tag = client.start(b"AUTHENTICATE " + mechanism)
        assert client.line() == b"+ \r\n"
        client.send(b64encode(message) + b"\r\n")
        assert client.line().startswith(b"+ eyJzdGF0dXMi")
        client.send(farewell + b"\r\n")
        assert client.answer(tag).startswith(b"tag " + end)
    assert server.logins == 0


def test_a_mechanism_that_is_not_offered_is_not_there(server: MailServer) -> None:
    server.capabilities.discard("AUTH=XOAUTH2")
    with RawClient.to(server, login=False) as client:
        assert client.command(b"AUTHENTICATE XOAUTH2").startswith(b"tag NO Unsupported")


def test_a_login_can_be_refused_by_order(server: MailServer) -> None:
    server.faults.add(faults.RejectLogin("Too many logins.", code="LIMIT"))
    with RawClient.to(server, login=False) as client:
        tag = client.start(b"AUTHENTICATE XOAUTH2 " + b64encode(XOAUTH2))
        client.line()
        client.send(b"\r\n")
        assert client.answer(tag) == b"tag NO [LIMIT] Too many logins.\r\n"
