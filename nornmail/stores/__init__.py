"""State stores: the protocol and its implementations."""

from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.memory import MemoryStateStore
from nornmail.stores.opening import DEFAULT_STATE, open_store
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore

__all__ = [
    "DEFAULT_STATE",
    "JsonStateStore",
    "MemoryStateStore",
    "SqliteStateStore",
    "StateStore",
    "open_store",
]
