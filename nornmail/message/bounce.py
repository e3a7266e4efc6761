"""Delivery reports: the recipients that failed, and the reasons (RFC 3464, 3462, 6533). Total."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from nornmail.defects import Note, ignore
from nornmail.message.addresses import Address, parse_addresses
from nornmail.message.headers import (
    Headers,
    decode_text,
    message_ids,
    read_headers,
    unfold,
    with_line_feeds,
)
from nornmail.message.limits import MAX_NOTICE_CHARS, MAX_REPORT_CHARS, MAX_REPORT_RECIPIENTS
from nornmail.message.parser import Part, parse_tree

if TYPE_CHECKING:
    from nornmail.message.bounce_text import Notice

_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINAL_TYPES: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
_BLANK_LINES = re.compile(rb"[ \t\r\n]*+")
_GROUP_END = re.compile(rb"\n[ \t]*+\r?\n")
_NAMED_ID = re.compile(
    rb"^x-original-message-id:([^\n]{0,2000}(?:\n[ \t][^\n]{0,1000}){0,20})", re.I | re.M
)
_BRACKETED = re.compile(r"<([^<>\s]+)>")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_MACHINES = re.compile(
    r"(?:mailer.?daemon|postmaster|mdaemon|mail[._ -]?(?:delivery|administrator|system)"
    r"|microsoftexchange[0-9a-f]{32}|system administrator|[a-z0-9]*_?smtp_|[a-z]+_antivirus_"
    r"|imss|interscan)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"""undeliver|non.?deliver|deliver\w*\W+(?:status|fail|problem|error|notif|warning|has)
    |delivery|failure\ notice|return(?:ed|ing)\ (?:mail|to\ sender)|mail\ (?:error|fail\w*|system)
    |(?:could|can)\ ?not\ be\ deliver|user\ unknown|not\ (?:been\ )?deliver|fail(?:ed|ure)|delayed
    |warning:|processing\ error
    |unzustellbar|zustellung|nicht\ zugestellt|rücksendung|non\ remis|non\ délivr|échec
    |non\ recapitat|mancat[ao]\ (?:consegna|recapito)|no\ (?:se\ )?entreg|devuelto|não\ entreg
    |devolvid|onbestelbaar|niet\ bezorgd|niedostarcz|zwrot|kunde\ inte|olevererbar|kunne\ ikke
    |doručen|toimit|не\ доставлен|возврат|退信|传输失败|傳輸失敗|无法送达|無法傳遞|未送达|配信|届
    |반송|배달|전송.?실패|non\ recensé""",
    re.IGNORECASE | re.VERBOSE,
)
_SURE_SUBJECT = re.compile(
    r"""undeliver|non-?deliver|returned\ mail|mail\ (?:delivery\ fail|could\ not\ be\ deliver)
    |delivery\ (?:status\ notification|fail|notification|delayed|has\ failed)|failure\ notice
    |unzustellbar|non\ remis|échec\ de\ la\ remise|no\ se\ puede\ entregar|não\ entreg
    |onbestelbaar|non\ recapitabile|не\ доставлен|nie\ można\ dostarczyć""",
    re.IGNORECASE | re.VERBOSE,
)
_ACTIONS: Final = {"failed": "failed", "failure": "failed", "delayed": "delayed"}
"""Actions that are a failure, with the misspellings of some servers."""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """One recipient of a delivery report.

    Attributes:
        address: where the message was sent to (Original-Recipient, else Final-Recipient).
        action: ``"failed"``, or ``"delayed"``: the server still tries.
        status: the enhanced code (RFC 3463) such as ``"5.1.1"``, ``""`` when there is none.
        diagnostic: the remote server's words on one line, cut to 1,000 characters.
        final_address: where it ended up after forwarding (Final-Recipient); ``address`` where the
            report knows of no other.
    """

    address: str
    action: str
    status: str
    diagnostic: str
    final_address: str = ""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A report that a message did not get through, or not yet.

    It is as forgeable as any mail: act on it only where ``original_message_id`` is your own.

    Attributes:
        recipients: the addresses that failed, each once.
        original_message_id: the reported message's Message-ID with its brackets: from the copy
            that the report carries, else from X-Original-Message-ID, In-Reply-To or References;
            ``""`` if it is nowhere.
    """

    recipients: tuple[FailedRecipient, ...]
    original_message_id: str = ""

    @property
    def is_permanent(self) -> bool:
        """Whether at least one recipient failed for good."""
        return any(recipient.action == "failed" for recipient in self.recipients)


