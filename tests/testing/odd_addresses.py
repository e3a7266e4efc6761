"""Odd lists of addresses, and what ENVELOPE tells of them; see odd_letters.py."""

from __future__ import annotations

# ruff: noqa: E501 - a line of the wire is a line here
from tests.testing.odd_letters import Cases

ADDRESSES: Cases = {
    "an address alone": (
        b"a@b",
        b'((NIL NIL "a" "b"))',
    ),
    "a name and an address": (
        b"Ann <a@b.c>",
        b'(("Ann" NIL "a" "b.c"))',
    ),
    "a quoted name": (
        b'"Ann \\"X\\" Bee" <a@b>',
        b'(("Ann \\"X\\" Bee" NIL "a" "b"))',
    ),
    "a comment as name": (
        b"a@b (Ann Bee)",
        b'(("Ann Bee" NIL "a" "b"))',
    ),
    "an empty comment": (
        b"a@b ()",
        b'((NIL NIL "a" "b"))',
    ),
    "a word": (
        b"Ann",
        b'((NIL NIL "Ann" "MISSING_DOMAIN"))',
    ),
    "two words": (
        b"Ann Bee",
        b'(("Ann Bee" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "nothing in brackets": (
        b"Ann <>",
        b'(("Ann" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a bracket that does not close": (
        b"<a@b",
        b'((NIL NIL "a" "SYNTAX_ERROR"))',
    ),
    "a group": (
        b"group: a@b, c@d;",
        b'((NIL NIL "group" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL))',
    ),
    "an empty group": (
        b"undisclosed-recipients:;",
        b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))',
    ),
    "a group that does not end": (
        b"group: a@b",
        b'((NIL NIL "group" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))',
    ),
    "words in a group": (
        b"g: Ann <a@b>, bob ; x",
        b'((NIL NIL "g" NIL)("Ann" NIL "a" "b")(NIL NIL "bob" "MISSING_DOMAIN")(NIL NIL NIL NIL))',
    ),
    "a group in a group": (
        b"a:b:c;",
        b'((NIL NIL "a" NIL)(NIL NIL "b" "MISSING_DOMAIN")(NIL NIL NIL NIL))',
    ),
    "empty places in the list": (
        b",,a@b,, c@d,",
        b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "a" "b")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "c" "d"))',
    ),
    "no host": (
        b"a@",
        b'((NIL NIL "a" "MISSING_DOMAIN"))',
    ),
    "no mailbox": (
        b"@b",
        b'((NIL NIL "MISSING_MAILBOX" "b"))',
    ),
    "two signs": (
        b"a@b@c",
        b'((NIL NIL "a" "b"))',
    ),
    "a route": (
        b"Ann <@a,@b:c@d>",
        b'(("Ann" "@a,@b" "c" "d"))',
    ),
    "a route to nowhere": (
        b"<@a:>",
        b'((NIL "@a" "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a route that breaks off": (
        b"Ann <@b>",
        b'(("Ann" "INVALID_ROUTE" "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a quote that does not close": (
        b'"unclosed <a@b>',
        b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a comment that does not close": (
        b"a (b <c@d>",
        b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a host in brackets": (
        b"a@[1.2.3.4]",
        b'((NIL NIL "a" "[1.2.3.4]"))',
    ),
    "a host that does not close": (
        b"a@[x",
        b'((NIL NIL "a" "MISSING_DOMAIN"))',
    ),
    "blanks around the dots": (
        b"a@c . d",
        b'((NIL NIL "a" "c.d"))',
    ),
    "an encoded word": (
        b"=?utf-8?q?a=20b?= <a@b>",
        b'(("=?utf-8?q?a=20b?=" NIL "a" "b"))',
    ),
    "octets above 127": (
        b"\xc3\xbcn <a@b>",
        b'(({3}\r\n\xc3\xbcn NIL "a" "b"))',
    ),
    "a semicolon": (
        b"a;b@c",
        b'((NIL NIL "a" "MISSING_DOMAIN"))',
    ),
    "a second bracket": (
        b"<a@b> <c@d>",
        b'((NIL NIL "a" "b"))',
    ),
    "garbage ends the list": (
        b"Ann <a@b> junk, c@d",
        b'(("Ann" NIL "a" "b"))',
    ),
    "dots in the mailbox": (
        b".a..b.@c",
        b'((NIL NIL ".a..b." "c"))',
    ),
    "dots in the name": (
        b"A. B. C <a@b>",
        b'(("A. B. C" NIL "a" "b"))',
    ),
    "a quoted mailbox": (
        b'"a b"@c',
        b'((NIL NIL "a b" "c"))',
    ),
    "an empty mailbox": (
        b'""@b',
        b'((NIL NIL "" "b"))',
    ),
    "an address as name": (
        b'"a@b" <c@d>',
        b'(("a@b" NIL "c" "d"))',
    ),
    "folded": (
        b'"Ann  Bee\r\n\tC" <a@b>,\r\n c@d',
        b'(("Ann Bee C" NIL "a" "b")(NIL NIL "c" "d"))',
    ),
    "nothing": (
        b"",
        b"NIL",
    ),
    "only commas": (
        b",, ,",
        b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "a backslash": (
        b'"\\',
        b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))',
    ),
    "many quotes make a literal": (
        b'"\\"\\"\\"\\"\\"" <a@b>',
        b'(({5}\r\n""""" NIL "a" "b"))',
    ),
}
