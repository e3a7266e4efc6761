"""The OAuth2 login of ``nornmail login``: a person, or a program, becomes a token file.

Three flows ask a person for consent: in a browser on this machine (RFC 8252, with PKCE, RFC 7636),
in a browser elsewhere whose last address is pasted, and with a device code (RFC 8628). A program's
own credentials need none (RFC 6749, 4.4).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import queue
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from nornmail.clock import SystemClock
from nornmail.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, ProtocolError
from nornmail.net.oauth import (
    Grant,
    TokenRecord,
    ask_provider,
    fetch_json,
    grant_of,
    locked,
    refusal,
    request_token,
    write_token_file,
)
from nornmail.net.redact import Redactor
from nornmail.settings.providers import OAuthProvider, preset

CONSENT_SECONDS: Final = 600.0
"""Seconds that a person has to consent."""
LISTENER_SECONDS: Final = 5.0
"""Seconds that a connection to the redirection has for its request."""
LISTENER_TICK: Final = 0.05
"""Seconds between two looks whether it is to end."""
DEVICE_INTERVAL: Final = 5.0
"""Seconds between two requests, and the step by which they slow down (RFC 8628, 3.2 and 3.5)."""
PAGE: Final = "<!doctype html><meta charset=utf-8><title>nornmail</title><p>{}"


class OAuthLogin:
    """A login at an OAuth2 provider, which ends with a token file.

    Args:
        provider: a preset with OAuth2 (``"office365"``, ``"outlook"``, ``"gmail"``), or the URL of
            an issuer, whose discovery document (RFC 8414) is read.
        path: of the token file.
        account: the login name at the mail server.
        client_id: of the program that the user registered with the provider.
        client_secret: of the same program; ``""`` for a public client.
        tenant: at Microsoft.
        scopes: instead of the provider's, with blanks between them.
        command: makes this login again; it is named where the provider ends it.

    Raises:
        ConfigurationError: the provider is not known, or a value is missing.
        ConnectionLost, Throttled: the discovery document cannot be read now.
    """

    def __init__(
        self,
        provider: str,
        *,
        path: str | os.PathLike[str],
        account: str,
        client_id: str,
        client_secret: str = "",
        tenant: str = "common",
        scopes: str = "",
        command: str = "nornmail login",
    ) -> None:
        for name, value in (("account", account), ("client id", client_id)):
            if not value:
                raise ConfigurationError(name, None, "give it to the login")
        self._path = os.path.realpath(os.path.expanduser(os.fspath(path)))
        self._provider = oauth_provider(provider)
        self._tenant = quote(tenant, safe="")
        self._record = TokenRecord(
            account=account,
            token_endpoint=self._endpoint(self._provider.token),
            client_id=client_id,
            scopes=scopes or self._provider.scopes,
            login=command,
            basic_auth=self._provider.basic_auth,
            client_secret=client_secret,
        )

    def with_browser(
        self, show: Callable[[str], object], seconds: float = CONSENT_SECONDS
    ) -> TokenRecord:
        """Ask for consent in a browser on this machine, which returns to a port of 127.0.0.1.

        Args:
            show: opens or shows the address where the person consents.
            seconds: that the person has.

        Raises:
            AuthenticationFailed: the person or the provider refused.
            ConnectionLost: there was no consent in time, or the provider cannot be reached.
        """
        state = secrets.token_urlsafe(32)
        with _Listener(state, self._provider) as listener:
            redirect = f"http://{self._provider.redirect_host}:{listener.port}"
            verifier, url = self._consent(redirect, state)
            show(url)
            code = listener.wait(seconds, self._record.login)
        return self._redeem(code, verifier, redirect)

    def with_pasted_redirect(
        self, show: Callable[[str], object], ask: Callable[[], str]
    ) -> TokenRecord:
        """Ask for consent in a browser on any machine; its last address is pasted here.

        Args:
            show: shows the address where the person consents.
            ask: returns the address that the browser was sent to, which cannot be opened.

        Raises:
            AuthenticationFailed: refused, or the address is not the answer to this request.
            ConnectionLost: the provider cannot be reached.
        """
        state = secrets.token_urlsafe(32)
        redirect = f"http://{self._provider.redirect_host}"
        verifier, url = self._consent(redirect, state)
        show(url)
        answer = read_redirect(urlsplit(ask().strip()).query, state, self._provider)
        if answer is None:
            raise AuthenticationFailed(
                "this is not the address that the browser was sent to after the consent; it begins "
                f"with {redirect}; run `{self._record.login}` again"
            )
        return self._redeem(_code(answer, self._record.login), verifier, redirect)

    def with_device_code(
        self,
        show: Callable[[str, str], object],
        wait: Callable[[float], object] = time.sleep,
    ) -> TokenRecord:
        """Ask for consent with a code that a person enters on another machine (RFC 8628).

        Args:
            show: shows the address and the code.
            wait: waits for some seconds between two requests.

        Raises:
            ConfigurationError: the provider has no device code for mail.
            AuthenticationFailed: refused, or there was no consent in time.
            ConnectionLost, Throttled: the provider cannot be reached.
        """
        url = self._endpoint(self._provider.device)
        if not url:
            reason = self._provider.no_device or "this provider has no device code"
            raise ConfigurationError("--device", True, f"{reason}: log in without it")
        form = {"scope": self._record.scopes} if self._record.scopes else {}
        answer = ask_provider(self._record, form, url)
        device = answer.get("device_code")
        if not isinstance(device, str):
            if "error" in answer:
                raise refusal(answer, self._record.login, Redactor(self._record.client_secret))
            raise ProtocolError("the provider gave no device code")
        show(str(answer.get("verification_uri")), str(answer.get("user_code")))
        interval = max(float(answer.get("interval") or DEVICE_INTERVAL), 1.0)
        left = float(answer.get("expires_in") or CONSENT_SECONDS)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": device}
        while left > 0:
            wait(interval)
            left -= interval
            answer = ask_provider(self._record, form)
            error = answer.get("error")
            if error == "slow_down":
                interval += DEVICE_INTERVAL
            elif error != "authorization_pending":
                return self._store(grant_of(self._record, answer, Redactor(device)))
        raise AuthenticationFailed(f"the code was not entered in time; run `{self._record.login}`")

    def with_client_credentials(self) -> TokenRecord:
        """Log in with the program's own credentials, without a person.

        Raises:
            ConfigurationError: the provider has no such login, or there is no client secret.
            AuthenticationFailed: refused.
            ConnectionLost, Throttled: the provider cannot be reached.
        """
        if self._provider.no_client:
            raise ConfigurationError("--client-credentials", True, self._provider.no_client)
        if not self._record.client_secret:
            raise ConfigurationError("client secret", None, "the program's credentials need one")
        if self._record.scopes == self._provider.scopes and self._provider.client_scopes:
            self._record = replace(self._record, scopes=self._provider.client_scopes)
        form = {"grant_type": "client_credentials", "scope": self._record.scopes}
        return self._store(request_token(self._record, form), renewed_alone=True)

    def _endpoint(self, url: str) -> str:
        return url.replace("{tenant}", self._tenant)

    def _consent(self, redirect: str, state: str) -> tuple[str, str]:
        """The verifier of PKCE, and the address where the person consents."""
        verifier = secrets.token_urlsafe(64)
        digest = hashlib.sha256(verifier.encode("ascii")).digest()
        query = {
            "response_type": "code",
            "client_id": self._record.client_id,
            "redirect_uri": redirect,
            "state": state,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
            "code_challenge_method": "S256",
            "login_hint": self._record.account,
            **dict(self._provider.parameters),
        }
        if self._record.scopes:
            query["scope"] = self._record.scopes
        url = self._endpoint(self._provider.authorize)
        return verifier, f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

    def _redeem(self, code: str, verifier: str, redirect: str) -> TokenRecord:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        return self._store(request_token(self._record, form))

    def _store(self, grant: Grant, *, renewed_alone: bool = False) -> TokenRecord:
        """Write the token file, once a running program that renews the old one has finished."""
        record = self._record.with_grant(grant, SystemClock().wall())
        if renewed_alone:  # a refresh token would only end
            record = replace(record, refresh_token="")
        elif not record.refresh_token:
            raise AuthenticationFailed(
                "the provider gave no refresh token, so the login would end with the first access "
                "token: ask for one with --scopes (many require offline_access)"
            )
        with locked(self._path, SystemClock()):
            write_token_file(self._path, record)
        return record


def oauth_provider(name: str) -> OAuthProvider:
    """The endpoints of a preset, or of the issuer at a URL.

    Raises:
        ConfigurationError: it has no OAuth2, or is neither a preset nor a URL.
        ConnectionLost, Throttled: the discovery document cannot be read now.
    """
    if "://" in name:
        return discover(name)
    provider = preset(name)
    if provider is None or provider.oauth is None:
        takes = "" if provider is None else f": {provider.title} takes {provider.takes}"
        allowed = "has no OAuth2 login here; name office365, outlook, gmail or an issuer's URL"
        raise ConfigurationError("provider", name, allowed + takes)
    return provider.oauth


def discover(issuer: str) -> OAuthProvider:
    """Read a discovery document: RFC 8414, or that of OpenID Connect."""
    parts = urlsplit(issuer.rstrip("/"))
    root, path = f"{parts.scheme}://{parts.netloc}", parts.path
    places = (
        f"{root}/.well-known/oauth-authorization-server{path}",
        f"{root}{path}/.well-known/openid-configuration",
    )
    for place in places:
        try:
            document = fetch_json(place)
        except ProtocolError:
            continue
        if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):  # RFC 8414, 3.3
            raise ConfigurationError("provider", issuer, f"{place} belongs to another issuer")
        endpoints = [
            str(document.get(f"{kind}_endpoint") or "")
            for kind in ("authorization", "token", "device_authorization")
        ]
        if not (endpoints[0] and endpoints[1]):
            raise ConfigurationError("provider", issuer, f"{place} does not name the endpoints")
        methods = document.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return OAuthProvider(
            authorize=endpoints[0],
            token=endpoints[1],
            device=endpoints[2],
            issuer=str(document["issuer"]),
            basic_auth="client_secret_post" not in methods,
        )
    raise ConfigurationError("provider", issuer, f"has no discovery document; tried {places[0]}")


def read_redirect(query: str, state: str, provider: OAuthProvider) -> dict[str, str] | None:
    """The parameters of a redirection; ``None`` where it does not answer our request."""
    values = {name: value[0] for name, value in parse_qs(query).items() if len(value) == 1}
    issuer = values.get("iss", provider.issuer)  # RFC 9207
    if provider.issuer and issuer != provider.issuer:
        return None
    if not hmac.compare_digest(values.get("state", "").encode(), state.encode()):
        return None
    return values if "code" in values or "error" in values else None


def _code(answer: dict[str, str], login: str) -> str:
    if "error" in answer:
        raise refusal(answer, login, Redactor())
    return answer["code"]


class _Listener:
    """Waits on a port of 127.0.0.1 for the browser that comes back from the provider.

    One request with the right state is answered; every other one is refused and changes nothing.
    """

    def __init__(self, state: str, provider: OAuthProvider) -> None:
        self._answers: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._taken = threading.Lock()  # by the first answer, for good

        class Handler(BaseHTTPRequestHandler):
            timeout = LISTENER_SECONDS  # browsers also connect without asking for anything
            server_version, sys_version = "nornmail", ""

            def do_GET(handler) -> None:  # self is the listener
                self._respond(handler, state, provider)

            def log_message(handler, *_: Any) -> None:
                """Log nothing: the request line holds the code."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(LISTENER_TICK,),
            name="nornmail-login",
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float, login: str) -> str:
        """The code that the browser brings.

        Raises:
            AuthenticationFailed: it brings a refusal.
            ConnectionLost: it does not come in time.
        """
        try:
            return _code(self._answers.get(timeout=seconds), login)
        except queue.Empty:
            text = f"the browser did not come back within {seconds:g} s; run `{login}` again"
            raise ConnectionLost(text) from None

    def _respond(
        self, handler: BaseHTTPRequestHandler, state: str, provider: OAuthProvider
    ) -> None:
        target = urlsplit(handler.path)
        answer = None
        hosts = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        # A page elsewhere can make a browser send requests here, under a name of its own.
        if target.path == "/" and handler.headers.get("Host") in hosts:
            answer = read_redirect(target.query, state, provider)
        if answer is not None and not self._taken.acquire(blocking=False):
            answer = None
        text = "This response does not belong to the login that is in progress."
        if answer is not None:
            done = "error" not in answer
            text = "You are logged in." if done else "The provider refused the login."
            text += " You can close this page and return to the terminal."
        page = PAGE.format(text).encode()
        handler.send_response(400 if answer is None else 200)
        for name, value in (
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(page))),
            ("Content-Security-Policy", "default-src 'none'"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ):
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(page)
        handler.close_connection = True
        if answer is not None:
            self._answers.put(answer)
