"""Sessions: `nox --list` names them. Every one tests the built wheel, never the checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")

# The linters are pinned, so that a new release of theirs cannot break an unchanged checkout.
RUFF = "ruff==0.17.6"
MYPY = "mypy==2.4.1"

# Clients of other people, for the session `interop` alone.
CLIENTS = ("aiosmtplib>=3", "gunicorn", "waitress")

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False


def install_wheel(session: nox.Session) -> None:
    # setuptools packs whatever an earlier build left in build/, deleted modules included.
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    # Not session.create_tmp(): it moves TMPDIR to a path too long for the sockets that tests open.
    dist = Path(session.virtualenv.location) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run(
        "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(ROOT)
    )
    (wheel,) = dist.glob("nornmail-*.whl")
    session.install("--force-reinstall", f"{wheel}[test]")


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest from an empty directory: `python -m` puts the current one on sys.path."""
    install_wheel(session)
    empty = Path(session.virtualenv.location) / "empty"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    with session.chdir(empty):
        session.run(
            *("python", "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests")),
            *("-p", "no:cacheprovider", *arguments, *session.posargs),
            env={"NORNMAIL_EXPECT_INSTALLED": "1"},
        )


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The default tests, on every Python that is here."""
    run_pytest(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install(RUFF)
    session.run("ruff", "check", str(ROOT))
    session.run("ruff", "format", "--check", str(ROOT))


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over the package."""
    session.install(MYPY)
    session.run("mypy", "--strict", "nornmail")


@nox.session
def interop(session: nox.Session) -> None:
    """Real servers and clients, and TLS; NORNMAIL_REQUIRE=dovecot,... makes a skip a failure."""
    session.install(*CLIENTS)
    run_pytest(session, "-m", "(interop or tls) and not long")


@nox.session
def long(session: nox.Session) -> None:
    """The whole enumerations; minutes. The soak is a session of its own."""
    run_pytest(session, "-m", "long", "-k", "not soak")


@nox.session
def kill(session: nox.Session) -> None:
    """The process is killed at every instant of a run; minutes."""
    run_pytest(session, "-m", "long", "-k", "kill")


@nox.session
def soak(session: nox.Session) -> None:
    """A poller in a bad world: half an hour for each server, or NORNMAIL_SOAK_SECONDS."""
    run_pytest(session, "-m", "long", "-k", "soak", "-s")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation's examples run, its tables are the code's, its links lead somewhere."""
    run_pytest(session, "-k", "test_docs")
