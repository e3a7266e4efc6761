"""IMAP from the client's side: the only room that knows imaplib.

:class:`Connection` is the face of it. Below lie ``wire`` (octets in, responses out, bounded, with a
deadline), ``responses`` and ``tokens`` (octets into values), ``commands`` (values into octets),
``auth`` and ``transport`` (getting in). RFC 3501 with UIDPLUS, MOVE, ESEARCH and STARTTLS.
"""

from nornmail.imap.connection import Connection
from nornmail.imap.fetched import Body, Summary
from nornmail.imap.limits import Limits
from nornmail.imap.listing import Selected
from nornmail.imap.probe import Reached, probe_imap
from nornmail.imap.sent import SentMailbox
from nornmail.imap.substitutes import substitute

__all__ = [
    "Body",
    "Connection",
    "Limits",
    "Reached",
    "Selected",
    "SentMailbox",
    "Summary",
    "probe_imap",
    "substitute",
]
