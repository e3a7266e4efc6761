"""The page nornmail.testing: its tables are the code's."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from nornmail.testing import MailServer, SentMessage, faults, smtp_faults
from nornmail.testing.sasl import MAX_SASL_LINE
from nornmail.testing.smtp.client import DEFAULT_EXTENSIONS, SmtpSettings
from nornmail.testing.smtp.session import MAX_COMMAND_LINE
from nornmail.testing.waiting import WAIT_SECONDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "testing.md"
TEXT = PAGE.read_text("utf-8")


def table(*header: str) -> list[list[str]]:
    """The rows of the table that has this header."""
    lines = iter(TEXT.splitlines())
    assert any(line == f"| {' | '.join(header)} |" for line in lines)
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]*)`", cell)


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_arguments_of_the_server() -> None:
    told = {names(row[0])[0]: names(row[1])[0] for row in table("argument", "default", "meaning")}
    found = inspect.signature(MailServer).parameters.values()
    assert told == {one.name: repr(one.default) for one in found}


def test_the_names_of_the_server() -> None:
    told = [name for row in table("name", "what it is") for name in names(row[0])]
    with MailServer() as server:
        assert set(told) == public(type(server)) | {one for one in vars(server) if one[0] != "_"}
    assert len(told) == len(set(told))


def test_the_fields_of_a_sent_message() -> None:
    told = [names(row[0])[0] for row in table("field", "meaning")]
    assert told == [one.name for one in fields(SentMessage)]


def test_the_attributes_of_the_smtp_side() -> None:
    settings = SmtpSettings(starttls=False)
    rows = table("attribute", "default", "meaning")
    told = {names(row[0])[0]: (names(row[1]) or [row[1]])[0] for row in rows}
    assert told == {
        name: ", ".join(sorted(value)) if name == "extensions" else repr(value)
        for name, value in vars(settings).items()
        if name[0] != "_"
    }
    assert settings.extensions == DEFAULT_EXTENSIONS


FAULTS = {
    name: one
    for name, one in vars(smtp_faults).items()
    if isinstance(one, type) and issubclass(one, faults.Fault) and not one.__subclasses__()
}


def argument(field: object) -> str:
    default = getattr(field, "default", MISSING)
    name = getattr(field, "name", "")
    return name if name == "stage" or callable(default) else f"{name}={default!r}"


def test_the_faults_of_smtp() -> None:
    told = {
        names(row[0])[0]: set(names(row[1])) for row in table("fault", "arguments", "what it does")
    }
    assert told == {
        name: {argument(one) for one in fields(kind)} - {"times=1", "on_nth=1"}
        for name, kind in FAULTS.items()
    }


def test_the_faults_of_imap() -> None:
    told = [name for row in table("IMAP fault", "what it does") for name in names(row[0])]
    assert told
    assert all(issubclass(getattr(faults, name), faults.Fault) for name in told)


def test_the_stages_of_smtp() -> None:
    told = [name for row in table("stage", "when") for name in names(row[0])]
    assert set(told) == set(smtp_faults.STAGES)
    assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (MAX_COMMAND_LINE, "A command line has\n{} octets"),
        (MAX_SASL_LINE, "one of AUTH {};"),
        (int(WAIT_SECONDS), "after `seconds` ({}, and 20 for IDLE)"),
    ],
)
def test_the_numbers_in_the_text(number: int, words: str) -> None:
    assert words.format(f"{number:,}") in TEXT
