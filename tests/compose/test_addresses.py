"""What is one address, and how it goes on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from nornmail.compose.addresses import needs_smtputf8, sender_of, to_address, to_addresses
from nornmail.errors import ComposeError, ConfigurationError
from nornmail.message.addresses import Address
from nornmail.settings.smtp import SmtpSettings
from tests.support.table import table


@table(
    ("given", "name", "address"),
    [
        pytest.param("ann@example.org", "", "ann@example.org", id="bare"),
        pytest.param(" <ann@example.org> ", "", "ann@example.org", id="in brackets"),
        pytest.param("Ann Lee <ann@example.org>", "Ann Lee", "ann@example.org", id="with a name"),
        pytest.param('"Lee, Ann" <ann@example.org>', "Lee, Ann", "ann@example.org", id="quoted"),
        pytest.param('"a \\"b\\" \\\\ c" <a@b.example>', 'a "b" \\ c', "a@b.example",
                     id="quoted pairs"),
        pytest.param(("Lee, Ann", "ann@example.org"), "Lee, Ann", "ann@example.org", id="a pair"),
        pytest.param(Address("Ann", "ann@example.org"), "Ann", "ann@example.org", id="an Address"),
        pytest.param("Ünal <u@example.org>", "Ünal", "u@example.org", id="a name in Unicode"),
        pytest.param("u@bücher.example", "", "u@xn--bcher-kva.example", id="a domain in Unicode"),
        pytest.param("u@BÜCHER.Example", "", "u@xn--bcher-kva.example", id="capitals in it"),
        pytest.param("ünal@example.org", "", "ünal@example.org", id="a local part in Unicode"),
        pytest.param("a.b+c=d/e@example.org", "", "a.b+c=d/e@example.org", id="signs"),
        pytest.param("a..b.@example.org", "", '"a..b."@example.org', id="dots where none belong"),
        pytest.param('"a,b"@example.org', "", '"a,b"@example.org', id="a quoted local part"),
        pytest.param("ann@[192.0.2.7]", "", "ann@[192.0.2.7]", id="IPv4"),
        pytest.param("ann@[IPv6:2001:db8::1]", "", "ann@[IPv6:2001:db8::1]", id="IPv6"),
        pytest.param("root@localhost", "", "root@localhost", id="one label"),
    ],
)  # fmt: skip
def test_one_address(given: Any, name: str, address: str) -> None:
    assert to_address(given, "to") == Address(name, address)


@table(
    "given",
    [
        pytest.param("", id="nothing"),
        pytest.param("ann", id="no domain"),
        pytest.param("ann@", id="an empty domain"),
        pytest.param("@example.org", id="an empty local part"),
        pytest.param("ann@example.org, bob@example.org", id="two"),
        pytest.param("ann@example.org; bob@example.org", id="two with a semicolon"),
        pytest.param("ann@example.org bob@example.org", id="two with a blank"),
        pytest.param("Lee, Ann <ann@example.org>", id="an unquoted comma"),
        pytest.param("alice@legit.example<bob@evil.example>", id="an address as the name"),
        pytest.param("<ann@example.org> <bob@example.org>", id="two in brackets"),
        pytest.param("Friends: ann@example.org;", id="a group"),
        pytest.param("Friends: <ann@example.org>", id="a colon in the name"),
        pytest.param("Ann (Lee) <ann@example.org>", id="a comment"),
        pytest.param("ann(x)@example.org", id="a comment in the address"),
        pytest.param("ann@example.org\r\nBcc: bob@example.org", id="a CRLF"),
        pytest.param("ann@example.org\nBcc: bob@example.org", id="an LF"),
        pytest.param("Ann\nBcc: x <ann@example.org>", id="an LF in the name"),
        pytest.param(("Ann\r\nBcc: x", "ann@example.org"), id="a CRLF in the name of a pair"),
        pytest.param(("A\u2028B", "ann@example.org"), id="a line separator in the name"),
        pytest.param(("A\x85B", "ann@example.org"), id="a NEL in the name"),
        pytest.param(("A\ud800B", "ann@example.org"), id="a surrogate in the name"),
        pytest.param(("x" * 300, "ann@example.org"), id="a name of hundreds of characters"),
        pytest.param("a\0b@example.org", id="a NUL"),
        pytest.param("a b@example.org", id="a blank in the local part"),
        pytest.param('"a b"@example.org', id="a quoted blank"),
        pytest.param('"a>b"@example.org', id="a quoted bracket"),
        pytest.param("=?utf-8?q?ann?=@example.org", id="an encoded word"),
        pytest.param("an\u200bn@example.org", id="what cannot be seen"),
        pytest.param("ann@faß.example", id="a domain that IDNA 2008 reads otherwise"),
        pytest.param("ann@exam ple.org", id="a blank in the domain"),
        pytest.param("ann@-example.org", id="a hyphen first"),
        pytest.param("ann@example..org", id="an empty label"),
        pytest.param(f"ann@{'x' * 64}.org", id="a long label"),
        pytest.param(f"{'x' * 65}@example.org", id="a long local part"),
        pytest.param("ann@" + ".".join(["x" * 60] * 5), id="a long domain"),
        pytest.param("ann@[999.0.2.7]", id="no IPv4"),
        pytest.param("ann@[IPv6:fe80::1%eth0]", id="a scope"),
        pytest.param("ann@[example.org]", id="a name in square brackets"),
        pytest.param(("ann@example.org", "bob@example.org", "cy@example.org"), id="three"),
        pytest.param(7, id="a number"),
        pytest.param(b"ann@example.org", id="octets"),
    ],
)
def test_what_is_not_one_address_is_refused(given: Any) -> None:
    with pytest.raises(ComposeError) as caught:
        to_address(given, "to")
    assert caught.value.field == "to"
    assert str(caught.value).isprintable()


@table(
    ("given", "expected"),
    [
        pytest.param(None, [], id="nobody"),
        pytest.param((), [], id="an empty list"),
        pytest.param("a@x.example", ["a@x.example"], id="one text"),
        pytest.param(["a@x.example", "b@x.example"], ["a@x.example", "b@x.example"], id="a list"),
        pytest.param(("Ann", "a@x.example"), ["a@x.example"], id="a pair"),
        pytest.param([("Ann", "a@x.example"), "b@x.example"], ["a@x.example", "b@x.example"],
                     id="a list with a pair"),
        pytest.param(["a@x.example", "A@X.example", "a@x.example"], ["a@x.example"],
                     id="the same in other capitals"),
        pytest.param((one for one in ["a@x.example"]), ["a@x.example"], id="a generator"),
    ],
)  # fmt: skip
def test_several_addresses(given: Any, expected: list[str]) -> None:
    assert [one.address for one in to_addresses(given, "to")] == expected


def test_two_texts_that_could_be_two_addresses_or_a_pair_are_refused() -> None:
    with pytest.raises(ComposeError, match="name and an address"):
        to_addresses(("evil@evil.example", "ann@example.org"), "to")
    (one,) = to_addresses([("evil@evil.example", "ann@example.org")], "to")
    assert one == Address("evil@evil.example", "ann@example.org")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("ann@example.org", False, id="ASCII"),
        pytest.param("ann@bücher.example", False, id="a domain in Unicode"),
        pytest.param("ünal@example.org", True, id="a local part in Unicode"),
    ],
)
def test_smtputf8_is_needed_for_a_local_part_alone(given: str, expected: bool) -> None:
    assert needs_smtputf8(to_address(given, "to").address) is expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"sender": "Agent <a@x.example>"}, Address("Agent", "a@x.example"),
                     id="SMTP_FROM"),
        pytest.param({"username": "a@x.example"}, Address("", "a@x.example"), id="the user name"),
        pytest.param({"username": "login", "sender": "a@x.example"}, Address("", "a@x.example"),
                     id="SMTP_FROM goes first"),
    ],
)  # fmt: skip
def test_whom_mail_is_from(settings: dict[str, Any], expected: Address) -> None:
    assert sender_of(SmtpSettings(host="smtp.example.com", **settings)) == expected


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        pytest.param({}, "SMTP_FROM", id="nothing says it"),
        pytest.param({"username": "login"}, "SMTP_FROM", id="the user name is not an address"),
        pytest.param({"username": "a@b@c"}, "SMTP_USERNAME", id="the user name is nearly one"),
        pytest.param({"sender": "a@x.example, b@x.example"}, "SMTP_FROM", id="SMTP_FROM is two"),
    ],
)
def test_nobody_to_send_from(settings: dict[str, Any], variable: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sender_of(SmtpSettings(host="smtp.example.com", **settings))
    assert caught.value.variable == variable
