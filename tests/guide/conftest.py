"""A new user, and the servers that they have accounts on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guide.walk import Walk
from tests.support.dovecot import Dovecot
from tests.support.postfix import Postfix


@pytest.fixture
def walk(dovecot: Dovecot, postfix: Postfix, tmp_path: Path) -> Walk:
    return Walk(dovecot, postfix, tmp_path)
