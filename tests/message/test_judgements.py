"""Who sent it: a machine, a trusted sender, or a server that could not deliver."""

from __future__ import annotations

import pytest

from nornmail.message import Authentication, FailedRecipient, parse_message
from tests.message.reading import mail


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"Auto_Submitted": b"auto-replied; x=y"}, "Auto-Submitted: auto-replied",
                     id="an automatic answer"),
        pytest.param({"Auto_Submitted": b"No"}, "", id="a person that says so"),
        pytest.param({"Return_Path": b"<>"}, "Return-Path: <>", id="the null sender"),
        pytest.param({"Return_Path": b"<a@x>"}, "", id="an ordinary sender"),
        pytest.param({"Precedence": b"Bulk"}, "Precedence: bulk", id="bulk mail"),
        pytest.param({"Precedence": b"auto-reply"}, "Precedence: auto_reply", id="auto-reply"),
        pytest.param({"Precedence": b"first-class"}, "", id="another precedence"),
        pytest.param({"List_Id": b"<l.x>"}, "List-Id is present", id="a list"),
        pytest.param({"List_Unsubscribe": b"<http://x>"}, "List-Unsubscribe is present",
                     id="a newsletter"),
        pytest.param({"X_Auto_Response_Suppress": b"All"}, "X-Auto-Response-Suppress: All",
                     id="one that wants no answers"),
        pytest.param({"X_Auto_Response_Suppress": b"None"}, "", id="one that takes answers"),
        pytest.param({"Content_Type": b"multipart/report; boundary=b"},
                     "a report (multipart/report)", id="a report"),
        pytest.param({"From": b"X <no-reply@x>"}, "the sender is no-reply@x", id="no-reply"),
        pytest.param({"From": b"DoNotReply+1@x"}, "the sender is DoNotReply+1@x", id="donotreply"),
        pytest.param({"From": b"Mailer-Daemon@x"}, "the sender is Mailer-Daemon@x", id="daemon"),
        pytest.param({"From": b"ann@noreply.example"}, "", id="the domain does not count"),
    ],
)  # fmt: skip
def test_automatic_mail(fields: dict[str, bytes], reason: str) -> None:
    message = parse_message(mail(**fields))
    assert message.automatic_reason == reason
    assert message.is_automatic is bool(reason)


GOOD = (
    b"mx.x; spf=pass smtp.mailfrom=a.x; dkim=pass header.d=A.x; dmarc=fail (p=none) header.from=a.x"
)
UNVERIFIED = Authentication()


def verdicts(raw: bytes, trusted: str | None = "mx.x") -> tuple[str, str, str]:
    found = parse_message(raw, trusted_authserv_id=trusted).authentication
    return found.spf, found.dkim, found.dmarc


def test_verdicts_of_the_trusted_server() -> None:
    raw = mail(Authentication_Results=GOOD)
    found = parse_message(raw, trusted_authserv_id="MX.x").authentication
    assert found == Authentication("pass", "pass", "fail", ("a.x",), "MX.x")


NOTHING = ("unverified",) * 3


@pytest.mark.parametrize(
    ("raw", "trusted", "expected"),
    [
        pytest.param(mail(Authentication_Results=GOOD), None, NOTHING, id="nobody is trusted"),
        pytest.param(mail(Authentication_Results=GOOD), "x", NOTHING, id="another name"),
        pytest.param(mail(), "mx.x", NOTHING, id="no field"),
        pytest.param(b"Authentication-Results: mx.x; none\n\n", "mx.x", NOTHING, id="no results"),
        pytest.param(b"Authentication-Results: y; spf=fail\n"
                     b"Authentication-Results: " + GOOD + b"\n\n",
                     "mx.x", NOTHING, id="not the topmost"),
        pytest.param(b"Authentication-Results: mx.x; spf=fail\nReceived: from y\n"
                     b"Authentication-Results: " + GOOD + b"\n\n",
                     "mx.x", ("fail", "unverified", "unverified"), id="below a Received field"),
        pytest.param(b"Authentication-Results: mx.x; spf=fail\n"
                     b"Authentication-Results: mx.x; dkim=pass\n\n",
                     "mx.x", ("fail", "pass", "unverified"), id="split over two fields"),
        pytest.param(b"Authentication-Results: mx.x; spf=fail\nAuthentication-Results: "
                     + GOOD + b"\n\n", "mx.x", ("fail", "pass", "fail"), id="the first one wins"),
        pytest.param(b"Authentication-Results: mx.x 1; dkim=fail; dkim=pass header.d=b\n\n", "mx.x",
                     ("unverified", "pass", "unverified"), id="one of two signatures"),
        pytest.param(b"Authentication-Results: mx.x; (dmarc=pass; dmarc=pass) spf=none\n\n", "mx.x",
                     ("none", "unverified", "unverified"), id="a verdict in a comment"),
        pytest.param(b'Authentication-Results: mx.x; spf=fail smtp.mailfrom="; dmarc=pass"\n\n',
                     "mx.x", ("fail", "unverified", "unverified"), id="a verdict in a string"),
        pytest.param(b'Authentication-Results: mx.x; spf=fail (a \\) ; dmarc=pass "\n\n', "mx.x",
                     ("fail", "unverified", "unverified"), id="a comment that never ends"),
        pytest.param(b"Authentication-Results: mx.x; dmarc=great\n\n", "mx.x", NOTHING,
                     id="a word that is no verdict"),
    ],
)  # fmt: skip
def test_what_counts_as_a_verdict(
    raw: bytes, trusted: str | None, expected: tuple[str, str, str]
) -> None:
    assert verdicts(raw, trusted) == expected


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
