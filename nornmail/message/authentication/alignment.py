"""Whether two domains belong together (RFC 7489, 3.1), without a list of public suffixes.

DMARC calls two domains aligned when their organisational domains are equal, and which these are is
in a list that browsers ship and this package does not. Here they are aligned when they are equal or
one lies within the other. That refuses what DMARC accepts: two branches below one domain. And it
accepts what DMARC refuses where a stranger's domain lies within that of the sender: whoever has
``shop.uk.com`` is taken for ``uk.com``, though never for another customer of it.
"""

from __future__ import annotations

import re
import unicodedata

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def domain_of(address: str) -> str:
    """The domain of an address, or of what stands for one (``example.com``, ``@example.com``).

    Returns:
        In lower case, labels that are not ASCII as ``xn--`` labels (RFC 3492), without a dot at the
        end. ``""`` for what is no domain name with a dot in it, and for one that is written in
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
    """Whether what was verified for ``domain`` speaks of ``author``, as :func:`domain_of` has them.

    Args:
        domain: whose SPF or DKIM passed.
        author: that of From.
        strict: only when they are equal.
    """
    if not domain or not author:
        return False
    if domain == author or strict:
        return domain == author
    # An ancestor with no dot in it would be a whole top-level domain.
    return author.endswith(f".{domain}") or domain.endswith(f".{author}")
