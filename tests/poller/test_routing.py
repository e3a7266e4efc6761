"""Whom a message is for, by its headers alone."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail import ConfigurationError, Message, parse_message
from nornmail.message.addresses import canonical
from nornmail.model import Inbox
from nornmail.poller.inboxes import route
from tests.support.table import table

SUPPORT, SALES, OPS = "support@example.com", "sales@example.com", "ops@example.com"
ACCOUNT = "agent@example.com"
ALL = (SUPPORT, SALES, OPS)


def ignore(_message: Message) -> None:
    """A callback."""


def routed(headers: str, *addresses: str) -> list[str]:
    raw = f"{headers}\nSubject: hello\n\nText\n".replace("\n", "\r\n").encode("utf-8")
    inboxes = [Inbox(address, ignore) for address in addresses or ALL]
    return [inbox.address for inbox in route(parse_message(raw), inboxes)]


@table(
    ("headers", "expected"),
    [
        pytest.param(f"To: {SUPPORT}", [SUPPORT], id="To"),
        pytest.param(f"Cc: {SUPPORT}", [SUPPORT], id="Cc"),
        pytest.param(f"To: list@example.org\nCc: {SALES}", [SALES], id="Cc beside another To"),
        pytest.param(
            f"To: ann@example.org\nResent-To: {OPS}", [OPS], id="Resent-To of a forwarded message"
        ),
        pytest.param(f"To: {SUPPORT}, {SALES}", [SUPPORT, SALES], id="two in one field"),
        pytest.param(
            f"To: {OPS}\nCc: {SUPPORT}", [SUPPORT, OPS], id="two fields in the inboxes' order"
        ),
        pytest.param(
            f"To: {SUPPORT}\nTo: {SALES}", [SUPPORT, SALES], id="a field that comes twice"
        ),
        pytest.param(f'To: "{SUPPORT}', [SUPPORT], id="a quote that is not closed"),
        pytest.param(
            f'To: "Not closed\nTo: {SALES}', [SALES], id="a field after one with an open quote"
        ),
        pytest.param(f"To: {SUPPORT}, {SUPPORT}", [SUPPORT], id="a duplicate in a field"),
        pytest.param(f"To: {SUPPORT}\nCc: {SUPPORT}", [SUPPORT], id="a duplicate in two fields"),
        pytest.param(f"To: Support Team <{SUPPORT}>", [SUPPORT], id="a display name"),
        pytest.param(f'To: "Team, Support" <{SUPPORT}>', [SUPPORT], id="a comma in a quoted name"),
        pytest.param(f'To: "{SALES}" <{SUPPORT}>', [SUPPORT], id="an address as a display name"),
        pytest.param(
            f"To: =?utf-8?q?sales=40example=2Ecom=2C?= <{SUPPORT}>",
            [SUPPORT],
            id="an encoded address as a display name",
        ),
        pytest.param(f"To: {SUPPORT} ({SALES})", [SUPPORT], id="an address in a comment"),
        pytest.param(f"To: Team: {SUPPORT}, {SALES};", [SUPPORT, SALES], id="a group"),
        pytest.param("To: undisclosed-recipients:;", [], id="an empty group"),
        pytest.param(
            f"To: undisclosed-recipients:;\nDelivered-To: {SALES}",
            [SALES],
            id="an empty group and the delivery",
        ),
        pytest.param("To: SUPPORT@Example.COM", [SUPPORT], id="another case"),
        pytest.param("To: support+billing@example.com", [SUPPORT], id="a tag"),
        pytest.param("To: support+a+b@example.com", [SUPPORT], id="a tag with a plus in it"),
        pytest.param("To: support+@example.com", [SUPPORT], id="an empty tag"),
        pytest.param("To: +support@example.com", [], id="a tag and no name"),
        pytest.param('To: "support"@example.com', [SUPPORT], id="needless quotes"),
        pytest.param('To: "support+x"@example.com', [SUPPORT], id="needless quotes around a tag"),
        pytest.param("To: <support@example.com.>", [SUPPORT], id="a dot after the domain"),
        pytest.param("To:\n support@example.com", [SUPPORT], id="a folded field"),
        pytest.param(f"To: <@relay.example:{SUPPORT}>", [SUPPORT], id="an old source route"),
        pytest.param("To: support@mail.example.com", [], id="a subdomain"),
        pytest.param("To: xsupport@example.com", [], id="a longer name"),
        pytest.param("To: support@example.com.evil.example", [], id="a longer domain"),
        pytest.param("To: support@example.com@evil.example", [], id="two at signs"),
        pytest.param("To: support", [], id="no domain"),
        pytest.param(f"From: {SUPPORT}\nReply-To: {SALES}", [], id="nothing but a sender"),
        pytest.param(f"Bcc: {SUPPORT}", [], id="a Bcc that should not be there"),
        pytest.param("", [], id="no header"),
    ],
)
def test_a_message_is_for_the_inboxes_that_it_is_addressed_to(
    headers: str, expected: list[str]
) -> None:
    assert routed(headers) == expected


@table("field", ["Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To"])
@table(
    ("headers", "expected"),
    [
        pytest.param("To: announce@lists.example.org", [SUPPORT], id="a list's copy"),
        pytest.param("To: ann@example.org\nCc: bob@example.org", [SUPPORT], id="a blind copy"),
        pytest.param("From: ann@example.org", [SUPPORT], id="no recipient"),
        pytest.param(f"To: {SALES}", [SALES], id="addressed to another inbox"),
        pytest.param(f"Cc: {SALES}", [SALES], id="copied to another inbox"),
    ],
)
def test_the_delivery_counts_only_where_the_addresses_name_no_inbox(
    headers: str, expected: list[str], field: str
) -> None:
    assert routed(f"{field}: {SUPPORT}\n{headers}") == expected
    assert routed(f"{field}: <Support+x@EXAMPLE.com>\n{headers}") == expected


def test_every_delivery_header_counts() -> None:
    headers = f"Delivered-To: {ACCOUNT}\nX-Original-To: {OPS}\nEnvelope-To: {SALES}"
    assert routed(headers) == [SALES, OPS]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(f"To: {SUPPORT}", [SUPPORT], id="addressed to an inbox"),
        pytest.param("To: list@example.org", [ACCOUNT], id="addressed to nobody here"),
        pytest.param(f"To: {SUPPORT}, {ACCOUNT}", [SUPPORT, ACCOUNT], id="addressed to both"),
    ],
)
def test_an_account_that_every_delivery_names_gets_no_more_than_its_own(
    headers: str, expected: list[str]
) -> None:
    assert routed(f"Delivered-To: {ACCOUNT}\n{headers}", SUPPORT, ACCOUNT) == expected


@table(
    ("to", "addresses", "expected"),
    [
        ("a+x@example.com", ("a+x@example.com",), ["a+x@example.com"]),
        ("A+X@example.com", ("a+x@example.com",), ["a+x@example.com"]),
        ("a@example.com", ("a+x@example.com",), []),
        ("a+y@example.com", ("a+x@example.com",), []),
        ("a+x+y@example.com", ("a+x@example.com",), []),
        ("a+x@example.com", ("a@example.com", "a+x@example.com"), ["a+x@example.com"]),
        ("a+y@example.com", ("a@example.com", "a+x@example.com"), ["a@example.com"]),
    ],
    ids=[
        "its own tag",
        "its own tag in another case",
        "no tag",
        "another tag",
        "more of a tag",
        "the tag before the name",
        "the name for other tags",
    ],
)
def test_an_inbox_with_a_tag_matches_exactly(
    to: str, addresses: tuple[str, ...], expected: list[str]
) -> None:
    assert routed(f"To: {to}", *addresses) == expected


@table(
    ("one", "other"),
    [
        pytest.param("info@bücher.example", "info@xn--bcher-kva.example", id="the ASCII form"),
        pytest.param("info@BÜCHER.example", "info@bücher.EXAMPLE", id="another case"),
        pytest.param("info@bu\u0308cher.example", "info@b\u00fccher.example", id="decomposed"),
        pytest.param("jo\u0308rg@example.com", "J\u00d6RG@example.com", id="a name in Unicode"),
        pytest.param(
            "a@xn--bcher-kva.example", "a@XN--BCHER-KVA.Example", id="ASCII, another case"
        ),
    ],
)
def test_an_international_address_is_one_in_all_its_forms(one: str, other: str) -> None:
    assert routed(f"To: {other}", one) == [one]
    assert routed(f"To: {one}", other) == [other]


@pytest.mark.parametrize(
    "domain",
    [
        pytest.param("ü" * 300 + ".example", id="a label over the limit"),
        pytest.param("ü..example", id="an empty label"),
        pytest.param("\u200f\u0660a", id="what no host is called"),
        pytest.param("\ud800ü", id="half a character"),
    ],
)
def test_a_domain_that_cannot_be_one_is_compared_as_it_stands(domain: str) -> None:
    assert canonical(f"A@{domain}") == f"a@{domain}"


@table(
    "address",
    ["", "support", "@example.com", "support@", "a b@example.com", "a@b, c@d", "<a@b>", "a@b\n"],
)
def test_an_inbox_needs_an_address(address: str) -> None:
    with pytest.raises(ConfigurationError):
        Inbox(address, ignore)


def test_an_inbox_needs_functions() -> None:
    text: Any = "no function"
    truth: Any = True
    with pytest.raises(ConfigurationError):
        Inbox(SUPPORT, text)
    with pytest.raises(ConfigurationError):
        Inbox(SUPPORT, ignore, accept=truth)


def test_an_inbox_is_known_by_its_address_in_lower_case() -> None:
    assert Inbox("Support+Tag@Example.COM", ignore).key == "support+tag@example.com"
