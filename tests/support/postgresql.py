"""A private PostgreSQL on a socket of its own, started with the first test that needs it."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
from contextlib import closing
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from nornmail import PostgresStateStore
from tests.support.foreign import search_path, wait_until
from tests.support.require import missing, module

ADDRESS = "NORNMAIL_TEST_POSTGRESQL"
"""Where a child process of a test finds the server: the directory of its socket."""


START_SECONDS = 20.0


class PostgreSQL:
    """A server. It listens on no port."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self.directory = directory
        self._programs = programs
        self._data = directory / "data"
        # It refuses to run as root.
        self._user = "postgres" if os.name == "posix" and os.geteuid() == 0 else None
        if self._user:
            shutil.chown(directory, self._user)
        arguments = ("--auth", "trust", "--username", "postgres", "--encoding", "UTF8", "--no-sync")
        self._run("initdb", "--pgdata", str(self._data), *arguments)
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, user=self._user, cwd="/", check=True, capture_output=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-k {self.directory} -c listen_addresses='' -c fsync=off"
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once; what was committed stays."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Stop it, and remove its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class Bouncer:
    """A PgBouncer in transaction mode before the server of this process, on a socket."""

    PORT = 6543

    def __init__(self, program: str, upstream: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="nornpgb-"))
        user = "postgres" if os.name == "posix" and os.geteuid() == 0 else None
        if user:
            shutil.chown(self.directory, user)
        config = self.directory / "pgbouncer.ini"
        config.write_text(
            f"[databases]\npostgres = host={upstream} port=5432 user=postgres\n[pgbouncer]\n"
            f"unix_socket_dir={self.directory}\nlisten_port={self.PORT}\nauth_type=any\n"
            "pool_mode=transaction\ndefault_pool_size=3\n"
        )
        self._process = subprocess.Popen(
            [program, str(config)],
            user=user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        atexit.register(self.remove)
        socket = self.directory / f".s.PGSQL.{self.PORT}"
        wait_until(socket.exists, START_SECONDS)

    @classmethod
    @cache
    def of_this_process(cls) -> Bouncer:
        """The one of this process; the test is skipped where there is none on this machine."""
        program = shutil.which("pgbouncer", path=search_path())
        if program is None:
            missing("postgresql", "apt-get install pgbouncer")
        return cls(program, server().directory)

    def remove(self) -> None:
        """Stop it, and remove its files."""
        self._process.terminate()
        self._process.wait(START_SECONDS)
        shutil.rmtree(self.directory, ignore_errors=True)


_STARTING = threading.Lock()


def server() -> PostgreSQL:
    """The server of this process; the test is skipped where there is none on this machine."""
    with _STARTING:
        return _started()


@cache
def _started() -> PostgreSQL:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        missing("postgresql", "it is not installed: apt-get install postgresql")
    started = PostgreSQL(found[-1].parent, Path(tempfile.mkdtemp(prefix="nornpg-")))
    atexit.register(started.remove)
    os.environ[ADDRESS] = str(started.directory)
    return started


def connect(schema: str) -> Any:
    """A connection to the server of this process, or of the one that started this one."""
    address = os.environ.get(ADDRESS) or str(server().directory)
    psycopg = module("psycopg", "postgresql")
    options = f"-c search_path={schema}"
    return psycopg.connect(host=address, user="postgres", dbname="postgres", options=options)


def schema_name(directory: Path) -> str:
    """The name of the schema for the tests in a directory."""
    return "s" + sha256(str(directory).encode()).hexdigest()[:16]


@cache
def schema_of(directory: Path) -> str:
    """The schema for the tests in a directory, which is made where it is missing."""
    name = schema_name(directory)
    _administer(f"CREATE SCHEMA IF NOT EXISTS {name}")
    return name


def _administer(*statements: str) -> None:
    """Execute statements on a connection of their own: a test leaves no descriptor open."""
    with closing(connect("public")) as connection:
        connection.autocommit = True
        for statement in statements:
            connection.execute(statement)


def is_here() -> bool:
    """Whether there is a PostgreSQL on this machine, and its driver."""
    programs = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return any(programs) and importlib.util.find_spec("psycopg") is not None


def size_of(directory: Path) -> int:
    """Octets of the tables that belong to a directory, with their indexes and dead rows."""
    query = (
        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
    )
    with connect("public") as connection:
        return int(connection.execute(query, (schema_name(directory),)).fetchone()[0])


def drop(directory: Path) -> None:
    """Remove the schema that belongs to a directory."""
    _administer(f"DROP SCHEMA {schema_name(directory)} CASCADE")


def let_leases_expire(directory: Path) -> None:
    """Have the time of all leases in the store of a directory be over."""
    _administer(
        f"SET search_path = {schema_name(directory)}",
        "DO $$ BEGIN IF to_regclass('nornmail_lease') IS NOT NULL THEN "
        "UPDATE nornmail_lease SET expires_at = '-infinity'; END IF; END $$",
    )


def open_postgres(
    directory: Path, *, has_schema: bool = False, **options: Any
) -> PostgresStateStore:
    """The store that belongs to a directory.

    Args:
        directory: whose.
        has_schema: the schema was made by the process that started this one.
        options: arguments of the store.
    """
    schema = schema_name(directory) if has_schema else schema_of(directory)
    return PostgresStateStore(lambda: connect(schema), **options)
