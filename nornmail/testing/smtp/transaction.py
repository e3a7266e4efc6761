"""A message on its way in: from MAIL to the final dot."""

from __future__ import annotations

from dataclasses import dataclass, field

from nornmail.testing.smtp.grammar import Path


@dataclass
class Transaction:
    """What is known of a message before it has come (RFC 5321, 3.3).

    Attributes:
        sender: the argument of MAIL.
        recipients: those of each RCPT that was accepted.
    """

    sender: Path
    recipients: list[Path] = field(default_factory=list)
