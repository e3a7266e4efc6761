"""Each flow of the OAuth2 login: what ends it well, and what is refused on the way."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest

from nornmail import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    ImapSettings,
    OAuthLogin,
    OAuthTokens,
)
from nornmail.imap.connection import Connection
from nornmail.net.oauth import TokenRecord, read_token_file
from nornmail.oauth_login import oauth_provider
from nornmail.settings.providers import GOOGLE, MICROSOFT
from nornmail.testing import MailServer, OAuthServer

USER = "agent@example.com"
SECONDS = 5.0


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        server.add_user(USER, "secret")
        yield server


@pytest.fixture
def provider(mail: MailServer) -> Iterator[OAuthServer]:
    with OAuthServer(mail) as server:
        yield server


@pytest.fixture
def login(provider: OAuthServer, tmp_path: Path) -> Callable[..., OAuthLogin]:
    def make(**options: Any) -> OAuthLogin:
        values: dict[str, Any] = {
            "path": tmp_path / "tokens.json",
            "account": USER,
            "client_id": provider.client_id,
            "scopes": "mail.read mail.send",
            "command": "nornmail login again",
        }
        return OAuthLogin(provider.url, **(values | options))

    return make


def browse(url: str, **headers: str) -> tuple[int, str]:
    """Open an address as a browser does; the status and the text of the page it ends at."""
    try:
        with urlopen(Request(url, headers=headers), timeout=SECONDS) as page:  # noqa: S310
            return page.status, page.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def in_background(url: str) -> None:
    threading.Thread(target=browse, args=(url,), daemon=True).start()


def log_in(mail: MailServer, path: Path) -> None:
    """The tokens of a file are good for IMAP."""
    settings = ImapSettings(
        host=mail.host, port=mail.imap_port, use_ssl=False, username=USER, token=OAuthTokens(path)
    )
    Connection.open(settings).close()


def by_browser(login: OAuthLogin, provider: OAuthServer) -> TokenRecord:
    return login.with_browser(in_background, SECONDS)


def by_paste(login: OAuthLogin, provider: OAuthServer) -> TokenRecord:
    urls: list[str] = []
    return login.with_pasted_redirect(urls.append, lambda: redirect_of(urls[0]) + "\n")


def by_device(login: OAuthLogin, provider: OAuthServer) -> TokenRecord:
    waits: list[float] = []
    codes: list[str] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # after one answer that nobody has entered the code yet
            provider.enter_device_code(codes[0], USER)

    return login.with_device_code(lambda _, code: codes.append(code), wait)


def by_credentials(login: OAuthLogin, provider: OAuthServer) -> TokenRecord:
    return login.with_client_credentials()


FLOWS = [
    pytest.param(by_browser, "", id="a browser on this machine"),
    pytest.param(by_paste, "", id="a pasted redirect"),
    pytest.param(by_device, "", id="a device code"),
    pytest.param(by_credentials, "hush hush", id="the program's own credentials"),
    pytest.param(by_browser, "hush hush", id="a browser and a client's secret"),
]


@pytest.mark.parametrize(("flow", "secret"), FLOWS)
def test_each_flow_ends_with_a_file_that_logs_in_and_is_renewed(
    flow: Callable[[OAuthLogin, OAuthServer], TokenRecord],
    secret: str,
    login: Callable[..., OAuthLogin],
    mail: MailServer,
    provider: OAuthServer,
    tmp_path: Path,
) -> None:
    provider.client_secret = secret
    path = tmp_path / "tokens.json"
    record = flow(login(client_secret=secret), provider)
    assert read_token_file(str(path)) == record
    assert path.stat().st_mode & 0o777 == 0o600
    assert record.missing_scopes == []
    log_in(mail, path)
    provider.expire(USER)  # the server refuses the token before its time
    log_in(mail, path)
    assert read_token_file(str(path)).access_token != record.access_token


@pytest.mark.parametrize(("flow", "secret"), FLOWS)
def test_no_secret_is_shown(
    flow: Callable[[OAuthLogin, OAuthServer], TokenRecord],
    secret: str,
    login: Callable[..., OAuthLogin],
    provider: OAuthServer,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    provider.client_secret = secret
    record = flow(login(client_secret=secret), provider)
    shown = repr(record) + caplog.text + "".join(capfd.readouterr())
    for value in (secret, record.access_token, record.refresh_token):
        assert not value or value not in shown


@pytest.mark.parametrize(
    "flow",
    [pytest.param(by_browser, id="a browser"), pytest.param(by_paste, id="a pasted redirect")],
)
def test_a_refused_consent_is_refused_by_the_providers_words(
    flow: Callable[[OAuthLogin, OAuthServer], TokenRecord],
    login: Callable[..., OAuthLogin],
    provider: OAuthServer,
    tmp_path: Path,
) -> None:
    provider.refuse_consent = "access_denied"
    with pytest.raises(AuthenticationFailed, match=r"access_denied: the user said no.*login again"):
        flow(login(), provider)
    assert not (tmp_path / "tokens.json").exists()


def test_a_device_code_that_the_person_refuses(
    login: Callable[..., OAuthLogin], provider: OAuthServer
) -> None:
    with pytest.raises(AuthenticationFailed, match="access_denied"):
        login().with_device_code(lambda _, code: provider.enter_device_code(code), lambda _: None)


def test_a_device_code_that_nobody_enters_ends(
    login: Callable[..., OAuthLogin], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nornmail.testing.oauth.INTERVAL", 200)
    waits: list[float] = []
    with pytest.raises(AuthenticationFailed, match="not entered in time"):
        login().with_device_code(lambda *_: None, waits.append)
    assert waits == [200.0] * 3, "the code is good for ten minutes"


def test_a_scope_that_was_not_granted_is_named(
    login: Callable[..., OAuthLogin], provider: OAuthServer
) -> None:
    provider.grant_scopes = "mail.read"
    assert by_browser(login(), provider).missing_scopes == ["mail.send"]


@pytest.mark.parametrize(
    ("change", "host", "status"),
    [
        pytest.param(lambda query: query.replace("state=", "state=x"), "", 400, id="a wrong state"),
        pytest.param(lambda query: query.replace("state=", "stat="), "", 400, id="no state"),
        pytest.param(lambda query: query + "&state=x", "", 400, id="two states"),
        pytest.param(lambda query: query.replace("iss=", "iss=x"), "", 400, id="another issuer"),
        pytest.param(lambda query: query, "evil.example", 400, id="a page under another name"),
        pytest.param(lambda query: "", "", 400, id="nothing at all"),
        pytest.param(lambda query: query, "", 200, id="the answer itself"),
    ],
)
def test_the_redirection_takes_one_request_with_the_right_state(
    change: Callable[[str], str],
    host: str,
    status: int,
    login: Callable[..., OAuthLogin],
    provider: OAuthServer,
) -> None:
    """Whatever else comes changes nothing: the right one is taken afterwards, and only once."""
    seen: list[int] = []

    def show(url: str) -> None:
        target = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        assert urlsplit(target).hostname == "127.0.0.1"
        answer = urlsplit(redirect_of(url))
        headers = {"Host": f"{host}:{answer.port}"} if host else {}
        seen.append(browse(f"{target}/?{change(answer.query)}", **headers)[0])
        seen.append(browse(f"{target}/?{answer.query}")[0])

    login().with_browser(show, SECONDS)
    assert seen == [status, 400 if status == 200 else 200]


def redirect_of(url: str) -> str:
    """The address that a consent leads to, which is not opened."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 0, timeout=SECONDS)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return str(response.headers["Location"])


