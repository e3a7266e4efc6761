"""The commands of any state and of the not authenticated state."""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from nornmail.testing.connection import Dropped
from nornmail.testing.faults import RejectLogin
from nornmail.testing.imap.command import Command, No
from nornmail.testing.imap.grammar import BadSyntax, Cursor
from nornmail.testing.transcript import HIDDEN

if TYPE_CHECKING:
    from nornmail.testing.accounts import Account
    from nornmail.testing.imap.session import Session

MAX_SASL_LINE = 12_288
"""Octets of a SASL answer (RFC 9051, section 4.3 names no limit; 12 KiB is the usual one)."""

_TOKEN_REFUSED = b'{"status":"401","schemes":"bearer","scope":"mail"}'
_BEARERS = {
    b"XOAUTH2": (re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([!-~]+)\x01\x01"), b""),
    b"OAUTHBEARER": (
        re.compile(
            rb"n,a=([^\x01,]*),\x01(?:(?:host|port)=[^\x01]*\x01)*auth=Bearer ([!-~]+)\x01\x01"
        ),
        binascii.b2a_base64(b"\x01", newline=False),
    ),
}
"""What a client says in each mechanism, and how it answers the challenge of a refusal."""

_NOT_ALLOWED = "[AUTHENTICATIONFAILED] Authentication failed."


def capability(session: Session, _: bytes, cursor: Cursor) -> str:
    """CAPABILITY."""
    cursor.end()
    session.conn.write(b"* CAPABILITY " + session.capability_list() + b"\r\n")
    return "OK CAPABILITY completed"


def noop(_session: Session, _: bytes, cursor: Cursor) -> str:
    """NOOP and CHECK."""
    cursor.end()
    return "OK completed"


def logout(session: Session, _: bytes, cursor: Cursor) -> str:
    """LOGOUT."""
    cursor.end()
    session.leave()
    session.conn.write(b"* BYE Logging out\r\n")

    def hang_up() -> None:
        raise Dropped("logged out")

    session.after_answer = hang_up
    return "OK LOGOUT completed"


def identify(session: Session, _: bytes, cursor: Cursor) -> str:
    """ID (RFC 2971)."""
    cursor.space()
    if not cursor.accept(b"NIL"):
        cursor.expect(b"(")
        while not cursor.accept(b")"):
            cursor.string()
            cursor.space()
            cursor.nil_or_string()
            cursor.accept(b" ")
    cursor.end()
    session.conn.write(b'* ID ("name" "nornmail.testing")\r\n')
    return "OK ID completed"


def starttls(session: Session, _: bytes, cursor: Cursor) -> str:
    """STARTTLS; the handshake follows the answer."""
    cursor.end()
    context = session.state.tls
    if context is None or session.conn.secure:
        raise BadSyntax("TLS is not available")

    def handshake() -> None:
        session.conn.start_tls(context)
        # As real servers do: TLS is up, so the password may come.
        session.capabilities -= {"STARTTLS", "LOGINDISABLED"}

    session.after_answer = handshake
    return "OK Begin TLS negotiation now"


def login(session: Session, _: bytes, cursor: Cursor) -> str:
    """LOGIN."""
    cursor.space()
    user = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    if "LOGINDISABLED" in session.capabilities:
        raise No("[PRIVACYREQUIRED] LOGIN is disabled")
    return _log_in(session, user, password)


def authenticate(session: Session, _: bytes, cursor: Cursor) -> str:
    """AUTHENTICATE, with the first answer in the command or after it.

    PLAIN (RFC 4616), and where their ``AUTH=`` is among the capabilities OAUTHBEARER (RFC 7628)
    and XOAUTH2.
    """
    cursor.space()
    mechanism = cursor.atom().upper()
    initial = None
    if "SASL-IR" in session.capabilities and cursor.accept(b" "):
        initial = cursor.astring()
    cursor.end()
    offered = f"AUTH={mechanism.decode('latin-1')}" in session.capabilities
    if not offered or mechanism not in (b"PLAIN", *_BEARERS):
        raise No("Unsupported authentication mechanism.")
    if initial is None:
        session.conn.write(b"+ \r\n")
        session.conn.flush()
        initial = session.conn.read_line(MAX_SASL_LINE, lambda _line: HIDDEN)
        if initial == b"*":
            raise BadSyntax("authentication cancelled")
    try:
        message = binascii.a2b_base64(initial, strict_mode=True)
    except binascii.Error as error:
        raise BadSyntax("not base64") from error
    if mechanism in _BEARERS:
        return _take_token(session, mechanism, message)
    parts = message.split(b"\0")
    if len(parts) != 3:
        raise No(_NOT_ALLOWED)
    return _log_in(session, parts[1], parts[2])


def _take_token(session: Session, mechanism: bytes, message: bytes) -> str:
    """Log in with a token. A refusal is told in a challenge first, which the client answers."""
    pattern, farewell = _BEARERS[mechanism]
    said = pattern.fullmatch(message)
    rejected = session.state.faults.take(RejectLogin, lambda _: True)
    user = said[1].replace(b"=2C", b",").replace(b"=3D", b"=") if said else b""
    if said is not None and not rejected:
        account = session.state.check_token(user.decode("utf-8", "replace"), said[2].decode())
        if account is not None:
            return _welcome(session, account)
    session.conn.write(b"+ " + binascii.b2a_base64(_TOKEN_REFUSED, newline=False) + b"\r\n")
    session.conn.flush()
    if session.conn.read_line(MAX_SASL_LINE) != farewell:
        raise BadSyntax("Invalid SASL argument")
    for fault in rejected:
        raise No(f"[{fault.code}] {fault.text}" if fault.code else fault.text)
    raise No(_NOT_ALLOWED)


def _log_in(session: Session, user: bytes, password: bytes) -> str:
    for fault in session.state.faults.take(RejectLogin, lambda _: True):
        raise No(f"[{fault.code}] {fault.text}" if fault.code else fault.text)
    try:
        account = session.state.check_password(user.decode(), password.decode())
    except UnicodeDecodeError as error:
        raise No(_NOT_ALLOWED) from error
    if account is None:
        raise No(_NOT_ALLOWED)
    return _welcome(session, account)


def _welcome(session: Session, account: Account) -> str:
    session.account = account
    return f"OK [CAPABILITY {session.capability_list().decode('ascii')}] Logged in"


COMMANDS = {
    "CAPABILITY": Command(capability, "any"),
    "NOOP": Command(noop, "any"),
    "LOGOUT": Command(logout, "any"),
    "ID": Command(identify, "any", capability="ID"),
    "STARTTLS": Command(starttls, "not authenticated", capability="STARTTLS"),
    "LOGIN": Command(login, "not authenticated"),
    "AUTHENTICATE": Command(authenticate, "not authenticated"),
}
"""The commands of this file."""
