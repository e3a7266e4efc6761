"""A provider of OAuth2 on the loopback, whose tokens the test server takes."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from nornmail.testing.mail_server import MailServer

BEARERS = ("XOAUTH2", "OAUTHBEARER")
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TICK = 0.02
"""Seconds between two looks whether the test is over."""
INTERVAL = 1
"""Seconds between two requests of a device."""


@dataclass
class Answer:
    """The next response of the token endpoint, instead of the correct one.

    Args:
        status: of HTTP.
        body: a value for JSON, or octets as they are.
        headers: further ones, as Retry-After.
        slow: waited for before the answer, until the test sets it or the server stops.
        act: do first what was asked for: the client does not know.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    slow: threading.Event | None = None
    act: bool = False


@dataclass
class _Grant:
    """A login: the user, the scopes, the refresh tokens that are good, the last access token."""

    user: str
    scopes: str
    refresh: list[str] = field(default_factory=list)
    access: str = ""


class OAuthServer:
    """A provider of OAuth2 in this process: codes with PKCE, device codes, client credentials.

        with MailServer() as mail, OAuthServer(mail) as provider:
            mail.add_user("agent@example.com", "secret")
            ...  # nornmail login {provider.url} --account agent@example.com --client-id client

    Its access tokens are good for XOAUTH2 and OAUTHBEARER on the mail server, for IMAP and SMTP.
    A refresh token is rotated at each use: the old one ends when one of the new tokens is used.
    Whoever asks for consent gets it, for the user of ``login_hint``.

    Args:
        mail: the mail server, which must have the users. It is made to offer both mechanisms.
        client_id: of the only client.
        client_secret: that the client must send; ``""`` for a public client.
        lifetime: of an access token, in seconds.

    Attributes:
        url: of the issuer, with discovery documents below it.
        refuse_consent: the error with which consent is refused; ``""`` for none.
        grant_scopes: the scopes that are granted, instead of those that were asked for.
        answers: what the token endpoint answers to the next requests; see `Answer`.
        requests: the forms that came to the token endpoint.
        refreshes: how many times tokens were renewed.
    """

    def __init__(
        self,
        mail: MailServer,
        *,
        client_id: str = "client",
        client_secret: str = "",
        lifetime: int = 3_600,
    ) -> None:
        self._mail = mail
        self.client_id = client_id
        self.client_secret = client_secret
        self.lifetime = lifetime
        self.refuse_consent = ""
        self.grant_scopes: str | None = None
        self.answers: list[Answer] = []
        self.requests: list[dict[str, str]] = []
        self.refreshes = 0
        self.url = ""
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._codes: dict[str, tuple[_Grant, dict[str, str]]] = {}
        self._devices: dict[str, tuple[_Grant, str]] = {}
        self._grants: list[_Grant] = []

    def __enter__(self) -> Self:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, *_: object) -> None:
                """Log nothing: requests hold secrets."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(TICK,), name="oauth-server"
        )
        self._thread.start()
        self._mail.capabilities |= {f"AUTH={name}" for name in BEARERS} | {"SASL-IR"}
        self._mail.smtp.extensions |= {f"AUTH={name}" for name in BEARERS}
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def enter_device_code(self, user_code: str, user: str | None = None) -> None:
        """Enter a device's code as a person would; without a user, refuse.

        Raises:
            KeyError: there is no such code.
        """
        with self._lock:
            for device, (grant, code) in self._devices.items():
                if code == user_code:
                    grant.user = user or ""
                    self._devices[device] = (grant, "entered")
                    return
        raise KeyError(user_code)

    def revoke(self, user: str) -> None:
        """End every token of a user, as its password's change does."""
        with self._lock:
            self._mail.tokens(user).clear()
            self._grants = [grant for grant in self._grants if grant.user != user]

    def expire(self, user: str) -> None:
        """End the user's access tokens; refresh tokens stay good."""
        self._mail.tokens(user).clear()

    def refresh_tokens(self, user: str) -> set[str]:
        """The refresh tokens with which this user's login can be renewed now."""
        with self._lock:
            self._settle()
            return {
                token for grant in self._grants if grant.user == user for token in grant.refresh
            }

    # Requests.

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        target = urlsplit(handler.path)
        if target.path == "/.well-known/oauth-authorization-server":
            document = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "device_authorization_endpoint": f"{self.url}/device",
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            }
            _reply(handler, Answer(200, document))
        elif target.path == "/authorize":
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            _reply(handler, self._consent(query))
        else:
            _reply(handler, Answer(404, b"not here"))

    def _post(self, handler: BaseHTTPRequestHandler) -> None:
        octets = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        form = {name: values[0] for name, values in parse_qs(octets.decode()).items()}
        with self._lock:
            self.requests.append(form)
            planned = self.answers.pop(0) if self.answers else None
        if planned is None:
            _reply(handler, self._act(handler, form))
            return
        if planned.slow is not None:
            while not planned.slow.wait(TICK) and not self._stopping.is_set():
                pass
        if planned.act:
            self._act(handler, form)
        _reply(handler, planned)

    def _act(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> Answer:
        if not self._knows(handler, form):
            return _error("invalid_client", "unknown client, or wrong client secret", 401)
        if urlsplit(handler.path).path == "/device":
            return self._begin_device(form)
        kinds: dict[str, Callable[[dict[str, str]], Answer]] = {
            "authorization_code": self._redeem,
            "refresh_token": self._refresh,
            "client_credentials": self._client,
            DEVICE_GRANT: self._poll_device,
        }
        act = kinds.get(form.get("grant_type", ""))
        with self._lock:
            return act(form) if act else _error("unsupported_grant_type", "not this one")

    def _knows(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> bool:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, pair = handler.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client, _, secret = map(unquote_plus, b64decode(pair).decode().partition(":"))
        return (client, secret) == (self.client_id, self.client_secret)

    def _consent(self, query: dict[str, str]) -> Answer:
        """A person's consent, which sends the browser back to the program."""
        back = {"state": query.get("state", ""), "iss": self.url}
        pkce = query.get("code_challenge_method") == "S256" and query.get("code_challenge")
        if query.get("client_id") != self.client_id or not pkce:
            return Answer(400, b"unknown client, or PKCE is missing")
        if self.refuse_consent:
            back |= {"error": self.refuse_consent, "error_description": "the user said no"}
        else:
            code = secrets.token_urlsafe(24)
            grant = _Grant(query.get("login_hint", ""), query.get("scope", "mail"))
            self._codes[code] = (grant, query)
            back["code"] = code
        location = f"{query['redirect_uri']}?{urlencode(back)}"
        return Answer(302, b"", {"Location": location})

    def _redeem(self, form: dict[str, str]) -> Answer:
        grant, query = self._codes.pop(form.get("code", ""), (None, {}))
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if grant is None or challenge != query["code_challenge"]:
            why = "the code was used already, or does not match its PKCE challenge"
            return _error("invalid_grant", why)
        if form.get("redirect_uri") != query["redirect_uri"]:
            return _error("invalid_grant", "another redirect_uri")
        self._grants.append(grant)
        return self._issue(grant)

    def _refresh(self, form: dict[str, str]) -> Answer:
        self._settle()
        token = form.get("refresh_token", "")
        grant = next((grant for grant in self._grants if token in grant.refresh), None)
        if grant is None:
            return _error("invalid_grant", "the refresh token has expired or was revoked")
        grant.refresh = [token]
        self.refreshes += 1
        return self._issue(grant)

    def _client(self, form: dict[str, str]) -> Answer:
        if not self.client_secret:
            return _error("unauthorized_client", "a public client has no credentials of its own")
        token = self._token(*self._mail.users)
        return Answer(200, self._tokens(token, form.get("scope", "")))

    def _begin_device(self, form: dict[str, str]) -> Answer:
        device, code = secrets.token_urlsafe(24), secrets.token_hex(4).upper()
        self._devices[device] = (_Grant("", form.get("scope", "mail")), code)
        body = {
            "device_code": device,
            "user_code": code,
            "verification_uri": f"{self.url}/enter",
            "expires_in": 600,
            "interval": INTERVAL,
        }
        return Answer(200, body)

    def _poll_device(self, form: dict[str, str]) -> Answer:
        grant, code = self._devices.get(form.get("device_code", ""), (None, ""))
        if grant is None:
            return _error("expired_token", "unknown device code")
        if code != "entered":
            return _error("authorization_pending", "the code has not been entered yet")
        if not grant.user:
            return _error("access_denied", "the user said no")
        self._grants.append(grant)
        return self._issue(grant)

    # Tokens.

    def _issue(self, grant: _Grant) -> Answer:
        access, refresh = self._token(grant.user), secrets.token_urlsafe(32)
        grant.refresh.append(refresh)
        grant.access = access
        return Answer(200, self._tokens(access, grant.scopes) | {"refresh_token": refresh})

    def _tokens(self, access: str, scopes: str) -> dict[str, Any]:
        granted = scopes if self.grant_scopes is None else self.grant_scopes
        return {
            "token_type": "Bearer",
            "access_token": access,
            "expires_in": self.lifetime,
            "scope": granted,
        }

    def _token(self, *users: str) -> str:
        token = f"at-{secrets.token_urlsafe(32)}"
        for user in users:
            self._mail.tokens(user).add(token)
        return token

    def _settle(self) -> None:
        """End the refresh tokens before the last one, where the last access token was used."""
        for grant in self._grants:
            if grant.access in self._mail.used_tokens(grant.user):
                del grant.refresh[:-1]


def _error(code: str, words: str, status: int = 400) -> Answer:
    return Answer(status, {"error": code, "error_description": words})


def _reply(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    try:
        handler.send_response(answer.status)
        for name, value in {"Content-Length": str(len(body)), **answer.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
    except OSError:
        pass  # the client has left: what it does not read is its own loss
