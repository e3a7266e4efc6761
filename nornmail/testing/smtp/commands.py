"""The commands of SMTP (RFC 5321, 4.1), each a function of the session and of its argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nornmail.testing.smtp import login
from nornmail.testing.smtp.command import Handler, Refused, Response
from nornmail.testing.smtp.grammar import Path, parse_path
from nornmail.testing.smtp.local_delivery import addressee, is_local
from nornmail.testing.smtp.transaction import Transaction

if TYPE_CHECKING:
    from nornmail.testing.smtp.session import Session

_MAIL_PARAMETERS = {
    "SIZE": "SIZE",
    "BODY": "8BITMIME",
    "SMTPUTF8": "SMTPUTF8",
    "RET": "DSN",
    "ENVID": "DSN",
}
"""Which extension a parameter of MAIL comes with; AUTH= comes with any mechanism."""

_RCPT_PARAMETERS = {"NOTIFY": "DSN", "ORCPT": "DSN"}


def ehlo(session: Session, argument: bytes) -> Response:
    """EHLO: the extensions, as they are offered now."""
    session.greet(_client_name(argument), esmtp=True)
    return Response(250, "", "\n".join([session.settings.name, *session.offered()]))


def helo(session: Session, argument: bytes) -> Response:
    """HELO."""
    session.greet(_client_name(argument), esmtp=False)
    return Response(250, "", session.settings.name)


def starttls(session: Session, argument: bytes) -> Response:
    """STARTTLS (RFC 3207); the handshake follows the answer, and all is forgotten."""
    _no_argument(argument, "STARTTLS")
    if session.conn.secure:
        raise Refused(503, "5.5.1", "TLS is active already")
    if "STARTTLS" not in session.extensions:
        raise Refused(502, "5.5.1", "STARTTLS is not available")
    session.after_answer = session.start_tls
    return Response(220, "2.0.0", "Ready to start TLS")


def mail(session: Session, argument: bytes) -> Response:
    """MAIL FROM: begins a message."""
    path = parse_path(argument, b"FROM:")
    settings = session.settings
    if session.helo is None:
        raise Refused(503, "5.5.1", "Send EHLO first")
    if settings.require_tls and not session.conn.secure:
        raise Refused(530, "5.7.0", "Must issue a STARTTLS command first")
    if settings.require_auth and session.user is None:
        raise Refused(530, "5.7.0", "Authentication required")
    if session.transaction is not None:
        raise Refused(503, "5.5.1", "Nested MAIL command")
    _check_parameters(session, path, _MAIL_PARAMETERS)
    _check_mail_values(session, path)
    _check_ascii(session, path, utf8="SMTPUTF8" in path.named())
    session.transaction = Transaction(path)
    return Response(250, "2.1.0", "Sender OK")


def rcpt(session: Session, argument: bytes) -> Response:
    """RCPT TO: another recipient."""
    path = parse_path(argument, b"TO:")
    transaction = session.transaction
    if transaction is None:
        raise Refused(503, "5.5.1", "Need a MAIL command first")
    if not path.address:
        raise Refused(501, "5.1.3", "A recipient is needed")
    _check_parameters(session, path, _RCPT_PARAMETERS)
    _check_ascii(session, path, utf8="SMTPUTF8" in transaction.sender.named())
    if len(transaction.recipients) >= session.settings.max_recipients:
        raise Refused(452, "4.5.3", "Too many recipients")
    if is_local(session.settings.local_domains, path.address) and (
        addressee(session.state.accounts, path.address) is None
    ):
        raise Refused(550, "5.1.1", "User unknown")
    transaction.recipients.append(path)
    return Response(250, "2.1.5", "Recipient OK")


def data(session: Session, argument: bytes) -> Response:
    """DATA: the message follows the answer."""
    transaction = session.transaction
    if transaction is None:
        raise Refused(503, "5.5.1", "Need a MAIL command first")
    _no_argument(argument, "DATA")
    if not transaction.recipients:
        raise Refused(554, "5.5.1", "No valid recipients")
    session.after_answer = session.read_message
    return Response(354, "", "End data with <CR><LF>.<CR><LF>")


def rset(session: Session, argument: bytes) -> Response:
    """RSET: the message that was begun is forgotten."""
    _no_argument(argument, "RSET")
    session.transaction = None
    return Response(250, "2.0.0", "OK")


def noop(_session: Session, _argument: bytes) -> Response:
    """NOOP, with any argument."""
    return Response(250, "2.0.0", "OK")


def vrfy(_session: Session, argument: bytes) -> Response:
    """VRFY: says nothing about anybody, as servers do."""
    if not argument:
        raise Refused(501, "5.5.4", "Syntax: VRFY address")
    return Response(252, "2.0.0", "Cannot VRFY user, but will take mail")


def help_(_session: Session, _argument: bytes) -> Response:
    """HELP."""
    return Response(214, "2.0.0", "Commands: " + " ".join(COMMANDS))


def quit_(session: Session, _argument: bytes) -> Response:
    """QUIT, with any argument: whoever wants to go may."""
    session.after_answer = session.hang_up
    return Response(221, "2.0.0", "Bye")


def _client_name(argument: bytes) -> str:
    if not argument:
        raise Refused(501, "", "Syntax: EHLO hostname")
    return argument.decode("utf-8", "replace")


def _no_argument(argument: bytes, name: str) -> None:
    if argument:
        raise Refused(501, "5.5.4", f"Syntax: {name}, without an argument")


def _check_parameters(session: Session, path: Path, known: dict[str, str]) -> None:
    """Refuse a parameter of an extension that is not offered (RFC 5321, 4.1.1.11)."""
    for name in path.named():
        extension = known.get(name)
        auth_offered = any(one.startswith("AUTH=") for one in session.extensions)
        if extension in session.extensions:
            continue
        if name == "AUTH" and known is _MAIL_PARAMETERS and auth_offered:
            continue
        raise Refused(555, "5.5.4", f"Unsupported option: {name}")


def _check_mail_values(session: Session, path: Path) -> None:
    values = path.named()
    size = values.get("SIZE")
    if size is not None:
        if not (size.isascii() and size.isdigit() and len(size) <= 20):
            raise Refused(501, "5.5.4", "Bad message size syntax")
        if int(size) > session.settings.max_message_bytes:
            raise Refused(552, "5.3.4", "Message size exceeds fixed limit")
    if values.get("BODY", "7BIT").upper() not in ("7BIT", "8BITMIME"):
        raise Refused(555, "5.5.4", "Unsupported option: this BODY")
    if values.get("SMTPUTF8"):
        raise Refused(501, "5.5.4", "SMTPUTF8 has no value")


def _check_ascii(session: Session, path: Path, *, utf8: bool) -> None:
    """Refuse an address that only SMTPUTF8 may carry (RFC 6531, 3.5)."""
    if not path.address.isascii() and not utf8:
        raise Refused(553, "5.6.7", "The address needs SMTPUTF8")


COMMANDS: dict[str, Handler] = {
    "EHLO": ehlo,
    "HELO": helo,
    "STARTTLS": starttls,
    "AUTH": login.authenticate,
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
