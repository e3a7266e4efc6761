"""A handler that posts each message to a URL, signed as Standard Webhooks are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from nornmail._version import __version__
from nornmail.errors import ConfigurationError, Defer, NornmailError, Reject
from nornmail.message.message import Message
from nornmail.net.http_client import HttpRequest, HttpResponse, exchange

if TYPE_CHECKING:
    from nornmail.net.tls import Abort

WEBHOOK_SECONDS: Final = 30.0
"""Deadline of a whole exchange: a receiver that needs longer answers first and works later."""
MAX_WEBHOOK_ANSWER: Final = 64 * 1024
"""Octets of an answer that are read; only its status counts."""
LONGEST_SHOWN: Final = 200
"""Characters of an answer in a reason."""
LEAST_SECRET: Final = 16
"""Octets of a secret at least; the standard recommends 24 to 64."""
PREFIX: Final = "whsec_"
"""Begins a secret, before its base64."""
STOPPED_SECONDS: Final = 1.0
"""Wait for a message whose exchange :meth:`Webhook.stop` ended: the next start posts it again."""
EVENT_TYPE: Final = "message.received"
"""The type in the body."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Webhook:
    """Posts each message to a URL; ``on_message`` of a poller.

    The body is ``{"type": "message.received", "timestamp": ..., "data": ...}``, where ``data`` is
    :meth:`Message.to_dict <nornmail.message.message.Message.to_dict>`. ``webhook-id`` is the
    message's ``delivery_id``, the same at every attempt, by which a receiver knows a message that
    it got before.

    Any status of 200 to 299 is success. 410 makes the message dead. 429 and 503 with Retry-After
    bring it back after that time, which counts no attempt. Everything else is a failed attempt,
    redirections included.

    Args:
        url: ``https://...``; ``http`` only to ``private_hosts``.
        secret: ``whsec_`` and base64; several while they change, the first one newest.
        private_hosts: host names, as the URL has them, that may have a loopback or private address.
        timeout: seconds for a whole exchange.
        max_text: as of ``to_dict``; ``None`` sends all of the text.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        url: str,
        secret: str | Iterable[str],
        *,
        private_hosts: Iterable[str] = (),
        timeout: float = WEBHOOK_SECONDS,
        max_text: int | None = None,
    ) -> None:
        if not (0 < timeout < math.inf):
            raise ConfigurationError("timeout", timeout, "must be a number of seconds above 0")
        hosts = (private_hosts,) if isinstance(private_hosts, str) else private_hosts
        self.url = url
        self._keys = _keys([secret] if isinstance(secret, str) else secret)
        self._request = _request(url, frozenset(host.lower() for host in hosts))
        self._is_private = self._request.host in {host.lower() for host in hosts}
        self._timeout = timeout
        self._max_text = max_text
        self._lock = threading.Lock()
        self._under_way: set[Abort] = set()
        self._is_stopped = False

    def __call__(self, message: Message) -> None:
        """Post a message.

        Raises:
            Reject: the answer is 410.
            Defer: the answer is 429 or 503 and says when to try again, or :meth:`stop` ended it.
            NornmailError: any other answer, or none.
        """
        webhook_id = message.delivery_id or f"raw_{hashlib.sha256(message.raw).hexdigest()}"
        try:
            answer = self.post(webhook_id, self.body_of(message))
        except NornmailError as error:
            if self._is_stopped:
                reason = "the program stopped before the webhook answered"
                raise Defer(STOPPED_SECONDS, reason) from error
            raise
        check_answer(answer, time.time())

    def stop(self, after: float) -> None:
        """End all exchanges after some seconds, those that begin later as well.

        Their messages come back (:class:`~nornmail.errors.Defer`) under the same ``webhook-id``,
        and no attempt is counted. Returns at once; call it together with the poller's ``stop()``,
        which waits for the message in hand.

        Args:
            after: seconds that a receiver has left for its answer.
        """
        alarm = threading.Timer(after, self._end)
        alarm.daemon = True
        alarm.start()

    def _end(self) -> None:
        with self._lock:
            self._is_stopped = True
            under_way = list(self._under_way)
        for abort in under_way:
            abort.abort()

    def body_of(self, message: Message) -> dict[str, Any]:
        """The body that is posted for a message."""
        when = message.received_at or message.date or datetime.now(UTC)
        data = message.to_dict(self._max_text)
        return {"type": EVENT_TYPE, "timestamp": when.isoformat(), "data": data}

    def post(self, webhook_id: str, body: Mapping[str, Any]) -> HttpResponse:
        """Post a signed body, whatever it is, and return the answer.

        Raises:
            NornmailError: there is no answer within the deadline.
        """
        from nornmail.net.tls import Abort

        # ASCII: a message may hold lone surrogates, which are not UTF-8.
        octets = json.dumps(body, ensure_ascii=True).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"nornmail/{__version__}",
            "Connection": "close",
            **signed_headers(self._keys, webhook_id, int(time.time()), octets),
        }
        abort = Abort()
        with self._lock:
            self._under_way.add(abort)
            if self._is_stopped:
                abort.abort()
        try:
            return exchange(
                replace(self._request, headers=headers, body=octets),
                seconds=self._timeout,
                most=MAX_WEBHOOK_ANSWER,
                permits=lambda address: self._is_private or is_public(address),
                abort=abort,
            )
        except (OSError, ValueError) as error:
            problem = f"the webhook at {self._request.host} cannot be reached: {error}"
            raise NornmailError(problem) from error
        finally:
            with self._lock:
                self._under_way.discard(abort)


def signed_headers(
    keys: Iterable[bytes], webhook_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0: the id, the instant, a signature for each key."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [hmac.digest(key, signed, "sha256") for key in keys]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(signature).decode('ascii')}" for signature in signatures
        ),
    }


def check_answer(answer: HttpResponse, now: float) -> None:
    """Turn an answer into the outcome of an attempt; return for success."""
    if 200 <= answer.status <= 299:
        return
    text = " ".join(answer.octets[: 4 * LONGEST_SHOWN].decode("utf-8", "replace").split())
    text = "".join(char if char.isprintable() else "?" for char in text)[:LONGEST_SHOWN]
    reason = f"the webhook answered {answer.status}" + (f": {text}" if text else "")
    if answer.status == 410:
        raise Reject(reason)
    if answer.status in (429, 503) and (seconds := retry_seconds(answer.retry_after, now)):
        raise Defer(seconds, reason)
    raise NornmailError(reason)


def retry_seconds(value: str, now: float) -> float | None:
    """The seconds of a Retry-After header (RFC 9110, 10.2.3), 1 at least; ``None`` if invalid."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return max(float(value[:9]), 1.0)
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(when.timestamp() - now, 1.0)
    except (ValueError, TypeError, OverflowError):
        return None


