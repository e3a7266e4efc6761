"""Content-Type and Content-Disposition with their parameters (RFC 2045, 2183, 2231). Total."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

from nornmail.defects import Note, ignore
from nornmail.message.charsets import codec_of, decode
from nornmail.message.headers import decode_text
from nornmail.message.limits import MAX_PARAMETERS

# Where the semicolon was forgotten, only a name that is known begins the next parameter: there are
# file names with blanks and signs of equality in them. A quote that was not escaped ends a value
# where something comes that can follow it.
_PARAMETER = re.compile(
    r"""(?<![;\s])[;\s]++([^=;,\s"]++)\s*+=\s*+
    (?: "((?>(?:[^"\\]++|\\.|"(?!\s*+(?:;|\Z|[\w*-]++=))){0,5000}))"
      | ((?>(?: [^;\s]++
              | \s++(?!;|(?i:charset|boundary|name|filename|format|type|delsp)[*0-9]{0,5}=)
              ){0,5000}))
    )""",
    re.DOTALL | re.VERBOSE,
)
_OPEN_QUOTE = re.compile(r'"([^";]*+)')
_CONTINUED = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*)?)?\Z", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')
_COMMENT = re.compile(r"[ \t]++\([^()\"]*+\)[ \t]*+\Z")
_EXTENDED = re.compile(r"(?:utf-?8|iso-8859-\d{1,2}|windows-125\d)'[A-Za-z-]{0,8}'", re.I)
_TYPE = re.compile(r'["\s]*+([a-z0-9!#$&^_.+-]{1,100})[ \t]*+/[ \t]*+([a-z0-9!#$&^_.+-]{1,100})')
_NO_TYPE = re.compile(r"[\w*-]{1,40}=")
_TOKEN = re.compile(r"[!-9<>?A-~]+")
_TEXT_NAMES: Final = ("filename", "name")
"""Parameters that are text. The others are tokens, and are kept as they were sent."""

_MAX_REMEMBERED: Final = 100
"""Characters of a Content-Type that is kept with what was read from it."""

DEFAULT_TYPE: Final = "text/plain"
"""The type of a part without a Content-Type (RFC 2045 section 5.2)."""


def parse_content_type(
    raw: str, default: str = DEFAULT_TYPE, note: Note = ignore, charset: str = ""
) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and the parameters by their lower-case names.

    Args:
        raw: the unfolded field, octets as ISO 8859-1; ``""`` when there is none.
        default: the type where the field is missing or unreadable.
        note: called with what is broken.
        charset: of raw octets in a name that are not UTF-8.
    """
    if not raw:
        return default, {}
    if len(raw) > _MAX_REMEMBERED:
        return _parse_content_type(raw, default, note, charset)
    media_type, parameters, defects = _remembered(raw, default, charset)
    for defect in defects:
        note(defect)
    return media_type, dict(parameters)


@lru_cache(maxsize=512)
def _remembered(
    raw: str, default: str, charset: str
) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """The result of a field that was read before: most mail has the same few."""
    defects: list[str] = []
    media_type, parameters = _parse_content_type(raw, default, defects.append, charset)
    return media_type, parameters, tuple(defects)


def _parse_content_type(
    raw: str, default: str, note: Note, charset: str
) -> tuple[str, dict[str, str]]:
    media_type = _TYPE.match(raw.lower())
    if media_type is not None:
        return f"{media_type[1]}/{media_type[2]}", parse_parameters(
            raw[media_type.end() :], note, charset
        )
    note("a Content-Type that cannot be read")
    values = parse_parameters(";" + raw if _NO_TYPE.match(raw) else raw, note, charset)
    if raw[:9].lower() == "multipart" or ("boundary" in values and "charset" not in values):
        return "multipart/mixed", values
    return default, values


def parse_disposition(
    raw: str, note: Note = ignore, charset: str = ""
) -> tuple[str, dict[str, str]]:
    """The disposition in lower case (``""`` when there is none) and its parameters (RFC 2183)."""
    if not raw:
        return "", {}
    raw = raw.lstrip('" \t')
    word = _TOKEN.match(raw)
    if word is None or raw[word.end() : word.end() + 1] == "=":  # the word itself is missing
        return "", parse_parameters(";" + raw, note, charset)
    return word[0].lower().rstrip('"'), parse_parameters(raw[word.end() :], note, charset)


def parse_parameters(raw: str, note: Note = ignore, charset: str = "") -> dict[str, str]:
    """The parameters in a field. The first of two with one name counts.

    An extended parameter (RFC 2231) wins over the plain one of the same name. Senders forget the
    semicolon in front of a parameter and the quote behind it.
    """
    if "=" not in raw:
        return {}
    plain: dict[str, str] = {}
    extended: dict[str, dict[int, tuple[bool, str]]] = {}
    matches = _PARAMETER.finditer(raw)
    for match in islice(matches, MAX_PARAMETERS):
        name = match[1].lower()
        quoted, token = match[2], match[3]
        value = _bare(token) if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if quoted is None and not name.startswith(_TEXT_NAMES):
            value = _COMMENT.sub("", value)
        part = _CONTINUED.match(name) if "*" in name else None
        if part is None:
            plain.setdefault(name, value)
        else:
            sections = extended.setdefault(part[1], {})
            is_encoded = part[2] is None or part[3] is not None
            sections.setdefault(int(part[2] or 0), (is_encoded, value))
    if next(matches, None) is not None:
        note("more parameters than the limit")
    for name in _TEXT_NAMES:
        value = plain.get(name, "")
        if _EXTENDED.match(value):  # RFC 2231, but for the asterisk
            extended.setdefault(name, {0: (True, value)})
        elif value:
            plain[name] = decode_text(value, note, charset)
    for name, sections in extended.items():
        plain[name] = _join(sections, note)
    return plain


def _bare(token: str) -> str:
    """A value without quotes around it; a quote that is never closed is none."""
    if token.startswith('"'):
        opened = _OPEN_QUOTE.match(token)
        token = opened[1] if opened else token
    return token.strip()


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
            elif len(head) == 2 and codec_of(head[0]):  # one apostrophe was forgotten
                charset, value = head
        if is_encoded:
            value = value.strip('"')
        data = value.encode("latin-1", "replace")
        pieces.append(unquote_to_bytes(data) if is_encoded else data)
    # Some senders put encoded words into the sections, though RFC 2231 replaces them.
    return decode_text(decode(b"".join(pieces), charset, note).encode().decode("latin-1"), note)
