"""The Authentication-Results that count, and their verdict (RFC 8601).

Anybody can write such a field. RFC 8601 (section 5) makes a server delete those that bear its own
name when mail comes in from outside, and add its own above everything that was there. So the field
counts only when it names, exactly, the server that the user trusts, and when no other server's
stands above it: that would be one of a later hop, and the message has left the trusted server.

Some servers give each method a field of its own. They stand together: with a Received field in
between, the lower one was there when the trusted server, or one behind it, took the message. RFC
8601 would have it deleted if it was forged, but nothing is lost by not depending on that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nornmail.message.addresses import comparable, parse_addresses
from nornmail.message.headers import Headers, end_of_comment, to_unicode, unfold
from nornmail.message.limits import MAX_PARAMETERS

# DMARC calls two domains aligned when their organisational domains are equal (RFC 7489, 3.1); these
# are found with a list of public suffixes that browsers ship and this package does not. Here two
# domains are aligned when they are equal or one lies within the other. That refuses what DMARC
# accepts: two branches below one domain. And it accepts what DMARC refuses: whoever has
# ``shop.uk.com`` passes for ``uk.com``, though never for another customer of it.

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def domain_of(address: str) -> str:
    """The domain of an address, or of what stands for one (``example.com``, ``@example.com``).

    Returns:
        In lower case, labels that are not ASCII as ``xn--`` labels (RFC 3492), without a dot at the
        end. ``""`` for what is not a domain name with a dot in it, and for one written in
        look-alikes: characters that a mail server would fold into others.
    """
    name = address.rpartition("@")[2].strip().removesuffix(".").lower()
    if not name.isascii() and unicodedata.normalize("NFKC", name) != name:
        return ""
    labels = [_ascii(label) for label in name.split(".")]
    if len(labels) < 2 or len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return ""
    return ".".join(labels)


def _ascii(label: str) -> str:
    if label.isascii():
        return label
    # Not the codec "idna": it is of 2003, where ß is ss, which is another's domain today.
    return "xn--" + label.encode("punycode", "replace").decode("ascii")


def is_aligned(domain: str, author: str, *, strict: bool = False) -> bool:
    """Whether what was verified for ``domain`` speaks of ``author``; see :func:`domain_of`."""
    if not domain or not author:
        return False
    if domain == author or strict:
        return domain == author
    # An ancestor with no dot in it would be a whole top-level domain.
    return author.endswith(f".{domain}") or domain.endswith(f".{author}")


# One field is read by its tokens (RFC 8601, 2.2): comments nest and may stand between any two of
# them; a quoted string is one value whatever is in it. The text as such is not searched, since a
# sender chooses much of it: a quoted ``smtp.mailfrom`` may well contain ``dmarc=pass``.

_BLANK: Final = " \t\r\n"
_PIECE = re.compile(r'[ \t\r\n]++|"((?>(?:[^"\\]++|\\.){0,9999}))"|[^ \t\r\n"();]++|;', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_METHOD = re.compile(r"([a-z0-9][a-z0-9-]*+)(?:/([0-9]{1,3}))?")
_VERSION: Final = "1"
"""Version of the field and of every method so far; the meaning of another one is not known."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one method.

    Attributes:
        method: in lower case, such as ``"dkim"``.
        value: the result in lower case, such as ``"pass"``.
        properties: such as ``{"header.d": "example.com"}``, names in lower case, the first of each.
    """

    method: str
    value: str
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Word:
    """Characters without a blank or comment in between; ``cut`` is the place of its first ``=``."""

    text: str = ""
    cut: int = -1
    is_quoted: bool = False


def read_results(value: str) -> tuple[str, list[Result]]:
    """The authserv-id of a field, in lower case, and its results.

    Args:
        value: the field's, unfolded.

    Returns:
        ``""`` and nothing for a field that has no id, or an unknown version. A result that cannot
        be read is left out, and whatever stands behind a comment or string that never ends, or
        behind the first hundred results.
    """
    statements = _statements(value)
    head = statements[0]
    if not 1 <= len(head) <= 2 or head[0].cut >= 0 or (len(head) == 2 and head[1].text != _VERSION):
        return "", []
    results = [_result(words) for words in statements[1:]]
    return head[0].text.lower(), [result for result in results if result is not None]


def _statements(value: str) -> list[list[_Word]]:
    """The words between the semicolons."""
    statements: list[list[_Word]] = [[]]
    word: _Word | None = None
    at = 0
    while at < len(value):
        if value[at] == "(":
            at = end_of_comment(value, at + 1)
            word = None
            if at < 0:
                # What was being said when the comment began was not said to its end.
                statements[-1].clear()
                break
            continue
        piece = _PIECE.match(value, at)
        if piece is None:  # a string that never ends, or a parenthesis too many
            statements[-1].clear()
            break
        at = piece.end()
        if piece[0] == ";":
            if len(statements) > MAX_PARAMETERS:
                break
            statements.append([])
            word = None
        elif piece[0][0] in _BLANK:
            word = None
        else:
            if word is None:
                word = _Word()
                statements[-1].append(word)
            _extend(word, piece)
    return statements


def _extend(word: _Word, piece: re.Match[str]) -> None:
    quoted = piece[1]
    if quoted is not None:
        word.is_quoted = word.is_quoted or word.cut < 0
        word.text += _ESCAPE.sub(r"\1", quoted)
        return
    if word.cut < 0 and "=" in piece[0]:
        word.cut = len(word.text) + piece[0].index("=")
    word.text += piece[0]


def _pairs(words: list[_Word]) -> list[tuple[str, str]] | None:
    """``key=value`` for each, with blanks around the equals sign; ``None`` if one is not a pair."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        text = word.text
        if word.cut < 0 and at < len(words) and words[at].cut == 0:  # key =value, key = value
            text += words[at].text
            word = _Word(text, len(word.text), word.is_quoted)
            at += 1
        if word.cut <= 0 or word.is_quoted:
            return None
        key, value = text[: word.cut], text[word.cut + 1 :]
        if not value and at < len(words) and words[at].cut < 0:  # key= value
            value = words[at].text
            at += 1
        pairs.append((key.lower(), value))
    return pairs


