"""Allowlists and blocklists of domains: regular expressions that match the whole domain."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nornmail.errors import ConfigurationError


class DomainRules:
    """The domains that mail may come from, or go to. The blocklist wins.

    Args:
        allow: patterns of the allowed domains; with none of them every domain is allowed.
        block: patterns of the refused domains.
    """

    def __init__(
        self, allow: Sequence[re.Pattern[str]] = (), block: Sequence[re.Pattern[str]] = ()
    ) -> None:
        self.allow = tuple(allow)
        self.block = tuple(block)

    def __bool__(self) -> bool:
        return bool(self.allow or self.block)

    def refusal(self, domain: str) -> str:
        """Why mail of this domain is refused; ``""`` if it is not."""
        if any(pattern.fullmatch(domain) for pattern in self.block):
            return f"the domain {domain} is on the blocklist"
        if self.allow and not any(pattern.fullmatch(domain) for pattern in self.allow):
            return f"the domain {domain or '(none)'} is not on the allowlist"
        return ""


def read_domain_rules(direction: str, allow: str | None, block: str | None) -> DomainRules:
    """The rules of two settings: patterns with commas between them, without regard to case.

    Args:
        direction: ``"INBOUND"`` or ``"OUTBOUND"``, for errors.
        allow, block: the settings; ``None`` or nothing but blanks has no patterns.

    Raises:
        ConfigurationError: a pattern is not a regular expression.
    """
    allowed, blocked = (
        tuple(
            _pattern(f"{direction}_DOMAIN_{name}", part.strip())
            for part in (text or "").split(",")
            if part.strip()
        )
        for name, text in (("ALLOWLIST", allow), ("BLOCKLIST", block))
    )
    return DomainRules(allowed, blocked)


def _pattern(variable: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        allowed = f"must be a regular expression for a whole domain ({error})"
        raise ConfigurationError(variable, text, allowed) from error
