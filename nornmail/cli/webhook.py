"""``nornmail webhook test URL``: posts a sample to a receiver, and says what came back."""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from nornmail import ConfigurationError, Webhook, parse_message
from nornmail.cli.exit_codes import FAILED, OK
from nornmail.cli.options import Parser, Settings, add_environment
from nornmail.cli.table import printable

SECRET = "NORNMAIL_WEBHOOK_SECRET"  # noqa: S105  # its name
SHOWN = 500
"""Octets of the answer that are printed."""
SAMPLE = (
    "From: Kim Example <kim@example.org>\r\nTo: agent@example.com\r\nSubject: A sample\r\n"
    "Message-ID: <sample@example.org>\r\n\r\nThis message was made by nornmail webhook test.\r\n"
)


def add(parser: Parser) -> None:
    """Add the commands below this one, and their options."""
    parser.description = (
        f"Webhooks are signed with {SECRET}: whsec_ and base64, such as whsec_$(openssl rand "
        "-base64 32)."
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
    testing.set_defaults(run=_test)


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
    """The webhook of a URL, with the secrets of the environment.

    Raises:
        ConfigurationError: there is no secret, or the URL is wrong.
    """
    secret = settings.get(SECRET)
    if not secret:
        raise ConfigurationError(SECRET, None, "must be set to sign webhooks: whsec_ and base64")
    return Webhook(url, secret.split(), private_hosts=allowed, max_text=max_text)


def _test(chosen: argparse.Namespace) -> int:
    webhook = webhook_of(chosen.url, Settings(chosen), chosen.webhook_allow)
    sample = parse_message(SAMPLE.encode(), received_at=datetime.now(UTC))
    webhook_id = f"test_{secrets.token_hex(16)}"
    began_at = time.monotonic()
    answer = webhook.post(webhook_id, webhook.body_of(sample))
    seconds = time.monotonic() - began_at
    print(printable(f"posted {webhook_id} to {webhook.url}"))
    print(f"status {answer.status} after {seconds:.2f} s, {meaning(answer.status)}")
    text = answer.octets[:SHOWN].decode("utf-8", "replace")
    for line in text.splitlines():
        print(printable(line))
    return OK if 200 <= answer.status <= 299 else FAILED


def meaning(status: int) -> str:
    """What a poller does with a message whose webhook answers so."""
    if 200 <= status <= 299:
        return "success: the message is handled"
    if status == 410:
        return "the message would be dead at once"
    if status in (429, 503):
        return "the message would be tried again, after Retry-After where it is given"
    return "a failed attempt: the message would be tried again"
