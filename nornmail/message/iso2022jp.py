"""ISO-2022-JP as Japanese mail is written, and not only as RFC 1468 has it. Total.

The standard library refuses the vendors' characters (NEC row 13: circled digits, units, the signs
for a company) and half-width katakana, with which ordinary mail is full. Each run of two-byte
characters is turned into Shift JIS by arithmetic and read as code page 932, which has them.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\x1b(\$[@B]|\$\([@BD]|\([BJIH])|[\x0e\x0f]")
_TWO_BYTES = frozenset({b"$@", b"$B", b"$(@", b"$(B"})


def decode_iso2022jp(data: bytes) -> str:
    """The text; what is no character becomes U+FFFD."""
    pieces: list[str] = []
    mode = b"(B"
    at = 0
    for escape in _ESCAPE.finditer(data):
        if escape.start() > at:
            pieces.append(_run(data[at : escape.start()], mode))
        at = escape.end()
        if escape[1]:
            mode = escape[1]
        else:  # shift out and shift in: half-width katakana with seven bits
            mode = b"(I" if escape[0] == b"\x0e" else b"(B"
    pieces.append(_run(data[at:], mode))
    return "".join(pieces)


def _run(run: bytes, mode: bytes) -> str:
    if not run:
        return ""
    if mode in _TWO_BYTES:
        # A line end brings ASCII back, though its escape was lost on the way.
        line, end, rest = run.partition(b"\n")
        text = _to_shift_jis(line).decode("cp932", "replace")
        return text + "\n" + _run(rest, b"(B") if end else text
    if mode == b"(I":
        return bytes(octet | 0x80 if octet > 0x20 else octet for octet in run).decode(
            "cp932", "replace"
        )
    if mode == b"$(D":
        return (b"\x1b$(D" + run + b"\x1b(B").decode("iso2022_jp_1", "replace")
    return run.decode("cp932", "replace")


def _to_shift_jis(run: bytes) -> bytes:
    out = bytearray()
    pairs = iter(run)
    for high in pairs:
        if high <= 0x20:  # a control or a blank between two characters
            out.append(high)
            continue
        low = next(pairs, 0)
        row, cell = (high & 0x7F) - 0x21, (low & 0x7F) - 0x21
        if not (0 <= row < 94 and 0 <= cell < 94):
            out += b"\x81\xfc"  # no character of code page 932
            continue
        first = row // 2 + (0x81 if row < 62 else 0xC1)
        if row % 2:
            out += bytes((first, cell + 0x9F))
        else:
            out += bytes((first, cell + (0x40 if cell < 63 else 0x41)))
    return bytes(out)
