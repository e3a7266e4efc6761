"""State stores: the protocol and its implementations."""

from __future__ import annotations

import os

from nornmail.errors import StoreError
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore

DEFAULT_STATE = "nornmail.db"
"""Where the state is kept if nobody says otherwise."""


def open_store(path: str | os.PathLike[str], *, must_exist: bool = False) -> StateStore:
    """Open the store at ``path``: a JSON store where the name ends in ``.json``, else sqlite.

    Args:
        path: the store; made where it is missing.
        must_exist: it is not made.

    Raises:
        StoreError: it cannot be used, or is missing and must not be.
    """
    if must_exist and not os.path.exists(path):
        raise StoreError(f"there is no state store at {os.fspath(path)}")
    if os.fspath(path).endswith(".json"):
        from nornmail.stores.json_store import JsonStateStore

        return JsonStateStore(path)
    return SqliteStateStore(path)
