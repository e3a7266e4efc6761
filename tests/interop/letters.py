"""Letters of every shape, made with a seed: what two servers are asked about.

Every line ends in CRLF and no letter holds a NUL: what a server may change, none here has.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Callable

NAMES = (
    "Ann Bee",
    '"Bee, Ann"',
    '"Ann \\"the bee\\" Bee"',
    "=?utf-8?q?J=C3=BCrgen_Gro=C3=9F?=",
    "=?utf-8?b?5pel5pys6Kqe?= Team",
    "=?iso-8859-1?q?Andr=E9?= =?iso-8859-1?q?_Dupont?=",
    "Ann B. Bee (office)",
    "\tTab Bed",
    '"two  blanks"',
    "",
)
MAILBOXES = (
    "ann@example.com",
    "a.b.c@mail.example.org",
    '"odd name"@example.com',
    "user@[192.0.2.1]",
    "x+tag@example.co.uk",
    "UPPER@EXAMPLE.COM",
)
BROKEN_ADDRESSES = (
    "nobody",
    "two words",
    "ann@",
    "@example.com",
    "<ann@example.com",
    "ann@example.com junk, bob@example.com",
    "Ann <>",
    "a;b@example.com",
    "(only a comment)",
    ",, ,",
    "a@b@c",
)
SUBJECTS = (
    "plain words",
    "",
    "=?utf-8?q?Gr=C3=BC=C3=9Fe_aus_Z=C3=BCrich?=",
    "=?utf-8?b?w4RwZmVs?= =?utf-8?b?w6Q=?=",
    "folded\r\n over\r\n\tthree lines",
    'with "quotes" and \\ back \\ slashes " " "',
    "   blanks   around   ",
    "x" * 300,
    "(parentheses) [brackets] {5}",
)
DATES = (
    "Mon, 02 Mar 2020 10:00:00 +0000",
    "2 Mar 20 10:00 PST",
    "Tue, 3 Mar 2020 23:59:59 -0800 (a comment)",
    "yesterday",
    "Wed,\r\n 4 Mar 2020 00:00:00 +1300",
)
TEXTS = (
    "Hello,\r\n\r\nall is well.\r\n",
    "one line",
    "",
    "\r\n\r\n",
    "--not a boundary\r\n-- \r\nsignature\r\n",
    "From the start of a line\r\n.\r\n..\r\n",
    "trailing blanks  \r\n\ttabs\t\r\n",
)


class Writer:
    """Writes letters. The same seed writes the same letters."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._count = 0

    def letter(self) -> bytes:
        """The next letter."""
        self._count += 1
        return self._header() + self._entity(0)

    def _header(self) -> bytes:
        rng = self._rng
        lines = [f"From: {self._address()}", f"To: {self._addresses()}"]
        if rng.random() < 0.9:
            lines.append(f"Date: {rng.choice(DATES)}")
        if rng.random() < 0.9:
            lines.append(f"Subject: {rng.choice(SUBJECTS)}")
        for name in ("Cc", "Bcc", "Reply-To", "Sender"):
            if rng.random() < 0.25:
                lines.append(f"{name}: {self._addresses()}")
        if rng.random() < 0.85:
            lines.append(f"Message-ID: <{self._count}.{rng.randrange(10**9)}@example.com>")
        if rng.random() < 0.3:
            lines.append("In-Reply-To: <one@example.com>\r\n <two@example.com>")
        if rng.random() < 0.2:
            lines.append(rng.choice(("X-Odd : y", "x-lower:no blank", "X-Empty:", "Date: again")))
        rng.shuffle(lines)
        if rng.random() < 0.05:
            lines.append("a line without a colon")
        if rng.random() < 0.05:
            # utf-8 octets that no encoded word announces
            lines.append("Comments: raw \u00fc\u20ac")
        return "\r\n".join(["MIME-Version: 1.0", *lines, ""]).encode()

    def _address(self) -> str:
        rng = self._rng
        if rng.random() < 0.1:
            return rng.choice(BROKEN_ADDRESSES)
        name, mailbox = rng.choice(NAMES), rng.choice(MAILBOXES)
        if rng.random() < 0.1:
            return f"{mailbox} ({name.strip(chr(34))})" if '"' not in name else mailbox
        return f"{name} <{mailbox}>" if name else mailbox

    def _addresses(self) -> str:
        rng = self._rng
        if rng.random() < 0.1:
            return rng.choice(
                ("undisclosed-recipients:;", "a group: ann@example.com, Bob <b@c.d>;")
            )
        joint = rng.choice((", ", ",\r\n ", ",\r\n\t"))
        return joint.join(self._address() for _ in range(rng.choice((1, 1, 2, 3, 12))))

    def _entity(self, depth: int) -> bytes:
        """The fields of MIME, a blank line and the body."""
        kinds: list[Callable[[int], bytes]] = [self._text, self._attachment, self._odd]
        if depth < 5:
            kinds += [self._multipart, self._multipart, self._enclosed]
        if depth == 0:
            kinds += [self._multipart, self._multipart]
        return self._rng.choice(kinds)(depth)

    def _text(self, _: int) -> bytes:
        rng = self._rng
        minor = rng.choice(("plain", "html", "PLAIN", "calendar", "x-own"))
        text = rng.choice(TEXTS) + rng.choice(("", "Gr\u00fc\u00dfe\r\n"))
        charset = rng.choice(("utf-8", "iso-8859-1", '"UTF-8"'))
        octets = text.encode(charset.strip('"'))
        encoding, body = rng.choice(
            (
                ("8bit", octets),
                ("quoted-printable", quopri.encodestring(octets).replace(b"\r\n", b"\n")),
                ("BASE64", base64.encodebytes(octets)),
            )
        )
        body = body if encoding == "8bit" else body.replace(b"\n", b"\r\n")
        flowed = rng.choice(("", "; format=flowed", ";\r\n\tdelsp=yes"))
        head = f"Content-Type: text/{minor}; charset={charset}{flowed}\r\n"
        if text.isascii() and rng.random() < 0.3:
            return b"\r\n" + octets
        return f"{head}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body

    def _attachment(self, _: int) -> bytes:
        rng = self._rng
        name = rng.choice(
            (
                'name="report.pdf"',
                "name=bare.txt",
                "name*=utf-8''na%C3%AFve.txt",
                'name*0="part one ";\r\n name*1=two.txt',
                "name*0*=utf-8''%E2%82%AC; name*1=\" and 100%\"; name*2*=%20end",
                'name="=?utf-8?q?=C3=BC.png?="',
                "name==?utf-8?q?=C3=BC.png?=",
                'name="a \\"quoted\\" name"',
                "x=1; y=(c) 2; name=",
            )
        )
        lines = [f"Content-Type: {rng.choice(('application/pdf', 'image/png', 'A/B'))}; {name}"]
        lines.append("Content-Transfer-Encoding: base64")
        for line in (
            f"Content-Disposition: {rng.choice(('attachment', 'inline', 'odd'))}; file{name}",
            "Content-ID: <part@example.com>",
            "Content-Description: some\r\n words",
            "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
            "Content-Language: en, de",
            "Content-Location: http://example.com/a b",
        ):
            if rng.random() < 0.4:
                lines.append(line)
        body = base64.encodebytes(rng.randbytes(rng.choice((0, 10, 600)))).replace(b"\n", b"\r\n")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _odd(self, _: int) -> bytes:
        """What is not as it should be."""
        return self._rng.choice(
            (
                b"Content-Type: text\r\n\r\nno subtype\r\n",
                b"Content-Type: text/plain charset=utf-8\r\n\r\nno semicolon\r\n",
                b"Content-Type: \r\n\r\nno type\r\n",
                b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nno boundary\r\n--x--\r\n",
                b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno part\r\n",
                b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nno end\r\n",
                b"Content-Transfer-Encoding: two words\r\n\r\nwhich?\r\n",
                b'Content-Type: image/png; name="never ends\r\n\r\nwhat?\r\n',
                b"Content-Disposition:\r\nContent-Type: image/gif\r\n\r\nwhat?\r\n",
            )
        )

    def _multipart(self, depth: int) -> bytes:
        rng = self._rng
        minor = rng.choice(("mixed", "alternative", "related", "Mixed", "digest", "signed"))
        boundary = rng.choice(
            (f"b{depth}", f"=_{rng.randrange(10**6)}_{depth}", f"with blank {depth}")
        )
        parts = [self._part(depth, minor) for _ in range(rng.choice((0, 1, 2, 2, 3)))]
        delimiter = f"--{boundary}{rng.choice(('', '', ' '))}\r\n".encode()
        preamble = rng.choice((b"", b"This is a message of many parts.\r\n", b"\r\n"))
        close = rng.choice((f"\r\n--{boundary}--\r\n", f"\r\n--{boundary}--", "\r\n")).encode()
        epilogue = rng.choice((b"", b"epilogue\r\n", b"\r\n\r\n")) if b"--" in close else b""
        if close.endswith(b"--") and epilogue:
            close += b"\r\n"
        extra = rng.choice(("", "Content-Language: fr\r\n", "Content-Disposition: inline\r\n"))
        head = f'Content-Type: multipart/{minor};\r\n boundary="{boundary}"\r\n{extra}\r\n'
        body = b"".join(
            (b"\r\n" if number else b"") + delimiter + part for number, part in enumerate(parts)
        )
        return head.encode() + preamble + body + close + epilogue

    def _part(self, depth: int, minor: str) -> bytes:
        if minor == "digest" and self._rng.random() < 0.7:
            return b"\r\n" + self._header() + self._entity(depth + 1)
        return self._entity(depth + 1)

    def _enclosed(self, depth: int) -> bytes:
        head = b"Content-Type: message/rfc822\r\nContent-Description: another letter\r\n\r\n"
        return head + self._header() + self._entity(depth + 1)


def letters(count: int, seed: int) -> list[bytes]:
    """So many letters."""
    writer = Writer(seed)
    return [writer.letter() for _ in range(count)]
