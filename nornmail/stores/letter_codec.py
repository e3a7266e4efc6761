"""Letters to JSON and back: as ``codec.py`` does it, what is at its default is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

from nornmail.outgoing import Letter, LetterState, Recipient, Standing, Wish
from nornmail.stores.letter_tables import H, LetterEffects
from nornmail.stores.text import read_text, write_text

_DEFAULTS = {one.name: one.default for one in fields(Letter)}


def write_recipient(one: Recipient) -> Any:
    """A recipient as ``[address, standing, code, text]``."""
    return [write_text(one.address), one.standing.value, one.code, write_text(one.text)]


def read_recipient(value: Any) -> Recipient:
    """The recipient that :func:`write_recipient` wrote."""
    address, standing, code, text = value
    return Recipient(read_text(address), Standing(standing), code, read_text(text))


def write_letter(letter: Letter) -> dict[str, Any]:
    """A letter as an object of its fields that are not at their defaults."""
    value: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        field = getattr(letter, name)
        if name == "recipients":
            value[name] = list(map(write_recipient, field))
        elif default is MISSING or field != default:
            value[name] = write_text(field) if isinstance(field, str) else field
    return value


def read_letter(value: Any) -> Letter:
    """The letter that :func:`write_letter` wrote."""
    found: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        if name == "recipients":
            found[name] = tuple(map(read_recipient, value[name]))
        elif name not in value and default is not MISSING:
            continue
        elif name == "state":
            found[name] = LetterState(value[name])
        elif default is MISSING or isinstance(default, str):
            found[name] = read_text(value[name])
        else:
            found[name] = value[name]
    return Letter(**found)


def write_letter_effects(
    effects: LetterEffects[H], write_held: Callable[[H], Any]
) -> dict[str, Any]:
    """The effects by name, what is empty left out."""
    value: dict[str, Any] = {}
    if effects.letters:
        value["letters"] = list(map(write_letter, effects.letters.values()))
    if effects.raw:
        value["letter_raw"] = [
            [write_text(key), None if held is None else write_held(held)]
            for key, held in effects.raw.items()
        ]
    if effects.wishes:
        value["wishes"] = [
            [write_text(key), None if wish is None else wish.value]
            for key, wish in effects.wishes.items()
        ]
    return value


def read_letter_effects(value: Any, read_held: Callable[[Any], H]) -> LetterEffects[H]:
    """The effects that :func:`write_letter_effects` wrote.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    effects: LetterEffects[H] = LetterEffects()
    for letter in map(read_letter, value.get("letters", ())):
        effects.letters[letter.key] = letter
    for key, held in value.get("letter_raw", ()):
        effects.raw[read_text(key)] = None if held is None else read_held(held)
    for key, wish in value.get("wishes", ()):
        effects.wishes[read_text(key)] = None if wish is None else Wish(wish)
    return effects
