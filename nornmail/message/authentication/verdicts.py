"""Which Authentication-Results count, and what they say together.

Anybody can write such a field. RFC 8601 (section 5) makes a server delete those that bear its own
name when mail comes in from outside, and add its own above everything that was there. So the field
counts only when it names, exactly, the server that the user trusts, and when no other server's
stands above it: that would be one of a later hop, and the message has left the trusted server.

Some servers give each method a field of its own. They stand together: with a Received field in
between, the lower one was there when the trusted server, or one behind it, took the message. RFC
8601 would have it deleted if it was forged, but nothing is lost by not depending on that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nornmail.message.addresses import parse_addresses
from nornmail.message.authentication.alignment import domain_of, is_aligned
from nornmail.message.authentication.results import Result, read_results
from nornmail.message.headers import Headers, end_of_comment, to_unicode, unfold

UNVERIFIED: Final = "unverified"
"""The verdict where no trusted server gave one."""

_MAX_FROM_CHARS: Final = 4_000
"""Characters of a From with one address in it; a longer one has no author."""
_WORST_FIRST: Final = (
    "fail", "permerror", "temperror", "policy", "softfail", "neutral", "none", "pass",
)  # fmt: skip
_OTHER_WORDS: Final = {
    # No record was there, and one that was guessed passed: Google for SPF, Microsoft for DMARC.
    "bestguesspass": "none",
    "hardfail": "fail",
}
"""What is said in the place of RFC 8601's words."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """Verdicts as words of RFC 8601 (``"pass"``, ``"fail"``, ``"none"``, ...), or ``"unverified"``.

    From is not identity: ``spf`` and ``dkim`` may pass for another domain than the one in From.
    Ask :meth:`is_from`, which compares them.

    Attributes:
        spf: of the envelope's sender (RFC 7208).
        dkim: ``"pass"`` when one of several signatures passed (RFC 6376).
        dmarc: RFC 7489.
        arc: of the chain of servers that passed it on (RFC 8617).
        spf_domain: for which SPF passed, in lower case; ``""`` where it did not.
        dkim_domains: the domains whose signatures passed, in lower case.
        dmarc_domain: of From as the trusted server read it, for which DMARC passed; else ``""``.
        author: the address in From; ``""`` where there is not exactly one.
        authserv_id: the server that says so; ``""`` when nothing is verified.
    """

    spf: str = UNVERIFIED
    dkim: str = UNVERIFIED
    dmarc: str = UNVERIFIED
    arc: str = UNVERIFIED
    spf_domain: str = ""
    dkim_domains: tuple[str, ...] = ()
    dmarc_domain: str = ""
    author: str = ""
    authserv_id: str = ""

    def is_aligned(self, *, strict: bool = False) -> bool:
        """The domain of From is verified.

        DMARC decides where the server checked it: it passed, for the very domain that is read from
        From here, or it did not. Else SPF or DKIM must have passed for a domain that is that of
        From, or an ancestor or descendant of it (RFC 7489 wants their organisational domains equal,
        which takes a list of public suffixes; see ``docs/explanation/who-wrote-it.md``).

        Args:
            strict: the domains must be equal, and DMARC's verdict alone does not do, since it may
                rest on a domain that is not.
        """
        author = domain_of(self.author)
        if not author or self.dmarc not in ("pass", "none", UNVERIFIED):
            return False
        if self.dmarc == "pass" and self.dmarc_domain and self.dmarc_domain != author:
            return False
        if self.dmarc == "pass" and self.dmarc_domain == author and not strict:
            return True
        domains = (self.spf_domain, *self.dkim_domains)
        return any(is_aligned(domain, author, strict=strict) for domain in domains)

    def is_from(self, *allowed: str, strict: bool = False) -> bool:
        """The one address in From is among ``allowed``, and its domain is verified.

        That the domain is verified says that its owner lets this through; whether the person before
        the ``@`` wrote it is the owner's business.

        Args:
            allowed: addresses, or ``@example.com`` for every address of a domain, but not of those
                below it. Compared without case; ``+tag`` counts.
            strict: see :meth:`is_aligned`.
        """
        return _is_listed(self.author, allowed) and self.is_aligned(strict=strict)


def _is_listed(author: str, allowed: Iterable[str]) -> bool:
    local, at, _ = author.rpartition("@")
    domain = domain_of(author)
    if not at or not local or not domain:
        return False
    for entry in allowed:
        wanted, at, _ = entry.strip().rpartition("@")
        same_person = not wanted or wanted.lower() == local.lower()
        if at and same_person and domain_of(entry) == domain:
            return True
    return False


def read_authentication(headers: Headers, trusted: str | None) -> Authentication:
    """The verdicts of the server that is called ``trusted``; without one nothing is verified.

    Where two of its fields contradict each other, the worse verdict counts. SPF is that of the
    envelope's sender, of HELO only where nothing else is told.

    Args:
        headers: of the message.
        trusted: the authserv-id of the receiving server, compared without case.
    """
    author = _only_author(headers)
    wanted = (trusted or "").strip().lower()
    results = _trusted_results(headers, wanted) if wanted else []
    if not results:
        return Authentication(author=author)
    spf, spf_domain = _spf([one for one in results if one.method == "spf"])
    dkim, dkim_domains = _dkim([one for one in results if one.method == "dkim"])
    dmarc_results = [one for one in results if one.method == "dmarc"]
    dmarc = _worst(map(_verdict, dmarc_results))
    told = {_told(one, "header.from") for one in dmarc_results} if dmarc == "pass" else set()
    return Authentication(
        spf=spf,
        dkim=dkim,
        dmarc=dmarc,
        arc=_worst(_verdict(one) for one in results if one.method == "arc"),
        spf_domain=spf_domain,
        dkim_domains=dkim_domains,
        dmarc_domain=told.pop() if len(told) == 1 else "",
        author=author,
        authserv_id=wanted,
    )


def _trusted_results(headers: Headers, wanted: str) -> list[Result]:
    found: list[Result] = []
    in_row = False
    for name, value in headers.raw_items():
        if name == "received" and in_row:
            break
        if name == "authentication-results":
            authserv_id, results = read_results(to_unicode(unfold(value)))
            if authserv_id != wanted:
                break
            in_row = True
            found += [one for one in results if _verdict(one)]
    return found


def _verdict(result: Result) -> str:
    """The result as one of RFC 8601's words, ``""`` for one that is none."""
    word = _OTHER_WORDS.get(result.value, result.value)
    return word if word in _WORST_FIRST else ""


