"""Where a mailbox is and where mail is handed in: from the environment or by hand, checked at once.

``imap`` and ``smtp`` hold a value each; ``variables`` says what the text of a variable means, and
``dotenv`` reads a ``.env`` file.
"""

from nornmail.settings.dotenv import read_environment
from nornmail.settings.imap import (
    ImapSettings,
    StartFrom,
    UidValidityPolicy,
    check_start_from,
    check_uidvalidity_policy,
    same_mailbox,
    start_instant,
)
from nornmail.settings.smtp import SmtpSettings

__all__ = [
    "ImapSettings",
    "SmtpSettings",
    "StartFrom",
    "UidValidityPolicy",
    "check_start_from",
    "check_uidvalidity_policy",
    "read_environment",
    "same_mailbox",
    "start_instant",
]
