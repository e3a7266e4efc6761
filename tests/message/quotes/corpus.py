"""How many real replies are read exactly as their sources say; ``python -m`` prints the figures.

The replies lie in a corpus beside the checkout, or where ``NORNMAIL_CORPUS`` says. Half of them, by
a digest of their characters, was looked at while the rules were written, and half was not: the
second is what may be expected of other mail.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nornmail.message.message import parse_message

CORPUS = Path(os.environ.get("NORNMAIL_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))
SOURCES = (
    "talon",
    "crisp-email-reply-parser",
    "github-email_reply_parser",
    "zapier-email-reply-parser",
)
WHOLE = ("reply", "visible_text", "first_fragment", "reply_ignoring_whitespace")
"""The expected results that are a whole reply, the surest first."""

DISAGREED = {
    "talon/standard_replies/iphone.eml": "the source takes no signature off",
    "talon/standard_replies/sparrow.eml": "the source takes no signature off",
    "crisp-email-reply-parser/email_emoji.txt": "the source takes a dash and a name for text",
    "crisp-email-reply-parser/email_2.txt": "answers stand between quotes: the source stops above",
    "crisp-email-reply-parser/email_german_3.txt": "text below a telephone's line is kept here",
}
"""Of the half that was looked at: what is read otherwise on purpose."""


@dataclass(frozen=True)
class Case:
    """A reply of the corpus: whether it was looked at, and whether it is read as expected."""

    name: str
    was_seen: bool
    is_right: bool


def cases() -> Iterator[Case]:
    """Every reply of the corpus that has a whole expected one; what comes twice comes twice."""
    for source in SOURCES:
        told = json.loads((CORPUS / source / "EXPECTED.json").read_text("utf-8"))
        for name, expected in sorted(told.items()):
            key = next((one for one in WHOLE if one in expected), "")
            if not key:
                continue
            raw = (CORPUS / source / name).read_bytes()
            digest = hashlib.sha256(b"".join(raw.split())).hexdigest()
            new = parse_message(_message(name, raw)).new_text
            # One source writes its line ends as a backslash and a letter.
            wanted = expected[key].replace("\\n", "\n").strip()
            if key == "reply_ignoring_whitespace":
                new, wanted = "".join(new.split()), "".join(wanted.split())
            yield Case(f"{source}/{name}", int(digest[:8], 16) % 2 == 0, new == wanted)


def _message(name: str, raw: bytes) -> bytes:
    if name.endswith(".eml"):
        return raw
    kind = b"html" if name.endswith(".html") else b"plain"
    return b"Content-Type: text/" + kind + b"; charset=utf-8\n\n" + raw


def main() -> None:
    """Print how many of each half are right."""
    found = list(cases())
    for was_seen, title in ((True, "looked at"), (False, "not looked at")):
        half = [one for one in found if one.was_seen is was_seen]
        right = sum(one.is_right for one in half)
        print(f"{title}: {right} of {len(half)}, {right / len(half):.0%}")
    for one in found:
        if one.was_seen and not one.is_right:
            print(f"- {one.name}: {DISAGREED.get(one.name, 'a mistake')}")


if __name__ == "__main__":
    main()
