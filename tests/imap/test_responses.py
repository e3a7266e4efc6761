"""Lines of servers, real and broken, and the values that they are."""

from __future__ import annotations

import random

import pytest

from nornmail.errors import ProtocolError
from nornmail.imap import responses
from nornmail.imap.responses import (
    Capability,
    Continuation,
    Esearch,
    Exists,
    Expunge,
    Fetch,
    ListItem,
    Response,
    Search,
    StatusResponse,
    Tagged,
    Unknown,
    _plain_fetch,
    ends_in_text,
    is_fetch,
    parse,
)
from nornmail.imap.tokens import Literal, Piece, TokenValue
from nornmail.uidset import UidSet
from tests.support.table import table


@table(
    ("line", "expected"),
    [
        pytest.param(b"A1 OK done", Tagged(b"A1", "OK", "", "", "done"), id="the end of a command"),
        pytest.param(b"A1 OK", Tagged(b"A1", "OK", "", "", ""), id="a tagged OK without text"),
        pytest.param(b"A1 ok x", Tagged(b"A1", "OK", "", "", "x"), id="a keyword in lower case"),
        pytest.param(b"A1  NO   x", Tagged(b"A1", "NO", "", "", "x"), id="runs of blanks"),
        pytest.param(
            b"A1 NO [AUTHENTICATIONFAILED] no",
            Tagged(b"A1", "NO", "AUTHENTICATIONFAILED", "", "no"),
            id="a response code",
        ),
        pytest.param(
            b"A1 OK [COPYUID 85 1:3 7:9] (Success)",
            Tagged(b"A1", "OK", "COPYUID", "85 1:3 7:9", "(Success)"),
            id="a code with arguments",
        ),
        pytest.param(
            b"A1 OK Success [THROTTLED]",
            Tagged(b"A1", "OK", "", "", "Success [THROTTLED]"),
            id="Gmail's mark at the end of the text is no code",
        ),
        pytest.param(b"* OK hello", StatusResponse("OK", "", "", "hello"), id="an untagged OK"),
        pytest.param(b"* BYE", StatusResponse("BYE", "", "", ""), id="a BYE without text"),
        pytest.param(
            b"* OK [UNSEEN 8]", StatusResponse("OK", "UNSEEN", "8", ""), id="a code without text"
        ),
        pytest.param(
            b"* OK [UIDVALIDITY 2] UIDs valid ",
            StatusResponse("OK", "UIDVALIDITY", "2", "UIDs valid"),
            id="a blank at the end of the line",
        ),
        pytest.param(
            b"* OK [PERMANENTFLAGS (\\* $a[b] \\Seen)] Limited",
            StatusResponse("OK", "PERMANENTFLAGS", "(\\* $a[b] \\Seen)", "Limited"),
            id="a flag with a bracket within a code",
        ),
        pytest.param(
            b"* NO [WEBALERT https://a.example/?x=1&y=2] Web login required.",
            StatusResponse("NO", "WEBALERT", "https://a.example/?x=1&y=2", "Web login required."),
            id="an unknown code with arguments",
        ),
        pytest.param(
            b"* OK quota is {40}",
            StatusResponse("OK", "", "", "quota is {40}"),
            id="a false literal",
        ),
        pytest.param(
            b"* OK [open",
            StatusResponse("OK", "", "", "[open"),
            id="a code that is not closed is text",
        ),
        pytest.param(b"* 7 EXISTS", Exists(7), id="how many there are"),
        pytest.param(b"* 7 exists", Exists(7), id="in lower case"),
        pytest.param(b"\0* 7 EXISTS", Exists(7), id="after a NUL octet"),
        pytest.param(b"* 3 EXPUNGE", Expunge(3), id="one is gone"),
        pytest.param(
            b"* capability imap4rev1 Starttls",
            Capability(frozenset({"IMAP4REV1", "STARTTLS"})),
            id="capabilities in lower case",
        ),
        pytest.param(b"* SEARCH 1 2 3 7", Search(UidSet([(1, 3), (7, 7)])), id="hits"),
        pytest.param(b"* SEARCH 7 3 7 1", Search(UidSet.of([1, 3, 7])), id="unsorted, repeated"),
        pytest.param(b"* SEARCH", Search(UidSet()), id="no hits"),
        pytest.param(b"* SEARCH ", Search(UidSet()), id="no hits and a blank"),
        pytest.param(b"* SEARCH 7456 ", Search(UidSet.of([7456])), id="a blank after the hits"),
        pytest.param(b"* SEARCH 0 5", Search(UidSet.of([5])), id="0 is no UID"),
        pytest.param(
            b"* SEARCH 2 5 (MODSEQ 917162500)", Search(UidSet.of([2, 5])), id="hits and a MODSEQ"
        ),
        pytest.param(
            b'* ESEARCH (TAG "A1") UID ALL 1:3,5',
            Esearch(b"A1", True, UidSet([(1, 3), (5, 5)])),
            id="extended hits",
        ),
        pytest.param(
            b'* ESEARCH (TAG "A1") UID COUNT 3 ALL 5:7',
            Esearch(b"A1", True, UidSet([(5, 7)])),
            id="extended hits in another order",
        ),
        pytest.param(
            b'* ESEARCH (TAG "A1") UID', Esearch(b"A1", True, UidSet()), id="no extended hits"
        ),
        pytest.param(
            b"* ESEARCH ALL 4:2",
            Esearch(None, False, UidSet([(2, 4)])),
            id="extended hits by sequence number, and a range the wrong way round",
        ),
        pytest.param(
            b'* LIST (\\HasNoChildren) "/" INBOX',
            ListItem(frozenset({"\\HasNoChildren"}), "/", b"INBOX"),
            id="a mailbox",
        ),
        pytest.param(
            b'* List () "." "a \\"b\\""', ListItem(frozenset(), ".", b'a "b"'), id="a quoted name"
        ),
        pytest.param(
            b'* LIST (\\Sent\\HasNoChildren) "/" Sent',
            ListItem(frozenset({"\\Sent", "\\HasNoChildren"}), "/", b"Sent"),
            id="attributes without a blank between them",
        ),
        pytest.param(
            b'* LIST () "\\\\" Inbox',
            ListItem(frozenset(), "\\", b"Inbox"),
            id="a backslash between",
        ),
        pytest.param(b"* LIST () NIL x", ListItem(frozenset(), None, b"x"), id="no hierarchy"),
        pytest.param(b'* LIST () "" x', ListItem(frozenset(), None, b"x"), id="none, and quoted"),
        pytest.param(
            b'* LIST () "/" INBOX/Da\tOggetto',
            ListItem(frozenset(), "/", b"INBOX/Da\tOggetto"),
            id="a name with a raw tab",
        ),
        pytest.param(
            b'* LIST () "/" Calendar"', ListItem(frozenset(), "/", b"Calendar"), id="half quoted"
        ),
        pytest.param(b"+ idling", Continuation(b"idling"), id="a continuation"),
        pytest.param(b"+", Continuation(b""), id="a continuation without text"),
        pytest.param(
            b"[COPYUID 55 31 6]", Unknown(b"[COPYUID 55 31 6]"), id="a code as a line of its own"
        ),
        pytest.param(b"* 4 RECENT", Unknown(b"* 4 RECENT"), id="what nobody needs"),
        pytest.param(b"* XLIST () x y", Unknown(b"* XLIST () x y"), id="what nobody knows"),
        pytest.param(b"* ", Unknown(b"* "), id="a star alone"),
        pytest.param(b" FLAGS (\\Seen))", Unknown(b" FLAGS (\\Seen))"), id="half of a split line"),
        pytest.param(b"\xff\xfe garbage", Unknown(b"\xff\xfe garbage"), id="garbage"),
    ],
)
def test_a_line_is_a_value(line: bytes, expected: Response) -> None:
    assert parse([line]) == expected


