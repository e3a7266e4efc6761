"""The test server over HTTP, for tests in any language, and its page for people.

Requests and responses are JSON. It is made for the loopback: like every interface without a token
it refuses requests that carry a foreign ``Host`` or ``Origin``, since any web page could use it
through a browser here otherwise.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socket import AF_INET6, socket
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from nornmail.testing.accounts import Account
from nornmail.testing.fault_plan import Fault, suggestion
from nornmail.testing.imap import faults as imap_faults
from nornmail.testing.mail_server import WAIT_SECONDS, MailServer
from nornmail.testing.mailbox import StoredMessage
from nornmail.testing.shown_mail import ShownMail, compose
from nornmail.testing.smtp import faults as smtp_faults
from nornmail.testing.smtp.transaction import SentMessage

MAX_BODY = 40 * 1024 * 1024
"""Octets of a request: a message of 25 MiB in base64."""
MAX_WAIT = 300.0
"""Seconds that a request may wait: clients give up earlier."""
CHANGE_SECONDS = 20.0
"""Seconds for which the page waits for a change; then it asks again."""
REQUEST_SECONDS = 60
"""Seconds that a client may take for its request."""
LINES = 1000
"""Lines of the transcript that are given when no other number is asked for."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_CLOSED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_MAIL_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)
"""HTML of a stranger: no script, nothing from the network, no form, an origin of its own."""

_PAGE = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


class Problem(Exception):
    """A request that is refused; the text goes to the client."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Response(NamedTuple):
    """A response that is not JSON."""

    body: bytes
    content_type: str
    policy: str = _CLOSED
    headers: tuple[tuple[str, str], ...] = ()


class Arguments:
    """The arguments of a request; those that a resource does not take are an error."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = dict(values)
        self._known: list[str] = []

    def take(self, name: str, kind: type, default: Any = None) -> Any:
        """An argument of this type. Problem where it has another one."""
        self._known.append(name)
        value = self._left.pop(name, default)
        if kind in (int, float) and isinstance(value, str) and re.fullmatch(r"[0-9.]+", value):
            value = kind(value)
        if kind is float and isinstance(value, int):
            value = float(value)
        if value is not default and (type(value) is not kind):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} must be a {_NAMES[kind]}")
        return value

    def need(self, name: str, kind: type) -> Any:
        """An argument that must be there."""
        value = self.take(name, kind)
        if value is None:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} is missing")
        return value

    def rest(self) -> dict[str, Any]:
        """All that were not taken."""
        left, self._left = self._left, {}
        return left

    def check_all_known(self) -> None:
        """Raise Problem for an argument that no one has taken."""
        for name in self._left:
            hint = suggestion(name, self._known) if self._known else ""
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"unknown argument {name!r}{hint}")


_NAMES: dict[type, str] = {
    str: "text",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "list",
}

Resource = Callable[["HttpInterface", Arguments], object]
"""Carries a request out; returns what becomes JSON, or a Response."""


def _users(interface: HttpInterface, _arguments: Arguments) -> object:
    return {"users": [_user(account) for account in interface.server.accounts]}


def _add_user(interface: HttpInterface, arguments: Arguments) -> object:
    name, password = arguments.need("name", str), arguments.need("password", str)
    arguments.check_all_known()
    interface.server.add_user(name, password)
    return {"name": name}


def _user(account: Account) -> dict[str, Any]:
    return {"name": account.user, "mailboxes": [box.name for box in account.all()]}


def _mailboxes(interface: HttpInterface, arguments: Arguments) -> object:
    user = arguments.take("user", str)
    arguments.check_all_known()
    shown = []
    for account in interface.server.accounts:
        boxes = [box for box in account.all() if "\\Noselect" not in box.attributes]
        for box in boxes if user in (None, account.user) else ():
            messages = box.messages
            unseen = sum("\\Seen" not in message.flags for message in messages)
            counts = {"messages": len(messages), "unseen": unseen}
            validity = {"uid_validity": box.uid_validity, "uid_next": box.uid_next}
            shown.append({"user": account.user, "name": box.name, **counts, **validity})
    return {"mailboxes": shown}


def _create_mailbox(interface: HttpInterface, arguments: Arguments) -> object:
    user, name = arguments.take("user", str), arguments.need("name", str)
    arguments.check_all_known()
    return {"name": interface.server.create_mailbox(name, user=user).name}


