"""Messages that try to have an answer sent to somebody else. All of it is our own.

Each case: what it does, its fields, whom an answer is meant for, and whom an answer to all is meant
for where that is somebody else. Nobody means that no answer can be written.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

ANN: Final = "ann@example.org"
EVIL: Final = "evil@evil.example"
OWN: Final = ("agent@example.com", "sales@example.com")
DEFAULTS: Final = {
    "From": "Ann <ann@example.org>",
    "To": "agent@example.com",
    "Subject": "Hello",
    "Message-ID": "<m1@example.org>",
    "Date": "Tue, 24 Nov 2026 12:00:00 +0000",
}


@dataclass(frozen=True)
class Case:
    """One message.

    Attributes:
        name: what it tries.
        fields: those that differ from :data:`DEFAULTS`, as they stand on the wire.
        to: whom an answer goes to; empty where there is none.
        all: whom an answer to all goes to; ``None`` where that is the same.
        body: its text.
    """

    name: str
    fields: dict[str, str]
    to: tuple[str, ...] = (ANN,)
    all: tuple[str, ...] | None = None
    body: str = "Hello.\n"

    @property
    def everyone(self) -> tuple[str, ...]:
        """Whom an answer to all goes to."""
        return self.to if self.all is None else self.all

    def raw(self) -> bytes:
        fields = DEFAULTS | self.fields
        lines = [f"{name}: {value}\r\n" for name, value in fields.items() if value != "-"]
        return ("".join(lines) + "\r\n" + self.body).encode("utf-8", "surrogateescape")


def b(text: str, charset: str = "utf-8") -> str:
    """An encoded word."""
    return f"=?{charset}?b?{b64encode(text.encode(charset)).decode()}?="


def q(text: str) -> str:
    """An encoded word in Q, with everything in it escaped."""
    return "=?utf-8?q?" + "".join(f"={one:02X}" for one in text.encode()) + "?="


LONG = "x" * 5_000
NEW_FIELD = f"x\r\nBcc: {EVIL}"
SUBJECTS = [
    Case("an encoded CRLF and Bcc in the subject", {"Subject": q(f"Hi\r\nBcc: {EVIL}")}),
    Case("an encoded LF and Bcc in the subject", {"Subject": q(f"Hi\nBcc: {EVIL}")}),
    Case("an encoded CR and Bcc in the subject", {"Subject": q(f"Hi\rBcc: {EVIL}")}),
    Case("a base64 CRLF and To in the subject", {"Subject": b(f"Hi\r\nTo: {EVIL}")}),
    Case("an encoded line separator in the subject", {"Subject": q(f"Hi\u2028Bcc: {EVIL}")}),
    Case("an encoded NEL in the subject", {"Subject": q(f"Hi\u0085Bcc: {EVIL}")}),
    Case("a raw line separator in the subject", {"Subject": f"Hi\u2028Bcc: {EVIL}"}),
    Case("a raw NEL in the subject", {"Subject": f"Hi\u0085Bcc: {EVIL}"}),
    Case("a vertical tab and a form feed in the subject", {"Subject": f"Hi\x0bBcc: {EVIL}\x0cx"}),
    Case("a NUL in the subject", {"Subject": f"Hi\0Bcc: {EVIL}"}),
    Case("an encoded NUL in the subject", {"Subject": q(f"Hi\0Bcc: {EVIL}")}),
    Case("a bare CR in the subject", {"Subject": f"Hi\rBcc: {EVIL}"}),
    Case("a bare LF in the subject, folded", {"Subject": f"Hi\n Bcc: {EVIL}"}),
    Case("two empty lines, encoded, in the subject", {"Subject": q(f"Hi\r\n\r\nBcc: {EVIL}")}),
    Case("a subject in UTF-16 with a line end", {"Subject": b(f"Hi\r\nBcc: {EVIL}", "utf-16")}),
    Case("a subject in UTF-7 with a line end", {"Subject": b(f"Hi\r\nBcc: {EVIL}", "utf-7")}),
    Case("a subject in a charset that there is not", {"Subject": "=?x-evil?q?=0D=0ABcc:_x?="}),
    Case("a subject with a lone surrogate", {"Subject": "=?utf-8?q?=ED=A0=80=0D=0ABcc:?="}),
    Case("a subject of nothing but line ends", {"Subject": q("\r\n\r\n")}),
    Case("a subject of one word of a megabyte", {"Subject": "x" * 400_000}),
    Case("a subject of thousands of marks", {"Subject": "Re: " * 5_000 + "x"}),
    Case("a subject of thousands of encoded words", {"Subject": " ".join([q("x")] * 5_000)}),
    Case("an encoded word within an encoded word", {"Subject": q("=?utf-8?q?=0D=0ABcc:?=")}),
    Case("a subject that is a header", {"Subject": f"Bcc: {EVIL}"}),
    Case("controls of a terminal in the subject", {"Subject": q("a\x9b31mb\x80\x9f\x1b[31m")}),
    Case("no subject", {"Subject": "-"}),
]
NAMES = [
    Case("an encoded CRLF in the name", {"From": q(f"Ann\r\nBcc: {EVIL}") + f" <{ANN}>"}),
    Case("an encoded CRLF in the middle of names", {"From": f"Ann {q(NEW_FIELD)} B <{ANN}>"}),
    Case("an address as the name", {"From": f'"{EVIL}" <{ANN}>'}),
    Case("an address as the name, glued", {"From": f"{EVIL}<{ANN}>"}),
    Case("an address as the name, unquoted", {"From": f"{EVIL} <{ANN}>"}),
    Case("an encoded address as the name", {"From": f"{q(EVIL)} <{ANN}>"}),
    Case("an encoded address in brackets in the name", {"From": f"{q(f'<{EVIL}>,')} <{ANN}>"}),
    Case("a list of addresses as the name", {"From": f'"{EVIL}, {EVIL}" <{ANN}>'}),
    Case("a quote that ends within the name", {"From": f'"Ann\\" <{EVIL}>, \\"B" <{ANN}>'}),
    Case("a long quoted name with addresses, which some refold",
         {"From": '"' + f"Ann, {EVIL}, " * 30 + f'" <{ANN}>'}),
    Case("a long quoted name with a comma at each place of a fold",
         {"From": '"' + "a, " * 100 + f'" <{ANN}>'}),
    Case("a long encoded name with commas", {"From": q(f"Ann, {EVIL}, ") * 30 + f" <{ANN}>"}),
    Case("a name of thousands of characters", {"From": f'"{LONG}" <{ANN}>'}),
    Case("a name with a colon: a group to some", {"From": f'"Friends:" <{ANN}>'}),
    Case("a name with a semicolon", {"From": f'"Ann; Bob" <{ANN}>'}),
    Case("a name with a backslash at its end", {"From": f'"Ann\\\\" <{ANN}>'}),
    Case("a name with a comment in it", {"From": f'"Ann (ceo)" <{ANN}>'}),
    Case("a NUL in the name", {"From": f'"A\0nn" <{ANN}>'}),
    Case("a line separator in the name", {"From": f'"A\u2028nn, {EVIL}" <{ANN}>'}),
    Case("a wide at sign in the name", {"From": f'"evil\uff20evil.example" <{ANN}>'}),
    Case("marks that turn the direction of writing", {"From": f'"\u202egro.live" <{ANN}>'}),
    Case("a name that is an encoded word when read twice", {"From": f"{q(q(EVIL))} <{ANN}>"}),
]  # fmt: skip
ADDRESSES = [
    Case("an encoded address and nothing else", {"From": q(EVIL)}, ()),
    Case("an encoded word as a local part", {"From": "=?utf-8?q?evil?=@example.org"}, ()),
    Case("an encoded word in brackets", {"From": f"Ann <{q('evil@evil.example,')}@example.org>"},
         ()),
    Case("an encoded domain", {"From": f"Ann <ann@{q('example.org')}>"}, ()),
    Case("a comment with an address in it", {"From": f"{ANN} (or <{EVIL}>)"}),
    Case("a comment within the address", {"From": f"Ann <ann@(<{EVIL}>)example.org>"}, ()),
    Case("a route through somebody else", {"From": f"Ann <@evil.example:{ANN}>"}),
    Case("two addresses in one pair of brackets", {"From": f"Ann <{ANN},{EVIL}>"}, ()),
    Case("two addresses in From", {"From": f"{ANN}, {EVIL}"}),
    Case("a group in From", {"From": f"Friends: {ANN}, {EVIL};"}),
    Case("blanks around the at sign", {"From": "ann @ example.org"}),
    Case("a local part in quotes with a bracket", {"From": '"ann> RCPT TO:<evil"@example.org'}, ()),
    Case("a local part in quotes with a comma", {"From": f'"{EVIL},"@example.org'},
         (f'"{EVIL},"@example.org',)),
    Case("a parameter of ESMTP in the address",
         {"From": "<ann@example.org NOTIFY=NEVER>"}, (ANN,)),
    Case("a CR in the address", {"From": "<ann@example\r.org>"}, (ANN,)),
    Case("an address of hundreds of characters", {"From": f"<{'a' * 300}@example.org>"}, ()),
    Case("a domain of hundreds of characters", {"From": f"<a@{'b' * 70}.example>"}, ()),
    Case("a domain that ends in a hyphen", {"From": "<ann@example-.org>"}, ()),
    Case("two at signs", {"From": "<ann@evil.example@example.org>"}, ()),
    Case("no local part", {"From": "<@example.org>"}, ()),
    Case("no domain", {"From": "<ann@>"}, ()),
    Case("a domain in Unicode", {"From": "<ann@bücher.example>"}, ("ann@xn--bcher-kva.example",)),
    Case("a domain that two rules read differently", {"From": "<ann@faß.example>"}, ()),
    Case("a domain with a wide dot", {"From": "<ann@example\u3002org>"}, (ANN,)),
    Case("a domain that becomes a path", {"From": "<ann@ex\u2100mple.org>"}, ()),
    Case("a local part in Unicode", {"From": "<ünal@example.org>"}, ("ünal@example.org",)),
    Case("a local part with what cannot be seen", {"From": "<an\u200bn@example.org>"}, ()),
    Case("a pair of brackets that is not closed", {"From": f"Ann <{ANN}"}),
    Case("a quote that is not closed", {"From": f'"Ann <{ANN}>'}),
    Case("an empty path", {"From": "<>"}, ()),
    Case("a name alone", {"From": "Ann"}, ()),
    Case("no From", {"From": "-"}, ()),
]  # fmt: skip
REPLY_TO = [
    Case("Reply-To is honoured", {"Reply-To": "bob@example.net"}, ("bob@example.net",)),
    Case("Reply-To with a list", {"Reply-To": "bob@example.net, Cy <cy@example.net>"},
         ("bob@example.net", "cy@example.net")),
    Case("Reply-To with one of us among others",
         {"Reply-To": "bob@example.net, Agent+x@Example.com"}, ("bob@example.net",)),
    Case("Reply-To that nobody can write to", {"Reply-To": "see below"}, (ANN,)),
    Case("an empty Reply-To", {"Reply-To": "<>"}),
    Case("the same mailbox thrice in Reply-To",
         {"Reply-To": "bob@example.net, BOB@example.net, b <bob@Example.NET>"},
         ("bob@example.net",)),
    Case("an encoded CRLF in the name of Reply-To",
         {"Reply-To": q(f"x\r\nBcc: {EVIL}") + " <bob@example.net>"}, ("bob@example.net",)),
    Case("an address as a name in Reply-To", {"Reply-To": f'"{EVIL}" <bob@example.net>'},
         ("bob@example.net",)),
    Case("ten in Reply-To",
         {"Reply-To": ", ".join(f"v{n}@friend{n}.example" for n in range(10))},
         tuple(f"v{n}@friend{n}.example" for n in range(10))),
    Case("a crowd in Reply-To",
         {"Reply-To": ", ".join(f"v{n}@victim{n}.example" for n in range(11))}, ()),
]  # fmt: skip
ALL = [
    Case("all but ourselves, in any case and with any tag",
         {"To": "AGENT@example.COM, Sales+eu@example.com, bob@example.net", "Cc": "cy@example.net"},
         all=(ANN, "bob@example.net", "cy@example.net")),
    Case("duplicates in any case", {"Cc": "Ann@Example.org, bob@example.net, BOB@example.net"},
         all=(ANN, "bob@example.net")),
    Case("Bcc of a message is nobody's business", {"Bcc": EVIL}),
    Case("Resent fields name nobody to answer to",
         {"Resent-To": EVIL, "Resent-Cc": EVIL, "Resent-From": EVIL}),
    Case("delivery fields name nobody to answer to",
         {"Delivered-To": EVIL, "X-Original-To": EVIL, "Return-Path": f"<{EVIL}>"}),
    Case("Sender is nobody to answer to", {"Sender": EVIL}),
    Case("undisclosed recipients", {"To": "undisclosed-recipients:;"}),
    Case("a group in Cc", {"Cc": "Team: bob@example.net, cy@example.net;"},
         all=(ANN, "bob@example.net", "cy@example.net")),
    Case("an address as a name in Cc", {"Cc": f'"{EVIL}" <bob@example.net>'},
         all=(ANN, "bob@example.net")),
    Case("a long name with addresses in Cc",
         {"Cc": '"' + f"Bob, {EVIL}, " * 30 + '" <bob@example.net>'},
         all=(ANN, "bob@example.net")),
    Case("an encoded comma in Cc", {"Cc": f"{q(f'Bob, {EVIL}')} <bob@example.net>"},
         all=(ANN, "bob@example.net")),
    Case("what nobody can write to is left out of Cc",
         {"Cc": f"bob@example.net, <x@y z>, see below, <a@b@c>, {q(EVIL)}"},
         all=(ANN, "bob@example.net", "x@y")),
    Case("an encoded CRLF in Cc", {"Cc": q(f"x\r\nBcc: {EVIL}") + " <bob@example.net>"},
         all=(ANN, "bob@example.net")),
    Case("a crowd in Cc", {"Cc": ", ".join(f"v{n}@victim{n}.example" for n in range(150))},
         all=()),
    Case("two To fields in one", {"To": f"agent@example.com\r\nTo: {EVIL}"}, all=(ANN, EVIL)),
]  # fmt: skip
THREADS = [
    Case("an encoded CRLF in the Message-ID", {"Message-ID": q(f"<a@b>\r\nBcc: {EVIL}")}),
    Case("an encoded Bcc within the Message-ID, in its brackets",
         {"Message-ID": f"<a{b(NEW_FIELD)}@example.org>", "References": f"<{q(NEW_FIELD)}@x>"}),
    Case("a CR within the Message-ID", {"Message-ID": f"<a\rBcc: {EVIL}@b>"}),
    Case("a NUL within the Message-ID", {"Message-ID": "<a\0b@c>"}),
    Case("a Message-ID beyond ASCII", {"Message-ID": "<ä@b>"}),
    Case("a line separator within the Message-ID", {"Message-ID": "<a\u2028Bcc:@b>"}),
    Case("a Message-ID of thousands of characters", {"Message-ID": f"<{LONG}@b>"}),
    Case("a Message-ID of one line", {"Message-ID": f"<{'a' * 990}@b>"}),
    Case("no Message-ID", {"Message-ID": "-"}),
    Case("a Message-ID without brackets", {"Message-ID": "a@b"}),
    Case("a thousand references",
         {"References": " ".join(f"<{n}@x.example>" for n in range(1_000))}),
    Case("references with addresses in them", {"References": f"<a@b> {EVIL} <{EVIL}, c@d>"}),
    Case("an encoded CRLF in References", {"References": q(f"<a@b>\r\nBcc: {EVIL}")}),
    Case("a bracket in References that never ends", {"References": "<" + LONG}),
    Case("In-Reply-To in words", {"In-Reply-To": f"Your message of Monday <{EVIL}>"}),
]  # fmt: skip
BODIES = [
    Case("the end of data within the text", {},
         body=f"x\r\n.\r\nMAIL FROM:<{EVIL}>\r\nRCPT TO:<{EVIL}>\r\nDATA\r\n"),
    Case("the end of data in the manner of smugglers", {},
         body=f"x\n.\nMAIL FROM:<{EVIL}>\nx\r.\rRCPT TO:<{EVIL}>\n\r\n.\r\r\n"),
    Case("a boundary within the text", {},
         body="--=_000000000000000000000000\r\nContent-Type: x\r\n"),
    Case("a header within the text", {}, body=f"Bcc: {EVIL}\r\n\r\nBcc: {EVIL}\r\n"),
    Case("a NUL and controls within the text", {}, body="a\0b\x1b[31m\x85\u2028c\r\n"),
    Case("one line of a megabyte", {}, body="x" * 1_000_000),
    Case("a date that would be two lines", {"Date": q(NEW_FIELD)}),
]  # fmt: skip

CASES: Final = [*SUBJECTS, *NAMES, *ADDRESSES, *REPLY_TO, *ALL, *THREADS, *BODIES]
