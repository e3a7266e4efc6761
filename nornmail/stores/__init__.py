"""State stores: the protocol and its implementations."""

from nornmail.stores.base import StateStore
from nornmail.stores.json_file import JsonStateStore
from nornmail.stores.memory import MemoryStateStore
from nornmail.stores.sqlite import SqliteStateStore

__all__ = ["JsonStateStore", "MemoryStateStore", "SqliteStateStore", "StateStore"]