@table(
    ("pieces", "items"),
    [
        pytest.param(
            [b"* 1 FETCH (UID 5 BODY[] ", Literal(b"hello"), b")"],
            {"UID": b"5", "BODY[]": b"hello"},
            id="a body as a literal",
        ),
        pytest.param(
            [b"* 1 FETCH (BODY[] ", Literal(b"hello"), b" UID 5 FLAGS (\\Seen))"],
            {"UID": b"5", "BODY[]": b"hello", "FLAGS": (b"\\Seen",)},
            id="items after the literal",
        ),
        pytest.param(
            [b'* 1 fetch (uid 5 body[] "hello")'],
            {"UID": b"5", "BODY[]": b"hello"},
            id="lower case, and a quoted body",
        ),
        pytest.param(
            [b"* 1 FETCH (UID 5 BODY[] NIL)"],
            {"UID": b"5", "BODY[]": None},
            id="a body that is NIL",
        ),
        pytest.param(
            [b"* 1 FETCH (UID 5 BODY[] ", Literal(b""), b")"],
            {"UID": b"5", "BODY[]": b""},
            id="an empty body",
        ),
        pytest.param(
            [b"* 1 FETCH (UID 3016 BODY[2.MIME] ", Literal(b"x"), b" BODY[2] )"],
            {"UID": b"3016", "BODY[2.MIME]": b"x"},
            id="a name without its value before the end",
        ),
        pytest.param(
            [b"* 1 FETCH (BODY[] UID 5)"], {"UID": b"5"}, id="a name without its value elsewhere"
        ),
        pytest.param([b"* 1 FETCH (UID 19436 )"], {"UID": b"19436"}, id="a blank at the end"),
        pytest.param(
            [b"* 1 FETCH (BODY[HEADER]", Literal(b"a: b"), b")"],
            {"BODY[HEADER]": b"a: b"},
            id="no blank before the literal",
        ),
        pytest.param(
            [b"* 1 FETCH (RFC822.SIZE 75 UID 5)"],
            {"RFC822.SIZE": b"75", "UID": b"5"},
            id="a size is an atom",
        ),
        pytest.param(
            [b"* 1 FETCH (FLAGS (\\Seen $a))"], {"FLAGS": (b"\\Seen", b"$a")}, id="flags unasked"
        ),
        pytest.param(
            [b"* 2 FETCH (UID 14935 (ENVELOPE (NIL NIL)) FLAGS ())"],
            {"UID": b"14935", "ENVELOPE": (None, None), "FLAGS": ()},
            id="an item in parentheses of its own",
        ),
        pytest.param(
            [b"* 1 FETCH (MODSEQ (-1) UID 336)"],
            {"MODSEQ": (b"-1",), "UID": b"336"},
            id="a negative MODSEQ",
        ),
        pytest.param(
            [b'* 1 FETCH (X-GM-LABELS (\\Important "Custom Label" NIL) UID 1)'],
            {"X-GM-LABELS": (b"\\Important", b"Custom Label", None), "UID": b"1"},
            id="a list of atoms, strings and NIL",
        ),
        pytest.param(
            [b"* 1 FETCH (UID " + b"9" * 5000 + b")"], {"UID": b"9" * 5000}, id="5,000 digits"
        ),
        pytest.param([b"* 1 FETCH ()"], {}, id="nothing at all"),
    ],
)
def test_a_fetch_has_items(pieces: list[Piece], items: dict[str, TokenValue]) -> None:
    told = parse(pieces)
    assert isinstance(told, Fetch)
    assert told.items == items


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"* 1 FETCH (FLAGS (\\Seen)", id="a line that was split"),
        pytest.param(b"* 1 FETCH", id="no items"),
        pytest.param(b"* 1 FETCH UID 5", id="items without parentheses"),
        pytest.param(b'* 1 FETCH (UID 5 SUBJECT "a)', id="a string that is not closed"),
    ],
)
def test_a_fetch_that_cannot_be_read_stands_alone(line: bytes) -> None:
    assert isinstance(parse([line]), Unknown)


