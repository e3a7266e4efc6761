"""Logging in with a token: when the callback is asked for one, and what a refusal means."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from nornmail.errors import AuthenticationFailed, ConnectionLost
from nornmail.imap.errors import Kind, classify
from nornmail.imap.limits import Budget
from nornmail.imap.quirks import login_refused
from nornmail.imap.sasl import authenticate, bearer, offered, refusal_status
from nornmail.imap.translate import Scrubber
from nornmail.imap.wire import Reply, Wire
from nornmail.oauth import ask_token
from nornmail.settings.imap import ImapSettings


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """Sends tokens over one connection.

    Args:
        wire: not logged in.
        settings: as whom; ``token`` is asked for another one when one is refused.
        capabilities: what the server offers before the login.
        budget: of each command.
        scrub: hides every token.
    """

    wire: Wire
    settings: ImapSettings
    capabilities: frozenset[str]
    budget: Budget
    scrub: Scrubber

    def log_in(self, token: str) -> Reply:
        """Send the token; if it is refused, ask for another once, and send that.

        Returns:
            The answer to the last one. A refusal for now is no reason for another token.

        Raises:
            AuthenticationFailed: the server takes no token, or refused it.
            ConnectionLost: the callback had no other token to give, for now.
        """
        refused = self._send(token)
        if isinstance(refused, Reply) or self.settings.token is None:
            return self._accepted(refused)
        fresh = ask_token(self.settings.token, self.scrub.hide)
        if fresh == token:
            raise refused
        try:
            return self._accepted(self._send(fresh))
        except ConnectionLost as lost:
            # No reason to come back at once: who hangs up on tokens is not to be hammered.
            raise refused from lost

    def _send(self, token: str) -> Reply | AuthenticationFailed:
        """Send one token; a refusal of it is returned."""
        given = self.settings
        name = given.username or ""
        exchange = bearer(self.capabilities, name, token, given.host, given.port)
        if exchange is None:
            raise AuthenticationFailed(
                f"the server takes no token here (it offers: {offered(self.capabilities)}): "
                "use IMAP_PASSWORD instead of token="
            )
        self.scrub.hide(base64.b64encode(exchange.message).decode("ascii"))
        initial = "SASL-IR" in self.capabilities
        reply, told = authenticate(self.wire, exchange, self.budget, initial=initial)
        code, text = self.scrub(reply.end.code), self.scrub(reply.end.text)
        if classify(reply.end.status, code, text, "AUTHENTICATE").kind is not Kind.CREDENTIALS:
            return reply
        status = self.scrub(refusal_status(told))
        told_so = f" (status {status})" if status else ""
        return login_refused(f"the server refused the token{told_so}", code, text, given)

    @staticmethod
    def _accepted(answer: Reply | AuthenticationFailed) -> Reply:
        if isinstance(answer, AuthenticationFailed):
            raise answer
        return answer
