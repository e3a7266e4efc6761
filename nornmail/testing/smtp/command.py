"""What a command of the SMTP server is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nornmail.testing.smtp.replies import Response

if TYPE_CHECKING:
    from nornmail.testing.smtp.session import Session

Handler = Callable[["Session", bytes], Response]
"""Gets the octets behind the command's name and a blank; acts, and returns the answer."""


class Refused(Exception):
    """A command that is not carried out; ``response`` is its answer."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.response = Response(code, enhanced, text)
