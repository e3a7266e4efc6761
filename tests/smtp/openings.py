"""What the tests of opening a session share: credentials, scripts, a look at a refusal."""

from __future__ import annotations

import base64
import traceback
from typing import Any

import pytest

from nornmail.errors import NornmailError
from nornmail.smtp.session import Session
from tests.smtp.scripted import Scripted
from tests.support.smtp import PASSWORD, USER

LOGIN = {"username": USER, "password": PASSWORD}
OFFERING = {"EHLO": b"250-ready\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n"}
WITH_TLS = b"250-ready\r\n250 STARTTLS\r\n"
BEARER = {"EHLO": b"250-ready\r\n250 AUTH PLAIN XOAUTH2\r\n"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def words(error: BaseException) -> str:
    """All that an error and its causes say; without the tests' own lines in a traceback."""
    told = traceback.TracebackException.from_exception(error, capture_locals=False)
    lines = [line for line in told.format() if not line.startswith("  File")]
    return "".join(lines) + repr(error.args)


def refusal(server: Scripted, **changes: Any) -> NornmailError:
    """Why no session could be opened; no credentials may have been sent where there is no TLS."""
    with pytest.raises(NornmailError) as caught:
        Session.open(server.settings(**changes))
    return caught.value
