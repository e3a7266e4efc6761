"""The rules of Windows, as far as another system can show them.

Nothing that only POSIX has is used without a guard, and what a guard leaves works: with these names
taken away, and with the lock of Windows played by the one of this system.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from nornmail import (
    ConfigurationError,
    ImapSettings,
    JsonStateStore,
    Mailer,
    Poller,
    SqliteStateStore,
    locks,
)
from nornmail.cli.output import output_file
from nornmail.cli.serve import _address
from nornmail.net.oauth import TokenRecord, read_token_file, write_token_file
from nornmail.testing import MailServer
from tests.support.package import package_directory
from tests.support.zygote import zygote

posix = pytest.mark.skipif(sys.platform == "win32", reason="the names are taken away from POSIX")

_OF_OS = """
O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_SYNC chown chroot fchdir fchmod fchown fdatasync fork
forkpty getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getsid getuid killpg
lchown lockf mkfifo mknod nice openpty pathconf pipe2 posix_fallocate posix_spawn pread preadv
pwrite pwritev readv register_at_fork sched_getaffinity sendfile setegid seteuid setgid setgroups
setpgid setpriority setsid setuid statvfs sync sysconf uname wait wait3 wait4 waitid writev
"""
_OF_SIGNAL = """
SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGUSR1 SIGUSR2 alarm pause pthread_kill
pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait
"""
OF_OS, OF_SIGNAL = frozenset(_OF_OS.split()), frozenset(_OF_SIGNAL.split())
OF_SOCKET = frozenset({"AF_UNIX", "SO_REUSEPORT", "recv_fds", "send_fds"})
ONLY_POSIX = {"os": OF_OS, "signal": OF_SIGNAL, "socket": OF_SOCKET}
NAMES = frozenset().union(*ONLY_POSIX.values())
MODULES = frozenset({"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"})
GUARDED_ELSEWHERE = {
    "cli/http_server.py: socket.AF_UNIX": "serve refuses unix: where it is missing"
}
OF_MODULE = "|".join(rf"{module}\.(?:{'|'.join(names)})" for module, names in ONLY_POSIX.items())
IMPORTED = rf"import\b.*\b(?:{'|'.join(MODULES)})"
MENTION = re.compile(rf"\b(?:{OF_MODULE}|{IMPORTED})\b")
"""What a file has that uses one of them; the others need not be parsed."""
OPENING = {ast.dump(ast.parse(name, mode="eval").body) for name in ("open", "os.fdopen")}
OPENED = re.compile(r"\b(?<!\.)open\(|\bos\.fdopen\(")
IMPORTED_AT_THE_TOP = re.compile(rf"^{IMPORTED}\b", re.M)
GUARD = re.compile(r"sys\.platform|os\.name|hasattr\(")


def posix_only(path: Path) -> Iterator[str]:
    """What a file uses that only POSIX has, outside of an `if` about the system."""
    name = path.relative_to(package_directory()).as_posix()

    def search(node: ast.AST, guarded: bool) -> Iterator[str]:
        if isinstance(node, ast.Attribute) and node.attr in NAMES and not guarded:
            module = ast.unparse(node.value)
            if node.attr in ONLY_POSIX.get(module, ()):
                yield f"{name}: {module}.{node.attr}"
        if isinstance(node, ast.Import) and not guarded:
            yield from (f"{name}: {alias.name}" for alias in node.names if alias.name in MODULES)
        guarded = guarded or (
            isinstance(node, ast.If) and bool(GUARD.search(ast.unparse(node.test)))
        )
        for child in ast.iter_child_nodes(node):
            yield from search(child, guarded)

    text = path.read_text("utf-8")
    if MENTION.search(text):
        yield from search(ast.parse(text), False)


def test_nothing_that_only_posix_has_is_used_without_a_guard() -> None:
    found = {use for path in package_directory().rglob("*.py") for use in posix_only(path)}
    assert found == set(GUARDED_ELSEWHERE)


def test_every_text_file_is_opened_with_an_encoding() -> None:
    """Windows has another default than UTF-8."""
    found = []
    for path in package_directory().rglob("*.py"):
        text = path.read_text("utf-8")
        for call in ast.walk(ast.parse(text)) if OPENED.search(text) else ():
            if isinstance(call, ast.Call) and ast.dump(call.func) in OPENING:
                binary = len(call.args) > 1 and "b" in ast.unparse(call.args[1])
                if not binary and "encoding" not in [word.arg for word in call.keywords]:
                    found.append(f"{path.name}:{call.lineno}")
    assert not found


def test_every_test_can_be_collected_without_the_modules_of_posix() -> None:
    found = [
        f"{path.name}: {name.name}"
        for path in Path(__file__).parent.rglob("test_*.py")
        if IMPORTED_AT_THE_TOP.search(text := path.read_text("utf-8"))
        for node in ast.parse(text).body
        if isinstance(node, ast.Import)
        for name in node.names
        if name.name in MODULES
    ]
    assert not found, "pytest.importorskip() skips the file where there is none"


@posix
def test_a_program_runs_where_nothing_can_be_forked(tmp_path: Path) -> None:
    call = ("-c", "import sys; print(sys.argv[1:])", "one")
    with windows():
        program = zygote.__wrapped__().start(call, tmp_path, dict(os.environ), subprocess.PIPE)
    out, err = program.communicate(timeout=30)
    assert (program.returncode, out.decode().strip(), err) == (0, "['one']", b"")


@contextmanager
def windows() -> Iterator[None]:
    """A block in which this process lacks what Windows lacks; its pairs of sockets need AF_UNIX."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in ((os, OF_OS), (signal, OF_SIGNAL)):
            for name in names:
                patch.delattr(module, name, raising=False)
        yield


