"""The fence around outgoing mail: what is allowed goes out, and nothing else does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    Address,
    ConfigurationError,
    Mailer,
    NornmailError,
    Outbox,
    RecipientNotAllowed,
    SqliteStateStore,
)
from nornmail.message.message import parse_message
from nornmail.outgoing import QueueState
from nornmail.settings.smtp import SmtpSettings
from tests.outbox.fake import SETTINGS, world
from tests.support.table import table

ALLOWED = ("ann@example.com", "@team.example", "büro@bücher.example")


def sends(**values: Any) -> list[str]:
    """Who gets a message, from a mailer inside the fence."""
    one = world(allowed_recipients=ALLOWED)
    one.mailer.send(**({"subject": "s", "text": "t"} | values))
    one.mailer.flush()
    return one.server.addresses()


@table(
    "to",
    [
        pytest.param("ann@example.com", id="the address"),
        pytest.param("ANN@Example.COM", id="in capitals"),
        pytest.param("Eve <ann@example.com>", id="under any name"),
        pytest.param("bob@team.example", id="of the domain"),
        pytest.param("bob+x@TEAM.example", id="of the domain, with a tag"),
        pytest.param("büro@bücher.example", id="an international one"),
        pytest.param("büro@xn--bcher-kva.example", id="an international one in ASCII"),
    ],
)
def test_what_is_allowed_is_sent(to: str) -> None:
    assert len(sends(to=to)) == 1


ESCAPES = [
    "eve@evil.example",
    "ann+x@example.com",
    "ann@example.co",
    "ann@example.com.evil.example",
    "ann@evil-example.com",
    "ann@sub.example.com",
    "xann@example.com",
    "ann.@example.com",
    "an.n@example.com",
    '"ann "@example.com',
    '"ann@example.com"@evil.example',
    "ann%example.com@evil.example",
    "eve%evil.example@team.example",
    "evil.example!eve@team.example",
    '"eve@evil.example"@team.example',
    '"eve:x"@team.example',
    "eve\uff20evil.example@team.example",
    "eve\uff05evil.example@team.example",
    "eve\ufe6bevil.example@team.example",
    "bob@x.team.example",
    "bob@teamexample",
    "bob@team.example.evil.example",
    "bob@t\u0435am.example",
    "bob@team.ex\u0430mple",
    "\u0430nn@example.com",
    "ann@ex\u0430mple.com",
    "an\u0274@example.com",
    "ann\u200b@example.com",
    "ann@example.com\u0000.evil.example",
    "ann@example.com, eve@evil.example",
    "ann@example.com;eve@evil.example",
    "ann@example.com eve@evil.example",
    "team: ann@example.com, eve@evil.example;",
    "ann@example.com <eve@evil.example>",
    '"ann@example.com" <eve@evil.example>',
    "<ann@example.com>,<eve@evil.example>",
    "<@team.example:eve@evil.example>",
    "eve@evil.example (ann@example.com)",
    "(ann@example.com) eve@evil.example",
    "ann@example.com\r\nRCPT TO:<eve@evil.example>",
    "eve@[192.0.2.1]",
    "bob@[IPv6:2001:db8::1]",
    "=?utf-8?q?ann=40example.com?= <eve@evil.example>",
    "ann@example.com.",
    "b\u00fcro@b\u00fccher.example.evil.example",
    "buro@b\u00fccher.example",
]


FIELDS = ("to", "cc", "bcc")


@table(
    ("address", "field"),
    [(address, FIELDS[at % 3]) for at, address in enumerate(ESCAPES)],
    ids=map(ascii, ESCAPES),
)
def test_no_attempt_gets_out(address: str, field: str) -> None:
    gets_not_out(address, field)


@pytest.mark.long
@table("field", FIELDS)
@table("address", ESCAPES, ids=ascii)
def test_no_attempt_gets_out_in_any_field(address: str, field: str) -> None:
    gets_not_out(address, field)


def gets_not_out(address: str, field: str) -> None:
    one = world(allowed_recipients=ALLOWED)
    values: dict[str, Any] = {"to": "ann@example.com", field: ["ann@example.com", address]}
    with pytest.raises(NornmailError):
        one.mailer.send(subject="s", text="t", **values)
    one.mailer.flush()
    assert one.server.addresses() == []
    assert one.store.queued_messages(one.mailer.outbox, frozenset(QueueState)) == []


@pytest.mark.parametrize(
    "to",
    [
        ("ann@example.com", "eve@evil.example"),
        [Address("ann@example.com", "eve@evil.example")],
        [("ann", "eve@evil.example")],
    ],
)
def test_no_value_of_another_type_gets_out(to: Any) -> None:
    with pytest.raises(NornmailError):
        sends(to=to)


@table("name", ["Bcc", "Resent-To", "resent-bcc", "To", "Apparently-To"])
def test_no_header_gets_out(name: str) -> None:
    with pytest.raises(NornmailError, match=name):
        sends(to="ann@example.com", headers={name: "eve@evil.example"})


def test_the_error_names_the_address() -> None:
    with pytest.raises(RecipientNotAllowed, match=r"eve@evil\.example") as raised:
        sends(to=["ann@example.com", "Eve <eve@evil.example>"])
    assert raised.value.address == "eve@evil.example"


def question(reply_to: str = "", cc: str = "") -> Any:
    head = "From: Ann <ann@example.com>\r\nTo: agent@example.com\r\nMessage-ID: <q@x.example>\r\n"
    head += f"Reply-To: {reply_to}\r\n" if reply_to else ""
    head += f"Cc: {cc}\r\n" if cc else ""
    return parse_message(f"{head}\r\nhello\r\n".encode())


def test_a_strangers_reply_to_does_not_get_out_and_the_author_can_be_answered() -> None:
    one = world(allowed_recipients=ALLOWED)
    message = question(reply_to="eve@evil.example")
    with pytest.raises(RecipientNotAllowed, match="eve@evil"):
        one.mailer.reply(message, "t")
    one.mailer.reply(message, "t", to="author")
    one.mailer.flush()
    assert one.server.addresses() == ["ann@example.com"]


def test_a_strangers_cc_does_not_get_out_by_a_reply_to_all() -> None:
    one = world(allowed_recipients=ALLOWED)
    with pytest.raises(RecipientNotAllowed, match="eve@evil"):
        one.mailer.reply(question(cc="eve@evil.example"), "t", reply_all=True)


def test_an_answer_to_the_author_ignores_reply_to_without_a_fence_too() -> None:
    one = world()
    one.mailer.reply(question(reply_to="list@example.net"), "t", to="author")
    one.mailer.flush()
    assert one.server.addresses() == ["ann@example.com"]
    with pytest.raises(ConfigurationError, match="author"):
        one.mailer.reply(question(), "t", to="eve@evil.example")  # type: ignore[arg-type]


def test_an_empty_list_refuses_everyone_and_none_nobody() -> None:
    one = world(allowed_recipients=())
    with pytest.raises(RecipientNotAllowed):
        one.mailer.send("ann@example.com", "s", "t")
    assert world(allowed_recipients=None).mailer.send("eve@evil.example", "s", "t").key


def test_the_environment_sets_it() -> None:
    settings = SmtpSettings.from_env(
        {"SMTP_HOST": "smtp.example.com", "SMTP_FROM": "agent@example.com",
         "SMTP_ALLOWED_RECIPIENTS": "ann@example.com, @team.example"}
    )  # fmt: skip
    one = world(settings=settings)
    one.mailer.send(["ann@example.com", "bob@team.example"], "s", "t")
    with pytest.raises(RecipientNotAllowed):
        one.mailer.send("eve@evil.example", "s", "t")


@table("entry", ["", "example.com", "ann@", "@", "a@b, c@d", "*@example.com x"])
def test_an_entry_that_is_no_address_and_no_domain_is_refused(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_recipients"):
        Mailer(SETTINGS, allowed_recipients=[entry])


# Correspondents

TRUSTED = "mx.example.com"


def verified(head: str = "", *, result: str = "pass", sender: str = "ann@example.org") -> Any:
    """A message whose sender the trusted server has checked."""
    domain = sender.partition("@")[2]
    text = (
        f"Authentication-Results: {TRUSTED}; dmarc={result} header.from={domain}\r\n"
        f"From: Ann <{sender}>\r\nTo: agent@example.com\r\nMessage-ID: <q@x.example>\r\n{head}\r\n"
        "hello\r\n"
    )
    return parse_message(text.encode(), authserv_id=TRUSTED, delivery_id="d1")


def answers(message: Any, **options: Any) -> list[str]:
    one = world(allowed_recipients="correspondents")
    one.mailer.reply(message, "t", **options)
    one.mailer.flush()
    return one.server.addresses()


def test_a_verified_sender_is_answered_and_whoever_is_in_the_thread() -> None:
    assert answers(verified()) == ["ann@example.org"]
    copied = verified("Cc: bob@example.net\r\n")
    assert answers(copied, reply_all=True) == ["ann@example.org", "bob@example.net"]


@pytest.mark.parametrize(
    ("message", "options"),
    [
        pytest.param(verified(result="fail"), {}, id="a sender that failed"),
        pytest.param(question(), {}, id="a sender that nobody checked"),
        pytest.param(verified("Reply-To: eve@evil.example\r\n"), {}, id="Reply-To"),
        pytest.param(
            verified("Cc: bob@example.net\r\n", result="none"), {"reply_all": True},
            id="copies of a sender that nobody vouches for",
        ),
    ],
)  # fmt: skip
def test_nobody_else_is_answered(message: Any, options: Any) -> None:
    with pytest.raises(RecipientNotAllowed):
        answers(message, **options)


@table("address", [*ESCAPES, "ann@example.org.evil.example"], ids=ascii)
def test_no_attempt_gets_out_to_who_is_no_correspondent(address: str) -> None:
    one = world(allowed_recipients=["correspondents"])
    with pytest.raises(NornmailError):
        one.mailer.send(["ann@example.org", address], "s", "t", handling=verified())
    assert one.store.queued_messages(one.mailer.outbox, frozenset(QueueState)) == []


def test_who_got_mail_in_the_thread_before_may_get_more() -> None:
    one = world(allowed_recipients=["correspondents"])
    one.mailer.reply(verified("Cc: bob@example.net\r\n"), "t", reply_all=True)
    later: dict[str, Any] = {"in_reply_to": "<q@x.example>", "references": ["<q@x.example>"]}
    one.mailer.send("BOB@example.net", "s", "t", **later)
    with pytest.raises(RecipientNotAllowed, match="bob@"):
        one.mailer.send("bob@example.net", "s", "t")
    with pytest.raises(RecipientNotAllowed, match="eve@"):
        one.mailer.send("eve@evil.example", "s", "t", **later)
    # A stranger who names the thread is not in it.
    forged = parse_message(
        b"From: eve@evil.example\r\nMessage-ID: <f@x>\r\nReferences: <q@x.example>\r\n\r\nhi\r\n"
    )
    with pytest.raises(RecipientNotAllowed, match="eve@"):
        one.mailer.reply(forged, "t")


def test_a_thread_is_known_after_a_restart_and_until_its_mail_is_forgotten(tmp_path: Path) -> None:
    later: dict[str, Any] = {"in_reply_to": "<q@x.example>", "references": ["<q@x.example>"]}
    with closing(SqliteStateStore(tmp_path / "n.db")) as store:
        one = world(store, allowed_recipients=["correspondents"])
        one.mailer.reply(verified("Cc: bob@example.net\r\n"), "t", reply_all=True)
        one.mailer.flush()
        one.mailer.close()
    with closing(SqliteStateStore(tmp_path / "n.db")) as store:
        again = world(store, allowed_recipients=["correspondents"], clock=one.clock)
        again.mailer.send("bob@example.net", "s", "t", key="later", **later)
        again.mailer.flush()
        store.forget_messages(again.mailer.outbox, before=one.clock.wall() + 1, limit=9)
        with pytest.raises(RecipientNotAllowed, match="bob@"):
            again.mailer.send("bob@example.net", "s", "t", key="last", **later)
        again.mailer.reply(verified(), "t", key="verified")
        again.mailer.close()


def test_what_a_person_rejected_puts_nobody_in_the_thread() -> None:
    one = world(allowed_recipients=["correspondents"], approval="queue")
    one.mailer.reply(verified("Cc: bob@example.net\r\n"), "t", reply_all=True, key="k")
    for decide in (Outbox(one.store).reject, None):
        with pytest.raises(RecipientNotAllowed, match="bob@"):
            one.mailer.send("bob@example.net", "s", "t", references=["<q@x.example>"])
        if decide is not None:
            decide("k", "Kim")
