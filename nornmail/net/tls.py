"""Sockets and TLS on the way to a server: one way to connect for IMAP, SMTP and ``check``."""

from __future__ import annotations

import ipaddress
import os
import queue
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

from nornmail.clock import Waker
from nornmail.errors import ConfigurationError, ConnectionLost
from nornmail.net.redact import error_text

ATTEMPT_DELAY: Final = 0.25
"""Seconds that an address has before the next one is tried as well (RFC 8305, 5 and 8)."""
TICK: Final = 0.1
"""Seconds between two looks whether the wait for a name, or for a token, was aborted."""
PLAIN_ANSWERS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
"""OpenSSL's reasons when the other side speaks plain text."""
_EXPIRED, _NOT_YET_VALID, _SELF_SIGNED = 10, 9, 18
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
_WEAK: Final = {66: "key", 67: "authority's key", 68: "signature"}
"""OpenSSL's X509_V_ERR codes with advice of their own."""
_OLD_TLS: Final = {
    "UNSUPPORTED_PROTOCOL": "TLS older than 1.2",
    "TLSV1_ALERT_PROTOCOL_VERSION": "TLS older than 1.2",
    "VERSION_TOO_LOW": "TLS older than 1.2",
    "DH_KEY_TOO_SMALL": "a Diffie-Hellman key that is too short",
    "EE_KEY_TOO_SMALL": "a certificate whose key is too short",
    "CA_KEY_TOO_SMALL": "a certificate whose authority's key is too short",
    "CA_MD_TOO_WEAK": "a certificate with a signature that is too weak",
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": "TLS without secure renegotiation (RFC 5746)",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "no cipher that this machine allows",
    "NO_SHARED_CIPHER": "no cipher that this machine allows",
    "WRONG_CIPHER_RETURNED": "no cipher that this machine allows",
    "WRONG_SIGNATURE_TYPE": "signatures that are too weak",
}
"""OpenSSL's reasons when the server's TLS is too weak, and what the server has."""

T = TypeVar("T")

