"""Where the lines of a pipeline run. Pure: numbers in, the attributes of SVG elements out.

A pipeline is drawn as columns of cards, one for each phase, each column centred on the picture's middle; the style
sheet gives the cards their height. Between two columns lines gather at a gate (all work of a phase must be complete)
and fan out again. Lengths are in pixels of a text size of 16; the page draws them in `rem`, so that they grow with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CARD = 88
"""The height of a card, as in the style sheet (`.card` of a pipeline: 5.5 rem)."""
GAP = 16
"""Between two cards of a column (1 rem)."""
LINK = 56
"""The width between two columns (3.5 rem)."""


def height(counts: list[int]) -> int:
    """The height of a picture whose columns hold these numbers of cards."""
    most = max([1, *counts])
    return most * CARD + (most - 1) * GAP


def connections(left: int, right: int, total: int) -> list[str]:
    """The paths from a column of `left` cards to one of `right` cards, in a picture `total` high."""
    gate, middle = LINK // 2, total / 2
    into = [_curve(0, y, gate, middle) for y in _middles(left, total)]
    out = [_curve(gate, middle, LINK, y) for y in _middles(right, total)]
    return into + out


def dots(counts: list[int]) -> tuple[list[list[int]], int]:
    """The small picture of a pipeline in a list: the x of each dot by phase, and the width of it all."""
    x = 8
    columns = []
    for count in counts:
        columns.append([x + 13 * place for place in range(count)])
        x += 13 * max(1, count) + 9
    return columns, max(16, x - 14)


BAR = 10
"""The width of a bar of a chart, with the gap after it."""


def bars(values: Sequence[float | None], total: int) -> list[tuple[float, float, float]]:
    """The bars of a chart that is `total` high: the left edge, the top and the height of each.

    The highest value reaches the top, zero is a line at the bottom. What is not known (None) has no bar.
    """
    most = max((value for value in values if value is not None), default=0)
    found: list[tuple[float, float, float]] = []
    for number, value in enumerate(values):
        if value is not None:
            height = max(1.0, round(total * value / most, 2)) if most else 1.0
            found.append((BAR * number + 1, total - height, height))
    return found


def _middles(count: int, total: int) -> list[float]:
    top = (total - count * CARD - max(0, count - 1) * GAP) / 2
    return [top + CARD / 2 + place * (CARD + GAP) for place in range(count)]


def _curve(x: float, y: float, to_x: float, to_y: float) -> str:
    bend = (x + to_x) / 2
    return f"M{x:g} {y:g}C{bend:g} {y:g} {bend:g} {to_y:g} {to_x:g} {to_y:g}"