def _result(words: list[_Word]) -> Result | None:
    """The result that a statement is; ``None`` for ``none`` and for what is not a result."""
    pairs = _pairs(words[: 2 * MAX_PARAMETERS])
    if not pairs:
        return None
    (key, value), rest = pairs[0], pairs[1:]
    method = _METHOD.fullmatch(key)
    if method is None or (method[2] or _VERSION) != _VERSION:
        return None
    properties: dict[str, str] = {}
    for name, stated in rest:
        properties.setdefault(name, stated)
    return Result(method[1], value.lower(), properties)


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
"""Words that servers use instead of those of RFC 8601."""


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
        """Whether the domain of From is verified.

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
        """Whether the one address in From is among ``allowed`` and its domain is verified.

        That the domain is verified says that its owner lets this through; whether the person before
        the ``@`` wrote it is the owner's business.

        Args:
            allowed: addresses, or ``@example.com`` for every address of a domain, but not of those
                below it. Compared without case; ``+tag`` counts.
            strict: see :meth:`is_aligned`.
        """
        return _is_listed(self.author, allowed) and self.is_aligned(strict=strict)


def verified_sender(verdict: Authentication) -> str:
    """The address in From as mail to it is sent, its domain in ASCII; ``""`` if not verified."""
    if not verdict.is_aligned():
        return ""
    local = verdict.author.rpartition("@")[0]
    return comparable(f"{local}@{domain_of(verdict.author)}")


def _is_listed(author: str, allowed: Iterable[str]) -> bool:
    local, at, _ = author.rpartition("@")
    domain = domain_of(author)
    if not at or not local or not domain:
        return False
    for entry in allowed:
        local_part, at, _ = entry.strip().rpartition("@")
        same_person = not local_part or local_part.lower() == local.lower()
        if at and same_person and domain_of(entry) == domain:
            return True
    return False


def read_authentication(headers: Headers, trusted: str | None) -> Authentication:
    """The verdicts of the server that is called ``trusted``; without one nothing is verified.

    Where two of its fields contradict each other, the worse verdict counts. SPF is that of the
    envelope's sender, of HELO only where nothing else is reported.

    Args:
        trusted: the authserv-id of the receiving server, compared without case.
    """
    author = _only_author(headers)
    authserv_name = (trusted or "").strip().lower()
    results = _trusted_results(headers, authserv_name) if authserv_name else []
    if not results:
        return Authentication(author=author)
    spf, spf_domain = _spf([result for result in results if result.method == "spf"])
    dkim, dkim_domains = _dkim([result for result in results if result.method == "dkim"])
    dmarc_results = [result for result in results if result.method == "dmarc"]
    dmarc = _worst(map(_verdict, dmarc_results))
    from_domains = (
        {_domain_in(result, "header.from") for result in dmarc_results}
        if dmarc == "pass"
        else set()
    )
    return Authentication(
        spf=spf,
        dkim=dkim,
        dmarc=dmarc,
        arc=_worst(_verdict(result) for result in results if result.method == "arc"),
        spf_domain=spf_domain,
        dkim_domains=dkim_domains,
        dmarc_domain=from_domains.pop() if len(from_domains) == 1 else "",
        author=author,
        authserv_id=authserv_name,
    )


def _trusted_results(headers: Headers, authserv_name: str) -> list[Result]:
    trusted: list[Result] = []
    in_row = False
    for name, value in headers.raw_items():
        if name == "received" and in_row:
            break
        if name.rstrip() == "authentication-results":
            authserv_id, results = read_results(to_unicode(unfold(value)))
            # With a blank before its colon it is another field to the server that removes forged
            # ones, and no server writes it so.
            if authserv_id != authserv_name or name.endswith((" ", "\t")):
                break
            in_row = True
            trusted += [result for result in results if _verdict(result)]
    return trusted


def _verdict(result: Result) -> str:
    """The result as one of RFC 8601's words, ``""`` for one that is none."""
    word = _OTHER_WORDS.get(result.value, result.value)
    return word if word in _WORST_FIRST else ""


