"""Bytes and whatever label the sender put on them, to text. Total: nothing here raises.

A label never reaches ``codecs.lookup`` unless it is in the table: Python knows codecs that are no
charsets (``rot13``, ``zlib``, ``idna``), and it remembers every unknown name for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from encodings.aliases import aliases
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from nornmail.message.defects import Note, ignore

_NOT_TEXT: Final = frozenset(
    {
        "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec",
        "zlib_codec", "mbcs", "tactis", "oem", "idna", "punycode", "undefined",
        "unicode_escape", "raw_unicode_escape", "unicode_internal",
    }
)  # fmt: skip
"""Codecs that are no charset of mail, or that exist on one system only."""

_SUPERSETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932",
        "big5": "big5hkscs", "latin_1": "cp1252", "iso8859_9": "cp1254", "tis_620": "cp874",
        "iso8859_11": "cp874",
    }
)  # fmt: skip
"""What senders that name the first really write: the vendor's superset (as browsers read it)."""

_MORE_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "windows874": "cp874", "xwindows874": "cp874", "dos874": "cp874",
        "iso88598i": "iso8859_8", "iso88598e": "iso8859_8",
        "iso88596i": "iso8859_6", "iso88596e": "iso8859_6", "logical": "iso8859_8",
        "xmaccyrillic": "mac_cyrillic", "xmacukrainian": "mac_cyrillic",
        "macintosh": "mac_roman", "xmacroman": "mac_roman", "mac": "mac_roman",
        "xmacce": "mac_latin2", "xmacgreek": "mac_greek", "xmacturkish": "mac_turkish",
        "xsjis": "cp932", "windows31j": "cp932", "cswindows31j": "cp932", "xeucjp": "euc_jp",
        "ksc56011987": "cp949", "ksc5601": "cp949", "ksc56011989": "cp949",
        "windows949": "cp949", "xxbig5": "big5hkscs", "cnbig5": "big5hkscs", "xgbk": "gb18030",
        "xeuccn": "gb18030", "gb231280": "gb18030", "cngb": "gb18030",
        "utf8mb4": "utf_8", "xunicode20utf8": "utf_8", "unicode11utf8": "utf_8",
        "unicode11utf7": "utf_7", "xunicode20utf7": "utf_7", "koi8": "koi8_r", "koi": "koi8_r",
        "xcp1250": "cp1250", "xcp1251": "cp1251", "xcp1252": "cp1252", "xansi": "cp1252",
        "asciiplus": "cp1252", "ansi": "cp1252",
    }
)  # fmt: skip
"""Labels of mail that Python does not know, without punctuation."""

_MAX_LABEL: Final = 60
"""Characters of a label that is looked up; the longest registered one has 45."""

_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_SURROGATES = re.compile("[\ud800-\udfff]")


def _table() -> dict[str, str]:
    known = {
        _PUNCTUATION.sub("", name): codec
        for pairs in (aliases.items(), ((codec, codec) for codec in set(aliases.values())))
        for name, codec in pairs
        if codec not in _NOT_TEXT
    }
    # Not in the table of aliases, since their names are their only names.
    known |= {name.replace("_", ""): name for name in ("cp720", "cp737", "cp856", "cp874")}
    known |= {name.replace("_", ""): name for name in ("cp875", "cp1006", "koi8_r", "koi8_u")}
    known |= {name.replace("_", ""): name for name in ("koi8_t", "utf_8_sig", "mac_croatian")}
    return {name: _SUPERSETS.get(codec, codec) for name, codec in {**known, **_MORE_LABELS}.items()}


_CODECS: Final = MappingProxyType(_table())


@lru_cache(maxsize=256)
def codec_of(label: str) -> str | None:
    """The Python codec for a charset label, ``None`` when there is none that is safe to use."""
    if len(label) > _MAX_LABEL:
        return None
    return _CODECS.get(_PUNCTUATION.sub("", label.lower()))


def decode(data: bytes, label: str = "", note: Note = ignore) -> str:
    """The text that ``data`` stands for.

    Args:
        data: the bytes.
        label: the charset as the sender named it; ``""`` for none.
        note: told when the label is unknown or does not fit.

    Returns:
        Text without lone surrogates. Without a usable label: UTF-8 where it is that, else
        windows-1252, else ISO 8859-1, each of which can be wrong but loses no byte.
    """
    codec = codec_of(label) if label else None
    if label and codec is None:
        note(f"unknown charset {label[:_MAX_LABEL]!a}")
    if codec is None or codec == "ascii":
        return _guess(data, note)
    try:
        text = data.decode(codec)
    except (UnicodeError, LookupError, ValueError):
        if codec == "cp1252":
            return data.decode("latin-1")
        note(f"bytes that are not {codec}")
        try:
            text = data.decode(codec, "replace")
        except (UnicodeError, LookupError, ValueError):
            return _guess(data, note)
    if codec == "utf_7":  # the one codec here that gives out lone surrogates
        text = _SURROGATES.sub("\ufffd", text)
    return text


def _guess(data: bytes, note: Note) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        note("8-bit text without a usable charset, read as windows-1252")
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")
