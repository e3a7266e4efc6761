"""The corpus of real mail, where there is one: NORNMAIL_CORPUS, or beside the checkout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(
    os.environ.get("NORNMAIL_CORPUS") or Path(__file__).resolve().parents[3] / "shared" / "corpus"
)
needs_corpus = pytest.mark.skipif(
    not ROOT.is_dir(), reason=f"no corpus of real mail at {ROOT}; NORNMAIL_CORPUS names one"
)
_NO_MAIL = {".json", ".md", ".html"}


def files() -> list[Path]:
    """Every message and body text, in a fixed order."""
    found = [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file() and path.suffix not in _NO_MAIL and not path.name.startswith("SOURCE-")
    ]
    assert found, f"nothing in {ROOT}"
    return found


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
