"""Everything that a poller needs, tried step by step: what ``nornmail check`` shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing

from nornmail.errors import StoreError
from nornmail.imap.diagnose import diagnose_imap
from nornmail.imap.results import Selected
from nornmail.message.message import parse_message
from nornmail.model import Inbox, MailboxKey, MailboxRecord
from nornmail.net.diagnose import Step
from nornmail.poller.decisions import FIRST_RUN_LIMIT
from nornmail.poller.routing import addressed_to, route
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import provider_of, describe
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.diagnose import diagnose_smtp
from nornmail.stores import open_store
from nornmail.stores.locks import LockTaken

NEWEST = 20
"""Messages of which it is looked whom they are addressed to."""
SHOWN_ADDRESSES = 10
"""Addresses that are named when none of them is an inbox's."""


def diagnose(imap: ImapSettings, smtp: SmtpSettings | None, state: str) -> Iterator[Step]:
    """Try the mailbox, the state store, and the way out for mail.

    Nothing is delivered and nothing is changed, in the mailbox or in the store; no store is made.

    Args:
        imap: the mailbox.
        smtp: where mail is handed in, ``None`` where it is not.
        state: the path of the state store.
    """
    provider = provider_of(imap.host, imap.port)
    if provider.title:
        yield Step("provider", True, f"{provider.title}: {describe(provider)}")
    look = _Look(state, MailboxKey(imap.account, imap.mailbox))
    looked = look.step()
    reached = yield from diagnose_imap(imap, newest=NEWEST if look.inboxes else 0)
    yield looked
    if reached is not None and look.looked:
        yield _first_run(imap, reached.selected, look.record)
        if look.inboxes:
            yield _inboxes(look.inboxes, reached.newest)
    if smtp is not None:
        yield from diagnose_smtp(smtp)


class _Look:
    """A look at the state store, which is not made.

    Attributes:
        looked: whether it is known what the store knows.
        record: the mailbox's, ``None`` before its first run.
        inboxes: those that were made while a program ran.
    """

    def __init__(self, state: str, mailbox: MailboxKey) -> None:
        self._state = state
        self._mailbox = mailbox
        self.looked = False
        self.record: MailboxRecord | None = None
        self.inboxes: list[Inbox] = []

    def step(self) -> Step:
        name = "state store"
        try:
            if os.path.exists(self._state):
                return Step(name, True, self._said())
            ready, advice = self._can_be_made()
            self.looked = ready
            said = "will be made at the first start" if ready else "is not there and cannot be made"
            return Step(name, ready, f"{self._state} {said}", advice)
        except StoreError as error:
            if isinstance(error.__cause__, LockTaken):
                holder = error.__cause__.holder or "another process"
                said = f"{self._state} is in use by {holder}, so it was not looked into"
                return Step(name, True, said)
            return Step(name, False, str(error))

    def _said(self) -> str:
        with closing(open_store(self._state)) as store:
            self.record = store.load(self._mailbox)
            self.inboxes = [Inbox(one.address) for one in store.inboxes(self._mailbox)]
        self.looked = True
        return f"{self._state} {'knows' if self.record else 'does not know'} {self._mailbox}"

    def _can_be_made(self) -> tuple[bool, str]:
        directory = os.path.dirname(os.path.abspath(self._state))
        if not os.path.isdir(directory):
            return False, f"make the directory {directory}, or set NORNMAIL_STATE"
        if not os.access(directory, os.W_OK | os.X_OK):
            return False, f"let this user write in {directory}, or set NORNMAIL_STATE"
        return True, ""


def _first_run(imap: ImapSettings, selected: Selected, record: MailboxRecord | None) -> Step:
    name = "first run"
    if record is not None:
        return Step(name, True, "it is over: mail is delivered as it comes")
    count = selected.exists
    if imap.start_from is None and count > FIRST_RUN_LIMIT:
        said = (
            f"{count:,} messages are in {selected.mailbox}, more than {FIRST_RUN_LIMIT:,}, and "
            "none will be delivered before you decide"
        )
        return Step(name, False, said, "set IMAP_START_FROM to all, to new, or to a date")
    if imap.start_from == "new":
        return Step(name, True, f"{count:,} messages that are there will be passed over")
    since = "" if imap.start_from in (None, "all") else f", those since {imap.start_from}"
    return Step(name, True, f"{count:,} messages that are there will be delivered{since}")


def _inboxes(inboxes: list[Inbox], newest: Sequence[bytes]) -> Step:
    """Whether mail comes in that is for an inbox."""
    name = "inboxes"
    known = _some([inbox.address for inbox in inboxes])
    if not newest:
        return Step(name, True, f"{known}; no mail is there yet")
    messages = [parse_message(header) for header in newest]
    count = sum(bool(route(message, inboxes)) for message in messages)
    if count:
        return Step(name, True, f"{count} of the newest {len(newest)} messages are for {known}")
    seen = _some(list(dict.fromkeys(one for each in messages for one in addressed_to(each))))
    said = f"none of the newest {len(newest)} messages is for {known}; they are to {seen}"
    return Step(name, False, said, "write to the address of an inbox, or make one for these")


def _some(addresses: list[str]) -> str:
    more = ", ..." if len(addresses) > SHOWN_ADDRESSES else ""
    return (", ".join(addresses[:SHOWN_ADDRESSES]) or "nobody") + more
