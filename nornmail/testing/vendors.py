"""Profiles of the servers that people have their mail at.

Each is built of what such servers were seen to do. Capabilities that this server cannot carry out
are left out, and so is what happens to a mailbox only now and then: a test orders it with a fault,
as ``NewUidValidity(value=box.uid_validity)`` for the UIDs that GMX counts anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nornmail.testing.fault_plan import Fault, suggestion
from nornmail.testing.imap.faults import ConnectionLimit, Rewrite


def _refuse_nothing(_: bytes) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The behaviour of a vendor's server: greeting, capabilities, mailboxes and quirks.

    Args:
        greeting: what stands behind OK.
        greets_with_capabilities: whether they stand in the greeting.
        tells_capabilities: whether and where the login answers with them.
        before: the capabilities that are shown before the login, None for all.
        after: those that are shown afterwards, None for all but what serves the login.
        identity: the answer to ID.
        unknown: the answer to a command that is not there.
        delimiter: between the levels of mailbox names.
        prefix: what the name of every mailbox but INBOX begins with.
        mailboxes: those of every account in addition to INBOX, each with its attributes.
        needs_id: the answer to SELECT and EXAMINE where no ID was sent after the login; ``""``
            where none is needed.
        window: how many of its newest messages a mailbox shows when it is opened; older ones slide
            in as mail goes. None is all.
        ghost: the message that is given for one which another session has removed; ``b""`` is none.
        leaves_out: items that a FETCH leaves out of its answer, as ``RFC822``.
        numbers_newest_first: whether the first login gives the UIDs anew, the newest message first.
        refuse: the answer to a command, which is given without its tag, or ``""`` to carry it out.
        quirks: faults that fire in addition to those that a test adds.
    """

    greeting: bytes = b"nornmail test server ready"
    greets_with_capabilities: bool = True
    tells_capabilities: Literal["in the answer", "before it", "not at all"] = "in the answer"
    before: frozenset[str] | None = None
    after: frozenset[str] | None = None
    identity: bytes = b'("name" "nornmail.testing")'
    unknown: str = "BAD Unknown command"
    delimiter: bytes = b"/"
    prefix: bytes = b""
    mailboxes: tuple[tuple[str, str], ...] = ()
    needs_id: str = ""
    window: int | None = None
    ghost: bytes = b""
    leaves_out: frozenset[bytes] = frozenset()
    numbers_newest_first: bool = False
    refuse: Callable[[bytes], str] = _refuse_nothing
    quirks: tuple[Fault, ...] = ()


PLAIN = Profile()
"""A server as the standards describe it."""


GMAIL_CONNECTIONS = 15
DOVECOT_CONNECTIONS = 10
COURIER_CONNECTIONS = 4
ICLOUD_CONNECTIONS = 5
CYRUS_CONNECTIONS = 20
"""Connections that each allows one user; the last is a guess that no test should rely on."""

