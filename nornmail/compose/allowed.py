"""The fence around outgoing mail: which recipients are allowed. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from nornmail.compose.addresses import checked_address
from nornmail.compose.reply import participants
from nornmail.errors import ComposeError, ConfigurationError, RecipientNotAllowed
from nornmail.message.addresses import comparable
from nornmail.message.message import Message
from nornmail.outgoing import Envelope
from nornmail.settings.domains import DomainRules

CORRESPONDENTS: Final = "correspondents"
"""Stands for everyone who wrote to us with a verified sender, or is in the thread."""
_RELAYED: Final = re.compile(r"[%!@:,;<>\\\s]")
"""Signs by which a server of the domain may pass mail on to another one: ``eve%evil.example@``."""


class AllowedRecipients:
    """The addresses and domains that mail may go to.

    Args:
        entries: addresses, domains as ``@example.com``, which do not cover their subdomains, and
            :data:`CORRESPONDENTS`; none of them refuses every recipient, and ``None`` refuses none.
        domains: rules for the domains, which every recipient must fulfil as well.

    Raises:
        ConfigurationError: an entry is neither.
    """

    def __init__(self, entries: Iterable[str] | None, domains: DomainRules | None = None) -> None:
        if isinstance(entries, str):
            entries = (entries,)
        self._all = entries is None
        self._domain_rules = domains or DomainRules()
        self._addresses: set[str] = set()
        self._domains: set[str] = set()
        self._correspondents = False
        for entry in entries or ():
            try:
                self._add(entry)
            except (ComposeError, AttributeError) as error:
                must = "must be ann@example.com, @example.com or correspondents, or a list of these"
                raise ConfigurationError("allowed_recipients", entry, must) from error

    def _add(self, entry: str) -> None:
        entry = entry.strip()
        if entry == CORRESPONDENTS:
            self._correspondents = True
        elif entry.startswith("@"):
            address = checked_address(f"x{entry}", "allowed_recipients")
            self._domains.add(comparable(address).rpartition("@")[2])
        else:
            self._addresses.add(comparable(checked_address(entry, "allowed_recipients")))

    def check(
        self,
        envelope: Envelope,
        messages: Iterable[Message] = (),
        is_correspondent: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """Check every recipient of a composed message.

        The envelope decides where mail goes; whatever headers, names and tags say, only these
        addresses get it.

        Args:
            envelope: of the message.
            messages: those that it answers, or that are being handled. Only one whose sender is
                verified names correspondents: From, To and Cc; Reply-To does not.
            is_correspondent: whether an address is a verified sender who wrote to us before, or got
                mail of ours in the same thread.

        Raises:
            RecipientNotAllowed: one of them is not allowed.
        """
        known = {
            comparable(who.address)
            for message in (messages if self._correspondents else ())
            if message.authentication.is_aligned()
            for who in participants(message)
        }
        for address in envelope.recipients:
            form = comparable(address)
            local, _, domain = form.rpartition("@")
            is_relayed = self._domain_rules.allow and _RELAYED.search(_plain(local))
            if is_relayed or self._domain_rules.refusal(domain):
                raise RecipientNotAllowed(address)
            is_known = form in known or (self._correspondents and is_correspondent(form))
            if not is_known and not self._all and not self._covers(form):
                raise RecipientNotAllowed(address)

    def _covers(self, address: str) -> bool:
        if address in self._addresses:
            return True
        local, _, domain = address.rpartition("@")
        return domain in self._domains and not _RELAYED.search(_plain(local))


def _plain(local: str) -> str:
    return unicodedata.normalize("NFKC", local)
