"""The commands of SMTP (RFC 5321, 4.1; RFC 4954), as functions of a client."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nornmail.testing.accounts import (
    BEARERS,
    MECHANISMS,
    TOKEN_REFUSED,
    decode_sasl,
    encode_sasl,
    read_credentials,
)
from nornmail.testing.smtp.client import Client
from nornmail.testing.smtp.grammar import Path, Refused, Reply, parse_path
from nornmail.testing.smtp.transaction import Transaction, addressee, is_local


def authenticate(client: Client, argument: bytes) -> Reply:
    """AUTH, with the first response in the command or after it."""
    words = argument.split()
    if not words or len(words) > 2:
        raise Refused(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
    name = words[0].upper().decode("latin-1")
    _check_allowed(client)
    if f"AUTH={name}" not in client.extensions or name not in MECHANISMS:
        raise Refused(504, "5.5.4", "Unrecognized authentication type")
    first = None if len(words) == 1 else b"" if words[1] == b"=" else _decoded(words[1])
    credentials = read_credentials(name, first, partial(_challenge, client))
    if name in BEARERS:
        account = client.state.check_token(credentials)
        if account is None:  # a refusal comes in a challenge, which the client answers
            _challenge(client, TOKEN_REFUSED)
    else:
        account = client.state.check_password(*credentials) if credentials else None
    if account is None:
        raise Refused(535, "5.7.8", "Authentication credentials invalid")
    client.user = account.user
    client.settings.count_login()
    return Reply(235, "2.7.0", "Authentication successful")


def _check_allowed(client: Client) -> None:
    if not any(name.startswith("AUTH=") for name in client.extensions):
        raise Refused(502, "5.5.1", "AUTH is not available")
    if client.hidden_until_tls():
        raise Refused(538, "5.7.11", "Encryption required for authentication")
    if client.user is not None:
        raise Refused(503, "5.5.1", "Already authenticated")
    if client.transaction is not None:
        raise Refused(503, "5.5.1", "AUTH is not allowed during a mail transaction")


def _challenge(client: Client, challenge: bytes) -> bytes:
    """Ask the client for its next response (RFC 4954, 4)."""
    line = client.ask(b"334 " + encode_sasl(challenge) + b"\r\n")
    if line == b"*":
        raise Refused(501, "5.7.0", "Authentication cancelled")
    return _decoded(line)


def _decoded(line: bytes) -> bytes:
    try:
        return decode_sasl(line)
    except ValueError as error:
        raise Refused(501, "5.5.2", "Not base64") from error


_MAIL_PARAMETERS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
}
"""The extension of each parameter of MAIL; AUTH= comes with any mechanism."""

_RCPT_PARAMETERS = {"NOTIFY": "DSN", "ORCPT": "DSN"}


def ehlo(client: Client, argument: bytes) -> Reply:
    """EHLO: the extensions, as they are offered now."""
    client.greet(_client_name(argument), esmtp=True)
    return Reply(250, "", "\n".join([client.settings.name, *client.offered()]))


def helo(client: Client, argument: bytes) -> Reply:
    """HELO."""
    client.greet(_client_name(argument), esmtp=False)
    return Reply(250, "", client.settings.name)


def starttls(client: Client, argument: bytes) -> Reply:
    """STARTTLS (RFC 3207); the handshake follows the answer, and all is forgotten."""
    _no_argument(argument, "STARTTLS")
    if client.conn.secure:
        raise Refused(503, "5.5.1", "TLS is active already")
    if "STARTTLS" not in client.extensions:
        raise Refused(502, "5.5.1", "STARTTLS is not available")
    client.next_step = "start TLS"
    return Reply(220, "2.0.0", "Ready to start TLS")


def mail(client: Client, argument: bytes) -> Reply:
    """MAIL FROM: begins a message."""
    path = parse_path(argument, b"FROM:")
    settings = client.settings
    if client.helo is None:
        raise Refused(503, "5.5.1", "Send EHLO first")
    if settings.require_tls and not client.conn.secure:
        raise Refused(530, "5.7.0", "Must issue a STARTTLS command first")
    if settings.require_auth and client.user is None:
        raise Refused(530, "5.7.0", "Authentication required")
    if client.transaction is not None:
        raise Refused(503, "5.5.1", "Nested MAIL command")
    _check_parameters(client, path, _MAIL_PARAMETERS)
    _check_mail_values(client, path)
    _check_ascii(client, path, utf8="SMTPUTF8" in path.named())
    client.transaction = Transaction(path)
    return Reply(250, "2.1.0", "Sender OK")


def rcpt(client: Client, argument: bytes) -> Reply:
    """RCPT TO: another recipient."""
    path = parse_path(argument, b"TO:")
    transaction = client.transaction
    if transaction is None:
        raise Refused(503, "5.5.1", "Need a MAIL command first")
    if not path.address:
        raise Refused(501, "5.1.3", "A recipient is needed")
    _check_parameters(client, path, _RCPT_PARAMETERS)
    _check_ascii(client, path, utf8="SMTPUTF8" in transaction.sender.named())
    if len(transaction.recipients) >= client.settings.max_recipients:
        raise Refused(452, "4.5.3", "Too many recipients")
    if is_local(client.settings.local_domains, path.address) and (
        addressee(client.state.accounts, path.address) is None
    ):
        raise Refused(550, "5.1.1", "User unknown")
    transaction.recipients.append(path)
    return Reply(250, "2.1.5", "Recipient OK")


def data(client: Client, argument: bytes) -> Reply:
    """DATA: the message follows the answer."""
    transaction = client.transaction
    if transaction is None:
        raise Refused(503, "5.5.1", "Need a MAIL command first")
    _no_argument(argument, "DATA")
    if not transaction.recipients:
        raise Refused(554, "5.5.1", "No valid recipients")
    client.next_step = "read the message"
    return Reply(354, "", "End data with <CR><LF>.<CR><LF>")


def rset(client: Client, argument: bytes) -> Reply:
    """RSET: the message that was begun is forgotten."""
    _no_argument(argument, "RSET")
    client.transaction = None
    return Reply(250, "2.0.0", "OK")


def noop(_client: Client, _argument: bytes) -> Reply:
    """NOOP, with any argument."""
    return Reply(250, "2.0.0", "OK")


def vrfy(_client: Client, argument: bytes) -> Reply:
    """VRFY: reveals nothing, as on real servers."""
    if not argument:
        raise Refused(501, "5.5.4", "Syntax: VRFY address")
    return Reply(252, "2.0.0", "Cannot VRFY user, but will take mail")


def help_(_client: Client, _argument: bytes) -> Reply:
    """HELP."""
    return Reply(214, "2.0.0", "Commands: " + " ".join(COMMANDS))


def quit_(client: Client, _argument: bytes) -> Reply:
    """QUIT, with any argument."""
    client.next_step = "hang up"
    return Reply(221, "2.0.0", "Bye")


def _client_name(argument: bytes) -> str:
    if not argument:
        raise Refused(501, "", "Syntax: EHLO hostname")
    return argument.decode("utf-8", "replace")


def _no_argument(argument: bytes, name: str) -> None:
    if argument:
        raise Refused(501, "5.5.4", f"Syntax: {name}, without an argument")


def _check_parameters(client: Client, path: Path, known: dict[str, str]) -> None:
    """Refuse a parameter of an extension that is not offered (RFC 5321, 4.1.1.11)."""
    for name in path.named():
        extension = known.get(name)
        auth_offered = any(name.startswith("AUTH=") for name in client.extensions)
        if extension in client.extensions:
            continue
        if name == "AUTH" and known is _MAIL_PARAMETERS and auth_offered:
            continue
        raise Refused(555, "5.5.4", f"Unsupported option: {name}")


def _check_mail_values(client: Client, path: Path) -> None:
    values = path.named()
    size = values.get("SIZE")
    if size is not None:
        if not (size.isascii() and size.isdigit() and len(size) <= 20):
            raise Refused(501, "5.5.4", "Bad message size syntax")
        if int(size) > client.settings.max_message_bytes:
            raise Refused(552, "5.3.4", "Message size exceeds fixed limit")
    if values.get("BODY", "7BIT").upper() not in ("7BIT", "8BITMIME"):
        raise Refused(555, "5.5.4", "Unsupported option: this BODY")
    if values.get("SMTPUTF8"):
        raise Refused(501, "5.5.4", "SMTPUTF8 has no value")


def _check_ascii(client: Client, path: Path, *, utf8: bool) -> None:
    """Refuse an address that only SMTPUTF8 may carry (RFC 6531, 3.5)."""
    if not path.address.isascii() and not utf8:
        raise Refused(553, "5.6.7", "The address needs SMTPUTF8")


Handler = Callable[[Client, bytes], Reply]
"""Gets the octets behind the command's name and a blank; acts, and returns the answer."""

COMMANDS: dict[str, Handler] = {
    "EHLO": ehlo,
    "HELO": helo,
    "STARTTLS": starttls,
    "AUTH": authenticate,
    "MAIL": mail,
    "RCPT": rcpt,
    "DATA": data,
    "RSET": rset,
    "NOOP": noop,
    "VRFY": vrfy,
    "HELP": help_,
    "QUIT": quit_,
}
"""Every command of the server, by its name; each is a stage of `nornmail.testing.smtp.faults`."""
