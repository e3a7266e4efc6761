r"""The faults a test can order, as values.

    server.faults.add(faults.Cut("UID FETCH", after_bytes=40))
    server.faults.add(faults.No("SELECT", b"[UNAVAILABLE] later", times=3))
    server.faults.add(faults.Silent.in_idle(times=None))

A fault fires ``times`` times (None: always), for the first time at the ``on_nth`` match, on
whichever connection that is. ``server.faults.pending`` holds what has not fired yet.

| what shall go wrong | fault |
|---|---|
| the connection ends in, before or behind an answer | `Cut`, `Bye` |
| it ends after so many octets of all that is sent | `CutTotal` |
| nothing is said any more | `Silent`, and in IDLE `Silent.in_idle` |
| the command is refused | `No`, `Bad`, `Answer`, `Throttle` |
| the answer is not IMAP, has lines too many, is altered or slow | `Garbage`, `Extra`, `Trailing`, |
| | `Rewrite`, `Drip` |
| the connection is not greeted, or greeted otherwise | `Greeting`, `PreAuth`, `ConnectionLimit` |
| a capability is missing | `NoCapability` |
| the login fails, the token expires | `RejectLogin`, `ExpireToken` |
| a message is not listed, or its FETCH is empty, NIL, short, another's | `HideUid`, `FetchFault` |
| a message goes, or anything else happens, between two commands | `Expunge`, `Call` |
| the UIDVALIDITY changes, the UIDNEXT is wrong | `NewUidValidity`, `WrongUidNext` |
"""

from nornmail.testing.fault_plan import Fault, FaultPlan
from nornmail.testing.faults.connections import (
    ConnectionLimit,
    CutTotal,
    Greeting,
    NoCapability,
    PreAuth,
)
from nornmail.testing.faults.logins import ExpireToken, RejectLogin
from nornmail.testing.faults.mailboxes import NewUidValidity, WrongUidNext
from nornmail.testing.faults.messages import Expunge, FetchFault, FetchFaultKind, HideUid
from nornmail.testing.imap.faults import (
    IDLING,
    Answer,
    Bad,
    Bye,
    Call,
    CommandFault,
    Cut,
    Drip,
    Extra,
    Garbage,
    No,
    Rewrite,
    Silent,
    Throttle,
    Trailing,
)

__all__ = [
    "IDLING",
    "Answer",
    "Bad",
    "Bye",
    "Call",
    "CommandFault",
    "ConnectionLimit",
    "Cut",
    "CutTotal",
    "Drip",
    "ExpireToken",
    "Expunge",
    "Extra",
    "Fault",
    "FaultPlan",
    "FetchFault",
    "FetchFaultKind",
    "Garbage",
    "Greeting",
    "HideUid",
    "NewUidValidity",
    "No",
    "NoCapability",
    "PreAuth",
    "RejectLogin",
    "Rewrite",
    "Silent",
    "Throttle",
    "Trailing",
    "WrongUidNext",
]
