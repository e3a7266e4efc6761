"""``nornmail serve``: poller and mailer as a service; ``nornmail webhook test`` posts a sample."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import ipaddress
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nornmail import (
    ConfigurationError,
    ImapSettings,
    Mailer,
    Message,
    Poller,
    PollerGroup,
    SmtpSettings,
    StateStore,
    Webhook,
    open_store,
    parse_message,
)
from nornmail.cli.accounts import AccountDirectory
from nornmail.cli.http_server import ListenAddress, serving
from nornmail.cli.options import (
    FAILED,
    OK,
    Parser,
    Settings,
    add_accounts,
    add_environment,
    add_max_text,
    add_settings,
    set_up_logging,
)
from nornmail.cli.output import Output, json_message, output_file, printable, standard_output
from nornmail.cli.signals import Hanging, MessagesInHand, Work, end_now, is_sending
from nornmail.web import Metrics, application

log = logging.getLogger("nornmail.web")

ADDRESS = "127.0.0.1:8000"
"""The default address: only this machine can reach it."""
UNIX = "unix:"
"""Begins an address that is the path of a Unix socket."""
WEBHOOK_GRACE = 2.0
"""Seconds that a webhook has left for its answer at a signal: the process ends within five."""
Handler = Callable[[Message], Any]


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Polls the mailbox, sends queued messages, and serves an HTTP interface: create and remove "
        "inboxes, send\nmail, and GET /healthz. Mail goes to the function of --handler, to the URL "
        "of --webhook, or as one\nJSON line per message to --output. SIGINT and SIGTERM end it "
        "after the current message.\n\n"
        "Exit status: 0 stopped by a signal, 1 it failed, 2 a setting is wrong or a decision "
        "is required, 3 the\nstate store cannot be used, 130 a second signal came before it had "
        "stopped."
    )
    add_settings(parser, mailbox=True, start=True, log_level="info")
    parser.add_argument(
        "--bind",
        metavar="ADDRESS:PORT",
        help=f"where to listen (NORNMAIL_BIND; default: {ADDRESS}). An address that other machines "
        "can reach needs NORNMAIL_API_TOKEN, which every request must then carry; unix:PATH is a "
        "socket that only this user can reach",
    )
    add_accounts(parser, "serve")
    destination = parser.add_mutually_exclusive_group()
    destination.add_argument(
        "--handler",
        metavar="MODULE:NAME",
        help="the function that is called with each message, such as shop.mail:handle",
    )
    destination.add_argument(
        "--webhook",
        metavar="URL",
        help="the URL to post each message to, signed with NORNMAIL_WEBHOOK_SECRET (whsec_ and "
        "base64; two, with a blank between, while they change)",
    )
    destination.add_argument(
        "--output",
        metavar="PATH",
        help="the file to append one JSON line per message to (default: standard output)",
    )
    add_webhook_hosts(parser)
    add_max_text(parser)
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    if chosen.accounts is None:
        imap, smtp = settings.imap(), settings.smtp()
        settings.warn_of_late_start(imap)
    address = _address(chosen.bind or settings.get("NORNMAIL_BIND") or ADDRESS)
    token = settings.get("NORNMAIL_API_TOKEN") or None
    if token is None and not address.path and not _is_loopback(address.host):
        allowed = f"must be set to listen on {address.host}, which other machines can reach"
        raise ConfigurationError("NORNMAIL_API_TOKEN", None, allowed)
    with ExitStack() as stack:
        receiver = _receiver(chosen, settings, stack)
        in_hand = MessagesInHand()
        store = stack.enter_context(closing(open_store(settings.state)))
        if chosen.accounts is None:
            served = _one(imap, smtp, store, receiver, in_hand, stack)
        else:
            served = _several(chosen.accounts, settings.environ, store, receiver, in_hand, stack)
        receiver.on_error(served.stop)

        def stop() -> None:
            served.stop()
            receiver.stop()

        interface = application(
            served.polled,
            served.mailer,
            domain=settings.get("EMAIL_DOMAIN") or None,
            token=token,
            metrics=served.metrics,
        )
        bound = stack.enter_context(serving(interface, address))
        log.info("listening on %s", bound if bound.path else f"http://{bound}")
        if token is None and not bound.path:
            log.info(
                "every user of this machine can use this interface; to prevent that, set "
                "NORNMAIL_API_TOKEN, or listen on a socket of your own with --bind unix:PATH"
            )
        try:
            Work(served.run, stop, lambda: in_hand or is_sending(store)).run()
        except Hanging:
            end_now(receiver.exit_status())
        return receiver.exit_status()


@dataclass(frozen=True)
class _Served:
    """The parts that the interface serves, with the functions that run and stop them."""

    polled: Poller | PollerGroup
    mailer: Mailer | Mapping[str, Mailer] | None
    metrics: Metrics
    run: Callable[[], None]
    stop: Callable[[], object]


@dataclass(frozen=True)
class _Receiver:
    """The receiver of mail: the user's function, a webhook, or lines of output.

    Attributes:
        handler_of: makes the callback of an account, by its name; ``""`` where there is only one.
        is_async: the callback is a coroutine function.
        output: the lines, if there are any.
        webhook: the webhook, if it is one.
    """

    handler_of: Callable[[str], Handler]
    is_async: bool = False
    output: Output | None = None
    webhook: Webhook | None = None

    def stop(self) -> None:
        """Let a webhook that does not answer bring its message back at the next start."""
        if self.webhook is not None:
            self.webhook.stop(WEBHOOK_GRACE)

    def on_error(self, stop: Callable[[], object]) -> None:
        """Stop when the lines cannot be written."""
        if self.output is not None:
            self.output.on_error = stop

    def exit_status(self) -> int:
        """The exit status of the command."""
        return OK if self.output is None else self.output.exit_status()


def _one(
    imap: ImapSettings,
    smtp: SmtpSettings | None,
    store: StateStore,
    receiver: _Receiver,
    in_hand: MessagesInHand,
    stack: ExitStack,
) -> _Served:
    """Serve the account of the settings."""
    metrics = Metrics()
    handler = metrics.timing(in_hand.counting(receiver.handler_of("")))
    poller = Poller(imap, store=store, on_message=handler, inboxes=[], on_event=metrics)
    mailer = None
    if smtp is not None:
        mailer = stack.enter_context(closing(Mailer(smtp, store, on_event=metrics)))
    run = (lambda: asyncio.run(poller.run())) if receiver.is_async else poller.run_forever
    return _Served(poller, mailer, metrics, run, poller.stop)


def _several(
    directory: str,
    environ: Mapping[str, str],
    store: StateStore,
    receiver: _Receiver,
    in_hand: MessagesInHand,
    stack: ExitStack,
) -> _Served:
    """Serve an account for each file of a directory."""
    metrics = Metrics()
    group = PollerGroup(
        store,
        on_event=lambda key, event: metrics.of(key.account)(event),
        inboxes=[],
        workers=None,
    )

    def handler_of(account: str) -> Handler:
        return metrics.of(account).timing(in_hand.counting(receiver.handler_of(account)))

    def mailer_of(smtp: SmtpSettings, account: str) -> Mailer:
        return Mailer(smtp, store, account=account, on_event=metrics.of(account))

    accounts = AccountDirectory(directory, environ, group, handler_of, mailer_of)
    stack.enter_context(closing(accounts))
    run = (lambda: asyncio.run(accounts.run_async())) if receiver.is_async else accounts.run
    return _Served(group, accounts.mailers, metrics, run, accounts.stop)


def _receiver(chosen: argparse.Namespace, settings: Settings, stack: ExitStack) -> _Receiver:
    """The receiver of mail that the options name."""
    handler: Handler
    if chosen.handler is not None:
        handler = load_handler(chosen.handler)
        return _Receiver(lambda _: handler, inspect.iscoroutinefunction(handler))
    if chosen.webhook is not None:
        webhook = webhook_of(chosen.webhook, settings, chosen.webhook_allow, chosen.max_text)
        return _Receiver(lambda _: webhook, webhook=webhook)

    output = (
        standard_output()
        if chosen.output is None
        else stack.enter_context(output_file(chosen.output))
    )

    def handler_of(account: str) -> Handler:
        return lambda message: output.deliver(json_message(message, chosen.max_text, account))

    return _Receiver(handler_of, output=output)


def load_handler(name: str) -> Handler:
    """Import a function by a name such as ``shop.mail:handle``; the current directory counts."""
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise ConfigurationError("--handler", name, "must be like package.module:function")
    here = os.getcwd()
    if here not in sys.path:  # as with `python -m`; it stays, since the handler may import more
        sys.path.insert(0, here)
    try:
        value: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever a module of the user raises
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        raise ConfigurationError("--handler", name, f"cannot be imported: {kind}{error}") from error
    for part in attribute.split("."):
        if not hasattr(value, part):
            reason = f"there is no {part} in {getattr(value, '__name__', module_name)}"
            raise ConfigurationError("--handler", name, reason)
        value = getattr(value, part)
    if not callable(value):
        raise ConfigurationError("--handler", name, "must be a function that takes a message")
    handler: Handler = value
    return handler


def _address(text: str) -> ListenAddress:
    text = text.strip()
    if text.startswith(UNIX):
        path = os.path.expanduser(text.removeprefix(UNIX))
        if not path:
            raise ConfigurationError("--bind", text, "must name the path of a socket after unix:")
        if not hasattr(socket, "AF_UNIX"):
            raise ConfigurationError(
                "--bind", text, f"must be {ADDRESS} or the like on this system"
            )
        return ListenAddress(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
        allowed = f"must be an address and a port, such as {ADDRESS}, or unix:PATH"
        raise ConfigurationError("--bind", text, allowed)
    return ListenAddress(host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port))  # noqa: S104


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


WEBHOOK_SECRET = "NORNMAIL_WEBHOOK_SECRET"  # noqa: S105  # its name
SHOWN_OCTETS = 500
"""Octets of the answer that are printed."""
WEBHOOK_SAMPLE = (
    "From: Kim Example <kim@example.org>\r\nTo: agent@example.com\r\nSubject: A sample\r\n"
    "Message-ID: <sample@example.org>\r\n\r\nThis message was made by nornmail webhook test.\r\n"
)


def add_webhook(parser: Parser) -> None:
    """Add the commands below this one, and their options."""
    parser.description = (
        f"Webhooks are signed with {WEBHOOK_SECRET}: whsec_ and base64, such as "
        "whsec_$(openssl rand -base64 32)."
    )
    commands = parser.add_commands()
    testing = commands.add_parser(
        "test",
        help="post a sample, and say what came back",
        description="Posts a sample message to the URL, signed as `nornmail serve --webhook` does "
        "it.\n\nExit status: 0 the answer's status is 200 to 299, 1 it is another, or there is "
        "none, 2 a mistake in the\narguments or settings.",
    )
    testing.add_argument("url", metavar="URL", help="the receiver")
    add_webhook_hosts(testing)
    add_environment(testing)
    testing.set_defaults(run=_test_webhook)


def add_webhook_hosts(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows hosts with private addresses."""
    parser.add_argument(
        "--webhook-allow",
        metavar="HOST",
        action="append",
        default=[],
        help="a host that may have a loopback or private address, as the URL names it",
    )


