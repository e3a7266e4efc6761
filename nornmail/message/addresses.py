"""Address lists (RFC 5322 section 3.4, with the obsolete and the broken ones). Total.

The list is cut up before anything is decoded, so that no encoded comma or bracket hides an address
or replaces its neighbour: ``alice@legit.example <bob@evil.example>`` is bob.
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from typing import Final

from nornmail.defects import Note, ignore
from nornmail.message.headers import decode_words, end_of_comment, to_unicode
from nornmail.message.limits import (
    MAX_ADDRESS_CHARS,
    MAX_ADDRESSES,
    MAX_NAME_WORD_CHARS,
    MAX_NAME_WORDS,
    MAX_UNQUOTED_COMMAS,
)

_TOKEN = re.compile(
    r"""
      (?P<word>=\?[^?\s]{0,80}\?[bBqQ]\?(?>(?:[^?="<>]++|=(?!\?[^=])|\?(?!=)){0,9999})\?=)
    | "(?P<quoted>(?>(?:[^"\\]++|\\.){0,9999}))"
    | <(?P<angle>[^<>]*+)>
    | (?P<open><[^<>,;]*+)                                  # a bracket that is never closed
    | (?P<comment>\()
    | (?P<space>[\s\x00-\x1f]++)
    | (?P<end>[,;])
    | (?P<group>:)
    | (?P<atom>(?>(?:\\.|\[(?>(?:[^\[\]\s]*+\])?)|[^\s\x00-\x1f"<>,;:(\\[]++){1,9999}))
    | (?P<stray>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN_ADDRESS = r"""[^\s"<>(),:;@\\\[\]\x00-\x1f\x7f-\xa0]{1,64}@[A-Za-z0-9._-]{1,255}"""
_SIMPLE = re.compile(
    rf"""[ \t]*+(?:(?:"([^"\\\r\n]*+)"[ \t]*+|([^"<>(),:;@\\\[\]\x00-\x1f\x7f-\x9f]*+))"""
    rf"""<({_PLAIN_ADDRESS})>|({_PLAIN_ADDRESS}))[ \t]*+(?:,(?=.)|\Z)"""
)
_QUICK: Final = 4_096
"""Characters of a field that is tried as a list without anything unusual in it first."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_SIGN = re.compile(r'\\([",;:<>()\[\]])')
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_NOT_IN_ADDRESS = re.compile("[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_SPECIALS = re.compile(r"[][()<>@,:;\".\\]")
_GROUP = re.compile(r"[^@\":]*+:[^;]*+;\Z")
_BLANKS_AROUND = re.compile(r"\s++([@.])\s*+|([@.])\s++")
_SCHEME = re.compile(r"mailto:", re.IGNORECASE)
_BARE = re.compile(_PLAIN_ADDRESS)
_NAMED = re.compile(rf"([^<>]*+)<({_PLAIN_ADDRESS})>\s*+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,10}")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox as a header names it.

    Attributes:
        name: the display name, decoded, ``""`` when there is none. The sender's claim, no more.
        address: ``local@domain`` as written, ``""`` when there was a name only. Without an ``@`` it
            is an address only within angle brackets.
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


def parse_addresses(raw: str, note: Note = ignore, charset: str = "") -> tuple[Address, ...]:
    """The addresses of a field, groups flattened.

    Args:
        raw: the unfolded field, octets as ISO 8859-1.
        charset: of raw octets that are not UTF-8, if it is known.
    """
    if not raw:
        return ()
    text = to_unicode(raw, note, charset)
    simple = _read_simple(text, note) if len(text) < _QUICK else None
    if simple is not None:
        return simple
    reader = _Reader(text, note)
    reader.run()
    return tuple(reader.addresses)


def _read_simple(text: str, note: Note) -> tuple[Address, ...] | None:
    """The quick way for a list in which nothing is out of the ordinary; ``None`` for others."""
    addresses: list[Address] = []
    at = 0
    while at < len(text):
        item = _SIMPLE.match(text, at)
        if item is None:
            return None
        at = item.end()
        quoted, words, address, bare = item.groups()
        name = quoted or words or ""
        if "=?" in name or not name.isprintable() or "  " in name:
            name = _decoded(name if quoted else " ".join(name.split()), note)
        addresses.append(Address(name.strip(), address or bare))
    return tuple(addresses)


class _Reader:
    """A single pass over the tokens; ``words`` and the rest belong to the current address.

    ``waiting`` holds what stood in front of a comma and was a name without an address: with a
    bracket behind the comma it was ``Doe, John <john@example.org>`` without its quotes.
    """

    def __init__(self, text: str, note: Note) -> None:
        self.text = text
        self.note = note
        self.addresses: list[Address] = []
        self.waiting: list[str] = []
        self.groups = text.rfind(";")
        self.words: list[str] = []
        self.angles: list[str] = []
        self.comments: list[str] = []
        self.named = 0
        self.glued = False
        self.has_comments = True

    def run(self) -> None:
        at = 0
        while at < len(self.text) and len(self.addresses) < MAX_ADDRESSES:
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
                self._flush(token[0])
            elif kind == "group":
                self._colon(at)
            elif kind in ("angle", "open"):
                self._angle(token[kind].lstrip("<"))
            elif kind is not None:
                self._word(kind, token[kind], at)
        if at < len(self.text):
            self.note("more addresses than the limit")
        self._flush("")
        self._give_up_waiting()

    def _colon(self, at: int) -> None:
        """The end of a group's name, where a semicolon ends the group (RFC 5322 section 3.4)."""
        if self.angles or (self.words and self.groups < at):
            self.note("a colon in an address field outside a group name")
            if not self.angles:
                self._word("atom", ":", at)
            return
        self._give_up_waiting()
        self.words, self.comments, self.glued = [], [], False

    def _angle(self, content: str) -> None:
        self.glued = False
        if _GROUP.match(content):
            return  # <Undisclosed-Recipient:;>
        if self.angles and "@" in self.angles[-1]:
            self.note("two addresses without a comma between them")
            words, self.words = self.words[self.named :], self.words[: self.named]
            self._flush("")
            self.words = words
        elif self.angles:  # "Jo <work> <jo@example.org>": the first is a part of the name
            self.words.append(self.angles.pop())
        if content.strip():
            self.angles.append(content)
            self.named = len(self.words)

    def _word(self, kind: str, text: str, end: int) -> None:
        if kind == "quoted":
            # A quoted local part keeps its quotes: without them it is another address.
            is_local = self.text.startswith("@", end)
            text = f'"{text}"' if is_local else _ESCAPED.sub(r"\1", text)
        elif kind == "stray":
            self.note("a stray character in an address field")
            return
        elif "\\" in text:  # signs that a script escaped, though nothing is quoted
            text = _ESCAPED_SIGN.sub(r"\1", text)
        is_glued = self.glued and self.words and (kind != "word" or "@" in self.words[-1])
        if is_glued or (self.words and text.startswith("@") and self._is_at(end, text)):
            self._glue(text)
        elif len(self.words) == MAX_NAME_WORDS:
            self.note("more words in a name than the limit")
        else:
            self.words.append(text)
        self.glued = kind != "word"

    def _glue(self, text: str) -> None:
        if len(self.words[-1]) < MAX_NAME_WORD_CHARS:
            self.words[-1] += text
        else:
            self.note("a word over the limit in an address field")

    def _is_at(self, end: int, text: str) -> bool:
        """Whether no blank stands in front of the token that ends there."""
        return not self.text[end - len(text) - 1].isspace()

    def _comment(self, at: int) -> int:
        # Behind one that is never closed a bracket is a sign like others: each would be looked for
        # up to the end of the field.
        end = end_of_comment(self.text, at) if self.has_comments else -1
        if end < 0:
            self.note("a comment that is not closed")
            self.has_comments = False
            self._word("atom", "(", at)
            return at
        comment = _ESCAPED.sub(r"\1", self.text[at : end - 1]).strip()
        if comment and not self.angles:
            self.comments.append(comment)
        return end

    def _flush(self, separator: str) -> None:
        words, angles, comments = self.words, self.angles, self.comments
        self.words, self.angles, self.comments, self.glued = [], [], [], False
        if angles:
            words, behind = self._addresses_behind(words, angles[0])
            if words and self.waiting:
                self.note("a comma in a name without quotes")
                words = [", ".join([*self.waiting, words[0]]), *words[1:]]
                self.waiting = []
            self._give_up_waiting()
            # "Ann (at work) <ann@example.org>": with a name, the comment is a part of it.
            names = [*words, *(f"({comment})" for comment in comments)] if words else comments
            self._add(self._name(names), angles[0])
            for address in behind:
                self._add("", address)
        elif words:
            self._bare(words, comments, separator)

    def _addresses_behind(self, words: list[str], angle: str) -> tuple[list[str], list[str]]:
        """``Ann <ann@example.org> bob@example.org``: bob is not part of Ann's name."""
        name, behind = words[: self.named], list[str]()
        for word in words[self.named :]:
            is_address = word != angle and "@" in angle and _BARE.fullmatch(word)
            (behind if is_address else name).append(word)
        if behind:
            self.note("two addresses without a comma between them")
        return name, behind

    def _bare(self, words: list[str], comments: list[str], separator: str) -> None:
        if any(word[:1] in "@." or word[-1:] in "@." for word in words):
            words = _without_blanks(" ".join(words)).split(" ")
        is_veiled = len(words) == 3 and words[1] == "at" and _DOMAIN.fullmatch(words[2])
        if comments and is_veiled:  # "ann at example.org (Ann)": an archive of a mailing list
            words = [f"{words[0]}@{words[2]}"]
        addresses: list[str] = []
        names: list[str] = []
        for word in words:
            is_address = "@" in word and not _NAMED.fullmatch(word)
            (addresses if is_address else names).append(word)
        if not addresses and separator == "," and not comments:
            self.waiting.append(" ".join(names))
            if len(self.waiting) > MAX_UNQUOTED_COMMAS:
                self._give_up_waiting()
            return
        self._give_up_waiting()
        self._add_bare(addresses, names, comments)

    def _give_up_waiting(self) -> None:
        waiting, self.waiting = self.waiting, []
        for name in waiting:
            self._add_bare([], name.split(" "), [])

    def _add_bare(self, addresses: list[str], names: list[str], comments: list[str]) -> None:
        if not addresses and len(comments) == 1 and _BARE.fullmatch(comments[0]):
            addresses, comments = comments, []
        name = self._name(names) or self._name(comments)
        whole = None if addresses else _NAMED.fullmatch(name)
        if whole:  # a mailer that quotes or encodes all: there is nothing else to write to
            self.note("an address within a name")
            self._add(whole[1].strip('" '), whole[2])
        elif not addresses:
            self.note("a name without an address")
            self._add(name, "")
        if len(addresses) > 1:
            self.note("two addresses without a comma between them")
        for address in addresses:
            self._add(name, address)
            name = ""

    def _name(self, words: list[str]) -> str:
        return _decoded(" ".join(words), self.note) if words else ""

    def _add(self, name: str, address: str) -> None:
        if "(" in address:
            address = _without_comments(address)
        address = _likely(address)
        address = _SCHEME.sub("", address.strip(), count=1) if ":" in address else address
        if address.startswith("=?") and address.endswith("?="):  # a mailer that encodes all
            address = decode_words(address, self.note)
        if address.startswith("@") and ":" not in address:
            address = ""  # what is left of "undisclosed-recipients:;@example.org"
        refused = _CONTROLS if address.startswith('"') else _NOT_IN_ADDRESS
        address = refused.sub("", address)
        if address.startswith("@") and ":" in address:  # a route (RFC 5322 section 4.4)
            address = address.partition(":")[2]
        if len(address) > MAX_ADDRESS_CHARS:
            self.note("an address over the limit")
            address = ""
        if (name or address) and len(self.addresses) < MAX_ADDRESSES:
            self.addresses.append(Address(name, address))


def _decoded(text: str, note: Note) -> str:
    """A name; the quotes of a sender that quotes first, and encodes quotes and all, are none."""
    name = decode_words(text, note)
    if "=?" in text and name[:1] == name[-1:] == '"' and name.count('"') == 2:
        return name[1:-1].strip()
    return name


def _without_blanks(text: str) -> str:
    """``ann . lee @ example . org``, as RFC 822 allowed it; the dots of a name are left alone."""
    whole = _BLANKS_AROUND.sub(r"\1\2", text)
    if "@" in whole and " " not in whole:
        return whole
    name, sign, domain = text.partition("@")
    return name.rstrip() + sign + _BLANKS_AROUND.sub(r"\1\2", domain.lstrip()) if sign else text


def _likely(content: str) -> str:
    """The address among several words between brackets."""
    if content.startswith('"') or len(content.split()) == 1:
        return content
    content = _BLANKS_AROUND.sub(r"\1\2", content)  # as RFC 822 allowed them
    words = [word for word in content.split() if "@" in word[1:-1]]
    return words[0] if len(words) == 1 else content


def _without_comments(text: str) -> str:
    out: list[str] = []
    at = 0
    while (start := text.find("(", at)) >= 0:
        out.append(text[at:start])
        at = end_of_comment(text, start + 1)
        if at < 0:
            return "".join(out)
    return "".join(out) + text[at:]


_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""ASCII alone: the lower case of a Kelvin sign is a k, and would be another address."""


def comparable(address: str) -> str:
    """The form in which addresses are compared where another one must not pass for the same.

    The case of ASCII letters does not matter, and everything else does.
    """
    return address.translate(_LOWER)


def canonical(address: str) -> str:
    """The form in which two addresses are compared; the same for all that reach one mailbox.

    Lower case (no server that matters tells ``Bob`` from ``bob``, whatever RFC 5321, 2.4, allows),
    composed Unicode, an international domain in its ASCII form (RFC 5890), no needless quotes.
    """
    local, _, domain = unicodedata.normalize("NFC", address).rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return f"{local.lower()}@{_ascii_domain(domain.lower().rstrip('.'))}"


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii").lower()
    except UnicodeError:  # no name of a host: it is compared as it stands
        return domain
