"""Survivors that mean the same as the code."""

from __future__ import annotations

ACCEPTED: dict[str, str] = {}
"""By `Mutant.name`, each with the reason."""