def read_bounce(
    root: Part,
    headers: Headers,
    sender: Address,
    read_text: Callable[[], str],
    note: Note = ignore,
) -> Bounce | None:
    """The report that a message is, ``None`` when it is none or reports no failure.

    A report by the standard goes before one in prose, in whatever multipart it is: forwarders and
    list servers rename or wrap it. Prose is read only where sender and subject are a report's.

    Args:
        read_text: gives the body as text; called only where it is needed.
        note: called with what is over a limit.
    """
    subject = decode_text(headers.raw("subject"), charset=headers.charset)
    paths = headers.raw_all("return-path")
    path = "".join(paths[0].split()).lower() if paths else ""
    is_null = path == "<>" or path.startswith("<mailer-daemon")
    failed = tuple(filter(None, _listed(headers, "x-failed-recipients")))
    likely = bool(failed) or _may_be_notice(sender.address, sender.name, subject, is_null)
    likely_report = likely or root.parameters.get("report-type", "") == "delivery-status"
    report = _read_report(root, note, is_wrapped=likely_report)
    if report is not None:
        return _with_id(report, headers)
    about = root.parameters.get("report-type", "").lower()
    if not likely or about not in ("", "delivery-status"):
        return None
    known = {address.lower() for name in ("to", "cc") for address in _listed(headers, name)}
    # Loaded here: compiling its patterns takes longer than importing the rest of the package.
    from nornmail.message.bounce_text import read_notice

    notice = read_notice(
        read_text(),
        subject,
        sender.address,
        frozenset(known | {sender.address.lower()}),
        failed,
        is_titled=bool(_SUBJECT.search(subject)),
    )
    return _with_id(_from_notice(notice, root, note), headers) if notice else None


def _may_be_notice(sender: str, name: str, subject: str, has_null_path: bool) -> bool:
    """Whether sender and subject look like a report's; a person's mail hardly ever does."""
    local = sender.rpartition("@")[0].strip('"')
    if _MACHINES.match(local) or _MACHINES.match(name) or _SURE_SUBJECT.match(subject):
        return True
    return bool(_SUBJECT.search(subject)) and (has_null_path or not sender)


def _with_id(bounce: Bounce, headers: Headers) -> Bounce:
    """With the id that the report answers, where it carries no copy."""
    if bounce.original_message_id:
        return bounce
    ids = message_ids(headers.raw("in-reply-to")) or message_ids(headers.raw("references"))[-1:]
    return replace(bounce, original_message_id=ids[0]) if ids else bounce


def _listed(headers: Headers, name: str) -> list[str]:
    return [entry.address for entry in parse_addresses(", ".join(headers.raw_all(name)))]


def _read_report(root: Part, note: Note, *, is_wrapped: bool) -> Bounce | None:
    recipients: dict[str, FailedRecipient] = {}
    inner: Bounce | None = None
    for part in root.walk():
        if part.content_type in _STATUS_TYPES:
            for recipient in _recipients(part.content(note), note):
                recipients.setdefault(recipient.address.lower(), recipient)
        elif is_wrapped and inner is None and part.content_type == "message/rfc822":
            inner = _read_wrapped(part, note)
    if not recipients:
        return inner
    reported = tuple(recipients.values())[:MAX_REPORT_RECIPIENTS]
    return Bounce(reported, _original_id(root, note))


