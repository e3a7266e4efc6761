"""A test suite of somebody else, run in a process of its own with the plugin that is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.package import package_directory
from tests.support.zygote import zygote

PATHS = (str(package_directory().parent), str(Path(__file__).parents[2]))
"""The package that is tested, and these tests for their plugins."""

SECONDS = 60
"""A run takes one second; one that hangs has gone wrong."""


def run_python(directory: Path, *arguments: str, **environment: str) -> tuple[str, str]:
    """What a Python process in ``directory`` says on standard output and standard error."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(PATHS), "COLUMNS": "100"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    return ended.stdout, ended.stderr


def run_pytest(directory: Path, *arguments: str, fresh: bool = False, **environment: str) -> str:
    """What pytest says. The plugin is named, so that it is that beside the package under test.

    Args:
        fresh: in a process that has imported nothing; otherwise in a fork, which is quicker.
    """
    command = (
        *("-p", "nornmail.pytest_plugin", "-p", "no:cacheprovider"),
        *("--strict-markers", "-c", os.devnull, "--rootdir", str(directory)),
        *(*arguments, str(directory)),
    )
    values = {"COLUMNS": "100", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    if fresh:
        return run_python(directory, "-m", "pytest", *command, **values, **environment)[0]
    call = ("-c", "import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))")
    process = zygote().start(
        (*call, *command), directory, {**os.environ, **values, **environment}, subprocess.PIPE
    )
    try:
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.close()
    return output.decode()
