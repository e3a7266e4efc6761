"""Bytes to text, whatever charset the sender names. Total: nothing here raises.

A label never reaches ``codecs.lookup`` unless it is in the table: Python knows codecs that are not
charsets (``rot13``, ``zlib``, ``idna``), and it remembers every unknown name for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from encodings.aliases import aliases
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Final

from nornmail.defects import Note, ignore
from nornmail.message.limits import MAX_CHARSET_ESCAPES

_NOT_TEXT: Final = frozenset(
    {
        "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec",
        "zlib_codec", "mbcs", "tactis", "oem", "idna", "punycode", "undefined",
        "unicode_escape", "raw_unicode_escape", "unicode_internal",
    }
)  # fmt: skip
"""Codecs that are not charsets of mail, or that exist on one system only."""

_SUPERSETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932",
        "big5": "big5hkscs", "latin_1": "cp1252", "iso8859_9": "cp1254", "tis_620": "cp874",
        "iso8859_11": "cp874", "iso2022_jp": "iso2022jp", "iso2022_jp_1": "iso2022jp",
        "iso2022_jp_ext": "iso2022jp",
    }
)  # fmt: skip
"""The vendor's superset that senders of the first really use (as browsers read it)."""

_MORE_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "iso88598i": "iso8859_8", "iso88598e": "iso8859_8", "logical": "iso8859_8",
        "visual": "iso8859_8", "iso88596i": "iso8859_6", "iso88596e": "iso8859_6",
        "maccyrillic": "mac_cyrillic", "macukrainian": "mac_cyrillic",
        "macintosh": "mac_roman", "macroman": "mac_roman", "mac": "mac_roman",
        "macce": "mac_latin2", "maccentraleurope": "mac_latin2",
        "maccentraleuroperoman": "mac_latin2",
        "macgreek": "mac_greek", "macturkish": "mac_turkish", "maciceland": "mac_iceland",
        "sjis": "shift_jis", "shiftjis": "shift_jis", "mskanji": "cp932", "windows31j": "cp932",
        "eucjp": "euc_jp", "cp50220": "iso2022_jp", "cp50221": "iso2022_jp",
        "cp50222": "iso2022_jp", "iso2022jpms": "iso2022_jp", "cp51932": "euc_jp",
        "jis": "iso2022_jp",
        "ksc56011987": "cp949", "ksc5601": "cp949", "ksc56011989": "cp949", "uhc": "cp949",
        "euckr": "cp949", "cp51949": "cp949", "cp1361": "johab",
        "xbig5": "big5", "cnbig5": "big5", "big5eten": "big5",
        "euccn": "gbk", "gb231280": "gbk", "cngb": "gbk", "chinese": "gbk", "cp936": "gbk",
        "cp54936": "gb18030", "cp20936": "gbk", "cp52936": "hz",
        "utf8mb4": "utf_8", "unicode20utf8": "utf_8", "unicode11utf8": "utf_8",
        "unicode": "utf_8", "cp65001": "utf_8", "cp65000": "utf_7",
        "unicode11utf7": "utf_7", "unicode20utf7": "utf_7", "cp1200": "utf_16_le",
        "cp1201": "utf_16_be", "ucs2": "utf_16", "iso10646ucs2": "utf_16", "iso10646": "utf_16",
        "ucs4": "utf_32", "iso10646ucs4": "utf_32",
        "koi8": "koi8_r", "koi": "koi8_r", "koi8ru": "koi8_u", "cp20866": "koi8_r",
        "cp21866": "koi8_u", "cp10000": "mac_roman", "cp10006": "mac_greek",
        "cp10007": "mac_cyrillic", "cp10029": "mac_latin2", "cp10081": "mac_turkish",
        "cp20127": "ascii", "cp28591": "latin_1", "cp28592": "iso8859_2", "cp28595": "iso8859_5",
        "cp28597": "iso8859_7", "cp28598": "iso8859_8", "cp28599": "iso8859_9",
        "cp28605": "iso8859_15", "cp38598": "iso8859_8",
        "ansi": "cp1252", "asciiplus": "cp1252", "win": "cp1251", "cyrillicwindows": "cp1251",
        "ansix31101983": "latin_1", "usasciii": "ascii", "7bit": "ascii",
    }
)  # fmt: skip
"""Labels of mail that Python does not know, without punctuation and without ``x-`` or ``cs``."""

_MAX_LABEL: Final = 60
"""Characters of a label that is looked up; the longest registered one has 45."""

