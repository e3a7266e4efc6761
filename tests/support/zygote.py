"""A process that has imported the package, and becomes ``nornmail`` in a fork: in milliseconds.

The fork has the environment, directory and pipes that it is given, and ends as the interpreter
does, but for taking its modules apart. The zygote has one thread and nothing open, so a fork is
clean. Between it and each child stands a process that reports
the child's number and end, since only a parent can wait for it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import gettext
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import IO

from tests.support.package import package_directory

PROGRAM = """
from tests.support.zygote import become_child, end; become_child()
import sys
try:
    if sys.argv[1:2] == ["-c"]:
        _, code = sys.argv[1:3]
        del sys.argv[1:3]
        exec(code)
    else:
        from nornmail.cli import main
        sys.exit(main())
except SystemExit as left:
    status = left.code
else:
    status = 0
end(status)
"""
LATER = ("__main__", "pytest_plugin", "testing.stores")
"""Modules that run as a program, and those that pytest rewrites when it imports them."""
ORDER_BYTES = 1 << 20
"""Octets of an order: arguments and the environment."""


class Forked:
    """A child of the zygote, as `subprocess.Popen` has it, as far as these tests use that.

    Attributes:
        returncode: as Popen has it: a signal's number below zero; None while it runs.
    """

    def __init__(
        self, pid: int, ends: IO[str], stdout: IO[bytes] | None, stderr: IO[bytes] | None
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self.returncode: int | None = None
        self._ends = ends

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit status."""
        if self.returncode is None:
            if not select.select([self._ends], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("nornmail", timeout or 0.0)
            self.returncode = int(self._ends.readline())
            self._ends.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the child has ended."""
        if self.returncode is None and not select.select([self._ends], [], [], 0)[0]:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def kill(self) -> None:
        """Send SIGKILL, unless the child has ended."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        """What it still writes to both pipes, and its end."""
        written = {pipe: b"" for pipe in (self.stdout, self.stderr) if pipe is not None}
        open_pipes = list(written)
        while open_pipes:
            ready = select.select(open_pipes, [], [], timeout)[0]
            if not ready:
                raise subprocess.TimeoutExpired("nornmail", timeout or 0.0)
            for pipe in ready:
                octets = pipe.read(65536)
                written[pipe] += octets
                if not octets:
                    open_pipes.remove(pipe)
        self.wait(timeout)
        out = written[self.stdout] if self.stdout is not None else b""
        return out, written[self.stderr] if self.stderr is not None else b""


class Zygote:
    """The zygote of a run of pytest, which starts with the first order."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        paths = [str(package_directory().parent), str(Path(__file__).parents[2])]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-X", "utf8", "-c", PROGRAM],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )

    def start(
        self,
        arguments: tuple[str, ...],
        directory: Path,
        environment: dict[str, str],
        stdout: int,
        stdin: int | None = None,
        stderr: int = subprocess.PIPE,
    ) -> Forked:
        """Start ``nornmail``, or Python where the arguments are ``-c`` and a program.

        Args:
            stdout, stderr: descriptors for its streams, or PIPE.
            stdin: one for its standard input, which stays open here; None for no input.
        """
        ends, theirs = os.pipe()
        err, their_err = os.pipe() if stderr == subprocess.PIPE else (None, os.dup(stderr))
        out, their_out = os.pipe() if stdout == subprocess.PIPE else (None, os.dup(stdout))
        order = json.dumps([arguments, str(directory), environment]).encode()
        descriptors = [their_out, their_err, theirs]
        given = [] if stdin is None else [stdin]
        socket.send_fds(self._socket, [order], [*descriptors, *given])
        for descriptor in descriptors:
            os.close(descriptor)
        report = open(ends, encoding="ascii", buffering=1)  # noqa: SIM115
        pid = int(report.readline())
        return Forked(
            pid,
            report,
            None if out is None else open(out, "rb", buffering=0),
            None if err is None else open(err, "rb", buffering=0),
        )

    def close(self) -> None:
        """End the zygote."""
        self._socket.close()
        assert self._process.wait() == 0


class Interpreter(subprocess.Popen[bytes]):
    """A new interpreter, as a :class:`Forked` where no process can be forked."""

    def close(self) -> None:
        """Close the pipes."""
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()


class Interpreters:
    """Starts a new interpreter for each order, as a :class:`Zygote` does by a fork."""

    def start(
        self,
        arguments: tuple[str, ...],
        directory: Path,
        environment: dict[str, str],
        stdout: int,
        stdin: int | None = None,
        stderr: int = subprocess.PIPE,
    ) -> Interpreter:
        """Start ``nornmail``, or Python where the arguments are ``-c`` and a program."""
        paths = [str(package_directory().parent), str(Path(__file__).parents[2])]
        module = () if arguments[:1] == ("-c",) else ("-m", "nornmail")
        return Interpreter(
            [sys.executable, "-W", "error", "-X", "utf8", *module, *arguments],
            cwd=directory,
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=0,
        )


@cache
def zygote() -> Zygote | Interpreters:
    """The zygote of this run, which ends with it; Windows cannot fork, and has none."""
    if not hasattr(os, "fork"):
        return Interpreters()
    running = Zygote()
    atexit.register(running.close)
    return running


def end(status: object) -> None:
    """End as the interpreter does, without taking every module apart: that takes 50 ms.

    Where there is more to say than a number, and where a stream fails, it is left to Python.
    """
    if status is not None and not isinstance(status, int):
        sys.exit(str(status))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what was not closed says so now
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(status)
    os._exit((status or 0) & 0xFF)


def _reap() -> None:
    """Wait for those between that have ended, so that their processor time is counted here."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def become_child() -> None:
    """The zygote itself. It returns in every child, and nowhere else."""
    import pytest  # noqa: F401

    import nornmail
    from nornmail.message.message import parse_message

    for module in pkgutil.walk_packages(nornmail.__path__, "nornmail."):
        if not module.name.endswith(LATER):
            importlib.import_module(module.name)
    parse_message(b"Subject: one\n\nhello\n").to_dict()  # which imports and compiles more
    # argparse looks for a translation of each word on the disk
    gettext.find = cache(gettext.find)  # type: ignore[assignment]
    orders = socket.socket(fileno=0)
    gc.collect()
    gc.freeze()  # no collection in a child looks at, and so copies, what is here
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, ORDER_BYTES, 4)
        _reap()
        if not order:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    orders.close()
    out, err, report, *given = descriptors
    child = os.fork()
    if child:
        for descriptor in (out, err, *given):
            os.close(descriptor)
        os.write(report, b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    os.close(report)
    for descriptor, number in ((out, 1), (err, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    source = given[0] if given else os.open(os.devnull, os.O_RDONLY)
    if source:
        os.dup2(source, 0)
        os.close(source)
    arguments, directory, environment = json.loads(order)
    # Those of the zygote remember whether what they wrote to can be moved about in.
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
