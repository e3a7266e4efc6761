"""Address lists (RFC 5322 section 3.4, with the obsolete and the broken ones). Total.

The list is cut up before anything is decoded, so that no encoded comma or bracket makes or hides
an address: ``alice@legit.example <bob@evil.example>`` is bob.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nornmail.message.defects import Note, ignore
from nornmail.message.headers import decode_words, end_of_comment, to_unicode
from nornmail.message.limits import MAX_ADDRESS_CHARS, MAX_ADDRESSES

_TOKEN = re.compile(
    r"""
      (?P<word>=\?[^?\s]{1,80}\?[bBqQ]\?[^?<>"]*+\?=)      # an encoded word, commas and all
    | "(?P<quoted>(?:[^"\\]++|\\.)*+)"
    | <(?P<angle>[^<>]*+)>
    | (?P<open><[^<>,;]*+)                                  # a bracket that nobody closed
    | (?P<comment>\()
    | (?P<space>[\s\x00-\x1f]++)
    | (?P<end>[,;])
    | (?P<group>:)
    | (?P<atom>(?:\\.|\[[^\[\]\s]*+\]|[^\s\x00-\x1f"<>,;:(\\])++)
    | (?P<stray>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_IN_ADDRESS = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_SPECIALS = re.compile(r"[][()<>@,:;\".\\]")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox as a header names it.

    Attributes:
        name: the display name, decoded, ``""`` when there is none. The sender's claim, no more.
        address: ``local@domain`` as written, ``""`` when there was a name only.
    """

    name: str = ""
    address: str = ""

    def __str__(self) -> str:
        """For people: ``name <address>``, the name quoted where it needs to be."""
        if not self.name:
            return self.address
        name = self.name
        if _SPECIALS.search(name):
            name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{name} <{self.address}>"


def parse_addresses(raw: str, note: Note = ignore) -> tuple[Address, ...]:
    """The addresses of a field, groups flattened.

    Args:
        raw: the unfolded field, octets as ISO 8859-1.
        note: told of what is not RFC 5322.
    """
    if not raw:
        return ()
    reader = _Reader(to_unicode(raw, note), note)
    reader.run()
    return tuple(reader.found)


class _Reader:
    """One pass over the tokens; ``words`` and the rest are those of the address in progress."""

    def __init__(self, text: str, note: Note) -> None:
        self.text = text
        self.note = note
        self.found: list[Address] = []
        self.words: list[str] = []
        self.angles: list[str] = []
        self.comments: list[str] = []
        self.glued = False

    def run(self) -> None:
        at = 0
        while at < len(self.text) and len(self.found) < MAX_ADDRESSES:
            token = _TOKEN.match(self.text, at)
            if token is None:  # the last alternative takes any character
                return
            at = token.end()
            kind = token.lastgroup
            if kind == "comment":
                at = self._comment(at)
            elif kind == "space":
                self.glued = False
            elif kind == "end":
                self._flush()
            elif kind == "group":
                self.words, self.comments, self.glued = [], [], False
            elif kind in ("angle", "open"):
                self.angles.append(token[kind].lstrip("<"))
                self.glued = False
            elif kind is not None:
                self._word(kind, token[kind], at)
        if at < len(self.text):
            self.note("more addresses than the limit")
        self._flush()

    def _word(self, kind: str, text: str, end: int) -> None:
        if kind == "quoted":
            # A quoted local part keeps its quotes: without them it is another address.
            is_local = self.text.startswith("@", end)
            text = f'"{text}"' if is_local else _ESCAPED.sub(r"\1", text)
        elif kind == "stray":
            self.note("a stray character in an address field")
            return
        if self.glued and kind != "word" and self.words:
            self.words[-1] += text
        else:
            self.words.append(text)
        self.glued = kind != "word"

    def _comment(self, at: int) -> int:
        end = end_of_comment(self.text, at)
        if end < 0:
            self.note("a comment that is not closed")
            self.comments.append(self.text[at:])
            return len(self.text)
        self.comments.append(_ESCAPED.sub(r"\1", self.text[at : end - 1]))
        return end

    def _flush(self) -> None:
        words, angles, comments = self.words, self.angles, self.comments
        self.words, self.angles, self.comments, self.glued = [], [], [], False
        if angles:
            if len(angles) > 1:
                self.note("two addresses without a comma between them")
            name = self._name(words) or self._name(comments)
            self._add(name, angles[0])
            for angle in angles[1:]:
                self._add("", angle)
        elif words:
            self._bare(words, comments)

    def _bare(self, words: list[str], comments: list[str]) -> None:
        if "@" in words:  # blanks around it, as RFC 822 allowed
            words = ["".join(words)]
        addresses = [word for word in words if "@" in word]
        names = [word for word in words if "@" not in word]
        if not addresses and len(names) == 1 and not names[0].startswith("=?"):
            addresses, names = names, []  # a local user: "root"
        name = self._name(names) or self._name(comments)
        if not addresses:
            self.note("a name without an address")
            self._add(name, "")
        if len(addresses) > 1:
            self.note("two addresses without a comma between them")
        for address in addresses:
            self._add(name, address)
            name = ""

    def _name(self, words: list[str]) -> str:
        return decode_words(" ".join(words), self.note) if words else ""

    def _add(self, name: str, address: str) -> None:
        if "(" in address:
            address = _without_comments(address)
        refused = _CONTROLS if address.startswith('"') else _NOT_IN_ADDRESS
        address = refused.sub("", address)
        if address.startswith("@") and ":" in address:  # a route (RFC 5322 section 4.4)
            address = address.partition(":")[2]
        if len(address) > MAX_ADDRESS_CHARS:
            self.note("an address over the limit")
            address = ""
        if (name or address) and len(self.found) < MAX_ADDRESSES:
            self.found.append(Address(name, address))


def _without_comments(text: str) -> str:
    out: list[str] = []
    at = 0
    while (start := text.find("(", at)) >= 0:
        out.append(text[at:start])
        at = end_of_comment(text, start + 1)
        if at < 0:
            return "".join(out)
    return "".join(out) + text[at:]
