"""Delivery reports that are prose: what servers wrote before RFC 3464, and some still write. Total.

Each server has a wording of its own, in the language of its place. What they share is a shape: a
sentence that says that something was not delivered, then the addresses, one to a line or behind a
word that introduces them, then a copy of the message. So shapes are read here, not products: lines
of the part above the copy, the surest shape first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nornmail.message.headers import message_ids
from nornmail.message.limits import (
    MAX_NOTICE_CHARS,
    MAX_NOTICE_LINE_CHARS,
    MAX_REPORT_CHARS,
    MAX_REPORT_RECIPIENTS,
)

# Not the full stops, colons and brackets of Chinese and Japanese, which need no blank around them.
_WIDE = r"\u0080-\u2fff\u3021-\ufeff"
_ADDRESS = (
    r"[^\s<>()\[\]\"',;:=@\u3000-\u3020\uff00-\uff20]{1,64}"
    rf"@[A-Za-z0-9{_WIDE}][A-Za-z0-9.{_WIDE}-]{{0,252}}"
)
_FAILED = re.compile(
    r"""(?:not|n't|unable\ to|cannot|fail\w*\ to)\ (?:be\ )?(?:yet\ )?(?:been\ )?
        (?:deliver|reach|send|sent)
    |could\ not\ (?:\w+\ )?(?:be\ )?(?:deliver|reach|send|sent)|did\ not\ (?:reach|receive)
    |n(?:ot|'t)\ (?:able\ to|receive)|unable\ to\ deliver|undeliver|fail(?:ed|ure)
    |permanent|abort|not\ known
    |delivery\ problems|not\ exactly\ match
    |unknown\ user|user\ unknown|no\ such\ (?:user|recipient|address)|not?\ (?:\w+\ )?longer\ valid
    |returned|error|invalid|mailbox|unavailable|delayed|postponed|rejected|does(?:n't|\ not)
    |nicht\ (?:zugestellt|zustell|erreich)|unzustellbar|fehlgeschlagen
    |n'a\ pas|n'ont\ pas|échoué|n'existe\ pas|impossible
    |no\ (?:se\ )?(?:pudo|ha|ha\ podido)|não\ (?:pôde|foi)|nao\ pode|fall[oó]|falh
    |non\ (?:è\ stato|può|recapita)|impossibile|kon\ niet|niet\ (?:bezorgd|afgeleverd)
    |nie\ (?:można|został|mógł)|kunde\ inte|kunne\ ikke|ei\ voi|nelze|nebyl
    |не\ (?:доставлен|может|удалось)|невозможно
    |无法|無法|失败|失敗|退回|退信|未能|不存在|できません|不達|できない
    |실패|반송|배달되지|전달되지""",
    re.IGNORECASE | re.VERBOSE,
)
_DELAYED = re.compile(
    r"""\bdelayed\b|\(delay\)|has\ not\ yet\ been\ delivered|not\ yet\ been\ delivered|postponed
    |will\ (?:be\ retried|retry|continue)|still\ (?:trying|being\ retried)|delivery\ attempts\ will
    |(?:do\ not|not\ need\ to)\ resend|warning\ message\ only|verzögert|retardé|aplazad|adiad""",
    re.IGNORECASE | re.VERBOSE,
)
_GIVEN_UP = re.compile(
    r"permanent|given\ up|giving\ up|fatal|user unknown|unknown user|no such user", re.I
)
_COPY = re.compile(
    r"""^[ \t>*|]{0,20}(?:
        -{2,200}+.{0,40}?(?:copy\ of|headers?\ of|original\ message|message\ text|unsent\ message
            |returned\ (?:mail|message)|message\ follows|error\ detail|old\ message
            |undelivered)
      | a\ copy\ of\ the\ original|original\ message\ follows|the\ original\ message\ headers
      | old\ message:|message\ headers?\ follow|below\ is\ a\ copy
      | (?:return-path|received|message-id):
      | -{3,200}+\ *附件|\*{3,200}+\ *original
    )""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_LOG = re.compile(r"^[ \t>*|]{0,20}-{2,200}+.{0,40}?transcript", re.I | re.M)
"""The dialogue with the other server; some reports name the recipient nowhere else."""
_MESSAGE_ID = re.compile(
    r"^[ \t>|]{0,9}message-id:([^\n]{0,2000}(?:\n[>|]{0,9}[ \t][^\n]{0,1000}){0,20})", re.I | re.M
)
_FOLD = re.compile(r"\n[>| \t]*")
_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")

_ANSWER = re.compile(r"(?<![\d.])[45]\d\d[ :#-]{1,3}[45]\.\d{1,3}\.\d{1,3}(?![\d.])[^\n]*")
"""The words of the server that refused, from the code of its reply on."""
_MIN_ANSWER_WORDS: Final = 4
"""Words of an answer that says more than its two codes."""

_BRACKETED = re.compile(rf"[ \t>*]*<({_ADDRESS})>\s*(?:[:(.]|\Z|-)")
_ALONE = re.compile(
    rf"[ \t>*•·-]*[\"'(<]*({_ADDRESS})[\"'>)]*"
    r"\s*(?:[:;,.]?\s*\Z|:\s|\(|\.\.\.|\ -\ |\ on\ \w{3},)",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"[ \t>*]*\"[^\"]*\" <({_ADDRESS})>\s*\Z")
_INSTEAD = re.compile(
    rf"\((?:expanded|generated) from:?\s*<?({_ADDRESS})>?\)"
    rf"|originally addressed to\s*<?({_ADDRESS})>?",
    re.IGNORECASE,
)
_KEYED = re.compile(
    rf"""(?<![a-z])(?:recipients?(?:\ address)?|address(?:ed)?(?:\ to)?|user(?:id)?
      |undeliverable\ {{1,3}}to|error-for
      |mailbox(?:\ is\ full)?|delivery\ failed\ \d+\ attempts|smtp|full|rcpt\ to
      |message\ to|deliver(?:ed)?\ to|violation\ for|was\ addressed)
      [\s:=,"'<]{{1,8}}({_ADDRESS})""",
    re.IGNORECASE | re.VERBOSE,
)
_WEAKLY_KEYED = re.compile(
    rf"(?<![a-z])(?:for|to|an|à|a|para|naar)[\s:\"'<]{{1,8}}({_ADDRESS})", re.IGNORECASE
)
_ANY = re.compile(rf"({_ADDRESS})")
_LOCAL = re.compile(r"\s+([A-Za-z0-9._+-]{1,64})\s*\Z")
_NOT_FAILED = re.compile(r"(?:mailer-daemon|postmaster|abuse|support|help(?:desk)?)\Z", re.I)

_SHAPES: Final = ((_BRACKETED, _ALONE, _NAMED), (_KEYED,), (_LOCAL,), (_WEAKLY_KEYED,), (_ANY,))
"""The surest first; those after the second only where the subject says that something failed."""

_NOTHING_SAID = re.compile(r"[\s=_*|-]*")
_DETAIL_LINES: Final = 8
"""Lines below an address that say what happened to it."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The content of a report in prose.

    Attributes:
        failures: address, enhanced status or ``""``, and the words that explain it.
        is_delay: the server is still trying.
        original_message_id: from the copy below, with its brackets, or ``""``.
    """

    failures: tuple[tuple[str, str, str], ...]
    is_delay: bool
    original_message_id: str


def read_notice(
    text: str,
    subject: str,
    sender: str,
    known: frozenset[str],
    failed: tuple[str, ...] = (),
    *,
    is_titled: bool = True,
) -> Notice | None:
    """The report that ``text`` is, ``None`` when it names no recipient or no failure.

    Args:
        known: addresses in lower case that did not fail, such as the report's own recipients.
        failed: the addresses of X-Failed-Recipients; then only the words about them are looked for.
        is_titled: the subject is that of a report, so that weaker shapes of an address count.
    """
    text = text[:MAX_NOTICE_CHARS].replace("\u2019", "'")
    copy = _start_of(_COPY, text)
    log = min(copy, _start_of(_LOG, text))
    lines = _lines(text[:log])
    if not failed and not _FAILED.search("\n".join(lines)) and not _FAILED.search(subject):
        return None
    places = [(address, 0) for address in failed] or _recipients(
        lines, known, sender, subject, is_titled
    )
    if not places and log < copy:
        lines = _lines(text[:copy])
        places = _recipients(lines, known, sender, subject, is_titled=False)
    if not places:
        return None
    # The subject decides: a report of a delay says what comes if it fails permanently.
    about = subject if _DELAYED.search(subject) else f"{subject}\n" + "\n".join(lines)
    is_delay = bool(_DELAYED.search(about)) and not _GIVEN_UP.search(about)
    failures = [(address, *_details(lines, address, at)) for address, at in places]
    codes = {code for code in _STATUS.findall(text, 0, copy) if code[0] in "45"}
    if len(codes) == 1 and not any(status for _, status, _ in failures):
        (code,) = codes  # of the whole report, wherever it stands, as in Office 365's
        answer = _answer(_lines(text[:copy])) if len(failures) == 1 else ""
        failures = [(address, code, answer or words) for address, _, words in failures]
    original = _MESSAGE_ID.search(text, copy)
    ids = message_ids(_FOLD.sub(" ", original[1])) if original else ()
    return Notice(tuple(failures), is_delay, ids[0] if ids else "")


def _start_of(mark: re.Pattern[str], text: str) -> int:
    """The start of the text below ``mark``: addresses there say little about the failure."""
    match = mark.search(text)
    return match.start() if match else len(text)


def _lines(text: str) -> list[str]:
    return [line[:MAX_NOTICE_LINE_CHARS] for line in text.split("\n")]


def _answer(lines: list[str]) -> str:
    """The first answer of a server that says something, whole; ``""`` for none."""
    for at, line in enumerate(lines):
        answer = _ANSWER.search(line)
        if answer and len(answer[0].split()) >= _MIN_ANSWER_WORDS:
            return _paragraph([answer[0].rstrip("' "), *lines[at + 1 : at + _DETAIL_LINES]])
    return ""


def _recipients(
    lines: list[str], known: frozenset[str], sender: str, subject: str, is_titled: bool
) -> list[tuple[str, int]]:
    """The addresses and the lines on which they stand, by the surest shape that occurs."""

    def is_new(address: str) -> bool:
        local = address.rpartition("@")[0]
        return address.lower() not in known and not _NOT_FAILED.match(local)

    for shapes in _SHAPES if is_titled else _SHAPES[:2]:
        failures: dict[str, tuple[str, int]] = {}
        found_here = _locals(lines, sender) if shapes[0] is _LOCAL else _matches(lines, shapes)
        for address, at in found_here:
            if is_new(address) and len(failures) < MAX_REPORT_RECIPIENTS:
                failures.setdefault(address.lower(), (address, at))
        if failures:
            return list(failures.values())
    match = _ANY.search(subject)
    if match and is_new(match[1]):
        return [(match[1].rstrip("."), 0)]
    return []


def _locals(lines: list[str], sender: str) -> Iterator[tuple[str, int]]:
    """Names without a domain, below a line about recipients: those of the server that writes."""
    domain = sender.rpartition("@")[2]
    is_list = False
    for at, line in enumerate(lines):
        name = _LOCAL.match(line)
        if name and is_list and domain:
            yield f"{name[1]}@{domain}", at
        elif line.strip():
            is_list = "recipient" in line.lower()


def _matches(lines: list[str], shapes: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, int]]:
    is_at_start = shapes[0] is _BRACKETED
    last = ""
    pending: tuple[str, int] | None = None
    for at, line in enumerate(lines):
        if "@" not in line:
            continue
        instead = _INSTEAD.search(line) if is_at_start else None
        if instead:  # the address that the message was sent to, for the one it was forwarded to
            pending = None
            yield (instead[1] or instead[2]).rstrip("."), at
            continue
        if pending:
            yield pending
            pending = None
        for shape in shapes:
            if is_at_start:
                match = shape.match(line)
                if match:
                    last = match[1].rstrip(".")
                    pending = last, at
                    break
            else:
                for match in shape.finditer(line):
                    yield match[1].rstrip("."), at
    if pending:
        yield pending


def _details(lines: list[str], address: str, at: int) -> tuple[str, str]:
    """Status and diagnostic: the rest of the line, and the lines below up to the next address."""
    if not at:
        at = next(
            (n for n, line in enumerate(lines) if address.lower() in line.lower()), len(lines)
        )
    if at >= len(lines):
        return "", ""
    place = lines[at].lower().find(address.lower())
    words = [lines[at][max(place, 0) + len(address) :].lstrip("\"'>)]:;,. \t-")]
    for line in lines[at + 1 : at + 1 + _DETAIL_LINES]:
        if _BRACKETED.match(line) and address.lower() not in line.lower():
            break
        words.append(line)
    diagnostic = _paragraph(words)
    status = _STATUS.search(diagnostic)
    return status[1] if status else "", diagnostic


def _paragraph(lines: list[str]) -> str:
    """The first paragraph, and what follows where it ends with a colon, on one line."""
    words = ""
    for line in lines:
        if not line.strip() and words and not words.endswith(":"):
            break
        if not _NOTHING_SAID.fullmatch(line):
            words = f"{words} {line.strip()}".strip()
    return " ".join(words.split())[:MAX_REPORT_CHARS]
