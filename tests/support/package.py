"""Where the nornmail that is tested lies: looked up, not imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest


def package_directory() -> Path:
    """The directory that ``import nornmail`` would take the package from."""
    spec = find_spec("nornmail")
    if spec is None or not spec.submodule_search_locations:
        raise pytest.UsageError("there is no nornmail to test")
    return Path(spec.submodule_search_locations[0]).resolve()
