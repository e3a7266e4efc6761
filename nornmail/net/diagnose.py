"""The checks of a server that IMAP and SMTP share.

Each makes a connection of its own, so that it is clear which one fails.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass

from nornmail.clock import Deadline, SystemClock
from nornmail.errors import ConfigurationError
from nornmail.net.redact import error_text
from nornmail.net.tls import Endpoint, Unreachable, dial, resolve, tls_failure


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check on the way to a working mailbox, as ``nornmail check`` shows it.

    Attributes:
        name: which, as ``"IMAP login"``.
        ok: whether it went well.
        detail: what was found, on one line.
        advice: what to do about it; ``""`` where there is nothing, or ``detail`` has it.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""


CHECK_SECONDS = 15.0
"""Seconds that a check may take, where the settings allow no less: a person waits for it."""
MAX_ADDRESSES = 4
"""Addresses of a name that are shown."""


def check_connectivity(
    endpoint: Endpoint, seconds: float, *, tls: bool
) -> Generator[Check, None, bool]:
    """Look the name up, connect, and begin TLS where it comes first.

    Args:
        seconds: that a check may take.

    Returns:
        Whether all of it went well; the first check that failed is the last one.
    """
    for attempt in (_resolve, _connect, *((_begin_tls,) if tls else ())):
        check = attempt(endpoint, seconds)
        yield check
        if not check.ok:
            return False
    return True


def speaks_tls(endpoint: Endpoint, seconds: float) -> bool:
    """Whether the port speaks TLS from the first octet, whatever its certificate is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: the handshake itself is the answer
    try:
        with _tls_socket(endpoint, context, seconds):
            return True
    except (OSError, ValueError):
        return False


def _tls_socket(endpoint: Endpoint, context: ssl.SSLContext, seconds: float) -> ssl.SSLSocket:
    deadline = Deadline(SystemClock(), seconds)
    sock, _ = dial(endpoint.host, endpoint.port, deadline.remaining)
    with sock:
        sock.settimeout(deadline.remaining())
        return context.wrap_socket(sock, server_hostname=endpoint.host)


def _resolve(endpoint: Endpoint, seconds: float) -> Check:
    name = f"{endpoint.protocol} name"
    try:
        deadline = Deadline(SystemClock(), seconds)
        infos = resolve(endpoint.host, endpoint.port, deadline.remaining)
    except (OSError, UnicodeError) as error:
        detail = f"{endpoint.host} cannot be resolved ({error_text(error)})"
        advice = f"check {endpoint.protocol}_HOST, and this machine's name servers"
        return Check(name, False, detail, advice)
    addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
    shown = ", ".join(addresses[:MAX_ADDRESSES])
    more = f" and {len(addresses) - MAX_ADDRESSES} more"
    return Check(name, True, f"{endpoint.host} is {shown}{more * (len(addresses) > MAX_ADDRESSES)}")


def _connect(endpoint: Endpoint, seconds: float) -> Check:
    name = f"{endpoint.protocol} TCP"
    port = f"port {endpoint.port}"
    settings = f"{endpoint.protocol}_HOST and {endpoint.protocol}_PORT"
    began = time.monotonic()
    try:
        sock, failures = dial(
            endpoint.host, endpoint.port, Deadline(SystemClock(), seconds).remaining
        )
    except Unreachable as error:
        errors = [failure for _, failure in error.failures]
        if all(isinstance(failure, ConnectionRefusedError) for failure in errors):
            detail = f"{port} refuses connections: no program listens there"
            return Check(name, False, detail, f"check {settings}")
        if all(isinstance(failure, TimeoutError) for failure in errors):
            detail = f"{port} does not answer within {seconds:g} s"
            return Check(name, False, detail, f"a firewall may be in between; check {settings}")
        return Check(name, False, f"{port}: {error}", f"check {settings}, and the network")
    except OSError as error:
        return Check(name, False, f"{port}: {error_text(error)}", "check this machine's network")
    with sock:
        took = (time.monotonic() - began) * 1000
        detail = f"{port} answers in {took:.0f} ms"
        if failures:
            dead = ", ".join(address for address, _ in failures)
            detail += f" at {sock.getpeername()[0]}, but not at {dead}"
    return Check(name, True, detail)


def _begin_tls(endpoint: Endpoint, seconds: float) -> Check:
    name = f"{endpoint.protocol} TLS"
    try:
        with _tls_socket(endpoint, endpoint.context(), seconds) as tls:
            return Check(name, True, tls_detail(tls))
    except ConfigurationError as error:
        return Check(name, False, str(error), f"check {error.variable}")
    except (OSError, ValueError) as error:
        return Check(name, False, *tls_failure(endpoint, error))


def tls_detail(tls: ssl.SSLSocket) -> str:
    """The version of a TLS connection, and until when its certificate is valid."""
    certificate = tls.getpeercert() or {}
    until = ""
    with suppress(KeyError, ValueError, TypeError):  # shown if it can be read, else left out
        seconds = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        day = time.strftime("%Y-%m-%d", time.gmtime(seconds))
        until = f", its certificate is valid until {day}"
    return f"{tls.version()}{until}"
