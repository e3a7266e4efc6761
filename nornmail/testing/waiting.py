"""Waits for mail, and the report where it does not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nornmail.testing.mailbox import StoredMessage
from nornmail.testing.smtp.delivery import SentMessage
from nornmail.testing.state import ServerState

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""Seconds that a test waits by default: far longer than anything takes in one process."""

LINES_REPORTED = 20
"""Lines of the transcript in the message of a TimeoutError."""


class Waiting:
    """The waits of one server.

    Args:
        state: what the server's connections share.
        outbox: gives what was sent.
    """

    def __init__(self, state: ServerState, outbox: Callable[[], list[SentMessage]]) -> None:
        self._state = state
        self._outbox = outbox

    def wait_for(self, predicate: Callable[[], T], seconds: float, what: str = "what was") -> T:
        """The first true value of ``predicate``. TimeoutError after ``seconds``."""
        found = self._state.changes.wait_for(predicate, seconds)
        if not found:
            raise TimeoutError(
                f"{what} waited for did not come within {seconds:g} s, the last value was "
                f"{found!r}\n{self._report()}"
            )
        return found

    def wait_for_sent(self, count: int, seconds: float) -> list[SentMessage]:
        """The outbox, as soon as there are so many messages in it."""

        def enough() -> tuple[list[SentMessage]] | None:
            sent = self._outbox()
            return (sent,) if len(sent) >= count else None

        return _found(self.wait_for(enough, seconds, f"{count} in the outbox"))

    def wait_for_messages(
        self, count: int, mailbox: str, user: str | None, seconds: float
    ) -> list[StoredMessage]:
        """The mailbox's messages, as soon as there are so many."""
        account = self._state.account(user)

        def enough() -> tuple[list[StoredMessage]] | None:
            box = account.find(mailbox.encode("ascii"))
            messages = box.messages if box is not None else []
            return (messages,) if len(messages) >= count else None

        return _found(self.wait_for(enough, seconds, f"{count} in {mailbox} of {account.user}"))

    def _report(self) -> str:
        """The mail that is there, and the end of the transcript."""
        lines = ["There is:"]
        for account in list(self._state.accounts.values()):
            for box in account.all():
                lines.append(f"  {len(box.messages)} in {box.name} of {account.user}")
        sent = self._outbox()
        lines.append(f"  {len(sent)} in the outbox")
        lines += [f"    from {mail.mail_from} to {', '.join(mail.rcpt_tos)}" for mail in sent]
        transcript = self._state.transcript.lines()[-LINES_REPORTED:]
        return "\n".join([*lines, "The transcript ends:", *(f"  {line}" for line in transcript)])


def _found(found: tuple[T] | None) -> T:
    """The awaited list, which may be empty, out of the tuple that counts as true."""
    if found is None:
        raise RuntimeError("a wait ended without what it waits for")
    return found[0]
