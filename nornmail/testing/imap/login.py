"""The commands of any state and of the not authenticated state."""

from __future__ import annotations

from functools import partial

from nornmail.testing.accounts import (
    BEARERS,
    MAX_SASL_LINE,
    MECHANISMS,
    TOKEN_REFUSED,
    Account,
    Credentials,
    decode_sasl,
    encode_sasl,
    read_credentials,
)
from nornmail.testing.connection import HIDDEN, Dropped
from nornmail.testing.imap.client import Client, Command, No
from nornmail.testing.imap.faults import RejectLogin
from nornmail.testing.imap.grammar import BadSyntax, Cursor

_FINAL_RESPONSES = {"XOAUTH2": b"", "OAUTHBEARER": encode_sasl(b"\x01")}
"""The client's answers to the challenge in which a token is refused."""

_NOT_ALLOWED = "[AUTHENTICATIONFAILED] Authentication failed."


def capability(client: Client, _: bytes, cursor: Cursor) -> str:
    """CAPABILITY."""
    cursor.end()
    client.conn.write(b"* CAPABILITY " + client.capability_list() + b"\r\n")
    return "OK CAPABILITY completed"


def noop(_client: Client, _: bytes, cursor: Cursor) -> str:
    """NOOP and CHECK."""
    cursor.end()
    return "OK completed"


def logout(client: Client, _: bytes, cursor: Cursor) -> str:
    """LOGOUT."""
    cursor.end()
    client.leave()
    client.conn.write(b"* BYE Logging out\r\n")

    def hang_up() -> None:
        client.conn.end_tls()
        raise Dropped("logged out")

    client.after_answer = hang_up
    return "OK LOGOUT completed"


def identify(client: Client, _: bytes, cursor: Cursor) -> str:
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
    client.identified = client.account is not None
    client.conn.write(b"* ID " + client.state.profile.identity + b"\r\n")
    return "OK ID completed"


def starttls(client: Client, _: bytes, cursor: Cursor) -> str:
    """STARTTLS; the handshake follows the answer."""
    cursor.end()
    context = client.state.tls
    if context is None or client.conn.secure:
        raise BadSyntax("TLS is not available")

    def handshake() -> None:
        client.conn.start_tls(context)
        # As real servers do: TLS is up, so the password may come.
        client.capabilities -= {"STARTTLS", "LOGINDISABLED"}

    client.after_answer = handshake
    return "OK Begin TLS negotiation now"


def login(client: Client, _: bytes, cursor: Cursor) -> str:
    """LOGIN."""
    cursor.space()
    user = cursor.astring()
    cursor.space()
    password = cursor.astring()
    cursor.end()
    if b"LOGINDISABLED" in client.capability_list().split():
        raise No("[PRIVACYREQUIRED] LOGIN is disabled")
    return _log_in(client, user, password)


def authenticate(client: Client, _: bytes, cursor: Cursor) -> str:
    """AUTHENTICATE, with the first answer in the command or after it.

    The mechanisms are those whose ``AUTH=`` is among the capabilities: PLAIN (RFC 4616), LOGIN,
    OAUTHBEARER (RFC 7628) and XOAUTH2.
    """
    cursor.space()
    mechanism = cursor.atom().upper().decode("latin-1")
    initial = None
    if client.has("SASL-IR") and cursor.accept(b" "):
        initial = cursor.astring()
    cursor.end()
    if mechanism not in MECHANISMS or not client.has(f"AUTH={mechanism}"):
        raise No("Unsupported authentication mechanism.")
    first = None if initial is None else _decoded(initial)
    credentials = read_credentials(mechanism, first, partial(_ask, client))
    if mechanism in BEARERS:
        return _take_token(client, mechanism, credentials)
    if credentials is None:
        raise No(_NOT_ALLOWED)
    return _log_in(client, *credentials)


def _ask(client: Client, challenge: bytes) -> bytes:
    """The client's answer to a challenge."""
    client.conn.write(b"+ " + encode_sasl(challenge) + b"\r\n")
    client.conn.flush()
    answer = client.conn.read_line(MAX_SASL_LINE, lambda _line: HIDDEN)
    if answer == b"*":
        raise BadSyntax("authentication cancelled")
    return _decoded(answer)


def _decoded(response: bytes) -> bytes:
    if response == b"=":
        return b""  # an empty initial response (RFC 4959, section 3)
    try:
        return decode_sasl(response)
    except ValueError as error:
        raise BadSyntax("not base64") from error


def _take_token(client: Client, mechanism: str, credentials: Credentials) -> str:
    """Log in with a token. A refusal comes in a challenge first, which the client answers."""
    rejected = client.state.take(RejectLogin, lambda _: True)
    account = None if rejected else client.state.check_token(credentials)
    if account is not None:
        return _welcome(client, account)
    client.conn.write(b"+ " + encode_sasl(TOKEN_REFUSED) + b"\r\n")
    client.conn.flush()
    if client.conn.read_line(MAX_SASL_LINE) != _FINAL_RESPONSES[mechanism]:
        raise BadSyntax("Invalid SASL argument")
    _raise_rejection(rejected)
    raise No(_NOT_ALLOWED)


def _log_in(client: Client, user: bytes, password: bytes) -> str:
    """Log in with a password."""
    over = client.state.over_limit(("login",), client.state.live)
    if over is not None:
        raise No(over.text.decode("latin-1"))
    _raise_rejection(client.state.take(RejectLogin, lambda _: True))
    account = client.state.check_password(user, password)
    if account is None:
        raise No(_NOT_ALLOWED)
    return _welcome(client, account)


def _raise_rejection(rejected: list[RejectLogin]) -> None:
    for fault in rejected:
        raise No(f"[{fault.code}] {fault.text}" if fault.code else fault.text)


def _welcome(client: Client, account: Account) -> str:
    client.account = account
    account.welcome()
    with client.state.lock:
        client.state.logins += 1
    capabilities = client.capability_list()
    match client.state.profile.tells_capabilities:
        case "in the answer":
            return f"OK [CAPABILITY {capabilities.decode('ascii')}] Logged in"
        case "before it":
            client.conn.write(b"* CAPABILITY " + capabilities + b"\r\n")
    return "OK Logged in"


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
