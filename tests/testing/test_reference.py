"""The page nornmail.testing: its tables are the code's."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from nornmail.testing import VENDORS, MailServer, OAuthServer, SentMessage, faults, smtp_faults
from nornmail.testing.__main__ import parser
from nornmail.testing.accounts import MAX_SASL_LINE
from nornmail.testing.fault_plan import Fault
from nornmail.testing.http_interface import RESOURCES
from nornmail.testing.mail_server import WAIT_SECONDS
from nornmail.testing.smtp.client import DEFAULT_EXTENSIONS, SmtpBehaviour
from nornmail.testing.smtp.session import MAX_COMMAND_LINE

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
    told = {
        name: names(row[1])[0]
        for row in table("argument", "default", "meaning")
        for name in names(row[0])
    }
    found = inspect.signature(MailServer).parameters.values()
    assert told == {one.name: repr(one.default) for one in found}


def test_the_names_of_the_server() -> None:
    told = [name for row in table("name", "what it is") for name in names(row[0])]
    with MailServer() as server:
        assert set(told) == public(type(server)) | {one for one in vars(server) if one[0] != "_"}
    assert len(told) == len(set(told))


def test_the_arguments_and_names_of_the_provider_of_oauth2() -> None:
    rows = table("argument of OAuthServer", "default", "meaning")
    told = {names(row[0])[0]: (names(row[1]) or [row[1]])[0] for row in rows}
    parameters = inspect.signature(OAuthServer).parameters.values()
    assert told == {
        one.name: "required" if one.default is one.empty else repr(one.default)
        for one in parameters
    }
    rows = table("name in OAuthServer", "what it is")
    listed = [name for row in rows for name in names(row[0])]
    provider = OAuthServer(MailServer())
    assert set(listed) == public(OAuthServer) | {one for one in vars(provider) if one[0] != "_"}


def test_the_fields_of_a_sent_message() -> None:
    told = [names(row[0])[0] for row in table("field", "meaning")]
    assert told == [one.name for one in fields(SentMessage)]


def test_the_attributes_of_the_smtp_side() -> None:
    settings = SmtpBehaviour(starttls=False)
    rows = table("attribute", "default", "meaning")
    told = {names(row[0])[0]: (names(row[1]) or [row[1]])[0] for row in rows}
    assert told == {
        name: ", ".join(sorted(value)) if name == "extensions" else repr(value)
        for name, value in vars(settings).items()
        if name[0] != "_"
    }
    assert settings.extensions == DEFAULT_EXTENSIONS


def kinds(module: ModuleType) -> dict[str, type[Fault]]:
    """The faults that a test can order, by their names."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Fault) and value.__name__ == name
        if value.__module__ == module.__name__ and not value.__name__.endswith("Fault")
    } | ({"FetchFault": faults.FetchFault} if module is faults else {})


def arguments(kind: type[Fault]) -> set[str]:
    """The arguments of a fault as the page writes them, without those of all faults."""
    written = set()
    for field in fields(kind):
        bare = field.name in ("command", "stage") or callable(field.default)
        written.add(field.name if bare else f"{field.name}={field.default!r}")
    return written - {"times=1", "on_nth=1", "optional=False", "recipient=None"}


@pytest.mark.parametrize(
    ("module", "column"), [(faults, 1), (smtp_faults, 2)], ids=["of IMAP", "of SMTP"]
)
def test_the_faults(module: ModuleType, column: int) -> None:
    rows = table("fault", "IMAP", "SMTP", "what it does")
    told = {names(row[0])[0]: set(names(row[column])) for row in rows if row[column] != "–"}
    assert told == {name: arguments(kind) for name, kind in kinds(module).items()}


def test_a_name_means_the_same_in_both_protocols() -> None:
    imap, smtp = kinds(faults), kinds(smtp_faults)
    for name in (imap.keys() & smtp.keys()) - {"Answer", "Extra", "Trailing"}:
        assert arguments(imap[name]) - {"command"} == arguments(smtp[name]) - {"stage"}
    assert imap.keys() & smtp.keys() >= {"Answer", "Cut", "CutTotal", "Silent", "Call", "Drip"}


def test_the_kinds_of_a_fetch_fault() -> None:
    told = [names(row[0])[0] for row in table("kind", "the answer to FETCH")]
    assert tuple(told) == get_args(faults.FetchFaultKind)


def test_the_resources_over_http() -> None:
    told = [names(row[0])[0] for row in table("resource", "arguments", "what it does")]
    assert set(told) == {" ".join(resource) for resource in RESOURCES} | {"GET /"}
    assert len(told) == len(set(told))


def test_the_options_of_the_command() -> None:
    page = PAGE.parents[1] / "how-to" / "run-a-test-server.md"
    rows = re.findall(r"^\| (`--.*?) \|", page.read_text("utf-8"), re.MULTILINE)
    told = [name for row in rows for name in names(row)]
    known = {"--help", *told}
    assert known == {option for option in parser()._option_string_actions if option[:2] == "--"}


def test_the_vendors() -> None:
    sentence = TEXT.partition("`like` is one of ")[2].partition(":")[0]
    assert names(sentence) == sorted(VENDORS)


def test_the_stages_of_smtp() -> None:
    told = [name for row in table("stage", "when") for name in names(row[0])]
    assert set(told) == set(smtp_faults.STAGES)
    assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (MAX_COMMAND_LINE, "A command line may have\n{} octets"),
        (MAX_SASL_LINE, "one of AUTH {};"),
        (int(WAIT_SECONDS), "after `seconds` ({}, and 20 for IDLE)"),
    ],
)
def test_the_numbers_in_the_text(number: int, words: str) -> None:
    assert words.format(f"{number:,}") in TEXT