Remaining = Callable[[], float]
"""Returns the seconds that are left, more than 0; raises TimeoutError when none are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server's port, and the advice for when it does not speak as expected.

    Attributes:
        protocol: ``"IMAP"`` or ``"SMTP"``, with which the names of the settings begin.
        ca_file: a private certification authority.
        plain_advice: what to set when the port does not speak TLS from the first octet.
        tls_advice: what to set when the port speaks nothing else.
    """

    protocol: str
    host: str
    port: int
    ca_file: str | None
    plain_advice: str
    tls_advice: str

    def context(self) -> ssl.SSLContext:
        """A TLS context that always checks the certificate and the host's name."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            allowed = f"a readable file of certificates in PEM ({error_text(error)})"
            name = f"{self.protocol}_CA_FILE"
            raise ConfigurationError(name, self.ca_file, allowed) from error


class Unreachable(OSError):
    """No address of a host took the connection."""

    def __init__(self, failures: Collection[tuple[str, OSError]]) -> None:
        super().__init__("no address of the host answers")
        self.failures = tuple(failures)

    def __str__(self) -> str:
        if len(self.failures) == 1:
            return _failure_text(self.failures[0][1])
        return "; ".join(f"{address}: {_failure_text(error)}" for address, error in self.failures)


def wait_for_any(
    socks: Collection[socket.socket], seconds: float, waker: Waker | None = None
) -> list[socket.socket]:
    """Those of ``socks`` whose connecting has ended, once one has or ``seconds`` have passed."""
    if not socks and waker is None:
        return []
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            selector.register(sock, selectors.EVENT_WRITE)
        if waker is not None:
            selector.register(waker.fileno(), selectors.EVENT_READ)
        ready = {key.fileobj for key, _ in selector.select(seconds)}
        return [sock for sock in socks if sock in ready]


class Abort:
    """Ends whatever a connection waits for: connecting, TLS, the greeting, the answer to a command.

    It serves the connections that one thread makes one after another; any thread may abort. From
    then on every call on the connection, and every new connection, is a ConnectionLost at once.
    """

    def __init__(self) -> None:
        self._waker = Waker()
        # Reentrant: a signal's handler may abort while its own thread is inside one of these.
        self._lock = threading.RLock()
        self._sock: socket.socket | None = None

    @property
    def aborted(self) -> bool:
        """Whether :meth:`abort` was called since the last :meth:`clear`."""
        return self._waker.awake

    def abort(self) -> None:
        """End the wait that is under way, and all that would follow. Never blocks."""
        with self._lock:
            self._waker.wake()
            self._shut_down()

    def clear(self) -> None:
        """Let connections be made again."""
        self._waker.clear()

    def attach(self, sock: socket.socket) -> None:
        """Abort this socket from now on, instead of the one before."""
        with self._lock:
            self._sock = sock
            if self.aborted:
                self._shut_down()

    def detach(self) -> None:
        """Abort no socket: before it is closed, or while its work must not be cut off."""
        with self._lock:
            self._sock = None

    def wait(self, socks: Collection[socket.socket], seconds: float) -> list[socket.socket]:
        """As :func:`wait_for_any`."""
        try:
            ready = wait_for_any(socks, seconds, self._waker)
        finally:
            self._waker.close()  # no descriptor is held between two connections
        if self.aborted:
            raise ConnectionLost("connecting was aborted")
        return ready

    def _shut_down(self) -> None:
        if self._sock is not None:
            with suppress(OSError):  # the other side went first
                # Not SSLSocket.shutdown(), which would let its thread continue in plain text.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


def connect(endpoint: Endpoint, remaining: Remaining, abort: Abort) -> socket.socket:
    """A TCP connection to the first address of the host that answers.

    Args:
        endpoint: the server.
        remaining: the time that is left.
        abort: ends it early, and watches the socket from then on.

    Raises:
        ConfigurationError: the host cannot be a host's name.
        ConnectionLost: no address answered within the time that all of them share.
    """
    where = f"cannot connect to {endpoint.host}:{endpoint.port}"
    try:
        sock, _ = dial(endpoint.host, endpoint.port, remaining, abort.wait)
    except UnicodeError as error:
        name = f"{endpoint.protocol}_HOST"
        raise ConfigurationError(name, endpoint.host, "a host name") from error
    except Unreachable as error:
        raise ConnectionLost(f"{where}: {error}") from error
    except OSError as error:
        raise ConnectionLost(f"{where}: {_failure_text(error)}") from error
    abort.attach(sock)
    return sock


def dial(
    host: str,
    port: int,
    remaining: Remaining,
    wait: Callable[[Collection[socket.socket], float], list[socket.socket]] = wait_for_any,
    permits: Callable[[str], bool] = lambda address: True,
) -> tuple[socket.socket, list[tuple[str, OSError]]]:
    """Connect to a host by its addresses, in the resolver's order ("Happy Eyeballs", RFC 8305).

    The next address is tried when the one before has failed, or after :data:`ATTEMPT_DELAY`. All
    share the time that remains.

    Args:
        wait: as :func:`wait_for_any`.
        permits: whether an address may be connected to.

    Returns:
        The connection, and the addresses before it that failed or have not answered.

    Raises:
        Unreachable: no address answered.
        OSError: the name cannot be resolved.
    """
    resolved = resolve(host, port, remaining, wait)
    untried = [info for info in resolved if permits(str(info[4][0]))]
    if resolved and not untried:
        raise OSError(f"its address {resolved[0][4][0]} is not allowed")
    pending: dict[socket.socket, str] = {}
    failures: list[tuple[str, OSError]] = []
    winner = None
    try:
        while winner is None and (untried or pending):
            if untried:
                _begin(untried.pop(0), pending, failures)
            if not pending:
                continue
            try:
                left = remaining()
            except TimeoutError:
                break
            ready = wait(pending, min(left, ATTEMPT_DELAY) if untried else left)
            winner = next((sock for sock in ready if _has_connected(sock, pending, failures)), None)
            if not ready and not untried:
                break
    finally:
        for sock, address in pending.items():
            if sock is not winner:
                failures.append((address, TimeoutError("no answer in time")))
                sock.close()
    if winner is None:
        raise Unreachable(failures) if failures else OSError("the name has no address")
    winner.settimeout(None)
    # A command may go out in two parts, and must not wait for the first one's acknowledgement.
    winner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return winner, failures


def resolve(
    host: str,
    port: int,
    remaining: Remaining,
    wait: Callable[[Collection[socket.socket], float], list[socket.socket]] = wait_for_any,
) -> list[tuple[Any, ...]]:
    """The addresses of a host as the system has them, within the time that remains."""

    def look() -> None:
        wait((), 0.0)
        try:
            remaining()
        except TimeoutError:
            raise OSError("the name was not resolved in time") from None

    system = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    if _is_address(host):
        return system()  # it asks no server, so that it needs no thread
    return in_thread(system, "nornmail-resolver", look)


def _is_address(host: str) -> bool:
    """Whether a host is a numeric address."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True


