"""What commands print to colour their output, or to control a terminal: taken away, or only the colours kept. Pure.

Grammar: `ESC [ numbers m` (SGR) sets colour and weight. Every other escape sequence and every control character but
the tab is none of ours: it moves the cursor, sets titles, hides text.
"""

from __future__ import annotations

import re

SEQUENCE = re.compile(
    "\x1b\\[([0-9;:]*)m"  # SGR, the one that is understood
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # other control sequences
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # strings: titles, links
    "|\x1b[ -/]*[0-~]?"  # other escapes
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""An escape sequence, or a control character. Its group holds the numbers of one that sets colours."""
_CONCEAL = 8


def plain(line: str) -> str:
    """A line without escape sequences."""
    return line if line.isprintable() else SEQUENCE.sub("", line)


def coloured(line: str) -> str:
    """A line in which of all escape sequences only those are left that set colours and weight."""
    return line if line.isprintable() else SEQUENCE.sub(lambda found: found[0] if _is_colour(found[1]) else "", line)


def codes(numbers: str) -> list[list[int]]:
    """The numbers of a sequence that sets colours, one code after the other: `31;38;5;7` is `[[31], [38, 5, 7]]`."""
    left = [int(number[:4] or 0) for number in numbers.replace(":", ";").split(";")]
    found = []
    while left:
        # 5;n is one of 256 colours, 2;r;g;b a true one: their numbers are no codes of their own.
        further = 0 if left[0] not in (38, 48, 58) else 2 if left[1:2] == [5] else 4 if left[1:2] == [2] else 1
        found.append(left[: 1 + further])
        del left[: 1 + further]
    return found


def _is_colour(numbers: str | None) -> bool:
    """Whether a sequence sets colours, and does not hide what comes after it."""
    return numbers is not None and all(code[0] != _CONCEAL for code in codes(numbers))
