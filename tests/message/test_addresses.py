"""Address fields as senders write them; whom a reader sees is whom an answer goes to."""

from __future__ import annotations

import pytest

from nornmail.message.addresses import Address
from nornmail.message.limits import MAX_ADDRESSES
from nornmail.message.message import parse_message
from tests.message.reading import mail
from tests.support.table import table

Found = list[tuple[str, str]]


def read(field: bytes) -> Found:
    return [(one.name, one.address) for one in parse_message(mail(To=field)).to]


@table(
    ("field", "found"),
    [
        pytest.param(b"Doe, Jo <a@x>", [("Doe, Jo", "a@x")], id="a comma without quotes"),
        pytest.param(b"Doe, Jo, Dr. <a@x>, b@y", [("Doe, Jo, Dr.", "a@x"), ("", "b@y")], id="two"),
        pytest.param(b"c@z, Doe, Jo <a@x>", [("", "c@z"), ("Doe, Jo", "a@x")], id="behind another"),
        pytest.param(b"Jo (at work) <a@x>", [("Jo (at work)", "a@x")], id="a comment in the name"),
        pytest.param(b"Jo <a@x> (at work)", [("Jo", "a@x")], id="a comment behind"),
        pytest.param(b"(at work) <a@x>", [("at work", "a@x")], id="a comment alone"),
        pytest.param(b"Jo (a \\) b) <a@x>", [("Jo (a ) b)", "a@x")], id="an escaped bracket"),
        pytest.param(b"Mr. Jo [IT] <a@x>", [("Mr. Jo [IT]", "a@x")], id="dots and brackets"),
        pytest.param(b"News: Jo <a@x>", [("News: Jo", "a@x")], id="a colon without quotes"),
        pytest.param(b"Team: Jo <a@x>;", [("Jo", "a@x")], id="a colon that ends a group's name"),
        pytest.param(b"A: a@x;, B: b@y;", [("", "a@x"), ("", "b@y")], id="two groups"),
        pytest.param(b"Undisclosed recipients:;", [], id="nobody"),
        pytest.param(b"<undisclosed-recipients:;>", [], id="nobody, in brackets"),
        pytest.param(b"<Undisclosed:@x;>", [], id="nobody at a host, in brackets"),
        pytest.param(b"Jo a@x", [("Jo", "a@x")], id="no brackets"),
        pytest.param(b"a@x Jo", [("Jo", "a@x")], id="a name behind, no brackets"),
        pytest.param(b"<a@x> Jo", [("Jo", "a@x")], id="a name behind"),
        pytest.param(b"Jo <a@x> Bo <b@y>", [("Jo", "a@x"), ("Bo", "b@y")], id="no comma"),
        pytest.param(b"Jo <a@x> b@y", [("Jo", "a@x"), ("", "b@y")], id="one behind brackets"),
        pytest.param(b"Jo <a@x>\r\n b@y, c@z", [("Jo", "a@x"), ("", "b@y"), ("", "c@z")],
                     id="and a list behind it"),
        pytest.param(b"Jo <a@x> a@x", [("Jo a@x", "a@x")], id="the same behind brackets"),
        pytest.param(b"jo at x.org (Jo D)", [("Jo D", "jo@x.org")], id="of a list's archive"),
        pytest.param(b"Jo at x.org", [("Jo at x.org", "")], id="at in a name"),
        pytest.param(b"jo at work (Jo D)", [("jo at work", "")], id="at no domain"),
        pytest.param(b'\\"Jo: J\\" <a@x>', [('"Jo: J"', "a@x")], id="escaped and not quoted"),
        pytest.param(b"a@x b@y", [("", "a@x"), ("", "b@y")], id="a blank for a comma"),
        pytest.param(b"a@x,,b@y,", [("", "a@x"), ("", "b@y")], id="commas alone"),
        pytest.param(b"Jo <<a@x>>", [("Jo", "a@x")], id="two brackets"),
        pytest.param(b"Jo <work> <a@x>", [("Jo work", "a@x")], id="brackets in the name"),
        pytest.param(b"Jo < a@x >", [("Jo", "a@x")], id="blanks within"),
        pytest.param(b"Jo <jo doe@x>", [("Jo", "doe@x")], id="a word too many within"),
        pytest.param(b"Jo <a@x", [("Jo", "a@x")], id="an open bracket"),
        pytest.param(b'"Jo <a@x>', [("Jo", "a@x")], id="an open quote"),
        pytest.param(b"<mailto:a@x>, mailto:b@y", [("", "a@x"), ("", "b@y")], id="links"),
        pytest.param(b"a@x . y", [("", "a@x.y")], id="blanks around a dot"),
        pytest.param(b"a (c) @ (c) x", [("c c", "a@x")], id="comments around the sign"),
        pytest.param(b"Jo <a(c)@(c)x>", [("Jo", "a@x")], id="comments in the brackets"),
        pytest.param(b"Jo <@r,@s:a@x>", [("Jo", "a@x")], id="a route"),
        pytest.param(b"root", [("root", "")], id="a word"),
        pytest.param(b"Jo <root>", [("Jo", "root")], id="a word in brackets"),
        pytest.param(b"=?utf-8?Q?Doe=2C?= =?utf-8?Q?_Jo?= <a@x>", [("Doe, Jo", "a@x")], id="words"),
        pytest.param(b"=?utf-8?Q?Doe,_Jo?= <a@x>", [("Doe, Jo", "a@x")], id="a raw comma in one"),
        pytest.param(b'=?utf-8?Q?"Jo"?= <a@x>', [("Jo", "a@x")], id="raw quotes in one"),
        pytest.param(b"=?utf-8?Q?=22Doe,_Jo=22?= <a@x>", [("Doe, Jo", "a@x")],
                     id="encoded quotes"),
        pytest.param(b"=?utf-8?Q?=22Jo=22?= Doe <a@x>", [('"Jo" Doe', "a@x")],
                     id="encoded quotes around a part of it"),
        pytest.param(b"<=?utf-8?Q?a=40x?=>", [("", "a@x")], id="an encoded address in brackets"),
        pytest.param("Jö <jö@exämple.org>".encode(), [("Jö", "jö@exämple.org")], id="RFC 6532"),
        pytest.param(b"J\xf6 <a@x>", [("Jö", "a@x")], id="raw ISO 8859-1"),
        pytest.param(b'"Jo \\"J\\" Doe" <a@x>', [('Jo "J" Doe', "a@x")], id="escaped quotes"),
        pytest.param(b'"a b"@x', [("", '"a b"@x')], id="a quoted local part"),
        pytest.param(b"a@x; b@y", [("", "a@x"), ("", "b@y")], id="semicolons"),
        pytest.param(b"Jo\r\n <a@x>,\r\n\tBo <b@y>", [("Jo", "a@x"), ("Bo", "b@y")], id="folded"),
        pytest.param(b"a+b=c@x-y.z_1", [("", "a+b=c@x-y.z_1")], id="signs"),
        pytest.param(b"\xe2\x80\xaeJo <a@x>", [("\u202eJo", "a@x")], id="a mark of direction"),
        pytest.param(b"Jo\0 <a\0@x>", [("Jo", "a@x")], id="NUL"),
        pytest.param(b",;:<>()@", [], id="signs alone"),
        pytest.param(b"root,", [("root", "")], id="a word and a comma"),
        pytest.param(b"Doe, Jo,", [("Doe", ""), ("Jo", "")], id="words and commas"),
        pytest.param(b"Dr. Doe", [("Dr. Doe", "")], id="a dot in a name alone"),
        pytest.param(b"Jo D. Doe a@x", [("Jo D. Doe", "a@x")], id="a dot in a name, no brackets"),
        pytest.param(b"a . b @ x . y", [("", "a.b@x.y")], id="blanks around all signs"),
        pytest.param(b"Jo Doe (a@x)", [("Jo Doe", "a@x")], id="an address in a comment"),
        pytest.param(b'"Jo <a@x>"', [("Jo", "a@x")], id="all of it in quotes"),
        pytest.param(b'"Jo <a@x>" b@y', [("Jo <a@x>", "b@y")], id="quotes, and an address"),
        pytest.param(b"=?utf-8?Q?Jo_=3Ca=40x=3E?=", [("Jo", "a@x")], id="all of it encoded"),
        pytest.param(b"=?utf-8?Q?Jo_=3Ca=40x=3E?= <b@y>", [("Jo <a@x>", "b@y")],
                     id="encoded, and an address"),
        pytest.param(b"Jo\\, Doe <a@x>", [("Jo, Doe", "a@x")], id="an escaped comma"),
        pytest.param(b"Jo (Doe <a@x>", [("Jo (Doe", "a@x")], id="an open comment"),
        pytest.param(b"(((((a <a@x>", [("(((((a", "a@x")], id="open comments"),
        pytest.param(b"Jo :) <a@x>, b@y", [("Jo :)", "a@x"), ("", "b@y")], id="a smile"),
        pytest.param(b"undisclosed:;@x", [], id="nobody at a host"),
    ],
)  # fmt: skip
def test_a_list(field: bytes, found: Found) -> None:
    assert read(field) == found


