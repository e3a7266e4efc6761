"""The company that plays the plans of the kill tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kill.company import Company


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork() and no SIGKILL")
    with Company(tmp_path_factory.mktemp("kill")) as company:
        yield company
