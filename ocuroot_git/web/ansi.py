"""Terminal colours in logs, as pieces of text with classes of the style sheet. Pure.

Grammar: `ESC [ numbers m` (SGR) sets colour and weight; every other escape sequence and every control character but
the tab is dropped. Of the colours the sixteen by name are kept; the others of 256 and of true colour become plain.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    "\x1b\\[([0-9;:]*)m"  # SGR, the one that is understood
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # other control sequences
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # strings: titles, links
    "|\x1b[ -/]*[0-~]?"  # other escapes
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def pieces(line: str) -> list[tuple[str, str]]:
    """One line of a log as pairs of text and class names (empty: plain), escape sequences taken away."""
    found: list[tuple[str, str]] = []
    colour, bold, at = "", False, 0
    for sequence in _SEQUENCE.finditer(line):
        _add(found, line[at : sequence.start()], colour, bold)
        at = sequence.end()
        if sequence[1] is not None:
            colour, bold = _apply(sequence[1], colour, bold)
    _add(found, line[at:], colour, bold)
    return found


def plain(line: str) -> str:
    """One line of a log without escape sequences."""
    return _SEQUENCE.sub("", line)


def _add(found: list[tuple[str, str]], text: str, colour: str, bold: bool) -> None:
    if text:
        found.append((text, " ".join(filter(None, (colour and f"ansi-{colour}", "ansi-bold" if bold else "")))))


def _apply(numbers: str, colour: str, bold: bool) -> tuple[str, bool]:
    codes = [int(number[:4] or 0) for number in numbers.replace(":", ";").split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            colour, bold = "", False
        elif code in (1, 22):
            bold = code == 1
        elif code in (38, 48):
            # 5;n is one of 256 colours, 2;r;g;b a true one: their numbers are no codes of their own.
            skipped = 2 if codes[:1] == [5] else 4 if codes[:1] == [2] else 1
            if code == 38:
                colour = _NAMES[codes[1] % 8] if codes[:1] == [5] and len(codes) > 1 and codes[1] < 16 else ""
            del codes[:skipped]
        elif code == 39:
            colour = ""
        elif 30 <= code <= 37 or 90 <= code <= 97:
            colour = _NAMES[code % 10]
    return colour, bold