@table(
    "pieces",
    [
        pytest.param([b"* SEARCH " + b"9" * 5000], id="5,000 digits in a SEARCH"),
        pytest.param([b"* SEARCH 4294967296"], id="33 bits in a SEARCH"),
        pytest.param([b"* SEARCH 1 x"], id="a word in a SEARCH"),
        pytest.param([b"* SEARCH -1"], id="a negative hit"),
        pytest.param([b"* " + b"9" * 5000 + b" EXISTS"], id="5,000 digits of EXISTS"),
        pytest.param([b"* 99999999999 FETCH (UID 1)"], id="11 digits of FETCH"),
        pytest.param([b"* ESEARCH UID ALL 1:" + b"9" * 5000], id="5,000 digits in an ESEARCH"),
        pytest.param([b"* ESEARCH UID ALL 1:*"], id="a star in an ESEARCH"),
        pytest.param([b"* ESEARCH (TAG"], id="an ESEARCH that is not closed"),
        pytest.param([b"* 1 FETCH " + b"(" * 1000], id="a nesting bomb"),
        pytest.param(
            [b"* 1 FETCH (BODY[] ", Literal(b"x"), b"more)"], id="a literal that was longer"
        ),
        pytest.param(
            [b"* 1 FETCH (BODY[] ", Literal(b"x"), b" UID 5"], id="no end after a literal"
        ),
    ],
)
def test_what_cannot_be_passed_over_is_a_protocol_error(pieces: list[Piece]) -> None:
    with pytest.raises(ProtocolError):
        parse(pieces)


