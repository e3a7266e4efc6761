"""Which provider a server belongs to, and what its refusal tells to check."""

from __future__ import annotations

import pytest

from nornmail.errors import AuthenticationFailed
from nornmail.imap.quirks import login_hint, sends_id
from tests.imap.fake import FakeSocket, connection
from tests.support.table import table

UNKNOWN = "check IMAP_USERNAME and IMAP_PASSWORD"


@table(
    ("host", "words"),
    [
        pytest.param("imap.gmail.com", ["Gmail", "app password", "OAuth2"], id="Gmail"),
        pytest.param("imap.googlemail.com", ["Gmail", "app password"], id="Googlemail"),
        pytest.param("IMAP.GMAIL.COM.", ["Gmail"], id="in capitals, with the root's dot"),
        pytest.param("outlook.office365.com", ["December 2026", "login office365"], id="O365"),
        pytest.param("imap-mail.outlook.com", ["OAuth2", "nornmail login outlook"], id="Outlook"),
        pytest.param("imap.mail.yahoo.com", ["Yahoo", "app password"], id="Yahoo"),
        pytest.param("imap.aol.com", ["AOL", "app password"], id="AOL"),
        pytest.param("imap.mail.me.com", ["iCloud", "app-specific password"], id="iCloud"),
        pytest.param("imap.fastmail.com", ["Fastmail", "app password"], id="Fastmail"),
        pytest.param("imappro.zoho.eu", ["Zoho", "app password"], id="Zoho"),
        pytest.param("imap.qq.com", ["QQ", "authorisation code"], id="QQ"),
        pytest.param("imap.exmail.qq.com", ["QQ", "authorisation code"], id="QQ for companies"),
        pytest.param("imap.163.com", ["NetEase", "authorisation code"], id="NetEase"),
        pytest.param("mail.example.com", [UNKNOWN], id="anybody else"),
        pytest.param("notgmail.com", [UNKNOWN], id="a name that ends alike"),
        pytest.param("imap.gmail.com.example", [UNKNOWN], id="a name that begins alike"),
    ],
)
def test_what_to_check_after_a_refused_password(host: str, words: list[str]) -> None:
    sock = FakeSocket({"LOGIN": b"%T NO [AUTHENTICATIONFAILED] no\r\n"})
    with pytest.raises(AuthenticationFailed) as caught:
        connection(sock, host=host)
    assert "[AUTHENTICATIONFAILED] no" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("host", "word"),
    [
        pytest.param("imap.gmail.com", "https://mail.google.com/", id="Gmail"),
        pytest.param("outlook.office365.com", "IMAP.AccessAsUser.All", id="Office 365"),
        pytest.param("imap.mail.yahoo.com", "scope", id="a provider without its own words"),
        pytest.param("mail.example.com", "scope", id="anybody else"),
    ],
)
def test_what_to_check_after_a_refused_token(host: str, word: str) -> None:
    assert word in login_hint(host, with_token=True)
    assert "IMAP_PASSWORD" not in login_hint(host, with_token=True)


@table(
    ("capabilities", "host", "wanted"),
    [
        pytest.param({"ID"}, "mail.example.com", True, id="advertised"),
        pytest.param({"IDLE"}, "mail.example.com", False, id="not advertised"),
        pytest.param({"X-CM-EXT-1"}, "mail.example.com", True, id="Coremail demands it"),
        pytest.param(set(), "imap.126.com", True, id="NetEase demands it"),
        pytest.param(set(), "imap.qq.com", False, id="QQ does not"),
    ],
)
def test_where_id_is_sent(capabilities: set[str], host: str, wanted: bool) -> None:
    assert sends_id(capabilities, host) is wanted
