"""Every command of the server."""

from __future__ import annotations

from nornmail.testing.imap import (
    auth_commands,
    flag_commands,
    idle,
    listing_commands,
    mailbox_commands,
    selected_commands,
)
from nornmail.testing.imap.command import Command

COMMANDS: dict[str, Command] = {
    **auth_commands.COMMANDS,
    **mailbox_commands.COMMANDS,
    **listing_commands.COMMANDS,
    **selected_commands.COMMANDS,
    **flag_commands.COMMANDS,
    **idle.COMMANDS,
}
"""Every command, by its upper-case name."""
