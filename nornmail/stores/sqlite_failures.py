"""What sqlite refused, as a StoreError that names the path and says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from nornmail.errors import StoreError
from nornmail.stores.errors import FULL, READ_ONLY, UNKNOWN

_RESTORE = "put it back from a backup, or move it away to begin anew (known mail may come again)"

_SQLITE_ADVICE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_BUSY: "another process holds it; find out which, or try again",
    sqlite3.SQLITE_LOCKED: "another process holds it; find out which, or try again",
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: "see that its directory is there and can be written to",
    sqlite3.SQLITE_CORRUPT: _RESTORE,
    sqlite3.SQLITE_NOTADB: f"it is no sqlite database: name another path, or {_RESTORE}",
    sqlite3.SQLITE_IOERR: f"{UNKNOWN}, whether it is full, and the limit on the size of files",
}
_PRIMARY = 0xFF
"""The part of an extended result code that says what it is about."""


@contextmanager
def translate(path: str) -> Iterator[None]:
    """Raise a StoreError in place of what sqlite raises within.

    Args:
        path: the database.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)  # the module's own errors have none
        advice = _SQLITE_ADVICE.get(code & _PRIMARY, UNKNOWN)
        raise StoreError(f"the state store {path} cannot be used: {error}: {advice}") from error
    except OverflowError as error:
        raise StoreError(
            f"the state store {path} cannot hold a number of more than 64 bits"
        ) from error
    except ValueError as error:
        raise StoreError(
            f"the state store {path} holds what cannot be understood: {error}: {_RESTORE}"
        ) from error