def _messages(interface: HttpInterface, arguments: Arguments) -> object:
    user, mailbox = arguments.take("user", str), arguments.take("mailbox", str, "INBOX")
    arguments.check_all_known()
    return {"messages": list(map(_stored, interface.server.mailbox(mailbox, user=user).messages))}


def _stored(message: StoredMessage) -> dict[str, Any]:
    state = {"uid": message.uid, "flags": sorted(message.flags), "size": len(message.raw)}
    return {**state, "received": message.internal_date.isoformat(), **ShownMail(message.raw).head()}


def _outbox(interface: HttpInterface, _arguments: Arguments) -> object:
    return {
        "messages": [_sent(number, mail) for number, mail in enumerate(interface.server.outbox)]
    }


def _sent(number: int, mail: SentMessage) -> dict[str, Any]:
    return {
        "number": number,
        "mail_from": mail.mail_from,
        "rcpt_tos": list(mail.rcpt_tos),
        "mail_options": list(mail.mail_options),
        "helo": mail.helo,
        "user": mail.user,
        "tls": mail.tls,
        "received": mail.at.isoformat(),
        "size": len(mail.raw),
        **ShownMail(mail.raw).head(),
    }


def _mail(interface: HttpInterface, arguments: Arguments) -> ShownMail:
    """The message that the arguments name: ``outbox``, or ``user``, ``mailbox`` and ``uid``."""
    number = arguments.take("outbox", int)
    if number is not None:
        sent = interface.server.outbox
        if number >= len(sent):
            raise Problem(HTTPStatus.NOT_FOUND, f"the outbox has {len(sent)} messages")
        return ShownMail(sent[number].raw)
    user, mailbox = arguments.take("user", str), arguments.take("mailbox", str, "INBOX")
    uid = arguments.need("uid", int)
    for message in interface.server.mailbox(mailbox, user=user).messages:
        if message.uid == uid:
            return ShownMail(message.raw)
    raise Problem(HTTPStatus.NOT_FOUND, f"{mailbox} has no message with UID {uid}")


def _message(interface: HttpInterface, arguments: Arguments) -> object:
    mail = _mail(interface, arguments)
    arguments.check_all_known()
    return mail.to_dict()


def _raw(interface: HttpInterface, arguments: Arguments) -> object:
    mail = _mail(interface, arguments)
    arguments.check_all_known()
    return Response(mail.raw, "text/plain; charset=utf-8")


def _html(interface: HttpInterface, arguments: Arguments) -> object:
    mail = _mail(interface, arguments)
    arguments.check_all_known()
    return Response(mail.html.encode("utf-8", "replace"), "text/html; charset=utf-8", _MAIL_POLICY)


def _attachment(interface: HttpInterface, arguments: Arguments) -> object:
    mail = _mail(interface, arguments)
    number = arguments.need("number", int)
    arguments.check_all_known()
    if number >= len(mail.attachments):
        raise Problem(HTTPStatus.NOT_FOUND, f"it has {len(mail.attachments)} attachments")
    name, _kind, content = mail.attachments[number]
    disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    headers = (("Content-Disposition", disposition),)
    return Response(content, "application/octet-stream", headers=headers)


def _deliver(interface: HttpInterface, arguments: Arguments) -> object:
    user, mailbox = arguments.take("user", str), arguments.take("mailbox", str, "INBOX")
    flags, raw = arguments.take("flags", list, []), arguments.take("raw", str)
    message: str | bytes | EmailMessage = (
        raw if raw is not None else arguments.take("octets", bytes, b"")
    )
    if not message:
        words = {
            name: arguments.take(name, str, default)
            for name, default in (
                ("from", "sender@example.org"),
                ("to", user or "you@example.com"),
                ("subject", "(no subject)"),
                ("text", ""),
                ("html", ""),
            )
        }
        message = compose(**words)
    arguments.check_all_known()
    uid = interface.server.deliver(message, user=user, mailbox=mailbox, flags=flags)
    return {"uid": uid}