def webhook_of(
    url: str, settings: Settings, allowed: Iterable[str], max_text: int | None = None
) -> Webhook:
    """The webhook of a URL, with the secrets of the environment."""
    secret = settings.get(WEBHOOK_SECRET)
    if not secret:
        raise ConfigurationError(
            WEBHOOK_SECRET, None, "must be set to sign webhooks: whsec_ and base64"
        )
    return Webhook(url, secret.split(), private_hosts=allowed, max_text=max_text)


def _test_webhook(chosen: argparse.Namespace) -> int:
    webhook = webhook_of(chosen.url, Settings(chosen), chosen.webhook_allow)
    sample = parse_message(WEBHOOK_SAMPLE.encode(), received_at=datetime.now(UTC))
    webhook_id = f"test_{secrets.token_hex(16)}"
    began_at = time.monotonic()
    answer = webhook.post(webhook_id, webhook.body_of(sample))
    seconds = time.monotonic() - began_at
    print(printable(f"posted {webhook_id} to {webhook.url}"))
    print(f"status {answer.status} after {seconds:.2f} s, {meaning(answer.status)}")
    text = answer.octets[:SHOWN_OCTETS].decode("utf-8", "replace")
    for line in text.splitlines():
        print(printable(line))
    return OK if 200 <= answer.status <= 299 else FAILED


def meaning(status: int) -> str:
    """The meaning of a webhook's status for the message."""
    if 200 <= status <= 299:
        return "success: the message is handled"
    if status == 410:
        return "the message would be dead at once"
    if status in (429, 503):
        return "the message would be tried again, after Retry-After where it is given"
    return "a failed attempt: the message would be tried again"
