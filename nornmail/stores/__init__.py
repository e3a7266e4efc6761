"""State stores: the protocol and its implementations."""

from __future__ import annotations

import importlib
import os
import re

from nornmail.errors import StoreError
from nornmail.stores.protocol import StateStore
from nornmail.stores.sql_store import SqlStateStore
from nornmail.stores.sqlite import LocalStore, SqliteStateStore, SqliteView

DEFAULT_STATE = "nornmail.db"
"""The default path of the store."""
_FUNCTION = re.compile(r"([A-Za-z_]\w+(?:\.\w+)*):([A-Za-z_]\w*)", re.ASCII)
"""``module:function``. A module of one letter would be a drive of Windows."""


def open_store(path: str | os.PathLike[str], *, must_exist: bool = False) -> StateStore:
    """Open the store at ``path``: a JSON store where the name ends in ``.json``, else sqlite.

    ``module:function`` names a function of the program that returns a store, such as a
    :class:`~nornmail.stores.postgres.PostgresStateStore`, whose driver nornmail does not import.

    Args:
        path: the store; made where it is missing.
        must_exist: it is not made.

    Raises:
        StoreError: it cannot be used, or is missing and must not be.
    """
    if (match := _FUNCTION.fullmatch(os.fspath(path))) is not None:
        return _from_function(*match.groups())
    if must_exist and not os.path.exists(path):
        raise StoreError(f"there is no state store at {os.fspath(path)}")
    if os.fspath(path).endswith(".json"):
        from nornmail.stores.json_store import JsonStateStore

        return JsonStateStore(path)
    return SqliteStateStore(path)


def store_exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a store at ``path``; ``module:function`` counts as one."""
    return _FUNCTION.fullmatch(os.fspath(path)) is not None or os.path.exists(path)


def open_view(path: str | os.PathLike[str]) -> SqlStateStore:
    """Open the store at ``path`` for reading; it refuses to be written.

    One that a function opens (:func:`open_store`) is that store itself.

    Nothing is locked, written or upgraded, so a program may run.

    Raises:
        StoreError: it does not exist, or cannot be read.
    """
    if not os.path.exists(path):
        store = open_store(path, must_exist=True)
        if not isinstance(store, SqlStateStore):
            store.close()
            raise StoreError(f"{os.fspath(path)} is not a state store of nornmail")
        return store
    view: LocalStore
    if os.fspath(path).endswith(".json"):
        from nornmail.stores.json_store import JsonView

        view = JsonView(path)
    else:
        view = SqliteView(path)
    view._connection.execute("PRAGMA query_only = 1")
    return view


def _from_function(module: str, name: str) -> StateStore:
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise StoreError(
            f"the state store {module}:{name} cannot be used: {error}: install the module, or name "
            "its directory in PYTHONPATH"
        ) from error
    store = function() if callable(function) else function
    if not isinstance(store, StateStore):
        raise StoreError(
            f"{module}:{name} must be a function that returns a state store, not {store!r}"
        )
    return store
