"""The page on messages names every public field, and no other."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from nornmail.message.attachments import Attachment
from nornmail.message.bounce import Bounce, FailedRecipient
from nornmail.message.message import Message

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "message.md"
METHODS = {"after", "fetch_rest", "as_email", "to_dict", "for_model"}


def documented(*headings: str) -> set[str]:
    """The names in the first column of the tables whose first cell is one of these."""
    names: set[str] = set()
    heading = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if not line.startswith("|"):
            heading = ""
            continue
        cell = line.strip("|").split("|")[0].strip()
        heading = heading or cell
        if heading in headings and cell != heading:
            names |= set(re.findall(r"`(\w+)(?:\([^`]*\))?`", cell))
    return names


def public(kind: type) -> set[str]:
    if dataclasses.is_dataclass(kind):
        names = {field.name for field in dataclasses.fields(kind)}
    else:
        names = set(kind.__annotations__)
    return {name for name in names | set(vars(kind)) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("kind", "heading"),
    [(Attachment, "Attachment"), (Bounce, "Bounce"), (FailedRecipient, "FailedRecipient")],
)
def test_every_field_of_a_value_is_described(kind: type, heading: str) -> None:
    assert documented(heading, f"{heading}'s method") == public(kind)


def test_every_field_of_a_message_is_described() -> None:
    assert documented("field", "method") == public(Message)
    assert documented("method") == METHODS


def test_every_field_of_a_message_has_a_docstring() -> None:
    described = (Message.__doc__ or "") + (Attachment.__doc__ or "")
    for kind in (Message, Attachment):
        for name in public(kind):
            own = getattr(vars(kind).get(name), "__doc__", None)
            assert f" {name}: " in described or own, name
