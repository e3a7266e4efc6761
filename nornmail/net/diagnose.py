"""Whether a port can be reached and speaks TLS: the steps that are the same for IMAP and SMTP.

Each step makes a connection of its own and lets it go, so that what fails is told apart.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass

# ---- One step on the way to a working mailbox, as ``nornmail check`` shows it.


@dataclass(frozen=True, slots=True)
class Step:
    """What became of one step.

    Attributes:
        name: which, as ``"IMAP login"``.
        ok: whether it went well.
        said: what was found, on one line.
        advice: what to do about it; ``""`` where there is nothing, or ``said`` has it.
    """

    name: str
    ok: bool
    said: str
    advice: str = ""


PATIENCE = 15.0
"""Seconds that a step may take, where the settings allow no less: a person waits for it."""
SHOWN_ADDRESSES = 4
"""Addresses of a name that are shown."""
PLAIN_ANSWERS = frozenset(
    {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
"""What OpenSSL says when the other side speaks plain text."""
_EXPIRED, _NOT_YET_VALID = 10, 9
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
"""Of OpenSSL's X509_V_ERR codes, those with an advice of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port, and what the settings that lead to it are called.

    Attributes:
        protocol: ``"IMAP"`` or ``"SMTP"``, which the names of the settings begin with.
        host: the server's name.
        port: where.
        ca_file: a private certification authority.
        seconds: that a step may take.
        plain_advice: what to set when the port speaks no TLS from the first octet.
        tls_advice: what to set when it speaks nothing else.
    """

    protocol: str
    host: str
    port: int
    ca_file: str | None
    seconds: float
    plain_advice: str
    tls_advice: str


def reach(port: Port, *, tls: bool) -> Generator[Step, None, bool]:
    """Look the name up, connect, and begin TLS where it comes first.

    Returns:
        Whether all of it went well; the first step that did not is the last one.
    """
    for attempt in (_look_up, _connect, *((_begin_tls,) if tls else ())):
        step = attempt(port)
        yield step
        if not step.ok:
            return False
    return True


def speaks_tls(port: Port) -> bool:
    """Whether the port speaks TLS from the first octet, whatever its certificate is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: the handshake itself is the answer
    try:
        with (
            socket.create_connection((port.host, port.port), port.seconds) as sock,
            context.wrap_socket(sock, server_hostname=port.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def _look_up(port: Port) -> Step:
    name = f"{port.protocol} name"
    variable = f"{port.protocol}_HOST"
    try:
        found = socket.getaddrinfo(port.host, port.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = f"{port.host} is not known ({_words(error)})"
        return Step(name, False, said, f"check {variable}, and this machine's name servers")
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    shown = ", ".join(addresses[:SHOWN_ADDRESSES])
    more = f" and {len(addresses) - SHOWN_ADDRESSES} more"
    return Step(name, True, f"{port.host} is {shown}{more * (len(addresses) > SHOWN_ADDRESSES)}")


def _connect(port: Port) -> Step:
    name = f"{port.protocol} TCP"
    where = f"port {port.port}"
    began = time.monotonic()
    try:
        socket.create_connection((port.host, port.port), port.seconds).close()
    except TimeoutError:
        said = f"{where} does not answer within {port.seconds:g} s"
        advice = f"a firewall may be in between; check {port.protocol}_HOST, {port.protocol}_PORT"
        return Step(name, False, said, advice)
    except ConnectionRefusedError:
        said = f"{where} refuses connections: nothing listens there"
        return Step(name, False, said, f"check {port.protocol}_HOST and {port.protocol}_PORT")
    except OSError as error:
        return Step(name, False, f"{where}: {_words(error)}", "check this machine's network")
    return Step(name, True, f"{where} answers in {(time.monotonic() - began) * 1000:.0f} ms")


def _begin_tls(port: Port) -> Step:
    name = f"{port.protocol} TLS"
    try:
        context = ssl.create_default_context(cafile=port.ca_file)
    except (OSError, ValueError) as error:
        said = f"{port.ca_file} cannot be read as certificates in PEM ({_words(error)})"
        return Step(name, False, said, f"check {port.protocol}_CA_FILE")
    try:
        with (
            socket.create_connection((port.host, port.port), port.seconds) as sock,
            context.wrap_socket(sock, server_hostname=port.host) as tls,
        ):
            return Step(name, True, described(tls))
    except (OSError, ValueError) as error:
        return Step(name, False, *tls_failure(port, error))


def described(tls: ssl.SSLSocket) -> str:
    """A connection inside TLS, in words."""
    certificate = tls.getpeercert() or {}
    until = ""
    with suppress(KeyError, ValueError, TypeError):  # shown if it can be read, else left out
        seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        until = (
            f", its certificate is valid until {time.strftime('%Y-%m-%d', time.gmtime(seconds))}"
        )
    return f"{tls.version()}{until}"


def tls_failure(port: Port, error: OSError | ValueError) -> tuple[str, str]:
    """What went wrong with TLS, and what to do about it."""
    host, ca_file = f"{port.protocol}_HOST", f"{port.protocol}_CA_FILE"
    if isinstance(error, ssl.SSLCertVerificationError):
        said = f"the certificate is refused: {error.verify_message or error.reason}".rstrip(".")
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
            return said, "its owner must renew it; check this machine's clock as well"
        if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
            return said, f"set {host} to a name that the certificate has"
        return said, f"for a private authority set {ca_file} to its certificate in PEM"
    if isinstance(error, ssl.SSLError) and error.reason in PLAIN_ANSWERS:
        return "the port speaks no TLS from the first octet", port.plain_advice
    if isinstance(error, TimeoutError):
        said = f"the handshake does not end within {port.seconds:g} s"
        return said, f"check {port.protocol}_PORT"
    return f"the handshake failed: {_words(error)}", port.plain_advice


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
