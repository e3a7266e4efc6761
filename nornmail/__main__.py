"""``python3 -m nornmail``."""

import sys

from nornmail.cli import main

if __name__ == "__main__":
    sys.exit(main())
