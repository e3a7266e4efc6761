"""The default suite on the oldest or the newest Python, in a root of its own.

    python -m tests.support.pythons newest WHEEL... [-- pytest arguments]

The wheels are the package's and those of what its tests need: nothing is fetched in the root. The
status is that of pytest, or `NO_ROOT` where this machine can have no root.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.roots import Recipe, Root, RootError, root_of

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {
    "oldest": Recipe("python-oldest", "bookworm", ("python3.11-venv",)),
    "newest": Recipe("python-newest", "sid", (r"^python3\.[0-9]+-venv$",)),
}
"""Debian's suites; sid has the newest Python and often the one after it."""
NO_ROOT = 77
"""The status where no root can be had: not that of a test that failed."""

_RUN = """
python=$1 own=$2 checkout=$3; shift 3
unset PIP_CONSTRAINT PIP_FIND_LINKS NORNMAIL_REQUIRE PYTHONPATH
"$python" -m venv "$own/venv"
"$own/venv/bin/pip" install -q --no-index --find-links "$own/wheels" "nornmail[test]"
mkdir "$own/empty"
cd "$own/empty"
export NORNMAIL_EXPECT_INSTALLED=1 LC_ALL=C.UTF-8 PATH="$own/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin"
exec python -m pytest -c "$checkout/pyproject.toml" "$checkout/tests" -p no:cacheprovider "$@"
"""


def newest_python(root: Root) -> str:
    """The path of the newest Python in a root, as seen from there."""
    names = [path.name for path in (root.path / "usr/bin").glob("python3.*")]
    versions = [int(found[1]) for name in names if (found := re.fullmatch(r"python3\.(\d+)", name))]
    return f"/usr/bin/python3.{max(versions)}"


def main() -> int:
    which, *rest = sys.argv[1:]
    end = rest.index("--") if "--" in rest else len(rest)
    wheels, arguments = rest[:end], rest[end + 1 :]
    try:
        root = root_of(RECIPES[which])
    except RootError as error:
        print(f"no root for the {which} Python: {error}", file=sys.stderr)
        return NO_ROOT
    with tempfile.TemporaryDirectory(prefix="pythons-") as folder:
        own = Path(folder)
        (own / "wheels").mkdir()
        for wheel in map(Path, wheels):
            (own / "wheels" / wheel.name).write_bytes(wheel.read_bytes())
        python = newest_python(root)
        print(f"the {which} Python: {python} of Debian's {RECIPES[which].suite}", flush=True)
        run = ("sh", "-euc", _RUN, "sh", python, str(own), str(ROOT), *arguments)
        return subprocess.run(root.within(own, [(ROOT, str(ROOT))], *run), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
