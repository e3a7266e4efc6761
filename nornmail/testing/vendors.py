"""Personalities of the servers that people have their mail at."""

from __future__ import annotations

from nornmail.testing.personality import PLAIN, Personality

VENDORS: dict[str, Personality] = {}
"""Every personality, by its name."""


def personality_of(name: str | None) -> Personality:
    """The personality of this name, in any case; None is that of the standards.

    Raises:
        ValueError: there is none; it lists those there are.
    """
    if name is None:
        return PLAIN
    found = VENDORS.get(name.lower())
    if found is None:
        raise ValueError(f"no personality {name!r}, only {', '.join(sorted(VENDORS))}")
    return found