def _wait(interface: HttpInterface, arguments: Arguments) -> object:
    """Wait for mail, for clients in IDLE or for all faults, up to a deadline."""
    server = interface.server
    event, count = arguments.take("for", str, "sent"), arguments.take("count", int, 1)
    seconds = min(arguments.take("seconds", float, WAIT_SECONDS), MAX_WAIT)
    if event == "messages":
        user, mailbox = arguments.take("user", str), arguments.take("mailbox", str, "INBOX")
        arguments.check_all_known()
        stored = server.wait_for_messages(count, mailbox=mailbox, user=user, seconds=seconds)
        return {"messages": list(map(_stored, stored))}
    if event == "sent":
        criteria = {name: arguments.take(name, str) for name in ("to", "subject", "text", "sender")}
        arguments.check_all_known()

        def matching(server: MailServer) -> list[dict[str, Any]] | None:
            numbered = enumerate(server.outbox)
            matches = [_sent(number, mail) for number, mail in numbered if mail.matches(**criteria)]
            return matches if len(matches) >= count else None

        return {"messages": server.wait_for(matching, seconds=seconds)}
    arguments.check_all_known()
    if event == "idle":
        server.wait_for_idle(count, seconds=seconds)
    elif event == "faults":
        server.wait_for(lambda server: not server.faults.pending, seconds=seconds)
    else:
        hint = suggestion(event, ("faults", "idle", "messages", "sent"))
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"unknown event {event!r}{hint}")
    return {}


def _faults(interface: HttpInterface, _arguments: Arguments) -> object:
    plan = interface.server.faults
    return {
        "pending": [repr(fault) for fault in plan.pending],
        "never_fired": [repr(fault) for fault in plan.never_fired],
    }


def _add_fault(interface: HttpInterface, arguments: Arguments) -> object:
    """Arm a fault by its name; its arguments are fields of the same object."""
    name, protocol = arguments.need("fault", str), arguments.take("protocol", str)
    rest = arguments.rest()
    if protocol is None:
        protocol = "smtp" if "stage" in rest or name not in _kinds(imap_faults) else "imap"
    if protocol not in ("imap", "smtp"):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "protocol must be imap or smtp")
    kinds = _kinds(imap_faults if protocol == "imap" else smtp_faults)
    if name not in kinds:
        hint = suggestion(name, kinds)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"unknown fault {name!r}{hint}")
    if name == "Rewrite":
        find, replace = str(rest.pop("find", "")).encode(), str(rest.pop("replace", "")).encode()
        rest["function"] = lambda answer: answer.replace(find, replace)
    known = [field.name for field in fields(kinds[name])]
    for argument in rest.keys() - set(known):
        hint = suggestion(argument, known)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} does not take {argument!r}{hint}")
    fault = kinds[name](**rest)
    interface.server.faults.add(fault)
    return {"fault": repr(fault)}


def _kinds(module: object) -> dict[str, type[Fault]]:
    """The faults of a protocol that need no function of Python but ``Rewrite``."""
    return {
        name: kind
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Fault) and kind.__name__ == name
        if name not in ("Fault", "CommandFault", "StageFault", "Call")
    }


def _clear_faults(interface: HttpInterface, _arguments: Arguments) -> object:
    interface.server.faults.clear()
    return {}


def _reset(interface: HttpInterface, _arguments: Arguments) -> object:
    interface.reset()
    return {}


def _transcript(interface: HttpInterface, arguments: Arguments) -> object:
    last = arguments.take("last", int, LINES)
    arguments.check_all_known()
    lines = interface.server.transcript
    return {"lines": lines[max(0, len(lines) - last) :]}


def _changes(interface: HttpInterface, arguments: Arguments) -> object:
    """Wait until something has happened since change number ``after``."""
    after = arguments.take("after", int, 0)
    arguments.check_all_known()
    return {"changes": interface.server.wait_for_change(after, seconds=CHANGE_SECONDS)}


def _ready(interface: HttpInterface, _arguments: Arguments) -> object:
    server = interface.server
    return {"status": "ready", "imap": server.imap_url, "smtp": server.smtp_url}


RESOURCES: dict[tuple[str, str], Resource] = {
    ("GET", "/readyz"): _ready,
    ("GET", "/api/users"): _users,
    ("POST", "/api/users"): _add_user,
    ("GET", "/api/mailboxes"): _mailboxes,
    ("POST", "/api/mailboxes"): _create_mailbox,
    ("GET", "/api/messages"): _messages,
    ("GET", "/api/message"): _message,
    ("GET", "/api/message/raw"): _raw,
    ("GET", "/api/message/html"): _html,
    ("GET", "/api/message/attachment"): _attachment,
    ("POST", "/api/deliver"): _deliver,
    ("GET", "/api/outbox"): _outbox,
    ("POST", "/api/wait"): _wait,
    ("GET", "/api/faults"): _faults,
    ("POST", "/api/faults"): _add_fault,
    ("DELETE", "/api/faults"): _clear_faults,
    ("POST", "/api/reset"): _reset,
    ("GET", "/api/transcript"): _transcript,
    ("GET", "/api/changes"): _changes,
}
"""Every resource, by method and path; ``/`` is the page."""


