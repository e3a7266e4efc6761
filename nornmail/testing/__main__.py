"""``python3 -m nornmail.testing``: the mail server by itself, for tests in any language."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

IMAP_PORT, SMTP_PORT, HTTP_PORT = 3143, 3025, 8025
"""The ports that GreenMail and Mailpit have made usual."""


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    import argparse

    from nornmail.testing.vendors import VENDORS

    parser = argparse.ArgumentParser(
        prog="python3 -m nornmail.testing",
        description="An IMAP and SMTP server for tests in any language, with faults on demand, an "
        "HTTP interface and a page that shows the mail. It prints one line when it is ready, and "
        "runs until SIGINT or SIGTERM. Everything is in memory.",
        epilog="Everyone who can connect to it can use it: keep it on the loopback. Exit status: 0 "
        "stopped by a signal, 1 a port cannot be used, 2 a mistake in the arguments.",
    )
    for name, port in (("imap", IMAP_PORT), ("smtp", SMTP_PORT), ("http", HTTP_PORT)):
        words = f"the port of {name.upper()}; 0 is a free one (default: {port})"
        parser.add_argument(f"--{name}", metavar="PORT", type=_port, default=port, help=words)
    host = "the address to listen on (default: 127.0.0.1)"
    parser.add_argument("--host", default="127.0.0.1", help=host)
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name under which browsers and programs may use the HTTP interface, in addition "
        "to localhost and --host",
    )
    parser.add_argument(
        "--user",
        metavar="NAME:PASSWORD",
        type=_user,
        action="append",
        default=[],
        help="an account; repeat it for several",
    )
    vendors = sorted(VENDORS)
    parser.add_argument("--like", metavar="VENDOR", choices=vendors, help=", ".join(vendors))
    tls = parser.add_mutually_exclusive_group()
    tls.add_argument("--tls", action="store_true", help="IMAP and SMTP in TLS from the first octet")
    tls.add_argument("--starttls", action="store_true", help="IMAP and SMTP offer STARTTLS")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until a signal; return the exit status."""
    import signal
    import threading

    from nornmail.testing.http_interface import HttpInterface
    from nornmail.testing.mail_server import MailServer

    chosen = parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ended.set())
    server = MailServer(
        host=chosen.host,
        imap_port=chosen.imap,
        smtp_port=chosen.smtp,
        like=chosen.like,
        tls=chosen.tls,
        starttls=chosen.starttls,
    )
    try:
        server.start()
        interface = HttpInterface(
            server,
            host=chosen.host,
            port=chosen.http,
            users=chosen.user,
            hosts=chosen.allow_host,
        )
    except OSError as error:
        server.stop()
        print(f"python3 -m nornmail.testing: {chosen.host}: {error.strerror}", file=sys.stderr)
        return 1
    with interface:
        print(f"ready: {server.imap_url} {server.smtp_url} {interface.url}", flush=True)
        if chosen.tls or chosen.starttls:
            print(f"trust: {server.ca_file}", flush=True)
        ended.wait()
    server.stop()
    return 0


def run() -> int:
    """Run the command line; return the exit status.

    Its imports take a moment, in which Ctrl-C shows no traceback either.
    """
    try:
        return main()
    except KeyboardInterrupt:
        return 130  # as of a shell


def _port(text: str) -> int:
    from argparse import ArgumentTypeError

    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ArgumentTypeError(f"{text!r} must be a port, 0 to 65535")
    return int(text)


def _user(text: str) -> tuple[str, str]:
    from argparse import ArgumentTypeError

    name, colon, password = text.partition(":")
    if not (name and colon):
        raise ArgumentTypeError(f"{text!r} must be NAME:PASSWORD")
    return name, password


if __name__ == "__main__":
    sys.exit(run())
