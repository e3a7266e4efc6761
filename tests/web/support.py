"""The application, called as a WSGI server would, and a mail server behind it."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from nornmail import ImapSettings, Mailer, MemoryStateStore, Message, Poller, StateStore
from nornmail.testing import MailServer
from nornmail.web import WsgiApplication, application

ACCOUNT = "agent@example.com"
PASSWORD = "correct-horse-7%battery"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: every reply is JSON or has no body."""

    status: int
    headers: dict[str, str]
    octets: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.octets)

    @property
    def detail(self) -> str:
        return str(self.body["detail"])


def call(
    application: WsgiApplication,
    method: str,
    target: str,
    body: Any = None,
    *,
    octets: bytes | None = None,
    headers: dict[str, str] | None = None,
    **environ: Any,
) -> Reply:
    """One request. The standard library's validator holds both sides to PEP 3333.

    Args:
        body: sent as JSON, unless ``octets`` are given.
        headers: by their names; Content-Type and Content-Length by those of the environment.
        environ: as PEP 3333 has it; ``None`` takes a variable away.
    """
    path, _, query = target.partition("?")
    data = octets if octets is not None else b"" if body is None else json.dumps(body).encode()
    values: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(data)) if data else "",
        "wsgi.input": io.BytesIO(data),
        **({"CONTENT_TYPE": "application/json"} if data else {}),
        **environ,
    }
    for name, text in (headers or {}).items():
        values[f"HTTP_{name.upper().replace('-', '_')}"] = text
    values = {name: value for name, value in values.items() if value is not None}
    setup_testing_defaults(values)
    started: list[Any] = []

    def start_response(status: str, lines: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.append((status, dict(lines)))
        return lambda _: None

    answer: Any = validator(application)(values, start_response)
    try:
        said = b"".join(answer)
    finally:
        answer.close()
    ((status, lines),) = started
    return Reply(int(status[:3]), lines, said)


class World:
    """A mail server, a poller without inboxes of its own, and the application."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.server = stack.enter_context(MailServer())
        self.server.add_user(ACCOUNT, PASSWORD)
        self.store: StateStore = MemoryStateStore()
        stack.callback(self.store.close)
        self.seen: list[Message] = []
        self.poller = self.another_poller()
        self.app = application(self.poller)

    def another_poller(self, **more: Any) -> Poller:
        settings = ImapSettings(
            host=self.server.host,
            port=self.server.imap_port,
            use_ssl=False,
            username=ACCOUNT,
            password=PASSWORD,
        )
        options: dict[str, Any] = {"on_message": self.seen.append, "inboxes": [], "idle": False}
        poller = Poller(settings, store=self.store, **{**options, **more})
        self._stack.callback(poller.close)
        return poller

    def with_mailer(self, mailer: Mailer) -> WsgiApplication:
        return application(self.poller, mailer)

    def create(self, username: str = "test", name: str = "Test", **more: Any) -> Reply:
        body = {"name": name, "email_username": username, **more}
        return call(self.app, "POST", "/v1/inboxes", body)

    def deliver(self, to: str, subject: str = "hello", **headers: str) -> None:
        lines = [f"To: {to}", "From: Kim <kim@example.org>", f"Subject: {subject}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.server.deliver("\r\n".join([*lines, "", "hello", ""]).encode())
