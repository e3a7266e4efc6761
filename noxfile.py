"""Sessions: `nox --list` names them. Every one tests the built wheel, never the checkout."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")

# The linters are pinned, so that a new release of theirs cannot break an unchanged checkout.
RUFF = "ruff==0.17.6"
MYPY = "mypy==2.4.1"

# Clients and servers that nobody here wrote, for the session `interop`; the last one is used where
# NORNMAIL_REQUIRE names it.
IMAP_CLIENTS = ("imap-tools==1.16.0", "IMAPClient==4.1.0", "aioimaplib==2.0.3")
SMTP_CLIENTS = ("aiosmtplib==5.1.3",)
WSGI_SERVERS = ("gunicorn==27.0.1", "waitress==3.0.2")
WEBHOOK_VERIFIER = ("standardwebhooks==1.1.0",)
PYMAP = "pymap==0.36.7"
NODE_CLIENTS = ("imapflow@2.10.2", "nodemailer@10.6.1")
DATABASE_DRIVERS = ("psycopg[binary]==3.3.9", "psycopg2-binary==2.9.13", "pg8000==1.31.6")
SITE = ("sphinx==9.0.4", "myst-parser==5.2.0", "furo==2025.12.19")

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = False


def build_wheel(session: nox.Session) -> Path:
    # Not session.create_tmp(): it moves TMPDIR to a path too long for the sockets that tests open.
    dist = Path(session.virtualenv.location) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run(
        "python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(ROOT)
    )
    (wheel,) = dist.glob("nornmail-*.whl")
    return wheel


def install_wheel(session: nox.Session) -> None:
    session.install("--force-reinstall", f"{build_wheel(session)}[test]")


def run_in_root(session: nox.Session, which: str) -> None:
    """Run the default tests in a root of their own, which is made the first time, as root."""
    wheel = build_wheel(session)
    session.install("pytest>=8.3")
    wheels = wheel.parent
    # The root fetches nothing: what the tests need is in pure Python, the same for every version.
    session.run("python", "-m", "pip", "download", "-q", "-d", str(wheels), f"{wheel}[test]")
    files = [str(file) for file in wheels.glob("*.whl")]
    arguments = ["python", "-m", "tests.support.pythons", which, *files, "--", *session.posargs]
    # 77: this machine can have no such root, and has said so.
    session.run(*arguments, success_codes=(0, 77))


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest from an empty directory: `python -m` puts the current one on sys.path."""
    install_wheel(session)
    if "pymap" in os.environ.get("NORNMAIL_REQUIRE", ""):
        session.install(PYMAP)
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
def oldest(session: nox.Session) -> None:
    """The default tests on the oldest Python, in a Debian of its own."""
    run_in_root(session, "oldest")


@nox.session
def newest(session: nox.Session) -> None:
    """The default tests on the newest Python of Debian sid, in a root of its own."""
    run_in_root(session, "newest")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install(RUFF)
    session.run("ruff", "check", str(ROOT))
    session.run("ruff", "format", "--check", str(ROOT))


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over the package, its tests and this file."""
    session.install(MYPY, "nox", "pytest>=8.3", "aiosmtpd>=1.4.6")
    session.install(*SMTP_CLIENTS, PYMAP)  # of the peers, those that the tests import by name
    session.run("mypy", "--strict", "nornmail", "tests", "noxfile.py")


@nox.session
def interop(session: nox.Session) -> None:
    """Real servers and clients, and TLS; NORNMAIL_REQUIRE=dovecot,... says what must be met.

    Besides the machine's Dovecot and Postfix: courier, cyrus and dovecot24, each in a root of its
    own that is made in NORNMAIL_ROOTS (/var/cache/nornmail) the first time, as root; pymap; and a
    PostgreSQL that is started on a socket of its own.
    """
    session.install(
        *IMAP_CLIENTS, *SMTP_CLIENTS, *WSGI_SERVERS, *DATABASE_DRIVERS, *WEBHOOK_VERIFIER
    )
    if shutil.which("npm"):
        place = Path(session.virtualenv.location) / "node"
        install = ("install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place))
        # 1: without them, the tests from JavaScript say that they are missing.
        session.run("npm", *install, *NODE_CLIENTS, external=True, success_codes=(0, 1))
        session.env["NODE_PATH"] = str(place / "node_modules")
    run_pytest(session, "-m", "(interop or tls) and not long")


@nox.session
def browser(session: nox.Session) -> None:
    """Chromium judges what a person sees: the forms, and NORNMAIL_BROWSER_PAGES random pages."""
    run_pytest(session, "-m", "browser", "-s")


@nox.session
def long(session: nox.Session) -> None:
    """The whole enumerations: an hour, or NORNMAIL_PART_SECONDS of them in a random order.

    The soak is a session of its own.
    """
    run_pytest(session, "-m", "long", "-k", "not soak")


@nox.session
def cuts(session: nox.Session) -> None:
    """The connection is cut at every octet, and every command answered wrongly; minutes."""
    run_pytest(session, "-m", "long", "-k", "test_every_cut or test_each_command")


@nox.session
def workers(session: nox.Session) -> None:
    """The delivery suite with eight workers for every poller."""
    session.env["NORNMAIL_TEST_WORKERS"] = "8"
    session.env["NORNMAIL_ALL_CASES"] = "1"
    run_pytest(session, "-k", "poller and delivery")


@nox.session
def kill(session: nox.Session) -> None:
    """The process is killed at every instant of a run; minutes."""
    run_pytest(session, "-m", "long", "-k", "kill")


@nox.session
def soak(session: nox.Session) -> None:
    """A poller in a bad world: half an hour for each server, or NORNMAIL_SOAK_SECONDS."""
    run_pytest(session, "-m", "long", "-k", "soak", "-s")


@nox.session
def mutants(session: nox.Session) -> None:
    """Small changes of the code that the tests must notice: see tests/mutants."""
    session.install("pytest>=8.3", "aiosmtpd>=1.4.6")
    session.run("python", "-m", "tests.mutants", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Messages a second, memory, growth and replies beside imap_tools; then parsers from PyPI.

    On the machine's Dovecot where there is one. Arguments are those of tests/bench/run.py.
    """
    install_wheel(session)
    session.install("imap-tools", "mail-parser", "fast-mail-parser", "pytest")
    figures = Path(session.create_tmp()) / "bench.json"
    benchmark = ROOT / "tests" / "bench" / "run.py"
    session.run("python", str(benchmark), "--json", str(figures), *session.posargs)
    session.run("python", str(ROOT / "tests" / "bench" / "parsing.py"))
    session.log(f"figures: {figures}")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation's site and check its links; warnings are errors."""
    session.install(*SITE, str(ROOT))
    # The build writes a page for each public name next to the pages: into a copy.
    pages = Path(session.create_tmp()) / "docs"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(ROOT / "docs", pages)
    site = ROOT / "dist" / "site"
    session.run("sphinx-build", "-q", "-W", "--keep-going", "-b", "html", str(pages), str(site))
    session.log(f"open {site / 'README.html'}")
