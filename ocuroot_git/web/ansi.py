"""What a terminal would show of one line of a log, as pieces with classes of the style sheets. Pure.

Colours, weight, slant and underlines are kept; of true colours the nearest of the 256. `\\r` and backspace go back and
write over what is there, as progress bars do. Addresses of the web become links. Other escape sequences are dropped.
"""

from __future__ import annotations

import re
from collections import deque
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ..formats.escape_sequences import SEQUENCE, codes

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_ERASE = re.compile(r"\x1b\[([0-2]?)K", re.ASCII)
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\\^{}]+")
_NOT_AT_ITS_END = ".,;:!?)]*"
_STEPS = (0, 95, 135, 175, 215, 255)
"""The levels of each colour in the cube of 6 × 6 × 6 among the 256."""


class Piece(NamedTuple):
    """A part of a line: its text, the class names that colour it (empty: plain), and the address it leads to."""

    text: str
    classes: str
    address: str = ""


class _Style(NamedTuple):
    colour: str = ""
    ground: str = ""
    bold: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False

    def classes(self) -> str:
        flags = (("bold", self.bold), ("italic", self.italic), ("underline", self.underline), ("inverse", self.inverse))
        return " ".join(filter(None, (self.colour, self.ground, *(f"ansi-{name}" for name, is_on in flags if is_on))))


_PLAIN = _Style()


def pieces(line: str) -> list[Piece]:
    """One line of a log, in pieces."""
    styled = [(line, _PLAIN)] if line.isprintable() else _runs(_cells(line))
    links = _links("".join(text for text, _ in styled))
    return [Piece(text, style.classes(), address) for text, style, address in _linked(styled, links)]


def _runs(cells: list[tuple[str, _Style]]) -> list[tuple[str, _Style]]:
    """Characters of one style that stand side by side, together."""
    return [("".join(char for char, _ in run), style) for style, run in groupby(cells, key=lambda cell: cell[1])]


def _linked(styled: list[tuple[str, _Style]], links: list[tuple[int, int, str]]) -> Iterator[tuple[str, _Style, str]]:
    """Texts of one style, cut where an address begins or ends, each with the address that it is part of."""
    left = deque(links)
    at = 0
    for text, style in styled:
        while text:
            begin, end, address = left[0] if left else (at + len(text), 0, "")
            length = min(len(text), end - at if begin <= at else begin - at)
            yield text[:length], style, address if begin <= at else ""
            text, at = text[length:], at + length
            if left and at >= left[0][1]:
                left.popleft()


def _cells(line: str) -> list[tuple[str, _Style]]:
    """The characters that stand in the line at its end, each with its style."""
    cells: list[tuple[str, _Style]] = []
    style, at, column = _PLAIN, 0, 0
    for sequence in [*SEQUENCE.finditer(line), None]:
        for char in line[at : sequence.start() if sequence is not None else len(line)]:
            if column == len(cells):
                cells.append((char, style))
            else:
                cells[column] = (char, style)
            column += 1
        if sequence is None:
            break
        at = sequence.end()
        if sequence[1] is not None:
            style = _apply(sequence[1], style)
        elif sequence[0] == "\r":
            column = 0
        elif sequence[0] == "\b":
            column = max(0, column - 1)
        elif erase := _ERASE.fullmatch(sequence[0]):
            if erase[1] in ("", "0"):
                del cells[column:]
            else:
                cells[:column] = [(" ", _PLAIN)] * column
                if erase[1] == "2":
                    del cells[column:]
    return cells


def _links(text: str) -> list[tuple[int, int, str]]:
    """Where addresses stand in a text: begin, end, the address."""
    found = []
    for match in _ADDRESS.finditer(text):
        address = match[0].rstrip(_NOT_AT_ITS_END)
        if address.isprintable():
            found.append((match.start(), match.start() + len(address), address))
    return found


def _apply(numbers: str, style: _Style) -> _Style:
    for code, *further in codes(numbers):
        if code == 0:
            style = _PLAIN
        elif code in (1, 22):
            style = style._replace(bold=code == 1)
        elif code in (3, 23):
            style = style._replace(italic=code == 3)
        elif code in (4, 24):
            style = style._replace(underline=code == 4)
        elif code in (7, 27):
            style = style._replace(inverse=code == 7)
        elif code in (38, 48):
            style = _coloured(style, code == 48, _index(further))
        elif code in (39, 49):
            style = _coloured(style, code == 49, None)
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = _coloured(style, False, code % 10 + (8 if code >= 90 else 0))
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = _coloured(style, True, code % 10 + (8 if code >= 100 else 0))
    return style


def _coloured(style: _Style, is_ground: bool, index: int | None) -> _Style:
    if is_ground:
        return style._replace(ground=f"bg-{index}" if index is not None else "")
    if index is None:
        return style._replace(colour="")
    # The sixteen by name are those of the page's own palette.
    return style._replace(colour=f"ansi-{_NAMES[index % 8]}" if index < 16 else f"fg-{index}")


def _index(numbers: list[int]) -> int | None:
    """Which of the 256 colours `5;n` or `2;r;g;b` means; None for what means none."""
    if numbers[:1] == [5] and len(numbers) == 2 and numbers[1] < 256:
        return numbers[1]
    if numbers[:1] == [2] and len(numbers) == 4 and max(numbers) < 256:
        red, green, blue = numbers[1:]
        return min(range(16, 256), key=lambda index: _distance(rgb(index), (red, green, blue)))
    return None


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other))


# The style sheet of the 256 colours


def rgb(index: int) -> tuple[int, int, int]:
    """One of the 256 colours."""
    if index < 16:
        level = 255 if index > 8 else 192 if index == 7 else 128
        return (128, 128, 128) if index == 8 else tuple(level * (index >> bit & 1) for bit in range(3))  # type: ignore[return-value]
    if index < 232:
        red, rest = divmod(index - 16, 36)
        return _STEPS[red], _STEPS[rest // 6], _STEPS[rest % 6]
    grey = 8 + (index - 232) * 10
    return grey, grey, grey


@cache
def style_sheet(light: str = "#ffffff", dark: str = "#161d27") -> str:
    """The rules for the 256 colours, as text and as ground, each so that it can be read on the page's own grounds."""
    rules = []
    for index in range(256):
        ground = rgb(index)
        text = "#000" if _contrast(ground, (0, 0, 0)) >= _contrast(ground, (255, 255, 255)) else "#fff"
        rules.append(f".bg-{index}{{background:{_hex(ground)};color:{text}}}")
    numbers = range(16, 256)
    rules += [f".fg-{index}{{color:{_hex(_readable(rgb(index), _parsed(light), 0))}}}" for index in numbers]
    of_dark = "".join(f".fg-{n}{{color:{_hex(_readable(rgb(n), _parsed(dark), 255))}}}" for n in numbers)
    return "\n".join([*rules, f"@media (prefers-color-scheme:dark){{{of_dark}}}", ""])


def _readable(colour: tuple[int, int, int], ground: tuple[int, int, int], towards: int) -> tuple[int, int, int]:
    """A colour, mixed with black or white until it can be read on a ground (WCAG: 4.5 to 1)."""
    for step in range(21):
        red, green, blue = (round(part + (towards - part) * step / 20) for part in colour)
        if _contrast((red, green, blue), ground) >= 4.5:
            break
    return red, green, blue


def _contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parsed(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
