"""Debians of their own, for servers and Pythons that cannot stand beside the machine's own.

Cyrus and Courier conflict with Debian's ``dovecot-imapd``, and Dovecot 2.4 and the newest Python
are newer than what most machines have. Each lives in a directory that holds a small Debian, made
once and kept; what runs in it has mounts and process ids of its own, so nothing of it outlives the
process that started it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.require import VARIABLE, missing, required

PLACE_VARIABLE = "NORNMAIL_ROOTS"
DEFAULT_PLACE = "/var/cache/nornmail"
OPTIONS = ("-o", "Acquire::Retries=3", "-o", "Acquire::Check-Valid-Until=false")
"""Ask again for a package that could not be fetched; take a mirror whose index has run out."""
TOOLS = ("chroot", "debootstrap", "mount", "unshare")
MADE = "nornmail-made"
"""The file in a root that says that it is whole."""

_POLICY = "#!/bin/sh\nexit 101\n"
"""What Debian asks before it starts a service that was installed: none is to be."""

_ENTER = """
root=$1 own=$2 binds=$3; shift 3
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$own"
mount --bind "$own" "$root$own"
for bind in $binds; do
    [ -e "$root${bind#*:}" ] || mkdir -p "$root${bind#*:}"
    mount --bind "${bind%%:*}" "$root${bind#*:}"
done
mount -t proc proc "$root/proc"
mountpoint -q "$root/dev" || mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Recipe:
    """What a root holds.

    Attributes:
        name: of the root's directory, and of a server as NORNMAIL_REQUIRE has it.
        suite: Debian's.
        packages: what is installed, with nothing that is only recommended.
    """

    name: str
    suite: str
    packages: tuple[str, ...]


class Root:
    """A Debian in a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def within(self, own: Path, binds: Sequence[tuple[Path, str]], *command: str) -> list[str]:
        """The command line that runs ``command`` in the root.

        It runs as the first process of its own, so whatever it starts ends with it, and it ends
        with the process of this command line.

        Args:
            own: a directory that is seen under its own path.
            binds: more of them, with the paths under which they are seen.
        """
        seen = " ".join(f"{outside}:{inside}" for outside, inside in binds)
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
        enter = ["sh", "-ec", _ENTER, "sh", str(self.path), str(own), seen]
        return [*unshare, "--kill-child", *enter, *command]


class RootError(Exception):
    """No root can be made or entered here; the text says why."""


def find_root(recipe: Recipe) -> Root:
    """The server's root for a test, which is made if need be.

    Making one takes about a minute and some hundred megabytes, and a suite on one more server takes
    minutes, so the test is skipped unless the run was told to require the server.
    """
    if recipe.name not in required():
        missing(recipe.name, f"{VARIABLE}={recipe.name} makes and runs it")
    try:
        return root_of(recipe)
    except RootError as error:
        missing(recipe.name, str(error))


def root_of(recipe: Recipe) -> Root:
    """The root of a recipe, which is made if need be.

    Raises:
        RootError: this machine cannot have one.
    """
    if platform.system() != "Linux" or os.geteuid() != 0:
        raise RootError("it needs a root directory of its own: Linux, as root")
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise RootError(f"not here: {', '.join(lacking)}")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False).returncode:
        raise RootError("nothing can be mounted here, so that no root can be entered")
    path = Path(os.environ.get(PLACE_VARIABLE, DEFAULT_PLACE)) / recipe.name
    if not (path / MADE).exists():
        _make(recipe, path)
    return Root(path)


def _make(recipe: Recipe, path: Path) -> None:
    """Make a root beside its place, and put it there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{recipe.name}-", dir=path.parent))
    try:
        fresh.chmod(0o755)
        _do("debootstrap", "--variant=minbase", recipe.suite, str(fresh))
        policy = fresh / "usr/sbin/policy-rc.d"
        policy.write_text(_POLICY)
        policy.chmod(0o755)
        apt = ("chroot", str(fresh), "apt-get", "-q", "-y", *OPTIONS)
        _do(*apt, "update")
        _do(*apt, "install", "--no-install-recommends", *recipe.packages)
        _do(*apt, "clean")
        (fresh / MADE).touch()
        if not (path / MADE).exists():  # another run may have been faster
            shutil.rmtree(path, ignore_errors=True)
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _do(*command: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise RootError(f"{command[0]} failed:\n" + "\n".join(done.stdout.splitlines()[-10:]))
