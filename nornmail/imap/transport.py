"""Sockets and TLS: connecting, and saying in words what a failure means for the settings."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable

from nornmail.errors import ConfigurationError, ConnectionLost
from nornmail.imap.translate import described
from nornmail.net.diagnose import PLAIN_ANSWERS


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that checks the certificate and the host's name, always.

    Raises:
        ConfigurationError: ``ca_file`` cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        allowed = f"a readable file of certificates in PEM ({described(error)})"
        raise ConfigurationError("IMAP_CA_FILE", ca_file, allowed) from error


def connect(host: str, port: int, remaining: Callable[[], float]) -> socket.socket:
    """A TCP connection.

    Args:
        remaining: seconds that are left; raises TimeoutError when none are.

    Raises:
        ConfigurationError: ``host`` cannot be a host's name.
        ConnectionLost: nobody answered there.
    """
    where = f"cannot connect to {host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout=remaining())
    except TimeoutError as error:
        raise ConnectionLost(f"{where}: no answer in time") from error
    except UnicodeError as error:
        raise ConfigurationError("IMAP_HOST", host, "a host name") from error
    except OSError as error:
        raise ConnectionLost(f"{where}: {described(error)}") from error
    # A command may go out in two parts, and must not wait for the first one's acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def wrap(
    sock: socket.socket, context: ssl.SSLContext, host: str, remaining: Callable[[], float]
) -> ssl.SSLSocket:
    """The same connection inside TLS. Whatever goes wrong, the socket is closed.

    Raises:
        ConnectionLost: the handshake failed or the certificate is not to be trusted.
    """
    try:
        sock.settimeout(remaining())
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException as error:
        sock.close()
        if not isinstance(error, OSError | ValueError):
            raise
        raise ConnectionLost(f"no TLS with {host}: {_tls_failure(error)}") from error


def _tls_failure(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate was refused ({error.verify_message or error.reason}). IMAP_HOST must "
            "be a name that the certificate has; for a private authority set IMAP_CA_FILE"
        )
    if isinstance(error, ssl.SSLError) and error.reason in PLAIN_ANSWERS:
        return (
            f"the port does not speak TLS from the first octet ({error.reason}). Check IMAP_PORT, "
            "or set IMAP_USE_SSL=false and IMAP_STARTTLS=true"
        )
    if isinstance(error, TimeoutError):
        return "the handshake took too long. Check IMAP_PORT and IMAP_USE_SSL"
    return described(error)


def is_loopback(sock: socket.socket) -> bool:
    """Whether the other side is this machine."""
    peer = sock.getpeername()
    if not isinstance(peer, tuple):  # a socket of the file system
        return True
    address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)
