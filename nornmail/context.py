"""The message that is being handled: an outbox takes the default key from it.

A context variable, so that threads that copy the context and tasks that are made within it are in
the same handling as the handler itself.
"""

from __future__ import annotations

import contextvars
import threading
from typing import Any

from nornmail.errors import ConfigurationError

_CURRENT: contextvars.ContextVar[DeliveryContext | None] = contextvars.ContextVar(
    "nornmail_handling", default=None
)
_TAKING = threading.Lock()
"""Held for the moment in which a key is taken: one lock for all messages, of which few send."""


class DeliveryContext:
    """One attempt to handle a message.

    Attributes:
        after: what the handler asked for to be done with the message, as text.
    """

    def __init__(self, delivery_id: str, message: Any = None) -> None:
        self.delivery_id = delivery_id
        self.message = message
        self.after = ""
        self._used: set[str] = set()

    def take(self, outbox: str) -> None:
        """Note that a message with the default key goes to this outbox.

        Raises:
            ConfigurationError: one did already in this attempt: two messages would share a key, and
                the second be taken for the first.
        """
        with _TAKING:
            if outbox in self._used:
                raise ConfigurationError(
                    "key",
                    None,
                    "this handler has sent a message already: give each further one a key= of its "
                    "own, such as key='copy to sales', so that it is sent once too",
                )
            self._used.add(outbox)

    def give_back(self, outbox: str) -> None:
        """Take the note back: the message was not kept."""
        with _TAKING:
            self._used.discard(outbox)


def current() -> DeliveryContext | None:
    """The delivery that the caller belongs to, ``None`` outside of any handler."""
    return _CURRENT.get()


def entered(handling: DeliveryContext | None) -> contextvars.Context:
    """A copy of the caller's context, with this delivery as the current one.

    What runs in it leaves nothing behind, wherever it is interrupted: there is nothing to set back.
    """
    context = contextvars.copy_context()
    context.run(_CURRENT.set, handling)
    return context
