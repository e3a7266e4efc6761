"""What the store knows that decides whether a message may be answered: see ``loops.py``."""

from __future__ import annotations

from nornmail.compose.autoreply import Counts
from nornmail.compose.reply import correspondents
from nornmail.message.message import Message
from nornmail.stores.protocol import StateStore

HOUR = 3_600.0
DAY = 86_400.0


def is_our_message_id(store: StateStore, message_id: str) -> bool:
    """Whether a message with this Message-ID is one of ours, of whatever outbox of the store."""
    return bool(message_id) and bool(store.letters_with(message_id))


def answered(store: StateStore, outbox: str, message: Message, now: float) -> Counts:
    """How many answers the correspondents of a message, or its thread, got: the most of any."""
    asked = [{"address": one.address} for one in correspondents(message)]
    asked.append({"thread_id": message.thread_id})
    hour = [store.answers_since(outbox, now - HOUR, **one) for one in asked]
    day = [store.answers_since(outbox, now - DAY, **one) for one in asked]
    return Counts(hour=max(hour), day=max(day))