def _worst(verdicts: Iterable[str]) -> str:
    return min(verdicts, key=_WORST_FIRST.index, default=UNVERIFIED)


def _domain_in(result: Result, name: str) -> str:
    """The domain of a property's value."""
    return domain_of(result.properties.get(name, ""))


def _spf(results: list[Result]) -> tuple[str, str]:
    of_sender = [
        result
        for result in results
        if "smtp.mailfrom" in result.properties or "smtp.helo" not in result.properties
    ]
    counted = of_sender or results
    verdict = _worst(map(_verdict, counted))
    name = "smtp.mailfrom" if of_sender else "smtp.helo"
    domains = {_domain_in(result, name) for result in counted} if verdict == "pass" else set()
    return verdict, domains.pop() if len(domains) == 1 else ""


def _dkim(results: list[Result]) -> tuple[str, tuple[str, ...]]:
    """One signature that passed is enough; of one reported twice, the worse verdict counts."""
    signatures: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        names = ("header.d", "header.i", "header.s", "header.b")
        signatures.setdefault(tuple(result.properties.get(name, "") for name in names), []).append(
            result
        )
    verdicts = {key: _worst(map(_verdict, same)) for key, same in signatures.items()}
    if "pass" not in verdicts.values():
        return _worst(verdicts.values()), ()
    domains = {
        domain_of(key[0] or key[1]): None for key, verdict in verdicts.items() if verdict == "pass"
    }
    return "pass", tuple(domain for domain in domains if domain)


def _only_author(headers: Headers) -> str:
    """The address in From, where one field has one address and is not a group (RFC 6854)."""
    fields = headers.raw_all("from")
    if len(fields) != 1 or len(fields[0]) > _MAX_FROM_CHARS or _is_group(fields[0]):
        return ""
    authors = parse_addresses(fields[0])
    return authors[0].address if len(authors) == 1 else ""


def _is_group(field: str) -> bool:
    """Whether a colon or semicolon stands in it, outside of strings, comments and brackets."""
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
