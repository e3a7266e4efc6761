"""What a message costs the database, counted."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from nornmail import SqliteStateStore
from tests.poller.delivery.harness import World, embedded_only, numbers

MESSAGES = 40


def statements(store: SqliteStateStore) -> list[str]:
    """The statements of the store from here on, as they come."""
    trace: list[str] = []
    assert isinstance(store._connection, sqlite3.Connection)
    store._connection.set_trace_callback(trace.append)
    return trace


def transactions(trace: list[str]) -> list[list[str]]:
    """The first words of the statements of each transaction, BEGIN and COMMIT among them."""
    found: list[list[str]] = []
    for statement in trace:
        word = statement.split()[0]
        if word == "BEGIN":
            found.append([])
        if found and "COMMIT" not in found[-1]:
            found[-1].append(word)
    return found


@pytest.mark.one_worker("several claims are one transaction")
@embedded_only  # it says nothing about the server
def test_a_message_costs_one_transaction_of_five_statements(world: World, tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.db")
    world.use(lambda: store)
    poller = world.poller()
    poller.poll_once()
    trace = statements(store)
    world.deliver(*numbers(1, MESSAGES))
    assert poller.poll_once().handled == MESSAGES
    made = transactions(trace)
    hot = [words for words in made if "INSERT" in words]
    assert len(hot) == MESSAGES
    assert hot[1:] == [["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"]] * (MESSAGES - 1)
    # The last one's outcome, the actions on the server, the poll.
    assert len(made) <= MESSAGES + 4


@embedded_only
def test_a_poll_with_nothing_new_writes_nothing_and_reads_what_is_due(
    world: World, tmp_path: Path
) -> None:
    store = SqliteStateStore(tmp_path / "state.db")
    world.use(lambda: store)
    world.deliver(*numbers(1, MESSAGES))
    poller = world.poller()
    poller.poll_once()
    trace = statements(store)
    poller.poll_once()
    assert {statement.split()[0] for statement in trace} <= {"SELECT"}
    assert len(trace) <= 2, trace
