"""A function in a process that was forked beside threads."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable


def in_a_fork(function: Callable[[], object]) -> int:
    """The exit status of a forked process that calls a function: 0 when it returns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
