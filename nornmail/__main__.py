"""``python3 -m nornmail``."""

import sys


def run() -> int:
    """Run the command line; return the exit status.

    Its imports take a moment, in which Ctrl-C shows no traceback either.
    """
    try:
        from nornmail.cli import main

        return main()
    except KeyboardInterrupt:
        return 130  # INTERRUPTED, which may not be imported yet


if __name__ == "__main__":
    sys.exit(run())
