"""argparse with a better word for a mistyped command."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from typing import Any, NoReturn

Commands = Any
"""What ``add_subparsers`` returns; argparse has no public name for it."""

_INVALID = re.compile(r"invalid choice: '([^']*)'")


class Parser(argparse.ArgumentParser):
    """A parser that keeps the line breaks of its texts and suggests what was meant."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        # Off: an abbreviation that works today is ambiguous with the next option.
        super().__init__(allow_abbrev=False, **options)
        self.suggest_on_error = False  # argparse's own, from Python 3.14 on; ours is on all
        self._words: Iterable[str] = ()

    def add_commands(self) -> Commands:
        """Commands below this one, of which one must be given."""
        commands = self.add_subparsers(dest="command", metavar="COMMAND", required=True)
        self._words = commands.choices  # filled as they are added
        return commands

    def error(self, message: str) -> NoReturn:
        """Print how it is used and what is wrong, and end with status 2."""
        found = _INVALID.search(message)
        if found:
            near = difflib.get_close_matches(found[1].lower(), list(self._words), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)
