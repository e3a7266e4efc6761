"""Two hundred letters: what the embedded server says of them is what Dovecot says, to the octet."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.interop.allowed import told
from tests.interop.answers import Value, fetched
from tests.interop.peers import Peer
from tests.support.octets import add_literal

pytestmark = pytest.mark.interop

TwoPeers = tuple[Peer, Peer]
Told = dict[int, dict[bytes, Value]]

FACTS = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)"
TEXTS = (
    "(BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[]<10.100> BODY.PEEK[TEXT]<5.9> "
    "RFC822.HEADER BODY.PEEK[HEADER.FIELDS (SUBJECT TO X-ODD)] "
    "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT TO)])"
)
HEADERS = "(BODY.PEEK[HEADER.FIELDS (DATE FROM)] RFC822.SIZE)"


def ask(client: imaplib.IMAP4, numbers: str, items: str) -> Told:
    """Fetch with imaplib, whose lists are made octets again, and read them with our own reader."""
    status, data = client.fetch(numbers, items)
    assert status == "OK", data
    return {number: told(one) for number, one in fetched(_octets(data)).items()}


def _octets(data: Sequence[Any]) -> bytes:
    octets, begins = b"", True
    for part in data:
        head, literal = part if isinstance(part, tuple) else (part, None)
        if begins:
            number, _, rest = head.partition(b" ")
            head = b"* " + number + b" FETCH " + rest
        octets += head + b"\r\n" + (literal or b"")
        begins = literal is None
    return octets


def same(one: Told, other: Told, letters: Sequence[bytes]) -> None:
    """Both servers said the same of every letter; else the first that differs is shown."""
    assert one.keys() == other.keys()
    for number in one:
        assert one[number] == other[number], letters[number - 1].decode("utf-8")


def paths(structure: Value, before: str = "") -> Iterator[tuple[str, bool]]:
    """The number of every part in a BODYSTRUCTURE, and whether it is an enclosed message."""
    assert isinstance(structure, list)
    if not isinstance(structure[0], list):
        yield from _one_part(structure, before + "1")
        return
    for number, part in enumerate(structure, 1):
        if not isinstance(part, list):
            return
        path = f"{before}{number}"
        if isinstance(part[0], list):
            yield path, False
            yield from paths(part, path + ".")
        else:
            yield from _one_part(part, path)


def _one_part(part: list[Value], path: str) -> Iterator[tuple[str, bool]]:
    encloses = part[:2] == [b"message", b"rfc822"]
    yield path, encloses
    if encloses:
        yield from paths(part[8], path + ".")


@pytest.mark.parametrize(
    "items",
    [
        pytest.param(FACTS, id="facts, envelope and structure"),
        pytest.param(TEXTS, id="whole messages, headers and texts"),
        pytest.param(HEADERS, id="header fields and sizes"),
        pytest.param("ALL", id="the macro ALL"),
        pytest.param("FAST", id="the macro FAST"),
        pytest.param("FULL", id="the macro FULL"),
    ],
)
def test_every_letter_is_told_alike(
    readers: TwoPeers, two_hundred: list[bytes], items: str
) -> None:
    answers: list[Told] = []
    for peer in readers:
        with peer.connect() as client:
            assert client.select("INBOX", readonly=True) == ("OK", [b"200"])
            answers.append(ask(client, "1:*", items))
    assert len(answers[0]) == len(two_hundred)
    embedded, real = answers
    same(embedded, real, two_hundred)


def test_whole_messages_are_those_that_were_given(
    readers: TwoPeers, two_hundred: list[bytes]
) -> None:
    for peer in readers:
        with peer.connect() as client:
            client.select("INBOX", readonly=True)
            got = ask(client, "1:*", "(BODY.PEEK[])")
        assert [one[b"BODY[]"] for one in got.values()] == two_hundred


def test_every_part_of_every_letter_is_told_alike(
    readers: TwoPeers, two_hundred: list[bytes]
) -> None:
    embedded, real = readers
    asked = 0
    with embedded.connect() as one, real.connect() as other:
        for client in (one, other):
            client.select("INBOX", readonly=True)
        structures = ask(other, "1:*", "(BODYSTRUCTURE)")
        for number in range(1, len(two_hundred) + 1):
            sections = ["9", "1.9"]
            for path, encloses in paths(structures[number][b"BODYSTRUCTURE"]):
                sections += [path, f"{path}.MIME", f"{path}.1"]
                sections += [f"{path}.HEADER", f"{path}.TEXT"] if encloses else []
            asked += len(sections)
            items = "(" + " ".join(f"BODY.PEEK[{section}]" for section in sections) + ")"
            same(ask(one, str(number), items), ask(other, str(number), items), two_hundred)
    assert asked > 2000


SEARCHES = (
    "ALL",
    "1:5,7",
    "UID 10:20",
    'SUBJECT "plain"',
    'SUBJECT "over three"',
    "FROM ann",
    'CC ""',
    "BCC example",
    'HEADER Message-ID "<1"',
    'HEADER X-Empty ""',
    "HEADER X-Odd y",
    'TEXT "all is well"',
    'BODY "all is well"',
    "BODY signature",
    "TEXT boundary",
    'NOT TEXT "all is well"',
    "OR SUBJECT plain BODY signature",
    "(FROM ann SEEN) LARGER 1000",
    "SMALLER 900",
    "SINCE 1-Feb-2024",
    "BEFORE 1-Feb-2024",
    "ON 1-Feb-2024",
    "SENTSINCE 3-Mar-2020",
    "SENTON 2-Mar-2020",
    "ANSWERED",
    "UNSEEN",
    "UNKEYWORD $Work",
    "OR (1:50 SUBJECT plain) (NOT (1:150))",
)
IN_LISTS = ("TO example.org", "FROM example.com", "CC ann")
WORDS = ("Gr\u00fc\u00dfe", "j\u00fcrgen", "ANDR\u00c9", "\u65e5\u672c\u8a9e", "\u00c4")


@pytest.mark.parametrize("keys", SEARCHES)
def test_searches_find_the_same(readers: TwoPeers, keys: str) -> None:
    found = []
    for peer in readers:
        with peer.connect() as client:
            client.select("INBOX", readonly=True)
            found.append((client.search(None, keys), client.uid("SEARCH", keys)))
    assert found[0] == found[1]


@pytest.mark.parametrize("key", ["SUBJECT", "FROM", "TEXT", "BODY"])
@pytest.mark.parametrize("word", WORDS)
def test_searches_in_utf_8_find_the_same(readers: TwoPeers, key: str, word: str) -> None:
    found = []
    for peer in readers:
        with peer.connect() as client:
            client.select("INBOX", readonly=True)
            add_literal(client, word.encode())
            found.append(client.uid("SEARCH", "CHARSET", "UTF-8", key))
    assert found[0] == found[1]


@pytest.mark.parametrize("keys", IN_LISTS)
def test_searches_in_addresses_find_what_dovecot_finds(readers: TwoPeers, keys: str) -> None:
    found = []
    for peer in readers:
        with peer.connect() as client:
            client.select("INBOX", readonly=True)
            found.append(set(client.search(None, keys)[1][0].split()))
    assert found[1]
    assert found[0] >= found[1]
