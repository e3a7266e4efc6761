"""A delivery report is read, and what only looks like one is not."""

from __future__ import annotations

import pytest

from nornmail.message.bounce import FailedRecipient
from nornmail.message.message import parse_message
from tests.message.reading import mail

REPORT = b"""\
--b

It failed.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.x

Final-Recipient: rfc822; ann@x
Action: failed
Status: 5.1.1 (no such user)
Diagnostic-Code: smtp; 550 5.1.1
 no such user

Original-Recipient: rfc822; bob@x
Final-Recipient: rfc822; bob+box@y
Action: delayed
Status: 4.2.2

Final-Recipient: rfc822; carol@x
Action: delivered
Status: 2.0.0
--b
Content-Type: message/rfc822

Message-ID: <mine@x>
Subject: hello

text
--b--
"""


def test_a_delivery_report() -> None:
    fields = {"Content_Type": b"multipart/report; report-type=delivery-status; boundary=b"}
    bounce = parse_message(mail(REPORT, **fields)).bounce
    assert bounce is not None
    assert bounce.recipients == (
        FailedRecipient("ann@x", "failed", "5.1.1", "550 5.1.1 no such user", "ann@x"),
        FailedRecipient("bob@x", "delayed", "4.2.2", "", "bob+box@y"),
    )
    assert bounce.original_message_id == "<mine@x>"
    assert bounce.is_permanent


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(REPORT, b"text/plain", id="a text that looks like one"),
        pytest.param(REPORT.replace(b"failed", b"relayed").replace(b"delayed", b"expanded"),
                     b"multipart/report; boundary=b", id="a report of success"),
        pytest.param(b"--b\nContent-Type: message/delivery-status\n\n\xff\n--b--",
                     b"multipart/report; boundary=b", id="rubbish"),
    ],
)  # fmt: skip
def test_what_is_no_bounce(body: bytes, content_type: bytes) -> None:
    assert parse_message(mail(body, Content_Type=content_type)).bounce is None