EVIL = "evil@bad.example"


@table(
    "field",
    [
        b"alice@good.example <evil@bad.example>",
        b"alice@good.example<evil@bad.example>",
        b'"alice@good.example" <evil@bad.example>',
        b'"alice@good.example"<evil@bad.example>',
        b'"Alice <alice@good.example>" <evil@bad.example>',
        b"'alice@good.example' <evil@bad.example>",
        b"(alice@good.example) <evil@bad.example>",
        b"(<alice@good.example>) evil@bad.example",
        b"evil@bad.example (alice@good.example)",
        b"<evil@bad.example> (alice@good.example)",
        b"=?utf-8?Q?alice=40good.example?= <evil@bad.example>",
        b"=?utf-8?Q?Alice_=3Calice=40good.example=3E?= <evil@bad.example>",
        b"=?utf-8?B?PGFsaWNlQGdvb2QuZXhhbXBsZT4=?= <evil@bad.example>",
        b"=?utf-8?Q?alice=40good.example=2C?= <evil@bad.example>",
        b"=?utf-8?Q?alice=40good.example=0D=0A?= <evil@bad.example>",
        b"=?utf-8?Q?alice=40good.example=00?= <evil@bad.example>",
        b"alice\\@good.example <evil@bad.example>",
        b"<alice> <evil@bad.example>",
        b"Alice <mailto:evil@bad.example>",
        b"Alice <@good.example:evil@bad.example>",
        b"Alice <@good.example,@x:evil@bad.example>",
        b"alice@good.example:;, <evil@bad.example>",
        b"Group alice@good.example: evil@bad.example;",
        b"alice@good.example\r\n <evil@bad.example>",
        b"alice@good.example\t<evil@bad.example>",
        b"\xe2\x80\x8balice@good.example <evil@bad.example>",
        b"Alice <evil@bad.example",
        b"Alice <evil@bad.example>>",
        b"Alice <<evil@bad.example>",
        b'Alice "alice@good.example <evil@bad.example>',
        b"Alice <(alice@good.example)evil@bad.example>",
        b"Alice <evil@bad.example(@good.example)>",
    ],
    ids=ascii,
)
def test_a_sender_is_not_who_the_name_says(field: bytes) -> None:
    message = parse_message(mail(From=field))
    assert message.from_.address == EVIL


