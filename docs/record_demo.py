"""Record ``nornmail demo`` on a terminal, as an SVG whose lines appear when they appeared.

Run in a checkout, on a system with terminals: ``python docs/record_demo.py``. It writes
``docs/pictures/demo.svg``, which a test compares with what the demo prints.
"""

from __future__ import annotations

import os
import pty
import re
import sys
import time
from html import escape
from pathlib import Path

PICTURE = Path(__file__).parent / "pictures" / "demo.svg"
COMMAND = "python3 -m nornmail demo"
COLUMNS = 80
CHAR_WIDTH, LINE_HEIGHT, MARGIN = 8.43, 20, 18
LONGEST_WAIT = 1.2
"""Seconds between two lines at most: what the recording machine is slow at is not shown."""
COLOURS = {"1": "b", "2": "d", "32": "g", "31": "r"}
STYLE = """\
text { font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d4d4d4;
  white-space: pre; animation: appear 1ms both; }
.b { font-weight: bold; fill: #fff; }
.d { fill: #8b949e; } .g { fill: #4ade80; } .r { fill: #f87171; }
@keyframes appear { from { opacity: 0; } to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { text { animation: none; } }
"""


def record() -> list[tuple[float, str]]:
    """Each line of the demo with the second at which it came."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("NO_COLOR", None)
        environment = os.environ | {"COLUMNS": str(COLUMNS), "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-m", "nornmail", "demo"]
        os.execve(command[0], command, environment)  # noqa: S606 - the terminal is this process's
    lines: list[tuple[float, str]] = []
    rest, clock, last = b"", 0.0, time.monotonic()
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side is closed
            part = b""
        if not part:
            break
        now = time.monotonic()
        clock, last = clock + min(now - last, LONGEST_WAIT), now
        *whole, rest = (rest + part).split(b"\n")
        lines += [(clock, line.decode().rstrip("\r")) for line in whole]
    os.close(terminal)
    if os.waitpid(pid, 0)[1]:
        raise SystemExit("the demo failed")
    return lines


def spans(line: str) -> str:
    """A line's parts with their colours, as SVG."""
    shown, colour = "", ""
    for part in re.split(r"\x1b\[([0-9]+)m", line)[0::1]:
        if part in (*COLOURS, "0"):
            colour = COLOURS.get(part, "")
        elif part:
            text = escape(part, quote=False)
            shown += f'<tspan class="{colour}">{text}</tspan>' if colour else text
    return shown


def picture(lines: list[tuple[float, str]]) -> str:
    """The recording as an SVG."""
    width = round(COLUMNS * CHAR_WIDTH + 2 * MARGIN)
    height = LINE_HEIGHT * (len(lines) + 1) + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>nornmail demo, recorded on a terminal</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1e1e1e"/>',
        f'<text x="{MARGIN}" y="{MARGIN + 14}"><tspan class="d">$ </tspan>{COMMAND}</text>',
    ]
    for number, (second, line) in enumerate(lines, 1):
        if line:
            place = f'x="{MARGIN}" y="{MARGIN + 14 + number * LINE_HEIGHT}" xml:space="preserve"'
            delay = f'style="animation-delay:{second:.2f}s"'
            parts.append(f"<text {place} {delay}>{spans(line)}</text>")
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(record()), "utf-8")
