"""The contract in PostgreSQL over other drivers, and through PgBouncer in transaction mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nornmail import PostgresStateStore
from nornmail.errors import LeaseHeld
from nornmail.model import MailboxKey
from nornmail.testing.stores import StateStoreContract
from tests.stores.support import ME
from tests.support.postgresql import Bouncer, connect, schema_of, server
from tests.support.require import module

pytestmark = pytest.mark.interop


def by_psycopg2(schema: str) -> Any:
    psycopg2 = module("psycopg2", "postgresql")
    options = f"-c search_path={schema}"
    host = str(server().directory)
    return psycopg2.connect(host=host, user="postgres", dbname="postgres", options=options)


def by_pg8000(schema: str) -> Any:
    pg8000 = module("pg8000.dbapi", "postgresql")
    path = f"{server().directory}/.s.PGSQL.5432"
    connection = pg8000.connect(user="postgres", database="postgres", unix_sock=path)
    connection.autocommit = True
    connection.cursor().execute(f"SET search_path TO {schema}")
    return connection


def through_pgbouncer(_: str) -> Any:
    """One session of the server is as good as any other: the tables are in its first schema."""
    psycopg = module("psycopg", "postgresql")
    return psycopg.connect(
        host=str(Bouncer.of_this_process().directory),
        port=Bouncer.PORT,
        user="postgres",
        dbname="postgres",
    )


@pytest.mark.parametrize("driver", [by_psycopg2, by_pg8000, through_pgbouncer])
class TestDrivers(StateStoreContract):
    """The whole contract, with another way to the server."""

    @pytest.fixture(autouse=True)
    def opened(self, driver: Callable[[str], Any], tmp_path: Path) -> Any:
        schema = schema_of(tmp_path)
        if driver is through_pgbouncer:
            with connect("public") as connection:
                connection.execute("DROP SCHEMA public CASCADE")
                connection.execute("CREATE SCHEMA public")
        self.store = PostgresStateStore(lambda: driver(schema))
        self.beside = PostgresStateStore(lambda: driver(schema))
        yield
        self.store.close()
        self.beside.close()

    def test_a_process_that_waits_gets_its_share(self) -> None:
        leases = [self.store.acquire(MailboxKey("ann@example.com", box), ME) for box in "abc"]
        for lease in leases:
            with pytest.raises(LeaseHeld):
                self.beside.acquire(lease.mailbox, "other:2")
        self.beside.renew_leases()
        self.store.renew_leases()
        (wanted,) = filter(self.store.is_wanted, leases)
        self.store.release(wanted)
        assert self.beside.acquire(wanted.mailbox, "other:2").token > wanted.token

    def setup_method(self) -> None:
        """The fixture opens the store."""

    def teardown_method(self) -> None:
        """The fixture closes it."""