def test_two_senders_are_a_defect() -> None:
    for field in (b"<a@x> <b@y>", b"a@x, b@y", b"<a@x>:<b@y>"):
        assert "more than one address in From" in parse_message(mail(From=field)).defects


@pytest.mark.parametrize(
    "name", ["to", "cc", "bcc", "reply_to"], ids=lambda name: name.replace("_", "-")
)
def test_every_list_of_addresses_is_read_the_same(name: str) -> None:
    field = b"Doe, Jo <a@x>, Team: b@y;"
    message = parse_message(mail(**{name.title(): field}))
    assert getattr(message, name) == (Address("Doe, Jo", "a@x"), Address("", "b@y"))


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(b'"Jo D" <a@x>', id="plain"),
        pytest.param(b"Jo (c) <a@x>", id="with comments"),
        pytest.param(b"=?utf-8?Q?J=C3=B6?= <a@x>", id="encoded"),
    ],
)
def test_the_quick_way_and_the_long_one_agree(item: bytes) -> None:
    once = read(item)
    assert len(once) == 1
    assert read(b", ".join([item] * 40)) == once * 40
    assert read(b", ".join([item] * 400)) == once * 400  # too long for the quick way
    assert len(read(b", ".join([item] * (MAX_ADDRESSES + 10)))) == MAX_ADDRESSES
