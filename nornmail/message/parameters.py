"""Content-Type and Content-Disposition with their parameters (RFC 2045, 2183, 2231). Total."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

from nornmail.message.charsets import decode
from nornmail.message.defects import Note, ignore
from nornmail.message.headers import decode_words, to_unicode
from nornmail.message.limits import MAX_PARAMETERS

_PARAMETER = re.compile(
    r';[\s]*+([^=;\s"]++)[\s]*+=[\s]*+(?:"((?:[^"\\]++|\\.)*+)"|([^;]*+))', re.DOTALL
)
_CONTINUED = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*)?)?\Z", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')
_TYPE = re.compile(r"[ \t]*+([a-z0-9!#$&^_.+-]{1,100})[ \t]*+/[ \t]*+([a-z0-9!#$&^_.+-]{1,100})")

DEFAULT_TYPE: Final = "text/plain"
"""What a part is that does not say what it is (RFC 2045 section 5.2)."""


def parse_content_type(
    raw: str, default: str = DEFAULT_TYPE, note: Note = ignore
) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and the parameters by their lower-case names.

    Args:
        raw: the unfolded field, octets as ISO 8859-1; ``""`` when there is none.
        default: the type where the field is missing or unreadable.
        note: told of what is broken.
    """
    if not raw:
        return default, {}
    found = _TYPE.match(raw.lower())
    if found is None:
        note("a Content-Type that cannot be read")
    media_type = f"{found[1]}/{found[2]}" if found else default
    return media_type, parse_parameters(raw, note)


def parse_disposition(raw: str, note: Note = ignore) -> tuple[str, dict[str, str]]:
    """The disposition in lower case (``""`` when there is none) and its parameters (RFC 2183)."""
    if not raw:
        return "", {}
    return raw.partition(";")[0].strip().lower(), parse_parameters(raw, note)


def parse_parameters(raw: str, note: Note = ignore) -> dict[str, str]:
    """The parameters behind the first ``;``. The first of two with one name counts.

    An extended parameter (RFC 2231) wins over the plain one of the same name.
    """
    if ";" not in raw:
        return {}
    plain: dict[str, str] = {}
    extended: dict[str, dict[int, tuple[bool, str]]] = {}
    matches = _PARAMETER.finditer(raw, raw.index(";"))
    for found in islice(matches, MAX_PARAMETERS):
        name = found[1].lower()
        quoted, token = found[2], found[3]
        value = token.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        part = _CONTINUED.match(name) if "*" in name else None
        if part is None:
            plain.setdefault(name, value)
        else:
            sections = extended.setdefault(part[1], {})
            is_encoded = part[2] is None or part[3] is not None
            sections.setdefault(int(part[2] or 0), (is_encoded, value))
    if next(matches, None) is not None:
        note("more parameters than the limit")
    values = {name: decode_words(to_unicode(value, note)) for name, value in plain.items()}
    for name, sections in extended.items():
        values[name] = _join(sections, note)
    return values


def _join(sections: dict[int, tuple[bool, str]], note: Note) -> str:
    """The sections of one parameter in their order; the first may name the charset."""
    charset = ""
    pieces: list[bytes] = []
    for place, number in enumerate(sorted(sections)):
        is_encoded, value = sections[number]
        if number != place:
            note("a parameter with a section missing")
        if is_encoded and place == 0:
            head = value.split("'", 2)
            if len(head) == 3:
                charset, value = head[0], head[2]
        data = value.encode("latin-1", "replace")
        pieces.append(unquote_to_bytes(data) if is_encoded else data)
    return decode_words(decode(b"".join(pieces), charset, note))
