"""OAuth2 tokens (RFC 6749): the file that keeps them, and the requests that renew them."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from nornmail.clock import Clock, Deadline, SystemClock
from nornmail.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    ProtocolError,
    Throttled,
)
from nornmail.files import Files
from nornmail.locks import FileLock, LockTaken
from nornmail.net.http_client import HttpRequest, exchange
from nornmail.net.redact import Redactor, error_text, map_exceptions

log = logging.getLogger("nornmail.oauth")

SKEW: Final = 300.0
"""Seconds before its end at which a token is renewed: clocks differ, and a login takes time."""
DEFAULT_LIFETIME: Final = 3_600
"""Seconds of a token whose lifetime the provider does not name (RFC 6749, 5.1)."""
MAX_LIFETIME: Final = 366 * 86_400
"""Seconds. A longer lifetime is a mistake; a server refuses a token that has ended."""
REQUEST_SECONDS: Final = 30.0
"""Seconds that a provider has for the whole of its answer."""
LOCK_SECONDS: Final = REQUEST_SECONDS + 10.0
"""Seconds that another process has to renew the token that both use."""
LOCK_INTERVAL: Final = 0.05
"""Seconds between two looks whether it has."""
MAX_ANSWER: Final = 1 << 20
"""Octets of an answer. Tokens have some thousand, discovery documents some ten thousand."""
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""The hosts to which secrets may go without TLS."""
PASSING_ERRORS: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
"""Errors of a provider (RFC 6749, 4.1.2.1; RFC 8628, 3.5) that pass by themselves."""
UNREPEATED_SCOPES: Final = frozenset({"offline_access", "openid", "profile", "email"})
"""Scopes that providers do not repeat among those that they granted."""
TEMPORARY: Final = ".new"
LOCK: Final = ".lock"
"""Ends the names of the files next to the token file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """The content of a token file.

    Attributes:
        account: the login name that the tokens are for.
        token_endpoint: the URL that renews them.
        client_id: of the program that is registered with the provider.
        scopes: that were asked for, with blanks between them.
        granted: the scopes that the provider granted; ``""`` where it did not say.
        login: the command that makes the file again.
        basic_auth: the client's secret goes into the Authorization header, not into the form.
        client_secret: ``""`` for a public client.
        refresh_token: ``""`` where the client's own credentials are enough (RFC 6749, 4.4).
        access_token: the token for IMAP and SMTP.
        expires_at: its end, in seconds since 1970 UTC.
    """

    account: str
    token_endpoint: str
    client_id: str
    scopes: str
    login: str
    granted: str = ""
    basic_auth: bool = False
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: float = 0.0

    @property
    def missing_scopes(self) -> list[str]:
        """The scopes that were asked for and not granted, as far as the provider said."""
        granted = set(self.granted.split()) | UNREPEATED_SCOPES
        return [name for name in self.scopes.split() if self.granted and name not in granted]

    def with_grant(self, grant: Grant, now: float) -> TokenRecord:
        """The record with new tokens; the refresh token stays unless there is a new one."""
        return replace(
            self,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token or self.refresh_token,
            granted=grant.scopes or self.granted,
            expires_at=now + grant.lifetime,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """A provider's successful answer (RFC 6749, 5.1).

    Attributes:
        lifetime: of the access token, in seconds.
        scopes: ``""`` where they are those that were asked for.
        refresh_token: ``""`` where the one that was sent stays good, or there is none.
    """

    access_token: str = field(repr=False)
    lifetime: float
    scopes: str
    refresh_token: str = field(repr=False)


class OAuthTokens:
    """The access token of a token file, for ``token=`` of both settings.

    ``nornmail login`` makes the file. A call returns the token in it, which is renewed before it
    ends. Processes with the same file renew it once. A new refresh token is on the disk before the
    access token that came with it is returned.

    Args:
        path: the token file.
        clock: for the end of tokens; ``None`` for the system's.
        setting: names the file in errors.

    Attributes:
        path: of the file, without symbolic links.
        account: the login name that the tokens are for.

    Raises:
        ConfigurationError: there is no such file, or it is not a token file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        setting: str = "token file",
    ) -> None:
        try:
            self.path = os.path.realpath(os.path.expanduser(os.fspath(path)))
        except ValueError as error:  # NUL, or what no name of a file can hold
            raise ConfigurationError(setting, path, f"is not a path: {error}") from error
        self._clock = clock or SystemClock()
        self._last = ""
        self._unsaved: tuple[TokenRecord, TokenRecord] | None = None
        self.account = read_token_file(self.path, setting).account

    def __repr__(self) -> str:
        return f"OAuthTokens({self.path!r})"

    def __call__(self) -> str:
        """The access token, renewed if it is about to end.

        Raises:
            AuthenticationFailed: the provider refused to renew it; the error names the command to
                run. A new file is used at the next call.
            ConnectionLost, Throttled: the provider cannot be reached, or is in trouble; it passes.
        """
        record = self._load()
        if not self._is_fresh(record):
            record = self._renewed(record.access_token)
        self._last = record.access_token
        return record.access_token

    def renew(self) -> str:
        """The access token after the server refused the one that the last call returned.

        Raises:
            AuthenticationFailed, ConnectionLost, Throttled: as for a call.
        """
        self._last = self._renewed(self._last).access_token
        return self._last

    def record(self) -> TokenRecord:
        """The content of the file.

        Raises:
            ConfigurationError: it is gone, or not a token file any more.
        """
        return read_token_file(self.path)

    def _is_fresh(self, record: TokenRecord) -> bool:
        return bool(record.access_token) and self._clock.wall() < record.expires_at - SKEW

    def _load(self) -> TokenRecord:
        """The newest record: that of the file, or one that could not be written yet."""
        try:
            record = read_token_file(self.path)
        except ConfigurationError as error:
            raise AuthenticationFailed(str(error)) from error
        unsaved = self._unsaved
        if unsaved is None or unsaved[0] != record:  # another login, or process, wrote the file
            self._unsaved = None
            return record
        return self._saved(*unsaved)

    def _renewed(self, stale: str) -> TokenRecord:
        """A record whose access token is not ``stale`` and has some time left."""
        with locked(self.path, self._clock):
            record = self._load()
            if record.access_token != stale and self._is_fresh(record):
                return record  # another process has renewed it
            grant = request_renewal(record)
            return self._saved(record, record.with_grant(grant, self._clock.wall()))

    def _saved(self, old: TokenRecord, new: TokenRecord) -> TokenRecord:
        """``new``, once it is written; if only its access token is new it is good unwritten, too.

        Raises:
            ConnectionLost: it cannot be written. It is kept, and written at the next call.
        """
        self._unsaved = (old, new)
        try:
            write_token_file(self.path, new)
        except OSError as error:
            text = f"the renewed token cannot be written to {self.path}: {error_text(error)}"
            if new.refresh_token != old.refresh_token:
                raise ConnectionLost(text) from error
            log.warning("%s", text)
        else:
            self._unsaved = None
        return new


