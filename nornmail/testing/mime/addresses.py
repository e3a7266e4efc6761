"""Address lists (RFC 5322, section 3.4) as ENVELOPE tells them (RFC 3501, section 7.4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from nornmail.testing.mime.lexer import Lexer

MAX_ADDRESSES = 10_000
"""Addresses after which no more are read; no real mail has more."""

NO_MAILBOX, NO_DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"
BROKEN, BAD_ROUTE = b"SYNTAX_ERROR", b"INVALID_ROUTE"
"""Placeholders for a missing or broken part of an address, as Dovecot writes them:
NIL would mean a group."""


@dataclass(frozen=True, slots=True)
class Address:
    """The four values of an address.

    A group begins with a mailbox that has no host, and ends with four times None.
    """

    name: bytes | None = None
    route: bytes | None = None
    mailbox: bytes | None = None
    host: bytes | None = None


def parse_addresses(value: bytes) -> list[Address]:
    """Every address of a header; what cannot be read is left out or marked, and never an error."""
    return _Reader(value).read()


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._lexer = Lexer(value)
        self._found: list[Address] = []

    def read(self) -> list[Address]:
        lexer = self._lexer
        lexer.skip()
        while not lexer.done and len(self._found) < MAX_ADDRESSES:
            self._address()
            if not lexer.accept(b","):
                break  # what follows cannot be told from garbage
        return self._found

    def _address(self) -> None:
        start = self._lexer.at
        name = self._lexer.phrase()
        if name is not None and self._lexer.peek() == b":":
            self._group(name)
            return
        self._back(start)
        self._mailbox()

    def _group(self, name: bytes) -> None:
        lexer = self._lexer
        lexer.accept(b":")
        self._found.append(Address(mailbox=name))
        while not lexer.done and lexer.peek() != b";":
            self._mailbox()
            if not lexer.accept(b","):
                break
        lexer.accept(b";")
        self._found.append(Address())

    def _mailbox(self) -> None:
        lexer = self._lexer
        start = lexer.at
        name = lexer.phrase()
        if name is not None and lexer.peek() == b"<":
            self._angle(name or None)
        elif lexer.words > 1:
            self._add(name, None, None, None)  # somebody's name, and no address
        else:
            self._back(start)
            lexer.comment = None
            mailbox, host = self._addr_spec()
            self._add(self._comment(), None, mailbox, host)

    def _angle(self, name: bytes | None) -> None:
        lexer = self._lexer
        lexer.accept(b"<")
        route = self._route() if lexer.peek() == b"@" else None
        if route == BAD_ROUTE:
            self._add(name, route, None, None)
            return
        lexer.comment = None
        mailbox, host = (None, None) if lexer.peek() == b">" else self._addr_spec()
        if (mailbox and lexer.text[lexer.at - 1 : lexer.at] == b"@") or not lexer.accept(b">"):
            host = BROKEN
        self._add(name, route, mailbox, host)

    def _route(self) -> bytes:
        """``@one,@two:`` in front of an address (RFC 822, section 6.2.7)."""
        lexer, hosts = self._lexer, list[bytes]()
        while lexer.accept(b"@"):
            hosts.append(b"@" + (lexer.domain() or b""))
            while lexer.accept(b","):
                continue
        return b",".join(hosts) if lexer.accept(b":") else BAD_ROUTE

    def _addr_spec(self) -> tuple[bytes | None, bytes | None]:
        lexer = self._lexer
        mailbox = lexer.quoted() if lexer.peek() == b'"' else self._dot_atom()
        host = lexer.domain() if lexer.accept(b"@") else None
        return mailbox, host

    def _dot_atom(self) -> bytes | None:
        lexer, parts = self._lexer, list[bytes]()
        while not lexer.done:
            if lexer.accept(b"."):
                parts.append(b".")
            elif not parts or parts[-1] == b".":
                part = lexer.atom()
                if part is None:
                    break
                parts.append(part)
            else:
                break
        return b"".join(parts) or None

    def _comment(self) -> bytes | None:
        """The text of a comment after an address, once the usual place of the name."""
        return self._lexer.comment or None

    def _add(
        self, name: bytes | None, route: bytes | None, mailbox: bytes | None, host: bytes | None
    ) -> None:
        shown = NO_MAILBOX if mailbox is None else mailbox
        self._found.append(Address(name, route, shown, host or NO_DOMAIN))

    def _back(self, start: int) -> None:
        self._lexer.at, self._lexer.broken = start, False
