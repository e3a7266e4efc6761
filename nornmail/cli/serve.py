"""``nornmail serve``: a poller and a mailer as a service with the control interface."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import ipaddress
import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

from nornmail import ConfigurationError, Mailer, Message, Poller, open_store
from nornmail.cli.exit_codes import INTERRUPTED, OK
from nornmail.cli.http_server import Address, serving
from nornmail.cli.options import Parser, Settings, add_max_text, add_settings, set_up_logging
from nornmail.cli.output import Output, json_line, output_file, standard_output
from nornmail.cli.signals import Hanging, Interrupted, MessagesInHand, Work, end_now, is_sending
from nornmail.cli.webhook import add_webhook_hosts, webhook_of
from nornmail.web import Metrics, application

log = logging.getLogger("nornmail.web")

ADDRESS = "127.0.0.1:8000"
"""The default address: only this machine can reach it."""
UNIX = "unix:"
"""Begins an address that is the path of a Unix socket."""
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
    destination = parser.add_mutually_exclusive_group()
    destination.add_argument(
        "--handler",
        metavar="MODULE:FUNCTION",
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
    imap, smtp = settings.imap(), settings.smtp()
    settings.warn_of_late_start(imap)
    address = _address(chosen.bind or settings.get("NORNMAIL_BIND") or ADDRESS)
    token = settings.get("NORNMAIL_API_TOKEN") or None
    if token is None and not address.path and not _is_loopback(address.host):
        allowed = f"must be set to listen on {address.host}, which other machines can reach"
        raise ConfigurationError("NORNMAIL_API_TOKEN", None, allowed)
    with ExitStack() as stack:
        handler, output = _receiver(chosen, settings, stack)
        in_hand = MessagesInHand()
        store = stack.enter_context(closing(open_store(settings.state)))
        metrics = Metrics()
        poller = Poller(
            imap,
            store=store,
            on_message=metrics.timing(in_hand.counting(handler)),
            inboxes=[],
            on_event=metrics,
        )
        if output is not None:
            output.on_error = poller.stop
        mailer = None
        if smtp is not None:
            mailer = stack.enter_context(closing(Mailer(smtp, store, on_event=metrics)))
        interface = application(
            poller,
            mailer,
            domain=settings.get("EMAIL_DOMAIN") or None,
            token=token,
            metrics=metrics,
        )
        bound = stack.enter_context(serving(interface, address))
        log.info("listening on %s", bound if bound.path else f"http://{bound}")
        if token is None and not bound.path:
            log.info(
                "every user of this machine can use this interface; to prevent that, set "
                "NORNMAIL_API_TOKEN, or listen on a socket of your own with --bind unix:PATH"
            )
        try:
            Work(_loop(poller, handler), poller.stop, lambda: in_hand or is_sending(store)).run()
        except Hanging:
            end_now(OK if output is None else output.exit_status())
        except Interrupted:
            print("nornmail: interrupted", file=sys.stderr)
            return INTERRUPTED
        return OK if output is None else output.exit_status()


def _loop(poller: Poller, handler: Handler) -> Callable[[], None]:
    """The poller's main loop, on an event loop if the handler needs one."""
    if inspect.iscoroutinefunction(handler):
        return lambda: asyncio.run(poller.run())
    return poller.run_forever


def _receiver(
    chosen: argparse.Namespace, settings: Settings, stack: ExitStack
) -> tuple[Handler, Output | None]:
    """The handler of the mail: the user's function, a webhook, or lines of output."""
    if chosen.handler is not None:
        return load_handler(chosen.handler), None
    if chosen.webhook is not None:
        return webhook_of(chosen.webhook, settings, chosen.webhook_allow, chosen.max_text), None

    def line_of(message: Message) -> str:
        return json_line(message.to_dict(chosen.max_text))

    output = (
        standard_output(line_of)
        if chosen.output is None
        else stack.enter_context(output_file(chosen.output, line_of))
    )
    return output.message, output


def load_handler(name: str) -> Handler:
    """Import the function of a name such as ``shop.mail:handle``, from the current directory too.

    Raises:
        ConfigurationError: there is no such function.
    """
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


def _address(text: str) -> Address:
    text = text.strip()
    if text.startswith(UNIX):
        path = os.path.expanduser(text.removeprefix(UNIX))
        if not path:
            raise ConfigurationError("--bind", text, "must name the path of a socket after unix:")
        return Address(path=path)
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
        allowed = f"must be an address and a port, such as {ADDRESS}, or unix:PATH"
        raise ConfigurationError("--bind", text, allowed)
    return Address(host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port))  # noqa: S104


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