def is_public(address: str) -> bool:
    """Whether an address is one of the internet's, in none of the ways to write a private one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.sixtofour or ip.teredo or ip in _NAT64 or ip.is_site_local:
            return False  # each may lead to a private IPv4 address
    return ip.is_global and not ip.is_multicast


def _keys(secrets: Iterable[str]) -> list[bytes]:
    """The octets of the secrets."""
    must = f"must be {PREFIX} and {LEAST_SECRET} or more octets in base64"
    try:
        texts = [secret.strip().removeprefix(PREFIX) for secret in secrets]
        keys = [base64.b64decode(text, validate=True) for text in texts]
    except (AttributeError, TypeError, binascii.Error, ValueError):
        raise ConfigurationError("NORNMAIL_WEBHOOK_SECRET", "...", must) from None
    if not keys or any(len(key) < LEAST_SECRET for key in keys):
        shown = "..." if any(texts) else None
        raise ConfigurationError("NORNMAIL_WEBHOOK_SECRET", shown, must)
    return keys


def _request(url: str, private_hosts: frozenset[str]) -> HttpRequest:
    """The parts of a URL, as a request without headers and body."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except (ValueError, AttributeError) as error:
        raise ConfigurationError("webhook", url, f"is not a URL: {error}") from error
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in private_hosts)
    if not host or not secure:
        must = "must begin with https://; http:// is for hosts that are allowed by name"
        raise ConfigurationError("webhook", url, must)
    if parts.username is not None or parts.password is not None or not url.isascii():
        raise ConfigurationError("webhook", url, "must be ASCII, without a user name")
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ConfigurationError("webhook", url, "must not have blanks or control characters")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    default = 443 if parts.scheme == "https" else 80
    return HttpRequest(scheme=parts.scheme, host=host, port=port or default, path=path, headers={})
