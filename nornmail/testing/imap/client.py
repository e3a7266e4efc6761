"""A connected client as the commands see it, and a command: its handler and the state it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nornmail.testing.accounts import Account
from nornmail.testing.connection import Connection, Dropped
from nornmail.testing.imap.faults import NoCapability
from nornmail.testing.imap.grammar import Cursor
from nornmail.testing.imap.mailbox_view import View
from nornmail.testing.mailbox import Mailbox
from nornmail.testing.state import ServerState


class Client:
    """The client of one connection and its state. One thread touches it.

    Attributes:
        capabilities: what the server has, as it was when the client connected.
        account: the user who is logged in.
        identified: whether it has sent ID since it logged in.
        condstore: whether every change of flags comes with its MODSEQ (RFC 7162, section 3.1).
        box: the selected mailbox, and ``view`` what the client knows of it.
        after_answer: done once, behind the tagged answer: the TLS handshake, the hanging up.
    """

    def __init__(self, state: ServerState, conn: Connection) -> None:
        self.state = state
        self.conn = conn
        lacking = state.take(NoCapability, lambda _: True)
        names = {name for fault in lacking for name in fault.names.split()}
        self.capabilities = frozenset(state.capabilities - names)
        self.account: Account | None = None
        self.identified = False
        self.condstore = False
        self.box: Mailbox | None = None
        self.view: View | None = None
        self.after_answer: Callable[[], None] | None = None

    def has(self, capability: str | None) -> bool:
        """Whether the client may use what this capability stands for; None is the base protocol."""
        return capability is None or capability in self.capabilities

    def user(self) -> Account:
        """The account that is logged in, for commands of the authenticated state."""
        if self.account is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.account

    def selected(self) -> tuple[Mailbox, View]:
        """The selected mailbox, for commands of the selected state."""
        if self.box is None or self.view is None:
            raise RuntimeError("a command ran in the wrong state")
        return self.box, self.view

    def open(self, box: Mailbox, view: View) -> None:
        """Select a mailbox, after closing the one before."""
        self.leave()
        view.modseqs = self.condstore
        self.box, self.view = box, view

    def leave(self) -> None:
        """Close the selected mailbox, if there is one."""
        if self.box is not None and self.view is not None:
            with self.box.lock:
                self.view.close()
        self.box = self.view = None

    def enable_condstore(self) -> None:
        """Send MODSEQ from now on."""
        self.condstore = True
        if self.view is not None:
            self.view.modseqs = True

    def capability_list(self) -> bytes:
        """The capabilities at this point of the session."""
        return self.state.shown_capabilities(self.capabilities, logged_in=self.account is not None)

    def hang_up(self, text: bytes) -> None:
        """Say BYE and end the connection."""
        self.conn.write(b"* BYE " + text + b"\r\n")
        self.conn.finish_answer()
        raise Dropped("said BYE")


When = Literal["any", "not authenticated", "authenticated", "selected"]
"""The states of RFC 3501, section 3. Authenticated includes selected."""


class No(Exception):
    """The command failed; it is answered NO with this text, response code included."""


Handler = Callable[[Client, bytes, Cursor], str]
"""Carries a command out. Gets the client, the tag and the arguments; writes untagged lines into
the client's connection; returns the tagged answer's text, or "" when it has written the whole
answer; raises BadSyntax or No."""


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        handler: carries it out.
        when: the state it is allowed in.
        capability: the capability it needs, None for those of the base protocol.
        expunges: whether EXPUNGE may be sent at its end (RFC 3501, 7.4.1).
        arrivals: whether new messages are taken in before it, so that it sees them.
    """

    handler: Handler
    when: When
    capability: str | None = None
    expunges: bool = True
    arrivals: bool = False

    def allowed(self, client: Client) -> bool:
        """Whether the client has come as far as the command needs."""
        return {
            "any": True,
            "not authenticated": client.account is None,
            "authenticated": client.account is not None,
            "selected": client.view is not None,
        }[self.when]
