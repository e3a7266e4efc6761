"""The interface over HTTP, its page, and the server by itself."""

from __future__ import annotations

import base64
import http.client
import imaplib
import json
import os
import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from nornmail.testing import MailServer
from nornmail.testing.http_interface import HttpInterface
from nornmail.testing.shown_mail import ShownMail
from tests.stores.support import Started
from tests.support.table import table
from tests.testing.raw_client import PASSWORD, USER, RawClient

KIM = "kim@example.org"
ROOT = Path(__file__).parents[2]


class Client:
    """A client of the interface."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc

    def send(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        octets = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else octets, kind | named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers, content

    def get(self, path: str) -> Any:
        status, _, content = self.send("GET", path)
        assert status == 200, content
        return json.loads(content)

    def post(self, path: str, **body: object) -> Any:
        status, _, content = self.send("POST", path, body)
        assert status == 200, content
        return json.loads(content)

    def error(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        status, _, content = self.send(method, path, body)
        return status, json.loads(content)["error"]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def interface(server: MailServer) -> Iterator[HttpInterface]:
    with HttpInterface(server, users=[(USER, PASSWORD), (KIM, PASSWORD)]) as interface:
        yield interface


@pytest.fixture
def client(interface: HttpInterface) -> Client:
    return Client(interface.url)


def send(server: MailServer, recipient: str, subject: str) -> None:
    with smtplib.SMTP(server.host, server.smtp_port) as smtp:
        smtp.sendmail(USER, [recipient], f"Subject: {subject}\r\n\r\nhello\r\n")


def test_a_test_in_any_language(server: MailServer, client: Client) -> None:
    assert client.get("/readyz")["imap"] == server.imap_url
    client.post("/api/users", name="bob@example.org", password="x")
    names = [user["name"] for user in client.get("/api/users")["users"]]
    assert names == [USER, KIM, "bob@example.org"]
    client.post("/api/mailboxes", user=USER, name="Entwürfe")
    assert client.post("/api/deliver", user=USER, subject="Grüße", text="a", html="<b>a</b>") == {
        "uid": 1
    }
    client.post(
        "/api/deliver", user=USER, mailbox="Entwürfe", raw="Subject: x\n\ny", flags=["\\Seen"]
    )
    (first,) = client.get(f"/api/messages?user={USER}")["messages"]
    assert (first["subject"], first["flags"]) == ("Grüße", [])
    message = client.get(f"/api/message?user={USER}&uid=1")
    assert (message["text"], message["has_html"]) == ("a\r\n", True)
    boxes = {box["name"]: box for box in client.get(f"/api/mailboxes?user={USER}")["mailboxes"]}
    assert (boxes["Entwürfe"]["messages"], boxes["Entwürfe"]["unseen"]) == (1, 0)
    with imaplib.IMAP4(server.host, server.imap_port) as imap:
        imap.login(USER, PASSWORD)
        assert imap.select() == ("OK", [b"1"])
    send(server, KIM, "Your lamp")
    (sent,) = client.post("/api/wait", to=KIM, subject="Your lamp", text="hel")["messages"]
    assert (sent["mail_from"], sent["rcpt_tos"], sent["number"]) == (USER, [KIM], 0)
    assert client.get("/api/message?outbox=0")["text"] == "hello\r\n"
    waited = client.post("/api/wait", **{"for": "messages"}, user=KIM)
    assert waited["messages"][0]["subject"] == "Your lamp"
    assert client.get("/api/transcript?last=1")["lines"][0].endswith("the server has hung up")
    client.post("/api/reset")
    assert client.get("/api/outbox") == {"messages": []}
    assert [user["name"] for user in client.get("/api/users")["users"]] == [USER, KIM]


def test_a_message_is_delivered_octet_by_octet(server: MailServer, client: Client) -> None:
    raw = b"Subject: caf\xe9\n\nbody\n"
    path = f"/api/deliver?user={USER}&mailbox={quote('Entwürfe')}"
    assert client.send("POST", path, raw, Content_Type="message/rfc822")[0] == 200
    assert server.mailbox("Entwürfe", user=USER).messages[0].raw == raw
    place = f"user={USER}&mailbox={quote('Entwürfe')}&uid=1"
    assert client.send("GET", f"/api/message/raw?{place}")[2] == raw


def test_faults_by_name(server: MailServer, client: Client) -> None:
    client.post("/api/faults", fault="Answer", stage="RCPT", code=450, text="4.2.0 later")
    client.post("/api/faults", fault="Cut", command="UID FETCH", after_bytes=3)
    client.post("/api/faults", fault="Cut", protocol="smtp", stage="NOOP")
    client.post("/api/faults", fault="Rewrite", command="NOOP", find="completed", replace="done")
    assert len(client.get("/api/faults")["pending"]) == 4
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(server, KIM, "x")
    with RawClient(server.host, server.imap_port) as imap:
        assert imap.command(b"NOOP").endswith(b"tag OK done\r\n")
    assert len(client.get("/api/faults")["never_fired"]) == 2
    client.send("DELETE", "/api/faults")
    assert client.post("/api/wait", **{"for": "faults"}) == {}


def test_a_wait_has_a_deadline(client: Client) -> None:
    status, text = client.error("POST", "/api/wait", {"count": 2, "seconds": 0.01})
    assert status == 504
    assert "The mail on the server:\n  0 in INBOX of" in text
    status, text = client.error("POST", "/api/wait", {"for": "idle", "seconds": 0})
    assert (status, text) == (504, "0 of 1 clients idle after 0 s")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "complaint"),
    [
        ("POST", "/api/users", {"name": "x"}, 422, "password is missing"),
        ("POST", "/api/users", {"name": 7, "password": "x"}, 422, "name must be a text"),
        ("POST", "/api/users", {"name": USER, "password": "x"}, 422, "exists already"),
        ("POST", "/api/deliver", {"usr": "x"}, 422, "'usr'; did you mean 'user'?"),
        ("POST", "/api/deliver", {"user": "nobody"}, 404, "no user 'nobody'"),
        ("GET", f"/api/messages?user={USER}&mailbox=Nope", None, 404, "has no mailbox 'Nope'"),
        ("GET", f"/api/message?user={USER}&uid=7", None, 404, "no message with UID 7"),
        ("GET", "/api/message?outbox=7", None, 404, "the outbox has 0 messages"),
        ("POST", "/api/faults", {"fault": "Cutt"}, 422, "did you mean 'Cut'?"),
        ("POST", "/api/faults", {"fault": "Call"}, 422, "unknown fault 'Call'"),
        ("POST", "/api/faults", {"fault": "Cut", "command": "UIDFETCH"}, 422, "'UID FETCH'?"),
        ("POST", "/api/faults", {"fault": "Cut", "after_byte": 1}, 422, "'after_bytes'?"),
        ("POST", "/api/faults", {"fault": "Cut", "after_bytes": "1"}, 422, "must be int"),
        ("POST", "/api/wait", {"for": "godot"}, 422, "unknown event 'godot'"),
        ("GET", "/api/outbocks", None, 404, "did you mean '/api/outbox'?"),
        ("POST", "/api/outbox", None, 405, "supports GET"),
        ("POST", "/api/reset", b"[1]", 400, "must be a JSON object"),
        ("POST", "/api/reset", b"{", 400, "is not JSON"),
    ],
)
def test_a_mistake_is_a_sentence(
    client: Client, method: str, path: str, body: object, status: int, complaint: str
) -> None:
    found, text = client.error(method, path, body)
    assert (found, complaint in text) == (status, True), text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Host": "localhost:8025"}, 200, id="this machine"),
        pytest.param({"Host": "[::1]:8025"}, 200, id="this machine over IPv6"),
        pytest.param({"Host": "mail:8025"}, 200, id="a name that is allowed"),
        pytest.param({"Host": "rebound.example"}, 403, id="a foreign name"),
        pytest.param({"Host": "localhost", "Origin": "http://localhost"}, 200, id="its own page"),
        pytest.param({"Host": "localhost", "Origin": "http://localhost:1"}, 403, id="another port"),
        pytest.param({"Origin": "null"}, 403, id="a sandboxed page"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, 403, id="a link on another site"),
        pytest.param({"Content_Type": "text/plain"}, 415, id="a form"),
    ],
)
def test_web_pages_of_others_are_refused(
    server: MailServer, headers: dict[str, str], status: int
) -> None:
    with HttpInterface(server, hosts=["mail"]) as interface:
        client = Client(interface.url)
        assert client.send("POST", "/api/reset", {}, **headers)[0] == status


def test_the_page_loads_nothing_from_elsewhere(client: Client) -> None:
    for path in ("/", "/page.js", "/page.css"):
        status, headers, content = client.send("GET", path)
        assert status == 200
        assert "script-src 'self'" in str(headers["Content-Security-Policy"])
        assert not re.search(rb"https?://|innerHTML|<script>|style=| on\w+=\"", content)
    names = re.findall(rb'(?:src|href)="([^"]+)"', client.send("GET", "/")[2])
    assert names == [b"page.css", b"page.js"]
    assert client.send("HEAD", "/")[2] == b""


def test_the_html_of_a_message_is_shut_in(server: MailServer, client: Client) -> None:
    mail = EmailMessage()
    mail["Subject"] = "x"
    mail.set_content("plain")
    mail.add_alternative('<script>1</script><img src="cid:logo">', subtype="html")
    html = mail.get_payload(1)
    assert isinstance(html, EmailMessage)
    html.add_related(b"PNG", "image", "png", cid="<logo>")
    mail.add_attachment(b"1,2", "text", "csv", filename="Preisliste ü.csv")
    server.deliver(mail, user=USER)
    place = f"user={USER}&uid=1"
    _, headers, content = client.send("GET", f"/api/message/html?{place}")
    policy = str(headers["Content-Security-Policy"])
    assert policy.startswith("sandbox; default-src 'none'; img-src data:;")
    assert "allow-" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert f"data:image/png;base64,{base64.b64encode(b'PNG').decode()}".encode() in content
    attachments = client.get(f"/api/message?{place}")["attachments"]
    assert [part["name"] for part in attachments] == ["part 5", "Preisliste ü.csv"]
    _, headers, content = client.send("GET", f"/api/message/attachment?{place}&number=1")
    assert content == b"1,2"
    assert headers["Content-Type"] == "application/octet-stream"
    assert str(headers["Content-Disposition"]).startswith("attachment; filename*=UTF-8''Preis")
    assert client.error("GET", f"/api/message/attachment?{place}&number=2")[0] == 404


@table(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"Subject: =?x-nope?Q?a?= =?utf-8?B?%%%?=\r\n\r\n",
        b"Content-Type: text/plain; charset=nope\r\n\r\n\xff",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n",
        b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\n",
        b"From: <a@b\r\nTo: ,,;:\r\nDate: never\r\nContent-Transfer-Encoding: base64\r\n\r\n*",
    ],
)
def test_no_message_is_too_odd_to_be_shown(raw: bytes) -> None:
    mail = ShownMail(raw)
    assert json.dumps(mail.to_dict())
    assert mail.html


def test_the_page_hears_of_changes(server: MailServer, client: Client) -> None:
    before = client.get("/api/changes")["changes"]
    server.deliver("Subject: x", user=USER)
    assert client.get(f"/api/changes?after={before}")["changes"] > before


MODULE = "import runpy; runpy.run_module('nornmail.testing', run_name='__main__', alter_sys=True)"


def test_it_runs_by_itself() -> None:
    options = ("--imap", "0", "--smtp", "0", "--http", "0", "--like", "gmail", "--starttls")
    with Started(MODULE, *options, "--user", f"{USER}:a:b") as process:
        ready, imap_url, smtp_url, http_url = process.stdout.readline().split()
        assert (ready, smtp_url[:7], process.stdout.readline()[:7]) == (
            "ready:",
            "smtp://",
            "trust: ",
        )
        assert Client(http_url).get("/readyz")["status"] == "ready"
        imap = urlsplit(imap_url)
        with imaplib.IMAP4(str(imap.hostname), imap.port or 0) as client:
            assert b"Gimap" in client.welcome
            assert client.login(USER, "a:b")[0] == "OK"
        os.kill(process.pid, signal.SIGTERM)
        assert process.end() == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        pytest.param(["--imap", "99999"], 2, "must be a port", id="a port too high"),
        pytest.param(["--user", "kim"], 2, "must be NAME:PASSWORD", id="no password"),
        pytest.param(["--like", "gmial"], 2, "invalid choice", id="an unknown vendor"),
        pytest.param(
            ["--host", "192.0.2.1", "--imap", "0"], 1, "192.0.2.1: ", id="no such address"
        ),
    ],
)
def test_its_mistakes(
    options: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from nornmail.testing.__main__ import main

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code: object = main(options)
    except SystemExit as end:
        code = end.code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert code == status
    assert complaint in capsys.readouterr().err


CTRL_C_AT_AN_IMPORT = """
import runpy, sys

class Interrupting:
    def find_spec(name, *_):
        if name.startswith("nornmail.testing.") and not name.endswith("__main__"):
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting)
runpy.run_module("nornmail.testing", run_name="__main__")
"""


def test_ctrl_c_while_it_imports_is_no_traceback() -> None:
    # Another process: here everything is imported already.
    command = [sys.executable, "-c", CTRL_C_AT_AN_IMPORT]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")