@posix
@pytest.mark.parametrize("store", [SqliteStateStore, JsonStateStore])
def test_mail_is_handled_and_answered(
    store: type[SqliteStateStore] | type[JsonStateStore], tmp_path: Path
) -> None:
    with windows(), MailServer() as server, closing(store(tmp_path / "state.json")) as state:
        server.add_user("agent@example.com", "secret")
        server.deliver("From: kim@example.org\nSubject: one\n\nhello\n")
        mailer = Mailer(server.smtp_settings("agent@example.com"), state)

        def answer(message: object) -> None:
            mailer.reply(message, "hello")  # type: ignore[arg-type]

        imap: ImapSettings = server.imap_settings("agent@example.com")
        with closing(Poller(imap, store=state, on_message=answer, start_from="all")) as poller:
            assert poller.poll_once().handled == 1
        server.assert_sent(to="kim@example.org")


@posix
def test_a_token_file_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.json")
    for token in ("one", "two"):
        record = TokenRecord(
            account="a@example.com", token_endpoint="https://example.com", client_id="c",
            scopes="mail", login="nornmail login", access_token=token,
        )  # fmt: skip
        with windows():
            write_token_file(path, record)
        assert read_token_file(path) == record


@posix
def test_an_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "mail.jsonl"
    file.write_text('{"a": 1}\n{"a": ')
    with windows(), output_file(str(file)) as output:
        output.write('{"a": 2}')
    assert file.read_text() == '{"a": 1}\n{"a": 2}\n'


@posix
def test_a_unix_socket_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(ConfigurationError, match="on this system"):
        _address("unix:/tmp/nornmail.sock")


@posix
def test_the_byte_range_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`msvcrt.locking`, played by flock: an open file locks, and the other one is refused."""
    import fcntl

    def locking(fd: int, mode: int, count: int) -> None:
        assert (mode, count, os.lseek(fd, 0, os.SEEK_CUR)) == (2, 1, locks.LOCKED_BYTE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None

    played = types.ModuleType("msvcrt")
    played.locking, played.LK_NBLCK = locking, 2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msvcrt", played)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "register_at_fork")
    spec = importlib.util.spec_from_file_location("nornmail._locks_of_windows", locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    there = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(there)
    path = str(tmp_path / "a.lock")
    first, second = there.FileLock(path), there.FileLock(path)
    first.acquire("host:1")
    with pytest.raises(there.LockTaken, match="host:1"):
        second.acquire("host:2")
    assert there.holder_of(path) == "host:1"
    first.release()
    second.acquire("host:2")
    assert there.holder_of(path) == "host:2"
    second.release()
