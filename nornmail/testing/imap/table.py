"""Every command of the server."""

from __future__ import annotations

from nornmail.testing.imap import idle, list, login, mailboxes, selected, store
from nornmail.testing.imap.command import Command

COMMANDS: dict[str, Command] = {
    **login.COMMANDS,
    **mailboxes.COMMANDS,
    **list.COMMANDS,
    **selected.COMMANDS,
    **store.COMMANDS,
    **idle.COMMANDS,
}
"""Every command, by its upper-case name."""