def read_token_file(path: str, setting: str = "token file") -> TokenRecord:
    """Read a token file."""
    try:
        with open(path, "rb") as file:
            values = json.loads(file.read(MAX_ANSWER))
    except FileNotFoundError:
        make = "there is no such file: make it with `nornmail login` (office365, gmail or a URL)"
        raise ConfigurationError(setting, path, make) from None
    except OSError as error:
        raise ConfigurationError(setting, path, f"cannot be read: {error_text(error)}") from error
    except (ValueError, RecursionError):
        values = None
    types: dict[str, Any] = {"basic_auth": bool, "expires_at": (int, float)}
    names = {entry.name for entry in fields(TokenRecord)}
    if not isinstance(values, dict) or any(
        not isinstance(values.get(name), types.get(name, str)) for name in names
    ):
        allowed = "is not a token file, or is damaged: make it again with `nornmail login`"
        raise ConfigurationError(setting, path, allowed)
    return TokenRecord(**{name: values[name] for name in names})


@contextmanager
def locked(path: str, clock: Clock) -> Iterator[None]:
    """Lock a token file against other processes and threads that renew it."""
    lock = FileLock(path + LOCK)
    deadline = Deadline(clock, LOCK_SECONDS)
    while True:
        try:
            lock.acquire(str(os.getpid()))
            break
        except LockTaken as taken:
            try:
                deadline.remaining()
            except TimeoutError:
                raise ConnectionLost(f"the token cannot be renewed: {taken}") from taken
        except OSError:
            break  # the directory can only be read, so no process writes tokens there
        clock.wait(threading.Event(), LOCK_INTERVAL)
    try:
        yield
    finally:
        lock.release()


def write_token_file(path: str, record: TokenRecord) -> None:
    """Replace a token file, durably: a crash leaves the old or the new one."""
    octets = json.dumps(asdict(record), indent=1).encode() + b"\n"
    Files().replace_whole(path, path + TEMPORARY, [octets])


def request_renewal(record: TokenRecord) -> Grant:
    """Renew the tokens of a record at its provider.

    Raises:
        AuthenticationFailed: refused; the error names the command to run.
        ConnectionLost, Throttled: trouble that passes.
    """
    if record.refresh_token:
        form = {"grant_type": "refresh_token", "refresh_token": record.refresh_token}
    else:
        form = {"grant_type": "client_credentials", "scope": record.scopes}
    return request_token(record, form)


