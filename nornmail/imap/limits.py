"""Limits on server responses: size, number and time, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

LINE_LIMIT = 16 * MIB
"""Octets of one line. A ``* SEARCH`` with a million UIDs of ten digits has 11 million octets."""
LITERAL_LIMIT = 64 * KIB
"""Octets of a literal where no message is asked for: mailbox names, and nothing else, come so."""
HEADER_LIMIT = 32 * MIB
"""Octets of one header block. Servers cut headers far below; beyond it the server is not sane."""
BODY_SLACK = 8 * MIB
"""Octets that bodies may exceed twice their announced size by: RFC822.SIZE is an estimate on some
servers (Exchange counts another form of the message, others count line ends as one octet)."""
TOTAL_LIMIT = 64 * MIB
"""Octets of one command's whole answer, bodies and headers not counted."""
RESPONSE_LIMIT = 200_000
"""Lines of the answer to one command. A mailbox that another client empties sends one for each
message; over the limit we connect again and hear nothing of them."""
HIT_LIMIT = 2_000_000
"""UIDs in one ``* SEARCH``. Each is a value until it is part of a range, so a line of one-digit
numbers would take thirty times its own size."""
CAPABILITIES_LIMIT = 64 * KIB
"""Octets of a list of capabilities. The longest that is known has two thousand."""
SHOWN_LIMIT = 10
"""Lines that one answer may leave in the log for a person to see (ALERT, untagged NO and BAD): a
server that sends two hundred thousand of them fills a disk."""
MIN_RATE = 32 * KIB
"""Octets a second below which a fetch of bodies is taken to hang. 25 MiB get 13 minutes."""
LIST_WINDOW = 10_000
"""Messages that one command is about. Ten digits and a blank each stay far below any line limit
(Python's own is 1,000,000 octets), and each window has a deadline of its own."""
LOGOUT_TIMEOUT = 5.0
"""Seconds to wait for the answer to LOGOUT: nothing depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one connection; each default is the constant of the same meaning."""

    line: int = LINE_LIMIT
    literal: int = LITERAL_LIMIT
    header: int = HEADER_LIMIT
    body_slack: int = BODY_SLACK
    total: int = TOTAL_LIMIT
    responses: int = RESPONSE_LIMIT
    min_rate: int = MIN_RATE
    list_window: int = LIST_WINDOW
    logout_timeout: float = LOGOUT_TIMEOUT


@dataclass(frozen=True, slots=True)
class CommandBudget:
    """Limits of one command.

    Attributes:
        timeout: seconds for the whole command, however the octets drip in.
        literal: octets of the largest literal that is accepted.
        total: octets of the whole answer.
    """

    timeout: float
    literal: int
    total: int


def plain_budget(limits: Limits, timeout: float) -> CommandBudget:
    """The budget of a command whose answer carries no message."""
    return CommandBudget(timeout, limits.literal, limits.total)


def header_budget(limits: Limits, timeout: float) -> CommandBudget:
    """The budget of a command that fetches header blocks."""
    return CommandBudget(timeout, limits.header, limits.header + limits.total)


def body_budget(limits: Limits, timeout: float, expected_octets: int) -> CommandBudget:
    """The budget of a fetch of bodies that were announced with ``expected_octets`` in all."""
    literal = 2 * expected_octets + limits.body_slack
    return CommandBudget(
        timeout + expected_octets / limits.min_rate, literal, literal + limits.total
    )
