"""Drafts at random: all scripts, names and file names that try a header's patience."""

from __future__ import annotations

import random
from typing import Final

from nornmail.compose.attachments import OutgoingAttachment
from nornmail.compose.compose import Draft
from nornmail.message.addresses import Address

_ALPHABETS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "0123456789",
    "äöüßéèçñåøæœłžőđ",
    "абвгдежзиклмнопрст",
    "αβγδεζηθικλμνξοπρς",
    "אבגדהוזחטיכלמנסעפצ",
    "ابتثجحخدذرزسشصضطظع",
    "的一是不了人我在有他这中大来上国",
    "あいうえおかきくけこアイウエオ",
    "가나다라마바사아자차카타파하",
    "กขคงจฉชซญดตถทธนบปผ",
    "अआइईउऊकखगघचछजझ",
    "𝒜𝒷𐍈𠀀",
    "🙂🎉👍🏽🇩🇪",
    "e\u0301a\u0308n\u0303",
)
SIGNS: Final = "!#$%&'*+-/=?^_`{|}~.,;:<>@()[]\"\\"
TRAPS: Final = (
    "=?utf-8?q?x?=", "=?utf-8?b?eA==?=", "=?", "?=", "a@b.example", "<c@d.example>", "x, y", '"',
    "\\", "(comment)", "group: a@b.example;", "Bcc: a@b.example", "%0D%0A", "=0D=0A", "''",
    "utf-8''x",
)  # fmt: skip
_LINES: Final = ("", ".", "..", "From here", "-- ", "--", "\ttab", "end \t", "=20", "x" * 1200)
"""What transports and mailboxes change."""
_ATEXT: Final = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=^_`{|}~"
_DOMAINS: Final = (
    "example.com", "mail.example.org", "bücher.example", "пример.example", "例え.example",
    "xn--bcher-kva.example", "a-b.c-d.example", "[192.0.2.7]", "[IPv6:2001:db8::1]", "localhost",
    f"{'x' * 63}.{'y' * 63}.example",
)  # fmt: skip


def word(rng: random.Random, most: int) -> str:
    alphabet = rng.choice((*_ALPHABETS, _ALPHABETS[0], _ALPHABETS[0], SIGNS))
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, most)))


def phrase(rng: random.Random, most_words: int, most_chars: int) -> str:
    """Words on one line, some blanks doubled, some words traps; without blanks around."""
    words = [
        rng.choice(TRAPS) if rng.random() < 0.1 else word(rng, rng.choice((3, 9, 70)))
        for _ in range(rng.randint(1, most_words))
    ]
    text = "".join(one + rng.choice(("", " ", " ", " ", "  ", "\u00a0")) for one in words)
    return text[:most_chars].strip() or "x"


def address(rng: random.Random) -> Address:
    local = word_of(rng, _ATEXT, 20)
    shape = rng.random()
    if shape < 0.2:
        local = f"{local}.{word_of(rng, _ATEXT, 20)}"
    elif shape < 0.25:
        local = f'"{local},{local}"'
    name = "" if rng.random() < 0.3 else phrase(rng, 6, 200)
    return Address(name, f"{local[:60]}@{rng.choice(_DOMAINS)}")


def word_of(rng: random.Random, alphabet: str, most: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(1, most)))


def body(rng: random.Random) -> str:
    """Some lines, with whatever line ends."""
    lines = [
        rng.choice(_LINES) if rng.random() < 0.3 else phrase(rng, 20, 2_000)
        for _ in range(rng.randint(0, 8))
    ]
    return rng.choice(("\n", "\r\n", "\r")).join(lines)


def enclosure(rng: random.Random, number: int) -> OutgoingAttachment:
    extension = rng.choice((".pdf", ".txt", ".PNG", "", ".tar.gz", ".é", ".eml"))
    name = phrase(rng, 8, 60) + extension
    content_id = f"image-{number}@x" if rng.random() < 0.3 else ""
    return OutgoingAttachment(name, rng.randbytes(rng.choice((0, 1, 57, 5_000))), "", content_id)


def draft(seed: int) -> Draft:
    """The draft of this seed."""
    rng = random.Random(seed)
    several = [[address(rng) for _ in range(rng.randint(0, 4))] for _ in range(4)]
    to = several[0] or [address(rng)]
    ids = [f"<{word_of(rng, _ATEXT, 60)}@x.example>" for _ in range(rng.randint(0, 40))]
    return Draft(
        sender=address(rng),
        to=to,
        cc=several[1],
        bcc=several[2],
        reply_to=several[3],
        subject=phrase(rng, 40, 900) if rng.random() < 0.9 else "",
        text=body(rng),
        html=f"<p>{body(rng)}</p>" if rng.random() < 0.5 else None,
        attachments=[enclosure(rng, n) for n in range(rng.choice((0, 0, 1, 3)))],
        headers={"X-Note": phrase(rng, 9, 200)} if rng.random() < 0.5 else {},
        in_reply_to=ids[-1] if ids else "",
        references=ids,
    )