def test_a_mailbox_name_may_be_a_literal() -> None:
    told = parse([b'* LIST () "/" ', Literal(b"Literal Name"), b""])
    assert told == ListItem(frozenset(), "/", b"Literal Name")


@table(
    ("line", "expected"),
    [
        pytest.param(b"* OK quota is {40}", True, id="an untagged OK"),
        pytest.param(b"* bye {40}", True, id="a BYE in lower case"),
        pytest.param(b"A1 NO {40}", True, id="a tagged NO"),
        pytest.param(b"+ send {40}", True, id="a continuation"),
        pytest.param(b"* OKAY {40}", False, id="a word that only begins so"),
        pytest.param(b"* 1 FETCH (BODY[] {40}", False, id="a FETCH"),
        pytest.param(b'* LIST () "/" {5}', False, id="a LIST"),
        pytest.param(b" BODY[] {5}", False, id="half of a split line"),
        pytest.param(b"* XYZ {5}", False, id="what nobody knows"),
    ],
)
def test_words_for_people_announce_no_literal(line: bytes, expected: bool) -> None:
    assert ends_in_text(line) is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"* 1 FETCH (", True, id="a FETCH"),
        pytest.param(b"\0* 1 fetch (", True, id="a padded one in lower case"),
        pytest.param(b"* FETCH (", False, id="one without a number"),
        pytest.param(b'* LIST () "/" ', False, id="a LIST"),
    ],
)
def test_a_fetch_is_known_by_its_first_line(line: bytes, expected: bool) -> None:
    assert is_fetch(line) is expected


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_very_many_hits_are_one_set(count: int) -> None:
    line = b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, count + 1))
    assert parse([line]) == Search(UidSet([(1, count)]))


# The short way for a FETCH of one body, or of none: it must say what the grammar says.

ITEMS = [
    b"UID 7", b"UID 4294967296", b"FLAGS ()", b"FLAGS (\\Seen $Junk)", b"FLAGS (NIL a)",
    b"FLAGS (a\tb)", b'FLAGS ("x")', b"FLAGS (a (b))", b"RFC822.SIZE 12", b"RFC822.SIZE 1e3",
    b'INTERNALDATE " 5-Jan-2027 08:09:10 +0000"', b'INTERNALDATE "a\\"b"', b"INTERNALDATE NIL",
    b"MODSEQ (1)", b"X-NEW 1", b"uid 7", b"FLAGS (BODY[a b])", b"",
]  # fmt: skip
PLAIN_ITEMS = [ITEMS[0], ITEMS[3], ITEMS[8], ITEMS[10]]


@pytest.mark.parametrize(
    "rounds", [1_000, pytest.param(3_000, marks=pytest.mark.long)], ids=["some", "many"]
)
def test_the_short_way_says_what_the_grammar_says(
    rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(7)
    weights = [20 if item in PLAIN_ITEMS else 1 for item in ITEMS]
    taken = 0
    for _ in range(rounds):
        items = b" ".join(filter(None, rng.choices(ITEMS, weights, k=rng.randrange(5))))
        name = rng.choice([b"BODY[]", b"BODY[HEADER]", b"BODY[TEXT]", b"body[]", b"RFC822"])
        gap = rng.choice([b" ", b"", b"  "])
        end = rng.choice([b")", b")", b" UID 9)", b" )"])
        first = b"* 1 FETCH (" + items + b" " * bool(items) + name + gap
        pieces: list[Piece] = [first, Literal(b"octets"), end]
        if rng.random() < 0.4:
            pieces = [b"* 1 FETCH (" + items + end]
        taken += _plain_fetch(pieces) is not None

        def read() -> object:
            try:
                return parse(pieces)  # noqa: B023  # called in this turn
            except ProtocolError as error:
                return str(error)

        short = read()
        with monkeypatch.context() as patch:
            patch.setattr(responses, "_plain_fetch", lambda pieces: None)
            assert read() == short, pieces
    assert taken > 30