YAHOO_WINDOW = 10_000
"""Yahoo shows the newest messages of a mailbox, and no more than this."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _always(commands: str, pattern: bytes, put: bytes) -> tuple[Fault, ...]:
    """Have these octets of the answers to these commands replaced, always."""
    expression = re.compile(pattern)
    return tuple(
        Rewrite(command, lambda answer: expression.sub(put, answer), times=None)
        for command in commands.split(", ")
    )


_WITHOUT_TEXT = _always("LOGOUT", rb"(?m)^(\* BYE|\S+ OK) [^\r\n]*", rb"\1")
_UNRECOGNISED = "BAD [CLIENTBUG] Unrecognised command"
_SET = re.compile(rb"(?:UID )?(?:FETCH|STORE|COPY|MOVE) ([0-9:,]+)", re.I)
_SEARCHES = re.compile(rb"(?:UID )?SEARCH\b.*\b(FROM|TO|CC|BCC|SUBJECT|HEADER|TEXT|BODY)\b", re.I)


def _refuse_descending_sets(line: bytes) -> str:
    """QQ refuses a set whose numbers go down."""
    match = _SET.match(line)
    numbers = [int(number) for number in re.findall(rb"[0-9]+", match[1])] if match else []
    return "BAD UID parameters!" if numbers != sorted(numbers) else ""


def _refuse_header_searches(line: bytes) -> str:
    """Yahoo fails in searches by header."""
    match = _SEARCHES.match(line)
    return "NO [SERVERBUG] Server error" if match and match[1].upper() == b"HEADER" else ""


def _refuse_text_searches(line: bytes) -> str:
    """mail.ru searches by flags, dates and UIDs only."""
    match = _SEARCHES.match(line)
    return f"NO Unsupported search criterion: {match[1].decode('ascii').upper()}" if match else ""


_GMAIL = Profile(
    greeting=b"Gimap ready for requests",
    greets_with_capabilities=False,
    tells_capabilities="before it",
    before=_names(
        "IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN SASL-IR "
        "AUTH=XOAUTH2 AUTH=PLAIN AUTH=OAUTHBEARER"
    ),
    after=_names(
        "IMAP4rev1 UNSELECT IDLE NAMESPACE ID CHILDREN UIDPLUS ENABLE MOVE CONDSTORE ESEARCH "
        "LITERAL- SPECIAL-USE"
    ),
    identity=b'("name" "GImap" "vendor" "Google, Inc.")',
    mailboxes=(
        ("[Gmail]", "\\Noselect"),
        ("[Gmail]/All Mail", "\\All"),
        ("[Gmail]/Drafts", "\\Drafts"),
        ("[Gmail]/Important", "\\Important"),
        ("[Gmail]/Sent Mail", "\\Sent"),
        ("[Gmail]/Spam", "\\Junk"),
        ("[Gmail]/Starred", "\\Flagged"),
        ("[Gmail]/Trash", "\\Trash"),
    ),
    quirks=(
        ConnectionLimit(
            GMAIL_CONNECTIONS, "login", b"[ALERT] Too many simultaneous connections. (Failure)"
        ),
    ),
)

_EXCHANGE = Profile(
    greeting=b"The Microsoft Exchange IMAP4 service is ready.",
    greets_with_capabilities=False,
    tells_capabilities="not at all",
    before=_names(
        "IMAP4 IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE "
        "LITERAL+"
    ),
    after=_names(
        "IMAP4 IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE "
        "LITERAL+"
    ),
    identity=b'("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")',
    # No SPECIAL-USE, and folders without mail are listed as well.
    mailboxes=tuple(
        (name, "")
        for name in (
            "Archive",
            "Calendar",
            "Contacts",
            "Deleted Items",
            "Drafts",
            "Junk Email",
            "Sent Items",
        )
    ),
    # The code that tells the new UIDs stands in a line of its own, which is not a valid response.
    quirks=_always("MOVE, UID MOVE", rb"\* OK (\[COPYUID [^\]]*\])[^\r]*", rb"\1"),
)

_OFFICE_365 = Profile(
    greeting=_EXCHANGE.greeting,
    greets_with_capabilities=False,
    tells_capabilities="not at all",
    before=_names(
        "IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE "
        "NAMESPACE LITERAL+"
    ),
    after=_names(
        "IMAP4 IMAP4rev1 AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE "
        "LITERAL+"
    ),
    identity=_EXCHANGE.identity,
    mailboxes=_EXCHANGE.mailboxes,
    quirks=_EXCHANGE.quirks,
)

_COURIER = Profile(
    greeting=b"Courier-IMAP ready.",
    tells_capabilities="not at all",
    before=_names("IMAP4rev1 UIDPLUS CHILDREN NAMESPACE IDLE AUTH=PLAIN"),
    after=_names("IMAP4rev1 UIDPLUS CHILDREN NAMESPACE IDLE AUTH=PLAIN"),
    delimiter=b".",
    prefix=b"INBOX.",
    mailboxes=(("INBOX.Drafts", ""), ("INBOX.Sent", ""), ("INBOX.Trash", "")),
    ghost=b"Subject: message unavailable\r\n\r\nIt was removed by somebody else.\r\n",
    quirks=(
        ConnectionLimit(COURIER_CONNECTIONS, "close"),
        # An empty mailbox has no UIDNEXT.
        *_always("SELECT, EXAMINE", rb"(?s)(\* 0 EXISTS.*)\* OK \[UIDNEXT[^\n]*\n", rb"\1"),
    ),
)

_NETEASE = Profile(
    greeting=b"Coremail System IMap Server Ready",
    greets_with_capabilities=False,
    tells_capabilities="not at all",
    before=_names("IMAP4rev1 SPECIAL-USE ID LITERAL+ UIDPLUS"),
    after=_names("IMAP4rev1 SPECIAL-USE ID LITERAL+ UIDPLUS"),
    mailboxes=(
        ("&g0l6P3ux-", "\\Drafts"),
        ("&XfJT0ZAB-", "\\Sent"),
        ("&XfJSIJZk-", "\\Trash"),
        ("&V4NXPpCuTvY-", "\\Junk"),
    ),
    needs_id="SELECT Unsafe Login.",
    quirks=_always("STATUS", rb" ?UIDNEXT [0-9]+", b""),
)

_YAHOO = Profile(
    greeting=b"IMAP4rev1 Hello",
    tells_capabilities="not at all",
    before=_names(
        "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER ID MOVE NAMESPACE UIDPLUS "
        "LITERAL+ CHILDREN UNSELECT"
    ),
    after=_names("IMAP4rev1 ID MOVE NAMESPACE UIDPLUS LITERAL+ CHILDREN UNSELECT"),
    identity=b"NIL",
    unknown=_UNRECOGNISED,
    mailboxes=tuple((name, "") for name in ("Archive", "Bulk", "Draft", "Sent", "Trash")),
    window=YAHOO_WINDOW,
    refuse=_refuse_header_searches,
    quirks=(
        *_always("LIST", rb'(\* LIST [^\n]*) "?INBOX"?\r', rb'\1 "Inbox"\r'),
        *_always("SEARCH, UID SEARCH", rb"(?m)^(\* SEARCH[^\r]*)", rb"\1 "),
    ),
)

_ICLOUD = Profile(
    greeting=b"iscream",
    tells_capabilities="not at all",
    before=_names("IMAP4 IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2"),
    after=_names(
        "IMAP4 IMAP4rev1 CONDSTORE ENABLE NAMESPACE UIDPLUS CHILDREN UNSELECT ESEARCH SASL-IR ID "
        "IDLE"
    ),
    mailboxes=tuple(
        (name, "") for name in ("Archive", "Deleted Messages", "Drafts", "Junk", "Sent Messages")
    ),
    leaves_out=frozenset({b"RFC822"}),
    quirks=(
        ConnectionLimit(ICLOUD_CONNECTIONS),
        *_always("SEARCH, UID SEARCH", rb"(?m)^\* SEARCH\r\n", b""),
        *_always("ENABLE", rb"(?m)^\* ENABLED[^\n]*\n", b""),
        *_WITHOUT_TEXT,
    ),
)

_QQ = Profile(
    greeting=b"QQMail XMIMAP4Server ready",
    tells_capabilities="not at all",
    before=_names("IMAP4 IMAP4rev1 ID AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 NAMESPACE"),
    after=_names("IMAP4 IMAP4rev1 MOVE IDLE NAMESPACE CHILDREN ID UIDPLUS"),
    mailboxes=tuple((name, "") for name in ("Deleted Messages", "Drafts", "Junk", "Sent Messages")),
    refuse=_refuse_descending_sets,
    # A code with no text behind it.
    quirks=_always("SELECT, EXAMINE", rb"(\* OK \[UNSEEN [0-9]+\])[^\r]*", rb"\1"),
)

_GMX = Profile(
    greeting=b"IMAP server ready",
    before=_names(
        "IMAP4rev1 CHILDREN ENABLE ID IDLE LITERAL- MOVE NAMESPACE SASL-IR SPECIAL-USE UIDPLUS "
        "UNSELECT AUTH=LOGIN AUTH=PLAIN"
    ),
    after=_names(
        "IMAP4rev1 CHILDREN ENABLE ID IDLE LITERAL- MOVE NAMESPACE SPECIAL-USE UIDPLUS UNSELECT"
    ),
    mailboxes=(
        ("Entw&APw-rfe", "\\Drafts"),
        ("Gel&APY-scht", "\\Trash"),
        ("Gesendet", "\\Sent"),
        ("Spamverdacht", "\\Junk"),
    ),
)

_PROTON = Profile(
    greeting=b"gluon session ready",
    before=_names("IMAP4rev1 ID IDLE MOVE UIDPLUS UNSELECT"),
    after=_names("IMAP4rev1 ID IDLE MOVE UIDPLUS UNSELECT"),
    unknown="BAD [Error offset=4]: unknown command",
    mailboxes=(
        ("All Mail", ""),
        ("Archive", ""),
        ("Drafts", ""),
        ("Folders", "\\Noselect"),
        ("Labels", "\\Noselect"),
        ("Sent", ""),
        ("Spam", ""),
        ("Starred", ""),
        ("Trash", ""),
    ),
    numbers_newest_first=True,
)

_YANDEX = Profile(
    greeting=b"Yandex IMAP4rev1 ready to talk",
    greets_with_capabilities=False,
    tells_capabilities="before it",
    before=_names(
        "IMAP4rev1 CHILDREN UNSELECT LITERAL+ NAMESPACE UIDPLUS ENABLE ID AUTH=PLAIN AUTH=XOAUTH2 "
        "IDLE MOVE"
    ),
    after=_names("IMAP4rev1 CHILDREN UNSELECT LITERAL+ NAMESPACE UIDPLUS ENABLE ID IDLE MOVE"),
    delimiter=b"|",
    mailboxes=tuple((name, "") for name in ("Drafts", "Outbox", "Sent", "Spam", "Trash")),
    # A text that is empty has no value at all in its place.
    quirks=_always("FETCH, UID FETCH", rb"(BODY\[[^\]]+\]) \{0\}\r\n", rb"\1 "),
)

_MAIL_RU = Profile(
    greeting=b"IMAP4 ready",
    greets_with_capabilities=False,
    tells_capabilities="before it",
    before=_names("IMAP4rev1 ID UIDPLUS UNSELECT MOVE AUTH=PLAIN AUTH=XOAUTH2"),
    after=_names("IMAP4rev1 ID UIDPLUS UNSELECT MOVE"),
    unknown=_UNRECOGNISED,
    mailboxes=tuple((name, "") for name in ("Drafts", "Sent", "Spam", "Trash")),
    refuse=_refuse_text_searches,
)

_ZOHO = Profile(
    greeting=b"IMAP4 Server (Zoho Mail IMAP4rev1 Server version 1.0)",
    greets_with_capabilities=False,
    tells_capabilities="before it",
    before=_names(
        "IMAP4rev1 UNSELECT CHILDREN NAMESPACE IDLE MOVE ID AUTH=PLAIN SASL-IR UIDPLUS ESEARCH "
        "LITERAL- CONDSTORE"
    ),
    after=_names(
        "IMAP4rev1 UNSELECT CHILDREN NAMESPACE IDLE MOVE ID AUTH=PLAIN SASL-IR UIDPLUS ESEARCH "
        "LITERAL- CONDSTORE"
    ),
    mailboxes=tuple((name, "") for name in ("Drafts", "Sent", "Spam", "Templates", "Trash")),
    # Mod-sequences that cannot be (RFC 7162 has none below 1).
    quirks=_always("FETCH, UID FETCH", rb"MODSEQ \([0-9]+\)", b"MODSEQ (0)"),
)

_CYRUS = Profile(
    greeting=b"Cyrus IMAP server ready",
    before=_names("IMAP4rev1 LITERAL+ ID AUTH=PLAIN SASL-IR"),
    # LOGINDISABLED stands among them though somebody has logged in.
    after=_names(
        "IMAP4rev1 LITERAL+ ID LOGINDISABLED NAMESPACE UIDPLUS UNSELECT CHILDREN CONDSTORE ENABLE "
        "ESEARCH IDLE MOVE SPECIAL-USE"
    ),
    quirks=(
        ConnectionLimit(CYRUS_CONNECTIONS, "silent"),
        *_always("FETCH, UID FETCH", rb"(BODY\[TEXT\]) \{0\}\r\n", rb'\1 ""'),
    ),
)

_DOVECOT = Profile(
    greeting=b"Dovecot ready.",
    before=_names("IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN"),
    after=_names(
        "IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+ UNSELECT CHILDREN NAMESPACE UIDPLUS CONDSTORE "
        "ESEARCH MOVE SPECIAL-USE"
    ),
    identity=b'("name" "Dovecot")',
    delimiter=b".",
    quirks=(
        ConnectionLimit(
            DOVECOT_CONNECTIONS,
            "login",
            b"[UNAVAILABLE] Maximum number of connections from user+IP exceeded "
            b"(mail_max_userip_connections=%d)" % DOVECOT_CONNECTIONS,
        ),
    ),
)

VENDORS: dict[str, Profile] = {
    "126": _NETEASE,
    "163": _NETEASE,
    "aol": _YAHOO,
    "courier": _COURIER,
    "cyrus": _CYRUS,
    "dovecot": _DOVECOT,
    "exchange": _EXCHANGE,
    "gmail": _GMAIL,
    "gmx": _GMX,
    "icloud": _ICLOUD,
    "mail.ru": _MAIL_RU,
    "office365": _OFFICE_365,
    "outlook": _OFFICE_365,
    "proton": _PROTON,
    "qq": _QQ,
    "yahoo": _YAHOO,
    "yandex": _YANDEX,
    "zoho": _ZOHO,
}
"""Every profile, by its name."""


def profile_of(name: str | None) -> Profile:
    """The profile of this name, in any case; None is that of the standards."""
    if name is None:
        return PLAIN
    profile = VENDORS.get(name.lower())
    if profile is None:
        raise ValueError(f"like={name!r} is not a known server{suggestion(name, VENDORS)}")
    return profile
