"""A message as it came from the server, before anything is known of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message that came from the server whole, or with its headers alone (``truncated``)."""

    uid: int
    raw: bytes
    flags: frozenset[str] = frozenset()
    received_at: float | None = None
    size: int = 0
    truncated: bool = False