def _worst(verdicts: Iterable[str]) -> str:
    return min(verdicts, key=_WORST_FIRST.index, default=UNVERIFIED)


def _told(result: Result, name: str) -> str:
    """The domain of a property's value."""
    return domain_of(result.properties.get(name, ""))


def _spf(results: list[Result]) -> tuple[str, str]:
    of_sender = [
        one
        for one in results
        if "smtp.mailfrom" in one.properties or "smtp.helo" not in one.properties
    ]
    counted = of_sender or results
    verdict = _worst(map(_verdict, counted))
    name = "smtp.mailfrom" if of_sender else "smtp.helo"
    domains = {_told(one, name) for one in counted} if verdict == "pass" else set()
    return verdict, domains.pop() if len(domains) == 1 else ""


def _dkim(results: list[Result]) -> tuple[str, tuple[str, ...]]:
    """One signature that passed is enough; of one that is told of twice, the worse counts."""
    signatures: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        names = ("header.d", "header.i", "header.s", "header.b")
        signatures.setdefault(tuple(one.properties.get(name, "") for name in names), []).append(one)
    verdicts = {key: _worst(map(_verdict, told)) for key, told in signatures.items()}
    if "pass" not in verdicts.values():
        return _worst(verdicts.values()), ()
    domains = {
        domain_of(key[0] or key[1]): None for key, verdict in verdicts.items() if verdict == "pass"
    }
    return "pass", tuple(domain for domain in domains if domain)


def _only_author(headers: Headers) -> str:
    """The address in From, where one field has one address and is no group (RFC 6854)."""
    fields = headers.raw_all("from")
    if len(fields) != 1 or len(fields[0]) > _MAX_FROM_CHARS or _is_group(fields[0]):
        return ""
    found = parse_addresses(fields[0])
    return found[0].address if len(found) == 1 else ""


def _is_group(field: str) -> bool:
    """A colon or semicolon stands in it, outside of strings, comments and brackets."""
    at = 0
    inside = ""
    while at < len(field):
        char = field[at]
        if char == "\\":
            at += 1
        elif inside:
            inside = "" if char == inside else inside
        elif char == "(":
            at = end_of_comment(field, at + 1)
            if at < 0:
                return False
            continue
        elif char in '"<':
            inside = '"' if char == '"' else ">"
        elif char in ":;":
            return True
        at += 1
    return False
