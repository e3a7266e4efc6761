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


def word(chance: random.Random, most: int) -> str:
    alphabet = chance.choice((*_ALPHABETS, _ALPHABETS[0], _ALPHABETS[0], SIGNS))
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(1, most)))


def phrase(chance: random.Random, most_words: int, most_chars: int) -> str:
    """Words on one line, some blanks doubled, some words traps; without blanks around."""
    words = [
        chance.choice(TRAPS) if chance.random() < 0.1 else word(chance, chance.choice((3, 9, 70)))
        for _ in range(chance.randint(1, most_words))
    ]
    text = "".join(one + chance.choice(("", " ", " ", " ", "  ", "\u00a0")) for one in words)
    return text[:most_chars].strip() or "x"


def address(chance: random.Random) -> Address:
    local = word_of(chance, _ATEXT, 20)
    shape = chance.random()
    if shape < 0.2:
        local = f"{local}.{word_of(chance, _ATEXT, 20)}"
    elif shape < 0.25:
        local = f'"{local},{local}"'
    name = "" if chance.random() < 0.3 else phrase(chance, 6, 200)
    return Address(name, f"{local[:60]}@{chance.choice(_DOMAINS)}")


def word_of(chance: random.Random, alphabet: str, most: int) -> str:
    return "".join(chance.choice(alphabet) for _ in range(chance.randint(1, most)))


def body(chance: random.Random) -> str:
    """Some lines, with whatever line ends."""
    lines = [
        chance.choice(_LINES) if chance.random() < 0.3 else phrase(chance, 20, 2_000)
        for _ in range(chance.randint(0, 8))
    ]
    return chance.choice(("\n", "\r\n", "\r")).join(lines)


def enclosure(chance: random.Random, number: int) -> OutgoingAttachment:
    extension = chance.choice((".pdf", ".txt", ".PNG", "", ".tar.gz", ".é", ".eml"))
    name = phrase(chance, 8, 60) + extension
    content_id = f"image-{number}@x" if chance.random() < 0.3 else ""
    return OutgoingAttachment(
        name, chance.randbytes(chance.choice((0, 1, 57, 5_000))), "", content_id
    )


def draft(seed: int) -> Draft:
    """The draft of this seed."""
    chance = random.Random(seed)
    several = [[address(chance) for _ in range(chance.randint(0, 4))] for _ in range(4)]
    to = several[0] or [address(chance)]
    ids = [f"<{word_of(chance, _ATEXT, 60)}@x.example>" for _ in range(chance.randint(0, 40))]
    return Draft(
        sender=address(chance),
        to=to,
        cc=several[1],
        bcc=several[2],
        reply_to=several[3],
        subject=phrase(chance, 40, 900) if chance.random() < 0.9 else "",
        text=body(chance),
        html=f"<p>{body(chance)}</p>" if chance.random() < 0.5 else None,
        attachments=[enclosure(chance, n) for n in range(chance.choice((0, 0, 1, 3)))],
        headers={"X-Note": phrase(chance, 9, 200)} if chance.random() < 0.5 else {},
        in_reply_to=ids[-1] if ids else "",
        references=ids,
    )
