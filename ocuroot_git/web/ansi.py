"""Escape sequences in logs, as pieces of text with classes of the style sheet. Pure.

Of the colours the sixteen by name are kept; the others of 256 and of true colour become plain.
"""

from __future__ import annotations

from ..formats.escape_sequences import SEQUENCE, codes

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def pieces(line: str) -> list[tuple[str, str]]:
    """One line of a log as pairs of text and class names (empty: plain), escape sequences taken away."""
    found: list[tuple[str, str]] = []
    colour, bold, at = "", False, 0
    for sequence in SEQUENCE.finditer(line):
        _add(found, line[at : sequence.start()], colour, bold)
        at = sequence.end()
        if sequence[1] is not None:
            colour, bold = _apply(sequence[1], colour, bold)
    _add(found, line[at:], colour, bold)
    return found


def _add(found: list[tuple[str, str]], text: str, colour: str, bold: bool) -> None:
    if text:
        found.append((text, " ".join(filter(None, (colour and f"ansi-{colour}", "ansi-bold" if bold else "")))))


def _apply(numbers: str, colour: str, bold: bool) -> tuple[str, bool]:
    for code, *further in codes(numbers):
        if code == 0:
            colour, bold = "", False
        elif code in (1, 22):
            bold = code == 1
        elif code == 38:
            colour = _NAMES[further[1] % 8] if further[:1] == [5] and len(further) > 1 and further[1] < 16 else ""
        elif code == 39:
            colour = ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            colour = _NAMES[code % 10]
    return colour, bold
