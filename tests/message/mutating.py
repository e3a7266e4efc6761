"""Mail that was damaged at random, always in the same way for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.message.reading import mail
from tests.message.test_authentication import GOOD
from tests.message.test_judgements import REPORT
from tests.message.test_message import ALTERNATIVE, MIXED, PLAIN, RELATED

SEEDS = [
    PLAIN,
    mail(ALTERNATIVE, Content_Type=b"multipart/alternative; boundary=a"),
    mail(MIXED, Content_Type=b'multipart/mixed; boundary="m"', Subject=b"=?utf-8?B?w6k=?="),
    mail(RELATED, Content_Type=b"multipart/related; boundary=r; start=<logo@x>"),
    mail(
        REPORT, Content_Type=b"multipart/report; boundary=b", Authentication_Results=GOOD.encode()
    ),
    mail(
        b"<a href='http://x'>a&eacute;</a><!-- c --><ul><li>b</ul><blockquote>c</blockquote>",
        Content_Type=b"text/html; charset=utf-8; name*0*=utf-8''%C3; name*1=x",
        Content_Transfer_Encoding=b"quoted-printable",
        To=b'"Doe, Jo" <a@x>, Team: b@x, (c) c@x; =?utf-8?Q?d?= <"d"@[1.2.3.4]>',
    ),
]
PIECES = (
    b"\0", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\xff", b"\xc3", b'"', b"<", b">", b"(", b")",
    b";", b":", b",", b"=?", b"?=", b"=?utf-8?q?", b"--a", b"--m--", b"=", b"*", b"*0*=", b"%",
    b"\\", b"@", b"[", b"&#", b"<!--", b"charset=utf-16", b"charset=utf-7", b"base64", b" ",
    b"multipart/digest", b"multipart/alternative", b"message/delivery-status", b"text/html",
)  # fmt: skip
"""What readers look for, and what breaks them, in the wrong places."""

_HEAD = 2_000
"""Octets in which half of the damage is done: most of what is read is in the header."""


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of ``seeds`` with one to eight pieces replaced, taken out, doubled or mixed up."""
    raw = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        reach = min(len(raw), _HEAD) if chance.random() < 0.5 else len(raw)
        at = chance.randrange(reach + 1)
        length = chance.choice((0, 1, 1, 4, 30))
        action = chance.randrange(4)
        if action == 0:
            raw[at : at + length] = chance.choice(PIECES)
        elif action == 1:
            del raw[at : at + length]
        elif action == 2:
            raw[at:at] = raw[at : at + length * 10]
        else:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            raw[at:at] = other[start : start + length * 5]
    return bytes(raw)