def test_a_browser_that_does_not_come_back(login: Callable[..., OAuthLogin]) -> None:
    with pytest.raises(ConnectionLost, match=r"did not come back.*login again"):
        login().with_browser(lambda _: None, 0.01)


@pytest.mark.parametrize(
    "pasted", ["", "http://127.0.0.1/?code=x&state=y", "not an address", "http://127.0.0.1/"]
)
def test_what_is_pasted_must_answer_this_login(
    pasted: str, login: Callable[..., OAuthLogin]
) -> None:
    with pytest.raises(AuthenticationFailed, match="not the address"):
        login().with_pasted_redirect(lambda _: None, lambda: pasted)


@pytest.mark.parametrize(
    ("name", "flow", "words"),
    [
        pytest.param("gmail", OAuthLogin.with_client_credentials, "RSA", id="a Google service"),
        pytest.param("fastmail", None, "app password", id="a provider that takes passwords"),
        pytest.param("nowhere", None, "must be one of", id="no provider"),
    ],
)
def test_a_flow_that_a_provider_does_not_have_is_refused_with_the_reason(
    name: str, flow: Callable[[OAuthLogin], object] | None, words: str, tmp_path: Path
) -> None:
    def log_in() -> object:
        made = OAuthLogin(name, path=tmp_path / "t", account=USER, client_id="c")
        return flow and flow(made)

    with pytest.raises(ConfigurationError, match=words):
        log_in()


def test_google_has_no_device_code_for_mail(tmp_path: Path) -> None:
    login = OAuthLogin("gmail", path=tmp_path / "t", account=USER, client_id="c")
    with pytest.raises(ConfigurationError, match="no device code for the scope of mail"):
        login.with_device_code(lambda *_: None)


def test_the_request_for_consent_is_as_the_provider_wants_it(tmp_path: Path) -> None:
    login = OAuthLogin("outlook", path=tmp_path / "t", account=USER, client_id="c", tenant="a/b")
    urls: list[str] = []
    with pytest.raises(AuthenticationFailed):
        login.with_pasted_redirect(urls.append, lambda: "")
    parts = urlsplit(urls[0])
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.path == "/a%2Fb/oauth2/v2.0/authorize"
    assert query["redirect_uri"] == "http://localhost"
    assert query["scope"] == MICROSOFT.scopes
    assert query["code_challenge_method"] == "S256"
    assert query["login_hint"] == USER
    assert dict(GOOGLE.parameters) == {"access_type": "offline", "prompt": "consent"}


@pytest.mark.usefixtures("localhost")
def test_discovery_is_of_the_issuer_that_was_asked_for(provider: OAuthServer) -> None:
    found = oauth_provider(provider.url + "/")
    assert found.token == f"{provider.url}/token"
    assert found.basic_auth
    with pytest.raises(ConfigurationError, match="no discovery document"):
        oauth_provider(f"{provider.url}/elsewhere")
    with pytest.raises(ConfigurationError, match="belongs to another issuer"):
        oauth_provider(provider.url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("url", ["http://login.example.com", "ftp://127.0.0.1", "https://"])
def test_secrets_go_nowhere_without_tls(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        oauth_provider(url)
