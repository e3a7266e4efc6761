"""What a server says: a code, an enhanced status code and text, in one line or several."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Response:
    r"""An answer (RFC 5321, 4.2).

    Attributes:
        code: three digits.
        enhanced: the status code of RFC 2034, sent where ENHANCEDSTATUSCODES is offered.
        text: a line, or several with ``\n`` between them.
    """

    code: int
    enhanced: str
    text: str

    def encode(self, *, enhanced: bool) -> bytes:
        """The octets on the wire."""
        status = f"{self.enhanced} " if enhanced and self.enhanced else ""
        return encode_reply(self.code, [status + line for line in self.text.split("\n")])


def encode_reply(code: int, lines: list[str]) -> bytes:
    """A reply of these lines, of which all but the last have a hyphen behind the code."""
    marks = ["-"] * (len(lines) - 1) + [" "]
    shown = [f"{code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)]
    return "".join(shown).encode("utf-8")