class HttpInterface:
    """A mail server's interface over HTTP. A context manager.

    Args:
        server: the mail server, which is started and stopped by the caller.
        users: accounts, by name and password, that there are at the start and after a reset.
        hosts: further names under which it may be reached.
    """

    def __init__(
        self,
        server: MailServer,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        users: Sequence[tuple[str, str]] = (),
        hosts: Sequence[str] = (),
    ) -> None:
        self.server = server
        self.hosts = LOOPBACK | {_url_host(name) for name in (host, *hosts)}
        self._users = users
        self._http = _Server(host, port, self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> HttpInterface:
        self._add_users()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def url(self) -> str:
        """The URL on which it listens."""
        host, port = self._http.server_address[:2]
        return f"http://{_url_host(str(host))}:{port}"

    def reset(self) -> None:
        """Have a new server, with the accounts of the start."""
        self.server.reset()
        self._add_users()

    def respond(self, method: str, path: str, arguments: Arguments) -> object:
        """The response to a request. Problem where it is refused."""
        if method == "GET" and path in _PAGE:
            name, kind = _PAGE[path]
            content = files("nornmail.testing").joinpath("page", name).read_bytes()
            return Response(content, f"{kind}; charset=utf-8", _PAGE_POLICY)
        resource = RESOURCES.get((method, path))
        if resource is None:
            methods = sorted(known for known, place in RESOURCES if place == path)
            if methods:
                text = f"{path} supports {', '.join(methods)}"
                raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, text)
            hint = suggestion(path, {place for _, place in RESOURCES})
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no {path[:200]!r}{hint}")
        try:
            return resource(self, arguments)
        except TimeoutError as error:
            raise Problem(HTTPStatus.GATEWAY_TIMEOUT, str(error)) from error
        except KeyError as error:
            raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
        except (ValueError, TypeError) as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error

    def _add_users(self) -> None:
        for name, password in self._users:
            self.server.add_user(name, password)


def _url_host(name: str) -> str:
    return f"[{name.lower()}]" if ":" in name else name.lower()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, interface: HttpInterface) -> None:
        self.interface = interface
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), _Handler)

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Ignore a client that went away; report everything else as usual."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_GET

    def log_message(self, *_arguments: Any) -> None:
        """The transcript is of mail; requests are not logged."""

    def _serve(self) -> None:
        headers: tuple[tuple[str, str], ...] = ()
        status, content_type, policy = HTTPStatus.OK, "application/json", _CLOSED
        try:
            answer = self._answer()
            if isinstance(answer, Response):
                body, content_type, policy, headers = answer
            else:
                body = json.dumps(answer).encode()
        except Problem as problem:
            status = problem.status
            body = json.dumps({"error": str(problem)}).encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self) -> object:
        body = self._body()
        self._check_browser()
        url = urlsplit(self.path)
        values: dict[str, Any] = dict(parse_qsl(url.query, keep_blank_values=True))
        kind = self.headers.get_content_type()
        if body and kind == "message/rfc822":
            values["octets"] = body
        elif body:
            if kind != "application/json":
                text = "send application/json, or a message as message/rfc822"
                raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
            values |= _json_object(body)
        method = "GET" if self.command == "HEAD" else self.command
        return self.server.interface.respond(method, url.path, Arguments(values))

    def _body(self) -> bytes:
        """The body, read before anything is refused: closing on unread input would reset."""
        if "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Problem(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
        size = self.headers.get("Content-Length", "0")
        if not re.fullmatch(r"[0-9]{1,12}", size) or int(size) > MAX_BODY:
            self.close_connection = True
            text = f"the body must not exceed {MAX_BODY:,} octets"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        return self.rfile.read(int(size))

    def _check_browser(self) -> None:
        """Refuse what a web page of somebody else sends through a browser on this machine."""
        host = self.headers.get("Host", "").lower()
        name = host if host.endswith("]") else re.sub(r":[0-9]*$", "", host)
        if name not in self.server.interface.hosts:
            text = f"unknown Host {host!r}: start the server with --allow-host {name}"
            raise Problem(HTTPStatus.FORBIDDEN, text)
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if (origin is not None and origin.lower() != f"http://{host}") or site == "cross-site":
            raise Problem(HTTPStatus.FORBIDDEN, "the request comes from another web site")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return value
