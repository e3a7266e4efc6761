"""``nornmail login``: a token file for an account that takes OAuth2 instead of a password."""

from __future__ import annotations

import argparse
import getpass
import shlex
import sys
import webbrowser

from nornmail import ConfigurationError, OAuthLogin
from nornmail.cli.options import FAILED, OK, Parser, Settings, add_environment, set_up_logging

TOKEN_FILE = "nornmail-oauth.json"  # noqa: S105  # its name
"""The token file where nothing else names one."""


def add(parser: Parser) -> None:
    """Add the command's options."""
    parser.description = (
        "Logs in to an account by OAuth2, with the program that you registered at the provider, "
        "and writes a token\nfile, which IMAP and SMTP use and renew. Only this user can read it."
        "\n\nExit status: 0 logged in, 1 refused, no answer, or a scope is missing, 2 a mistake in "
        "the arguments or settings."
    )
    parser.add_argument(
        "provider",
        help="office365, outlook, gmail, or the URL of an issuer with a discovery "
        "document (RFC 8414)",
    )
    parser.add_argument("--account", help="the address of the mailbox (IMAP_USERNAME)")
    _add_program(parser)
    _add_flow(parser)
    parser.add_argument(
        "--file",
        metavar="PATH",
        help=f"the token file (NORNMAIL_OAUTH_FILE; default: {TOKEN_FILE})",
    )
    add_environment(parser)
    parser.set_defaults(run=run)


def _add_program(parser: Parser) -> None:
    """Add the options of the program that is registered at the provider."""
    parser.add_argument("--client-id", required=True, help="of the program that you registered")
    secret = parser.add_mutually_exclusive_group()
    secret.add_argument(
        "--client-secret",
        action="store_true",
        help="ask for the program's secret, or read it from standard input: in the arguments other "
        "users could see it",
    )
    secret.add_argument(
        "--client-secret-file", metavar="PATH", help="a file with the program's secret"
    )
    parser.add_argument(
        "--tenant", default="common", help="at Microsoft: the tenant, or consumers for Outlook.com"
    )
    parser.add_argument("--scopes", default="", help="instead of the provider's, in one argument")


def _add_flow(parser: Parser) -> None:
    """Add the options of the flow: the way in which a person consents."""
    flow = parser.add_mutually_exclusive_group()
    flow.add_argument(
        "--device", action="store_true", help="show a code to enter on another machine"
    )
    flow.add_argument(
        "--no-browser",
        action="store_true",
        help="show the address to open on any machine, and read the one that the browser ends at",
    )
    flow.add_argument(
        "--client-credentials",
        action="store_true",
        help="log in as the program itself, without a person: for the mailboxes of a tenant",
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    set_up_logging("warning")
    settings = Settings(chosen)
    path = chosen.file or settings.get("NORNMAIL_OAUTH_FILE") or TOKEN_FILE
    account = chosen.account or settings.get("IMAP_USERNAME")
    if not account:
        raise ConfigurationError("--account", None, "name the address of the mailbox")
    login = OAuthLogin(
        chosen.provider,
        path=path,
        account=account,
        client_id=chosen.client_id,
        client_secret=_secret(chosen),
        tenant=chosen.tenant,
        scopes=chosen.scopes,
        command=_command(chosen, account, path),
    )
    if chosen.device:
        record = login.with_device_code(_show_code)
    elif chosen.client_credentials:
        record = login.with_client_credentials()
    elif chosen.no_browser:
        record = login.with_pasted_redirect(_show_address, _ask_redirect)
    else:
        record = login.with_browser(_open_browser)
    print(f"Logged in as {account}. The tokens are in {path}; only this user can read it.")
    for scope in record.missing_scopes:
        print(f"nornmail: the provider did not grant the scope {scope}", file=sys.stderr)
    print(f"Set NORNMAIL_OAUTH_FILE={path}, and no password; then run `nornmail check`.")
    return FAILED if record.missing_scopes else OK


def _command(chosen: argparse.Namespace, account: str, path: str) -> str:
    """The command that makes this login again, without secrets."""
    words = ["nornmail", "login", chosen.provider, "--account", account]
    words += ["--client-id", chosen.client_id]
    if chosen.client_secret:
        words.append("--client-secret")
    if chosen.client_secret_file:
        words += ["--client-secret-file", chosen.client_secret_file]
    if chosen.tenant != "common":
        words += ["--tenant", chosen.tenant]
    if chosen.scopes:
        words += ["--scopes", chosen.scopes]
    flows = ("device", "no_browser", "client_credentials")
    words += ["--" + flow.replace("_", "-") for flow in flows if getattr(chosen, flow)]
    return shlex.join([*words, "--file", path])


def _secret(chosen: argparse.Namespace) -> str:
    if chosen.client_secret_file:
        try:
            with open(chosen.client_secret_file, encoding="utf-8") as file:
                return file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            name = chosen.client_secret_file
            raise ConfigurationError(
                "--client-secret-file", name, f"cannot be read: {error}"
            ) from (error)
    if not chosen.client_secret:
        return ""
    if sys.stdin.isatty():
        return getpass.getpass("Client secret: ").strip()
    return sys.stdin.readline().strip()


def _open_browser(url: str) -> None:
    if webbrowser.open(url):
        print("Log in in the browser that opens. If none does, open this address yourself:")
    else:
        print("Open this address in a browser on this machine and log in:")
    print(f"\n{url}\n", flush=True)


def _show_address(url: str) -> None:
    print(f"Open this address in any browser and log in:\n\n{url}\n")
    print("The browser then shows an error, since nothing listens where it is sent.")
    print("Copy the whole address from its address bar and paste it here:", flush=True)


def _ask_redirect() -> str:
    return sys.stdin.readline()


def _show_code(address: str, code: str) -> None:
    print(f"Open {address} on any machine and enter the code {code}", flush=True)