def in_thread(function: Callable[[], T], name: str, look: Callable[[], object]) -> T:
    """The result of a function that knows no deadline and cannot be aborted.

    It runs in a daemon thread, which is left to it when the wait for it ends.
    """
    results: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put((function(), None))
        except BaseException as error:
            results.put((None, error))

    try:
        threading.Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:  # no more threads
        work()
    while True:
        try:
            result, error = results.get(timeout=TICK)
        except queue.Empty:
            look()
            continue
        if error is not None:
            raise error
        return cast("T", result)


def _begin(
    info: tuple[Any, ...],
    pending: dict[socket.socket, str],
    failures: list[tuple[str, OSError]],
) -> None:
    """Begin to connect to one of the resolver's addresses."""
    family, kind, protocol, _, address = info
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:  # IPv6 is switched off
        failures.append((str(address[0]), error))
        return
    pending[sock] = str(address[0])
    try:
        sock.setblocking(False)
        sock.connect(address)
    except BlockingIOError:
        pass
    except OSError as error:
        failures.append((pending.pop(sock), error))
        sock.close()


def _has_connected(
    sock: socket.socket,
    pending: dict[socket.socket, str],
    failures: list[tuple[str, OSError]],
) -> bool:
    """Whether an attempt that has ended has succeeded; one that failed is taken down."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        failures.append((pending.pop(sock), OSError(code, os.strerror(code))))
        sock.close()
    return not code


def wrap(
    sock: socket.socket,
    endpoint: Endpoint,
    context: ssl.SSLContext,
    remaining: Remaining,
    abort: Abort,
) -> ssl.SSLSocket:
    """The same connection inside TLS. The socket is closed on every error."""
    try:
        sock.settimeout(remaining())
        # The handshake is a step of its own, so that it can be aborted.
        sock = tls = context.wrap_socket(
            sock, server_hostname=endpoint.host, do_handshake_on_connect=False
        )
        abort.attach(tls)
        tls.do_handshake()
        return tls
    except BaseException as error:
        abort.detach()
        sock.close()
        if not isinstance(error, OSError | ValueError):
            raise
        problem, advice = tls_failure(endpoint, error)
        raise ConnectionLost(f"no TLS with {endpoint.host}: {problem}; {advice}") from error


def tls_failure(endpoint: Endpoint, error: OSError | ValueError) -> tuple[str, str]:
    """A failure of TLS in words, and the advice."""
    protocol = endpoint.protocol
    owner = f"its owner must update its TLS; no {protocol} setting makes it safe"
    reason = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"the certificate is refused: {error.verify_message or reason}".rstrip(".")
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
            return problem, "its owner must renew it; check this machine's clock as well"
        if error.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
            return problem, f"set {protocol}_HOST to a name that the certificate has"
        if error.verify_code in _WEAK:
            weak = _WEAK[error.verify_code]
            return problem, f"its {weak} is too weak: its owner must replace the certificate"
        if error.verify_code == _SELF_SIGNED:
            return problem, f"to trust it, set {protocol}_CA_FILE to this certificate in PEM"
        return problem, f"for a private authority set {protocol}_CA_FILE to its certificate in PEM"
    if reason in PLAIN_ANSWERS:
        return "the port does not speak TLS from the first octet", endpoint.plain_advice
    if reason in _OLD_TLS:
        return f"the server has {_OLD_TLS[reason]} ({reason})", owner
    if isinstance(error, TimeoutError):
        return "the handshake took too long", f"check {protocol}_PORT, and whether it expects TLS"
    problem = f"the handshake failed: {error_text(error)}"
    return problem, f"check {protocol}_PORT, or ask the server's owner"


def _failure_text(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else error_text(error)


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address, is this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)
