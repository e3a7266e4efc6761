"""Who sent it, as far as the server that is trusted found out; and who pretends in vain."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from nornmail.message.authentication import Authentication, read_results
from nornmail.message.message import parse_message
from tests.support.table import table

ID = "mx.example.net"
BOSS = "boss@example.com"
GOOD = (
    "mx.example.net; spf=pass smtp.mailfrom=boss@example.com; dkim=pass "
    "header.d=example.com; dmarc=pass header.from=example.com"
)
BAD = (
    "mx.example.net; spf=fail smtp.mailfrom=example.com; dkim=none; dmarc=fail "
    "header.from=example.com"
)
NOTHING = ("unverified",) * 4


def read(
    *fields: str, sender: str | None = f"Boss <{BOSS}>", trusted: str | None = ID
) -> Authentication:
    """What is found with ``fields`` on top: values of Authentication-Results, or whole fields."""
    lines = [one if one.startswith(NAMES) else f"Authentication-Results: {one}" for one in fields]
    if sender is not None:
        lines.append(f"From: {sender}")
    raw = "\r\n".join([*lines, "Subject: hello", "", "Hello."]).encode()
    return parse_message(raw, authserv_id=trusted).authentication


NAMES = (
    "Received:",
    "From:",
    "ARC-",
    "X-",
    "Received-SPF:",
    "AUTHENTICATION-RESULTS:",
    "Authentication-Results",
)


def verdicts(found: Authentication) -> tuple[str, str, str, str]:
    return found.spf, found.dkim, found.dmarc, found.arc


def test_verdicts_of_the_trusted_server() -> None:
    assert read(GOOD + "; arc=pass") == Authentication(
        spf="pass",
        dkim="pass",
        dmarc="pass",
        arc="pass",
        spf_domain="example.com",
        dkim_domains=("example.com",),
        dmarc_domain="example.com",
        author=BOSS,
        authserv_id=ID,
    )


@table(
    ("fields", "expected"),
    [
        pytest.param([], NOTHING, id="no field"),
        pytest.param([f"{ID}; none"], NOTHING, id="no results"),
        pytest.param([f"{ID} 1; spf=pass"], ("pass", *NOTHING[1:]), id="with the version"),
        pytest.param([f"{ID} 2; spf=pass"], NOTHING, id="with a version that nobody knows"),
        pytest.param([f"{ID} 1 1; spf=pass"], NOTHING, id="with more than a version"),
        pytest.param([f'"{ID}"; spf=pass'], ("pass", *NOTHING[1:]), id="the id as a string"),
        pytest.param(
            [f"(a (b) \\) c) {ID} (d) 1 (e); (f) spf (g) = (h) pass (i)"],
            ("pass", *NOTHING[1:]),
            id="comments everywhere",
        ),
        pytest.param(
            [
                (
                    f"{ID};\r\n\tspf=pass\r\n\t smtp.mailfrom=a.example;\r\n dkim=pass "
                    "header.d=b.example"
                )
            ],
            ("pass", "pass", *NOTHING[2:]),
            id="a folded field",
        ),
        pytest.param(
            ["MX.Example.NET; SPF=Pass; DKIM = PASS"],
            ("pass", "pass", *NOTHING[2:]),
            id="in capitals",
        ),
        pytest.param(
            [f"{ID}; spf/1=pass; dkim/2=pass"], ("pass", *NOTHING[1:]), id="the version of a method"
        ),
        pytest.param(
            [f"{ID}; spf=softfail", f"{ID}; dkim=pass", f"{ID}; dmarc=pass"],
            ("softfail", "pass", "pass", "unverified"),
            id="split over three fields",
        ),
        pytest.param(
            [f"{ID}; spf=fail", f"{ID}; spf=pass; dkim=pass"],
            ("fail", "pass", *NOTHING[2:]),
            id="the worse of two counts, whichever is first",
        ),
        pytest.param(
            [f"{ID}; dmarc=pass", f"{ID}; dmarc=fail"],
            (*NOTHING[:2], "fail", "unverified"),
            id="the worse of two counts, whichever is last",
        ),
        pytest.param(
            ["Received: from b by mx", f"{ID}; spf=pass"],
            ("pass", *NOTHING[1:]),
            id="below the Received fields of hops within",
        ),
        pytest.param(
            [f"{ID}; spf=pass", "X-Spam: no", "Received-SPF: pass", f"{ID}; dkim=fail"],
            ("pass", "fail", *NOTHING[2:]),
            id="with other fields in between",
        ),
        pytest.param(
            [f"{ID}; dkim=fail header.d=b.example; dkim=pass header.d=example.com"],
            ("unverified", "pass", *NOTHING[2:]),
            id="one of two signatures",
        ),
        pytest.param(
            [
                f"{ID}; dkim=pass header.d=a.example header.s=s header.b=x",
                f"{ID}; dkim=fail header.d=a.example header.s=s header.b=x",
            ],
            ("unverified", "fail", *NOTHING[2:]),
            id="one signature told of twice",
        ),
        pytest.param(
            [f"{ID}; spf=pass smtp.helo=mx.example.com; spf=none smtp.mailfrom=example.com"],
            ("none", *NOTHING[1:]),
            id="HELO does not stand for the sender",
        ),
        pytest.param(
            [f"{ID}; spf=pass smtp.helo=mx.example.com"], ("pass", *NOTHING[1:]), id="HELO alone"
        ),
        pytest.param(
            [f"{ID}; spf=bestguesspass; dmarc=bestguesspass"],
            ("none", "unverified", "none", "unverified"),
            id="a guess is none",
        ),
        pytest.param(
            [f"{ID}; spf=hardfail; dmarc=great"],
            ("fail", *NOTHING[1:]),
            id="an old word, and one that is no verdict",
        ),
        pytest.param([f"{ID}; iprev=pass; auth=pass; x-foo=pass"], NOTHING, id="other methods"),
        pytest.param(
            [f'{ID}; spf=pass reason="a; dmarc=pass"; dkim=none'],
            ("pass", "none", *NOTHING[2:]),
            id="a reason with a semicolon",
        ),
        pytest.param(
            [f"{ID}; dkim=pass header.b=aB/c+d== header.d=example.com"],
            ("unverified", "pass", *NOTHING[2:]),
            id="a bare signature",
        ),
    ],
)
def test_what_counts_as_a_verdict(fields: list[str], expected: tuple[str, ...]) -> None:
    assert verdicts(read(*fields)) == expected


def test_nobody_is_trusted_unless_the_user_says_so() -> None:
    assert verdicts(read(GOOD, trusted=None)) == NOTHING
    assert verdicts(read(GOOD, trusted="")) == NOTHING
    assert verdicts(read("; spf=pass", trusted="")) == NOTHING


SPOOFS: list[tuple[str, list[str]]] = [
    ("an id with a suffix", [f"{ID}.evil.example; dmarc=pass header.from=example.com"]),
    ("an id with a prefix", [f"evil-{ID}; dmarc=pass header.from=example.com"]),
    ("an id below the trusted one", [f"a.{ID}; dmarc=pass header.from=example.com"]),
    ("an id with a dot at the end", [f"{ID}.; dmarc=pass header.from=example.com"]),
    ("an id with a Cyrillic letter", ["mx.ex\u0430mple.net; dmarc=pass header.from=example.com"]),
    (
        "an id in an encoded word",
        ["=?utf-8?q?mx.example.net?=; dmarc=pass header.from=example.com"],
    ),
    (
        "an id that is broken by a comment",
        ["mx(.).example.net; dmarc=pass header.from=example.com"],
    ),
    ("an id in a comment", [f"evil.example ({ID}); dmarc=pass header.from=example.com"]),
    ("an id with an equals sign", [f"{ID}=x; dmarc=pass header.from=example.com"]),
    ("no id", ["dmarc=pass header.from=example.com"]),
    ("an empty id", ["; dmarc=pass header.from=example.com"]),
    ("below the trusted verdict", [BAD, GOOD]),
    (
        "below a Received field",
        [BAD.replace("dmarc=fail", "x=y"), "Received: from evil by mx", GOOD],
    ),
    ("below another server's", ["other.example; spf=pass", GOOD]),
    ("below one that cannot be read", ["(", GOOD]),
    ("in ARC alone", [f"ARC-Authentication-Results: i=1; {GOOD}", "ARC-Seal: i=1; cv=none"]),
    (
        "in a field with a similar name",
        [f"X-Authentication-Results: {GOOD}", f"Authentication-Results-Original: {GOOD}"],
    ),
    ("a verdict in a comment", [f"{ID}; spf=none (; dmarc=pass header.from=example.com)"]),
    (
        "a verdict in a nested comment",
        [f"{ID}; spf=none (a(b); dmarc=pass header.from=example.com)"],
    ),
    (
        "a verdict behind an escaped parenthesis",
        [f"{ID}; spf=none (a\\); dmarc=pass header.from=example.com)"],
    ),
    (
        "a verdict in the address of the envelope",
        [(f'{ID}; spf=none smtp.mailfrom="a; dmarc=pass header.from=example.com"@evil.example')],
    ),
    (
        "a verdict in an address with an escaped quote",
        [(f'{ID}; spf=none smtp.mailfrom="\\"; dmarc=pass header.from=example.com"@evil.example')],
    ),
    (
        "a verdict behind a string that never ends",
        [f'{ID}; spf=none smtp.mailfrom="; dmarc=pass header.from=example.com'],
    ),
    (
        "a verdict behind a comment that never ends",
        [f"{ID}; spf=none (; dmarc=pass header.from=example.com"],
    ),
    ("a verdict as a property", [f"{ID}; spf=none dmarc=pass header.from=example.com"]),
    ("a verdict as a string", [f'{ID}; "dmarc"=pass header.from=example.com']),
    ("a method that is cut by a comment", [f"{ID}; x(y)dmarc=pass header.from=example.com"]),
    ("a method with a longer name", [f"{ID}; xdmarc=pass header.from=example.com; dmarc-x=pass"]),
    ("a pass with more behind it", [f"{ID}; dmarc=passed header.from=example.com"]),
    ("a pass for another domain", [f"{ID}; dmarc=pass header.from=evil.example"]),
    (
        "a pass for another domain than is read here",
        [f"{ID}; dmarc=pass header.from=evil.example; dkim=pass header.d=example.com"],
    ),
    ("a signature with a comment that never ends", [f"{ID}; dkim=pass header.d=example.com (so"]),
    (
        "a signature with a string that never ends",
        [f'{ID}; dkim=pass header.d=example.com reason="so'],
    ),
    ("a pass for a longer domain", [f"{ID}; dmarc=pass header.from=example.com.evil.example"]),
    (
        "a pass for two domains",
        [(f"{ID}; dmarc=pass header.from=example.com; dmarc=pass header.from=evil.example")],
    ),
    ("a signature of another", [f"{ID}; dkim=pass header.d=evil.example"]),
    ("a signature of one that ends alike", [f"{ID}; dkim=pass header.d=evilexample.com"]),
    ("a signature of a whole top-level domain", [f"{ID}; dkim=pass header.d=com"]),
    (
        "a signature with a second domain",
        [f"{ID}; dkim=pass header.d=evil.example header.d=example.com"],
    ),
    ("SPF of another", [f"{ID}; spf=pass smtp.mailfrom=boss@evil.example"]),
    (
        "SPF of an address within the address",
        [f'{ID}; spf=pass smtp.mailfrom="boss@example.com"@evil.example'],
    ),
    (
        "a policy that failed beside a signature",
        [f"{ID}; dkim=pass header.d=example.com; dmarc=fail header.from=example.com"],
    ),
    (
        "an error of the policy",
        [(f"{ID}; dkim=pass header.d=example.com; dmarc=temperror header.from=example.com")],
    ),
]


@table("fields", [pytest.param(fields, id=name) for name, fields in SPOOFS])
def test_a_spoofed_verdict_makes_nobody_the_boss(fields: list[str]) -> None:
    found = read(*fields)
    assert not found.is_aligned()
    assert not found.is_from(BOSS, "@example.com")


@table(
    "sender",
    [
        pytest.param("boss@example.com <eve@evil.example>", id="the address as a display name"),
        pytest.param('"boss@example.com" <eve@evil.example>', id="the address as a quoted name"),
        pytest.param("boss@example.com, eve@evil.example", id="two addresses"),
        pytest.param("eve@evil.example, boss@example.com", id="two addresses, the good one last"),
        pytest.param("Boss: boss@example.com;", id="a group"),
        pytest.param("boss@example.com:eve@evil.example;", id="a group that is called so"),
        pytest.param("undisclosed-recipients:;", id="an empty group"),
        pytest.param("boss@example.com\r\nFrom: eve@evil.example", id="two From fields"),
        pytest.param("boss@example.com\r\nFROM: boss@example.com", id="the same From twice"),
        pytest.param("eve@evil.example (boss@example.com)", id="the address as a comment"),
        pytest.param("boss@ex\u0430mple.com", id="a Cyrillic letter in the domain"),
        pytest.param("boss@\uff45xample.com", id="a wide letter in the domain"),
        pytest.param("b\u043ess@example.com", id="a Cyrillic letter before the at"),
        pytest.param("boss@example.com.evil.example", id="a longer domain"),
        pytest.param("boss@sub.example.com", id="a domain below"),
        pytest.param("bigboss@example.com", id="another at the domain, where one is wanted"),
        pytest.param("boss", id="no domain"),
        pytest.param("@example.com", id="nobody"),
        pytest.param("", id="an empty field"),
        pytest.param(None, id="no field"),
    ],
)
def test_who_is_not_the_boss_though_the_server_passed_it(sender: str | None) -> None:
    assert not read(GOOD, sender=sender).is_from(BOSS)


@table(
    ("sender", "allowed"),
    [
        pytest.param("Boss <boss@example.com>", BOSS, id="the address"),
        pytest.param("BOSS@EXAMPLE.COM", BOSS, id="in capitals"),
        pytest.param("boss@example.com", "Boss@Example.com", id="listed in capitals"),
        pytest.param("boss@example.com", "@example.com", id="the domain"),
        pytest.param('"Boss: the one; only" <boss@example.com>', BOSS, id="a name with a colon"),
        pytest.param("(hi:) boss@example.com", BOSS, id="a comment with a colon"),
    ],
)
def test_the_boss(sender: str, allowed: str) -> None:
    found = read(GOOD, sender=sender)
    assert found.is_from("other@example.org", allowed)
    assert found.is_from(allowed, strict=True)
    assert not found.is_from("other@example.org")
    assert not found.is_from()
    assert not read(BAD, sender=sender).is_from(allowed)
    assert not read(sender=sender).is_from(allowed)


PASS = f"{ID}; dmarc=pass header.from=example.com"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([f"Authentication-Results : {PASS}"], id="a blank before the colon"),
        pytest.param([f"Authentication-Results\t: {PASS}"], id="a tab before it"),
        pytest.param([f"Authentication-Results : {PASS}", PASS], id="above one without"),
    ],
)
def test_a_field_that_no_server_writes_is_not_trusted(fields: list[str]) -> None:
    assert read(*fields) == Authentication(author=BOSS)


def test_of_very_many_results_the_first_count() -> None:
    assert read(f"{ID}; spf=pass" + "; x=y" * 98 + "; dkim=pass").dkim == "pass"
    assert read(f"{ID}; spf=pass" + "; x=y" * 99 + "; dkim=pass").dkim == "unverified"


def test_a_very_long_From_has_no_author() -> None:
    assert read(GOOD, sender=f'"{"a" * 5_000}" <{BOSS}>').author == ""


def test_a_domain_on_the_list_needs_its_at() -> None:
    assert not read(GOOD).is_from("example.com")


@table(
    ("field", "relaxed", "strict"),
    [
        pytest.param("dkim=pass header.d=example.com", True, True, id="a signature, no policy"),
        pytest.param(
            "dkim=pass header.i=@example.com", True, True, id="a signature by its identity"
        ),
        pytest.param("dkim=pass header.d=mail.example.com", True, False, id="a domain below"),
        pytest.param("spf=pass smtp.mailfrom=bounce.example.com", True, False, id="SPF below"),
        pytest.param(
            "spf=pass smtp.mailfrom=boss@example.com; dmarc=none", True, True, id="SPF, no policy"
        ),
        pytest.param("dmarc=pass header.from=example.com", True, False, id="the policy alone"),
        pytest.param(
            "dmarc=pass header.from=boss@example.com", True, False, id="the policy by the address"
        ),
        pytest.param(
            "dmarc=pass; dkim=pass header.d=example.com",
            True,
            True,
            id="a policy that names nobody",
        ),
        pytest.param("dmarc=pass", False, False, id="a policy that names nobody, alone"),
        pytest.param(
            "spf=softfail smtp.mailfrom=example.com", False, False, id="nothing that passed"
        ),
    ],
)
def test_when_from_is_verified(field: str, relaxed: bool, strict: bool) -> None:
    found = read(f"{ID}; {field}")
    assert (found.is_aligned(), found.is_aligned(strict=True)) == (relaxed, strict)


def test_no_text_of_three_pieces_makes_the_reader_raise_or_pass_what_is_inside() -> None:
    pieces = ["(", ")", '"', "\\", ";", "=", " ", "a", "dmarc=pass", "1/2", ".", "\u00e9"]
    for parts in product(pieces, repeat=3):
        name, _ = read_results(f"{ID}; " + "".join(parts))
        assert name == ID
        assert not any(
            one.value == "pass" for one in read_results(f'{ID}; a=b ("' + "".join(parts[:1]))[1]
        )


@table(
    "make",
    [
        pytest.param(lambda n: f"{ID}; " + "(" * n, id="comments"),
        pytest.param(lambda n: f"{ID}; " + "()" * n, id="empty comments"),
        pytest.param(lambda n: f"{ID}; " + '"\\' * n, id="strings"),
        pytest.param(lambda n: f"{ID}; " + "a=b;" * n, id="results"),
        pytest.param(lambda n: f"{ID}; spf=pass" + " a=b" * n, id="properties"),
        pytest.param(lambda n: f"{ID}; spf=pass " + "=" * n, id="equals signs"),
    ],
)
def test_a_long_field_is_read_to_its_end(make: Callable[[int], str]) -> None:
    assert read(make(20_000), GOOD).authserv_id in (ID, "")
