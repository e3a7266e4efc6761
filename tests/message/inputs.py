"""Bad mail, made by hand: fields that broke other readers, and what makes them slow or large."""

from __future__ import annotations

from collections.abc import Callable

KILOBYTE = 1_000
MEGABYTE = 1_000 * KILOBYTE

Build = Callable[[int], bytes]
"""Makes an input of about so many octets."""


def filled(unit: bytes, size: int) -> bytes:
    return (unit * (size // len(unit) + 1))[:size]


def levels(count: int) -> bytes:
    level = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
    return b"".join(level % (number, number) for number in range(count)) + b"\nhello\n"


_NAMES = (
    b"From", b"To", b"Cc", b"Reply-To", b"Sender", b"Resent-To", b"Delivered-To", b"Return-Path",
)  # fmt: skip
_ADDRESSES = (
    b'"', b"(c):", b"a@[", b":;:;<>,<,>", b"=?utf-8?q?=0D=0ABcc:x?= <a@b>", b"(" * 2_000,
    b'"' * 2_001, b"\0\0\0", b"<<<<a@b>>>>", b"=?=?=?=?", b"@", b"@@", b"<@", b"@>", b"<>", b"a@",
    b"@b", b"a@b@c", b"<a@b", b"a@b>", b'"a@b', b'"a" "b', b"a(b", b"a)b", b"\\", b"a\\", b'"\\',
    b"<\\>", b"[", b"]", b"a@[1.2.3", b"a@[IPv6:", b",", b";", b":", b"a:", b":a", b"a:;b",
    b"\r\n ", b"\t", b"\xff@\xff", b"\xc3@x", b"=?utf-7?q?+2AA-?= <a@b>", b"=?idna?q?xn--?= <a@b>",
    b"." * 500, b"a." * 500 + b"@b", b"a@" + b"b." * 500, b"a" * 5_000 + b"@b",
    b"=?utf-8?b?" + b"w6k=" * 500 + b"?= <a@b>",
)  # fmt: skip
_TYPES = (
    b"text/plain; name*", b"text/plain; charset*0*=\0''x", b"text/plain; charset=\0",
    b"text/plain; charset=", b'text/plain; charset="', b"text/plain; charset=rot13",
    b"text/plain; charset=idna", b"text/plain; charset=undefined", b"text/plain; charset=zlib",
    b"text/plain; charset=base64", b"text/plain; charset=unicode_escape", b"text/plain; format=",
    b"text/plain; charset=utf-16", b"text/plain; charset=utf-32", b"text/plain; charset=\xff",
    b"text/plain; charset=" + b"x" * 5_000, b"text/html; charset=utf-7", b"multipart/mixed",
    b'multipart/mixed; boundary=""', b"multipart/mixed; boundary=\xff", b"multipart/", b"/", b"",
    b"multipart/mixed; boundary=" + b"b" * 5_000, b"multipart/mixed; boundary*=utf-8''%ff",
    b"multipart/alternative; boundary=b", b"multipart/related; start=<x; boundary=b",
    b"multipart/digest; boundary=b", b"message/rfc822", b"message/delivery-status", b"\0/\0",
    b'multipart/report; report-type="', b";;;=;\"", b"text/plain" + b"; a=b" * 150, b"a/b/c/d",
    b"text/plain; a*99999999999999999999=x", b"text/plain; *=x", b"text/plain; =x", b"text/plain;=",
    b"text/plain; name*0*=utf-8''%; name*1*=%; name*2*=%4", b"text/plain; name*=a'b", b"tex\xfft/x",
)  # fmt: skip
_DISPOSITIONS = (
    b"attachment; filename*", b"attachment; filename*0*=a'b", b"attachment; filename*=''",
    b"attachment; filename*" + b"9" * 5_000 + b"=x", b"attachment; filename*=no-such''%ff%",
    b"attachment; filename=\0", b'attachment; filename="/"', b'attachment; filename="."',
    b'attachment; filename=".."', b"attachment; filename=\xff\xfe", b";", b"=", b"\0", b"a=b",
    b'attachment; filename="' + b"x" * 5_000, b"attachment; filename=" + b"\xe2\x80\xae" * 300,
    b"attachment; filename*0*=utf-16''%ff%fe%00%d8", b"attachment; filename*=utf-7''+2AA-",
)  # fmt: skip
_TEXTS = (
    b"=?unicode_escape?q?=5Cud800?=", b"=?utf-7?q?+2AA-?=", b"=?utf-16?b?2AA=?=", b"\xff\xfe\x00",
    b"=?idna?q?xn--?=", b"=?undefined?q?x?=", b"=?base64?b?x?=", b"=?utf-8?b?====?=", b"\xff" * 99,
    b"=?utf-8?b?\xff?=", b"=?utf-8?q?=?=", b"=?utf-8?q?=ZZ?=", b"=?utf-8?q??=", b"=?utf-8?b??=",
    b"=?utf-8?q?\0?=", b"=??q?x?=", b"=?*?q?x?=", b"=?utf-8*?q?x?=", b"=?iso-2022-jp?b?GyRC?=",
    b"=?iso-2022-jp?q?=1B$B=FF?=", b"=?iso-2022-kr?b?DiQ=?=", b"=?hz?q?~{?=", b"\x1b$B\x1b", b"\r",
    b"=?utf-8?q?" + b"?" * 500, b"=?" * 500, b"?=" * 500, b"=?a?b?" * 500, b"\x1b$B!" * 300,
)  # fmt: skip
_DATES = (
    b"9" * 5_000, b"Mon, 99 Jan 99999 99:99:99 +9999", b"1 Jan 2024 00:00:00 +" + b"9" * 50,
    b"1 Jan 9999 23:59:59 -2359", b"1 Jan 0000 00:00:00 +0000", b"0 Jan 2024", b"1 1 1 1 1 1 1",
    b"2024-13-45T99:99:99Z", b"0000-00-00", b"1/1/1/1", b"12:12:12:12", b"+", b"Jan Jan Jan",
    "\uff11 Jan \uff12\uff10".encode(), "٣ Jan 2024 ٣:٣".encode(), b"1 Jan 2024 10:00 +\xb2\xb2",
)  # fmt: skip
_IDS = (b"<a@[", b"<<>>", b"<<<a@b>", b"<>", b"<", b">", b"@", b"a b@c d", b"<a@b" * 300, b"\0")

FIELDS = [
    *(b"%s: %s" % (_NAMES[at % len(_NAMES)], value) for at, value in enumerate(_ADDRESSES)),
    *(b"Content-Type: " + value for value in _TYPES),
    *(b"Content-Disposition: " + value for value in _DISPOSITIONS),
    *(b"Subject: " + value for value in _TEXTS),
    *(b"Date: " + value for value in _DATES),
    *(b"%s: %s" % ((b"Message-ID", b"References")[at % 2], value) for at, value in enumerate(_IDS)),
    b"Content-Transfer-Encoding: \0",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: x-uuencode",
    b"Content-ID: <",
    b"X-Failed-Recipients: ,<>,\0",
    b"Authentication-Results: (",
    b"Return-Path: <",
    b":",
    b": x",
    b" ",
    b"\t\t",
    b"\0",
    b"\xff: \xff",
    b"a b: c",
    b"From nobody",
    b">From",
    b"--",
    b"x" * 5_000,
    b"x" * 5_000 + b": y",
]
"""Single fields and lines; each is tried alone, within a header, and in front of a body."""

_TEXT = b"From: a@b\n\n"
_HTML = b"From: a@b\nContent-Type: text/html\n\n"
_MULTIPART = b'From: a@b\nContent-Type: multipart/mixed; boundary="b"\n\n'
_FALSE_MULTIPART = b'Content-Type: multipart/mixed; boundary="c"\n\n'
_DSN = (
    b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
)
_NOTICE = b"From: MAILER-DAEMON@x\nSubject: failure notice\n\nIt failed.\n"
_BASE64 = b"Content-Transfer-Encoding: base64\n\n"
_QP = b"Content-Transfer-Encoding: quoted-printable\n\n"
_UU = b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n"
_FLOWED = b"Content-Type: text/plain; format=flowed\n\n"


def _of(head: bytes, unit: bytes, tail: bytes = b"") -> Build:
    return lambda size: head + filled(unit, size) + tail


def _in(charset: bytes, unit: bytes, head: bytes = b"") -> Build:
    return _of(b"Content-Type: text/plain; charset=%s\n\n%s" % (charset, head), unit)


def _field(name: bytes, unit: bytes, head: bytes = b"") -> Build:
    return _of(name + b": " + head, unit, b"\n\n")


SLOW: dict[str, Build] = {
    "semicolons": _field(b"Content-Type", b";", b"text/plain"),
    "parameters": _field(b"Content-Type", b"; a=b", b"text/plain"),
    "parameters without semicolons": _field(b"Content-Type", b" a=", b"text/plain"),
    "parameters in sections": _field(b"Content-Type", b"; a*0*=x", b"text/plain"),
    "a long parameter": _field(b"Content-Type", b"x ", b"text/plain; a="),
    "blanks in a parameter": _field(b"Content-Type", b" ", b"text/plain; a="),
    "quotes in a parameter": _field(b"Content-Type", b'"\\', b"text/plain; a="),
    "a long subject": _field(b"Subject", b"a"),
    "blanks in a subject": _field(b"Subject", b"\t"),
    "CR in a subject": _field(b"Subject", b"\r"),
    "encoded words": _field(b"Subject", b"=?u?q?a?="),
    "encoded words of base64": _field(b"Subject", b"=?u?b?YQ==?= "),
    "encoded words that begin": _field(b"Subject", b"=?u?q?"),
    "encoded words that are folded": _field(b"Subject", b"=?u?q?\n "),
    "encoded words with raw octets": _field(b"Subject", b"=?u?q?\xff"),
    "the signs of encoded words": _field(b"Subject", b"=?="),
    "question marks in an encoded word": _field(b"Subject", b"?   ", b"=?u?q?"),
    "false ends of an encoded word": _field(b"Subject", b"?=AA", b"=?u?q?"),
    "dots in an address": _field(b"To", b"."),
    "blanks and dots in an address": _field(b"To", b"a . "),
    "words in an address": _field(b"To", b"a "),
    "signs in an address": _field(b"To", b"@ "),
    "comments in an address": _field(b"To", b"("),
    "many comments in an address": _field(b"To", b"(a) "),
    "quotes in an address": _field(b"To", b'"\\"'),
    "brackets in an address": _field(b"To", b"<"),
    "words in brackets": _field(b"To", b"a <b> "),
    "colons in an address": _field(b"To", b"a:"),
    "names without addresses": _field(b"To", b"a b,"),
    "encoded words in an address": _field(b"To", b"=?u?q? "),
    "backslashes in an address": _field(b"To", b"\\"),
    "addresses": _field(b"To", b"a@b,"),
    "addresses without commas": _field(b"To", b"<a@b>"),
    "failed recipients": _field(b"X-Failed-Recipients", b"a@b,"),
    "references": _field(b"References", b"<a@b>"),
    "brackets of ids": _field(b"References", b"<"),
    "numbers in a date": _field(b"Date", b"1 "),
    "comments behind an encoding": _field(b"Content-Transfer-Encoding", b"("),
    "fields": _of(b"", b"a:\n"),
    "continuations": _of(b"Subject: x", b"\n x"),
    "lines of blanks": _of(b"Subject: x\n", b" \n"),
    "lines that are no fields": _of(b"", b"x\ny:z\n"),
    "lines that are no fields, and fields": _of(b"A: b\n", b"x\nTo:y\n"),
    "boundaries within the header": _of(b"A: b\n", b"--\nTo:y\n"),
    "levels": lambda size: levels(size // 50),
    "parts": _of(_MULTIPART, b"--b\n\nx\n"),
    "boundaries that are none": _of(_MULTIPART, b"--b"),
    "boundaries with blanks": _of(_MULTIPART, b"\n--b "),
    "lines like another boundary": _of(_FALSE_MULTIPART, b"--x\n"),
    "blanks behind another boundary": _of(_FALSE_MULTIPART + b"--", b" ", b"\n"),
    "CR behind another boundary": _of(_FALSE_MULTIPART, b"--x\r\r\r"),
    "parts with types of their own": lambda size: _MULTIPART
    + b"".join(b"--b\nContent-Type: text/x%d\n\nx\n" % one for one in range(size // 30)),
    "related parts": _of(b"Content-Type: multipart/related; boundary=b; start=<x>\n\n",
                         b"--b\nContent-ID: <y>\n\nx\n"),
    "texts and pages in a row": _of(_MULTIPART + b"--b\n\nabc\n",
                                    b"--b\nContent-Type: text/html\n\nabc\n"),
    "an encoded multipart": _of(b"Content-Transfer-Encoding: base64\n" + _MULTIPART, b"YWJj"),
    "newlines": _of(_TEXT, b"\n"),
    "newlines of HTML": _of(_HTML, b"\n"),
    "CR": _of(b"", b"\r"),
    "CR in a text": _of(_TEXT, b"a\r"),
    "NULs": _of(b"", b"\0"),
    "NULs as text": _of(_TEXT, b"\0"),
    "quotes": _of(_TEXT, b"> \n"),
    "attributions": _of(_TEXT, b"On 1 "),
    "attributions without an end": _of(_TEXT, b"On 1 a wrote\n"),
    "signatures": _of(_TEXT, b"-- \n>\n"),
    "rules": _of(_TEXT, b"_" * 25 + b"\n"),
    "flowing lines": _of(_FLOWED, b"a \n"),
    "flowing quotes": _of(_FLOWED, b"> a \n>> b \n"),
    "marks of quotes": _of(_FLOWED, b">"),
    "comments of HTML": _of(_HTML, b"<!--"),
    "tags without an end": _of(_HTML, b"<a "),
    "attributes without an end": _of(_HTML, b'<a b="'),
    "brackets": _of(_HTML, b"<"),
    "paragraphs": _of(_HTML, b"<p>"),
    "items": _of(_HTML, b"<ul><li>"),
    "quotes of HTML": _of(_HTML, b"<blockquote>a"),
    "links": _of(_HTML, b"<a href=http://x>y"),
    "blanks in a tag": _of(_HTML + b"<a href", b" ", b">"),
    "references of HTML": _of(_HTML, b"&#9"),
    "a reference of many digits": _of(_HTML + b"&#", b"9", b";"),
    "charsets of HTML": _of(_HTML + b"\xff", b"<meta charset "),
    "base64 in many runs": _of(_BASE64, b"A="),
    "base64 in many lines": _of(_BASE64, b"YQ==\n"),
    "base64 with blanks": _of(_BASE64, b"a "),
    "padding": _of(_BASE64, b"="),
    "soft breaks with blanks": _of(_QP, b"= \n"),
    "escapes that are none": _of(_QP, b"= "),
    "lines of uuencode": _of(_UU, b"!a\n"),
    "beginnings of uuencode": _of(_UU, b"begin 644 "),
    "escapes of ISO-2022-JP": _in(b"iso-2022-jp", b"\x1b$B\x1b(B"),
    "a run of ISO-2022-JP": _in(b"iso-2022-jp", b"F|", b"\x1b$B"),
    "lines of ISO-2022-JP": _in(b"iso-2022-jp", b"F|\n", b"\x1b$B"),
    "shifts of ISO-2022-JP": _in(b"iso-2022-jp", b"\x0e\x0f"),
    "damaged UTF-8": _in(b"utf-8", b"\xff\xc3\xa9"),
    "UTF-7": _in(b"utf-7", b"+2AA-"),
    "joiners of emoji": _in(b"utf-8", "\N{GRINNING FACE}\u200d".encode()),
    "selectors of symbols": _in(b"utf-8", "\u2764\ufe0f".encode()),
    "fields of parts": _of(_MULTIPART, b"--b\n" + b"A:b\n" * 500 + b"\nx\n"),
    "a plain part beside a page": _of(
        b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n"
        b"<p>a b c d e\n--b\n\n", b"a.a@a b c d "),
    "HZ": _in(b"hz", b"~{~}"),
    "a report of nothing": _of(_DSN, b"a\n"),
    "a report on many": _of(_DSN, b"Final-Recipient: rfc822; a@b\nAction: failed\n\n"),
    "a notice of addresses": _of(_NOTICE, b"<a@b>:\n"),
    "a notice of many": lambda size: _NOTICE
    + b"".join(b"<a%d@b.c>:\n550 no\n" % one for one in range(size // 20)),
    "a notice of words": _of(_NOTICE, b"a"),
    "a notice of dashes": _of(_NOTICE, b"-"),
    "a notice of names": _of(_NOTICE + b"recipients\n", b" a\n"),
}  # fmt: skip
"""What makes other readers slow, or this one once."""
