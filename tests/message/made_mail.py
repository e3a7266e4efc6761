"""Mail as an inbox has it, made from a seed: for measuring, and for reading back what was put in.

Of a hundred messages sixty are plain text with an HTML form, eighteen plain text, fourteen carry
files of some tens to some hundreds of kilobytes, seven are newsletters of HTML alone, and one
carries a file of megabytes.
"""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

_WORDS = (
    "harbour", "window", "ledger", "morning", "ticket", "valley", "question", "copper", "letter",
    "garden", "engine", "station", "answer", "winter", "bridge", "market", "paper", "signal",
    "orange", "summer", "table", "number", "island", "village",
)  # fmt: skip
_FOREIGN = (
    "Größe", "café", "naïve", "señal", "Übergabe", "été", "façade", "Straße", "москва", "привет",
    "日本", "会議", "ελλάδα", "łódź",
)  # fmt: skip
_PEOPLE = ("Ada Berg", "Doe, Jordan", "Łukasz Nowak", "Renée Dupont", "Иван Петров", "山田太郎")
_HOSTS = ("example.org", "example.com", "mail.example.net", "lists.example.org")
_START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Made:
    """A message with what was put into it.

    Attributes:
        raw: the bytes, lines ended by CRLF.
        subject, sender, text, html: as a reader is to find them, lines ended by LF.
        files: names and contents.
    """

    raw: bytes
    subject: str
    sender: str
    text: str
    html: str
    files: tuple[tuple[str, bytes], ...]


class Maker:
    """Makes the same messages for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.count = 0

    def messages(self, number: int) -> Iterator[Made]:
        """So many messages, one after the other."""
        for _ in range(number):
            yield self._one()

    def _one(self) -> Made:
        self.count += 1
        kind = self.chance.randrange(100)
        size = self.chance.randint(2_000, 16_000)
        text, html = "", ""
        files: tuple[tuple[str, bytes], ...] = ()
        if kind < 60:
            text = self._text(size // 3)
            html = self._html(size, text)
            body = self._multipart(
                "alternative", self._leaf("plain", text), self._leaf("html", html)
            )
        elif kind < 78:
            text = self._text(size // 4)
            body = self._leaf("plain", text)
        elif kind < 85:
            html = self._html(60_000)
            body = self._leaf("html", html)
        else:
            text = self._text(size // 4)
            octets = self.chance.randint(40_000, 250_000) if kind < 99 else 2_500_000
            files = ((f"report {self.count}.pdf", self.chance.randbytes(octets)),)
            body = self._multipart("mixed", self._leaf("plain", text), self._file(*files[0]))
        subject = " ".join(self._some(_WORDS, 5) + self._some(_FOREIGN, self.chance.choice((0, 2))))
        name = self.chance.choice(_PEOPLE)
        sender = f"user{self.chance.randrange(1_000)}@{self.chance.choice(_HOSTS)}"
        head = self._head(subject, f"{self._name(name)} <{sender}>")
        raw = (head + body).replace("\n", "\r\n").encode()
        return Made(raw, subject, sender, text, html, files)

    def _head(self, subject: str, sender: str) -> str:
        date = format_datetime(_START + timedelta(seconds=61 * self.count))
        hops = "".join(
            f"Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\n"
            f"\tby in{hop}.example.org (Postfix) with ESMTPS id {self._token()}\n"
            f"\tfor <inbox@example.org>; {date}\n"
            for hop in range(self.chance.randint(2, 5))
        )
        signature = "\n\t".join(self._token() + self._token() for _ in range(5))
        others = ", ".join(
            f"{self._name(name)} <{self._token()[:8]}@example.org>"
            for name in self._some(_PEOPLE, self.chance.randint(1, 4))
        )
        return (
            f"Return-Path: <bounce-{self.count}@example.net>\nDelivered-To: inbox@example.org\n"
            f"{hops}Authentication-Results: in0.example.org; dkim=pass header.d=example.com;\n"
            f"\tspf=pass smtp.mailfrom=example.com; dmarc=pass header.from=example.com\n"
            f"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from:to:subject;\n"
            f"\tb={signature}\nFrom: {sender}\nTo: {others}\nSubject: {self._encoded(subject)}\n"
            f"Date: {date}\nMessage-ID: <{self._token()}.{self.count}@example.com>\n"
            f"References: <{self._token()}@example.com>\n <{self._token()}@example.com>\n"
            f"MIME-Version: 1.0\nX-Mailer: made {self.chance.randrange(9)}\n"
        )

    def _leaf(self, kind: str, content: str) -> str:
        data = content.encode()
        if self.chance.random() < 0.3:
            encoding, body = "base64", base64.encodebytes(data).decode()
        elif content.isascii() and kind == "plain":
            encoding, body = "7bit", content
        else:
            encoding, body = "quoted-printable", binascii.b2a_qp(data).decode()
        return (
            f"Content-Type: text/{kind}; charset=utf-8\n"
            f"Content-Transfer-Encoding: {encoding}\n\n{body}"
        )

    def _file(self, name: str, content: bytes) -> str:
        return (
            f'Content-Type: application/pdf; name="{name}"\n'
            f'Content-Disposition: attachment; filename="{name}"\n'
            f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(content).decode()}"
        )

    def _multipart(self, kind: str, *parts: str) -> str:
        boundary = f"----=_Part_{self._token()}"
        inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
        head = f'Content-Type: multipart/{kind};\n\tboundary="{boundary}"'
        return f"{head}\n\nThis is a multi-part message.\n{inner}--{boundary}--\n"

    def _text(self, size: int) -> str:
        foreign = self.chance.random() < 0.3
        lines = [
            " ".join(self._some(_WORDS + _FOREIGN if foreign else _WORDS, 10))
            for _ in range(size // 70)
        ]
        return "\n".join(lines) + "\n"

    def _html(self, size: int, text: str = "") -> str:
        rows = [
            f'<tr><td style="font-family: Arial, sans-serif; color: #333"><p>{self._text(210)}</p>'
            f'<a href="https://www.example.com/t/{self._token()}?u=1&amp;v=2">more</a></td></tr>\n'
            for _ in range(size // 420)
        ]
        table = f"<table>\n{''.join(rows)}</table>"
        return f"<!DOCTYPE html>\n<html><body><p>{text}</p>{table}</body></html>\n"

    def _some(self, of: tuple[str, ...], number: int) -> list[str]:
        return self.chance.choices(of, k=number)

    def _token(self) -> str:
        return f"{self.chance.getrandbits(96):024x}"

    def _name(self, name: str) -> str:
        return f'"{name}"' if name.isascii() else self._encoded(name)

    def _encoded(self, text: str) -> str:
        if text.isascii():
            return text
        pieces = [text[at : at + 14] for at in range(0, len(text), 14)]
        words = (base64.b64encode(piece.encode()).decode() for piece in pieces)
        return "\n ".join(f"=?UTF-8?B?{word}?=" for word in words)
