"""One HTTP request with one deadline, without redirections, proxies or kept connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nornmail.clock import Deadline, SystemClock
from nornmail.errors import ConnectionLost, ProtocolError

if TYPE_CHECKING:
    import socket
    import ssl
    from http.client import HTTPConnection

    from nornmail.net.tls import Abort


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer to an HTTP request.

    Attributes:
        retry_after: the header of this name, ``""`` where there is none.
        octets: the body, or its beginning.
    """

    status: int
    retry_after: str
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """An HTTP request.

    Attributes:
        scheme: ``https`` or ``http``.
        path: with the query.
        headers: in addition to Host and Content-Length.
        body: sent by POST; ``None`` for GET.
    """

    scheme: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


def exchange(
    request: HttpRequest,
    *,
    seconds: float,
    most: int,
    permits: Callable[[str], bool] = lambda address: True,
    abort: Abort | None = None,
) -> HttpResponse:
    """Make a request.

    Args:
        seconds: the deadline of the whole exchange.
        most: octets of the answer's body that are read; the rest is left.
        permits: whether an address of the host may be connected to.
        abort: ends it early, as the deadline does.

    Raises:
        ProtocolError: the answer is not HTTP.
        OSError: there is none within the deadline.
    """
    import http.client

    from nornmail.net.tls import Abort, dial

    abort = abort or Abort()
    deadline = Deadline(SystemClock(), seconds)
    # A server that drips would hold up every read for its whole time-out.
    alarm = threading.Timer(seconds, abort.abort)
    alarm.daemon = True
    alarm.start()
    connection = http.client.HTTPConnection(request.host, request.port)
    try:
        sock, _ = dial(request.host, request.port, deadline.remaining, abort.wait, permits)
        connection.sock = sock
        abort.attach(sock)
        sock.settimeout(seconds)
        if request.scheme == "https":
            connection.sock = tls = _inside_tls(sock, request.host)
            abort.attach(tls)
            tls.do_handshake()
        answer = _ask(connection, request, most)
        if abort.aborted:  # an answer that the alarm cut off looks like one that ended
            raise TimeoutError(f"no whole answer within {seconds:g} s")
        return answer
    except http.client.HTTPException as error:
        problem = f"{request.host} does not answer in HTTP ({type(error).__name__})"
        raise ProtocolError(problem) from None
    except ConnectionLost:
        if abort.aborted:  # by the alarm
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        raise
    finally:
        alarm.cancel()
        abort.detach()
        connection.close()


def _inside_tls(sock: socket.socket, host: str) -> ssl.SSLSocket:
    """The connection inside TLS, whose handshake has yet to be made."""
    import ssl

    context = ssl.create_default_context()
    return context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


def _ask(connection: HTTPConnection, request: HttpRequest, most: int) -> HttpResponse:
    import http.client

    class FinalResponse(http.client.HTTPResponse):
        """The response behind any interim ones (RFC 9110, 15.2); the base class passes over 100."""

        def _read_status(self) -> tuple[str, int, str]:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            is_interim = 100 < status < 200 and status != http.client.SWITCHING_PROTOCOLS
            return version, http.client.CONTINUE if is_interim else status, reason

    connection.response_class = FinalResponse
    method = "GET" if request.body is None else "POST"
    connection.request(method, request.path, request.body, dict(request.headers))
    with connection.getresponse() as response:
        octets = response.read(most)
    return HttpResponse(response.status, response.headers.get("Retry-After", ""), octets)
