"""Sockets and TLS on the way to an SMTP server, and the name by which we greet it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from typing import Final

from nornmail.errors import ConfigurationError, ConnectionLost
from nornmail.net.diagnose import Port, tls_failure
from nornmail.settings.smtp import SmtpSettings

HELO_LITERAL: Final = "[127.0.0.1]"
"""What a client without a name of its own says (RFC 5321, 4.1.3); it tells nothing about it."""
PLAIN_ADVICE: Final = "465 is the port for TLS from the first octet: set SMTP_PORT, mostly to 587"
TLS_ADVICE: Final = "the port speaks TLS from the first octet: set SMTP_PORT=465"

_HOST_NAME = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]",
    re.IGNORECASE,
)
_NOT_PUBLIC = (".local", ".localdomain", ".lan", ".internal", ".home", ".arpa", ".localhost")


def helo_name(host_name: str) -> str:
    """How we call ourselves in EHLO: this machine's name if it is a whole one, else a literal.

    Servers refuse half names (``build-7``), and a name that nobody else knows only tells about the
    network it is in.

    Args:
        host_name: as the system has it.
    """
    is_public = _HOST_NAME.fullmatch(host_name) and not host_name.lower().endswith(_NOT_PUBLIC)
    return host_name if is_public else HELO_LITERAL


def port_of(settings: SmtpSettings, seconds: float) -> Port:
    """Where the settings lead, and what to advise when it does not speak as it should."""
    return Port(
        protocol="SMTP",
        host=settings.host,
        port=settings.port,
        ca_file=settings.ca_file,
        seconds=seconds,
        plain_advice=PLAIN_ADVICE,
        tls_advice=TLS_ADVICE,
    )


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that checks the certificate and the host's name, always.

    Raises:
        ConfigurationError: ``ca_file`` cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        allowed = f"a readable file of certificates in PEM ({error_text(error)})"
        raise ConfigurationError("SMTP_CA_FILE", ca_file, allowed) from error


def connect(settings: SmtpSettings, remaining: Callable[[], float]) -> socket.socket:
    """A TCP connection.

    Args:
        settings: where to.
        remaining: seconds that are left; raises TimeoutError when none are.

    Raises:
        ConfigurationError: the host cannot be a host's name.
        ConnectionLost: nobody answered there.
    """
    where = f"cannot connect to {settings.host}:{settings.port}"
    try:
        sock = _first_that_answers(settings, remaining)
    except TimeoutError as error:
        raise ConnectionLost(f"{where}: no answer in time") from error
    except UnicodeError as error:
        raise ConfigurationError("SMTP_HOST", settings.host, "a host name") from error
    except OSError as error:
        raise ConnectionLost(f"{where}: {error_text(error)}") from error
    # The final dot goes out alone and must not wait for the acknowledgement of what was before it.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _first_that_answers(settings: SmtpSettings, remaining: Callable[[], float]) -> socket.socket:
    """A connection to the first address of the host that answers, all of them within the time.

    Raises:
        OSError: none does; that of the last one.
    """
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    trouble = OSError("the name has no address")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        share = remaining() / (len(found) - place)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(share)
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        else:
            return sock
    raise trouble


def wrap(
    sock: socket.socket, settings: SmtpSettings, remaining: Callable[[], float]
) -> ssl.SSLSocket:
    """The same connection inside TLS. Whatever goes wrong, the socket is closed.

    Raises:
        ConfigurationError: the CA file cannot be used.
        ConnectionLost: the handshake failed or the certificate is not to be trusted.
    """
    try:
        context = tls_context(settings.ca_file)
        sock.settimeout(remaining())
        return context.wrap_socket(sock, server_hostname=settings.host)
    except BaseException as error:
        sock.close()
        if not isinstance(error, OSError | ValueError) or isinstance(error, ConfigurationError):
            raise
        said, advice = tls_failure(port_of(settings, settings.timeout), error)
        raise ConnectionLost(f"no TLS with {settings.host}: {said}; {advice}") from error


def error_text(error: BaseException) -> str:
    """The text of a system error, never empty."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
