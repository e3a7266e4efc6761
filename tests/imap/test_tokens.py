"""Atoms, strings, literals and lists; and where a literal begins."""

from __future__ import annotations

import pytest

from nornmail.errors import ProtocolError
from nornmail.imap.tokens import (
    MAX_DEPTH,
    Atom,
    Literal,
    Malformed,
    Piece,
    TokenValue,
    announced_literal,
    number,
    values,
)
from tests.support.table import table


@table(
    ("pieces", "expected"),
    [
        pytest.param([b"UID 5"], [b"UID", b"5"], id="atoms are split at blanks"),
        pytest.param([b"  UID \t 5  "], [b"UID", b"5"], id="runs of blanks and tabs count as one"),
        pytest.param([b"nil NIL"], [None, None], id="NIL in any case is nothing"),
        pytest.param([b'"NIL"'], [b"NIL"], id="a quoted NIL is a string"),
        pytest.param([rb'"a \"b\" \\"'], [b'a "b" \\'], id="escapes are taken out of strings"),
        pytest.param([b'""'], [b""], id="an empty string is a string"),
        pytest.param([b'"a(b"'], [b"a(b"], id="a parenthesis within quotes opens nothing"),
        pytest.param([b"(a (b) ())"], [(b"a", (b"b",), ())], id="lists nest"),
        pytest.param(
            [b"a ", Literal(b"x)\r\n"), b""], [b"a", b"x)\r\n"], id="a literal is a value"
        ),
        pytest.param(
            [b"(BODY[] ", Literal(b""), b")"], [(b"BODY[]", b"")], id="an empty literal is a value"
        ),
        pytest.param(
            [b'BODY[HEADER.FIELDS ("A B" C)]<0> x'],
            [b'BODY[HEADER.FIELDS ("A B" C)]<0>', b"x"],
            id="a section is one atom with all that is between its brackets",
        ),
        pytest.param([b"[Gmail]/All"], [b"[Gmail]/All"], id="brackets elsewhere are ordinary"),
        pytest.param([b"(foo[bar) BODY[]"], [(b"foo[bar",), b"BODY[]"], id="an open bracket too"),
        pytest.param([b"a\0 b"], [b"a", b"b"], id="NUL octets are padding"),
    ],
)
def test_pieces_become_values(pieces: list[Piece], expected: list[TokenValue]) -> None:
    assert values(pieces) == expected


def test_only_what_was_sent_bare_is_an_atom() -> None:
    told = values([b'a "b" ', Literal(b"c"), b""])
    assert [isinstance(value, Atom) for value in told] == [True, False, False]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"(a", id="a list that is not closed"),
        pytest.param(b"a)", id="a list that was never opened"),
        pytest.param(b'"a', id="a string that is not closed"),
        pytest.param(b'"a\\"', id="a string whose last quote is escaped"),
    ],
)
def test_what_has_no_partner_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        values([text])


def test_lists_nest_as_deep_as_the_limit() -> None:
    told = values([b"(" * MAX_DEPTH + b")" * MAX_DEPTH])
    assert len(told) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"(" * (MAX_DEPTH + 1), id="a nesting bomb"),
        pytest.param(b"a " * 1_001, id="a flood of tokens"),
    ],
)
def test_bombs_are_protocol_errors(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nornmail.imap.tokens.MAX_TOKENS", 1_000)
    assert values([b"a " * 1_000])
    with pytest.raises(ProtocolError):
        values([text])


@table(
    ("line", "expected"),
    [
        pytest.param(b"BODY[] {75}", (b"BODY[] ", b"75"), id="a literal"),
        pytest.param(b"BODY[] {75+}", (b"BODY[] ", b"75"), id="a non-synchronizing literal"),
        pytest.param(b"BINARY[1] ~{75}", (b"BINARY[1] ", b"75"), id="a literal8"),
        pytest.param(b"BODY[HEADER]{4169}", (b"BODY[HEADER]", b"4169"), id="no blank before it"),
        pytest.param(b"BODY[]<0>{9}", (b"BODY[]<0>", b"9"), id="no blank after an origin"),
        pytest.param(b"({3}", (b"(", b"3"), id="first in a list"),
        pytest.param(b"{0}", (b"", b"0"), id="alone on the line"),
        pytest.param(b"{" + b"9" * 5000 + b"}", (b"", b"9" * 5000), id="of 5,000 digits"),
        pytest.param(b'LIST () "/" a{3}', None, id="a brace within a word announces nothing"),
        pytest.param(b'"text {3}"', None, id="nor within quotes"),
        pytest.param(b"BODY[] {3} ", None, id="nor before a blank"),
        pytest.param(b"BODY[] {}", None, id="nor without digits"),
        pytest.param(b"BODY[] {-1}", None, id="nor with a negative size"),
        pytest.param(b"}", None, id="nor without its other half"),
        pytest.param(b"", None, id="nor an empty line"),
    ],
)
def test_a_line_announces_a_literal(line: bytes, expected: tuple[bytes, bytes] | None) -> None:
    assert announced_literal(line) == expected


@table(
    ("token", "expected"),
    [
        pytest.param(Atom(b"0"), 0, id="zero"),
        pytest.param(Atom(b"4294967295"), 2**32 - 1, id="the highest"),
        pytest.param(Atom(b"4294967296"), None, id="one too high"),
        pytest.param(Atom(b"9" * 5000), None, id="5,000 digits"),
        pytest.param(Atom(b"-1"), None, id="negative"),
        pytest.param(Atom(b""), None, id="nothing"),
        pytest.param(None, None, id="NIL"),
        pytest.param((), None, id="a list"),
    ],
)
def test_a_number_has_32_bits(token: TokenValue, expected: int | None) -> None:
    assert number(token) == expected
