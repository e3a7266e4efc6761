"""Replies as mail programs write them, made up from a seed, and what is new in each."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from tests.message.quotes.languages import LANGUAGES, Language

NAMES = (
    "Ann Lee",
    "J\u00fcrgen M\u00fcller",
    "O'Brien, Pat",
    "\u674e\u96f7",
    "Dr. Eva von Berg",
    '"Smith, Bob"',
)
ADDRESSES = (
    "ann@example.com",
    "j.mueller+x@mail.example.org",
    "a-rather-long-address.of-somebody@a-long-domain.example.net",
)
TIMES = ("10:00", "15:42", "09:05")
QUOTED = (
    "Could we meet tomorrow?\nI have time from nine to twelve.",
    "Hello,\n\nhere is the offer:\n- one\n- two\n\nRegards\nAnn",
    "Is it done?",
)
CLIENTS = ("attribution", "block", "ruled block", "starred block", "dashed", "dashed block")
MARKS = ("> ", ">", "")
POSITIONS = ("above", "below", "between")
SIGNATURES = ("none", "delimiter", "bare delimiter", "mobile", "closing", "card")


@dataclass(frozen=True)
class Reply:
    """A reply, and what its sender wrote this time."""

    name: str
    text: str
    new: str


def replies(seed: int, number: int) -> Iterator[Reply]:
    """So many replies, each combination of its traits as likely as the next."""
    chance = random.Random(seed)
    for count in range(number):
        language = chance.choice(list(LANGUAGES))
        yield _reply(f"{seed}:{count} {language}", LANGUAGES[language], chance)


def _reply(name: str, language: Language, chance: random.Random) -> Reply:
    client = chance.choice(CLIENTS)
    mark = chance.choice(MARKS)
    position = chance.choice(POSITIONS) if mark and client == "attribution" else "above"
    signature = chance.choice(SIGNATURES)
    wrapped = chance.choice((0, 60, 76)) if client == "attribution" else 0
    head = _head(client, language, chance)
    if wrapped:
        head = "\n".join(
            textwrap.wrap(head, wrapped, break_long_words=False, break_on_hyphens=False)
        )
    history = [mark + line for line in chance.choice(QUOTED).split("\n")]
    signed = _signature(signature, language, chance)
    answer = language.answer
    gap = chance.choice(("\n", "\n\n"))
    if position == "above":
        text = f"{answer}{signed}\n\n{head}{gap}" + "\n".join(history)
        new = answer
    elif position == "below":
        text = f"{head}{gap}" + "\n".join(history) + f"\n\n{answer}{signed}"
        new = answer
    else:
        inner = f"{head}{gap}{mark}one?\n\n{answer}\n\n{mark}two?\n\n{answer}"
        text = f"{inner}{signed}\n\n" + "\n".join(history)
        new = inner
    return Reply(f"{name}, {client}, {mark!r}, {position}, {signature}, {wrapped}", text, new)


def _head(client: str, language: Language, chance: random.Random) -> str:
    said = {
        "d": language.date,
        "t": chance.choice(TIMES),
        "n": chance.choice(NAMES),
        "a": chance.choice(ADDRESSES),
    }
    if client == "attribution":
        return chance.choice(language.attributions).format(**said)
    if client == "dashed":
        return f"-----{language.original}-----"
    values = (
        f"{said['n']} <{said['a']}>",
        f"{said['d']} {said['t']}",
        "Us <us@example.com>",
        "Re: x",
    )
    star = "*" if client == "starred block" else ""
    block = "\n".join(
        f"{star}{label}:{star} {value}"
        for label, value in zip(language.labels, values, strict=True)
    )
    above = {"ruled block": "_" * 32 + "\n", "dashed block": f"-----{language.original}-----\n"}
    return above.get(client, "") + block


def _signature(kind: str, language: Language, chance: random.Random) -> str:
    return {
        "none": "",
        "delimiter": "\n\n-- \nAnn Lee\nHead of things\n+1 555 010 9999",
        "bare delimiter": "\n--\nAnn Lee",
        "mobile": f"\n\n{chance.choice(language.mobile)}",
        "closing": f"\n\n{language.closing}\nAnn Lee",
        "card": (
            f"\n\n{language.closing}\n\nAnn Lee\nHead of things\nTel. +49 30 1234567\n"
            "www.example.com"
        ),
    }[kind]