def request_token(record: TokenRecord, form: Mapping[str, str]) -> Grant:
    """Ask the provider of a record for tokens."""
    return grant_of(record, ask_provider(record, form), Redactor(*form.values()))


def ask_provider(record: TokenRecord, form: Mapping[str, str], url: str = "") -> dict[str, Any]:
    """Send a form as this record's client; return the JSON object, be it an error or not."""
    headers = {}
    filled = {**form, "client_id": record.client_id}
    if record.client_secret and record.basic_auth:
        from base64 import b64encode
        from urllib.parse import quote_plus

        pair = f"{quote_plus(record.client_id)}:{quote_plus(record.client_secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode('ascii')}"
    elif record.client_secret:
        filled["client_secret"] = record.client_secret
    return fetch_json(url or record.token_endpoint, filled, headers)


def grant_of(record: TokenRecord, answer: Mapping[str, Any], redact: Redactor) -> Grant:
    """The tokens in a provider's answer."""
    if "error" in answer:
        redact.hide(record.client_secret, record.access_token, record.refresh_token)
        raise refusal(answer, record.login, redact)
    grant = _read_grant(answer)
    if grant is None:
        raise ProtocolError(f"{record.token_endpoint} answered without an access token")
    return grant


def refusal(answer: Mapping[str, Any], login: str, redact: Redactor) -> NornmailError:
    """A provider's error (RFC 6749, 5.2), and what to do about it."""
    code = redact(str(answer["error"]))
    words = redact(str(answer.get("error_description") or ""))
    text = f"{code}: {words}" if words else code
    if code in PASSING_ERRORS:
        return Throttled(
            f"the OAuth2 provider has a temporary failure ({text})", kind="unavailable"
        )
    reason = "the login has ended or was revoked" if code == "invalid_grant" else "refused"
    return AuthenticationFailed(
        f"the OAuth2 provider gave no token: {reason} ({text}); run `{login}`"
    )


def _read_grant(answer: Mapping[str, Any]) -> Grant | None:
    """The tokens of an answer; ``None`` where there are none that can be used."""
    texts = [answer.get(name) or "" for name in ("access_token", "refresh_token", "scope")]
    access, refresh, scopes = (text if isinstance(text, str) else "" for text in texts)
    if not access or not (access + refresh).isascii() or not (access + refresh).isprintable():
        return None
    lifetime = answer.get("expires_in", DEFAULT_LIFETIME)
    if isinstance(lifetime, str) and lifetime.isascii() and lifetime.isdigit():
        lifetime = int(lifetime[:10])  # some write it as text
    if not isinstance(lifetime, int | float) or not 0 <= lifetime <= MAX_LIFETIME:
        lifetime = DEFAULT_LIFETIME
    return Grant(access, float(lifetime), scopes, refresh)


def fetch_json(
    url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON object at a URL; an OAuth2 error of status 400 or 401 is one as well.

    Args:
        url: https, or http on this machine. Redirections and proxies are not followed.
        form: sent by POST; ``None`` for GET.
        headers: in addition to the usual ones.

    Raises:
        ConfigurationError: the URL is not one that secrets may go to.
        ConnectionLost: no answer within :data:`REQUEST_SECONDS`, or one that is not JSON.
        Throttled: the provider has too much to do (429, 5xx).
    """
    from urllib.parse import urlencode, urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK)):
        raise ConfigurationError("OAuth2 URL", url, "must begin with https://")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = None if form is None else urlencode(form).encode("ascii")
    sent = {"Accept": "application/json", "Connection": "close", **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    with map_exceptions(f"asking {host} for a token"):
        port = parts.port or (443 if parts.scheme == "https" else 80)
        request = HttpRequest(
            scheme=parts.scheme, host=host, port=port, path=path, headers=sent, body=body
        )
        answer = exchange(request, seconds=REQUEST_SECONDS, most=MAX_ANSWER + 1)
    status, retry_after = answer.status, answer.retry_after
    if len(answer.octets) > MAX_ANSWER:
        raise ProtocolError(f"{host} answers with more than {MAX_ANSWER} octets")
    if status == 429 or status >= 500:
        wait = float(retry_after) if re.fullmatch("[0-9]{1,6}", retry_after) else 0.0
        kind = "rate" if status == 429 else "unavailable"
        text = f"{host} is overloaded or failing (HTTP status {status})"
        raise Throttled(text, kind=kind, wait=wait)
    try:
        value = json.loads(answer.octets)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or (status != 200 and "error" not in value):
        raise ProtocolError(f"{host} does not answer as an OAuth2 provider (HTTP status {status})")
    return value
