"""What the receiving server found out about the sender (RFC 8601). Total, closed on failure.

Anybody can write an Authentication-Results field. Only the topmost one counts, and only when it
names, exactly, the server that the user trusts; the fields of the same server right below it count
with it, as some providers give each method a field of its own. A Received field ends the row: what
is below came from further away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nornmail.message.headers import Headers, end_of_comment, to_unicode, unfold
from nornmail.message.limits import MAX_PARAMETERS

UNVERIFIED: Final = "unverified"
"""The verdict where no trusted server gave one."""

_VERDICTS: Final = frozenset(
    {"pass", "fail", "softfail", "neutral", "none", "policy", "temperror", "permerror"}
)
_PIECE = re.compile(r'"(?:[^"\\]++|\\.)*+"|\(|[^"(]++', re.DOTALL)
_METHOD = re.compile(r"\s*+(spf|dkim|dmarc)(?:\s*+/\s*+\d{1,3})?\s*+=\s*+([a-z]+)", re.I)
_DOMAIN = re.compile(r"\bheader\.d\s*+=\s*+\"?([^\s;\"]++)", re.I)


@dataclass(frozen=True, slots=True)
class Authentication:
    """Verdicts as words of RFC 8601 (``"pass"``, ``"fail"``, ``"none"``, ...), or ``"unverified"``.

    From is not identity: ``spf`` and ``dkim`` may pass for another domain than the one in From.
    Only ``dmarc == "pass"`` speaks of From.

    Attributes:
        spf: RFC 7208.
        dkim: RFC 6376; ``"pass"`` when one of several signatures passed.
        dmarc: RFC 7489.
        dkim_domains: the domains whose signatures passed, in lower case.
        authserv_id: the server that says so, ``""`` when nothing is verified.
    """

    spf: str = UNVERIFIED
    dkim: str = UNVERIFIED
    dmarc: str = UNVERIFIED
    dkim_domains: tuple[str, ...] = ()
    authserv_id: str = ""


def read_authentication(headers: Headers, trusted: str | None) -> Authentication:
    """The verdicts of the server that is called ``trusted``; without one nothing is verified.

    Args:
        headers: of the message.
        trusted: the authserv-id of the receiving server, compared without case.
    """
    if not trusted:
        return Authentication()
    verdicts: dict[str, str] = {}
    domains: list[str] = []
    for value in _trusted_row(headers, trusted.strip().lower()):
        here: dict[str, str] = {}
        for result in value.split(";")[1 : MAX_PARAMETERS + 1]:
            found = _METHOD.match(result)
            if found is None:
                continue
            method, verdict = found[1].lower(), found[2].lower()
            if method in verdicts or verdict not in _VERDICTS:
                continue
            if method == "dkim" and verdict == "pass":
                domain = _DOMAIN.search(result)
                domains += [domain[1].lower()] if domain else []
                here[method] = verdict
            here.setdefault(method, verdict)
        verdicts |= here
    if not verdicts:
        return Authentication()
    return Authentication(
        verdicts.get("spf", UNVERIFIED),
        verdicts.get("dkim", UNVERIFIED),
        verdicts.get("dmarc", UNVERIFIED),
        tuple(dict.fromkeys(domains)),
        trusted,
    )


def _trusted_row(headers: Headers, trusted: str) -> list[str]:
    row: list[str] = []
    for name, value in headers.raw_items():
        if name == "received" and row:
            break
        if name == "authentication-results":
            text = _plain(to_unicode(unfold(value)))
            words = text.partition(";")[0].split()
            if not words or words[0].lower() != trusted:
                break
            row.append(text)
    return row


def _plain(text: str) -> str:
    """``text`` without comments, and without the separators within quoted strings.

    A comment or a string that never ends takes the rest with it.
    """
    out: list[str] = []
    at = 0
    while at >= 0 and (piece := _PIECE.match(text, at)):
        at = piece.end()
        if piece[0] == "(":
            at = end_of_comment(text, at)
        elif piece[0].startswith('"'):
            out.append(piece[0].replace(";", " "))
        else:
            out.append(piece[0])
    return "".join(out)
