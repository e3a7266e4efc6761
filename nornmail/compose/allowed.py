"""The fence around outgoing mail: which recipients are allowed. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from nornmail.compose.addresses import checked_address
from nornmail.errors import ComposeError, ConfigurationError, RecipientNotAllowed
from nornmail.outgoing import Envelope

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
"""ASCII alone: the lower case of a Kelvin sign is a k, and would be another address."""
_RELAYED: Final = re.compile(r"[%!@:,;<>\\\s]")
"""Signs by which a server of the domain may pass mail on to another one: ``eve%evil.example@``."""


class AllowedRecipients:
    """The addresses and domains that mail may go to.

    Args:
        entries: addresses, and domains as ``@example.com``, which do not cover their subdomains;
            none of them refuses every recipient.

    Raises:
        ConfigurationError: an entry is neither.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        if isinstance(entries, str):
            entries = (entries,)
        self._addresses: set[str] = set()
        self._domains: set[str] = set()
        for entry in entries:
            try:
                self._add(entry)
            except (ComposeError, AttributeError) as error:
                must = "must be of addresses and domains, as ann@example.com or @example.com"
                raise ConfigurationError("allowed_recipients", entry, must) from error

    def _add(self, entry: str) -> None:
        entry = entry.strip()
        if entry.startswith("@"):
            address = checked_address(f"x{entry}", "allowed_recipients")
            self._domains.add(_comparable(address).rpartition("@")[2])
        else:
            self._addresses.add(_comparable(checked_address(entry, "allowed_recipients")))

    def check(self, envelope: Envelope) -> None:
        """Check every recipient of a composed message.

        The envelope decides where mail goes; whatever headers, names and tags say, only these
        addresses get it.

        Raises:
            RecipientNotAllowed: one of them is not allowed.
        """
        for address in envelope.recipients:
            if not self._covers(_comparable(address)):
                raise RecipientNotAllowed(address)

    def _covers(self, address: str) -> bool:
        if address in self._addresses:
            return True
        local, _, domain = address.rpartition("@")
        plain = unicodedata.normalize("NFKC", local)
        return domain in self._domains and not _RELAYED.search(plain)


def _comparable(address: str) -> str:
    """The form in which addresses are compared: the case of ASCII letters does not matter."""
    return address.translate(_LOWER)
