"""Answers that no honest server gives: a table, and damage made from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

KIB = 1024
STAGES = (
    *("greeting", "capability", "login", "select", "search"),
    *("sizes", "bodies", "flags", "idle", "logout"),
)
"""The answers that are spoilt."""

HEALTHY = {
    "greeting": b"* OK ready\r\n",
    "capability": b"* CAPABILITY IMAP4rev1 UIDPLUS IDLE\r\n%T OK done\r\n",
    "login": b"%T OK [CAPABILITY IMAP4rev1 UIDPLUS IDLE] welcome\r\n",
    "select": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\n%T OK done\r\n",
    "search": b"* SEARCH 5 6 7\r\n%T OK done\r\n",
    "sizes": b"* 1 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 5)\r\n%T OK done\r\n",
    "bodies": b"* 1 FETCH (UID 5 FLAGS (\\Seen) BODY[] {5}\r\nhello)\r\n%T OK done\r\n",
    "flags": b"%T OK done\r\n",
    "idle": b"+ idling\r\n* 4 EXISTS\r\n",
    "logout": b"* BYE\r\n%T OK done\r\n",
}
"""What is said when all is well, ``%T`` being the tag."""

OK = b"%T OK done\r\n"
DIGITS = b"9" * 5_000
DEEP = b"(" * 5_000


@dataclass(frozen=True)
class Attack:
    """What is sent at a stage in the place of an answer.

    Attributes:
        name: in words.
        said: the octets, ``%T`` being the tag.
        again: they are repeated for as long as somebody reads.
    """

    name: str
    said: bytes
    again: bool = False


ANYWHERE = (
    Attack("nothing, and the end", b""),
    Attack("octets of no meaning", bytes(range(256)) * 4),
    Attack("zeros", b"\0" * KIB + b"\r\n" + OK),
    Attack("an endless line", b"x" * KIB, again=True),
    Attack("an endless line of blanks", b" " * KIB, again=True),
    Attack("empty lines without end", b"\r\n" * KIB, again=True),
    Attack("untagged OK without end", b"* OK still here\r\n" * 64, again=True),
    Attack("responses of no meaning without end", b"* XYZZY 1 2 3\r\n" * 64, again=True),
    Attack("numbers of messages without end", b"* 5 EXISTS\r\n" * 64, again=True),
    Attack("continuations without end", b"+ go ahead\r\n" * 64, again=True),
    Attack("tags of others without end", b"ZZZZ9 OK done\r\n" * 64, again=True),
    Attack("a tag of somebody else, and the end", b"ZZZZ9 OK done\r\n"),
    Attack("a tag with nothing behind it", b"%T\r\n"),
    Attack("a tag with a status that there is not", b"%T MAYBE done\r\n"),
    Attack("a tag with no line end", b"%T OK done"),
    Attack("a literal larger than memory", b"* 1 FETCH (BODY[] {99999999999999}\r\n"),
    Attack("a literal of two gigabytes", b"* LIST () NIL {2000000000}\r\n"),
    Attack("a literal of 5,000 digits", b"* 1 FETCH (BODY[] {" + DIGITS + b"}\r\n"),
    Attack("a literal that does not come", b"* 1 FETCH (BODY[] {5000}\r\nshort"),
    Attack("literals without end", b"* LIST () NIL {1024}\r\n" + b"x" * KIB + b"\r\n", again=True),
    Attack("a literal within a literal", b"* 1 FETCH (BODY[] {9}\r\n{9999}\r\n)\r\n" + OK),
    Attack("lists 5,000 deep", b"* 1 FETCH " + DEEP + b"\r\n" + OK),
    Attack("lists that close too often", b"* 1 FETCH (UID 5))))))\r\n" + OK),
    Attack("a quoted string that does not end", b'* 1 FETCH (UID 5 X "abc\r\n' + OK),
    Attack("a million escapes", b'* 1 FETCH (X "' + b'\\"' * 500_000 + b")\r\n" + OK),
    Attack("a million words", b"* 1 FETCH (" + b"a " * 500_000 + b")\r\n" + OK),
    Attack("a message with 5,000 digits", b"* " + DIGITS + b" EXISTS\r\n" + OK),
    Attack("a message below zero", b"* -1 EXISTS\r\n" + OK),
    Attack("a number that is a word", b"* many EXISTS\r\n" + OK),
    Attack("removals of messages that there are not", b"* 77 EXPUNGE\r\n" * 9 + OK),
    Attack("BYE", b"* BYE and good night\r\n"),
    Attack("BYE without end", b"* BYE and good night\r\n" * 64, again=True),
    Attack("BYE behind the answer", OK + b"* BYE and good night\r\n"),
    Attack("a second greeting", b"* OK ready\r\n* PREAUTH ready\r\n" + OK),
    Attack("a response code without end", b"* OK [" + b"x" * KIB + b"\r\n" + OK),
    Attack("a response code full of brackets", b"* OK [" + b"((" * 5_000 + b"] x\r\n" + OK),
    Attack("line ends without CR", OK.replace(b"\r", b"")),
    Attack("another protocol", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
)

AT_STAGE: dict[str, tuple[Attack, ...]] = {
    "greeting": (
        Attack("a greeting that says NO", b"* NO go away\r\n"),
        Attack("a greeting that says BAD", b"* BAD go away\r\n"),
        Attack("a greeting with a tag", b"A1 OK ready\r\n"),
        Attack("a greeting of a mail transport", b"220 mail ESMTP\r\n"),
        Attack(
            "a greeting with a megabyte of capabilities",
            b"* OK [CAPABILITY " + b"A " * 500_000 + b"] ready\r\n",
        ),
    ),
    "capability": (
        Attack("no capabilities in a list", b"* CAPABILITY\r\n" + OK),
        Attack("capabilities with a literal", b"* CAPABILITY {3}\r\nabc\r\n" + OK),
        Attack("capabilities that are refused", b"%T NO no\r\n"),
    ),
    "login": (
        Attack("a challenge to LOGIN", b"+ give me more\r\n"),
        Attack("a login that is told by another tag", b"A0 OK [CAPABILITY IMAP4rev1] in\r\n"),
        Attack("a hundred refusals", b"* NO no\r\n" * 100 + b"%T NO no\r\n"),
    ),
    "select": (
        Attack("no number of messages", b"* OK [UIDVALIDITY 7] ok\r\n" + OK),
        Attack(
            "a UIDVALIDITY of 5,000 digits",
            b"* 3 EXISTS\r\n* OK [UIDVALIDITY " + DIGITS + b"] ok\r\n" + OK,
        ),
        Attack("a UIDVALIDITY below zero", b"* 3 EXISTS\r\n* OK [UIDVALIDITY -7] ok\r\n" + OK),
        Attack("four thousand million messages", b"* 4294967295 EXISTS\r\n" + OK),
        Attack("more messages than a number holds", b"* 4294967296 EXISTS\r\n" + OK),
    ),
    "search": (
        Attack("hits that are words", b"* SEARCH one two\r\n" + OK),
        Attack("a hit of 5,000 digits", b"* SEARCH " + DIGITS + b"\r\n" + OK),
        Attack("a hit beyond 32 bits", b"* SEARCH 4294967296\r\n" + OK),
        Attack("hit 0", b"* SEARCH 0 5\r\n" + OK),
        Attack("hits below zero", b"* SEARCH -5\r\n" + OK),
        Attack("hits as a literal", b"* SEARCH {3}\r\n5 6\r\n" + OK),
        Attack("a set without end", b"* ESEARCH UID ALL 1:4294967295\r\n" + OK),
        Attack("a set that is none", b"* ESEARCH UID ALL 1:,:\r\n" + OK),
        Attack("hits of a million", b"* SEARCH" + b" 4294967295" * 1_000_000 + b"\r\n" + OK),
    ),
    "sizes": (
        Attack("a size below zero", b"* 1 FETCH (UID 5 RFC822.SIZE -1)\r\n" + OK),
        Attack("a size of 5,000 digits", b"* 1 FETCH (UID 5 RFC822.SIZE " + DIGITS + b")\r\n" + OK),
        Attack("a size of 1e99", b"* 1 FETCH (UID 5 RFC822.SIZE 1e99)\r\n" + OK),
        Attack("a size that is a list", b"* 1 FETCH (UID 5 RFC822.SIZE (5))\r\n" + OK),
        Attack("a UID that is a list", b"* 1 FETCH (UID (5) RFC822.SIZE 5)\r\n" + OK),
        Attack("a UID that is NIL", b"* 1 FETCH (UID NIL RFC822.SIZE 5)\r\n" + OK),
        Attack("flags that are a string", b'* 1 FETCH (UID 5 RFC822.SIZE 5 FLAGS "x")\r\n' + OK),
        Attack("flags that are lists", b"* 1 FETCH (UID 5 RFC822.SIZE 5 FLAGS ((x) NIL))\r\n" + OK),
        Attack(
            "a date that is a list", b"* 1 FETCH (UID 5 RFC822.SIZE 5 INTERNALDATE (1 2))\r\n" + OK
        ),
        Attack(
            "a date in the year 99999",
            b'* 1 FETCH (UID 5 RFC822.SIZE 5 INTERNALDATE "01-Jan-99999 0:0:0 +9999")\r\n' + OK,
        ),
        Attack(
            "a message that nobody asked for", b"* 9 FETCH (UID 4000000000 RFC822.SIZE 5)\r\n" + OK
        ),
    ),
    "bodies": (
        Attack("a body of somebody else", b"* 1 FETCH (UID 9 BODY[] {4}\r\nevil)\r\n" + OK),
        Attack("a body without a UID", b"* 1 FETCH (BODY[] {4}\r\nevil)\r\n" + OK),
        Attack("a body that is a list", b"* 1 FETCH (UID 5 BODY[] (evil))\r\n" + OK),
        Attack("a body that is an atom", b"* 1 FETCH (UID 5 BODY[] evil)\r\n" + OK),
        Attack(
            "a body that is too short for its literal",
            b"* 1 FETCH (UID 5 BODY[] {9}\r\nevil)\r\n" + OK,
        ),
        Attack(
            "a body that is too long for its literal",
            b"* 1 FETCH (UID 5 BODY[] {2}\r\nevil)\r\n" + OK,
        ),
        Attack("a body, and NO", b"* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\n%T NO no\r\n"),
        Attack("a body, and another tag", b"* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\nZZZZ9 OK\r\n"),
        Attack("a body, and the end", b"* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\n"),
        Attack(
            "a body in a line that is no response", b"FETCH (UID 5 BODY[] {4}\r\nevil)\r\n" + OK
        ),
        Attack("a section without an end", b"* 1 FETCH (UID 5 BODY[" + b"x" * KIB + b"\r\n" + OK),
    ),
    "flags": (
        Attack("a body that nobody asked for", b"* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\n" + OK),
        Attack("flags of messages that there are not", b"* 99 FETCH (FLAGS (x))\r\n" * 9 + OK),
    ),
    "logout": (
        Attack("BYE, and mail behind it", b"* BYE\r\n* 1 FETCH (UID 5 BODY[] {4}\r\nevil)\r\n"),
        Attack("a farewell that is refused", b"%T BAD you stay\r\n"),
    ),
    "idle": (
        Attack("an IDLE that ends before it began", OK),
        Attack("an IDLE that begins twice", b"+ a\r\n+ b\r\n* 4 EXISTS\r\n" + OK),
        Attack("a line in pieces", b"+ idling\r\n* 4 EXI"),
        Attack("a literal while idle", b"+ idling\r\n* 1 FETCH (BODY[] {999999999}\r\n"),
        Attack("a long line while idle", b"+ idling\r\n* 1 FETCH (" + b"x" * 128 * KIB),
    ),
}


def table() -> Iterator[tuple[str, Attack]]:
    """Every attack with its stage."""
    for stage in STAGES:
        for attack in (*ANYWHERE, *AT_STAGE[stage]):
            yield stage, attack


SPLINTERS = (
    *(
        b"(",
        b")",
        b'"',
        b"\\",
        b"{3}",
        b"{3}\r\n",
        b"{99999999999}\r\n",
        b"[",
        b"]",
        b"\0",
        b"\r\n",
    ),
    *(b"NIL", b" ", b"* ", b"+ ", b"%T ", b"OK ", b"BYE ", b"9" * 40, b"\xff\xfe", b"* 1 FETCH ("),
)


def damaged(rng: random.Random, answer: bytes) -> bytes:
    """An answer with some wounds."""
    for _ in range(rng.randint(1, 5)):
        at, end = sorted(rng.randint(0, len(answer)) for _ in range(2))
        kind = rng.randrange(5)
        if kind == 0:
            answer = answer[:at] + rng.choice(SPLINTERS) * rng.randint(1, 3) + answer[at:]
        elif kind == 1:
            answer = answer[:at] + answer[end:]
        elif kind == 2:
            answer = answer[:end] + answer[at:end] + answer[end:]
        elif kind == 3:
            answer = answer[:at] + rng.randbytes(rng.randint(1, 4)) + answer[at:]
        else:
            answer = answer[:at]
    return answer
