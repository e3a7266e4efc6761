"""Whether a message looks like a delivery report in prose: by who sent it, and what it is about."""

from __future__ import annotations

import re

_MACHINES = re.compile(
    r"(?:mailer.?daemon|postmaster|mdaemon|mail[._ -]?(?:delivery|administrator|system)"
    r"|system administrator|[a-z0-9]*_?smtp_|[a-z]+_antivirus_|imss|interscan)",
    re.IGNORECASE,
)
SUBJECT = re.compile(
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
    |delivery\ (?:status\ notification|fail|notification)|failure\ notice|delivery\ has\ failed
    |unzustellbar|non\ remis|échec\ de\ la\ remise|no\ se\ puede\ entregar|não\ entreg
    |onbestelbaar|non\ recapitabile|не\ доставлен|nie\ można\ dostarczyć""",
    re.IGNORECASE | re.VERBOSE,
)


def may_be_notice(sender: str, name: str, subject: str, has_null_path: bool) -> bool:
    """Who sent it and what it is about look like a report; a person's mail hardly ever does.

    Args:
        sender: the address in From.
        name: the display name in From.
        subject: decoded.
        has_null_path: Return-Path is ``<>``, as RFC 3834 wants it of reports.
    """
    local = sender.rpartition("@")[0].strip('"')
    if _MACHINES.match(local) or _MACHINES.match(name) or _SURE_SUBJECT.match(subject):
        return True
    return bool(SUBJECT.search(subject)) and (has_null_path or not sender)
