"""Logging in: every mechanism, with the first response in the command and after it."""

from __future__ import annotations

import pytest

from nornmail.testing import MailServer, smtp_faults
from nornmail.testing.accounts import MAX_SASL_LINE
from tests.testing.smtp.raw import (
    OAUTHBEARER,
    PASSWORD,
    PLAIN,
    TOKEN,
    USER,
    XOAUTH2,
    RawClient,
    encoded,
)

WRONG = encoded(f"\0{USER}\0wrong")
EXPIRED = encoded(f"user={USER}\x01auth=Bearer expired\x01\x01")


@pytest.fixture
def server(server: MailServer) -> MailServer:
    server.smtp.extensions |= {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}
    server.tokens(USER).add(TOKEN)
    return server


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        pytest.param([b"PLAIN " + PLAIN], [235], id="PLAIN at once"),
        pytest.param([b"plain", PLAIN], [334, 235], id="PLAIN after a challenge"),
        pytest.param([b"LOGIN", encoded(USER), encoded(PASSWORD)], [334, 334, 235], id="LOGIN"),
        pytest.param(
            [b"LOGIN " + encoded(USER), encoded(PASSWORD)], [334, 235], id="LOGIN with the name"
        ),
        pytest.param([b"XOAUTH2 " + XOAUTH2], [235], id="XOAUTH2 at once"),
        pytest.param([b"XOAUTH2", XOAUTH2], [334, 235], id="XOAUTH2 after a challenge"),
        pytest.param([b"OAUTHBEARER " + OAUTHBEARER], [235], id="OAUTHBEARER"),
        pytest.param([b"PLAIN " + WRONG], [535], id="a wrong password"),
        pytest.param([b"PLAIN " + encoded("\0nobody\0x")], [535], id="an unknown user"),
        pytest.param([b"PLAIN " + encoded("a\0b")], [535], id="PLAIN in two parts"),
        pytest.param([b"PLAIN =", b"NOOP"], [535, 250], id="an empty response"),
        pytest.param([b"PLAIN AP8A/w=="], [535], id="a name that is not UTF-8"),
        pytest.param([b"XOAUTH2 " + EXPIRED, b""], [334, 535], id="an expired token"),
        pytest.param([b"XOAUTH2 " + PLAIN, b"*"], [334, 501], id="a refusal that is cancelled"),
        pytest.param([b"LOGIN", b"*", b"NOOP"], [334, 501, 250], id="cancelled"),
        pytest.param([b"LOGIN", b"?", b"NOOP"], [334, 501, 250], id="not base64"),
        pytest.param([b"PLAIN a b", b"NOOP"], [501, 250], id="too many words"),
        pytest.param([b"CRAM-MD5"], [504], id="an unknown mechanism"),
        pytest.param([b""], [501], id="no mechanism"),
        pytest.param([b"PLAIN", b"A" * MAX_SASL_LINE + b"AAAA"], [334, 500], id="an endless line"),
    ],
)
def test_auth(server: MailServer, lines: list[bytes], codes: list[int]) -> None:
    with RawClient.to(server) as client:
        assert client.codes(b"AUTH " + lines[0], *lines[1:]) == codes
    assert server.smtp.logins == codes.count(235)
    assert server.logins == 0


def test_a_mechanism_that_is_not_offered_is_refused(server: MailServer) -> None:
    server.smtp.extensions.discard("AUTH=LOGIN")
    with RawClient.to(server) as client:
        assert client.codes(b"AUTH LOGIN") == [504]


def test_nor_is_one_that_a_fault_has_asked_for(server: MailServer) -> None:
    server.faults.add(smtp_faults.Answer("AUTH", 334, "VXNlcm5hbWU6"))
    with RawClient.to(server) as client:
        assert client.codes(b"AUTH LOGIN", encoded(PASSWORD), b"NOOP") == [334, 500, 250]
    assert encoded(PASSWORD).decode() not in "\n".join(server.transcript)
    assert server.smtp.commands[-2:] == [b"****", b"NOOP"]


def test_no_secret_is_in_the_transcript(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.codes(b"AUTH PLAIN " + WRONG, b"AUTH PLAIN", PLAIN)
    with RawClient.to(server) as client:
        client.codes(b"auth  login " + encoded(USER), encoded(PASSWORD), b"NOOP")
    told = "\n".join(server.transcript) + repr(server.smtp.commands)
    for secret in (WRONG, PLAIN, encoded(PASSWORD), encoded(USER)):
        assert secret.decode() not in told
    assert "[smtp 1] C: AUTH PLAIN ****\n" in told
    assert "[smtp 1] C: AUTH PLAIN\n[smtp 1] S: 334 \n[smtp 1] C: ****\n" in told
    assert server.smtp.commands[-1] == b"NOOP"
