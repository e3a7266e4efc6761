r"""A mail server for tests, in the test's own process, with faults on demand.

    from nornmail.testing import MailServer, faults

    with MailServer() as server:
        server.add_user("agent@example.com", "secret")
        server.deliver(b"Subject: hello\r\n\r\nhello\r\n")
        server.faults.add(faults.Cut("UID FETCH", after_bytes=40))
        ...  # a client connects to server.host, server.imap_port and server.smtp_port
        (sent,) = server.wait_for_sent()

``MailServer(like="gmail")`` talks as a vendor's server does; `VENDORS` has the names. What can go
wrong is listed in `nornmail.testing.faults`.

It knows nothing of the client in this package and shares no parser with it, so that one mistake
cannot hide in both.
"""

# The names are loaded on first use (PEP 562): ``python3 -m nornmail.testing`` imports this first,
# and cannot see to Ctrl-C meanwhile.

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nornmail.testing.imap import faults
    from nornmail.testing.mail_server import MailServer
    from nornmail.testing.mailbox import MISSING, Mailbox, StoredMessage
    from nornmail.testing.oauth import OAuthServer
    from nornmail.testing.proxy import Proxy
    from nornmail.testing.smtp import faults as smtp_faults
    from nornmail.testing.smtp.transaction import SentMessage
    from nornmail.testing.vendors import VENDORS

_HOMES = {
    "MISSING": "mailbox",
    "VENDORS": "vendors",
    "MailServer": "mail_server",
    "Mailbox": "mailbox",
    "OAuthServer": "oauth",
    "Proxy": "proxy",
    "SentMessage": "smtp.transaction",
    "StoredMessage": "mailbox",
    "faults": "imap.faults",
    "smtp_faults": "smtp.faults",
}
"""The public names and their modules; the two in lower case are modules themselves."""

__all__ = [
    "MISSING",
    "VENDORS",
    "MailServer",
    "Mailbox",
    "OAuthServer",
    "Proxy",
    "SentMessage",
    "StoredMessage",
    "faults",
    "smtp_faults",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    value = globals()[name] = home if name.islower() else getattr(home, name)
    return value


def __dir__() -> list[str]:
    return __all__