def _read_wrapped(part: Part, note: Note) -> Bounce | None:
    """A report that a gateway put into a message of its own, to add a footer or a warning."""
    content = with_line_feeds(part.content(note))
    headers, body = read_headers(content, 0, len(content))
    tree = parse_tree(content, headers, body)
    if tree.content_type != "multipart/report":
        return None
    return _read_report(tree, note, is_wrapped=False)


def _original_id(root: Part, note: Note) -> str:
    """The Message-ID of the first message or header block that the report carries or names."""
    for part in root.walk():
        if part.content_type in _ORIGINAL_TYPES:
            content = with_line_feeds(part.content(note)).lstrip(b"\r\n")
            headers, _ = read_headers(content, 0, len(content))
            ids = message_ids(headers.raw("message-id"))
            if ids:
                return ids[0]
    for part in root.walk():
        if part.content_type in _STATUS_TYPES:
            match = _NAMED_ID.search(part.content(note)[:MAX_NOTICE_CHARS])
            ids = message_ids(unfold(match[1].decode("latin-1"))) if match else ()
            if ids:
                return ids[0]
    return ""


def _from_notice(notice: Notice, root: Part, note: Note) -> Bounce:
    action = "delayed" if notice.is_delay else "failed"
    return Bounce(
        tuple(
            FailedRecipient(address, action, status, diagnostic, address)
            for address, status, diagnostic in notice.failures
        ),
        _original_id(root, note) or notice.original_message_id,
    )


def _recipients(content: bytes, note: Note) -> list[FailedRecipient]:
    """One group of fields about the message, then one for each recipient (RFC 3464 section 2.1)."""
    content = with_line_feeds(content)
    recipients: list[FailedRecipient] = []
    at = 0
    for _group in range(MAX_REPORT_RECIPIENTS + 1):
        at = _past(_BLANK_LINES, content, at, at)
        if at == len(content):
            return recipients
        group_end = _past(_GROUP_END, content, at, len(content))
        headers, _ = read_headers(content, at, group_end)
        recipient = _recipient(headers)
        if recipient is not None:
            recipients.append(recipient)
        at = group_end
    note("more reported recipients than the limit")
    return recipients


def _past(pattern: re.Pattern[bytes], content: bytes, at: int, otherwise: int) -> int:
    match = pattern.search(content, at)
    return match.end() if match else otherwise


def _recipient(headers: Headers) -> FailedRecipient | None:
    action = _ACTIONS.get(headers.raw("action").partition(" ")[0].lower().strip(";,."))
    original = _address(headers, "original-recipient")
    final = _address(headers, "final-recipient") or _address(headers, "x-actual-recipient")
    address = original if "@" in original or not final else final
    if action is None or not address:
        return None
    # Exchange has a field of its own for what other servers write into Diagnostic-Code.
    diagnostic = _typed(headers, "diagnostic-code") or _supplement(headers)
    status = _STATUS.search(headers.raw("status")) or _STATUS.search(diagnostic)
    return FailedRecipient(
        address, action, status[0] if status else "", diagnostic, final or address
    )


def _supplement(headers: Headers) -> str:
    return decode_text(headers.raw("x-supplementary-info")).strip("<> ")[:MAX_REPORT_CHARS]


def _address(headers: Headers, name: str) -> str:
    """The address in such a field, without brackets and without a comment behind it."""
    value = _typed(headers, name).strip()
    bracketed = _BRACKETED.search(value)
    return bracketed[1] if bracketed else value.partition(" (")[0].strip("<> ")


def _typed(headers: Headers, name: str) -> str:
    """The value behind the type: ``rfc822; a@b.example``."""
    kind, semicolon, value = headers.raw(name).partition(";")
    return decode_text(value if semicolon else kind)[:MAX_REPORT_CHARS]
