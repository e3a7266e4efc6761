"""What a program must not answer by itself, and what ``allow`` lifts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nornmail.compose.compose import compose
from nornmail.compose.policy import REFUSALS, AnswerLimits, ReplyCounts, refusal_reasons
from nornmail.compose.reply import reply_draft
from nornmail.errors import ConfigurationError, ReplyRefused
from nornmail.message.message import Message, parse_message
from tests.outbox.messages import NOW
from tests.support.table import table

OWN = ("agent@example.com",)
REPORT = (
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
    "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
    "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
)


def mail(extra: str = "", sender: str = "Ann <ann@example.org>") -> Message:
    head = f"From: {sender}\r\nTo: agent@example.com\r\nMessage-ID: <m@example.org>\r\n"
    return parse_message((head + extra + "\r\n\r\nHello.\r\n").encode(), received_at=NOW)


def kinds(message: Message, **values: Any) -> list[str]:
    given: dict[str, Any] = {"own": OWN, "own_message_ids": lambda _: False, "now": NOW}
    return [one.kind for one in refusal_reasons(message, **(given | values))]


def test_what_a_person_wrote_is_answered() -> None:
    assert kinds(mail()) == []
    assert kinds(mail("Auto-Submitted: no\r\nX-Auto-Response-Suppress: None")) == []


@table(
    ("extra", "kind"),
    [
        pytest.param("Auto-Submitted: auto-replied", "auto-reply", id="auto-replied"),
        pytest.param("Auto-Submitted: auto-generated (x)", "auto-generated", id="auto-generated"),
        pytest.param("Auto-Submitted: auto-notified; a=b", "auto-generated", id="auto-notified"),
        pytest.param("auto-submitted: AUTO-REPLIED", "auto-reply", id="in capitals"),
        pytest.param("X-Auto-Response-Suppress: All", "suppress", id="suppress all"),
        pytest.param("X-Auto-Response-Suppress: DR, oof", "suppress", id="suppress some"),
        pytest.param("X-Autoreply: yes", "auto-reply", id="X-Autoreply"),
        pytest.param("X-Autorespond: x", "auto-reply", id="X-Autorespond"),
        pytest.param("Precedence: auto_reply", "auto-reply", id="Precedence: auto_reply"),
        pytest.param("Return-Path: <>", "report", id="a null return path"),
        pytest.param("Return-Path: < >", "report", id="a null return path with a blank"),
        pytest.param("Content-Type: multipart/report; boundary=b", "report", id="a report"),
        pytest.param(REPORT, "report", id="a delivery report under another name"),
        pytest.param("List-Id: <team.example.org>", "list", id="List-Id"),
        pytest.param("List-Unsubscribe: <https://x.example>", "list", id="List-Unsubscribe"),
        pytest.param("List-Post: <mailto:team@example.org>", "list", id="List-Post"),
        pytest.param("Mailing-List: list team@example.org", "list", id="Mailing-List"),
        pytest.param("Precedence: list", "list", id="Precedence: list"),
        pytest.param("Precedence: bulk", "bulk", id="Precedence: bulk"),
        pytest.param("Precedence: JUNK", "bulk", id="Precedence: junk"),
    ],
)
def test_what_a_machine_sent_is_not_answered(extra: str, kind: str) -> None:
    assert kinds(mail(extra)) == [kind]
    assert kinds(mail(extra), allow={kind}) == []


@table(
    ("sender", "kind"),
    [
        ("noreply@example.org", "noreply"),
        ("no-reply@example.org", "noreply"),
        ("do_not_reply@example.org", "noreply"),
        ("team-NoReply@example.org", "noreply"),
        ("MAILER-DAEMON@example.org", "report"),
        ("Postmaster@example.org", "report"),
        ("bounces+17@example.org", "report"),
        ("bounce@example.org", "report"),
    ],
)
def test_who_reads_no_answers_gets_none(sender: str, kind: str) -> None:
    assert kinds(mail(sender=sender)) == [kind]


def test_whether_somebody_reads_it_is_told_by_where_the_answer_goes() -> None:
    assert kinds(mail("Reply-To: no-reply@example.org")) == ["noreply"]
    assert "noreply" not in kinds(mail("Reply-To: ann@example.org", "noreply@example.org"))


def test_every_reason_is_told_so_that_allow_lifts_no_other() -> None:
    both = mail("List-Id: <t.example.org>\r\nAuto-Submitted: auto-replied", "noreply@example.org")
    assert kinds(both) == ["auto-reply", "list", "noreply"]
    assert [REFUSALS[one] for one in kinds(both)]
    assert kinds(both, allow={"list"}) == ["auto-reply", "noreply"]
    assert kinds(both, allow={"list", "auto-reply", "noreply"}) == []


@table(
    ("sender", "extra", "expected"),
    [
        pytest.param("Agent <AGENT+x@example.com>", "", ["self"], id="from one of ours"),
        pytest.param("ann@example.org", "Reply-To: agent@example.com", ["self"],
                     id="an answer would come to us"),
        pytest.param("ann@example.org", "Reply-To: agent@example.com, bob@example.net", [],
                     id="an answer would come to others as well"),
        pytest.param("agent@example.com", "Reply-To: customer@example.org", [],
                     id="a web form that writes as us, with the customer in Reply-To"),
        pytest.param("agent@example.com", "Reply-To: customer@example.org\r\n"
                     "Auto-Submitted: auto-replied", ["auto-reply"], id="an answer of ours"),
        pytest.param("agent@example.com", "Reply-To: agent+x@example.com", ["self"],
                     id="from us, and an answer would come to us"),
        pytest.param("Ann", "", ["nobody"], id="a name alone"),
        pytest.param("", "", ["nobody"], id="nobody"),
    ],
)  # fmt: skip
def test_we_do_not_talk_to_ourselves(sender: str, extra: str, expected: list[str]) -> None:
    assert kinds(mail(extra, sender)) == expected


def test_a_message_that_we_sent_is_known_by_its_id() -> None:
    assert kinds(mail(), own_message_ids=lambda one: one == "<m@example.org>") == ["own-message"]
    assert kinds(mail(), own_message_ids=lambda one: one == "<n@example.org>") == []


@pytest.mark.parametrize(
    ("hour", "day", "expected"),
    [
        pytest.param(9, 29, [], id="below both"),
        pytest.param(10, 10, ["rate"], id="ten in an hour"),
        pytest.param(0, 30, ["rate"], id="thirty in a day"),
        pytest.param(50, 50, ["rate"], id="far beyond"),
    ],
)
def test_a_correspondent_gets_so_many_answers(hour: int, day: int, expected: list[str]) -> None:
    assert kinds(mail(), answered=ReplyCounts(hour=hour, day=day)) == expected


def test_the_limits_can_be_set() -> None:
    limits = AnswerLimits(per_hour=1, per_day=2)
    assert kinds(mail(), limits=limits, answered=ReplyCounts(hour=0, day=1)) == []
    assert kinds(mail(), limits=limits, answered=ReplyCounts(hour=1, day=1)) == ["rate"]
    assert kinds(mail(), limits=limits, answered=ReplyCounts(hour=0, day=2)) == ["rate"]


@table(
    ("received", "written", "expected"),
    [
        pytest.param(timedelta(days=7), None, [], id="just young enough"),
        pytest.param(timedelta(days=7, seconds=1), None, ["old"], id="too old"),
        pytest.param(timedelta(0), timedelta(days=30), [], id="written long ago, received now"),
        pytest.param(timedelta(days=30), timedelta(0), ["old"], id="received long ago"),
        pytest.param(None, timedelta(days=30), ["old"], id="only a Date, long ago"),
        pytest.param(None, timedelta(days=-30), [], id="only a Date, to come"),
        pytest.param(None, None, [], id="no date at all"),
    ],
)
def test_old_mail_is_not_answered(
    received: timedelta | None, written: timedelta | None, expected: list[str]
) -> None:
    date = f"Date: {NOW - written:%a, %d %b %Y %H:%M:%S +0000}\r\n" if written is not None else ""
    head = f"From: ann@example.org\r\n{date}\r\n"
    message = parse_message(head.encode(), received_at=None if received is None else NOW - received)
    assert kinds(message) == expected
    assert kinds(message, max_age=None) == []


def test_what_allow_does_not_know_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="lists"):
        kinds(mail(), allow={"lists"})


def test_the_error_says_every_reason() -> None:
    found = refusal_reasons(
        mail("List-Id: <t.example.org>", "noreply@example.org"),
        own=OWN, own_message_ids=lambda _: False, now=NOW,
    )  # fmt: skip
    error = ReplyRefused(found)
    assert [one.kind for one in error.refusals] == ["list", "noreply"]
    assert str(error) == (
        "not answered: List-Id is present (list); a reply goes to noreply@example.org (noreply)"
    )


def test_an_answer_of_ours_is_not_answered_by_another_of_our_kind() -> None:
    draft = reply_draft(mail(), "Hello.", sender="bot@example.net")
    answer = parse_message(compose(draft, now=NOW, unique="a").raw, received_at=NOW)
    assert kinds(answer, own=["ann@example.org"]) == ["auto-reply", "suppress"]


def test_reasons_are_short_and_on_one_line() -> None:
    long = mail(
        f"Auto-Submitted: {'x' * 5_000}\r\nX-Auto-Response-Suppress: All,\r\n {'c' * 5_000}"
    )
    told = refusal_reasons(long, own=OWN, own_message_ids=lambda _: False, now=NOW)
    assert told
    assert all(len(one.why) <= 100 and one.why.isprintable() for one in told)


def test_every_sign_that_the_message_shows_refuses_it() -> None:
    vacation = mail("X-Vacation: yes\r\nX-Auto-Generated: cron")
    assert kinds(vacation) == ["auto-reply", "auto-generated"]
    assert kinds(vacation, allow={"auto-reply"}) == ["auto-generated"]
    assert kinds(vacation, allow={"auto-reply", "auto-generated"}) == []


def test_the_null_path_of_an_automatic_answer_is_allowed_with_it() -> None:
    away = mail("Return-Path: <>\r\nAuto-Submitted: auto-replied")
    assert kinds(away) == ["auto-reply"]
    assert kinds(away, allow={"auto-reply"}) == []
    assert kinds(away, allow={"report"}) == ["auto-reply"]


def test_every_name_is_explained() -> None:
    assert all(REFUSALS.values())
    assert set(REFUSALS) == {
        "report", "auto-reply", "list", "auto-generated", "bulk", "suppress", "noreply",
        "self", "own-message", "nobody", "rate", "old",
    }  # fmt: skip
