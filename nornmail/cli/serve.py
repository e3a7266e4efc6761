"""``nornmail serve``: a poller and a mailer as a service, behind the control interface."""

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
from nornmail.cli.http_server import serving
from nornmail.cli.options import (
    Parser,
    Settings,
    add_environment,
    add_log_level,
    add_mailbox,
    add_start,
    set_up_logging,
)
from nornmail.cli.output import Output, output_file, standard_output
from nornmail.cli.signals import Interrupted, Work
from nornmail.web import application

log = logging.getLogger("nornmail.web")

ADDRESS = "127.0.0.1:8000"
"""Where it listens: this machine alone can reach it."""
Handler = Callable[[Message], Any]


def add(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Polls the mailbox, sends what is queued, and answers HTTP: inboxes are made "
        "and removed, mail is\nsent, and GET /healthz says whether all is well. Mail goes to the "
        "function of --handler, or as one\nJSON line per message to --output. It ends with SIGINT "
        "or SIGTERM, after the message at hand.\n\n"
        "Exit status: 0 it was told to stop, 1 it failed, 2 a setting is wrong or a decision is "
        "needed, 3 the\nstate store cannot be used, 130 a second signal came before it stopped."
    )
    add_environment(parser)
    add_mailbox(parser)
    add_start(parser)
    parser.add_argument(
        "--bind",
        metavar="ADDRESS:PORT",
        default=None,
        help=f"where to listen (NORNMAIL_BIND; default: {ADDRESS}). What others can reach needs "
        "NORNMAIL_API_TOKEN, which every request must then carry",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--handler",
        metavar="MODULE:FUNCTION",
        help="what is called with each message, such as shop.mail:handle",
    )
    where.add_argument(
        "--output",
        metavar="PATH",
        help="the file to which a JSON line per message is appended (default: standard output)",
    )
    add_log_level(parser, "info")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Run it; return the exit status."""
    set_up_logging(chosen.log_level)
    settings = Settings(chosen)
    imap, smtp = settings.imap(), settings.smtp()
    host, port = _address(chosen.bind or settings.get("NORNMAIL_BIND") or ADDRESS)
    token = settings.get("NORNMAIL_API_TOKEN") or None
    if token is None and not _is_loopback(host):
        said = f"must be set to listen on {host}, which other machines can reach"
        raise ConfigurationError("NORNMAIL_API_TOKEN", None, said)
    with ExitStack() as stack:
        handler, output = _receiver(chosen, stack)
        store = stack.enter_context(closing(open_store(settings.state)))
        poller = Poller(imap, store=store, on_message=handler, inboxes=[])
        if output is not None:
            output.on_error = poller.stop
        mailer = None if smtp is None else stack.enter_context(closing(Mailer(smtp, store)))
        interface = application(
            poller, mailer, domain=settings.get("EMAIL_DOMAIN") or None, token=token
        )
        bound = stack.enter_context(serving(interface, host, port))
        log.info("listening on http://%s:%d", _in_a_url(bound[0]), bound[1])
        try:
            Work(_loop(poller, handler), poller.stop).run()
        except Interrupted:
            print("nornmail: interrupted", file=sys.stderr)
            return INTERRUPTED
        return OK if output is None else output.account()


def _loop(poller: Poller, handler: Handler) -> Callable[[], None]:
    """The poller's life, on an event loop if the handler needs one."""
    if inspect.iscoroutinefunction(handler):
        return lambda: asyncio.run(poller.run())
    return poller.run_forever


def _receiver(chosen: argparse.Namespace, stack: ExitStack) -> tuple[Handler, Output | None]:
    """Who gets the mail: a function of the user's, or lines."""
    if chosen.handler is not None:
        return load_handler(chosen.handler), None
    output = (
        standard_output()
        if chosen.output is None
        else stack.enter_context(output_file(chosen.output))
    )
    return output.message, output


def load_handler(name: str) -> Handler:
    """The function of a name such as ``shop.mail:handle``; the current directory counts.

    Raises:
        ConfigurationError: there is none.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise ConfigurationError("--handler", name, "must be like package.module:function")
    here = os.getcwd()
    if here not in sys.path:  # as with `python -m`; it stays, since the handler may import more
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError("--handler", name, f"cannot be imported: {error}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            said = f"there is no {part} in {getattr(found, '__name__', module_name)}"
            raise ConfigurationError("--handler", name, said)
        found = getattr(found, part)
    if not callable(found):
        raise ConfigurationError("--handler", name, "must be a function of a message")
    handler: Handler = found
    return handler


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65_535:
        said = f"must be an address and a port, such as {ADDRESS}"
        raise ConfigurationError("--bind", text, said)
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)  # noqa: S104


def _in_a_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
