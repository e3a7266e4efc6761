"""What single providers need besides the protocol."""

from __future__ import annotations

from collections.abc import Collection

from nornmail._version import __version__

COREMAIL_CAPABILITY = "X-CM-EXT-1"
"""Coremail, the software of NetEase (163.com, 126.com) and of many Chinese companies."""
ID_ARGUMENTS = f'("name" "nornmail" "version" "{__version__}")'.encode("ascii")
"""What we say about ourselves (RFC 2971)."""


def wants_id(capabilities: Collection[str]) -> bool:
    """Whether ID has to be sent after login.

    Without it Coremail refuses every SELECT with ``NO SELECT Unsafe Login``.
    """
    return "ID" in capabilities and COREMAIL_CAPABILITY in capabilities
