"""The session against a server that nobody here wrote: what Postfix says at each stage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from nornmail.compose.attachments import OutgoingAttachment
from nornmail.compose.compose import Composed, Draft, compose
from nornmail.errors import AuthenticationFailed, ConnectionLost, NornmailError
from nornmail.message.message import parse_message
from nornmail.outgoing import Envelope
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.session import Session
from nornmail.smtp.transaction import Submission, SubmissionOutcome
from tests.compose.drafts import draft as random_draft
from tests.support.postfix import REFUSALS, Postfix, start_postfix
from tests.support.postfix_conf import MESSAGE_SIZE_LIMIT, RECIPIENT_LIMIT

pytestmark = pytest.mark.interop

NOW = datetime(2026, 11, 24, 13, 30, tzinfo=UTC)
SENDER = "me@example.test"


def settings(postfix: Postfix, port: int, **changes: Any) -> SmtpSettings:
    given: dict[str, Any] = {"host": "localhost", "port": port, "ca_file": str(postfix.ca_file)}
    return SmtpSettings(**(given | changes))


def opened(postfix: Postfix, **changes: Any) -> Session:
    """A session on the port for submission, logged in."""
    login = {"username": "me", "password": postfix.password}
    return Session.open(settings(postfix, postfix.submission_port, **(login | changes)))


def written(*to: str, **values: Any) -> Composed:
    given = {"sender": SENDER, "to": list(to), "subject": "Hello", "text": "Hello.\n"} | values
    return compose(Draft(**given), now=NOW, unique="letter-1")


def hand_in(session: Session, *to: str, **values: Any) -> Submission:
    one = written(*to, **values)
    return session.submit(one.envelope, one.raw, before_content=lambda _: None)


def test_what_is_composed_arrives_as_it_was_meant(postfix: Postfix) -> None:
    user = postfix.user()
    session = opened(postfix)
    found = hand_in(
        session,
        f"Größe, Ann <{user}>".replace("Größe, Ann", '"Größe, Ann"'),
        subject="Grüße aus Köln " * 10,
        text=".\n..\nFrom here\n" + "lange Zeile " * 100 + "\n.\n",
        html="<p>From here " + "lange Zeile " * 100 + "</p>",
        attachments=[OutgoingAttachment("größe.bin", bytes(range(256)))],
    )
    session.close()
    assert (found.outcome, found.usable) == (SubmissionOutcome.ACCEPTED, True)
    (mail,) = postfix.wait_for_mail(user)
    assert (mail.return_path, mail.recipient) == (SENDER, user)
    read = parse_message(mail.raw)
    assert read.subject == ("Grüße aus Köln " * 10).strip()
    assert read.text == ".\n..\nFrom here\n" + "lange Zeile " * 100 + "\n.\n"
    assert read.to[0].name == "Größe, Ann"
    assert [(one.filename, one.content) for one in read.attachments] == [
        ("größe.bin", bytes(range(256)))
    ]


@pytest.mark.parametrize("seed", range(12))
def test_random_drafts_arrive_octet_for_octet(postfix: Postfix, seed: int) -> None:
    user = postfix.user()
    made = compose(random_draft(seed), now=NOW, unique=f"seed-{seed}")
    session = opened(postfix)
    envelope = Envelope(SENDER, (user,))
    found = session.submit(envelope, made.raw, before_content=lambda _: None)
    session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    (mail,) = postfix.wait_for_mail(user)
    assert mail.raw.endswith(made.raw.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize(("prefix", "reply"), list(REFUSALS.items()))
def test_a_refused_recipient_beside_a_good_one(postfix: Postfix, prefix: str, reply: str) -> None:
    user = postfix.user()
    session = opened(postfix)
    found = hand_in(session, f"{prefix}@example.test", user)
    session.close()
    bad, good = found.recipients
    code = int(reply.split()[0])
    assert bad.code == code
    assert bad.status == ("refused" if code >= 500 else "pending")
    if code == 421:
        assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)
        assert good.status == "pending"
        return
    assert (found.outcome, found.usable) == (SubmissionOutcome.ACCEPTED, True)
    assert (good.status, good.code) == ("accepted", 250)
    assert reply.split()[1] in bad.text
    assert len(postfix.wait_for_mail(user)) == 1


def test_an_unknown_recipient_alone(postfix: Postfix) -> None:
    session = opened(postfix)
    found = hand_in(session, "unknown1@example.test")
    assert (found.outcome, found.code, found.usable) == (SubmissionOutcome.REFUSED, 550, True)
    assert "5.1.1" in found.recipients[0].text
    assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
    session.close()


def test_a_letter_over_the_limit_is_not_sent_and_the_next_one_is(postfix: Postfix) -> None:
    session = opened(postfix)
    big = hand_in(session, postfix.user(), text="x" * MESSAGE_SIZE_LIMIT * 2)
    assert (big.outcome, big.code, big.usable) == (SubmissionOutcome.REFUSED, 0, True)
    assert str(MESSAGE_SIZE_LIMIT) in big.text
    assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
    session.close()


def test_a_refused_mail_leaves_nothing_for_the_next_one(postfix: Postfix) -> None:
    session = opened(postfix)
    session._wire.esmtp_features["size"] = ""  # as if the server had not told its limit
    big = hand_in(session, postfix.user(), text="x" * MESSAGE_SIZE_LIMIT * 2)
    assert (big.outcome, big.code, big.usable) == (SubmissionOutcome.REFUSED, 552, True)
    assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
    session.close()


def test_a_letter_over_the_limit_is_refused_after_the_final_dot(postfix: Postfix) -> None:
    session = opened(postfix)
    del session._wire.esmtp_features["size"]
    big = hand_in(session, postfix.user(), text="x" * MESSAGE_SIZE_LIMIT * 2)
    session.close()
    assert (big.outcome, big.code) == (SubmissionOutcome.REFUSED, 552)


def test_too_many_recipients_are_left_for_another_time(postfix: Postfix) -> None:
    user = postfix.user()
    name, _, domain = user.partition("@")
    several = [f"{name}+{n}@{domain}" for n in range(RECIPIENT_LIMIT + 3)]
    session = opened(postfix)
    found = hand_in(session, *several)
    session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    standings = [one.status for one in found.recipients]
    assert standings == ["accepted"] * RECIPIENT_LIMIT + ["pending"] * 3
    assert {one.code for one in found.recipients[RECIPIENT_LIMIT:]} == {452}


def test_a_bounce_comes_back_to_the_sender(postfix: Postfix) -> None:
    user = postfix.user()
    session = opened(postfix)
    one = written("somebody@bounce.test", sender=user)
    found = session.submit(one.envelope, one.raw, before_content=lambda _: None)
    session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    (mail,) = postfix.wait_for_mail(user)
    bounce = parse_message(mail.raw).bounce
    assert bounce is not None
    assert bounce.original_message_id == one.message_id
    assert bounce.is_permanent


def test_smtputf8_where_an_address_needs_it(postfix: Postfix) -> None:
    user = f"jörg-{postfix.user()}"
    session = opened(postfix)
    found = hand_in(session, user)
    session.close()
    assert found.outcome is SubmissionOutcome.ACCEPTED
    (mail,) = postfix.wait_for_mail(user)
    assert parse_message(mail.raw).to[0].address == user


def test_no_login_no_relay(postfix: Postfix) -> None:
    session = Session.open(settings(postfix, postfix.smtp_port))
    found = hand_in(session, "somebody@elsewhere.example")
    session.close()
    assert (found.outcome, found.code) == (SubmissionOutcome.REFUSED, 554)


@pytest.mark.parametrize("kind", ["starttls", "tls", "plain"])
def test_each_way_in(postfix: Postfix, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = {
        "starttls": postfix.submission_port, "tls": postfix.smtps_port, "plain": postfix.plain_port
    }[kind]  # fmt: skip
    if kind == "tls":
        monkeypatch.setattr("nornmail.settings.smtp.SUBMISSIONS_PORT", port)
    login = {"username": "me", "password": postfix.password, "use_tls": kind != "plain"}
    session = Session.open(settings(postfix, port, **login))
    assert session.alive()
    assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
    session.close()


def test_a_token(postfix: Postfix) -> None:
    given = iter(["stale", postfix.token])
    session = opened(postfix, password=None, token=lambda: next(given))
    assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
    session.close()
    assert postfix.logins[-2:] == [("XOAUTH2", "me", False), ("XOAUTH2", "me", True)]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        pytest.param({"password": "wrong"}, AuthenticationFailed, "535", id="a wrong password"),
        pytest.param({"password": None, "token": lambda: "wrong"}, AuthenticationFailed, "535",
                     id="a wrong token"),
        pytest.param({"ca_file": None}, ConnectionLost, "SMTP_CA_FILE", id="a bad certificate"),
        pytest.param({"use_tls": False}, AuthenticationFailed, "offers: nothing",
                     id="no TLS where it is a must"),
    ],
)  # fmt: skip
def test_no_way_in(
    postfix: Postfix, changes: dict[str, Any], error: type[NornmailError], words: str
) -> None:
    before = len(postfix.logins)
    with pytest.raises(error, match=words) as caught:
        opened(postfix, **changes)
    assert "wrong" not in str(caught.value)
    assert len(postfix.logins) - before == (error is AuthenticationFailed and words == "535")


def test_starttls_that_is_missing(postfix: Postfix) -> None:
    before = len(postfix.logins)
    login = {"username": "me", "password": postfix.password}
    with pytest.raises(ConnectionLost, match="not offer STARTTLS"):
        Session.open(settings(postfix, postfix.plain_port, **login))
    assert len(postfix.logins) == before


def test_nothing_is_said_before_it_may_be(postfix: Postfix) -> None:
    session = Session.open(settings(postfix, postfix.strict_port))
    assert hand_in(session, postfix.user(), text=".\n\n.\n").outcome is SubmissionOutcome.ACCEPTED
    session.close()


def test_an_outage_between_two_letters() -> None:
    with start_postfix() as postfix:
        session = opened(postfix)
        assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
        postfix.stop()
        found = hand_in(session, postfix.user())
        assert (found.outcome, found.usable) == (SubmissionOutcome.DEFERRED, False)
        with pytest.raises(ConnectionLost):
            opened(postfix)
        postfix.start()
        session = opened(postfix)
        assert hand_in(session, postfix.user()).outcome is SubmissionOutcome.ACCEPTED
        session.close()
