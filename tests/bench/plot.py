"""A plot of the benchmark as SVG: messages a second, and memory, against the mailbox's size."""

from __future__ import annotations

import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 420, 260, 48
COLOURS = ("#888888", "#b8860b", "#c0392b", "#1f6fb2", "#2e8b57", "#7d3c98")

Figures = dict[str, dict[str, dict[str, float]]]
"""By the mailbox's size, the peer, and the figure's name."""


def plot(sizes: Figures) -> str:
    """An SVG with two diagrams side by side; both axes of the first are logarithmic."""
    peers = list(next(iter(sizes.values())))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{HEIGHT + 60}" '
        'font-family="sans-serif" font-size="11">',
        _diagram(sizes, peers, "messages/s", 0, logarithmic=True),
        _diagram(sizes, peers, "memory MB", WIDTH, logarithmic=False),
    ]
    for number, peer in enumerate(peers):
        x, colour = MARGIN + number * 130, COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="{HEIGHT + 30}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{x + 14}" y="{HEIGHT + 39}">{escape(peer)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _diagram(sizes: Figures, peers: list[str], figure: str, left: int, *, logarithmic: bool) -> str:
    values = [row[figure] for rows in sizes.values() for row in rows.values()]
    low, high = (min(values), max(values)) if logarithmic else (0.0, max(values))
    counts = sorted(map(int, sizes))

    def x_of(count: int) -> float:
        return (
            left
            + MARGIN
            + _share(count, counts[0], counts[-1], logarithmic=True) * (WIDTH - 2 * MARGIN)
        )

    def y_of(value: float) -> float:
        return (
            HEIGHT
            - MARGIN
            - _share(value, low, high, logarithmic=logarithmic) * (HEIGHT - 2 * MARGIN)
        )

    top, bottom = y_of(high), y_of(low)
    parts = [
        f'<text x="{left + MARGIN}" y="{MARGIN - 16}">{escape(figure)}</text>',
        f'<path d="M{left + MARGIN} {top}V{bottom}H{left + WIDTH - MARGIN}" '
        'fill="none" stroke="#444"/>',
        f'<text x="{left + MARGIN - 4}" y="{top + 4}" text-anchor="end">{high:.0f}</text>',
        f'<text x="{left + MARGIN - 4}" y="{bottom + 4}" text-anchor="end">{low:.0f}</text>',
    ]
    parts += [
        f'<text x="{x_of(count):.1f}" y="{bottom + 16}" text-anchor="middle">{count}</text>'
        for count in counts
    ]
    for number, peer in enumerate(peers):
        points = " ".join(
            f"{x_of(count):.1f},{y_of(sizes[str(count)][peer][figure]):.1f}" for count in counts
        )
        colour = COLOURS[number % len(COLOURS)]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
    return "\n".join(parts)


def _share(value: float, low: float, high: float, *, logarithmic: bool) -> float:
    """How far ``value`` lies on the way from ``low`` to ``high``."""
    if low == high:
        return 0.5
    if logarithmic:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
