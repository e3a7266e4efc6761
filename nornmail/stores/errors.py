"""Errors of the operating system as a StoreError that names the path and says what to do."""

from __future__ import annotations

import errno
import os

from nornmail.errors import StoreError

FULL = "make room on that disk (or raise the quota), then start again"
READ_ONLY = "let this user write there, or choose another path"
NO_DIRECTORY = "create the directory first, or choose another path"
IS_DIRECTORY = "name a file, not a directory"
NO_LOCKS = "this file system has no locks: put the store on a local disk"
RESTORE = "restore it from a backup, or move it away to start over (known mail may come again)"
UNKNOWN = "check the disk and the system's log"

_ADVICE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then start again",
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
    errno.EROFS: READ_ONLY,
    errno.ENOENT: NO_DIRECTORY,
    errno.ENOTDIR: NO_DIRECTORY,
    errno.EISDIR: IS_DIRECTORY,
    errno.ENOLCK: NO_LOCKS,
    errno.EOPNOTSUPP: NO_LOCKS,
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
}
_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE})


def unusable(path: str, why: object, advice: str, *, passing: bool = False) -> StoreError:
    """The error for a store that cannot be used, with what to do."""
    text = f"the state store {path} cannot be used: {why}: {advice}"
    return StoreError(text, passing=passing)


def store_error(path: str, error: OSError) -> StoreError:
    """The StoreError to raise ``from error``, which is about the file at ``path``."""
    text = error.strerror or str(error)
    if error.filename not in (None, path):
        text = f"{text} ({error.filename})"
    if hasattr(error, "__notes__"):
        text = " ".join([text, *error.__notes__])
    advice = _ADVICE.get(error.errno or 0, UNKNOWN)
    return unusable(path, text, advice, passing=advice == FULL or error.errno in _PASSING)


def resolve(path: str | os.PathLike[str]) -> str:
    """The absolute path of a store, links followed, so that two names of one file are one store.

    Raises:
        StoreError: nothing can be stored there: it is a directory, its directory is missing, or it
            is a file with several names.
    """
    given = os.fspath(path)
    if "\0" in given:
        raise unusable(repr(given), "no path has a NUL character", "name it without")
    resolved = os.path.realpath(given)
    if not given or os.path.isdir(resolved):
        raise unusable(given or "(no path)", "it is a directory", IS_DIRECTORY)
    parent = os.path.dirname(resolved)
    if not os.path.isdir(parent):
        raise unusable(given, f"the directory {parent} is missing", NO_DIRECTORY)
    refuse_names(resolved)
    return resolved


def refuse_names(path: str) -> None:
    """Refuse a file with several names (hard links), if there is one.

    The locks and the logs of a store lie next to the name by which it was opened. Under another
    name a second process would find neither, and both would write.

    Raises:
        StoreError: it has several.
    """
    try:
        names = os.stat(path).st_nlink
    except OSError:
        return  # whoever opens it says why
    if names > 1:
        links = f"the file has {names} names (hard links)"
        why = f"{links}, and two processes could not exclude each other"
        raise unusable(path, why, "remove the others, or copy the file")


def damaged(path: str, what: object) -> StoreError:
    """The error for a file of a store that is not what was written."""
    return StoreError(
        f"the state store {path} is damaged: {what}: "
        "restore it from a backup, together with the files next to it; "
        "to start over, move all of them away (known mail may be delivered again)"
    )


def unreadable(name: str, error: ValueError) -> StoreError:
    """The error for a store, as errors call it, with a value that no program of ours wrote."""
    return StoreError(f"{name} has a value that cannot be understood: {error}: {RESTORE}")


def newer(name: str, version: int, known: int) -> StoreError:
    """The error for a store, as errors call it, whose version is above the newest that is known."""
    return StoreError(
        f"{name} has version {version}, and this nornmail knows {known} at most: update nornmail"
    )
