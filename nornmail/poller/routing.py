"""Whom a message is for: which inboxes of a shared account its headers name.

Pure: a message and addresses in, addresses' owners out. What is done with the answer is decided in
``poller/inboxes.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nornmail.message.addresses import canonical, parse_addresses
from nornmail.message.message import DELIVERY_FIELDS, RECIPIENT_FIELDS, Message
from nornmail.model import Inbox


def route(message: Message, inboxes: Sequence[Inbox]) -> list[Inbox]:
    """The inboxes that a message is for, each once, in the order of ``inboxes``.

    To, Cc and Resent-To say it. Only when they name no inbox (a list's copy, a blind copy) it is
    Delivered-To, X-Original-To, Envelope-To and X-Envelope-To: on a shared account these often name
    the account itself, whoever the mail is for.

    An address with a ``+tag`` reaches the inbox that has this tag, and where there is none the one
    without a tag, as mail servers deliver it (RFC 5233).

    Args:
        message: its headers suffice.
        inboxes: all that there are.
    """
    owners = {canonical(inbox.address): inbox for inbox in inboxes}
    for names in (RECIPIENT_FIELDS, DELIVERY_FIELDS):
        addressed = {
            id(owner)
            for address in _addresses(message, names)
            if (owner := _owner(address, owners)) is not None
        }
        if addressed:
            return [inbox for inbox in inboxes if id(inbox) in addressed]
    return []


def addressed_to(message: Message) -> list[str]:
    """Every address that :func:`route` looks at, in its order."""
    return list(_addresses(message, (*RECIPIENT_FIELDS, *DELIVERY_FIELDS)))


def _addresses(message: Message, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        for value in message.headers.raw_all(name):
            for one in parse_addresses(value):
                if "@" in one.address:
                    yield one.address


def _owner(address: str, owners: dict[str, Inbox]) -> Inbox | None:
    wanted = canonical(address)
    if wanted in owners:
        return owners[wanted]
    local, _, domain = wanted.rpartition("@")
    return owners.get(f"{local.partition('+')[0]}@{domain}") if "+" in local else None