_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_LABEL_END = re.compile(r"[;,(\s]")
_CODE_PAGE = re.compile(r"(?:windows|win|cp|ibm|dos|oem|ms|msdos|codepage)0*([1-9]\d{2,4})")
_ISO = re.compile(r"(?:iso|is|latin)?8859(\d{1,2})")
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
_NOT_LONE_MARKS = re.compile(rb"[\x80-\x84\x86-\x90\x98\x9a-\xff]|[\x85\x91-\x97\x99][\x80-\xff]")
"""Anything 8-bit but single quotation marks, dashes and the like of windows-1252."""
_TWO_OCTETS: Final = frozenset({"gb18030", "big5hkscs", "cp949"})
"""Codecs in which such a mark and the letter behind it are a character that hardly anyone uses."""
_ESCAPE = re.compile(rb"\x1b(\$[@B]|\$\([@BD]|\([BJIH])|[\x0e\x0f]")
_TWO_BYTES = frozenset({b"$@", b"$B", b"$(@", b"$(B"})
_CONTROL_RUN = re.compile(rb"([\x00-\x20]+)")
_KATAKANA: Final = bytes(octet | 0x80 if octet > 0x20 else octet for octet in range(256))
_CELLS: Final = tuple((octet & 0x7F) - 0x21 for octet in range(256))
"""The row or cell (0 to 93) that an octet names in JIS X 0208. The tables below turn it into Shift
JIS, where two rows share a first octet."""
_NO_CELL: Final = bytes(0 if 0 <= cell < 94 else 0xFF for cell in _CELLS)
_ODD_ROW: Final = bytes(0xFF if row % 2 else 0 for row in _CELLS)
_LEAD: Final = bytes((row // 2 + (0x81 if row < 62 else 0xC1)) & 0xFF for row in _CELLS)
_TRAIL_ODD: Final = bytes((cell + 0x9F) & 0xFF for cell in _CELLS)
_TRAIL_EVEN: Final = bytes((cell + (0x40 if cell < 63 else 0x41)) & 0xFF for cell in _CELLS)
_WIDE_CHAR = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_LONG_CHAR = re.compile(rb"[\xe0-\xf4][\x80-\xbf]{2}")
_ONE_OCTET: Final = ("cp125", "iso8859", "koi8", "mac_", "cp437", "cp8", "kz1048")
"""Beginnings of the names of codecs with one octet for each character."""
_MIN_WIDE: Final = 2
"""Characters of UTF-8 that show that text labelled otherwise is UTF-8. One of three octets does,
and one in western text, since there each would be a capital and a sign, as in ``Ã©``."""
_MIN_WIDE_THAI: Final = 20
"""In Thai, any two letters in a row may look like such a character."""
_CUT_OFF = re.compile(rb"[\x00-\x7f]*+[\xe0-\xf4][\x80-\xbf]{1,2}", re.DOTALL)
"""ASCII, and at the end a character of UTF-8 without its last octets."""


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
    """The codec for a charset label, ``None`` when there is none that is safe to use.

    It is a name of the standard library's, or ``"iso2022jp"``, which is our own. Quotes, comments
    and punctuation in and behind the label do not matter.
    """
    if len(label) > _MAX_LABEL:
        return None
    label = _LABEL_END.split(label.strip("\"' \t<>"), maxsplit=1)[0]
    name = _PUNCTUATION.sub("", label.lower())
    for bare in (name, name.removeprefix("x"), name.removeprefix("cs")):
        codec = _CODECS.get(bare)
        if codec is None and (page := _CODE_PAGE.fullmatch(bare)):
            codec = _CODECS.get("cp" + page[1])
        if codec is None and (part := _ISO.fullmatch(bare)):
            codec = _CODECS.get("iso8859" + part[1])
        if codec is not None:
            return codec
    return None


def decode(data: bytes, label: str = "", note: Note = ignore) -> str:
    """The text that ``data`` stands for.

    Args:
        label: the charset as the sender named it; ``""`` for none.
        note: called when the label is unknown or does not fit.

    Returns:
        Text without lone surrogates. Without a usable label: UTF-8 where it is that, else
        windows-1252, else ISO 8859-1, each of which can be wrong but loses no byte.
    """
    codec = codec_of(label) if label else None
    if label and codec is None:
        note(f"unknown charset {label[:_MAX_LABEL]!a}")
    if codec is None or codec == "ascii":
        return _guess(data, note)
    if codec == "iso2022jp":
        return _decode_japanese(data, note)
    if codec.startswith(("utf_16", "utf_32")) and data.isascii() and not _CONTROLS.search(data):
        note("text that is not " + codec)  # the label of a program that thought in UTF-16
        return data.decode("ascii")
    if codec in _TWO_OCTETS and not data.isascii() and not _NOT_LONE_MARKS.search(data):
        note(f"windows-1252 text labelled {codec}")
        codec = "cp1252"
    if codec.startswith(_ONE_OCTET) and not data.isascii() and _is_utf_8(data, codec):
        note(f"UTF-8 labelled {codec}")
        codec = "utf_8"
    try:
        text = data.decode(codec)
    except (UnicodeError, LookupError, ValueError):
        if codec == "cp1252":
            return data.decode("latin-1")
        note(f"bytes that are not {codec}")
        text = _decode_broken(data, codec)
    if codec == "utf_7":  # the one codec here that gives out lone surrogates
        text = _SURROGATES.sub("\ufffd", text)
    return text


def _is_utf_8(data: bytes, codec: str) -> bool:
    """Whether ``data``, which says ``codec``, is UTF-8: longer text hardly is by accident."""
    needed = {"cp1252": 1, "iso8859_15": 1, "cp874": _MIN_WIDE_THAI}.get(codec, _MIN_WIDE)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if needed == _MIN_WIDE and _LONG_CHAR.search(data):
        return True
    return next(islice(_WIDE_CHAR.finditer(data), needed - 1, None), None) is not None


def _decode_japanese(data: bytes, note: Note) -> str:
    if data.isascii() or b"\x1b" in data:
        return decode_iso2022jp(data)
    note("8-bit octets that are not iso2022_jp")
    for codec in ("utf-8", "cp932", "euc_jp"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            pass
    return data.decode("cp932", "replace")


def _decode_broken(data: bytes, codec: str) -> str:
    if codec.startswith("utf_8"):
        return _decode_false_utf_8(data)
    if codec.startswith("utf_16") and len(data) % 2:  # as of a line end of one octet
        data = data[:-1]
    if codec.startswith("iso2022_jp"):
        return decode_iso2022jp(data)
    try:
        text = data.decode(codec, "replace")
    except (UnicodeError, LookupError, ValueError):
        return _guess(data, ignore)
    # A single-byte text that has the wrong label: UTF-8 is hardly ever valid by accident.
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if codec == "big5hkscs":
        other = data.decode("cp950", "replace")
        return other if other.count("\ufffd") < text.count("\ufffd") else text
    return text


def _decode_false_utf_8(data: bytes) -> str:
    """Text that says UTF-8 and is not: a damaged one, or one of windows-1252."""
    good = data.decode("utf-8", "ignore")
    wide = sum(len(run) for run in _NOT_ASCII.findall(good))
    text = data.decode("utf-8", "replace")
    lost = text.count("\ufffd") - good.count("\ufffd")
    if wide * 2 >= lost or _CUT_OFF.fullmatch(data):
        return text
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") and b"\0" in data:
        return data.decode("utf-16", "replace")
    return _decode_one_byte(data)


def _guess(data: bytes, note: Note) -> str:
    if b"\x1b$" in data and data.isascii():
        return decode_iso2022jp(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        note("8-bit text without a usable charset, read as windows-1252")
    return _decode_false_utf_8(data)


def _decode_one_byte(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_iso2022jp(data: bytes) -> str:
    """ISO-2022-JP as Japanese mail is written; what is not a character becomes U+FFFD.

    The standard library refuses the vendors' characters (NEC row 13: circled digits, units, the
    signs for a company) and half-width katakana, which are common in mail. Each run of two-byte
    characters is turned into Shift JIS by arithmetic and read as code page 932, which has them.
    """
    pieces: list[str] = []
    mode = b"(B"
    at = 0
    for escape in islice(_ESCAPE.finditer(data), MAX_CHARSET_ESCAPES):
        if escape.start() > at:
            pieces.append(_run(data[at : escape.start()], mode))
        at = escape.end()
        if escape[1]:
            mode = escape[1]
        else:  # shift out and shift in: half-width katakana with seven bits
            mode = b"(I" if escape[0] == b"\x0e" else b"(B"
    if _ESCAPE.search(data, at):
        pieces.append((b"\x1b" + mode + data[at:]).decode("iso2022_jp_ext", "replace"))
    else:
        pieces.append(_run(data[at:], mode))
    return "".join(pieces)


def _run(run: bytes, mode: bytes) -> str:
    if not run:
        return ""
    if mode in _TWO_BYTES:
        # A line end brings ASCII back, though its escape was lost on the way.
        line, end, rest = run.partition(b"\n")
        words = _CONTROL_RUN.split(line)  # and what parts them, which is not part of a character
        words[::2] = map(_to_shift_jis, words[::2])
        text = b"".join(words).decode("cp932", "replace")
        return text + "\n" + _run(rest, b"(B") if end else text
    if mode == b"(I":
        return run.translate(_KATAKANA).decode("cp932", "replace")
    if mode == b"$(D":
        return (b"\x1b$(D" + run + b"\x1b(B").decode("iso2022_jp_1", "replace")
    return run.decode("cp932", "replace")


def _to_shift_jis(run: bytes) -> bytes:
    """Characters of two octets in JIS X 0208 to Shift JIS, all of them at once."""
    count = (len(run) + 1) // 2
    high, low = run[0::2], run[1::2].ljust(count, b"\0")
    odd = int.from_bytes(high.translate(_ODD_ROW), "big")
    trail = int.from_bytes(low.translate(_TRAIL_ODD), "big") & odd
    trail |= int.from_bytes(low.translate(_TRAIL_EVEN), "big") & ~odd
    bad = int.from_bytes(high.translate(_NO_CELL), "big")
    bad |= int.from_bytes(low.translate(_NO_CELL), "big")
    out = bytearray(b"\x81\xfc" * count)  # no character of code page 932
    no_lead, no_trail = (int.from_bytes(out[place::2], "big") for place in (0, 1))
    lead = int.from_bytes(high.translate(_LEAD), "big") & ~bad | no_lead & bad
    out[0::2] = lead.to_bytes(count, "big")
    out[1::2] = (trail & ~bad | no_trail & bad).to_bytes(count, "big")
    return bytes(out)
